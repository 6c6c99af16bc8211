/* Every study's function; list.c has the table. */
#ifndef KVSIM_EXPERIMENTS_PUBLISHED_LIST_H
#define KVSIM_EXPERIMENTS_PUBLISHED_LIST_H

#include "experiments/published/study.h"

bool exp_published_p1_throughput(const struct exp_study_run *r, struct sim_status *st);
bool exp_published_p1_tp(const struct exp_study_run *r, struct sim_status *st);
bool exp_published_p1_routing(const struct exp_study_run *r, struct sim_status *st);
bool exp_published_memory(const struct exp_study_run *r, struct sim_status *st);
bool exp_published_p2_absolute(const struct exp_study_run *r, struct sim_status *st);
bool exp_published_p2_speedups(const struct exp_study_run *r, struct sim_status *st);

#endif
