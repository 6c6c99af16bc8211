/* For tests of quality records: the file that ships, a header for others, what a file says of a strategy. */
#ifndef KVSIM_TESTS_QUALITY_HELP_H
#define KVSIM_TESTS_QUALITY_HELP_H

#include "models/quality.h"
#include "tests/rows_help.h"

#define SHIPPED "models/quality/llama-3-8b-longbench.csv"
#define HEADER                                                                                               \
    "strategy,parameters,task,samples,benign,negatives,fixed,worse,better,length_pairs,length_ratio,longer," \
    "empty,truncated,zeroed,critical,critical_failures,theta,rule,source\n"
/* Two tasks of the strategy that is no real one. */
#define X_TASKS                                                                                              \
    "x,,a,100,40,10,2,15,5,50,1.2,8,1,2,3,4,1,0.1,paper,s\n"                                                 \
    "x,,b,50,30,2,6,9,11,,,,,,,,,0.1,paper,other\n"

/* What a record says; the caller's. */
static inline struct mdl_quality loaded(const char *path, const char *strategy)
{
    struct sim_status st = {0};
    struct mdl_kv_use u = use_of(strategy);
    struct mdl_quality q;
    ck_assert_msg(mdl_quality_load(path, &u, &q, &st), "%s", st.message);
    return q;
}

static inline struct mdl_quality_rates rates_by(const char *path, const char *strategy,
                                                const struct mdl_task_mix *mix)
{
    struct mdl_quality q = loaded(path, strategy);
    struct mdl_quality_rates r = mdl_quality_rates(&q, mix);
    mdl_quality_fini(&q);
    return r;
}

static inline struct mdl_quality_rates shipped(const char *strategy)
{
    return rates_by(SHIPPED, strategy, NULL);
}

#endif
