/* Strategies that keep everything and recall what a query asks for: bytes and copies against closed forms and the
 * numbers published for FreeKV, limits, and what is refused. */
#include "tests/strategy_help.h"

#include "models/strategies/adaptive.h"

static const char *const retrievers[] = {"quest", "arkvale", "infinigen", "shadowkv", "freekv"};
enum { RETRIEVERS = sizeof retrievers / sizeof *retrievers, MIB = 1 << 20 };

static double kvtok(const struct mdl_kv_use *u)
{
    return 2.0 * u->kv_heads * u->head_dim * 2 * u->n_layers;
}

/* Every strategy on every model. */
static struct mdl_kv_use any(int i)
{
    return plain(retrievers[i % RETRIEVERS], strategy_models[i / RETRIEVERS]);
}

static bool has_budget(const struct mdl_kv_use *u)
{
    return !isnan(u->value[MDL_KV_BUDGET]);
}

/* ---- published numbers ---- */

START_TEST(freekv_holds_256_and_128_mib_of_4_gib_at_32k)
{
    struct mdl_kv_use u = plain("freekv", "llama-3.1-8b");
    double bytes = gpu_of(&u, prompt(32768));
    assert_near(bytes, 256.0 * MIB + 128.0 * MIB);
    assert_near(host_of(&u, prompt(32768)), 4096.0 * MIB);
    ck_assert_double_eq_tol(4096.0 * MIB / bytes, 10.7, 0.05);
    assert_near(memory_of(&u).replica_bytes, 2.0 * 64 * 16384); /* two buffers [64, 1, 2, 32, 128] */
}
END_TEST

START_TEST(a_step_that_misses_everything_copies_8192_pages_or_3584_as_published)
{
    struct mdl_kv_use llama = USE("freekv", "llama-3.1-8b", {MDL_KV_MISS, 1}, );
    struct mdl_kv_use qwen = USE("freekv", "qwen2.5-7b", {MDL_KV_MISS, 1}, );
    struct mdl_kv_decode a = decode_of(&llama), b = decode_of(&qwen);
    assert_near(a.up_copies, 8192);
    assert_near(a.up_copies * a.up_fragment_bytes, 128.0 * MIB);
    assert_near(a.up_fragment_bytes, 16384);
    assert_near(b.up_copies, 3584);
    assert_near(b.up_copies * b.up_fragment_bytes, 56.0 * MIB);
    struct mdl_kv_use tenth = USE("freekv", "llama-3.1-8b", {MDL_KV_MISS, 0.1}, );
    ck_assert_double_eq_tol(decode_of(&tenth).up_copies, 819, 0.5);
}
END_TEST

START_TEST(pages_by_token_are_64_times_as_many_fragments)
{
    static const double published[] = {524288, 229376};
    static const char *const models[] = {"llama-3.1-8b", "qwen2.5-7b"};
    for (int i = 0; i < 2; i++) {
        struct mdl_kv_use nhd = USE("freekv", models[i], {MDL_KV_MISS, 1}, {MDL_KV_LAYOUT, MDL_NHD}, );
        struct mdl_kv_use hnd = USE("freekv", models[i], {MDL_KV_MISS, 1}, {MDL_KV_LAYOUT, MDL_HND}, );
        struct mdl_kv_decode a = decode_of(&nhd), b = decode_of(&hnd);
        assert_near(a.up_copies, published[i]);
        assert_near(a.up_copies, 64 * b.up_copies);
        assert_near(a.up_fragment_bytes, 256);
        assert_near(a.up_copies * a.up_fragment_bytes, b.up_copies * b.up_fragment_bytes);
    }
}
END_TEST

START_TEST(infinigen_holds_410_mib_of_partial_keys_at_32k)
{
    struct mdl_kv_use u = USE("infinigen", "llama-3.1-8b", {MDL_KV_FETCH_FRAC, 0}, );
    ck_assert_double_eq_tol(gpu_of(&u, prompt(32768)) / MIB, 410, 0.5);
    assert_near(host_of(&u, prompt(32768)), 4096.0 * MIB);
}
END_TEST

START_TEST(arkvale_moves_pages_of_512_and_128_kib)
{
    struct mdl_kv_use mha = plain("arkvale", "llama-2-7b"), gqa = plain("arkvale", "llama-3.1-8b");
    assert_near(decode_of(&mha).up_fragment_bytes, 512.0 * 1024);
    assert_near(decode_of(&gqa).up_fragment_bytes, 128.0 * 1024);
    struct mdl_kv_use cached = USE("arkvale", "llama-2-7b", {MDL_KV_MISS, 106.0 / (30 * 32)}, );
    assert_near(decode_of(&cached).pages, 106); /* Fig. 4b: 32 pages needed of 32 cached, 30 layers */
}
END_TEST

/* ---- closed forms ---- */

static double closed_form(const struct mdl_kv_use *u, double L)
{
    double k = kvtok(u), B = u->value[MDL_KV_BUDGET], p = u->value[MDL_KV_PAGE];
    const char *name = u->strategy->name;
    if (strcmp(name, "quest") == 0) return k * L * (1 + 1 / p);
    if (strcmp(name, "infinigen") == 0)
        return 0.1 * k * L + u->value[MDL_KV_FETCH_FRAC] * L * k / u->n_layers;
    if (strcmp(name, "shadowkv") == 0)
        return 160.0 * 2 * (L + u->kv_heads * u->head_dim) * u->n_layers + k * L / 16 + k * fmin(L, 384) +
               k / 2 * fmin(L, B);
    double dense = u->value[MDL_KV_SKIP_LAYERS] / u->n_layers;
    return k * (dense * L + (1 - dense) * (fmin(L, B) + L / p));
}

START_TEST(gpu_bytes_are_the_closed_forms)
{
    struct mdl_kv_use u = any(_i);
    for (uint32_t L = 1; L < 140000; L += L % 501 + 211)
        assert_near(gpu_of(&u, prompt(L)), closed_form(&u, L));
}
END_TEST

START_TEST(arkvale_without_dense_layers_holds_its_cache_and_the_digests)
{
    struct mdl_kv_use u = USE("arkvale", "llama-3.1-8b", {MDL_KV_SKIP_LAYERS, 0}, );
    assert_near(gpu_of(&u, prompt(32768)), 131072.0 * (2048 + 32768 / 32));
}
END_TEST

START_TEST(pages_are_never_less_than_the_closed_form_and_equal_where_they_are_full)
{
    struct mdl_kv_use u = any(_i);
    assert_pages_meet(&u, 1, 32, 70000);
    assert_pages_meet(&u, 5000, 32, 70000);
    assert_pages_meet(&u, UINT32_MAX, 32, 70000);
}
END_TEST

START_TEST(while_a_prompt_is_computed_all_of_it_is_on_the_gpu_and_the_host_has_it_throughout)
{
    struct mdl_kv_use u = any(_i);
    double on_host = strcmp(u.strategy->name, "quest") == 0 ? 0
                     : strcmp(u.strategy->name, "shadowkv") ? 1
                                                            : 0.5;
    double managed = 1 - fmax(0, u.value[MDL_KV_SKIP_LAYERS]) / u.n_layers;
    if (isnan(u.value[MDL_KV_SKIP_LAYERS])) managed = 1;
    for (uint32_t L = 100; L < 60000; L += 999) {
        ck_assert_double_ge(gpu_of(&u, filling(L)), kvtok(&u) * L);
        assert_near(host_of(&u, prompt(L)), on_host * managed * kvtok(&u) * L);
        assert_near(host_of(&u, filling(L)), host_of(&u, prompt(L)));
    }
}
END_TEST

START_TEST(within_the_budget_a_sequence_reads_what_full_does_and_selects_nothing)
{
    struct mdl_kv_use u = any(_i);
    if (!has_budget(&u)) return; /* InfiniGen reads a share of any context */
    uint32_t budget = (uint32_t)u.value[MDL_KV_BUDGET];
    for (uint32_t L = 1; L <= budget; L += 31) {
        assert_near(read_tokens(&u, prompt(L)), L);
        ck_assert(!selects(&u, prompt(L)));
    }
    ck_assert(selects(&u, prompt(budget + 1)));
    double dense = memory_of(&u).dense_frac;
    assert_near(read_tokens(&u, prompt(50000)), (1 - dense) * budget + dense * 50000);
}
END_TEST

START_TEST(infinigen_reads_and_fetches_a_share_of_the_context)
{
    struct mdl_kv_use u = USE("infinigen", "llama-3.1-8b", {MDL_KV_FETCH_FRAC, 0.2}, );
    struct mdl_kv_decode d = decode_of(&u);
    assert_near(read_tokens(&u, prompt(32768)), 0.2 * 32768);
    assert_near(d.up_copies_token * d.up_fragment_bytes * 32768, 0.2 * 4096 * MIB);
    assert_near(d.up_fragment_bytes, 256);
    ck_assert_int_eq(d.when, SIM_RECALL_LAYER_AHEAD);
}
END_TEST

START_TEST(shadowkv_fetches_values_in_chunks_of_2_kib)
{
    struct mdl_kv_use u = USE("shadowkv", "llama-3.1-8b", {MDL_KV_MISS, 1}, );
    struct mdl_kv_decode d = decode_of(&u);
    assert_near(d.up_fragment_bytes, 2048);
    assert_near(d.up_copies * d.up_fragment_bytes, 2048.0 * 8 * 128 * 2 * 32);
    ck_assert_int_eq(d.when, SIM_RECALL_AT_LAYER); /* selected with the layer's own query */
    ck_assert_uint_eq(prefill_of(&u).end_after, 2048);
}
END_TEST

START_TEST(shadowkv_on_many_ranks_has_no_higher_rank_than_columns)
{
    struct sim_status st = {0};
    struct mdl_arch a;
    ck_assert(mdl_arch_load(".", "llama-3.1-8b", &a, &st));
    double given[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    for (uint32_t tp = 1; tp <= 8; tp *= 2) {
        struct mdl_kv_use u;
        double columns = 1024.0 / tp, rank = fmin(160, columns), rows = rank * 2 * (32768 + columns) * 32;
        ck_assert_msg(
            mdl_kv_use_init(&u, mdl_strategy_find("shadowkv", &st), given, &a, tp, 32, STRATEGY_BLOCK, &st),
            "%s", st.message);
        assert_near(gpu_of(&u, prompt(32768)), rows + kvtok(&u) * (32768 / 16 + 384 + 1024));
        assert_near(decode_of(&u).select_seq.flops, 2 * 2048 * rank * columns * 32);
    }
}
END_TEST

START_TEST(digests_are_read_and_scored_by_the_managed_layers)
{
    struct mdl_kv_use quest = plain("quest", "llama-3.1-8b"), freekv = plain("freekv", "llama-3.1-8b");
    struct mdl_kv_decode q = decode_of(&quest), f = decode_of(&freekv);
    assert_near(q.select_token.bytes, 131072.0 / 16 * 30 / 32);
    assert_near(q.select_token.flops, 4.0 * 32 * 128 / 16 * 30);
    assert_near(f.select_token.bytes, 131072.0 / 32);
    assert_near(q.select_seq.launches, 2 * 30); /* three kernels, one of which is attention */
    ck_assert_double_ge(q.select_fixed_s, 30 * 5e-6);
    ck_assert_double_le(q.select_fixed_s, 30 * 10e-6);
    ck_assert(!q.select_overlaps && f.select_overlaps);
}
END_TEST

/* Over any number of tokens what goes down is what the host holds more. */
START_TEST(what_goes_down_is_what_the_host_comes_to_hold)
{
    struct mdl_kv_use u = any(_i);
    struct mdl_kv_decode d = decode_of(&u);
    double token = host_of(&u, prompt(2000)) - host_of(&u, prompt(1999));
    assert_near(prefill_of(&u).down_bytes, token);
    assert_near(d.down_copies * d.down_fragment_bytes, token);
}
END_TEST

/* ---- the four parts of FreeKV ---- */

START_TEST(speculation_moves_selection_and_recall_off_the_critical_path)
{
    struct mdl_kv_use spec = USE("freekv", "llama-3.1-8b", {MDL_KV_TAU, 0}, );
    struct mdl_kv_use at_layer = USE("freekv", "llama-3.1-8b", {MDL_KV_TAU, 0}, {MDL_KV_SPECULATIVE, 0}, );
    struct mdl_kv_decode a = decode_of(&spec), b = decode_of(&at_layer);
    ck_assert_int_eq(a.when, SIM_RECALL_STEP_AHEAD);
    ck_assert_int_eq(b.when, SIM_RECALL_AT_LAYER);
    ck_assert(a.select_overlaps && !b.select_overlaps);
    assert_near(a.up_copies, b.up_copies);
    ck_assert_double_eq(a.n_sync, 0);
    ck_assert_double_eq(b.n_sync, 64);
    ck_assert_double_eq(b.correct_frac, 0);
}
END_TEST

START_TEST(without_a_threshold_nothing_is_checked_and_with_one_every_layer_is)
{
    struct mdl_kv_use off = USE("freekv", "llama-3.1-8b", {MDL_KV_TAU, 0}, );
    struct mdl_kv_use on = USE("freekv", "llama-3.1-8b", {MDL_KV_CORRECTION, 0}, );
    struct mdl_kv_use fourth = USE("freekv", "llama-3.1-8b", {MDL_KV_CORRECT_EVERY, 4}, );
    struct mdl_kv_decode a = decode_of(&off), b = decode_of(&on), c = decode_of(&fourth);
    ck_assert_double_eq(a.n_sync + a.n_sync_correct + a.correct_frac + a.correct_share, 0);
    assert_near(b.n_sync, 32);
    ck_assert_double_eq(b.correct_frac, 0);
    assert_near(c.n_sync + c.n_sync_correct * c.correct_frac, 8 * (1 + 2 * 0.37));
    assert_near(c.correct_frac, 0.37 / 4);
}
END_TEST

/* Within the budget nothing was selected that could be wrong. */
START_TEST(checks_are_paid_by_sequences_that_select_and_by_nobody_else)
{
    struct mdl_kv_use off = USE("freekv", "llama-3.1-8b", {MDL_KV_TAU, 0}, );
    struct mdl_kv_use on = plain("freekv", "llama-3.1-8b");
    struct mdl_kv_decode a = decode_of(&off), b = decode_of(&on);
    assert_near(a.seq.launches, b.seq.launches);
    assert_near(a.seq.bytes, b.seq.bytes);
    ck_assert_double_eq(a.check_seq.launches + a.check_seq.bytes, 0);
    assert_near(b.check_seq.launches, 32);
    assert_near(b.check_seq.bytes, 32 * 2 * 2 * 32.0 * 128);
}
END_TEST

START_TEST(corrections_follow_the_threshold_unless_they_are_given)
{
    static const double published[][3] = {
        {0, 0, 0.15}, {0.4, 0.185, 0.25}, {0.8, 0.37, 0.35}, {0.9, 0.89, 0.65}, {1, 1, 1}};
    for (int i = 0; i < 5; i++) {
        struct mdl_kv_use u = USE("freekv", "llama-3.1-8b", {MDL_KV_TAU, published[i][0]}, );
        assert_near(u.value[MDL_KV_CORRECTION], published[i][1]);
        assert_near(u.value[MDL_KV_CORRECT_HEADS], published[i][2]);
    }
    double rate = -1;
    for (double tau = 0; tau <= 1; tau += 1.0 / 64) {
        struct mdl_kv_use u = USE("freekv", "llama-3.1-8b", {MDL_KV_TAU, tau}, );
        struct mdl_kv_use given =
            USE("freekv", "llama-3.1-8b", {MDL_KV_TAU, tau}, {MDL_KV_CORRECTION, 0.2}, );
        ck_assert_double_gt(u.value[MDL_KV_CORRECTION], rate);
        ck_assert_double_eq(given.value[MDL_KV_CORRECTION], 0.2);
        rate = u.value[MDL_KV_CORRECTION];
    }
    /* what lists print as default is what holds at the default threshold */
    struct mdl_kv_use u = plain("freekv", "llama-3.1-8b");
    assert_near(u.value[MDL_KV_CORRECTION], mdl_strategy_default(u.strategy, MDL_KV_CORRECTION)->value);
    assert_near(u.value[MDL_KV_CORRECT_HEADS], mdl_strategy_default(u.strategy, MDL_KV_CORRECT_HEADS)->value);
}
END_TEST

START_TEST(only_the_hybrid_layout_converts_and_buffers_what_it_recalls)
{
    for (int layout = MDL_NHD; layout <= MDL_HYBRID; layout++) {
        struct mdl_kv_use u = USE("freekv", "llama-3.1-8b", {MDL_KV_LAYOUT, layout}, );
        struct mdl_kv_decode d = decode_of(&u);
        double recalled = d.up_copies * d.up_fragment_bytes;
        bool hybrid = layout == MDL_HYBRID;
        assert_near(d.convert.bytes, hybrid ? 2 * recalled : 0);
        assert_near(memory_of(&u).replica_bytes, hybrid ? 2 * MIB : 0);
        ck_assert_double_eq(d.pieces, 8);
        /* transposing what goes down, or what is appended */
        double plain = 131072.0 / 2 + 131072.0 / 32;
        assert_near(prefill_of(&u).token.bytes, plain + (layout == MDL_NHD ? 0 : 2 * 131072.0));
    }
    struct mdl_kv_use single = USE("freekv", "llama-3.1-8b", {MDL_KV_DOUBLE_BUFFER, 0}, );
    assert_near(memory_of(&single).replica_bytes, MIB);
    ck_assert(!decode_of(&single).double_buffer);
}
END_TEST

START_TEST(arkvale_by_head_waits_for_every_head_as_its_loop_does)
{
    struct mdl_kv_use all = plain("arkvale", "llama-3.1-8b"),
                      heads = USE("arkvale", "llama-3.1-8b", {MDL_KV_LAYOUT, MDL_HYBRID}, );
    struct mdl_kv_decode a = decode_of(&all), h = decode_of(&heads);
    assert_near(h.n_sync_seq, 8 * a.n_sync_seq);
    assert_near(h.up_copies, 8 * a.up_copies);
    assert_near(h.up_copies * h.up_fragment_bytes, a.up_copies * a.up_fragment_bytes);
    assert_near(a.n_sync_seq, 30 * (3 + 2 * 0.11 * 32));
    ck_assert_int_eq(a.when, SIM_RECALL_AT_LAYER);
}
END_TEST

/* ---- limits ---- */

START_TEST(who_misses_nothing_moves_nothing_up)
{
    for (int s = 0; s < RETRIEVERS; s++) {
        struct mdl_kv_use u = plain(retrievers[s], "qwen2.5-7b");
        if (!isnan(u.value[MDL_KV_MISS])) u = USE(retrievers[s], "qwen2.5-7b", {MDL_KV_MISS, 0}, );
        if (!isnan(u.value[MDL_KV_FETCH_FRAC]))
            u = USE(retrievers[s], "qwen2.5-7b", {MDL_KV_FETCH_FRAC, 0}, );
        struct mdl_kv_decode d = decode_of(&u);
        ck_assert_double_eq(d.up_copies + d.up_copies_token + d.pages + d.convert.bytes + d.convert.launches,
                            0);
    }
}
END_TEST

START_TEST(a_larger_budget_holds_reads_and_recalls_more)
{
    static const char *const sized[] = {"quest", "arkvale", "shadowkv", "freekv"};
    static const double budgets[] = {1536, 2048, 4096};
    for (int s = 0; s < 4; s++) {
        double bytes = 0, tokens = 0, copies = -1;
        for (int b = 0; b < 3; b++) {
            struct mdl_kv_use u = USE(sized[s], "llama-3.1-8b", {MDL_KV_BUDGET, budgets[b]}, );
            ck_assert_double_gt(gpu_of(&u, prompt(30000)), s ? bytes : 0);
            ck_assert_double_gt(read_tokens(&u, prompt(30000)), tokens);
            ck_assert_double_gt(decode_of(&u).up_copies, s ? copies : -1);
            bytes = gpu_of(&u, prompt(30000));
            tokens = read_tokens(&u, prompt(30000));
            copies = decode_of(&u).up_copies;
        }
    }
}
END_TEST

START_TEST(dense_layers_alone_leave_nothing_to_recall)
{
    struct mdl_kv_use u = USE("freekv", "llama-3.1-8b", {MDL_KV_SKIP_LAYERS, 40}, );
    struct mdl_kv_decode d = decode_of(&u);
    assert_near(gpu_of(&u, prompt(30000)), 131072.0 * 30000);
    assert_near(read_tokens(&u, prompt(30000)), 30000);
    ck_assert_double_eq(host_of(&u, prompt(30000)) + d.up_copies + d.down_copies + d.n_sync + d.recall_layers,
                        0);
}
END_TEST

/* ---- prefetch and the adaptive policy ---- */

START_TEST(prefetched_pages_add_copies_and_slots_and_shorten_corrections)
{
    double copies = 0, share = 1, slots = 0;
    for (int pages = 0; pages <= 128; pages += 16) {
        struct mdl_kv_use u = USE("freekv", "llama-3.1-8b", {MDL_KV_PREFETCH, pages}, );
        struct mdl_kv_decode d = decode_of(&u);
        ck_assert_double_gt(d.up_copies, copies);
        ck_assert_double_lt(d.correct_share, share);
        ck_assert_double_gt(gpu_of(&u, prompt(30000)), slots);
        assert_near(read_tokens(&u, prompt(30000)), 2048);
        copies = d.up_copies;
        share = d.correct_share;
        slots = gpu_of(&u, prompt(30000));
    }
    struct mdl_kv_use twice = USE("freekv", "llama-3.1-8b", {MDL_KV_PREFETCH, 32}, );
    assert_near(decode_of(&twice).correct_share,
                0.35 * 10.2 / 106 / 2); /* Fig. 4b: 10.2 of 106 at twice the slots */
}
END_TEST

START_TEST(a_policy_has_settings_that_miss_few_corrections_and_its_users_own)
{
    for (double rate = 0.01; rate <= 0.9; rate += 0.01)
        for (int own = 1; own <= 16; own *= 4) {
            struct mdl_kv_use u = USE("freekv", "llama-3.1-8b", {MDL_KV_POLICY, 1}, {MDL_KV_CORRECTION, rate},
                                      {MDL_KV_CORRECT_EVERY, own}, );
            struct mdl_adaptive_setting s[MDL_ADAPTIVE_SETTINGS];
            uint32_t n = mdl_adaptive_settings(&u, s), most_every = 0;
            ck_assert(s[0].prefetch_pages == 0 && s[0].correction_every == 1);
            for (uint32_t i = 0; i < n; i++) {
                double every = s[i].correction_every;
                ck_assert((1 - 1 / every) * rate <= MDL_ADAPTIVE_MISSED || every <= own);
                most_every = s[i].correction_every > most_every ? s[i].correction_every : most_every;
                ck_assert_uint_le(s[i].prefetch_pages, 32); /* as many as are selected */
            }
            ck_assert_uint_ge(most_every, (uint32_t)own);
            ck_assert_uint_eq(s[n - 1].prefetch_pages, 32);
        }
}
END_TEST

START_TEST(without_corrections_there_is_nothing_to_choose)
{
    struct mdl_kv_use never = USE("freekv", "llama-3.1-8b", {MDL_KV_POLICY, 1}, {MDL_KV_TAU, 0}, );
    struct mdl_kv_use fixed =
        USE("freekv", "llama-3.1-8b", {MDL_KV_PREFETCH, 5}, {MDL_KV_CORRECT_EVERY, 2}, );
    struct mdl_adaptive_setting s[MDL_ADAPTIVE_SETTINGS];
    ck_assert_uint_eq(mdl_adaptive_settings(&never, s), 1);
    ck_assert_uint_eq(s[0].prefetch_pages, 0);
    ck_assert_uint_eq(mdl_adaptive_settings(&fixed, s), 1);
    ck_assert(s[0].prefetch_pages == 5 && s[0].correction_every == 2);
}
END_TEST

START_TEST(an_adaptive_policy_has_room_for_the_most_pages)
{
    struct mdl_kv_use u = USE("freekv", "llama-3.1-8b", {MDL_KV_POLICY, 1}, {MDL_KV_PREFETCH, 1000}, );
    struct mdl_kv_use fixed = USE("freekv", "llama-3.1-8b", {MDL_KV_PREFETCH, 1000}, );
    struct mdl_adaptive_setting s[MDL_ADAPTIVE_SETTINGS];
    uint32_t n = mdl_adaptive_settings(&u, s);
    for (uint32_t i = 1; i < n; i++) ck_assert_uint_le(s[i].prefetch_pages, 1000);
    ck_assert_uint_eq(memory_of(&u).budget, memory_of(&fixed).budget);
    assert_near(memory_of(&u).replica_bytes, memory_of(&fixed).replica_bytes);
    assert_near(gpu_of(&u, prompt(30000)), gpu_of(&fixed, prompt(30000)));
}
END_TEST

START_TEST(nothing_is_adapted_where_nothing_is_speculative)
{
    struct mdl_kv_use u = USE("freekv", "llama-3.1-8b", {MDL_KV_POLICY, 1}, {MDL_KV_SPECULATIVE, 0}, );
    struct mdl_kv_use same = USE("freekv", "llama-3.1-8b", {MDL_KV_SPECULATIVE, 0}, );
    assert_near(decode_of(&u).up_copies, decode_of(&same).up_copies);
}
END_TEST

/* ---- parameters ---- */

START_TEST(what_contradicts_itself_is_refused_in_one_line_that_names_the_key)
{
    REFUSED("freekv", "kv.budget", {MDL_KV_BUDGET, 992}, );
    REFUSED("freekv", "kv.budget", {MDL_KV_BUDGET, 1024}, );
    REFUSED("freekv", "kv.budget", {MDL_KV_BUDGET, 2060}, );
    REFUSED("freekv", "kv.correction_tau", {MDL_KV_TAU, 1.1}, );
    REFUSED("freekv", "kv.miss_rate", {MDL_KV_MISS, -0.1}, );
    REFUSED("freekv", "kv.graph", {MDL_KV_GRAPH, MDL_GRAPH_YES}, );
    REFUSED("freekv", "kv.graph", {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE}, {MDL_KV_TAU, 0},
            {MDL_KV_SPECULATIVE, 0}, );
    REFUSED("freekv", "kv.prefetch_pages", {MDL_KV_PREFETCH, 8}, {MDL_KV_SPECULATIVE, 0}, );
    REFUSED("arkvale", "kv.budget", {MDL_KV_BUDGET, 32}, {MDL_KV_SINK, 0}, {MDL_KV_RECENT, 0}, );
    REFUSED("arkvale", "kv.graph", {MDL_KV_GRAPH, MDL_GRAPH_YES}, );
    REFUSED("infinigen", "kv.graph", {MDL_KV_GRAPH, MDL_GRAPH_YES}, );
    REFUSED("shadowkv", "kv.budget", {MDL_KV_BUDGET, 2044}, );
    REFUSED("quest", "kv.budget", {MDL_KV_BUDGET, 1000}, );
    USE("freekv", "llama-3.1-8b", {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE}, {MDL_KV_TAU, 0}, );
}
END_TEST

static void add_bytes(Suite *s)
{
    TCase *t = tcase_create("bytes");
    int all = RETRIEVERS * STRATEGY_MODELS;
    tcase_set_timeout(t, 30);
    tcase_add_test(t, freekv_holds_256_and_128_mib_of_4_gib_at_32k);
    tcase_add_test(t, a_step_that_misses_everything_copies_8192_pages_or_3584_as_published);
    tcase_add_test(t, pages_by_token_are_64_times_as_many_fragments);
    tcase_add_test(t, infinigen_holds_410_mib_of_partial_keys_at_32k);
    tcase_add_test(t, arkvale_moves_pages_of_512_and_128_kib);
    tcase_add_loop_test(t, gpu_bytes_are_the_closed_forms, 0, all);
    tcase_add_test(t, arkvale_without_dense_layers_holds_its_cache_and_the_digests);
    tcase_add_loop_test(t, pages_are_never_less_than_the_closed_form_and_equal_where_they_are_full, 0, all);
    tcase_add_loop_test(t, while_a_prompt_is_computed_all_of_it_is_on_the_gpu_and_the_host_has_it_throughout,
                        0, all);
    tcase_add_loop_test(t, within_the_budget_a_sequence_reads_what_full_does_and_selects_nothing, 0, all);
    tcase_add_test(t, infinigen_reads_and_fetches_a_share_of_the_context);
    tcase_add_test(t, shadowkv_fetches_values_in_chunks_of_2_kib);
    tcase_add_test(t, shadowkv_on_many_ranks_has_no_higher_rank_than_columns);
    tcase_add_test(t, digests_are_read_and_scored_by_the_managed_layers);
    tcase_add_loop_test(t, what_goes_down_is_what_the_host_comes_to_hold, 0, all);
    suite_add_tcase(s, t);
}

Suite *test_suite(void)
{
    Suite *s = suite_create("strategies that retrieve");
    add_bytes(s);
    TCase *t = tcase_create("parts");
    tcase_add_test(t, speculation_moves_selection_and_recall_off_the_critical_path);
    tcase_add_test(t, without_a_threshold_nothing_is_checked_and_with_one_every_layer_is);
    tcase_add_test(t, checks_are_paid_by_sequences_that_select_and_by_nobody_else);
    tcase_add_test(t, corrections_follow_the_threshold_unless_they_are_given);
    tcase_add_test(t, only_the_hybrid_layout_converts_and_buffers_what_it_recalls);
    tcase_add_test(t, arkvale_by_head_waits_for_every_head_as_its_loop_does);
    tcase_add_test(t, who_misses_nothing_moves_nothing_up);
    tcase_add_test(t, a_larger_budget_holds_reads_and_recalls_more);
    tcase_add_test(t, dense_layers_alone_leave_nothing_to_recall);
    tcase_add_test(t, prefetched_pages_add_copies_and_slots_and_shorten_corrections);
    tcase_add_test(t, a_policy_has_settings_that_miss_few_corrections_and_its_users_own);
    tcase_add_test(t, without_corrections_there_is_nothing_to_choose);
    tcase_add_test(t, an_adaptive_policy_has_room_for_the_most_pages);
    tcase_add_test(t, nothing_is_adapted_where_nothing_is_speculative);
    tcase_add_test(t, what_contradicts_itself_is_refused_in_one_line_that_names_the_key);
    suite_add_tcase(s, t);
    return s;
}
