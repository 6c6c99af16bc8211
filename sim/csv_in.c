#include "sim/csv_in.h"

#include "sim/line_in.h"
#include "sim/memory.h"

#include <csv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FIELDS = 1 << 16, FIELD_BLOCK_BYTES = 1 << 12 };

/* The row being put together: its fields lie side by side in bytes. */
struct assembly {
    char *bytes;
    size_t n_bytes, room_bytes;
    size_t *offset, *length;
    const char **field;
    size_t n_fields, room_fields;
    uint64_t n_rows;
    struct sim_csv_row row;
    sim_csv_row_fn *on_row;
    void *user;
    struct sim_status *st;
    bool stopped;
};

static void make_room(struct assembly *a, size_t n_bytes)
{
    if (n_bytes <= a->room_bytes) return;
    a->room_bytes = 2 * n_bytes;
    a->bytes = sim_realloc(a->bytes, a->room_bytes, 1);
}

/* One more field of the row: bytes[offset .. offset + length) and a NUL behind. */
static void add_field(struct assembly *a, size_t offset, size_t length)
{
    if (a->n_fields == a->room_fields) {
        a->room_fields = a->room_fields ? 2 * a->room_fields : 16;
        a->offset = sim_realloc(a->offset, a->room_fields, sizeof *a->offset);
        a->length = sim_realloc(a->length, a->room_fields, sizeof *a->length);
        a->field = sim_realloc(a->field, a->room_fields, sizeof *a->field);
    }
    a->bytes[offset + length] = '\0';
    a->offset[a->n_fields] = offset;
    a->length[a->n_fields++] = length;
    if (a->n_fields > MAX_FIELDS && !a->stopped)
        a->stopped =
            !sim_fail(a->st, "%s:%llu: has more than %d fields, expected a row; is it the right file?",
                      a->row.path, (unsigned long long)a->row.line, MAX_FIELDS);
}

static void on_field(void *text, size_t length, void *user)
{
    struct assembly *a = user;
    if (a->stopped) return;
    make_room(a, a->n_bytes + length + 1);
    if (length) memcpy(a->bytes + a->n_bytes, text, length);
    add_field(a, a->n_bytes, length);
    a->n_bytes += length + 1;
}

static void on_row_end(int terminator, void *user)
{
    (void)terminator;
    struct assembly *a = user;
    for (size_t i = 0; i < a->n_fields; i++) a->field[i] = a->bytes + a->offset[i];
    a->row.n_fields = (uint32_t)a->n_fields;
    a->row.field = a->field;
    a->row.length = a->length;
    if (!a->stopped) a->stopped = !a->on_row(a->user, a->n_rows++, &a->row, a->st);
    a->n_fields = a->n_bytes = 0;
}

static bool is_blank(char c, char delimiter)
{
    return (c == ' ' || c == '\t') && c != delimiter;
}

/* A line without quotes is a row whose fields need no parser: split in one pass, twice as fast as through
 * libcsv and with the same result. False, and nothing done, when there is a quote or a lone carriage return
 * in it. */
static bool split_plain(struct assembly *a, const struct sim_line *line, char delimiter)
{
    size_t start = 0;
    make_room(a, line->length + 1);
    for (size_t i = 0; i <= line->length; i++) {
        char c = i < line->length ? line->text[i] : delimiter;
        if (c == '"' || c == '\r' || a->stopped) {
            a->n_fields = 0;
            return a->stopped;
        }
        a->bytes[i] = c;
        if (c != delimiter) continue;
        size_t end = i;
        while (start < end && is_blank(a->bytes[start], delimiter)) start++;
        while (start < end && is_blank(a->bytes[end - 1], delimiter)) end--;
        add_field(a, start, end - start);
        start = i + 1;
    }
    on_row_end(0, a);
    return true;
}

/* `,` if the header has one outside quotes, else tab, else `;`. */
static unsigned char find_delimiter(const struct sim_line *header)
{
    bool quoted = false, has_tab = false, has_semicolon = false;
    for (size_t i = 0; i < header->length; i++) {
        char c = header->text[i];
        if (c == '"') quoted = !quoted;
        if (quoted) continue;
        if (c == ',') return ',';
        has_tab |= c == '\t';
        has_semicolon |= c == ';';
    }
    return has_tab ? '\t' : has_semicolon ? ';' : ',';
}

static bool refuse_quotes(struct assembly *a)
{
    return sim_fail(a->st,
                    "%s:%llu: has a quote that does not match, expected RFC 4180 quoting; correct the row",
                    a->row.path, (unsigned long long)a->row.line);
}

/* Feeds line by line, so that a row knows where it starts; a quoted field may run over several lines. */
static bool feed(struct csv_parser *p, struct sim_lines *in, struct assembly *a)
{
    struct sim_line line;
    size_t n_quoted_bytes = 0;
    while (!a->stopped && sim_lines_next(in, &line, a->st)) {
        if (n_quoted_bytes == 0) {
            if (sim_line_is_skipped(&line)) continue;
            a->row.line = line.number;
            if (split_plain(a, &line, (char)csv_get_delim(p))) continue;
        }
        uint64_t rows_before = a->n_rows;
        if (csv_parse(p, line.text, line.length, on_field, on_row_end, a) != line.length ||
            csv_parse(p, "\n", 1, on_field, on_row_end, a) != 1)
            return refuse_quotes(a);
        n_quoted_bytes = a->n_rows == rows_before ? n_quoted_bytes + line.length + 1 : 0;
        if (n_quoted_bytes > SIM_LINE_MAX_BYTES && !a->stopped) return refuse_quotes(a);
    }
    if (a->st->code != SIM_EXIT_OK) return false;
    if (!a->stopped && csv_fini(p, on_field, on_row_end, a) != 0) return refuse_quotes(a);
    return a->st->code == SIM_EXIT_OK;
}

bool sim_csv_read_lines(struct sim_lines *in, sim_csv_row_fn *on_row, void *user, struct sim_status *st)
{
    struct sim_line header;
    if (!sim_lines_peek(in, &header, st))
        return sim_fail(st, "%s:1: has no header, expected one with column names; is it the right file?",
                        sim_lines_path(in));
    struct csv_parser p;
    if (csv_init(&p, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0)
        return sim_fail(st, "%s: the CSV parser could not be set up", sim_lines_path(in));
    csv_set_delim(&p, find_delimiter(&header));
    csv_set_blk_size(&p, FIELD_BLOCK_BYTES);
    struct assembly a = {.on_row = on_row, .user = user, .st = st};
    a.row.path = sim_lines_path(in);
    bool ok = feed(&p, in, &a);
    csv_free(&p);
    free(a.bytes);
    free(a.offset);
    free(a.length);
    free(a.field);
    return ok;
}

bool sim_csv_read(const char *path, sim_csv_row_fn *on_row, void *user, struct sim_status *st)
{
    struct sim_lines *in = sim_lines_open(path, st);
    if (!in) return false;
    bool ok = sim_csv_read_lines(in, on_row, user, st);
    sim_lines_close(in);
    return ok;
}

int sim_csv_column(const struct sim_csv_row *header, const char *name)
{
    for (uint32_t i = 0; i < header->n_fields; i++)
        if (strcmp(header->field[i], name) == 0) return (int)i;
    return -1;
}

static bool refuse_cell(const struct sim_csv_row *row, int column, const char *name, const char *expected,
                        struct sim_status *st)
{
    if (column < 0 || (uint32_t)column >= row->n_fields)
        return sim_fail(
            st, "%s:%llu: column %s: is missing (the row has %u fields), expected %s; correct the row",
            row->path, (unsigned long long)row->line, name, row->n_fields, expected);
    return sim_fail(st, "%s:%llu: column %s: \"%s\" found, expected %s; correct the cell or drop the row",
                    row->path, (unsigned long long)row->line, name,
                    sim_excerpt(row->field[column], row->length[column]).text, expected);
}

bool sim_csv_double(const struct sim_csv_row *row, int column, const char *name, double *out,
                    struct sim_status *st)
{
    static const char EXPECTED[] = "a finite decimal number";
    if (column < 0 || (uint32_t)column >= row->n_fields) return refuse_cell(row, column, name, EXPECTED, st);
    const char *text = row->field[column];
    size_t length = row->length[column];
    char *end;
    double value = strtod(text, &end);
    /* the set of characters keeps out hexadecimal, "nan" and "inf", which strtod takes */
    bool good = length > 0 && strspn(text, "+-.0123456789eE") == length && end == text + length;
    if (!good || !isfinite(value)) return refuse_cell(row, column, name, EXPECTED, st);
    *out = value;
    return true;
}

bool sim_csv_u64(const struct sim_csv_row *row, int column, const char *name, uint64_t *out,
                 struct sim_status *st)
{
    static const char EXPECTED[] = "a whole number from 0 to 18446744073709551615";
    if (column < 0 || (uint32_t)column >= row->n_fields) return refuse_cell(row, column, name, EXPECTED, st);
    const char *text = row->field[column];
    uint64_t value = 0;
    bool good = *text >= '0' && *text <= '9';
    for (; good && *text >= '0' && *text <= '9'; text++)
        good = !__builtin_mul_overflow(value, 10U, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(*text - '0'), &value);
    if (good && *text == '.') text += 1 + strspn(text + 1, "0"); /* pandas writes 374.0 */
    if (!good || *text != '\0') return refuse_cell(row, column, name, EXPECTED, st);
    *out = value;
    return true;
}
