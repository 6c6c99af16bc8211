#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/markdown_text.h"
#include "sim/memory.h"

/* Rows that tell the shape of a line, bars that are still read, columns beyond which the table is turned. */
enum { MOST_POINTS = 12, MOST_NAMES = 24, MOST_COLUMNS = 7 };
enum { X, Y, LO, HI };

struct chart {
    const json_t *part, *series;
    size_t n_series;
    enum exp_language language;
    struct exp_markdown_table table;
    bool all; /* every point stands in the table */
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static const json_t *points_of(const struct chart *c, size_t s)
{
    return json_object_get(json_array_get(c->series, s), "points");
}

static const json_t *number_of(const struct chart *c, size_t s, size_t i, size_t k)
{
    return json_array_get(json_array_get(points_of(c, s), i), k);
}

static size_t n_points(const struct chart *c, size_t s)
{
    return json_array_size(points_of(c, s));
}

/* ---- cells ---- */

static void begin(struct chart *c, size_t n_rows, size_t n_columns)
{
    c->table = exp_markdown_table_new(n_rows + 1, n_columns);
    for (size_t k = 0; k < n_columns; k++) c->table.right[k] = 1;
}

static void put_words(struct chart *c, size_t row, size_t column, const char *text)
{
    exp_markdown_set(&c->table, row, column, exp_markdown_text(text));
    if (row) c->table.right[column] = 0;
}

static void put_value(struct chart *c, size_t row, size_t column, const json_t *v)
{
    exp_markdown_set(&c->table, row, column, exp_markdown_value(v, 0, c->language));
}

static void put_axis(struct chart *c, size_t column, const char *which)
{
    const json_t *axis = json_object_get(c->part, which);
    exp_markdown_set(&c->table, 0, column, exp_markdown_head(text_of(axis, "title"), text_of(axis, "unit")));
}

static void put_series_heads(struct chart *c, size_t first)
{
    for (size_t s = 0; s < c->n_series; s++)
        put_words(c, 0, first + s, text_of(json_array_get(c->series, s), "name"));
}

/* With its band: "12 [11, 14]". */
static void put_y(struct chart *c, size_t row, size_t column, const json_t *point)
{
    char *y = exp_markdown_value(json_array_get(point, Y), 0, c->language);
    char *lo = exp_markdown_value(json_array_get(point, LO), 0, c->language);
    char *hi = exp_markdown_value(json_array_get(point, HI), 0, c->language);
    bool band = *y && *lo && *hi;
    exp_markdown_set(&c->table, row, column, band ? sim_printf("%s [%s, %s]", y, lo, hi) : sim_strdup(y));
    free(hi);
    free(lo);
    free(y);
}

/* The name of an index, or the number itself where an axis has none. */
static void put_x(struct chart *c, size_t row, size_t column, const json_t *x)
{
    const json_t *names = json_object_get(json_object_get(c->part, "x"), "names");
    const json_t *name = json_array_get(names, json_is_integer(x) ? (size_t)json_integer_value(x) : SIZE_MAX);
    if (name)
        put_words(c, row, column, json_string_value(name));
    else
        put_value(c, row, column, x);
}

/* ---- which points ---- */

/* Place of the i-th of `shown` points out of n: the first, the last and evenly between. */
static size_t place(size_t i, size_t shown, size_t n)
{
    return shown > 1 ? i * (n - 1) / (shown - 1) : 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Whether all series have the same numbers k in the same order. */
static bool is_shared(const struct chart *c, size_t k)
{
    for (size_t s = 1; s < c->n_series; s++) {
        if (n_points(c, s) != n_points(c, 0)) return false;
        for (size_t i = 0; i < n_points(c, 0); i++)
            if (!json_equal(number_of(c, s, i, k), number_of(c, 0, i, k))) return false;
    }
    return true;
}

/* ---- forms ---- */

/* A row for some x, a column for each series. */
static void lines_by_x(struct chart *c)
{
    size_t n = n_points(c, 0), shown = least(n, MOST_POINTS);
    begin(c, shown, 1 + c->n_series);
    put_axis(c, 0, "x");
    put_series_heads(c, 1);
    for (size_t r = 0; r < shown; r++) {
        size_t i = place(r, shown, n);
        put_x(c, r + 1, 0, number_of(c, 0, i, X));
        for (size_t s = 0; s < c->n_series; s++) put_y(c, r + 1, 1 + s, json_array_get(points_of(c, s), i));
    }
    c->all = shown == n;
}

/* Distributions: a row for some share, the latency of each series beside it. */
static void lines_by_y(struct chart *c)
{
    size_t n = n_points(c, 0), shown = least(n, MOST_POINTS);
    begin(c, shown, 1 + c->n_series);
    put_axis(c, 0, "y");
    put_series_heads(c, 1);
    for (size_t r = 0; r < shown; r++) {
        size_t i = place(r, shown, n);
        put_value(c, r + 1, 0, number_of(c, 0, i, Y));
        for (size_t s = 0; s < c->n_series; s++) put_x(c, r + 1, 1 + s, number_of(c, s, i, X));
    }
    c->all = shown == n;
}

/* How many points of a series a list shows: as many as there are rows for, one at least. */
static size_t shown_of(const struct chart *c, size_t s)
{
    size_t share = MOST_NAMES / c->n_series;
    return least(n_points(c, s), share ? share : 1);
}

/* A row a point: series, x, then what is there. */
static void listed(struct chart *c, const char *const *heads, size_t n_columns,
                   void (*put)(struct chart *c, size_t row, const json_t *point))
{
    size_t n_rows = 0, row = 1;
    c->all = true;
    for (size_t s = 0; s < c->n_series; s++) n_rows += shown_of(c, s);
    begin(c, n_rows, n_columns);
    for (size_t k = 0; heads[k]; k++) put_words(c, 0, k, exp_report_word(c->language, heads[k]));
    for (size_t s = 0; s < c->n_series; s++) {
        size_t shown = shown_of(c, s);
        c->all &= shown == n_points(c, s);
        for (size_t i = 0; i < shown; i++, row++) {
            put_words(c, row, 0, text_of(json_array_get(c->series, s), "name"));
            put(c, row, json_array_get(points_of(c, s), place(i, shown, n_points(c, s))));
        }
    }
}

static void put_scatter(struct chart *c, size_t row, const json_t *point)
{
    const char *label = json_string_value(json_array_get(point, 2));
    put_words(c, row, 1, label ? label : "");
    put_x(c, row, 2, json_array_get(point, X));
    put_value(c, row, 3, json_array_get(point, Y));
}

static void scatter(struct chart *c)
{
    static const char *const heads[] = {"series", "point", NULL};
    listed(c, heads, 4, put_scatter);
    put_axis(c, 2, "x");
    put_axis(c, 3, "y");
}

static void put_line_point(struct chart *c, size_t row, const json_t *point)
{
    put_x(c, row, 1, json_array_get(point, X));
    put_y(c, row, 2, point);
}

static void lines(struct chart *c)
{
    static const char *const heads[] = {"series", NULL};
    if (is_shared(c, X)) {
        lines_by_x(c);
    } else if (is_shared(c, Y)) {
        lines_by_y(c);
    } else {
        listed(c, heads, 3, put_line_point);
        put_axis(c, 1, "x");
        put_axis(c, 2, "y");
    }
}

static void put_range(struct chart *c, size_t row, const json_t *point)
{
    put_x(c, row, 1, json_array_get(point, 0));
    for (size_t k = 1; k <= 3; k++) put_value(c, row, 1 + k, json_array_get(point, k));
}

static void ranges(struct chart *c)
{
    static const char *const heads[] = {"series", "", "low", "middle", "high", NULL};
    listed(c, heads, 5, put_range);
    put_axis(c, 1, "x");
}

/* A row a name, a column a series. */
static void bars(struct chart *c)
{
    const json_t *names = json_object_get(json_object_get(c->part, "x"), "names");
    size_t n = json_array_size(names), shown = least(n, MOST_NAMES);
    begin(c, shown, 1 + c->n_series);
    put_axis(c, 0, "x");
    put_series_heads(c, 1);
    for (size_t r = 0; r < shown; r++) put_words(c, r + 1, 0, json_string_value(json_array_get(names, r)));
    for (size_t s = 0; s < c->n_series; s++)
        for (size_t i = 0; i < n_points(c, s); i++) {
            size_t row = (size_t)json_integer_value(number_of(c, s, i, X));
            char **cell = row < shown ? &c->table.cell[(row + 1) * (1 + c->n_series) + 1 + s] : NULL;
            if (cell && !*cell) put_value(c, row + 1, 1 + s, number_of(c, s, i, Y));
        }
    c->all = shown == n;
}

static const struct {
    const char *form;
    void (*fill)(struct chart *c);
} forms[] = {
    {"line", lines}, {"scatter", scatter}, {"bars", bars}, {"stacked", bars}, {"ranges", ranges},
};

static void put_note(const struct chart *c, FILE *out)
{
    char *file = sim_printf("%s.csv", text_of(c->part, "id"));
    char *note =
        exp_report_say(c->language, "Some of its points; all are in {0} (--format csv).", file, NULL);
    fprintf(out, "%s\n\n", note);
    free(note);
    free(file);
}

void exp_markdown_chart(const json_t *chart, enum exp_language language, FILE *out)
{
    struct chart c = {.part = chart, .series = json_object_get(chart, "series"), .language = language};
    c.n_series = json_array_size(c.series);
    if (!c.n_series) return;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(forms[i].form, text_of(chart, "form")) == 0) forms[i].fill(&c);
    if (c.table.n_columns > MOST_COLUMNS) exp_markdown_turn(&c.table);
    exp_markdown_print(&c.table, out);
    if (!c.all) put_note(&c, out);
}
