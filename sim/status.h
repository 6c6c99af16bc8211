/* How the outside world's failures travel: a function that meets a bad file, flag or cell returns false
 * and leaves one line in a sim_status; only main prints it and exits.
 * The line reads "file:line: what, what was expected, what to do". */
#ifndef KVSIM_SIM_STATUS_H
#define KVSIM_SIM_STATUS_H

#include <stdbool.h>

enum sim_exit { SIM_EXIT_OK = 0, SIM_EXIT_FAILURE = 1, SIM_EXIT_USAGE = 2, SIM_EXIT_INFEASIBLE = 3 };

struct sim_status {
    enum sim_exit code; /* SIM_EXIT_OK until something failed */
    char message[1024];
};

/* Records a failure (exit code 1) and returns false, so that a caller can `return sim_fail(st, ...)`.
 * The first failure wins: a later call leaves an earlier message as it is. */
bool sim_fail(struct sim_status *st, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with another exit code (usage, infeasible). */
bool sim_fail_as(struct sim_status *st, enum sim_exit code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
