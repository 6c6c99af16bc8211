#include "traces/permute.h"

#include "sim/memory.h"
#include "traces/intern.h"

#include <stdlib.h>
#include <string.h>

struct place {
    double arrival_s;
    uint64_t row;
};

static int by_arrival(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->arrival_s != y->arrival_s) return x->arrival_s < y->arrival_s ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* A copy of the rows from[0 .. n); NULL stays NULL. */
static void *gather(const void *column, const uint64_t *from, uint64_t n, size_t size)
{
    if (!column) return NULL;
    char *out = sim_alloc(n, size);
    for (uint64_t i = 0; i < n; i++) memcpy(out + i * size, (const char *)column + from[i] * size, size);
    return out;
}

static void gather_hash_ids(const struct trc_trace *t, const uint64_t *from, uint64_t n,
                            struct trc_trace *out)
{
    if (!t->hash_begin) return;
    uint64_t total = 0;
    for (uint64_t i = 0; i < n; i++) total += t->hash_begin[from[i] + 1] - t->hash_begin[from[i]];
    out->hash_begin = sim_alloc(n + 1, sizeof *out->hash_begin);
    out->hash_ids = sim_alloc(total, sizeof *out->hash_ids);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t begin = t->hash_begin[from[i]], count = t->hash_begin[from[i] + 1] - begin;
        memcpy(out->hash_ids + out->hash_begin[i], t->hash_ids + begin, count * sizeof *out->hash_ids);
        out->hash_begin[i + 1] = out->hash_begin[i] + count;
    }
}

/* The columns of out (a copy of t's struct) become those rows of t. */
static void gather_all(const struct trc_trace *t, const uint64_t *from, uint64_t n, struct trc_trace *out)
{
    *out = *t;
    out->n_requests = n;
    out->requests = gather(t->requests, from, n, sizeof *t->requests);
    out->request_id = gather(t->request_id, from, n, sizeof *t->request_id);
    out->session_id = gather(t->session_id, from, n, sizeof *t->session_id);
    out->turn = gather(t->turn, from, n, sizeof *t->turn);
    out->model = gather(t->model, from, n, sizeof *t->model);
    out->task = gather(t->task, from, n, sizeof *t->task);
    out->prefix_group = gather(t->prefix_group, from, n, sizeof *t->prefix_group);
    out->prefix_length = gather(t->prefix_length, from, n, sizeof *t->prefix_length);
    out->file_row = sim_alloc(n, sizeof *out->file_row);
    for (uint64_t i = 0; i < n; i++) out->file_row[i] = t->file_row ? t->file_row[from[i]] : from[i];
    gather_hash_ids(t, from, n, out);
}

/* What gather_all makes anew. */
static void free_columns(struct trc_trace *t)
{
    free(t->requests);
    free(t->request_id);
    free(t->session_id);
    free(t->turn);
    free(t->model);
    free(t->task);
    free(t->prefix_group);
    free(t->prefix_length);
    free(t->file_row);
    free(t->hash_begin);
    free(t->hash_ids);
}

void trc_sort(struct trc_trace *t)
{
    uint64_t n = t->n_requests;
    struct place *places = sim_alloc(n, sizeof *places);
    for (uint64_t i = 0; i < n; i++) places[i] = (struct place){t->requests[i].arrival_s, i};
    qsort(places, n, sizeof *places, by_arrival);
    uint64_t *from = sim_alloc(n, sizeof *from);
    for (uint64_t i = 0; i < n; i++) from[i] = places[i].row;
    free(places);
    struct trc_trace sorted;
    gather_all(t, from, n, &sorted);
    free(from);
    free_columns(t);
    *t = sorted;
}

static void copy_texts(char **column, uint64_t n, struct trc_intern *names, struct sim_arena *strings)
{
    for (uint64_t i = 0; column && i < n; i++) column[i] = trc_intern(names, column[i], strings)->text;
}

struct trc_trace *trc_select(const struct trc_trace *t, const uint64_t *from, uint64_t n)
{
    struct trc_trace *out = sim_alloc(1, sizeof *out);
    struct trc_intern names = {0};
    gather_all(t, from, n, out);
    out->strings = sim_arena_new();
    copy_texts(out->request_id, n, &names, out->strings);
    copy_texts(out->session_id, n, &names, out->strings);
    copy_texts(out->model, n, &names, out->strings);
    copy_texts(out->task, n, &names, out->strings);
    copy_texts(out->prefix_group, n, &names, out->strings);
    if (t->class_names) {
        out->class_names = sim_alloc(t->n_classes, sizeof *out->class_names);
        memcpy(out->class_names, t->class_names, t->n_classes * sizeof *out->class_names);
        copy_texts(out->class_names, t->n_classes, &names, out->strings);
    }
    out->ignored_columns = sim_strdup(t->ignored_columns ? t->ignored_columns : "");
    trc_intern_fini(&names);
    return out;
}
