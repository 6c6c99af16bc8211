/* The options with which every `kvsim trace` command reads a file, as an argp child. */
#ifndef KVSIM_EXPERIMENTS_TRACE_OPTIONS_H
#define KVSIM_EXPERIMENTS_TRACE_OPTIONS_H

#include "traces/trace.h"

#include <argp.h>

/* state->child_inputs[0] must be a struct trc_options *. */
extern const struct argp exp_trace_options;

/* Subcommands of `kvsim trace`; argv[0] is "kvsim trace NAME". */
bool exp_trace_info(int argc, char **argv, struct sim_status *st);
bool exp_trace_convert(int argc, char **argv, struct sim_status *st);
bool exp_trace_synth(int argc, char **argv, struct sim_status *st);

#endif
