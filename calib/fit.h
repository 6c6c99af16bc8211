/* From launches to a sheet. The law (models/law.h) is divided out, rows are placed, and the matrix is
 * completed: a cell that nobody measured is what the rows around say (kriging, leaving the row itself out)
 * plus the part of the row's own deviation that sizes have in common, learned from all rows as a covariance
 * between columns. Nothing of a launch left out of the input can reach the result. source: Gaussian
 * conditional expectation; Little and Rubin, Statistical Analysis with Missing Data, 2002, ch. 11. */
#ifndef KVSIM_CALIB_FIT_H
#define KVSIM_CALIB_FIT_H

#include "calib/tables.h"

/* Builds the sheet of one family from points[use[i]] (use NULL = all n of them). out: free with
 * mdl_sheet_fini. */
void cal_sheet_build(const struct mdl_peaks *peaks, enum mdl_family f, const struct cal_table *t,
                     const bool *use, struct mdl_sheet *out);
/* Fills every hole (all-reduce: along its row). Attention and all-reduce are then made monotone in tokens. */
void cal_sheet_complete(struct mdl_sheet *sheet, enum mdl_family f, const struct mdl_peaks *peaks);

/* The two shares of a chunk's past: least mean |log error| over launches with a past (use NULL = all);
 * without any, the longest prompts' share of the matrix rate and the longest contexts' share of the
 * bandwidth, which is where a past's pairs and bytes belong: full tiles, streamed. p needs its sheets. */
struct mdl_past_law cal_fit_past(struct mdl_profile *p, const struct cal_table *past, const bool *use);

/* Elementwise launches as t0 + bytes / (frac x bandwidth): robust least squares of the relative error. Returns
 * frac and sets *t0_s, both > 0; needs CAL_ELEMENTWISE_POINTS of them. */
enum { CAL_ELEMENTWISE_POINTS = 4 };
double cal_fit_elementwise(const struct cal_table *t, const struct mdl_peaks *peaks, double *t0_s);

#endif
