/* A finalist's response from its points: against closed forms put in the place of the simulator, whose elasticities are
 * known; against M/M/1, where slower by f is worth a known load; and what must hold for real candidates. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/money/response_parts.h"
#include "experiments/replicate.h"
#include "sim/random.h"
#include "tests/plan_help.h"

/* ---- closed forms in the place of the simulator ---- */

/* Strain (load x product of f^e / capacity)^power, on a number of replicas; load alone has noise. */
struct made_up {
    double capacity, power, kept; /* capacity of a replica, over the planned peak */
    double elasticity[EXP_N_DRIVERS];
    double noise, floor;
};

static bool answer(void *user, const struct exp_probe_at *at, struct exp_probe_point *out,
                   struct sim_status *st)
{
    const struct made_up *m = user;
    double log_u = log(at->load / (m->capacity * (at->n_replicas + m->kept)));
    uint64_t load = (uint64_t)(1e6 * at->load);
    (void)st;
    for (int d = 0; d < EXP_N_DRIVERS; d++) log_u += m->elasticity[d] * at->move[d];
    double noise = sim_random_unit(1, 2, load) - 0.5, strain = exp(m->power * log_u + m->noise * noise);
    strain = fmax(fmin(strain, 100), m->floor);
    *out = (struct exp_probe_point){.strain = strain,
                                    .pressure = exp(m->power / 8 * log_u + m->noise / 8 * noise),
                                    .miss = strain / 100,
                                    .busy = fmin(1, exp(log_u))};
    return true;
}

static struct exp_probe_job job_of(struct made_up *m, uint32_t n, double headroom)
{
    struct exp_probe_job j = {.probe = {m, answer},
                              .n_replicas = n,
                              .n_deployed = n,
                              .n_kept = m->kept,
                              .may_be_none = m->kept > 0,
                              .headroom = headroom,
                              .growth = 1,
                              .n_threads = 2};
    for (int d = 0; d < EXP_N_DRIVERS; d++) {
        j.step[d] = m->elasticity[d] > 0 ? 0.15 : 0;
        j.any_step[d] = true;
    }
    return j;
}

static struct exp_response respond(const struct exp_probe_job *j)
{
    struct sim_status st = {0};
    struct exp_response r = {0};
    ck_assert_msg(exp_response_probe(j, &r, &st), "%s", st.message);
    ck_assert_uint_le(r.n_points, EXP_RESPONSE_POINTS);
    for (uint32_t i = 1; i < r.miss.n; i++) {
        ck_assert_double_gt(r.miss.x[i], r.miss.x[i - 1]);
        ck_assert_double_ge(r.miss.y[i], r.miss.y[i - 1]);
        ck_assert_double_ge(r.busy.y[i], r.busy.y[i - 1]);
    }
    ck_assert_double_ge(r.fit_error, 0);
    return r;
}

static double between(uint64_t seed, uint64_t i, double lo, double hi)
{
    return lo + (hi - lo) * sim_random_unit(seed, 5, i);
}

/* A fleet of the fewest replicas that hold what it is sized for, families of operators with shares of its time. */
static struct made_up any_fleet(uint64_t seed, uint32_t *n, double *headroom)
{
    struct made_up m = {.capacity = exp(between(seed, 0, log(0.03), log(2))),
                        .power = between(seed, 1, 8, 40)};
    for (int d = 0; d < EXP_N_DRIVERS; d++)
        m.elasticity[d] =
            between(seed, 2 + (uint64_t)d, 0, 1) < 0.3 ? 0 : between(seed, 20 + (uint64_t)d, 0.05, 0.5);
    m.elasticity[EXP_DRIVE_RESIDUAL] = between(seed, 30, 0.9, 1.2);
    *headroom = between(seed, 40, 0, 0.4);
    *n = (uint32_t)ceil((1 + *headroom) / m.capacity);
    return m;
}

START_TEST(elasticities_are_found_again)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        uint32_t n;
        double headroom;
        struct made_up m = any_fleet(seed, &n, &headroom);
        struct exp_probe_job j = job_of(&m, n, headroom);
        struct exp_response r = respond(&j);
        for (int d = 0; d < EXP_N_DRIVERS; d++)
            ck_assert_double_eq_tol(r.elasticity[d], m.elasticity[d], 0.03 * m.elasticity[d] + 1e-9);
        ck_assert_uint_eq(r.clamped, 0);
        ck_assert_double_lt(r.fit_error, 0.01); /* loads of a part of a hundred */
        ck_assert_double_eq_tol(r.headroom, n * m.capacity, 0.01 * r.headroom);
        ck_assert_uint_eq(r.n_loads, 1);
        ck_assert_uint_eq(r.replicas[0], n);
    }
}
END_TEST

START_TEST(noise_moves_elasticities_by_little)
{
    double square = 0, sum = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        uint32_t n;
        double headroom;
        struct made_up m = any_fleet(seed, &n, &headroom);
        m.noise = 0.3; /* strain off by up to 15 % */
        struct exp_probe_job j = job_of(&m, n, headroom);
        struct exp_response r = respond(&j);
        double error = r.elasticity[EXP_DRIVE_RESIDUAL] / m.elasticity[EXP_DRIVE_RESIDUAL] - 1;
        square += error * error / 60;
        sum += error / 60;
    }
    ck_assert_double_lt(sqrt(square), 0.15);
    ck_assert_double_lt(fabs(sum), 0.05);
}
END_TEST

/* Busy at the planned peak, load 1, is 1 / (n x capacity), whatever headroom the fleet has. */
START_TEST(curves_are_over_the_planned_peak)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint32_t n;
        double headroom;
        struct made_up m = any_fleet(seed, &n, &headroom);
        struct exp_probe_job j = job_of(&m, n, headroom);
        struct exp_response r = respond(&j);
        double busy = 1 / (m.capacity * (n + m.kept));
        ck_assert_double_eq_tol(exp_curve_at(&r.busy, 1), busy, 0.03 * busy);
    }
}
END_TEST

/* Six times a year for ten years: nobody makes sixty million times the requests. */
START_TEST(loads_ahead_have_an_end)
{
    uint32_t n;
    double headroom;
    struct made_up m = any_fleet(4, &n, &headroom);
    struct exp_probe_job j = job_of(&m, n, headroom);
    j.growth = pow(6, 10);
    struct exp_response r = respond(&j);
    ck_assert_uint_gt(r.n_loads, 3);
    ck_assert_double_gt(r.load[r.n_loads - 1], 16);
    ck_assert_double_lt(r.load[r.n_loads - 1], 40);
    j.growth = pow(0.5, 10);
    r = respond(&j);
    ck_assert_uint_eq(r.n_loads, 1);
}
END_TEST

START_TEST(headroom_is_that_of_whole_servers)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        uint32_t n;
        double headroom;
        struct made_up m = any_fleet(seed, &n, &headroom);
        struct exp_probe_job j = job_of(&m, n, headroom);
        j.n_deployed = (n + 7) / 8 * 8;
        struct exp_response r = respond(&j);
        ck_assert_double_eq_tol(r.headroom, j.n_deployed * m.capacity, 0.02 * r.headroom);
    }
}
END_TEST

START_TEST(replicas_of_the_years_ahead_are_those_that_hold)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        uint32_t n;
        double headroom;
        struct made_up m = any_fleet(seed, &n, &headroom);
        struct exp_probe_job j = job_of(&m, n, headroom);
        j.growth = between(seed, 50, 1.1, 8);
        struct exp_response r = respond(&j);
        ck_assert_uint_ge(r.n_loads, 2);
        ck_assert_double_eq_tol(r.load[r.n_loads - 1], j.growth, 0.021 * j.growth); /* on the grid */
        for (uint32_t i = 1; i < r.n_loads; i++) {
            double need = r.load[i] * (1 + headroom) / m.capacity;
            ck_assert_double_gt(r.load[i], r.load[i - 1]);
            /* one run stands for a judgement of several; to half a step of the grid either way */
            ck_assert_double_ge(r.replicas[i], ceil(need / 1.021 - 0.01));
            ck_assert_double_le(r.replicas[i], ceil(need * 1.021 + n * 0.021) + 1);
        }
    }
}
END_TEST

START_TEST(machines_that_are_kept_carry_their_part_in_the_years_ahead)
{
    struct made_up m = {.capacity = 0.1, .power = 20, .kept = 15};
    m.elasticity[EXP_DRIVE_RESIDUAL] = 1;
    struct exp_probe_job j = job_of(&m, 0, 0.2); /* they do, today: 1.5 of 1.2 */
    j.growth = 4;
    struct exp_response r = respond(&j);
    ck_assert_double_eq_tol(r.headroom, 1.5, 0.02);
    for (uint32_t i = 1; i < r.n_loads; i++)
        ck_assert_double_eq_tol(r.replicas[i], fmax(0, 12 * r.load[i] - 15), 0.05 * 12 * r.load[i] + 1);
}
END_TEST

START_TEST(replicas_that_the_service_level_does_not_count_on_come_on_top)
{
    struct made_up m = {.capacity = 0.1, .power = 20};
    m.elasticity[EXP_DRIVE_RESIDUAL] = 1;
    struct exp_probe_job j = job_of(&m, 18, 0); /* 10 serve it, a server of 8 may be lost */
    j.n_lost = 8;
    j.growth = 4;
    struct exp_response r = respond(&j);
    for (uint32_t i = 0; i < r.n_loads; i++)
        ck_assert_double_eq_tol(r.replicas[i], 8 + 10 * r.load[i], 0.05 * 10 * r.load[i] + 1);
}
END_TEST

START_TEST(threads_do_not_change_a_response)
{
    uint32_t n;
    double headroom;
    struct made_up m = any_fleet(3, &n, &headroom);
    struct exp_probe_job j = job_of(&m, n, headroom);
    struct exp_response r[3];
    memset(r, 0, sizeof r);
    j.growth = 5;
    for (uint32_t t = 0; t < 3; t++) {
        struct sim_status st = {0};
        j.n_threads = 1u << t;
        ck_assert(exp_response_probe(&j, &r[t], &st));
    }
    ck_assert_mem_eq(&r[0], &r[1], sizeof r[0]);
    ck_assert_mem_eq(&r[0], &r[2], sizeof r[0]);
}
END_TEST

/* ---- where nothing can be read off ---- */

static void all_are_numbers(const struct exp_response *r)
{
    ck_assert(isfinite(r->headroom) && isfinite(r->fit_error));
    for (int d = 0; d < EXP_N_DRIVERS; d++) ck_assert(r->elasticity[d] >= 0 && r->elasticity[d] < 100);
}

START_TEST(a_fleet_that_never_breaks_has_as_much_headroom_as_was_tried)
{
    struct made_up m = {.capacity = 1000, .power = 10, .floor = 0};
    m.elasticity[EXP_DRIVE_RESIDUAL] = 1;
    struct exp_probe_job j = job_of(&m, 1, 0.2);
    j.growth = 4;
    struct exp_response r = respond(&j);
    all_are_numbers(&r);
    ck_assert_double_gt(r.headroom, 7);
    for (uint32_t i = 0; i < r.n_loads; i++) ck_assert_uint_eq(r.replicas[i], 1);
}
END_TEST

START_TEST(a_service_level_that_no_load_meets_leaves_no_headroom)
{
    struct made_up m = {.capacity = 0.1, .power = 10, .floor = 3};
    m.elasticity[EXP_DRIVE_RESIDUAL] = 1;
    struct exp_probe_job j = job_of(&m, 12, 0.2);
    j.growth = 3;
    struct exp_response r = respond(&j);
    all_are_numbers(&r);
    ck_assert_double_eq(r.headroom, 0);
    ck_assert_uint_ge(r.replicas[r.n_loads - 1], 36);
}
END_TEST

START_TEST(a_fleet_that_load_does_not_touch_shows_no_elasticity)
{
    struct made_up m = {.capacity = 0.1, .power = 0}; /* at its limit, whatever happens */
    m.elasticity[EXP_DRIVE_RESIDUAL] = 1;
    struct exp_probe_job j = job_of(&m, 12, 0.2);
    j.growth = 4;
    struct exp_response r = respond(&j);
    all_are_numbers(&r);
    ck_assert_double_eq(r.elasticity[EXP_DRIVE_RESIDUAL], 0);
    ck_assert_double_eq(r.fit_error, 0);
}
END_TEST

START_TEST(a_driver_that_helps_is_held_at_nothing_and_said)
{
    struct made_up m = {.capacity = 0.1, .power = 20};
    m.elasticity[EXP_DRIVE_RESIDUAL] = 1;
    m.elasticity[EXP_DRIVE_KV] = -0.2;
    struct exp_probe_job j = job_of(&m, 12, 0.2);
    j.step[EXP_DRIVE_KV] = 0.2;
    struct exp_response r = respond(&j);
    ck_assert_double_eq(r.elasticity[EXP_DRIVE_KV], 0);
    ck_assert_uint_eq(r.clamped, 1u << EXP_DRIVE_KV);
}
END_TEST

START_TEST(a_driver_that_is_worth_many_times_its_size_is_moved_less)
{
    struct made_up m = {.capacity = 0.1, .power = 20};
    m.elasticity[EXP_DRIVE_RESIDUAL] = 5; /* the limit on TPOT lies just above what a step takes */
    struct exp_probe_job j = job_of(&m, 12, 0.2);
    struct exp_response r = respond(&j);
    ck_assert_double_eq_tol(r.elasticity[EXP_DRIVE_RESIDUAL], 5, 0.15);
    ck_assert_uint_eq(r.clamped, 0);
}
END_TEST

static bool refuse(void *user, const struct exp_probe_at *at, struct exp_probe_point *out,
                   struct sim_status *st)
{
    if (at->move[EXP_DRIVE_RESIDUAL] == 0) return answer(user, at, out, st);
    return sim_fail(st, "out of luck");
}

START_TEST(a_point_that_fails_fails_with_its_line)
{
    struct made_up m = {.capacity = 0.1, .power = 20};
    m.elasticity[EXP_DRIVE_RESIDUAL] = 1;
    struct exp_probe_job j = job_of(&m, 12, 0.2);
    struct exp_response r;
    struct sim_status st = {0};
    j.probe.run = refuse;
    ck_assert(!exp_response_probe(&j, &r, &st));
    ck_assert_str_eq(st.message, "out of luck");
}
END_TEST

START_TEST(a_curve_is_inverted_where_it_rises_and_pooled_where_it_falls)
{
    struct exp_pressure_curve c = {0};
    const double pressure[] = {0.1, 0.1, 0.5, 0.4, 2, 8};
    for (int i = 0; i < 6; i++) exp_pressure_add(&c, 0.1 * i, pressure[i] - 1e-3); /* its floor */
    exp_pressure_finish(&c);
    ck_assert_double_eq_tol(exp_pressure_load(&c, 0.01), 0.1, 1e-12); /* as far as it is lowest */
    ck_assert_double_eq_tol(exp_pressure_load(&c, sqrt(0.5 * 0.4) - 1e-3), 0.25, 1e-9);
    ck_assert_double_eq_tol(exp_pressure_load(&c, 2 - 1e-3), 0.4, 1e-9);
    ck_assert_double_eq_tol(exp_pressure_load(&c, 4 - 1e-3), 0.45, 1e-9);
    ck_assert_double_gt(exp_pressure_load(&c, 9), 0.5);
    ck_assert_double_le(exp_pressure_load(&c, 1e300), 0.5 + log(2));
}
END_TEST

/* ---- M/M/1 ---- */

struct fixture {
    struct exp_cache *cache;
    struct exp_plan *plan;
    struct exp_loads *loads;
    struct exp_candidate *candidates;
    struct exp_entry entry;
};

static struct fixture fixture(const char *text, const char *label, uint32_t n_replicas)
{
    struct fixture f = {.cache = plan_cache()};
    f.plan = plan_of(text, f.cache);
    f.loads = exp_loads_new(f.plan, f.cache);
    uint32_t n = exp_candidates(f.plan, f.cache, &f.candidates), i = 0;
    while (i < n && strcmp(f.candidates[i].contender->label, label) != 0) i++;
    ck_assert_uint_lt(i, n);
    f.entry = (struct exp_entry){.candidate = f.candidates[i], .n_replicas = n_replicas};
    return f;
}

static void end(struct fixture *f)
{
    free(f->candidates);
    exp_loads_free(f->loads);
    exp_plan_free(f->plan);
    exp_cache_free(f->cache);
}

static struct exp_response response_of(struct fixture *f, uint32_t n_threads)
{
    struct exp_response r;
    struct sim_status st = {0};
    ck_assert_msg(exp_response_make(f->plan, &f->entry, f->cache, f->loads, n_threads, &r, &st), "%s",
                  st.message);
    ck_assert_uint_le(r.n_points, EXP_RESPONSE_POINTS);
    return r;
}

enum { MEAN_TOKENS = 200, N_REQUESTS = 60000 };
static const double RATE = 0.7,
                    LIMIT_S = 11.5129254649702; /* ln 10 / 0.2: a tenth is late at 0.8 of capacity */

/* Poisson arrivals of exponential outputs, one second on average, one after the other on one server. */
static struct fixture single_server(void)
{
    char *text = malloc(40u * N_REQUESTS), *at = text;
    double now_s = 0;
    ck_assert_ptr_nonnull(text);
    at += sprintf(at, "arrival_time_us,input_tokens,output_tokens\n");
    for (uint64_t i = 0; i < N_REQUESTS; i++) {
        now_s -= log(sim_random_unit(3, 1, i)) / RATE;
        double tokens = fmax(1, round(-log(sim_random_unit(3, 2, i)) * MEAN_TOKENS));
        at += sprintf(at, "%.0f,1,%.0f\n", 1e6 * now_s, tokens);
    }
    char plan[2000];
    snprintf(plan, sizeof plan,
             "model: llama-3.1-8b\nload: {trace: %s, how: compress}\n"
             "slo: {e2el_ms: %.9f, percentile: 90}\nengine: {max_num_seqs: 1}\nspare: {headroom: 0.1}\n"
             "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full]}\n",
             test_file("mm1.csv", text), 1e3 * LIMIT_S);
    free(text);
    struct fixture f = fixture(plan, "full", 1);
    f.plan->base->cost_kind = EXP_COST_LINEAR;
    f.plan->base->cost_step_s = 0;
    f.plan->base->cost_token_s = 1.0 / MEAN_TOKENS;
    f.plan->base->cost_kv_token_s = 0;
    f.plan->growth_per_year = 0;
    f.entry.candidate.gpus_per_server = 1;
    return f;
}

/* P(late) = exp(-(mu - lambda) w): service slower by f is worth the load at which mu - lambda is what mu / f - lambda was. */
static double queueing_elasticity(double rho, double log_f)
{
    return log(1 + (1 - exp(-log_f)) / rho) / log_f;
}

START_TEST(slower_service_and_longer_outputs_are_worth_what_queueing_theory_says)
{
    struct fixture f = single_server();
    struct exp_response r = response_of(&f, 2);
    double e = queueing_elasticity(0.8, 0.06);
    ck_assert_double_eq_tol(r.headroom, 0.8 / RATE, 0.04);
    ck_assert_double_eq_tol(r.elasticity[EXP_DRIVE_RESIDUAL], e, 0.12);
    ck_assert_double_eq_tol(r.elasticity[EXP_DRIVE_LENGTH], e, 0.12);
    for (int i = 0; i < MDL_N_FAMILY; i++) ck_assert_double_eq(r.elasticity[EXP_DRIVE_FAMILY + i], 0);
    ck_assert_double_eq(r.elasticity[EXP_DRIVE_KV], 0);
    ck_assert_double_eq(r.elasticity[EXP_DRIVE_HOST], 0);
    ck_assert_double_eq(r.log_sd[EXP_DRIVE_LENGTH], 0); /* full KV is what lengths are measured against */
    ck_assert_double_lt(r.fit_error, 0.03);
    end(&f);
}
END_TEST

START_TEST(time_times_f_is_load_times_f_when_limits_scale_too)
{
    struct fixture f = single_server();
    struct sim_status st = {0};
    struct exp_factors *slow = malloc(sizeof *slow);
    struct exp_trial_change change = {.factors = slow, .miss = NAN, .correction = NAN};
    exp_factors_none(slow);
    for (double by = 0.9; by < 1.3; by += 0.1) {
        struct exp_trial_point slower, busier;
        for (int i = 0; i < EXP_MAX_FLEETS; i++) slow->residual[i] = by;
        f.plan->base->slo.e2el_ms = 1e3 * LIMIT_S * by;
        struct exp_trial *t = exp_trial_new(f.plan, &f.entry.candidate, f.cache, f.loads, &change, &st);
        ck_assert_msg(t && exp_trial_run(t, 1, 1, 1, true, &slower, &st), "%s", st.message);
        exp_trial_free(t);
        f.plan->base->slo.e2el_ms = 1e3 * LIMIT_S;
        t = exp_trial_new(f.plan, &f.entry.candidate, f.cache, f.loads, NULL, &st);
        ck_assert_msg(t && exp_trial_run(t, 1, by, 1, true, &busier, &st), "%s", st.message);
        exp_trial_free(t);
        ck_assert_double_eq_tol(slower.miss, busier.miss, 3.0 / N_REQUESTS); /* arrivals are rounded to us */
        ck_assert_double_eq_tol(slower.gpu_busy, busier.gpu_busy, 1e-4);
    }
    free(slow);
    end(&f);
}
END_TEST

/* ---- real candidates ---- */

#define REAL_PLAN                                                                                            \
    "model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv, multiply: 8, growth_per_year: 0.6}\n"       \
    "slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}\n"                                                    \
    "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full, freekv, kivi4]}\n"

static double sum_of_families(const struct exp_response *r)
{
    double sum = 0;
    for (int i = 0; i < MDL_N_FAMILY; i++) sum += r->elasticity[EXP_DRIVE_FAMILY + i];
    return sum;
}

START_TEST(operators_share_the_time_of_a_step)
{
    struct fixture f = fixture(REAL_PLAN, "full", 3);
    struct exp_response r = response_of(&f, 2);
    double all = r.elasticity[EXP_DRIVE_RESIDUAL];
    ck_assert_double_gt(all, 0.4);
    ck_assert_double_gt(sum_of_families(&r),
                        0.4 * all); /* the rest is idle time between kernels, and the CPU */
    ck_assert_double_lt(sum_of_families(&r), 1.5 * all);
    ck_assert_double_eq(r.elasticity[EXP_DRIVE_FAMILY + MDL_ALLREDUCE], 0); /* on one GPU */
    ck_assert_double_eq(r.elasticity[EXP_DRIVE_KV], 0);
    ck_assert_double_eq(r.elasticity[EXP_DRIVE_HOST], 0);
    ck_assert_double_gt(r.elasticity[EXP_DRIVE_LENGTH], 0);
    ck_assert_uint_ge(r.n_loads, 3);
    for (uint32_t i = 1; i < r.n_loads; i++) ck_assert_uint_ge(r.replicas[i], r.replicas[i - 1]);
    ck_assert_double_lt(r.fit_error, 0.1);
    end(&f);
}
END_TEST

START_TEST(drivers_are_as_well_known_as_replications_draw_them_and_called_the_same)
{
    struct fixture f = fixture(REAL_PLAN, "freekv", 3);
    struct sim_status st = {0};
    struct exp_trial *t = exp_trial_new(f.plan, &f.entry.candidate, f.cache, f.loads, NULL, &st);
    ck_assert_msg(t != NULL, "%s", st.message);
    const struct exp_fleet_setup *fleet = &exp_trial_setup(t)->fleets[0];
    struct exp_response r = {0};
    struct exp_probe_job j = {0};
    exp_drivers_describe(f.plan, exp_trial_setup(t), 3, &j, &r);
    for (int i = 0; i < MDL_N_FAMILY; i++) {
        char name[160];
        enum mdl_family family = (enum mdl_family)i;
        snprintf(name, sizeof name, "%s %s", mdl_family_name(family), mdl_profile_name(fleet->profile));
        ck_assert_str_eq(r.stream[EXP_DRIVE_FAMILY + i], name);
        ck_assert_double_eq(r.log_sd[EXP_DRIVE_FAMILY + i], mdl_profile_error_frac(fleet->profile, family));
    }
    ck_assert_double_eq(r.log_sd[EXP_DRIVE_RESIDUAL], fleet->engine.residual_frac);
    ck_assert_str_eq(r.stream[EXP_DRIVE_KV], "kv freekv");
    ck_assert_str_eq(r.stream[EXP_DRIVE_HOST], "host h100-sxm");
    ck_assert_double_gt(r.log_sd[EXP_DRIVE_KV], 0);
    ck_assert_double_gt(r.log_sd[EXP_DRIVE_HOST], 0);
    ck_assert_double_gt(r.log_sd[EXP_DRIVE_LENGTH], 0);
    exp_trial_free(t);
    end(&f);
}
END_TEST

/* Moved by so many deviations, figures lie at that quantile of what replications draw. */
START_TEST(rates_are_moved_within_what_replications_draw)
{
    enum { DRAWS = 400 };
    struct fixture f = fixture(REAL_PLAN, "freekv", 3);
    struct sim_status st = {0};
    struct exp_trial *t = exp_trial_new(f.plan, &f.entry.candidate, f.cache, f.loads, NULL, &st);
    ck_assert_msg(t != NULL, "%s", st.message);
    const struct exp_setup *u = exp_trial_setup(t);
    struct exp_response r = {0};
    struct exp_probe_job j = {0};
    struct exp_factors *drawn = malloc(sizeof *drawn), *moved = malloc(sizeof *moved);
    uint32_t above[MDL_N_KV_KEY] = {0};
    double move[EXP_N_DRIVERS] = {0};
    exp_drivers_describe(f.plan, u, 3, &j, &r);
    move[EXP_DRIVE_KV] = j.step[EXP_DRIVE_KV]; /* the 95 % quantile of slowness */
    exp_drivers_factors(u, &r, move, moved);
    for (uint32_t k = 0; k < DRAWS; k++) {
        exp_factors_draw(u, 1, k, drawn);
        for (int key = 0; key < MDL_N_KV_KEY; key++) above[key] += drawn->kv[0][key] > moved->kv[0][key];
    }
    uint32_t n_moved = 0;
    for (int key = 0; key < MDL_N_KV_KEY; key++) {
        struct mdl_kv_default d =
            mdl_kvcost_default(u->fleets[0].kv.use.strategy, (enum mdl_kv_key)key, u->fleets[0].gpu);
        if (isnan(moved->kv[0][key]) || d.low == d.high) continue;
        double share = above[key] / (double)DRAWS;
        ck_assert_msg(fabs(share - 0.05) < 0.045 || fabs(share - 0.95) < 0.045, "%s: %g",
                      mdl_kv_key_info((enum mdl_kv_key)key)->name, share);
        n_moved++;
    }
    ck_assert_uint_ge(n_moved, 2);
    free(drawn);
    free(moved);
    exp_trial_free(t);
    end(&f);
}
END_TEST

START_TEST(a_real_response_is_the_same_on_any_number_of_threads)
{
    struct fixture f = fixture(REAL_PLAN, "freekv", 3);
    struct exp_response one = response_of(&f, 1), four = response_of(&f, 4);
    ck_assert_double_eq(one.headroom, four.headroom);
    ck_assert_mem_eq(one.elasticity, four.elasticity, sizeof one.elasticity);
    ck_assert_mem_eq(&one.miss, &four.miss, sizeof one.miss);
    ck_assert_mem_eq(one.replicas, four.replicas, sizeof one.replicas);
    ck_assert_double_eq(one.fit_error, four.fit_error);
    ck_assert_uint_eq(one.n_points, four.n_points);
    end(&f);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("response");
    TCase *made_up = tcase_create("closed forms"), *nothing = tcase_create("nothing to read off"),
          *queue = tcase_create("M/M/1"), *real = tcase_create("candidates");
    tcase_add_test(made_up, elasticities_are_found_again);
    tcase_add_test(made_up, noise_moves_elasticities_by_little);
    tcase_add_test(made_up, loads_ahead_have_an_end);
    tcase_add_test(made_up, curves_are_over_the_planned_peak);
    tcase_add_test(made_up, headroom_is_that_of_whole_servers);
    tcase_add_test(made_up, replicas_of_the_years_ahead_are_those_that_hold);
    tcase_add_test(made_up, machines_that_are_kept_carry_their_part_in_the_years_ahead);
    tcase_add_test(made_up, replicas_that_the_service_level_does_not_count_on_come_on_top);
    tcase_add_test(made_up, threads_do_not_change_a_response);
    tcase_add_test(nothing, a_fleet_that_never_breaks_has_as_much_headroom_as_was_tried);
    tcase_add_test(nothing, a_service_level_that_no_load_meets_leaves_no_headroom);
    tcase_add_test(nothing, a_fleet_that_load_does_not_touch_shows_no_elasticity);
    tcase_add_test(nothing, a_driver_that_helps_is_held_at_nothing_and_said);
    tcase_add_test(nothing, a_driver_that_is_worth_many_times_its_size_is_moved_less);
    tcase_add_test(nothing, a_point_that_fails_fails_with_its_line);
    tcase_add_test(nothing, a_curve_is_inverted_where_it_rises_and_pooled_where_it_falls);
    tcase_add_test(queue, slower_service_and_longer_outputs_are_worth_what_queueing_theory_says);
    tcase_add_test(queue, time_times_f_is_load_times_f_when_limits_scale_too);
    tcase_add_test(real, operators_share_the_time_of_a_step);
    tcase_add_test(real, drivers_are_as_well_known_as_replications_draw_them_and_called_the_same);
    tcase_add_test(real, rates_are_moved_within_what_replications_draw);
    tcase_add_test(real, a_real_response_is_the_same_on_any_number_of_threads);
    tcase_set_timeout(queue, 60);
    tcase_set_timeout(real, 60);
    suite_add_tcase(s, made_up);
    suite_add_tcase(s, nothing);
    suite_add_tcase(s, queue);
    suite_add_tcase(s, real);
    return s;
}
