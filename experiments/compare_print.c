#include "experiments/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/published_rows.h"
#include "sim/check.h"
#include "sim/memory.h"

/* Columns beside those of figures: words, and a column for each kind of evidence. */
enum { LOAD_STATE = EXP_N_COLUMNS, EVIDENCE, MAX_SHOWN = EVIDENCE + SIM_N_EVIDENCE };
enum { MAX_LABEL = 26, GAP = 2 };

struct shown {
    int column; /* enum exp_column, LOAD_STATE or EVIDENCE + enum sim_evidence */
    const char *head[2];
    int value_width, delta_width; /* delta_width 0: no deltas */
};

struct page {
    const struct exp_compare *c;
    int width, label_width;
    bool bold;
    FILE *out;
};

/* ---- text ---- */

/* Words from where the cursor stands (`at` columns in), going on at `indent`; ends the line. */
static void put_wrapped(const struct page *p, const char *text, int at, int indent)
{
    bool first = true;
    for (const char *word = text; *word; word += strspn(word, " ")) {
        int n = (int)strcspn(word, " ");
        if (!first && at + 1 + n > p->width) {
            fprintf(p->out, "\n%*s", indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', p->out);
            at++;
        }
        fprintf(p->out, "%.*s", n, word);
        at += n;
        word += n;
        first = false;
    }
    fputc('\n', p->out);
}

/* A line that ends where its last letter is. */
struct line {
    char *text;
    size_t size;
    FILE *out;
};

static void line_begin(struct line *l)
{
    *l = (struct line){0};
    l->out = open_memstream(&l->text, &l->size);
    SIM_CHECK(l->out); /* out of memory */
}

static void line_end(struct line *l, const struct page *p)
{
    fclose(l->out);
    while (l->size > 0 && l->text[l->size - 1] == ' ') l->size--;
    fprintf(p->out, "%.*s\n", (int)l->size, l->text);
    free(l->text);
}

/* ---- cells ---- */

static struct exp_cell other_of(const struct exp_compare_row *row, int column)
{
    struct exp_cell cell;
    if (column == LOAD_STATE)
        snprintf(cell.text, sizeof cell.text, "%s", sim_load_state_name(row->load_state));
    else
        snprintf(cell.text, sizeof cell.text, "%.1f", 100 * row->evidence[column - EVIDENCE]);
    return cell;
}

static struct exp_cell value_of(const struct exp_compare *c, const struct exp_compare_row *row, int column)
{
    if (column >= EXP_N_COLUMNS) return other_of(row, column);
    enum exp_column k = (enum exp_column)column;
    struct exp_band b = row->value[k];
    struct exp_cell cell = exp_column_text(c, k, b.mean);
    if (!c->n_replications || !exp_column_info(k)->main_figure || !isfinite(b.mean)) return cell;
    struct exp_cell banded, lo = exp_column_text(c, k, b.lo), hi = exp_column_text(c, k, b.hi);
    snprintf(banded.text, sizeof banded.text, "%.24s [%.24s, %.24s]", cell.text, lo.text, hi.text);
    return banded;
}

static struct exp_cell delta_of(const struct exp_compare_row *row, int column)
{
    if (column >= EXP_N_COLUMNS) return (struct exp_cell){""};
    return exp_delta_text(row, (enum exp_column)column);
}

static int longer(int width, const char *text)
{
    int n = (int)strlen(text);
    return n > width ? n : width;
}

/* A gap, the value, its mark, and the delta behind a blank. */
static int width_of(const struct shown *s)
{
    return GAP + s->value_width + 1 + (s->delta_width ? 1 + s->delta_width : 0);
}

static void measure(const struct exp_compare *c, struct shown *s)
{
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if (c->row[i].why_not[0]) continue;
        s->value_width = longer(s->value_width, value_of(c, &c->row[i], s->column).text);
        s->delta_width = longer(s->delta_width, delta_of(&c->row[i], s->column).text);
    }
    int head = longer(longer(0, s->head[0]), s->head[1]), rest = width_of(s) - GAP - s->value_width;
    if (s->value_width + rest < head) s->value_width = head - rest;
}

static void put_cell(const struct page *p, uint32_t i, const struct shown *s, FILE *line)
{
    const struct exp_compare_row *row = &p->c->row[i];
    struct exp_cell value = value_of(p->c, row, s->column);
    bool best = s->column < EXP_N_COLUMNS && exp_compare_best(p->c, i, (enum exp_column)s->column);
    bool bold = best && p->bold;
    int pad = s->value_width - (int)strlen(value.text);
    fprintf(line, "%*s%s%s%s%s", GAP + pad, "", bold ? "\033[1m" : "", value.text, best ? "*" : " ",
            bold ? "\033[0m" : "");
    if (s->delta_width) fprintf(line, " %*s", s->delta_width, delta_of(row, s->column).text);
}

/* ---- which columns ---- */

static bool all_complete(const struct exp_compare *c)
{
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (!c->row[i].why_not[0] && c->row[i].value[EXP_COMPLETED].mean < 1) return false;
    return true;
}

static bool all_stable(const struct exp_compare *c)
{
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (!c->row[i].why_not[0] && c->row[i].load_state != SIM_STABLE) return false;
    return true;
}

bool exp_compare_tells(const struct exp_compare *c, enum exp_column column)
{
    bool only_when_used = column == EXP_HOST_KV || column == EXP_LINK_BUSY || column == EXP_EXPOSED ||
                          column == EXP_LENGTH_LONGER || column == EXP_E2EL_LONGER;
    bool of_shift = column == EXP_EQUIVALENT || column == EXP_LENGTH_MEAN || column == EXP_LENGTH_LONGER ||
                    column == EXP_E2EL_SPEED || column == EXP_E2EL_LONGER;
    if (of_shift && !c->length_shift) return false;
    if (column == EXP_COMPLETED) return !all_complete(c);
    for (uint32_t i = 0; i < c->n_rows; i++) {
        double v = c->row[i].value[column].mean;
        if (!c->row[i].why_not[0] && isfinite(v) && (v != 0 || !only_when_used)) return true;
    }
    return false;
}

static void show(struct shown *list, int *n, const struct exp_compare *c, struct shown column)
{
    measure(c, &column);
    list[(*n)++] = column;
}

static bool has_evidence(const struct exp_compare *c, int kind)
{
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (c->row[i].evidence[kind] > 0) return true;
    return false;
}

static int choose(const struct exp_compare *c, enum exp_table table, struct shown list[MAX_SHOWN])
{
    int n = 0;
    for (int k = 0; k < EXP_N_COLUMNS; k++) {
        const struct exp_column_info *info = exp_column_info((enum exp_column)k);
        if (info->table == table && exp_compare_tells(c, (enum exp_column)k))
            show(list, &n, c, (struct shown){.column = k, .head = {info->head[0], info->head[1]}});
    }
    if (table == EXP_MEMORY_TABLE && !all_stable(c))
        show(list, &n, c, (struct shown){.column = LOAD_STATE, .head = {"", "load"}});
    for (int e = 0; table == EXP_EVIDENCE_TABLE && e < SIM_N_EVIDENCE; e++)
        if (has_evidence(c, e))
            show(list, &n, c,
                 (struct shown){.column = EVIDENCE + e,
                                .head = {sim_evidence_name((enum sim_evidence)e), "%"}});
    return n;
}

/* ---- tables ---- */

static void put_label(const struct page *p, const char *label, FILE *line)
{
    if ((int)strlen(label) <= p->label_width)
        fprintf(line, "%-*s", p->label_width, label);
    else
        fprintf(line, "%s\n%*s", label, p->label_width, "");
}

static void put_head(const struct page *p, const char *title, const struct shown *s, int n)
{
    for (int i = 0; i < 2; i++) {
        struct line line;
        line_begin(&line);
        fprintf(line.out, "%-*s", p->label_width, i ? title : "");
        for (int k = 0; k < n; k++) fprintf(line.out, "%*s", width_of(&s[k]), s[k].head[i]);
        line_end(&line, p);
    }
}

static void put_absent(const struct page *p, const struct exp_compare_row *row)
{
    put_label(p, row->label, p->out);
    fprintf(p->out, "%*s", GAP, "");
    char *text = sim_printf("does not run here: %s", row->why_not);
    put_wrapped(p, text, p->label_width + GAP, p->label_width + GAP);
    free(text);
}

static void put_row(const struct page *p, uint32_t i, const struct shown *s, int n)
{
    struct line line;
    line_begin(&line);
    put_label(p, p->c->row[i].label, line.out);
    for (int k = 0; k < n; k++) put_cell(p, i, &s[k], line.out);
    line_end(&line, p);
}

/* Columns s[0 .. n) side by side. */
static void put_block(const struct page *p, const char *title, const struct shown *s, int n)
{
    fputc('\n', p->out);
    put_head(p, title, s, n);
    for (uint32_t i = 0; i < p->c->n_rows; i++)
        if (!p->c->row[i].why_not[0]) put_row(p, i, s, n);
}

static void put_table(const struct page *p, enum exp_table table, const char *title)
{
    struct shown s[MAX_SHOWN];
    int n = choose(p->c, table, s);
    for (int from = 0, to; from < n; from = to) {
        int width = p->label_width;
        for (to = from; to < n && (to == from || width + width_of(&s[to]) <= p->width); to++)
            width += width_of(&s[to]);
        put_block(p, title, s + from, to - from);
    }
}

/* ---- above and below ---- */

/* A figure that is not 0, or one that was published for other parameters. */
static bool is_worth_saying(double value, const char *source)
{
    bool nobody = strncmp(source, MDL_NO_FIGURE, strlen(MDL_NO_FIGURE)) == 0;
    return source[0] && value != 0 && !(isnan(value) && nobody);
}

/* Where a row's worse answers and longer outputs come from. */
static char *sources_of(const struct exp_compare *c, const struct exp_compare_row *row)
{
    double negatives = row->value[EXP_NEGATIVES].mean, length = row->value[EXP_LENGTH_MEAN].mean;
    bool worse = is_worth_saying(negatives, row->negative_source);
    bool longer =
        c->length_shift && (is_worth_saying(length, row->length_source) || (worse && row->length_source[0]));
    if (!worse && !longer) return NULL;
    return sim_printf("%s: %s%s%s%s%s", row->label, worse ? "worse answers: " : "",
                      worse ? row->negative_source : "", worse && longer ? "; " : "",
                      longer ? "lengths: " : "", longer ? row->length_source : "");
}

static void put_sources(const struct page *p)
{
    bool any = false;
    fputs("\nGPU KV, host KV: of a request of the load's mean length\n", p->out);
    if (exp_compare_tells(p->c, EXP_EXPOSED))
        fputs("waits for transfers: of step time, with corrections and conversions\n", p->out);
    for (uint32_t i = 0; i < p->c->n_rows; i++) {
        char *text = p->c->row[i].why_not[0] ? NULL : sources_of(p->c, &p->c->row[i]);
        if (!text) continue;
        if (!any)
            fputs("\nworse answers: benign samples of which less than 90 % of the score is left\n", p->out);
        any = true;
        put_wrapped(p, text, 0, 2);
        free(text);
    }
}

static void put_legend(const struct page *p)
{
    const struct exp_compare *c = p->c;
    put_wrapped(p, c->title, 0, 2);
    if (c->how[0]) put_wrapped(p, c->how, 0, 2);
    for (uint32_t i = 0; i < c->notes.n; i++) {
        fputs("note: ", p->out);
        put_wrapped(p, c->notes.text[i], 6, 6);
    }
    put_wrapped(p,
                "* best of its column, under load of those that complete about as much per second and meet "
                "service levels, where any does; differences are to full (%, p: points, x: times)",
                0, 2);
    if (!c->n_replications) return;
    char *text =
        sim_printf("mean and [5 %%, 95 %%] of %u replications; differences are those of the means; ~ by "
                   "pairs of replications there may be none",
                   c->n_replications);
    put_wrapped(p, text, 0, 2);
    free(text);
}

static int label_width(const struct exp_compare *c)
{
    int width = 13; /* the names of tables */
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (strlen(c->row[i].label) <= MAX_LABEL) width = longer(width, c->row[i].label);
    return width;
}

void exp_compare_print(const struct exp_compare *c, uint32_t width, bool bold, FILE *out)
{
    struct page p = {c, (int)width, label_width(c), bold, out};
    put_legend(&p);
    put_table(&p, EXP_MEMORY_TABLE, "memory, load");
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (c->row[i].why_not[0]) put_absent(&p, &c->row[i]);
    put_table(&p, EXP_LATENCY_TABLE, "latency");
    put_table(&p, EXP_SERVICE_TABLE, "service");
    put_table(&p, EXP_COST_TABLE, "what it costs");
    put_table(&p, EXP_EVIDENCE_TABLE, "GPU time");
    put_sources(&p);
    fputc('\n', out);
    char *reading = exp_compare_reading(c);
    put_wrapped(&p, reading, 0, 0);
    free(reading);
}
