/* Entries of the CUDA kernels by kernel id: on the GPU, and over the shim. */
#ifndef KVSIM_KERNELS_CUDA_TABLE_H
#define KVSIM_KERNELS_CUDA_TABLE_H

#include "kernels/kbench.h"

extern kb_launch *const kb_cuda_kernels[KB_N_KERNEL];
extern kb_launch *const kb_shim_kernels[KB_N_KERNEL];

#endif
