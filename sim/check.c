#include "sim/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void sim_check_failed(const char *expression, const char *file, int line, double now_s, uint64_t seed)
{
    fprintf(stderr, "%s:%d: check failed: %s", file, line, expression);
    if (now_s >= 0) fprintf(stderr, " (simulated time %.9g s, seed %" PRIu64 ")", now_s, seed);
    fputc('\n', stderr);
    abort();
}
