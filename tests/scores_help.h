/* Shared by the suites of quality: scores from text, sets by the names of their methods, made-up scores. */
#ifndef KVSIM_TESTS_SCORES_HELP_H
#define KVSIM_TESTS_SCORES_HELP_H

#include "experiments/quality/evaluate.h"
#include "sim/memory.h"
#include "sim/random.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads one file, or stops the test. Free with exp_scores_free. */
static inline struct exp_scores *scores_of_file(const char *path)
{
    struct sim_status st = {0};
    struct exp_scores *s = exp_scores_read(&path, 1, NULL, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    return s;
}

static inline struct exp_scores *scores_of(const char *csv)
{
    return scores_of_file(test_file("scores.csv", csv));
}

static inline uint32_t method(const struct exp_scores *s, const char *name)
{
    struct sim_status st = {0};
    uint32_t m = exp_scores_method(s, name, &st);
    ck_assert_msg(m != UINT32_MAX, "%s", st.message);
    return m;
}

/* Of one method, or two (b NULL: one). */
static inline struct exp_quality_set set_of(const struct exp_scores *s, const char *a, const char *b)
{
    struct exp_quality_set set = {.n = b ? 2 : 1, .method = {method(s, a)}};
    if (b) set.method[1] = method(s, b);
    return set;
}

static inline struct exp_quality_options at_theta(const struct exp_scores *s, double theta)
{
    struct sim_status st = {0};
    struct exp_quality_options o = {.baseline = exp_scores_baseline(s, &st), .theta = theta};
    ck_assert_msg(o.baseline != UINT32_MAX, "%s", st.message);
    return o;
}

static inline struct exp_quality_result result_of(const struct exp_scores *s, struct exp_quality_set set,
                                                  const struct exp_quality_options *o)
{
    struct sim_status st = {0};
    struct exp_quality_result r;
    ck_assert_msg(exp_quality_evaluate(s, &set, o, &r, &st), "%s", st.message);
    return r;
}

static inline uint64_t negatives_of(const struct exp_scores *s, struct exp_quality_set set,
                                    const struct exp_quality_options *o)
{
    struct exp_quality_result r = result_of(s, set, o);
    uint64_t n = r.all.negatives;
    exp_quality_result_fini(&r);
    return n;
}

static inline uint32_t task_of(const struct exp_scores *s, const char *name)
{
    for (uint32_t t = 0; t < s->n_tasks; t++)
        if (strcmp(s->task[t], name) == 0) return t;
    ck_abort_msg("no task %s", name);
    return 0;
}

/* Full KV and methods a, b, c on 3 tasks of n samples: scores in steps of 0.1, so that ties are frequent; a method keeps
 * full KV's score half of the time and lacks every 17th sample. */
static inline struct exp_scores *made_up(uint64_t seed, uint32_t n)
{
    static const char *const names[] = {"hf", "a", "b", "c"};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    uint64_t at = 0;
    fputs("alg,params,task,id,score\n", f);
    for (uint32_t i = 0; i < 3 * n; i++) {
        unsigned base = (unsigned)(sim_random_unit(seed, 1, at++) * 11);
        for (int m = 0; m < 4; m++) {
            bool keeps = m == 0 || sim_random_unit(seed, 1, at++) < 0.5;
            unsigned score = keeps ? base : (unsigned)(sim_random_unit(seed, 1, at++) * 11);
            if (m > 0 && (i + (uint32_t)m) % 17 == 0) continue;
            fprintf(f, "%s,,t%u,%u,%.1f\n", names[m], i % 3, i / 3, score / 10.0);
        }
    }
    fclose(f);
    struct exp_scores *s = scores_of(text);
    free(text);
    return s;
}

#endif
