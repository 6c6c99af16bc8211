/* A plan as lines of path and value, in the order of a file: what the print, --save and tests read. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_FILE_PLAN_LINES_H
#define KVSIM_EXPERIMENTS_PLANNING_FILE_PLAN_LINES_H

#include "experiments/planning/file/plan_keys.h"

struct exp_plan_line {
    char path[EXP_PLAN_PATH_BYTES];
    char *text; /* as YAML */
    const struct exp_key *key;
    bool own; /* of the plan, not of its scenario */
    bool given;
};
struct exp_plan_lines {
    struct exp_plan_line *at;
    size_t n;
};

/* Every key of the plan's own, and those of its scenario that were given or that people ask about. Free with
 * exp_plan_lines_free. */
struct exp_plan_lines exp_plan_lines(const struct exp_plan *p);
void exp_plan_lines_free(struct exp_plan_lines *l);

#endif
