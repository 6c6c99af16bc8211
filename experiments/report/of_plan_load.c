/* What the finalists do under more and less load: the runs that their response was made from, on the replicas that are
 * needed. */
#include <math.h>

#include "experiments/report/of_plan_parts.h"

enum { MAX_CLASSES = 4 }; /* pictures; the sheet names every class */

static const struct exp_response *response(const struct exp_plan_report *r, uint32_t row)
{
    return &r->d->row[row].finalist->response;
}

/* ---- a figure against load ---- */

typedef double figure_of(const struct exp_seen_load *at, uint32_t which);

struct picture {
    const char *id, *title, *note, *y, *unit;
    enum exp_scale scale;
    figure_of *figure;
    uint32_t which; /* a class, or a quantile */
    double least;   /* of percents */
};

/* The loads that were tried, by any finalist. */
static void loads_tried(const struct exp_plan_report *r, double *least, double *most)
{
    *least = INFINITY;
    *most = 0;
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) {
        const struct exp_response *own = response(r, i);
        if (!own->n_seen) continue;
        *least = fmin(*least, own->seen[0].load);
        *most = fmax(*most, own->seen[own->n_seen - 1].load);
    }
}

static json_t *put_picture(const struct exp_plan_report *r, json_t *section, const struct picture *p)
{
    json_t *chart = exp_doc_chart(section, p->id, p->title, EXP_LINES);
    exp_doc_x(chart, "load over the planned peak", "x", EXP_LOG);
    exp_doc_y(chart, p->y, p->unit, p->scale);
    if (p->scale == EXP_LINEAR) exp_doc_limits(chart, p->least, 100); /* percent */
    if (p->note) exp_doc_note(chart, p->note);
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) {
        const struct exp_response *own = response(r, i);
        json_t *series = exp_doc_series(chart, exp_plan_report_name(r, i));
        for (uint32_t k = 0; k < own->n_seen; k++)
            exp_doc_xy(series, own->seen[k].load, p->figure(&own->seen[k], p->which));
    }
    return chart;
}

static void mark_peak(json_t *chart, double low, double high)
{
    json_t *series = exp_doc_series(chart, "planned peak");
    exp_doc_xy(series, 1, low);
    exp_doc_xy(series, 1, high);
}

static void mark_level(const struct exp_plan_report *r, json_t *chart, const char *name, double level)
{
    double least, most;
    loads_tried(r, &least, &most);
    json_t *series = exp_doc_series(chart, name);
    exp_doc_xy(series, least, level);
    exp_doc_xy(series, most, level);
}

/* ---- service levels ---- */

static double attainment(const struct exp_seen_load *at, uint32_t class)
{
    return class < at->n_classes ? 100 * at->attainment[class] : NAN;
}

static double least_attainment(const struct exp_plan_report *r, uint32_t class)
{
    double least = 100;
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++)
        for (uint32_t k = 0; k < response(r, i)->n_seen; k++)
            least = fmin(least, attainment(&response(r, i)->seen[k], class));
    return least;
}

/* A goal of 99 % lies in the upper half of the picture, not on its edge: where a line crosses it is what matters. */
static double least_shown(const struct exp_plan_report *r, const struct exp_class_keys *class, uint32_t c)
{
    double least = fmax(100 - 10 * (100 - class->slo.percentile), 0);
    return least_attainment(r, c) < least ? least : 0;
}

static const char *limits_of(const struct exp_plan_report *r, const struct exp_slo_keys *slo)
{
    const char *text = "";
    const struct {
        const char *name;
        double ms;
    } limits[] = {{"TTFT", slo->ttft_ms}, {"TPOT", slo->tpot_ms}, {"E2EL", slo->e2el_ms}};
    for (int i = 0; i < 3; i++)
        if (limits[i].ms > 0)
            text = exp_text(r->arena, "%s%s%s \u2264 %.10g ms", text, *text ? ", " : "", limits[i].name,
                            limits[i].ms);
    return text;
}

static void put_class(const struct exp_plan_report *r, json_t *section, const struct exp_class_keys *class,
                      uint32_t c)
{
    struct picture p = {.id = exp_text(r->arena, "sla-%s", class->name),
                        .title = "SLA attainment against load",
                        .y = "requests within their limits",
                        .unit = "%",
                        .figure = attainment,
                        .which = c,
                        .least = least_shown(r, class, c)};
    if (c == 0)
        p.note =
            "Where a line falls below its goal the fleet has too few replicas. Read right of the planned "
            "peak: what is left when more comes than was planned. Lines go on below the picture; the data "
            "has "
            "all of it.";
    exp_doc_text(section, EXP_PLAIN_TONE, "Class {0}: {1} for {2} % of requests.", class->name,
                 limits_of(r, &class->slo), exp_text(r->arena, "%.10g", class->slo.percentile), NULL);
    json_t *chart = put_picture(r, section, &p);
    mark_level(r, chart, "goal", class->slo.percentile);
    mark_peak(chart, least_attainment(r, c), 100);
}

static void put_attainment(const struct exp_plan_report *r, const struct exp_class_keys *class, uint32_t n)
{
    json_t *section = exp_doc_section(r->doc, "load", "Service levels against load");
    exp_doc_text(section, EXP_SOFT_TONE,
                 "The busiest stretch of the trace, thinned or superposed, on the replicas that are needed: "
                 "spares and what fills whole servers do not serve here, so lines end before the headroom of "
                 "the table, which counts them.",
                 NULL);
    for (uint32_t c = 0; c < n && c < MAX_CLASSES; c++) put_class(r, section, &class[c], c);
}

/* ---- latency ---- */

static double ttft_ms(const struct exp_seen_load *at, uint32_t quantile)
{
    return 1e3 * at->spread.ttft_s[quantile];
}

static double tpot_ms(const struct exp_seen_load *at, uint32_t quantile)
{
    return 1e3 * at->spread.tpot_s[quantile];
}

static uint32_t quantile_at(double q)
{
    uint32_t i = 0;
    while (i + 1 < EXP_SPREAD_QUANTILES && exp_spread_quantile[i] < q) i++;
    return i;
}

static void mark_limits(const struct exp_plan_report *r, json_t *chart, const struct exp_class_keys *class,
                        uint32_t n, bool ttft)
{
    for (uint32_t c = 0; c < n && c < MAX_CLASSES; c++) {
        double ms = ttft ? class[c].slo.ttft_ms : class[c].slo.tpot_ms;
        if (ms > 0)
            mark_level(r, chart, n == 1 ? "limit" : exp_text(r->arena, "limit, %s", class[c].name), ms);
    }
}

/* The load that was seen nearest to the planned peak; NULL = none. */
static const struct exp_seen_load *near_peak(const struct exp_response *own)
{
    const struct exp_seen_load *best = NULL;
    for (uint32_t k = 0; k < own->n_seen; k++)
        if (!best || fabs(log(own->seen[k].load)) < fabs(log(best->load))) best = &own->seen[k];
    return best;
}

static void put_cdf(const struct exp_plan_report *r, json_t *section, const struct picture *p)
{
    json_t *chart = exp_doc_chart(section, p->id, p->title, EXP_LINES);
    exp_doc_x(chart, p->y, p->unit, EXP_LOG);
    exp_doc_y(chart, "requests that are faster", "%", EXP_LINEAR);
    exp_doc_note(chart, "At the simulated load nearest to the planned peak.");
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) {
        const struct exp_seen_load *at = near_peak(response(r, i));
        json_t *series = exp_doc_series(chart, exp_plan_report_name(r, i));
        for (uint32_t q = 0; at && q < EXP_SPREAD_QUANTILES; q++)
            if (p->figure(at, q) > 0) exp_doc_xy(series, p->figure(at, q), 100 * exp_spread_quantile[q]);
    }
}

static void put_latency(const struct exp_plan_report *r, const struct exp_class_keys *class, uint32_t n)
{
    uint32_t p99 = quantile_at(0.99);
    json_t *section = exp_doc_section(r->doc, "latency", "Latency");
    struct picture ttft = {.id = "ttft-load",
                           .title = "p99 TTFT against load",
                           .y = "p99 TTFT",
                           .unit = "ms",
                           .scale = EXP_LOG,
                           .figure = ttft_ms,
                           .which = p99};
    struct picture tpot = {.id = "tpot-load",
                           .title = "p99 TPOT against load",
                           .y = "p99 TPOT",
                           .unit = "ms",
                           .scale = EXP_LOG,
                           .figure = tpot_ms,
                           .which = p99};
    mark_limits(r, put_picture(r, section, &ttft), class, n, true);
    mark_limits(r, put_picture(r, section, &tpot), class, n, false);
    put_cdf(
        r, section,
        &(struct picture){
            .id = "ttft-cdf", .title = "Distribution of TTFT", .y = "TTFT", .unit = "ms", .figure = ttft_ms});
    put_cdf(
        r, section,
        &(struct picture){
            .id = "tpot-cdf", .title = "Distribution of TPOT", .y = "TPOT", .unit = "ms", .figure = tpot_ms});
}

/* ---- memory, links, GPUs ---- */

static double kv_peak(const struct exp_seen_load *at, uint32_t unused)
{
    (void)unused;
    return 100 * at->kv_peak;
}

static double link_busy(const struct exp_seen_load *at, uint32_t unused)
{
    (void)unused;
    return 100 * at->link_busy;
}

static double gpu_busy(const struct exp_seen_load *at, uint32_t unused)
{
    (void)unused;
    return 100 * at->gpu_busy;
}

static bool moves(const struct exp_plan_report *r)
{
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++)
        for (uint32_t k = 0; k < response(r, i)->n_seen; k++)
            if (response(r, i)->seen[k].link_busy > 0) return true;
    return false;
}

static void put_machines(const struct exp_plan_report *r)
{
    json_t *section = exp_doc_section(r->doc, "memory", "KV memory, host links and GPUs");
    put_picture(r, section,
                &(struct picture){.id = "kv-load",
                                  .title = "KV memory against load",
                                  .note = "Near 100 % requests wait for memory, or are preempted.",
                                  .y = "of the pool, at the fullest moment",
                                  .unit = "%",
                                  .figure = kv_peak});
    if (moves(r))
        put_picture(r, section,
                    &(struct picture){.id = "link-load",
                                      .title = "Host links against load",
                                      .y = "of the time carrying KV",
                                      .unit = "%",
                                      .figure = link_busy});
    put_picture(r, section,
                &(struct picture){.id = "gpu-load",
                                  .title = "GPUs against load",
                                  .y = "of the time computing",
                                  .unit = "%",
                                  .figure = gpu_busy});
}

void exp_plan_report_load(const struct exp_plan_report *r)
{
    struct exp_class_keys class[SIM_MAX_CLASSES];
    uint32_t n = exp_scenario_classes(r->d->plan->base, class);
    double least, most;
    loads_tried(r, &least, &most);
    if (!(most > 0)) return;
    put_attainment(r, class, n);
    put_latency(r, class, n);
    put_machines(r);
}
