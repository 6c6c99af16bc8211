/* Fits of paper 1's studies: engine and attention kernels to fp16 rows, one kernel's efficiency to a method's small
 * batches. Both minimise the mean absolute log error over points, by GSL. */
#include "experiments/published/p1.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_min.h>
#include <gsl/gsl_multimin.h>
#include <math.h>

#include "sim/check.h"

enum { MOST_STEPS = 200, SCAN = 24 };

static const double FACTOR_LOW = 0.5, FACTOR_HIGH = 2;

/* Root mean square of log(measured / predicted), as engine files state it. */
static double residual(const struct exp_p1_points *p, enum exp_p1_stage stage)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        double error = log(p->point[i].predicted_s / p->point[i].measured_s);
        if (p->point[i].stage != stage) continue;
        sum += error * error;
        n++;
    }
    return n ? sqrt(sum / n) : 0;
}

static double log_error(const struct exp_p1_points *p, enum exp_p1_stage stage, uint32_t largest_batch)
{
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->point[i].stage != stage || p->point[i].batch > largest_batch) continue;
        sum += fabs(log(p->point[i].predicted_s / p->point[i].measured_s));
        n++;
    }
    return n ? sum / n : 0;
}

/* ---- engine ---- */

struct engine_problem {
    struct exp_p1_machine *machine;
    struct exp_p1_points *points;
    struct exp_constants *constants;
    struct sim_status *st;
    double idle_high_s;
};

static double between(double logit, double low, double high)
{
    return low + (high - low) / (1 + exp(-logit));
}

static double engine_error(const gsl_vector *z, void *user)
{
    struct engine_problem *p = user;
    struct exp_p1_price price;
    p->machine->attention_factor = between(gsl_vector_get(z, 0), FACTOR_LOW, FACTOR_HIGH);
    p->machine->engine.gpu_layer_s = between(gsl_vector_get(z, 1), 0, p->idle_high_s);
    if (!exp_p1_price_init(&price, p->machine, EXP_P1_FP16, 1, NULL, p->constants, p->st)) return NAN;
    exp_p1_predict(&price, p->points);
    exp_p1_price_fini(&price);
    return log_error(p->points, EXP_P1_PREFILL, UINT32_MAX) + log_error(p->points, EXP_P1_DECODE, UINT32_MAX);
}

/* Idle time per layer has a bound in models/engine.c. */
static double idle_high_s(void)
{
    for (size_t i = 0; i < MDL_N_ENGINE_NUMBERS; i++)
        if (mdl_engine_number_at(i)->offset == offsetof(struct mdl_engine, gpu_layer_s))
            return mdl_engine_number_at(i)->high;
    SIM_CHECK(!"gpu_layer_s is a fitted number");
    return 0;
}

bool exp_p1_fit_engine(struct exp_p1_machine *m, struct exp_p1_points *fp16, struct exp_constants *constants,
                       struct sim_status *st)
{
    struct engine_problem p = {m, fp16, constants, st, idle_high_s()};
    gsl_multimin_function f = {engine_error, 2, &p};
    gsl_multimin_fminimizer *solver = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, 2);
    gsl_vector *z = gsl_vector_calloc(2), *step = gsl_vector_alloc(2);
    SIM_CHECK(solver && z && step); /* out of memory */
    gsl_vector_set(z, 0, -0.7);     /* factor 1 */
    gsl_vector_set(z, 1, -3);       /* 5 us */
    gsl_vector_set_all(step, 1);
    bool ok = gsl_multimin_fminimizer_set(solver, &f, z, step) == GSL_SUCCESS;
    for (int i = 0; ok && i < MOST_STEPS; i++) {
        if (gsl_multimin_fminimizer_iterate(solver) != GSL_SUCCESS) break;
        if (gsl_multimin_test_size(gsl_multimin_fminimizer_size(solver), 1e-4) == GSL_SUCCESS) break;
    }
    engine_error(gsl_multimin_fminimizer_x(solver), &p); /* leaves the machine at the optimum */
    m->engine.residual_frac = residual(fp16, EXP_P1_DECODE);
    m->engine.residual_ttft_frac = residual(fp16, EXP_P1_PREFILL);
    gsl_multimin_fminimizer_free(solver);
    gsl_vector_free(step);
    gsl_vector_free(z);
    return st->code == SIM_EXIT_OK;
}

/* ---- one kernel ---- */

struct kernel_problem {
    const struct exp_p1_machine *machine;
    enum exp_p1_id method;
    struct exp_p1_points *points;
    struct exp_constants *constants;
    struct sim_status *st;
    uint32_t largest_batch;
};

static double kernel_error(double log_efficiency, void *user)
{
    struct kernel_problem *p = user;
    struct exp_p1_price price;
    double given[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    given[MDL_KV_KERNEL_EFFICIENCY] = exp(log_efficiency);
    if (!exp_p1_price_init(&price, p->machine, p->method, 1, given, p->constants, p->st)) return NAN;
    exp_p1_predict(&price, p->points);
    exp_p1_price_fini(&price);
    return log_error(p->points, EXP_P1_DECODE, p->largest_batch);
}

/* The best of a scan, refined by a golden section between its neighbours. */
bool exp_p1_fit_kernel(const struct exp_p1_machine *m, enum exp_p1_id method, struct exp_p1_points *points,
                       uint32_t largest_batch, struct exp_constants *constants, double *efficiency,
                       struct sim_status *st)
{
    struct kernel_problem p = {m, method, points, constants, st, largest_batch};
    const double low = log(0.1), step = log(20) / SCAN;
    double best = INFINITY, x = low;
    for (int i = 0; i <= SCAN; i++) {
        double e = kernel_error(low + i * step, &p);
        if (e < best) x = low + i * step;
        if (e < best) best = e;
    }
    gsl_function f = {kernel_error, &p};
    gsl_min_fminimizer *solver = gsl_min_fminimizer_alloc(gsl_min_fminimizer_goldensection);
    SIM_CHECK(solver); /* out of memory */
    bool bracketed =
        st->code == SIM_EXIT_OK && gsl_min_fminimizer_set(solver, &f, x, x - step, x + step) == GSL_SUCCESS;
    for (int i = 0; bracketed && i < MOST_STEPS; i++) {
        if (gsl_min_fminimizer_iterate(solver) != GSL_SUCCESS) break;
        if (gsl_min_test_interval(gsl_min_fminimizer_x_lower(solver), gsl_min_fminimizer_x_upper(solver),
                                  1e-4, 0) == GSL_SUCCESS)
            break;
    }
    *efficiency = exp(bracketed ? gsl_min_fminimizer_x_minimum(solver) : x);
    gsl_min_fminimizer_free(solver);
    return st->code == SIM_EXIT_OK;
}
