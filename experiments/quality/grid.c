#include "experiments/quality/grid.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/page.h"
#include "sim/check.h"
#include "sim/memory.h"

enum { GAP = 2, MAX_LABEL = 26 };

struct exp_blocks {
    uint32_t n_columns, n_fixed;
    size_t n_cells, room; /* of text, the two lines of the head first */
    char **text;
    int *width;
};

struct exp_blocks *exp_blocks_new(uint32_t n_columns, uint32_t n_fixed)
{
    struct exp_blocks *g = sim_alloc(1, sizeof *g);
    g->n_columns = n_columns;
    g->n_fixed = n_fixed;
    g->n_cells = g->room = 2 * (size_t)n_columns;
    g->text = sim_alloc(g->room, sizeof *g->text);
    g->width = sim_alloc(n_columns, sizeof *g->width);
    return g;
}

static void widen(struct exp_blocks *g, uint32_t column, const char *text)
{
    int n = exp_text_columns(text), most = column == 0 ? MAX_LABEL : n;
    if (n > most) n = most;
    if (n > g->width[column]) g->width[column] = n;
}

void exp_blocks_head(struct exp_blocks *g, uint32_t column, const char *first, const char *second)
{
    SIM_CHECK(column < g->n_columns && !g->text[column]);
    g->text[column] = sim_strdup(first);
    g->text[g->n_columns + column] = sim_strdup(second);
    widen(g, column, first);
    widen(g, column, second);
}

void exp_blocks_cell(struct exp_blocks *g, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (g->n_cells == g->room) {
        g->room *= 2;
        g->text = sim_realloc(g->text, g->room, sizeof *g->text);
    }
    g->text[g->n_cells] = sim_strdup(text);
    widen(g, (uint32_t)(g->n_cells++ % g->n_columns), text);
}

static const char *text_at(const struct exp_blocks *g, size_t row, uint32_t column)
{
    size_t at = row * g->n_columns + column;
    return at < g->n_cells && g->text[at] ? g->text[at] : "";
}

/* A cell; blanks are put out only once something follows them, so that no line ends in some. */
struct pen {
    FILE *out;
    int blanks;
};

static void put(struct pen *pen, const char *text, int width, bool right)
{
    int pad = width - exp_text_columns(text);
    if (right && pad > 0) pen->blanks += pad;
    if (*text) {
        fprintf(pen->out, "%*s%s", pen->blanks, "", text);
        pen->blanks = 0;
    }
    if (!right && pad > 0) pen->blanks += pad;
}

/* Columns [0, n_fixed) and [from, to) of a row; a label that is too long has a line of its own. */
static void put_row(const struct exp_blocks *g, size_t row, uint32_t from, uint32_t to, FILE *out)
{
    struct pen pen = {out, 0};
    const char *label = text_at(g, row, 0);
    bool own_line = exp_text_columns(label) > g->width[0];
    if (own_line) exp_print_wrapped(label, 2, out);
    put(&pen, own_line ? "" : label, g->width[0], false);
    for (uint32_t c = 1; c < to; c++) {
        if (c >= g->n_fixed && c < from) continue;
        pen.blanks += GAP;
        put(&pen, text_at(g, row, c), g->width[c], true);
    }
    fputc('\n', out);
}

static bool has_first_line(const struct exp_blocks *g)
{
    for (uint32_t c = 0; c < g->n_columns; c++)
        if (*text_at(g, 0, c)) return true;
    return false;
}

static void free_grid(struct exp_blocks *g)
{
    for (size_t i = 0; i < g->n_cells; i++) free(g->text[i]);
    free(g->text);
    free(g->width);
    free(g);
}

void exp_blocks_print(struct exp_blocks *g, FILE *out)
{
    int fixed = -GAP;
    for (uint32_t c = 0; c < g->n_fixed; c++) fixed += GAP + g->width[c];
    for (uint32_t from = g->n_fixed, to = from; from < g->n_columns; from = to) {
        int width = fixed;
        for (; to < g->n_columns && (to == from || width + GAP + g->width[to] <= EXP_PAGE_COLUMNS); to++)
            width += GAP + g->width[to];
        if (from > g->n_fixed) fputc('\n', out);
        for (size_t row = has_first_line(g) ? 0 : 1; row * g->n_columns < g->n_cells; row++)
            put_row(g, row, from, to, out);
    }
    free_grid(g);
}

void exp_print_wrapped(const char *text, int indent, FILE *out)
{
    const struct exp_page page = {.out = out};
    exp_page_text(&page, 0, indent, text);
}
