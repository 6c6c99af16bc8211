#include "traces/build.h"

#include "sim/memory.h"
#include "traces/permute.h"

#include <math.h>
#include <stdlib.h>

/* Beyond this, arrivals are points in time since 1970, not distances from a trace's start. */
static const double EPOCH_US = 1e15;

static bool choose_block_size(struct trc_builder *b, struct sim_status *st)
{
    struct trc_trace *t = b->trace;
    if (!t->hash_begin) return true;
    t->hash_block_size =
        b->options.hash_block_size ? b->options.hash_block_size : b->dialect->hash_block_size;
    if (t->hash_block_size || t->hash_begin[t->n_requests] == 0) return true;
    /* nobody said it; the rows do when exactly one power of two fits them all */
    const struct trc_blocks *k = &b->blocks;
    int n_found = 0;
    for (uint32_t size = 1; size && size <= UINT32_C(1) << 20; size *= 2) {
        bool is_ceil = size >= k->ceil_low && size <= k->ceil_high;
        bool is_floor = size >= k->floor_low && size <= k->floor_high;
        if (!is_ceil && !is_floor) continue;
        t->hash_block_size = size;
        n_found++;
    }
    return n_found == 1 || sim_fail(st,
                                    "%s:%llu: column hash_ids: the tokens of a block are not stated and %s, "
                                    "expected one size that "
                                    "fits every row; say it with --hash-block-size",
                                    b->path, (unsigned long long)b->header_line,
                                    n_found ? "several powers of two fit" : "no power of two fits");
}

static void rebase(struct trc_builder *b)
{
    struct trc_trace *t = b->trace;
    double first = t->requests[0].arrival_s;
    if (!b->options.rebase && !b->is_datetime && first <= EPOCH_US) return;
    for (uint64_t i = 0; i < t->n_requests; i++) t->requests[i].arrival_s -= first;
}

/* Requests recorded at one tick go evenly into the time up to the next tick; the last tick is as long as the
 * one before it. */
static void spread_ticks(struct trc_trace *t)
{
    double length = 0.0;
    for (uint64_t i = 0, next; i < t->n_requests; i = next) {
        double tick = t->requests[i].arrival_s;
        for (next = i; next < t->n_requests && t->requests[next].arrival_s <= tick;) next++;
        if (next < t->n_requests) length = t->requests[next].arrival_s - tick;
        for (uint64_t j = i; j < next; j++)
            t->requests[j].arrival_s = tick + floor(length * (double)(j - i) / (double)(next - i));
    }
}

static bool scale_time(struct trc_builder *b, struct sim_status *st)
{
    struct trc_trace *t = b->trace;
    double k = b->options.time_scale;
    if (k == 0.0) return true;
    double last = t->requests[t->n_requests - 1].arrival_s;
    if (!(k > 0.0) || !isfinite(k) || last * k > 9e15)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--time-scale %g: expected a number > 0 that keeps the trace below 285 "
                           "years; 0.5 is twice the load",
                           k);
    for (uint64_t i = 0; i < t->n_requests; i++)
        t->requests[i].arrival_s = floor(t->requests[i].arrival_s * k + 0.5);
    return true;
}

static void *shrink(void *array, uint64_t n, size_t size)
{
    return array ? sim_realloc(array, n, size) : NULL;
}

static void shrink_to_fit(struct trc_trace *t)
{
    uint64_t n = t->n_requests;
    t->requests = shrink(t->requests, n, sizeof *t->requests);
    t->request_id = shrink(t->request_id, n, sizeof *t->request_id);
    t->file_row = shrink(t->file_row, n, sizeof *t->file_row);
    t->session_id = shrink(t->session_id, n, sizeof *t->session_id);
    t->turn = shrink(t->turn, n, sizeof *t->turn);
    t->model = shrink(t->model, n, sizeof *t->model);
    t->task = shrink(t->task, n, sizeof *t->task);
    t->prefix_group = shrink(t->prefix_group, n, sizeof *t->prefix_group);
    t->prefix_length = shrink(t->prefix_length, n, sizeof *t->prefix_length);
    t->hash_begin = shrink(t->hash_begin, n + 1, sizeof *t->hash_begin);
    if (t->hash_begin) t->hash_ids = sim_realloc(t->hash_ids, t->hash_begin[n], sizeof *t->hash_ids);
}

struct trc_trace *trc_builder_finish(struct trc_builder *b, struct sim_status *st)
{
    struct trc_trace *t = b->trace;
    if (t->n_requests == 0) {
        const char *why = b->n_rows ? "every row is a failed one" : "no row below the header";
        sim_fail(st,
                 "%s:%llu: holds no request (%s), expected at least one; is it whole? --zero-output keeps "
                 "failed ones",
                 b->path, (unsigned long long)b->header_line, why);
        return NULL;
    }
    if (!choose_block_size(b, st)) return NULL;
    shrink_to_fit(t);
    if (t->n_reordered > 0) trc_sort(t);
    rebase(b);
    if (b->options.spread_ticks) spread_ticks(t);
    if (!scale_time(b, st)) return NULL;
    for (uint64_t i = 0; i < t->n_requests; i++) t->requests[i].arrival_s /= 1e6;
    t->ignored_columns = trc_columns_ignored(&b->columns);
    b->trace = NULL;
    return t;
}
