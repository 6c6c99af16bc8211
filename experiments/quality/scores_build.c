#include "experiments/quality/scores_build.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "traces/intern.h"

/* Every method has a place for every sample, so a file of many methods with a few samples each is refused. */
enum { MAX_METHODS = 1024, MAX_CELLS = 1 << 26 };

/* Binary fractions: 1.0000000000000002 is a score of 1 that was divided. */
#define ROUNDING 1e-9

struct column {
    const char *name;
    struct exp_score *score; /* by sample, in the order of first appearance */
    uint32_t n;
    size_t room;
};

struct exp_scores_builder {
    const struct exp_scores_options *options;
    struct sim_arena *strings;
    struct trc_intern methods, tasks, samples; /* value: number + 1 */
    struct column column[MAX_METHODS];
    const char *task[MDL_MAX_TASKS];
    uint32_t n_methods, n_tasks;
    struct exp_sample_id *sample;
    size_t n_samples, room_samples, n_cells;
};

struct exp_scores_builder *exp_scores_builder_new(const struct exp_scores_options *options)
{
    struct exp_scores_builder *b = sim_alloc(1, sizeof *b);
    b->options = options;
    b->strings = sim_arena_new();
    return b;
}

void exp_scores_builder_free(struct exp_scores_builder *b)
{
    if (!b) return;
    for (uint32_t i = 0; i < b->n_methods; i++) free(b->column[i].score);
    trc_intern_fini(&b->methods);
    trc_intern_fini(&b->tasks);
    trc_intern_fini(&b->samples);
    sim_arena_free(b->strings);
    free(b->sample);
    free(b);
}

const struct exp_scores_options *exp_scores_builder_options(const struct exp_scores_builder *b)
{
    return b->options;
}

/* ---- one score ---- */

static bool refuse(const struct exp_score_row *row, struct sim_status *st, const char *what,
                   const char *expected)
{
    return sim_fail(st, "%s:%llu: %s, expected %s", row->path, (unsigned long long)row->line, what, expected);
}

/* Names go into tables, files, JSON and terminals. */
static bool is_name(const char *text, size_t room)
{
    size_t n = strnlen(text, room);
    bool plain = true;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i], next = (unsigned char)text[i + 1];
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && next < 0xa0)) return false;
        plain &= (unsigned char)text[i] < 0x80;
    }
    if (n == 0 || n == room || plain) return n > 0 && n < room;
    json_t *utf8 = json_string(text);
    bool good = utf8 != NULL;
    json_decref(utf8);
    return good;
}

static bool check_names(const struct exp_score_row *row, const char *method, struct sim_status *st)
{
    if (!row->alg[0] || !is_name(method, EXP_METHOD_BYTES))
        return refuse(row, st, "the method's name is empty, too long, no UTF-8 or holds control characters",
                      "at most 255 bytes of text");
    if (!is_name(row->task, MDL_TASK_BYTES))
        return refuse(row, st, "the task's name is empty, too long, no UTF-8 or holds control characters",
                      "at most 63 bytes of text");
    if (!is_name(row->id, EXP_ID_BYTES))
        return refuse(row, st, "the id is empty, too long, no UTF-8 or holds control characters",
                      "at most 127 bytes of text");
    return true;
}

static bool check_score(const struct exp_scores_builder *b, const struct exp_score_row *row, double *score,
                        struct sim_status *st)
{
    double scale = b->options->scale > 0 ? b->options->scale : 1;
    *score = row->score / scale;
    if (!(*score >= -ROUNDING && *score <= 1 + ROUNDING))
        return sim_fail(st, "%s:%llu: score is %g, expected 0 to %g%s", row->path,
                        (unsigned long long)row->line, row->score, scale,
                        scale == 1 && row->score > 1 && row->score <= 100
                            ? "; for percentages give --scale 100"
                            : "; correct the score or drop the row");
    *score = fmin(fmax(*score, 0), 1);
    return true;
}

static uint32_t find_method(struct exp_scores_builder *b, const char *name)
{
    struct trc_intern_entry *e = trc_intern(&b->methods, name, b->strings);
    if (e->value) return (uint32_t)e->value - 1;
    if (b->n_methods == MAX_METHODS) return UINT32_MAX;
    b->column[b->n_methods].name = e->text;
    e->value = ++b->n_methods;
    return b->n_methods - 1;
}

static uint32_t find_task(struct exp_scores_builder *b, const char *name)
{
    struct trc_intern_entry *e = trc_intern(&b->tasks, name, b->strings);
    if (e->value) return (uint32_t)e->value - 1;
    if (b->n_tasks == MDL_MAX_TASKS) return UINT32_MAX;
    b->task[b->n_tasks] = e->text;
    e->value = ++b->n_tasks;
    return b->n_tasks - 1;
}

static uint32_t find_sample(struct exp_scores_builder *b, uint32_t task, const char *id)
{
    static const char digits[] = "0123456789abcdef";
    enum { PREFIX = 2 }; /* the task in two digits */
    char key[PREFIX + EXP_ID_BYTES] = {digits[task / 16], digits[task % 16]};
    memcpy(key + PREFIX, id, strlen(id) + 1);
    struct trc_intern_entry *e = trc_intern(&b->samples, key, b->strings);
    if (e->value) return (uint32_t)e->value - 1;
    if (b->n_samples == MAX_CELLS) return UINT32_MAX;
    if (b->n_samples == b->room_samples) {
        b->room_samples = b->room_samples ? 2 * b->room_samples : 1024;
        b->sample = sim_realloc(b->sample, b->room_samples, sizeof *b->sample);
    }
    b->sample[b->n_samples] = (struct exp_sample_id){task, e->text + PREFIX};
    e->value = ++b->n_samples;
    return (uint32_t)b->n_samples - 1;
}

/* Makes a place for a sample in a method's column; false when all columns together would be too large. */
static bool reach(struct exp_scores_builder *b, struct column *c, uint32_t sample)
{
    if (sample < c->room) return true;
    size_t room = c->room ? 2 * c->room : 256;
    while (room <= sample) room *= 2;
    b->n_cells += room - c->room;
    if (b->n_cells > MAX_CELLS) return false;
    c->score = sim_realloc(c->score, room, sizeof *c->score);
    for (; c->room < room; c->room++) c->score[c->room] = (struct exp_score){NAN, EXP_NO_TOKENS};
    return true;
}

static bool put(struct exp_scores_builder *b, const struct exp_score_row *row, const char *method,
                double score, struct sim_status *st)
{
    uint32_t m = find_method(b, method), task = find_task(b, row->task);
    if (m == UINT32_MAX) return refuse(row, st, "has more methods than can be read", "at most 1,024");
    if (task == UINT32_MAX) return refuse(row, st, "has more tasks than can be read", "at most 256");
    uint32_t sample = find_sample(b, task, row->id);
    if (sample == UINT32_MAX || !reach(b, &b->column[m], sample))
        return refuse(row, st, "has more methods x samples than can be read", "at most 67,108,864");
    struct exp_score *at = &b->column[m].score[sample];
    if (!isnan(at->score))
        return sim_fail(
            st,
            "%s:%llu: task %s, id %s of %s has a score already, expected each sample once; drop the "
            "repeated row or file",
            row->path, (unsigned long long)row->line, row->task, row->id, method);
    *at = (struct exp_score){score, row->output_tokens};
    b->column[m].n++;
    return true;
}

/* `alg/params`, or `alg`; cut where it is too long for a name, which is refused then. */
static void join(const struct exp_score_row *row, char out[EXP_METHOD_BYTES + 1])
{
    size_t n = strnlen(row->alg, EXP_METHOD_BYTES), k = strnlen(row->params, EXP_METHOD_BYTES);
    memcpy(out, row->alg, n);
    if (k && n < EXP_METHOD_BYTES) out[n++] = '/';
    if (k > EXP_METHOD_BYTES - n) k = EXP_METHOD_BYTES - n;
    memcpy(out + n, row->params, k);
    out[n + k] = '\0';
}

bool exp_scores_add(struct exp_scores_builder *b, const struct exp_score_row *row, struct sim_status *st)
{
    char method[EXP_METHOD_BYTES + 1];
    double score;
    join(row, method);
    return check_names(row, method, st) && check_score(b, row, &score, st) && put(b, row, method, score, st);
}

/* ---- all of them ---- */

/* Whole numbers by value and before words, so that 10 follows 9; a total order. */
static int compare_ids(const char *a, const char *b)
{
    bool a_whole = !a[strspn(a, "0123456789")], b_whole = !b[strspn(b, "0123456789")];
    if (a_whole != b_whole) return a_whole ? -1 : 1;
    const char *x = a, *y = b;
    while (a_whole && *x == '0') x++;
    while (b_whole && *y == '0') y++;
    size_t n = strlen(x), k = strlen(y);
    if (a_whole && n != k) return n < k ? -1 : 1;
    int by_value = a_whole ? strcmp(x, y) : 0;
    return by_value ? by_value : strcmp(a, b);
}

struct place {
    struct exp_sample_id sample;
    uint32_t from;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->sample.task != y->sample.task) return x->sample.task < y->sample.task ? -1 : 1;
    return compare_ids(x->sample.id, y->sample.id);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Tasks by name; rank of each task as it was numbered while reading. */
static void sort_tasks(const struct exp_scores_builder *b, struct exp_scores *s, uint32_t *rank)
{
    s->n_tasks = b->n_tasks;
    s->task = sim_alloc(b->n_tasks, sizeof *s->task);
    for (uint32_t i = 0; i < b->n_tasks; i++) s->task[i] = sim_arena_strdup(s->strings, b->task[i]);
    qsort(s->task, s->n_tasks, sizeof *s->task, compare_texts);
    for (uint32_t i = 0; i < b->n_tasks; i++)
        for (uint32_t k = 0; k < b->n_tasks; k++)
            if (strcmp(s->task[k], b->task[i]) == 0) rank[i] = k;
}

static struct place *sort_samples(const struct exp_scores_builder *b, const uint32_t *rank)
{
    struct place *p = sim_alloc(b->n_samples, sizeof *p);
    for (uint32_t i = 0; i < b->n_samples; i++)
        p[i] = (struct place){{rank[b->sample[i].task], b->sample[i].id}, i};
    qsort(p, b->n_samples, sizeof *p, compare_places);
    return p;
}

static struct exp_score *sorted_column(const struct column *c, const struct place *p, uint32_t n_samples)
{
    struct exp_score *score = sim_alloc(n_samples, sizeof *score);
    for (uint32_t i = 0; i < n_samples; i++)
        score[i] = p[i].from < c->room ? c->score[p[i].from] : (struct exp_score){NAN, EXP_NO_TOKENS};
    return score;
}

struct exp_scores *exp_scores_builder_finish(struct exp_scores_builder *b, struct sim_status *st)
{
    if (b->n_samples == 0) {
        sim_fail(st, "there is no score in what was read, expected at least one; is it the right file?");
        return NULL;
    }
    if (b->n_methods * b->n_samples > MAX_CELLS) {
        sim_fail(st,
                 "%u methods x %zu samples are more than can be compared, expected at most %d scores; read "
                 "fewer methods at once",
                 b->n_methods, b->n_samples, MAX_CELLS);
        return NULL;
    }
    struct exp_scores *s = sim_alloc(1, sizeof *s);
    uint32_t rank[MDL_MAX_TASKS];
    s->strings = b->strings; /* ids stay where they are */
    b->strings = NULL;
    sort_tasks(b, s, rank);
    struct place *places = sort_samples(b, rank);
    s->n_samples = (uint32_t)b->n_samples;
    s->sample = sim_alloc(s->n_samples, sizeof *s->sample);
    for (uint32_t i = 0; i < s->n_samples; i++) s->sample[i] = places[i].sample;
    s->n_methods = b->n_methods;
    s->method = sim_alloc(s->n_methods, sizeof *s->method);
    s->score = sim_alloc(s->n_methods, sizeof *s->score);
    s->n_of_method = sim_alloc(s->n_methods, sizeof *s->n_of_method);
    for (uint32_t m = 0; m < s->n_methods; m++) {
        s->method[m] = sim_arena_strdup(s->strings, b->column[m].name);
        s->score[m] = sorted_column(&b->column[m], places, s->n_samples);
        s->n_of_method[m] = b->column[m].n;
    }
    free(places);
    return s;
}
