/* What each key does to the score, and what strategies do to memory, answers and the ground that numbers stand on. */
#include <math.h>
#include <stdlib.h>

#include "experiments/report/of_parts.h"
#include "experiments/report/of_study_parts.h"

/* ---- main effects ---- */

enum { BINS = 10 }; /* of a number with more values than these */

/* Mean score of the points with one value, or in one bin, of a key. */
struct level {
    double sum;
    uint64_t n;
    const char *from, *to;
};

static uint32_t bin_of(const struct exp_study_column *k, uint32_t value)
{
    return k->n_values <= BINS || !k->numeric ? value : (uint32_t)((uint64_t)value * BINS / k->n_values);
}

static uint32_t fill_levels(const struct exp_study_report *r, uint32_t column, struct level *level)
{
    const struct exp_study_column *k = &r->rows->column[column];
    for (uint32_t v = 0; v < k->n_values; v++) {
        struct level *l = &level[bin_of(k, v)];
        if (!l->from) l->from = k->value[v];
        l->to = k->value[v];
    }
    for (uint64_t i = 0; i < r->rows->n; i++) {
        const struct exp_study_entry *row = &r->rows->row[i];
        double score = exp_study_score(row, r->winners->basis);
        if (!exp_study_row_counts(r->rows, row) || !isfinite(score)) continue;
        level[bin_of(k, row->value[column])].sum += score;
        level[bin_of(k, row->value[column])].n++;
    }
    return bin_of(k, k->n_values - 1) + 1;
}

static double mean(const struct level *l)
{
    return l->n ? l->sum / (double)l->n : NAN;
}

static void put_level(json_t *row, const struct level *l)
{
    char *name = l->from == l->to ? sim_strdup(l->from) : sim_printf("%s .. %s", l->from, l->to);
    exp_doc_cell_text(row, name);
    exp_doc_cell(row, mean(l));
    free(name);
}

static void put_effect(const struct exp_study_report *r, uint32_t column, uint32_t name, json_t *series,
                       json_t *table)
{
    const struct exp_study_column *k = &r->rows->column[column];
    struct level *level = sim_alloc(k->n_values, sizeof *level), all = {0};
    uint32_t n = fill_levels(r, column, level), worst = 0, best = 0;
    for (uint32_t i = 0; i < n; i++) {
        all.sum += level[i].sum;
        all.n += level[i].n;
        if (!level[worst].n || (level[i].n && mean(&level[i]) < mean(&level[worst]))) worst = i;
        if (!level[best].n || (level[i].n && mean(&level[i]) > mean(&level[best]))) best = i;
    }
    exp_doc_range(series, name, exp_report_rounded(mean(&level[worst])), exp_report_rounded(mean(&all)),
                  exp_report_rounded(mean(&level[best])));
    json_t *row = exp_doc_row(table);
    exp_doc_cell_text(row, k->path);
    put_level(row, &level[worst]);
    put_level(row, &level[best]);
    free(level);
}

static json_t *effects_table(json_t *section)
{
    json_t *table = exp_doc_table(section, "effects-table", "Values of each key");
    exp_doc_column_text(table, "key");
    exp_doc_column_text(table, "worst value");
    exp_doc_column(table, "mean there", "");
    exp_doc_column_text(table, "best value");
    exp_doc_column(table, "mean there", "");
    return table;
}

void exp_study_report_effects(const struct exp_study_report *r)
{
    uint32_t n = 0;
    if (!r->winners->n) return;
    json_t *section = exp_doc_section(r->doc, "effects", "What each key does");
    json_t *chart = exp_doc_chart(section, "effects", "Effect of each key", EXP_RANGES);
    json_t *series = exp_doc_series(chart, "from its worst to its best value"),
           *table = effects_table(section);
    bool priced = r->winners->basis == EXP_STUDY_PER_COST && *r->rows->currency;
    exp_doc_y(chart, priced ? "requests within limits" : exp_study_basis_name(r->winners->basis),
              priced ? r->rows->per_cost : "", EXP_LINEAR);
    exp_doc_note(
        chart,
        "Means over all points with a value, whatever else they have; the mark is the mean of all. A long "
        "bar is a key that matters.");
    for (uint32_t c = 0; c < r->rows->n_columns; c++) {
        if (!exp_study_varies(r->rows, (int)c)) continue;
        exp_doc_name(chart, r->rows->column[c].name);
        put_effect(r, c, n++, series, table);
    }
}

/* ---- by strategy ---- */

/* Least, mean and greatest of a figure over the points of a strategy. */
struct extent {
    double lo, sum, hi;
    uint64_t n;
};

static struct extent extent_of(const struct exp_study_report *r, int strategy, int figure)
{
    struct extent e = {.lo = INFINITY, .hi = -INFINITY};
    for (uint32_t i = 0; i < r->winners->n; i++)
        for (uint64_t k = 0; k < r->winners->winner[i].n; k++) {
            const struct exp_study_entry *row = r->winners->winner[i].row[k];
            double value = row->figure[figure];
            if (exp_winner_strategy_of(r->winners, row) != strategy || !isfinite(value)) continue;
            e.lo = fmin(e.lo, value);
            e.hi = fmax(e.hi, value);
            e.sum += value;
            e.n++;
        }
    return e;
}

static void put_extents(const struct exp_study_report *r, json_t *section, const char *const about[4],
                        enum exp_study_figure figure)
{
    json_t *chart = exp_doc_chart(section, about[0], about[1], EXP_RANGES);
    exp_doc_y(chart, about[2], "%", EXP_LINEAR);
    exp_doc_note(chart, about[3]);
    json_t *series = exp_doc_series(chart, "least, mean, most");
    for (uint32_t k = 0; k < r->winners->n_strategies; k++) {
        struct extent e = extent_of(r, (int)k, figure);
        exp_doc_name(chart, exp_winner_strategy(r->winners, (int)k));
        if (e.n)
            exp_doc_range(series, k, exp_report_rounded(100 * e.lo),
                          exp_report_rounded(100 * e.sum / (double)e.n), exp_report_rounded(100 * e.hi));
    }
}

struct shares {
    const struct exp_study_report *r;
    double *mean; /* n_strategies x SIM_N_EVIDENCE */
};

static const char *name_of(const void *of, uint32_t i)
{
    const struct shares *s = of;
    return exp_winner_strategy(s->r->winners, (int)i);
}

static double share_of(const void *of, uint32_t i, enum sim_evidence e)
{
    const struct shares *s = of;
    return s->mean[i * SIM_N_EVIDENCE + e];
}

static void put_evidence(const struct exp_study_report *r, json_t *section)
{
    uint32_t n = r->winners->n_strategies;
    struct shares s = {r, sim_alloc((size_t)n * SIM_N_EVIDENCE, sizeof *s.mean)};
    for (uint32_t k = 0; k < n; k++)
        for (int e = 0; e < SIM_N_EVIDENCE; e++) {
            struct extent x = extent_of(r, (int)k, EXP_STUDY_EVIDENCE + e);
            s.mean[k * SIM_N_EVIDENCE + (uint32_t)e] = x.n ? x.sum / (double)x.n : 0;
        }
    exp_report_evidence(section, n, name_of, share_of, &s);
    free(s.mean);
}

void exp_study_report_strategies(const struct exp_study_report *r)
{
    static const char *const memory[] = {
        "kv-use", "KV memory in use", "of the pool, at the fullest moment",
        "Over all points. Near 100 % requests wait for memory, or are preempted."};
    static const char *const links[] = {"links", "Host links in use", "of the time carrying KV",
                                        "Over all points."};
    static const char *const answers[] = {"failing", "Newly failing answers", "of all answers",
                                          "By published scores; a strategy without a bar was never scored."};
    if (!r->winners->n) return;
    put_extents(r, exp_doc_section(r->doc, "memory", "KV memory"), memory, EXP_STUDY_KV_PEAK);
    bool moves = false;
    for (uint32_t k = 0; k < r->winners->n_strategies; k++)
        moves |= extent_of(r, (int)k, EXP_STUDY_LINK_BUSY).hi > 0;
    if (moves)
        put_extents(r, exp_doc_section(r->doc, "host-links", "Host links"), links, EXP_STUDY_LINK_BUSY);
    put_extents(r, exp_doc_section(r->doc, "quality", "Answers that newly fail"), answers,
                EXP_STUDY_NEWLY_FAILING);
    put_evidence(r, exp_doc_section(r->doc, "evidence-of", "Evidence"));
}
