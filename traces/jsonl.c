#include "traces/jsonl.h"

#include "sim/line_in.h"
#include "sim/memory.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 32 };

/* One line taken apart. */
struct jsonl_row {
    struct trc_cells cells;
    char numbers[TRC_N_FIELDS][NUMBER_BYTES];
    uint64_t *ids;
    size_t room_ids;
};

static size_t find_column(const struct trc_columns *c, const char *name, size_t hint)
{
    if (hint < c->n && strcmp(c->name[hint], name) == 0) return hint;
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->name[i], name) == 0) return i;
    return c->n;
}

static bool refuse_value(const struct trc_builder *b, const char *name, uint64_t line, const char *expected,
                         struct sim_status *st)
{
    return sim_fail(st, "%s:%llu: key %s: holds another kind of value, expected %s; correct or drop the line",
                    b->path, (unsigned long long)line, sim_excerpt(name, strlen(name)).text, expected);
}

static bool take_hash_ids(struct trc_builder *b, struct jsonl_row *row, const char *name, json_t *array,
                          struct sim_status *st)
{
    size_t n = json_array_size(array);
    if (n > row->room_ids) {
        row->room_ids = 2 * n;
        row->ids = sim_realloc(row->ids, row->room_ids, sizeof *row->ids);
    }
    for (size_t i = 0; i < n; i++) {
        json_t *id = json_array_get(array, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            return refuse_value(b, name, row->cells.line, "an array of whole numbers >= 0", st);
        row->ids[i] = (uint64_t)json_integer_value(id);
    }
    row->cells.hash_ids = row->ids;
    row->cells.n_hash_ids = n;
    return true;
}

/* The shortest text that reads back as the same double: what the file most likely said. */
static void print_real(char *out, double value)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(out, NULL) == value) return;
    }
}

static bool take_value(struct trc_builder *b, struct jsonl_row *row, size_t column, json_t *value,
                       struct sim_status *st)
{
    int field = b->columns.field[column];
    if (field < 0) return true;
    char *number = row->numbers[field];
    const char *text = number;
    if (json_is_string(value))
        text = json_string_value(value);
    else if (json_is_integer(value))
        snprintf(number, NUMBER_BYTES, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        print_real(number, json_real_value(value));
    else if (json_is_boolean(value))
        text = json_is_true(value) ? "true" : "false";
    else if (json_is_null(value))
        text = "";
    else if (json_is_array(value) && field == TRC_F_HASH_IDS)
        return take_hash_ids(b, row, b->columns.name[column], value, st);
    else
        return refuse_value(b, b->columns.name[column], row->cells.line, "a number or a text", st);
    row->cells.cell[field] = (struct trc_cell){text, strlen(text)};
    return true;
}

/* Turns that wait for earlier answers have no arrival time of their own, so no trace can hold them. */
static bool refuse_closed_loop(const struct trc_builder *b, const json_t *object, uint64_t line,
                               struct sim_status *st)
{
    if (!json_object_get(object, "sub_requests")) return true;
    return sim_fail(
        st,
        "%s:%llu: key sub_requests: holds a closed loop (each call starts when the one before is answered), "
        "expected requests with arrival times; use a closed_loop workload with think_time_s instead",
        b->path, (unsigned long long)line);
}

/* The first line's keys choose the dialect; a key that shows up later still finds its field. */
static bool learn_keys(struct trc_builder *b, json_t *object, uint64_t line, struct sim_status *st)
{
    const char *name;
    json_t *value;
    size_t hint = 0;
    bool is_first = b->dialect == NULL;
    json_object_foreach(object, name, value)
    {
        size_t column = find_column(&b->columns, name, hint);
        hint = column + 1;
        if (column < b->columns.n) continue;
        if (!trc_columns_add(&b->columns, name, b->path, line, st)) return false;
        if (is_first || b->columns.field[b->columns.n - 1] < 0) continue;
        return sim_fail(st,
                        "%s:%llu: key %s: appears here first, expected it in the first line too; add it "
                        "there (null is fine)",
                        b->path, (unsigned long long)line, sim_excerpt(name, strlen(name)).text);
    }
    if (!is_first) return true;
    b->header_line = line;
    return trc_columns_close(&b->columns, b->path, line, st) && trc_builder_begin(b, st);
}

static bool add_object(struct trc_builder *b, struct jsonl_row *row, json_t *object, struct sim_status *st)
{
    if (!refuse_closed_loop(b, object, row->cells.line, st) || !learn_keys(b, object, row->cells.line, st))
        return false;
    for (int f = 0; f < TRC_N_FIELDS; f++) row->cells.cell[f] = (struct trc_cell){"", 0};
    row->cells.hash_ids = NULL;
    row->cells.n_hash_ids = 0;
    const char *name;
    json_t *value;
    size_t hint = 0;
    json_object_foreach(object, name, value)
    {
        size_t column = find_column(&b->columns, name, hint);
        hint = column + 1;
        if (!take_value(b, row, column, value, st)) return false;
    }
    return trc_builder_add(b, &row->cells, st);
}

static bool add_line(struct trc_builder *b, struct jsonl_row *row, const struct sim_line *line,
                     struct sim_status *st)
{
    json_error_t error;
    json_t *object = json_loadb(line->text, line->length, JSON_REJECT_DUPLICATES, &error);
    if (!object || !json_is_object(object)) {
        json_decref(object);
        return sim_fail(
            st, "%s:%llu: is no JSON object (%s, byte %d), expected one whole object a line; correct it",
            b->path, (unsigned long long)line->number,
            object ? "another value" : sim_excerpt(error.text, strlen(error.text)).text, error.position);
    }
    row->cells.line = line->number;
    bool ok = add_object(b, row, object, st);
    json_decref(object);
    return ok;
}

bool trc_jsonl_read(struct trc_builder *b, struct sim_lines *in, struct sim_status *st)
{
    struct jsonl_row *row = sim_alloc(1, sizeof *row);
    struct sim_line line;
    bool ok = true;
    while (ok && sim_lines_next(in, &line, st))
        if (!sim_line_is_skipped(&line)) ok = add_line(b, row, &line, st);
    free(row->ids);
    free(row);
    return ok && st->code == SIM_EXIT_OK;
}
