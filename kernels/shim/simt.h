/* The words of kernels/cuda/simt.cuh on a CPU (KB_SHIM). Each means what its instruction means to one thread;
 * words of a warp or a block are meeting points where other threads get to run and where it is checked that all
 * come. Matrix instructions follow the fragment layouts of the PTX manual, products exact, sums in fp32. Memory
 * that the hardware leaves undefined is 0xff: shared memory of a new block, the target of a copy not waited for. */
#ifndef KVSIM_KERNELS_SHIM_SIMT_H
#define KVSIM_KERNELS_SHIM_SIMT_H

#include "kernels/kbench.h"

#include <math.h>
#include <string.h>

#include "kernels/format.h"
#include "kernels/shim/block.h"

struct kb_queue {
    struct kb_device *device;
    struct kb_shim_block *block;
};

#define KB_KERNEL             static void
#define KB_DEVICE             static inline
#define KB_SHARED_BYTES(name) unsigned char *const name = kb_shim_shared()

#define KB_SHIM_JOIN_(a, b) a##b
#define KB_SHIM_JOIN(a, b)  KB_SHIM_JOIN_(a, b)
#define KB_SHIM_NAME(what)  KB_SHIM_JOIN(kb_shim_##what##_, __LINE__)
/* The variable as a member of a nameless static union, so that its address is known without taking the
 * declaration apart; a struct of the same declaration tells its size. A guard follows. */
#define KB_SHARED(type, declaration)                                                                         \
    struct KB_SHIM_NAME(measure) {                                                                           \
        type declaration;                                                                                    \
    };                                                                                                       \
    static union {                                                                                           \
        type declaration;                                                                                    \
        unsigned char KB_SHIM_NAME(at)[sizeof(struct KB_SHIM_NAME(measure)) + KB_SHIM_GUARD];                \
    };                                                                                                       \
    static uint64_t KB_SHIM_NAME(seen);                                                                      \
    const struct kb_shim_static KB_SHIM_NAME(variable) = {                                                   \
        KB_SHIM_NAME(at), sizeof(struct KB_SHIM_NAME(measure)), alignof(struct KB_SHIM_NAME(measure))};      \
    kb_shim_static_shared(&KB_SHIM_NAME(variable), &KB_SHIM_NAME(seen))

#define KB_LAUNCH(kernel, grid, block, shared, queue, err, ...)                                              \
    kb_shim_start(#kernel, (grid), (block), (shared), (queue), (err), [&] { (kernel)(__VA_ARGS__); })

template <typename F> static void kb_shim_call(const void *f)
{
    (*(const F *)f)();
}

template <typename F>
static bool kb_shim_start(const char *name, dim3 grid, dim3 block, size_t shared, struct kb_queue *queue,
                          struct kb_error *err, const F &body)
{
    const struct kb_shim_launch l = {name, grid, block, shared, kb_shim_call<F>, &body};
    return kb_shim_run(queue, &l, err);
}

/* ---- CUDA's own names ---- */

#define __launch_bounds__(...)
#define threadIdx (kb_shim_now->index)
#define blockIdx  (*kb_shim_block_index())
#define blockDim  (*kb_shim_block_dim())
#define gridDim   (*kb_shim_grid_dim())

struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
KB_DEVICE uint2 make_uint2(uint32_t x, uint32_t y)
{
    return uint2{x, y};
}
KB_DEVICE uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w)
{
    return uint4{x, y, z, w};
}
KB_DEVICE float2 make_float2(float x, float y)
{
    return float2{x, y};
}
KB_DEVICE float4 make_float4(float x, float y, float z, float w)
{
    return float4{x, y, z, w};
}

/* ---- threads ---- */

KB_DEVICE void kb_sync_block(int line = __builtin_LINE())
{
    kb_shim_meet_block({"kb_sync_block", line}, 0, 0);
}
KB_DEVICE void kb_sync_warp(int line = __builtin_LINE())
{
    kb_shim_sync_warp({"kb_sync_warp", line});
}
KB_DEVICE void kb_sync_some(uint32_t barrier, uint32_t n, int line = __builtin_LINE())
{
    if (!barrier || !n) kb_shim_fail("kb_sync_some of line %d: barrier %u, %u threads", line, barrier, n);
    kb_shim_meet_block({"kb_sync_some", line}, barrier, n);
}
KB_DEVICE void kb_arrive_some(uint32_t barrier, uint32_t n, int line = __builtin_LINE())
{
    if (!barrier || !n) kb_shim_fail("kb_arrive_some of line %d: barrier %u, %u threads", line, barrier, n);
    kb_shim_arrive_block({"kb_arrive_some", line}, barrier, n);
}
template <typename T> static inline T kb_shim_shuffle(T x, uint32_t from, struct kb_shim_place place)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "what a shuffle can carry");
    uint32_t word[sizeof(T) / 4];
    memcpy(word, &x, sizeof x);
    kb_shim_exchange(word, sizeof(T) / 4, from, place);
    memcpy(&x, word, sizeof x);
    return x;
}
template <typename T> KB_DEVICE T kb_shfl_xor(T x, int mask, int line = __builtin_LINE())
{
    if (mask < 0 || mask > 31) kb_shim_fail("kb_shfl_xor of line %d: mask %d", line, mask);
    return kb_shim_shuffle(x, kb_shim_now->lane ^ (uint32_t)mask, {"kb_shfl_xor", line});
}
template <typename T> KB_DEVICE T kb_shfl(T x, int lane, int line = __builtin_LINE())
{
    return kb_shim_shuffle(x, (uint32_t)lane & 31u, {"kb_shfl", line});
}
template <typename T> KB_DEVICE T kb_shfl_up(T x, int n, int line = __builtin_LINE())
{
    uint32_t lane = kb_shim_now->lane;
    return kb_shim_shuffle(x, lane < (uint32_t)n ? lane : lane - (uint32_t)n, {"kb_shfl_up", line});
}
KB_DEVICE uint32_t kb_ballot(bool x, int line = __builtin_LINE())
{
    return kb_shim_vote(x, {"kb_ballot", line});
}
/* Relaxed atomics: one operating-system thread runs all fibres, but the thread sanitizer shall see them so. */
KB_DEVICE uint32_t kb_atomic_add(uint32_t *p, uint32_t x)
{
    return __atomic_fetch_add(p, x, __ATOMIC_RELAXED);
}
KB_DEVICE float kb_atomic_add(float *p, float x)
{
    uint32_t *bits = (uint32_t *)p;
    union kb_bits was, sum;
    was.u = __atomic_load_n(bits, __ATOMIC_RELAXED);
    sum.f = was.f + x;
    __atomic_store_n(bits, sum.u, __ATOMIC_RELAXED);
    return was.f;
}
KB_DEVICE uint32_t kb_atomic_max(uint32_t *p, uint32_t x)
{
    uint32_t was = __atomic_load_n(p, __ATOMIC_RELAXED);
    if (x > was) __atomic_store_n(p, x, __ATOMIC_RELAXED);
    return was;
}

/* ---- arithmetic ---- */

KB_DEVICE uint32_t kb_float_bits(float x)
{
    union kb_bits b;
    b.f = x;
    return b.u;
}
KB_DEVICE float kb_bits_float(uint32_t x)
{
    union kb_bits b;
    b.u = x;
    return b.f;
}
/* ex2.approx.ftz: subnormal results are 0. */
KB_DEVICE float kb_exp2(float x)
{
    float y = exp2f(x);
    return y < 1.17549435e-38f ? 0.0f : y;
}
KB_DEVICE float kb_log(float x)
{
    return logf(x);
}
KB_DEVICE float kb_rsqrt(float x)
{
    return 1.0f / sqrtf(x);
}
KB_DEVICE float kb_reciprocal(float x)
{
    return fabsf(x) < 1.17549435e-38f ? copysignf(INFINITY, x) : 1.0f / x;
}
KB_DEVICE void kb_sincos(float turns, float *sine, float *cosine)
{
    *sine = (float)sin(6.283185307179586 * turns);
    *cosine = (float)cos(6.283185307179586 * turns);
}
KB_DEVICE uint32_t kb_pack_bf16(float low, float high)
{
    return kb_bf16_from_float(low) | (uint32_t)kb_bf16_from_float(high) << 16;
}
KB_DEVICE uint32_t kb_pack_fp16(float low, float high)
{
    return kb_fp16_from_float(low) | (uint32_t)kb_fp16_from_float(high) << 16;
}
KB_DEVICE float2 kb_unpack_fp16(uint32_t pair)
{
    return float2{kb_fp16_to_float((uint16_t)pair), kb_fp16_to_float((uint16_t)(pair >> 16))};
}
/* Exact in fp32, so rounded once. */
KB_DEVICE uint32_t kb_mul_fp16x2(uint32_t a, uint32_t b)
{
    float2 x = kb_unpack_fp16(a), y = kb_unpack_fp16(b);
    return kb_pack_fp16(x.x * y.x, x.y * y.y);
}
/* a x b + c cut to a float whose last bit says that something was cut (round to odd): rounding that to a
 * shorter number gives what one rounding of the exact value gives (Boldo, Melquiond 2008). */
KB_DEVICE float kb_shim_fma_odd(float a, float b, float c)
{
    double product = (double)a * b; /* exact: 11 bits each at most */
    double sum = product + c, back = sum - product;
    double lost = (product - (sum - back)) + (c - back);
    float f = (float)sum;
    double rest = (sum - f) + lost;
    if (rest == 0 || !isfinite(sum)) return f;
    if (isinf(f)) return copysignf(3.40282347e38f, f);
    uint32_t bits = kb_float_bits(f);
    if (f == 0) return copysignf(1.40129846e-45f, (float)(rest > 0 ? 1 : -1));
    if ((rest < 0) == (f > 0)) bits--; /* f lies beyond the exact value: toward zero */
    return kb_bits_float(bits | 1u);
}
KB_DEVICE uint32_t kb_fma_bf16x2(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < 32; i += 16)
        r |= (uint32_t)kb_bf16_from_float(kb_shim_fma_odd(kb_bf16_to_float((uint16_t)(a >> i)),
                                                          kb_bf16_to_float((uint16_t)(b >> i)),
                                                          kb_bf16_to_float((uint16_t)(c >> i))))
             << i;
    return r;
}
KB_DEVICE uint32_t kb_fma_fp16x2(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < 32; i += 16)
        r |= (uint32_t)kb_fp16_from_float(kb_shim_fma_odd(kb_fp16_to_float((uint16_t)(a >> i)),
                                                          kb_fp16_to_float((uint16_t)(b >> i)),
                                                          kb_fp16_to_float((uint16_t)(c >> i))))
             << i;
    return r;
}
KB_DEVICE uint32_t kb_shim_choose_bf16x2(uint32_t a, uint32_t b, bool larger)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < 32; i += 16) {
        float x = kb_bf16_to_float((uint16_t)(a >> i)), y = kb_bf16_to_float((uint16_t)(b >> i));
        bool second = isnan(x) || (larger ? y > x : y < x);
        r |= ((second ? b : a) >> i & 0xffffu) << i;
    }
    return r;
}
KB_DEVICE uint32_t kb_min_bf16x2(uint32_t a, uint32_t b)
{
    return kb_shim_choose_bf16x2(a, b, false);
}
KB_DEVICE uint32_t kb_max_bf16x2(uint32_t a, uint32_t b)
{
    return kb_shim_choose_bf16x2(a, b, true);
}
KB_DEVICE uint32_t kb_and_or(uint32_t a, uint32_t b, uint32_t c)
{
    return (a & b) | c;
}
KB_DEVICE uint32_t kb_permute_bytes(uint32_t a, uint32_t b, uint32_t selector)
{
    uint64_t bytes = (uint64_t)b << 32 | a;
    uint32_t r = 0;
    for (uint32_t i = 0; i < 4; i++)
        r |= (uint32_t)(bytes >> (8 * (selector >> (4 * i) & 7u)) & 0xffu) << (8 * i);
    return r;
}
KB_DEVICE uint32_t kb_pack_fp8(float low, float high)
{
    return kb_fp8_from_float(low) | (uint32_t)kb_fp8_from_float(high) << 8;
}
KB_DEVICE uint32_t kb_fp8x2_to_fp16x2(uint32_t x)
{
    return kb_pack_fp16(kb_fp8_to_float((uint8_t)x), kb_fp8_to_float((uint8_t)(x >> 8)));
}

/* ---- memory ---- */

KB_DEVICE uint4 kb_load16(const void *p, int line = __builtin_LINE())
{
    kb_shim_check_aligned(p, 16, "kb_load16", line);
    uint4 v;
    memcpy(&v, p, sizeof v);
    return v;
}
KB_DEVICE void kb_copy16(void *shared, const void *global, bool valid, int line = __builtin_LINE())
{
    kb_shim_copy_begin(shared, global, 16, valid, {"kb_copy16", line});
}
KB_DEVICE void kb_copy4(void *shared, const void *global, bool valid, int line = __builtin_LINE())
{
    kb_shim_copy_begin(shared, global, 4, valid, {"kb_copy4", line});
}
KB_DEVICE void kb_copy_commit()
{
    kb_shim_copy_close();
}
template <int N> KB_DEVICE void kb_copy_wait()
{
    kb_shim_copy_land(N);
}

/* ---- matrix instructions ---- */

KB_DEVICE void kb_ldmatrix(uint32_t r[4], const void *row, int line = __builtin_LINE())
{
    kb_shim_load_matrices(r, row, false, {"kb_ldmatrix", line});
}
KB_DEVICE void kb_ldmatrix_transposed(uint32_t r[4], const void *row, int line = __builtin_LINE())
{
    kb_shim_load_matrices(r, row, true, {"kb_ldmatrix_transposed", line});
}
KB_DEVICE uint32_t kb_transpose8(uint32_t x, int line = __builtin_LINE())
{
    return kb_shim_transpose(x, {"kb_transpose8", line});
}
KB_DEVICE void kb_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2], int line = __builtin_LINE())
{
    kb_shim_mma(c, a, b, false, {"kb_mma_bf16", line});
}
KB_DEVICE void kb_mma_fp16(float c[4], const uint32_t a[4], const uint32_t b[2], int line = __builtin_LINE())
{
    kb_shim_mma(c, a, b, true, {"kb_mma_fp16", line});
}

#endif
