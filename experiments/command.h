/* The commands of kvsim: one table of name, help and function. A command gets argv with argv[0] = "kvsim
 * NAME", parses it with argp, writes results to stdout and talk to stderr, and returns false with one line in
 * st; only main prints that line and exits. To add a command: one file, one declaration here, one row in
 * command.c. */
#ifndef KVSIM_EXPERIMENTS_COMMAND_H
#define KVSIM_EXPERIMENTS_COMMAND_H

#include "sim/status.h"

#include <stddef.h>

struct exp_command {
    const char *name;
    const char *help; /* one line */
    bool (*run)(int argc, char **argv, struct sim_status *st);
};

size_t exp_command_count(void);
const struct exp_command *exp_command_at(size_t i);
/* NULL with the nearest name in st (usage). */
const struct exp_command *exp_command_find(const char *name, struct sim_status *st);

/* --help, -h, -? or help. */
bool exp_is_help(const char *word);

/* Runs the subcommand that argv[1] names; argv[0] is "kvsim trace", say. --help lists them; no name at all is
 * wrong usage. */
bool exp_dispatch(const struct exp_command *subcommands, size_t n, int argc, char **argv,
                  struct sim_status *st);

bool exp_cmd_run(int argc, char **argv, struct sim_status *st);
bool exp_cmd_compare(int argc, char **argv, struct sim_status *st);
bool exp_cmd_sweep(int argc, char **argv, struct sim_status *st);
bool exp_cmd_report(int argc, char **argv, struct sim_status *st);
bool exp_cmd_trace(int argc, char **argv, struct sim_status *st);
bool exp_cmd_calib(int argc, char **argv, struct sim_status *st);
bool exp_cmd_validate(int argc, char **argv, struct sim_status *st);
bool exp_cmd_list(int argc, char **argv, struct sim_status *st);
bool exp_cmd_published(int argc, char **argv, struct sim_status *st);
bool exp_cmd_tune(int argc, char **argv, struct sim_status *st);
bool exp_cmd_quality(int argc, char **argv, struct sim_status *st);
bool exp_cmd_plan(int argc, char **argv, struct sim_status *st);
bool exp_cmd_pilot(int argc, char **argv, struct sim_status *st);
bool exp_cmd_init(int argc, char **argv, struct sim_status *st);

#endif
