#include "kernels/kvbench/plan.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/kvbench/csv.h"
#include "kernels/kvbench/util.h"

enum { MAX_TOKENS = 1 << 28, MAX_REPLICA = 1 << 20 };

enum column {
    STEP,
    REPLICA,
    REQUEST_ID,
    NEW_TOKENS,
    PAST_TOKENS,
    READ_TOKENS,
    START_S,
    DURATION_S,
    RECALLED_PAGES,
    CORRECTED_HEADS,
    EVICTED_PAGES,
    N_COLUMNS
};

static const char *const columns[N_COLUMNS] = {
    "step",    "replica",    "request_id",     "new_tokens",      "past_tokens",  "read_tokens",
    "start_s", "duration_s", "recalled_pages", "corrected_heads", "evicted_pages"};
enum { N_REQUIRED = START_S };

struct reading {
    struct kvb_plan *plan;
    int column[N_COLUMNS];
};

/* --- rows --- */

static bool read_header(struct reading *r, const struct kvb_csv_row *in, struct kb_error *err)
{
    for (int i = 0; i < N_COLUMNS; i++) {
        r->column[i] = kvb_csv_column(in, columns[i]);
        if (r->column[i] < 0 && i < N_REQUIRED)
            return kb_fail(err, "%s:%llu: no column %s, expected a plan of kvsim run --export-plan", in->path,
                           (unsigned long long)in->line, columns[i]);
    }
    return true;
}

static bool whole(const struct reading *r, const struct kvb_csv_row *in, enum column c, uint32_t most,
                  uint32_t *out, struct kb_error *err)
{
    uint64_t value = 0;
    if (r->column[c] >= 0 && !kvb_csv_u64(in, r->column[c], columns[c], most, &value, err)) return false;
    *out = (uint32_t)value;
    return true;
}

static bool seconds(const struct reading *r, const struct kvb_csv_row *in, enum column c, double *out,
                    struct kb_error *err)
{
    return r->column[c] < 0 || kvb_csv_double(in, r->column[c], columns[c], out, err);
}

static bool check_row(const struct kvb_plan_row *row, const struct kvb_csv_row *in, struct kb_error *err)
{
    uint64_t tokens = (uint64_t)row->past_tokens + row->new_tokens;
    const char *wrong = NULL;
    if (row->read_tokens > tokens) wrong = "read_tokens is more than past_tokens + new_tokens";
    if (kvb_plan_is_decode(row) && row->read_tokens == 0) wrong = "read_tokens of a decode row is 0";
    if (row->new_tokens && row->evicted_pages > tokens)
        wrong = "evicted_pages is more than the request has tokens";
    return !wrong ||
           kb_fail(err, "%s:%llu: %s; correct the row", in->path, (unsigned long long)in->line, wrong);
}

static bool read_row(void *user, uint64_t index, const struct kvb_csv_row *in, struct kb_error *err)
{
    struct reading *r = user;
    struct kvb_plan *p = r->plan;
    struct kvb_plan_row row = {.line = in->line};
    if (index == 0) return read_header(r, in, err);
    if (!kvb_csv_u64(in, r->column[STEP], columns[STEP], UINT64_MAX, &row.step, err) ||
        !whole(r, in, REPLICA, MAX_REPLICA, &row.replica, err) ||
        !whole(r, in, NEW_TOKENS, MAX_TOKENS, &row.new_tokens, err) ||
        !whole(r, in, PAST_TOKENS, MAX_TOKENS, &row.past_tokens, err) ||
        !whole(r, in, READ_TOKENS, 2 * MAX_TOKENS, &row.read_tokens, err) ||
        !whole(r, in, RECALLED_PAGES, MAX_TOKENS, &row.recalled_pages, err) ||
        !whole(r, in, CORRECTED_HEADS, MAX_TOKENS, &row.corrected_heads, err) ||
        !whole(r, in, EVICTED_PAGES, MAX_TOKENS, &row.evicted_pages, err) ||
        !seconds(r, in, START_S, &row.start_s, err) || !seconds(r, in, DURATION_S, &row.duration_s, err) ||
        !check_row(&row, in, err))
        return false;
    if ((uint32_t)r->column[REQUEST_ID] >= in->n_fields || !in->field[r->column[REQUEST_ID]][0])
        return kb_fail(err, "%s:%llu: column request_id: is missing", in->path, (unsigned long long)in->line);
    row.request_id = kvb_printf("%s", in->field[r->column[REQUEST_ID]]);
    p->row = kvb_grow(p->row, &p->rows_room, p->n_rows + 1, sizeof *p->row);
    p->row[p->n_rows++] = row;
    return true;
}

bool kvb_plan_is_decode(const struct kvb_plan_row *r)
{
    return r->new_tokens == 1 && r->past_tokens > 0;
}

/* --- order --- */

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *a, const void *b)
{
    const struct kvb_plan_row *x = a, *y = b;
    int order = compare_u64(x->replica, y->replica);
    if (!order) order = compare_u64(x->step, y->step);
    return order ? order : compare_u64(x->line, y->line);
}

static int by_id(const void *a, const void *b)
{
    const struct kvb_plan_row *x = *(struct kvb_plan_row *const *)a, *y = *(struct kvb_plan_row *const *)b;
    int order = strcmp(x->request_id, y->request_id);
    if (!order) order = compare_u64(x->replica, y->replica);
    if (!order) order = compare_u64(x->step, y->step);
    return order ? order : compare_u64(x->new_tokens > 0, y->new_tokens > 0);
}

/* Requests numbered from 0; the same request twice in a batch makes no sense. */
static bool number_requests(struct kvb_plan *p, const char *path, struct kb_error *err)
{
    struct kvb_plan_row **sorted = kvb_alloc(p->n_rows, sizeof *sorted);
    bool ok = true;
    for (size_t i = 0; i < p->n_rows; i++) sorted[i] = &p->row[i];
    qsort(sorted, p->n_rows, sizeof *sorted, by_id);
    for (size_t i = 0; ok && i < p->n_rows; i++) {
        const struct kvb_plan_row *a = i ? sorted[i - 1] : NULL;
        struct kvb_plan_row *b = sorted[i];
        p->n_requests += !a || strcmp(a->request_id, b->request_id) != 0;
        b->request = p->n_requests - 1;
        if (a && by_id(&sorted[i - 1], &sorted[i]) == 0)
            ok = kb_fail(err, "%s:%llu: request %.40s is in step %llu twice (line %llu too); drop one row",
                         path, (unsigned long long)b->line, b->request_id, (unsigned long long)b->step,
                         (unsigned long long)a->line);
    }
    free(sorted);
    return ok;
}

static void find_steps(struct kvb_plan *p)
{
    p->step = kvb_alloc(p->n_rows, sizeof *p->step);
    for (uint32_t i = 0; i < p->n_rows; i++) {
        const struct kvb_plan_row *r = &p->row[i];
        struct kvb_plan_step *s = p->n_steps ? &p->step[p->n_steps - 1] : NULL;
        if (!s || s->step != r->step || s->replica != r->replica)
            p->step[p->n_steps++] = (struct kvb_plan_step){r->step, r->replica, i, 1};
        else
            s->n_rows++;
    }
}

/* A chunk that ends its prompt is followed by a decode row, or by nothing. */
static bool ends_prompt(const struct kvb_plan_row *r, const struct kvb_plan_row *next)
{
    return !next || (kvb_plan_is_decode(next) && next->past_tokens == r->past_tokens + r->new_tokens);
}

static void look_ahead(struct kvb_plan *p)
{
    const struct kvb_plan_row **next = kvb_alloc(p->n_requests, sizeof *next);
    for (size_t i = p->n_rows; i-- > 0;) {
        struct kvb_plan_row *r = &p->row[i];
        const struct kvb_plan_row *n = next[r->request];
        if (n && n->replica != r->replica) n = NULL;
        r->last = n == NULL;
        r->yields = r->new_tokens > 0 && (kvb_plan_is_decode(r) || ends_prompt(r, n));
        next[r->request] = r;
    }
    free(next);
}

struct kvb_plan *kvb_plan_read(const char *path, struct kb_error *err)
{
    struct kvb_plan *p = kvb_alloc(1, sizeof *p);
    struct reading r = {.plan = p};
    bool ok = kvb_csv_read(path, read_row, &r, err);
    if (ok && p->n_rows == 0) ok = kb_fail(err, "%s: holds no steps, expected at least one row", path);
    if (ok && p->n_rows >= UINT32_MAX) ok = kb_fail(err, "%s: holds more than %u rows", path, UINT32_MAX);
    if (ok) qsort(p->row, p->n_rows, sizeof *p->row, by_place);
    ok = ok && number_requests(p, path, err);
    if (ok) {
        find_steps(p);
        look_ahead(p);
        return p;
    }
    kvb_plan_free(p);
    return NULL;
}

void kvb_plan_free(struct kvb_plan *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n_rows; i++) free(p->row[i].request_id);
    free(p->row);
    free(p->step);
    free(p);
}
