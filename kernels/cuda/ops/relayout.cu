/* A thread moves the same 16 bytes of several rows of a page, in the order of the target, all under way at
 * once; threads side by side move a row. */
#include "kernels/cuda/simt.cuh"

#include "kernels/format.h"

enum { THREADS = 256, ROWS = 8 };

struct place {
    uint32_t kv, token, head; /* head of `from` */
};

/* Row number `row` of those that move within a page, in the order of the target. */
KB_DEVICE struct place place_of(const struct kb_paged &from, uint32_t row)
{
    uint32_t tokens = from.page_tokens, heads = from.n_kv_heads;
    if (from.layout == KB_HND) return {row / heads / tokens, row / heads % tokens, row % heads};
    return {row / tokens % 2, row % tokens, row / tokens / 2};
}

/* Block (i, y): page i of the lists, rows y ROWS n to (y + 1) ROWS n - 1, n = rows a block has side by side. */
KB_KERNEL __launch_bounds__(THREADS)
    relayout_kernel(const struct kb_relayout a, const struct kb_paged target, uint32_t row_chunks)
{
    const uint32_t page_rows = 2 * a.paged.page_tokens * a.paged.n_kv_heads, n = THREADS / row_chunks;
    uint32_t from = a.list_from[blockIdx.x], to = a.list_to[blockIdx.x], chunk = threadIdx.x % row_chunks;
    uint32_t first = blockIdx.y * ROWS * n + threadIdx.x / row_chunks;
    if (threadIdx.x >= n * row_chunks) return;
    uint4 x[ROWS];
#pragma unroll
    for (uint32_t i = 0; i < ROWS; i++) {
        if (first + i * n >= page_rows) break;
        struct place at = place_of(a.paged, first + i * n);
        x[i] = kb_load16((const uint4 *)a.from +
                         kb_row(&a.paged, from, at.kv, at.token, at.head) * row_chunks + chunk);
    }
#pragma unroll
    for (uint32_t i = 0; i < ROWS; i++) {
        if (first + i * n >= page_rows) break;
        struct place at = place_of(a.paged, first + i * n);
        ((uint4 *)a.to)[kb_row(&target, to, at.kv, at.token, a.to_first + at.head) * row_chunks + chunk] =
            x[i];
    }
}

KB_ENTRY(relayout)
{
    const struct kb_relayout *a = (const struct kb_relayout *)args;
    uint32_t bytes = kb_row_bytes(a->paged.format, a->paged.head_dim), chunks = bytes / 16;
    struct kb_paged target = a->paged;
    if (bytes % 16 || chunks > THREADS)
        return kb_fail(err, "kv_relayout: rows of %u bytes, a multiple of 16 expected", (unsigned)bytes);
    target.layout = a->paged.layout == KB_NHD ? KB_HND : KB_NHD;
    if (a->to_heads) target.n_kv_heads = a->to_heads;
    uint32_t rows = THREADS / chunks * ROWS;
    dim3 grid(a->n_list, (2 * a->paged.page_tokens * a->paged.n_kv_heads + rows - 1) / rows);
    return KB_LAUNCH(relayout_kernel, grid, dim3(THREADS), 0, queue, err, *a, target, chunks);
}
