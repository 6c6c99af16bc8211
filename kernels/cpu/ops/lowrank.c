#include "kernels/cpu/cpu.h"

#include <math.h>
#include <string.h>

/* Rows of a product that are summed together: each row of the right operand is fetched once for all of them. */
enum { ROWS = 8, MAX_RANK = 160, WHOLE = 8 };

static inline float bf16(uint16_t x)
{
    union kb_bits b;
    b.u = (uint32_t)x << 16;
    return b.f;
}

struct room {
    float *w, *z; /* [width][rank] */
    double *gram; /* [rank][rank] */
};

static struct room room_of(const struct kb_lowrank *a)
{
    uint64_t n = (uint64_t)a->width * a->rank;
    return (struct room){a->scratch, a->scratch + n, (double *)(a->scratch + 2 * n)};
}

/* --- products --- */

static void add_scaled(float *sum, const float *x, float weight, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) sum[i] += weight * x[i];
}

/* Rows t to t + n - 1 of a = x z. */
static void tall_rows(const struct kb_lowrank *a, const float *z, uint32_t t, uint32_t n)
{
    float sum[ROWS][MAX_RANK] = {{0}};
    for (uint32_t i = 0; i < a->width; i++)
        for (uint32_t r = 0; r < n; r++)
            add_scaled(sum[r], z + (uint64_t)i * a->rank, bf16(a->x[(uint64_t)(t + r) * a->width + i]),
                       a->rank);
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t k = 0; k < a->rank; k++)
            a->a[(uint64_t)(t + r) * a->rank + k] = kb_bf16_from_float(sum[r][k]);
}

static void multiply_tall(const struct kb_lowrank *a, const float *z)
{
#pragma omp parallel for
    for (uint32_t t = 0; t < a->tokens; t += ROWS)
        tall_rows(a, z, t, a->tokens - t < ROWS ? a->tokens - t : ROWS);
}

/* Rows i to i + 7 of w = x^T a. */
static void wide_rows(const struct kb_lowrank *a, float *w, uint32_t i)
{
    float sum[ROWS][MAX_RANK] = {{0}}, y[MAX_RANK];
    for (uint32_t t = 0; t < a->tokens; t++) {
        const uint16_t *x = a->x + (uint64_t)t * a->width + i, *from = a->a + (uint64_t)t * a->rank;
        for (uint32_t k = 0; k < a->rank; k++) y[k] = bf16(from[k]);
        for (uint32_t r = 0; r < ROWS; r++) add_scaled(sum[r], y, bf16(x[r]), a->rank);
    }
    for (uint32_t r = 0; r < ROWS; r++) memcpy(w + (uint64_t)(i + r) * a->rank, sum[r], a->rank * sizeof *w);
}

static void multiply_wide(const struct kb_lowrank *a, float *w)
{
#pragma omp parallel for
    for (uint32_t i = 0; i < a->width; i += ROWS) wide_rows(a, w, i);
}

/* --- Cholesky QR of w, in double: w squares the condition of x --- */

static void make_gram(const struct kb_lowrank *a, const float *w, double *gram)
{
    uint32_t rank = a->rank;
#pragma omp parallel for
    for (uint32_t k = 0; k < rank; k++) {
        double *row = gram + (uint64_t)k * rank;
        memset(row, 0, rank * sizeof *row);
        for (uint32_t i = 0; i < a->width; i++) {
            const float *x = w + (uint64_t)i * rank;
            for (uint32_t j = k; j < rank; j++) row[j] += (double)x[k] * x[j];
        }
    }
}

/* Upper factor in place, 1 / diagonal on its diagonal; a column of which nothing is left but rounding gets 0. */
static void factor(double *gram, uint32_t rank)
{
    for (uint32_t k = 0; k < rank; k++) {
        double *row = gram + (uint64_t)k * rank, whole = row[k];
        for (uint32_t i = 0; i < k; i++) {
            const double *above = gram + (uint64_t)i * rank;
            for (uint32_t j = k; j < rank; j++) row[j] -= above[k] * above[j];
        }
        double inverse = row[k] > 1e-14 * whole ? 1 / sqrt(row[k]) : 0;
        for (uint32_t j = k; j < rank; j++) row[j] *= inverse;
        row[k] = inverse;
    }
}

/* Rows of w times the inverse of the factor. */
static void solve(const struct kb_lowrank *a, float *w, const double *upper)
{
    uint32_t rank = a->rank;
#pragma omp parallel for
    for (uint32_t i = 0; i < a->width; i++) {
        float *x = w + (uint64_t)i * rank;
        for (uint32_t k = 0; k < rank; k++) {
            const double *row = upper + (uint64_t)k * rank;
            x[k] = (float)(x[k] * row[k]);
            for (uint32_t j = k + 1; j < rank; j++) x[j] -= x[k] * (float)row[j];
        }
    }
}

static void orthonormalise(const struct kb_lowrank *a, const struct room *r)
{
    for (int round = 0; round < 2; round++) {
        make_gram(a, r->w, r->gram);
        factor(r->gram, a->rank);
        solve(a, r->w, r->gram);
    }
}

/* z and b hold what a will be multiplied with: the same rounded numbers. */
static void keep(const struct kb_lowrank *a, const struct room *r)
{
    for (uint32_t i = 0; i < a->width; i++)
        for (uint32_t k = 0; k < a->rank; k++) {
            uint16_t z = kb_bf16_from_float(r->w[(uint64_t)i * a->rank + k]);
            r->z[(uint64_t)i * a->rank + k] = bf16(z);
            a->b[(uint64_t)k * a->width + i] = z;
        }
}

KB_CPU_ENTRY(lowrank)
{
    const struct kb_lowrank *a = args;
    struct room r = room_of(a);
    (void)queue;
    if (a->rank % WHOLE || a->width % WHOLE || a->rank > MAX_RANK || a->loops == 0)
        return kb_fail(err,
                       "kv_lowrank: rank %u of width %u: multiples of 8, rank 160 at most, at least one loop",
                       (unsigned)a->rank, (unsigned)a->width);
    for (uint32_t i = 0; i < a->loops; i++) {
        multiply_tall(a, i ? r.z : a->omega);
        multiply_wide(a, r.w);
        orthonormalise(a, &r);
        keep(a, &r);
    }
    multiply_tall(a, r.z);
    return true;
}
