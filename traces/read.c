#include "traces/trace.h"

#include "sim/csv_in.h"
#include "sim/line_in.h"
#include "sim/memory.h"
#include "traces/build.h"
#include "traces/jsonl.h"

#include <stdlib.h>
#include <string.h>

static bool on_header(struct trc_builder *b, const struct sim_csv_row *row, struct sim_status *st)
{
    b->header_line = row->line;
    for (uint32_t i = 0; i < row->n_fields; i++)
        if (!trc_columns_add(&b->columns, row->field[i], row->path, row->line, st)) return false;
    return trc_columns_close(&b->columns, row->path, row->line, st) && trc_builder_begin(b, st);
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct trc_builder *b = user;
    if (index == 0) return on_header(b, row, st);
    if (row->n_fields > b->columns.n)
        return sim_fail(
            st, "%s:%llu: has %u fields, expected the header's %zu; quote fields that hold the delimiter",
            row->path, (unsigned long long)row->line, row->n_fields, b->columns.n);
    struct trc_cells cells;
    cells.line = row->line;
    cells.hash_ids = NULL;
    cells.n_hash_ids = 0;
    for (int f = 0; f < TRC_N_FIELDS; f++) {
        int column = b->columns.column[f];
        bool is_there = column >= 0 && (uint32_t)column < row->n_fields;
        cells.cell[f] =
            is_there ? (struct trc_cell){row->field[column], row->length[column]} : (struct trc_cell){"", 0};
    }
    return trc_builder_add(b, &cells, st);
}

static bool read_rows(struct trc_builder *b, struct sim_lines *in, struct sim_status *st)
{
    struct sim_line first;
    if (!sim_lines_peek(in, &first, st))
        return sim_fail(
            st, "%s:1: holds no text but blanks and comments, expected a header and rows; is it whole?",
            b->path);
    const char *start = first.text;
    while (*start == ' ' || *start == '\t') start++;
    if (*start == '{') return trc_jsonl_read(b, in, st);
    if (*start == '[')
        return sim_fail(st,
                        "%s:%llu: is a JSON array, expected one JSON object a line, or CSV; convert it with "
                        "jq -c '.[]'",
                        b->path, (unsigned long long)first.number);
    return sim_csv_read_lines(in, on_row, b, st);
}

struct trc_trace *trc_read(const char *path, const struct trc_options *options, struct sim_status *st)
{
    struct trc_builder b;
    struct trc_trace *t = NULL;
    struct sim_lines *in = sim_lines_open(path, st);
    if (!in) return NULL;
    trc_builder_init(&b, path, options);
    if (trc_columns_init(&b.columns, b.options.columns, st) && read_rows(&b, in, st))
        t = trc_builder_finish(&b, st);
    trc_builder_fini(&b);
    sim_lines_close(in);
    return t;
}

void trc_free(struct trc_trace *t)
{
    if (!t) return;
    free(t->requests);
    free(t->ignored_columns);
    free(t->request_id);
    free(t->file_row);
    free(t->session_id);
    free(t->turn);
    free(t->model);
    free(t->task);
    free(t->prefix_group);
    free(t->prefix_length);
    free(t->hash_begin);
    free(t->hash_ids);
    free(t->class_names);
    sim_arena_free(t->strings);
    free(t);
}
