/* What kvbench measured beside an engine's operators, fitted and written into the profile's folder for KV
 * strategies to use: transfer.csv (a model per copy method and direction), kernels.csv (decode attention per KV
 * format and query group between its two ceilings), ratio.csv (time of a format's kernel over bf16's, same
 * shape), contention.csv (how much copies and kernels slow each other down), overlap.csv (double buffering). Each
 * row says how many launches it rests on and how far off it is on them; a file without rows is not written. */
#ifndef KVSIM_CALIB_METHODS_H
#define KVSIM_CALIB_METHODS_H

#include "sim/status.h"

/* raw_dir: what kvbench run wrote; files that are not there are left out. */
bool cal_write_methods(const char *raw_dir, const char *out_dir, struct sim_status *st);

#endif
