/* Negative samples as arXiv 2503.24000 counts them (Algorithm 1), for a set of methods against full KV: benign samples
 * are those that full KV answers at least as well as its mean on the task; a benign sample is negative for a set when
 * every method of the set scores below (1 - theta) of full KV. A set of one method is the usual case. Compared on the
 * samples that the baseline and all methods of the set have; what is missing is counted. The mean is the baseline's own, over
 * all that it has of the task, so that a sample is benign or not whatever it is compared with. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_EVALUATE_H
#define KVSIM_EXPERIMENTS_QUALITY_EVALUATE_H

#include "experiments/figures.h"
#include "experiments/quality/scores.h"
#include "models/quality.h"

enum { EXP_MAX_SET = 16 };

enum exp_quality_rule {
    EXP_RULE_PAPER, /* negative: score < (1 - theta) x base */
    EXP_RULE_CODE   /* negative: not ((1 - theta) x base < score); ties fail */
};

struct exp_quality_options {
    uint32_t baseline; /* method */
    enum exp_quality_rule rule;
    bool benign_by_median;  /* instead of the mean */
    double theta;           /* (0, 1) */
    uint32_t truncated_at;  /* output tokens at which an answer was cut off; 0 = unknown */
    const bool *use_sample; /* [n_samples]: only these, such as those that all methods have; NULL = all */
};

struct exp_quality_set {
    uint32_t n;
    uint32_t method[EXP_MAX_SET];
};

struct exp_quality_count {
    uint64_t samples, benign, negatives, fixed, worse, same, better;
    uint64_t length_pairs, longer, shorter; /* >= 1.5 x, <= 0.5 x; lengths are of sets of one method alone */
    uint64_t base_tokens, tokens;           /* of length pairs */
    uint64_t empty, truncated, zeroed,
        partial;                /* failure modes of negatives, but empty and truncated: of samples */
    double base_sum, score_sum; /* of the best method of the set */
};

struct exp_quality_result {
    struct exp_quality_set set;
    struct exp_quality_count all;
    struct exp_quality_count *task;  /* [n_tasks]; samples 0 = the set has none of it */
    uint64_t missing;                /* samples of the baseline that a method of the set lacks */
    bool *negative, *benign, *fixed; /* [n_samples] */
};

/* The score of a set on a sample: of its best method, so that the set fails where all of its methods do. NaN when one of
 * them lacks the sample. */
double exp_quality_score(const struct exp_scores *s, const struct exp_quality_set *set, uint32_t sample);

/* Whether a sample counts: the baseline and every method of the set have it, and the options use it. */
bool exp_quality_compares(const struct exp_scores *s, const struct exp_quality_set *set,
                          const struct exp_quality_options *options, uint32_t sample);

/* Whether a score is below (1 - theta) of what it is compared with; by the code's rule also at it. */
bool exp_quality_falls(double score, double base, const struct exp_quality_options *options);

/* The mean, over the tasks that were compared, of a task's mean score; as papers print it. NaN without a task. */
struct exp_quality_means {
    double base, score;
};
struct exp_quality_means exp_quality_mean_scores(const struct exp_quality_result *r, uint32_t n_tasks);

/* Free with exp_quality_result_fini. False with one line in st when nothing is common. */
bool exp_quality_evaluate(const struct exp_scores *s, const struct exp_quality_set *set,
                          const struct exp_quality_options *options, struct exp_quality_result *out,
                          struct sim_status *st);
void exp_quality_result_fini(struct exp_quality_result *r);

/* 90 % bootstrap intervals (samples drawn again within each task, GSL), of shares of benign and of all samples. What was
 * never seen has no spread to draw from: where a count is none or all, the far end is the one-sided 95 % bound of it.
 * Without draws both ends are NaN. */
struct exp_quality_bands {
    struct exp_band negative_rate;                                  /* of benign samples */
    struct exp_band newly_failing, newly_fixed, net, worse, better; /* of all samples */
    struct exp_band mean_change;                                    /* of the mean of the tasks' means */
    struct exp_band length_ratio;                                   /* NaN without lengths */
};
struct exp_quality_bands exp_quality_bootstrap(const struct exp_scores *s, const struct exp_quality_result *r,
                                               const struct exp_quality_options *options, uint32_t n_draws,
                                               uint64_t seed);

/* The n samples of r whose score fell most, from the worst on; how many were written: those that did not fall are left
 * out. */
uint32_t exp_quality_worst(const struct exp_scores *s, const struct exp_quality_result *r,
                           const struct exp_quality_options *options, uint32_t *sample, uint32_t n);

/* Its counts as rows of a quality record hold them. `out` gets one task per task that was compared; free with
 * mdl_quality_fini. */
void exp_quality_record(const struct exp_scores *s, const struct exp_quality_result *r,
                        const struct exp_quality_options *options, const char *source,
                        struct mdl_quality *out);

#endif
