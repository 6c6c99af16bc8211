/* The cpu device's kernels. Files of kernels/cpu/ops are compiled once per instruction set with KB_ISA set to its
 * name (base, avx2, avx512), write plain loops that the compiler makes vectors of, and share work over threads
 * with OpenMP; device.c takes the best table that the processor can run. Entries run to the end before they
 * return; the queue only orders copies, and an entry waits for those first. */
#ifndef KVSIM_KERNELS_CPU_CPU_H
#define KVSIM_KERNELS_CPU_CPU_H

#include "kernels/format.h"

#define KB_JOIN_(a, b) kb_##a##_##b
#define KB_JOIN(a, b)  KB_JOIN_(a, b)
/* Name of a function of this instruction set: KB_CPU(gemm) is kb_avx2_gemm. */
#define KB_CPU(name) KB_JOIN(KB_ISA, name)
/* Waits until the queue's copies and event waits are over, so that a kernel keeps its place among them; NULL is
 * no queue. */
bool kb_cpu_settle(struct kb_queue *queue, struct kb_error *err);
/* Head of an entry: KB_CPU_ENTRY(gemm) { const struct kb_gemm *a = args; ... } */
#define KB_CPU_ENTRY(name)                                                                                   \
    kb_launch KB_CPU(name);                                                                                  \
    static kb_launch kb_settled_##name;                                                                      \
    bool KB_CPU(name)(struct kb_queue * queue, const void *args, struct kb_error *err)                       \
    {                                                                                                        \
        return kb_cpu_settle(queue, err) && kb_settled_##name(queue, args, err);                             \
    }                                                                                                        \
    static bool kb_settled_##name(struct kb_queue *queue, const void *args, struct kb_error *err)

extern kb_launch *const kb_base_kernels[KB_N_KERNEL];
extern kb_launch *const kb_avx2_kernels[KB_N_KERNEL];
extern kb_launch *const kb_avx512_kernels[KB_N_KERNEL];

/* Single-precision matrix product of OpenBLAS, one thread, found by dlopen; NULL when it is not installed.
 * c[m][n] = a[m][k] b[n][k]^T, rows lda, ldb, ldc apart. */
typedef void kb_sgemm(uint32_t m, uint32_t n, uint32_t k, const float *a, uint32_t lda, const float *b,
                      uint32_t ldb, float *c, uint32_t ldc);
kb_sgemm *kb_blas_sgemm(void);
const char *kb_blas_name(void); /* "OpenBLAS 0.3.21", or "none (own loops)" */

#endif
