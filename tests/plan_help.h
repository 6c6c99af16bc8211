/* Plans for tests, made without a file: the shipped sample on one GPU, or whatever a test asks for. */
#ifndef KVSIM_TESTS_PLAN_HELP_H
#define KVSIM_TESTS_PLAN_HELP_H

#include "experiments/planning/search/search.h"
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A plan from text in YAML, checked. */
static inline struct exp_plan *plan_of(const char *text, struct exp_cache *cache)
{
    struct sim_status st = {0};
    struct exp_plan *p = exp_plan_parse("plan.yaml", text, strlen(text), &st);
    ck_assert_msg(p && exp_plan_check(p, cache, &st), "%s", st.message);
    return p;
}

static inline struct exp_cache *plan_cache(void)
{
    struct sim_status st = {0};
    struct exp_cache *cache = exp_cache_new(&st);
    ck_assert_msg(cache != NULL, "%s", st.message);
    return cache;
}

static inline struct mdl_prices *plan_prices(struct exp_cache *cache)
{
    struct sim_status st = {0};
    char folder[1200];
    snprintf(folder, sizeof folder, "%s/models/prices", exp_cache_data_dir(cache));
    struct mdl_prices *p = mdl_prices_load(folder, &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    return p;
}

/* The shipped sample, dense enough to need several replicas of a small card. */
#define PLAN_SAMPLE                                                                                          \
    "model: llama-3.1-8b\n"                                                                                  \
    "load: {trace: traces/samples/demo.csv, multiply: 6}\n"                                                  \
    "slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}\n"                                                    \
    "search: {gpu: [h100-sxm, l40s], tensor_parallel: [1, 2], strategy: [full, fp8, kivi4]}\n"

/* The same, cut short. */
#define PLAN_SMALL                                                                                           \
    "model: llama-3.1-8b\n"                                                                                  \
    "load: {trace: traces/samples/demo.csv, multiply: 6, max_requests: 4000}\n"                              \
    "slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}\n"                                                    \
    "search: {gpu: [h100-sxm, l40s], tensor_parallel: [1, 2], strategy: [full, fp8, kivi4]}\n"

#endif
