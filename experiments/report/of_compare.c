/* What a comparison of KV strategies says: the reading, the tables that the command prints with differences beside the
 * values, who cannot run and why. Pictures are in of_compare_charts.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/report/of.h"
#include "experiments/report/of_compare_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

#define FEW_WORSE 0.01

static double tenth(double percent)
{
    return round(10 * percent) / 10;
}

/* ---- the answer ---- */

/* The winner, and at once what it does to answers: speed is not all that is asked for. */
static void put_winner(json_t *s, const struct exp_compare_row *best)
{
    double worse = best->value[EXP_NEGATIVES].mean;
    if (!isfinite(worse))
        exp_doc_text(s, EXP_PLAIN_TONE,
                     "{0} does best at what this load asks for. Nobody published how many answers it makes "
                     "worse.",
                     best->label, NULL);
    else if (worse > FEW_WORSE)
        exp_doc_text(s, EXP_WARN_TONE,
                     "{0} does best at what this load asks for, but makes {1} % of good answers worse.",
                     best->label, exp_short_words(100 * worse).text, NULL);
    else
        exp_doc_text(s, EXP_GOOD_TONE,
                     "{0} does best at what this load asks for, and makes {1} % of good answers worse.",
                     best->label, exp_short_words(100 * worse).text, NULL);
}

static bool is_limited(const struct exp_scenario *scenario)
{
    struct exp_class_keys classes[SIM_MAX_CLASSES];
    uint32_t n = exp_scenario_classes(scenario, classes);
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        any |= classes[i].slo.ttft_ms > 0 || classes[i].slo.tpot_ms > 0 || classes[i].slo.e2el_ms > 0;
    return any;
}

/* A strategy that is faster may still be too slow. */
static void put_level(json_t *s, const struct exp_compare_row *r)
{
    if (!r->figures || r->why_not[0] || !(exp_figure(r->figures, "arrived").mean > 0)) return;
    double met = exp_figure(r->figures, "sla_met").mean;
    struct exp_words share = exp_short_words(floor(1e4 * r->value[EXP_ATTAINMENT].mean) / 100);
    if (met >= 1)
        exp_doc_text(s, EXP_GOOD_TONE,
                     "Service levels are met under {0}: {1} % of requests keep their limits.", r->label,
                     share.text, NULL);
    else if (met > 0)
        exp_doc_text(s, EXP_WARN_TONE, "Service levels are met in {1} % of replications under {0}.", r->label,
                     exp_short_words(100 * met).text, NULL);
    else
        exp_doc_text(s, EXP_WARN_TONE,
                     "Service levels are missed under {0}: {1} % of requests keep their limits.", r->label,
                     share.text, NULL);
}

static void put_load_state(json_t *s, const struct exp_compare *c, const struct exp_compare_row *r)
{
    if (r->why_not[0] || r->load_state != SIM_OVERLOADED) return;
    exp_doc_text(s, EXP_WARN_TONE,
                 c->n_replications ? "The fleet is overloaded under {0}, at least in one replication: "
                                     "latencies depend on how long the trace is."
                                   : "The fleet is overloaded under {0}: latencies depend on how long the "
                                     "trace is.",
                 r->label, NULL);
}

/* Without their intervals: paired differences over full's mean reach below -100 %, where no change can be. What they are
 * for is said in words. */
static void put_winner_facts(json_t *s, const struct exp_compare *c, const struct exp_compare_row *best)
{
    const struct {
        const char *name, *quantity;
        enum exp_column column;
    } facts[] = {{"goodput changes by", "goodput", EXP_GOODPUT},
                 {"output changes by", "output", c->length_shift ? EXP_EQUIVALENT : EXP_OUTPUT},
                 {"TTFT p99 changes by", "TTFT p99", EXP_TTFT_P99},
                 {"TPOT p99 changes by", "TPOT p99", EXP_TPOT_P99},
                 {"E2EL mean changes by", "E2EL mean", EXP_E2EL_MEAN},
                 {"GPU KV changes by", "GPU KV", EXP_GPU_KV}};
    char noise[160] = "";
    size_t n = 0;
    json_t *o = exp_doc_facts(s);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        struct exp_band d = best->delta[facts[i].column];
        exp_doc_fact(o, facts[i].name, tenth(100 * d.mean), "%");
        if (d.lo <= 0 && d.hi >= 0)
            n += (size_t)snprintf(noise + n, sizeof noise - n, "%s%s", n ? ", " : "", facts[i].quantity);
    }
    if (c->n_replications && n)
        exp_doc_text(s, EXP_SOFT_TONE, "May be noise, compared replication by replication: {0}.", noise,
                     NULL);
}

/* A paragraph of the command's, a sentence a line. */
static void put_sentences(json_t *s, const char *text)
{
    while (*text) {
        const char *end = strstr(text, ". ");
        size_t n = end ? (size_t)(end - text) + 1 : strlen(text);
        char *sentence = sim_printf("%.*s", (int)n, text);
        exp_doc_text(s, EXP_PLAIN_TONE, "{0}", sentence, NULL);
        free(sentence);
        text += n + strspn(text + n, " ");
    }
}

static void put_answer(json_t *doc, const struct exp_compare *c, const struct exp_scenario *scenario)
{
    json_t *s = exp_doc_section(doc, "answer", "Result");
    const struct exp_compare_row *best = exp_compare_winner(c);
    char *reading = exp_compare_reading(c);
    if (c->row[0].why_not[0])
        exp_doc_text(s, EXP_WARN_TONE, "full does not run here: {0}", c->row[0].why_not, NULL);
    else if (best)
        put_winner(s, best);
    else
        exp_doc_text(s, EXP_PLAIN_TONE, "No strategy is better than full for this load.", NULL);
    if (is_limited(scenario)) put_level(s, best ? best : c->row);
    put_load_state(s, c, best ? best : c->row);
    if (best) put_winner_facts(s, c, best);
    put_sentences(s, reading);
    free(reading);
    exp_doc_text(s, EXP_SOFT_TONE, "{0}", c->how, NULL);
    if (c->n_replications)
        exp_doc_text(
            s, EXP_SOFT_TONE,
            "Means and 90 % intervals of {0} replications; differences to full are those of the means.",
            exp_count_words(c->n_replications).text, NULL);
    for (uint32_t i = 0; i < c->notes.n; i++)
        exp_doc_text(s, EXP_SOFT_TONE, "Note: {0}", c->notes.text[i], NULL);
}

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

static void put_cells(json_t *row, const struct exp_compare_row *r, enum exp_column column)
{
    const struct exp_column_info *info = exp_column_info(column);
    exp_doc_cell(row, r->value[column].mean * scale_of(info));
    if (info->against != EXP_NO_DELTA) exp_doc_cell(row, tenth(100 * r->delta[column].mean));
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
        char *lo = sim_printf("%s from", headings[k].name), *hi = sim_printf("%s to", headings[k].name);
        exp_doc_column(t, lo, headings[k].unit);
        exp_doc_column(t, hi, headings[k].unit);
        free(lo);
        free(hi);
    }
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if (c->row[i].why_not[0]) continue;
        json_t *row = exp_doc_row(t);
        exp_doc_cell_text(row, c->row[i].label);
        for (enum exp_column k = 0; k < EXP_N_COLUMNS; k++) {
            if (!has_interval(c, k)) continue;
            exp_doc_cell(row, c->row[i].value[k].lo * scale_of(exp_column_info(k)));
            exp_doc_cell(row, c->row[i].value[k].hi * scale_of(exp_column_info(k)));
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
    exp_doc_text(s, EXP_SOFT_TONE, "\u0394: difference to full, a share of its value or points.", NULL);
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
    put_answer(doc, c, s);
    put_tables(doc, c);
    exp_report_compare_charts(doc, c);
    char *line = command_of(c);
    exp_report_reproduce(doc, s, line, &why);
    free(line);
    exp_doc_finish(doc);
    if (!why.code) return doc;
    json_decref(doc);
    sim_fail_as(st, why.code, "%s", why.message);
    return NULL;
}
