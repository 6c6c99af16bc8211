/* The released throughput rows of paper 1: repeats gathered by stage, batch and length. */
#include "experiments/published/p1.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/csv_in.h"
#include "sim/memory.h"

const struct exp_p1_method exp_p1_methods[EXP_P1_METHODS] = {
    {"fp16", "None-16", "full"},
    {"kivi", "KIVI-4", "kivi4"},
    {"gear", "GEAR-4", "gear4"},
    {"h2o", "H2O-16", "h2o"},
    {"stream", "StreamingLLM-16", "streaming_llm"},
};

const char *const exp_p1_stage_names[EXP_P1_STAGES] = {"prefill", "decode"};

/* benchmark_thr of the paper's repository: prompts that were measured. */
static const uint32_t prompts[] = {256, 512, 1024, 2048, 3072, 4000};

struct reader {
    const struct exp_p1_method *method;
    uint32_t generated_tokens;
    struct exp_p1_points *out;
    int method_at, batch_at, length_at, stage_at, throughput_at;
};

static bool read_header(struct reader *r, const struct sim_csv_row *row, struct sim_status *st)
{
    const struct {
        const char *name;
        int *at;
    } columns[] = {{"method", &r->method_at},
                   {"bsz", &r->batch_at},
                   {"prompt_len", &r->length_at},
                   {"stage", &r->stage_at},
                   {"thr", &r->throughput_at}};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        *columns[i].at = sim_csv_column(row, columns[i].name);
        if (*columns[i].at < 0)
            return sim_fail(st,
                            "%s:%" PRIu64 ": no column `%s`, expected model,method,bsz,prompt_len,stage,thr",
                            row->path, row->line, columns[i].name);
    }
    return true;
}

static uint32_t prompt_of(const struct reader *r, enum exp_p1_stage stage, uint32_t length)
{
    for (size_t i = 0; stage == EXP_P1_DECODE && i < sizeof prompts / sizeof *prompts; i++)
        if (length == prompts[i] + r->generated_tokens) return prompts[i];
    return length;
}

static struct exp_p1_point *point_of(struct reader *r, enum exp_p1_stage stage, uint32_t batch,
                                     uint32_t length)
{
    for (uint32_t i = 0; i < r->out->n; i++) {
        struct exp_p1_point *p = &r->out->point[i];
        if (p->stage == stage && p->batch == batch && p->length == length) return p;
    }
    r->out->point = sim_realloc(r->out->point, r->out->n + 1, sizeof *r->out->point);
    struct exp_p1_point *p = &r->out->point[r->out->n++];
    *p = (struct exp_p1_point){
        .stage = stage, .batch = batch, .length = length, .prompt = prompt_of(r, stage, length)};
    return p;
}

static bool refuse(const struct sim_csv_row *row, const char *what, const char *expected,
                   struct sim_status *st)
{
    return sim_fail(st, "%s:%" PRIu64 ": %s, expected %s", row->path, row->line, what, expected);
}

static bool read_row(struct reader *r, const struct sim_csv_row *row, struct sim_status *st)
{
    uint64_t batch, length;
    double throughput;
    if (row->n_fields < 6)
        return refuse(row, "fewer than 6 fields", "model,method,bsz,prompt_len,stage,thr", st);
    if (strcmp(row->field[r->method_at], r->method->column) != 0)
        return refuse(row, "another method than the file's", r->method->column, st);
    bool prefill = strcmp(row->field[r->stage_at], "prefill") == 0;
    if (!prefill && strcmp(row->field[r->stage_at], "decoding") != 0)
        return refuse(row, "an unknown stage", "prefill or decoding", st);
    if (!sim_csv_u64(row, r->batch_at, "bsz", &batch, st) ||
        !sim_csv_u64(row, r->length_at, "prompt_len", &length, st) ||
        !sim_csv_double(row, r->throughput_at, "thr", &throughput, st))
        return false;
    if (batch < 1 || batch > 1024 || length < 1 || length > 1u << 20 || !(throughput > 0))
        return refuse(row, "a size or throughput out of range",
                      "bsz 1 to 1024, prompt_len 1 to 2^20, thr > 0", st);
    struct exp_p1_point *p =
        point_of(r, prefill ? EXP_P1_PREFILL : EXP_P1_DECODE, (uint32_t)batch, (uint32_t)length);
    if (p->n_repeats == EXP_P1_REPEATS)
        return refuse(row, "one repeat more than there is room for", "at most 16", st);
    p->throughput[p->n_repeats++] = throughput;
    return true;
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    return index == 0 ? read_header(user, row, st) : read_row(user, row, st);
}

static int by_stage_batch_length(const void *left, const void *right)
{
    const struct exp_p1_point *a = left, *b = right;
    if (a->stage != b->stage) return a->stage < b->stage ? -1 : 1;
    if (a->batch != b->batch) return a->batch < b->batch ? -1 : 1;
    return (a->length > b->length) - (a->length < b->length);
}

bool exp_p1_read(const char *path, const struct exp_p1_method *m, uint32_t generated_tokens,
                 struct exp_p1_points *out, struct sim_status *st)
{
    struct exp_p1_points points = {0};
    struct reader r = {.method = m, .generated_tokens = generated_tokens, .out = &points};
    if (!sim_csv_read(path, on_row, &r, st)) {
        exp_p1_points_fini(&points);
        return false;
    }
    for (uint32_t i = 0; i < points.n; i++) {
        struct exp_p1_point *p = &points.point[i];
        gsl_sort(p->throughput, 1, p->n_repeats);
        p->measured_s = exp_p1_step_s(p, gsl_stats_median_from_sorted_data(p->throughput, 1, p->n_repeats));
    }
    if (points.n) qsort(points.point, points.n, sizeof *points.point, by_stage_batch_length);
    *out = points;
    return true;
}

void exp_p1_points_fini(struct exp_p1_points *p)
{
    free(p->point);
    *p = (struct exp_p1_points){0};
}

const struct exp_p1_point *exp_p1_point_like(const struct exp_p1_points *p, const struct exp_p1_point *like)
{
    const struct exp_p1_point *same_prompt = NULL;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct exp_p1_point *q = &p->point[i];
        if (q->stage != like->stage || q->batch != like->batch || q->prompt != like->prompt) continue;
        if (q->length == like->length) return q;
        if (!same_prompt) same_prompt = q;
    }
    return same_prompt;
}

double exp_p1_accuracy(double predicted, double measured)
{
    return 1 - fabs(predicted - measured) / measured;
}

double exp_p1_repeatability(const struct exp_p1_point *p)
{
    double others[EXP_P1_REPEATS], sum = 0;
    if (p->n_repeats < 2) return NAN;
    for (uint32_t i = 0; i < p->n_repeats; i++) {
        uint32_t n = 0;
        for (uint32_t k = 0; k < p->n_repeats; k++)
            if (k != i) others[n++] = p->throughput[k];
        sum += exp_p1_accuracy(exp_p1_step_s(p, gsl_stats_median_from_sorted_data(others, 1, n)),
                               exp_p1_step_s(p, p->throughput[i]));
    }
    return sum / p->n_repeats;
}

static double tokens_of(const struct exp_p1_point *p)
{
    return p->stage == EXP_P1_PREFILL ? (double)p->batch * p->length : (double)p->batch;
}

double exp_p1_throughput(const struct exp_p1_point *p, double step_s)
{
    return tokens_of(p) / step_s;
}

double exp_p1_step_s(const struct exp_p1_point *p, double throughput)
{
    return tokens_of(p) / throughput;
}
