#include "experiments/report/of_compare_parts.h"

#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"

/* The rows that ran. */
struct drawn {
    const struct exp_compare *c;
    const struct exp_compare_row *row[EXP_MAX_CONTENDERS];
    uint32_t n;
};

static struct drawn drawn_of(const struct exp_compare *c)
{
    struct drawn d = {.c = c};
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (!c->row[i].why_not[0]) d.row[d.n++] = &c->row[i];
    return d;
}

static void name_all(json_t *chart, const struct drawn *d)
{
    for (uint32_t i = 0; i < d->n; i++) exp_doc_name(chart, d->row[i]->label);
}

/* ---- bars ---- */

struct bars {
    const char *id, *title, *series, *unit, *note;
    enum exp_column column;
    double scale;
};

static void put_bars(json_t *s, const struct drawn *d, struct bars b)
{
    bool banded = d->c->n_replications && exp_column_info(b.column)->main_figure;
    json_t *chart = exp_doc_chart(s, b.id, b.title, banded ? EXP_RANGES : EXP_BARS);
    json_t *series = exp_doc_series(chart, b.series);
    if (b.note) exp_doc_note(chart, b.note);
    exp_doc_y(chart, b.series, b.unit, EXP_LINEAR);
    name_all(chart, d);
    for (uint32_t i = 0; i < d->n; i++) {
        struct exp_band v = d->row[i]->value[b.column];
        if (!isfinite(v.mean)) continue;
        if (banded)
            exp_doc_range(series, i, exp_report_rounded(b.scale * v.lo), exp_report_rounded(b.scale * v.mean),
                          exp_report_rounded(b.scale * v.hi));
        else
            exp_doc_xy(series, i, exp_report_rounded(b.scale * v.mean));
    }
}

static void put_service(json_t *doc, const struct drawn *d)
{
    json_t *s = exp_doc_section(doc, "throughput", "What the fleet delivers");
    bool shifts = d->c->length_shift;
    put_bars(s, d,
             (struct bars){"goodput", "Requests within their limits", "goodput", "requests/s", NULL,
                           EXP_GOODPUT, 1});
    put_bars(
        s, d,
        (struct bars){"output", "Output tokens per second", "output", "tokens/s",
                      shifts ? "In tokens that full would have written: longer answers are no merit." : NULL,
                      shifts ? EXP_EQUIVALENT : EXP_OUTPUT, 1});
}

/* ---- curves ---- */

static void put_latencies(json_t *doc, const struct drawn *d)
{
    static const struct {
        const char *id, *title;
    } charts[EXP_N_LATENCIES] = {
        {"ttft", "Time to first token"}, {"tpot", "Time per output token"}, {"e2el", "End-to-end latency"}};
    json_t *s = exp_doc_section(doc, "distributions", "How latency is distributed");
    if (d->c->n_replications) exp_doc_text(s, EXP_SOFT_TONE, EXP_REPORT_ONE_RUN, NULL);
    for (int l = 0; l < EXP_N_LATENCIES; l++) {
        json_t *chart = exp_report_cdf(s, charts[l].id, charts[l].title);
        for (uint32_t i = 0; i < d->n; i++)
            if (d->row[i]->curves.n_latency)
                exp_report_cdf_add(chart, d->row[i]->label, d->row[i]->curves.latency_ms[l]);
        exp_report_fit_scales(chart, 3);
    }
}

static bool any_moves(const struct drawn *d, size_t member)
{
    for (uint32_t i = 0; i < d->n; i++)
        if (exp_report_moves(&d->row[i]->curves, member)) return true;
    return false;
}

static void put_times(json_t *doc, const struct drawn *d)
{
    static const struct {
        const char *id, *title, *y, *unit;
        size_t member;
        double scale;
    } charts[] = {
        {"kv-over-time", "KV memory of the GPUs in use", "of the pool", "%", EXP_MOMENT(kv_used), 100},
        {"host-kv-over-time", "KV memory on the host in use", "of the pool", "%", EXP_MOMENT(host_kv_used),
         100},
        {"link-over-time", "Host link in use", "of the time", "%", EXP_MOMENT(link_busy), 100},
        {"running-over-time", "Requests that run", "requests", "", EXP_MOMENT(running), 1},
        {"waiting-over-time", "Requests that wait", "requests", "", EXP_MOMENT(waiting), 1}};
    json_t *s = exp_doc_section(doc, "time", "The cluster over time");
    if (d->c->n_replications) exp_doc_text(s, EXP_SOFT_TONE, EXP_REPORT_ONE_RUN, NULL);
    for (size_t k = 0; k < sizeof charts / sizeof charts[0]; k++) {
        if (!any_moves(d, charts[k].member)) continue;
        json_t *chart = exp_report_over_time(s, charts[k].id, charts[k].title, charts[k].y, charts[k].unit);
        for (uint32_t i = 0; i < d->n; i++)
            if (exp_report_moves(&d->row[i]->curves, charts[k].member))
                exp_report_over_time_add(chart, d->row[i]->label, &d->row[i]->curves, charts[k].member,
                                         charts[k].scale);
    }
}

/* ---- where the time goes ---- */

static double other_gpu_s(const struct exp_anatomy *a)
{
    return a->gpu_s - a->attention_s - a->select_s;
}

static double attention_s(const struct exp_anatomy *a)
{
    return a->attention_s;
}

static double select_s(const struct exp_anatomy *a)
{
    return a->select_s;
}

static double exposed_s(const struct exp_anatomy *a)
{
    return a->exposed_s;
}

static double host_s(const struct exp_anatomy *a)
{
    return a->host_s;
}

static void put_step(json_t *s, const struct drawn *d)
{
    static const struct {
        const char *name;
        double (*of)(const struct exp_anatomy *a);
    } parts[] = {{"other GPU work", other_gpu_s},
                 {"attention", attention_s},
                 {"selection", select_s},
                 {"waits for transfers", exposed_s},
                 {"engine", host_s}};
    json_t *chart = exp_report_stacked(s, "decode-step", "Where one decode step's time goes", "ms");
    exp_doc_note(chart, "Of as many sequences as full runs on average, at the load's mean lengths.");
    name_all(chart, d);
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
        json_t *series = exp_doc_series(chart, parts[k].name);
        for (uint32_t i = 0; i < d->n; i++)
            if (isfinite(d->row[i]->anatomy.step_s))
                exp_doc_xy(series, i, exp_report_rounded(1e3 * parts[k].of(&d->row[i]->anatomy)));
    }
}

static void put_stations(json_t *s, const struct drawn *d)
{
    json_t *chart = exp_report_stacked(s, "recall", "What the transfers of a step add to it", "ms");
    exp_doc_note(chart, "By how much the step grows with the time of each station.");
    name_all(chart, d);
    for (enum exp_station k = 0; k < EXP_N_STATIONS; k++) {
        double most = 0;
        for (uint32_t i = 0; i < d->n; i++)
            if (isfinite(d->row[i]->anatomy.step_s)) most = fmax(most, d->row[i]->anatomy.station_s[k]);
        if (!(most > 1e-9)) continue;
        json_t *series = exp_doc_series(chart, exp_station_name(k));
        for (uint32_t i = 0; i < d->n; i++)
            if (isfinite(d->row[i]->anatomy.step_s))
                exp_doc_xy(series, i, exp_report_rounded(1e3 * fmax(0, d->row[i]->anatomy.station_s[k])));
    }
}

static void put_prefill(json_t *s, const struct drawn *d)
{
    json_t *chart = exp_doc_chart(s, "prefill", "One prompt of mean length, alone", EXP_BARS);
    json_t *series = exp_doc_series(chart, "prefill");
    exp_doc_y(chart, "prefill", "ms", EXP_LINEAR);
    name_all(chart, d);
    for (uint32_t i = 0; i < d->n; i++)
        if (isfinite(d->row[i]->anatomy.prefill_s))
            exp_doc_xy(series, i, exp_report_rounded(1e3 * d->row[i]->anatomy.prefill_s));
}

static void put_memory(json_t *s, const struct drawn *d)
{
    static const struct {
        const char *name;
        enum exp_column column;
    } places[] = {{"GPU", EXP_GPU_KV}, {"host", EXP_HOST_KV}};
    json_t *chart = exp_report_stacked(s, "kv-memory", "KV memory of 1,024 tokens", "MiB");
    exp_doc_note(chart, "Of a request of the load's mean length.");
    name_all(chart, d);
    for (int k = 0; k < 2; k++) {
        if (!exp_compare_tells(d->c, places[k].column)) continue;
        json_t *series = exp_doc_series(chart, places[k].name);
        double scale = exp_column_info(places[k].column)->scale;
        for (uint32_t i = 0; i < d->n; i++)
            exp_doc_xy(series, i, exp_report_rounded(scale * d->row[i]->value[places[k].column].mean));
    }
}

/* ---- what it costs ---- */

static void put_quality(json_t *doc, const struct drawn *d)
{
    json_t *s = exp_doc_section(doc, "quality", "Quality at risk");
    put_bars(s, d,
             (struct bars){"worse-answers", "Worse answers", "worse answers", "%",
                           "Benign samples of which less than 90 % of the score is left. No bar: nobody "
                           "published a figure.",
                           EXP_NEGATIVES, 100});
    exp_doc_text(s, EXP_SOFT_TONE,
                 "Good answers are those that full gets at least as well as the task's mean. One that loses "
                 "more than a tenth of its score newly fails: two numbers for the same answers, of the good "
                 "ones and of all.",
                 NULL);
    json_t *t = exp_doc_table(s, "quality-sources", "Worse answers and longer outputs, and who says so");
    exp_doc_column_text(t, "strategy");
    exp_doc_column(t, "worse, of good answers", "%");
    exp_doc_column(t, "newly failing, of all answers", "%");
    exp_doc_column_text(t, "source");
    exp_doc_column(t, "outputs longer by", "%");
    exp_doc_column(t, "half as long again and more", "%");
    exp_doc_column_text(t, "source of lengths");
    for (uint32_t i = 0; i < d->n; i++) {
        const struct exp_compare_row *r = d->row[i];
        json_t *row = exp_doc_row(t);
        exp_doc_cell_text(row, r->label);
        exp_doc_cell(row, 100 * r->value[EXP_NEGATIVES].mean);
        exp_doc_cell(row, 100 * r->newly_failing);
        exp_doc_cell_text(row, r->negative_source);
        exp_doc_cell(row, 100 * r->value[EXP_LENGTH_MEAN].mean);
        exp_doc_cell(row, 100 * r->value[EXP_LENGTH_LONGER].mean);
        exp_doc_cell_text(row, r->length_source);
    }
}

struct scatter {
    const char *id, *title, *x, *x_unit, *y, *y_unit, *note;
    enum exp_column across, up;
    double across_scale, up_scale;
    enum exp_scale scale;
};

/* Rows that have a place in it, from left to right: what draws it takes the ends of its axis from the first and the last. */
static uint32_t sort_across(const struct drawn *d, const struct scatter *p, size_t order[EXP_MAX_CONTENDERS])
{
    double x[EXP_MAX_CONTENDERS];
    size_t row[EXP_MAX_CONTENDERS], place[EXP_MAX_CONTENDERS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        x[n] = d->row[i]->value[p->across].mean;
        row[n] = i;
        n += isfinite(x[n]) && isfinite(d->row[i]->value[p->up].mean);
    }
    gsl_sort_index(place, x, 1, n);
    for (uint32_t i = 0; i < n; i++) order[i] = row[place[i]];
    return n;
}

/* full apart: it is what the others are held against. */
static void put_scatter(json_t *s, const struct drawn *d, struct scatter p)
{
    json_t *chart = exp_doc_chart(s, p.id, p.title, EXP_SCATTER), *full = exp_doc_series(chart, "full"),
           *others = exp_doc_series(chart, "strategies");
    size_t order[EXP_MAX_CONTENDERS];
    uint32_t n = sort_across(d, &p, order);
    exp_doc_x(chart, p.x, p.x_unit, p.scale);
    exp_doc_y(chart, p.y, p.y_unit, EXP_LINEAR);
    exp_doc_note(chart, p.note);
    for (uint32_t i = 0; i < n; i++) {
        const struct exp_compare_row *r = d->row[order[i]];
        exp_doc_xy_label(r == d->c->row ? full : others,
                         exp_report_rounded(p.across_scale * r->value[p.across].mean),
                         exp_report_rounded(p.up_scale * r->value[p.up].mean), r->label);
    }
    exp_report_fit_scales(chart, 10);
}

static void put_trade_offs(json_t *doc, const struct drawn *d)
{
    json_t *s = exp_doc_section(doc, "trade-off", "What is given for what");
    put_scatter(s, d,
                (struct scatter){"goodput-tpot", "Goodput against the slowest TPOT", "TPOT p99", "ms",
                                 "goodput", "requests/s", "Better is up and to the left.", EXP_TPOT_P99,
                                 EXP_GOODPUT, 1, 1, EXP_LOG});
    put_scatter(s, d,
                (struct scatter){"output-quality", "Output against worse answers", "worse answers", "%",
                                 "output", "tokens/s", "Better is up and to the left.", EXP_NEGATIVES,
                                 d->c->length_shift ? EXP_EQUIVALENT : EXP_OUTPUT, 100, 1, EXP_LINEAR});
}

/* ---- evidence ---- */

static const char *label_of(const void *drawn, uint32_t i)
{
    return ((const struct drawn *)drawn)->row[i]->label;
}

static double evidence_of(const void *drawn, uint32_t i, enum sim_evidence e)
{
    return ((const struct drawn *)drawn)->row[i]->evidence[e];
}

void exp_report_compare_charts(json_t *doc, const struct exp_compare *c)
{
    struct drawn d = drawn_of(c);
    put_service(doc, &d);
    put_trade_offs(doc, &d);
    put_latencies(doc, &d);
    put_times(doc, &d);
    json_t *step = exp_doc_section(doc, "steps", "Where the time goes");
    put_step(step, &d);
    put_stations(step, &d);
    put_prefill(step, &d);
    put_memory(exp_doc_section(doc, "kv", "Memory of the KV cache"), &d);
    put_quality(doc, &d);
    exp_report_evidence(exp_doc_section(doc, "evidence", "What the numbers rest on"), d.n, label_of,
                        evidence_of, &d);
}
