/* The Pareto front of points of which less is better on both axes. */
#ifndef KVSIM_EXPERIMENTS_REPORT_FRONT_H
#define KVSIM_EXPERIMENTS_REPORT_FRONT_H

#include <stdint.h>

struct exp_front_point {
    double x, y;
    uint32_t number; /* the caller's */
};

/* Keeps the points that no other beats on one axis without being worse on the other; of equal ones the lowest number. They
 * come first, by rising x; how many. Points that are not finite are never on it. O(n log n). */
uint32_t exp_front(struct exp_front_point *p, uint32_t n);

#endif
