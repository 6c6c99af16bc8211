#include "kernels/cpu/cpu.h"

#include <math.h>
#include <string.h>

/* Rows that are rebuilt together: a row of b is widened once for all of them. */
enum { ROWS = 4, MAX_HEAD_DIM = 256 };

struct plan {
    const struct kb_rebuild *a;
    double turns[MAX_HEAD_DIM / 2]; /* per position, of each pair of channels */
};

static void multiply(const struct kb_rebuild *a, uint32_t head, const uint16_t *const x[ROWS],
                     float sum[ROWS][MAX_HEAD_DIM])
{
    uint32_t d = a->head_dim;
    for (uint32_t k = 0; k < a->rank; k++) {
        const uint16_t *from = a->b + ((uint64_t)k * a->n_kv_heads + head) * d;
        float b[MAX_HEAD_DIM];
        for (uint32_t c = 0; c < d; c++) {
            union kb_bits bits;
            bits.u = (uint32_t)from[c] << 16;
            b[c] = bits.f;
        }
        for (uint32_t r = 0; r < ROWS; r++) {
            float weight = kb_bf16_to_float(x[r][k]);
            for (uint32_t c = 0; c < d; c++) sum[r][c] += weight * b[c];
        }
    }
}

static void turn(const struct plan *p, uint32_t position, const float *x, uint16_t *out)
{
    uint32_t half = p->a->head_dim / 2;
    for (uint32_t c = 0; c < half; c++) {
        double turns = position * p->turns[c];
        float angle = (float)(6.283185307179586 * (turns - rint(turns)));
        float sine = sinf(angle), cosine = cosf(angle);
        out[c] = kb_bf16_from_float(x[c] * cosine - x[c + half] * sine);
        out[c + half] = kb_bf16_from_float(x[c + half] * cosine + x[c] * sine);
    }
}

/* Rows first to first + n - 1 of a head. */
static void rebuild_rows(const struct plan *p, uint32_t head, uint32_t first, uint32_t n)
{
    const struct kb_rebuild *a = p->a;
    const uint32_t *rows = a->rows + (uint64_t)head * a->n_rows + first;
    float sum[ROWS][MAX_HEAD_DIM];
    const uint16_t *x[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) x[r] = a->a + (uint64_t)rows[r < n ? r : 0] * a->rank;
    memset(sum, 0, sizeof sum);
    multiply(a, head, x, sum);
    for (uint32_t r = 0; r < n; r++)
        turn(p, rows[r], sum[r], a->out + ((uint64_t)head * a->n_rows + first + r) * a->head_dim);
}

KB_CPU_ENTRY(rebuild)
{
    const struct kb_rebuild *a = args;
    struct plan p = {.a = a};
    (void)queue;
    if (a->head_dim > MAX_HEAD_DIM) return kb_fail(err, "kv_rebuild: head_dim is at most 256");
    for (uint32_t c = 0; c < a->head_dim / 2; c++)
        p.turns[c] = pow(a->theta, -2.0 * c / a->head_dim) / 6.283185307179586;
    uint32_t blocks = (a->n_rows + ROWS - 1) / ROWS;
#pragma omp parallel for
    for (uint32_t i = 0; i < a->n_kv_heads * blocks; i++) {
        uint32_t first = i % blocks * ROWS, left = a->n_rows - first;
        rebuild_rows(&p, i / blocks, first, left < ROWS ? left : ROWS);
    }
    return true;
}
