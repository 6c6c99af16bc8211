/* build/kvsim as a user meets it: exit codes, one line per failure, the agreed JSON names, the result files,
 * and that nothing half-written stays behind. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/figures.h"
#include "experiments/number_out.h"
#include "sim/csv_in.h"
#include "tests/command_help.h"

/* ---- the program ---- */

START_TEST(help_names_every_command_and_a_wrong_one_is_told_the_nearest)
{
    const struct ran *r = works("--help");
    static const char *const names[] = {"run", "trace", "calib", "validate", "list", "init"};
    for (int i = 0; i < 6; i++) {
        char line[32];
        snprintf(line, sizeof line, "\n  %-9s ", names[i]);
        ck_assert_msg(strstr(r->out, line) != NULL, "no %s in %s", names[i], r->out);
    }
    ck_assert_ptr_nonnull(strstr(works("--version")->out, "kvsim "));
    fails("rum", 2, "did you mean `run`");
    fails("trace inf", 2, "did you mean `info`");
    fails("calib chek", 2, "did you mean `check`");
    fails("list gpu", 2, "did you mean `gpus`");
    fails("run", 2, "no scenario given");
    fails("run s.yaml --replications 1", 2, "expected a whole number from 2");
    ck_assert_ptr_null(strstr(kvsim("xyzzy")->err, "did you mean"));
    ck_assert_int_eq(kvsim("")->code, 2);
    ck_assert_int_eq(kvsim("trace")->code, 2);
    ck_assert_ptr_nonnull(strstr(kvsim("trace")->out, "\n  synth "));
    ck_assert_ptr_nonnull(strstr(works("help run")->out, "--set=KEY=VALUE"));
    ck_assert_ptr_nonnull(strstr(works("run --version")->out, "kvsim "));
    ck_assert_int_eq(kvsim("run --bogus")->code, 2);
    ck_assert_ptr_nonnull(strstr(works("run --help")->out, "--set=KEY=VALUE"));
}
END_TEST

START_TEST(every_list_has_rows_and_names_the_next_command)
{
    static const char *const names[] = {"models", "gpus", "strategies", "routers", "engines", "keys"};
    for (int i = 0; i < 6; i++) {
        char arguments[32];
        snprintf(arguments, sizeof arguments, "list %s --json", names[i]);
        json_t *o = json_of(arguments), *rows = json_object_get(o, names[i]);
        ck_assert_uint_ge(json_array_size(rows), 1);
        json_decref(o);
        snprintf(arguments, sizeof arguments, "list %s", names[i]);
        ck_assert_int_ge(lines_of(works(arguments)->out), 2);
        ck_assert_ptr_nonnull(strstr(kvsim(arguments)->err, "next: kvsim "));
    }
}
END_TEST

START_TEST(a_listed_strategy_shows_every_parameter_with_its_range_and_source)
{
    json_t *o = json_of("list strategies --json"), *rows = json_object_get(o, "strategies"), *row, *p;
    size_t i, k;
    ck_assert_uint_ge(json_array_size(rows), 23);
    json_array_foreach(rows, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        char *arguments = sim_printf("list strategies %s --json", name);
        json_t *one = json_of(arguments);
        ck_assert_str_eq(json_string_value(json_object_get(one, "name")), name);
        json_array_foreach(json_object_get(one, "parameters"), k, p)
        {
            ck_assert_msg(json_string_length(json_object_get(p, "source")) > 3, "%s", name);
            ck_assert(json_object_get(p, "default") && json_object_get(p, "range of sources"));
        }
        json_decref(one);
        free(arguments);
    }
    json_decref(o);
    const char *out = works("list strategies freekv")->out;
    ck_assert_ptr_nonnull(strstr(out, "\ncorrection_tau "));
    ck_assert_ptr_nonnull(strstr(out, "nhd|hnd|hybrid"));
    fails("list strategies freekb", 2, "did you mean `freekv`");
    fails("list gpus h100-sxm", 2, "too many arguments");
}
END_TEST

/* ---- run ---- */

/* The names of summary.json that other programs rely on: vLLM's, then ours. */
static const char *const promised[] = {"arrived",
                                       "completed",
                                       "rejected",
                                       "unfinished",
                                       "duration_s",
                                       "request_throughput",
                                       "output_throughput",
                                       "total_token_throughput",
                                       "request_goodput",
                                       "output_throughput_per_gpu",
                                       "slo_attainment",
                                       "slo_violations_ttft",
                                       "slo_violations_tpot",
                                       "slo_violations_e2el",
                                       "preemptions",
                                       "kv_capacity_tokens",
                                       "kv_peak_utilization",
                                       "kv_mean_utilization",
                                       "gpu_busy",
                                       "link_busy",
                                       "host_link_busy",
                                       "iterations",
                                       "sim_wall_s",
                                       "setup_wall_s",
                                       "simulated_requests_per_s",
                                       "time_measured_frac",
                                       "time_interpolated_frac",
                                       "time_extrapolated_frac",
                                       "time_transferred_frac",
                                       "time_analytic_frac",
                                       "mean_queue_ms",
                                       "p50_queue_ms",
                                       "p90_queue_ms",
                                       "p99_queue_ms",
                                       "max_waiting",
                                       "mean_running",
                                       "max_running",
                                       "kv_bytes_per_token",
                                       "kv_host_bytes_per_token",
                                       "kv_host_peak_utilization",
                                       "fell_back",
                                       "exposed_frac",
                                       "link_up_bytes",
                                       "link_down_bytes",
                                       "link_up_gb_per_s",
                                       "link_down_gb_per_s",
                                       "recalled_pages",
                                       "corrected_heads",
                                       "mean_length_shift",
                                       "equivalent_output_throughput"};

START_TEST(the_summary_has_every_promised_name_for_the_run_and_its_classes)
{
    scenario();
    json_t *o = json_of("run s.yaml --json"), *classes = json_object_get(o, "classes");
    static const char *const stats[] = {"mean", "median", "std", "p50", "p90", "p95", "p99"};
    static const char *const of[] = {"ttft", "tpot", "itl", "e2el"};
    for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++) has_number(o, promised[i]);
    ck_assert_str_eq(json_string_value(json_object_get(o, "load_state")), "stable");
    ck_assert_uint_eq(json_object_size(classes), 2);
    for (int s = 0; s < 7; s++)
        for (int q = 0; q < 4; q++) {
            char name[40];
            snprintf(name, sizeof name, "%s_%s_ms", stats[s], of[q]);
            has_number(o, name);
            has_number(json_object_get(classes, "long"), name);
        }
    ck_assert_double_eq(number(o, "arrived"), 400);
    ck_assert_double_eq(number(json_object_get(classes, "long"), "arrived") +
                            number(json_object_get(classes, "default"), "arrived"),
                        400);
    double evidence = number(o, "time_measured_frac") + number(o, "time_interpolated_frac") +
                      number(o, "time_extrapolated_frac") + number(o, "time_transferred_frac") +
                      number(o, "time_analytic_frac");
    ck_assert_double_eq_tol(evidence, 1, 1e-12);
    json_decref(o);
}
END_TEST

static void drop_wall_times(json_t *o)
{
    json_object_del(o, "sim_wall_s");
    json_object_del(o, "setup_wall_s");
    json_object_del(o, "simulated_requests_per_s");
}

START_TEST(a_run_repeats_exactly_and_fast_forward_changes_nothing_but_a_seed_does)
{
    scenario();
    json_t *a = json_of("run s.yaml --json"), *b = json_of("run s.yaml --json --no-fast-forward");
    json_t *c = json_of("run s.yaml --json --seed 2"), *d = json_of("run s.yaml --json --set seed=2");
    drop_wall_times(a);
    drop_wall_times(b);
    drop_wall_times(c);
    drop_wall_times(d);
    ck_assert(json_equal(a, b));
    ck_assert(!json_equal(a, c));
    ck_assert(json_equal(c, d));
    json_decref(a);
    json_decref(b);
    json_decref(c);
    json_decref(d);
}
END_TEST

START_TEST(replications_give_every_figure_an_interval_around_its_mean)
{
    scenario();
    json_t *o = json_of("run s.yaml --json --replications 6");
    ck_assert_double_eq(number(o, "replications"), 6);
    for (size_t i = 0; i < exp_figure_count(); i++) {
        char lo[64], hi[64];
        snprintf(lo, sizeof lo, "%s_lo", exp_figure_name(i));
        snprintf(hi, sizeof hi, "%s_hi", exp_figure_name(i));
        if (!json_is_number(json_object_get(o, exp_figure_name(i)))) continue;
        ck_assert_msg(number(o, lo) <= number(o, hi), "%s", lo);
    }
    ck_assert_double_lt(number(o, "mean_tpot_ms_lo"), number(o, "mean_tpot_ms"));
    ck_assert_double_gt(number(o, "mean_tpot_ms_hi"), number(o, "mean_tpot_ms"));
    json_decref(o);
}
END_TEST

START_TEST(a_strategy_on_the_command_line_is_one_in_the_scenario)
{
    scenario();
    json_t *a = json_of("run s.yaml --json --strategy gear4 --set fleet.0.kv.group=64");
    json_t *b = json_of("run s.yaml --json --set fleet.0.kv.strategy=gear4 --set fleet.0.kv.group=64");
    json_t *c = json_of("run s.yaml --json --strategy gear4 --set fleet.0.kv.group=64 --no-length-shift");
    drop_wall_times(a);
    drop_wall_times(b);
    ck_assert(json_equal(a, b));
    ck_assert_double_gt(number(a, "mean_length_shift"), 0.05);
    ck_assert_double_eq(number(c, "mean_length_shift"), 0);
    json_t *kv = json_object_get(json_array_get(json_object_get(a, "fleets"), 0), "kv");
    ck_assert_str_eq(json_string_value(json_object_get(kv, "strategy")), "gear4");
    ck_assert_double_eq(number(json_object_get(kv, "parameters"), "group"), 64);
    json_decref(a);
    json_decref(b);
    json_decref(c);
    const char *out = works("run s.yaml --strategy freekv --set fleet.0.kv.budget=1536")->out;
    ck_assert_ptr_nonnull(strstr(out, "    given budget 1536\n"));
    ck_assert_ptr_nonnull(strstr(out, "    default sink "));
    ck_assert_ptr_nonnull(strstr(out, "\ntransfers     host link carries data "));
    out = works("run s.yaml")->out;
    ck_assert_ptr_null(strstr(out, "transfers"));
    ck_assert_ptr_null(strstr(out, "default sink"));
}
END_TEST

START_TEST(a_run_tells_of_host_memory_and_of_every_fleet_by_itself)
{
    scenario();
    const char *mixed =
        "run s.yaml --strategy freekv --set fleet.1.gpu=h100-sxm --set fleet.1.profile=analytic "
        "--set fleet.0.host.memory_gib=";
    char *small = sim_printf("%s17 --json", mixed), *text = sim_printf("%s17", mixed);
    json_t *o = json_of(small), *fleets = json_object_get(o, "fleets");
    json_t *a = json_object_get(json_array_get(fleets, 0), "figures"),
           *b = json_object_get(json_array_get(fleets, 1), "figures");
    static const char *const names[] = {"kv_peak_utilization", "kv_mean_utilization", "gpu_busy",
                                        "link_busy",           "host_link_busy",      "exposed_frac",
                                        "fell_back",           "max_running"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        has_number(a, names[i]);
        has_number(b, names[i]);
    }
    ck_assert_double_gt(number(a, "kv_host_peak_utilization"), 0);
    ck_assert_double_eq(number(b, "kv_host_peak_utilization"), 0);
    ck_assert_double_gt(number(a, "exposed_frac"), 0);
    ck_assert_double_eq(number(b, "exposed_frac"), 0);
    ck_assert_double_eq(fmax(number(a, "kv_peak_utilization"), number(b, "kv_peak_utilization")),
                        number(o, "kv_peak_utilization"));
    ck_assert_double_eq(number(a, "kv_capacity_tokens") + number(b, "kv_capacity_tokens"),
                        number(o, "kv_capacity_tokens"));
    ck_assert_ptr_nonnull(strstr(works(text)->out, "\nKV on host    peak "));
    ck_assert_ptr_null(strstr(works("run s.yaml")->out, "KV on host"));
    json_decref(o);
    free(small);
    free(text);
}
END_TEST

START_TEST(what_people_count_is_printed_without_an_exponent)
{
    scenario();
    const char *out = works("run s.yaml --strategy swap --set classes.default.slo.ttft_ms=10000 --set "
                            "fleet.0.host.memory_gib=1000000 --set workload.open_loop.num_requests=20 --set "
                            "workload.open_loop.request_rate=20000")
                          ->out;
    ck_assert_ptr_nonnull(strstr(out, "TTFT 10,000, TPOT 50"));
    ck_assert_ptr_nonnull(strstr(out, "976.6 TiB of host memory per GPU"));
    for (const char *at = strstr(out, "e+"); at; at = strstr(at + 1, "e+"))
        ck_assert_msg(at[2] < '0' || at[2] > '9', "an exponent: %.60s", at - 10);
}
END_TEST

START_TEST(a_load_that_is_over_before_the_first_answers_says_that_it_says_nothing)
{
    scenario();
    static const char over[] = "the load is over before the first answers";
    const char *out = works("run s.yaml --set workload.open_loop.request_rate=4000")->out;
    ck_assert_ptr_nonnull(strstr(out, "load state: backlogged\n"));
    ck_assert_ptr_nonnull(strstr(out, over));
    json_t *o = json_of("run s.yaml --set workload.open_loop.request_rate=4000 --replications 2 --json");
    const char *warning = json_string_value(json_array_get(json_object_get(o, "warnings"), 0));
    ck_assert_ptr_nonnull(strstr(warning, over));
    json_decref(o);
    ck_assert_ptr_null(strstr(works("run s.yaml")->out, over));
}
END_TEST

START_TEST(the_rate_of_an_open_loop_is_multiplied_and_a_closed_loop_has_none)
{
    scenario();
    json_t *a = json_of("run s.yaml --set workload.multiply=2 --json");
    json_t *b = json_of("run s.yaml --set workload.open_loop.request_rate=16 --json");
    drop_wall_times(a);
    drop_wall_times(b);
    ck_assert(json_equal(a, b));
    ck_assert_double_eq(number(a, "arrived"), 400);
    json_decref(a);
    json_decref(b);
    ck_assert_ptr_nonnull(
        strstr(works("run s.yaml --set workload.multiply=2")->out, "(the rate multiplied by 2)"));
    fails("run s.yaml --set workload.multiply=2 --set workload.closed_loop.concurrency=4", 1,
          "--set: workload.multiply 2: a closed loop has no rate to multiply");
}
END_TEST

/* ---- result files ---- */

static void prints_as_printf(double value)
{
    char expected[64], got[64];
    snprintf(expected, sizeof expected, "%.17g", value);
    *exp_put_double(got, value) = '\0';
    ck_assert_str_eq(got, expected);
}

START_TEST(a_time_is_written_as_printf_writes_it_with_17_digits)
{
    uint64_t state = 88172645463325252;
    for (int i = 0; i < 400000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        double unit = (double)(state >> 11) / 9007199254740992.0;
        prints_as_printf(pow(10, -6 + 23 * unit));
        prints_as_printf((double)(state % 100000) / 1000);
        prints_as_printf(ldexp((double)(state % 1024), -(int)(state >> 60)));
    }
    for (int e = -7; e < 18; e++) {
        double power = pow(10, e);
        prints_as_printf(power);
        prints_as_printf(nextafter(power, 0));
        prints_as_printf(nextafter(power, INFINITY));
    }
    prints_as_printf(0);
    prints_as_printf(-1.5);
    char text[32];
    *exp_put_u64(text, UINT64_MAX) = '\0';
    ck_assert_str_eq(text, "18446744073709551615");
    *exp_put_u64(text, 0) = '\0';
    ck_assert_str_eq(text, "0");
}
END_TEST

struct sums {
    double ttft, e2el, tpot, output;
    uint64_t rows, good;
};

static bool add_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    static const char *const names[] = {"request_id",
                                        "slo_class",
                                        "replica",
                                        "arrival_s",
                                        "input_tokens",
                                        "output_tokens",
                                        "queue_s",
                                        "ttft_s",
                                        "tpot_s",
                                        "e2el_s",
                                        "preemptions",
                                        "status",
                                        "baseline_output_tokens"};
    struct sums *s = user;
    if (index == 0) {
        ck_assert_uint_eq(row->n_fields, 13);
        for (int i = 0; i < 13; i++) ck_assert_str_eq(row->field[i], names[i]);
        return true;
    }
    double ttft, tpot, e2el, input, output;
    bool read = sim_csv_double(row, 7, "ttft_s", &ttft, st) && sim_csv_double(row, 8, "tpot_s", &tpot, st) &&
                sim_csv_double(row, 9, "e2el_s", &e2el, st) &&
                sim_csv_double(row, 4, "input_tokens", &input, st) &&
                sim_csv_double(row, 5, "output_tokens", &output, st);
    if (!read) return false;
    bool is_long = strcmp(row->field[1], "long") == 0;
    ck_assert_int_eq(is_long, input >= 600);
    s->rows++;
    s->ttft += ttft;
    s->tpot += tpot;
    s->e2el += e2el;
    s->output += output;
    s->good += is_long ? e2el <= 9 : ttft <= 0.04 && tpot <= 0.05;
    return true;
}

START_TEST(the_figures_of_the_summary_follow_from_the_rows_of_requests_csv)
{
    scenario();
    works("run s.yaml --out results/a");
    ck_assert_int_eq(files_with("results/a", ""), 6);
    char path[4200];
    struct sums s = {0};
    struct sim_status st = {0};
    snprintf(path, sizeof path, "%s/results/a/requests.csv", test_dir());
    ck_assert_msg(sim_csv_read(path, add_row, &s, &st), "%s", st.message);
    snprintf(path, sizeof path, "%s/results/a/summary.json", test_dir());
    json_t *o = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(o);
    double n = (double)s.rows;
    ck_assert_double_eq(n, number(o, "completed"));
    ck_assert_double_eq_tol(1e3 * s.ttft / n, number(o, "mean_ttft_ms"), 1e-9 * number(o, "mean_ttft_ms"));
    ck_assert_double_eq_tol(1e3 * s.tpot / n, number(o, "mean_tpot_ms"), 1e-9 * number(o, "mean_tpot_ms"));
    ck_assert_double_eq_tol(1e3 * s.e2el / n, number(o, "mean_e2el_ms"), 1e-9 * number(o, "mean_e2el_ms"));
    ck_assert_double_eq_tol(s.output / number(o, "duration_s"), number(o, "output_throughput"), 1e-6);
    ck_assert_double_eq_tol((double)s.good / 400, number(o, "slo_attainment"), 1e-12);
    ck_assert_double_gt(number(o, "slo_attainment"), 0.02);
    ck_assert_double_lt(number(o, "slo_attainment"), 0.98);
    json_decref(o);
}
END_TEST

START_TEST(times_in_requests_csv_are_read_back_as_the_same_doubles)
{
    scenario();
    works("run s.yaml --out results/b");
    char path[4200], line[512];
    snprintf(path, sizeof path, "%s/results/b/requests.csv", test_dir());
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        double ttft, tpot, e2el;
        unsigned output;
        ck_assert_int_eq(sscanf(line, "%*[^,],%*[^,],%*[^,],%*[^,],%*[^,],%u,%*[^,],%lf,%lf,%lf", &output,
                                &ttft, &tpot, &e2el),
                         4);
        ck_assert_double_eq(tpot, (e2el - ttft) / (output - 1)); /* bit for bit: no digit was lost */
        n++;
    }
    ck_assert_int_eq(n, 400);
    fclose(f);
}
END_TEST

/* ---- failures ---- */

START_TEST(bad_scenarios_end_in_one_line_with_the_place_and_what_was_expected)
{
    scenario();
    test_file("empty.yaml", "");
    test_file("unknown.yaml", "model: llama-3.1-8b\nfleet:\n- gpu: h100-sxm\n  replica: 2\n");
    fails("run nothing.yaml", 1, "nothing.yaml: cannot be opened");
    fails("run .", 1, ".");
    fails("run empty.yaml", 1, "empty.yaml");
    fails("run unknown.yaml", 1,
          "unknown.yaml:4: unknown key `fleet.0.replica`, expected one of `kvsim list keys`; did you mean "
          "`fleet.N.replicas`");
    fails("run s.yaml --set fleet.0.replicas=many", 2,
          "fleet.0.replicas is `many`, expected a whole number from 1 to 65535");
    fails("run s.yaml --set fleet.0.replicas=-3", 2, "fleet.0.replicas is `-3`");
    fails("run s.yaml --set workload.multiply=nan", 2, "workload.multiply is `nan`");
    fails("run s.yaml --set engine.max_num_seqs=10000000000000000000", 2, "engine.max_num_seqs is `1");
    fails("run s.yaml --set fleet.0.replicas", 2, "expected KEY=VALUE");
    fails("run s.yaml --set model=llama-3.1-70b", 1, "does not fit");
    fails("run s.yaml --set fleet.0.tensor_parallel=3", 1, "tensor_parallel 3");
    fails("run s.yaml --set fleet.0.kv.strategy=h3o", 2, "did you mean `h2o`");
    fails("run s.yaml --strategy freekb", 2, "--strategy: kv.strategy: unknown strategy `freekb`");
    fails("run s.yaml --strategy freekv --set fleet.0.kv.budget=100", 1, "--set: fleet.0.kv.");
    fails("run s.yaml --set engine.prefix_caching=true", 2, "which this version does not simulate");
    fails("run s.yaml --set fleet.0.profile=nope", 1,
          "s.yaml: fleet.0: no profile `nope`, expected one of `kvsim list profiles`");
    fails("run s.yaml --set engine.name=vllm-99", 1,
          "unknown engine `vllm-99`, expected one of `kvsim list engines`");
    fails("run s.yaml --set flet=1", 2, "did you mean `fleet`?");
    fails("run s.yaml --seed -1", 2, "--seed is `-1`");
    fails("run s.yaml --out ''", 2, "--out is empty");
}
END_TEST

START_TEST(bad_traces_end_in_one_line)
{
    scenario();
    test_file("unit.csv", "arrival_time,input_tokens,output_tokens\n1,2,3\n");
    test_file("nan.csv", "arrival_time_us,input_tokens,output_tokens\n0,5,5\n1,nan,3\n");
    test_file("huge.csv", "arrival_time_us,input_tokens,output_tokens\n0,10000000000000000000,3\n");
    test_file("header.csv", "arrival_time_us,input_tokens,output_tokens\n");
    fails("run s.yaml --trace nothing.csv", 1, "nothing.csv");
    fails("run s.yaml --trace .", 1, ".");
    fails("run s.yaml --trace unit.csv", 1, "--time-unit");
    fails("run s.yaml --trace nan.csv", 1, "nan.csv:3");
    fails("run s.yaml --trace huge.csv", 1, "huge.csv:2");
    fails("run s.yaml --trace header.csv", 1, "header.csv:1: holds no request (no row below the header)");
    fails("run s.yaml --trace unit.csv --set workload.time_unit=parsec", 2,
          "expected one of: by_dialect, s, ms, us, ns");
    works("run s.yaml --trace unit.csv --set workload.time_unit=s");
}
END_TEST

START_TEST(a_run_that_serves_nothing_says_why_once)
{
    scenario();
    const char *out = works("run s.yaml --set engine.max_model_len=2")->out;
    ck_assert_ptr_nonnull(
        strstr(out, "rejected: input + output above max_model_len; raise engine.max_model_len"));
    ck_assert_ptr_nonnull(strstr(out, "evidence      no GPU time was simulated\n"));
    /* Stopped within the first step: GPU time was simulated, though none of it before a completion. */
    out = works("run s.yaml --set measure.horizon_s=0.3")->out;
    ck_assert_ptr_null(strstr(out, "simulated measured"));
}
END_TEST

START_TEST(flags_and_bytes_of_the_summary_have_their_own_json_types)
{
    scenario();
    json_t *o = json_of("run s.yaml --set fleet.0.tensor_parallel=16 --json");
    json_t *fleet = json_array_get(json_object_get(o, "fleets"), 0);
    ck_assert(json_is_boolean(json_object_get(json_object_get(fleet, "engine"), "enforce_eager")));
    ck_assert(json_is_integer(json_object_get(json_object_get(fleet, "memory"), "usable_bytes")));
    const char *warning = json_string_value(json_array_get(json_object_get(o, "warnings"), 0));
    ck_assert_ptr_nonnull(
        strstr(warning, "tensor_parallel 16 is priced as if all its GPUs were in one server"));
    json_decref(o);
}
END_TEST

START_TEST(results_that_cannot_be_written_leave_nothing_behind)
{
    scenario();
    test_file("file", "x");
    fails("run s.yaml --out file/below", 1, "file");
    fails("run s.yaml --out file", 1, "is not a directory");
    ck_assert_int_eq(shell("", "run s.yaml --json", ">/dev/full 2>err.txt"), 1);
    ck_assert_int_eq(shell("", "list models", ">/dev/full 2>err.txt"), 1);
    /* 16 KiB of room, then every write fails: the files that were there before stay whole. */
    works("run s.yaml --out results/full");
    json_t *before = json_of("run s.yaml --json");
    ck_assert_int_eq(shell("ulimit -f 16 && trap '' XFSZ &&", "run s.yaml --out results/full --seed 5",
                           ">out.txt 2>err.txt"),
                     1);
    ck_assert_int_eq(files_with("results/full", ""), 6);
    ck_assert_int_eq(files_with("results/full", "tmp"), 0);
    char path[4200];
    snprintf(path, sizeof path, "%s/results/full/summary.json", test_dir());
    json_t *after = json_load_file(path, 0, NULL);
    ck_assert_double_eq(number(before, "mean_ttft_ms"), number(after, "mean_ttft_ms"));
    json_decref(before);
    json_decref(after);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("commands");
    TCase *c = tcase_create("commands");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, help_names_every_command_and_a_wrong_one_is_told_the_nearest);
    tcase_add_test(c, every_list_has_rows_and_names_the_next_command);
    tcase_add_test(c, a_listed_strategy_shows_every_parameter_with_its_range_and_source);
    tcase_add_test(c, a_strategy_on_the_command_line_is_one_in_the_scenario);
    tcase_add_test(c, the_summary_has_every_promised_name_for_the_run_and_its_classes);
    tcase_add_test(c, a_run_tells_of_host_memory_and_of_every_fleet_by_itself);
    tcase_add_test(c, what_people_count_is_printed_without_an_exponent);
    tcase_add_test(c, a_load_that_is_over_before_the_first_answers_says_that_it_says_nothing);
    tcase_add_test(c, the_rate_of_an_open_loop_is_multiplied_and_a_closed_loop_has_none);
    tcase_add_test(c, a_run_repeats_exactly_and_fast_forward_changes_nothing_but_a_seed_does);
    tcase_add_test(c, replications_give_every_figure_an_interval_around_its_mean);
    tcase_add_test(c, a_time_is_written_as_printf_writes_it_with_17_digits);
    tcase_add_test(c, the_figures_of_the_summary_follow_from_the_rows_of_requests_csv);
    tcase_add_test(c, times_in_requests_csv_are_read_back_as_the_same_doubles);
    tcase_add_test(c, bad_scenarios_end_in_one_line_with_the_place_and_what_was_expected);
    tcase_add_test(c, bad_traces_end_in_one_line);
    tcase_add_test(c, a_run_that_serves_nothing_says_why_once);
    tcase_add_test(c, flags_and_bytes_of_the_summary_have_their_own_json_types);
    tcase_add_test(c, results_that_cannot_be_written_leave_nothing_behind);
    suite_add_tcase(suite, c);
    return suite;
}
