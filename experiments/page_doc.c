/* A page as parts of a document. Names and sources come from files: what is no text, or would turn the direction of writing,
 * is not passed on, as on paper. */
#include <stdlib.h>
#include <string.h>

#include "experiments/page_parts.h"
#include "experiments/report/doc.h"
#include "sim/memory.h"

/* Every letter that JSON may hold; a page of code keeps its lines. */
static bool is_sound(const char *text, size_t n, uint32_t code, bool lines)
{
    if (n == 1) return code < 0x80 && ((lines && *text == '\n') || !exp_page_moves_cursor(code));
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return code >= least[n] && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) &&
           !exp_page_moves_cursor(code);
}

static char *cleaned(const char *text, bool lines)
{
    char *out = sim_strdup(text), *to = out;
    uint32_t code;
    for (size_t n; *text; text += n) {
        n = exp_page_letter(text, &code);
        bool sound = is_sound(text, n, code, lines);
        for (size_t i = 0; i < (sound ? n : 1); i++) *to++ = sound ? text[i] : *text == '\n' ? ' ' : '?';
    }
    *to = '\0';
    return out;
}

/* A terminal's +- and -> are signs of their own on a page. */
static char *with_signs(const char *text)
{
    static const char *const signs[][2] = {{"+-", "\u00b1"}, {" -> ", " \u2192 "}};
    char *out = sim_alloc(3 * strlen(text) + 1, 1), *to = out;
    while (*text) {
        size_t i = 0;
        while (i < 2 && strncmp(text, signs[i][0], strlen(signs[i][0])) != 0) i++;
        if (i == 2) {
            *to++ = *text++;
            continue;
        }
        to = stpcpy(to, signs[i][1]);
        text += strlen(signs[i][0]);
    }
    *to = '\0';
    return out;
}

/* As it is: no template. */
static void add_text(json_t *section, enum exp_tone tone, const char *text)
{
    char *clean = cleaned(text, false), *signs = with_signs(clean);
    exp_doc_text(section, tone, "{0}", signs, NULL);
    free(signs);
    free(clean);
}

static void let_go(struct exp_page_parts *p)
{
    if (p->heading) add_text(p->section, EXP_HEADING_TONE, p->heading);
    free(p->heading);
    p->heading = NULL;
}

void exp_page_parts_end(struct exp_page_parts *p)
{
    let_go(p);
}

void exp_page_parts_heading(struct exp_page_parts *p, const char *text)
{
    let_go(p);
    p->heading = sim_strdup(text);
}

void exp_page_parts_text(struct exp_page_parts *p, const char *text)
{
    let_go(p);
    add_text(p->section, EXP_PLAIN_TONE, text);
}

void exp_page_parts_code(struct exp_page_parts *p, const char *text)
{
    let_go(p);
    char *clean = cleaned(text, true);
    exp_doc_code(p->section, clean);
    free(clean);
}

static json_t *new_table(struct exp_page_parts *p, const struct exp_grid *g)
{
    char *title = cleaned(p->heading ? p->heading : "", false);
    json_t *table = exp_doc_table(p->section, g->id ? g->id : "table", title);
    free(title);
    free(p->heading);
    p->heading = NULL;
    if (g->folded) exp_doc_folded(table);
    return table;
}

static void add_column(json_t *table, const struct exp_grid *g, int c)
{
    char *head = exp_grid_one_line(g->column[c].head), *name = cleaned(head, false);
    if (g->column[c].cells == EXP_CELLS_RIGHT)
        exp_doc_column(table, name, "");
    else
        exp_doc_column_text(table, name);
    free(name);
    free(head);
}

/* What stands below its row where there is something to say needs no column where there is nothing. */
static bool has_column(const struct exp_grid *g, int c)
{
    bool any = g->column[c].cells != EXP_CELLS_BELOW;
    for (size_t r = 0; !any && r < exp_grid_rows(g); r++) any = *exp_grid_cell(g, r, c) != '\0';
    return any;
}

static void add_cell(json_t *row, const char *text)
{
    char *line = exp_grid_one_line(text), *clean = cleaned(line, false), *signs = with_signs(clean);
    exp_doc_cell_text(row, signs);
    free(signs);
    free(clean);
    free(line);
}

void exp_page_parts_grid(struct exp_page_parts *p, const struct exp_grid *g)
{
    json_t *table = new_table(p, g);
    for (int c = 0; c < g->n_columns; c++)
        if (has_column(g, c)) add_column(table, g, c);
    for (size_t r = 0; r < exp_grid_rows(g); r++) {
        json_t *row = exp_doc_row(table);
        for (int c = 0; c < g->n_columns; c++)
            if (has_column(g, c)) add_cell(row, exp_grid_cell(g, r, c));
    }
}
