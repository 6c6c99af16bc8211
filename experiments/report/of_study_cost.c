/* What strategies cost at their best, and cost against latency of everything that meets the service levels. */
#include <math.h>
#include <stdlib.h>

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

static void put_bars(const struct exp_study_report *r, json_t *section, enum exp_study_figure cost)
{
    const struct exp_winners *w = r->winners;
    json_t *chart = exp_doc_chart(section, "cost", "Cost by strategy", EXP_BARS);
    exp_doc_y(chart, cost_name(cost), "", EXP_LINEAR);
    exp_doc_note(chart, "Each at its best point that meets the service levels; without a bar none does.");
    for (uint32_t k = 0; k < w->n_strategies; k++) exp_doc_name(chart, exp_winner_strategy(w, (int)k));
    for (uint32_t i = 0; i < w->n && i < EXP_STUDY_CHARTS; i++) {
        const char *cell = exp_winner_cell(w, &w->winner[i]);
        json_t *series = exp_doc_series(chart, *cell ? cell : "cost");
        for (uint32_t k = 0; k < w->n_strategies; k++)
            if (w->winner[i].best[k])
                exp_doc_xy(series, k, exp_report_rounded(w->winner[i].best[k]->figure[cost]));
    }
}

/* ---- cost against latency ---- */

static bool is_placed(const struct exp_study_report *r, const struct exp_study_entry *row,
                      enum exp_study_figure cost)
{
    return exp_study_row_counts(r->rows, row) && exp_study_row_meets(row) && isfinite(row->figure[cost]) &&
           isfinite(row->figure[EXP_STUDY_TPOT]);
}

static void add_label(const struct exp_study_report *r, json_t *series, const struct exp_study_entry *row,
                      enum exp_study_figure cost)
{
    uint32_t strategy = r->rows->strategy < 0 ? 0 : 1u << r->rows->strategy; /* the series is called so */
    exp_doc_xy_label(series, exp_report_rounded(row->figure[cost]),
                     exp_report_rounded(row->figure[EXP_STUDY_TPOT]),
                     exp_study_settings_text(r->rows, row, ~strategy));
}

static void add_front(const struct exp_study_report *r, json_t *chart, enum exp_study_figure cost)
{
    struct exp_front_point *p = sim_alloc(r->rows->n + 1, sizeof *p);
    uint32_t n = 0;
    for (uint64_t i = 0; i < r->rows->n && i < UINT32_MAX; i++) {
        const struct exp_study_entry *row = &r->rows->row[i];
        if (is_placed(r, row, cost))
            p[n++] = (struct exp_front_point){row->figure[cost], row->figure[EXP_STUDY_TPOT], (uint32_t)i};
    }
    n = exp_front(p, n);
    json_t *series = exp_doc_series(chart, "front");
    exp_doc_joined(series);
    for (uint32_t i = 0; i < n; i++)
        exp_doc_xy(series, exp_report_rounded(p[i].x), exp_report_rounded(p[i].y));
    free(p);
}

/* Of more points than a series has room for, every so many. */
static void add_strategy(const struct exp_study_report *r, json_t *chart, int strategy,
                         enum exp_study_figure cost)
{
    uint64_t n = 0, seen = 0;
    json_t *series = exp_doc_series(chart, exp_winner_strategy(r->winners, strategy));
    for (uint64_t i = 0; i < r->rows->n; i++)
        n += is_placed(r, &r->rows->row[i], cost) &&
             exp_winner_strategy_of(r->winners, &r->rows->row[i]) == strategy;
    uint64_t every = 1 + n / MOST_OF_A_SERIES;
    for (uint64_t i = 0; i < r->rows->n; i++) {
        const struct exp_study_entry *row = &r->rows->row[i];
        if (!is_placed(r, row, cost) || exp_winner_strategy_of(r->winners, row) != strategy) continue;
        if (seen++ % every == 0) add_label(r, series, row, cost);
    }
}

static void put_front(const struct exp_study_report *r, json_t *section, enum exp_study_figure cost)
{
    json_t *chart = exp_doc_chart(section, "pareto", "Cost against latency", EXP_SCATTER);
    exp_doc_x(chart, cost_name(cost), "", EXP_LINEAR);
    exp_doc_y(chart, "p99 TPOT", "ms", EXP_LINEAR);
    exp_doc_note(chart,
                 "Points that meet the service levels; on the front nothing is both cheaper and faster.");
    add_front(r, chart, cost);
    for (uint32_t k = 0; k < r->winners->n_strategies && k < EXP_STUDY_SERIES; k++)
        add_strategy(r, chart, (int)k, cost);
}

void exp_study_report_cost(const struct exp_study_report *r)
{
    if (r->winners->basis != EXP_STUDY_PER_COST || !r->winners->n) return;
    json_t *section = exp_doc_section(r->doc, "cost", "Cost");
    enum exp_study_figure cost = cost_figure(r);
    put_bars(r, section, cost);
    put_front(r, section, cost);
}
