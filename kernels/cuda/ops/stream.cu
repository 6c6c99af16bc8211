/* The ceilings. A block takes tile after tile of contiguous memory, so many that all blocks stay on the device
 * from first to last, and each thread has several 16-byte loads under way before it looks at the first. */
#include "kernels/cuda/simt.cuh"

enum { THREADS = 256, READS = 8, COPIES = 4, BLOCKS_A_UNIT = 4 };

static uint32_t n_blocks(const struct kb_queue *queue, uint64_t n_vectors, uint32_t tile)
{
    uint64_t tiles = (n_vectors + tile - 1) / tile,
             most = BLOCKS_A_UNIT * (uint64_t)queue->device->info.units;
    return (uint32_t)(tiles < most ? tiles : most);
}

KB_DEVICE uint32_t words(uint4 v)
{
    return v.x + v.y + v.z + v.w;
}

KB_KERNEL __launch_bounds__(THREADS, BLOCKS_A_UNIT) read_all(const uint4 *from, uint32_t *to, uint64_t n)
{
    const uint32_t tile = THREADS * READS;
    uint32_t sum = 0;
    uint64_t at = (uint64_t)blockIdx.x * tile + threadIdx.x, stride = (uint64_t)gridDim.x * tile;
    for (; at + (READS - 1) * THREADS < n; at += stride) {
        uint4 v[READS];
#pragma unroll
        for (int i = 0; i < READS; i++) v[i] = kb_load16(from + at + i * THREADS);
#pragma unroll
        for (int i = 0; i < READS; i++) sum += words(v[i]);
    }
    for (int i = 0; i < READS && at + i * THREADS < n; i++) sum += words(kb_load16(from + at + i * THREADS));
#pragma unroll
    for (int mask = 16; mask; mask /= 2) sum += kb_shfl_xor(sum, mask);
    if (threadIdx.x % 32 == 0) kb_atomic_add(to, sum);
}

KB_KERNEL __launch_bounds__(THREADS, BLOCKS_A_UNIT) copy_all(const uint4 *from, uint4 *to, uint64_t n)
{
    const uint32_t tile = THREADS * COPIES;
    uint64_t at = (uint64_t)blockIdx.x * tile + threadIdx.x, stride = (uint64_t)gridDim.x * tile;
    for (; at + (COPIES - 1) * THREADS < n; at += stride) {
        uint4 v[COPIES];
#pragma unroll
        for (int i = 0; i < COPIES; i++) v[i] = kb_load16(from + at + i * THREADS);
#pragma unroll
        for (int i = 0; i < COPIES; i++) to[at + i * THREADS] = v[i];
    }
    for (int i = 0; i < COPIES && at + i * THREADS < n; i++)
        to[at + i * THREADS] = kb_load16(from + at + i * THREADS);
}

KB_ENTRY(read)
{
    const struct kb_stream *a = (const struct kb_stream *)args;
    uint64_t n = a->bytes / 16;
    return KB_LAUNCH(read_all, n_blocks(queue, n, THREADS * READS), THREADS, 0, queue, err,
                     (const uint4 *)a->from, (uint32_t *)a->to, n);
}

KB_ENTRY(copy)
{
    const struct kb_stream *a = (const struct kb_stream *)args;
    uint64_t n = a->bytes / 16;
    return KB_LAUNCH(copy_all, n_blocks(queue, n, THREADS * COPIES), THREADS, 0, queue, err,
                     (const uint4 *)a->from, (uint4 *)a->to, n);
}
