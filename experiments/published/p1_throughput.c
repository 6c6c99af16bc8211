/* Study p1-throughput: every released row of five methods on one A6000, beside its price. Engine and attention
 * kernels are fitted to the fp16 rows, one kernel's efficiency to KIVI's rows of at most four sequences; the rest
 * is declared. Three yardsticks stand beside each accuracy: how well repeats tell each other, what fp16 measured at
 * the same point, and what is predicted for fp16. */
#include "experiments/published/list.h"
#include "experiments/published/p1.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/memory.h"

enum { LARGEST_FITTED_BATCH = 4 };
static const double GOAL = 0.95;

struct study {
    const struct exp_study_run *run;
    struct exp_p1_machine machine;
    struct exp_p1_points points[EXP_P1_METHODS]; /* n 0: no such file */
    double fitted_efficiency;                    /* of KIVI; NaN: as declared */
};

/* ---- reading ---- */

static char *path_of(const struct study *s, enum exp_p1_id method)
{
    return sim_printf("%s/rethink/llama-7b-a6000-lmdeploy-%s.csv", s->run->raw_dir,
                      exp_p1_methods[method].name);
}

static bool read_rows(struct study *s, struct sim_status *st)
{
    bool ok = true;
    for (int m = 0; ok && m < EXP_P1_METHODS; m++) {
        char *path = path_of(s, (enum exp_p1_id)m);
        bool there = access(path, R_OK) == 0;
        if (there || m == EXP_P1_FP16) /* the others are measured against fp16 */
            ok = exp_p1_read(path, &exp_p1_methods[m], (uint32_t)s->machine.generated_tokens, &s->points[m],
                             st);
        else
            exp_published_note(s->run->out, "%s: no such file, so nothing is said of %s", path,
                               exp_p1_methods[m].column);
        free(path);
    }
    return ok;
}

/* ---- fitting and predicting ---- */

static void fitted(struct exp_published *out, const char *group, const char *name, const char *unit,
                   double value)
{
    struct exp_published_figure f = {.value = value};
    snprintf(f.group, sizeof f.group, "%s", group);
    snprintf(f.name, sizeof f.name, "%s", name);
    snprintf(f.unit, sizeof f.unit, "%s", unit);
    exp_published_figure(out, &f);
}

static bool fit(struct study *s, struct sim_status *st)
{
    struct exp_published *out = s->run->out;
    if (!exp_p1_fit_engine(&s->machine, &s->points[EXP_P1_FP16], s->run->constants, st)) return false;
    const struct mdl_engine *e = &s->machine.engine;
    fitted(out, "fitted to fp16", "attention_factor", "", s->machine.attention_factor);
    fitted(out, "fitted to fp16", "gpu_layer_s", "s", e->gpu_layer_s);
    fitted(out, "fitted to fp16", "residual_frac", "", e->residual_frac);
    fitted(out, "fitted to fp16", "residual_ttft_frac", "", e->residual_ttft_frac);
    if (!s->points[EXP_P1_KIVI].n) return true;
    if (!exp_p1_fit_kernel(&s->machine, EXP_P1_KIVI, &s->points[EXP_P1_KIVI], LARGEST_FITTED_BATCH,
                           s->run->constants, &s->fitted_efficiency, st))
        return false;
    fitted(out, "fitted to kivi, batch <= 4", "kernel_efficiency", "", s->fitted_efficiency);
    return true;
}

static bool predict(struct study *s, enum exp_p1_id method, struct sim_status *st)
{
    struct exp_p1_price price;
    double given[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    if (method == EXP_P1_KIVI) given[MDL_KV_KERNEL_EFFICIENCY] = s->fitted_efficiency;
    if (!exp_p1_price_init(&price, &s->machine, method, 1, given, s->run->constants, st)) return false;
    exp_p1_predict(&price, &s->points[method]);
    exp_p1_price_fini(&price);
    return true;
}

/* ---- summing up ---- */

struct mean {
    double sum;
    uint32_t n;
};

static void add(struct mean *m, double x)
{
    if (isnan(x)) return;
    m->sum += x;
    m->n++;
}

static void figure(struct exp_published *out, const char *group, const char *name, struct mean m, bool goal)
{
    struct exp_published_figure f = {.unit = "%", .value = m.n ? 100 * m.sum / m.n : NAN};
    if (!m.n) return;
    snprintf(f.group, sizeof f.group, "%s", group);
    snprintf(f.name, sizeof f.name, "%s", name);
    if (goal) {
        f.goal = m.sum / m.n >= GOAL ? EXP_GOAL_MET : EXP_GOAL_MISSED;
        snprintf(f.wanted, sizeof f.wanted, ">= %.0f %%", 100 * GOAL);
    }
    exp_published_figure(out, &f);
}

static void add_row(struct exp_published *out, const char *group, const struct exp_p1_point *p)
{
    struct exp_published_row row = {.unit = "token/s",
                                    .published = exp_p1_throughput(p, p->measured_s),
                                    .predicted = exp_p1_throughput(p, p->predicted_s)};
    snprintf(row.group, sizeof row.group, "%s", group);
    snprintf(row.what, sizeof row.what, "batch %u, %u tokens", p->batch, p->length);
    exp_published_row(out, &row);
}

static void sum_up(struct study *s, enum exp_p1_id method, enum exp_p1_stage stage)
{
    struct exp_published *out = s->run->out;
    struct mean all = {0}, small = {0}, large = {0}, repeats = {0}, as_fp16 = {0}, as_predicted_fp16 = {0};
    char group[40];
    snprintf(group, sizeof group, "%s %s", exp_p1_methods[method].name, exp_p1_stage_names[stage]);
    for (uint32_t i = 0; i < s->points[method].n; i++) {
        const struct exp_p1_point *p = &s->points[method].point[i];
        if (p->stage != stage) continue;
        const struct exp_p1_point *f = exp_p1_point_like(&s->points[EXP_P1_FP16], p);
        double accuracy = exp_p1_accuracy(p->predicted_s, p->measured_s);
        add(&all, accuracy);
        add(p->batch <= LARGEST_FITTED_BATCH ? &small : &large, accuracy);
        add(&repeats, exp_p1_repeatability(p));
        if (f && method != EXP_P1_FP16) add(&as_fp16, exp_p1_accuracy(f->measured_s, p->measured_s));
        if (f && method != EXP_P1_FP16)
            add(&as_predicted_fp16, exp_p1_accuracy(f->predicted_s, p->measured_s));
        add_row(out, group, p);
    }
    figure(out, group, "accuracy", all, true);
    figure(out, group, "accuracy, batch <= 4", small, false);
    figure(out, group, "accuracy, batch >= 8", large, true);
    figure(out, group, "noise ceiling: a repeat by the others", repeats, false);
    figure(out, group, "as fp16 measured", as_fp16, false);
    figure(out, group, "as fp16 predicted", as_predicted_fp16, false);
}

/* ---- the study ---- */

static bool run(struct study *s, struct sim_status *st)
{
    if (!read_rows(s, st) || (s->run->fit && !fit(s, st))) return false;
    for (int m = 0; m < EXP_P1_METHODS; m++)
        if (s->points[m].n && !predict(s, (enum exp_p1_id)m, st)) return false;
    for (int m = 0; m < EXP_P1_METHODS; m++)
        for (int stage = 0; stage < EXP_P1_STAGES; stage++)
            sum_up(s, (enum exp_p1_id)m, (enum exp_p1_stage)stage);
    exp_published_note(s->run->out, "every matrix product and activation of the profile's source is 1.4 x "
                                    "whole microseconds + 1: its publisher "
                                    "scaled them. They meet the fp16 rows without any engine overhead, and "
                                    "would make other engines on this card look slow");
    return true;
}

bool exp_published_p1_throughput(const struct exp_study_run *r, struct sim_status *st)
{
    struct study s = {.run = r, .fitted_efficiency = NAN};
    if (!exp_p1_machine_init(&s.machine, r, st)) return false;
    bool ok = run(&s, st);
    for (int m = 0; m < EXP_P1_METHODS; m++) exp_p1_points_fini(&s.points[m]);
    exp_p1_machine_fini(&s.machine);
    return ok;
}
