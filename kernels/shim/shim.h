/* A device that is no device: runs the CUDA kernels of kernels/cuda/ops on this CPU, thread by thread, for tests.
 * A kernel runs when it is launched; blocks one after the other, threads of a block as fibres that change at
 * meeting points (kernels/shim/simt.h). Shared memory starts poisoned, copies land when they are waited for,
 * threads that wait for one another for ever are an error. Built for the address sanitizer it finds steps out of
 * buffers, for the thread sanitizer (`make tsan`) unordered accesses of a block's threads. It has no clock and no
 * link, and serves one thread of the program at a time. */
#ifndef KVSIM_KERNELS_SHIM_SHIM_H
#define KVSIM_KERNELS_SHIM_SHIM_H

#include "kernels/kbench.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kind "shim": says it has compute capability 8.9, 4 multiprocessors and 99 KB of shared memory per block. */
struct kb_device *kb_shim_open(struct kb_error *err);
/* The same with other limits, so that each choice of tile sizes gets its turn. */
struct kb_device *kb_shim_open_like(uint32_t compute_capability, uint64_t shared_bytes, struct kb_error *err);

#ifdef __cplusplus
}
#endif

#endif
