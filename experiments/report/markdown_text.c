#include "experiments/report/markdown_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/page.h"
#include "sim/memory.h"

/* ---- texts ---- */

static bool is_control(const char *at)
{
    unsigned char c = (unsigned char)at[0], next = c ? (unsigned char)at[1] : 0;
    return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0); /* those beyond ASCII, too */
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether this letter would be markup here: a `]` only before what a link needs, a `_` only at a word's edge, a `&` only
 * where the name of a letter may follow. */
static bool is_markup(const char *text, const char *at)
{
    char before = at > text ? at[-1] : ' ';
    if (strchr("\\`*<|~", *at)) return true;
    if (*at == '&') return at[1] == '#' || is_word(at[1]);
    if (*at == ']') return at[1] == '(' || at[1] == '[' || at[1] == ':';
    return *at == '_' && !(is_word(before) && is_word(at[1]));
}

char *exp_markdown_text(const char *text)
{
    char *out = sim_alloc(2 * strlen(text) + 1, 1), *to = out;
    for (const char *at = text; *at; at++) {
        if (is_control(at)) {
            at += (unsigned char)*at == 0xc2;
            *to++ = ' ';
            continue;
        }
        if (is_markup(text, at)) *to++ = '\\';
        *to++ = *at;
    }
    *to = '\0';
    return out;
}

/* Where a backslash takes away what a line's beginning would mean ("1. ", "# ", "- "), or NULL. */
static const char *block_mark(const char *line)
{
    const char *at = line + strspn(line, "0123456789");
    if (at > line) return (*at == '.' || *at == ')') && (at[1] == ' ' || !at[1]) ? at : NULL;
    return *line && strchr("#-+=>", *line) ? line : NULL;
}

char *exp_markdown_paragraph(const char *text)
{
    char *line = exp_markdown_text(text + strspn(text, " \t\n"));
    const char *mark = block_mark(line);
    if (!mark) return line;
    char *out = sim_printf("%.*s\\%s", (int)(mark - line), line, mark);
    free(line);
    return out;
}

/* A fence longer than any run of backticks within. */
void exp_markdown_code(const char *text, FILE *out)
{
    size_t longest = 2;
    for (const char *at = text; *at;) {
        size_t n = strspn(at, "`");
        if (n > longest) longest = n;
        at += n ? n : 1;
    }
    char *fence = sim_alloc(longest + 2, 1);
    memset(fence, '`', longest + 1);
    fprintf(out, "%s\n", fence);
    for (const char *at = text; *at; at++) {
        if (is_control(at) && *at != '\n' && *at != '\t') {
            at += (unsigned char)*at == 0xc2;
            fputc(' ', out);
        } else {
            fputc(*at, out);
        }
    }
    size_t n = strlen(text);
    fprintf(out, "%s%s\n\n", n && text[n - 1] == '\n' ? "" : "\n", fence);
    free(fence);
}

void exp_markdown_heading(const char *level, const char *text, FILE *out)
{
    char *line = exp_markdown_text(text);
    if (*line) fprintf(out, "%s %s\n\n", level, line);
    free(line);
}

char *exp_markdown_head(const char *name, const char *unit)
{
    char *text = sim_printf("%s%s%s", name, *name && *unit ? ", " : "", unit);
    char *escaped = exp_markdown_text(text);
    free(text);
    return escaped;
}

static char *number(double value, json_int_t digits)
{
    enum { USUAL = 4 };
    return digits == 0 || digits == USUAL ? sim_strdup(exp_short_words(value).text)
                                          : sim_printf("%.*g", (int)digits, value);
}

char *exp_markdown_value(const json_t *v, json_int_t digits, enum exp_language language)
{
    if (json_is_number(v)) return number(json_number_value(v), digits);
    if (json_is_boolean(v)) return sim_strdup(exp_report_word(language, json_is_true(v) ? "yes" : "no"));
    return exp_markdown_text(json_is_string(v) ? json_string_value(v) : "");
}

/* ---- tables ---- */

struct exp_markdown_table exp_markdown_table_new(size_t n_rows, size_t n_columns)
{
    return (struct exp_markdown_table){sim_alloc(n_rows * n_columns, sizeof(char *)), n_rows, n_columns,
                                       sim_alloc(n_columns, 1)};
}

void exp_markdown_set(struct exp_markdown_table *t, size_t row, size_t column, char *text)
{
    char **cell = &t->cell[row * t->n_columns + column];
    free(*cell);
    *cell = text;
}

/* Numbers are to the right in all columns but the first, which was the head. */
void exp_markdown_turn(struct exp_markdown_table *t)
{
    struct exp_markdown_table turned = exp_markdown_table_new(t->n_columns, t->n_rows);
    for (size_t r = 0; r < t->n_rows; r++)
        for (size_t c = 0; c < t->n_columns; c++)
            exp_markdown_set(&turned, c, r, t->cell[r * t->n_columns + c]);
    for (size_t c = 1; c < turned.n_columns; c++) turned.right[c] = 1;
    free(t->cell);
    free(t->right);
    *t = turned;
}

static const char *cell_at(const struct exp_markdown_table *t, size_t row, size_t column)
{
    const char *text = t->cell[row * t->n_columns + column];
    return text ? text : "";
}

static int width_of(const struct exp_markdown_table *t, size_t column)
{
    int width = 3; /* of the line below the head */
    for (size_t r = 0; r < t->n_rows; r++) {
        int n = exp_text_columns(cell_at(t, r, column));
        if (n > width) width = n;
    }
    return width;
}

static void put_cell(const struct exp_markdown_table *t, size_t row, size_t column, int width, FILE *out)
{
    const char *text = cell_at(t, row, column);
    int blanks = width - exp_text_columns(text);
    fprintf(out, "| %*s%s%*s ", t->right[column] ? blanks : 0, "", text, t->right[column] ? 0 : blanks, "");
}

static void put_rule(const struct exp_markdown_table *t, const int *width, FILE *out)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        fputs("| ", out);
        for (int i = t->right[c]; i < width[c]; i++) fputc('-', out);
        fputs(t->right[c] ? ": " : " ", out);
    }
    fputs("|\n", out);
}

void exp_markdown_print(struct exp_markdown_table *t, FILE *out)
{
    int *width = sim_alloc(t->n_columns + 1, sizeof *width);
    for (size_t c = 0; c < t->n_columns; c++) width[c] = width_of(t, c);
    for (size_t r = 0; r < t->n_rows; r++) {
        for (size_t c = 0; c < t->n_columns; c++) put_cell(t, r, c, width[c], out);
        fputs("|\n", out);
        if (r == 0) put_rule(t, width, out);
    }
    fputc('\n', out);
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++) free(t->cell[i]);
    free(t->cell);
    free(t->right);
    free(width);
    *t = (struct exp_markdown_table){0};
}
