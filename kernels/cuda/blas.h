/* Matrix products by cuBLASLt, which is found at run time: a machine without it has no gemm kernel and says so.
 * Which algorithm serves a shape is asked once and kept, so the first product of a shape is slow and may not be
 * part of what is timed or captured in a graph. One workspace serves the device: one product at a time. */
#ifndef KVSIM_KERNELS_CUDA_BLAS_H
#define KVSIM_KERNELS_CUDA_BLAS_H

#include "kernels/kbench.h"

struct kb_cuda_blas;

/* NULL when cuBLASLt or the workspace (32 MiB, 64 on Hopper) is not to be had. */
struct kb_cuda_blas *kb_cuda_blas_new(struct kb_device *d, struct kb_error *err);
void kb_cuda_blas_free(struct kb_cuda_blas *b); /* nothing may be under way */

#endif
