#include <gsl/gsl_sort_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/quality/guard.h"
#include "sim/csv_in.h"
#include "sim/line_in.h"
#include "sim/memory.h"

/* ---- samples by name ---- */

static int compare_samples(const void *a, const void *b)
{
    const struct exp_sample_id *const *x = a, *const *y = b;
    if ((*x)->task != (*y)->task) return (*x)->task < (*y)->task ? -1 : 1;
    return strcmp((*x)->id, (*y)->id);
}

/* Free with free(). */
static const struct exp_sample_id **samples_by_name(const struct exp_scores *s)
{
    const struct exp_sample_id **by_name = sim_alloc(s->n_samples, sizeof *by_name);
    for (uint32_t i = 0; i < s->n_samples; i++) by_name[i] = &s->sample[i];
    qsort(by_name, s->n_samples, sizeof *by_name, compare_samples);
    return by_name;
}

/* ---- the list ---- */

enum { TASK, ID, WEIGHT, PASS, N_COLUMNS };
static const char *const column_names[N_COLUMNS] = {"task", "id", "weight", "pass"};
static const double MOST_WEIGHT = 1e9;

struct reading {
    const struct exp_scores *s;
    const struct exp_sample_id **by_name;
    bool *listed; /* [n_samples] */
    int column[N_COLUMNS];
    size_t room;
    struct exp_critical out;
};

static bool find_columns(struct reading *r, const struct sim_csv_row *header, struct sim_status *st)
{
    for (int c = 0; c < N_COLUMNS; c++) {
        r->column[c] = sim_csv_column(header, column_names[c]);
        if (r->column[c] < 0 && c <= ID)
            return sim_fail(st,
                            "%s:%llu: no column `%s`, expected task,id and perhaps weight,pass; rename or "
                            "add it",
                            header->path, (unsigned long long)header->line, column_names[c]);
    }
    return true;
}

static const char *cell(const struct reading *r, const struct sim_csv_row *row, int column)
{
    int at = r->column[column];
    return at >= 0 && (uint32_t)at < row->n_fields ? row->field[at] : "";
}

/* The cell's number; as it is where the cell is empty. */
static bool take_number(const struct reading *r, const struct sim_csv_row *row, int column, double most,
                        double *value, struct sim_status *st)
{
    const char *name = column_names[column];
    if (!cell(r, row, column)[0]) return true;
    if (!sim_csv_double(row, r->column[column], name, value, st)) return false;
    return (*value >= 0 && *value <= most) || sim_fail(st, "%s:%llu: %s is %g, expected 0 to %g", row->path,
                                                       (unsigned long long)row->line, name, *value, most);
}

static const struct exp_sample_id *find(const struct reading *r, const char *task, const char *id)
{
    struct exp_sample_id wanted = {0, id};
    const struct exp_sample_id *key = &wanted, **found;
    while (wanted.task < r->s->n_tasks && strcmp(r->s->task[wanted.task], task) != 0) wanted.task++;
    found = bsearch(&key, r->by_name, r->s->n_samples, sizeof *r->by_name, compare_samples);
    return found ? *found : NULL;
}

/* "7.0" is what some tools make of 7. */
static const struct exp_sample_id *find_sample(const struct reading *r, const char *task, const char *id)
{
    const struct exp_sample_id *found = find(r, task, id);
    size_t digits = strspn(id, "0123456789");
    if (found || !digits || strcmp(id + digits, ".0") != 0) return found;
    char *whole = sim_strdup(id);
    whole[digits] = '\0';
    found = find(r, task, whole);
    free(whole);
    return found;
}

static bool add(struct reading *r, const struct sim_csv_row *row, uint32_t sample, const double number[2],
                struct sim_status *st)
{
    struct exp_critical *c = &r->out;
    if (r->listed[sample])
        return sim_fail(
            st, "%s:%llu: task %s, id %s is listed already, expected each sample once; drop a row", row->path,
            (unsigned long long)row->line, r->s->task[r->s->sample[sample].task], r->s->sample[sample].id);
    r->listed[sample] = true;
    if (c->n == r->room) {
        r->room = r->room ? 2 * r->room : 64;
        c->sample = sim_realloc(c->sample, r->room, sizeof *c->sample);
        c->weight = sim_realloc(c->weight, r->room, sizeof *c->weight);
        c->pass = sim_realloc(c->pass, r->room, sizeof *c->pass);
    }
    c->sample[c->n] = sample;
    c->weight[c->n] = number[0];
    c->pass[c->n++] = number[1];
    return true;
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct reading *r = user;
    double number[2] = {1, NAN};
    if (index == 0) return find_columns(r, row, st);
    const char *task = cell(r, row, TASK), *id = cell(r, row, ID);
    if (!task[0] || !id[0])
        return sim_fail(st, "%s:%llu: %s is empty, expected a sample's task and id; correct the row",
                        row->path, (unsigned long long)row->line, task[0] ? "id" : "task");
    if (!take_number(r, row, WEIGHT, MOST_WEIGHT, &number[0], st) ||
        !take_number(r, row, PASS, 1, &number[1], st))
        return false;
    const struct exp_sample_id *found = find_sample(r, task, id);
    r->out.n_unknown += !found;
    return !found || add(r, row, (uint32_t)(found - r->s->sample), number, st);
}

static bool refuse_none(const struct reading *r, const char *path, struct sim_status *st)
{
    const struct exp_sample_id *first = &r->s->sample[0];
    char id[48];
    snprintf(id, sizeof id, "%s", sim_excerpt(first->id, strlen(first->id)).text);
    return sim_fail(
        st,
        "%s: none of its %u samples is among the scores, expected tasks and ids as there (the first "
        "is task %s, id %s); correct the list",
        path, r->out.n_unknown, r->s->task[first->task], id);
}

bool exp_critical_read(const char *path, const struct exp_scores *s, struct exp_critical *out,
                       struct sim_status *st)
{
    struct reading r = {.s = s, .by_name = samples_by_name(s)};
    r.listed = sim_alloc(s->n_samples, sizeof *r.listed);
    bool ok = sim_csv_read(path, on_row, &r, st) && (r.out.n || refuse_none(&r, path, st));
    free(r.by_name);
    free(r.listed);
    if (ok)
        *out = r.out;
    else
        exp_critical_fini(&r.out);
    return ok;
}

void exp_critical_fini(struct exp_critical *c)
{
    free(c->sample);
    free(c->weight);
    free(c->pass);
    *c = (struct exp_critical){.n = 0};
}

/* ---- under a method ---- */

enum exp_critical_verdict exp_critical_judge(const struct exp_scores *s, const struct exp_critical *c,
                                             uint32_t i, uint32_t method,
                                             const struct exp_quality_options *options)
{
    double score = s->score[method][c->sample[i]].score;
    double base = s->score[options->baseline][c->sample[i]].score;
    bool by_rule = isnan(c->pass[i]);
    if (isnan(score) || (by_rule && isnan(base))) return EXP_CRITICAL_MISSING;
    bool fails = by_rule ? exp_quality_falls(score, base, options) : score < c->pass[i];
    return fails ? EXP_CRITICAL_FAILS : EXP_CRITICAL_PASSES;
}

/* Of n changes, n > 0: the mean of the worst 5 %. Sorts them. */
static double mean_of_worst(double *change, size_t n)
{
    size_t k = n >= 20 ? n / 20 : 1;
    double sum = 0;
    gsl_sort(change, 1, n);
    for (size_t i = 0; i < k; i++) sum += change[i];
    return sum / (double)k;
}

struct exp_critical_result exp_critical_evaluate(const struct exp_scores *s, const struct exp_critical *c,
                                                 uint32_t method, const struct exp_quality_options *options)
{
    struct exp_critical_result r = {.cvar = NAN, .worst_change = NAN};
    double weight = 0, failing = 0, *change = sim_alloc(c->n ? c->n : 1, sizeof *change);
    size_t n_changes = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        enum exp_critical_verdict verdict = exp_critical_judge(s, c, i, method, options);
        double by = s->score[method][c->sample[i]].score - s->score[options->baseline][c->sample[i]].score;
        r.missing += verdict == EXP_CRITICAL_MISSING;
        if (verdict == EXP_CRITICAL_MISSING) continue;
        r.n++;
        r.failures += verdict == EXP_CRITICAL_FAILS;
        weight += c->weight[i];
        failing += verdict == EXP_CRITICAL_FAILS ? c->weight[i] : 0;
        if (!isnan(by)) change[n_changes++] = by;
    }
    r.weighted_failures = failing / weight;
    r.bound = mdl_failure_bound(r.failures, r.n, 0.95);
    if (n_changes) r.cvar = mean_of_worst(change, n_changes);
    if (n_changes) r.worst_change = change[0];
    free(change);
    return r;
}
