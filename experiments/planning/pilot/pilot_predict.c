#include "experiments/planning/pilot/pilot_parts.h"

#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"

enum { MOST_STEPS = 8 };
static const double CLOSE = 3e-4; /* of log mean TPOT */
static const double NEAR = 3e-3;  /* two points nearer than this make no slope: batches are whole */
static const double LEAST = 0.05, MOST = 20; /* factor on step times */
static const double ONE_MACHINE_SD = 0.01;   /* no pilot of a few machines knows a fleet better than that */

/* ---- the same requests, replayed ---- */

struct replay {
    const struct exp_plan *plan;
    struct exp_cache *cache;
    const struct exp_measured_arm *measured;
    const char *arm_name;
    struct exp_scenario *scenario;
    struct sim_request *requests; /* of those that loaded the arm */
    uint64_t *served;             /* [n] which of measured they are */
    uint64_t n;
    struct exp_factors *factors;
    /* what came out: sums over requests that have both, in order */
    double *measured_s, *predicted_s; /* [n] */
    uint64_t n_both;
};

static bool replay_init(struct replay *r, const struct exp_arm_machines *arm, struct sim_status *st)
{
    uint64_t room = r->measured->n;
    r->scenario = exp_arm_scenario(r->plan, arm, st);
    if (!r->scenario) return false;
    r->scenario->length_shift = false; /* outputs are as they were */
    r->scenario->warmup_requests = 0;
    r->scenario->warmup_s = r->scenario->horizon_s = 0;
    r->requests = sim_alloc(room, sizeof *r->requests);
    r->served = sim_alloc(room, sizeof *r->served);
    r->measured_s = sim_alloc(room, sizeof *r->measured_s);
    r->predicted_s = sim_alloc(room, sizeof *r->predicted_s);
    r->factors = sim_alloc(1, sizeof *r->factors);
    for (uint64_t i = 0; i < room; i++) {
        const struct exp_served *q = &r->measured->at[i];
        if (!q->loads) continue;
        r->served[r->n] = i;
        r->requests[r->n++] = (struct sim_request){.arrival_s = q->arrival_s,
                                                   .input_tokens = q->input_tokens,
                                                   .output_tokens = q->output_tokens ? q->output_tokens : 1,
                                                   .slo_class = q->slo_class};
    }
    return true;
}

static void replay_fini(struct replay *r)
{
    free(r->factors);
    free(r->predicted_s);
    free(r->measured_s);
    free(r->served);
    free(r->requests);
    free(r->scenario);
}

static struct sim_result *replay_run(struct replay *r, double factor, struct sim_status *st)
{
    struct exp_workload load = {.requests = r->requests, .n_requests = r->n};
    exp_factors_none(r->factors);
    for (int f = 0; f < EXP_MAX_FLEETS; f++) r->factors->residual[f] = factor;
    struct exp_setup *setup = exp_setup_new_on(r->scenario, r->cache, r->factors, &load, st);
    if (!setup) return NULL;
    struct sim_result *result = sim_run(&setup->config);
    exp_setup_free(setup);
    return result;
}

enum metric { TTFT, TPOT };

/* Measured beside predicted, where both have it. */
static void set_side_by_side(struct replay *r, const struct sim_result *result, enum metric metric)
{
    r->n_both = 0;
    for (uint64_t i = 0; i < r->n; i++) {
        const struct exp_served *q = &r->measured->at[r->served[i]];
        const struct sim_outcome *o = &result->outcomes[i];
        if (!q->completed || o->status != SIM_COMPLETED || (metric == TPOT && q->one_token)) continue;
        r->measured_s[r->n_both] = metric == TPOT ? q->tpot_s : q->ttft_s;
        r->predicted_s[r->n_both++] = metric == TPOT ? sim_tpot_s(o) : o->ttft_s;
    }
}

static struct exp_pairs pairs_of(const struct replay *r)
{
    const struct exp_measured_arm *m = r->measured;
    double busy_s = 0, span_s = m->at[m->n - 1].arrival_s;
    for (uint64_t i = 0; i < m->n; i++)
        if (m->at[i].completed)
            busy_s += m->at[i].ttft_s + (m->at[i].one_token ? 0 : m->at[i].tpot_s * m->at[i].output_tokens);
    uint64_t block = exp_pilot_block(r->n_both, span_s > 0 ? busy_s / span_s : (double)m->n);
    return (struct exp_pairs){r->measured_s, r->predicted_s, r->n_both, block};
}

/* Log of measured over predicted, of a run's requests. */
static bool gap_of(struct replay *r, const struct sim_result *result, enum metric metric, double *gap,
                   struct sim_status *st)
{
    set_side_by_side(r, result, metric);
    struct exp_pairs p = pairs_of(r);
    *gap = p.n ? exp_log_ratio(&p) : NAN;
    return isfinite(*gap) ||
           sim_fail(st,
                    "pilot: none of the measured requests of arm %s has a predicted time beside it, expected "
                    "requests that fit into max_model_len; look at input_tokens and output_tokens",
                    r->arm_name);
}

/* Of TPOT, with step times so many times as long. */
static bool gap_at(struct replay *r, double factor, double *gap, struct sim_status *st)
{
    struct sim_result *result = replay_run(r, factor, st);
    bool ok = result && gap_of(r, result, TPOT, gap, st);
    sim_result_free(result);
    return ok;
}

/* As predicted: TTFT's gap with its error, and TPOT's. */
static bool gaps_as_predicted(struct replay *r, struct exp_prediction *out, double *tpot,
                              struct sim_status *st)
{
    struct sim_result *result = replay_run(r, 1, st);
    bool ok = result && gap_of(r, result, TTFT, &out->ttft, st);
    if (ok) {
        struct exp_pairs p = pairs_of(r);
        out->ttft_sd = exp_log_ratio_sd(&p, r->plan->base->seed);
        ok = gap_of(r, result, TPOT, tpot, st);
    }
    sim_result_free(result);
    return ok;
}

/* ---- the factor that makes both agree ---- */

/* Predicted mean TPOT as a function of the factor, in logs: where it was tried last, and how steep it was found to be. */
struct climb {
    double log_factor, gap, slope;
};

/* The slope is above 1 where load counts: steps that take longer find more requests to run at once. A cost that knows no
 * such factor has slope 0. */
static bool climb_once(struct replay *r, struct climb *c, struct sim_status *st)
{
    double to = fmin(fmax(c->log_factor + c->gap / fmax(c->slope, 0.5), log(LEAST)), log(MOST)), gap;
    if (!gap_at(r, exp(to), &gap, st)) return false;
    double moved = to - c->log_factor;
    if (fabs(moved) > NEAR) c->slope = (c->gap - gap) / moved;
    c->log_factor = to;
    c->gap = gap;
    return true;
}

static bool is_plausible(const struct replay *r, double gap, struct sim_status *st)
{
    return fabs(gap) <= log(MOST) || sim_fail(st,
                                              "pilot: measured TPOT of arm %s is %.3g x what is predicted, "
                                              "expected a factor below %g; look at "
                                              "its unit (tpot_s, tpot_ms) and at the machines in pilot.yaml",
                                              r->arm_name, exp(gap), MOST);
}

static bool find_speed(struct replay *r, struct exp_prediction *out, struct sim_status *st)
{
    struct climb c = {.slope = 1};
    if (!gaps_as_predicted(r, out, &c.gap, st) || !is_plausible(r, c.gap, st)) return false;
    double plain = c.gap;
    for (int i = 0; i < MOST_STEPS && fabs(c.gap) > CLOSE && c.slope > 0.01; i++)
        if (!climb_once(r, &c, st)) return false;
    double slope = fmax(c.slope, 0.5);
    struct exp_pairs p = pairs_of(r);
    out->speed = c.slope > 0.01 ? c.log_factor + c.gap / slope : plain;
    out->speed_sd = hypot(exp_log_ratio_sd(&p, r->plan->base->seed) / slope, ONE_MACHINE_SD);
    return true;
}

bool exp_pilot_predict(const struct exp_pilot_lab *lab, const struct exp_pilot_measured *m, enum exp_arm arm,
                       struct exp_prediction *out, struct sim_status *st)
{
    struct replay r = {
        .plan = lab->plan, .cache = lab->cache, .measured = &m->arm[arm], .arm_name = exp_arm_name(arm)};
    bool ok = replay_init(&r, &lab->arm[arm], st) && find_speed(&r, out, st);
    replay_fini(&r);
    return ok;
}
