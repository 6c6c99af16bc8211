/* What the tables and the pictures of a validation have in common. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_VALIDATION_PARTS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_VALIDATION_PARTS_H

#include "experiments/report/of_parts.h"
#include "experiments/validate.h"

#include <string.h>

enum { EXP_N_QUANTITIES = 2 };

static inline const char *exp_quantity_name(enum exp_quantity q)
{
    return q == EXP_TTFT ? "TTFT" : "TPOT";
}

static inline double exp_measured_ms(const struct exp_rerun *x, enum exp_quantity q)
{
    return q == EXP_TTFT ? x->point->ttft_ms : x->point->tpot_ms;
}

static inline double exp_predicted_ms(const struct exp_rerun *x, enum exp_quantity q)
{
    return q == EXP_TTFT ? x->ttft_ms : x->tpot_ms;
}

static inline double exp_error_frac(const struct exp_rerun *x, enum exp_quantity q)
{
    return exp_predicted_ms(x, q) / exp_measured_ms(x, q) - 1;
}

/* Without whose it is. */
static inline const char *exp_short_model(const struct exp_rerun *x)
{
    const char *slash = strrchr(x->point->model, '/');
    return slash ? slash + 1 : x->point->model;
}

/* Predicted against measured; errors by model, GPU, tensor parallel and requests in flight. */
void exp_report_validation_charts(json_t *doc, const struct exp_reruns *t);

#endif
