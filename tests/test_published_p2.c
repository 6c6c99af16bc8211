/* Studies on paper 2: steps against closed forms and against a run of the simulator, the fit against what ships, the
 * published rows against the goals that README.md states. */
#include "tests/harness.h"

#include "experiments/cache.h"
#include "experiments/figures.h"
#include "experiments/published/study.h"
#include "experiments/published/p2.h"
#include "experiments/run.h"
#include "models/datadir.h"
#include "sim/memory.h"
#include "sim/replica.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers ---- */

struct bench {
    struct exp_constants constants;
    struct exp_p2_machine machine;
    char *data_dir;
};

static void bench_open(struct bench *b)
{
    struct sim_status st = {0};
    b->data_dir = mdl_data_dir(&st);
    char *path = sim_printf("%s/experiments/published/constants.yaml", b->data_dir);
    ck_assert_msg(exp_constants_load(path, &b->constants, &st), "%s", st.message);
    ck_assert_msg(exp_p2_machine_init(&b->machine, "a100", "a100-40-pcie", b->data_dir, &st), "%s",
                  st.message);
    free(path);
}

static void bench_close(struct bench *b)
{
    exp_p2_machine_fini(&b->machine);
    exp_constants_fini(&b->constants);
    free(b->data_dir);
}

struct set {
    enum mdl_kv_key key;
    double value;
};

/* Ended by MDL_N_KV_KEY. */
static struct exp_p2_price price_of(struct bench *b, enum exp_p2_method method,
                                    const struct exp_p2_load *load, const struct set *sets)
{
    struct sim_status st = {0};
    struct exp_p2_price p;
    double given[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    for (; sets->key < MDL_N_KV_KEY; sets++) given[sets->key] = sets->value;
    struct exp_p2_case c = {&b->machine, EXP_P2_LLAMA, method, load, given};
    ck_assert_msg(exp_p2_price_init(&p, &c, &b->constants, &st), "%s", st.message);
    return p;
}

#define SETS(...) ((const struct set[]){__VA_ARGS__{MDL_N_KV_KEY, 0}})

static double step_s(struct bench *b, enum exp_p2_method method, const struct exp_p2_load *load,
                     uint32_t batch, const struct set *sets)
{
    struct exp_p2_price p = price_of(b, method, load, sets);
    double s = exp_p2_step_s(&p, load, batch);
    exp_p2_price_fini(&p);
    return s;
}

static double constant(struct bench *b, const char *name)
{
    double value = NAN;
    struct sim_status st = {0};
    ck_assert_msg(exp_constant_value(&b->constants, name, &value, &st), "%s", st.message);
    return value;
}

static struct exp_study_result study(const char *name, bool fit)
{
    struct sim_status st = {0};
    struct exp_study_result r;
    const struct exp_study *s = exp_study_find(name, &st);
    ck_assert_msg(s && exp_study_run(s, NULL, fit, &r, &st), "%s", st.message);
    return r;
}

static const struct exp_p2_load long_in = {"in", 32768, 512}, long_out = {"out", 600, 16384};
enum { LAYERS = 32, KV_HEADS = 8 };

/* ---- steps ---- */

/* The mean over a generation is that of its single steps. */
START_TEST(a_generation_costs_the_mean_of_its_steps)
{
    struct bench b;
    const struct exp_p2_load load = {"across the budget", 1500, 1200};
    bench_open(&b);
    for (int m = 0; m < EXP_P2_METHODS; m++) {
        struct exp_p2_price p = price_of(&b, (enum exp_p2_method)m, &load, SETS());
        double sum = 0;
        for (uint32_t k = 1; k < load.generated; k++) {
            const struct exp_p2_load one = {"one step", load.prompt + k - 1, 2};
            sum += exp_p2_step_s(&p, &one, 2);
        }
        ck_assert_double_eq_tol(exp_p2_step_s(&p, &load, 2) / (sum / (load.generated - 1)), 1, 2e-3);
        exp_p2_price_fini(&p);
    }
    bench_close(&b);
}
END_TEST

/* With nothing missing ArkVale's loop reads three numbers for each layer, KV head and sequence, and copies nothing. */
START_TEST(without_missing_pages_arkvale_waits_for_its_reads_alone)
{
    struct bench b;
    bench_open(&b);
    double sync_s = 1e-6 * constant(&b, "p2.arkvale.sync_us");
    for (uint32_t batch = 1; batch <= 4; batch *= 2) {
        struct exp_p2_price p = price_of(&b, EXP_P2_ARKVALE, &long_in, SETS({MDL_KV_MISS, 0}, ));
        double reads_s = 3.0 * LAYERS * KV_HEADS * batch * sync_s, step = exp_p2_step_s(&p, &long_in, batch);
        double alone_s = step * (1 - exp_p2_recall_frac(&p, &long_in, batch));
        double host_s = b.machine.engine.cpu_layer_eager_s * LAYERS;
        ck_assert_double_ge(alone_s, host_s);
        ck_assert_double_ge(step - alone_s, reads_s);
        ck_assert_double_le(step - alone_s, reads_s + 2e-3); /* kernels of the selection, launched */
        exp_p2_price_fini(&p);
    }
    bench_close(&b);
}
END_TEST

/* The host that launches every kernel is slower than the card: a step is its time, and waits are on top. */
START_TEST(waits_are_on_top_of_the_host_that_launches)
{
    struct bench b;
    bench_open(&b);
    double before = step_s(&b, EXP_P2_ARKVALE, &long_in, 1, SETS());
    double free_before = step_s(&b, EXP_P2_RAAS, &long_in, 1, SETS());
    b.machine.engine.cpu_layer_eager_s += 1e-4;
    ck_assert_double_eq_tol(step_s(&b, EXP_P2_RAAS, &long_in, 1, SETS()) - free_before, LAYERS * 1e-4, 1e-9);
    ck_assert_double_eq_tol(step_s(&b, EXP_P2_ARKVALE, &long_in, 1, SETS()) - before, LAYERS * 1e-4, 1e-9);
    b.machine.engine.cpu_layer_eager_s = 0;
    double card_s = step_s(&b, EXP_P2_RAAS, &long_in, 1, SETS());
    ck_assert_double_ge(card_s, 2.0 * 7.5e9 / 1.555e12);
    ck_assert_double_lt(card_s, free_before);
    bench_close(&b);
}
END_TEST

/* InfiniGen fetches so many tokens of each step, or all there are: as a share of the contexts. */
START_TEST(infinigen_fetches_its_tokens_in_every_step)
{
    static const struct exp_p2_load loads[] = {
        {"short", 100, 500}, {"across", 600, 16384}, {"long", 32768, 512}};
    struct bench b;
    bench_open(&b);
    double tokens = constant(&b, "p2.infinigen.fetch_tokens");
    for (int l = 0; l < 3; l++) {
        struct exp_p2_price p = price_of(&b, EXP_P2_INFINIGEN, &loads[l], SETS());
        double fetched = 0, all = 0;
        for (double k = 1; k < loads[l].generated; k++) {
            fetched += fmin(tokens, loads[l].prompt + k);
            all += loads[l].prompt + k;
        }
        ck_assert_double_eq_tol(p.use.value[MDL_KV_FETCH_FRAC], fetched / all, 1e-4);
        exp_p2_price_fini(&p);
    }
    bench_close(&b);
}
END_TEST

/* A copy for every chunk of every head that is missing: the host submits them one by one. */
START_TEST(copying_every_chunk_takes_its_submission)
{
    struct bench b;
    bench_open(&b);
    double submit_s = 1e-6 * constant(&b, "p2.host.submit_us"), miss = constant(&b, "p2.shadowkv.miss_rate");
    double chunks = LAYERS * KV_HEADS * 2048.0 / 8, sync_s = 1e-6 * constant(&b, "p2.host.sync_us") * LAYERS;
    double none_s = step_s(&b, EXP_P2_SHADOWKV, &long_in, 2, SETS({MDL_KV_MISS, 0}, ));
    double some_s = step_s(&b, EXP_P2_SHADOWKV, &long_in, 2, SETS());
    double kernel_s = step_s(&b, EXP_P2_SHADOWKV, &long_in, 2, SETS({MDL_KV_PICK, MDL_PICK_KERNEL}, ));
    ck_assert_double_eq_tol(some_s - none_s, 2 * miss * chunks * submit_s, 1e-6);
    ck_assert_double_lt(kernel_s, none_s - sync_s + 2 * miss * chunks * 8 * 256 / (0.8 * 24e9));
    bench_close(&b);
}
END_TEST

START_TEST(more_missing_pages_and_more_sequences_cost_arkvale_more)
{
    struct bench b;
    bench_open(&b);
    double last = 0;
    for (uint32_t batch = 1; batch <= 4; batch *= 2)
        for (double miss = 0; miss <= 0.3; miss += 0.1) {
            double s = step_s(&b, EXP_P2_ARKVALE, &long_out, batch, SETS({MDL_KV_MISS, miss}, ));
            if (miss > 0) ck_assert_double_gt(s, last);
            last = s;
        }
    ck_assert_double_gt(step_s(&b, EXP_P2_ARKVALE, &long_out, 4, SETS()),
                        step_s(&b, EXP_P2_ARKVALE, &long_out, 2, SETS()));
    bench_close(&b);
}
END_TEST

/* Every part makes a step shorter where the recall is what it waits for. */
START_TEST(every_part_of_freekv_helps_and_corrections_cost)
{
    struct bench b;
    bench_open(&b);
    const struct set *parts[] = {
        SETS({MDL_KV_LAYOUT, MDL_NHD}, {MDL_KV_DOUBLE_BUFFER, 0}, {MDL_KV_SPECULATIVE, 0}, ),
        SETS({MDL_KV_DOUBLE_BUFFER, 0}, {MDL_KV_SPECULATIVE, 0}, ),
        SETS({MDL_KV_SPECULATIVE, 0}, ),
        SETS({MDL_KV_CORRECTION, 0.4}, ),
        SETS({MDL_KV_CORRECTION, 0.1}, ),
        SETS({MDL_KV_TAU, 0}, ),
    };
    for (size_t i = 1; i < sizeof parts / sizeof *parts; i++)
        ck_assert_double_lt(step_s(&b, EXP_P2_FREEKV, &long_out, 4, parts[i]),
                            step_s(&b, EXP_P2_FREEKV, &long_out, 4, parts[i - 1]));
    bench_close(&b);
}
END_TEST

/* ---- against the simulator ---- */

START_TEST(the_shipped_scenario_runs_at_the_step_that_the_study_prices)
{
    struct bench b;
    struct sim_status st = {0};
    bench_open(&b);
    char *path = sim_printf("%s/experiments/published/p2-freekv.yaml", b.data_dir);
    struct exp_cache *cache = exp_cache_new(&st);
    struct exp_scenario *s = exp_scenario_load(path, &st);
    ck_assert_msg(cache && s, "%s", st.message);
    struct exp_run *run = exp_run_new(s, cache, NULL, &st);
    ck_assert_msg(run != NULL, "%s", st.message);
    double tpot_s = 1e-3 * exp_figure(run->figures, "mean_tpot_ms").mean;
    ck_assert_double_eq_tol(tpot_s / step_s(&b, EXP_P2_FREEKV, &long_out, 1, SETS()), 1, 2e-3);
    exp_run_free(run);
    free(s);
    exp_cache_free(cache);
    free(path);
    bench_close(&b);
}
END_TEST

/* ---- the studies ---- */

START_TEST(arkvale_rows_are_predicted_within_thirty_percent)
{
    struct exp_study_result r = study("p2-absolute", false);
    ck_assert_double_le(
        exp_published_value(&r.results, "decode steps", "largest difference of a predicted row"), 30);
    ck_assert_uint_eq(r.results.n_rows, 9);
    exp_study_result_fini(&r);
}
END_TEST

START_TEST(fitting_again_gives_the_host_time_that_ships)
{
    struct exp_study_result shipped = study("p2-absolute", false), fitted = study("p2-absolute", true);
    double a = exp_published_value(&shipped.results, "decode steps", "host time per layer");
    double b = exp_published_value(&fitted.results, "decode steps", "host time per layer");
    ck_assert_double_eq_tol(a / b, 1, 2e-3);
    ck_assert_double_le(
        exp_published_value(&fitted.results, "decode steps", "standard deviation of the fitted rows"),
        exp_published_value(&shipped.results, "decode steps", "standard deviation of the fitted rows") +
            1e-9);
    exp_study_result_fini(&shipped);
    exp_study_result_fini(&fitted);
}
END_TEST

START_TEST(speedups_are_met_as_the_goals_say)
{
    struct exp_study_result r = study("p2-speedups", false);
    ck_assert_double_ge(exp_published_value(&r.results, "maxima", "within 35 %"), 5);
    ck_assert_double_eq(exp_published_value(&r.results, "maxima", "off by more than 2x"), 0);
    ck_assert_double_eq(exp_published_value(&r.results, "maxima", "pairs of models in order"), 4);
    ck_assert_double_ge(exp_published_value(&r.results, "maxima", "pairs of rivals in order"), 4);
    exp_study_result_fini(&r);
}
END_TEST

/* Nine of them; and drawing again draws the same, whatever thread does it. */
START_TEST(intervals_hold_what_the_declared_constants_predict)
{
    struct exp_study_result r = study("p2-speedups", false), again = study("p2-speedups", false);
    for (int i = 0; i < 9; i++) {
        char name[48], ends[64];
        snprintf(name, sizeof name, "%s", r.results.row[i].what);
        name[strlen(name) - strlen(", b4")] = '\0';
        double at[2];
        for (int end = 0; end < 2; end++) {
            snprintf(ends, sizeof ends, "%s %s", name, end ? "90 %" : "10 %");
            at[end] = exp_published_value(&r.results, "80 % interval", ends);
            ck_assert_msg(!isnan(at[end]), "no figure `%s`", ends);
            ck_assert_double_eq(at[end], exp_published_value(&again.results, "80 % interval", ends));
        }
        ck_assert_double_lt(at[0], r.results.row[i].predicted);
        ck_assert_double_gt(at[1], r.results.row[i].predicted);
    }
    exp_study_result_fini(&r);
    exp_study_result_fini(&again);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("published, paper 2");
    TCase *c = tcase_create("published, paper 2");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_generation_costs_the_mean_of_its_steps);
    tcase_add_test(c, without_missing_pages_arkvale_waits_for_its_reads_alone);
    tcase_add_test(c, waits_are_on_top_of_the_host_that_launches);
    tcase_add_test(c, infinigen_fetches_its_tokens_in_every_step);
    tcase_add_test(c, copying_every_chunk_takes_its_submission);
    tcase_add_test(c, more_missing_pages_and_more_sequences_cost_arkvale_more);
    tcase_add_test(c, every_part_of_freekv_helps_and_corrections_cost);
    tcase_add_test(c, the_shipped_scenario_runs_at_the_step_that_the_study_prices);
    tcase_add_test(c, arkvale_rows_are_predicted_within_thirty_percent);
    tcase_add_test(c, fitting_again_gives_the_host_time_that_ships);
    tcase_add_test(c, speedups_are_met_as_the_goals_say);
    tcase_add_test(c, intervals_hold_what_the_declared_constants_predict);
    suite_add_tcase(s, c);
    return s;
}
