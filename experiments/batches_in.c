#include "experiments/batches.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/csv_in.h"
#include "sim/memory.h"

enum { STEP, REPLICA, START, DURATION, REQUEST, NEW, PAST, READ, N_COLUMNS };
static const char *const names[N_COLUMNS] = {"step",       "replica",    "start_s",     "duration_s",
                                             "request_id", "new_tokens", "past_tokens", "read_tokens"};

struct id {
    char *text;
    uint32_t request;
};

struct reader {
    struct exp_batches *out;
    struct id *ids; /* sorted by text */
    uint64_t n_ids;
    size_t steps_room, rows_room;
    int at[N_COLUMNS];
};

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct id *)a)->text, ((const struct id *)b)->text);
}

static void init_ids(struct reader *r, const struct trc_trace *t)
{
    struct exp_request_id room;
    r->n_ids = t->n_requests;
    r->ids = sim_alloc(t->n_requests ? t->n_requests : 1, sizeof *r->ids);
    for (uint64_t i = 0; i < t->n_requests; i++)
        r->ids[i] = (struct id){sim_printf("%s", exp_request_id(t, i, &room)), (uint32_t)i};
    qsort(r->ids, r->n_ids, sizeof *r->ids, by_text);
}

static bool read_header(struct reader *r, const struct sim_csv_row *row, struct sim_status *st)
{
    for (int c = 0; c < N_COLUMNS; c++) {
        r->at[c] = sim_csv_column(row, names[c]);
        if (r->at[c] < 0)
            return sim_fail(
                st, "%s:%" PRIu64 ": no column `%s`, expected a plan; `kvsim run --export-plan` writes one",
                row->path, row->line, names[c]);
    }
    return true;
}

static bool read_u32(const struct reader *r, const struct sim_csv_row *row, int column, uint32_t *out,
                     struct sim_status *st)
{
    uint64_t value;
    if (!sim_csv_u64(row, r->at[column], names[column], &value, st)) return false;
    *out = (uint32_t)value;
    return value <= UINT32_MAX ||
           sim_fail(st, "%s:%" PRIu64 ": column %s: %" PRIu64 ", expected less than 2^32", row->path,
                    row->line, names[column], value);
}

static bool find_request(const struct reader *r, const struct sim_csv_row *row, uint32_t *out,
                         struct sim_status *st)
{
    struct id wanted = {.text = (char *)(uintptr_t)row->field[r->at[REQUEST]]};
    const struct id *found = bsearch(&wanted, r->ids, r->n_ids, sizeof *r->ids, by_text);
    if (!found)
        return sim_fail(st,
                        "%s:%" PRIu64
                        ": request `%s` is not in the scenario's load; name the scenario that made the plan",
                        row->path, row->line, wanted.text);
    *out = found->request;
    return true;
}

static bool read_step(const struct reader *r, const struct sim_csv_row *row, struct exp_batches_step *s,
                      struct sim_status *st)
{
    *s = (struct exp_batches_step){.first = r->out->n_rows};
    if (!sim_csv_u64(row, r->at[STEP], names[STEP], &s->step, st)) return false;
    if (!read_u32(r, row, REPLICA, &s->replica, st)) return false;
    if (!sim_csv_double(row, r->at[START], names[START], &s->start_s, st)) return false;
    if (!sim_csv_double(row, r->at[DURATION], names[DURATION], &s->duration_s, st)) return false;
    return s->duration_s >= 0 || sim_fail(st, "%s:%" PRIu64 ": column duration_s: %g, expected 0 or more",
                                          row->path, row->line, s->duration_s);
}

static void *grow(void *p, size_t n, size_t *room, size_t size)
{
    if (n < *room) return p;
    *room = *room ? 2 * *room : 1024;
    return sim_realloc(p, *room, size);
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct reader *r = user;
    struct exp_batches *p = r->out;
    struct exp_batches_step s;
    struct exp_batches_row x;
    if (index == 0) return read_header(r, row, st);
    for (int c = 0; c < N_COLUMNS; c++)
        if (r->at[c] >= (int)row->n_fields)
            return sim_fail(st, "%s:%" PRIu64 ": %u fields, expected column %s too", row->path, row->line,
                            (unsigned)row->n_fields, names[c]);
    if (!read_step(r, row, &s, st) || !find_request(r, row, &x.request, st) ||
        !read_u32(r, row, NEW, &x.new_tokens, st) || !read_u32(r, row, PAST, &x.past_tokens, st) ||
        !read_u32(r, row, READ, &x.read_tokens, st))
        return false;
    struct exp_batches_step *last = p->n_steps ? &p->steps[p->n_steps - 1] : NULL;
    if (!last || last->step != s.step || last->replica != s.replica) {
        p->steps = grow(p->steps, p->n_steps, &r->steps_room, sizeof *p->steps);
        p->steps[p->n_steps++] = s;
    }
    p->rows = grow(p->rows, p->n_rows, &r->rows_room, sizeof *p->rows);
    p->rows[p->n_rows++] = x;
    p->steps[p->n_steps - 1].n_rows++;
    return true;
}

bool exp_batches_read(const char *path, const struct trc_trace *trace, struct exp_batches *out,
                      struct sim_status *st)
{
    struct exp_batches p = {0};
    struct reader r = {.out = &p};
    init_ids(&r, trace);
    bool ok = sim_csv_read(path, on_row, &r, st);
    if (ok && !p.n_steps)
        ok = sim_fail(st, "%s: a header and no rows, expected one row per step and request", path);
    for (uint64_t i = 0; i < r.n_ids; i++) free(r.ids[i].text);
    free(r.ids);
    if (ok)
        *out = p;
    else
        exp_batches_fini(&p);
    return ok;
}

void exp_batches_fini(struct exp_batches *p)
{
    free(p->steps);
    free(p->rows);
    *p = (struct exp_batches){0};
}
