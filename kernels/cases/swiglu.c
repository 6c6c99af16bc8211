/* The gate of the feed-forward layer. */
#include "kernels/case.h"

#include <math.h>

#include "kernels/format.h"

enum { WIDTH, TOKENS };
static const char *const keys[] = {"width", "tokens", NULL};

/* Normal inputs, and where buffers are made here gates far out on both sides, where an exponential ends. */
static void make(struct kb_case *c)
{
    static const float far[] = {-200, -90, -80, 80, 90, 200};
    struct kb_swiglu a = {.width = c->shape[WIDTH], .n_tokens = c->shape[TOKENS]};
    uint64_t y = 2ull * a.width * a.n_tokens;
    uint16_t *x = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, 2 * y);
    for (uint32_t i = 0; x && i < sizeof far / sizeof *far; i++) x[i] = kb_bf16_from_float(far[i]);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, y);
    c->bytes = (double)(3 * y);
    kb_case_args(c, &a, sizeof a);
}

static void reference(const void *args)
{
    const struct kb_swiglu *a = args;
    for (uint64_t t = 0; t < a->n_tokens; t++)
        for (uint64_t i = 0; i < a->width; i++) {
            double gate = kb_bf16_to_float(a->x[2 * t * a->width + i]);
            double up = kb_bf16_to_float(a->x[(2 * t + 1) * a->width + i]);
            a->y[t * a->width + i] = kb_bf16_from_float((float)(gate / (1 + exp(-gate)) * up));
        }
}

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][2] = {{8, 1}, {72, 3}, {1536, 2}, {14336, 1}, {264, 130}};
    static const uint32_t tokens[] = {1, 16, 64, 256, 4, 1024, 2, 8, 32, 128, 512, 2048, 4096, 8192};
    uint32_t n = g->suite == KB_SUITE_QUICK ? 6 : sizeof tokens / sizeof *tokens,
             parts = g->model.tensor_parallel ? g->model.tensor_parallel : 1;
    if (g->suite == KB_SUITE_CHECK)
        for (uint32_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], 2);
    else
        for (uint32_t i = 0; i < n; i++)
            kb_grid_add(g, (uint32_t[]){g->model.intermediate / parts / 8 * 8, tokens[i]}, 2);
}

const struct kb_kernel kb_case_swiglu = {.id = KB_SWIGLU,
                                         .name = "swiglu",
                                         .family = "small",
                                         .help = "silu(gate) times up",
                                         .keys = keys,
                                         .limit = 1e-3,
                                         .grid = grid,
                                         .make = make,
                                         .reference = reference};
