/* All fragments as one row of 16-byte chunks, dealt to warps in tiles of 4 KB, whatever a fragment's size:
 * few large fragments keep as many warps busy as many small ones. A thread has CHUNKS loads under way, 64 KB
 * a block: enough, by bandwidth x latency, to fill a PCIe link from few blocks. */
#include "kernels/cuda/simt.cuh"

enum { THREADS = 512, CHUNKS = 8 };

KB_KERNEL __launch_bounds__(THREADS)
    gather_kernel(const struct kb_gather a, uint32_t n_chunks, uint32_t per_fragment)
{
    const uint32_t warps = gridDim.x * (THREADS / 32), n_tiles = (n_chunks + 32 * CHUNKS - 1) / (32 * CHUNKS);
    /* Warps of one block lie apart in the row, so that a short row is spread over all blocks. */
    for (uint32_t tile = threadIdx.x / 32 * gridDim.x + blockIdx.x; tile < n_tiles; tile += warps) {
        uint32_t first = tile * 32 * CHUNKS + threadIdx.x % 32;
        uint4 x[CHUNKS];
#pragma unroll
        for (uint32_t i = 0; i < CHUNKS; i++) {
            uint32_t at = first + 32 * i, fragment = at / per_fragment;
            if (at < n_chunks)
                x[i] = kb_load16((const char *)a.from + a.offset_from[fragment] + at % per_fragment * 16u);
        }
#pragma unroll
        for (uint32_t i = 0; i < CHUNKS; i++) {
            uint32_t at = first + 32 * i, fragment = at / per_fragment;
            if (at < n_chunks)
                *(uint4 *)((char *)a.to + a.offset_to[fragment] + at % per_fragment * 16u) = x[i];
        }
    }
}

KB_ENTRY(gather)
{
    const struct kb_gather *a = (const struct kb_gather *)args;
    uint32_t per_fragment = a->fragment_bytes / 16;
    uint64_t n_chunks = (uint64_t)a->n * per_fragment;
    if (a->fragment_bytes % 16 || n_chunks > UINT32_MAX - 32 * CHUNKS)
        return kb_fail(err, "gather: %u fragments of %u bytes; multiples of 16, below 64 GB, expected",
                       (unsigned)a->n, (unsigned)a->fragment_bytes);
    return KB_LAUNCH(gather_kernel, dim3(a->blocks), dim3(THREADS), 0, queue, err, *a, (uint32_t)n_chunks,
                     per_fragment);
}
