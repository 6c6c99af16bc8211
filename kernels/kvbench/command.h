/* The commands. Each parses its own options, prints results on standard output and talk on standard error, and
 * returns false with one line when it failed; wrong usage ends the program. To add one: a file cmd_<name>.c and a
 * row in command.c. */
#ifndef KVSIM_KERNELS_KVBENCH_COMMAND_H
#define KVSIM_KERNELS_KVBENCH_COMMAND_H

#include "kernels/kbench.h"

struct kvb_command {
    const char *name, *help;
    bool (*run)(int argc, char **argv, struct kb_error *err);
};

extern const struct kvb_command kvb_commands[]; /* ends with a NULL name */

bool kvb_cmd_list(int argc, char **argv, struct kb_error *err);
bool kvb_cmd_check(int argc, char **argv, struct kb_error *err);
bool kvb_cmd_run(int argc, char **argv, struct kb_error *err);
bool kvb_cmd_replay(int argc, char **argv, struct kb_error *err);

#endif
