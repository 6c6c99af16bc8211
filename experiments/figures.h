/* The named figures of a run (output_throughput, p99_ttft_ms ...): one table of names and places, from which
 * the JSON summary, the printed tables, the error bands and comparisons are made. A figure is a double;
 * counts are whole. To add one: a row in figures.c. */
#ifndef KVSIM_EXPERIMENTS_FIGURES_H
#define KVSIM_EXPERIMENTS_FIGURES_H

#include "experiments/setup.h"
#include "sim/metrics.h"

#include <jansson.h>

/* A run that ended: its report and how long it took. */
struct exp_timing {
    double setup_wall_s, sim_wall_s, simulated_requests_per_s;
};

struct exp_band {
    double mean, lo, hi; /* over replications; all three equal without */
};

struct exp_figures {
    uint32_t n_replications;        /* 0 = a single run without error bands */
    enum sim_load_state load_state; /* the worst of all replications */
    bool load_is_brief;             /* of any replication; see struct sim_report */
    uint32_t n_classes;
    char class_names[SIM_MAX_CLASSES][EXP_NAME_BYTES];
    struct exp_band *all;     /* exp_figure_count() */
    struct exp_band *classes; /* n_classes x exp_figure_count(); whole-run figures are NaN there */
};

size_t exp_figure_count(void);
const char *exp_figure_name(size_t i);
/* Whether every class has it, or only the whole run. */
bool exp_figure_by_class(size_t i);
bool exp_figure_is_timing(size_t i); /* of the machine that simulates, not of the run */

struct exp_figures *exp_figures_new(const struct exp_setup *setup, const struct sim_report *report,
                                    const struct exp_timing *timing);
void exp_figures_free(struct exp_figures *f);

/* By name; the whole run's, or a class's. The name must exist. */
struct exp_band exp_figure(const struct exp_figures *f, const char *name);
struct exp_band exp_figure_of_class(const struct exp_figures *f, uint32_t class, const char *name);

/* Multiplies every time to first token, of the run and its classes. */
void exp_figures_scale_ttft(struct exp_figures *f, double factor);

/* The mean and the 5 and 95 % quantiles of n >= 1 values, which are sorted by it. */
struct exp_band exp_band_of(double *values, uint32_t n);

/* The band of every figure over n runs of one scenario. */
struct exp_figures *exp_figures_combine(struct exp_figures *const *runs, uint32_t n);

/* One flat object, with *_lo and *_hi beside each figure when there were replications, and `classes`. The
 * caller's. */
json_t *exp_figures_json(const struct exp_figures *f);

#endif
