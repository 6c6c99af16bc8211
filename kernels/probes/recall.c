/* Streamed recall, as FreeKV does it: for one sequence and KV head after the other, the chosen pages cross
 * from a pool on the host into a buffer of one head, one copy per fragment, and a kernel puts them in that
 * head's slots of the device's cache (NHD). With two buffers, each with its queue, head j crosses while head
 * j - 1 is put in place. A page of one head is one fragment of an HND pool and two per token of an NHD pool. */
#include <stdlib.h>
#include <string.h>

#include "kernels/format.h"
#include "kernels/host.h"
#include "kernels/link.h"
#include "kernels/probe.h"

enum { LAYOUT, BUFFERS, KV_HEADS, HEAD_DIM, PAGE_TOKENS, PAGES, SEQS, N_KEYS };
enum { MOST_BUFFERS = 2, POOL_ROUNDS = 4, MOST_POOL_BYTES = 512 << 20 };
enum { COPY = 1, CONVERT = 2 };

static const char *const keys[] = {"layout",      "buffers", "kv_heads", "head_dim",
                                   "page_tokens", "pages",   "seqs",     NULL};
static const char *const values[] = {"time_s", "submit_s", "copy_s", "convert_s", NULL};

/* One buffer, and the queue that fills and empties it. */
struct lane {
    struct kb_queue *queue;
    struct kb_event *end;
    void *buffer; /* [pages][2][page_tokens][head_dim] */
};

struct state {
    struct kb_device *device;
    struct lane lane[MOST_BUFFERS];
    struct kb_event *start;
    uint32_t n_lanes, n_seqs, n_units; /* a unit: one head of one sequence */
    struct kb_paged host, cache;
    char *pool;               /* pinned, host layout */
    uint32_t *order, round;   /* pages of the pool, shuffled; each round takes the next ones */
    struct kb_fragments unit; /* fragments of a unit; offset_from of all units lie one after the other */
    uint64_t *offset_from, *offset_to; /* [n_units][unit.n], [unit.n] */
    void *slots;                       /* the device's cache */
    uint32_t *list;                    /* on the device: 0 to pages - 1, then the slots of each sequence */
    uint32_t *slot;                    /* the same list here */
    uint32_t pages;
};

/* --- what is recalled --- */

static uint32_t page_rows(const struct kb_paged *p)
{
    return 2 * p->page_tokens;
}

static uint32_t row_bytes(const struct kb_paged *p)
{
    return kb_row_bytes(p->format, p->head_dim);
}

/* Page of the pool that is number i of a unit's pages; heads of a sequence choose for themselves. */
static uint32_t chosen(const struct state *s, uint32_t unit, uint32_t i)
{
    uint32_t per_round = s->n_seqs * s->pages, seq = unit / s->cache.n_kv_heads,
             head = unit % s->cache.n_kv_heads;
    uint64_t at = (uint64_t)s->round * per_round + seq * s->pages + (i + head) % s->pages;
    return s->order[at % s->host.n_pages];
}

/* Where row r (keys of all tokens, then values) of a page of one head stands in the pool, in bytes. */
static uint64_t host_place(const struct state *s, uint32_t page, uint32_t head, uint32_t r)
{
    uint32_t n = s->host.page_tokens;
    return kb_row(&s->host, page, r / n, r % n, head) * row_bytes(&s->host);
}

static void next_round(struct state *s)
{
    uint32_t n_fragments = s->unit.n / s->pages, step = page_rows(&s->host) / n_fragments;
    uint64_t *offset = s->offset_from;
    s->round++;
    for (uint32_t unit = 0; unit < s->n_units; unit++)
        for (uint32_t i = 0; i < s->pages; i++) {
            uint32_t page = chosen(s, unit, i);
            for (uint32_t f = 0; f < n_fragments; f++)
                *offset++ = host_place(s, page, unit % s->host.n_kv_heads, f * step);
        }
}

/* --- one go --- */

static bool copy_unit(struct state *s, uint32_t unit, struct kb_error *err)
{
    struct lane *lane = &s->lane[unit % s->n_lanes];
    struct kb_fragments f = s->unit;
    f.offset_from = s->offset_from + (uint64_t)unit * f.n;
    f.offset_to = s->offset_to;
    f.to = lane->buffer;
    return s->device->link->fragments(lane->queue, KB_BY_LOOP, &f, err);
}

static bool convert_unit(struct state *s, uint32_t unit, struct kb_error *err)
{
    struct lane *lane = &s->lane[unit % s->n_lanes];
    struct kb_relayout a = {.from = lane->buffer,
                            .list_from = s->list,
                            .list_to = s->list + (1 + unit / s->cache.n_kv_heads) * s->pages,
                            .to = s->slots,
                            .paged = s->cache,
                            .n_list = s->pages,
                            .to_heads = s->cache.n_kv_heads,
                            .to_first = unit % s->cache.n_kv_heads};
    a.paged.layout = KB_HND;
    a.paged.n_kv_heads = 1;
    return s->device->kernel[KB_RELAYOUT](lane->queue, &a, err);
}

static bool begin_together(struct state *s, struct kb_error *err)
{
    if (!s->device->link->event_record(s->start, s->lane[0].queue, err)) return false;
    for (uint32_t i = 1; i < s->n_lanes; i++)
        if (!s->device->link->event_wait(s->lane[i].queue, s->start, err)) return false;
    return true;
}

static bool end_together(struct state *s, double *seconds, struct kb_error *err)
{
    *seconds = 0;
    for (uint32_t i = 0; i < s->n_lanes; i++)
        if (!s->device->link->event_record(s->lane[i].end, s->lane[i].queue, err)) return false;
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        double one;
        if (!s->device->ops->wait(s->lane[i].queue, err) ||
            !s->device->link->event_seconds(s->start, s->lane[i].end, &one, err))
            return false;
        if (one > *seconds) *seconds = one;
    }
    return true;
}

/* All units through their buffers. With a second buffer a unit's copies are queued before the unit before it
 * is put in place; a queue's own order keeps a buffer from being filled before it is empty. */
static bool recall(struct state *s, unsigned parts, double *time_s, double *submit_s, struct kb_error *err)
{
    uint32_t lag = s->n_lanes - 1;
    *submit_s = 0;
    if (!begin_together(s, err)) return false;
    for (uint32_t j = 0; j < s->n_units + lag; j++) {
        double began = kb_now_s();
        if ((parts & COPY) && j < s->n_units && !copy_unit(s, j, err)) return false;
        *submit_s += kb_now_s() - began;
        if ((parts & CONVERT) && j >= lag && !convert_unit(s, j - lag, err)) return false;
    }
    return end_together(s, time_s, err);
}

static bool sample(void *state, double *value, struct kb_error *err)
{
    struct state *s = state;
    double ignored;
    next_round(s);
    if (!recall(s, COPY | CONVERT, &value[0], &value[1], err)) return false;
    next_round(s);
    return recall(s, COPY, &value[2], &ignored, err) && recall(s, CONVERT, &value[3], &ignored, err);
}

/* --- proof that what is timed is right --- */

/* Rows of the round, all different. */
static void mark(struct state *s)
{
    uint32_t word = 1;
    for (uint32_t unit = 0; unit < s->n_units; unit++)
        for (uint32_t i = 0; i < s->pages; i++)
            for (uint32_t r = 0; r < page_rows(&s->host); r++) {
                char *row = s->pool + host_place(s, chosen(s, unit, i), unit % s->host.n_kv_heads, r);
                for (uint32_t b = 0; b < row_bytes(&s->host); b += 4, word++) {
                    uint32_t x = word * 2654435761u;
                    memcpy(row + b, &x, 4);
                }
            }
}

static bool arrived(const struct state *s, const char *slots, struct kb_error *err)
{
    uint32_t n = s->cache.page_tokens, bytes = row_bytes(&s->cache), heads = s->cache.n_kv_heads;
    for (uint32_t unit = 0; unit < s->n_units; unit++)
        for (uint32_t i = 0; i < s->pages; i++)
            for (uint32_t r = 0; r < page_rows(&s->cache); r++) {
                uint32_t slot = s->slot[(1 + unit / heads) * s->pages + i];
                uint64_t at = kb_row(&s->cache, slot, r / n, r % n, unit % heads) * bytes;
                if (memcmp(slots + at, s->pool + host_place(s, chosen(s, unit, i), unit % heads, r), bytes) !=
                    0)
                    return kb_fail(err, "recall: row %u of page %u of unit %u did not arrive", (unsigned)r,
                                   (unsigned)i, (unsigned)unit);
            }
    return true;
}

static bool prove(struct state *s, struct kb_error *err)
{
    size_t bytes = (size_t)kb_pool_bytes(&s->cache);
    double ignored[2];
    char *slots = calloc(1, bytes);
    if (!slots) abort();
    next_round(s);
    mark(s);
    bool ok = s->device->ops->upload(s->device, s->slots, slots, bytes, err) &&
              recall(s, COPY | CONVERT, &ignored[0], &ignored[1], err) &&
              s->device->ops->download(s->device, slots, s->slots, bytes, err) && arrived(s, slots, err);
    free(slots);
    return ok;
}

/* --- making --- */

static void end(void *state)
{
    struct state *s = state;
    struct kb_device *d = s->device;
    for (uint32_t i = 0; i < MOST_BUFFERS; i++) {
        if (s->lane[i].queue) d->ops->queue_free(s->lane[i].queue);
        if (s->lane[i].end) d->link->event_free(s->lane[i].end);
        d->ops->free(d, s->lane[i].buffer);
    }
    if (s->start) d->link->event_free(s->start);
    d->ops->free(d, s->slots);
    d->ops->free(d, s->list);
    d->link->pin_free(d, s->pool);
    free(s->order);
    free(s->offset_from);
    free(s->offset_to);
    free(s->slot);
    free(s);
}

/* Pages of the pool: several rounds, so that they lie apart; on the cpu device more than its cache holds. */
static uint32_t pool_pages(const struct state *s)
{
    uint64_t page_bytes = (uint64_t)page_rows(&s->host) * s->host.n_kv_heads * row_bytes(&s->host);
    uint64_t want = strcmp(s->device->kind, "cpu") == 0 ? 2 * s->device->info.cache_bytes : 0;
    if (want > MOST_POOL_BYTES) want = MOST_POOL_BYTES;
    uint64_t least = (uint64_t)POOL_ROUNDS * s->n_seqs * s->pages, pages = want / page_bytes + 1;
    return (uint32_t)(pages > least ? pages : least);
}

static void plan(struct state *s, const uint32_t *shape)
{
    s->n_lanes = shape[BUFFERS];
    s->n_seqs = shape[SEQS];
    s->pages = shape[PAGES];
    s->n_units = shape[SEQS] * shape[KV_HEADS];
    s->host = (struct kb_paged){.format = KB_BF16,
                                .layout = (enum kb_layout)shape[LAYOUT],
                                .page_tokens = shape[PAGE_TOKENS],
                                .n_kv_heads = shape[KV_HEADS],
                                .head_dim = shape[HEAD_DIM]};
    s->cache = s->host;
    s->cache.layout = KB_NHD;
    s->cache.n_pages = s->n_seqs * s->pages;
    s->host.n_pages = pool_pages(s);
    uint32_t rows = page_rows(&s->host), fragments = s->host.layout == KB_NHD ? rows : 1;
    s->unit = (struct kb_fragments){.n = s->pages * fragments,
                                    .bytes = rows / fragments * row_bytes(&s->host),
                                    .direction = KB_TO_DEVICE};
}

static void *grab(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) abort();
    return p;
}

static void make_lists(struct state *s)
{
    struct kb_random random = {s->n_units};
    s->order = grab(s->host.n_pages * sizeof *s->order);
    s->offset_from = grab((size_t)s->n_units * s->unit.n * sizeof *s->offset_from);
    s->offset_to = grab(s->unit.n * sizeof *s->offset_to);
    s->slot = grab((s->pages + s->cache.n_pages) * sizeof *s->slot);
    for (uint32_t i = 0; i < s->host.n_pages; i++) s->order[i] = i;
    kb_random_shuffle(&random, s->order, s->host.n_pages);
    for (uint32_t i = 0; i < s->unit.n; i++) s->offset_to[i] = (uint64_t)i * s->unit.bytes;
    for (uint32_t i = 0; i < s->pages; i++) s->slot[i] = i;
    for (uint32_t i = 0; i < s->cache.n_pages; i++) s->slot[s->pages + i] = i;
    kb_random_shuffle(&random, s->slot + s->pages, s->cache.n_pages);
}

static bool take_memory(struct state *s, struct kb_error *err)
{
    struct kb_device *d = s->device;
    size_t list_bytes = (s->pages + s->cache.n_pages) * sizeof *s->list;
    s->pool = d->link->pin_alloc(d, (size_t)kb_pool_bytes(&s->host), err);
    if (!s->pool) return false;
    s->unit.from = s->pool;
    s->slots = d->ops->alloc(d, (size_t)kb_pool_bytes(&s->cache), err);
    if (!s->slots) return false;
    s->list = d->ops->alloc(d, list_bytes, err);
    return s->list && d->ops->upload(d, s->list, s->slot, list_bytes, err);
}

static bool open_lane(struct state *s, struct lane *lane, struct kb_error *err)
{
    struct kb_device *d = s->device;
    lane->queue = d->ops->queue_new(d, err);
    if (!lane->queue) return false;
    lane->end = d->link->event_new(d, err);
    if (!lane->end) return false;
    lane->buffer = d->ops->alloc(d, (size_t)s->unit.n * s->unit.bytes, err);
    return lane->buffer != NULL;
}

static void *begin(struct kb_device *d, const uint32_t *shape, struct kb_error *err)
{
    struct state *s = calloc(1, sizeof *s);
    if (!s) abort();
    s->device = d;
    plan(s, shape);
    make_lists(s);
    s->start = d->link->event_new(d, err);
    bool ok = s->start && take_memory(s, err);
    for (uint32_t i = 0; ok && i < s->n_lanes; i++) ok = open_lane(s, &s->lane[i], err);
    if (ok && prove(s, err)) return s;
    end(s);
    return NULL;
}

static double bytes(const uint32_t *shape)
{
    return 4.0 * shape[SEQS] * shape[KV_HEADS] * shape[PAGES] * shape[PAGE_TOKENS] * shape[HEAD_DIM];
}

/* --- shapes --- */

static void add(struct kb_grid *g, enum kb_layout layout, uint32_t pages, uint32_t seqs)
{
    uint32_t tp = g->model.tensor_parallel, heads = g->model.n_kv_heads > tp ? g->model.n_kv_heads / tp : 1;
    for (uint32_t buffers = 1; buffers <= MOST_BUFFERS; buffers++)
        kb_grid_add(g, (uint32_t[]){layout, buffers, heads, g->model.head_dim, 32, pages, seqs}, N_KEYS);
}

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][N_KEYS] = {{KB_NHD, 1, 2, 64, 16, 3, 2},
                                             {KB_NHD, 2, 3, 64, 16, 2, 1},
                                             {KB_HND, 1, 2, 128, 32, 2, 2},
                                             {KB_HND, 2, 3, 128, 32, 1, 3},
                                             {KB_HND, 2, 1, 64, 16, 5, 1}};
    static const uint32_t pages[] = {32, 4, 16, 1};
    if (g->suite == KB_SUITE_CHECK) {
        for (size_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], N_KEYS);
        return;
    }
    bool full = g->suite == KB_SUITE_FULL;
    for (uint32_t i = 0; i < (full ? 4 : 2); i++) {
        add(g, KB_HND, pages[i], 1);
        if (full) add(g, KB_HND, pages[i], 4);
        if (full || pages[i] < 32) add(g, KB_NHD, pages[i], 1); /* 64 times as many fragments */
    }
    if (full) add(g, KB_NHD, 4, 4);
}

const struct kb_probe kb_probe_recall = {
    .name = "recall",
    .family = "move",
    .help = "pages of each head through one or two buffers into the device's cache",
    .keys = keys,
    .values = values,
    .grid = grid,
    .begin = begin,
    .sample = sample,
    .end = end,
    .bytes = bytes};
