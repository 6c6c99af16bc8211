/* What strategies cost at their best, and cost against latency of everything that meets the service levels. */
#include <math.h>
#include <stdlib.h>

#include "experiments/cli.h"
#include "experiments/report/front.h"
#include "experiments/report/of_parts.h"
#include "experiments/report/of_study_parts.h"

enum { MOST_OF_A_SERIES = EXP_DOC_POINTS };

/* Answers that newly fail are no good ones, where they were counted for every point. */
static enum exp_study_figure cost_figure(const struct exp_study_report *r)
{
    for (uint64_t i = 0; i < r->rows->n; i++) {
        const struct exp_study_entry *row = &r->rows->row[i];
        if (exp_study_row_counts(r->rows, row) && exp_study_row_meets(row) &&
            !isfinite(row->figure[EXP_STUDY_COST_GOOD]))
            return EXP_STUDY_COST_WITHIN;
    }
    return EXP_STUDY_COST_GOOD;
}

static const char *cost_name(enum exp_study_figure cost)
{
    return cost == EXP_STUDY_COST_GOOD ? "cost of 1,000 good answers"
                                       : "cost of 1,000 requests within limits";
}

/* ---- bars ---- */

static uint32_t n_shown(const struct exp_winners *w)
{
    return w->n < EXP_STUDY_CHARTS ? w->n : EXP_STUDY_CHARTS;
}

static double least_cost(const struct exp_winner *of, uint32_t strategy, enum exp_study_figure cost)
{
    return of->best[strategy] ? exp_report_rounded(of->best[strategy]->figure[cost]) : NAN;
}

/* One bar for each strategy; of several combinations a group of bars each, coloured as their lines are elsewhere. */
static void put_bars(const struct exp_study_report *r, json_t *section, enum exp_study_figure cost)
{
    const struct exp_winners *w = r->winners;
    json_t *chart = exp_doc_chart(section, "cost", "Cost by strategy", EXP_BARS), *series = NULL;
    exp_doc_y(chart, cost_name(cost), r->rows->currency, EXP_LINEAR);
    exp_doc_note(chart, "Each at its best point that meets the service levels; without a bar none does.");
    for (uint32_t k = 0; k < w->n_strategies; k++) {
        if (w->n == 1) exp_doc_name(chart, exp_winner_strategy(w, (int)k));
        if (w->n > 1 || !k)
            series = exp_doc_series(chart, w->n == 1 ? "cost" : exp_winner_strategy(w, (int)k));
        for (uint32_t i = 0; i < n_shown(w); i++)
            exp_doc_xy(series, w->n == 1 ? k : i, least_cost(&w->winner[i], k, cost));
    }
    for (uint32_t i = 0; w->n > 1 && i < n_shown(w); i++)
        exp_doc_name(chart, exp_winner_cell(w, &w->winner[i]));
}

/* ---- cost against latency ---- */

static bool is_placed(const struct exp_study_entry *row, enum exp_study_figure cost)
{
    return exp_study_row_meets(row) && isfinite(row->figure[cost]) && isfinite(row->figure[EXP_STUDY_TPOT]);
}

/* What a picture is of: other models, traffic or GPUs are no choice within it. */
struct scene {
    const struct exp_study_report *r;
    const struct exp_winner *of;
    enum exp_study_figure cost;
    json_t *chart;
};

static void add_label(const struct scene *s, json_t *series, const struct exp_study_entry *row)
{
    exp_doc_xy_label(series, exp_report_rounded(row->figure[s->cost]),
                     exp_report_rounded(row->figure[EXP_STUDY_TPOT]),
                     exp_study_settings_text(s->r->rows, row, exp_winner_columns(s->r->winners)));
}

static void add_front(const struct scene *s)
{
    struct exp_front_point *p = sim_alloc(s->of->n + 1, sizeof *p);
    uint32_t n = 0;
    for (uint64_t i = 0; i < s->of->n && i < UINT32_MAX; i++) {
        const struct exp_study_entry *row = s->of->row[i];
        if (is_placed(row, s->cost))
            p[n++] = (struct exp_front_point){row->figure[s->cost], row->figure[EXP_STUDY_TPOT], (uint32_t)i};
    }
    n = exp_front(p, n);
    json_t *series = exp_doc_series(s->chart, "front");
    exp_doc_joined(series);
    for (uint32_t i = 0; i < n; i++)
        exp_doc_xy(series, exp_report_rounded(p[i].x), exp_report_rounded(p[i].y));
    free(p);
}

/* Of more points than a series has room for, every so many. */
static void add_strategy(const struct scene *s, int strategy)
{
    uint64_t n = 0, seen = 0;
    json_t *series = exp_doc_series(s->chart, exp_winner_strategy(s->r->winners, strategy));
    for (uint64_t i = 0; i < s->of->n; i++)
        n += is_placed(s->of->row[i], s->cost) &&
             exp_winner_strategy_of(s->r->winners, s->of->row[i]) == strategy;
    uint64_t every = 1 + n / MOST_OF_A_SERIES;
    for (uint64_t i = 0; i < s->of->n; i++) {
        const struct exp_study_entry *row = s->of->row[i];
        if (!is_placed(row, s->cost) || exp_winner_strategy_of(s->r->winners, row) != strategy) continue;
        if (seen++ % every == 0) add_label(s, series, row);
    }
}

static void put_front(const struct scene *s, json_t *section, const char *title)
{
    struct scene own = *s;
    own.chart = exp_doc_chart(section, "pareto", title, EXP_SCATTER);
    exp_doc_x(own.chart, cost_name(s->cost), s->r->rows->currency, EXP_LINEAR);
    exp_doc_y(own.chart, "p99 TPOT", "ms", EXP_LINEAR);
    add_front(&own);
    for (uint32_t k = 0; k < s->r->winners->n_strategies && k < EXP_STUDY_SERIES; k++)
        add_strategy(&own, (int)k);
}

static void put_fronts(const struct exp_study_report *r, json_t *section, enum exp_study_figure cost)
{
    const struct exp_winners *w = r->winners;
    exp_doc_text(section, EXP_HEADING_TONE, "Cost against latency", NULL);
    exp_doc_text(section, EXP_SOFT_TONE,
                 "Points that meet the service levels; on the front nothing is both cheaper and faster.",
                 NULL);
    for (uint32_t i = 0; i < n_shown(w); i++) {
        const char *cell = exp_winner_cell(w, &w->winner[i]);
        put_front(&(struct scene){r, &w->winner[i], cost, NULL}, section,
                  *cell ? cell : "Cost against latency");
    }
}

void exp_study_report_cost(const struct exp_study_report *r)
{
    const struct exp_winners *w = r->winners;
    if (w->basis != EXP_STUDY_PER_COST || !w->n) return;
    json_t *section = exp_doc_section(r->doc, "cost", "Cost");
    enum exp_study_figure cost = cost_figure(r);
    if (w->n > n_shown(w))
        exp_doc_text(section, EXP_SOFT_TONE,
                     "Pictures of the first {0} of {1} combinations; the table of winners has all.",
                     exp_count_words(n_shown(w)).text, exp_count_words(w->n).text, NULL);
    put_bars(r, section, cost);
    put_fronts(r, section, cost);
}
