/* What a run says: did it keep its service levels and who did not, figures, distributions, the cluster over time. What was
 * simulated, and on what it rests, is in of_run_machine.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/print_run.h"
#include "experiments/report/of.h"
#include "experiments/report/of_run_parts.h"
#include "sim/memory.h"

/* ---- the answer ---- */

/* What more than half of the requests that miss their limits have in common; no cause where nothing is. */
enum cause { NO_CAUSE, LATE, REJECTED, UNFINISHED };

struct level {
    uint32_t slo_class;
    double share, goal, met; /* of requests; met: of replications */
    const char *metric;      /* the one by which a class is judged, or that most miss; NULL without a limit */
    enum cause cause;
    bool limited, per_metric;
};

static bool is_limited(const struct sim_slo *slo)
{
    return slo->ttft_s > 0 || slo->tpot_s > 0 || slo->e2el_s > 0;
}

static double figure_of(const struct exp_results *r, uint32_t c, const char *name)
{
    return exp_figure_of_class(r->figures, c, name).mean;
}

/* How many completed requests miss the metric that is missed most often. */
static double find_metric(const struct exp_results *r, struct level *l)
{
    const struct sim_slo *slo = &r->run->setup->sim_classes[l->slo_class].slo;
    const double limits[] = {slo->ttft_s, slo->tpot_s, slo->e2el_s};
    static const char *const violations[] = {"slo_violations_ttft", "slo_violations_tpot",
                                             "slo_violations_e2el"};
    double most = 0;
    for (int k = 0; k < EXP_N_LATENCIES; k++) {
        double late = figure_of(r, l->slo_class, violations[k]);
        if (!(limits[k] > 0) || late < most) continue;
        most = late;
        l->metric = exp_report_latency((enum exp_latency)k);
    }
    return most;
}

static void judge(const struct exp_results *r, struct level *l)
{
    double late = find_metric(r, l), arrived = figure_of(r, l->slo_class, "arrived"),
           half = (1 - l->share) * arrived / 2;
    if (l->per_metric)
        l->share = (figure_of(r, l->slo_class, "completed") - late) / arrived;
    else if (late > half)
        l->cause = LATE;
    else if (figure_of(r, l->slo_class, "rejected") > half)
        l->cause = REJECTED;
    else if (figure_of(r, l->slo_class, "unfinished") > half)
        l->cause = UNFINISHED;
}

static struct level level_of(const struct exp_results *r, uint32_t c)
{
    const struct sim_slo *slo = &r->run->setup->sim_classes[c].slo;
    struct level l = {.slo_class = c,
                      .share = figure_of(r, c, "slo_attainment"),
                      .goal = slo->percentile / 100,
                      .met = figure_of(r, c, "sla_met"),
                      .limited = is_limited(slo) && figure_of(r, c, "arrived") > 0,
                      .per_metric = slo->per_metric};
    if (l.limited) judge(r, &l);
    return l;
}

/* Never rounded up: 99.999 is not 100. */
static double floored_percent(double frac)
{
    return floor(frac * 1e4 + 1e-9) / 100;
}

static struct exp_words floored(double frac)
{
    struct exp_words w;
    snprintf(w.text, sizeof w.text, "%.4g", floored_percent(frac));
    return w;
}

/* The class that is furthest from its goal, one that misses it before all that do not. n_missed: those that no
 * replication meets. */
static struct level worst_level(const struct exp_results *r, uint32_t *n_missed)
{
    struct level worst = {0};
    for (uint32_t c = 0; c < r->figures->n_classes; c++) {
        struct level l = level_of(r, c);
        if (!l.limited) continue;
        *n_missed += !(l.met > 0);
        bool worse = l.met < worst.met || (l.met == worst.met && l.share - l.goal < worst.share - worst.goal);
        if (!worst.limited || worse) worst = l;
    }
    return worst;
}

#define MISSED                                                                                               \
    "The service level of class {0} is missed: {1} % of its requests keep every limit, {2} % should."

static void put_missed(json_t *s, const struct exp_results *r, const struct level *l)
{
    static const char *const missed[] = {[NO_CAUSE] = MISSED,
                                         [LATE] = MISSED " Most of the others miss {3}.",
                                         [REJECTED] = MISSED " Most of the others are rejected.",
                                         [UNFINISHED] =
                                             MISSED " Most of the others are unfinished when the run ends."};
    const char *name = r->figures->class_names[l->slo_class];
    struct exp_words share = floored(l->share), goal = exp_short_words(100 * l->goal);
    if (l->met > 0)
        exp_doc_text(s, EXP_WARN_TONE, "The service level of class {0} is met in {1} % of replications.",
                     name, exp_short_words(100 * l->met).text, NULL);
    else if (l->per_metric)
        exp_doc_text(s, EXP_WARN_TONE,
                     "The service level of class {0} is missed: {1} % of its requests keep the limit of {2}, "
                     "{3} % should.",
                     name, share.text, l->metric, goal.text, NULL);
    else
        exp_doc_text(s, EXP_WARN_TONE, missed[l->cause], name, share.text, goal.text,
                     l->cause == LATE ? l->metric : NULL, NULL);
}

static void put_met(json_t *s, const struct exp_results *r, const struct level *l)
{
    const char *name = r->figures->class_names[l->slo_class];
    struct exp_words share = floored(l->share), goal = exp_short_words(100 * l->goal);
    bool several = r->figures->n_classes > 1;
    if (several && l->per_metric)
        exp_doc_text(s, EXP_GOOD_TONE,
                     "Every service level is met. Class {0} is the closest: {1} % of its requests keep the "
                     "limit of {2}, {3} % should.",
                     name, share.text, l->metric, goal.text, NULL);
    else if (several)
        exp_doc_text(s, EXP_GOOD_TONE,
                     "Every service level is met. Class {0} is the closest: {1} % of its requests keep their "
                     "limits, {2} % should.",
                     name, share.text, goal.text, NULL);
    else if (l->per_metric)
        exp_doc_text(s, EXP_GOOD_TONE,
                     "The service level is met: {0} % of requests keep the limit of {1}, {2} % should.",
                     share.text, l->metric, goal.text, NULL);
    else
        exp_doc_text(s, EXP_GOOD_TONE,
                     "The service level is met: {0} % of requests keep their limits, {1} % should.",
                     share.text, goal.text, NULL);
}

static void put_levels_answer(json_t *s, const struct exp_results *r)
{
    uint32_t n_missed = 0;
    struct level worst = worst_level(r, &n_missed);
    if (!worst.limited)
        exp_doc_text(s, EXP_PLAIN_TONE, "No request has a service level: nothing is met or missed.", NULL);
    else if (worst.met < 1)
        put_missed(s, r, &worst);
    else
        put_met(s, r, &worst);
    if (n_missed > 1)
        exp_doc_text(s, EXP_WARN_TONE, "{0} classes miss their service level.",
                     exp_count_words(n_missed).text, NULL);
}

static const char *state_text(const struct exp_figures *f)
{
    bool some = f->n_replications > 0; /* the state is that of the worst of them */
    if (f->load_state == SIM_OVERLOADED)
        return some ? "The fleet is overloaded, at least in one replication: requests pile up, and latencies "
                      "depend on how long the trace is."
                    : "The fleet is overloaded: requests pile up, and latencies depend on how long the trace "
                      "is.";
    if (f->load_is_brief)
        return "The load is over before the first answers: nothing can be said about whether the fleet keeps "
               "up. Give more requests.";
    return some ? "Requests are still waiting at the last arrival, at least in one replication: latencies "
                  "depend on how long the trace is."
                : "Requests are still waiting at the last arrival: latencies depend on how long the trace "
                  "is.";
}

/* A closed loop waits for answers: whatever fleet there is keeps up with it. */
static void put_load_state(json_t *s, const struct exp_results *r)
{
    const struct exp_figures *f = r->figures;
    bool open = !r->run->setup->config.load.concurrency;
    if (f->load_state != SIM_STABLE)
        exp_doc_text(s, EXP_WARN_TONE, state_text(f), NULL);
    else if (open && exp_figure(f, "completed").mean > 1)
        exp_doc_text(s, EXP_PLAIN_TONE, "The fleet keeps up with the load.", NULL);
}

/* Without limits every request is a good one; of a single GPU it is the output itself. */
static bool says_nothing(const struct exp_results *r, const char *figure)
{
    const struct exp_setup *u = r->run->setup;
    bool limited = false;
    for (uint32_t c = 0; c < r->figures->n_classes; c++) limited |= is_limited(&u->sim_classes[c].slo);
    if (strcmp(figure, "request_goodput") == 0) return !limited;
    if (strcmp(figure, "output_throughput_per_gpu") != 0) return false;
    return u->n_fleets == 1 && u->sim_fleets->n_replicas * u->sim_fleets->gpus_per_replica == 1;
}

static void put_facts(json_t *s, const struct exp_results *r)
{
    static const struct {
        const char *name, *figure, *unit;
        double scale;
        bool only_when_used;
    } facts[] = {
        {"requests completed", "completed", "", 1, false},
        {"throughput", "request_throughput", "requests/s", 1, false},
        {"goodput", "request_goodput", "requests/s", 1, false},
        {"TTFT p99", "p99_ttft_ms", "ms", 1, true},
        {"TPOT p99", "p99_tpot_ms", "ms", 1, true},
        {"E2EL p99", "p99_e2el_ms", "ms", 1, true},
        {"output", "output_throughput", "tokens/s", 1, false},
        {"output per GPU", "output_throughput_per_gpu", "tokens/s", 1, false},
        {"GPU busy", "gpu_busy", "%", 100, false},
        {"KV memory, peak", "kv_peak_utilization", "%", 100, false},
        {"KV on the host, peak", "kv_host_peak_utilization", "%", 100, true},
        {"host link busy", "host_link_busy", "%", 100, true},
        {"waits for transfers", "exposed_frac", "%", 100, true},
        {"preemptions", "preemptions", "", 1, false},
        {"requests rejected", "rejected", "", 1, true},
        {"requests unfinished", "unfinished", "", 1, true},
    };
    json_t *o = exp_doc_facts(s);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        struct exp_band b = exp_figure(r->figures, facts[i].figure);
        if (says_nothing(r, facts[i].figure) || (facts[i].only_when_used && !(b.hi > 0))) continue;
        exp_report_band_fact(o, facts[i].name, b, facts[i].scale, facts[i].unit,
                             r->figures->n_replications > 0);
    }
}

static void put_answer(json_t *doc, const struct exp_results *r)
{
    const struct exp_figures *f = r->figures;
    const struct exp_notes *notes = &r->run->setup->notes;
    json_t *s = exp_doc_section(doc, "answer", "Result");
    if (exp_figure(f, "arrived").mean > 0) {
        put_levels_answer(s, r);
        put_load_state(s, r);
        if (f->n_replications)
            exp_doc_text(s, EXP_SOFT_TONE, "Means and 90 % intervals of {0} replications.",
                         exp_count_words(f->n_replications).text, NULL);
        put_facts(s, r);
    } else {
        exp_doc_text(s, EXP_WARN_TONE, "No request was measured.", NULL);
    }
    for (uint32_t i = 0; i < notes->n; i++) exp_doc_text(s, EXP_SOFT_TONE, "Note: {0}", notes->text[i], NULL);
}

/* ---- service levels ---- */

static const char *verdict(const struct exp_results *r, uint32_t c)
{
    double met = figure_of(r, c, "sla_met");
    if (figure_of(r, c, "arrived") == 0) return "no requests";
    if (!is_limited(&r->run->setup->sim_classes[c].slo)) return "none";
    return met >= 1 ? "met" : met > 0 ? "met in some replications" : "missed";
}

static void put_levels(json_t *doc, const struct exp_results *r)
{
    const struct exp_figures *f = r->figures;
    json_t *s = exp_doc_section(doc, "levels", "Service levels");
    json_t *t = exp_doc_table(s, "service-levels", "Limits, and who kept them");
    exp_doc_column_text(t, "class");
    exp_doc_column_text(t, "limits, ms");
    exp_doc_column(t, "requests", "");
    exp_doc_column(t, "within limits", "%");
    if (f->n_replications) {
        exp_doc_column(t, "from", "%");
        exp_doc_column(t, "to", "%");
    }
    exp_doc_column(t, "worst 5 minutes", "%");
    exp_doc_column(t, "goal", "%");
    exp_doc_column_text(t, "service level");
    for (uint32_t c = 0; c < f->n_classes; c++) {
        const struct sim_slo *slo = &r->run->setup->sim_classes[c].slo;
        bool any = figure_of(r, c, "arrived") > 0 && is_limited(slo);
        struct exp_band share = exp_figure_of_class(f, c, "slo_attainment");
        if (!any) share = (struct exp_band){NAN, NAN, NAN};
        json_t *row = exp_doc_row(t);
        char limits[80];
        exp_limits_text(slo, limits, sizeof limits);
        exp_doc_cell_text(row, f->class_names[c]);
        exp_doc_cell_text(row, limits);
        exp_doc_cell(row, figure_of(r, c, "arrived"));
        exp_report_share_cell(row, floored_percent(share.mean));
        if (f->n_replications) exp_report_share_cell(row, floored_percent(share.lo));
        if (f->n_replications) exp_report_share_cell(row, floored_percent(share.hi));
        exp_report_share_cell(row, any ? floored_percent(figure_of(r, c, "slo_attainment_worst_5min")) : NAN);
        exp_doc_cell(row, is_limited(slo) ? slo->percentile : NAN);
        exp_doc_cell_text(row, verdict(r, c));
    }
}

/* ---- latency ---- */

/* A single token has no time per output token, and no gap. Nothing else takes no time; queueing may. */
static bool has_latency(const struct exp_figures *f, const char *latency)
{
    char name[32];
    snprintf(name, sizeof name, "mean_%s_ms", latency);
    return exp_figure(f, strcmp(latency, "queue") == 0 ? "completed" : name).hi > 0;
}

/* A column for each latency: its values are of like size, and keep their digits. */
static void put_latency_table(json_t *s, const struct exp_figures *f)
{
    static const char *const columns[][2] = {
        {"ttft", "TTFT"}, {"tpot", "TPOT"}, {"itl", "ITL"}, {"e2el", "E2EL"}, {"queue", "queueing"}};
    static const char *const rows[] = {"mean", "p50", "p90", "p95", "p99"};
    json_t *t = exp_doc_table(s, "latency-table", "Latency of completed requests");
    exp_doc_column_text(t, "");
    for (int c = 0; c < 5; c++) exp_doc_column(t, columns[c][1], "ms");
    for (int r = 0; r < 5; r++) {
        json_t *row = exp_doc_row(t);
        bool banded = f->n_replications && r % 4 == 0; /* mean and p99 */
        exp_doc_cell_text(row, rows[r]);
        for (int c = 0; c < 5; c++) {
            char name[32];
            snprintf(name, sizeof name, "%s_%s_ms", rows[r], columns[c][0]);
            bool there = !(r == 3 && c == 4) && has_latency(f, columns[c][0]); /* queueing has no p95 */
            struct exp_band b = there ? exp_figure(f, name) : (struct exp_band){NAN, NAN, NAN};
            if (banded)
                exp_report_band_cell(row, b, 1);
            else
                exp_doc_cell(row, b.mean);
        }
    }
}

static void put_latency(json_t *doc, const struct exp_results *r, const struct exp_run_curves *curves)
{
    const struct exp_figures *f = r->figures;
    json_t *s = exp_doc_section(doc, "latency", "Latency");
    put_latency_table(s, f);
    if (!curves->n_latency) return;
    json_t *all = exp_report_cdf(s, "latency-all", "How latency is distributed");
    if (f->n_replications) exp_doc_note(all, "Of the run without drawn errors; the table has the intervals.");
    for (int l = 0; l < EXP_N_LATENCIES; l++)
        exp_report_cdf_add(all, exp_report_latency((enum exp_latency)l), curves->latency_ms[l]);
    exp_report_fit_scales(all, 3);
    if (f->n_classes < 2) return;
    json_t *classes = exp_report_cdf(s, "latency-classes", "E2EL of each class");
    if (f->n_replications) exp_doc_note(classes, EXP_REPORT_ONE_RUN);
    for (uint32_t c = 0; c < f->n_classes; c++) {
        double ms[EXP_QUANTILES];
        if (exp_run_quantiles(r->run, EXP_LATENCY_E2EL, c, ms))
            exp_report_cdf_add(classes, f->class_names[c], ms);
    }
    exp_report_fit_scales(classes, 3);
}

/* ---- the cluster over time ---- */

static void put_rates(json_t *s, const struct exp_run_curves *c)
{
    json_t *chart = exp_report_over_time(s, "requests-over-time", "Requests per second", "requests", "1/s");
    exp_report_over_time_add(chart, "arrived", c, EXP_MOMENT(arrived_per_s), 1);
    exp_report_over_time_add(chart, "completed", c, EXP_MOMENT(completed_per_s), 1);
    chart = exp_report_over_time(s, "output-over-time", "Output tokens per second", "output", "tokens/s");
    exp_report_over_time_add(chart, "output", c, EXP_MOMENT(output_per_s), 1);
}

static void put_time(json_t *doc, const struct exp_run_curves *c, bool replicated)
{
    json_t *s = exp_doc_section(doc, "time", "The cluster over time");
    if (!c->n_timeline) return;
    if (replicated) exp_doc_text(s, EXP_SOFT_TONE, EXP_REPORT_ONE_RUN, NULL);
    json_t *chart = exp_report_over_time(s, "in-cluster", "Requests in the cluster", "requests", "");
    exp_report_over_time_add(chart, "running", c, EXP_MOMENT(running), 1);
    exp_report_over_time_add(chart, "waiting", c, EXP_MOMENT(waiting), 1);
    chart = exp_report_over_time(s, "kv-over-time", "KV memory in use", "of the pool", "%");
    exp_doc_note(chart, "All replicas together, at moments; the peak above is that of the fullest replica.");
    exp_report_over_time_add(chart, "GPU", c, EXP_MOMENT(kv_used), 100);
    if (exp_report_moves(c, EXP_MOMENT(host_kv_used)))
        exp_report_over_time_add(chart, "host", c, EXP_MOMENT(host_kv_used), 100);
    if (exp_report_moves(c, EXP_MOMENT(link_busy))) {
        chart = exp_report_over_time(s, "link-over-time", "Host link in use", "of the time", "%");
        exp_doc_note(chart, "Mean over the host links in use, since the point before.");
        exp_report_over_time_add(chart, "host link", c, EXP_MOMENT(link_busy), 100);
    }
    put_rates(s, c);
}

/* ---- all figures ---- */

static void put_figures(json_t *doc, const struct exp_figures *f)
{
    json_t *s = exp_doc_section(doc, "figures", "All figures");
    json_t *t = exp_doc_table(s, "all-figures", "Every figure of the run");
    bool classes = f->n_classes > 1;
    exp_doc_folded(t);
    exp_doc_column_text(t, "figure");
    exp_doc_column(t, "all", "");
    if (f->n_replications) {
        exp_doc_column(t, "from", "");
        exp_doc_column(t, "to", "");
    }
    for (uint32_t c = 0; classes && c < f->n_classes; c++) exp_doc_column(t, f->class_names[c], "");
    for (size_t i = 0; i < exp_figure_count(); i++) {
        if (exp_figure_is_timing(i)) continue; /* of this machine, another one each time */
        json_t *row = exp_doc_row(t);
        struct exp_band b = exp_figure(f, exp_figure_name(i));
        exp_doc_cell_text(row, exp_figure_name(i));
        exp_doc_cell(row, b.mean);
        if (f->n_replications) exp_doc_cell(row, b.lo);
        if (f->n_replications) exp_doc_cell(row, b.hi);
        for (uint32_t c = 0; classes && c < f->n_classes; c++)
            exp_doc_cell(row, exp_figure_of_class(f, c, exp_figure_name(i)).mean);
    }
}

/* ---- the whole ---- */

static json_t *titled(const struct exp_results *r)
{
    const struct exp_setup *u = r->run->setup;
    char *fleets = exp_report_fleets(u), *seed = sim_printf("%llu", (unsigned long long)r->scenario->seed);
    char *strategies = exp_report_strategies(u);
    json_t *doc = exp_doc_new("run", "{0} on {1}", u->arch.name, fleets, NULL);
    exp_doc_subtitle(doc, "{0} weights, KV {1}, router {2}, seed {3}",
                     mdl_dtype_name((enum mdl_dtype)r->scenario->weights), strategies, r->scenario->router,
                     seed, NULL);
    free(strategies);
    free(fleets);
    free(seed);
    return doc;
}

json_t *exp_report_of_run(const struct exp_results *r, struct sim_status *st)
{
    struct exp_run_curves curves;
    struct sim_status why = {0};
    json_t *doc = titled(r);
    exp_run_curves_take(r->run, &curves);
    put_answer(doc, r);
    put_levels(doc, r);
    put_latency(doc, r, &curves);
    put_time(doc, &curves, r->figures->n_replications > 0);
    exp_run_curves_fini(&curves);
    exp_report_run_machine(doc, r);
    put_figures(doc, r->figures);
    char *replications = r->figures->n_replications
                             ? sim_printf(" --replications %u", r->figures->n_replications)
                             : sim_strdup("");
    char *line = sim_printf("kvsim run scenario.yaml --out DIR%s", replications);
    exp_report_reproduce(doc, r->scenario, line, &why);
    free(line);
    free(replications);
    exp_doc_finish(doc);
    if (!why.code) return doc;
    json_decref(doc);
    sim_fail_as(st, why.code, "%s", why.message);
    return NULL;
}
