/* A plan is what the scheduler did, row by row: tokens and blocks add up, the run does not notice that it is
 * watched, the file reads back, and executing it exactly as planned has no error. */
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/run.h"
#include "experiments/steps.h"
#include "sim/memory.h"

/* A pool that is too small for what comes: prompts in chunks, preemptions. */
static const char scenario_text[] =
    "model: llama-3.2-1b\n"
    "fleet:\n  - {gpu: h100-sxm, replicas: 2}\n"
    "engine: {max_num_seqs: 16, max_num_batched_tokens: 256, num_gpu_blocks_override: 90, max_model_len: "
    "1200}\n"
    "workload:\n  open_loop: {request_rate: 60, num_requests: 150, input_tokens: 400, output_tokens: 120, "
    "length_range: [0.5, 1.5]}\n"
    "seed: 3\n";

struct fixture {
    struct exp_cache *cache;
    struct exp_scenario *scenario;
    char plan[512];
};

static struct fixture setup(const char *text)
{
    struct sim_status st = {0};
    struct fixture f = {.cache = exp_cache_new(&st)};
    ck_assert_msg(f.cache != NULL, "%s", st.message);
    f.scenario = exp_scenario_load(test_file("scenario.yaml", text), &st);
    ck_assert_msg(f.scenario && exp_scenario_check(f.scenario, &st), "%s", st.message);
    snprintf(f.plan, sizeof f.plan, "%s/plan.csv", test_dir());
    return f;
}

static void teardown(struct fixture *f)
{
    free(f->scenario);
    exp_cache_free(f->cache);
}

static struct exp_run *run(const struct fixture *f, bool with_plan)
{
    struct sim_status st = {0};
    struct exp_run_options o = {.plan = with_plan ? exp_batches_out_new(f->plan, &st) : NULL};
    struct exp_run *r = exp_run_new(f->scenario, f->cache, &o, &st);
    ck_assert_msg(r != NULL, "%s", st.message);
    if (with_plan) ck_assert_msg(exp_batches_out_commit(o.plan, &st), "%s", st.message);
    return r;
}

static struct exp_batches read_plan(const struct fixture *f, const struct exp_run *r)
{
    struct sim_status st = {0};
    struct exp_batches p;
    ck_assert_msg(exp_batches_read(f->plan, r->setup->workload.trace, &p, &st), "%s", st.message);
    return p;
}

START_TEST(a_run_does_not_notice_that_its_plan_is_written)
{
    struct fixture f = setup(scenario_text);
    struct exp_run *a = run(&f, false), *b = run(&f, true);
    ck_assert_uint_eq(a->result->n_requests, b->result->n_requests);
    ck_assert_mem_eq(a->result->outcomes, b->result->outcomes,
                     a->result->n_requests * sizeof *a->result->outcomes);
    exp_run_free(a);
    exp_run_free(b);
    teardown(&f);
}
END_TEST

START_TEST(tokens_of_a_plan_add_up_and_pasts_continue)
{
    struct fixture f = setup(scenario_text);
    struct exp_run *r = run(&f, true);
    struct exp_batches p = read_plan(&f, r);
    const struct sim_load *load = &r->setup->config.load;
    uint32_t *computed = sim_alloc(load->n_requests, sizeof *computed);
    uint64_t tokens = 0, preemptions = 0, chunks = 0;
    for (size_t i = 0; i < p.n_rows; i++) {
        const struct exp_batches_row *row = &p.rows[i];
        ck_assert_uint_eq(row->past_tokens, computed[row->request]);
        tokens += row->new_tokens;
        preemptions += row->new_tokens == 0;
        chunks += row->new_tokens > 1 && row->past_tokens > 0;
        computed[row->request] = row->new_tokens ? row->past_tokens + row->new_tokens : 0;
        if (row->new_tokens) ck_assert_uint_eq(row->read_tokens, row->past_tokens + row->new_tokens);
    }
    for (uint64_t i = 0; i < load->n_requests; i++)
        ck_assert_uint_eq(computed[i], load->requests[i].input_tokens + load->requests[i].output_tokens - 1);
    const struct sim_fleet_stats *stats = &r->result->fleets[0];
    ck_assert_uint_eq(tokens, stats->computed_tokens);
    ck_assert_uint_eq(preemptions, stats->preemptions);
    ck_assert_uint_eq(p.n_steps, stats->iterations);
    ck_assert_uint_gt(preemptions, 0); /* the test is about them, too */
    ck_assert_uint_gt(chunks, 0);
    free(computed);
    exp_batches_fini(&p);
    exp_run_free(r);
    teardown(&f);
}
END_TEST

/* What kvbench would have measured, had every step taken `factor` times its plan. */
static const char *measured(const struct exp_batches *p, double factor, int repeats)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/measured.csv", test_dir());
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs("step,replica,repeat,measured_s\n", out);
    for (int k = 0; k < repeats; k++)
        for (size_t i = 0; i < p->n_steps; i++)
            fprintf(out, "%llu,%u,%d,%.17g\n", (unsigned long long)p->steps[i].step, p->steps[i].replica, k,
                    p->steps[i].duration_s * factor * (1 + 0.1 * k));
    fclose(out);
    return path;
}

START_TEST(a_plan_executed_as_planned_has_no_error)
{
    struct fixture f = setup(scenario_text);
    struct exp_run *r = run(&f, true);
    struct exp_batches p = read_plan(&f, r);
    struct exp_steps x;
    struct sim_status st = {0};
    ck_assert_msg(exp_steps_new(f.plan, measured(&p, 1, 1), f.scenario, f.cache, &x, &st), "%s", st.message);
    ck_assert_uint_eq(x.n, p.n_steps);
    ck_assert_double_lt(x.all.worst, 1e-6); /* durations are differences of times */
    ck_assert_double_lt(x.ttft.worst, 1e-6);
    ck_assert_double_lt(x.tpot.worst, 1e-6);
    ck_assert_uint_eq(x.ttft.n, r->setup->config.load.n_requests);
    ck_assert_uint_gt(x.decode_only.n, 0);
    ck_assert_uint_gt(x.mixed.n, 0);
    exp_steps_fini(&x);

    ck_assert_msg(exp_steps_new(f.plan, measured(&p, 2, 3), f.scenario, f.cache, &x, &st), "%s", st.message);
    ck_assert_double_eq_tol(x.all.bias, 1 / 2.2 - 1, 1e-6); /* the median of 2, 2.2 and 2.4 */
    ck_assert_double_eq_tol(x.noise_median, 0.2, 1e-6);
    ck_assert_double_eq_tol(x.total_error, 1 / 2.2 - 1, 1e-6);
    exp_steps_fini(&x);
    exp_batches_fini(&p);
    exp_run_free(r);
    teardown(&f);
}
END_TEST

/* What kvbench replay writes: how many sequences and tokens each step had; `off` more of them in step 3. */
static const char *replayed(const struct exp_batches *p, uint32_t off, size_t n_steps)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/replayed.csv", test_dir());
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs("step,replica,repeat,measured_s,prepare_s,seqs,new_tokens,kv_tokens\n", out);
    for (size_t i = 0; i < n_steps; i++) {
        const struct exp_batches_step *s = &p->steps[i];
        uint64_t seqs = 0, tokens = 0, kv_tokens = 0;
        for (const struct exp_batches_row *row = &p->rows[s->first]; row < &p->rows[s->first + s->n_rows];
             row++) {
            seqs += row->new_tokens > 0;
            tokens += row->new_tokens;
            kv_tokens += row->new_tokens == 1 && row->past_tokens ? row->past_tokens + 1 : 0;
        }
        fprintf(out, "%llu,%u,0,%.17g,0,%llu,%llu,%llu\n", (unsigned long long)s->step, s->replica,
                s->duration_s > 0 ? s->duration_s : 1e-3, (unsigned long long)seqs,
                (unsigned long long)tokens + (i == 3 ? off : 0), (unsigned long long)kv_tokens);
    }
    fclose(out);
    return path;
}

START_TEST(a_replay_of_another_plan_is_refused_by_what_its_steps_hold)
{
    struct fixture f = setup(scenario_text);
    struct exp_run *r = run(&f, true);
    struct exp_batches p = read_plan(&f, r);
    struct exp_steps x;
    struct sim_status st = {0};
    ck_assert_msg(exp_steps_new(f.plan, replayed(&p, 0, p.n_steps), f.scenario, f.cache, &x, &st), "%s",
                  st.message);
    exp_steps_fini(&x);
    ck_assert_msg(exp_steps_new(f.plan, replayed(&p, 0, 5), f.scenario, f.cache, &x, &st), "%s", st.message);
    exp_steps_fini(&x);
    ck_assert(!exp_steps_new(f.plan, replayed(&p, 1, p.n_steps), f.scenario, f.cache, &x, &st));
    ck_assert_msg(strstr(st.message, "name the plan that was replayed") != NULL, "%s", st.message);
    st = (struct sim_status){0};
    p.steps[4].step += 100000; /* a longer plan */
    ck_assert(!exp_steps_new(f.plan, replayed(&p, 0, p.n_steps), f.scenario, f.cache, &x, &st));
    ck_assert_msg(strstr(st.message, "some of its steps are not in the plan") != NULL, "%s", st.message);
    exp_batches_fini(&p);
    exp_run_free(r);
    teardown(&f);
}
END_TEST

/* "" in the third column: accepted. */
static const struct {
    const char *strategy, *facts, *complaint;
} facts[] = {
    {"full", "plan: \"elsewhere/plan.csv\"\nmodel: \"llama-3.2-1b\"\nkv: \"bf16\"\ntensor_parallel: 1\n", ""},
    {"full", "kv: \"full\"\n", ""},
    {"kivi4", "kv: \"kivi4\"\n", ""},
    {"h2o", "kv: \"streaming_llm\"\n", ""},
    {"full", "plan: \"old.csv\"\n", "replayed.csv.yaml:1: measured with plan old.csv, expected plan.csv"},
    {"full", "model: \"llama-3.1-8b\"\n", "measured with model llama-3.1-8b, expected llama-3.2-1b"},
    {"full", "format: 1\nkv: \"streaming_llm\"\n",
     "replayed.csv.yaml:2: measured with --kv streaming_llm, expected full"},
    {"full", "kv: \"int4\"\n", "measured with --kv int4, expected full"},
    {"kivi4", "kv: \"full\"\n", "measured with --kv full, expected kivi4"},
    {"int4", "kv: \"streaming_llm\"\n", "measured with --kv streaming_llm, expected int4"},
    {"full", "tensor_parallel: 2\n", "measured with tensor_parallel 2, expected 1"},
    {"full", "- 1\n", "is not a mapping"},
    {"full", "kv: [\n", "replayed.csv.yaml"},
};

START_TEST(what_replay_wrote_beside_a_measurement_must_agree_with_plan_and_scenario)
{
    struct fixture f = setup(scenario_text);
    struct sim_status st = {0};
    ck_assert(exp_scenario_take_strategy(f.scenario, facts[_i].strategy, &st));
    struct exp_run *r = run(&f, true);
    struct exp_batches p = read_plan(&f, r);
    struct exp_steps x = {0};
    test_file("replayed.csv.yaml", facts[_i].facts);
    bool ok = exp_steps_new(f.plan, replayed(&p, 0, p.n_steps), f.scenario, f.cache, &x, &st);
    ck_assert_msg(ok == !facts[_i].complaint[0], "%s", st.message);
    ck_assert_msg(ok || strstr(st.message, facts[_i].complaint) != NULL, "%s", st.message);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    exp_steps_fini(&x);
    exp_batches_fini(&p);
    exp_run_free(r);
    teardown(&f);
}
END_TEST

/* A budget that these contexts exceed, so that the strategy drops, selects and recalls. */
static void set_strategy(struct exp_scenario *s, const struct mdl_strategy *strategy)
{
    static const struct {
        enum mdl_kv_key key;
        double value;
    } small[] = {{MDL_KV_BUDGET, 256}, {MDL_KV_SINK, 32}, {MDL_KV_RECENT, 64}};
    struct sim_status st = {0};
    ck_assert_msg(exp_scenario_take_strategy(s, strategy->name, &st), "%s", st.message);
    for (int i = 0; i < 3; i++)
        if (mdl_strategy_default(strategy, small[i].key))
            s->fleet[0].kv.value[small[i].key] = (struct exp_number){small[i].value, true};
    if (mdl_strategy_default(strategy, MDL_KV_PYRAMID_LOW))
        s->fleet[0].kv.value[MDL_KV_PYRAMID_LOW] = (struct exp_number){0.5, true};
    ck_assert(exp_scenario_set(s, "engine.num_gpu_blocks_override", "200", &st));
}

START_TEST(a_plan_of_any_strategy_is_priced_again_as_it_was)
{
    const struct mdl_strategy *strategy = mdl_strategy_at((size_t)_i);
    struct fixture f = setup(scenario_text);
    set_strategy(f.scenario, strategy);
    struct exp_run *r = run(&f, true);
    struct exp_batches p = read_plan(&f, r);
    struct exp_steps x;
    struct sim_status st = {0};
    ck_assert_msg(exp_steps_new(f.plan, measured(&p, 1, 1), f.scenario, f.cache, &x, &st), "%s", st.message);
    ck_assert_uint_eq(x.n, p.n_steps);
    /* where part of the layers reads everything, a row tells its reads in whole tokens */
    bool blend = r->setup->fleets[0].kv.plan.rule.all_frac > 0;
    ck_assert_msg(x.all.worst < (blend ? 1e-3 : 1e-6), "%s: %g", strategy->name, x.all.worst);
    exp_steps_fini(&x);
    exp_batches_fini(&p);
    exp_run_free(r);
    teardown(&f);
}
END_TEST

/* The TTFT that a plan's clock gives is the TTFT that the simulation gave. */
START_TEST(ttft_from_a_plan_is_the_simulations)
{
    struct fixture f = setup(scenario_text);
    struct exp_run *r = run(&f, true);
    struct exp_batches p = read_plan(&f, r);
    const struct sim_load *load = &r->setup->config.load;
    double *end_s = sim_alloc(load->n_requests, sizeof *end_s);
    for (size_t i = p.n_steps; i-- > 0;)
        for (size_t k = p.steps[i].first; k < p.steps[i].first + p.steps[i].n_rows; k++) {
            const struct exp_batches_row *row = &p.rows[k];
            if (row->new_tokens &&
                row->past_tokens + row->new_tokens == load->requests[row->request].input_tokens)
                end_s[row->request] = p.steps[i].start_s + p.steps[i].duration_s;
        }
    double egress_s = r->setup->fleets[0].engine.egress_s;
    for (uint64_t i = 0; i < load->n_requests; i++)
        ck_assert_double_eq_tol(end_s[i] - load->requests[i].arrival_s + egress_s,
                                r->result->outcomes[i].ttft_s, 1e-9);
    free(end_s);
    exp_batches_fini(&p);
    exp_run_free(r);
    teardown(&f);
}
END_TEST

static const struct {
    const char *text, *complaint;
} wrong[] = {
    {"", "plan.csv"},
    {"step,replica\n", "no column `start_s`"},
    {"step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens\n",
     "a header and no rows"},
    {"step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens\n0,0,0,1,999999,1,0,1\n",
     "plan.csv:2: request `999999` is not in the scenario's load"},
    {"step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens\n0,0,0,-1,0,1,0,1\n",
     "duration_s: -1"},
    {"step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens\n0,0,0,1,0,9999999999,0,"
     "1\n",
     "new_tokens"},
    {"step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens\n0,0,nan,1,0,1,0,1\n",
     "start_s"},
    {"step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens\n0,0,0\n", "3 fields"},
};

START_TEST(a_wrong_plan_is_refused_with_its_line)
{
    struct fixture f = setup(scenario_text);
    struct exp_run *r = run(&f, false);
    struct exp_batches p;
    struct sim_status st = {0};
    ck_assert(!exp_batches_read(test_file("plan.csv", wrong[_i].text), r->setup->workload.trace, &p, &st));
    ck_assert_msg(strstr(st.message, wrong[_i].complaint) != NULL, "%s", st.message);
    exp_run_free(r);
    teardown(&f);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("plan");
    TCase *c = tcase_create("plan");
    tcase_add_test(c, a_run_does_not_notice_that_its_plan_is_written);
    tcase_add_test(c, tokens_of_a_plan_add_up_and_pasts_continue);
    tcase_add_test(c, a_plan_executed_as_planned_has_no_error);
    tcase_add_loop_test(c, a_plan_of_any_strategy_is_priced_again_as_it_was, 0, (int)mdl_strategy_count());
    tcase_add_test(c, a_replay_of_another_plan_is_refused_by_what_its_steps_hold);
    tcase_add_loop_test(c, what_replay_wrote_beside_a_measurement_must_agree_with_plan_and_scenario, 0,
                        (int)(sizeof facts / sizeof *facts));
    tcase_add_test(c, ttft_from_a_plan_is_the_simulations);
    tcase_add_loop_test(c, a_wrong_plan_is_refused_with_its_line, 0, (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(s, c);
    return s;
}
