/* A utilisation surface: what was measured of one operator, as a matrix. A row is a place (a weight matrix; a
 * head layout and a batch), a column is a size in tokens, a cell is the log of time over the operator's
 * physical law, so that 0 means "as fast as the law says" and little is left to interpolate. A place that was
 * not measured is answered by ordinary kriging over the rows nearest to it: the weights that make the
 * expected error smallest under a covariance that falls exponentially with distance in log space. Along a row
 * it is linear in log size, held outside. Order: build or read cells, then fill holes, then ask. A row found
 * costs O(rows), a row kriged below 1 ms. */
#ifndef KVSIM_MODELS_SURFACE_H
#define KVSIM_MODELS_SURFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MDL_MAX_FEATURES = 10,
    MDL_MAX_TERMS = 4,
    MDL_MAX_NEIGHBOURS = 96,
    MDL_MAX_NUGGETS = 4,
    MDL_MAX_COLUMNS = 1024
};
#define MDL_NO_ROW UINT32_MAX

struct mdl_rows {
    uint32_t from, to;
};
#define MDL_NO_ROWS ((struct mdl_rows){0, 0})

enum mdl_cell { MDL_HOLE, MDL_FILLED, MDL_MEASURED };

struct mdl_surface {
    uint32_t n_rows, n_cols, n_features;
    double *feature; /* [row][feature], log2 of what places a row */
    double *axis;    /* [col], tokens, strictly ascending */
    double *y;       /* [row][col], log(time / law); meaningless in a hole */
    uint8_t *cell;   /* [row][col], enum mdl_cell */
};

/* Covariance of two rows: sum over terms of amplitude x exp(-sum |difference| / length). A length of 0
 * ignores the feature. A nugget is the variance of a single measurement, in the same unit: a flat stretch of
 * small launches is mostly noise and wants a large one, a stretch of steps a small one, so each column takes
 * the one that would have told the neighbours best from each other. */
struct mdl_kernel {
    uint32_t n_terms, n_neighbours, n_nuggets;
    double amplitude[MDL_MAX_TERMS];
    double length[MDL_MAX_TERMS][MDL_MAX_FEATURES];
    double nugget[MDL_MAX_NUGGETS];
};

/* All cells are holes at first. */
void mdl_surface_init(struct mdl_surface *s, uint32_t n_rows, uint32_t n_cols, uint32_t n_features);
void mdl_surface_fini(struct mdl_surface *s);

/* The row at exactly this place, or MDL_NO_ROW. */
uint32_t mdl_surface_find(const struct mdl_surface *s, const double *x);

/* Fills holes of each row from the row itself: linear in log size between cells, held at both ends. A row
 * without any cell stays a hole. */
void mdl_surface_hold(struct mdl_surface *s);

/* The whole row of cells expected at x, from the rows around it; rows `skip.from` up to
 * `skip.to` do not count.
 *   out      [n_cols]
 *   returns  false when there is no row to start from */
bool mdl_surface_krige(const struct mdl_surface *s, const struct mdl_kernel *k, const double *x,
                       struct mdl_rows skip, double *out);

/* Position of `size` on an ascending axis of n values, linear in log: column, and fraction towards the next
 * one. Held outside: the fraction is clamped into 0..1. */
struct mdl_place {
    uint32_t i;
    double frac;
};
struct mdl_place mdl_axis_place(const double *axis, uint32_t n, double size);

#endif
