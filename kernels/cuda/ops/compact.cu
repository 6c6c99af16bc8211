/* A thread moves the same 16 bytes of the rows of several tokens, key and value of each, all under way at
 * once; threads side by side move a row. */
#include "kernels/cuda/simt.cuh"

#include "kernels/format.h"

enum { THREADS = 256, TOKENS = 4 };

/* Block (row, y): tokens y TOKENS n to (y + 1) TOKENS n - 1 of one head, n = tokens a block has side by
 * side. */
KB_KERNEL __launch_bounds__(THREADS) compact_kernel(const struct kb_compact a, uint32_t row_chunks)
{
    const uint32_t heads = a.paged.n_kv_heads, page_tokens = a.paged.page_tokens, n = THREADS / row_chunks;
    uint32_t row = blockIdx.x, head = row % heads, chunk = threadIdx.x % row_chunks;
    uint32_t first = blockIdx.y * TOKENS * n + threadIdx.x / row_chunks;
    if (threadIdx.x >= n * row_chunks) return;
    const uint32_t *keep = a.keep + (uint64_t)row * a.n_keep,
                   *from = a.pages_from + (uint64_t)row * a.paged.max_pages;
    const uint32_t *to = a.pages_to + (uint64_t)row * a.paged.max_pages;
    uint64_t value = (uint64_t)page_tokens * (a.paged.layout == KB_NHD ? heads : 1) * row_chunks;
    uint4 k[TOKENS], v[TOKENS];
#pragma unroll
    for (uint32_t i = 0; i < TOKENS; i++) {
        if (first + i * n >= a.n_keep) break;
        uint32_t at = keep[first + i * n];
        uint64_t source =
            kb_row(&a.paged, from[at / page_tokens], 0, at % page_tokens, head) * row_chunks + chunk;
        k[i] = kb_load16((const uint4 *)a.from + source);
        v[i] = kb_load16((const uint4 *)a.from + source + value);
    }
#pragma unroll
    for (uint32_t i = 0; i < TOKENS; i++) {
        uint32_t at = first + i * n;
        if (at >= a.n_keep) break;
        uint64_t target =
            kb_row(&a.paged, to[at / page_tokens], 0, at % page_tokens, head) * row_chunks + chunk;
        ((uint4 *)a.to)[target] = k[i];
        ((uint4 *)a.to)[target + value] = v[i];
    }
}

KB_ENTRY(compact)
{
    const struct kb_compact *a = (const struct kb_compact *)args;
    uint32_t bytes = kb_row_bytes(a->paged.format, a->paged.head_dim), chunks = bytes / 16;
    if (bytes % 16 || chunks > THREADS || a->paged.table_heads != a->paged.n_kv_heads)
        return kb_fail(
            err, "kv_compact: rows of %u bytes and %u tables; multiples of 16 and a table per head expected",
            (unsigned)bytes, (unsigned)a->paged.table_heads);
    uint32_t tokens = THREADS / chunks * TOKENS;
    dim3 grid(a->n_seqs * a->paged.n_kv_heads, (a->n_keep + tokens - 1) / tokens);
    return KB_LAUNCH(compact_kernel, grid, dim3(THREADS), 0, queue, err, *a, chunks);
}
