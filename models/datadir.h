/* Where the files that ship with the program are: catalogue, engine files, profiles, scenarios. */
#ifndef KVSIM_MODELS_DATADIR_H
#define KVSIM_MODELS_DATADIR_H

#include "sim/status.h"

/* $KVSIM_DATA if set; else, as seen from the program itself, the source tree that it was built in (.. and
 * ../..), else ../share/kvsim: the first that holds models/gpus.csv. Free with free(); NULL with the places
 * tried in st. */
char *mdl_data_dir(struct sim_status *st);

#endif
