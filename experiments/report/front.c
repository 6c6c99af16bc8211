#include "experiments/report/front.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static bool is_finite(const struct exp_front_point *p)
{
    return isfinite(p->x) && isfinite(p->y);
}

static int by_place(const void *a, const void *b)
{
    const struct exp_front_point *p = a, *q = b;
    if (is_finite(p) != is_finite(q)) return is_finite(p) ? -1 : 1;
    if (!is_finite(p)) return p->number < q->number ? -1 : p->number > q->number;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    if (p->y != q->y) return p->y < q->y ? -1 : 1;
    return p->number < q->number ? -1 : p->number > q->number;
}

uint32_t exp_front(struct exp_front_point *p, uint32_t n)
{
    uint32_t kept = 0;
    double least = INFINITY;
    qsort(p, n, sizeof *p, by_place);
    for (uint32_t i = 0; i < n && is_finite(&p[i]); i++) {
        if (p[i].y >= least) continue;
        struct exp_front_point own = p[i];
        least = own.y;
        p[i] = p[kept];
        p[kept++] = own;
    }
    return kept;
}
