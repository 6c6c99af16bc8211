/* The report of a study. Oracles: winners worked out by hand on a store made by hand, and by plain scans of the same numbers
 * where they are random; counts of what was put; every pair of points for the Pareto front. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/doc.h"
#include "experiments/report/of_study.h"
#include "experiments/report/of_study_winners.h"
#include "experiments/report/report.h"
#include "sim/random.h"
#include "tests/report_help.h"
#include "tests/store_help.h"

/* ---- stores made by hand ---- */

enum { N_GPUS = 3, N_STRATEGIES = 3, N_LOADS = 3, N_POINTS = N_GPUS * N_STRATEGIES * N_LOADS };
static const char *const gpus[] = {"h100-sxm", "l40s", "a100-80-sxm"};
static const char *const strategies[] = {"full", "fp8", "freekv:budget=1024"};
static const double loads[] = {1, 4, 16};

/* What a point measures; NaN = not known. */
struct figures {
    double goodput, cost_hour, sla_met, tpot_ms, newly_failing;
};

static void put_measure(struct exp_point_result *r, const char *name, double value)
{
    size_t i = exp_measure_find(name);
    ck_assert_msg(i < exp_measure_count(), "no measure %s", name);
    r->measure[i] = value;
}

static struct exp_point_result point(uint64_t i, const struct figures *f, const char *settings)
{
    struct exp_point_result r = {.index = i, .wall_s = 0.1, .load_state = "stable"};
    snprintf(r.key, sizeof r.key, "%032llx", (unsigned long long)i + 1);
    snprintf(r.setup, sizeof r.setup, "%032llx", (unsigned long long)i + 1000001);
    r.measure = sim_alloc(exp_measure_count(), sizeof *r.measure);
    for (size_t k = 0; k < exp_measure_count(); k++) r.measure[k] = NAN;
    put_measure(&r, "request_goodput", f->goodput);
    put_measure(&r, "slo_attainment", f->sla_met ? 0.995 : 0.5);
    put_measure(&r, "sla_met", f->sla_met);
    put_measure(&r, "p99_ttft_ms", 200);
    put_measure(&r, "p99_tpot_ms", f->tpot_ms);
    put_measure(&r, "kv_peak_utilization", 0.5);
    put_measure(&r, "gpus", 2);
    put_measure(&r, "cost_per_hour", f->cost_hour);
    put_measure(&r, "cost_per_1000_within_slo", f->cost_hour / 3.6 / f->goodput);
    put_measure(&r, "cost_per_1000_good", f->cost_hour / 3.6 / f->goodput / (1 - f->newly_failing));
    put_measure(&r, "newly_failing", f->newly_failing);
    put_measure(&r, "time_measured_frac", 0.25);
    put_measure(&r, "time_interpolated_frac", 0.5);
    put_measure(&r, "time_analytic_frac", 0.25);
    r.settings = sim_strdup(settings);
    return r;
}

static char *settings_of(uint64_t i)
{
    return sim_printf("{\"fleet.0.gpu\":\"%s\",\"strategy\":\"%s\",\"workload.multiply\":%g}",
                      gpus[i / (N_STRATEGIES * N_LOADS)], strategies[i / N_LOADS % N_STRATEGIES],
                      loads[i % N_LOADS]);
}

static void put_point(struct exp_store *s, uint64_t i, const struct figures *f)
{
    char *settings = settings_of(i);
    store_put(s, point(i, f, settings));
    free(settings);
}

static const char axes[] =
    "[{\"path\":\"fleet.0.gpu\",\"numeric\":false},{\"path\":\"strategy\",\"numeric\":false},"
    "{\"path\":\"workload.multiply\",\"numeric\":true}]";

static struct exp_store *new_store(const char *name)
{
    struct sim_status st = {0};
    struct exp_store *s = store_opened(store_path(name), EXP_STORE_WRITE);
    struct exp_study_row row = {
        "by-hand",
        "grid: {}\n",
        "model: llama-3.1-8b\n",
        "{\"model_version\":\"0.1.0-abc\",\"files\":[{\"path\":\"a.csv\",\"sha256\":\"00ff\"}]}",
        "made for a test",
        axes,
        N_POINTS + 5};
    ck_assert_msg(exp_store_put_study_row(s, &row, &st), "%s", st.message);
    return s;
}

/* Requests within limits a second; costs 36 an hour, so that 100 of them are 10,000 per unit of cost.
 *   h100  full 5, 20, 0 (late)   fp8 5, 24, 40 (late)   freekv 5, 10, 12      fp8 wins with 24, full 20: 20 % ahead
 *   l40s  full 10, 9.9, 3        fp8 10.1, 4, 1 (late)  freekv 9, 8, 7 (late) fp8 wins with 10.1, full 10: a tie
 *   a100  everything late */
static const struct figures by_hand[N_POINTS] = {
    {5, 36, 1, 10, 0},      {20, 36, 1, 20, 0},    {0.5, 36, 0, 90, 0},  {5, 36, 1, 9, 0.01},
    {24, 36, 1, 19, 0.01},  {40, 36, 0, 80, 0.01}, {5, 36, 1, 11, 0.02}, {10, 36, 1, 12, 0.02},
    {12, 36, 1, 30, 0.02},  {10, 36, 1, 10, 0},    {9.9, 36, 1, 11, 0},  {3, 36, 1, 12, 0},
    {10.1, 36, 1, 9, 0.01}, {4, 36, 1, 10, 0.01},  {1, 36, 0, 90, 0.01}, {9, 36, 1, 15, 0.02},
    {8, 36, 1, 16, 0.02},   {7, 36, 0, 90, 0.02},  {1, 36, 0, 90, 0},    {1, 36, 0, 90, 0},
    {1, 36, 0, 90, 0},      {2, 36, 0, 90, 0.01},  {2, 36, 0, 90, 0.01}, {2, 36, 0, 90, 0.01},
    {3, 36, 0, 90, 0.02},   {3, 36, 0, 90, 0.02},  {3, 36, 0, 90, 0.02},
};

static struct exp_store *store_by_hand(const char *name)
{
    struct exp_store *s = new_store(name);
    for (uint64_t i = 0; i < N_POINTS; i++) put_point(s, i, &by_hand[i]);
    return s;
}

static json_t *report_of(struct exp_store *s)
{
    struct sim_status st = {0};
    json_t *doc = exp_report_of_study(s, NULL, &st);
    ck_assert_msg(doc != NULL, "%s", st.message);
    ck_assert_msg(exp_report_check(doc, "report.json", &st), "%s", st.message);
    return doc;
}

static struct exp_study_rows *rows_of(struct exp_store *s)
{
    struct sim_status st = {0};
    struct exp_study_rows *rows = exp_study_rows_load(s, "by-hand", &st);
    ck_assert_msg(rows != NULL, "%s", st.message);
    return rows;
}

static const char *cell_text(const json_t *table, size_t row, size_t column)
{
    const char *text =
        json_string_value(json_array_get(json_array_get(json_object_get(table, "rows"), row), column));
    ck_assert_msg(text != NULL, "no text in row %d, column %d", (int)row, (int)column);
    return text;
}

static double cell_number(const json_t *table, size_t row, size_t column)
{
    const json_t *v = json_array_get(json_array_get(json_object_get(table, "rows"), row), column);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* ---- winners ---- */

START_TEST(winners_margins_and_ties_are_those_worked_out_by_hand)
{
    struct exp_store *s = store_by_hand("winners.sqlite");
    json_t *doc = report_of(s);
    const json_t *t = part_of(doc, "table", "winners");
    ck_assert_uint_eq(json_array_size(json_object_get(t, "rows")), N_GPUS);
    ck_assert_str_eq(cell_text(t, 0, 0), "h100-sxm");
    ck_assert_str_eq(cell_text(t, 0, 1), "fp8");
    ck_assert_str_eq(cell_text(t, 0, 2), "multiply=4");
    ck_assert_double_eq_tol(cell_number(t, 0, 3), 2400, 1e-9);
    ck_assert_str_eq(cell_text(t, 0, 4), "full");
    ck_assert_double_eq_tol(cell_number(t, 0, 5), 20, 1e-9);
    ck_assert_double_eq_tol(cell_number(t, 0, 6), 20, 1e-9);
    ck_assert_double_eq_tol(cell_number(t, 0, 7), 1, 1e-9);
    ck_assert_double_eq_tol(cell_number(t, 0, 8), 75, 1e-9);
    ck_assert_str_eq(cell_text(t, 0, 9), "clear");
    ck_assert_str_eq(cell_text(t, 1, 0), "l40s");
    ck_assert_str_eq(cell_text(t, 1, 1), "fp8");
    ck_assert_str_eq(cell_text(t, 1, 2), "multiply=1");
    ck_assert_double_eq_tol(cell_number(t, 1, 5), 1, 1e-6);
    ck_assert_str_eq(cell_text(t, 1, 9), "tie");
    ck_assert_str_eq(cell_text(t, 2, 0), "a100-80-sxm");
    ck_assert_str_eq(cell_text(t, 2, 1), "");
    ck_assert_str_eq(cell_text(t, 2, 9), "none meets the SLA");
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

static void put_winners_markdown(const struct exp_winners *w, FILE *out)
{
    json_t *doc = exp_doc_new("study", "", NULL), *section = exp_doc_section(doc, "winners", "");
    exp_winners_put(section, w);
    json_t *translated = exp_report_translated(doc, EXP_ENGLISH);
    const json_t *only = json_array_get(json_object_get(translated, "sections"), 0);
    exp_report_markdown_table(json_array_get(json_object_get(only, "parts"), 0), EXP_ENGLISH, out);
    json_decref(translated);
    json_decref(doc);
}

START_TEST(the_table_of_winners_is_printed_alone_as_markdown)
{
    struct exp_store *s = store_by_hand("markdown.sqlite");
    struct exp_study_rows *rows = rows_of(s);
    struct exp_winners *w = exp_winners_of(rows);
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    put_winners_markdown(w, out);
    fclose(out);
    ck_assert_msg(*text == '|', "%s", text);
    ck_assert_uint_eq(count_of(text, "\n|"), N_GPUS + 1); /* a head above, a line below it */
    const char *row = strstr(text, "\n| h100-sxm");
    ck_assert_msg(row != NULL, "%s", text);
    static const char *const cells[] = {"fp8", "multiply=4", "2400", "full", "20", "clear"};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        row = strstr(row, cells[i]);
        ck_assert_msg(row && row < strstr(text, "\n| l40s"), "%s is not in its place in %s", cells[i], text);
    }
    free(text);
    exp_winners_free(w);
    exp_study_rows_free(rows);
    exp_store_close(s);
}
END_TEST

START_TEST(without_prices_the_gpus_are_what_is_paid_with)
{
    struct exp_store *s = new_store("gpus.sqlite");
    for (uint64_t i = 0; i < N_POINTS; i++) {
        struct figures f = by_hand[i];
        if (i == 20) f.cost_hour = NAN; /* one is enough */
        put_point(s, i, &f);
    }
    struct exp_study_rows *rows = rows_of(s);
    ck_assert_int_eq(exp_study_basis(rows), EXP_STUDY_PER_GPU);
    struct exp_winners *w = exp_winners_of(rows);
    ck_assert_double_eq(w->winner[0].score, 12);
    exp_winners_free(w);
    exp_study_rows_free(rows);
    exp_store_close(s);
}
END_TEST

/* 36 an hour; the h100's fp8 is the fastest and half of its answers newly fail, freekv's nobody scored:
 *   full 20 good of 20      fp8 36 at load 4, 18 of them good; 24 at load 1, all good but a fifth: 19.2
 *   freekv 60, not scored */
START_TEST(most_good_answers_are_not_those_of_the_fastest_nor_of_who_was_never_scored)
{
    struct figures all[N_POINTS];
    memcpy(all, by_hand, sizeof all);
    all[1] = (struct figures){20, 36, 1, 20, 0};
    all[3] = (struct figures){24, 36, 1, 9, 0.2};
    all[4] = (struct figures){36, 36, 1, 19, 0.5};
    all[7] = (struct figures){60, 36, 1, 12, NAN};
    all[6].newly_failing = all[8].newly_failing = NAN;
    struct exp_store *s = new_store("good.sqlite");
    for (uint64_t i = 0; i < N_POINTS; i++) put_point(s, i, &all[i]);
    json_t *doc = report_of(s);
    const json_t *t = part_of(doc, "table", "winners");
    ck_assert_str_eq(cell_text(t, 0, 1), "freekv:budget=1024");
    ck_assert_str_eq(cell_text(t, 0, 4), "fp8");
    ck_assert_str_eq(cell_text(t, 0, 10), "full");
    ck_assert_double_eq_tol(cell_number(t, 0, 11), 0, 1e-9);
    ck_assert_str_eq(cell_text(t, 2, 10), ""); /* everything is late */
    ck_assert(isnan(cell_number(t, 2, 11)));
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

/* Of by_hand's l40s: full 10, fp8 10.1 of which 1 % newly fail: 9.999. With 0.5 % it were 10.0495, 0.495 % ahead. And of a
 * strategy the point that serves most good ones counts, which need not be its fastest: 12 of 12, not 10 of 100. */
START_TEST(good_answers_are_counted_at_the_point_that_has_most_of_them)
{
    static const struct {
        double failing[2], lead; /* of fp8 at loads 1 and 4, and its lead in percent */
        const char *most;
    } cases[] = {{{0.01, 0.01}, 0, "full"}, {{0.005, 0.01}, 0.495, "fp8"}, {{0.9, 0}, 20, "fp8"}};
    for (int i = 0; i < 3; i++) {
        struct figures all[N_POINTS];
        memcpy(all, by_hand, sizeof all);
        for (int k = 0; k < 2; k++) all[12 + k].newly_failing = cases[i].failing[k];
        if (i == 2) all[12].goodput = 100, all[13].goodput = 12; /* ten good ones, and twelve */
        char name[32];
        snprintf(name, sizeof name, "most-good-%d.sqlite", i);
        struct exp_store *s = new_store(name);
        for (uint64_t k = 0; k < N_POINTS; k++) put_point(s, k, &all[k]);
        json_t *doc = report_of(s);
        const json_t *t = part_of(doc, "table", "winners");
        ck_assert_str_eq(cell_text(t, 1, 1), "fp8");
        ck_assert_str_eq(cell_text(t, 1, 10), cases[i].most);
        ck_assert_double_eq_tol(cell_number(t, 1, 11), cases[i].lead, 1e-9);
        json_decref(doc);
        exp_store_close(s);
    }
}
END_TEST

/* Straight from the numbers that were put. */
static void assert_winner(const struct exp_winner *of, const struct figures *all, int gpu)
{
    double best[N_STRATEGIES];
    int first = -1, second = -1;
    for (int k = 0; k < N_STRATEGIES; k++) {
        best[k] = -1;
        for (int x = 0; x < N_LOADS; x++) {
            const struct figures *f = &all[(gpu * N_STRATEGIES + k) * N_LOADS + x];
            if (f->sla_met == 1 && 3600 * f->goodput / f->cost_hour > best[k])
                best[k] = 3600 * f->goodput / f->cost_hour;
        }
    }
    for (int k = 0; k < N_STRATEGIES; k++)
        if (best[k] >= 0 && (first < 0 || best[k] > best[first])) first = k;
    for (int k = 0; k < N_STRATEGIES; k++)
        if (k != first && best[k] >= 0 && (second < 0 || best[k] > best[second])) second = k;
    ck_assert_int_eq(of->first, first);
    ck_assert_int_eq(of->second, second);
    if (first < 0) return;
    ck_assert_double_eq_tol(of->score, best[first], 1e-9 * best[first]);
    if (second >= 0) {
        ck_assert_double_eq_tol(of->margin, best[first] / best[second] - 1, 1e-9);
        ck_assert_int_eq(of->tied, best[first] / best[second] - 1 <= 0.02);
    }
    if (best[0] > 0) ck_assert_double_eq_tol(of->over_full, best[first] / best[0] - 1, 1e-9);
}

START_TEST(winners_of_random_numbers_are_those_of_a_plain_scan)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        char name[32];
        struct figures all[N_POINTS];
        snprintf(name, sizeof name, "random-%d.sqlite", (int)seed);
        struct exp_store *s = new_store(name);
        for (uint64_t i = 0; i < N_POINTS; i++) { /* put in any order */
            uint64_t k = (i * 7 + seed) % N_POINTS;
            double unit[3];
            for (uint64_t n = 0; n < 3; n++) unit[n] = sim_random_unit(seed, n, k);
            all[k] = (struct figures){floor(1 + 40 * unit[0]), k / 9 == 1 ? 10 : 30, unit[1] < 0.5,
                                      10 + 50 * unit[2], 0};
            put_point(s, k, &all[k]);
        }
        struct exp_study_rows *rows = rows_of(s);
        struct exp_winners *w = exp_winners_of(rows);
        ck_assert_uint_eq(w->n, N_GPUS);
        for (int g = 0; g < N_GPUS; g++) assert_winner(&w->winner[g], all, g);
        exp_winners_free(w);
        exp_study_rows_free(rows);
        exp_store_close(s);
    }
}
END_TEST

/* ---- against load ---- */

static const json_t *series_of(const json_t *doc, const char *chart, const char *name)
{
    size_t i;
    const json_t *s;
    json_array_foreach(json_object_get(part_of(doc, "chart", chart), "series"), i,
                       s) if (strcmp(string_of(s, "name"), name) == 0) return json_object_get(s, "points");
    ck_abort_msg("%s has no series %s", chart, name);
    return NULL;
}

START_TEST(every_combination_has_its_lines_over_the_load)
{
    static const char *const ids[] = {"goodput", "goodput-2", "goodput-3"};
    struct exp_store *s = store_by_hand("lines.sqlite");
    json_t *doc = report_of(s);
    for (int g = 0; g < N_GPUS; g++)
        for (int k = 0; k < N_STRATEGIES; k++) {
            const json_t *points = series_of(doc, ids[g], strategies[k]);
            ck_assert_uint_eq(json_array_size(points), N_LOADS);
            for (size_t x = 0; x < N_LOADS; x++) {
                const json_t *p = json_array_get(points, x);
                ck_assert_double_eq(json_number_value(json_array_get(p, 0)), loads[x]);
                ck_assert_double_eq(json_number_value(json_array_get(p, 1)),
                                    by_hand[((size_t)(g * N_STRATEGIES + k)) * N_LOADS + x].goodput);
            }
        }
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

START_TEST(the_highest_load_is_the_last_before_the_first_that_misses)
{
    struct exp_store *s = store_by_hand("highest.sqlite");
    json_t *doc = report_of(s);
    const json_t *t = part_of(doc, "table", "highest-load");
    static const double expected[] = {4, 4, 16, 16, 4, 4, NAN, NAN, NAN};
    static const char *const more[] = {"misses it",     "misses it", "nothing tried",
                                       "nothing tried", "misses it", "misses it",
                                       "misses it",     "misses it", "misses it"};
    for (size_t i = 0; i < N_GPUS * N_STRATEGIES; i++) {
        ck_assert_str_eq(cell_text(t, i, 0), gpus[i / N_STRATEGIES]);
        ck_assert_str_eq(cell_text(t, i, 1), strategies[i % N_STRATEGIES]);
        double highest = cell_number(t, i, 2);
        ck_assert(highest == expected[i] || (isnan(highest) && isnan(expected[i])));
        ck_assert_str_eq(cell_text(t, i, 3), more[i]);
    }
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

START_TEST(a_key_that_is_no_load_nor_a_name_is_pooled_by_its_best)
{
    struct sim_status st = {0};
    struct exp_store *s = store_opened(store_path("pooled.sqlite"), EXP_STORE_WRITE);
    struct exp_study_row row = {
        "by-hand",
        "grid: {}\n",
        "{}",
        "{}",
        "",
        "[{\"path\":\"strategy\",\"numeric\":false},{\"path\":\"workload.multiply\",\"numeric\":true},"
        "{\"path\":\"fleet.0.tensor_parallel\",\"numeric\":true}]",
        8};
    ck_assert_msg(exp_store_put_study_row(s, &row, &st), "%s", st.message);
    for (uint64_t i = 0; i < 8; i++) {
        struct figures f = {.goodput = (double)(i % 2 ? 3 : 5) + (double)i,
                            .cost_hour = i % 2 ? 1 : 10,
                            .sla_met = 1,
                            .tpot_ms = 9};
        char *settings =
            sim_printf("{\"strategy\":\"%s\",\"workload.multiply\":%d,\"fleet.0.tensor_parallel\":%d}",
                       i / 4 ? "fp8" : "full", (int)(i / 2 % 2 + 1), (int)(i % 2 + 1));
        store_put(s, point(i, &f, settings));
        free(settings);
    }
    json_t *doc = report_of(s);
    const json_t *full = series_of(doc, "goodput", "full"), *t = part_of(doc, "table", "winners");
    ck_assert_double_eq(json_number_value(json_array_get(json_array_get(full, 0), 1)),
                        4); /* TP 2 is the cheaper */
    ck_assert_double_eq(json_number_value(json_array_get(json_array_get(full, 1), 1)), 6);
    ck_assert_str_eq(cell_text(t, 0, 0), "fp8");
    ck_assert_str_eq(cell_text(t, 0, 1), "multiply=2, tensor_parallel=2");
    char *text = json_dumps(doc, 0);
    ck_assert_ptr_nonnull(strstr(text, "at each load a line shows the best of their values"));
    ck_assert_ptr_nonnull(strstr(text, "\"fp8, multiply=2, tensor_parallel=2\""));
    free(text);
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

/* ---- what else it says ---- */

static double fact(const json_t *doc, const char *name)
{
    size_t i;
    const json_t *f;
    json_array_foreach(json_object_get(part_of(doc, "facts", NULL), "items"), i,
                       f) if (strcmp(string_of(f, "name"), name) ==
                              0) return json_number_value(json_object_get(f, "value"));
    ck_abort_msg("no fact %s", name);
    return NAN;
}

START_TEST(failed_points_are_counted_by_reason_whatever_their_numbers)
{
    static const char *const whys[] = {"TP 3 does not divide 32 heads", "TP 5 does not divide 32 heads",
                                       "no memory for KV", "TP 17 does not divide 64 heads"};
    struct exp_store *s = store_by_hand("failed.sqlite");
    for (uint64_t i = 0; i < 4; i++) {
        char key[EXP_KEY_BYTES];
        snprintf(key, sizeof key, "%032llx", (unsigned long long)i + 777);
        store_put(s, store_failed(N_POINTS + i, key, whys[i]));
    }
    json_t *doc = report_of(s);
    const json_t *t = part_of(doc, "table", "failed");
    ck_assert_uint_eq(json_array_size(json_object_get(t, "rows")), 2);
    ck_assert_double_eq(cell_number(t, 0, 0), 3);
    ck_assert_str_eq(cell_text(t, 0, 1), whys[0]);
    ck_assert_double_eq(cell_number(t, 1, 0), 1);
    ck_assert_str_eq(cell_text(t, 1, 1), whys[2]);
    ck_assert_double_eq(fact(doc, "done"), N_POINTS);
    ck_assert_double_eq(fact(doc, "failed"), 4);
    ck_assert_double_eq(fact(doc, "points of the study"), N_POINTS + 5);
    ck_assert_uint_eq(json_array_size(json_object_get(part_of(doc, "table", "points"), "rows")),
                      N_POINTS + 4);
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

START_TEST(the_head_opens_with_the_answer_and_names_failures)
{
    struct exp_store *s = store_by_hand("answer.sqlite");
    struct exp_point_result failed = store_failed(N_POINTS, "00000000000000000000000000000999", "no memory");
    free(failed.settings);
    failed.settings = settings_of(0);
    store_put(s, failed);
    json_t *doc = report_of(s);
    char *head = json_dumps(json_array_get(json_object_get(doc, "sections"), 0), JSON_COMPACT);
    char *subtitle = json_dumps(json_object_get(doc, "subtitle"), JSON_COMPACT);
    ck_assert_str_eq(subtitle, "[\"{0} points done, {1} failed\",\"27\",\"1\"]");
    const char *wins = strstr(head, "\"3\",\"fp8 2\""), *ties = strstr(head, "[\"In {0} of them"),
               *none = strstr(head, "[\"In {0} of {1} combinations"), *facts = strstr(head, "facts");
    ck_assert_msg(wins && ties && none && facts, "%s", head);
    ck_assert(wins < ties && ties < none && none < facts);
    ck_assert_ptr_null(strstr(head, "stale"));
    free(head);
    free(subtitle);
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

START_TEST(stale_points_are_listed_and_win_nothing)
{
    struct exp_store *s = new_store("stale.sqlite");
    struct figures best = {1000, 36, 1, 1, 0};
    char *settings = settings_of(0);
    struct exp_point_result old = point(0, &best, settings);
    snprintf(old.key, sizeof old.key, "%032d", 99); /* the same setup, an older trace */
    store_put(s, old);
    for (uint64_t i = 0; i < N_POINTS; i++) put_point(s, i, &by_hand[i]);
    json_t *doc = report_of(s);
    ck_assert_double_eq(fact(doc, "stale"), 1);
    ck_assert_double_eq(fact(doc, "done"), N_POINTS);
    ck_assert_str_eq(cell_text(part_of(doc, "table", "winners"), 0, 1), "fp8");
    ck_assert_uint_eq(json_array_size(json_object_get(part_of(doc, "table", "points"), "rows")),
                      N_POINTS + 1);
    free(settings);
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

/* How many points stand in a picture, those of the front twice. */
static size_t assert_front(const json_t *doc, const char *id)
{
    const json_t *front = series_of(doc, id, "front"), *series, *p;
    size_t i, k, n = 0;
    json_array_foreach(json_object_get(part_of(doc, "chart", id), "series"), i, series)
    {
        json_array_foreach(json_object_get(series, "points"), k, p)
        {
            double x = json_number_value(json_array_get(p, 0)), y = json_number_value(json_array_get(p, 1));
            bool reached = false;
            for (size_t f = 0; f < json_array_size(front); f++) {
                double fx = json_number_value(json_array_get(json_array_get(front, f), 0));
                double fy = json_number_value(json_array_get(json_array_get(front, f), 1));
                ck_assert(!(x <= fx && y <= fy && (x < fx || y < fy)));
                reached |= fx <= x && fy <= y;
            }
            ck_assert(reached);
            n++;
        }
    }
    return n - json_array_size(front);
}

/* A card is no choice against another that serves other traffic: each combination has its own front. */
START_TEST(the_front_of_every_picture_is_what_no_point_beats)
{
    struct exp_store *s = store_by_hand("front.sqlite");
    json_t *doc = report_of(s);
    ck_assert_uint_eq(assert_front(doc, "pareto"),
                      7); /* of nine on each of two cards meet the service levels */
    ck_assert_uint_eq(assert_front(doc, "pareto-2"), 7);
    char *text = json_dumps(doc, 0);
    ck_assert_ptr_null(strstr(text, "pareto-3")); /* on the third everything is late */
    free(text);
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

START_TEST(effects_are_means_over_the_points_with_a_value)
{
    struct exp_store *s = store_by_hand("effects.sqlite");
    json_t *doc = report_of(s);
    double sum[N_GPUS] = {0}, all = 0;
    for (int i = 0; i < N_POINTS; i++) sum[i / 9] += 100 * by_hand[i].goodput / 9;
    for (int g = 0; g < N_GPUS; g++) all += sum[g] / N_GPUS;
    const json_t *bar = json_array_get(series_of(doc, "effects", "from its worst to its best value"), 0);
    const json_t *t = part_of(doc, "table", "effects-table");
    ck_assert_double_eq_tol(json_number_value(json_array_get(bar, 1)), sum[2], 0.01);
    ck_assert_double_eq_tol(json_number_value(json_array_get(bar, 2)), all, 0.01);
    ck_assert_double_eq_tol(json_number_value(json_array_get(bar, 3)), sum[0], 0.01 * sum[0]);
    ck_assert_str_eq(cell_text(t, 0, 0), "fleet.0.gpu");
    ck_assert_str_eq(cell_text(t, 0, 1), "a100-80-sxm");
    ck_assert_double_eq(cell_number(t, 0, 3), 9);
    ck_assert_str_eq(cell_text(t, 0, 4), "h100-sxm");
    ck_assert_str_eq(cell_text(t, 0, 7), "same combinations");
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

/* Of the h100 its best point is missing: it counts on no card then, and every other one as before. */
START_TEST(values_are_compared_where_nothing_else_differs)
{
    const int missing = 5;
    double sum[N_GPUS] = {0};
    struct exp_store *s = new_store("alike.sqlite");
    for (int i = 0; i < N_POINTS; i++) {
        if (i != missing) put_point(s, (uint64_t)i, &by_hand[i]);
        if (i % 9 != missing) sum[i / 9] += 100 * by_hand[i].goodput / 8;
    }
    json_t *doc = report_of(s);
    const json_t *t = part_of(doc, "table", "effects-table");
    ck_assert_str_eq(cell_text(t, 0, 1), "a100-80-sxm");
    ck_assert_double_eq_tol(cell_number(t, 0, 2), sum[2], 0.01);
    ck_assert_double_eq(cell_number(t, 0, 3), 8);
    ck_assert_str_eq(cell_text(t, 0, 4), "h100-sxm");
    ck_assert_double_eq_tol(cell_number(t, 0, 5), sum[0], 0.01);
    ck_assert_double_eq(cell_number(t, 0, 6), 8);
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

/* Card, strategy and load turn together: no two points differ in one key only. */
START_TEST(values_that_are_nowhere_together_are_marked_with_their_points)
{
    struct exp_store *s = new_store("apart.sqlite");
    for (uint64_t k = 0; k < N_LOADS; k++) {
        uint64_t i = (k * N_STRATEGIES + k) * N_LOADS + k;
        put_point(s, i, &by_hand[i]);
    }
    json_t *doc = report_of(s);
    const json_t *t = part_of(doc, "table", "effects-table");
    for (size_t k = 0; k < 3; k++) {
        ck_assert_double_eq(cell_number(t, k, 3), 1);
        ck_assert_double_eq(cell_number(t, k, 6), 1);
        ck_assert_str_eq(cell_text(t, k, 7), "different combinations *");
    }
    const json_t *names = json_object_get(json_object_get(part_of(doc, "chart", "effects"), "x"), "names");
    ck_assert_str_eq(json_string_value(json_array_get(names, 0)), "gpu *");
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

START_TEST(what_is_needed_to_make_it_again_is_there)
{
    struct exp_store *s = store_by_hand("again.sqlite");
    json_t *doc = report_of(s);
    char *text = json_dumps(doc, 0);
    static const char *const needed[] = {"grid: {}", "model: llama-3.1-8b", "0.1.0-abc", "a.csv",
                                         "00ff",     "made for a test"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        ck_assert_msg(strstr(text, needed[i]) != NULL, "%s", needed[i]);
    free(text);
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

START_TEST(a_study_without_points_has_a_report_too)
{
    struct exp_store *s = new_store("empty.sqlite");
    json_t *doc = report_of(s);
    ck_assert_double_eq(fact(doc, "done"), 0);
    json_decref(doc);
    exp_store_close(s);
}
END_TEST

START_TEST(which_study_must_be_said_where_there_are_several)
{
    struct sim_status none = {0}, several = {0}, unknown = {0};
    struct exp_store *s = store_opened(store_path("several.sqlite"), EXP_STORE_WRITE);
    ck_assert_ptr_null(exp_report_of_study(s, NULL, &none));
    ck_assert_ptr_nonnull(strstr(none.message, "no study"));
    store_study(s, "one", "a");
    store_study(s, "two", "b");
    ck_assert_ptr_null(exp_report_of_study(s, NULL, &several));
    ck_assert_ptr_nonnull(strstr(several.message, "one, two"));
    ck_assert_ptr_null(exp_report_of_study(s, "three", &unknown));
    ck_assert_ptr_nonnull(strstr(unknown.message, "`three`"));
    exp_store_close(s);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("report of a study");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, winners_margins_and_ties_are_those_worked_out_by_hand);
    tcase_add_test(tc, the_table_of_winners_is_printed_alone_as_markdown);
    tcase_add_test(tc, most_good_answers_are_not_those_of_the_fastest_nor_of_who_was_never_scored);
    tcase_add_test(tc, good_answers_are_counted_at_the_point_that_has_most_of_them);
    tcase_add_test(tc, without_prices_the_gpus_are_what_is_paid_with);
    tcase_add_test(tc, winners_of_random_numbers_are_those_of_a_plain_scan);
    tcase_add_test(tc, every_combination_has_its_lines_over_the_load);
    tcase_add_test(tc, the_highest_load_is_the_last_before_the_first_that_misses);
    tcase_add_test(tc, a_key_that_is_no_load_nor_a_name_is_pooled_by_its_best);
    tcase_add_test(tc, failed_points_are_counted_by_reason_whatever_their_numbers);
    tcase_add_test(tc, stale_points_are_listed_and_win_nothing);
    tcase_add_test(tc, the_front_of_every_picture_is_what_no_point_beats);
    tcase_add_test(tc, effects_are_means_over_the_points_with_a_value);
    tcase_add_test(tc, values_are_compared_where_nothing_else_differs);
    tcase_add_test(tc, values_that_are_nowhere_together_are_marked_with_their_points);
    tcase_add_test(tc, the_head_opens_with_the_answer_and_names_failures);
    tcase_add_test(tc, what_is_needed_to_make_it_again_is_there);
    tcase_add_test(tc, a_study_without_points_has_a_report_too);
    tcase_add_test(tc, which_study_must_be_said_where_there_are_several);
    suite_add_tcase(s, tc);
    return s;
}
