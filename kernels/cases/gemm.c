/* Matrix products of a layer: qkv, out, gate and up, down, and the head over the vocabulary. */
#include "kernels/case.h"

#include "kernels/format.h"

enum { FORMAT, N, K, M };
static const char *const keys[] = {"format", "n", "k", "m", NULL};

static uint32_t element_bytes(enum kb_format f)
{
    return f == KB_FP8 ? 1 : 2;
}

static void make(struct kb_case *c)
{
    struct kb_gemm a = {.type = (enum kb_format)c->shape[FORMAT],
                        .m = c->shape[M],
                        .n = c->shape[N],
                        .k = c->shape[K],
                        .x_scale = 0.75f,
                        .w_scale = 0.0625f};
    enum kb_fill fill = a.type == KB_FP8 ? KB_FILL_FP8 : KB_FILL_NORMAL;
    enum kb_type type = a.type == KB_FP8 ? KB_TYPE_BYTES : KB_TYPE_BF16;
    uint64_t each = element_bytes(a.type), x = each * a.m * a.k, w = each * a.n * a.k, y = 2ull * a.m * a.n;
    kb_case_buffer(c, KB_IN, fill, type, x);
    kb_case_buffer(c, KB_IN, fill, type, w);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, y);
    c->bytes = (double)(x + w + y);
    c->flops = 2.0 * a.m * a.n * a.k;
    kb_case_args(c, &a, sizeof a);
}

/* --- reference --- */

static double value(const struct kb_gemm *a, const void *p, uint64_t i)
{
    return a->type == KB_FP8 ? kb_fp8_to_float(((const uint8_t *)p)[i])
                             : kb_bf16_to_float(((const uint16_t *)p)[i]);
}

static void reference(const void *args)
{
    const struct kb_gemm *a = args;
    double scale = a->type == KB_FP8 ? (double)a->x_scale * a->w_scale : 1;
    for (uint64_t i = 0; i < a->m; i++)
        for (uint64_t j = 0; j < a->n; j++) {
            double sum = 0;
            for (uint64_t p = 0; p < a->k; p++)
                sum += value(a, a->x, i * a->k + p) * value(a, a->w, j * a->k + p);
            ((uint16_t *)a->y)[i * a->n + j] = kb_bf16_from_float((float)(scale * sum));
        }
}

/* --- grids --- */

struct product {
    uint32_t n, k;
};

enum { N_PRODUCTS = 5, HEAD = 4 };

static uint32_t share(uint32_t whole, uint32_t parts)
{
    return whole >= parts ? whole / parts : 1;
}

/* Rows as fp8 wants them. */
static uint32_t round_up(uint32_t n)
{
    return (n + 15) / 16 * 16;
}

/* What one of tensor_parallel GPUs multiplies by, the head last. */
static void products(const struct kb_model *m, struct product p[N_PRODUCTS])
{
    uint32_t tp = m->tensor_parallel ? m->tensor_parallel : 1;
    uint32_t q = share(m->n_q_heads, tp), kv = share(m->n_kv_heads, tp), inter = share(m->intermediate, tp);
    p[0] = (struct product){(q + 2 * kv) * m->head_dim, m->hidden};
    p[1] = (struct product){m->hidden, q * m->head_dim};
    p[2] = (struct product){(m->gated_mlp ? 2 : 1) * inter, m->hidden};
    p[3] = (struct product){m->hidden, inter};
    p[HEAD] = (struct product){share(m->vocab, tp), m->hidden};
    for (int i = 0; i < N_PRODUCTS; i++) p[i].n = round_up(p[i].n);
}

static bool has_fp8(const struct kb_grid *g)
{
    return g->device.compute_capability >= 89;
}

static void add(struct kb_grid *g, enum kb_format f, struct product p, uint32_t m)
{
    kb_grid_add(g, (uint32_t[]){f, p.n, p.k, m}, 4);
}

/* A product large in all three: the rate of the matrix units. */
static void add_ceiling(struct kb_grid *g)
{
    uint32_t n = g->cpu ? 1024 : 8192;
    add(g, KB_BF16, (struct product){n, n}, n);
    if (g->cpu || has_fp8(g)) add(g, KB_FP8, (struct product){n, n}, n);
}

static void add_model(struct kb_grid *g, const uint32_t *m, uint32_t n_m, uint32_t head_rows)
{
    struct product p[N_PRODUCTS];
    products(&g->model, p);
    for (enum kb_format f = KB_BF16; f <= (has_fp8(g) ? KB_FP8 : KB_BF16); f++)
        for (uint32_t j = 0; j < n_m; j++)
            for (uint32_t i = 0; i < N_PRODUCTS; i++)
                if (i < HEAD || m[j] <= head_rows) add(g, f, p[i], m[j]);
}

/* Tails of every loop: of vectors (k), of tiles (m, n), of panels (all three). GPUs take whole 16 only. */
static void add_checks(struct kb_grid *g)
{
    static const uint32_t ragged[][3] = {{1, 1, 1},     {7, 72, 1},    {64, 40, 2},   {130, 257, 3},
                                         {33, 65, 4},   {66, 96, 5},   {96, 128, 8},  {31, 33, 17},
                                         {80, 1040, 9}, {5, 600, 131}, {258, 31, 70}, {300, 1100, 150}};
    static const uint32_t whole[][3] = {{16, 16, 1},    {64, 80, 2},    {128, 256, 3},    {576, 1536, 4},
                                        {80, 1040, 17}, {256, 512, 33}, {1024, 576, 130}, {192, 4096, 8}};
    const uint32_t(*shape)[3] = g->cpu ? ragged : whole;
    uint32_t n = g->cpu ? sizeof ragged / sizeof *ragged : sizeof whole / sizeof *whole;
    for (enum kb_format f = KB_BF16; f <= (g->cpu || has_fp8(g) ? KB_FP8 : KB_BF16); f++)
        for (uint32_t i = 0; i < n; i++) add(g, f, (struct product){shape[i][0], shape[i][1]}, shape[i][2]);
}

/* The head has a row per sequence, not per token: on the cpu device no more of them than sequences run there. */
static void grid(struct kb_grid *g)
{
    static const uint32_t full[] = {1, 16, 64, 256, 2048, 8192, 8, 32, 128, 512, 1024, 4096, 2, 4};
    static const uint32_t quick[] = {1, 16, 64, 512, 4096};
    static const uint32_t cpu[] = {1, 4, 16, 64, 256, 8, 2, 32, 128, 512, 3, 6, 12, 24, 48, 96, 192, 384};
    enum { N_FULL = sizeof full / sizeof *full, N_QUICK = sizeof quick / sizeof *quick };
    if (g->suite == KB_SUITE_CHECK) {
        add_checks(g);
        return;
    }
    add_ceiling(g);
    if (g->cpu)
        add_model(g, cpu, sizeof cpu / sizeof *cpu, 64);
    else if (g->suite == KB_SUITE_FULL)
        add_model(g, full, N_FULL, UINT32_MAX);
    else
        add_model(g, quick, N_QUICK, 512);
}

const struct kb_kernel kb_case_gemm = {.id = KB_GEMM,
                                       .name = "gemm",
                                       .family = "gemm",
                                       .help = "y = x w^T, bf16 or fp8, the layers' products and the head's",
                                       .keys = keys,
                                       .limit = 1e-2,
                                       .grid = grid,
                                       .make = make,
                                       .reference = reference};
