/* What the commands share of the command line: numbers and words of options, and opening the device. */
#ifndef KVSIM_KERNELS_KVBENCH_CLI_H
#define KVSIM_KERNELS_KVBENCH_CLI_H

#include "kernels/case.h"

#include <argp.h>

enum { KVB_EXIT_OK, KVB_EXIT_FAILURE, KVB_EXIT_USAGE };

/* The text of an option as a number within bounds, or as one of `choices` (NULL-terminated); else the program
 * ends with KVB_EXIT_USAGE. */
uint64_t kvb_cli_count(const struct argp_state *state, const char *option, const char *text, uint64_t lo,
                       uint64_t hi);
double kvb_cli_real(const struct argp_state *state, const char *option, const char *text, double lo,
                    double hi);
int kvb_cli_choice(const struct argp_state *state, const char *option, const char *text,
                   const char *const *choices);
/* --only: names or families of kernels and probes, with commas between. */
void kvb_cli_only(const struct argp_state *state, const char *text);

/* Does --only (NULL: everything) take this one in? */
bool kvb_is_wanted(const char *only, const char *name, const char *family);

/* The device of --device; for NULL the first GPU or, where there is none, the processor. Says on standard error
 * which. */
struct kb_device *kvb_device_open(const char *name, struct kb_error *err);

/* Shape as "format=bf16 n=4096"; valid until the text is freed. */
char *kvb_shape_text(const char *const *keys, const uint32_t *shape);

#define KVB_DEVICE_HELP "cuda:N or cpu (default: cuda:0 if a GPU can be opened, else cpu)"

#endif
