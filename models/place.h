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

/* Covariances to choose from: kernel libraries differ in what makes two launches alike (FlashAttention 3
 * splits the context and shares its tiles over sequences and heads, version 2 treats an ungrouped head apart,
 * a large cache makes the size of a matrix matter). The fit takes the one under which sites left out are told
 * best, and the profile names it. Figures: smallest median + p90 / 5 error over folds of whole sites, variant
 * 0 on the H100 tables alone, variant 1 on the L40S tables (attention) and B200 tables (GEMM) alone; every
 * other card is a test of them. */
enum { MDL_KERNEL_VARIANTS = 2 };
const struct mdl_kernel *mdl_place_kernel(enum mdl_family family, uint32_t variant);

#endif
