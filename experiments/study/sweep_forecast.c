/* What a sweep would do, by its keys and a few of its points. */
#include "experiments/study/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "experiments/study/sweep_parts.h"

enum { MAX_TRIALS = 9 };
/* No new trial begins after this time; what a row takes beside its own bytes: page headers, indices, what stays free. */
static const double TRIALS_S = 2, ROW_OVERHEAD_FRAC = 0.3;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The k-th of n points to try: from all over the study in an order that is fair when time runs out. */
static uint64_t trial(const struct exp_sweep_open *open, uint64_t k, uint64_t n)
{
    static const unsigned char mixed[MAX_TRIALS] = {4, 0, 8, 2, 6, 1, 5, 3, 7};
    return open->point[(n < MAX_TRIALS ? k : mixed[k]) * open->n / n];
}

/* Computed and thrown away. */
static void try_some(const struct exp_sweep_parts *p, const struct exp_sweep_open *open,
                     struct exp_sweep_forecast *out)
{
    struct exp_scenario *room = exp_scenario_new();
    uint64_t n = open->n < MAX_TRIALS ? open->n : MAX_TRIALS, done = 0;
    double took_s[MAX_TRIALS], bytes = 0, begin_s = exp_clock_s();
    for (; done < n && (done == 0 || exp_clock_s() - begin_s < TRIALS_S); done++) {
        struct exp_point_result r;
        size_t size;
        double from_s = exp_clock_s();
        exp_sweep_compute(p, trial(open, done, n), room, &r);
        took_s[done] = exp_clock_s() - from_s;
        free(exp_result_pack(&r, &size));
        bytes += (double)(size - sizeof r.why);
        exp_point_result_fini(&r);
    }
    qsort(took_s, done, sizeof *took_s, by_size);
    out->s_per_point = took_s[done / 2];
    out->bytes = (uint64_t)(bytes / (double)done * (1 + ROW_OVERHEAD_FRAC) * (double)open->n);
    free(room);
}

static bool forecast(struct exp_sweep_parts *p, bool trials, struct exp_sweep_forecast *out,
                     struct sim_status *st)
{
    struct exp_sweep_open open = {0};
    bool stopped;
    if (access(p->o->db, F_OK) == 0 && !(p->store = exp_store_open(p->o->db, EXP_STORE_READ, st)))
        return false;
    bool ok = exp_sweep_find_open(p, NULL, &open, &stopped, st);
    *out = (struct exp_sweep_forecast){.points = open.points, .stored = open.reused, .stale = open.stale};
    out->s_per_point = NAN;
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
