#include "experiments/study/sweep_digest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

/* ---- the best: three orders are kept until it is known which of them says something ---- */

enum order { BY_COST, BY_GOODPUT, BY_ATTAINMENT, N_ORDERS };

static const char *const order_words[N_ORDERS] = {
    [BY_COST] = "cost of requests within their limits, service levels met",
    [BY_GOODPUT] = "requests per second within their limits, service levels met",
    [BY_ATTAINMENT] = "share of requests within their limits; no point meets the service levels",
};

enum shown { GOODPUT, TTFT, TPOT, ATTAINMENT, COST, GPUS, N_SHOWN };

static const struct {
    const char *measure, *head;
} shown[N_SHOWN] = {
    [GOODPUT] = {"request_goodput", "good req/s"},
    [TTFT] = {"p99_ttft_ms", "p99 TTFT ms"},
    [TPOT] = {"p99_tpot_ms", "p99 TPOT ms"},
    [ATTAINMENT] = {"slo_attainment", "within limits"},
    [COST] = {"cost_per_1000_within_slo", "cost per 1000"},
    [GPUS] = {"gpus", "GPUs"},
};

struct candidate {
    double score; /* the smaller the better */
    uint64_t index;
    char *settings;
    double value[N_SHOWN];
};

struct ranking {
    struct candidate at[EXP_DIGEST_BEST];
    uint32_t n;
};

struct digest {
    struct exp_sweep_digest *out;
    size_t measure[N_SHOWN], sla_met;
    struct ranking ranking[N_ORDERS];
    json_t *reasons; /* text -> number of points */
};

static struct candidate candidate_of(const struct digest *d, const struct exp_stored *row, double score)
{
    struct candidate c = {.score = score, .index = row->index, .settings = sim_strdup(row->settings)};
    for (int i = 0; i < N_SHOWN; i++) c.value[i] = row->measure[d->measure[i]];
    return c;
}

/* Rows come by their index, so that of equal ones the first stays in front. */
static void rank(const struct digest *d, struct ranking *r, const struct exp_stored *row, double score)
{
    if (!isfinite(score)) return;
    uint32_t at = r->n;
    while (at > 0 && score < r->at[at - 1].score) at--;
    if (at == EXP_DIGEST_BEST) return;
    if (r->n == EXP_DIGEST_BEST) free(r->at[--r->n].settings);
    memmove(&r->at[at + 1], &r->at[at], (r->n - at) * sizeof r->at[0]);
    r->at[at] = candidate_of(d, row, score);
    r->n++;
}

static void count_reason(struct digest *d, const char *why)
{
    json_int_t n = json_integer_value(json_object_get(d->reasons, why));
    if (n || json_object_size(d->reasons) < 1000)
        json_object_set_new(d->reasons, why, json_integer(n + 1));
    else
        d->out->other_reasons++;
}

static bool visit(void *digest, const struct exp_stored *row)
{
    struct digest *d = digest;
    if (row->stale) return true;
    d->out->rows++;
    if (row->state == EXP_POINT_FAILED) {
        d->out->failed++;
        count_reason(d, row->why);
        return true;
    }
    rank(d, &d->ranking[BY_ATTAINMENT], row, -row->measure[d->measure[ATTAINMENT]]);
    if (!(row->measure[d->sla_met] > 0)) return true;
    rank(d, &d->ranking[BY_GOODPUT], row, -row->measure[d->measure[GOODPUT]]);
    rank(d, &d->ranking[BY_COST], row, row->measure[d->measure[COST]]);
    return true;
}

/* ---- rows for people ---- */

static const char *last_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* A setting's last name where that says it, else its whole path. */
static const char *short_name(json_t *settings, const char *path)
{
    const char *other;
    json_t *value;
    json_object_foreach(settings, other, value)
    {
        if (other != path && strcmp(last_name(other), last_name(path)) == 0) return path;
    }
    return last_name(path);
}

static json_t *row_of(const struct candidate *c, bool priced)
{
    json_t *row = json_object(), *settings = json_loads(c->settings, 0, NULL), *value;
    const char *path;
    json_object_set_new(row, "point", json_integer((json_int_t)c->index));
    json_object_foreach(settings, path, value)
    {
        json_object_set(row, short_name(settings, path), value);
    }
    for (int i = 0; i < N_SHOWN; i++)
        if (i != COST || priced)
            json_object_set_new(row, shown[i].head,
                                isfinite(c->value[i]) ? json_real(c->value[i]) : json_null());
    json_decref(settings);
    return row;
}

static void take_best(struct digest *d)
{
    int order = d->ranking[BY_COST].n ? BY_COST : d->ranking[BY_GOODPUT].n ? BY_GOODPUT : BY_ATTAINMENT;
    bool priced = false;
    d->out->by = order_words[order];
    d->out->best = json_array();
    for (uint32_t i = 0; i < d->ranking[order].n; i++)
        priced |= isfinite(d->ranking[order].at[i].value[COST]);
    for (uint32_t i = 0; i < d->ranking[order].n; i++)
        json_array_append_new(d->out->best, row_of(&d->ranking[order].at[i], priced));
    for (int k = 0; k < N_ORDERS; k++)
        for (uint32_t i = 0; i < d->ranking[k].n; i++) free(d->ranking[k].at[i].settings);
}

static void take_reasons(struct digest *d)
{
    d->out->failures = json_array();
    while (json_object_size(d->reasons) > 0) {
        const char *why, *most = NULL;
        json_t *n;
        json_object_foreach(d->reasons, why, n)
        {
            if (!most || json_integer_value(n) > json_integer_value(json_object_get(d->reasons, most)))
                most = why;
        }
        json_int_t points = json_integer_value(json_object_get(d->reasons, most));
        if (json_array_size(d->out->failures) < EXP_DIGEST_REASONS)
            json_array_append_new(d->out->failures,
                                  json_pack("{s:I, s:s}", "points", points, "reason", most));
        else
            d->out->other_reasons += (uint64_t)points;
        json_object_del(d->reasons, most);
    }
}

bool exp_sweep_digest(struct exp_store *s, const char *study, struct exp_sweep_digest *out,
                      struct sim_status *st)
{
    struct digest d = {.out = out, .sla_met = exp_measure_find("sla_met"), .reasons = json_object()};
    *out = (struct exp_sweep_digest){0};
    for (int i = 0; i < N_SHOWN; i++) d.measure[i] = exp_measure_find(shown[i].measure);
    bool ok = exp_store_each(s, study, visit, &d, st);
    take_best(&d);
    take_reasons(&d);
    json_decref(d.reasons);
    return ok;
}

void exp_sweep_digest_fini(struct exp_sweep_digest *d)
{
    json_decref(d->best);
    json_decref(d->failures);
    *d = (struct exp_sweep_digest){0};
}
