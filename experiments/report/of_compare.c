/* What a comparison of KV strategies says: the tables that the command prints with differences beside the values, who cannot
 * run and why. The answer is in of_compare_answer.c, pictures are in of_compare_charts.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/report/of.h"
#include "experiments/report/of_compare_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

/* ---- tables ---- */

struct heading {
    const char *name, *unit;
};

/* clang-format off */
static const struct heading headings[EXP_N_COLUMNS] = {
    [EXP_GPU_KV]        = {"GPU KV", "MiB/1K tokens"},
    [EXP_HOST_KV]       = {"host KV", "MiB/1K tokens"},
    [EXP_MAX_RUNNING]   = {"running at most", ""},
    [EXP_QUEUE]         = {"queueing mean", "ms"},
    [EXP_KV_PEAK]       = {"KV peak", "%"},
    [EXP_PREEMPTIONS]   = {"preemptions", ""},
    [EXP_COMPLETED]     = {"completed", "%"},
    [EXP_TTFT_MEAN]     = {"TTFT mean", "ms"},
    [EXP_TTFT_P99]      = {"TTFT p99", "ms"},
    [EXP_TPOT_MEAN]     = {"TPOT mean", "ms"},
    [EXP_TPOT_P99]      = {"TPOT p99", "ms"},
    [EXP_E2EL_MEAN]     = {"E2EL mean", "ms"},
    [EXP_E2EL_P99]      = {"E2EL p99", "ms"},
    [EXP_REQUESTS]      = {"throughput", "requests/s"},
    [EXP_OUTPUT]        = {"output", "tokens/s"},
    [EXP_EQUIVALENT]    = {"output in full's tokens", "tokens/s"},
    [EXP_GOODPUT]       = {"goodput", "requests/s"},
    [EXP_ATTAINMENT]    = {"within limits", "%"},
    [EXP_LINK_BUSY]     = {"host link busy", "%"},
    [EXP_EXPOSED]       = {"waits for transfers", "%"},
    [EXP_LENGTH_MEAN]   = {"outputs longer by", "%"},
    [EXP_LENGTH_LONGER] = {"half as long again and more", "%"},
    [EXP_E2EL_SPEED]    = {"E2EL by speed", "%"},
    [EXP_E2EL_LONGER]   = {"E2EL by length", "%"},
    [EXP_NEGATIVES]     = {"worse answers", "%"},
};
/* clang-format on */

static double scale_of(const struct exp_column_info *info)
{
    bool share =
        info->form == EXP_PERCENT || info->form == EXP_FLOORED_PERCENT || info->form == EXP_SIGNED_PERCENT;
    return share ? 100 : info->scale;
}

/* "Δ TTFT mean" is its difference to full. */
static void put_heading(json_t *t, enum exp_column column)
{
    const struct heading *h = &headings[column];
    enum exp_against against = exp_column_info(column)->against;
    char *delta = sim_printf("\u0394 %s", h->name);
    exp_doc_column(t, h->name, h->unit);
    if (against != EXP_NO_DELTA) exp_doc_column(t, delta, against == EXP_POINTS ? "points" : "%");
    free(delta);
}

/* A share that is there but too small to print keeps its digits to itself. */
static void put_value(json_t *row, double value, const char *unit)
{
    const double least = 0.01;
    if (strcmp(unit, "%") == 0 && value > 0 && value < least)
        exp_doc_cell_text(row, "< 0.01");
    else
        exp_doc_cell(row, value);
}

static void put_delta(json_t *row, double frac)
{
    struct exp_words times = exp_report_times(frac);
    if (times.text[0])
        exp_doc_cell_text(row, times.text);
    else
        exp_doc_cell(row, round(1000 * frac) / 10);
}

static void put_cells(json_t *row, const struct exp_compare_row *r, enum exp_column column)
{
    const struct exp_column_info *info = exp_column_info(column);
    if (info->form == EXP_FLOORED_PERCENT)
        exp_report_share_cell(row, r->value[column].mean * scale_of(info));
    else
        put_value(row, r->value[column].mean * scale_of(info), headings[column].unit);
    if (info->against != EXP_NO_DELTA) put_delta(row, r->delta[column].mean);
}

static bool is_shown(const struct exp_compare *c, enum exp_column column, enum exp_table table)
{
    return exp_column_info(column)->table == table && exp_compare_tells(c, column);
}

static void put_table(json_t *s, const struct exp_compare *c, enum exp_table table, const char *id,
                      const char *title)
{
    json_t *t = exp_doc_table(s, id, title);
    exp_doc_column_text(t, "strategy");
    for (enum exp_column k = 0; k < EXP_N_COLUMNS; k++)
        if (is_shown(c, k, table)) put_heading(t, k);
    if (table == EXP_SERVICE_TABLE) exp_doc_column_text(t, "load");
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if (c->row[i].why_not[0]) continue;
        json_t *row = exp_doc_row(t);
        exp_doc_cell_text(row, c->row[i].label);
        for (enum exp_column k = 0; k < EXP_N_COLUMNS; k++)
            if (is_shown(c, k, table)) put_cells(row, &c->row[i], k);
        if (table == EXP_SERVICE_TABLE) exp_doc_cell_text(row, sim_load_state_name(c->row[i].load_state));
    }
}

static bool has_interval(const struct exp_compare *c, enum exp_column column)
{
    return exp_column_info(column)->main_figure && exp_compare_tells(c, column);
}

/* Apart from the values: a table of all of it is too wide to read. */
static void put_intervals(json_t *s, const struct exp_compare *c)
{
    json_t *t = exp_doc_table(s, "intervals", "90 % intervals");
    exp_doc_folded(t);
    exp_doc_column_text(t, "strategy");
    for (enum exp_column k = 0; k < EXP_N_COLUMNS; k++) {
        if (!has_interval(c, k)) continue;
        exp_doc_column(t, headings[k].name, headings[k].unit);
    }
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if (c->row[i].why_not[0]) continue;
        json_t *row = exp_doc_row(t);
        exp_doc_cell_text(row, c->row[i].label);
        for (enum exp_column k = 0; k < EXP_N_COLUMNS; k++) {
            if (!has_interval(c, k)) continue;
            exp_report_band_cell(row, c->row[i].value[k], scale_of(exp_column_info(k)));
        }
    }
}

static void put_absent(json_t *s, const struct exp_compare *c)
{
    json_t *t = exp_doc_table(s, "cannot-run", "What does not run here");
    exp_doc_column_text(t, "strategy");
    exp_doc_column_text(t, "why");
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if (!c->row[i].why_not[0]) continue;
        json_t *row = exp_doc_row(t);
        exp_doc_cell_text(row, c->row[i].label);
        exp_doc_cell_text(row, c->row[i].why_not);
    }
}

static void put_tables(json_t *doc, const struct exp_compare *c)
{
    json_t *s = exp_doc_section(doc, "tables", "Strategies side by side");
    put_table(s, c, EXP_SERVICE_TABLE, "service", "Service");
    put_table(s, c, EXP_LATENCY_TABLE, "latency", "Latency");
    put_table(s, c, EXP_MEMORY_TABLE, "memory", "Memory and load");
    put_table(s, c, EXP_COST_TABLE, "costs", "What it costs");
    exp_doc_text(
        s, EXP_SOFT_TONE,
        "\u0394: difference to full, a share of its value or points; x20: twenty times full's value.", NULL);
    if (c->n_replications) put_intervals(s, c);
    put_absent(s, c);
}

/* ---- the whole ---- */

/* The command, of the scenario as it was run; free with free(). */
static char *command_of(const struct exp_compare *c)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    SIM_CHECK(out); /* out of memory */
    fputs("--strategies=", out);
    for (uint32_t i = 0; i < c->n_rows; i++) fprintf(out, "%s%s", i ? "," : "", c->row[i].label);
    fclose(out);
    char *replications = sim_printf("--replications=%u", c->n_replications);
    char *words[] = {"kvsim", "compare", "scenario.yaml", text, "--out", "DIR", replications};
    char *line = exp_cli_line(c->n_replications ? 7 : 6, words);
    free(text);
    free(replications);
    return line;
}

json_t *exp_report_of_compare(const struct exp_compare *c, const struct exp_scenario *s,
                              struct sim_status *st)
{
    struct sim_status why = {0};
    json_t *doc = exp_doc_new("compare", "KV strategies compared", NULL);
    exp_doc_subtitle(doc, "{0}", c->title, NULL);
    exp_report_compare_answer(doc, c, s);
    put_tables(doc, c);
    exp_report_compare_charts(doc, c);
    exp_report_compare_reading(doc, c);
    char *line = command_of(c);
    exp_report_reproduce(doc, s, line, &why);
    free(line);
    exp_doc_finish(doc);
    if (!why.code) return doc;
    json_decref(doc);
    sim_fail_as(st, why.code, "%s", why.message);
    return NULL;
}
