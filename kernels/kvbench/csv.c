#include "kernels/kvbench/csv.h"

#include <csv.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "kernels/kvbench/util.h"

enum { MAX_FIELDS = 256 };

struct reading {
    struct kvb_csv_row row;
    char *field[MAX_FIELDS];
    uint32_t n_fields;
    uint64_t n_rows;
    kvb_csv_fn *on_row;
    void *user;
    struct kb_error *err;
    bool stopped;
};

static void stop(struct reading *r, const char *what)
{
    if (!r->stopped) kb_fail(r->err, "%s:%llu: %s", r->row.path, (unsigned long long)r->row.line, what);
    r->stopped = true;
}

static void on_field(void *text, size_t length, void *user)
{
    struct reading *r = user;
    if (r->n_fields == MAX_FIELDS) stop(r, "has more than 256 fields; is it the right file?");
    if (r->stopped) return;
    char *copy = kvb_alloc(length + 1, 1);
    if (length) memcpy(copy, text, length);
    r->field[r->n_fields++] = copy;
}

static void drop_fields(struct reading *r)
{
    for (uint32_t i = 0; i < r->n_fields; i++) free(r->field[i]);
    r->n_fields = 0;
}

static void on_end(int terminator, void *user)
{
    (void)terminator;
    struct reading *r = user;
    r->row.n_fields = r->n_fields;
    r->row.field = (const char *const *)r->field;
    if (!r->stopped) r->stopped = !r->on_row(r->user, r->n_rows++, &r->row, r->err);
    drop_fields(r);
}

/* One line to the parser. A quoted field may run over lines: the row keeps the number of its first. */
static void feed(struct csv_parser *p, struct reading *r, const char *line, size_t length, uint64_t number)
{
    static const char MARK[] = "\xef\xbb\xbf";
    if (r->n_fields == 0) r->row.line = number;
    if (number == 1 && length >= 3 && memcmp(line, MARK, 3) == 0) line += 3, length -= 3;
    if (r->n_fields == 0 && (length == 0 || line[0] == '#' || line[0] == '\n' || line[0] == '\r')) return;
    if (memchr(line, '\0', length)) stop(r, "holds a NUL byte, expected text; is it the right file?");
    if (!r->stopped && csv_parse(p, line, length, on_field, on_end, r) != length)
        stop(r, "has a quote that does not match; correct the row");
}

static void feed_lines(struct csv_parser *p, struct reading *r, FILE *f)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    uint64_t number = 0;
    while (!r->stopped && (length = getline(&line, &room, f)) >= 0)
        feed(p, r, line, (size_t)length, ++number);
    free(line);
    if (!r->stopped && ferror(f)) stop(r, strerror(errno));
    if (!r->stopped && csv_fini(p, on_field, on_end, r) != 0) stop(r, "ends inside a quote");
}

bool kvb_csv_read(const char *path, kvb_csv_fn *on_row, void *user, struct kb_error *err)
{
    struct csv_parser p;
    FILE *f = fopen(path, "r");
    if (!f) return kb_fail(err, "%s: cannot be read (%s)", path, strerror(errno));
    if (csv_init(&p, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0) abort();
    struct reading r = {.row = {.path = path, .line = 1}, .on_row = on_row, .user = user, .err = err};
    feed_lines(&p, &r, f);
    drop_fields(&r);
    if (!r.stopped && r.n_rows == 0) stop(&r, "is empty, expected a header with column names");
    csv_free(&p);
    fclose(f);
    return !r.stopped;
}

int kvb_csv_column(const struct kvb_csv_row *header, const char *name)
{
    for (uint32_t i = 0; i < header->n_fields; i++)
        if (strcmp(header->field[i], name) == 0) return (int)i;
    return -1;
}

static bool refuse(const struct kvb_csv_row *row, int column, const char *name, const char *expected,
                   struct kb_error *err)
{
    bool there = column >= 0 && (uint32_t)column < row->n_fields;
    return kb_fail(err, "%s:%llu: column %s: %s%.40s%s, expected %s", row->path,
                   (unsigned long long)row->line, name, there ? "`" : "",
                   there ? row->field[column] : "is missing", there ? "`" : "", expected);
}

bool kvb_csv_u64(const struct kvb_csv_row *row, int column, const char *name, uint64_t most, uint64_t *out,
                 struct kb_error *err)
{
    char expected[64];
    snprintf(expected, sizeof expected, "a whole number from 0 to %llu", (unsigned long long)most);
    if (column < 0 || (uint32_t)column >= row->n_fields) return refuse(row, column, name, expected, err);
    const char *text = row->field[column];
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    bool good = *text >= '0' && *text <= '9' && errno == 0 && value <= most;
    if (good && *end == '.') end += 1 + strspn(end + 1, "0");
    if (!good || *end) return refuse(row, column, name, expected, err);
    *out = value;
    return true;
}

bool kvb_csv_double(const struct kvb_csv_row *row, int column, const char *name, double *out,
                    struct kb_error *err)
{
    static const char EXPECTED[] = "a finite decimal number";
    if (column < 0 || (uint32_t)column >= row->n_fields) return refuse(row, column, name, EXPECTED, err);
    const char *text = row->field[column];
    char *end;
    double value = strtod(text, &end);
    bool good = *text && strspn(text, "+-.0123456789eE") == strlen(text) && !*end && isfinite(value);
    if (!good) return refuse(row, column, name, EXPECTED, err);
    *out = value;
    return true;
}
