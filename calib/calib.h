/* What the `calib` command can do, without its command line: fit a profile from raw tables, check one against
 * them, show one. A fit reads the tables of one card (cal_tables), completes a surface per operator family
 * (calib/fit.h), measures its own errors on what it did not see (calib/check.h) and writes the directory that
 * models/profile.h loads. `import` writes the same directory unfitted: what was measured and nothing else,
 * holes left empty. */
#ifndef KVSIM_CALIB_CALIB_H
#define KVSIM_CALIB_CALIB_H

#include "calib/check.h"

#include <stdio.h>

struct cal_source {
    const char *from;             /* aiconfigurator | vidur */
    const char *root;             /* folder of raw tables; paths in profile.yaml are relative to it */
    const char *folder;           /* the card's folder below it */
    const char *source, *licence; /* free text for profile.yaml; NULL = the project's usual */
    const char *date;             /* of the tables or of the fit, ISO; NULL = today */
};

struct cal_talk {
    cal_progress_fn *progress; /* NULL = silent */
    void *user;
};

/* Reads the tables of a card and writes them as a raw profile (stage: raw), measured cells only. */
bool cal_import(const struct cal_source *source, const struct mdl_gpu *gpu, const char *out_dir,
                struct cal_talk talk, struct sim_status *st);

/* Reads the tables of a card, fits, checks by folds, writes a profile (stage: fitted). */
bool cal_fit(const struct cal_source *source, const struct mdl_gpu *gpu, const char *out_dir,
             struct cal_talk talk, struct sim_status *st);

/* The same from the raw tables that a raw or fitted profile names; root as in cal_source. */
bool cal_refit(const char *profile_dir, const char *root, const char *out_dir, struct cal_talk talk,
               struct sim_status *st);

struct cal_report {
    char *profile;
    bool recorded;                                      /* no raw tables: the errors found at the fit */
    struct mdl_errors error[MDL_N_FAMILY][MDL_N_CHECK]; /* n = 0: not checked */
};

/* Refits from raw tables with CAL_FOLDS seeded folds. root NULL: the recorded errors. Free with
 * cal_report_fini. */
bool cal_check(const char *profile_dir, const char *root, uint64_t seed, struct cal_talk talk,
               struct cal_report *out, struct sim_status *st);
void cal_report_fini(struct cal_report *r);
/* {"operators": {"gemm": {n, median, p90, worst, bias}, ...}, "points": {...}, "past": {...}}, fractions. */
bool cal_report_json(const struct cal_report *r, FILE *out, struct sim_status *st);
void cal_report_print(struct cal_report *r, FILE *out);

/* A page about a profile: origin, peaks, what it covers, recorded errors. */
bool cal_show(const char *profile_dir, FILE *out, struct sim_status *st);

#endif
