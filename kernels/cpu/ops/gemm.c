#include "kernels/cpu/vector.h"

#include <omp.h>

#include "kernels/cpu/cpu.h"

/* Two ways. Tiles: dot products of a few rows of w with a few of x, straight from bf16, so that few rows of x
 * cost one pass over the weights at the speed of memory. Panels: blocks of x and w are widened to fp32, small
 * enough for the second-level cache, and OpenBLAS multiplies them; from BLAS_ROWS rows on it wins or draws
 * (measured on Zen 4, k = 576 to 3072). fp8 is widened first, to bf16 (exact) or fp32. What is widened lies on
 * the stack of the thread that does it: nothing is allocated or shared, and its size does not depend on the
 * product's. */
enum {
    BLAS_ROWS = 64,
    TILE_N = 4,                    /* rows of w in a tile */
    TILE_M = KB_LANES > 8 ? 4 : 3, /* rows of x: the accumulators must fit the registers */
    STRIP_N = 32,                  /* of w and x that a thread takes at a time: in the second-level cache */
    STRIP_M = 64,
    STRIP_K = 1024, /* of fp8, widened */
    PANEL_M = 128,
    PANEL_N = 256,
    PANEL_K = 384
};

/* Rows of bf16, `pitch` elements apart. */
struct rows {
    const uint16_t *at;
    size_t pitch;
};

/* --- tiles: dot products of rows of w with rows of x --- */

struct tile {
    float sum[TILE_M][TILE_N];
};

KB_INLINE void dot(struct tile *t, struct rows w, struct rows x, size_t k, const int n, const int m)
{
    kb_floats sum[TILE_M][TILE_N] = {{{0}}};
    size_t whole = k - k % (2 * KB_LANES);
    for (size_t p = 0; p < whole; p += 2 * KB_LANES) {
        struct kb_even_odd xs[TILE_M];
#pragma GCC unroll 4
        for (int j = 0; j < m; j++) xs[j] = kb_split_bf16(x.at + j * x.pitch + p);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            struct kb_even_odd ws = kb_split_bf16(w.at + i * w.pitch + p);
#pragma GCC unroll 4
            for (int j = 0; j < m; j++) {
                sum[j][i] = KB_FLOATS_FMA(ws.even, xs[j].even, sum[j][i]);
                sum[j][i] = KB_FLOATS_FMA(ws.odd, xs[j].odd, sum[j][i]);
            }
        }
    }
    kb_lanes_sums(sum[0], TILE_N * TILE_M, t->sum[0]);
    if (whole == k) return;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            for (size_t p = whole; p < k; p++)
                t->sum[j][i] +=
                    kb_bf16_to_float(w.at[i * w.pitch + p]) * kb_bf16_to_float(x.at[j * x.pitch + p]);
}

/* n rows of w by m of x. Unrolled for whole tiles and for few rows of x; the last rows of w, at most three of a
 * product, go one by one. */
static void dot_tile(struct tile *t, struct rows w, struct rows x, size_t k, int n, int m)
{
    if (n < TILE_N) {
        struct tile one;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < m; j++) {
                dot(&one, (struct rows){w.at + i * w.pitch, 0}, (struct rows){x.at + j * x.pitch, 0}, k, 1,
                    1);
                t->sum[j][i] = one.sum[0][0];
            }
        return;
    }
    switch (m) {
    case 1:
        dot(t, w, x, k, TILE_N, 1);
        break;
    case 2:
        dot(t, w, x, k, TILE_N, 2);
        break;
    case 3:
        dot(t, w, x, k, TILE_N, 3);
        break;
    default:
        dot(t, w, x, k, TILE_N, TILE_M);
    }
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

struct block {
    uint32_t n0, n, m0, m; /* rows of w and of x */
};

/* Sums of a block, rows `pitch` apart, to bf16 in y. */
static void store(const struct kb_gemm *a, struct block b, const float *sum, size_t pitch)
{
    float scale = a->type == KB_FP8 ? a->x_scale * a->w_scale : 1;
    for (uint32_t j = 0; j < b.m; j++) {
        uint16_t *y = (uint16_t *)a->y + (size_t)(b.m0 + j) * a->n + b.n0;
        for (uint32_t i = 0; i < b.n; i++) y[i] = kb_round_bf16(scale * sum[j * pitch + i]);
    }
}

/* --- by tiles --- */

struct strip {
    uint16_t x[STRIP_M][STRIP_K], w[STRIP_N][STRIP_K];
    float sum[STRIP_M][STRIP_N];
};

/* fp8 fits in bf16, so the lower half is 0. */
static void widen_row(const uint8_t *restrict x, uint16_t *restrict y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        union kb_bits b;
        b.f = kb_fp8_value(x[i]);
        y[i] = (uint16_t)(b.u >> 16);
    }
}

/* Columns k0 to k0 + k - 1 of n rows as bf16: where they are, or widened. */
static struct rows rows_of(const struct kb_gemm *a, const void *from, uint32_t row, uint32_t n, uint32_t k0,
                           uint32_t k, uint16_t (*room)[STRIP_K])
{
    size_t at = (size_t)row * a->k + k0;
    if (a->type == KB_BF16) return (struct rows){(const uint16_t *)from + at, a->k};
    for (uint32_t i = 0; i < n; i++) widen_row((const uint8_t *)from + at + (size_t)i * a->k, room[i], k);
    return (struct rows){room[0], STRIP_K};
}

static void add_tiles(struct strip *s, struct rows w, struct rows x, struct block b, uint32_t k)
{
    struct tile t;
    for (uint32_t i = 0; i < b.n; i += TILE_N)
        for (uint32_t j = 0; j < b.m; j += TILE_M) {
            uint32_t n = least(b.n - i, TILE_N), m = least(b.m - j, TILE_M);
            dot_tile(&t, (struct rows){w.at + i * w.pitch, w.pitch},
                     (struct rows){x.at + j * x.pitch, x.pitch}, k, (int)n, (int)m);
            for (uint32_t jj = 0; jj < m; jj++)
                for (uint32_t ii = 0; ii < n; ii++) s->sum[j + jj][i + ii] += t.sum[jj][ii];
        }
}

static void by_tiles(const struct kb_gemm *a, struct block b)
{
    _Alignas(64) struct strip s;
    uint32_t slice = a->type == KB_BF16 ? a->k : STRIP_K;
    memset(s.sum, 0, b.m * sizeof *s.sum);
    for (uint32_t k0 = 0; k0 < a->k; k0 += slice) {
        uint32_t k = least(a->k - k0, slice);
        struct rows w = rows_of(a, a->w, b.n0, b.n, k0, k, s.w), x = rows_of(a, a->x, b.m0, b.m, k0, k, s.x);
        add_tiles(&s, w, x, b, k);
    }
    store(a, b, s.sum[0], STRIP_N);
}

/* --- by panels --- */

struct panels {
    float x[PANEL_M][PANEL_K], w[PANEL_N][PANEL_K], part[PANEL_M][PANEL_N], sum[PANEL_M][PANEL_N];
};

static void widen(const struct kb_gemm *a, const void *rows, size_t at, float *to, size_t n)
{
    if (a->type == KB_FP8)
        kb_widen_fp8((const uint8_t *)rows + at, to, n);
    else
        kb_widen_bf16((const uint16_t *)rows + at, to, n);
}

static void by_panels(const struct kb_gemm *a, struct block b, kb_sgemm *sgemm)
{
    _Alignas(64) struct panels p;
    for (uint32_t k0 = 0; k0 < a->k; k0 += PANEL_K) {
        uint32_t k = least(a->k - k0, PANEL_K);
        for (uint32_t j = 0; j < b.m; j++) widen(a, a->x, (size_t)(b.m0 + j) * a->k + k0, p.x[j], k);
        for (uint32_t i = 0; i < b.n; i++) widen(a, a->w, (size_t)(b.n0 + i) * a->k + k0, p.w[i], k);
        sgemm(b.m, b.n, k, p.x[0], PANEL_K, p.w[0], PANEL_K, k0 ? p.part[0] : p.sum[0], PANEL_N);
        for (uint32_t j = 0; k0 && j < b.m; j++)
            for (uint32_t i = 0; i < b.n; i++) p.sum[j][i] += p.part[j][i];
    }
    store(a, b, p.sum[0], PANEL_N);
}

/* --- both --- */

/* Rows of a block: at most `most`, whole tiles, and so that every thread gets as many blocks. */
static uint32_t even_rows(uint32_t n, uint32_t most, uint32_t threads)
{
    uint32_t rounds = (n + most * threads - 1) / (most * threads), blocks = rounds * threads;
    return least(((n + blocks - 1) / blocks + TILE_N - 1) / TILE_N * TILE_N, most);
}

KB_CPU_ENTRY(gemm)
{
    const struct kb_gemm *a = args;
    kb_sgemm *sgemm = a->m < BLAS_ROWS ? NULL : kb_blas_sgemm();
    uint32_t step_m = even_rows(a->m, sgemm ? PANEL_M : STRIP_M, 1);
    uint32_t step_n = even_rows(a->n, sgemm ? PANEL_N : STRIP_N, (uint32_t)omp_get_max_threads());
    (void)queue;
    (void)err;
#pragma omp parallel for collapse(2) schedule(dynamic)
    for (uint32_t n0 = 0; n0 < a->n; n0 += step_n)
        for (uint32_t m0 = 0; m0 < a->m; m0 += step_m) {
            struct block b = {n0, least(a->n - n0, step_n), m0, least(a->m - m0, step_m)};
            if (sgemm)
                by_panels(a, b, sgemm);
            else
                by_tiles(a, b);
        }
    return true;
}
