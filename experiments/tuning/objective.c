/* What one setting is worth in one replication. */
#include <math.h>
#include <stdlib.h>

#include "experiments/tuning/book.h"
#include "sim/memory.h"

/* ---- money ---- */

bool exp_tune_rent(const struct exp_scenario *s, struct exp_cache *cache, const struct mdl_prices *prices,
                   double *per_hour, struct sim_status *st)
{
    *per_hour = 0;
    for (uint32_t f = 0; f < s->n_fleets; f++) {
        const struct exp_fleet_keys *k = &s->fleet[f];
        const struct mdl_gpu *gpu = mdl_gpu_find(exp_cache_gpus(cache), k->gpu, st);
        const struct mdl_rent_price *rent = gpu ? mdl_rent_price(prices, gpu->name) : NULL;
        if (!gpu) return false;
        if (!rent)
            return sim_fail(
                st,
                "fleet.%u.gpu %s: models/prices has nobody who rents it out, expected a card with a rental "
                "price; use --objective goodput or load",
                f, k->gpu);
        double gpus = (double)(k->replicas * k->tensor_parallel * k->pipeline_parallel);
        *per_hour += gpus * rent->hour.value / rent->gpus;
    }
    return true;
}

/* ---- one run ---- */

static struct exp_figures *run(const struct exp_tune_task *task, const struct exp_tune_trial *t, uint32_t k,
                               double load, struct sim_status *st)
{
    if (load == 1) return exp_replication(t->scenario, task->cache, t->setup, k, st);
    struct exp_scenario *s = exp_scenario_copy(t->scenario);
    s->workload.multiply *= load;
    struct exp_figures *f = exp_replication(s, task->cache, t->setup, k, st);
    free(s);
    return f;
}

/* The class that is nearest to its limit, or farthest below it. Where each metric has a limit of its own, what `sla_met`
 * says decides: attainment is of all limits together. */
static void take_margin(const struct exp_tune_trial *t, const struct exp_figures *f,
                        struct exp_tune_sample *out)
{
    out->margin = INFINITY;
    for (uint32_t c = 0; c < f->n_classes; c++) {
        const struct sim_slo *slo = &t->setup->sim_classes[c].slo;
        double attained = exp_figure_of_class(f, c, "slo_attainment").mean, asked = slo->percentile / 100;
        double margin = attained - asked;
        bool met = exp_figure_of_class(f, c, "sla_met").mean > 0;
        if (!(exp_figure_of_class(f, c, "arrived").mean > 0)) continue;
        if (met != (margin >= 0)) margin = met ? 0 : -1e-9;
        if (margin >= out->margin) continue;
        out->margin = margin;
        out->attained = attained;
    }
    if (isinf(out->margin)) out->margin = out->attained = 0;
}

static double finite_or(double value, double otherwise)
{
    return isfinite(value) ? value : otherwise;
}

static struct exp_tune_sample sample_of(const struct exp_tune_task *task, const struct exp_tune_trial *t,
                                        const struct exp_figures *f)
{
    struct exp_tune_sample s = {.tpot_s = exp_figure(f, "mean_tpot_ms").mean * 1e-3};
    double good_per_s = finite_or(exp_figure(f, "request_goodput").mean, 0);
    take_margin(t, f, &s);
    s.value = good_per_s;
    if (task->objective == EXP_TUNE_COST) {
        double share = isnan(t->newly_failing) ? 1 : 1 - t->newly_failing;
        s.value = good_per_s * share * 3600 / task->cost_per_hour;
    }
    return s;
}

static bool sample_at(const struct exp_tune_task *task, const struct exp_tune_trial *t, uint32_t k,
                      double load, struct exp_tune_sample *out, struct sim_status *st)
{
    struct exp_figures *f = run(task, t, k, load, st);
    if (!f) return false;
    *out = sample_of(task, t, f);
    exp_figures_free(f);
    return true;
}

/* ---- the highest load ---- */

/* How far the interval between met and not met, a doubling, is halved: to 1.1 %. */
enum { HALVINGS = 6 };

struct hunt {
    const struct exp_tune_task *task;
    const struct exp_tune_trial *trial;
    uint32_t k;
    struct exp_tune_sample best; /* of the highest load that is met */
    struct sim_status *st;
    bool failed;
};

static bool meets(struct hunt *h, double load)
{
    struct exp_tune_sample s;
    if (h->failed || !sample_at(h->task, h->trial, h->k, load, &s, h->st)) return !(h->failed = true);
    s.value = load;
    if (s.margin >= 0 && load > h->best.value) h->best = s;
    if (h->best.value == 0) h->best = (struct exp_tune_sample){0, s.margin, s.attained, s.tpot_s};
    return s.margin >= 0;
}

static bool highest_load(const struct exp_tune_task *task, const struct exp_tune_trial *t, uint32_t k,
                         struct exp_tune_sample *out, struct sim_status *st)
{
    struct hunt h = {.task = task, .trial = t, .k = k, .st = st};
    double met = 0, missed = 0, load = 1;
    bool up = meets(&h, 1);
    for (int i = 0; i < EXP_TUNE_DOUBLINGS && !(met > 0 && missed > 0); i++) {
        *(up ? &met : &missed) = load;
        load *= up ? 2 : 0.5;
        if (meets(&h, load) != up) *(up ? &missed : &met) = load;
    }
    for (int i = 0; i < HALVINGS && met > 0 && missed > 0; i++) {
        load = sqrt(met * missed);
        *(meets(&h, load) ? &met : &missed) = load;
    }
    *out = h.best;
    return !h.failed;
}

bool exp_tune_sample(const struct exp_tune_task *task, const struct exp_tune_trial *trial, uint32_t k,
                     struct exp_tune_sample *out, struct sim_status *st)
{
    return task->objective == EXP_TUNE_LOAD ? highest_load(task, trial, k, out, st)
                                            : sample_at(task, trial, k, 1, out, st);
}
