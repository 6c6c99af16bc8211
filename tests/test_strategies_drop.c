/* Strategies that drop tokens or heads: bytes against closed forms written here a second time, pages against bytes,
 * what a step reads, the work of scoring, and what is refused. */
#include "tests/strategy_help.h"

static const char *const droppers[] = {"streaming_llm", "razor", "h2o", "snapkv", "pyramidkv", "raas"};
enum { DROPPERS = sizeof droppers / sizeof *droppers };

static double kvtok(const struct mdl_kv_use *u)
{
    return 2.0 * u->kv_heads * u->head_dim * 2 * u->n_layers;
}

/* Every strategy on every model: droppers[_i % DROPPERS] on strategy_models[_i / DROPPERS]. */
static struct mdl_kv_use any(int i)
{
    return plain(droppers[i % DROPPERS], strategy_models[i / DROPPERS]);
}

/* ---- bytes ---- */

START_TEST(streaming_llm_keeps_512_tokens_and_in_the_port_what_is_generated_beside_them)
{
    for (int m = 0; m < STRATEGY_MODELS; m++) {
        struct mdl_kv_use u = plain("streaming_llm", strategy_models[m]);
        struct mdl_kv_use port = USE("streaming_llm", strategy_models[m], {MDL_KV_EVICT_IN_DECODE, 0}, );
        for (uint32_t L = 1; L < 70000; L += L % 301 + 100) {
            assert_near(gpu_of(&u, prompt(L)), kvtok(&u) * fmin(L, 512));
            assert_near(gpu_of(&port, prompt(L)), kvtok(&u) * fmin(L, 512));
            struct sim_kv_length later = {L + 333, L};
            assert_near(gpu_of(&u, later), kvtok(&u) * fmin(L + 333, 512));
            assert_near(gpu_of(&port, later), kvtok(&u) * (L + 333 <= 512 ? L + 333 : fmin(L, 512) + 333));
        }
    }
}
END_TEST

START_TEST(razor_keeps_everything_in_its_share_of_the_heads_and_a_window_in_the_others)
{
    struct mdl_kv_use u =
        USE("razor", "llama-3.1-8b", {MDL_KV_FULL_HEADS, 0.25}, {MDL_KV_SINK, 128}, {MDL_KV_RECENT, 1024}, );
    for (uint32_t L = 1; L < 140000; L += 777) {
        double tokens = 0.25 * L + 0.75 * fmin(L, 1152);
        assert_near(gpu_of(&u, prompt(L)), 131072 * tokens);
        assert_near(read_tokens(&u, prompt(L)), tokens);
    }
}
END_TEST

START_TEST(h2o_keeps_its_budget_and_a_score_per_token_head_and_layer)
{
    for (int m = 0; m < STRATEGY_MODELS; m++) {
        struct mdl_kv_use u = USE("h2o", strategy_models[m], {MDL_KV_BUDGET, 2048}, );
        struct mdl_kv_use port =
            USE("h2o", strategy_models[m], {MDL_KV_BUDGET, 2048}, {MDL_KV_EVICT_IN_DECODE, 0}, );
        double scores = 4.0 * u.kv_heads * 2048 * u.n_layers;
        assert_near(gpu_of(&u, (struct sim_kv_length){30000, 5000}), kvtok(&u) * 2048 + scores);
        assert_near(gpu_of(&port, (struct sim_kv_length){30000, 5000}), kvtok(&u) * (2048 + 25000));
    }
}
END_TEST

/* Heavy tokens by share: min(L, h x L + recent) of them. */
START_TEST(h2o_by_share_keeps_the_share_and_the_recent_tokens)
{
    struct mdl_kv_use u = USE("h2o", "llama-2-7b", {MDL_KV_HEAVY_FRAC, 0.2}, {MDL_KV_RECENT, 400}, );
    double token = kvtok(&u) + 4.0 * u.kv_heads * u.n_layers;
    for (uint32_t L = 1; L < 50000; L += 219) {
        double tokens = fmin(L, 0.2 * L + 400);
        assert_near(gpu_of(&u, prompt(L)), token * tokens);
        assert_near(read_tokens(&u, prompt(L)), tokens);
        ck_assert_int_eq(selects(&u, prompt(L)), L > 500);
    }
}
END_TEST

START_TEST(snapkv_keeps_its_budget_of_the_prompt_and_everything_generated)
{
    struct mdl_kv_use u = plain("snapkv", "qwen2.5-7b");
    assert_near(gpu_of(&u, (struct sim_kv_length){32768, 32768}), 57344.0 * 2048);
    assert_near(gpu_of(&u, (struct sim_kv_length){40000, 32768}), 57344.0 * (2048 + 7232));
    assert_near(gpu_of(&u, (struct sim_kv_length){5000, 1000}), 57344.0 * 5000);
    assert_near(read_tokens(&u, (struct sim_kv_length){40000, 32768}), 2048 + 7232);
}
END_TEST

/* The released code: uniform below twice the budget, linear from 2 B - B / 20 to B / 20 above. */
START_TEST(pyramidkv_sums_its_layers_to_layers_times_the_mean)
{
    struct mdl_kv_use u = plain("pyramidkv", "llama-3.1-8b");
    double B = u.value[MDL_KV_BUDGET], low = u.value[MDL_KV_PYRAMID_LOW] * B, high = 2 * B - low;
    for (uint32_t L = 500; L < 70000; L += 500) {
        double sum = 0;
        for (uint32_t l = 0; l < u.n_layers; l++) {
            double cap = high + (low - high) * l / (u.n_layers - 1);
            sum += kvtok(&u) / u.n_layers * (L < 2 * B ? fmin(L, B) : cap);
        }
        assert_near(gpu_of(&u, prompt(L)), sum);
    }
}
END_TEST

START_TEST(raas_keeps_its_budget_and_a_digest_a_page)
{
    struct mdl_kv_use u = USE("raas", "llama-3.1-8b", {MDL_KV_PAGE, 32}, );
    assert_near(gpu_of(&u, (struct sim_kv_length){16384, 600}), 131072.0 * 2048 * (1 + 1.0 / 32));
    assert_near(gpu_of(&u, (struct sim_kv_length){1024, 600}), 131072.0 * 1024 * (1 + 1.0 / 32));
}
END_TEST

START_TEST(pages_are_never_less_than_the_closed_form_and_equal_where_they_are_full)
{
    struct mdl_kv_use u = any(_i);
    assert_pages_meet(&u, 1, 32, 70000);
    assert_pages_meet(&u, 4000, 32, 70000);
    assert_pages_meet(&u, UINT32_MAX, 32, 70000);
}
END_TEST

START_TEST(while_a_prompt_is_computed_all_of_it_is_kept)
{
    struct mdl_kv_use u = any(_i);
    for (uint32_t L = 100; L < 60000; L += 999) {
        ck_assert_double_ge(gpu_of(&u, filling(L)), kvtok(&u) * L * (1 - 1e-12));
        ck_assert_double_le(gpu_of(&u, prompt(L)), gpu_of(&u, filling(L)));
    }
}
END_TEST

START_TEST(within_the_budget_a_sequence_reads_and_keeps_what_full_does)
{
    struct mdl_kv_use u = any(_i);
    uint32_t budget = memory_of(&u).budget;
    for (uint32_t L = 1; L <= budget; L += 37) {
        assert_near(read_tokens(&u, prompt(L)), L);
        ck_assert_double_ge(gpu_of(&u, prompt(L)), kvtok(&u) * L * (1 - 1e-12));
        ck_assert_double_le(gpu_of(&u, prompt(L)), kvtok(&u) * L * (1 + 1.0 / 16));
        ck_assert(!selects(&u, prompt(L)));
    }
    ck_assert_double_lt(read_tokens(&u, prompt(3 * budget)), 3 * budget);
}
END_TEST

START_TEST(a_larger_budget_keeps_and_reads_more)
{
    static const double budgets[] = {512, 1024, 2048, 8192};
    for (int s = 0; s < DROPPERS; s++) {
        double bytes = 0, tokens = 0;
        for (int b = 0; b < 4; b++) {
            bool razor = strcmp(droppers[s], "razor") == 0;
            struct mdl_kv_use u =
                USE(droppers[s], "llama-3.1-8b", {razor ? MDL_KV_RECENT : MDL_KV_BUDGET, budgets[b]},
                    {strcmp(droppers[s], "pyramidkv") ? MDL_N_KV_KEY : MDL_KV_PYRAMID_LOW, 0.2}, );
            ck_assert_double_gt(gpu_of(&u, prompt(30000)), bytes);
            ck_assert_double_gt(read_tokens(&u, prompt(30000)), tokens);
            bytes = gpu_of(&u, prompt(30000));
            tokens = read_tokens(&u, prompt(30000));
        }
    }
}
END_TEST

/* ---- work ---- */

START_TEST(scoring_all_queries_costs_twice_a_causal_pass_over_the_keys)
{
    struct mdl_kv_use u = plain("h2o", "llama-2-7b");
    struct mdl_kv_prefill p = prefill_of(&u);
    double L = 4000, chunk = 500, attention = 4.0 * 32 * 128 * L * L / 2 * 32, pairs = 0;
    for (double past = 0; past < L; past += chunk) pairs += past * chunk + chunk * chunk / 2;
    assert_near(p.pair.flops * pairs, attention); /* QK and PV of flash attention: as many flops */
    ck_assert_double_eq(p.end_token.flops + p.end_pair.flops, 0); /* nothing waits for the last chunk */
    assert_near(p.token.bytes, 524288);                           /* keys twice */
    ck_assert_uint_eq(p.end_after, 0);                            /* short prompts are scored, too */
}
END_TEST

START_TEST(the_port_scores_the_last_64_queries_and_does_nothing_in_decode)
{
    struct mdl_kv_use u = USE("h2o", "llama-2-7b", {MDL_KV_SCORE_WINDOW, 64}, {MDL_KV_EVICT_IN_DECODE, 0}, );
    struct mdl_kv_prefill p = prefill_of(&u);
    assert_near(p.end_token.flops, 4.0 * 32 * 128 * 64 * 32);
    assert_near(p.end_token.bytes,
                524288 + 2 * 4.0 * 64 * 32 * 32); /* keys twice, the buffer written and read */
    ck_assert_double_eq(p.pair.flops + p.token.bytes, 0);
    struct mdl_kv_decode d = decode_of(&u);
    ck_assert_double_eq(d.seq.bytes + d.all_token.bytes + d.seq.launches + d.select_seq.launches, 0);
    ck_assert_uint_eq(memory_of(&u).select_after, SIM_KV_ALL);
}
END_TEST

/* Work x the tokens that attention reads, which are those kept: within the budget all. */
START_TEST(as_published_h2o_reads_the_kept_keys_again_in_every_step)
{
    struct mdl_kv_use share = USE("h2o", "llama-3.1-8b", {MDL_KV_HEAVY_FRAC, 0.2}, );
    struct mdl_kv_use u = plain("h2o", "llama-3.1-8b");
    struct mdl_kv_decode d = decode_of(&u), s = decode_of(&share);
    assert_near(d.all_token.bytes * read_tokens(&u, prompt(9999)), 512 * (131072 / 2 + 2 * 4.0 * 32 * 32));
    assert_near(d.all_token.flops * read_tokens(&u, prompt(300)), 2.0 * 32 * 128 * 300 * 32);
    assert_near(s.all_token.flops * read_tokens(&share, prompt(10000)), 2.0 * 32 * 128 * (2000 + 448) * 32);
    assert_near(d.seq.launches, 2 * 32);
    assert_near(d.select_seq.launches, 32); /* who is to go */
    ck_assert_double_eq(d.select_seq.bytes + d.select_token.bytes, 0);
}
END_TEST

START_TEST(snapkv_scores_a_window_and_gathers_its_budget)
{
    struct mdl_kv_use u = plain("snapkv", "llama-3.1-8b");
    struct mdl_kv_prefill p = prefill_of(&u);
    assert_near(p.end_token.flops, 2.0 * 32 * 128 * 32 * 32);
    assert_near(p.end.bytes, 2 * 131072.0 * 2048);
    ck_assert_uint_eq(p.end_after, 2048);
    ck_assert_double_eq(decode_of(&u).seq.launches, 0);
}
END_TEST

START_TEST(raas_scores_what_it_keeps_however_long_the_context)
{
    struct mdl_kv_use u = plain("raas", "llama-3.1-8b");
    struct mdl_kv_decode d = decode_of(&u);
    for (uint32_t L = 1000; L < 90000; L *= 3) {
        double kept = fmin(L, 2048), read = read_tokens(&u, prompt(L));
        ck_assert_double_ge(d.all_token.bytes * read, 131072.0 * kept / 16);
        ck_assert_double_lt(d.all_token.bytes * read, 1.02 * 131072.0 * kept / 16);
        assert_near(d.all_token.flops * read, 4.0 * 32 * 128 * kept / 16 * 32);
    }
    assert_near(d.seq.launches + d.select_seq.launches, 32 * (2 + 2.0 / 16));
    ck_assert_double_eq(d.select_seq.bytes + d.select_token.bytes, 0);
}
END_TEST

START_TEST(nobody_who_drops_moves_anything_over_the_link)
{
    struct mdl_kv_use u = any(_i);
    struct mdl_kv_decode d = decode_of(&u);
    ck_assert_double_eq(d.up_copies + d.up_copies_token + d.down_copies + d.n_sync + d.n_sync_seq, 0);
    ck_assert_int_eq(d.when, SIM_RECALL_NONE);
    ck_assert_double_eq(prefill_of(&u).down_bytes, 0);
    ck_assert_double_eq(host_of(&u, prompt(9999)), 0);
    ck_assert_str_eq(d.kernel, "bf16");
    ck_assert_double_eq(d.bytes_frac, 1);
}
END_TEST

/* ---- parameters ---- */

/* Of every strategy, those of other files, too. */
START_TEST(defaults_lie_in_their_ranges_and_name_a_source)
{
    size_t n = mdl_strategy_count();
    for (size_t s = 0; s < n; s++) assert_table_is_sound(mdl_strategy_at(s)->name);
    ck_assert_ptr_null(mdl_strategy_at(n));
}
END_TEST

START_TEST(what_contradicts_itself_is_refused_in_one_line_that_names_the_key)
{
    REFUSED("streaming_llm", "kv.budget", {MDL_KV_BUDGET, 511}, );
    REFUSED("h2o", "kv.budget", {MDL_KV_BUDGET, 447}, );
    REFUSED("h2o", "kv.heavy_frac", {MDL_KV_HEAVY_FRAC, 1}, );
    REFUSED("h2o", "kv.recent", {MDL_KV_HEAVY_FRAC, 0.1}, {MDL_KV_RECENT, 0}, );
    REFUSED("razor", "kv.recent", {MDL_KV_SINK, 0}, {MDL_KV_RECENT, 0}, );
    REFUSED("razor", "kv.budget", {MDL_KV_BUDGET, 512}, );
    REFUSED("snapkv", "kv.budget", {MDL_KV_BUDGET, 32}, );
    REFUSED("snapkv", "kv.score_window", {MDL_KV_SCORE_WINDOW, 0}, );
    REFUSED("pyramidkv", "kv.budget", {MDL_KV_BUDGET, 640}, );
    REFUSED("raas", "kv.budget", {MDL_KV_BUDGET, 2040}, );
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("strategies that drop");
    TCase *t = tcase_create("all");
    int all = DROPPERS * STRATEGY_MODELS;
    tcase_set_timeout(t, 30);
    tcase_add_test(t, streaming_llm_keeps_512_tokens_and_in_the_port_what_is_generated_beside_them);
    tcase_add_test(t, razor_keeps_everything_in_its_share_of_the_heads_and_a_window_in_the_others);
    tcase_add_test(t, h2o_keeps_its_budget_and_a_score_per_token_head_and_layer);
    tcase_add_test(t, h2o_by_share_keeps_the_share_and_the_recent_tokens);
    tcase_add_test(t, snapkv_keeps_its_budget_of_the_prompt_and_everything_generated);
    tcase_add_test(t, pyramidkv_sums_its_layers_to_layers_times_the_mean);
    tcase_add_test(t, raas_keeps_its_budget_and_a_digest_a_page);
    tcase_add_loop_test(t, pages_are_never_less_than_the_closed_form_and_equal_where_they_are_full, 0, all);
    tcase_add_loop_test(t, while_a_prompt_is_computed_all_of_it_is_kept, 0, all);
    tcase_add_loop_test(t, within_the_budget_a_sequence_reads_and_keeps_what_full_does, 0, all);
    tcase_add_test(t, a_larger_budget_keeps_and_reads_more);
    tcase_add_test(t, scoring_all_queries_costs_twice_a_causal_pass_over_the_keys);
    tcase_add_test(t, the_port_scores_the_last_64_queries_and_does_nothing_in_decode);
    tcase_add_test(t, as_published_h2o_reads_the_kept_keys_again_in_every_step);
    tcase_add_test(t, snapkv_scores_a_window_and_gathers_its_budget);
    tcase_add_test(t, raas_scores_what_it_keeps_however_long_the_context);
    tcase_add_loop_test(t, nobody_who_drops_moves_anything_over_the_link, 0, all);
    tcase_add_test(t, defaults_lie_in_their_ranges_and_name_a_source);
    tcase_add_test(t, what_contradicts_itself_is_refused_in_one_line_that_names_the_key);
    suite_add_tcase(s, t);
    return s;
}
