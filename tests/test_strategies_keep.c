/* Strategies that keep every token: their bytes against closed forms written here a second time, KIVI's against a
 * cache that is filled token by token, what a step reads and moves against what lies there, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/strategy.h"
#include "tests/harness.h"

enum { BLOCK = 16, MOST_TOKENS = 40000 };

static const char *const kept[] = {"full", "swap",  "offload", "tiered", "fp8",   "int8",
                                   "int4", "kivi4", "kivi2",   "gear4",  "gear2", "lowrank"};
enum { N_KEPT = sizeof kept / sizeof *kept };

struct set {
    enum mdl_kv_key key;
    double value;
};

static struct mdl_arch arch(const char *name)
{
    struct sim_status st = {0};
    struct mdl_arch a;
    ck_assert_msg(mdl_arch_load(".", name, &a, &st), "%s", st.message);
    return a;
}

static const struct mdl_strategy *strategy(const char *name)
{
    struct sim_status st = {0};
    const struct mdl_strategy *s = mdl_strategy_find(name, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    return s;
}

static bool try_use(struct mdl_kv_use *u, const char *name, const struct mdl_arch *a, const struct set *sets,
                    struct sim_status *st)
{
    double given[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    for (; sets->key < MDL_N_KV_KEY; sets++) given[sets->key] = sets->value;
    return mdl_kv_use_init(u, strategy(name), given, a, 1, a->n_layers, BLOCK, st);
}

static struct mdl_kv_use use_of(const char *name, const struct mdl_arch *a, const struct set *sets)
{
    struct sim_status st = {0};
    struct mdl_kv_use u;
    ck_assert_msg(try_use(&u, name, a, sets, &st), "%s", st.message);
    return u;
}
/* A strategy with its defaults but for pairs of key and value. */
#define USE(name, arch, ...) use_of(name, arch, (const struct set[]){__VA_ARGS__{MDL_N_KV_KEY, 0}})

static struct sim_kv_length decoding(uint32_t tokens)
{
    return (struct sim_kv_length){tokens, 1};
}

static struct sim_kv_length filling(uint32_t tokens)
{
    return (struct sim_kv_length){tokens, tokens + 1};
}

static double gpu(const struct mdl_kv_use *u, uint32_t tokens)
{
    return u->strategy->gpu_bytes(u, decoding(tokens));
}

static double host(const struct mdl_kv_use *u, uint32_t tokens)
{
    return u->strategy->host_bytes ? u->strategy->host_bytes(u, decoding(tokens)) : 0;
}

static struct mdl_kv_memory memory(const struct mdl_kv_use *u)
{
    struct mdl_kv_memory m;
    u->strategy->memory(u, &m);
    return m;
}

static struct mdl_kv_decode decode(const struct mdl_kv_use *u)
{
    struct mdl_kv_decode d;
    u->strategy->decode(u, &d);
    return d;
}

static struct mdl_kv_prefill prefill(const struct mdl_kv_use *u)
{
    struct mdl_kv_prefill p = {0};
    if (u->strategy->prefill) u->strategy->prefill(u, &p);
    return p;
}

static void assert_near(double a, double b)
{
    ck_assert_msg(fabs(a - b) <= 1e-11 * fmax(fabs(a), fabs(b)), "%.17g is not %.17g", a, b);
}

/* Bytes of whole pages, by the words of struct sim_kv_term. */
static double paged(const struct mdl_kv_memory *m, enum sim_kv_place place, struct sim_kv_length at)
{
    double bytes = 0;
    bool is_filling = at.tokens < at.filled;
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct mdl_kv_part *p = &m->part[i];
        if (p->place != place) continue;
        double n = p->fill && !is_filling ? 0 : at.tokens;
        n = fmin(fmax(0, n - p->start), p->cap);
        bytes += p->page_bytes * (p->whole ? floor(n / p->page_tokens) : ceil(n / p->page_tokens));
    }
    return bytes;
}

/* ---- closed forms ---- */

/* Of one token in bf16: 2 x layers x heads x dim x 2 bytes. */
static double kvtok(const struct mdl_arch *a)
{
    return 4.0 * a->n_layers * a->n_kv_heads * a->head_dim;
}

static double flat_bits(const char *name)
{
    return strcmp(name, "int4") == 0 ? 4 : 8;
}

/* kv-cache bytes of the strategies of one page type, L tokens, defaults. */
static double closed_form(const char *name, const struct mdl_arch *a, double L)
{
    double heads = (double)a->n_layers * 2 * a->n_kv_heads, d = a->head_dim, D = a->n_kv_heads * d;
    if (strcmp(name, "fp8") == 0) return kvtok(a) / 2 * L;
    if (strcmp(name, "int8") == 0 || strcmp(name, "int4") == 0)
        return heads * (d * flat_bits(name) / 8 + 4) * L;
    if (strcmp(name, "offload") == 0) return kvtok(a) * L * (a->n_layers > 1 ? 2 : 1) / a->n_layers;
    if (strcmp(name, "lowrank") == 0)
        return a->n_layers * 4 * ceil(D / 2) * (L + D) + kvtok(a) / a->n_layers * L;
    if (strcmp(name, "tiered") == 0) {
        double older = L > 512 ? L - 512 : 0;
        return kvtok(a) * (L - older) + older * (0.1 * kvtok(a) + 0.9 * heads * (d / 2 + 4));
    }
    return kvtok(a) * L;
}

static bool two_page_types(const char *name)
{
    return strncmp(name, "kivi", 4) == 0 || strncmp(name, "gear", 4) == 0;
}

START_TEST(bytes_on_the_gpu_equal_the_closed_form_for_every_model_and_length)
{
    struct sim_status st = {0};
    char **names = mdl_arch_names(".", &st);
    ck_assert_msg(names != NULL, "%s", st.message);
    for (size_t m = 0; names[m]; m++) {
        struct mdl_arch a = arch(names[m]);
        for (size_t i = 0; i < N_KEPT; i++) {
            if (two_page_types(kept[i])) continue;
            struct mdl_kv_use u = USE(kept[i], &a, );
            for (uint32_t L = 1; L <= MOST_TOKENS; L += m == 0 ? 1 : 97)
                assert_near(gpu(&u, L), closed_form(kept[i], &a, L));
        }
    }
    mdl_arch_names_free(names);
}
END_TEST

/* A cache that is filled token by token as KIVI's and GEAR's code does it: keys in bursts, values one by one. */
struct cache {
    uint32_t waiting_keys, waiting_values;
    double packed_keys, packed_values;
};

static void put(struct cache *c, uint32_t residual)
{
    if (++c->waiting_keys >= residual) {
        c->packed_keys += c->waiting_keys;
        c->waiting_keys = 0;
    }
    if (++c->waiting_values > residual) {
        c->packed_values += 1;
        c->waiting_values--;
    }
}

/* What a head's quantised token takes, in one of K and V. */
static double packed_head(const struct mdl_kv_use *u)
{
    double d = u->head_dim, bytes = d * u->value[MDL_KV_BITS] / 8 + d / u->value[MDL_KV_GROUP] * (2 + 2);
    if (isnan(u->value[MDL_KV_RANK_FRAC])) return bytes;
    double rank = ceil(u->value[MDL_KV_RANK_FRAC] * d), chunk = u->value[MDL_KV_RESIDUAL];
    if (chunk == 0) chunk = u->value[MDL_KV_PAGE];
    double factors = (chunk + d) * rank * 2 / chunk;
    return bytes + factors + u->value[MDL_KV_OUTLIER] * d * (2 + 4);
}

static double cache_bytes(const struct cache *c, const struct mdl_kv_use *u)
{
    double heads = (double)u->n_layers * u->kv_heads;
    return heads * (packed_head(u) * (c->packed_keys + c->packed_values) +
                    2.0 * u->head_dim * ((double)c->waiting_keys + c->waiting_values));
}

static void assert_filled_token_by_token(const struct mdl_kv_use *u)
{
    struct cache c = {0};
    for (uint32_t L = 1; L <= MOST_TOKENS; L++) {
        put(&c, (uint32_t)u->value[MDL_KV_RESIDUAL]);
        assert_near(gpu(u, L), cache_bytes(&c, u));
    }
}

START_TEST(two_page_types_hold_what_a_cache_filled_token_by_token_holds)
{
    static const char *const models[] = {"llama-2-7b", "llama-3.1-8b", "phi-3-mini", "gemma-2b"};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct mdl_arch a = arch(models[m]);
        for (size_t i = 0; i < N_KEPT; i++) {
            if (!two_page_types(kept[i])) continue;
            struct mdl_kv_use u = USE(kept[i], &a, ), none = USE(kept[i], &a, {MDL_KV_RESIDUAL, 0}, ),
                              wide = USE(kept[i], &a, {MDL_KV_GROUP, a.head_dim}, {MDL_KV_PAGE, a.head_dim},
                                         {MDL_KV_RESIDUAL, 2.0 * a.head_dim}, {MDL_KV_BITS, 8}, );
            assert_filled_token_by_token(&u);
            assert_filled_token_by_token(&none);
            assert_filled_token_by_token(&wide);
        }
    }
}
END_TEST

START_TEST(shares_of_full_are_the_published_ones)
{
    static const struct {
        const char *name;
        double share;
    } published[] = {
        {"fp8", 0.5}, {"int8", 0.515625}, {"int4", 0.265625}, {"kivi4", 0.3125}, {"kivi2", 0.1875}};
    struct mdl_arch a = arch("llama-2-7b");
    ck_assert_double_eq(kvtok(&a), 512 * 1024);
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        struct mdl_kv_use u = USE(published[i].name, &a, );
        double per_token = (gpu(&u, 38400) - gpu(&u, 19200)) / 19200;
        ck_assert_double_eq(per_token / kvtok(&a), published[i].share);
    }
    struct mdl_kv_use u = USE("kivi4", &a, ); /* 1000 = 7 x 128 + 104: 104 keys and 128 values wait */
    ck_assert_double_eq(gpu(&u, 1000), 32 * 32 * 128 * (0.625 * (896 + 872) + 2 * (104 + 128)));
}
END_TEST

/* ---- pages ---- */

/* Of all parts, what the pages of a sequence may be begun and not full. */
static double page_slack(const struct mdl_kv_memory *m)
{
    double bytes = 0;
    for (uint32_t i = 0; i < m->n_parts; i++) bytes += m->part[i].page_bytes;
    return bytes;
}

START_TEST(pages_are_never_less_than_the_bytes_in_them_and_at_most_one_of_each_kind_is_not_full)
{
    static const char *const models[] = {"llama-3.1-8b", "qwen2.5-7b", "smollm2-135m"};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct mdl_arch a = arch(models[m]);
        for (size_t i = 0; i < N_KEPT; i++) {
            struct mdl_kv_use u = USE(kept[i], &a, );
            struct mdl_kv_memory mem = memory(&u);
            double keys_window = two_page_types(kept[i]) ? kvtok(&a) / 2 * u.value[MDL_KV_RESIDUAL] : 0;
            for (uint32_t L = 1; L <= MOST_TOKENS; L += 1 + L / 400) {
                double bytes = paged(&mem, SIM_KV_GPU, decoding(L)), exact = gpu(&u, L);
                ck_assert_double_ge(bytes, exact * (1 - 1e-12));
                ck_assert_double_lt(bytes, exact + page_slack(&mem) + keys_window);
                ck_assert_double_ge(paged(&mem, SIM_KV_HOST, decoding(L)), host(&u, L) * (1 - 1e-12));
            }
        }
    }
}
END_TEST

START_TEST(pages_equal_the_bytes_where_lengths_are_whole_pages)
{
    struct mdl_arch a = arch("llama-3.1-8b");
    for (size_t i = 0; i < N_KEPT; i++) {
        struct mdl_kv_use u = USE(kept[i], &a, );
        struct mdl_kv_memory mem = memory(&u);
        /* right after a flush no key waits, but the pages in which they did stay with the sequence */
        double keys_window = two_page_types(kept[i]) ? kvtok(&a) / 2 * 128 : 0;
        for (uint32_t L = 128; L <= MOST_TOKENS; L += 128) {
            assert_near(paged(&mem, SIM_KV_GPU, decoding(L)), gpu(&u, L) + keys_window);
            if (L % 256 == 0) assert_near(paged(&mem, SIM_KV_HOST, decoding(L)), host(&u, L));
            assert_near(paged(&mem, SIM_KV_GPU, filling(L)),
                        u.strategy->gpu_bytes(&u, filling(L)) + keys_window);
        }
    }
    struct mdl_kv_use none = USE("kivi4", &a, {MDL_KV_RESIDUAL, 0}, );
    struct mdl_kv_memory mem = memory(&none);
    for (uint32_t L = 64; L <= MOST_TOKENS; L += 64)
        assert_near(paged(&mem, SIM_KV_GPU, decoding(L)), gpu(&none, L));
}
END_TEST

START_TEST(quantised_keys_come_in_flushes_and_values_and_the_window_page_by_page)
{
    struct mdl_arch a = arch("mistral-7b-v0.1");
    for (size_t i = 0; i < N_KEPT; i++) {
        if (!two_page_types(kept[i])) continue;
        struct mdl_kv_use u = USE(kept[i], &a, );
        struct mdl_kv_memory mem = memory(&u);
        double side = (double)a.n_layers * a.n_kv_heads * packed_head(&u);
        for (uint32_t L = 1; L <= MOST_TOKENS; L += 1 + L / 2000) {
            double keys = L / 128 * 128, values = ceil(fmax(0, L - 128.0) / 64) * 64;
            double window = ceil(fmin(L, 128) / 64) * 64;
            assert_near(paged(&mem, SIM_KV_GPU, decoding(L)), side * (keys + values) + kvtok(&a) * window);
        }
    }
}
END_TEST

START_TEST(page_sizes_are_the_rank_s_share_of_layers_and_heads)
{
    struct mdl_arch a = arch("llama-3.1-70b");
    double given[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    static const struct {
        uint32_t tp, layers;
        double heads;
    } ranks[] = {{1, 80, 8}, {2, 40, 4}, {8, 80, 1}, {16, 20, 1}};
    for (size_t r = 0; r < 4; r++) {
        struct sim_status st = {0};
        struct mdl_kv_use u;
        ck_assert(mdl_kv_use_init(&u, strategy("full"), given, &a, ranks[r].tp, ranks[r].layers, BLOCK, &st));
        ck_assert_double_eq(mdl_kv_token_bytes(&u), ranks[r].layers * ranks[r].heads * 2 * 128 * 2);
        ck_assert_uint_eq(u.q_heads, 64 / ranks[r].tp);
        ck_assert_double_eq(memory(&u).part[0].page_bytes, BLOCK * mdl_kv_token_bytes(&u));
    }
}
END_TEST

START_TEST(until_the_prompt_is_complete_nothing_has_left_the_gpu)
{
    struct mdl_arch a = arch("llama-3.1-8b");
    struct mdl_kv_use offload = USE("offload", &a, ),
                      none = USE("tiered", &a, {MDL_KV_COLD_ON_HOST, 1}, {MDL_KV_COLD_BITS, 16}, ),
                      cold = USE("tiered", &a, {MDL_KV_COLD_ON_HOST, 1}, ), gpu_only = USE("tiered", &a, );
    struct mdl_kv_memory mem = memory(&cold);
    for (uint32_t L = 32; L <= MOST_TOKENS; L += 32) {
        assert_near(offload.strategy->gpu_bytes(&offload, filling(L)), kvtok(&a) * L);
        assert_near(none.strategy->gpu_bytes(&none, filling(L)), kvtok(&a) * L);
        assert_near(cold.strategy->gpu_bytes(&cold, filling(L)), gpu(&gpu_only, L));
        assert_near(paged(&mem, SIM_KV_GPU, filling(L)), gpu(&gpu_only, L));
        assert_near(paged(&mem, SIM_KV_GPU, decoding(L)), gpu(&cold, L));
    }
}
END_TEST

/* ---- more of something is more ---- */

START_TEST(bytes_grow_with_bits_rank_outliers_and_length)
{
    struct mdl_arch a = arch("llama-3.1-8b");
    static const struct {
        const char *name;
        enum mdl_kv_key key;
        double low, high;
    } pairs[] = {
        {"kivi4", MDL_KV_BITS, 2, 4},        {"kivi4", MDL_KV_BITS, 4, 8},
        {"gear4", MDL_KV_BITS, 2, 4},        {"gear2", MDL_KV_RANK_FRAC, 0.02, 0.05},
        {"gear4", MDL_KV_OUTLIER, 0, 0.02},  {"gear4", MDL_KV_RANK_FRAC, 0, 0.02},
        {"kivi2", MDL_KV_RESIDUAL, 64, 128}, {"tiered", MDL_KV_COLD_BITS, 2, 4},
        {"tiered", MDL_KV_COLD_BITS, 8, 16}, {"tiered", MDL_KV_HOT_FRAC, 0.1, 0.2},
        {"tiered", MDL_KV_RECENT, 256, 512}, {"lowrank", MDL_KV_RANK_FRAC, 0.25, 0.5},
        {"offload", MDL_KV_BY_LAYER, 0, 1},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct mdl_kv_use less = USE(pairs[i].name, &a, {pairs[i].key, pairs[i].low}, ),
                          more = USE(pairs[i].name, &a, {pairs[i].key, pairs[i].high}, );
        for (uint32_t L = 1024; L < MOST_TOKENS; L += 1111) {
            ck_assert_double_lt(gpu(&less, L), gpu(&more, L));
            ck_assert_double_le(gpu(&more, L), gpu(&more, L + 128));
        }
    }
}
END_TEST

START_TEST(limits_meet_full)
{
    struct mdl_arch a = arch("qwen2.5-7b");
    struct mdl_kv_use full = USE("full", &a, ), hot = USE("tiered", &a, {MDL_KV_HOT_FRAC, 1}, ),
                      plain = USE("tiered", &a, {MDL_KV_COLD_BITS, 16}, ),
                      recent = USE("tiered", &a, {MDL_KV_RECENT, 65536}, {MDL_KV_COLD_ON_HOST, 1}, ),
                      kivi = USE("kivi4", &a, ),
                      gear = USE("gear4", &a, {MDL_KV_RANK_FRAC, 0}, {MDL_KV_OUTLIER, 0}, );
    for (uint32_t L = 1; L < MOST_TOKENS; L += 77) {
        assert_near(gpu(&hot, L), gpu(&full, L));
        assert_near(gpu(&plain, L), gpu(&full, L));
        assert_near(gpu(&recent, L), gpu(&full, L));
        ck_assert_double_eq(host(&recent, L), 0);
        ck_assert_double_eq(gpu(&gear, L), gpu(&kivi, L));
    }
    ck_assert_str_eq(decode(&hot).kernel, "bf16");
    ck_assert_str_eq(decode(&plain).kernel, "bf16");
    /* and take full's time, at any kernel_efficiency, which is of quantised bytes */
    ck_assert_double_eq(decode(&plain).bytes_frac, plain.value[MDL_KV_KERNEL_EFFICIENCY]);
    ck_assert_double_eq(memory(&plain).dense_frac, 1);
    ck_assert_double_eq(memory(&hot).dense_frac, 1);
    struct mdl_kv_use wide = USE("kivi4", &a, {MDL_KV_RESIDUAL, 65536}, );
    ck_assert_double_ge(decode(&wide).plain_tokens, MOST_TOKENS);
    ck_assert_double_le(decode(&wide).seq.bytes, prefill(&kivi).token.bytes);
    ck_assert_double_eq(decode(&hot).select_seq.bytes, 0);
    ck_assert_uint_eq(memory(&recent).select_after, 65536);
}
END_TEST

/* ---- what a step reads and moves ---- */

START_TEST(a_step_reads_every_byte_on_the_gpu_once)
{
    struct mdl_arch a = arch("llama-3.1-8b");
    static const char *const flat[] = {"full", "swap", "fp8", "int8", "int4"};
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
        struct mdl_kv_use u = USE(flat[i], &a, );
        assert_near(decode(&u).bytes_frac * kvtok(&a) * 5000, gpu(&u, 5000));
        ck_assert_double_eq(decode(&u).seq.bytes + decode(&u).all_token.bytes, 0);
    }
    struct mdl_kv_use fused = USE("lowrank", &a, {MDL_KV_FUSED, 1}, );
    struct mdl_kv_decode d = decode(&fused); /* the directions twice: a new token is projected */
    assert_near(d.bytes_frac * kvtok(&a) * 5000 + d.seq.bytes / 2, gpu(&fused, 5000));
    struct mdl_kv_use tiered = USE("tiered", &a, {MDL_KV_KERNEL_EFFICIENCY, 1}, );
    struct mdl_kv_memory mem = memory(&tiered);
    for (uint32_t L = 1; L < MOST_TOKENS; L += 97) {
        double tokens = (1 - mem.dense_frac) * fmin(L, mem.read_cap) + mem.dense_frac * L;
        assert_near(tokens * kvtok(&a), gpu(&tiered, L));
    }
}
END_TEST

/* Older tokens of tiered in time: hot ones as full's, cold ones by bytes over efficiency. */
START_TEST(tiered_takes_longer_with_bits_and_never_longer_than_full)
{
    static const double bits[] = {2, 4, 8, 16}, efficiencies[] = {0.3, 0.5, 0.72, 1};
    struct mdl_arch a = arch("llama-3.1-8b");
    for (int e = 0; e < 4; e++) {
        double before = 0, by_default = 0;
        for (int b = 0; b < 4; b++) {
            struct mdl_kv_use u =
                USE("tiered", &a, {MDL_KV_COLD_BITS, bits[b]}, {MDL_KV_KERNEL_EFFICIENCY, efficiencies[e]}, );
            struct mdl_kv_use own = USE("tiered", &a, {MDL_KV_COLD_BITS, bits[b]}, );
            ck_assert_double_gt(memory(&own).dense_frac, by_default);
            by_default = memory(&own).dense_frac;
            double frac = memory(&u).dense_frac, share = bits[b] == 16 ? 1 : bits[b] / 16 + 4.0 / 256;
            ck_assert_double_ge(frac, before);
            if (bits[b] < 8) assert_near(frac, fmin(1, 0.1 + 0.9 * share / efficiencies[e]));
            ck_assert_double_le(frac, 1);
            ck_assert_double_eq(decode(&u).bytes_frac, efficiencies[e]); /* cancels there */
            before = frac;
        }
        ck_assert_double_eq(before, 1);
    }
}
END_TEST

START_TEST(over_a_flush_a_step_reads_the_mean_of_what_two_page_types_hold)
{
    struct mdl_arch a = arch("llama-2-7b");
    for (size_t i = 0; i < N_KEPT; i++) {
        if (!two_page_types(kept[i])) continue;
        struct mdl_kv_use u = USE(kept[i], &a, );
        struct mdl_kv_decode d = decode(&u);
        double held = 0, length = 0, packing = prefill(&u).token.bytes;
        for (uint32_t L = 1280; L < 1280 + 128; L++) held += gpu(&u, L) / 128, length += L / 128.0;
        double tokens = d.plain_tokens + d.bytes_frac * (length - d.plain_tokens);
        assert_near(tokens * kvtok(&a) + d.all_token.bytes * length + d.seq.bytes - packing, held);
    }
}
END_TEST

START_TEST(what_lies_on_the_host_comes_up_once_a_step_and_went_down_once)
{
    struct mdl_arch a = arch("llama-3.1-8b");
    struct mdl_kv_use uses[] = {
        USE("swap", &a, ), USE("offload", &a, ), USE("offload", &a, {MDL_KV_BY_LAYER, 0}, ),
        USE("tiered", &a, {MDL_KV_COLD_ON_HOST, 1}, ),
        USE("tiered", &a, {MDL_KV_COLD_ON_HOST, 1}, {MDL_KV_COLD_BITS, 16}, {MDL_KV_RECENT, 0}, )};
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        const struct mdl_kv_use *u = &uses[i];
        struct mdl_kv_decode d = decode(u);
        struct mdl_kv_memory mem = memory(u);
        ck_assert_uint_eq(d.recall_layers, a.n_layers);
        ck_assert_double_eq(d.pages, d.up_copies);
        for (uint32_t L = mem.select_after + 1; L < MOST_TOKENS; L += 501) {
            double copies = d.up_copies + d.up_copies_token * L;
            ck_assert_double_ge(copies, 0);
            ck_assert_double_le(fabs(copies * d.up_fragment_bytes - host(u, L)), 1e-9 * host(u, L));
        }
        double growth = host(u, 20001) - host(u, 20000);
        ck_assert_double_le(fabs(d.down_copies * d.down_fragment_bytes - growth), 1e-6 * growth);
        assert_near(prefill(u).down_bytes, d.down_copies * d.down_fragment_bytes);
        ck_assert_double_eq(prefill(u).down_fragment_bytes, d.up_fragment_bytes);
        ck_assert_double_ge(d.up_fragment_bytes, d.down_fragment_bytes);
    }
    ck_assert_int_eq(decode(&uses[0]).when, SIM_RECALL_AT_LAYER);
    ck_assert_int_eq(decode(&uses[1]).when, SIM_RECALL_LAYER_AHEAD);
    ck_assert_int_eq(decode(&uses[2]).when, SIM_RECALL_AT_LAYER);
    ck_assert_double_eq(decode(&uses[0]).up_fragment_bytes,
                        16 * 128 * 1024); /* 2 MiB: a block of all layers */
    ck_assert_double_eq(decode(&uses[1]).up_fragment_bytes, 256 * 128 * 1024 / 32); /* 1 MiB: of one */
    ck_assert_double_eq(decode(&uses[3]).up_fragment_bytes, 256 * 2 * 8 * (64 + 4.0));
}
END_TEST

/* A copy costs some 2 us, in which the link moves 50 to 100 KiB: what a rank fetches whole comes in larger pieces. */
START_TEST(tensor_parallel_does_not_cut_what_is_fetched_whole_into_small_copies)
{
    struct mdl_arch a = arch("llama-3.1-8b");
    double given[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    for (uint32_t tp = 1; tp <= 4; tp *= 2) {
        struct sim_status st = {0};
        struct mdl_kv_use u;
        ck_assert(mdl_kv_use_init(&u, strategy("offload"), given, &a, tp, a.n_layers, BLOCK, &st));
        ck_assert_double_ge(decode(&u).up_fragment_bytes, 256 * 1024);
        given[MDL_KV_COLD_ON_HOST] = 1;
        ck_assert(mdl_kv_use_init(&u, strategy("tiered"), given, &a, tp, a.n_layers, BLOCK, &st));
        ck_assert_double_ge(decode(&u).up_fragment_bytes, 64 * 1024);
        given[MDL_KV_COLD_ON_HOST] = NAN;
    }
}
END_TEST

START_TEST(strategies_without_a_host_recall_nothing)
{
    struct mdl_arch a = arch("llama-3.1-8b");
    for (size_t i = 0; i < N_KEPT; i++) {
        struct mdl_kv_use u = USE(kept[i], &a, );
        if (host(&u, 9999) > 0) continue;
        struct mdl_kv_decode d = decode(&u);
        ck_assert_int_eq(d.when, SIM_RECALL_NONE);
        ck_assert_double_eq(d.up_copies + d.up_copies_token + d.down_copies + prefill(&u).down_bytes, 0);
        bool cools = strcmp(kept[i], "tiered") == 0; /* as tokens leave the recent ones */
        ck_assert_uint_eq(memory(&u).select_after, cools ? 512 : SIM_KV_ALL);
        if (cools) ck_assert_double_eq(d.seq.bytes + d.seq.launches, 0);
    }
}
END_TEST

/* ---- extra work ---- */

START_TEST(gear_s_flops_are_those_of_its_power_iteration_over_a_chunk)
{
    struct mdl_arch a = arch("llama-2-7b");
    struct mdl_kv_use u = USE("gear4", &a, {MDL_KV_RANK_FRAC, 4.0 / 128}, ), kivi = USE("kivi4", &a, );
    double rows = 128, d = 128, rank = 4, product = 2 * rows * d * rank;
    double chunk = 32 * 2 * 32 * (3 * 2 * product + 2 * (rows + d) * rank * rank);
    assert_near(prefill(&u).token.flops * rows, chunk);
    assert_near(decode(&u).seq.flops * rows, chunk);
    ck_assert_double_eq(prefill(&kivi).token.flops, 0);
    ck_assert_double_gt(prefill(&u).token.bytes, prefill(&kivi).token.bytes);
    ck_assert_double_gt(prefill(&u).token.launches, prefill(&kivi).token.launches);
}
END_TEST

START_TEST(the_released_unfused_code_reads_more_and_launches_more)
{
    struct mdl_arch a = arch("llama-3.1-8b");
    static const char *const names[] = {"kivi4", "kivi2", "gear4", "gear2", "lowrank"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct mdl_kv_use fused = USE(names[i], &a, {MDL_KV_FUSED, 1}, ),
                          apart = USE(names[i], &a, {MDL_KV_FUSED, 0}, );
        ck_assert_double_lt(decode(&fused).all_token.bytes, decode(&apart).all_token.bytes);
        ck_assert_double_lt(decode(&fused).seq.launches, decode(&apart).seq.launches);
        ck_assert_double_le(gpu(&fused, 9000), gpu(&apart, 9000));
    }
}
END_TEST

START_TEST(low_rank_decomposes_prompts_and_rebuilds_every_token)
{
    struct mdl_arch a = arch("llama-3.1-8b"); /* D = 1024, r = 512, 32 layers */
    struct mdl_kv_use u = USE("lowrank", &a, );
    struct mdl_kv_decode d = decode(&u);
    struct mdl_kv_prefill p = prefill(&u);
    ck_assert_double_eq(d.all_token.flops, 32.0 * 2 * 2 * 512 * 1024);
    ck_assert_double_eq(p.end_token.flops, 5 * d.all_token.flops);
    ck_assert_double_eq(p.end.flops, 32.0 * 2 * 2 * 2 * 1024 * 512 * 512);
    /* rank 160 of 1024, as ShadowKV: 160 x 2 x (L + D) bytes a layer for keys, and as much for values */
    struct mdl_kv_use shadow = USE("lowrank", &a, {MDL_KV_RANK_FRAC, 160.0 / 1024}, {MDL_KV_FUSED, 1}, );
    ck_assert_double_eq(gpu(&shadow, 7000), 32 * 2 * 160 * 2 * (7000.0 + 1024));
    /* while the prompt is not done all of it is there in bf16, too */
    assert_near(u.strategy->gpu_bytes(&u, filling(3000)) - gpu(&u, 3000), kvtok(&a) * 3000);
}
END_TEST

/* ---- parameters ---- */

START_TEST(keys_are_the_names_that_scenarios_use)
{
    ck_assert_str_eq(mdl_kv_key_info(MDL_KV_BUDGET)->name, "budget");
    ck_assert_str_eq(mdl_kv_key_info(MDL_KV_TAU)->name, "correction_tau");
    ck_assert_int_eq(mdl_kv_key_info(MDL_KV_LAYOUT)->type, MDL_KV_CHOICE);
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        ck_assert_double_le(mdl_kv_key_info(i)->least, mdl_kv_key_info(i)->most);
        for (int k = 0; k < i; k++) ck_assert_str_ne(mdl_kv_key_info(i)->name, mdl_kv_key_info(k)->name);
    }
}
END_TEST

START_TEST(an_unknown_strategy_is_answered_with_the_nearest)
{
    struct sim_status st = {0};
    ck_assert_ptr_null(mdl_strategy_find("kivi", &st));
    ck_assert_ptr_nonnull(strstr(st.message, "unknown strategy `kivi`"));
    ck_assert_ptr_nonnull(strstr(st.message, "did you mean `kivi"));
}
END_TEST

START_TEST(a_bad_parameter_gets_one_line_that_names_its_key)
{
    static const struct {
        const char *name;
        struct set set;
        const char *line;
    } bad[] = {
        {"kivi4",
         {MDL_KV_TAU, 0.8},
         "kv.correction_tau: strategy kivi4 has no such parameter; it takes bits, group"},
        {"full", {MDL_KV_BUDGET, 64}, "kv.budget: strategy full has no such parameter; it takes graph"},
        {"kivi4", {MDL_KV_BITS, 3}, "kv.bits: 3 is no width that is packed; choose 2, 4 or 8"},
        {"kivi4", {MDL_KV_BITS, 16}, "kv.bits: 16 is outside 2 to 8 bits"},
        {"kivi2",
         {MDL_KV_GROUP, 48},
         "kv.group: 48 does not divide the model's head_dim of 128; choose a divisor"},
        {"gear2", {MDL_KV_GROUP, 128}, "kv.page: 64 is no multiple of kv.group 128"},
        {"kivi4", {MDL_KV_PAGE, 48}, "kv.page: 48 is no multiple of kv.group 32"},
        {"gear4", {MDL_KV_RESIDUAL, 100}, "kv.residual: 100 is no multiple of kv.page 64; choose 64 or 128"},
        {"gear4", {MDL_KV_OUTLIER, 0.6}, "kv.outlier_frac: 0.6 is outside 0 to 0.5 share"},
        {"tiered",
         {MDL_KV_RECENT, 500},
         "kv.recent: 500 is no multiple of kv.page 32, and pages cool as a whole; choose 480 or 512"},
        {"tiered", {MDL_KV_COLD_BITS, 5}, "kv.cold_bits: 5 is no width that is packed"},
        {"tiered", {MDL_KV_RECENT, 32.5}, "kv.recent: 32.5 is no whole number of tokens"},
        {"tiered", {MDL_KV_HOT_FRAC, -0.1}, "kv.hot_frac: -0.1 is outside 0 to 1"},
        {"offload", {MDL_KV_BY_LAYER, 0.5}, "kv.layer_ahead: 0.5 is no whole number"},
        {"offload", {MDL_KV_GRAPH, 3}, "kv.graph: choice 3 is none of no|piecewise|yes"},
        {"lowrank", {MDL_KV_RANK_FRAC, 0}, "kv.rank_frac: 0 leaves no rank of 1024; choose more than 0"},
        {"lowrank", {MDL_KV_RANK_FRAC, INFINITY}, "kv.rank_frac: inf is outside 0 to 1"},
    };
    struct mdl_arch a = arch("llama-3.1-8b");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sim_status st = {0};
        struct mdl_kv_use u = {.n_layers = 77};
        const struct set sets[] = {bad[i].set, {MDL_N_KV_KEY, 0}};
        ck_assert_msg(!try_use(&u, bad[i].name, &a, sets, &st), "%s", bad[i].line);
        ck_assert_msg(strncmp(st.message, bad[i].line, strlen(bad[i].line)) == 0, "%s", st.message);
        ck_assert_ptr_null(strchr(st.message, '\n'));
        ck_assert_uint_eq(u.n_layers, 77);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("strategies that keep every token");
    TCase *bytes = tcase_create("bytes"), *steps = tcase_create("steps"), *keys = tcase_create("parameters");
    tcase_set_timeout(bytes, 120);
    tcase_add_test(bytes, bytes_on_the_gpu_equal_the_closed_form_for_every_model_and_length);
    tcase_add_test(bytes, two_page_types_hold_what_a_cache_filled_token_by_token_holds);
    tcase_add_test(bytes, shares_of_full_are_the_published_ones);
    tcase_add_test(bytes,
                   pages_are_never_less_than_the_bytes_in_them_and_at_most_one_of_each_kind_is_not_full);
    tcase_add_test(bytes, pages_equal_the_bytes_where_lengths_are_whole_pages);
    tcase_add_test(bytes, quantised_keys_come_in_flushes_and_values_and_the_window_page_by_page);
    tcase_add_test(bytes, page_sizes_are_the_rank_s_share_of_layers_and_heads);
    tcase_add_test(bytes, until_the_prompt_is_complete_nothing_has_left_the_gpu);
    tcase_add_test(bytes, bytes_grow_with_bits_rank_outliers_and_length);
    tcase_add_test(bytes, limits_meet_full);
    tcase_add_test(steps, a_step_reads_every_byte_on_the_gpu_once);
    tcase_add_test(steps, tiered_takes_longer_with_bits_and_never_longer_than_full);
    tcase_add_test(steps, over_a_flush_a_step_reads_the_mean_of_what_two_page_types_hold);
    tcase_add_test(steps, what_lies_on_the_host_comes_up_once_a_step_and_went_down_once);
    tcase_add_test(steps, tensor_parallel_does_not_cut_what_is_fetched_whole_into_small_copies);
    tcase_add_test(steps, strategies_without_a_host_recall_nothing);
    tcase_add_test(steps, gear_s_flops_are_those_of_its_power_iteration_over_a_chunk);
    tcase_add_test(steps, the_released_unfused_code_reads_more_and_launches_more);
    tcase_add_test(steps, low_rank_decomposes_prompts_and_rebuilds_every_token);
    tcase_add_test(keys, keys_are_the_names_that_scenarios_use);
    tcase_add_test(keys, an_unknown_strategy_is_answered_with_the_nearest);
    tcase_add_test(keys, a_bad_parameter_gets_one_line_that_names_its_key);
    suite_add_tcase(s, bytes);
    suite_add_tcase(s, steps);
    suite_add_tcase(s, keys);
    return s;
}
