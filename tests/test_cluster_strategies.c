/* KV strategies in a cluster, with hand-made rules and prices: what is held, read, moved and let go adds up, and
 * fast-forward changes no byte, for every kind of rule x pool x policy, with drawn rates and shared links. sim_run
 * itself aborts when a unit is lost. */
#include "tests/harness.h"
#include "tests/toy.h"

#include "sim/random.h"

#include <math.h>
#include <string.h>

enum { PAGE = 4, KINDS = 8, DRAWS = 16 };

/* A strategy's prices: a toy that selects and recalls. */
struct moving_cost {
    struct sim_cost base; /* first */
    double all_frac;
    struct sim_recall recall; /* of one selecting sequence */
    struct sim_recall token;  /* of a token of its context */
};

static struct sim_recall times(const struct sim_recall *r, double n)
{
    struct sim_recall none = {.when = r->when, .n_layers = r->n_layers, .duplex = r->duplex, .how = r->how};
    none.correct_frac = r->correct_frac;
    none.correct_share = r->correct_share;
    return sim_recall_plus(&none, r, n);
}

static void moving_line(const struct sim_cost *base, const struct sim_reads *reads,
                        struct sim_decode_line *out)
{
    const struct moving_cost *c = (const struct moving_cost *)base;
    struct sim_recall_draw mean = {1, 1};
    *out = (struct sim_decode_line){.kv_end = INFINITY,
                                    .kept_frac = 1 - c->all_frac,
                                    .all_frac = c->all_frac,
                                    .gpu_base_s = 0.01 + 1e-4 * reads->n_seqs + 3e-5 * reads->n_selecting,
                                    .gpu_slope_s = 1e-6,
                                    .select_slope_s = 1e-7,
                                    .attention = SIM_ANALYTIC,
                                    .select = SIM_ANALYTIC,
                                    .recall = times(&c->recall, reads->n_selecting),
                                    .recall_token = c->token};
    /* pieces of 64 tokens, so that runs cross from line to line */
    double kv = out->kept_frac * (double)reads->kept + out->all_frac * (double)reads->all;
    out->kv_begin = floor(kv / 64) * 64;
    out->kv_end = out->kv_begin + 64;
    out->gpu_base_s += 1e-5 * fmod(out->kv_begin, 7);
    out->base_by_evidence_s[SIM_ANALYTIC] = out->gpu_base_s;
    out->sum = sim_recall_sum(&out->recall, mean);
    out->sum_token = sim_recall_sum(&out->recall_token, mean);
}

static void moving_price(const struct sim_cost *base, const struct sim_batch *b, uint32_t stage,
                         struct sim_price *out)
{
    const struct moving_cost *c = (const struct moving_cost *)base;
    (void)stage;
    memset(out, 0, sizeof *out);
    out->gpu_s = out->step_s = 0.01 + 1e-4 * (double)b->new_tokens + 1e-6 * (double)b->decode.kept;
    out->by_evidence_s[SIM_ANALYTIC] = out->gpu_s;
    struct sim_recall r = times(&c->recall, b->decode.n_selecting);
    out->recall = sim_recall_plus(&r, &c->token, (double)b->decode.selecting);
    for (uint32_t i = 0; i < b->n_chunks; i++) {
        out->prefill_down_s += 1e-6 * b->chunks[i].new_tokens;
        out->prefill_down_bytes += 10.0 * b->chunks[i].new_tokens;
    }
}

struct strategy_case {
    struct toy t;
    struct sim_kv_rule kv, plain;
    struct moving_cost cost, later_cost[2];
    struct sim_cost_phase later[2];
    struct sim_recall_draw draws[DRAWS];
    float factors[DRAWS];
};

static struct sim_kv_term pages(enum sim_kv_place place, uint32_t units, bool kept)
{
    return (struct sim_kv_term){
        .place = place, .cap = SIM_KV_ALL, .page_tokens = PAGE, .units = units, .kept = kept};
}

/* Kinds of strategies, by how they keep a sequence. */
static void set_rule(struct sim_kv_rule *k, int kind)
{
    *k = sim_kv_full(PAGE);
    switch (kind) {
    case 0: /* full, larger pages in smaller units */
        k->term[0].units = 3;
        return;
    case 1: /* quantised, with a window of 8 and flushes of 8 */
        k->term[0] = (struct sim_kv_term){
            .place = SIM_KV_GPU, .cap = SIM_KV_ALL, .page_tokens = 8, .units = 2, .whole = true};
        k->term[1] = (struct sim_kv_term){
            .place = SIM_KV_GPU, .start = 8, .cap = SIM_KV_ALL, .page_tokens = PAGE, .units = 1};
        k->term[2] = (struct sim_kv_term){.place = SIM_KV_GPU, .cap = 8, .page_tokens = PAGE, .units = 4};
        k->n_terms = 3;
        k->period = 8;
        return;
    case 2: /* dropped when the fill ends, grows from there */
        k->term[0].kept = true;
        k->budget = 16;
        return;
    case 3: /* a budget that holds */
        k->term[0].kept = true;
        k->budget = 24;
        k->evicts_in_decode = true;
        return;
    case 4: /* selection among everything, on the GPU, with digests */
        k->term[1] = pages(SIM_KV_GPU, 1, false);
        k->n_terms = 2;
        k->read_cap = k->select_after = 20;
        return;
    case 5: /* retrieval from the host */
    case 6: /* ... where a quarter of the layers keeps everything */
        k->term[0] = pages(SIM_KV_GPU, 4, true);
        k->term[1] = pages(SIM_KV_GPU, 1, false);
        k->term[2] = pages(SIM_KV_HOST, 1, false);
        k->n_terms = 3;
        k->budget = k->select_after = 16;
        k->evicts_in_decode = true;
        k->all_frac = kind == 6 ? 0.25 : 0;
        return;
    default: /* everything on the host, a constant on the GPU */
        k->term[0] = (struct sim_kv_term){.place = SIM_KV_GPU, .cap = PAGE, .page_tokens = PAGE, .units = 2};
        k->term[1] = pages(SIM_KV_HOST, 1, false);
        k->n_terms = 2;
        k->select_after = 0;
        return;
    }
}

static void set_cost(struct strategy_case *s, int kind, bool drawn)
{
    struct moving_cost *c = &s->cost;
    struct sim_recall r = {.when = SIM_RECALL_NONE, .how = SIM_ANALYTIC, .n_layers = 4, .duplex = 1.5};
    sim_cost_linear_init(&s->t.cost, 0.01, 1e-4, 1e-6);
    c->base = s->t.cost.base;
    c->base.price = moving_price;
    c->base.decode_line = moving_line;
    c->base.swap_token_s = 1e-5;
    c->base.moves = true;
    c->all_frac = s->kv.all_frac;
    if (kind >= 5) {
        r.when = kind == 5 ? SIM_RECALL_STEP_AHEAD : kind == 6 ? SIM_RECALL_AT_LAYER : SIM_RECALL_LAYER_AHEAD;
        struct sim_recall moved = {.when = r.when,
                                   .how = r.how,
                                   .n_layers = 4,
                                   .duplex = 1.5,
                                   .submit_s = 1e-4,
                                   .engine_s = 2e-4,
                                   .up_s = 4e-4,
                                   .down_s = 1e-4,
                                   .up_bytes = 4000,
                                   .down_bytes = 1000,
                                   .pages = 3,
                                   .heads = 2,
                                   .correct_select_s = 1e-4};
        if (kind == 7)
            c->token = moved, c->token.up_s = 2e-5,
            c->token.submit_s = c->token.engine_s = c->token.down_s = 0;
        else
            r = moved;
        r.correct_frac = kind == 5 ? 0.3 : 0;
        r.correct_share = 0.25;
    }
    c->recall = r;
    if (!c->token.n_layers) c->token = (struct sim_recall){.when = r.when, .n_layers = 4, .duplex = 1.5};
    for (int i = 0; i < DRAWS; i++) s->draws[i] = (struct sim_recall_draw){0.2 + 0.1 * i, 1.7 - 0.1 * i};
    if (drawn) c->base.draws = s->draws, c->base.n_draws = DRAWS;
}

enum {
    V_PRIORITY = 1,
    V_SWAP = 2,
    V_CHUNKS = 4,
    V_DRAWS = 8,
    V_LINK = 16,
    V_LENGTHS = 32,
    V_FALLBACK = 64,
    V_LATER = 128,
    V_END = 256
};

/* Rates change twice: all that is recalled takes three times as long, then half as long and without draws. */
static void change_rates(struct strategy_case *s)
{
    static const double by[] = {3, 0.5}, from_s[] = {1.3, 2.9};
    for (int i = 0; i < 2; i++) {
        struct moving_cost *c = &s->later_cost[i];
        *c = s->cost;
        c->recall.up_s *= by[i];
        c->recall.submit_s *= by[i];
        c->token.up_s *= by[i];
        c->recall.pages *= by[i];
        s->later[i] = (struct sim_cost_phase){from_s[i], &c->base};
    }
    s->later_cost[1].base.draws = NULL;
    s->later_cost[1].base.n_draws = 0;
    s->t.fleets[0].later = s->later;
    s->t.fleets[0].n_later = 2;
}

static void set_case(struct strategy_case *s, int kind, int variant, uint64_t spare)
{
    memset(s, 0, sizeof *s);
    toy_init(&s->t, 3);
    set_rule(&s->kv, kind);
    set_cost(s, kind, variant & V_DRAWS);
    struct sim_fleet *f = &s->t.fleets[0];
    struct sim_engine *e = &f->engine;
    f->kv = &s->kv;
    f->cost = &s->cost.base;
    e->max_num_seqs = 8;
    e->max_num_batched_tokens = 64;
    e->block_size = PAGE;
    e->max_model_len = 140;
    struct sim_kv_length longest = {140, 140};
    e->n_blocks = sim_kv_need(&s->kv, SIM_KV_GPU, longest) + spare;
    e->n_host_blocks = sim_kv_need(&s->kv, SIM_KV_HOST, longest) + 2 * spare;
    e->policy = variant & V_PRIORITY ? SIM_PRIORITY : SIM_FCFS;
    e->preemption = variant & V_SWAP ? SIM_SWAP : SIM_RECOMPUTE;
    e->long_prefill_token_threshold = variant & V_CHUNKS ? 16 : 0;
    if (variant & V_LINK) f->replicas_per_link = 2;
    for (int i = 0; i < DRAWS; i++) s->factors[i] = 0.4f + 0.1f * (float)i;
    if (variant & V_LENGTHS) f->length_factor = s->factors, f->n_length_factors = DRAWS;
    if (variant & V_LATER) change_rates(s);
    if (!(variant & V_FALLBACK)) return;
    s->plain = sim_kv_full(PAGE);
    s->plain.term[0].units = s->kv.term[0].units;
    f->plain = &s->plain;
    f->fallback = kind >= 5 ? SIM_FALLBACK_HOST_FULL : SIM_FALLBACK_SHORT;
    f->fallback_tokens = 60;
    struct sim_kv_length all = {140, 140};
    uint64_t plain = sim_kv_need(&s->plain, SIM_KV_GPU, all) + spare;
    if (e->n_blocks < plain) e->n_blocks = plain;
}

static void load(struct strategy_case *s, uint64_t seed)
{
    toy_poisson(&s->t, 120, 25, 40, 30, seed);
    for (uint64_t i = 0; i < s->t.config.load.n_requests; i++) s->t.requests[i].priority = (int32_t)(i % 3);
}

static void check_sums(const struct strategy_case *s, const struct sim_result *res)
{
    const struct sim_fleet_stats *f = &res->fleets[0];
    uint64_t least = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        const struct sim_outcome *o = &res->outcomes[i];
        if (o->status != SIM_COMPLETED) continue;
        ck_assert_uint_ge(o->output_tokens, 1);
        ck_assert_uint_le(s->t.requests[i].input_tokens + o->output_tokens, 140);
        ck_assert_double_le(o->ttft_s, o->e2el_s);
        least += s->t.requests[i].input_tokens + o->output_tokens - 1;
    }
    ck_assert_uint_ge(f->computed_tokens, least);
    ck_assert(f->preemptions > 0 || f->computed_tokens == least);
    ck_assert_double_ge(f->exposed_s, 0);
    ck_assert_double_le(f->gpu_s + f->exposed_s, f->step_s * (1 + 1e-9) + 1e-9);
    double evidence = 0;
    for (int e = 0; e < SIM_N_EVIDENCE; e++) evidence += f->by_evidence_s[e];
    ck_assert_double_eq_tol(evidence, f->gpu_s + f->exposed_s, 1e-9 * evidence);
    ck_assert_double_le(f->kv_peak_utilization, 1);
    ck_assert_double_le(f->host_peak_utilization, 1);
}

START_TEST(every_rule_conserves_and_fast_forward_changes_no_byte)
{
    static const uint64_t spare[] = {0, 7, 60, 1 << 14};
    uint64_t runs = 0;
    for (int variant = 0; variant < V_END; variant++) {
        if ((variant & V_SWAP) && (variant & V_FALLBACK)) continue; /* refused */
        for (int p = 0; p < 4; p++) {
            if ((variant & V_LATER) && p % 2) continue; /* half of the pools will do */
            struct strategy_case s;
            set_case(&s, _i, variant, spare[p]);
            load(&s, (uint64_t)variant);
            struct sim_result *fast = toy_run(&s.t);
            s.t.config.fast_forward = false;
            struct sim_result *slow = toy_run(&s.t);
            check_sums(&s, fast);
            ck_assert_msg(toy_equal(fast, slow), "kind %d variant %d spare %d", _i, variant, p);
            sim_result_free(fast);
            sim_result_free(slow);
            toy_free(&s.t);
            runs++;
        }
    }
    ck_assert_uint_gt(runs, 300);
}
END_TEST

/* Every step of a plan: what rows say they recalled and dropped is what the counters say. */
struct told {
    double recalled, corrected, evicted, read;
    uint64_t rows;
};

static void tell(void *user, const struct sim_plan_row *row)
{
    struct told *t = user;
    t->recalled += row->recalled_pages;
    t->corrected += row->corrected_heads;
    t->evicted += row->evicted_pages;
    t->read += row->read_tokens;
    t->rows++;
}

START_TEST(a_plan_accounts_for_every_page)
{
    struct strategy_case s;
    struct told told = {0};
    set_case(&s, _i, 0, 1 << 14);
    load(&s, 9);
    s.t.config.fast_forward = false;
    s.t.config.plan_row = tell;
    s.t.config.plan_user = &told;
    struct sim_result *res = toy_run(&s.t);
    const struct sim_fleet_stats *f = &res->fleets[0];
    ck_assert_double_eq_tol(told.recalled, f->recalled_pages, 0.5 * (double)f->iterations);
    if (_i == 5) ck_assert_double_gt(told.recalled, 100);
    if (_i < 5) ck_assert_double_eq(told.recalled, 0);
    double dropped = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        uint32_t in = s.t.requests[i].input_tokens, all = in + res->outcomes[i].output_tokens - 1;
        dropped += (all - sim_kv_kept(&s.kv, (struct sim_kv_length){all, in})) / s.kv.term[0].page_tokens;
    }
    ck_assert_double_eq(told.evicted, dropped);
    sim_result_free(res);
    toy_free(&s.t);
}
END_TEST

/* A budget no request reaches is full KV: same bytes. */
START_TEST(a_budget_above_every_context_changes_nothing)
{
    struct strategy_case s;
    set_case(&s, _i, 0, 60);
    s.kv = sim_kv_full(PAGE);
    s.t.fleets[0].engine.n_blocks = 100;
    load(&s, 4);
    struct sim_result *full = toy_run(&s.t);
    s.kv.term[0].kept = true;
    s.kv.budget = s.kv.select_after = s.kv.read_cap = 200;
    s.kv.evicts_in_decode = _i % 2;
    struct sim_result *within = toy_run(&s.t);
    within->fleets[0].capacity_tokens = full->fleets[0].capacity_tokens; /* counted by sequences there */
    ck_assert(toy_equal(full, within));
    ck_assert_double_eq(within->fleets[0].recalled_pages, 0);
    sim_result_free(full);
    sim_result_free(within);
    toy_free(&s.t);
}
END_TEST

/* Alone, a request takes less time the less is read for it. */
START_TEST(a_smaller_budget_is_faster)
{
    double before = 0;
    for (uint32_t budget = 8; budget <= 128; budget *= 2) {
        struct strategy_case s;
        set_case(&s, 3, 0, 0);
        s.kv.budget = budget;
        toy_add(&s.t, 0, 30, 110);
        struct sim_result *res = toy_run(&s.t);
        ck_assert_double_gt(res->fleets[0].gpu_s, before);
        before = res->fleets[0].gpu_s;
        sim_result_free(res);
        toy_free(&s.t);
    }
}
END_TEST

START_TEST(replicas_on_one_link_slow_each_other_down)
{
    double exposed[2];
    for (int shared = 0; shared < 2; shared++) {
        struct strategy_case s;
        set_case(&s, 6, shared ? V_LINK : 0, 1 << 14);
        s.cost.recall.up_s = 0.01;
        load(&s, 5);
        struct sim_result *res = toy_run(&s.t);
        exposed[shared] = res->fleets[0].exposed_s / (double)res->fleets[0].iterations;
        ck_assert_double_gt(res->fleets[0].up_bytes, 0);
        sim_result_free(res);
        toy_free(&s.t);
    }
    ck_assert_double_gt(exposed[1], 1.05 * exposed[0]);
}
END_TEST

START_TEST(longer_outputs_are_counted_beside_the_lengths_that_were_asked_for)
{
    struct strategy_case s;
    set_case(&s, 3, V_LENGTHS, 1 << 14);
    load(&s, 6);
    struct sim_result *res = toy_run(&s.t);
    uint64_t given = 0, asked = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        given += res->outcomes[i].output_tokens;
        asked += s.t.requests[i].output_tokens;
    }
    ck_assert_double_eq_tol((double)given / (double)asked, 1.15, 0.1); /* mean of 0.4 .. 1.9 */
    sim_result_free(res);
    toy_free(&s.t);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("cluster strategies");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, every_rule_conserves_and_fast_forward_changes_no_byte, 0, KINDS);
    tcase_add_loop_test(c, a_plan_accounts_for_every_page, 0, KINDS);
    tcase_add_loop_test(c, a_budget_above_every_context_changes_nothing, 0, 2);
    tcase_add_test(c, a_smaller_budget_is_faster);
    tcase_add_test(c, replicas_on_one_link_slow_each_other_down);
    tcase_add_test(c, longer_outputs_are_counted_beside_the_lengths_that_were_asked_for);
    suite_add_tcase(s, c);
    return s;
}
