/* What copies cost the kernels that run beside them, and the reverse: a matrix product or a decode attention of
 * the model alone, the copies alone, then both at once. Copies by DMA take memory bandwidth only; a gather kernel
 * takes multiprocessors too. */
#include <stdlib.h>
#include <string.h>

#include "kernels/probe.h"
#include "kernels/probes/copier.h"

enum { KERNEL, METHOD, FRAGMENT_BYTES, BLOCKS, M, N, K, SEQS, TOKENS, Q_HEADS, KV_HEADS, HEAD_DIM, N_KEYS };
enum { GEMM, ATTENTION };
enum { MOST_LAUNCHES = 256, MOST_REPEATS = 64, ROUNDS = 3, PAGE_TOKENS = 16 };
#define RUN_S 3e-3 /* of kernels between two looks at the clock */

static const char *const keys[] = {"kernel", "method", "fragment_bytes", "blocks",   "m",        "n", "k",
                                   "seqs",   "tokens", "q_heads",        "kv_heads", "head_dim", NULL};
/* Of one launch; of one round of copies. */
static const char *const values[] = {"alone_s", "together_s", "copy_alone_s", "copy_s", NULL};

struct state {
    struct kb_device *device;
    struct kb_loaded *loaded;
    kb_launch *launch;
    struct kb_queue *queue;
    struct kb_event *start, *stop;
    struct kb_copier *copier;
    uint32_t n_launches;
};

static void end(void *state)
{
    struct state *s = state;
    kb_copier_free(s->copier);
    if (s->queue) s->device->ops->queue_free(s->queue);
    if (s->start) s->device->link->event_free(s->start);
    if (s->stop) s->device->link->event_free(s->stop);
    kb_loaded_free(s->loaded);
    free(s);
}

/* --- the kernel --- */

struct setting {
    const char *key;
    uint32_t value;
};

/* Numbers by name; those that a kernel does not have are passed over, those not named stay 0. */
static void name_shape(const struct kb_kernel *k, const struct setting *set, uint32_t n, uint32_t *shape)
{
    memset(shape, 0, KB_MAX_KEYS * sizeof *shape);
    for (uint32_t i = 0; k->keys[i]; i++)
        for (uint32_t j = 0; j < n; j++)
            if (strcmp(k->keys[i], set[j].key) == 0) shape[i] = set[j].value;
}

static const struct kb_kernel *choose(const uint32_t *shape, uint32_t *out)
{
    const struct setting set[] = {{"format", KB_BF16},
                                  {"m", shape[M]},
                                  {"n", shape[N]},
                                  {"k", shape[K]},
                                  {"seqs", shape[SEQS]},
                                  {"tokens", shape[TOKENS]},
                                  {"q_heads", shape[Q_HEADS]},
                                  {"kv_heads", shape[KV_HEADS]},
                                  {"head_dim", shape[HEAD_DIM]},
                                  {"page_tokens", PAGE_TOKENS},
                                  {"layout", KB_NHD}};
    const struct kb_kernel *k = kb_kernels[shape[KERNEL] == GEMM ? KB_GEMM : KB_ATTN_DECODE];
    if (k) name_shape(k, set, sizeof set / sizeof *set, out);
    return k;
}

static bool load(struct state *s, const uint32_t *shape, struct kb_error *err)
{
    uint32_t kernel_shape[KB_MAX_KEYS];
    const struct kb_kernel *k = choose(shape, kernel_shape);
    s->launch = k ? s->device->kernel[k->id] : NULL;
    if (!s->launch) return kb_fail(err, "not available: %s lacks the kernel", s->device->info.name);
    struct kb_case *c = kb_case_new(k, kernel_shape, 1, false);
    s->loaded = kb_case_load(c, s->device, err);
    kb_case_free(c);
    return s->loaded != NULL;
}

/* Seconds of one launch, mean of n. */
static bool run(struct state *s, uint32_t n, double *seconds, struct kb_error *err)
{
    const struct kb_link_ops *link = s->device->link;
    if (!link->event_record(s->start, s->queue, err)) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!s->launch(s->queue, s->loaded->args.bytes, err)) return false;
    if (!link->event_record(s->stop, s->queue, err) || !s->device->ops->wait(s->queue, err) ||
        !link->event_seconds(s->start, s->stop, seconds, err))
        return false;
    *seconds /= n;
    return true;
}

static bool warm_up(struct state *s, struct kb_error *err)
{
    double seconds;
    if (!run(s, 1, &seconds, err) || !run(s, 1, &seconds, err)) return false;
    double n = seconds > 0 ? RUN_S / seconds : MOST_LAUNCHES;
    s->n_launches = n < 1 ? 1 : n > MOST_LAUNCHES ? MOST_LAUNCHES : (uint32_t)n;
    return true;
}

static void *begin(struct kb_device *d, const uint32_t *shape, struct kb_error *err)
{
    const struct kb_traffic_plan plan = {.method = (enum kb_method)shape[METHOD],
                                         .direction = KB_TO_DEVICE,
                                         .n = (strcmp(d->kind, "cpu") == 0 ? 4u << 20 : 32u << 20) /
                                              shape[FRAGMENT_BYTES],
                                         .fragment_bytes = shape[FRAGMENT_BYTES],
                                         .blocks = shape[BLOCKS]};
    struct state *s = calloc(1, sizeof *s);
    if (!s) abort();
    s->device = d;
    s->queue = d->ops->queue_new(d, err);
    s->start = s->queue ? d->link->event_new(d, err) : NULL;
    s->stop = s->start ? d->link->event_new(d, err) : NULL;
    s->copier = s->stop ? kb_copier_new(d, &plan, err) : NULL;
    if (s->copier && load(s, shape, err) && warm_up(s, err)) return s;
    end(s);
    return NULL;
}

/* --- one go --- */

static double round_s(struct kb_copier_count from, struct kb_copier_count to)
{
    return to.rounds > from.rounds ? (to.busy_s - from.busy_s) / (double)(to.rounds - from.rounds) : 0;
}

/* Kernels until the copier has finished some rounds beside them. */
static bool run_together(struct state *s, double *value, struct kb_error *err)
{
    struct kb_copier_count from = {0}, to;
    double sum = 0, seconds;
    uint32_t n = 0;
    do {
        if (!run(s, s->n_launches, &seconds, err) || !kb_copier_is_well(s->copier, err)) return false;
        sum += seconds;
        to = kb_copier_read(s->copier);
        if (n++ == 0) from = to;
    } while (n < MOST_REPEATS && to.rounds < from.rounds + ROUNDS);
    value[1] = sum / n;
    value[3] = round_s(from, to);
    return true;
}

static bool sample(void *state, double *value, struct kb_error *err)
{
    struct state *s = state;
    if (!run(s, s->n_launches, &value[0], err)) return false;
    struct kb_copier_count from = kb_copier_read(s->copier);
    kb_copier_go(s->copier);
    kb_copier_await(s->copier, ROUNDS);
    value[2] = round_s(from, kb_copier_read(s->copier));
    bool ok = kb_copier_is_well(s->copier, err) && run_together(s, value, err);
    kb_copier_rest(s->copier);
    return ok;
}

/* --- shapes --- */

static uint32_t share(uint32_t whole, uint32_t parts)
{
    return whole / parts > 0 ? whole / parts : 1;
}

static void add(struct kb_grid *g, uint32_t kernel, uint32_t size, const uint32_t *copy)
{
    const struct kb_model *model = &g->model;
    uint32_t key[N_KEYS] = {kernel, copy[0], copy[1], copy[2]};
    if (kernel == GEMM) {
        key[M] = size;
        key[N] = share(2 * model->intermediate, model->tensor_parallel);
        key[K] = model->hidden;
    } else {
        key[SEQS] = g->cpu ? 4 : 16;
        key[TOKENS] = size;
        key[Q_HEADS] = share(model->n_q_heads, model->tensor_parallel);
        key[KV_HEADS] = share(model->n_kv_heads, model->tensor_parallel);
        key[HEAD_DIM] = model->head_dim;
    }
    kb_grid_add(g, key, N_KEYS);
}

/* DMA at its best (2 MB pieces), DMA of pages, and the kernel from few blocks to many. */
static void grid(struct kb_grid *g)
{
    static const uint32_t copy[][3] = {{KB_BY_LOOP, 2097152, 0}, {KB_BY_KERNEL, 16384, 16},
                                       {KB_BY_BATCH, 16384, 0},  {KB_BY_KERNEL, 16384, 4},
                                       {KB_BY_KERNEL, 16384, 8}, {KB_BY_KERNEL, 16384, 32},
                                       {KB_BY_LOOP, 16384, 0}};
    uint32_t n = g->suite == KB_SUITE_FULL ? sizeof copy / sizeof *copy : g->suite == KB_SUITE_QUICK ? 2 : 1;
    if (g->model.hidden == 0 || g->model.tensor_parallel == 0) return; /* no model, no shapes */
    for (uint32_t i = 0; i < n; i++) {
        add(g, ATTENTION, g->cpu ? 512 : 4096, copy[i]);
        add(g, GEMM, g->cpu ? 64 : 256, copy[i]);
        if (g->suite == KB_SUITE_FULL) add(g, GEMM, 2048, copy[i]);
    }
}

const struct kb_probe kb_probe_contention = {.name = "contention",
                                             .family = "move",
                                             .help = "slowdown of kernels by copies and of copies by kernels",
                                             .keys = keys,
                                             .values = values,
                                             .grid = grid,
                                             .begin = begin,
                                             .sample = sample,
                                             .end = end};
