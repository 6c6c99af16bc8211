/* The report of a study: what it holds, when to use what, the best points, pictures, what failed, every point, and how to make
 * it again. */
#include "experiments/report/of_study.h"

#include <math.h>
#include <stdlib.h>

#include "experiments/cli.h"
#include "experiments/report/of_parts.h"
#include "experiments/report/of_study_parts.h"
#include "experiments/version.h"

enum { BEST = 10 };

/* ---- the head ---- */

/* Of the only combination: its best point, "fp8, multiply=4". */
static void say_best(const struct exp_study_report *r, json_t *section)
{
    const struct exp_winners *w = r->winners;
    const struct exp_winner *of = &w->winner[0];
    const char *at = exp_study_settings_text(r->rows, of->best[of->first], exp_winner_columns(w));
    const char *name = exp_study_varies(r->rows, r->rows->strategy) ? exp_winner_strategy(w, of->first) : "";
    char *best = sim_printf("%s%s%s", name, *name && *at ? ", " : "", at);
    exp_doc_text(
        section, EXP_GOOD_TONE, "Best of the points that meet the service levels: {0}, with {1} {2}.",
        *best ? best : r->rows->name, exp_short_words(of->score).text, exp_study_basis_name(w->basis), NULL);
    if (of->tied)
        exp_doc_text(section, EXP_PLAIN_TONE, "{0} is within 2 % of it: a tie.",
                     exp_winner_strategy(w, of->second), NULL);
    free(best);
}

/* "fp8 2, full 1", in the order of the study. */
static char *wins_of(const struct exp_winners *w, uint32_t *none, uint32_t *tied)
{
    uint32_t *wins = sim_alloc(w->n_strategies, sizeof *wins);
    char *text = sim_strdup("");
    for (uint32_t i = 0; i < w->n; i++) {
        *none += w->winner[i].first < 0;
        *tied += w->winner[i].tied;
        if (w->winner[i].first >= 0) wins[w->winner[i].first]++;
    }
    for (uint32_t k = 0; k < w->n_strategies; k++) {
        if (!wins[k]) continue;
        char *longer =
            sim_printf("%s%s%s %u", text, *text ? ", " : "", exp_winner_strategy(w, (int)k), wins[k]);
        free(text);
        text = longer;
    }
    free(wins);
    return text;
}

static void say_wins(const struct exp_study_report *r, json_t *section)
{
    const struct exp_winners *w = r->winners;
    uint32_t none = 0, tied = 0;
    char *wins = wins_of(w, &none, &tied);
    if (exp_study_varies(r->rows, r->rows->strategy))
        exp_doc_text(section, EXP_GOOD_TONE, "Of {0} combinations so many are won by: {1}.",
                     exp_count_words(w->n).text, wins, NULL);
    else
        exp_doc_text(section, EXP_GOOD_TONE, "In {0} of {1} combinations points meet the service levels.",
                     exp_count_words(w->n - none).text, exp_count_words(w->n).text, NULL);
    if (tied)
        exp_doc_text(section, EXP_PLAIN_TONE, "In {0} of them the second is within 2 %: a tie.",
                     exp_count_words(tied).text, NULL);
    if (none)
        exp_doc_text(section, EXP_WARN_TONE, "In {0} of {1} combinations no point meets the service levels.",
                     exp_count_words(none).text, exp_count_words(w->n).text, NULL);
    free(wins);
}

static void put_answer(const struct exp_study_report *r, json_t *section)
{
    const struct exp_winners *w = r->winners;
    bool any = false;
    for (uint32_t i = 0; i < w->n; i++) any |= w->winner[i].first >= 0;
    if (any)
        (w->n == 1 ? say_best : say_wins)(r, section);
    else if (w->n)
        exp_doc_text(section, EXP_WARN_TONE, "No point meets the service levels.", NULL);
}

static void put_head(const struct exp_study_report *r, json_t *section)
{
    const struct exp_study_rows *s = r->rows;
    put_answer(r, section);
    if (*s->note) exp_doc_text(section, EXP_PLAIN_TONE, "{0}", s->note, NULL);
    exp_doc_text(section, EXP_SOFT_TONE, "Database {0}.", s->database, NULL);
    json_t *facts = exp_doc_facts(section);
    if (s->n_points) exp_doc_fact(facts, "points of the study", (double)s->n_points, "");
    exp_doc_fact(facts, "done", (double)s->n_done, "");
    exp_doc_fact(facts, "failed", (double)s->n_failed, "");
    /* Files that changed since leave no trace in the database: 0 would claim more than it knows. */
    if (s->n_stale) exp_doc_fact(facts, "stale", (double)s->n_stale, "");
    if (s->n_points > s->n_done + s->n_failed && !(s->all_stale && s->n))
        exp_doc_text(section, EXP_WARN_TONE, "Not finished: {0} points are open. `kvsim sweep` goes on.",
                     exp_count_words((double)(s->n_points - s->n_done - s->n_failed)).text, NULL);
    if (s->all_stale && s->n)
        exp_doc_text(
            section, EXP_WARN_TONE,
            "Every point is of another model version or other files: `kvsim sweep` computes them again.",
            NULL);
    else if (s->n_stale)
        exp_doc_text(
            section, EXP_SOFT_TONE,
            "Stale points are of another model version or other files; they are listed and take no part.",
            NULL);
}

static void put_axes(const struct exp_study_report *r, json_t *section)
{
    json_t *table = exp_doc_table(section, "keys", "What varies");
    exp_doc_column_text(table, "key");
    exp_doc_column(table, "values", "");
    exp_doc_column_text(table, "from");
    exp_doc_column_text(table, "to");
    for (uint32_t c = 0; c < r->rows->n_columns; c++) {
        const struct exp_study_column *k = &r->rows->column[c];
        json_t *row = exp_doc_row(table);
        exp_doc_cell_text(row, k->path);
        exp_doc_cell(row, k->n_values);
        exp_doc_cell_text(row, k->n_values ? k->value[0] : "");
        exp_doc_cell_text(row, k->n_values ? k->value[k->n_values - 1] : "");
    }
}

static void put_subtitle(const struct exp_study_report *r)
{
    uint64_t done = 0, failed = 0;
    for (uint64_t i = 0; i < r->rows->n; i++) {
        const struct exp_study_entry *row = &r->rows->row[i];
        done += exp_study_row_counts(r->rows, row);
        failed += !row->done && (!row->stale || r->rows->all_stale);
    }
    if (failed)
        exp_doc_subtitle(r->doc, "{0} points done, {1} failed", exp_count_words((double)done).text,
                         exp_count_words((double)failed).text, NULL);
    else
        exp_doc_subtitle(r->doc, "{0} points done", exp_count_words((double)done).text, NULL);
}

/* ---- winners and the best points ---- */

static void put_winners(const struct exp_study_report *r)
{
    const struct exp_winners *w = r->winners;
    if (!w->n) return;
    json_t *section = exp_doc_section(r->doc, "winners-of", "When to use what");
    exp_doc_text(
        section, EXP_PLAIN_TONE,
        "Of every combination the one with the most {0}, among points that meet the service levels, over all "
        "loads. Within 2 % of each other two are a tie.",
        exp_study_basis_name(w->basis), NULL);
    exp_doc_text(
        section, EXP_SOFT_TONE,
        "Speed is not all: answers of some strategies get worse, and those of others nobody scored. Most "
        "good "
        "answers are served by the one with the most requests within limits that do not newly fail, among "
        "strategies whose answers were scored.",
        NULL);
    exp_winners_put(section, w);
}

struct ranked {
    double score;
    const struct exp_study_entry *row;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void put_best(const struct exp_study_report *r, json_t *section)
{
    struct ranked *all = sim_alloc(r->rows->n + 1, sizeof *all);
    uint64_t n = 0;
    for (uint64_t i = 0; i < r->rows->n; i++) {
        const struct exp_study_entry *row = &r->rows->row[i];
        double score = exp_study_score(row, r->winners->basis);
        if (exp_study_row_counts(r->rows, row) && exp_study_row_meets(row) && isfinite(score))
            all[n++] = (struct ranked){score, row};
    }
    qsort(all, n, sizeof *all, by_score);
    json_t *table = exp_study_points_table(r->rows, section, "best",
                                           "Points that meet the service levels, the best first");
    for (uint64_t i = 0; i < n && i < BEST; i++) exp_study_put_point(r->rows, table, all[i].row);
    free(all);
}

/* ---- how to make it again ---- */

static void put_reproduce(const struct exp_study_report *r)
{
    const struct exp_study_rows *s = r->rows;
    json_t *section = exp_doc_section(r->doc, "reproduce", "Make it again");
    const char *model = json_string_value(json_object_get(s->versions, "model_version"));
    exp_doc_text(section, EXP_PLAIN_TONE, "kvsim {0}, model version {1}.", EXP_VERSION, model ? model : "?",
                 NULL);
    char *commands = sim_printf("kvsim sweep STUDY.yaml --db %s\nkvsim report %s", s->database, s->database);
    exp_doc_code(section, commands);
    free(commands);
    exp_doc_text(
        section, EXP_SOFT_TONE,
        "Whether a trace, a profile or prices changed since, `kvsim sweep --dry-run` tells: a report reads "
        "the database alone.",
        NULL);
    exp_doc_text(section, EXP_PLAIN_TONE, "STUDY.yaml: the study as it was read.", NULL);
    exp_doc_code(section, s->file);
    exp_doc_text(section, EXP_PLAIN_TONE, "Its base scenario, with every setting that is not a default.",
                 NULL);
    exp_doc_code(section, s->scenario);
    exp_report_files(section, s->versions);
}

/* ---- the whole ---- */

json_t *exp_report_of_study(struct exp_store *store, const char *name, struct sim_status *st)
{
    struct exp_study_rows *rows = exp_study_rows_load(store, name, st);
    if (!rows) return NULL;
    struct exp_winners *winners = exp_winners_of(rows);
    struct exp_study_report r = {exp_doc_new("study", "Study {0}", rows->name, NULL), rows, winners};
    json_t *head = exp_doc_section(r.doc, "head", "The study");
    put_subtitle(&r);
    put_head(&r, head);
    put_winners(&r);
    put_best(&r, exp_doc_section(r.doc, "best-of", "The best points"));
    exp_study_report_load(&r);
    exp_study_report_cost(&r);
    exp_study_report_effects(&r);
    exp_study_report_strategies(&r);
    exp_study_report_failed(&r);
    exp_study_report_points(&r);
    put_axes(&r, exp_doc_section(r.doc, "keys-of", "What varies"));
    put_reproduce(&r);
    exp_winners_free(winners);
    exp_study_rows_free(rows);
    exp_doc_finish(r.doc);
    return r.doc;
}
