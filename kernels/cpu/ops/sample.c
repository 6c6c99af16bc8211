#include "kernels/cpu/vector.h"

#include "kernels/cpu/cpu.h"

enum { BLOCK = 1024 };

/* bf16 as integers in the same order, both zeros 0. */
KB_INLINE int16_t order_of(uint16_t x)
{
    int16_t key = (int16_t)(x & 0x8000u ? ~(x & 0x7fffu) : x);
    return key == -1 ? 0 : key;
}

static int16_t largest(const uint16_t *x, uint32_t n)
{
    int16_t most = INT16_MIN;
    for (uint32_t i = 0; i < n; i++) {
        int16_t key = order_of(x[i]);
        most = key > most ? key : most;
    }
    return most;
}

/* The largest of each block, as vectors of integers; then where in the first best block it stands. */
static uint32_t first_largest(const uint16_t *row, uint32_t n)
{
    uint32_t best = 0;
    int16_t most = INT16_MIN;
    for (uint32_t i = 0; i < n; i += BLOCK) {
        int16_t key = largest(row + i, n - i < BLOCK ? n - i : BLOCK);
        if (key > most) {
            most = key;
            best = i;
        }
    }
    while (order_of(row[best]) != most) best++;
    return best;
}

KB_CPU_ENTRY(sample)
{
    const struct kb_sample *a = args;
    (void)queue;
    (void)err;
#pragma omp parallel for if (a->n_rows > 1)
    for (uint32_t r = 0; r < a->n_rows; r++)
        a->token[r] = first_largest(a->logits + (size_t)r * a->vocab, a->vocab);
    return true;
}
