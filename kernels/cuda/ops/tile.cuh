/* bf16 tiles in shared memory and their fragments for kb_mma_bf16: left operands lie as [m][k] or as [k][m],
 * right operands as [k][n]. Rows are 16 bytes longer than their data, so that the eight rows that ldmatrix reads
 * together lie in different banks. Columns come in whole eights; what lies outside a matrix is 0. */
#ifndef KVSIM_KERNELS_CUDA_OPS_TILE_CUH
#define KVSIM_KERNELS_CUDA_OPS_TILE_CUH

#include "kernels/cuda/simt.cuh"

/* Elements from row to row of a tile with so many columns. */
#define KB_TILE_PITCH(columns) ((columns) + 8u)

struct kb_matrix {
    const uint16_t *at;
    uint32_t rows, columns;
};

/* Starts the copy of rows x columns from (row, column) on into shared memory, by all threads of the block. */
template <uint32_t ROWS, uint32_t COLUMNS, uint32_t THREADS>
KB_DEVICE void kb_tile_load(uint16_t *shared, struct kb_matrix m, uint32_t row, uint32_t column)
{
    const uint32_t chunks = COLUMNS / 8;
#pragma unroll
    for (uint32_t i = threadIdx.x; i < ROWS * chunks; i += THREADS) {
        uint32_t r = i / chunks, c = i % chunks * 8;
        bool valid = row + r < m.rows && column + c < m.columns;
        const uint16_t *from = valid ? m.at + (uint64_t)(row + r) * m.columns + column + c : m.at;
        kb_copy16(shared + r * KB_TILE_PITCH(COLUMNS) + c, from, valid);
    }
}

/* The 16 x 16 part of a left operand at (m, k). */
KB_DEVICE void kb_tile_left(uint32_t a[4], const uint16_t *tile, uint32_t pitch, uint32_t m, uint32_t k)
{
    uint32_t lane = threadIdx.x % 32;
    kb_ldmatrix(a, tile + (m + lane % 16) * pitch + k + lane / 16 * 8);
}

/* The same of a tile that lies as [k][m]. */
KB_DEVICE void kb_tile_left_transposed(uint32_t a[4], const uint16_t *tile, uint32_t pitch, uint32_t m,
                                       uint32_t k)
{
    uint32_t lane = threadIdx.x % 32;
    kb_ldmatrix_transposed(a, tile + (k + lane / 16 * 8 + lane % 8) * pitch + m + lane / 8 % 2 * 8);
}

/* The 16 x 16 part of a right operand at (k, n): fragments of columns n and n + 8. */
KB_DEVICE void kb_tile_right(uint32_t b[4], const uint16_t *tile, uint32_t pitch, uint32_t k, uint32_t n)
{
    uint32_t lane = threadIdx.x % 32;
    kb_ldmatrix_transposed(b, tile + (k + lane % 16) * pitch + n + lane / 16 * 8);
}

#endif
