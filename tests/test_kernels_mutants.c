/* Do the kernel checks find bugs? A device that runs the true kernels with one mistake planted: in what a kernel is
 * told (a page too far, a length one short, the wrong scale) or in what comes back (an element never written, a
 * chunk in the place of its neighbour). `check` must fail on at least one of its shapes, for each mistake. */
#include <stddef.h>
#include <stdlib.h>

#include "tests/kernels_help.h"

enum mistake {
    ADD,   /* a uint32 of the arguments is off by `by` */
    SCALE, /* a float of the arguments is a quarter too large */
    FLIP,  /* a choice of two is the other one */
    ENTRY, /* the first entry of a table is off by `by` */
    PAGE,  /* the first page of a table is the next page of the pool */
    SWAP   /* two buffers are taken for each other */
};

struct mutant {
    enum kb_kernel_id kernel;
    const char *what;
    enum mistake mistake;
    size_t at; /* of the number, table or buffer in the arguments */
    int by;
    size_t other; /* PAGE: of struct kb_paged; SWAP: of the other buffer */
};

#define AT(type, member) offsetof(struct type, member)
#define PAGED_MUTANTS(id, type)                                                                              \
    {id, "a page too far", PAGE, AT(type, pages), 0, AT(type, paged)},                                       \
        {id, "the other layout", FLIP, AT(type, paged.layout), 0, 0},                                        \
    {                                                                                                        \
        id, "the last sequence left out", ADD, AT(type, n_seqs), -1, 0                                       \
    }
#define DECODE_MUTANTS(id, type)                                                                             \
    PAGED_MUTANTS(id, type), {id, "a length one short", ENTRY, AT(type, lengths), -1, 0},                    \
        {id, "scales of keys for values", SWAP, AT(type, k_scales), 0, AT(type, v_scales)},                  \
        {id, "a KIVI window too short", ADD, AT(type, paged.residual_tokens), -32, 0},                       \
    {                                                                                                        \
        id, "a query head too few", ADD, AT(type, n_q_heads), -1, 0                                          \
    }

static const struct mutant mutants[] = {
    {KB_GEMM, "the last row left out", ADD, AT(kb_gemm, m), -1, 0},
    {KB_GEMM, "the wrong scale", SCALE, AT(kb_gemm, x_scale), 0, 0},
    PAGED_MUTANTS(KB_ATTN_PREFILL, kb_attn_prefill),
    {KB_ATTN_PREFILL, "a past one short", ENTRY, AT(kb_attn_prefill, past), -1, 0},
    {KB_ATTN_PREFILL, "the first token left out", ENTRY, AT(kb_attn_prefill, q_begin), 1, 0},
    PAGED_MUTANTS(KB_ATTN_SCORE, kb_attn_score),
    {KB_ATTN_SCORE, "a length one short", ENTRY, AT(kb_attn_score, lengths), -1, 0},
    DECODE_MUTANTS(KB_ATTN_DECODE, kb_attn_decode),
    {KB_ATTN_DECODE, "the wrong scale of keys", SCALE, AT(kb_attn_decode, paged.k_scale), 0, 0},
    {KB_ATTN_DECODE, "the wrong scale of values", SCALE, AT(kb_attn_decode, paged.v_scale), 0, 0},
    {KB_ATTN_DECODE, "a window one short", ADD, AT(kb_attn_decode, window), -1, 0},
    {KB_ATTN_DECODE, "a sink one short", ADD, AT(kb_attn_decode, sink), -1, 0},
    DECODE_MUTANTS(KB_ATTN_UNFUSED, kb_attn_unfused),
    PAGED_MUTANTS(KB_APPEND, kb_append),
    {KB_APPEND, "keys for values", SWAP, AT(kb_append, k), 0, AT(kb_append, v)},
    {KB_APPEND, "a position one short", ENTRY, AT(kb_append, past), -1, 0},
    {KB_APPEND, "the wrong scale of keys", SCALE, AT(kb_append, paged.k_scale), 0, 0},
    {KB_APPEND, "the wrong scale of values", SCALE, AT(kb_append, paged.v_scale), 0, 0},
    {KB_APPEND, "the last token left out", ADD, AT(kb_append, n_tokens), -1, 0},
    {KB_GEAR, "the last head left out", ADD, AT(kb_gear, n_heads), -1, 0},
    {KB_GEAR, "an outlier too few", ADD, AT(kb_gear, outliers), -1, 0},
    {KB_GEAR, "a rank too few", ADD, AT(kb_gear, rank), -1, 0},
    {KB_LOWRANK, "the last token left out", ADD, AT(kb_lowrank, tokens), -1, 0},
    {KB_LOWRANK, "a rank too few", ADD, AT(kb_lowrank, rank), -8, 0},
    {KB_REBUILD, "a row too far", ENTRY, AT(kb_rebuild, rows), -1, 0},
    {KB_REBUILD, "the last row left out", ADD, AT(kb_rebuild, n_rows), -1, 0},
    {KB_REBUILD, "another theta", SCALE, AT(kb_rebuild, theta), 0, 0},
    {KB_DIGEST, "a page too far", PAGE, AT(kb_digest, page_list), 0, AT(kb_digest, paged)},
    {KB_DIGEST, "the other layout", FLIP, AT(kb_digest, paged.layout), 0, 0},
    {KB_DIGEST, "the other digest", FLIP, AT(kb_digest, kind), 0, 0},
    {KB_DIGEST, "the last page left out", ADD, AT(kb_digest, n_list), -1, 0},
    {KB_DIGEST, "pages one token short", ADD, AT(kb_digest, paged.page_tokens), -1, 0},
    {KB_PAGE_SCORE, "a page too far", PAGE, AT(kb_page_score, pages), 0, AT(kb_page_score, paged)},
    {KB_PAGE_SCORE, "a page too few", ENTRY, AT(kb_page_score, page_counts), -1, 0},
    {KB_PAGE_SCORE, "the other digest", FLIP, AT(kb_page_score, kind), 0, 0},
    {KB_PAGE_SCORE, "the other pooling", FLIP, AT(kb_page_score, pool), 0, 0},
    {KB_PAGE_SCORE, "the last sequence left out", ADD, AT(kb_page_score, n_seqs), -1, 0},
    {KB_TOPK, "one of k too few", ADD, AT(kb_topk, k), -1, 0},
    {KB_TOPK, "a count one short", ENTRY, AT(kb_topk, counts), -1, 0},
    {KB_TOPK, "the last row left out", ADD, AT(kb_topk, n_rows), -1, 0},
    {KB_SIMILARITY, "another tau", SCALE, AT(kb_similarity, tau), 0, 0},
    {KB_SIMILARITY, "the last sequence left out", ADD, AT(kb_similarity, n_seqs), -1, 0},
    {KB_SIMILARITY, "a query head too few", ADD, AT(kb_similarity, n_q_heads), -1, 0},
    {KB_H2O, "a length one short", ENTRY, AT(kb_h2o, lengths), -1, 0},
    {KB_H2O, "one recent token too few", ADD, AT(kb_h2o, recent), -1, 0},
    {KB_H2O, "the last sequence left out", ADD, AT(kb_h2o, n_seqs), -1, 0},
    {KB_COMPACT, "the wrong token kept", ENTRY, AT(kb_compact, keep), -1, 0},
    {KB_COMPACT, "the last kept token left out", ADD, AT(kb_compact, n_keep), -1, 0},
    {KB_COMPACT, "from a page too far", PAGE, AT(kb_compact, pages_from), 0, AT(kb_compact, paged)},
    {KB_COMPACT, "to a page too far", PAGE, AT(kb_compact, pages_to), 0, AT(kb_compact, paged)},
    {KB_COMPACT, "the other layout", FLIP, AT(kb_compact, paged.layout), 0, 0},
    {KB_RELAYOUT, "the other layout", FLIP, AT(kb_relayout, paged.layout), 0, 0},
    {KB_RELAYOUT, "from a page too far", PAGE, AT(kb_relayout, list_from), 0, AT(kb_relayout, paged)},
    {KB_RELAYOUT, "to a page too far", PAGE, AT(kb_relayout, list_to), 0, AT(kb_relayout, paged)},
    {KB_RELAYOUT, "the last page left out", ADD, AT(kb_relayout, n_list), -1, 0},
    {KB_RELAYOUT, "the head before", ADD, AT(kb_relayout, to_first), -1, 0},
    {KB_RMSNORM, "the last token left out", ADD, AT(kb_rmsnorm, n_tokens), -1, 0},
    {KB_RMSNORM, "residual for input", SWAP, AT(kb_rmsnorm, x), 0, AT(kb_rmsnorm, residual)},
    {KB_ROPE, "a position one short", ENTRY, AT(kb_rope, pos), -1, 0},
    {KB_ROPE, "another theta", SCALE, AT(kb_rope, theta), 0, 0},
    {KB_ROPE, "a query head too few", ADD, AT(kb_rope, n_q_heads), -1, 0},
    {KB_SWIGLU, "the last token left out", ADD, AT(kb_swiglu, n_tokens), -1, 0},
    {KB_SAMPLE, "the last row left out", ADD, AT(kb_sample, n_rows), -1, 0},
    {KB_READ, "the last words left out", ADD, AT(kb_stream, bytes), -16, 0},
    {KB_COPY, "the last words left out", ADD, AT(kb_stream, bytes), -16, 0},
    {KB_GATHER, "the last fragment left out", ADD, AT(kb_gather, n), -1, 0},
    {KB_GATHER, "a fragment from further on", ENTRY, AT(kb_gather, offset_from), 16, 0},
    {KB_GATHER, "a fragment to further on", ENTRY, AT(kb_gather, offset_to), -16, 0},
};
enum { N_MUTANTS = sizeof mutants / sizeof *mutants };

/* --- planting --- */

static bool add(uint32_t *number, int by, int64_t least)
{
    if (*number == UINT32_MAX || (int64_t)*number + by < least) return false;
    *number += (uint32_t)by;
    return true;
}

static bool next_page(uint32_t *page, const struct kb_paged *p)
{
    if (p->n_pages < 2 || *page >= p->n_pages) return false;
    *page = (*page + 1) % p->n_pages;
    return true;
}

static bool swap(void **a, void **b)
{
    void *keep = *a;
    if (*a == *b) return false;
    *a = *b;
    *b = keep;
    return true;
}

/* False where the arguments leave no room for the mistake. */
static bool plant(const struct mutant *m, unsigned char *args)
{
    void *at = args + m->at;
    switch (m->mistake) {
    case ADD:
        return add(at, m->by, 1);
    case SCALE:
        *(float *)at *= 1.25f;
        return *(float *)at != 0;
    case FLIP:
        *(uint32_t *)at ^= 1;
        return true;
    case ENTRY:
        return add(*(uint32_t **)at, m->by, 0);
    case PAGE:
        return next_page(*(uint32_t **)at, (const struct kb_paged *)(args + m->other));
    case SWAP:
        return swap(at, (void **)(args + m->other));
    }
    return false;
}

/* --- a device that makes mistakes --- */

/* How an output comes back wrong. */
enum damage { UNHARMED, UNWRITTEN, REPEATED };

struct faulty {
    struct kb_device base; /* first: a pointer to it is a pointer to this */
    struct kb_device *real;
    const struct mutant *mutant; /* or NULL */
    enum damage damage;
    uint32_t output, n_outputs; /* which of those that come back is damaged; how many came */
    bool planted;
};

/* What kernels of this device see as their queue. */
struct faulty_queue {
    struct faulty *device;
    struct kb_queue *real;
};

static struct kb_device *real_of(struct kb_device *d)
{
    return ((struct faulty *)d)->real;
}

static void *faulty_alloc(struct kb_device *d, size_t bytes, struct kb_error *err)
{
    return real_of(d)->ops->alloc(real_of(d), bytes, err);
}

static void faulty_free(struct kb_device *d, void *p)
{
    real_of(d)->ops->free(real_of(d), p);
}

static bool faulty_upload(struct kb_device *d, void *to, const void *from, size_t bytes, struct kb_error *err)
{
    return real_of(d)->ops->upload(real_of(d), to, from, bytes, err);
}

/* The last 4 bytes that hold something are as they were before. */
static bool unwrite(unsigned char *x, size_t bytes)
{
    static const unsigned char poison[4] = {0xff, 0xff, 0xff, 0xff};
    for (size_t at = bytes / 4 * 4; at >= 4; at -= 4) {
        if (memcmp(x + at - 4, poison, 4) == 0) continue;
        memcpy(x + at - 4, poison, 4);
        return true;
    }
    return false;
}

/* 16 bytes near the middle are those before them, where something lies in both. */
static bool repeat(unsigned char *x, size_t bytes)
{
    for (size_t at = bytes / 32 * 16; at >= 16 && at + 16 <= bytes; at -= 16) {
        if (x[at] == 0xff || x[at - 16] == 0xff || memcmp(x + at, x + at - 16, 16) == 0) continue;
        memcpy(x + at, x + at - 16, 16);
        return true;
    }
    return false;
}

static bool faulty_download(struct kb_device *d, void *to, const void *from, size_t bytes,
                            struct kb_error *err)
{
    struct faulty *f = (struct faulty *)d;
    if (!f->real->ops->download(f->real, to, from, bytes, err)) return false;
    if (f->n_outputs++ != f->output) return true;
    if (f->damage == UNWRITTEN) f->planted = unwrite(to, bytes);
    if (f->damage == REPEATED) f->planted = repeat(to, bytes);
    return true;
}

static struct kb_queue *faulty_queue_new(struct kb_device *d, struct kb_error *err)
{
    struct faulty_queue *q = calloc(1, sizeof *q);
    q->device = (struct faulty *)d;
    q->real = real_of(d)->ops->queue_new(real_of(d), err);
    return (struct kb_queue *)q;
}

static void faulty_queue_free(struct kb_queue *queue)
{
    struct faulty_queue *q = (struct faulty_queue *)queue;
    q->device->real->ops->queue_free(q->real);
    free(q);
}

static bool faulty_wait(struct kb_queue *queue, struct kb_error *err)
{
    struct faulty_queue *q = (struct faulty_queue *)queue;
    return q->device->real->ops->wait(q->real, err);
}

static const struct kb_device_ops faulty_ops = {.alloc = faulty_alloc,
                                                .free = faulty_free,
                                                .upload = faulty_upload,
                                                .download = faulty_download,
                                                .queue_new = faulty_queue_new,
                                                .queue_free = faulty_queue_free,
                                                .wait = faulty_wait};

/* Kernels are found by their place in the table; here all places hold one entry per kernel. */
static bool faulty_launch(struct kb_queue *queue, enum kb_kernel_id id, const void *args,
                          struct kb_error *err)
{
    struct faulty_queue *q = (struct faulty_queue *)queue;
    unsigned char copy[KB_ARGS_BYTES];
    memcpy(copy, args, sizeof copy);
    if (q->device->mutant) q->device->planted = plant(q->device->mutant, copy);
    return q->device->real->kernel[id](q->real, copy, err);
}

/* clang-format off */
#define KERNELS(X) \
    X(KB_GEMM) X(KB_ATTN_PREFILL) X(KB_ATTN_SCORE) X(KB_ATTN_DECODE) X(KB_ATTN_UNFUSED)          \
    X(KB_APPEND) X(KB_GEAR) X(KB_LOWRANK) X(KB_REBUILD) X(KB_DIGEST)                             \
    X(KB_PAGE_SCORE) X(KB_TOPK) X(KB_SIMILARITY) X(KB_H2O) X(KB_COMPACT)                         \
    X(KB_RELAYOUT) X(KB_RMSNORM) X(KB_ROPE) X(KB_SWIGLU) X(KB_SAMPLE)                            \
    X(KB_READ) X(KB_COPY) X(KB_GATHER)
/* clang-format on */
#define ENTRY_OF(id)                                                                                         \
    static bool faulty_##id(struct kb_queue *q, const void *args, struct kb_error *err)                      \
    {                                                                                                        \
        return faulty_launch(q, id, args, err);                                                              \
    }
#define ROW_OF(id) [id] = faulty_##id,
KERNELS(ENTRY_OF)
static kb_launch *const faulty_kernels[KB_N_KERNEL] = {KERNELS(ROW_OF)};

static struct faulty faulty_open(void)
{
    struct kb_error err = {{0}};
    struct faulty f = {.real = kb_device_open("cpu", &err)};
    ck_assert_msg(f.real != NULL, "%s", err.text);
    f.base = *f.real;
    f.base.ops = &faulty_ops;
    f.base.kernel = faulty_kernels;
    return f;
}

/* --- is it caught? --- */

enum outcome { NEVER_PLANTED, MISSED, CAUGHT };

/* Runs shapes until one finds the mistake. */
static enum outcome hunt(struct faulty *f, enum kb_kernel_id id)
{
    struct kb_grid g = check_shapes(kb_kernels[id], f->real);
    enum outcome outcome = NEVER_PLANTED;
    for (size_t i = 0; i < g.n && outcome != CAUGHT; i++) {
        struct kb_verdict v;
        struct kb_error err = {{0}};
        f->planted = false;
        f->n_outputs = 0;
        bool ran = kb_case_check(kb_kernels[id], g.shape[i], 1 + i, &f->base, &v, &err);
        if (f->planted) outcome = ran && v.error <= v.limit ? MISSED : CAUGHT;
    }
    kb_grid_free(&g);
    return outcome;
}

START_TEST(each_mistake_in_what_a_kernel_is_told_is_caught)
{
    struct faulty f = faulty_open();
    f.mutant = &mutants[_i];
    const char *name = kb_kernels[f.mutant->kernel]->name;
    enum outcome outcome = hunt(&f, f.mutant->kernel);
    ck_assert_msg(outcome != NEVER_PLANTED, "%s: no shape has room for: %s", name, f.mutant->what);
    ck_assert_msg(outcome == CAUGHT, "%s: not caught: %s", name, f.mutant->what);
    kb_device_close(f.real);
}
END_TEST

START_TEST(damage_to_any_output_is_caught)
{
    enum kb_kernel_id id = (enum kb_kernel_id)_i;
    struct faulty f = faulty_open();
    do {
        f.damage = UNWRITTEN;
        ck_assert_msg(hunt(&f, id) == CAUGHT, "%s: the end of output %u may stay unwritten",
                      kb_kernels[id]->name, f.output);
        f.damage = REPEATED;
        ck_assert_msg(hunt(&f, id) != MISSED, "%s: a piece of output %u may be that of another place",
                      kb_kernels[id]->name, f.output);
    } while (++f.output < f.n_outputs);
    kb_device_close(f.real);
}
END_TEST

START_TEST(an_unharmed_kernel_is_not_accused)
{
    struct faulty f = faulty_open();
    assert_kernel_is_right(KB_COPY, &f.base, 1);
    kb_device_close(f.real);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kernels_mutants");
    TCase *t = tcase_create("mutants");
    tcase_add_loop_test(t, each_mistake_in_what_a_kernel_is_told_is_caught, 0, N_MUTANTS);
    tcase_add_loop_test(t, damage_to_any_output_is_caught, 0, KB_N_KERNEL);
    tcase_add_test(t, an_unharmed_kernel_is_not_accused);
    suite_add_tcase(s, t);
    return s;
}
