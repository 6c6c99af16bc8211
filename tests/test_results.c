/* The folders of --out: what is in them, and that it agrees with itself and with what is read back from it. Oracles: sums over
 * rows against the summary, and the same files from the scenario that lies beside them. */
#include <string.h>

#include "sim/csv_in.h"
#include "tests/command_help.h"
#include "tests/report_help.h"

START_TEST(the_scenario_beside_the_results_gives_them_again)
{
    scenario();
    works("run s.yaml --set fleet.0.kv.strategy=freekv --seed 9 --out results/d");
    works("run results/d/scenario.yaml --out results/e");
    ck_assert_int_eq(shell("cmp results/d/requests.csv results/e/requests.csv && cmp results/d/timeline.csv "
                           "results/e/timeline.csv &&",
                           "list models", ">out.txt"),
                     0);
}
END_TEST

static bool add_link(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    double *s = user;
    (void)st;
    if (index == 0) {
        ck_assert_uint_eq(row->n_fields, 10);
        ck_assert_str_eq(row->field[8], "link_utilization");
        ck_assert_str_eq(row->field[9], "host_kv_utilization");
        return true;
    }
    double time_s = atof(row->field[0]), host = atof(row->field[9]);
    if (index > 1) s[1] += atof(row->field[8]) * (time_s - s[0]);
    s[0] = time_s;
    s[2] = host > s[2] ? host : s[2];
    return true;
}

START_TEST(the_last_columns_of_a_timeline_come_to_the_busy_link_and_the_peak_on_the_host)
{
    double sums[3] = {0};
    struct sim_status st = {0};
    char path[4200];
    scenario();
    works("run s.yaml --strategy freekv --set fleet.0.replicas=1 --out results/f");
    snprintf(path, sizeof path, "%s/results/f/timeline.csv", test_dir());
    ck_assert_msg(sim_csv_read(path, add_link, sums, &st), "%s", st.message);
    snprintf(path, sizeof path, "%s/results/f/summary.json", test_dir());
    json_t *o = json_load_file(path, 0, NULL);
    double busy = number(o, "host_link_busy"), peak = number(o, "kv_host_peak_utilization");
    ck_assert_double_gt(busy, 0.001);
    ck_assert_double_eq_tol(sums[1] / number(o, "duration_s"), busy, 1e-3 * busy);
    ck_assert_double_gt(sums[2], peak / 3);
    ck_assert_double_le(sums[2], peak + 1e-6);
    json_decref(o);
}
END_TEST

START_TEST(a_validation_leaves_its_rows_and_a_report)
{
    test_file("m.csv", "model_path,system,precision,isl,osl,concurrency,tp_size,backend_version,ttft_ms,"
                       "tpot_ms\n"
                       "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,4,1,0.12.0,100,10\n"
                       "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,8,1,0.12.0,100,10\n"
                       "nobody/Nothing-1B,h100_sxm,bf16,512,64,8,1,0.12.0,100,10\n");
    fails("validate m.csv --fit engines --out results/v", 2, "--out goes without --fit");
    fails("validate m.csv --steps p.csv --scenario s.yaml --out results/v", 2, "--steps goes without");
    works("validate m.csv --out results/v");
    ck_assert_int_eq(files_with("results/v", ""), 4);
    char path[4200], *csv = sim_alloc(TEXT_BYTES, 1);
    struct sim_status st = {0};
    slurp("results/v/validate.csv", csv);
    ck_assert_int_eq(lines_of(csv), 3);
    free(csv);
    snprintf(path, sizeof path, "%s/results/v/validate.json", test_dir());
    json_t *o = json_load_file(path, 0, NULL);
    ck_assert_double_eq(number(o, "n"), 2);
    ck_assert_double_eq(number(o, "skipped"), 1);
    json_decref(o);
    snprintf(path, sizeof path, "%s/results/v/report.json", test_dir());
    json_t *doc = exp_report_read(path, &st);
    ck_assert_msg(doc != NULL, "%s", st.message);
    ck_assert_uint_eq(json_array_size(json_object_get(part_of(doc, "table", "points"), "rows")), 2);
    json_decref(doc);
}
END_TEST

START_TEST(the_report_is_one_file_that_asks_for_nothing_and_keeps_its_curves_short)
{
    scenario();
    works("run s.yaml --out results/c");
    char path[4200];
    snprintf(path, sizeof path, "%s/results/c/report.html", test_dir());
    FILE *f = fopen(path, "rb");
    char *page = sim_alloc(1 << 20, 1);
    ck_assert_uint_lt(fread(page, 1, (1 << 20) - 1, f), 600000);
    fclose(f);
    static const char *const asking[] = {" src=", "@import", "url(", "fetch(", "XMLHttpRequest", "@@"};
    for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++)
        ck_assert_msg(!strstr(page, asking[i]), "the page holds %s", asking[i]);
    free(page);
    struct sim_status st = {0};
    snprintf(path, sizeof path, "%s/results/c/report.json", test_dir());
    json_t *doc = exp_report_read(path, &st);
    ck_assert_msg(doc != NULL, "%s", st.message);
    json_t *series = json_object_get(part_of(doc, "chart", "in-cluster"), "series");
    size_t points = json_array_size(json_object_get(json_array_get(series, 0), "points"));
    ck_assert_uint_gt(points, 20);
    ck_assert_uint_le(points, EXP_DOC_POINTS);
    json_decref(doc);
}
END_TEST

START_TEST(a_comparison_leaves_a_report_and_the_scenario_to_make_it_again)
{
    scenario();
    works("compare s.yaml --strategies fp8,kivi4 --no-length-shift --out results/g");
    ck_assert_int_eq(files_with("results/g", ""), 8); /* a summary for each of three */
    works("compare results/g/scenario.yaml --strategies fp8,kivi4 --out results/h");
    ck_assert_int_eq(shell("cut -d, -f1-40 results/g/compare.csv >g.csv && cut -d, -f1-40 "
                           "results/h/compare.csv >h.csv && cmp g.csv h.csv &&",
                           "list models", ">out.txt"),
                     0);
    struct sim_status st = {0};
    char path[4200];
    snprintf(path, sizeof path, "%s/results/g/report.json", test_dir());
    json_t *doc = exp_report_read(path, &st);
    ck_assert_msg(doc != NULL, "%s", st.message);
    ck_assert_uint_eq(json_array_size(json_object_get(part_of(doc, "chart", "ttft"), "series")), 3);
    json_decref(doc);
}
END_TEST

/* 40 KiB of room, then every write fails: what was there before stays whole. */
START_TEST(a_folder_without_room_keeps_what_was_there)
{
    scenario();
    works("compare s.yaml --strategies fp8 --out results/i");
    int n = files_with("results/i", "");
    ck_assert_int_eq(shell("ulimit -f 40 && trap '' XFSZ &&",
                           "compare s.yaml --strategies fp8 --set seed=5 --out results/i",
                           ">out.txt 2>err.txt"),
                     1);
    ck_assert_int_eq(files_with("results/i", ""), n);
    ck_assert_int_eq(files_with("results/i", "tmp"), 0);
    works("compare results/i/scenario.yaml --strategies fp8 --out results/j");
    ck_assert_int_eq(
        shell("cmp results/i/scenario.yaml results/j/scenario.yaml &&", "list models", ">out.txt"), 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("results");
    TCase *c = tcase_create("results");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, the_report_is_one_file_that_asks_for_nothing_and_keeps_its_curves_short);
    tcase_add_test(c, the_scenario_beside_the_results_gives_them_again);
    tcase_add_test(c, the_last_columns_of_a_timeline_come_to_the_busy_link_and_the_peak_on_the_host);
    tcase_add_test(c, a_comparison_leaves_a_report_and_the_scenario_to_make_it_again);
    tcase_add_test(c, a_validation_leaves_its_rows_and_a_report);
    tcase_add_test(c, a_folder_without_room_keeps_what_was_there);
    suite_add_tcase(suite, c);
    return suite;
}
