/* Fragments from anywhere into place: here within the device's memory, which shows what the kernel itself can
 * do; over the link it is a method of the transfer probe. */
#include "kernels/case.h"

#include <string.h>

enum { FRAGMENT_BYTES, N, BLOCKS, N_KEYS };
static const char *const keys[] = {"fragment_bytes", "n", "blocks", NULL};

/* Sources in any order out of twice the room; targets side by side, the last first. */
static void make_offsets(struct kb_case *c, uint64_t *from, uint64_t *to, uint32_t n)
{
    uint64_t bytes = c->shape[FRAGMENT_BYTES];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = kb_random_below(&c->random, i + 1); /* inside-out shuffle */
        from[i] = from[j];
        from[j] = (2 * i + kb_random_below(&c->random, 2)) * bytes;
        to[i] = (n - 1 - i) * bytes;
    }
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_gather a = {.n = s[N], .fragment_bytes = s[FRAGMENT_BYTES], .blocks = s[BLOCKS]};
    uint64_t bytes = (uint64_t)s[N] * s[FRAGMENT_BYTES];
    kb_case_buffer(c, KB_IN, KB_FILL_BYTES, KB_TYPE_BYTES, 2 * bytes);
    uint64_t *from = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_BYTES, s[N] * sizeof *from);
    uint64_t *to = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_BYTES, s[N] * sizeof *to);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BYTES, bytes);
    make_offsets(c, from, to, s[N]);
    c->bytes = 2.0 * (double)bytes + 16.0 * s[N];
    kb_case_args(c, &a, sizeof a);
}

static void reference(const void *args)
{
    const struct kb_gather *a = args;
    for (uint32_t i = 0; i < a->n; i++)
        memcpy((char *)a->to + a->offset_to[i], (const char *)a->from + a->offset_from[i], a->fragment_bytes);
}

/* Fragments of each size up to the same sum of bytes. */
static void add_sizes(struct kb_grid *g, uint32_t total_bytes, uint32_t blocks)
{
    static const uint32_t bytes[] = {16384, 256, 8192, 65536, 2097152};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        kb_grid_add(g, (uint32_t[]){bytes[i], total_bytes / bytes[i], blocks}, N_KEYS);
}

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][N_KEYS] = {{256, 70, 3}, {16, 5, 1},   {16384, 3, 2},
                                             {8192, 1, 4}, {48, 129, 2}, {4112, 7, 5}};
    if (g->suite == KB_SUITE_CHECK) {
        for (size_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], N_KEYS);
        return;
    }
    if (g->cpu) {
        add_sizes(g, 32 << 20, 2);
        return;
    }
    add_sizes(g, 256 << 20, 32);
    if (g->suite == KB_SUITE_QUICK) return;
    add_sizes(g, 256 << 20, 8);
    for (uint32_t blocks = 4; blocks <= 128; blocks *= 2)
        kb_grid_add(g, (uint32_t[]){16384, 16384, blocks}, N_KEYS);
}

const struct kb_kernel kb_case_gather = {
    .id = KB_GATHER,
    .name = "gather",
    .family = "move",
    .help = "fragments of 256 B to 2 MB from anywhere into place",
    .keys = keys,
    .limit = 0,
    .grid = grid,
    .make = make,
    .reference = reference,
};
