/* Matrix instructions of a warpgroup (sm_90a): 128 threads multiply 64 rows by N columns, k = 16, bf16 in
 * and fp32 sums; B comes from shared memory, A from shared memory or registers. They run on while the
 * threads go on: registers that they use belong to them from the fence to the wait. Facts from the PTX ISA,
 * "Asynchronous Warpgroup Level Matrix Instructions". Over the shim: kernels/shim/wgmma.h, written from the
 * same text.
 *   sums    d[N / 8][4]: warp w of the group has rows 16 w to 16 w + 15, in each warp as kb_mma_bf16's c
 *   A       in registers as kb_mma_bf16's a, for the warp's own rows */
#ifndef KVSIM_KERNELS_CUDA_WGMMA_CUH
#define KVSIM_KERNELS_CUDA_WGMMA_CUH

#include "kernels/cuda/simt.cuh"
#include "kernels/swizzle.h"

/* Where a matrix lies in shared memory, 128-byte swizzle. Whole patterns are 8 rows of 128 bytes and start at
 * multiples of 1024 bytes; `address` may lie inside one, moved along its rows.
 *   rows of k (K-major)        `stride` bytes from 8 rows (of M or N) to the next 8; `lead` is not used
 *   rows of M or N (MN-major)  `stride` bytes from 8 values of k to the next 8; `lead` bytes from 64
 *                              channels to the next 64 */
KB_HD uint64_t kb_wgmma_descriptor(uint32_t address, uint32_t lead, uint32_t stride)
{
    return (uint64_t)((address & 0x3ffffu) >> 4) | (uint64_t)(lead >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)1 << 62;
}

#ifdef KB_SHIM
#include "kernels/shim/wgmma.h"
#else

/* This thread's writes to shared memory, cp.async's too, before what the matrix unit reads later. */
KB_DEVICE void kb_wgmma_publish()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
/* Registers written so far before what products read later. */
KB_DEVICE void kb_wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
/* Closes a group of products; waits until at most N groups are under way. */
KB_DEVICE void kb_wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int N> KB_DEVICE void kb_wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
/* Keeps the compiler from moving uses of registers across a fence or a wait. */
template <int N> KB_DEVICE void kb_wgmma_hold(float (&d)[N][4])
{
#pragma unroll
    for (int i = 0; i < 4 * N; i++) asm volatile("" : "+f"(d[i / 4][i % 4])::"memory");
}
template <int N> KB_DEVICE void kb_wgmma_hold(uint32_t (&a)[N][4])
{
#pragma unroll
    for (int i = 0; i < 4 * N; i++) asm volatile("" : "+r"(a[i / 4][i % 4])::"memory");
}
/* Registers of this warpgroup's threads from here on: a multiple of 8. */
template <int N> KB_DEVICE void kb_registers_fewer()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N> KB_DEVICE void kb_registers_more()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

/* Operands of 32 sums, d[first] to d[first + 7]. */
#define KB_SUMS_4(d, i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define KB_SUMS_32(d, i)                                                                                     \
    KB_SUMS_4(d, i), KB_SUMS_4(d, i + 1), KB_SUMS_4(d, i + 2), KB_SUMS_4(d, i + 3), KB_SUMS_4(d, i + 4),     \
        KB_SUMS_4(d, i + 5), KB_SUMS_4(d, i + 6), KB_SUMS_4(d, i + 7)
#define KB_NAMES_32                                                                                          \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27," \
    "%28,%29,%30,%31"
#define KB_NAMES_64                                                                                          \
    KB_NAMES_32                                                                                              \
    ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,"          \
    "%55,%56,%57,%58,%59,%60,%61,%62,%63"

/* d = a b (accumulate false) or d += a b; a and b both rows of k. */
KB_DEVICE void kb_wgmma(float (&d)[16][4], uint64_t a, uint64_t b, bool accumulate)
{
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %66, 0; "
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" KB_NAMES_64
                 "}, %64, %65, p, 1, 1, 0, 0; }"
                 : KB_SUMS_32(d, 0), KB_SUMS_32(d, 8)
                 : "l"(a), "l"(b), "r"((int)accumulate));
}
/* d += a b; a in registers, b rows of N. */
KB_DEVICE void kb_wgmma_transposed(float (&d)[16][4], const uint32_t (&a)[4], uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" KB_NAMES_64
                 "}, {%64,%65,%66,%67}, %68, 1, 1, 1, 1;"
                 : KB_SUMS_32(d, 0), KB_SUMS_32(d, 8)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
KB_DEVICE void kb_wgmma_transposed(float (&d)[8][4], const uint32_t (&a)[4], uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" KB_NAMES_32
                 "}, {%32,%33,%34,%35}, %36, 1, 1, 1, 1;"
                 : KB_SUMS_32(d, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#endif
#endif
