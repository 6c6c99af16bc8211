/* How wrong a fit is where it did not look. Folds over whole sites (a weight matrix and type; a head layout,
 * head size and KV type), each left out in turn and asked for afterwards, folds over single points of the
 * grid, and prefill chunks with a past, which no fit sees. Seeded: the same tables give the same figures. */
#ifndef KVSIM_CALIB_CHECK_H
#define KVSIM_CALIB_CHECK_H

#include "calib/tables.h"

enum { CAL_FOLDS = 5 };

/* Told what is being done, for stderr; NULL is silent. */
typedef void cal_progress_fn(void *user, const char *what);

/* Relative errors (predicted / measured - 1) of one family, as fractions. */
struct mdl_errors cal_check_sites(const struct mdl_peaks *peaks, enum mdl_family f, const struct cal_table *t,
                                  uint64_t seed);
struct mdl_errors cal_check_points(const struct mdl_peaks *peaks, enum mdl_family f,
                                   const struct cal_table *t, uint64_t seed);
/* Chunks with a past on a profile: its two shares are refitted without the chunk lengths of each fold in
 * turn. */
struct mdl_errors cal_check_past(struct mdl_profile *p, const struct cal_table *past, uint64_t seed);

#endif
