/* The few words of CUDA that our kernels speak, each in one place: launch, shared memory, warp exchange, copies
 * into shared memory, matrix instructions. Compiled by nvcc they are the hardware's; compiled as C++ with
 * KB_SHIM they are kernels/shim/simt.h, which runs the same kernels thread by thread on a CPU, so that
 * addressing, synchronisation and matrix fragments are proved without a GPU. Kernels use nothing else. */
#ifndef KVSIM_KERNELS_CUDA_SIMT_CUH
#define KVSIM_KERNELS_CUDA_SIMT_CUH

#include "kernels/kbench.h"

/* The C entry of a kernel: KB_ENTRY(gemm) { const struct kb_gemm *a = (const struct kb_gemm *)args; ... } */
#ifdef KB_SHIM
#define KB_ENTRY(name)                                                                                       \
    extern "C" bool kb_shim_##name(struct kb_queue *queue, const void *args, struct kb_error *err)
#else
#define KB_ENTRY(name)                                                                                       \
    extern "C" bool kb_cuda_##name(struct kb_queue *queue, const void *args, struct kb_error *err)
#endif

#ifdef KB_SHIM
#include "kernels/shim/simt.h"
#else

#include <cuda_runtime.h>

#include "kernels/format.h"

/* A stream; the device that owns it; the kernel launched last, for messages. */
struct kb_queue {
    cudaStream_t stream;
    struct kb_device *device;
    const char *kernel;
};

#define KB_KERNEL                    static __global__ void
#define KB_DEVICE                    static __device__ __forceinline__
/* Dynamic shared memory of the block, 128-byte aligned, as `unsigned char name[]`. */
#define KB_SHARED_BYTES(name)        extern __shared__ __align__(128) unsigned char name[]
/* A static shared variable or array: KB_SHARED(float, sum[32]); */
#define KB_SHARED(type, declaration) __shared__ type declaration

/* kernel<<<grid, block, shared bytes, queue>>>(args...), then the launch's error; raises the kernel's limit of
 * shared memory where it needs more than 48 KB. An expression of type bool. */
/* clang-format off */
#define KB_LAUNCH(kernel, grid, block, shared, queue, err, ...)                                              \
    (kb_allow_shared((const void *)kernel, (shared), err) &&                                                 \
     ((kernel)<<<(grid), (block), (shared), (queue)->stream>>>(__VA_ARGS__), kb_launched(#kernel, queue, err)))
/* clang-format on */

static inline bool kb_launched(const char *kernel, struct kb_queue *queue, struct kb_error *err)
{
    cudaError_t e = cudaGetLastError();
    __atomic_store_n(&queue->kernel, kernel, __ATOMIC_RELAXED); /* several threads may launch */
    return e == cudaSuccess || kb_fail(err, "%s: %s", kernel, cudaGetErrorString(e));
}

/* From 40 KB on: what a kernel has of static shared memory counts towards the 48 KB, too. */
static inline bool kb_allow_shared(const void *kernel, size_t bytes, struct kb_error *err)
{
    if (bytes <= 40 * 1024) return true;
    cudaError_t e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    return e == cudaSuccess || kb_fail(err, "%zu bytes of shared memory: %s", bytes, cudaGetErrorString(e));
}

/* ---- threads ---- */

KB_DEVICE void kb_sync_block()
{
    __syncthreads();
}
KB_DEVICE void kb_sync_warp()
{
    __syncwarp();
}
/* Threads of one named barrier (1-15), n a multiple of 32. */
KB_DEVICE void kb_sync_some(uint32_t barrier, uint32_t n)
{
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(n) : "memory");
}
/* Counts among them without waiting. */
KB_DEVICE void kb_arrive_some(uint32_t barrier, uint32_t n)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(n) : "memory");
}
template <typename T> KB_DEVICE T kb_shfl_xor(T x, int mask)
{
    return __shfl_xor_sync(0xffffffffu, x, mask);
}
template <typename T> KB_DEVICE T kb_shfl(T x, int lane)
{
    return __shfl_sync(0xffffffffu, x, lane);
}
template <typename T> KB_DEVICE T kb_shfl_up(T x, int n)
{
    return __shfl_up_sync(0xffffffffu, x, n);
}
KB_DEVICE uint32_t kb_ballot(bool x)
{
    return __ballot_sync(0xffffffffu, x);
}
KB_DEVICE float kb_atomic_add(float *p, float x)
{
    return atomicAdd(p, x);
}
KB_DEVICE uint32_t kb_atomic_add(uint32_t *p, uint32_t x)
{
    return atomicAdd(p, x);
}
KB_DEVICE uint32_t kb_atomic_max(uint32_t *p, uint32_t x)
{
    return atomicMax(p, x);
}

/* ---- arithmetic ---- */

KB_DEVICE float kb_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
KB_DEVICE float kb_log(float x)
{
    return __logf(x);
}
KB_DEVICE float kb_rsqrt(float x)
{
    return rsqrtf(x);
}
/* 1 / x to 1 ulp; of a subnormal infinity, of an infinity 0. */
KB_DEVICE float kb_reciprocal(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
/* Sine and cosine of an angle in turns, |turns| <= 1/2. */
KB_DEVICE void kb_sincos(float turns, float *sine, float *cosine)
{
    sincospif(2.0f * turns, sine, cosine);
}
KB_DEVICE uint32_t kb_float_bits(float x)
{
    return __float_as_uint(x);
}
KB_DEVICE float kb_bits_float(uint32_t x)
{
    return __uint_as_float(x);
}
/* Two floats to a pair of bf16, nearest even; low half first. */
KB_DEVICE uint32_t kb_pack_bf16(float low, float high)
{
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
/* Per 16-bit half: a x b + c in bf16. */
KB_DEVICE uint32_t kb_fma_bf16x2(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t r;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
}
/* Per 16-bit half in bf16: the smaller, the larger. */
KB_DEVICE uint32_t kb_min_bf16x2(uint32_t a, uint32_t b)
{
    uint32_t r;
    asm("min.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
}
KB_DEVICE uint32_t kb_max_bf16x2(uint32_t a, uint32_t b)
{
    uint32_t r;
    asm("max.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
}
/* Bits of (a & b) | c, one instruction. */
KB_DEVICE uint32_t kb_and_or(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t r;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
}
/* Bytes of {b, a} (a low: bytes 0-3, b: 4-7) chosen by the four nibbles of selector. */
KB_DEVICE uint32_t kb_permute_bytes(uint32_t a, uint32_t b, uint32_t selector)
{
    return __byte_perm(a, b, selector);
}
/* Two floats to a pair of e4m3 codes in the low 16 bits, nearest even, saturating; low byte first. Hardware from
 * sm_89 on, software below. */
KB_DEVICE uint32_t kb_pack_fp8(float low, float high)
{
#if __CUDA_ARCH__ >= 890
    uint16_t r;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
    return r;
#else
    return kb_fp8_from_float(low) | (uint32_t)kb_fp8_from_float(high) << 8;
#endif
}
/* Two e4m3 codes (low 16 bits of x) to a pair of fp16. Hardware from sm_89 on, software below. */
KB_DEVICE uint32_t kb_fp8x2_to_fp16x2(uint32_t x)
{
#if __CUDA_ARCH__ >= 890
    uint32_t r;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(r) : "h"((uint16_t)x));
    return r;
#else
    uint32_t spread = ((x & 0xff00u) << 16) | ((x & 0xffu) << 8); /* each code in the high byte of a half */
    uint32_t r, scale = 0x5c005c00u;                              /* 2^8: fp16's bias is 15, e4m3's 7 */
    uint32_t bits = (spread & 0x80008000u) | ((spread & 0x7f007f00u) >> 1);
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(bits), "r"(scale));
    return r;
#endif
}

/* ---- memory ---- */

/* 16 bytes that are read once: no place in the first-level cache. Address 16-byte aligned. */
KB_DEVICE uint4 kb_load16(const void *p)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}
KB_DEVICE uint32_t kb_shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}
/* 16 bytes from global to shared memory without registers; zeros when not valid. Both 16-byte aligned. */
KB_DEVICE void kb_copy16(void *shared, const void *global, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(kb_shared_address(shared)),
                 "l"(global), "r"(valid ? 16 : 0)
                 : "memory");
}
/* The same of 4 bytes: scales that lie apart. */
KB_DEVICE void kb_copy4(void *shared, const void *global, bool valid)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(kb_shared_address(shared)), "l"(global),
                 "r"(valid ? 4 : 0)
                 : "memory");
}
/* Closes a group of copies; waits until at most N groups of this thread are under way. */
KB_DEVICE void kb_copy_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int N> KB_DEVICE void kb_copy_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* ---- matrix instructions ---- */

/* Four 8x8 matrices of 16-bit elements; lane i names row i % 8 of matrix i / 8 (16 bytes, aligned). Register j:
 * lane l gets elements 2 (l % 4), 2 (l % 4) + 1 of row l / 4 of matrix j; transposed: rows and columns swapped. */
KB_DEVICE void kb_ldmatrix(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(kb_shared_address(row))
                 : "memory");
}
KB_DEVICE void kb_ldmatrix_transposed(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(kb_shared_address(row))
                 : "memory");
}
/* Transposes an 8x8 matrix of 16-bit elements that lies in the warp's registers: lane l holds elements 2 (l % 4),
 * 2 (l % 4) + 1 of row l / 4, before and after. */
KB_DEVICE uint32_t kb_transpose8(uint32_t x)
{
    uint32_t r;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(r) : "r"(x));
    return r;
}
/* c[16][8] += a[16][16] b[16][8], bf16 in, fp32 sums. With g = lane / 4, t = lane % 4:
 *   a: {g, 2t..} {g + 8, 2t..} {g, 2t + 8..} {g + 8, 2t + 8..} (row, column pair)
 *   b: {2t.., g} {2t + 8.., g} (row pair, column)      c: {g, 2t} {g, 2t + 1} {g + 8, 2t} {g + 8, 2t + 1} */
KB_DEVICE void kb_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/* The same with fp16 inputs. */
KB_DEVICE void kb_mma_fp16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/* Two floats to a pair of fp16, nearest even; low half first. */
KB_DEVICE uint32_t kb_pack_fp16(float low, float high)
{
    uint32_t r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
KB_DEVICE float2 kb_unpack_fp16(uint32_t pair)
{
    float2 f;
    asm("{.reg .b16 low, high;\n mov.b32 {low, high}, %2;\n cvt.f32.f16 %0, low;\n cvt.f32.f16 %1, high;}"
        : "=f"(f.x), "=f"(f.y)
        : "r"(pair));
    return f;
}
KB_DEVICE uint32_t kb_mul_fp16x2(uint32_t a, uint32_t b)
{
    uint32_t r;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
}
KB_DEVICE uint32_t kb_fma_fp16x2(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t r;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
}

#endif
#endif
