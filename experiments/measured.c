#include "experiments/measured.h"

#include "sim/csv_in.h"
#include "sim/memory.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT, COUNT, REAL };

struct column {
    const char *name, *other; /* other: a second spelling */
    int type;
    bool needed;
    size_t offset, size;
};

#define PLACE(field) offsetof(struct exp_point, field), sizeof(((struct exp_point *)0)->field)

static const struct column columns[] = {
    {"id", NULL, TEXT, false, PLACE(id)},
    {"model_path", "model", TEXT, true, PLACE(model)},
    {"system", "gpu", TEXT, true, PLACE(system)},
    {"precision", "weights", TEXT, false, PLACE(precision)},
    {"backend", "engine", TEXT, false, PLACE(backend)},
    {"backend_version", "engine_version", TEXT, false, PLACE(version)},
    {"isl", "input_tokens", COUNT, true, PLACE(isl)},
    {"osl", "output_tokens", COUNT, true, PLACE(osl)},
    {"concurrency", NULL, COUNT, true, PLACE(concurrency)},
    {"tp_size", "tensor_parallel", COUNT, false, PLACE(tensor_parallel)},
    {"ttft_ms", NULL, REAL, true, PLACE(ttft_ms)},
    {"tpot_ms", NULL, REAL, true, PLACE(tpot_ms)},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

struct reader {
    struct exp_measured *out;
    uint32_t capacity;
    int at[N_COLUMNS];
};

static bool read_header(struct reader *r, const struct sim_csv_row *row, struct sim_status *st)
{
    for (int c = 0; c < N_COLUMNS; c++) {
        r->at[c] = sim_csv_column(row, columns[c].name);
        if (r->at[c] < 0 && columns[c].other) r->at[c] = sim_csv_column(row, columns[c].other);
        if (r->at[c] < 0 && columns[c].needed)
            return sim_fail(st,
                            "%s:%" PRIu64
                            ": no column `%s`, expected model_path, system, isl, osl, concurrency, ttft_ms "
                            "and tpot_ms; name the column so",
                            row->path, row->line, columns[c].name);
    }
    return true;
}

static bool read_text(const struct sim_csv_row *row, int at, const struct column *c, char *to,
                      struct sim_status *st)
{
    if (row->length[at] >= c->size)
        return sim_fail(st, "%s:%" PRIu64 ": column %s: %zu bytes, expected fewer than %zu", row->path,
                        row->line, c->name, row->length[at], c->size);
    memcpy(to, row->field[at], row->length[at] + 1);
    return true;
}

static bool read_count(const struct sim_csv_row *row, int at, const struct column *c, uint32_t *to,
                       struct sim_status *st)
{
    uint64_t value;
    if (!sim_csv_u64(row, at, c->name, &value, st)) return false;
    if (value < 1 || value > 1u << 30)
        return sim_fail(st, "%s:%" PRIu64 ": column %s: %" PRIu64 ", expected 1 to 2^30", row->path,
                        row->line, c->name, value);
    *to = (uint32_t)value;
    return true;
}

/* A nanosecond and thirty years: errors of what lies beyond have no meaning. */
#define LEAST_MS 1e-6
#define MOST_MS  1e12

static bool read_real(const struct sim_csv_row *row, int at, const struct column *c, double *to,
                      struct sim_status *st)
{
    if (!sim_csv_double(row, at, c->name, to, st)) return false;
    return (*to >= LEAST_MS && *to <= MOST_MS) ||
           sim_fail(st, "%s:%" PRIu64 ": column %s: %g, expected a time from %g to %g ms", row->path,
                    row->line, c->name, *to, LEAST_MS, MOST_MS);
}

static bool read_point(struct reader *r, const struct sim_csv_row *row, struct sim_status *st)
{
    struct exp_point p = {.tensor_parallel = 1, .line = row->line};
    for (int i = 0; i < N_COLUMNS; i++) {
        const struct column *c = &columns[i];
        char *to = (char *)&p + c->offset;
        if (r->at[i] < 0) continue;
        if (r->at[i] >= (int)row->n_fields)
            return sim_fail(st, "%s:%" PRIu64 ": %u fields, expected column %s too", row->path, row->line,
                            (unsigned)row->n_fields, c->name);
        bool ok = c->type == TEXT    ? read_text(row, r->at[i], c, to, st)
                  : c->type == COUNT ? read_count(row, r->at[i], c, (uint32_t *)(void *)to, st)
                                     : read_real(row, r->at[i], c, (double *)(void *)to, st);
        if (!ok) return false;
    }
    if (r->out->n == r->capacity) {
        r->capacity = r->capacity ? 2 * r->capacity : 64;
        r->out->points = sim_realloc(r->out->points, r->capacity, sizeof *r->out->points);
    }
    r->out->points[r->out->n++] = p;
    return true;
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    return index == 0 ? read_header(user, row, st) : read_point(user, row, st);
}

bool exp_measured_read(const char *path, struct exp_measured *out, struct sim_status *st)
{
    struct exp_measured m = {0};
    struct reader r = {.out = &m};
    bool ok = sim_csv_read(path, on_row, &r, st);
    if (ok && !m.n) ok = sim_fail(st, "%s: a header and no rows, expected one row per measured point", path);
    if (!ok) {
        exp_measured_fini(&m);
        return false;
    }
    *out = m;
    return true;
}

void exp_measured_fini(struct exp_measured *m)
{
    free(m->points);
    m->points = NULL;
    m->n = 0;
}
