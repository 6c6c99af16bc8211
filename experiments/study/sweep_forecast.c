/* What a sweep would do, by its keys and a few of its points. */
#include "experiments/study/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "experiments/parallel.h"
#include "experiments/study/sweep_parts.h"

enum { MAX_TRIALS = 9 };
/* No new trial begins after this time; what a row takes beside its own bytes: page headers, indices, what stays free. */
static const double TRIALS_S = 2, ROW_OVERHEAD_FRAC = 0.3;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct trials {
    const struct exp_sweep_parts *parts;
    const struct exp_sweep_open *open;
    uint32_t n;
    double begin_s;
    struct trial {
        double took_s, bytes;
        bool done;
    } at[MAX_TRIALS];
};

/* The k-th point to try: from all over the study in an order that is fair when time runs out. */
static uint64_t trial_point(const struct trials *t, uint32_t k)
{
    static const unsigned char mixed[MAX_TRIALS] = {4, 0, 8, 2, 6, 1, 5, 3, 7};
    return t->open->point[(t->n < MAX_TRIALS ? k : mixed[k]) * t->open->n / t->n];
}

static bool has_time(const struct trials *t)
{
    return exp_clock_s() - t->begin_s < TRIALS_S;
}

static void compute(const struct trials *t, uint64_t i, struct exp_scenario *room, struct trial *out)
{
    struct exp_point_result r;
    size_t size;
    double from_s = exp_clock_s();
    exp_sweep_compute(t->parts, i, room, &r);
    *out = (struct trial){.took_s = exp_clock_s() - from_s, .done = true};
    free(exp_result_pack(&r, &size));
    out->bytes = (double)(size - sizeof r.why);
    exp_point_result_fini(&r);
}

/* Computed and thrown away; twice where there is time, because files are read and tables made for the first of many. */
static void try_one(void *trials, uint32_t k)
{
    struct trials *t = trials;
    if (k > 0 && !has_time(t)) return;
    struct exp_scenario *room = exp_scenario_new();
    compute(t, trial_point(t, k), room, &t->at[k]);
    if (has_time(t)) compute(t, trial_point(t, k), room, &t->at[k]);
    free(room);
}

/* On as many threads as the sweep has: they slow each other down. */
static void try_some(const struct exp_sweep_parts *p, const struct exp_sweep_open *open,
                     struct exp_sweep_forecast *out)
{
    struct trials t = {.parts = p, .open = open, .begin_s = exp_clock_s()};
    double took_s[MAX_TRIALS], bytes = 0;
    size_t done = 0;
    t.n = open->n < MAX_TRIALS ? (uint32_t)open->n : MAX_TRIALS;
    exp_parallel(t.n, p->o->n_threads, try_one, &t);
    for (uint32_t k = 0; k < t.n; k++) {
        if (!t.at[k].done) continue;
        took_s[done++] = t.at[k].took_s;
        bytes += t.at[k].bytes;
    }
    qsort(took_s, done, sizeof *took_s, by_size);
    out->s_per_point = took_s[done / 2];
    out->bytes = (uint64_t)(bytes / (double)done * (1 + ROW_OVERHEAD_FRAC) * (double)open->n);
}

static bool forecast(struct exp_sweep_parts *p, bool trials, struct exp_sweep_forecast *out,
                     struct sim_status *st)
{
    struct exp_sweep_open open = {0};
    bool stopped;
    if (access(p->o->db, F_OK) == 0 && !(p->store = exp_store_open(p->o->db, EXP_STORE_READ, st)))
        return false;
    bool ok = exp_sweep_find_open(p, NULL, &open, &stopped, st);
    *out = (struct exp_sweep_forecast){.points = open.points,
                                       .stored = open.reused,
                                       .equal = open.equal,
                                       .open = open.n,
                                       .failed = open.failed,
                                       .stale = open.stale,
                                       .s_per_point = NAN};
    if (ok && trials && open.n) try_some(p, &open, out);
    free(open.point);
    exp_store_close(p->store);
    return ok;
}

bool exp_sweep_forecast(const struct exp_study *study, const struct exp_sweep_options *o, bool trials,
                        struct exp_sweep_forecast *out, struct sim_status *st)
{
    static const struct exp_ranks alone = {.rank = 0, .n = 1};
    struct exp_sweep_options mine = *o;
    struct exp_sweep_parts p = {.study = study, .o = &mine};
    mine.ranks = &alone;
    bool ok = exp_sweep_has_room(&p, st) && exp_sweep_parts_open(&p, st) && forecast(&p, trials, out, st);
    exp_sweep_parts_close(&p);
    return ok;
}
