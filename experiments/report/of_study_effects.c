/* What each key does to the score, and what strategies do to memory, answers and the ground that numbers stand on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/of_parts.h"
#include "experiments/report/of_study_parts.h"

/* ---- main effects ---- */

enum { BINS = 10 }; /* of a number with more values than these */

/* A key's values are compared where nothing else differs: over the combinations of the other keys in which every value has a
 * score. Where there is none (sampled keys, keys that turn together) over all points, which is marked. */
struct compared {
    const struct exp_study_entry *row;
    uint32_t column, n_columns;
};

struct comparison {
    struct compared *at;
    uint64_t n;
    bool alike;
};

/* Of all values but the column's. */
static int order_of_others(const struct compared *x, const struct compared *y)
{
    const uint32_t *v = x->row->value, *w = y->row->value, after = x->column + 1;
    int order = memcmp(v, w, x->column * sizeof *v);
    return order ? order : memcmp(v + after, w + after, (x->n_columns - after) * sizeof *v);
}

static int by_others(const void *a, const void *b)
{
    const struct compared *x = a, *y = b;
    const uint32_t v = x->row->value[x->column], w = y->row->value[x->column];
    int order = order_of_others(x, y);
    return order ? order : (v > w) - (v < w);
}

/* Values that have a score at all: what always fails is compared with nothing. */
static uint32_t count_values(const struct comparison *c, uint32_t column, uint32_t n_values)
{
    bool *seen = sim_alloc(n_values, sizeof *seen);
    uint32_t n = 0;
    for (uint64_t i = 0; i < c->n; i++) {
        bool *is = &seen[c->at[i].row->value[column]];
        n += !*is;
        *is = true;
    }
    free(seen);
    return n;
}

/* Keeps the combinations that have every value; of those that are sorted. */
static void keep_complete(struct comparison *c, uint32_t column, uint32_t n_values)
{
    struct compared *kept = sim_alloc(c->n + 1, sizeof *kept);
    uint64_t n_kept = 0;
    for (uint64_t from = 0, to; from < c->n; from = to) {
        uint32_t n = 1;
        for (to = from + 1; to < c->n && order_of_others(&c->at[from], &c->at[to]) == 0; to++)
            n += c->at[to].row->value[column] != c->at[to - 1].row->value[column];
        for (uint64_t i = from; n == n_values && i < to; i++) kept[n_kept++] = c->at[i];
    }
    c->alike = n_kept > 0;
    struct compared *unused = c->alike ? c->at : kept;
    if (c->alike) {
        c->at = kept;
        c->n = n_kept;
    }
    free(unused);
}

static struct comparison compare(const struct exp_study_report *r, uint32_t column)
{
    const struct exp_study_rows *s = r->rows;
    struct comparison c = {sim_alloc(s->n + 1, sizeof *c.at), 0, false};
    for (uint64_t i = 0; i < s->n; i++)
        if (exp_study_row_counts(s, &s->row[i]) && isfinite(exp_study_score(&s->row[i], r->winners->basis)))
            c.at[c.n++] = (struct compared){&s->row[i], column, s->n_columns};
    qsort(c.at, c.n, sizeof *c.at, by_others);
    keep_complete(&c, column, count_values(&c, column, s->column[column].n_values));
    return c;
}

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

static uint32_t fill_levels(const struct exp_study_report *r, const struct comparison *c, uint32_t column,
                            struct level *level)
{
    const struct exp_study_column *k = &r->rows->column[column];
    for (uint32_t v = 0; v < k->n_values; v++) {
        struct level *l = &level[bin_of(k, v)];
        if (!l->from) l->from = k->value[v];
        l->to = k->value[v];
    }
    for (uint64_t i = 0; i < c->n; i++) {
        struct level *l = &level[bin_of(k, c->at[i].row->value[column])];
        l->sum += exp_study_score(c->at[i].row, r->winners->basis);
        l->n++;
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
    exp_doc_cell(row, (double)l->n);
    free(name);
}

static void put_name(json_t *chart, const char *name, bool alike)
{
    char *marked = sim_printf("%s%s", name, alike ? "" : " *");
    exp_doc_name(chart, marked);
    free(marked);
}

static void put_effect(const struct exp_study_report *r, uint32_t column, uint32_t name, json_t *chart,
                       json_t *table)
{
    const struct exp_study_column *k = &r->rows->column[column];
    json_t *series = json_array_get(json_object_get(chart, "series"), 0);
    struct comparison c = compare(r, column);
    struct level *level = sim_alloc(k->n_values, sizeof *level), all = {0};
    uint32_t n = fill_levels(r, &c, column, level), worst = 0, best = 0;
    for (uint32_t i = 0; i < n; i++) {
        all.sum += level[i].sum;
        all.n += level[i].n;
        if (!level[worst].n || (level[i].n && mean(&level[i]) < mean(&level[worst]))) worst = i;
        if (!level[best].n || (level[i].n && mean(&level[i]) > mean(&level[best]))) best = i;
    }
    put_name(chart, k->name, c.alike);
    exp_doc_range(series, name, exp_report_rounded(mean(&level[worst])), exp_report_rounded(mean(&all)),
                  exp_report_rounded(mean(&level[best])));
    json_t *row = exp_doc_row(table);
    exp_doc_cell_text(row, k->path);
    put_level(row, &level[worst]);
    put_level(row, &level[best]);
    exp_doc_cell_text(row, c.alike ? "same combinations" : "different combinations *");
    free(level);
    free(c.at);
}

static json_t *effects_table(json_t *section)
{
    json_t *table = exp_doc_table(section, "effects-table", "Values of each key");
    exp_doc_column_text(table, "key");
    exp_doc_column_text(table, "worst value");
    exp_doc_column(table, "mean there", "");
    exp_doc_column(table, "points", "");
    exp_doc_column_text(table, "best value");
    exp_doc_column(table, "mean there", "");
    exp_doc_column(table, "points", "");
    exp_doc_column_text(table, "compared over");
    return table;
}

void exp_study_report_effects(const struct exp_study_report *r)
{
    uint32_t n = 0;
    if (!r->winners->n) return;
    json_t *section = exp_doc_section(r->doc, "effects", "What each key does");
    json_t *chart = exp_doc_chart(section, "effects", "Effect of each key", EXP_RANGES);
    json_t *table = effects_table(section);
    exp_doc_series(chart, "from its worst to its best value");
    bool priced = r->winners->basis == EXP_STUDY_PER_COST && *r->rows->currency;
    exp_doc_y(chart, priced ? "requests within limits" : exp_study_basis_name(r->winners->basis),
              priced ? r->rows->per_cost : "", EXP_LINEAR);
    exp_doc_note(chart, "Means over the combinations of the other keys in which every value has a point; the "
                        "mark is the mean "
                        "of all. A long bar is a key that matters. * No combination has every value: the "
                        "means are of different "
                        "points, and the bar may show what else they differ in.");
    for (uint32_t c = 0; c < r->rows->n_columns; c++) {
        if (!exp_study_varies(r->rows, (int)c)) continue;
        put_effect(r, c, n++, chart, table);
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
