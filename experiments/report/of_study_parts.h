/* Between the files of a study's report. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_STUDY_PARTS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_STUDY_PARTS_H

#include "experiments/report/doc.h"
#include "experiments/report/of_study_winners.h"

enum { EXP_STUDY_CHARTS = 12, EXP_STUDY_SERIES = 20, EXP_STUDY_TABLE_ROWS = 2000 };

struct exp_study_report {
    json_t *doc;
    const struct exp_study_rows *rows;
    const struct exp_winners *winners;
};

/* of_study_load.c: service levels and latency against load, a picture for each combination */
void exp_study_report_load(const struct exp_study_report *r);
/* of_study_cost.c: cost of every strategy, and cost against latency */
void exp_study_report_cost(const struct exp_study_report *r);
/* of_study_effects.c: what each key does; memory, answers and evidence by strategy */
void exp_study_report_effects(const struct exp_study_report *r);
void exp_study_report_strategies(const struct exp_study_report *r);
/* of_study_points.c: what failed and why, and every point; a table of points, and a row of it */
json_t *exp_study_points_table(const struct exp_study_rows *s, json_t *section, const char *id,
                               const char *title);
void exp_study_put_point(const struct exp_study_rows *s, json_t *table, const struct exp_study_entry *of);
void exp_study_report_failed(const struct exp_study_report *r);
void exp_study_report_points(const struct exp_study_report *r);

#endif
