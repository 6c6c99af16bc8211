#include <math.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/listing.h"
#include "experiments/planning/decision.h"

static json_t *text(const char *format, double value)
{
    char cell[48];
    snprintf(cell, sizeof cell, format, value);
    return json_string(cell);
}

/* ---- for people ---- */

/* Of the class that is nearest to its limit, which the lower end of the interval is. */
static double least_attained(const struct exp_max_load *m, const struct exp_max_load_row *row)
{
    double least = 1;
    for (uint32_t c = 0; c < m->n_classes; c++) least = fmin(least, row->at.attainment[c].lo);
    return least;
}

static json_t *printed_row(const struct exp_max_load *m, const struct exp_max_load_row *row)
{
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "strategy", row->strategy, "TP",
                     (int)row->tensor_parallel, "req/s", json_real(row->requests_per_s), "x plan",
                     text("%.2f", row->factor), "SLA %", text("%.2f", 100 * least_attained(m, row)),
                     "TTFT ms", text("%.0f", 1e3 * row->at.ttft_p99_s.mean), "TPOT ms",
                     text("%.1f", 1e3 * row->at.tpot_p99_s.mean), "busy %",
                     text("%.0f", 100 * row->at.gpu_busy.mean), "breaks first",
                     row->limit[0] ? row->limit : "nothing up to there");
}

static void print_have(const struct exp_plan *plan, FILE *out)
{
    for (uint32_t i = 0; i < plan->n_have; i++) {
        const struct exp_plan_have *h = &plan->have[i];
        fprintf(out, "%s%u x %u %s", i ? " and " : "", h->servers, h->gpus_per_server, h->gpu);
    }
}

void exp_max_load_print(const struct exp_plan *plan, const struct exp_max_load *m, FILE *out)
{
    json_t *rows = json_array();
    fputs("What there is (", out);
    print_have(plan, out);
    fprintf(out, ")%s carries at most, of a plan of %s req/s:\n\n", plan->robust ? ", less a server," : "",
            exp_short_words(m->planned_requests_per_s).text);
    for (uint32_t i = 0; i < m->n_rows; i++)
        if (!m->row[i].why_not[0]) json_array_append_new(rows, printed_row(m, &m->row[i]));
    if (json_array_size(rows)) {
        exp_print_rows(rows, out);
        fputs("\nSLA: lower end of the 90 % interval, of the class that is worst off; TTFT, TPOT: p99.\n",
              out);
    }
    for (uint32_t i = 0; i < m->n_rows; i++)
        if (m->row[i].why_not[0]) fprintf(out, "%s does not: %s\n", m->row[i].strategy, m->row[i].why_not);
    json_decref(rows);
}

/* ---- for programs ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *attainment_json(const struct exp_max_load *m, const struct exp_verdict *v)
{
    json_t *classes = json_object();
    for (uint32_t c = 0; c < m->n_classes; c++)
        json_object_set_new(classes, m->class[c],
                            json_pack("{s:o, s:o, s:o}", "mean", number(v->attainment[c].mean), "lo",
                                      number(v->attainment[c].lo), "hi", number(v->attainment[c].hi)));
    return classes;
}

static json_t *row_json(const struct exp_max_load *m, const struct exp_max_load_row *row)
{
    json_t *o = json_pack("{s:s, s:i, s:b, s:s}", "strategy", row->strategy, "tensor_parallel",
                          (int)row->tensor_parallel, "feasible", !row->why_not[0], "why_not", row->why_not);
    if (row->why_not[0]) return o;
    json_t *figures = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "factor", number(row->factor), "requests_per_s",
        number(row->requests_per_s), "p99_ttft_ms", number(1e3 * row->at.ttft_p99_s.mean), "p99_tpot_ms",
        number(1e3 * row->at.tpot_p99_s.mean), "gpu_busy", number(row->at.gpu_busy.mean), "limit", row->limit,
        "slo_attainment", attainment_json(m, &row->at));
    json_object_update(o, figures);
    json_decref(figures);
    return o;
}

json_t *exp_max_load_json(const struct exp_max_load *m)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < m->n_rows; i++) json_array_append_new(rows, row_json(m, &m->row[i]));
    return json_pack("{s:o, s:o}", "planned_requests_per_s", number(m->planned_requests_per_s), "max_load",
                     rows);
}
