/* The quality record out: a study's counts at its first theta, as rows of strategies and parameters. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_RECORD_OUT_H
#define KVSIM_EXPERIMENTS_QUALITY_RECORD_OUT_H

#include "experiments/quality/study.h"

/* as: what methods are, in the words of --record-as; names that exp_record_as_guess knows need none. Methods that nobody
 * knows are left out with a line on stderr, and so is the second of two that are one strategy with one set of parameters,
 * which is that with fewer samples. False with one line in st, and no file, when nothing is left. */
bool exp_quality_write_record(const struct exp_quality_study *x, const char *path, const char *const *as,
                              uint32_t n_as, struct sim_status *st);

#endif
