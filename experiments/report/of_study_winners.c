#include "experiments/report/of_study_winners.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/doc.h"

static const double TIED = 0.02;
static const uint64_t MOST_CELLS = (uint64_t)1 << 40; /* as many as a study has points */

/* ---- combinations ---- */

static bool is_cell(const struct exp_study_rows *rows, uint32_t c)
{
    return exp_study_varies(rows, (int)c) && !rows->column[c].numeric && (int)c != rows->strategy;
}

static void choose_columns(struct exp_winners *w)
{
    uint64_t cells = 1;
    for (uint32_t c = 0; c < w->rows->n_columns; c++) {
        if (!is_cell(w->rows, c) || cells > MOST_CELLS / w->rows->column[c].n_values) continue;
        cells *= w->rows->column[c].n_values;
        w->column[w->n_columns++] = c;
    }
}

/* A row, and the number of its combination. */
struct placed {
    uint64_t cell;
    const struct exp_study_entry *row;
};

static int by_cell(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->cell != y->cell) return x->cell < y->cell ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static uint64_t cell_of(const struct exp_winners *w, const struct exp_study_entry *row)
{
    uint64_t cell = 0;
    for (uint32_t i = 0; i < w->n_columns; i++)
        cell = cell * w->rows->column[w->column[i]].n_values + row->value[w->column[i]];
    return cell;
}

static uint64_t place(const struct exp_winners *w, struct placed *out)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < w->rows->n; i++)
        if (exp_study_row_counts(w->rows, &w->rows->row[i]))
            out[n++] = (struct placed){cell_of(w, &w->rows->row[i]), &w->rows->row[i]};
    qsort(out, n, sizeof *out, by_cell);
    return n;
}

static void fill_cells(struct exp_winners *w)
{
    struct placed *all = sim_alloc(w->rows->n + 1, sizeof *all);
    uint64_t n = place(w, all), n_cells = 0;
    w->row = sim_alloc(n + 1, sizeof(struct exp_study_entry *));
    for (uint64_t i = 0; i < n; i++) n_cells += i == 0 || all[i].cell != all[i - 1].cell;
    w->winner = sim_alloc(n_cells + 1, sizeof *w->winner);
    for (uint64_t i = 0; i < n; i++) {
        if (i == 0 || all[i].cell != all[i - 1].cell) w->winner[w->n++].row = &w->row[i];
        w->row[i] = all[i].row;
        w->winner[w->n - 1].n++;
    }
    free(all);
}

/* ---- the contest ---- */

int exp_winner_strategy_of(const struct exp_winners *w, const struct exp_study_entry *row)
{
    return w->rows->strategy < 0 ? 0 : (int)row->value[w->rows->strategy];
}

static double score_of(const struct exp_winners *w, const struct exp_winner *of, int strategy)
{
    const struct exp_study_entry *row = strategy < 0 ? NULL : of->best[strategy];
    return row ? exp_study_score(row, w->basis) : NAN;
}

static int find_full(const struct exp_winners *w)
{
    for (uint32_t k = 0; w->rows->strategy >= 0 && k < w->n_strategies; k++)
        if (strcmp(exp_winner_strategy(w, (int)k), "full") == 0) return (int)k;
    return -1;
}

static int best_but(const struct exp_winners *w, const struct exp_winner *of, int other)
{
    int best = -1;
    for (int k = 0; k < (int)w->n_strategies; k++)
        if (k != other && of->best[k] && (best < 0 || score_of(w, of, k) > score_of(w, of, best))) best = k;
    return best;
}

/* Answers that newly fail are worth nothing; of strategies that nobody scored it is not known how many those are. */
static double good_score(const struct exp_winners *w, const struct exp_study_entry *row)
{
    return exp_study_score(row, w->basis) * (1 - row->figure[EXP_STUDY_NEWLY_FAILING]);
}

/* A strategy's settings change its answers as well as its speed: the most of any of its points. */
static void contest_of_good(const struct exp_winners *w, struct exp_winner *of)
{
    double full = NAN;
    of->good = -1;
    of->good_score = NAN;
    for (uint64_t i = 0; i < of->n; i++) {
        const struct exp_study_entry *row = of->row[i];
        int strategy = exp_winner_strategy_of(w, row);
        double good = good_score(w, row);
        if (!exp_study_row_meets(row) || !isfinite(good)) continue;
        if (strategy == find_full(w)) full = fmax(full, good);
        if (of->good >= 0 && (good < of->good_score || (good == of->good_score && strategy >= of->good)))
            continue;
        of->good = strategy;
        of->good_score = good;
    }
    of->good_over_full = of->good_score / full - 1;
}

static void contest(const struct exp_winners *w, struct exp_winner *of)
{
    of->best = sim_arena_alloc(w->rows->arena, w->n_strategies, sizeof(struct exp_study_entry *));
    for (uint64_t i = 0; i < of->n; i++) {
        const struct exp_study_entry *row = of->row[i], **best = &of->best[exp_winner_strategy_of(w, row)];
        if (!exp_study_row_meets(row) || !isfinite(exp_study_score(row, w->basis))) continue;
        of->n_met++;
        if (!*best || exp_study_score(row, w->basis) > exp_study_score(*best, w->basis)) *best = row;
    }
    of->first = best_but(w, of, -1);
    of->second = of->first < 0 ? -1 : best_but(w, of, of->first);
    of->score = score_of(w, of, of->first);
    of->margin = of->score / score_of(w, of, of->second) - 1;
    of->over_full = of->score / score_of(w, of, find_full(w)) - 1;
    of->tied = of->margin <= TIED;
    contest_of_good(w, of);
}

struct exp_winners *exp_winners_of(const struct exp_study_rows *rows)
{
    struct exp_winners *w = sim_alloc(1, sizeof *w);
    w->rows = rows;
    w->basis = exp_study_basis(rows);
    w->n_strategies = rows->strategy < 0 ? 1 : rows->column[rows->strategy].n_values;
    choose_columns(w);
    fill_cells(w);
    for (uint32_t i = 0; i < w->n; i++) contest(w, &w->winner[i]);
    return w;
}

void exp_winners_free(struct exp_winners *w)
{
    if (!w) return;
    free(w->winner);
    free(w->row);
    free(w);
}

/* ---- names ---- */

static const char *value_of(const struct exp_winners *w, const struct exp_winner *of, uint32_t i)
{
    return w->rows->column[w->column[i]].value[of->row[0]->value[w->column[i]]];
}

const char *exp_winner_cell(const struct exp_winners *w, const struct exp_winner *of)
{
    char *text = sim_strdup("");
    for (uint32_t i = 0; i < w->n_columns; i++) {
        char *longer = sim_printf("%s%s%s", text, i ? ", " : "", value_of(w, of, i));
        free(text);
        text = longer;
    }
    const char *out = sim_arena_strdup(w->rows->arena, text);
    free(text);
    return out;
}

const char *exp_winner_strategy(const struct exp_winners *w, int strategy)
{
    return w->rows->strategy < 0 ? "all points" : w->rows->column[w->rows->strategy].value[strategy];
}

/* ---- the table ---- */

uint32_t exp_winner_columns(const struct exp_winners *w)
{
    uint32_t bits = UINT32_MAX;
    for (uint32_t i = 0; i < w->n_columns; i++) bits &= ~(1u << w->column[i]);
    if (w->rows->strategy >= 0) bits &= ~(1u << w->rows->strategy);
    return bits;
}

static void put_columns(json_t *table, const struct exp_winners *w)
{
    const char *const units[] = {w->rows->per_cost, "per s and GPU", "per s"};
    for (uint32_t i = 0; i < w->n_columns; i++)
        exp_doc_column_text(table, w->rows->column[w->column[i]].name);
    exp_doc_column_text(table, "winner");
    exp_doc_column_text(table, "at");
    exp_doc_column(table, "requests within limits", units[w->basis]);
    exp_doc_column_text(table, "second");
    exp_doc_column(table, "ahead of it by", "%");
    exp_doc_column(table, "ahead of full by", "%");
    exp_doc_column(table, "newly failing answers", "%");
    exp_doc_column(table, "measured GPU time", "%");
    exp_doc_column_text(table, "verdict");
    exp_doc_column_text(table, "most good answers");
    exp_doc_column(table, "ahead of full's good answers by", "%");
}

static const char *verdict(const struct exp_winner *of)
{
    if (of->first < 0) return "none meets the SLA";
    if (of->second < 0) return "the only one";
    return of->tied ? "tie" : "clear";
}

/* Of GPU time that was measured or interpolated. */
static double measured_frac(const struct exp_study_entry *row)
{
    return row->figure[EXP_STUDY_EVIDENCE + SIM_MEASURED] +
           row->figure[EXP_STUDY_EVIDENCE + SIM_INTERPOLATED];
}

static void put_row(json_t *table, const struct exp_winners *w, const struct exp_winner *of)
{
    const struct exp_study_entry *best = of->first < 0 ? NULL : of->best[of->first];
    json_t *row = exp_doc_row(table);
    for (uint32_t i = 0; i < w->n_columns; i++) exp_doc_cell_text(row, value_of(w, of, i));
    exp_doc_cell_text(row, best ? exp_winner_strategy(w, of->first) : "");
    exp_doc_cell_text(row, best ? exp_study_settings_text(w->rows, best, exp_winner_columns(w)) : "");
    exp_doc_cell(row, of->score);
    exp_doc_cell_text(row, of->second < 0 ? "" : exp_winner_strategy(w, of->second));
    exp_doc_cell(row, 100 * of->margin);
    exp_doc_cell(row, 100 * of->over_full);
    exp_doc_cell(row, best ? 100 * best->figure[EXP_STUDY_NEWLY_FAILING] : NAN);
    exp_doc_cell(row, best ? 100 * measured_frac(best) : NAN);
    exp_doc_cell_text(row, verdict(of));
    exp_doc_cell_text(row, of->good < 0 ? "" : exp_winner_strategy(w, of->good));
    exp_doc_cell(row, 100 * of->good_over_full);
}

enum { MOST_ROWS = 2000 };

void exp_winners_put(json_t *section, const struct exp_winners *w)
{
    json_t *table = exp_doc_table(section, "winners", "The winner of each combination");
    put_columns(table, w);
    for (uint32_t i = 0; i < w->n && i < MOST_ROWS; i++) put_row(table, w, &w->winner[i]);
}
