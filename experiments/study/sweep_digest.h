/* What a person wants to see of a study's rows first: its best points and why others failed. One pass over the rows. */
#ifndef KVSIM_EXPERIMENTS_STUDY_SWEEP_DIGEST_H
#define KVSIM_EXPERIMENTS_STUDY_SWEEP_DIGEST_H

#include "experiments/study/store/store.h"

enum { EXP_DIGEST_BEST = 10, EXP_DIGEST_REASONS = 5 };

struct exp_sweep_digest {
    uint64_t rows, failed;
    const char *by;   /* what the best are the best by */
    json_t *best;     /* rows for exp_print_rows: settings by their last names, then figures; best first */
    json_t *failures; /* [{"points":12,"reason":"..."}], most points first */
    uint64_t other_reasons;
};
/* Stale rows are left out. Free with exp_sweep_digest_fini. */
bool exp_sweep_digest(struct exp_store *s, const char *study, struct exp_sweep_digest *out,
                      struct sim_status *st);
void exp_sweep_digest_fini(struct exp_sweep_digest *d);

#endif
