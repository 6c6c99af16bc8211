/* Documents of runs, comparisons and validations. Oracles: the figures that commands print, integrals of what is drawn over
 * time against the run's totals, errors that were put in by hand, and the scenario in the document, run again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/of.h"
#include "tests/report_help.h"

static struct exp_cache *cache;

static void open_cache(void)
{
    struct sim_status st = {0};
    cache = exp_cache_new(&st);
    ck_assert_msg(cache != NULL, "%s", st.message);
}

static void close_cache(void)
{
    exp_cache_free(cache);
}

/* ---- looking into documents ---- */

static json_t *fact_of(const json_t *doc, const char *name)
{
    const json_t *items = json_object_get(part_of(doc, "facts", NULL), "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        if (strcmp(string_of(json_array_get(items, i), "name"), name) == 0) return json_array_get(items, i);
    ck_abort_msg("no fact %s", name);
    return NULL;
}

static double number_in(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* Of the row that begins with a text. */
static const json_t *any_cell_of(const json_t *doc, const char *table, const char *row, const char *column)
{
    const json_t *t = part_of(doc, "table", table), *columns = json_object_get(t, "columns"),
                 *rows = json_object_get(t, "rows");
    size_t c = 0, r = 0;
    while (c < json_array_size(columns) && strcmp(string_of(json_array_get(columns, c), "name"), column) != 0)
        c++;
    ck_assert_msg(c < json_array_size(columns), "table %s has no column %s", table, column);
    while (r < json_array_size(rows) &&
           strcmp(json_string_value(json_array_get(json_array_get(rows, r), 0)), row) != 0)
        r++;
    ck_assert_msg(r < json_array_size(rows), "table %s has no row %s", table, row);
    return json_array_get(json_array_get(rows, r), c);
}

/* NaN for an empty cell. */
static double cell_of(const json_t *doc, const char *table, const char *row, const char *column)
{
    const json_t *cell = any_cell_of(doc, table, row, column);
    return json_is_number(cell) ? json_number_value(cell) : NAN;
}

static const char *text_cell_of(const json_t *doc, const char *table, const char *row, const char *column)
{
    const json_t *cell = any_cell_of(doc, table, row, column);
    ck_assert_msg(json_is_string(cell), "%s, %s: no text", row, column);
    return json_string_value(cell);
}

/* Its points; NULL when the chart has no such series. */
static const json_t *find_series(const json_t *doc, const char *chart, const char *name)
{
    const json_t *list = json_object_get(part_of(doc, "chart", chart), "series");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(string_of(json_array_get(list, i), "name"), name) == 0)
            return json_object_get(json_array_get(list, i), "points");
    return NULL;
}

static const json_t *series_of(const json_t *doc, const char *chart, const char *name)
{
    const json_t *points = find_series(doc, chart, name);
    ck_assert_msg(points != NULL, "chart %s has no series %s", chart, name);
    return points;
}

static double at(const json_t *points, size_t i, size_t coordinate)
{
    return json_number_value(json_array_get(json_array_get(points, i), coordinate));
}

/* Of what holds since the point before. */
static double integral(const json_t *points)
{
    double sum = 0;
    for (size_t i = 1; i < json_array_size(points); i++)
        sum += at(points, i, 1) * (at(points, i, 0) - at(points, i - 1, 0));
    return sum;
}

static bool has_text(const json_t *doc, const char *piece)
{
    char *all = json_dumps(doc, 0);
    bool there = strstr(all, piece) != NULL;
    free(all);
    return there;
}

static void is_sound(const json_t *doc)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_report_check(doc, "the document", &st), "%s", st.message);
}

/* ---- runs ---- */

static const char two_classes[] =
    "model: llama-3.1-8b\n"
    "fleet: [{gpu: h100-sxm, replicas: 2, profile: analytic}]\n"
    "workload: {open_loop: {request_rate: 6, num_requests: 300, input_tokens: 'lognormal:4000:0.7:12000',\n"
    "           output_tokens: 'uniform:20:200'}}\n"
    "classes:\n"
    "  default: {slo: {ttft_ms: 400, tpot_ms: 50}}\n"
    "  long: {slo: {e2el_ms: 9000, percentile: 90}, assign: {min_input_tokens: 6000}}\n";

static struct exp_scenario *scenario_of(const char *text, const char *const *settings)
{
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("t.yaml", text, strlen(text), &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    for (; settings && *settings; settings++)
        ck_assert_msg(exp_scenario_set_option(s, *settings, &st), "%s", st.message);
    return s;
}

struct ran {
    struct exp_scenario *scenario;
    struct exp_run *run;
    json_t *doc;
};

static struct ran ran(const char *text, const char *const *settings, uint32_t points)
{
    struct sim_status st = {0};
    struct exp_run_options o = {.timeline_points = points};
    struct ran r = {.scenario = scenario_of(text, settings)};
    r.run = exp_run_new(r.scenario, cache, &o, &st);
    ck_assert_msg(r.run != NULL, "%s", st.message);
    struct exp_results results = {r.scenario, r.run, r.run->figures, exp_cache_data_dir(cache)};
    r.doc = exp_report_of_run(&results, &st);
    ck_assert_msg(r.doc != NULL, "%s", st.message);
    is_sound(r.doc);
    return r;
}

static void ran_fini(struct ran *r)
{
    json_decref(r->doc);
    exp_run_free(r->run);
    free(r->scenario);
}

static double figure(const struct ran *r, const char *name)
{
    return exp_figure(r->run->figures, name).mean;
}

START_TEST(numbers_of_a_run_are_those_of_its_figures)
{
    static const struct {
        const char *name, *figure;
        double scale;
    } facts[] = {{"requests completed", "completed", 1},
                 {"throughput", "request_throughput", 1},
                 {"goodput", "request_goodput", 1},
                 {"output", "output_throughput", 1},
                 {"GPU busy", "gpu_busy", 100},
                 {"KV memory, peak", "kv_peak_utilization", 100},
                 {"host link busy", "host_link_busy", 100},
                 {"preemptions", "preemptions", 1}};
    static const char *const strategy[] = {"fleet.0.kv.strategy=freekv", NULL};
    struct ran r = ran(two_classes, strategy, 60);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        ck_assert_double_eq_tol(number_in(fact_of(r.doc, facts[i].name), "value"),
                                facts[i].scale * figure(&r, facts[i].figure), 1e-9);
    ck_assert_double_eq(cell_of(r.doc, "latency-table", "p99", "TTFT"), figure(&r, "p99_ttft_ms"));
    ck_assert_double_eq(cell_of(r.doc, "latency-table", "mean", "E2EL"), figure(&r, "mean_e2el_ms"));
    ck_assert(isnan(cell_of(r.doc, "latency-table", "p95", "queueing")));
    for (size_t i = 0; i < exp_figure_count(); i++) {
        const char *name = exp_figure_name(i);
        if (!exp_figure_is_timing(i))
            ck_assert_double_eq(cell_of(r.doc, "all-figures", name, "all"), figure(&r, name));
    }
    double attained = exp_figure_of_class(r.run->figures, 1, "slo_attainment").mean;
    ck_assert_double_eq_tol(cell_of(r.doc, "service-levels", "long", "within limits"), 100 * attained, 0.01);
    ck_assert_double_le(cell_of(r.doc, "service-levels", "long", "within limits"), 100 * attained + 1e-9);
    ran_fini(&r);
}
END_TEST

START_TEST(the_first_sentence_says_who_misses_what)
{
    static const char *const strict[] = {"classes.default.slo.ttft_ms=1", NULL},
                             *const lax[] = {"classes.default.slo.ttft_ms=1e6",
                                             "classes.default.slo.tpot_ms=1e6",
                                             "classes.long.slo.e2el_ms=1e7", NULL};
    struct ran r = ran(two_classes, strict, 0);
    ck_assert_str_eq(string_of(part_of(r.doc, "text", NULL), "tone"), "warn");
    const json_t *says = json_object_get(part_of(r.doc, "text", NULL), "text");
    ck_assert_str_eq(json_string_value(json_array_get(says, 1)), "default");
    ck_assert_str_eq(json_string_value(json_array_get(says, 2)), "0");
    ck_assert_str_eq(json_string_value(json_array_get(says, 4)), "TTFT");
    ran_fini(&r);
    r = ran(two_classes, lax, 0);
    ck_assert_str_eq(string_of(part_of(r.doc, "text", NULL), "tone"), "good");
    ran_fini(&r);
}
END_TEST

static const char light[] =
    "model: llama-3.1-8b\n"
    "fleet: [{gpu: h100-sxm, replicas: 1, profile: analytic}]\n"
    "workload: {open_loop: {request_rate: 2, num_requests: 60, input_tokens: 500, output_tokens: 40}}\n";

/* Which sentences the first section has, each from a scenario where it alone is true. */
START_TEST(the_first_section_says_only_what_is_so)
{
    static const struct {
        const char *settings[4], *there, *absent;
    } runs[] = {
        {{NULL}, "No request has a service level", "goodput"},
        {{"slo.ttft_ms=500"}, "The service level is met", "unfinished"},
        {{"slo.ttft_ms=500"}, "The fleet keeps up", "is missed"},
        {{"slo.ttft_ms=500", "workload.open_loop.input_tokens=140000"}, "others are rejected", "keeps up"},
        {{"slo.e2el_ms=60000", "measure.horizon_s=2", "workload.open_loop.output_tokens=9000"},
         "others are unfinished when the run ends",
         "rejected"},
        {{"slo.ttft_ms=0.001"}, "Most of the others miss {3}", "unfinished"},
        {{"slo.tpot_ms=500", "slo.rule=per_metric"}, "keep the limit of {1}", "is missed"},
        {{"measure.warmup_requests=1000"}, "No request was measured", "throughput"}};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        struct ran r = ran(light, runs[i].settings, 20);
        json_t *answer = json_array_get(json_object_get(r.doc, "sections"), 0);
        ck_assert_msg(has_text(answer, runs[i].there), "run %zu does not say: %s", i, runs[i].there);
        ck_assert_msg(!has_text(answer, runs[i].absent), "run %zu says: %s", i, runs[i].absent);
        ran_fini(&r);
    }
}
END_TEST

/* One that moves nothing over its links beside one that does: the mean is that of the latter. */
START_TEST(a_fleet_without_transfers_makes_no_link_look_idle)
{
    static const char two_fleets[] =
        "model: llama-3.1-8b\n"
        "fleet: [{gpu: h100-sxm, replicas: 1, profile: analytic, kv: {strategy: offload}},\n"
        "        {gpu: a100-80-sxm, replicas: 3, profile: analytic}]\n"
        "workload: {open_loop: {request_rate: 4, num_requests: 100, input_tokens: 2000, output_tokens: "
        "80}}\n";
    struct ran r = ran(two_fleets, NULL, 60);
    const json_t *link = series_of(r.doc, "link-over-time", "host link");
    double busy_s = figure(&r, "host_link_busy") * (r.run->result->end_s - r.run->result->first_arrival_s);
    ck_assert_double_eq_tol(integral(link) / 100, busy_s, 0.01 * busy_s);
    ck_assert(has_text(json_object_get(r.doc, "subtitle"), "offload + full"));
    ran_fini(&r);
}
END_TEST

START_TEST(a_distribution_rises_and_its_middle_is_the_median)
{
    static const struct {
        const char *name, *p50, *p90;
    } latencies[] = {{"TTFT", "p50_ttft_ms", "p90_ttft_ms"},
                     {"TPOT", "p50_tpot_ms", "p90_tpot_ms"},
                     {"E2EL", "p50_e2el_ms", "p90_e2el_ms"}};
    struct ran r = ran(two_classes, NULL, 0);
    for (int l = 0; l < 3; l++) {
        const json_t *points = series_of(r.doc, "latency-all", latencies[l].name);
        double p50 = figure(&r, latencies[l].p50), p90 = figure(&r, latencies[l].p90);
        ck_assert_uint_eq(json_array_size(points), EXP_QUANTILES);
        for (size_t i = 1; i < EXP_QUANTILES; i++) {
            ck_assert_double_ge(at(points, i, 0), at(points, i - 1, 0));
            ck_assert_double_gt(at(points, i, 1), at(points, i - 1, 1));
        }
        ck_assert_double_eq(at(points, 100, 1), 50);
        ck_assert_double_eq_tol(at(points, 100, 0), p50, 1e-4 * p50);
        ck_assert_double_eq_tol(at(points, 180, 0), p90, 1e-4 * p90);
    }
    double of_class = exp_figure_of_class(r.run->figures, 1, "p50_e2el_ms").mean;
    ck_assert_double_eq_tol(at(series_of(r.doc, "latency-classes", "long"), 100, 0), of_class,
                            1e-4 * of_class);
    ran_fini(&r);
}
END_TEST

START_TEST(what_is_drawn_over_time_comes_to_the_totals)
{
    static const char *const strategies[] = {"full", "freekv", "swap", "infinigen"};
    for (int k = 0; k < 4; k++) {
        char strategy[64];
        snprintf(strategy, sizeof strategy, "fleet.0.kv.strategy=%s", strategies[k]);
        const char *const settings[] = {strategy, NULL};
        struct ran r = ran(two_classes, settings, 60);
        double tokens = 0, span_s = r.run->result->end_s - r.run->result->first_arrival_s;
        for (uint64_t i = 0; i < r.run->result->n_requests; i++)
            tokens += r.run->result->outcomes[i].output_tokens;
        double first = (double)r.run->result->timeline[0].arrived; /* at the first point */
        ck_assert_double_eq_tol(first + integral(series_of(r.doc, "requests-over-time", "arrived")), 300,
                                0.1);
        ck_assert_double_eq_tol(integral(series_of(r.doc, "requests-over-time", "completed")), 300, 0.1);
        ck_assert_double_eq_tol(integral(series_of(r.doc, "output-over-time", "output")), tokens,
                                1e-3 * tokens);
        double busy = 100 * figure(&r, "host_link_busy");
        if (k == 0) {
            ck_assert(!has_text(r.doc, "link-over-time"));
        } else {
            ck_assert_double_gt(busy, 0.1);
            ck_assert_double_eq_tol(integral(series_of(r.doc, "link-over-time", "host link")) / span_s, busy,
                                    2e-3 * busy);
        }
        ran_fini(&r);
    }
}
END_TEST

/* Points far closer than steps: no more than the link can carry between any two, and never less than nothing. */
START_TEST(a_link_is_never_busier_than_all_of_the_time)
{
    static const char *const strategies[] = {"freekv", "offload", "arkvale", "swap"};
    for (int k = 0; k < 4; k++) {
        char strategy[64];
        snprintf(strategy, sizeof strategy, "fleet.0.kv.strategy=%s", strategies[k]);
        const char *const settings[] = {strategy, "workload.open_loop.num_requests=30",
                                        "workload.open_loop.request_rate=20", NULL};
        struct ran r = ran(two_classes, settings, 3000);
        double most = 0;
        for (uint32_t i = 0; i <= r.run->result->n_timeline; i++) {
            struct exp_moment m = exp_run_moment(r.run, i);
            ck_assert_double_ge(m.link_busy, -1e-3);
            ck_assert_double_le(m.link_busy, 1 + 1e-3);
            most = fmax(most, m.link_busy);
        }
        ck_assert_double_gt(most, 0.01);
        ran_fini(&r);
    }
}
END_TEST

START_TEST(the_scenario_in_a_document_gives_the_same_run_again)
{
    static const char *const settings[] = {"fleet.0.kv.strategy=freekv", "fleet.0.kv.budget=2048", "seed=7",
                                           NULL};
    struct ran r = ran(two_classes, settings, 20);
    const json_t *sections = json_object_get(r.doc, "sections"),
                 *last = json_array_get(sections, json_array_size(sections) - 1), *part;
    const char *text = NULL;
    size_t i;
    json_array_foreach(json_object_get(last, "parts"), i,
                       part) if (strcmp(string_of(part, "kind"), "code") == 0) text = string_of(part, "text");
    ck_assert_ptr_nonnull(text);
    struct ran again = ran(text, NULL, 20);
    for (uint64_t k = 0; k < r.run->result->n_requests; k++)
        ck_assert_double_eq(r.run->result->outcomes[k].e2el_s, again.run->result->outcomes[k].e2el_s);
    ck_assert(has_text(r.doc, exp_model_version()));
    ran_fini(&again);
    ran_fini(&r);
}
END_TEST

START_TEST(shares_of_a_stack_add_up_to_all)
{
    static const char *const spent[] = {"GPU computes", "waits for transfers", "engine and hand-overs",
                                        "nothing to do"};
    static const char *const settings[] = {"fleet.0.kv.strategy=arkvale", NULL};
    struct ran r = ran(two_classes, settings, 0);
    double sum = 0, gib = 0;
    for (int i = 0; i < 4; i++) sum += at(series_of(r.doc, "time-spent", spent[i]), 0, 1);
    ck_assert_double_eq_tol(sum, 100, 0.01);
    const json_t *memory = json_object_get(part_of(r.doc, "chart", "gpu-memory"), "series");
    for (size_t i = 0; i < json_array_size(memory); i++)
        gib += at(json_object_get(json_array_get(memory, i), "points"), 0, 1);
    ck_assert_double_eq_tol(gib, r.run->setup->fleets[0].memory.total_bytes / 1073741824.0, 0.01);
    ran_fini(&r);
}
END_TEST

START_TEST(a_run_of_nothing_still_has_a_document)
{
    static const char *const settings[] = {"measure.warmup_requests=300", NULL};
    struct ran r = ran(two_classes, settings, 20);
    ck_assert(has_text(r.doc, "No request was measured"));
    ran_fini(&r);
}
END_TEST

/* ---- comparisons ---- */

static const char one_class[] =
    "model: llama-3.1-8b\n"
    "fleet: [{gpu: h100-sxm, replicas: 2, profile: analytic}]\n"
    "workload: {open_loop: {request_rate: 8, num_requests: 120, input_tokens: 3000, output_tokens: 60}}\n"
    "slo: {ttft_ms: 500, tpot_ms: 50}\n";

struct compared {
    struct exp_scenario *scenario;
    struct exp_compare c;
    json_t *doc;
};

static struct compared compared(const char *strategies, uint32_t replications, const char *const *settings)
{
    struct sim_status st = {0};
    struct compared o = {.scenario = scenario_of(one_class, settings)};
    struct exp_contenders *contenders = sim_alloc(1, sizeof *contenders);
    ck_assert_msg(exp_contenders_parse(strategies, contenders, &st), "%s", st.message);
    struct exp_compare_options options = {
        .contenders = contenders, .n_threads = 2, .n_replications = replications, .curves = true};
    ck_assert_msg(exp_compare_run(o.scenario, cache, &options, &o.c, &st), "%s", st.message);
    o.doc = exp_report_of_compare(&o.c, o.scenario, &st);
    ck_assert_msg(o.doc != NULL, "%s", st.message);
    is_sound(o.doc);
    free(contenders);
    return o;
}

static void compared_fini(struct compared *o)
{
    json_decref(o->doc);
    exp_compare_fini(&o->c);
    free(o->scenario);
}

START_TEST(a_comparison_of_every_strategy_is_small_enough)
{
    struct compared o = compared("all", 0, NULL);
    uint32_t n_ran = 0;
    for (uint32_t i = 0; i < o.c.n_rows; i++) n_ran += !o.c.row[i].why_not[0];
    ck_assert_uint_ge(n_ran, 20);
    char *text = written(exp_report_json, o.doc);
    ck_assert_uint_lt(strlen(text), 60000 * (size_t)n_ran);
    free(text);
    const json_t *cdfs = json_object_get(part_of(o.doc, "chart", "tpot"), "series");
    ck_assert_uint_eq(json_array_size(cdfs), n_ran);
    for (size_t i = 0; i < n_ran; i++) {
        const json_t *kv = series_of(o.doc, "kv-over-time", string_of(json_array_get(cdfs, i), "name"));
        ck_assert_uint_ge(json_array_size(kv), 50);
        ck_assert_uint_le(json_array_size(kv), EXP_DOC_POINTS);
    }
    compared_fini(&o);
}
END_TEST

START_TEST(tables_and_steps_of_a_comparison_are_its_rows)
{
    static const char *const parts[] = {"other GPU work", "attention", "selection", "waits for transfers",
                                        "engine"};
    struct compared o = compared("fp8,freekv,arkvale", 0, NULL);
    for (uint32_t i = 0; i < o.c.n_rows; i++) {
        const struct exp_compare_row *row = &o.c.row[i];
        double step_ms = 0;
        ck_assert_double_eq(cell_of(o.doc, "latency", row->label, "TPOT p99"), row->value[EXP_TPOT_P99].mean);
        ck_assert_double_eq_tol(cell_of(o.doc, "service", row->label, "within limits"),
                                100 * row->value[EXP_ATTAINMENT].mean, 1e-9);
        if (i)
            ck_assert_double_eq_tol(cell_of(o.doc, "latency", row->label, "Δ E2EL mean"),
                                    100 * row->delta[EXP_E2EL_MEAN].mean, 0.051);
        for (int k = 0; k < 5; k++) step_ms += at(series_of(o.doc, "decode-step", parts[k]), i, 1);
        ck_assert_double_eq_tol(step_ms, 1e3 * row->anatomy.step_s, 1e-3 * step_ms);
        const json_t *tpot = series_of(o.doc, "tpot", row->label);
        double p50 = exp_figure(row->figures, "p50_tpot_ms").mean;
        ck_assert_double_eq_tol(at(tpot, 100, 0), p50, 1e-4 * p50);
    }
    ck_assert(has_text(o.doc, "--strategies=full,fp8,freekv,arkvale"));
    compared_fini(&o);
}
END_TEST

/* Rows with differences that were put in by hand, beside those that were simulated. */
START_TEST(the_answer_of_a_comparison_tells_only_differences)
{
    struct compared o = compared("fp8", 0, NULL);
    struct exp_compare_row *full = &o.c.row[0], *fp8 = &o.c.row[1];
    struct sim_status st = {0};
    const struct exp_band none = {0.009, 0.009, 0.009}, much = {62, 62, 62}, less = {-0.2, -0.2, -0.2};
    static const enum exp_column same[] = {EXP_GOODPUT, EXP_OUTPUT, EXP_TPOT_P99};
    for (int i = 0; i < 3; i++) fp8->delta[same[i]] = none;
    fp8->delta[EXP_TTFT_P99] = much;
    fp8->delta[EXP_E2EL_MEAN] = less;
    fp8->value[EXP_NEGATIVES] = (struct exp_band){0.4, 0.4, 0.4};
    fp8->newly_failing = 0.186;
    full->value[EXP_LINK_BUSY] = fp8->value[EXP_LINK_BUSY] = (struct exp_band){8.8e-6, 8.8e-6, 8.8e-6};
    full->value[EXP_ATTAINMENT].mean = 0.99967;
    json_t *doc = exp_report_of_compare(&o.c, o.scenario, &st), *sections = json_object_get(doc, "sections"),
           *answer = json_array_get(sections, 0);
    is_sound(doc);
    ck_assert(has_text(answer, "-20.0 %") && has_text(answer, "no difference in output"));
    ck_assert(has_text(answer, "\"40\", \"18.6\""));
    ck_assert(has_text(answer, "goodput, output, TPOT p99"));
    ck_assert_double_eq(number_in(fact_of(doc, "TTFT p99"), "value"), 63);
    ck_assert_double_eq(number_in(fact_of(doc, "E2EL mean"), "value"), -20);
    ck_assert_str_eq(text_cell_of(doc, "latency", "fp8", "Δ TTFT p99"), "x63");
    ck_assert_str_eq(text_cell_of(doc, "costs", "fp8", "host link busy"), "< 0.01");
    ck_assert_str_eq(text_cell_of(doc, "service", "full", "within limits"), "99.96");
    const json_t *x = series_of(doc, "goodput-tpot", "strategies");
    ck_assert_uint_eq(json_array_size(x), 1);
    ck_assert_double_eq_tol(at(x, 0, 0), fp8->value[EXP_TPOT_P99].mean, 1e-3);
    for (size_t i = 1; i < json_array_size(sections); i++) /* once is enough */
        ck_assert(!has_text(json_array_get(sections, i), "get worse answers"));
    json_decref(doc);
    compared_fini(&o);
}
END_TEST

START_TEST(with_replications_bars_become_ranges_and_tables_get_intervals)
{
    struct compared o = compared("fp8", 3, NULL);
    const json_t *chart = part_of(o.doc, "chart", "goodput"),
                 *points = series_of(o.doc, "goodput", "goodput");
    ck_assert_str_eq(string_of(chart, "form"), "ranges");
    for (uint32_t i = 0; i < 2; i++) {
        struct exp_band b = o.c.row[i].value[EXP_GOODPUT];
        ck_assert_double_eq_tol(at(points, i, 1), b.lo, 1e-4 * b.lo);
        ck_assert_double_eq_tol(at(points, i, 2), b.mean, 1e-4 * b.mean);
        ck_assert_double_eq_tol(at(points, i, 3), b.hi, 1e-4 * b.hi);
        double mean, lo, hi;
        const char *cell = text_cell_of(o.doc, "intervals", o.c.row[i].label, "goodput");
        ck_assert_int_eq(sscanf(cell, "%lf [%lf, %lf]", &mean, &lo, &hi), 3);
        ck_assert_double_eq_tol(mean, b.mean, 1e-3 * b.mean);
        ck_assert_double_eq_tol(lo, b.lo, 1e-3 * b.lo);
        ck_assert_double_eq_tol(hi, b.hi, 1e-3 * b.hi);
    }
    ck_assert(has_text(o.doc, "--replications=3"));
    compared_fini(&o);
}
END_TEST

START_TEST(who_cannot_run_is_named_with_the_reason)
{
    static const char *const settings[] = {"fleet.0.pipeline_parallel=2", NULL};
    struct compared o = compared("all", 0, settings);
    uint32_t absent = 0;
    for (uint32_t i = 0; i < o.c.n_rows; i++) {
        if (!o.c.row[i].why_not[0]) continue;
        absent++;
        ck_assert(isnan(cell_of(o.doc, "cannot-run", o.c.row[i].label, "why"))); /* a text */
        ck_assert_ptr_null(find_series(o.doc, "tpot", o.c.row[i].label));
    }
    ck_assert_uint_gt(absent, 0);
    compared_fini(&o);
}
END_TEST

/* ---- validations ---- */

static struct exp_reruns reruns_of(struct exp_measured *m, const char *rows)
{
    struct sim_status st = {0};
    struct exp_reruns t;
    char *text = sim_printf("model_path,system,precision,isl,osl,concurrency,tp_size,backend_version,"
                            "ttft_ms,tpot_ms\n%s",
                            rows);
    ck_assert_msg(exp_measured_read(test_file("measured.csv", text), m, &st), "%s", st.message);
    free(text);
    const char *plan = test_file("plan.yaml", "requests_per_concurrency: 2\n");
    ck_assert_msg(exp_reruns_new(m, plan, cache, NULL, &t, &st), "%s", st.message);
    return t;
}

START_TEST(errors_that_were_put_in_come_out)
{
    struct exp_measured m;
    struct exp_reruns t = reruns_of(&m, "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,4,1,0.12.0,100,10\n"
                                        "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,8,1,0.12.0,200,20\n"
                                        "Qwen/Qwen3-8B,h200_sxm,bf16,512,64,8,2,0.12.0,300,30\n"
                                        "nobody/Nothing-1B,h100_sxm,bf16,1024,128,8,1,,100,10\n");
    static const double ttft[] = {1.1, 0.8, 1.5}, tpot[] = {1.02, 0.98, 1};
    ck_assert_uint_eq(t.n, 3);
    for (int i = 0; i < 3; i++) {
        t.trial[i].ttft_ms = ttft[i] * t.trial[i].point->ttft_ms;
        t.trial[i].tpot_ms = tpot[i] * t.trial[i].point->tpot_ms;
    }
    struct sim_status st = {0};
    const char *measured = test_file("measured.csv", ""), *plan = test_file("plan.yaml", "settings: {}\n");
    struct exp_validated v = {&t, NULL, 0, measured, plan, true, exp_cache_data_dir(cache)};
    json_t *doc = exp_report_of_validation(&v, &st);
    is_sound(doc);
    ck_assert_double_eq_tol(cell_of(doc, "error-summary", "TTFT", "mean error"), 80 / 3.0, 1e-9);
    ck_assert_double_eq_tol(cell_of(doc, "error-summary", "TTFT", "bias"), 40 / 3.0, 1e-9);
    ck_assert_double_eq_tol(cell_of(doc, "error-summary", "TTFT", "worst"), 50, 1e-9);
    ck_assert_double_eq_tol(cell_of(doc, "error-summary", "TPOT", "median"), 2, 1e-9);
    const json_t *gpu = series_of(doc, "by-gpu", "TTFT"), *worst = part_of(doc, "table", "worst");
    ck_assert_double_eq_tol(at(gpu, 0, 2), -5, 1e-3); /* h100: the median of 10 and -20 */
    ck_assert_double_eq_tol(at(gpu, 0, 1), -17, 1e-3);
    ck_assert_double_eq_tol(at(gpu, 1, 2), 50, 1e-3);
    ck_assert_str_eq(json_string_value(json_array_get(json_array_get(json_object_get(worst, "rows"), 0), 1)),
                     "h200_sxm");
    ck_assert_double_eq(at(series_of(doc, "predicted-ttft", "h200_sxm"), 0, 1), 450);
    const json_t *left_out = json_object_get(part_of(doc, "table", "left-out"), "rows");
    ck_assert_uint_eq(json_array_size(left_out), 1);
    ck_assert(has_text(doc, "nobody/Nothing-1B"));
    json_decref(doc);
    exp_reruns_fini(&t);
    exp_measured_fini(&m);
}
END_TEST

/* Names tell what differs, axes fit what lies close together, and one point has no half. */
START_TEST(few_points_are_told_as_few)
{
    static const char one[] = "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,4,1,0.12.0,100,10\n",
                      two[] = "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,4,1,0.12.0,100,10\n"
                              "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,8,1,0.12.0,2000,20\n";
    const char *const files[] = {one, two}, *plan, *measured;
    for (uint32_t n = 1; n <= 2; n++) {
        struct exp_measured m;
        struct exp_reruns t = reruns_of(&m, files[n - 1]);
        struct sim_status st = {0};
        for (uint32_t i = 0; i < n; i++) {
            t.trial[i].ttft_ms = 1.5 * t.trial[i].point->ttft_ms;
            t.trial[i].tpot_ms = 1.1 * t.trial[i].point->tpot_ms;
        }
        measured = test_file("measured.csv", "");
        plan = test_file("plan.yaml", "settings: {}\n");
        struct exp_validated v = {&t, NULL, 0, measured, plan, true, exp_cache_data_dir(cache)};
        json_t *doc = exp_report_of_validation(&v, &st);
        is_sound(doc);
        ck_assert(has_text(doc, "half of them") == (n == 2));
        ck_assert(has_text(doc, "{1} points") == (n == 2));
        ck_assert(has_text(doc, "by-concurrency") == (n == 2) && !has_text(doc, "by-model"));
        if (n == 2) {
            const json_t *tpot = part_of(doc, "chart", "predicted-tpot"),
                         *ttft = part_of(doc, "chart", "predicted-ttft"),
                         *point = json_array_get(series_of(doc, "predicted-ttft", "h100_sxm"), 1);
            ck_assert_str_eq(string_of(json_object_get(tpot, "x"), "scale"), "linear");
            ck_assert_str_eq(string_of(json_object_get(ttft, "x"), "scale"), "log");
            ck_assert_str_eq(json_string_value(json_array_get(point, 2)), "x8");
        }
        json_decref(doc);
        exp_reruns_fini(&t);
        exp_measured_fini(&m);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("report_of");
    TCase *c = tcase_create("report_of");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, open_cache, close_cache);
    tcase_add_test(c, numbers_of_a_run_are_those_of_its_figures);
    tcase_add_test(c, the_first_sentence_says_who_misses_what);
    tcase_add_test(c, the_first_section_says_only_what_is_so);
    tcase_add_test(c, a_fleet_without_transfers_makes_no_link_look_idle);
    tcase_add_test(c, a_distribution_rises_and_its_middle_is_the_median);
    tcase_add_test(c, what_is_drawn_over_time_comes_to_the_totals);
    tcase_add_test(c, a_link_is_never_busier_than_all_of_the_time);
    tcase_add_test(c, the_scenario_in_a_document_gives_the_same_run_again);
    tcase_add_test(c, shares_of_a_stack_add_up_to_all);
    tcase_add_test(c, a_run_of_nothing_still_has_a_document);
    tcase_add_test(c, a_comparison_of_every_strategy_is_small_enough);
    tcase_add_test(c, tables_and_steps_of_a_comparison_are_its_rows);
    tcase_add_test(c, the_answer_of_a_comparison_tells_only_differences);
    tcase_add_test(c, with_replications_bars_become_ranges_and_tables_get_intervals);
    tcase_add_test(c, who_cannot_run_is_named_with_the_reason);
    tcase_add_test(c, few_points_are_told_as_few);
    tcase_add_test(c, errors_that_were_put_in_come_out);
    suite_add_tcase(s, c);
    return s;
}
