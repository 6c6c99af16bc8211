#include "traces/build.h"

#include "sim/memory.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256 };

void trc_builder_init(struct trc_builder *b, const char *path, const struct trc_options *options)
{
    memset(b, 0, sizeof *b);
    if (options) b->options = *options;
    b->path = sim_strdup(path);
    b->trace = sim_alloc(1, sizeof *b->trace);
    b->trace->strings = sim_arena_new();
    b->latest_us = -1.0;
    b->blocks = (struct trc_blocks){1, UINT64_MAX, 1, UINT64_MAX};
}

void trc_builder_fini(struct trc_builder *b)
{
    trc_free(b->trace);
    trc_columns_fini(&b->columns);
    trc_intern_fini(&b->names);
    trc_intern_fini(&b->classes);
    free(b->parsed_ids);
    free(b->path);
    memset(b, 0, sizeof *b);
}

bool trc_builder_has(const struct trc_builder *b, enum trc_field field)
{
    return b->columns.column[field] >= 0;
}

static bool refuse_header(const struct trc_builder *b, enum trc_field field, const char *examples,
                          struct sim_status *st)
{
    char *found = trc_columns_ignored(&b->columns);
    sim_fail(
        st,
        "%s:%llu: no column is %s (unknown: %.300s), expected one like %s; name it with --columns %s=NAME",
        b->path, (unsigned long long)b->header_line, trc_field_name(field), *found ? found : "none", examples,
        trc_field_flag(field));
    free(found);
    return false;
}

/* The unit: --time-unit, else the column's own name, else the dialect's. */
static enum trc_clock choose_clock(const struct trc_builder *b)
{
    static const enum trc_clock by_flag[] = {[TRC_UNIT_S] = TRC_CLOCK_S,
                                             [TRC_UNIT_MS] = TRC_CLOCK_MS,
                                             [TRC_UNIT_US] = TRC_CLOCK_US,
                                             [TRC_UNIT_NS] = TRC_CLOCK_NS};
    if (b->options.time_unit != TRC_UNIT_BY_DIALECT) return by_flag[b->options.time_unit];
    enum trc_clock by_name = trc_columns_clock(&b->columns);
    if (by_name != TRC_CLOCK_ASK) return by_name;
    int column = b->columns.column[TRC_F_ARRIVAL];
    const char *expected = b->dialect->columns[0];
    bool is_dialects = column >= 0 && expected && strcmp(b->columns.normal[column], expected) == 0;
    return is_dialects ? b->dialect->clock : TRC_CLOCK_ASK;
}

bool trc_builder_begin(struct trc_builder *b, struct sim_status *st)
{
    b->dialect = trc_dialect_find(&b->columns);
    if (!trc_builder_has(b, TRC_F_INPUT))
        return refuse_header(b, TRC_F_INPUT, "input_tokens, ContextTokens or num_prefill_tokens", st);
    if (!trc_builder_has(b, TRC_F_OUTPUT))
        return refuse_header(b, TRC_F_OUTPUT, "output_tokens, GeneratedTokens or num_decode_tokens", st);
    if (!trc_builder_has(b, TRC_F_ARRIVAL) && !b->options.lengths_only_ok)
        return sim_fail(
            st,
            "%s:%llu: has lengths but no arrivals, expected a column like arrival_time_us; name it with "
            "--columns arrival=NAME, or make arrivals with kvsim trace synth --input file:FILE:COLUMN",
            b->path, (unsigned long long)b->header_line);
    b->clock = choose_clock(b);
    b->trace->has_arrivals = trc_builder_has(b, TRC_F_ARRIVAL);
    strcpy(b->trace->dialect, b->dialect->name);
    return true;
}

static void *grown(void *array, bool is_kept, uint64_t room, size_t size)
{
    return is_kept ? sim_realloc(array, room, size) : array;
}

static void make_room(struct trc_builder *b)
{
    struct trc_trace *t = b->trace;
    if (t->n_requests < b->room) return;
    uint64_t room = b->room ? b->room + b->room / 2 : FIRST_ROOM;
    t->requests = sim_realloc(t->requests, room, sizeof *t->requests);
    t->request_id =
        grown(t->request_id, trc_builder_has(b, TRC_F_REQUEST_ID) || trc_builder_has(b, TRC_F_CHAT), room,
              sizeof *t->request_id);
    t->file_row = grown(t->file_row, t->file_row != NULL, room, sizeof *t->file_row);
    t->session_id = grown(t->session_id, trc_builder_has(b, TRC_F_SESSION) || trc_builder_has(b, TRC_F_CHAT),
                          room, sizeof *t->session_id);
    t->turn = grown(t->turn, trc_builder_has(b, TRC_F_TURN), room, sizeof *t->turn);
    t->model = grown(t->model, trc_builder_has(b, TRC_F_MODEL), room, sizeof *t->model);
    t->task = grown(t->task, trc_builder_has(b, TRC_F_TASK), room, sizeof *t->task);
    t->prefix_group =
        grown(t->prefix_group, trc_builder_has(b, TRC_F_PREFIX_GROUP), room, sizeof *t->prefix_group);
    t->prefix_length =
        grown(t->prefix_length, trc_builder_has(b, TRC_F_PREFIX_LENGTH), room, sizeof *t->prefix_length);
    t->hash_begin = grown(t->hash_begin, trc_builder_has(b, TRC_F_HASH_IDS), room + 1, sizeof *t->hash_begin);
    if (!b->room && t->hash_begin) t->hash_begin[0] = 0;
    b->room = room;
}

static bool add_class(struct trc_builder *b, const struct trc_cells *cells, uint16_t *out,
                      struct sim_status *st)
{
    struct trc_trace *t = b->trace;
    const struct trc_cell *c = &cells->cell[TRC_F_SLO_CLASS];
    struct trc_intern_entry *e = trc_intern(&b->classes, c->length ? c->text : "default", t->strings);
    if (e->value == 0) {
        if (t->n_classes > UINT16_MAX)
            return trc_refuse_cell(b, cells, TRC_F_SLO_CLASS, "at most 65536 different classes", st);
        t->class_names = sim_realloc(t->class_names, t->n_classes + 1, sizeof *t->class_names);
        t->class_names[t->n_classes++] = e->text;
        e->value = t->n_classes;
    }
    *out = (uint16_t)(e->value - 1);
    return true;
}

/* The text of a cell, one copy for all rows that repeat it. */
static char *text_of(struct trc_builder *b, const struct trc_cells *cells, enum trc_field field)
{
    return trc_intern(&b->names, cells->cell[field].text, b->trace->strings)->text;
}

/* Bailian: a request names its parent, not its session; the session is the chat that started it all. The
 * entry of a chat in the table holds the session's name. */
static char *session_of_chat(struct trc_builder *b, const struct trc_cells *cells)
{
    const struct trc_cell *chat = &cells->cell[TRC_F_CHAT], *parent = &cells->cell[TRC_F_PARENT];
    bool is_root = parent->length == 0 || strcmp(parent->text, "-1") == 0;
    struct trc_intern_entry *e =
        trc_intern(&b->names, is_root ? chat->text : parent->text, b->trace->strings);
    char *session = e->value ? (char *)(uintptr_t)e->value : e->text;
    trc_intern(&b->names, chat->text, b->trace->strings)->value = (uintptr_t)session;
    return session;
}

static bool add_hash_ids(struct trc_builder *b, const struct trc_cells *cells, uint32_t input_tokens,
                         struct sim_status *st)
{
    struct trc_trace *t = b->trace;
    size_t n = cells->n_hash_ids;
    if (!cells->hash_ids && !trc_cell_hash_ids(b, cells, &n, st)) return false;
    if (!trc_check_blocks(b, cells, input_tokens, n, st)) return false;
    uint64_t begin = t->hash_begin[t->n_requests];
    if (begin + n > UINT32_MAX)
        return trc_refuse_cell(b, cells, TRC_F_HASH_IDS, "at most 4294967295 ids in a file", st);
    if (begin + n > b->room_hash_ids) {
        b->room_hash_ids = begin + n + (begin + n) / 2;
        t->hash_ids = sim_realloc(t->hash_ids, b->room_hash_ids, sizeof *t->hash_ids);
    }
    if (n)
        memcpy(t->hash_ids + begin, cells->hash_ids ? cells->hash_ids : b->parsed_ids,
               n * sizeof *t->hash_ids);
    t->hash_begin[t->n_requests + 1] = (uint32_t)(begin + n);
    return true;
}

static bool optional_count(struct trc_builder *b, const struct trc_cells *cells, enum trc_field field,
                           uint32_t *out, struct sim_status *st)
{
    *out = 0;
    return cells->cell[field].length == 0 || trc_cell_count(b, cells, field, out, st);
}

static bool add_side_columns(struct trc_builder *b, const struct trc_cells *cells, struct sim_status *st)
{
    struct trc_trace *t = b->trace;
    uint64_t i = t->n_requests;
    if (t->request_id) {
        enum trc_field field = trc_builder_has(b, TRC_F_REQUEST_ID) ? TRC_F_REQUEST_ID : TRC_F_CHAT;
        t->request_id[i] = sim_arena_strdup(t->strings, cells->cell[field].text);
    }
    if (t->session_id)
        t->session_id[i] =
            trc_builder_has(b, TRC_F_SESSION) ? text_of(b, cells, TRC_F_SESSION) : session_of_chat(b, cells);
    if (t->model) t->model[i] = text_of(b, cells, TRC_F_MODEL);
    if (t->task) t->task[i] = text_of(b, cells, TRC_F_TASK);
    if (t->prefix_group) t->prefix_group[i] = text_of(b, cells, TRC_F_PREFIX_GROUP);
    if (t->turn && !optional_count(b, cells, TRC_F_TURN, &t->turn[i], st)) return false;
    if (t->prefix_length && !optional_count(b, cells, TRC_F_PREFIX_LENGTH, &t->prefix_length[i], st))
        return false;
    return true;
}

/* From the first row that was skipped on, a request's number is no longer its place. */
static void note_row_number(struct trc_builder *b)
{
    struct trc_trace *t = b->trace;
    if (!t->file_row && b->n_rows > t->n_requests) {
        t->file_row = sim_alloc(b->room, sizeof *t->file_row);
        for (uint64_t i = 0; i < t->n_requests; i++) t->file_row[i] = i;
    }
    if (t->file_row) t->file_row[t->n_requests] = b->n_rows;
}

/* Whether a request that failed (no output, or the file says so) is left out; counts it. */
static bool handle_failed(struct trc_builder *b, const struct trc_cells *cells, struct sim_request *r,
                          bool *skip, struct sim_status *st)
{
    *skip = false;
    bool says_failed = trc_cell_is_failed(cells);
    if (r->output_tokens > 0 && !says_failed) return true;
    if (b->options.zero_output == TRC_ZERO_ERROR)
        return trc_refuse_cell(b, cells, says_failed ? TRC_F_STATUS : TRC_F_OUTPUT,
                               "a request that succeeded (--zero-output=skip|one takes others)", st);
    b->trace->n_failed++;
    *skip = b->options.zero_output == TRC_ZERO_SKIP;
    if (r->output_tokens == 0) r->output_tokens = 1;
    return true;
}

bool trc_builder_add(struct trc_builder *b, const struct trc_cells *cells, struct sim_status *st)
{
    struct trc_trace *t = b->trace;
    struct sim_request r = {0};
    int64_t us;
    bool skip;
    if (!trc_cell_arrival(b, cells, &us, st) || !trc_cell_count(b, cells, TRC_F_INPUT, &r.input_tokens, st) ||
        !trc_cell_count(b, cells, TRC_F_OUTPUT, &r.output_tokens, st) ||
        !handle_failed(b, cells, &r, &skip, st))
        return false;
    if (!skip) {
        if (r.input_tokens == 0) return trc_refuse_cell(b, cells, TRC_F_INPUT, "at least 1 token", st);
        make_room(b);
        note_row_number(b);
        r.arrival_s = (double)us; /* whole microseconds until the end */
        if (trc_builder_has(b, TRC_F_PRIORITY) && !trc_cell_priority(b, cells, &r.priority, st)) return false;
        if (trc_builder_has(b, TRC_F_SLO_CLASS) && !add_class(b, cells, &r.slo_class, st)) return false;
        if (!add_side_columns(b, cells, st)) return false;
        if (t->hash_begin && !add_hash_ids(b, cells, r.input_tokens, st)) return false;
        if (r.arrival_s < b->latest_us) t->n_reordered++;
        if (r.arrival_s > b->latest_us) b->latest_us = r.arrival_s;
        t->requests[t->n_requests++] = r;
    }
    b->n_rows++;
    return true;
}
