/* The words of kernels/cuda/wgmma.cuh on a CPU. Products are only noted when they start; wait computes them
 * then, from shared memory and registers as they are at that moment: one that is overwritten too early, or
 * read before the wait, gives a wrong result. Descriptors are decoded and fragments laid out as the PTX ISA
 * says, not as the kernels happen to use them. */
#ifndef KVSIM_KERNELS_SHIM_WGMMA_H
#define KVSIM_KERNELS_SHIM_WGMMA_H

#include "kernels/shim/simt.h"

/* Address of shared memory as descriptors hold it. */
uint32_t kb_shim_shared_address(const void *p);
void kb_shim_product_start(struct kb_shim_product product, struct kb_shim_place place);
/* Computes all but the last n_open groups of this thread; the lanes of a warp come together. */
void kb_shim_product_wait(uint32_t n_open, struct kb_shim_place place);

KB_DEVICE uint32_t kb_shared_address(const void *p)
{
    return kb_shim_shared_address(p);
}
KB_DEVICE void kb_wgmma_publish()
{
}
KB_DEVICE void kb_wgmma_fence()
{
    kb_shim_now->products_fenced = true;
}
KB_DEVICE void kb_wgmma_commit()
{
    kb_shim_now->n_product_groups++;
}
template <int N> KB_DEVICE void kb_wgmma_wait(int line = __builtin_LINE())
{
    kb_shim_product_wait(N, {"kb_wgmma_wait", line});
}
template <int N> KB_DEVICE void kb_wgmma_hold(float (&)[N][4])
{
}
template <int N> KB_DEVICE void kb_wgmma_hold(uint32_t (&)[N][4])
{
}
template <int N> KB_DEVICE void kb_registers_fewer()
{
    static_assert(N % 8 == 0 && N >= 24 && N <= 256, "what setmaxnreg takes");
}
template <int N> KB_DEVICE void kb_registers_more()
{
    static_assert(N % 8 == 0 && N >= 24 && N <= 256, "what setmaxnreg takes");
}
KB_DEVICE void kb_wgmma(float (&d)[16][4], uint64_t a, uint64_t b, bool accumulate,
                        int line = __builtin_LINE())
{
    kb_shim_product_start({d[0], nullptr, a, b, 128, 0, false, accumulate}, {"kb_wgmma", line});
}
template <int N>
KB_DEVICE void kb_wgmma_transposed(float (&d)[N][4], const uint32_t (&a)[4], uint64_t b,
                                   int line = __builtin_LINE())
{
    static_assert(N == 8 || N == 16, "which there are for the hardware");
    kb_shim_product_start({d[0], a, 0, b, 8 * N, 0, true, true}, {"kb_wgmma_transposed", line});
}

#endif
