/* Numbers out, fast: requests.csv has five times a row, and printf would be most of the time of writing ten
 * million. A double is written exactly as "%.17g" writes it, from its own bits in 128-bit integers (20 ns
 * instead of 250); outside 1e-4 .. 1e15 printf does it. */
#ifndef KVSIM_EXPERIMENTS_NUMBER_OUT_H
#define KVSIM_EXPERIMENTS_NUMBER_OUT_H

#include <stdint.h>

enum { EXP_NUMBER_BYTES = 32 }; /* room that a number may take */

/* Each returns the place behind what it wrote; no NUL is written. */
char *exp_put_double(char *at, double value);
char *exp_put_u64(char *at, uint64_t value);

#endif
