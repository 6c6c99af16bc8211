/* Where the finalists' time goes, what their answers risk, and what their speed rests on. */
#include <math.h>
#include <string.h>

#include "experiments/report/of_parts.h"
#include "experiments/report/of_plan_parts.h"

static const struct exp_finalist *finalist(const struct exp_plan_report *r, uint32_t row)
{
    return r->d->row[row].finalist;
}

static void put_names(const struct exp_plan_report *r, json_t *chart)
{
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) exp_doc_name(chart, exp_plan_report_name(r, i));
}

/* ---- where the time goes ---- */

enum { N_STEP_PARTS = 5 };
static const char *const step_parts[N_STEP_PARTS] = {"weights and the rest", "attention", "selection",
                                                     "waiting for transfers", "host of the engine"};

static double step_part_s(const struct exp_anatomy *a, int part)
{
    const double all[N_STEP_PARTS] = {a->gpu_s - a->attention_s - a->select_s, a->attention_s, a->select_s,
                                      a->exposed_s, a->host_s};
    return all[part];
}

static void put_step(const struct exp_plan_report *r, json_t *section)
{
    json_t *chart = exp_doc_chart(section, "step", "A decode step at the planned peak", EXP_STACKED);
    exp_doc_y(chart, "time of a step", "ms", EXP_LINEAR);
    exp_doc_note(chart, "Of a replica with as many sequences as it has on average at the planned peak.");
    put_names(r, chart);
    for (int k = 0; k < N_STEP_PARTS; k++) {
        json_t *series = exp_doc_series(chart, step_parts[k]);
        for (uint32_t i = 0; i < exp_plan_report_n(r); i++)
            exp_doc_xy(series, i,
                       exp_report_rounded(1e3 * step_part_s(&finalist(r, i)->response.anatomy, k)));
    }
}

static void put_prompt(const struct exp_plan_report *r, json_t *section)
{
    json_t *chart = exp_doc_chart(section, "prompt", "A prompt alone on a replica", EXP_BARS);
    exp_doc_y(chart, "time of a mean prompt", "ms", EXP_LINEAR);
    put_names(r, chart);
    json_t *series = exp_doc_series(chart, "prefill");
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++)
        exp_doc_xy(series, i, exp_report_rounded(1e3 * finalist(r, i)->response.anatomy.prefill_s));
}

static bool matters(const struct exp_plan_report *r, int driver)
{
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++)
        if (finalist(r, i)->response.elasticity[driver] > 0) return true;
    return false;
}

static void put_drivers(const struct exp_plan_report *r, json_t *section)
{
    json_t *chart = exp_doc_chart(section, "elasticity", "What the speed depends on", EXP_BARS);
    exp_doc_y(chart, "more load that 1 % slower is worth", "%", EXP_LINEAR);
    exp_doc_note(chart, "1 means: 1 % slower there takes as many more machines as 1 % more load.");
    uint32_t n = 0;
    int shown[EXP_N_DRIVERS];
    for (int k = 0; k < EXP_N_DRIVERS; k++) {
        if (!matters(r, k)) continue;
        exp_doc_name(chart, exp_driver_name(k));
        shown[n++] = k;
    }
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) {
        json_t *series = exp_doc_series(chart, exp_plan_report_name(r, i));
        for (uint32_t k = 0; k < n; k++)
            exp_doc_xy(series, k, exp_report_rounded(finalist(r, i)->response.elasticity[shown[k]]));
    }
}

void exp_plan_report_time(const struct exp_plan_report *r)
{
    bool known = false;
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) known |= finalist(r, i)->response.n_seen > 0;
    if (!known) return;
    json_t *section = exp_doc_section(r->doc, "time", "Where the time goes");
    put_step(r, section);
    put_prompt(r, section);
    put_drivers(r, section);
}

/* ---- answers ---- */

static const struct mdl_quality_rates *rates(const struct exp_plan_report *r, uint32_t row)
{
    return &r->d->row[row].entry->rates;
}

static void put_failing(const struct exp_plan_report *r, json_t *section)
{
    json_t *chart = exp_doc_chart(section, "failing", "Newly failing answers", EXP_RANGES);
    exp_doc_y(chart, "of all answers", "%", EXP_LINEAR);
    exp_doc_note(chart,
                 "90 % interval of the samples that were scored. An option without a bar was never scored.");
    put_names(r, chart);
    json_t *series = exp_doc_series(chart, "newly failing");
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) {
        const struct mdl_quality_rates *q = rates(r, i);
        bool banded = isfinite(q->newly_failing_lo) && isfinite(q->newly_failing_hi);
        if (!isfinite(q->newly_failing)) continue;
        exp_doc_range(series, i, 100 * (banded ? q->newly_failing_lo : q->newly_failing),
                      100 * q->newly_failing, 100 * (banded ? q->newly_failing_hi : q->newly_failing));
    }
}

/* A class with a limit asks of an option: shown to hold, shown not to, or neither. */
static const char *holds(const struct mdl_quality_rates *q, double limit)
{
    if (!isfinite(q->newly_failing)) return "not scored";
    double lo = isfinite(q->newly_failing_lo) ? q->newly_failing_lo : q->newly_failing;
    double hi = isfinite(q->newly_failing_hi) ? q->newly_failing_hi : q->newly_failing;
    return hi <= limit ? "within" : lo > limit ? "above" : "not proven";
}

static void put_limits(const struct exp_plan_report *r, json_t *section)
{
    const struct exp_plan *plan = r->d->plan;
    json_t *table = exp_doc_table(section, "failing-by-class", "Newly failing answers by class");
    exp_doc_column_text(table, "class");
    exp_doc_column(table, "limit", "%");
    exp_doc_column(table, "cost of a failure", plan->currency);
    exp_doc_column_text(table, "option");
    exp_doc_column(table, "newly failing", "%");
    exp_doc_column(table, "from", "%");
    exp_doc_column(table, "to", "%");
    exp_doc_column_text(table, "limit holds");
    for (uint32_t c = 0; c < plan->n_classes; c++)
        for (uint32_t i = 0; i < exp_plan_report_n(r); i++) {
            const struct exp_plan_class *k = &plan->class[c];
            const struct mdl_quality_rates *q = rates(r, i);
            json_t *row = exp_doc_row(table);
            exp_doc_cell_text(row, k->name);
            exp_doc_cell(row, 100 * k->max_failure_rate);
            exp_doc_cell(row, k->cost_per_failure + k->churn_per_failure * k->customer_value);
            exp_doc_cell_text(row, exp_plan_report_name(r, i));
            exp_doc_cell(row, 100 * q->newly_failing);
            exp_doc_cell(row, 100 * q->newly_failing_lo);
            exp_doc_cell(row, 100 * q->newly_failing_hi);
            exp_doc_cell_text(row, isnan(k->max_failure_rate) ? "no limit" : holds(q, k->max_failure_rate));
        }
}

/* Tasks of a record, each once, in the order of the finalists that have them. */
enum { MAX_TASKS = 40 };

static uint32_t tasks_of(const struct exp_plan_report *r, const char *out[MAX_TASKS])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) {
        const struct mdl_quality *q = r->d->row[i].entry->quality;
        for (uint32_t t = 0; q && t < q->n_tasks && n < MAX_TASKS; t++) {
            uint32_t k = 0;
            if (!q->tasks[t].samples) continue;
            while (k < n && strcmp(out[k], q->tasks[t].task) != 0) k++;
            if (k == n) out[n++] = q->tasks[t].task;
        }
    }
    return n;
}

static double failing_of(const struct mdl_quality *q, const char *task)
{
    for (uint32_t t = 0; q && t < q->n_tasks; t++)
        if (strcmp(q->tasks[t].task, task) == 0 && q->tasks[t].samples)
            return (double)q->tasks[t].negatives / (double)q->tasks[t].samples;
    return NAN;
}

static void put_tasks(const struct exp_plan_report *r, json_t *section)
{
    const char *task[MAX_TASKS];
    uint32_t n = tasks_of(r, task);
    json_t *chart = exp_doc_chart(section, "failing-by-task", "Newly failing answers by task", EXP_BARS);
    exp_doc_y(chart, "of the task's answers", "%", EXP_LINEAR);
    for (uint32_t t = 0; t < n; t++) exp_doc_name(chart, task[t]);
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) {
        json_t *series = exp_doc_series(chart, exp_plan_report_name(r, i));
        for (uint32_t t = 0; t < n; t++)
            exp_doc_xy(series, t, exp_report_rounded(100 * failing_of(r->d->row[i].entry->quality, task[t])));
    }
}

void exp_plan_report_quality(const struct exp_plan_report *r)
{
    if (!exp_plan_report_n(r)) return;
    json_t *section = exp_doc_section(r->doc, "quality", "Answers that newly fail");
    put_failing(r, section);
    put_tasks(r, section);
    put_limits(r, section);
}

/* ---- evidence ---- */

static const char *evidence_name(const void *of, uint32_t i)
{
    return exp_plan_report_name(of, i);
}

static double evidence_frac(const void *of, uint32_t i, enum sim_evidence e)
{
    const struct exp_plan_report *r = of;
    return exp_row_evidence(&r->d->row[i])[e];
}

void exp_plan_report_evidence(const struct exp_plan_report *r)
{
    if (!exp_plan_report_n(r)) return;
    exp_report_evidence(exp_doc_section(r->doc, "evidence-of", "Evidence"), exp_plan_report_n(r),
                        evidence_name, evidence_frac, r);
}
