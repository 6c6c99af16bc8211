#include "kernels/cpu/cpu.h"

#include <omp.h>
#include <string.h>

enum { PIECE_BYTES = 64 << 10 };

/* `blocks` threads at most, as on a GPU it is thread blocks; large fragments are shared out in pieces. */
KB_CPU_ENTRY(gather)
{
    const struct kb_gather *a = args;
    uint32_t pieces = (a->fragment_bytes + PIECE_BYTES - 1) / PIECE_BYTES,
             most = (uint32_t)omp_get_max_threads();
    (void)queue;
    (void)err;
#pragma omp parallel for collapse(2) num_threads(a->blocks < most ? a->blocks : most)
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t j = 0; j < pieces; j++) {
            uint32_t at = j * PIECE_BYTES, left = a->fragment_bytes - at;
            memcpy((char *)a->to + a->offset_to[i] + at, (const char *)a->from + a->offset_from[i] + at,
                   left < PIECE_BYTES ? left : PIECE_BYTES);
        }
    return true;
}
