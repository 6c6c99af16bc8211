/* Where the 16-byte pieces of a bf16 tile lie in shared memory. A tile is cut into blocks of 64 channels; a
 * block keeps each row in 128 bytes, its eight pieces exchanged by exclusive-or with the row number, so
 * that eight rows' pieces of the same channels lie in different banks. This is also the 128-byte swizzle
 * that wgmma reads (PTX ISA, "Shared Memory Matrix Layout"): blocks must start at a multiple of 1024 bytes
 * for that. */
#ifndef KVSIM_KERNELS_SWIZZLE_H
#define KVSIM_KERNELS_SWIZZLE_H

#include "kernels/format.h"

enum { KB_SWIZZLE_BYTES = 128, KB_SWIZZLE_CHANNELS = 64, KB_PIECE_CHANNELS = 8 };

/* Byte of a piece (8 channels) of a row, in a tile of so many rows. */
KB_HD uint32_t kb_swizzle(uint32_t rows, uint32_t row, uint32_t piece)
{
    return ((piece / 8u * rows + row) * 8u + ((piece ^ row) & 7u)) * 16u;
}

/* Bytes of a tile; a last block of fewer channels takes as much as a whole one. */
KB_HD uint32_t kb_swizzle_tile_bytes(uint32_t rows, uint32_t head_dim)
{
    return (head_dim + KB_SWIZZLE_CHANNELS - 1u) / KB_SWIZZLE_CHANNELS * rows * KB_SWIZZLE_BYTES;
}

#endif
