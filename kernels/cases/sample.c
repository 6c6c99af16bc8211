/* Greedy sampling: which token has the largest logit. */
#include "kernels/case.h"

#include "kernels/format.h"

enum { VOCAB, ROWS };
static const char *const keys[] = {"vocab", "seqs", NULL};

/* The largest logit twice or more in every row, and in some rows nothing above zero, where -0 equals 0. */
static void make_ties(struct kb_case *c, uint16_t *logits, const struct kb_sample *a)
{
    for (uint64_t r = 0; r < a->n_rows; r++) {
        uint16_t *row = logits + r * a->vocab;
        bool no_gain = r % 4 == 3;
        for (uint32_t i = 0; no_gain && i < a->vocab; i++) row[i] |= 0x8000u;
        for (int i = 0; i < 3; i++)
            row[kb_random_below(&c->random, a->vocab)] =
                no_gain ? (i == 1 ? 0x8000u : 0) : kb_bf16_from_float(9);
    }
}

static void make(struct kb_case *c)
{
    struct kb_sample a = {.vocab = c->shape[VOCAB], .n_rows = c->shape[ROWS]};
    uint64_t bytes = 2ull * a.vocab * a.n_rows;
    uint16_t *logits = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, bytes);
    if (logits) make_ties(c, logits, &a);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_U32, sizeof(uint32_t) * a.n_rows);
    c->bytes = (double)(bytes + sizeof(uint32_t) * a.n_rows);
    kb_case_args(c, &a, sizeof a);
}

static void reference(const void *args)
{
    const struct kb_sample *a = args;
    for (uint64_t r = 0; r < a->n_rows; r++) {
        const uint16_t *row = a->logits + r * a->vocab;
        uint32_t best = 0;
        for (uint32_t i = 1; i < a->vocab; i++)
            if (kb_bf16_to_float(row[i]) > kb_bf16_to_float(row[best])) best = i;
        a->token[r] = best;
    }
}

/* Whole rows: the ranks of a tensor-parallel group gather the logits first. */
static void grid(struct kb_grid *g)
{
    static const uint32_t check[][2] = {{1, 4},     {7, 9},    {64, 4},   {1000, 5},
                                        {50257, 4}, {4099, 8}, {16384, 2}};
    static const uint32_t seqs[] = {1, 16, 64, 4, 256, 2, 8, 32, 128, 512};
    uint32_t n = g->suite == KB_SUITE_QUICK ? 4 : sizeof seqs / sizeof *seqs;
    if (g->suite == KB_SUITE_CHECK)
        for (uint32_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], 2);
    else
        for (uint32_t i = 0; i < n; i++) kb_grid_add(g, (uint32_t[]){g->model.vocab, seqs[i]}, 2);
}

const struct kb_kernel kb_case_sample = {.id = KB_SAMPLE,
                                         .name = "sample",
                                         .family = "small",
                                         .help = "index of the largest logit of each row",
                                         .keys = keys,
                                         .grid = grid,
                                         .make = make,
                                         .reference = reference};
