#include "kernels/cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { MAX_RANK = 8, MAX_HEAD_DIM = 256 };

/* --- outliers and codes --- */

/* Takes the largest out, one after the other: there are two or three. */
static void take_outliers(const struct kb_gear *a, uint64_t row, float *x)
{
    float size[MAX_HEAD_DIM];
    for (uint32_t i = 0; i < a->head_dim; i++) size[i] = fabsf(x[i]);
    for (uint32_t k = 0; k < a->outliers; k++) {
        float most = -1;
        uint32_t at = 0;
        for (uint32_t i = 0; i < a->head_dim; i++) most = size[i] > most ? size[i] : most;
        while (at + 1 < a->head_dim && size[at] != most) at++;
        a->out_index[row * a->outliers + k] = (uint16_t)at;
        a->out_value[row * a->outliers + k] = kb_fp16_from_float(x[at]);
        size[at] = -1;
        x[at] = 0;
    }
}

static void pack(const uint8_t *code, uint32_t n, uint32_t bits, uint8_t *row)
{
    uint32_t per_byte = 8 / bits;
    for (uint32_t i = 0; i < n / per_byte; i++) {
        uint32_t byte = 0;
        for (uint32_t j = 0; j < per_byte; j++) byte |= (uint32_t)code[i * per_byte + j] << (j * bits);
        row[i] = (uint8_t)byte;
    }
}

/* Codes of a group; x becomes what they lose. */
static struct kb_affine quantise(float *x, uint32_t n, uint32_t bits, uint8_t *code)
{
    float low = x[0], high = x[0], top = (float)((1u << bits) - 1u);
#pragma omp simd reduction(min : low) reduction(max : high)
    for (uint32_t i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    struct kb_affine a = kb_affine_of(low, high, bits);
    float minimum = kb_fp16_to_float(a.minimum), scale = kb_fp16_to_float(a.scale);
    for (uint32_t i = 0; i < n; i++) {
        float c = (x[i] - minimum) / scale;
        c = c < 0 ? 0 : c > top ? top : c;
        int32_t whole = (int32_t)(c + 0.5f);
        code[i] = (uint8_t)whole;
        x[i] -= scale * (float)whole + minimum;
    }
    return a;
}

static void compress_row(const struct kb_gear *a, uint64_t row, float *error)
{
    uint32_t d = a->head_dim;
    const uint16_t *x = a->x + row * d;
    uint16_t *pair = a->scales + row * (d / a->group) * 2;
    uint8_t code[MAX_HEAD_DIM];
    for (uint32_t i = 0; i < d; i++) error[i] = kb_bf16_to_float(x[i]);
    take_outliers(a, row, error);
    for (uint32_t g = 0; g < d; g += a->group, pair += 2) {
        struct kb_affine scale = quantise(error + g, a->group, a->bits, code + g);
        pair[0] = scale.scale;
        pair[1] = scale.minimum;
    }
    pack(code, d, a->bits, a->codes + row * d * a->bits / 8);
    for (uint32_t k = 0; k < a->outliers; k++) { /* what fp16 loses of an outlier */
        uint64_t at = row * a->outliers + k;
        error[a->out_index[at]] += kb_bf16_to_float(x[a->out_index[at]]) - kb_fp16_to_float(a->out_value[at]);
    }
}

/* --- the low-rank rest of a head --- */

struct head {
    const struct kb_gear *a;
    const float *error; /* [tokens][head_dim] */
    float *left;        /* [tokens][MAX_RANK]: error x basis */
    float basis[MAX_RANK][MAX_HEAD_DIM], right[MAX_RANK][MAX_HEAD_DIM]; /* right: error^T left */
    double gram[MAX_RANK][MAX_RANK]; /* left^T left, then its Cholesky factor */
    double inverse[MAX_RANK];        /* of the factor's diagonal; 0 = no such column */
};

/* Any start will do that is not orthogonal to the answer. */
static void start(struct head *h)
{
    uint32_t state = 1;
    for (uint32_t k = 0; k < h->a->rank; k++)
        for (uint32_t i = 0; i < h->a->head_dim; i++) {
            state = state * 1664525u + 1013904223u;
            h->basis[k][i] = (float)(int32_t)state;
        }
}

/* left = error basis, right = error^T left, gram = left^T left, in one pass. */
static void multiply(struct head *h)
{
    uint32_t d = h->a->head_dim, rank = h->a->rank;
    memset(h->right, 0, sizeof h->right);
    memset(h->gram, 0, sizeof h->gram);
    for (uint32_t t = 0; t < h->a->tokens; t++) {
        const float *e = h->error + (uint64_t)t * d;
        float *left = h->left + (uint64_t)t * MAX_RANK;
        for (uint32_t k = 0; k < rank; k++) {
            const float *basis = h->basis[k];
            float *right = h->right[k], sum = 0;
#pragma omp simd reduction(+ : sum)
            for (uint32_t i = 0; i < d; i++) sum += e[i] * basis[i];
            for (uint32_t i = 0; i < d; i++) right[i] += e[i] * sum;
            left[k] = sum;
            for (uint32_t j = 0; j <= k; j++) h->gram[k][j] += (double)left[k] * left[j];
        }
    }
}

/* Cholesky of the Gram matrix: Gram-Schmidt on the columns of left. A column that the ones before it explain
 * to six digits is noise, and left out. */
static void factor(struct head *h)
{
    for (uint32_t k = 0; k < h->a->rank; k++) {
        double whole = h->gram[k][k];
        for (uint32_t j = 0; j <= k; j++) {
            for (uint32_t i = 0; i < j; i++) h->gram[k][j] -= h->gram[k][i] * h->gram[j][i];
            if (j < k) h->gram[k][j] *= h->inverse[j];
        }
        double rest = h->gram[k][k];
        h->inverse[k] = rest > 1e-12 * whole ? 1 / sqrt(rest) : 0;
    }
}

/* basis = right of orthonormal columns, as if left had them. */
static void orthogonalise(struct head *h)
{
    for (uint32_t k = 0; k < h->a->rank; k++) {
        for (uint32_t j = 0; j < k; j++)
            for (uint32_t i = 0; i < h->a->head_dim; i++)
                h->right[k][i] -= (float)h->gram[k][j] * h->basis[j][i];
        for (uint32_t i = 0; i < h->a->head_dim; i++) h->basis[k][i] = h->right[k][i] * (float)h->inverse[k];
    }
}

static void store(const struct head *h, uint32_t head)
{
    uint32_t rank = h->a->rank, d = h->a->head_dim;
    for (uint32_t t = 0; t < h->a->tokens; t++) {
        const float *left = h->left + (uint64_t)t * MAX_RANK;
        uint16_t *a = h->a->a + ((uint64_t)head * h->a->tokens + t) * rank;
        float q[MAX_RANK];
        for (uint32_t k = 0; k < rank; k++) {
            q[k] = left[k];
            for (uint32_t j = 0; j < k; j++) q[k] -= (float)h->gram[k][j] * q[j];
            q[k] *= (float)h->inverse[k];
            a[k] = kb_fp16_from_float(q[k]);
        }
    }
    for (uint32_t k = 0; k < rank; k++)
        for (uint32_t i = 0; i < d; i++)
            h->a->b[((uint64_t)head * rank + k) * d + i] = kb_fp16_from_float(h->basis[k][i]);
}

static void correct_head(const struct kb_gear *a, uint32_t head)
{
    uint64_t rows = (uint64_t)a->n_heads * a->tokens;
    struct head h = {.a = a,
                     .error = a->scratch + (uint64_t)head * a->tokens * a->head_dim,
                     .left = a->scratch + rows * a->head_dim + (uint64_t)head * a->tokens * MAX_RANK};
    start(&h);
    for (uint32_t i = 0; i < a->loops; i++) {
        multiply(&h);
        factor(&h);
        orthogonalise(&h);
    }
    store(&h, head);
}

KB_CPU_ENTRY(gear)
{
    const struct kb_gear *a = args;
    (void)queue;
    if (a->head_dim > MAX_HEAD_DIM || a->rank > MAX_RANK || a->loops == 0)
        return kb_fail(err, "kv_gear: at most 256 channels and rank 8, and at least one loop");
    uint64_t rows = (uint64_t)a->n_heads * a->tokens;
#pragma omp parallel for
    for (uint64_t i = 0; i < rows; i++) compress_row(a, i, a->scratch + i * a->head_dim);
#pragma omp parallel for
    for (uint32_t i = 0; i < a->n_heads; i++) correct_head(a, i);
    return true;
}
