/* What `kvsim quality` computes: every set of methods at every theta against the baseline, on threads, with intervals;
 * beside them, as asked for, the samples that must not fail, the guard list and the buyer's task mix. print.c and
 * quality_json.c show it. Full KV measured twice (rerun) is one more set behind the others: it is printed beside them as
 * the noise that is there without any compression, and subtracted nowhere. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_STUDY_H
#define KVSIM_EXPERIMENTS_QUALITY_STUDY_H

#include "experiments/notes.h"
#include "experiments/quality/evaluate.h"
#include "experiments/quality/guard.h"

enum { EXP_MAX_THETAS = 32 };

struct exp_quality_question {
    struct exp_quality_options options; /* its theta is not looked at */
    uint32_t n_sets;
    struct exp_quality_set *set; /* the caller's */
    uint32_t n_thetas;
    double theta[EXP_MAX_THETAS];
    uint32_t rerun; /* method; UINT32_MAX = none */
    bool common;    /* only samples that all methods have, of those asked for */
    bool strict;    /* missing samples are an error */
    double scale;   /* of the scores as they were read, for a warning */
    uint32_t n_draws, n_threads;
    uint64_t seed;
    const struct mdl_task_mix *mix;      /* NULL = none */
    const struct exp_critical *critical; /* NULL = none */
    double guard_rate;                   /* NaN = no guard list */
};

/* One set at one theta. */
struct exp_quality_case {
    struct exp_quality_options options;
    struct exp_quality_result result;
    struct exp_quality_bands bands;
    uint64_t negatives_by_rule[2];       /* by enum exp_quality_rule */
    struct mdl_quality_rates by_mix;     /* with a mix */
    struct exp_critical_result critical; /* n 0 without, and for sets of several methods */
    struct exp_guard guard;              /* with a guard rate */
};

struct exp_quality_study {
    const struct exp_scores *scores;
    const struct exp_quality_question *asked;
    uint32_t n_sets; /* the rerun is the last of them */
    bool has_rerun;
    struct exp_quality_case *at; /* [n_sets][n_thetas] */
    char **label;                /* [n_sets]: names, cut where they stay unique among the scores' methods */
    uint32_t *same_as; /* [n_sets]: an earlier set whose method has the same scores; UINT32_MAX = none */
    bool *use_sample;  /* with common */
    struct exp_notes notes;
};

/* Free with exp_quality_study_fini. `scores` and `asked` must outlive it. False with one line in st: nothing common, or
 * something missing under strict. */
bool exp_quality_study(const struct exp_scores *scores, const struct exp_quality_question *asked,
                       struct exp_quality_study *out, struct sim_status *st);
void exp_quality_study_fini(struct exp_quality_study *x);

static inline const struct exp_quality_case *exp_quality_at(const struct exp_quality_study *x, uint32_t set,
                                                            uint32_t theta)
{
    return &x->at[(size_t)set * x->asked->n_thetas + theta];
}

/* Whether a set shows nothing that another does not: the same scores, on the same samples. */
bool exp_quality_is_copy(const struct exp_quality_study *x, uint32_t set);

/* Counts of a case as the record has them, with critical samples by task. Free with mdl_quality_fini. */
void exp_quality_case_record(const struct exp_quality_study *x, const struct exp_quality_case *c,
                             const char *source, struct mdl_quality *out);

/* For people, 80 columns; n_worst cases of each set. */
void exp_quality_print(const struct exp_quality_study *x, uint32_t n_worst, FILE *out);
/* For programs: fractions, not percent. The caller's. */
json_t *exp_quality_json(const struct exp_quality_study *x, uint32_t n_worst);

#endif
