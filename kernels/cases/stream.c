/* The two ceilings of memory: reading, as most kernels do, and copying. */
#include "kernels/case.h"

#include <string.h>

enum { BYTES };
static const char *const keys[] = {"bytes", NULL};

/* --- read --- */

static void make_read(struct kb_case *c)
{
    struct kb_stream a = {.bytes = c->shape[BYTES]};
    kb_case_buffer(c, KB_IN, KB_FILL_BYTES, KB_TYPE_BYTES, a.bytes);
    uint32_t *sum = kb_case_buffer(c, KB_INOUT, KB_FILL_GIVEN, KB_TYPE_U32, sizeof *sum);
    *sum = (uint32_t)kb_random_next(&c->random);
    c->bytes = (double)a.bytes;
    kb_case_args(c, &a, sizeof a);
}

static void reference_read(const void *args)
{
    const struct kb_stream *a = args;
    const uint32_t *word = a->from;
    for (uint64_t i = 0; i < a->bytes / 4; i++) *(uint32_t *)a->to += word[i];
}

/* --- copy --- */

static void make_copy(struct kb_case *c)
{
    struct kb_stream a = {.bytes = c->shape[BYTES]};
    kb_case_buffer(c, KB_IN, KB_FILL_BYTES, KB_TYPE_BYTES, a.bytes);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BYTES, a.bytes);
    c->bytes = 2.0 * (double)a.bytes;
    kb_case_args(c, &a, sizeof a);
}

static void reference_copy(const void *args)
{
    const struct kb_stream *a = args;
    memcpy(a->to, a->from, a->bytes);
}

/* --- grid --- */

/* The largest is the ceiling; the others show from which size on it is reached, and what a launch costs. */
static void grid(struct kb_grid *g)
{
    static const uint32_t check[] = {16, 48, 4096, 4112, 65536 + 16, 300000 * 16};
    static const uint32_t gpu[] = {1u << 30, 1u << 28, 1u << 26, 1u << 24, 1u << 22, 1u << 20, 1u << 16};
    static const uint32_t cpu[] = {1u << 28, 1u << 26, 1u << 24, 1u << 22, 1u << 20, 1u << 16};
    enum {
        N_CHECK = sizeof check / sizeof *check,
        N_GPU = sizeof gpu / sizeof *gpu,
        N_CPU = sizeof cpu / sizeof *cpu
    };
    const uint32_t *bytes = g->suite == KB_SUITE_CHECK ? check : g->cpu ? cpu : gpu;
    uint32_t n = g->suite == KB_SUITE_CHECK ? N_CHECK : g->cpu ? N_CPU : N_GPU;
    for (uint32_t i = 0; i < n; i++) kb_grid_add(g, &bytes[i], 1);
}

const struct kb_kernel kb_case_read = {.id = KB_READ,
                                       .name = "read",
                                       .family = "ceiling",
                                       .help = "reads memory and adds it up: the read bandwidth",
                                       .keys = keys,
                                       .grid = grid,
                                       .make = make_read,
                                       .reference = reference_read};

const struct kb_kernel kb_case_copy = {.id = KB_COPY,
                                       .name = "copy",
                                       .family = "ceiling",
                                       .help = "copies memory to memory; bytes per second count both ways",
                                       .keys = keys,
                                       .grid = grid,
                                       .make = make_copy,
                                       .reference = reference_copy};
