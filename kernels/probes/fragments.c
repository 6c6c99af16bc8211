/* N fragments across the link by each method, from one to four submitting threads and streams: time in the
 * submitting calls apart from the time until the last byte is there. */
#include <stdlib.h>

#include "kernels/host.h"
#include "kernels/probe.h"
#include "kernels/probes/crew.h"
#include "kernels/probes/traffic.h"

enum { METHOD, DIRECTION, FRAGMENT_BYTES, N, THREADS, STREAMS, BLOCKS, N_KEYS };
enum { MOST_THREADS = 4, MOST_STREAMS = 4, GATHER_BLOCKS = 16 };

static const char *const keys[] = {"method",  "direction", "fragment_bytes", "n",
                                   "threads", "streams",   "blocks",         NULL};
static const char *const values[] = {"time_s", "submit_s", NULL};

/* What one thread sends: fragments first to last - 1, over its own streams in turn. */
struct share {
    uint32_t first, last;
    uint32_t stream[MOST_STREAMS], n_streams;
    struct kb_event *end[MOST_STREAMS]; /* recorded behind its last fragment on each */
    double submit_s;
};

struct state {
    struct kb_device *device;
    struct kb_traffic *traffic;
    struct kb_queue *queue[MOST_STREAMS];
    struct share share[MOST_THREADS];
    struct kb_event *start;
    struct kb_crew *crew; /* NULL with one thread: the caller submits */
    enum kb_method method;
    uint32_t n_threads, n_streams;
};

static void end(void *state)
{
    struct state *s = state;
    kb_crew_free(s->crew);
    for (uint32_t i = 0; i < MOST_STREAMS; i++)
        if (s->queue[i]) s->device->ops->queue_free(s->queue[i]);
    for (uint32_t i = 0; i < MOST_THREADS; i++)
        for (uint32_t j = 0; j < MOST_STREAMS; j++)
            if (s->share[i].end[j]) s->device->link->event_free(s->share[i].end[j]);
    if (s->start) s->device->link->event_free(s->start);
    kb_traffic_free(s->traffic);
    free(s);
}

/* --- one go --- */

/* A loop changes streams after every fragment, as double buffering does; one call takes a stream's whole part. */
static bool send_share(void *state, uint32_t index, struct kb_error *err)
{
    struct state *s = state;
    struct share *h = &s->share[index];
    uint32_t n = h->last - h->first;
    uint32_t step = s->method == KB_BY_LOOP && h->n_streams > 1 ? 1 : (n + h->n_streams - 1) / h->n_streams;
    double began = kb_now_s();
    for (uint32_t i = h->first, turn = 0; i < h->last; i += step, turn++) {
        uint32_t left = h->last - i;
        struct kb_queue *q = s->queue[h->stream[turn % h->n_streams]];
        if (!kb_traffic_send(s->traffic, q, i, left < step ? left : step, err)) return false;
    }
    h->submit_s = kb_now_s() - began;
    for (uint32_t i = 0; i < h->n_streams; i++)
        if (!s->device->link->event_record(h->end[i], s->queue[h->stream[i]], err)) return false;
    return true;
}

static bool send_all(struct state *s, struct kb_error *err)
{
    bool ok;
    if (s->crew) {
        kb_crew_arm(s->crew);
        ok = s->device->link->event_record(s->start, s->queue[0], err);
        kb_crew_go(s->crew);
        ok = kb_crew_finish(s->crew, err) && ok;
    } else {
        ok = s->device->link->event_record(s->start, s->queue[0], err) && send_share(s, 0, err);
    }
    for (uint32_t i = 0; i < s->n_streams; i++) ok = s->device->ops->wait(s->queue[i], err) && ok;
    return ok;
}

static bool sample(void *state, double *value, struct kb_error *err)
{
    struct state *s = state;
    value[0] = value[1] = 0;
    if (!send_all(s, err)) return false;
    for (uint32_t i = 0; i < s->n_threads; i++) {
        const struct share *h = &s->share[i];
        if (h->submit_s > value[1]) value[1] = h->submit_s;
        for (uint32_t j = 0; j < h->n_streams; j++) {
            double seconds;
            if (!s->device->link->event_seconds(s->start, h->end[j], &seconds, err)) return false;
            if (seconds > value[0]) value[0] = seconds;
        }
    }
    kb_traffic_next_round(s->traffic);
    return true;
}

/* --- ready --- */

static bool open_shares(struct state *s, uint32_t n, struct kb_error *err)
{
    uint32_t t = s->n_threads;
    for (uint32_t i = 0; i < t; i++) {
        struct share *h = &s->share[i];
        h->first = (uint32_t)((uint64_t)n * i / t);
        h->last = (uint32_t)((uint64_t)n * (i + 1) / t);
        for (uint32_t stream = i % s->n_streams; stream < s->n_streams; stream += t) {
            h->end[h->n_streams] = s->device->link->event_new(s->device, err);
            if (!h->end[h->n_streams]) return false;
            h->stream[h->n_streams++] = stream;
        }
    }
    return true;
}

static bool open_all(struct state *s, const uint32_t *shape, struct kb_error *err)
{
    const struct kb_traffic_plan plan = {.method = s->method,
                                         .direction = (enum kb_direction)shape[DIRECTION],
                                         .n = shape[N],
                                         .fragment_bytes = shape[FRAGMENT_BYTES],
                                         .blocks = shape[BLOCKS]};
    s->traffic = kb_traffic_new(s->device, &plan, err);
    if (!s->traffic) return false;
    for (uint32_t i = 0; i < s->n_streams; i++)
        if (!(s->queue[i] = s->device->ops->queue_new(s->device, err))) return false;
    if (!open_shares(s, shape[N], err)) return false;
    s->start = s->device->link->event_new(s->device, err);
    if (!s->start || s->n_threads == 1) return s->start != NULL;
    s->crew = kb_crew_new(s->device, s->n_threads, send_share, s, err);
    return s->crew != NULL;
}

static void *begin(struct kb_device *d, const uint32_t *shape, struct kb_error *err)
{
    if (shape[THREADS] < 1 || shape[THREADS] > MOST_THREADS || shape[STREAMS] < 1 ||
        shape[STREAMS] > MOST_STREAMS || shape[N] < shape[THREADS] * shape[STREAMS]) {
        kb_fail(err, "fragments: 1 to 4 threads and streams, with something to send for each");
        return NULL;
    }
    struct state *s = calloc(1, sizeof *s);
    if (!s) abort();
    s->device = d;
    s->method = (enum kb_method)shape[METHOD];
    s->n_threads = shape[THREADS];
    s->n_streams = shape[STREAMS];
    if (open_all(s, shape, err) && kb_traffic_spoil(s->traffic, err) && send_all(s, err) &&
        kb_traffic_prove(s->traffic, err))
        return s;
    end(s);
    return NULL;
}

static double bytes(const uint32_t *shape)
{
    return (double)shape[FRAGMENT_BYTES] * shape[N];
}

/* --- shapes --- */

struct point {
    uint32_t method, direction, fragment_bytes, n, threads, streams, blocks;
};

/* Fewer fragments where they would be more than a round may hold. */
static void add(struct kb_grid *g, struct point p)
{
    uint32_t most_bytes = g->cpu ? 16u << 20 : 64u << 20;
    if ((uint64_t)p.n * p.fragment_bytes > most_bytes) p.n = most_bytes / p.fragment_bytes;
    p.blocks = p.method != KB_BY_KERNEL ? 0 : p.blocks ? p.blocks : GATHER_BLOCKS;
    uint32_t key[N_KEYS] = {p.method, p.direction, p.fragment_bytes, p.n, p.threads, p.streams, p.blocks};
    kb_grid_add(g, key, N_KEYS);
}

static void add_sizes(struct kb_grid *g, uint32_t method, uint32_t direction, const uint32_t *fragment_bytes)
{
    for (; *fragment_bytes; fragment_bytes++)
        add(g, (struct point){method, direction, *fragment_bytes, 1024, 1, 1, 0});
}

/* Sizes: a token of one head, pages in NHD and HND, the step at 28 KB, blocks of all layers. */
static void grid_sizes(struct kb_grid *g)
{
    static const uint32_t all[] = {16384, 256,   1024,   4096,   8192,    24576, 28672,
                                   32768, 65536, 131072, 524288, 2097152, 0};
    static const uint32_t some[] = {16384, 4096, 65536, 131072, 524288, 0};
    for (uint32_t method = 0; method < KB_N_METHOD; method++) add_sizes(g, method, KB_TO_DEVICE, all);
    for (uint32_t method = 0; method < KB_N_METHOD; method++) add_sizes(g, method, KB_TO_HOST, some);
}

static void grid_counts(struct kb_grid *g)
{
    static const uint32_t size[] = {16384, 4096, 65536}, n[] = {16, 64, 256, 4096, 16384};
    static const uint32_t method[] = {KB_BY_LOOP, KB_BY_BATCH, KB_BY_KERNEL};
    for (uint32_t i = 0; i < 3; i++)
        for (uint32_t j = 0; j < 5; j++)
            for (uint32_t k = 0; k < 3; k++)
                if (method[k] != KB_BY_LOOP || n[j] <= 4096)
                    add(g, (struct point){method[k], KB_TO_DEVICE, size[i], n[j], 1, 1, 0});
}

static void grid_threads(struct kb_grid *g)
{
    static const uint32_t size[] = {16384, 4096, 65536}, method[] = {KB_BY_LOOP, KB_BY_BATCH};
    static const struct {
        uint32_t threads, streams;
    } crew[] = {{2, 2}, {4, 4}, {1, 2}, {2, 1}, {4, 1}, {1, 4}, {2, 4}};
    for (uint32_t i = 0; i < sizeof crew / sizeof *crew; i++)
        for (uint32_t j = 0; j < 3; j++)
            for (uint32_t k = 0; k < 2; k++)
                add(g, (struct point){method[k], KB_TO_DEVICE, size[j], 1024, crew[i].threads,
                                      crew[i].streams, 0});
}

static void grid_blocks(struct kb_grid *g)
{
    static const uint32_t blocks[] = {4, 8, 32, 64}, size[] = {16384, 4096, 256};
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t j = 0; j < 3; j++)
            add(g, (struct point){KB_BY_KERNEL, KB_TO_DEVICE, size[j], 1024, 1, 1, blocks[i]});
}

static void grid_quick(struct kb_grid *g)
{
    static const uint32_t size[] = {16384, 4096, 65536, 0}, page[] = {16384, 0};
    for (uint32_t method = 0; method < KB_N_METHOD; method++) add_sizes(g, method, KB_TO_DEVICE, size);
    add_sizes(g, KB_BY_LOOP, KB_TO_HOST, page);
    for (uint32_t n = 16; n <= 256; n *= 16)
        add(g, (struct point){KB_BY_LOOP, KB_TO_DEVICE, 16384, n, 1, 1, 0});
    add(g, (struct point){KB_BY_LOOP, KB_TO_DEVICE, 16384, 1024, 2, 2, 0});
    if (g->cpu) return;
    add(g, (struct point){KB_BY_LOOP, KB_TO_DEVICE, 16384, 1024, 4, 4, 0});
    add(g, (struct point){KB_BY_BATCH, KB_TO_DEVICE, 16384, 16384, 1, 1, 0});
    add_sizes(g, KB_BY_BATCH, KB_TO_HOST, page);
    add_sizes(g, KB_BY_KERNEL, KB_TO_HOST, page);
}

/* One fragment; counts that threads and streams do not divide; more streams than threads and the reverse. */
static void grid_check(struct kb_grid *g)
{
    for (uint32_t method = 0; method < KB_N_METHOD; method++)
        for (uint32_t direction = KB_TO_DEVICE; direction <= KB_TO_HOST; direction++) {
            add(g, (struct point){method, direction, 256, 1, 1, 1, 3});
            add(g, (struct point){method, direction, 4096, 67, 1, 1, 3});
            add(g, (struct point){method, direction, 80, 1201, 4, 2, 3});
            add(g, (struct point){method, direction, 1040, 37, 2, 4, 3});
        }
}

static void grid(struct kb_grid *g)
{
    if (g->suite == KB_SUITE_CHECK) {
        grid_check(g);
    } else if (g->suite == KB_SUITE_QUICK) {
        grid_quick(g);
    } else {
        grid_sizes(g);
        grid_counts(g);
        grid_threads(g);
        grid_blocks(g);
    }
}

const struct kb_probe kb_probe_fragments = {.name = "fragments",
                                            .family = "move",
                                            .help =
                                                "many small copies by loop, batch, 2D copy or gather kernel",
                                            .keys = keys,
                                            .values = values,
                                            .grid = grid,
                                            .begin = begin,
                                            .sample = sample,
                                            .end = end,
                                            .bytes = bytes};
