/* A profile to disk: profile.yaml and one CSV per family. Cells are whole numbers, scale x (t0 + roofline) /
 * time, negative where they were filled in, empty where they were not. Every file is written whole or not at
 * all. */
#ifndef KVSIM_CALIB_WRITE_H
#define KVSIM_CALIB_WRITE_H

#include "models/profile_parts.h"

bool cal_write_profile(const struct mdl_profile *p, const char *dir, struct sim_status *st);

#endif
