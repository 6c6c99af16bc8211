/* Points in time as text, to whole microseconds since the trace's own zero or 1970, in integer arithmetic
 * only: epoch seconds with 7 digits do not fit a double. Halves round up (away from nothing: times are not
 * negative). */
#ifndef KVSIM_TRACES_CLOCK_H
#define KVSIM_TRACES_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Times beyond this many microseconds (year 2255) are refused, so that each is exact as a double too. */
#define TRC_MAX_US INT64_C(9000000000000000)

/* A decimal number, any count of digits, with an exponent if it has one (pandas writes 1e-05).
 *   power     the unit: 6 for seconds, 3 ms, 0 us, -3 ns
 *   returns   false when it is no number, negative, or above TRC_MAX_US; *is_whole: no digit but 0 after the
 * point */
bool trc_decimal_us(const char *text, size_t length, int power, int64_t *us, bool *is_whole);

/* YYYY-MM-DD[ T]HH:MM:SS[.f{1,9}][Z|+HH:MM|-HH:MM] from 1970 on; no zone = UTC. */
bool trc_datetime_us(const char *text, size_t length, int64_t *us);

#endif
