/* What failed and why, and every point. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/report/of_parts.h"
#include "experiments/report/of_study_parts.h"

/* ---- failures ---- */

enum { MOST_REASONS = 50 };

/* Reasons that differ in their numbers only are one. */
struct reason {
    const struct exp_study_entry *first;
    uint64_t n;
};

static char *without_numbers(const char *why)
{
    char *out = sim_strdup(why), *to = out;
    for (const char *at = why; *at; at++) {
        bool digit = isdigit((unsigned char)*at);
        if (!digit) *to++ = *at;
        if (digit && (to == out || to[-1] != '#')) *to++ = '#';
    }
    *to = '\0';
    return out;
}

static uint64_t group(const struct exp_study_rows *s, struct reason *out)
{
    json_t *known = json_object();
    uint64_t n = 0;
    for (uint64_t i = 0; i < s->n; i++) {
        const struct exp_study_entry *row = &s->row[i];
        if (row->done || (row->stale && !s->all_stale)) continue;
        char *key = without_numbers(row->why);
        const json_t *at = json_object_get(known, key);
        if (!at) {
            json_object_set_new_nocheck(known, key, json_integer((json_int_t)n));
            out[n++].first = row;
            at = json_object_get(known, key);
        }
        out[json_integer_value(at)].n++;
        free(key);
    }
    json_decref(known);
    return n;
}

static int by_count(const void *a, const void *b)
{
    const struct reason *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

void exp_study_report_failed(const struct exp_study_report *r)
{
    struct reason *all = sim_alloc(r->rows->n + 1, sizeof *all);
    uint64_t n = group(r->rows, all);
    qsort(all, n, sizeof *all, by_count);
    json_t *table = exp_doc_table(exp_doc_section(r->doc, "failed", "Points that failed"), "failed",
                                  "Failed points by reason");
    exp_doc_column(table, "points", "");
    exp_doc_column_text(table, "reason");
    exp_doc_column_text(table, "first");
    for (uint64_t i = 0; i < n && i < MOST_REASONS; i++) {
        json_t *row = exp_doc_row(table);
        exp_doc_cell(row, (double)all[i].n);
        exp_doc_cell_text(row, all[i].first->why);
        exp_doc_cell_text(row, exp_study_settings_text(r->rows, all[i].first, UINT32_MAX));
    }
    free(all);
}

/* ---- every point ---- */

static const struct {
    const char *name, *unit;
    enum exp_study_figure figure;
    double factor;
} shown[] = {{"within limits", "1/s", EXP_STUDY_GOODPUT, 1},
             {"SLA attainment", "%", EXP_STUDY_ATTAINMENT, 100},
             {"p99 TTFT", "ms", EXP_STUDY_TTFT, 1},
             {"p99 TPOT", "ms", EXP_STUDY_TPOT, 1},
             {"KV peak", "%", EXP_STUDY_KV_PEAK, 100},
             {"GPUs", "", EXP_STUDY_GPUS, 1},
             {"cost per 1,000 good", "", EXP_STUDY_COST_GOOD, 1},
             {"newly failing", "%", EXP_STUDY_NEWLY_FAILING, 100}};
enum { N_SHOWN = sizeof shown / sizeof shown[0] };

static const char *state_of(const struct exp_study_entry *row)
{
    return !row->done                 ? "failed"
           : row->stale               ? "stale"
           : exp_study_row_meets(row) ? "meets the SLA"
                                      : "misses the SLA";
}

static void put_columns(const struct exp_study_rows *s, json_t *table)
{
    exp_doc_column(table, "point", "");
    for (uint32_t c = 0; c < s->n_columns; c++) {
        if (!exp_study_varies(s, (int)c)) continue;
        if (s->column[c].numeric)
            exp_doc_column(table, s->column[c].name, "");
        else
            exp_doc_column_text(table, s->column[c].name);
    }
    exp_doc_column_text(table, "state");
    exp_doc_column_text(table, "load");
    for (int i = 0; i < N_SHOWN; i++) exp_doc_column(table, shown[i].name, shown[i].unit);
}

void exp_study_put_point(const struct exp_study_rows *s, json_t *table, const struct exp_study_entry *of)
{
    json_t *row = exp_doc_row(table);
    exp_doc_cell(row, (double)of->index);
    for (uint32_t c = 0; c < s->n_columns; c++) {
        const struct exp_study_column *k = &s->column[c];
        if (!exp_study_varies(s, (int)c)) continue;
        if (k->numeric)
            exp_doc_cell(row, k->number[of->value[c]]);
        else
            exp_doc_cell_text(row, k->value[of->value[c]]);
    }
    exp_doc_cell_text(row, state_of(of));
    exp_doc_cell_text(row, of->load_state);
    for (int i = 0; i < N_SHOWN; i++)
        exp_doc_cell(row, exp_report_rounded(shown[i].factor * of->figure[shown[i].figure]));
}

json_t *exp_study_points_table(const struct exp_study_rows *s, json_t *section, const char *id,
                               const char *title)
{
    json_t *table = exp_doc_table(section, id, title);
    put_columns(s, table);
    return table;
}

void exp_study_report_points(const struct exp_study_report *r)
{
    const struct exp_study_rows *s = r->rows;
    json_t *section = exp_doc_section(r->doc, "points", "All points");
    char *csv = sim_printf("kvsim sweep STUDY.yaml --db %s --csv points.csv", s->database);
    if (s->n > EXP_STUDY_TABLE_ROWS)
        exp_doc_text(
            section, EXP_SOFT_TONE, "The first {0} of {1} points. All of them, with every figure: {2}",
            exp_count_words(EXP_STUDY_TABLE_ROWS).text, exp_count_words((double)s->n).text, csv, NULL);
    free(csv);
    json_t *table = exp_study_points_table(s, section, "points", "Points of the study");
    exp_doc_folded(table);
    for (uint64_t i = 0; i < s->n && i < EXP_STUDY_TABLE_ROWS; i++) exp_study_put_point(s, table, &s->row[i]);
}
