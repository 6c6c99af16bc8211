/* Tiles of bf16 rows in shared memory: filled from anywhere in global memory by cp.async, row by row, and
 * read as fragments of matrix instructions. Swizzled as kernels/swizzle.h says. A row's number in its pool
 * is looked up once, ahead of time, and kept in shared memory; copies do no arithmetic on pages. */
#ifndef KVSIM_KERNELS_CUDA_TILE_CUH
#define KVSIM_KERNELS_CUDA_TILE_CUH

#include "kernels/cuda/simt.cuh"
#include "kernels/format.h"
#include "kernels/swizzle.h"

/* Number of a key's row in the pool; 0, which is always there, for positions that are not. */
KB_DEVICE uint32_t kb_key_row(const struct kb_paged &p, const uint32_t *table, uint32_t position,
                              uint32_t end, uint32_t head)
{
    if (position >= end) return 0;
    return (uint32_t)kb_row(&p, table[position / p.page_tokens], 0, position % p.page_tokens, head);
}

/* Rows from a key to its value. */
KB_DEVICE uint32_t kb_value_step(const struct kb_paged &p)
{
    return p.layout == KB_NHD ? p.page_tokens * p.n_kv_heads : p.page_tokens;
}

/* Starts the copies of a tile's rows, row_at[i] + step of `from`; rows from n_rows on become zeros.
 * `thread` of THREADS take part; the caller closes the group. */
template <int ROWS, int D, int THREADS>
KB_DEVICE void kb_tile_copy(unsigned char *tile, const void *from, const uint32_t *row_at, uint32_t step,
                            uint32_t n_rows, uint32_t thread)
{
    constexpr uint32_t PIECES = D / KB_PIECE_CHANNELS;
#pragma unroll
    for (uint32_t i = 0; i < ROWS * PIECES / THREADS; i++) {
        uint32_t at = i * THREADS + thread, row = at / PIECES, piece = at % PIECES;
        const unsigned char *source = (const unsigned char *)from + ((uint64_t)row_at[row] + step) * (D * 2);
        kb_copy16(tile + kb_swizzle(ROWS, row, piece), source + piece * 16, row < n_rows);
    }
}

/* Fragment of 16 rows x 16 channels as the left factor, rows and k = channels. */
template <int ROWS>
KB_DEVICE void kb_tile_left(uint32_t a[4], const unsigned char *tile, uint32_t row, uint32_t piece)
{
    uint32_t lane = threadIdx.x % 32;
    kb_ldmatrix(a, tile + kb_swizzle(ROWS, row + lane % 16, piece + lane / 16));
}

/* Two fragments of the right factor, k = 16 channels, columns = 8 rows each: b[0..1], b[2..3]. */
template <int ROWS>
KB_DEVICE void kb_tile_right(uint32_t b[4], const unsigned char *tile, uint32_t row, uint32_t piece)
{
    uint32_t lane = threadIdx.x % 32;
    kb_ldmatrix(b, tile + kb_swizzle(ROWS, row + lane / 16 * 8 + lane % 8, piece + lane / 8 % 2));
}

/* The same with k = 16 rows, columns = 8 channels each. */
template <int ROWS>
KB_DEVICE void kb_tile_right_transposed(uint32_t b[4], const unsigned char *tile, uint32_t row,
                                        uint32_t piece)
{
    uint32_t lane = threadIdx.x % 32;
    kb_ldmatrix_transposed(b, tile + kb_swizzle(ROWS, row + lane % 16, piece + lane / 16));
}

#endif
