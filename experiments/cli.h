/* Small things that every command needs: typed option values, the last line that names the next command, a
 * progress line for people, and JSON out. */
#ifndef KVSIM_EXPERIMENTS_CLI_H
#define KVSIM_EXPERIMENTS_CLI_H

#include "sim/status.h"

#include <argp.h>
#include <jansson.h>
#include <stdint.h>

/* Option values; out of range or not a number ends the program with argp's usage error (exit 2). */
uint64_t exp_cli_count(const struct argp_state *state, const char *option, const char *text, uint64_t lo,
                       uint64_t hi);
double exp_cli_real(const struct argp_state *state, const char *option, const char *text, double lo,
                    double hi);
int exp_cli_choice(const struct argp_state *state, const char *option, const char *text,
                   const char *const *choices);

/* Every --set KEY=VALUE of a command line, in its order; more than there is room for is a usage error (exit 2). */
enum { EXP_MAX_SETS = 256 };
struct exp_sets {
    const char *at[EXP_MAX_SETS];
    uint32_t n;
};
void exp_cli_add_set(const struct argp_state *state, struct exp_sets *sets, const char *text);

/* "next: kvsim ..." on stderr. */
void exp_next(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The command line as it could be typed again, quoted where a shell needs it; free with free(). */
char *exp_cli_line(int argc, char *const *argv);

/* A share done, for sim_config.progress: a line on stderr that rewrites itself, from 2 s on and only on a
 * terminal. */
struct exp_progress {
    double begin_s;
    bool on, shown;
    const char *what;
};
struct exp_progress exp_progress_begin(const char *what);
void exp_progress_show(void *progress, double done_frac);
void exp_progress_end(struct exp_progress *p);

/* May standard output have escape codes for bold? Not in a file, and not where NO_COLOR or TERM says otherwise. */
bool exp_cli_bold(void);

/* Prints and frees; numbers with 17 digits, keys in the order they were set. */
bool exp_print_json(json_t *object, struct sim_status *st);

/* "1.9 s", "3 min 20 s", "2 h 5 min". */
struct exp_words {
    char text[48];
};
struct exp_words exp_duration_words(double seconds);
/* 12345678 -> "12,345,678" */
struct exp_words exp_count_words(double count);
/* Four digits, and no exponent for what people count: 0.1234, 12.34, 12,345. */
struct exp_words exp_short_words(double value);

#endif
