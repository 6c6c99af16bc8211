/* A pilot that was simulated: a decision with one entry, both arms played with what the test wants to be found, and the
 * requests written as a user would write them. */
#ifndef KVSIM_TESTS_PILOT_HELP_H
#define KVSIM_TESTS_PILOT_HELP_H

#include "experiments/planning/pilot/pilot_parts.h"
#include "sim/memory.h"
#include "sim/random.h"
#include "tests/plan_help.h"

#include <math.h>

struct pilot {
    struct exp_cache *cache;
    struct exp_plan *plan;
    struct exp_entry entry;
    struct exp_decision_row row;
    struct exp_decision decision;
    struct exp_arm_machines arm[EXP_N_ARMS];
};

#define PILOT_PLAN                                                                                           \
    "model: llama-3.1-8b\n"                                                                                  \
    "load: {trace: traces/samples/demo.csv, max_requests: 1200}\n"                                           \
    "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full, kivi4]}\n"
#define PILOT_ONE_CLASS PILOT_PLAN "slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}\n"

static inline uint32_t contender_of(const struct exp_plan *plan, const char *label)
{
    for (uint32_t i = 0; i < plan->strategies.n; i++)
        if (strcmp(plan->strategies.at[i].label, label) == 0) return i;
    ck_abort_msg("no strategy %s", label);
    return 0;
}

/* Of a plan whose winner is a strategy on one kind of card. */
static inline struct pilot *pilot_new(const char *plan, const char *winner)
{
    struct pilot *p = sim_alloc(1, sizeof *p);
    struct sim_status st = {0};
    p->cache = plan_cache();
    p->plan = plan_of(plan, p->cache);
    p->entry =
        (struct exp_entry){.candidate = {.gpu = mdl_gpu_find(exp_cache_gpus(p->cache), "h100-sxm", &st),
                                         .tensor_parallel = 1,
                                         .gpus_per_server = 8,
                                         .contender = &p->plan->strategies.at[contender_of(p->plan, winner)],
                                         .host_gib = NAN},
                           .n_replicas = 4,
                           .point.length_ratio = 1};
    p->row = (struct exp_decision_row){.entry = &p->entry};
    p->decision =
        (struct exp_decision){.plan = p->plan,
                              .row = &p->row,
                              .n_rows = 1,
                              .n_finalists = 1,
                              .search = {.entry = &p->entry, .n_entries = 1, .baseline = UINT32_MAX},
                              .check_sla = EXP_PASS};
    ck_assert_msg(exp_pilot_arms(&p->decision, p->cache, p->arm, &st), "%s", st.message);
    return p;
}

static inline void pilot_free(struct pilot *p)
{
    exp_plan_free(p->plan);
    exp_cache_free(p->cache);
    free(p);
}

/* What one arm is made to do. */
struct played {
    double slower;      /* factor on every step */
    double longer;      /* on what the load says of output lengths */
    double noise_sd;    /* of the log of each request's TPOT, whose mean stays */
    double failed_frac; /* of answers; negative = the column stays empty */
    uint64_t seed;
    const char *prefix; /* of request ids */
};
static const struct played as_predicted = {1, 1, 0, -1, 1, ""};

static inline double normal_of(uint64_t seed, uint64_t i)
{
    double u = sim_random_unit(seed, sim_stream("test u"), i),
           v = sim_random_unit(seed, sim_stream("test v"), i);
    return sqrt(-2 * log(u)) * cos(2 * acos(-1) * v);
}

static inline void write_requests(const struct sim_request *q, const struct sim_result *r, const char *arm,
                                  const struct played *how, FILE *out)
{
    for (uint64_t i = 0; i < r->n_requests; i++) {
        const struct sim_outcome *o = &r->outcomes[i];
        double tpot_s = sim_tpot_s(o) * exp(how->noise_sd * (normal_of(how->seed, i) - how->noise_sd / 2));
        bool failed = sim_random_unit(how->seed, sim_stream("test failed"), i) < how->failed_frac;
        fprintf(out, "%s,%s%llu,%.17g,%u,%u,", arm, how->prefix, (unsigned long long)i, o->arrival_s,
                q[i].input_tokens, o->output_tokens);
        if (o->status == SIM_COMPLETED)
            fprintf(out, "%.17g,%.17g", o->ttft_s, tpot_s);
        else
            fputc(',', out);
        fprintf(out, ",%s,%s\n", how->failed_frac < 0 ? "" : failed ? "1" : "0", sim_outcome_name(o->status));
    }
}

static inline void play(struct pilot *p, int arm, const struct played *how, FILE *out)
{
    struct sim_status st = {0};
    struct exp_loads *loads = exp_loads_new(p->plan, p->cache);
    const struct exp_workload *load = exp_loads_get(loads, 1, 1, true, &st);
    struct exp_scenario *s = exp_arm_scenario(p->plan, &p->arm[arm], &st);
    struct exp_factors *factors = sim_alloc(1, sizeof *factors);
    ck_assert_msg(load && s, "%s", st.message);
    struct sim_request *q = sim_alloc(load->n_requests, sizeof *q);
    memcpy(q, load->requests, load->n_requests * sizeof *q);
    for (uint64_t i = 0; i < load->n_requests; i++)
        q[i].output_tokens = (uint32_t)fmax(1, round(q[i].output_tokens * how->longer));
    struct exp_workload own = {.requests = q, .n_requests = load->n_requests};
    exp_factors_none(factors);
    for (int f = 0; f < EXP_MAX_FLEETS; f++) factors->residual[f] = how->slower;
    struct exp_setup *u = exp_setup_new_on(s, p->cache, factors, &own, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    struct sim_result *r = sim_run(&u->config);
    write_requests(q, r, exp_arm_name(arm), how, out);
    sim_result_free(r);
    exp_setup_free(u);
    free(q);
    free(factors);
    free(s);
    exp_loads_free(loads);
}

#define PILOT_HEADER "arm,request_id,arrival_s,input_tokens,output_tokens,ttft_s,tpot_s,failed,status\n"

/* Both arms as a file; its path. */
static inline const char *played_file(struct pilot *p, const struct played *base, const struct played *cand)
{
    const char *path = test_file("measured.csv", PILOT_HEADER);
    FILE *out = fopen(path, "a");
    ck_assert_ptr_nonnull(out);
    play(p, EXP_ARM_BASELINE, base, out);
    play(p, EXP_ARM_CANDIDATE, cand, out);
    fclose(out);
    return path;
}

static inline struct exp_pilot_findings findings_of(struct pilot *p, const char *measured, const char *scores)
{
    struct sim_status st = {0};
    struct exp_pilot_findings f;
    bool ok = exp_pilot_read(&p->decision, p->cache, measured, scores, &f, &st);
    ck_assert_msg(ok, "%s", st.message);
    return f;
}

#endif
