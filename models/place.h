/* Where a shape lies among the shapes that were measured: the features by which surfaces.h tells near from
 * far, and how far "near" reaches for each operator. For GEMM the two sides of the weight matrix. For
 * attention a row is a head layout and a batch, because a launch over 2 sequences of 16 heads and one over 1
 * of 32 share their tiles and waves: heads x batch, KV heads x batch and group size matter more than any of
 * them alone. */
#ifndef KVSIM_MODELS_PLACE_H
#define KVSIM_MODELS_PLACE_H

#include "models/profile.h"
#include "models/surface.h"

enum { MDL_GEMM_FEATURES = 4, MDL_ATTN_FEATURES = 10 };

void mdl_place_gemm(enum mdl_dtype weights, double n, double k, double x[MDL_GEMM_FEATURES]);
void mdl_place_attn(struct mdl_attn_shape shape, double n_seqs, double x[MDL_ATTN_FEATURES]);

/* Covariances of the three fitted families. The figures were chosen on the H100 vLLM 0.24 tables alone, to
 * give the smallest median + p90 / 5 error over folds of whole sites; the other cards' errors in
 * calib/README.md are the test of that choice. */
const struct mdl_kernel *mdl_place_kernel(enum mdl_family family);

#endif
