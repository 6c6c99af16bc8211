#include "experiments/planning/sheet/page.h"

#include <stdlib.h>
#include <string.h>

#include "sim/check.h"
#include "sim/memory.h"

/* ---- letters ---- */

/* Length in bytes of the letter at `text`, which is not empty; its code point. Bytes that are no UTF-8 stand for themselves. */
static size_t letter(const char *text, uint32_t *code)
{
    const unsigned char *b = (const unsigned char *)text;
    size_t n = b[0] >= 0xf0 && b[0] < 0xf8 ? 4 : b[0] >= 0xe0 ? 3 : b[0] >= 0xc0 ? 2 : 1;
    uint32_t value = n == 1 ? b[0] : b[0] & (0x7fu >> n);
    if (b[0] >= 0xf8) n = 1;
    for (size_t i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            *code = b[0];
            return 1;
        }
        value = value << 6 | (b[i] & 0x3f);
    }
    *code = value;
    return n;
}

static bool is_wide(uint32_t code)
{
    static const uint32_t ranges[][2] = {
        {0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},
        {0xfe30, 0xfe4f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f9ff}, {0x20000, 0x3fffd}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    return false;
}

static int columns_of(uint32_t code)
{
    if (code >= 0x0300 && code <= 0x036f) return 0; /* on the letter before */
    return is_wide(code) ? 2 : 1;
}

static int columns_within(const char *text, size_t n_bytes)
{
    int columns = 0;
    uint32_t code;
    for (size_t at = 0; at < n_bytes && text[at];) {
        at += letter(text + at, &code);
        columns += columns_of(code);
    }
    return columns;
}

int exp_text_columns(const char *text)
{
    return columns_within(text, strlen(text));
}

int exp_text_bytes(const char *text, int most)
{
    int n = 0, next;
    uint32_t code;
    for (; text[n]; n = next) {
        next = n + (int)letter(text + n, &code);
        if (next > most) break;
    }
    return n;
}

static bool is_one_of(uint32_t code, const uint32_t *list)
{
    while (*list && *list != code) list++;
    return *list != 0;
}

/* May a line end between two letters without a space? Where one of them is wide, but not before what closes or behind what
 * opens. */
static bool may_part(uint32_t before, uint32_t after)
{
    static const uint32_t closes[] = {0x3001, 0x3002, 0x300d, 0x300f, 0x3011, 0xff09, 0xff0c, 0xff0e,
                                      0xff1a, 0xff1b, 0x30fc, 0x3063, 0x3083, 0x3085, 0x3087, 0x30a1,
                                      0x30a3, 0x30a5, 0x30a7, 0x30a9, 0x30c3, 0x30e3, 0x30e5, 0x30e7,
                                      ')',    ']',    ',',    '.',    ':',    ';',    '%',    0};
    static const uint32_t opens[] = {0x300c, 0x300e, 0x3010, 0xff08, '(', '[', 0};
    return (is_wide(before) || is_wide(after)) && after != ' ' && !is_one_of(after, closes) &&
           !is_one_of(before, opens);
}

/* ---- lines ---- */

/* Where the first line of `text` ends that is at most so many columns wide; *next: where the one after it begins. */
static size_t line_end(const char *text, int width, size_t *next)
{
    size_t end = 0, at = 0, joint = 0; /* joint: behind a hyphen or a slash, for words that are too long */
    int columns = 0;
    uint32_t code, before = 0;
    *next = 0;
    for (; text[at] && text[at] != '\n'; before = code) {
        size_t n = letter(text + at, &code);
        if (at && code == ' ' && before != ' ') {
            end = at;
            *next = at + strspn(text + at, " ");
        } else if (at && before != ' ' && may_part(before, code)) {
            end = *next = at;
        }
        columns += columns_of(code);
        if (columns > width && code != ' ') {
            if (!*next) end = *next = joint ? joint : at ? at : n;
            return end;
        }
        at += n;
        if (columns < width && strchr("-/_:", (int)code) && code < 0x80) joint = at;
    }
    *next = at + (text[at] == '\n');
    while (at && text[at - 1] == ' ') at--;
    return at;
}

/* Control characters, those that begin with 0x80 among them, and what turns the direction of writing. */
static bool moves_cursor(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static size_t letter_bytes(const char *text)
{
    uint32_t code;
    return letter(text, &code);
}

/* Names and sources come from files: what would move a terminal's cursor is not passed on. */
static void put_bytes(const struct exp_page *p, int indent, const char *text, size_t n_bytes)
{
    fprintf(p->out, "%*s", indent, "");
    for (size_t i = 0, n; i < n_bytes; i += n) {
        uint32_t code;
        n = letter(text + i, &code);
        if (moves_cursor(code))
            fputc('?', p->out);
        else
            fwrite(text + i, 1, n, p->out);
    }
}

static void put(const struct exp_page *p, int indent, const char *text, size_t n_bytes)
{
    if (n_bytes) put_bytes(p, indent, text, n_bytes);
    fputc('\n', p->out);
}

/* Lines at `first` and `rest`, none wider than the page. */
static void put_wrapped(const struct exp_page *p, int first, int rest, const char *text)
{
    for (int indent = first; *text;) {
        size_t next, n = line_end(text, EXP_PAGE_COLUMNS - indent, &next);
        put(p, indent, text, n);
        text += next;
        indent = text[-1] == '\n' ? first : rest;
    }
}

void exp_page_heading(const struct exp_page *p, int level, const char *text)
{
    const char *on = p->bold && !p->markdown ? "\033[1m" : "", *off = *on ? "\033[0m" : "";
    if (level > 1) fputc('\n', p->out);
    if (p->markdown) {
        fputs(level > 1 ? "## " : "# ", p->out);
        put(p, 0, text, strlen(text));
    } else {
        fputs(on, p->out);
        put_wrapped(p, 0, 0, text);
        fputs(off, p->out);
    }
}

void exp_page_text(const struct exp_page *p, int first, int rest, const char *text)
{
    if (p->markdown) fputc('\n', p->out);
    put_wrapped(p, p->markdown ? 0 : first, p->markdown ? 0 : rest, text);
}

void exp_page_item(const struct exp_page *p, const char *text)
{
    char *line = sim_printf("%s%s", p->markdown ? "- " : "", text);
    put_wrapped(p, p->markdown ? 0 : 2, p->markdown ? 2 : 4, line);
    free(line);
}

void exp_page_code(const struct exp_page *p, const char *text)
{
    if (p->markdown) fputs("\n```\n", p->out);
    if (!p->markdown) put_wrapped(p, 2, 4, text);
    while (p->markdown && *text) {
        size_t n = strcspn(text, "\n");
        put(p, 0, text, n);
        text += n + (text[n] == '\n');
    }
    if (p->markdown) fputs("```\n", p->out);
}

/* ---- tables ---- */

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

static const char *cell(const struct exp_grid *g, size_t row, int column)
{
    return g->cell[row * (size_t)g->n_columns + (size_t)column];
}

static size_t n_rows(const struct exp_grid *g)
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
        int columns = columns_within(text, n);
        if (columns > most) most = columns;
    }
    for (size_t r = 0; r < n_rows(g); r++) {
        int columns = exp_text_columns(cell(g, r, column));
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
        if (*left[c]) n = line_end(left[c], s->width[c], &next);
        int columns = columns_within(left[c], n);
        int pad = g->column[c].cells == EXP_CELLS_RIGHT ? s->width[c] - columns : 0;
        if (n) {
            put_bytes(p, column + pad - at, left[c], n);
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
        if (is_in_line(g, c) || !*cell(g, row, c)) continue;
        char *line = sim_printf("%s: %s", g->column[c].head, cell(g, row, c));
        put_wrapped(p, 3, 5, line);
        free(line);
    }
}

static void put_text_grid(const struct exp_page *p, const struct exp_grid *g)
{
    struct shape s = shape_of(g);
    put_head(p, g, &s);
    for (size_t r = 0; r < n_rows(g); r++) {
        const char *left[EXP_MAX_COLUMNS];
        for (int c = 0; c < g->n_columns; c++) left[c] = cell(g, r, c);
        while (put_line(p, g, &s, left)) continue;
        put_below(p, g, r);
    }
}

/* A cell of a Markdown table; a head's two lines become one. */
static void put_cell(const struct exp_page *p, const char *text)
{
    char before = ' ';
    fputc(' ', p->out);
    while (*text) {
        size_t n = letter_bytes(text);
        bool halves = *text == '-' && text[1] == '\n', joined = *text == '\n' && before == '/';
        if (*text == '|') fputc('\\', p->out);
        if (!halves && !joined) put_bytes(p, 0, *text == '\n' ? " " : text, n);
        before = *text;
        text += halves ? 2 : n;
    }
    fputs(" |", p->out);
}

static void put_markdown_grid(const struct exp_page *p, const struct exp_grid *g)
{
    fputs("\n|", p->out);
    for (int c = 0; c < g->n_columns; c++) put_cell(p, g->column[c].head);
    fputs("\n|", p->out);
    for (int c = 0; c < g->n_columns; c++)
        fputs(g->column[c].cells == EXP_CELLS_RIGHT ? "---:|" : "---|", p->out);
    for (size_t r = 0; r < n_rows(g); r++) {
        fputs("\n|", p->out);
        for (int c = 0; c < g->n_columns; c++) put_cell(p, cell(g, r, c));
    }
    fputc('\n', p->out);
}

void exp_page_grid(const struct exp_page *p, struct exp_grid *g)
{
    if (g->n_cells && p->markdown)
        put_markdown_grid(p, g);
    else if (g->n_cells)
        put_text_grid(p, g);
    for (size_t i = 0; i < g->n_cells; i++) free(g->cell[i]);
    free(g->cell);
    *g = (struct exp_grid){0};
}
