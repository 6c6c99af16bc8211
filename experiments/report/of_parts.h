/* What the documents of runs, comparisons and validations have in common: charts of latency, of evidence and over time. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_PARTS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_PARTS_H

#include "experiments/cli.h"
#include "experiments/report/curves.h"
#include "experiments/report/doc.h"

/* Beside what is not of the replications. */
#define EXP_REPORT_ONE_RUN "Of the run without drawn errors."

/* Five digits: more than a screen shows, and half of what a double takes. */
double exp_report_rounded(double value);

/* "TTFT" */
const char *exp_report_latency(enum exp_latency latency);

/* A chart of shares of requests over milliseconds, and a series of it. */
json_t *exp_report_cdf(json_t *section, const char *id, const char *title);
void exp_report_cdf_add(json_t *chart, const char *name, const double ms[EXP_QUANTILES]);

/* Logarithmic axes become linear where all points lie within a ratio: they would have hardly a tick. To be called when all
 * points are there. */
void exp_report_fit_scales(json_t *chart, double ratio);

/* A chart over seconds, and a series of it: one member of each moment, times `scale`. */
json_t *exp_report_over_time(json_t *section, const char *id, const char *title, const char *y,
                             const char *unit);
void exp_report_over_time_add(json_t *chart, const char *name, const struct exp_run_curves *c, size_t member,
                              double scale);
#define EXP_MOMENT(member) offsetof(struct exp_moment, member)

/* Does it ever differ from 0? */
bool exp_report_moves(const struct exp_run_curves *c, size_t member);

/* Bars of parts, one upon the other, in percent or another unit; a series per part. */
json_t *exp_report_stacked(json_t *section, const char *id, const char *title, const char *unit);

/* Shares of GPU time by what they rest on, of one name after another; 0 everywhere adds no series. */
void exp_report_evidence(json_t *section, uint32_t n, const char *(*name)(const void *of, uint32_t i),
                         double (*frac)(const void *of, uint32_t i, enum sim_evidence e), const void *of);

/* A fact with its interval where there are replications. */
void exp_report_band_fact(json_t *facts, const char *name, struct exp_band b, double scale, const char *unit,
                          bool banded);

/* A table of {"files":[{"path","sha256"}...]}, folded. */
void exp_report_files(json_t *section, const json_t *files);

/* "12.3 [11.9, 12.8]", which a column of numbers sorts by its first number; a plain number without an interval. */
void exp_report_band_cell(json_t *row, struct exp_band b, double scale);
/* A share that is nearly all is never rounded up to it: "99.96". */
void exp_report_share_cell(json_t *row, double percent);
/* A change of more than 1000 % as "x20", twenty times what it was; "" for others. */
struct exp_words exp_report_times(double frac);

#endif
