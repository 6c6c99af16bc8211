/* SIM_CHECK: our own bugs. Always on; prints the expression, where it stands, the simulated time and the
 * seed, then aborts, so that a failing run can be repeated. SIM_DCHECK is the same in debug builds
 * (-DKVSIM_DEBUG). */
#ifndef KVSIM_SIM_CHECK_H
#define KVSIM_SIM_CHECK_H

#include <stdint.h>

_Noreturn void sim_check_failed(const char *expression, const char *file, int line, double now_s,
                                uint64_t seed);

#define SIM_CHECK_AT(condition, now_s, seed)                                                                 \
    ((condition) ? (void)0 : sim_check_failed(#condition, __FILE__, __LINE__, (now_s), (seed)))
#define SIM_CHECK(condition) SIM_CHECK_AT(condition, -1.0, 0)

#ifdef KVSIM_DEBUG
#define SIM_DCHECK(condition) SIM_CHECK(condition)
#else
#define SIM_DCHECK(condition) ((void)sizeof(condition))
#endif

#endif
