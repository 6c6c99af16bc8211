/* Tables of a page. */
#include "experiments/page.h"

#include <stdlib.h>
#include <string.h>

#include "experiments/page_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

void exp_grid_add_column(struct exp_grid *g, const char *head, enum exp_cells cells)
{
    SIM_CHECK(g->n_columns < EXP_MAX_COLUMNS);
    g->column[g->n_columns++] = (struct exp_column_of_page){head, cells};
}

void exp_grid_add(struct exp_grid *g, const char *text)
{
    g->cell = sim_realloc(g->cell, g->n_cells + 1, sizeof *g->cell);
    g->cell[g->n_cells++] = sim_strdup(text ? text : "");
}

const char *exp_grid_cell(const struct exp_grid *g, size_t row, int column)
{
    return g->cell[row * (size_t)g->n_columns + (size_t)column];
}

size_t exp_grid_rows(const struct exp_grid *g)
{
    SIM_CHECK(g->n_columns && g->n_cells % (size_t)g->n_columns == 0);
    return g->n_cells / (size_t)g->n_columns;
}

/* Line 0 or 1 of a head; a head of one line stands on the second. */
static const char *head_line(const char *head, int line, size_t *n)
{
    const char *second = strchr(head, '\n');
    *n = 0;
    if (line == 0) {
        if (second) *n = (size_t)(second - head);
        return head;
    }
    if (second) head = second + 1;
    *n = strlen(head);
    return head;
}

static int widest(const struct exp_grid *g, int column)
{
    size_t n;
    int most = 0;
    for (int line = 0; line < 2; line++) {
        const char *text = head_line(g->column[column].head, line, &n);
        int columns = exp_page_columns_within(text, n);
        if (columns > most) most = columns;
    }
    for (size_t r = 0; r < exp_grid_rows(g); r++) {
        int columns = exp_text_columns(exp_grid_cell(g, r, column));
        if (columns > most) most = columns;
    }
    return most;
}

static bool is_in_line(const struct exp_grid *g, int column)
{
    return g->column[column].cells != EXP_CELLS_BELOW;
}

struct shape {
    int width[EXP_MAX_COLUMNS], gap;
};

static int total(const struct exp_grid *g, const struct shape *s)
{
    int sum = -s->gap;
    for (int c = 0; c < g->n_columns; c++)
        if (is_in_line(g, c)) sum += s->width[c] + s->gap;
    return sum;
}

/* The column that gives way: a wrapping one, else the widest of words, else the widest. */
static int softest(const struct exp_grid *g, const struct shape *s)
{
    int best = 0;
    long most = -1;
    for (int c = 0; c < g->n_columns; c++) {
        if (!is_in_line(g, c) || s->width[c] <= 2) continue;
        enum exp_cells cells = g->column[c].cells;
        long weight = s->width[c] + (cells == EXP_CELLS_WRAP && s->width[c] > 12 ? 2000
                                     : cells == EXP_CELLS_LEFT                   ? 1000
                                                                                 : 0);
        if (weight <= most) continue;
        most = weight;
        best = c;
    }
    return best;
}

static struct shape shape_of(const struct exp_grid *g)
{
    struct shape s = {.gap = 2};
    for (int c = 0; c < g->n_columns; c++) s.width[c] = widest(g, c);
    bool wraps = false;
    for (int c = 0; c < g->n_columns; c++) wraps |= g->column[c].cells == EXP_CELLS_WRAP;
    if (total(g, &s) > EXP_PAGE_COLUMNS && !wraps) s.gap = 1;
    while (total(g, &s) > EXP_PAGE_COLUMNS) s.width[softest(g, &s)]--;
    return s;
}

/* One line of a row: what of each cell's text is still to be said, `left` of it moved on. False when nothing was. */
static bool put_line(const struct exp_page *p, const struct exp_grid *g, const struct shape *s,
                     const char **left)
{
    bool any = false;
    int at = 0, column = 0; /* where the cursor is, and where the cell begins */
    for (int c = 0; c < g->n_columns; c++) {
        size_t next = 0, n = 0;
        if (!is_in_line(g, c)) continue;
        if (*left[c]) n = exp_page_line_end(left[c], s->width[c], &next);
        int columns = exp_page_columns_within(left[c], n);
        int pad = g->column[c].cells == EXP_CELLS_RIGHT ? s->width[c] - columns : 0;
        if (n) {
            exp_page_put_bytes(p, column + pad - at, left[c], n);
            at = column + pad + columns;
        }
        any |= *left[c] != '\0';
        left[c] += next;
        column += s->width[c] + s->gap;
    }
    if (any) fputc('\n', p->out);
    return any;
}

static void put_head(const struct exp_page *p, const struct exp_grid *g, const struct shape *s)
{
    for (int line = 0; line < 2; line++) {
        char *text[EXP_MAX_COLUMNS];
        const char *left[EXP_MAX_COLUMNS];
        size_t n;
        for (int c = 0; c < g->n_columns; c++) {
            const char *head = head_line(g->column[c].head, line, &n);
            left[c] = text[c] = sim_printf("%.*s", (int)n, head);
        }
        while (put_line(p, g, s, left)) continue;
        for (int c = 0; c < g->n_columns; c++) free(text[c]);
    }
}

static void put_below(const struct exp_page *p, const struct exp_grid *g, size_t row)
{
    for (int c = 0; c < g->n_columns; c++) {
        if (is_in_line(g, c) || !*exp_grid_cell(g, row, c)) continue;
        char *line = sim_printf("%s: %s", g->column[c].head, exp_grid_cell(g, row, c));
        exp_page_put_wrapped(p, 3, 5, line);
        free(line);
    }
}

static void put_text_grid(const struct exp_page *p, const struct exp_grid *g)
{
    struct shape s = shape_of(g);
    put_head(p, g, &s);
    for (size_t r = 0; r < exp_grid_rows(g); r++) {
        const char *left[EXP_MAX_COLUMNS];
        for (int c = 0; c < g->n_columns; c++) left[c] = exp_grid_cell(g, r, c);
        while (put_line(p, g, &s, left)) continue;
        put_below(p, g, r);
    }
}

char *exp_grid_one_line(const char *text)
{
    char *out = sim_strdup(text), *to = out;
    for (; *text; text++) {
        bool halves = *text == '-' && text[1] == '\n', joined = *text == '\n' && to > out && to[-1] == '/';
        if (halves) text++;
        if (!halves && !joined) *to++ = *text == '\n' ? ' ' : *text;
    }
    *to = '\0';
    return out;
}

/* A cell of a Markdown table. */
static void put_cell(const struct exp_page *p, const char *text)
{
    char *line = exp_grid_one_line(text);
    uint32_t code;
    fputc(' ', p->out);
    for (size_t at = 0, n; line[at]; at += n) {
        n = exp_page_letter(line + at, &code);
        if (line[at] == '|') fputc('\\', p->out);
        exp_page_put_bytes(p, 0, line + at, n);
    }
    fputs(" |", p->out);
    free(line);
}

static void put_markdown_grid(const struct exp_page *p, const struct exp_grid *g)
{
    fputs("\n|", p->out);
    for (int c = 0; c < g->n_columns; c++) put_cell(p, g->column[c].head);
    fputs("\n|", p->out);
    for (int c = 0; c < g->n_columns; c++)
        fputs(g->column[c].cells == EXP_CELLS_RIGHT ? "---:|" : "---|", p->out);
    for (size_t r = 0; r < exp_grid_rows(g); r++) {
        fputs("\n|", p->out);
        for (int c = 0; c < g->n_columns; c++) put_cell(p, exp_grid_cell(g, r, c));
    }
    fputc('\n', p->out);
}

void exp_page_grid(const struct exp_page *p, struct exp_grid *g)
{
    if (g->n_cells && p->parts)
        exp_page_parts_grid(p->parts, g);
    else if (g->n_cells && p->markdown)
        put_markdown_grid(p, g);
    else if (g->n_cells)
        put_text_grid(p, g);
    for (size_t i = 0; i < g->n_cells; i++) free(g->cell[i]);
    free(g->cell);
    *g = (struct exp_grid){0};
}
