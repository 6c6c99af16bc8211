/* Root-mean-square norm with the residual's addition fused, as engines run it between the layers' halves. */
#include "kernels/case.h"

#include <math.h>

#include "kernels/format.h"

enum { WIDTH, TOKENS };
static const char *const keys[] = {"width", "tokens", NULL};

/* A first token so faint that eps counts; nothing while measuring, when there is no buffer here. */
static void make_faint(uint16_t *x, uint32_t n)
{
    for (uint32_t i = 0; x && i < n; i++) x[i] = kb_bf16_from_float(0.002f * kb_bf16_to_float(x[i]));
}

static void make(struct kb_case *c)
{
    struct kb_rmsnorm a = {.width = c->shape[WIDTH], .n_tokens = c->shape[TOKENS], .eps = 1e-5f};
    uint64_t row = 2ull * a.width, all = row * a.n_tokens;
    make_faint(kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, all), a.width);
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, row);
    make_faint(kb_case_buffer(c, KB_INOUT, KB_FILL_NORMAL, KB_TYPE_BF16, all), a.width);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, all);
    c->bytes = (double)(4 * all + row);
    kb_case_args(c, &a, sizeof a);
}

static void reference(const void *args)
{
    const struct kb_rmsnorm *a = args;
    for (uint64_t t = 0; t < a->n_tokens; t++) {
        const uint16_t *x = a->x + t * a->width;
        uint16_t *residual = a->residual + t * a->width;
        double squares = 0;
        for (uint32_t i = 0; i < a->width; i++) {
            residual[i] = kb_bf16_from_float(kb_bf16_to_float(residual[i]) + kb_bf16_to_float(x[i]));
            squares += (double)kb_bf16_to_float(residual[i]) * kb_bf16_to_float(residual[i]);
        }
        double scale = 1 / sqrt(squares / a->width + a->eps);
        for (uint32_t i = 0; i < a->width; i++)
            a->y[t * a->width + i] = kb_bf16_from_float(
                (float)(kb_bf16_to_float(residual[i]) * scale * kb_bf16_to_float(a->weight[i])));
    }
}

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][2] = {{8, 1},    {72, 3},   {576, 5},   {1024, 2}, {2056, 2},
                                        {4096, 3}, {8192, 2}, {16392, 1}, {32768, 1}};
    static const uint32_t tokens[] = {1, 16, 64, 256, 4, 1024, 2, 8, 32, 128, 512, 2048, 4096, 8192};
    uint32_t n = g->suite == KB_SUITE_QUICK ? 6 : sizeof tokens / sizeof *tokens;
    if (g->suite == KB_SUITE_CHECK)
        for (uint32_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], 2);
    else
        for (uint32_t i = 0; i < n; i++) kb_grid_add(g, (uint32_t[]){g->model.hidden, tokens[i]}, 2);
}

const struct kb_kernel kb_case_rmsnorm = {.id = KB_RMSNORM,
                                          .name = "rmsnorm",
                                          .family = "small",
                                          .help = "adds the residual and normalises",
                                          .keys = keys,
                                          .limit = 1e-3,
                                          .grid = grid,
                                          .make = make,
                                          .reference = reference};
