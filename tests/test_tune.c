/* The search for a strategy's best setting: parameters and grids, races over hand-made samples, minimisers against a dense
 * scan, limits, and that every figure is what single runs say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/tuning/parts.h"
#include "sim/memory.h"
#include "sim/random.h"
#include "tests/harness.h"

static struct exp_cache *cache;

static void open_cache(void)
{
    struct sim_status st = {0};
    cache = exp_cache_new(&st);
    ck_assert_msg(cache != NULL, "%s", st.message);
    exp_cache_share_costs(cache);
}

static void close_cache(void)
{
    exp_cache_free(cache);
}

static struct exp_scenario *scenario_of(const char *strategy)
{
    static const char text[] = "model: llama-3.1-8b\n"
                               "fleet: [{gpu: h100-sxm, replicas: 1}]\n"
                               "workload: {open_loop: {request_rate: 0.45, num_requests: 60, input_tokens: "
                               "'lognormal:16000:0.3:40000', output_tokens: '200'}}\n"
                               "slo: {ttft_ms: 20000, tpot_ms: 60, percentile: 90}\n";
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("tune.yaml", text, sizeof text - 1, &st);
    ck_assert_msg(s && exp_scenario_take_strategy(s, strategy, &st), "%s", st.message);
    return s;
}

static struct exp_tune_options options_of(const char *over)
{
    return (struct exp_tune_options){.over = over, .max_negatives = NAN, .n_replications = 6, .n_threads = 2};
}

static struct exp_tune *tune(const char *strategy, const struct exp_tune_options *o)
{
    struct sim_status st = {0};
    struct exp_scenario *s = scenario_of(strategy);
    struct exp_tune *t = sim_alloc(1, sizeof *t);
    ck_assert_msg(exp_tune_run(s, cache, o, t, &st), "%s", st.message);
    free(s);
    return t;
}

static void done(struct exp_tune *t)
{
    exp_tune_fini(t);
    free(t);
}

/* ---- parameters ---- */

static uint32_t parameters(const char *strategy, const char *over, struct exp_tune_parameter *p)
{
    struct sim_status st = {0};
    uint32_t n;
    struct exp_scenario *s = scenario_of(strategy);
    ck_assert_msg(exp_tune_parameters(s, 0, over, p, &n, &st), "%s", st.message);
    free(s);
    return n;
}

static void refused(const char *strategy, const char *over, const char *expected)
{
    struct sim_status st = {0};
    struct exp_tune_parameter p[EXP_TUNE_KEYS];
    uint32_t n;
    struct exp_scenario *s = scenario_of(strategy);
    ck_assert_msg(!exp_tune_parameters(s, 0, over, p, &n, &st), "%s", over);
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    free(s);
}

START_TEST(every_strategy_has_usual_parameters_within_its_sources_or_none)
{
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        struct exp_tune_parameter p[EXP_TUNE_KEYS];
        struct sim_status st = {0};
        struct exp_scenario *s = scenario_of(mdl_strategy_at(i)->name);
        uint32_t n = 0;
        if (exp_tune_parameters(s, 0, NULL, p, &n, &st)) ck_assert_uint_gt(n, 0);
        for (uint32_t k = 0; k < n; k++) {
            const struct mdl_kv_default *d = mdl_strategy_default(mdl_strategy_at(i), p[k].key);
            ck_assert_ptr_nonnull(d);
            ck_assert_double_eq(p[k].usual, d->value);
            ck_assert_double_eq(p[k].low, d->low);
            ck_assert_double_eq(p[k].high, d->high);
            bool usual = p[k].smooth;
            for (uint32_t v = 0; v < p[k].n; v++) {
                ck_assert(p[k].value[v] >= d->low && p[k].value[v] <= d->high);
                ck_assert(v == 0 || p[k].value[v] > p[k].value[v - 1]);
                usual |= p[k].value[v] == d->value;
            }
            ck_assert_msg(usual, "%s %s", mdl_strategy_at(i)->name, mdl_kv_key_info(p[k].key)->name);
        }
        free(s);
    }
}
END_TEST

START_TEST(names_ranges_and_values_are_read)
{
    struct exp_tune_parameter p[EXP_TUNE_KEYS];
    ck_assert_uint_eq(parameters("freekv", "tau=0.5..0.9,budget=4096/1024,prefetch,policy", p), 4);
    ck_assert(p[0].key == MDL_KV_TAU && p[0].smooth && p[0].low == 0.5 && p[0].high == 0.9);
    ck_assert(p[1].key == MDL_KV_BUDGET && p[1].n == 2 && p[1].value[0] == 1024 && p[1].value[1] == 4096);
    ck_assert(p[1].usual == 2048);
    ck_assert(p[2].key == MDL_KV_PREFETCH && p[2].value[0] == 0 && p[2].value[p[2].n - 1] == 64);
    ck_assert(p[3].key == MDL_KV_POLICY && p[3].n == 2);
    parameters("kivi4", "window,bits=2/4", p);
    ck_assert(p[0].key == MDL_KV_RESIDUAL && p[1].key == MDL_KV_BITS);
    parameters("freekv", "layout=nhd/hybrid", p);
    ck_assert(p[0].n == 2 && p[0].value[0] == MDL_NHD && p[0].value[1] == MDL_HYBRID);
}
END_TEST

START_TEST(what_cannot_be_searched_is_refused)
{
    refused("freekv", "budgte", "did you mean");
    refused("freekv", "miss_rate", "nothing of strategy freekv that can be searched");
    refused("freekv", "budget,budget", "twice");
    refused("freekv", "budget=", "no value of it");
    refused("freekv", "budget=nan", "no value of it");
    refused("freekv", "budget=0..99", "no value of it");
    refused("freekv", "budget=2048..1024", "is no range");
    refused("freekv", "budget=1024.5", "no value of it");
    refused("freekv", "layout=sideways", "no value of it");
    refused("freekv", "tau=0..inf", "no value of it");
    refused("freekv", "", "nothing of strategy");
    refused("freekv", "budget,", "nothing of strategy");
    refused("freekv", "budget=1/2/3/4/5/6/7/8/9/10/11/12/13", "more than 12 values");
    refused("freekv", "budget,sink,recent,page,prefetch,correction,tau", "more than 6");
    refused("freekv", "budget,sink,recent,page,prefetch,correction", "fewer than 512");
    refused("full", NULL, "nothing to tune");
}
END_TEST

START_TEST(a_grid_has_every_combination_once_and_the_usual_one_first)
{
    struct exp_tune_parameter p[EXP_TUNE_KEYS];
    static struct exp_tune_setting grid[EXP_TUNE_CANDIDATES];
    uint32_t n_parameters = parameters("freekv", "budget=1024/2048/4096,tau,prefetch=0/8", p);
    uint32_t n = exp_tune_grid(p, n_parameters, grid);
    ck_assert_uint_eq(n, 6);
    ck_assert(grid[0].value[0] == 2048 && grid[0].value[1] == 0.8 && grid[0].value[2] == 0);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_double_eq(grid[i].value[1], 0.8);
        for (uint32_t k = 0; k < i; k++) ck_assert_int_ne(memcmp(&grid[i], &grid[k], sizeof grid[i]), 0);
    }
    n_parameters = parameters("freekv", "budget=1024/4096", p); /* the usual one is no value of its own */
    ck_assert_uint_eq(exp_tune_grid(p, n_parameters, grid), 3);
}
END_TEST

START_TEST(scored_values_beyond_the_room_are_counted)
{
    struct sim_status st = {0};
    struct exp_tune_parameter p[EXP_TUNE_KEYS];
    struct mdl_rows_aside scored = {.n_keys = 1, .n_values = {MDL_ROW_VALUES}, .key = {MDL_KV_BUDGET}};
    parameters("h2o", "budget=256..4096", p);
    for (int i = 0; i < MDL_ROW_VALUES; i++)
        scored.value[0][i] = 200 + 100 * i; /* the first one lies outside */
    ck_assert(exp_tune_take_scored(p, 1, &scored, &st));
    ck_assert_uint_eq(p[0].n, EXP_TUNE_GRID);
    ck_assert_uint_eq(p[0].n_scored, MDL_ROW_VALUES - 1);
    uint32_t kept = 0; /* of the record: the usual value may be none of it */
    for (uint32_t i = 0; i < p[0].n; i++) kept += fmod(p[0].value[i], 100) == 0;
    ck_assert_uint_eq(p[0].n_left_out, p[0].n_scored - kept);
    scored.n_values[0] = 5;
    ck_assert(exp_tune_take_scored(p, 1, &scored, &st) && p[0].n_left_out == 0);
}
END_TEST

/* ---- races over hand-made samples ---- */

enum { RACERS = 6, SAMPLES = 16 };

struct race {
    struct exp_tune_book *book;
    struct exp_tune_trial *trial[RACERS];
    struct exp_progress progress;
    struct exp_tune_round round;
};

/* Trials that are sampled already: values are base + noise of the replication + own noise, seeded. */
static void set_race(struct race *r, const double *base, const double *margin, double noise, uint64_t seed)
{
    struct exp_tune_task task = {.n_threads = 1};
    *r = (struct race){.book = exp_tune_book_new(&task), .progress = {0}};
    r->round = (struct exp_tune_round){.book = r->book, .n_replications = SAMPLES, .progress = &r->progress};
    for (int i = 0; i < RACERS; i++) {
        struct exp_tune_setting s = {{i}};
        struct exp_tune_trial *t = r->trial[i] = exp_tune_book_at(r->book, &s);
        t->scenario = exp_scenario_new();
        t->usual = i == 0;
        t->n = SAMPLES;
        t->sample = sim_alloc(SAMPLES, sizeof *t->sample);
        for (uint32_t k = 0; k < SAMPLES; k++) {
            double common = sim_random_unit(seed, 1, k),
                   own = sim_random_unit(seed, 2 + (uint64_t)i, k) - 0.5;
            t->sample[k] = (struct exp_tune_sample){.value = base[i] + 10 * common + noise * own,
                                                    .margin = margin[i] + noise * own};
        }
    }
}

static bool left(const struct race *r, uint32_t n, double value)
{
    for (uint32_t i = 0; i < n; i++)
        if (r->trial[i]->setting.value[0] == value) return true;
    return false;
}

/* Differences of 0.3 under a common noise of 10: seen only pair by pair. */
START_TEST(a_race_drops_what_is_worse_in_pairs_and_keeps_what_may_be_best)
{
    static const double base[] = {5, 5.3, 5.3, 4, 5.29, 1}, met[RACERS] = {1, 1, 1, 1, 1, 1};
    struct race r;
    set_race(&r, base, met, 0.05, 3);
    uint32_t n = exp_tune_race(&r.round, r.trial, RACERS);
    ck_assert(left(&r, n, 1) || left(&r, n, 2));
    ck_assert(!left(&r, n, 0) && !left(&r, n, 3) && !left(&r, n, 5));
    for (uint32_t i = 1; i < n; i++) ck_assert(!exp_tune_better(r.trial[i], r.trial[i - 1]));
    exp_tune_book_free(r.book);
}
END_TEST

/* The third is as good as any: lost in at most 5 % of races, with whoever leads and after any block. 5 % of 800 are 40. */
START_TEST(one_of_the_best_is_seldom_dropped)
{
    static const double base[RACERS] = {5, 5, 5, 5, 5, 5}, met[RACERS] = {1, 1, 1, 1, 1, 1};
    int races = 800, wrong = 0;
    for (int i = 0; i < races; i++) {
        struct race r;
        set_race(&r, base, met, 1, (uint64_t)i);
        wrong += !left(&r, exp_tune_race(&r.round, r.trial, RACERS), 3);
        exp_tune_book_free(r.book);
    }
    ck_assert_int_le(wrong, 40);
}
END_TEST

/* Exactly the same values: nobody is worse, and the usual setting stays first. */
START_TEST(ties_leave_the_usual_setting_first)
{
    static const double base[RACERS] = {5, 5, 5, 5, 5, 5}, met[RACERS] = {1, 1, 1, 1, 1, 1};
    struct race r;
    set_race(&r, base, met, 0, 1);
    ck_assert_uint_eq(exp_tune_race(&r.round, r.trial, RACERS), RACERS);
    ck_assert(r.trial[0]->usual);
    struct exp_band gain = exp_tune_gain(r.trial[1], r.trial[0]);
    ck_assert(gain.lo == 0 && gain.mean == 0 && gain.hi == 0);
    exp_tune_book_free(r.book);
}
END_TEST

/* Two and three have a better objective and miss the service levels: out, however much better. */
START_TEST(service_levels_come_before_the_objective)
{
    static const double base[] = {5, 5.5, 9, 8, 5.2, 4}, margin[] = {0.01, 0.02, -0.2, -0.3, 0.01, 0.05};
    struct race r;
    set_race(&r, base, margin, 0.01, 7);
    uint32_t n = exp_tune_race(&r.round, r.trial, RACERS);
    ck_assert_double_eq(r.trial[0]->setting.value[0], 1);
    ck_assert(!left(&r, n, 2) && !left(&r, n, 3));
    exp_tune_book_free(r.book);
}
END_TEST

START_TEST(where_all_miss_the_nearest_leads)
{
    static const double base[] = {5, 5.5, 9, 8, 5.2, 4}, margin[] = {-0.3, -0.2, -0.4, -0.3, -0.01, -0.5};
    struct race r;
    set_race(&r, base, margin, 0.001, 7);
    exp_tune_race(&r.round, r.trial, RACERS);
    ck_assert_double_eq(r.trial[0]->setting.value[0], 4);
    exp_tune_book_free(r.book);
}
END_TEST

START_TEST(a_gain_is_taken_pair_by_pair)
{
    static const double base[] = {5, 6, 5, 5, 5, 5}, met[RACERS] = {1, 1, 1, 1, 1, 1};
    struct race r;
    double mean = 0;
    set_race(&r, base, met, 0, 5);
    for (uint32_t k = 0; k < SAMPLES; k++) mean += r.trial[0]->sample[k].value / SAMPLES;
    struct exp_band gain = exp_tune_gain(r.trial[1], r.trial[0]);
    ck_assert_double_eq_tol(gain.mean, 1 / mean, 1e-12);
    ck_assert_double_eq_tol(gain.lo, gain.mean, 1e-12); /* what both share cancels */
    ck_assert_double_eq_tol(gain.hi, gain.mean, 1e-12);
    exp_tune_book_free(r.book);
}
END_TEST

/* ---- whole searches ---- */

static double mean_goodput(const char *strategy, const struct exp_tune *t, const struct exp_tune_trial *x)
{
    struct sim_status st = {0};
    struct exp_scenario *s = scenario_of(strategy);
    for (uint32_t i = 0; i < t->n_parameters; i++) {
        char option[160];
        snprintf(option, sizeof option, "fleet.0.kv.%s=%s", mdl_kv_key_info(t->parameter[i].key)->name,
                 exp_tune_value_text(t->parameter[i].key, x->setting.value[i]).text);
        ck_assert_msg(exp_scenario_set_option(s, option, &st), "%s", st.message);
    }
    struct exp_setup *setup = exp_setup_new(s, cache, NULL, &st);
    struct exp_figures *f = exp_replicate(s, cache, setup, t->n_replications, NULL, &st);
    ck_assert_msg(f != NULL, "%s", st.message);
    double mean = exp_figure(f, "request_goodput").mean;
    exp_figures_free(f);
    exp_setup_free(setup);
    free(s);
    return mean;
}

/* The gain is that of replications n to 2n - 1, which chose nothing. */
static void check_gain(const struct exp_tune *t)
{
    struct sim_status st = {0};
    double base = 0, by = 0;
    for (uint32_t k = 0; k < t->n_replications; k++) {
        double value[2];
        for (int i = 0; i < 2; i++) {
            const struct exp_tune_trial *x = i ? t->best : t->usual;
            struct exp_figures *f = exp_replication(x->scenario, cache, x->setup, t->n_replications + k, &st);
            ck_assert_msg(f != NULL, "%s", st.message);
            value[i] = exp_figure(f, "request_goodput").mean;
            exp_figures_free(f);
        }
        base += value[0];
        by += value[1] - value[0];
    }
    ck_assert_double_eq_tol(t->gain.mean, by / base, 1e-9);
}

START_TEST(every_figure_is_that_of_kvsim_run)
{
    struct exp_tune_options o = options_of("budget=1280/2048/4096");
    struct exp_tune *t = tune("freekv", &o);
    ck_assert_double_eq_tol(exp_tune_band(t, t->best).mean, mean_goodput("freekv", t, t->best), 1e-12);
    ck_assert_double_eq_tol(exp_tune_band(t, t->usual).mean, mean_goodput("freekv", t, t->usual), 1e-12);
    ck_assert_uint_eq(t->usual->n, o.n_replications);
    check_gain(t);
    for (uint32_t i = 0; i < exp_tune_book_count(t->book); i++)
        ck_assert(!exp_tune_better(exp_tune_book_trial(t->book, i), t->found));
    ck_assert_double_ge(exp_tune_mean(t->best), exp_tune_mean(t->found) * (1 - EXP_TUNE_EQUAL));
    done(t);
}
END_TEST

static char *as_text(struct exp_tune *t)
{
    json_t *o = exp_tune_json(t);
    json_object_del(o, "wall_s");
    char *s = json_dumps(o, JSON_REAL_PRECISION(17));
    json_decref(o);
    return s;
}

START_TEST(the_same_on_any_number_of_threads)
{
    struct exp_tune_options o = options_of("budget=1280/4096,tau=0.3..0.9");
    char *before = NULL;
    o.n_replications = 3;
    for (uint32_t n = 1; n <= 3; n += 2) {
        o.n_threads = n;
        struct exp_tune *t = tune("freekv", &o);
        char *now = as_text(t);
        if (before) ck_assert_str_eq(before, now);
        free(before);
        before = now;
        done(t);
    }
    free(before);
}
END_TEST

/* The link is slow and the load chooses: what a scan of the whole range finds is not better by more than 0.2 %. */
START_TEST(a_minimum_is_where_a_dense_scan_has_it)
{
    struct exp_tune_options o = options_of("tau=0.1..0.95");
    struct exp_tune_options scan = options_of("tau=0.1/0.3/0.5/0.6/0.7/0.75/0.8/0.85/0.9");
    o.objective = scan.objective = EXP_TUNE_LOAD;
    o.n_replications = scan.n_replications = 2;
    struct exp_tune *t = tune("freekv", &o), *dense = tune("freekv", &scan);
    double found = exp_tune_band(t, t->best).mean, there = exp_tune_band(dense, dense->best).mean;
    ck_assert_msg(found >= there * 0.998, "%g, a scan has %g", found, there);
    ck_assert(t->parameter[0].smooth && !dense->parameter[0].smooth);
    done(dense);
    done(t);
}
END_TEST

START_TEST(several_continuous_parameters_are_minimised_together)
{
    struct exp_tune_options o = options_of("rank_frac=0.0156..0.0313,outlier_frac=0..0.05");
    struct exp_tune *t = tune("gear4", &o);
    ck_assert(t->parameter[0].smooth && t->parameter[1].smooth);
    ck_assert_uint_gt(exp_tune_book_count(t->book), 15);
    for (uint32_t i = 0; i < exp_tune_book_count(t->book); i++) {
        const struct exp_tune_trial *x = exp_tune_book_trial(t->book, i);
        ck_assert(x->setting.value[0] >= 0.0156 && x->setting.value[0] <= 0.0313);
        ck_assert(x->setting.value[1] >= 0 && x->setting.value[1] <= 0.05);
        ck_assert(!exp_tune_better(x, t->found));
    }
    done(t);
}
END_TEST

/* Every value named as close is within 1 % of the best and meets what the best meets; no other one is both. */
START_TEST(an_optimum_is_as_flat_as_its_profile)
{
    struct exp_tune_options o = options_of("budget=1280/1536/2048/3072/4096,prefetch=0/4/16");
    o.objective = EXP_TUNE_LOAD;
    o.n_replications = 3;
    struct exp_tune *t = tune("freekv", &o);
    double best = exp_tune_mean(t->best);
    for (uint32_t i = 0; i < t->n_parameters; i++) {
        const struct exp_tune_profile *f = &t->profile[i];
        ck_assert(f->value[f->at] == t->best->setting.value[i] && f->close[f->at]);
        for (uint32_t k = 0; k < f->n; k++) {
            struct exp_tune_setting at = t->best->setting;
            at.value[i] = f->value[k];
            const struct exp_tune_trial *x = exp_tune_book_at(t->book, &at);
            bool meets = exp_tune_meets(x) || !exp_tune_meets(t->best);
            ck_assert_int_eq(f->close[k], meets && f->objective[k] >= 0.99 * best);
        }
    }
    done(t);
}
END_TEST

START_TEST(a_load_is_the_highest_that_holds)
{
    struct sim_status st = {0};
    struct exp_tune_options o = options_of("budget=2048/4096");
    o.objective = EXP_TUNE_LOAD;
    struct exp_tune *t = tune("freekv", &o);
    for (uint32_t k = 0; k < 3; k++) {
        double load = t->usual->sample[k].value;
        for (int over = 0; over < 2; over++) {
            struct exp_scenario *s = exp_scenario_copy(t->usual->scenario);
            s->workload.multiply = load * (over ? 1.012 : 1);
            struct exp_figures *f = exp_replication(s, cache, t->usual->setup, k, &st);
            ck_assert_msg(f != NULL, "%s", st.message);
            if (!over) ck_assert_double_eq(exp_figure(f, "sla_met").mean, 1);
            if (over && load < 60) ck_assert_double_le(exp_figure(f, "slo_attainment").mean, 0.92);
            exp_figures_free(f);
            free(s);
        }
    }
    done(t);
}
END_TEST

START_TEST(a_cost_is_the_rent_over_the_good_answers)
{
    struct sim_status st = {0};
    struct exp_tune_options o = options_of("budget=512/1024/2048");
    o.objective = EXP_TUNE_COST;
    struct exp_tune *t = tune("h2o", &o);
    char *folder = sim_printf("%s/models/prices", exp_cache_data_dir(cache));
    struct mdl_prices *prices = mdl_prices_load(folder, &st);
    const struct mdl_rent_price *rent = mdl_rent_price(prices, "h100-sxm");
    uint32_t compared = 0;
    for (uint32_t i = 0; i < exp_tune_book_count(t->book); i++) {
        const struct exp_tune_trial *x = exp_tune_book_trial(t->book, i);
        struct exp_figures *f = x->n ? exp_replication(x->scenario, cache, x->setup, 1, &st) : NULL;
        if (!f) continue;
        double lost = isnan(x->newly_failing) ? 0 : x->newly_failing;
        double good_per_s = exp_figure(f, "request_goodput").mean * (1 - lost);
        double per_unit = good_per_s * 3600 / (rent->hour.value / rent->gpus);
        ck_assert_double_eq_tol(x->sample[1].value, per_unit, 1e-9 * per_unit);
        compared++;
        exp_figures_free(f);
    }
    ck_assert_uint_ge(compared, 2);
    ck_assert_double_eq_tol(exp_tune_band(t, t->best).mean * exp_tune_mean(t->best), 1000, 1e-9);
    ck_assert_str_eq(t->currency, prices->currency);
    free(prices);
    free(folder);
    done(t);
}
END_TEST

START_TEST(a_quality_limit_refuses_what_fails_more_and_what_nobody_scored)
{
    struct exp_tune_options o = options_of("budget=256/512/768/1024/2048,recent=192");
    o.max_negatives = 0.12;
    struct exp_tune *t = tune("h2o", &o);
    uint32_t refused_settings = 0;
    ck_assert(t->best->newly_failing <= 0.12);
    for (uint32_t i = 0; i < exp_tune_book_count(t->book); i++) {
        const struct exp_tune_trial *x = exp_tune_book_trial(t->book, i);
        if (x->fate == EXP_TUNE_CANNOT) continue;
        bool ok = x->newly_failing <= 0.12; /* not with NaN */
        ck_assert_msg((x->fate == EXP_TUNE_REFUSED) == !ok, "budget %g", x->setting.value[0]);
        refused_settings += !ok;
    }
    ck_assert_uint_ge(refused_settings, 3);
    ck_assert(t->usual->fate == EXP_TUNE_REFUSED &&
              t->usual->n == o.n_replications); /* 512: set beside the best */
    done(t);

    o.over = "budget"; /* values of the record: 1536 is no doubling, 4096 has no row */
    t = tune("h2o", &o);
    uint32_t middle = 0;
    for (uint32_t i = 0; i < t->parameter[0].n; i++) {
        middle += t->parameter[0].value[i] == 1536;
        ck_assert_double_ne(t->parameter[0].value[i], 4096);
    }
    ck_assert_uint_eq(middle, 1);
    done(t);

    struct sim_status st = {0};
    struct exp_scenario *s = scenario_of("freekv");
    struct exp_tune none;
    o.over = NULL;
    ck_assert(!exp_tune_run(s, cache, &o, &none, &st)); /* nobody scored it */
    ck_assert_int_eq(st.code, SIM_EXIT_INFEASIBLE);
    free(s);
}
END_TEST

/* ---- rates that change ---- */

START_TEST(rates_are_read_or_refused)
{
    struct exp_tune_rates a, b;
    struct sim_status st = {0};
    ck_assert(exp_tune_rates_parse(NULL, &a, &b, &st) && a.miss == EXP_TUNE_MISS_BEFORE &&
              isnan(b.correction));
    ck_assert(exp_tune_rates_parse("0.1/0.2,0.3/0.4", &a, &b, &st));
    ck_assert(a.miss == 0.1 && a.correction == 0.2 && b.miss == 0.3 && b.correction == 0.4);
    static const char *const bad[] = {"",     "0.1",   "0.1,",        "0.1,2", "0.1,0.2,0.3",
                                      "-1,0", "nan,0", "0.1/0.2,0.3", "a,b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sim_status why = {0};
        ck_assert_msg(!exp_tune_rates_parse(bad[i], &a, &b, &why), "%s", bad[i]);
        ck_assert_int_eq(why.code, SIM_EXIT_USAGE);
    }
}
END_TEST

START_TEST(adaptive_is_set_beside_the_best_static_setting)
{
    struct exp_tune_options o = options_of("budget=2048");
    o.rates = "0.02/0.37,0.5/0.37";
    struct exp_tune *t = tune("freekv", &o);
    const struct exp_tune_shift *x = &t->shift;
    ck_assert_msg(t->shifts && !x->why[0], "%s", x->why);
    ck_assert_uint_ge(x->n_fixed, 4);
    double worst_s = 0, best_s = INFINITY;
    for (uint32_t i = 0; i < x->n_fixed; i++) {
        worst_s = fmax(worst_s, x->fixed[i].tpot_s.mean);
        best_s = fmin(best_s, x->fixed[i].tpot_s.mean);
        /* a load with a change lies between those without */
        double low = fmin(x->fixed[i].tpot_before_s, x->fixed[i].tpot_after_s),
               high = fmax(x->fixed[i].tpot_before_s, x->fixed[i].tpot_after_s);
        ck_assert(x->fixed[i].tpot_s.mean >= low * 0.99 && x->fixed[i].tpot_s.mean <= high * 1.01);
    }
    ck_assert_double_le(x->adaptive.tpot_s.mean, worst_s * 1.002);
    ck_assert_uint_lt(x->best, x->n_fixed);
    double gain = (x->fixed[x->best].tpot_s.mean - x->adaptive.tpot_s.mean) / x->fixed[x->best].tpot_s.mean;
    ck_assert_double_eq_tol(x->tpot_gain.mean, gain, 1e-12);
    done(t);

    o.over = "budget";
    o.rates = NULL;
    t = tune("arkvale", &o); /* no such policy */
    ck_assert(!t->shifts);
    done(t);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("tune");
    TCase *t = tcase_create("tune");
    tcase_add_checked_fixture(t, open_cache, close_cache);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_strategy_has_usual_parameters_within_its_sources_or_none);
    tcase_add_test(t, names_ranges_and_values_are_read);
    tcase_add_test(t, what_cannot_be_searched_is_refused);
    tcase_add_test(t, a_grid_has_every_combination_once_and_the_usual_one_first);
    tcase_add_test(t, a_race_drops_what_is_worse_in_pairs_and_keeps_what_may_be_best);
    tcase_add_test(t, one_of_the_best_is_seldom_dropped);
    tcase_add_test(t, ties_leave_the_usual_setting_first);
    tcase_add_test(t, service_levels_come_before_the_objective);
    tcase_add_test(t, where_all_miss_the_nearest_leads);
    tcase_add_test(t, a_gain_is_taken_pair_by_pair);
    tcase_add_test(t, scored_values_beyond_the_room_are_counted);
    tcase_add_test(t, every_figure_is_that_of_kvsim_run);
    tcase_add_test(t, the_same_on_any_number_of_threads);
    tcase_add_test(t, a_minimum_is_where_a_dense_scan_has_it);
    tcase_add_test(t, several_continuous_parameters_are_minimised_together);
    tcase_add_test(t, an_optimum_is_as_flat_as_its_profile);
    tcase_add_test(t, a_load_is_the_highest_that_holds);
    tcase_add_test(t, a_cost_is_the_rent_over_the_good_answers);
    tcase_add_test(t, a_quality_limit_refuses_what_fails_more_and_what_nobody_scored);
    tcase_add_test(t, rates_are_read_or_refused);
    tcase_add_test(t, adaptive_is_set_beside_the_best_static_setting);
    suite_add_tcase(s, t);
    return s;
}
