/* What a validation says: how far predictions are from what was measured, for whom, and which points are the worst. */
#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/sha256.h"
#include "experiments/cli.h"
#include "experiments/report/of.h"
#include "experiments/report/of_validation_parts.h"
#include "models/textfile.h"
#include "sim/memory.h"

enum { WORST = 20, MAX_ROWS = 5000, MAX_SCENARIO_BYTES = 1 << 16 };

/* ---- the answer ---- */

static struct exp_words percent(double frac)
{
    struct exp_words w;
    snprintf(w.text, sizeof w.text, "%.3g", 100 * frac);
    return w;
}

static void put_off(json_t *s, const struct exp_reruns *t)
{
    struct exp_errors ttft = exp_reruns_errors(t, EXP_TTFT, NULL),
                      tpot = exp_reruns_errors(t, EXP_TPOT, NULL);
    if (t->n == 1)
        exp_doc_text(s, EXP_PLAIN_TONE, "TPOT is {0} % and TTFT {1} % off at the one measured point.",
                     percent(tpot.mape).text, percent(ttft.mape).text, NULL);
    else
        exp_doc_text(s, EXP_PLAIN_TONE,
                     "TPOT is {0} % and TTFT {1} % off on average over {2} measured points; half of them are "
                     "at most {3} % and {4} % off.",
                     percent(tpot.mape).text, percent(ttft.mape).text, exp_count_words(t->n).text,
                     percent(tpot.median).text, percent(ttft.median).text, NULL);
}

static void put_answer(json_t *doc, const struct exp_validated *v)
{
    json_t *s = exp_doc_section(doc, "answer", "Result");
    uint32_t skipped = v->reruns->n_skipped;
    put_off(s, v->reruns);
    if (v->coverage)
        exp_doc_text(s, EXP_PLAIN_TONE, "90 % intervals hold {0} % of the measured TPOT and {1} % of TTFT.",
                     percent(v->coverage->tpot).text, percent(v->coverage->ttft).text, NULL);
    if (skipped == 1)
        exp_doc_text(s, EXP_WARN_TONE, "One point is left out: it cannot be simulated.", NULL);
    else if (skipped)
        exp_doc_text(s, EXP_WARN_TONE, "{0} points are left out: they cannot be simulated.",
                     exp_count_words(skipped).text, NULL);
}

static void put_errors(json_t *doc, const struct exp_validated *v)
{
    json_t *s = exp_doc_section(doc, "errors", "How far off");
    json_t *t = exp_doc_table(s, "error-summary", "Errors, of what was measured");
    static const char *const columns[] = {"mean error", "bias", "median", "p90", "worst"};
    exp_doc_column_text(t, "quantity");
    exp_doc_column(t, "points", "");
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) exp_doc_column(t, columns[i], "%");
    if (v->coverage) exp_doc_column(t, "inside 90 % intervals", "%");
    for (int q = 0; q < EXP_N_QUANTITIES; q++) {
        struct exp_errors e = exp_reruns_errors(v->reruns, (enum exp_quantity)q, NULL);
        const double values[] = {e.mape, e.bias, e.median, e.p90, e.worst};
        json_t *row = exp_doc_row(t);
        exp_doc_cell_text(row, exp_quantity_name((enum exp_quantity)q));
        exp_doc_cell(row, e.n);
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) exp_doc_cell(row, 100 * values[i]);
        if (v->coverage) exp_doc_cell(row, 100 * (q == EXP_TTFT ? v->coverage->ttft : v->coverage->tpot));
    }
}

/* ---- rows ---- */

static json_t *rows_table(json_t *s, const char *id, const char *title, bool intervals)
{
    json_t *t = exp_doc_table(s, id, title);
    static const char *const texts[] = {"model", "GPU", "engine"}, *const counts[] = {
                                                                       "tensor parallel", "input tokens",
                                                                       "output tokens", "in flight"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) exp_doc_column_text(t, texts[i]);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) exp_doc_column(t, counts[i], "");
    exp_doc_column(t, "TTFT measured", "ms");
    exp_doc_column(t, "TTFT predicted", "ms");
    exp_doc_column(t, "TTFT error", "%");
    exp_doc_column(t, "TPOT measured", "ms");
    exp_doc_column(t, "TPOT predicted", "ms");
    exp_doc_column(t, "TPOT error", "%");
    if (!intervals) return t;
    exp_doc_column(t, "TTFT from", "ms");
    exp_doc_column(t, "TTFT to", "ms");
    exp_doc_column(t, "TPOT from", "ms");
    exp_doc_column(t, "TPOT to", "ms");
    return t;
}

static void put_row(json_t *t, const struct exp_rerun *x, bool intervals)
{
    const struct exp_point *p = x->point;
    json_t *row = exp_doc_row(t);
    exp_doc_cell_text(row, exp_short_model(x));
    exp_doc_cell_text(row, p->system);
    exp_doc_cell_text(row, x->setup->fleets[0].engine.name);
    exp_doc_cell(row, p->tensor_parallel);
    exp_doc_cell(row, p->isl);
    exp_doc_cell(row, p->osl);
    exp_doc_cell(row, p->concurrency);
    for (int q = 0; q < EXP_N_QUANTITIES; q++) {
        exp_doc_cell(row, exp_report_rounded(exp_measured_ms(x, (enum exp_quantity)q)));
        exp_doc_cell(row, exp_report_rounded(exp_predicted_ms(x, (enum exp_quantity)q)));
        exp_doc_cell(row, exp_report_rounded(100 * exp_error_frac(x, (enum exp_quantity)q)));
    }
    if (!intervals) return;
    const double bounds[] = {x->ttft_lo, x->ttft_hi, x->tpot_lo, x->tpot_hi};
    for (int i = 0; i < 4; i++) exp_doc_cell(row, exp_report_rounded(bounds[i]));
}

/* The larger of both errors, as a factor either way. */
static double badness(const struct exp_rerun *x)
{
    return fmax(fabs(log1p(exp_error_frac(x, EXP_TTFT))), fabs(log1p(exp_error_frac(x, EXP_TPOT))));
}

static void put_worst(json_t *s, const struct exp_validated *v)
{
    const struct exp_reruns *t = v->reruns;
    double *bad = sim_alloc(t->n, sizeof *bad);
    size_t *order = sim_alloc(t->n, sizeof *order);
    json_t *table = rows_table(s, "worst", "Points that are furthest off", v->coverage != NULL);
    for (uint32_t i = 0; i < t->n; i++) bad[i] = -badness(&t->trial[i]);
    gsl_sort_index(order, bad, 1, t->n);
    for (uint32_t i = 0; i < t->n && i < WORST; i++) put_row(table, &t->trial[order[i]], v->coverage != NULL);
    free(order);
    free(bad);
}

static void put_left_out(json_t *s, const struct exp_reruns *t)
{
    json_t *table = exp_doc_table(s, "left-out", "What was left out, and why");
    exp_doc_column(table, "points", "");
    exp_doc_column_text(table, "the first of them");
    exp_doc_column_text(table, "why");
    for (uint32_t i = 0; i < t->n_left_out; i++) {
        const struct exp_left_out *l = &t->left_out[i];
        json_t *row = exp_doc_row(table);
        char *first = sim_printf("line %llu: %s, %s, TP %u", (unsigned long long)l->first->line,
                                 l->first->model, l->first->system, l->first->tensor_parallel);
        exp_doc_cell(row, l->n);
        exp_doc_cell_text(row, first);
        exp_doc_cell_text(row, l->why);
        free(first);
    }
}

static void put_rows(json_t *doc, const struct exp_validated *v)
{
    const struct exp_reruns *t = v->reruns;
    json_t *s = exp_doc_section(doc, "rows", "Points");
    put_worst(s, v);
    put_left_out(s, t);
    json_t *all = rows_table(s, "points", "Every point", v->coverage != NULL);
    exp_doc_folded(all);
    for (uint32_t i = 0; i < t->n && i < MAX_ROWS; i++) put_row(all, &t->trial[i], v->coverage != NULL);
    if (t->n > MAX_ROWS)
        exp_doc_text(s, EXP_SOFT_TONE, "The first {0} of {1} points; validate.csv has all of them.",
                     exp_count_words(MAX_ROWS).text, exp_count_words(t->n).text, NULL);
}

/* ---- how to make it again ---- */

static void put_file(json_t *table, const char *path)
{
    struct sim_status ignored = {0};
    char hex[65] = "";
    cal_sha256_file(path, hex, &ignored);
    json_t *row = exp_doc_row(table);
    exp_doc_cell_text(row, path);
    exp_doc_cell_text(row, hex);
}

/* Free with free(). */
static char *command_of(const struct exp_validated *v)
{
    char replications[24], *words[9];
    int n = 0;
    words[n++] = "kvsim";
    words[n++] = "validate";
    words[n++] = (char *)v->measured; /* not written to */
    if (v->own_scenario) words[n++] = "--scenario";
    if (v->own_scenario) words[n++] = (char *)v->scenario;
    snprintf(replications, sizeof replications, "%u", v->n_replications);
    if (v->n_replications) words[n++] = "--replications";
    if (v->n_replications) words[n++] = replications;
    words[n++] = "--out";
    words[n++] = "DIR";
    return exp_cli_line(n, words);
}

static void put_reproduce(json_t *doc, const struct exp_validated *v)
{
    struct sim_status ignored = {0};
    size_t length;
    char *line = command_of(v);
    exp_report_reproduce(doc, NULL, line, &ignored);
    free(line);
    json_t *s = exp_doc_section(doc, "files", "What was read");
    json_t *files = exp_doc_table(s, "files", "Files that were read");
    exp_doc_column_text(files, "file");
    exp_doc_column_text(files, "sha256");
    put_file(files, v->measured);
    put_file(files, v->scenario);
    char *text = mdl_textfile_read(v->scenario, MAX_SCENARIO_BYTES, &length, &ignored);
    if (!text) return;
    exp_doc_text(s, EXP_PLAIN_TONE, "What the points do not say:", NULL);
    exp_doc_code(s, text);
    free(text);
}

json_t *exp_report_of_validation(const struct exp_validated *v, struct sim_status *st)
{
    (void)st; /* nothing here can fail */
    const char *name = strrchr(v->measured, '/') ? strrchr(v->measured, '/') + 1 : v->measured;
    json_t *doc = exp_doc_new("validate", "Predicted against measured", NULL);
    if (v->reruns->n == 1)
        exp_doc_subtitle(doc, "{0}: one point", name, NULL);
    else
        exp_doc_subtitle(doc, "{0}: {1} points", name, exp_count_words(v->reruns->n).text, NULL);
    put_answer(doc, v);
    put_errors(doc, v);
    exp_report_validation_charts(doc, v->reruns);
    put_rows(doc, v);
    put_reproduce(doc, v);
    exp_doc_finish(doc);
    return doc;
}
