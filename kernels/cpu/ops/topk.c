#include "kernels/cpu/cpu.h"

#include <string.h>

/* Radix select: the k-th largest key is found digit by digit from the top, each time counting only what
 * agrees with the digits so far. Three passes of 11, 11 and 10 bits, then one that takes what is larger. */
enum { BINS = 2048, N_DIGITS = 3 };
static const uint32_t digit_shift[N_DIGITS] = {21, 10, 0}, digit_mask[N_DIGITS] = {2047, 2047, 1023};

/* Bits of a float in an order that unsigned integers keep. */
static uint32_t ordered(float x)
{
    union kb_bits b = {x};
    return b.u & 0x80000000u ? ~b.u : b.u | 0x80000000u;
}

/* Next digit of the k-th largest, given the ones above it in *prefix; takes from *need what lies above. */
static void next_digit(const float *score, uint32_t n, uint32_t digit, uint32_t *prefix, uint32_t *need)
{
    uint32_t bins[BINS], shift = digit_shift[digit], known = digit ? ~0u << digit_shift[digit - 1] : 0;
    memset(bins, 0, sizeof bins);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = ordered(score[i]);
        if (((key ^ *prefix) & known) == 0) bins[(key >> shift) & digit_mask[digit]]++;
    }
    uint32_t bin = digit_mask[digit];
    for (; bins[bin] < *need; bin--) *need -= bins[bin];
    *prefix |= bin << shift;
}

static void select_row(const float *score, uint32_t n, uint32_t k, uint32_t *index)
{
    uint32_t prefix = 0, need = k, taken = 0;
    if (n <= k) {
        for (uint32_t i = 0; i < k; i++) index[i] = i < n ? i : UINT32_MAX;
        return;
    }
    for (uint32_t digit = 0; digit < N_DIGITS; digit++) next_digit(score, n, digit, &prefix, &need);
    for (uint32_t i = 0; taken < k; i++) {
        uint32_t key = ordered(score[i]);
        if (key > prefix || (key == prefix && need > 0)) {
            need -= key == prefix;
            index[taken++] = i;
        }
    }
}

KB_CPU_ENTRY(topk)
{
    const struct kb_topk *a = args;
    (void)queue;
    (void)err;
#pragma omp parallel for
    for (uint32_t r = 0; r < a->n_rows; r++)
        select_row(a->score + (uint64_t)r * a->width, a->counts[r], a->k, a->index + (uint64_t)r * a->k);
    return true;
}
