/* What happens under more and less load: a picture for each combination of what else varies by name, a line for each strategy.
 * Of points that differ in other keys the one with the most good requests per cost is drawn. */
#include <math.h>
#include <stdlib.h>

#include "experiments/cli.h"
#include "experiments/report/of_parts.h"
#include "experiments/report/of_study_parts.h"

enum { ALL_PICTURES = 3 }; /* so many combinations have all four; more have the first only */

static const struct picture {
    const char *id, *title, *y, *unit;
    enum exp_scale scale;
    enum exp_study_figure figure;
    double factor;
} pictures[] = {
    {"sla", "SLA attainment", "requests within their limits", "%", EXP_LINEAR, EXP_STUDY_ATTAINMENT, 100},
    {"goodput", "Goodput", "requests within their limits", "1/s", EXP_LINEAR, EXP_STUDY_GOODPUT, 1},
    {"ttft", "p99 TTFT", "p99 TTFT", "ms", EXP_LOG, EXP_STUDY_TTFT, 1},
    {"tpot", "p99 TPOT", "p99 TPOT", "ms", EXP_LOG, EXP_STUDY_TPOT, 1},
    {"kv", "KV memory", "of the pool, at the fullest moment", "%", EXP_LINEAR, EXP_STUDY_KV_PEAK, 100},
};
enum { N_PICTURES = sizeof pictures / sizeof pictures[0] };

/* The point that stands for a strategy at a load. */
struct stand {
    const struct exp_study_entry **at; /* n_strategies x n_loads */
    uint32_t n_loads;
    const char *title; /* of its only picture; NULL = the picture's own */
};

static const struct exp_study_column *load_of(const struct exp_study_report *r)
{
    return &r->rows->column[r->rows->load];
}

static void choose(const struct exp_study_report *r, const struct exp_winner *of, struct stand *s)
{
    const struct exp_winners *w = r->winners;
    for (uint64_t i = 0; i < (uint64_t)w->n_strategies * s->n_loads; i++) s->at[i] = NULL;
    for (uint64_t i = 0; i < of->n; i++) {
        const struct exp_study_entry *row = of->row[i];
        uint64_t k = (uint64_t)exp_winner_strategy_of(w, row) * s->n_loads + row->value[r->rows->load];
        if (!s->at[k] || exp_study_score(row, w->basis) > exp_study_score(s->at[k], w->basis)) s->at[k] = row;
    }
}

static void add_point(json_t *series, double x, const struct exp_study_entry *row, const struct picture *p)
{
    if (!row) return;
    double y = p->factor * row->figure[p->figure], lo = NAN, hi = NAN;
    if (p->figure < EXP_STUDY_N_BANDED) {
        lo = p->factor * row->lo[p->figure];
        hi = p->factor * row->hi[p->figure];
    }
    exp_doc_xy_band(series, x, exp_report_rounded(y), exp_report_rounded(lo), exp_report_rounded(hi));
}

/* Loads that are far apart lie at equal distances. */
static enum exp_scale scale_of(const struct exp_study_column *load)
{
    const double least = load->number[0], most = load->number[load->n_values - 1];
    return least > 0 && most / least > 8 ? EXP_LOG : EXP_LINEAR;
}

static void put_picture(const struct exp_study_report *r, json_t *section, const struct stand *s,
                        const struct picture *p)
{
    const struct exp_study_column *load = load_of(r);
    json_t *chart = exp_doc_chart(section, p->id, s->title ? s->title : p->title, EXP_LINES);
    exp_doc_x(chart, load->name, "", scale_of(load));
    exp_doc_y(chart, p->y, p->unit, p->scale);
    if (p->factor == 100) exp_doc_limits(chart, 0, 100);
    for (uint32_t k = 0; k < r->winners->n_strategies && k < EXP_STUDY_SERIES; k++) {
        json_t *series = exp_doc_series(chart, exp_winner_strategy(r->winners, (int)k));
        for (uint32_t x = 0; x < s->n_loads; x++)
            add_point(series, load->number[x], s->at[(uint64_t)k * s->n_loads + x], p);
    }
}

/* ---- how far each goes ---- */

/* The highest load that was met, of those below the first that was not; what is known of more. */
static double highest_met(const struct exp_study_report *r, const struct stand *s, uint32_t strategy,
                          const char **more)
{
    double highest = NAN;
    *more = "no point";
    for (uint32_t x = 0; x < s->n_loads; x++) {
        const struct exp_study_entry *row = s->at[(uint64_t)strategy * s->n_loads + x];
        if (!row) continue;
        bool meets = exp_study_row_meets(row);
        *more = meets ? "nothing tried" : "misses it";
        if (!meets) break;
        highest = load_of(r)->number[x];
    }
    return highest;
}

static void put_highest(const struct exp_study_report *r, json_t *section, struct stand *s)
{
    json_t *table = exp_doc_table(section, "highest-load", "Highest load within the SLA");
    exp_doc_column_text(table, "of");
    exp_doc_column_text(table, "strategy");
    exp_doc_column(table, load_of(r)->name, "");
    exp_doc_column_text(table, "and above it");
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->winners->n && n < EXP_STUDY_TABLE_ROWS; i++) {
        choose(r, &r->winners->winner[i], s);
        for (uint32_t k = 0; k < r->winners->n_strategies && n < EXP_STUDY_TABLE_ROWS; k++, n++) {
            const char *more;
            double highest = highest_met(r, s, k, &more);
            json_t *row = exp_doc_row(table);
            exp_doc_cell_text(row, exp_winner_cell(r->winners, &r->winners->winner[i]));
            exp_doc_cell_text(row, exp_winner_strategy(r->winners, (int)k));
            exp_doc_cell(row, highest);
            exp_doc_cell_text(row, more);
        }
    }
}

/* Which of the points that differ in keys that no picture shows. */
static void say_which(const struct exp_study_report *r, json_t *section)
{
    uint32_t columns = exp_winner_columns(r->winners);
    for (uint32_t c = 0; c < r->rows->n_columns; c++)
        if (columns >> c & 1 && (int)c != r->rows->load && exp_study_varies(r->rows, (int)c)) {
            exp_doc_text(
                section, EXP_SOFT_TONE,
                "Other keys vary, too: at each load a line shows the best of their values, that with "
                "the most {0}.",
                exp_study_basis_name(r->winners->basis), NULL);
            return;
        }
}

void exp_study_report_load(const struct exp_study_report *r)
{
    const struct exp_winners *w = r->winners;
    if (r->rows->load < 0 || !w->n) return;
    struct stand s = {.n_loads = load_of(r)->n_values};
    json_t *section = exp_doc_section(r->doc, "load", "Service levels against load");
    s.at = sim_alloc((size_t)w->n_strategies * s.n_loads, sizeof(struct exp_study_entry *));
    uint32_t shown = w->n < EXP_STUDY_CHARTS ? w->n : EXP_STUDY_CHARTS;
    if (w->n > shown)
        exp_doc_text(section, EXP_SOFT_TONE,
                     "Pictures of the first {0} of {1} combinations; the table has all.",
                     exp_count_words(shown).text, exp_count_words(w->n).text, NULL);
    say_which(r, section);
    bool all = w->n <= ALL_PICTURES;
    if (!all) exp_doc_text(section, EXP_HEADING_TONE, pictures[0].title, NULL);
    for (uint32_t i = 0; i < shown; i++) {
        const char *cell = exp_winner_cell(w, &w->winner[i]);
        if (all && *cell) exp_doc_text(section, EXP_HEADING_TONE, "{0}", cell, NULL);
        s.title = all ? NULL : cell;
        choose(r, &w->winner[i], &s);
        for (int k = 0; k < (all ? N_PICTURES : 1); k++) put_picture(r, section, &s, &pictures[k]);
    }
    put_highest(r, section, &s);
    free(s.at);
}
