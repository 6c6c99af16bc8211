/* How a strategy keeps a sequence (sim/kv.h) against a walk that hands out token after token and counts pages one by
 * one: thousands of random rules, small numbers, so that starts, caps, budgets and page ends meet each other. */
#include "sim/kv.h"
#include "sim/random.h"
#include "tests/harness.h"

#include <stdio.h>

enum { N_SEEDS = 20, N_RULES = 150, LONGEST = 260 };

/* ck_assert for inner loops: Check's own reports every assertion that holds, too, by a system call. */
#define HOLDS(condition) ((condition) ? (void)0 : ck_abort_msg("%s", #condition))

struct dice {
    uint64_t seed, count;
};

static uint32_t roll(struct dice *d, uint32_t n)
{
    return (uint32_t)(sim_random_unit(d->seed, sim_stream("kv rules"), d->count++) * n);
}

static struct sim_kv_term any_term(struct dice *d)
{
    static const uint32_t pages[] = {1, 2, 3, 4, 6, 8, 12, 16};
    struct sim_kv_term t = {.place = (enum sim_kv_place)roll(d, SIM_KV_N_PLACE),
                            .start = roll(d, 2) ? roll(d, 60) : 0,
                            .cap = SIM_KV_ALL,
                            .page_tokens = pages[roll(d, 8)],
                            .units = roll(d, 5),
                            .whole = roll(d, 2),
                            .kept = roll(d, 2),
                            .fill = roll(d, 4) == 0};
    if (roll(d, 2)) t.cap = t.page_tokens * (1 + roll(d, 8));
    return t;
}

static struct sim_kv_rule any_rule(struct dice *d)
{
    struct sim_kv_rule k = {.n_terms = 1 + roll(d, SIM_KV_TERMS), .period = 48 * (1 + roll(d, 2))};
    for (uint32_t i = 0; i < k.n_terms; i++) k.term[i] = any_term(d);
    k.budget = roll(d, 3) ? roll(d, 90) : SIM_KV_ALL;
    k.evicts_in_decode = roll(d, 2);
    k.read_cap = roll(d, 2) ? 1 + roll(d, 90) : SIM_KV_ALL;
    k.select_after = roll(d, 2) ? roll(d, 90) : SIM_KV_ALL;
    return k;
}

/* What the slow walk finds for one rule and one length of the fill. */
struct walk {
    const struct sim_kv_rule *rule;
    uint32_t filled;
    uint64_t pages[SIM_KV_TERMS][LONGEST + 1]; /* of a term that counts so many tokens */
    uint32_t kept[LONGEST + 1];                /* by length */
};

static void count_pages(const struct sim_kv_term *t, uint64_t *pages)
{
    uint32_t taken = 0;
    pages[0] = 0;
    for (uint32_t token = 0; token < LONGEST; token++) {
        bool counts = token >= t->start && taken < t->cap;
        bool page = counts && (t->whole ? (taken + 1) % t->page_tokens == 0 : taken % t->page_tokens == 0);
        taken += counts;
        pages[token + 1] = pages[token] + page;
    }
}

static void walk_through(struct walk *w, const struct sim_kv_rule *k, uint32_t filled)
{
    w->rule = k;
    w->filled = filled;
    for (uint32_t i = 0; i < k->n_terms; i++) count_pages(&k->term[i], w->pages[i]);
    uint32_t kept = 0;
    for (uint32_t length = 0; length <= LONGEST; length++) {
        kept += length > 0;
        bool evicts = length == filled || (length > filled && k->evicts_in_decode);
        if (evicts && kept > k->budget) kept = k->budget;
        w->kept[length] = kept;
    }
}

static uint64_t term_units(const struct walk *w, uint32_t i, uint32_t length, bool filling)
{
    const struct sim_kv_term *t = &w->rule->term[i];
    if (filling) return w->pages[i][length] * t->units;
    return t->fill ? 0 : w->pages[i][t->kept ? w->kept[length] : length] * t->units;
}

static uint64_t units(const struct walk *w, int place, uint32_t length, bool filling)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->rule->n_terms; i++)
        if ((int)w->rule->term[i].place == place) sum += term_units(w, i, length, filling);
    return sum;
}

static struct sim_kv_length length_of(const struct walk *w, uint32_t tokens)
{
    return (struct sim_kv_length){tokens, w->filled};
}

/* Calls for many rules, each with short and long fills. */
static void for_rules(uint64_t seed, void (*holds)(const struct walk *w))
{
    struct dice d = {seed, 0};
    static struct walk w;
    for (int i = 0; i < N_RULES; i++) {
        struct sim_kv_rule k = any_rule(&d);
        walk_through(&w, &k, roll(&d, i % 2 ? 10 : LONGEST / 2));
        holds(&w);
    }
}

static void units_are_counted(const struct walk *w)
{
    for (uint32_t n = 0; n <= LONGEST; n++) {
        bool filling = n < w->filled;
        uint32_t kept = w->kept[n], cap = w->rule->read_cap;
        HOLDS(sim_kv_kept(w->rule, length_of(w, n)) == kept);
        HOLDS(sim_kv_read(w->rule, length_of(w, n)) == (kept < cap ? kept : cap));
        for (int p = 0; p < SIM_KV_N_PLACE; p++)
            HOLDS(sim_kv_units(w->rule, (enum sim_kv_place)p, length_of(w, n)) == units(w, p, n, filling));
    }
}

START_TEST(units_and_kept_tokens_are_those_of_a_token_by_token_walk)
{
    for_rules((uint64_t)_i, units_are_counted);
}
END_TEST

static void need_is_enough(const struct walk *w)
{
    for (uint32_t n = 0; n <= LONGEST; n++) {
        for (int p = 0; p < SIM_KV_N_PLACE; p++) {
            uint64_t before = units(w, p, n, true), after = units(w, p, n, false), most = before;
            if (n > w->filled || (n == w->filled && after > before)) most = after;
            HOLDS(sim_kv_need(w->rule, (enum sim_kv_place)p, length_of(w, n)) == most);
            HOLDS(n != w->filled || after <= before);
        }
    }
}

START_TEST(what_a_sequence_needs_where_its_fill_ends_is_the_larger_of_before_and_after)
{
    for_rules((uint64_t)_i, need_is_enough);
}
END_TEST

static bool any_grew(const struct walk *w, uint32_t from, uint32_t to, bool filling)
{
    for (int p = 0; p < SIM_KV_N_PLACE; p++)
        if (units(w, p, to, filling) > units(w, p, from, filling)) return true;
    return false;
}

static void covered_is_the_last(const struct walk *w)
{
    for (uint32_t n = 0; n < LONGEST; n++) {
        bool filling = n < w->filled;
        uint32_t end = filling ? w->filled - 1 : LONGEST, last = n;
        while (last < end && !any_grew(w, n, last + 1, filling)) last++;
        uint32_t found = sim_kv_covered(w->rule, length_of(w, n));
        HOLDS(last < LONGEST ? found == last : found >= LONGEST);
    }
}

START_TEST(covered_is_the_last_length_before_any_pool_needs_more)
{
    for_rules((uint64_t)_i, covered_is_the_last);
}
END_TEST

static void terms_grow_in_time(const struct walk *w)
{
    for (uint32_t i = 0; i < w->rule->n_terms; i++) {
        if (!w->rule->term[i].units) continue;
        for (uint32_t n = 0; n < LONGEST; n++) {
            bool filling = n < w->filled;
            uint32_t next = n + 1;
            while (next <= LONGEST && term_units(w, i, next, filling) == term_units(w, i, next - 1, filling))
                next++;
            uint32_t found = sim_kv_grows_in(w->rule, &w->rule->term[i], length_of(w, n));
            HOLDS(next <= LONGEST ? found == next - n : found > LONGEST - n);
        }
    }
}

START_TEST(a_term_takes_its_next_page_when_the_walk_says)
{
    for_rules((uint64_t)_i, terms_grow_in_time);
}
END_TEST

/* Between a length and the next change, growth repeats with the period and reading stays as it is. */
static void patterns_last(const struct walk *w)
{
    const struct sim_kv_rule *k = w->rule;
    for (uint32_t n = w->filled; n < LONGEST; n++) {
        uint32_t change = sim_kv_next_change(k, length_of(w, n)), end = change < LONGEST ? change : LONGEST;
        HOLDS(change > n);
        uint32_t pace = sim_kv_read(k, length_of(w, n + 1)) - sim_kv_read(k, length_of(w, n));
        HOLDS(pace <= 1);
        for (uint32_t m = n; m < end; m++) {
            HOLDS(sim_kv_read(k, length_of(w, m + 1)) - sim_kv_read(k, length_of(w, m)) == pace);
            HOLDS((m > k->select_after) == (n > k->select_after));
            for (int p = 0; p < SIM_KV_N_PLACE && m >= n + k->period; p++) {
                uint64_t grown = units(w, p, m + 1, false) - units(w, p, m, false), then = m - k->period;
                HOLDS(grown == units(w, p, (uint32_t)then + 1, false) - units(w, p, (uint32_t)then, false));
            }
        }
    }
}

START_TEST(until_the_next_change_growth_repeats_and_reading_keeps_its_pace)
{
    for_rules((uint64_t)_i, patterns_last);
}
END_TEST

/* What fast-forward does: from one change to the next, pages come one every page_tokens after the first. */
static void growth_is_foretold(const struct walk *w)
{
    const struct sim_kv_rule *k = w->rule;
    uint32_t n_changes = 0;
    for (uint32_t n = w->filled, change; n < LONGEST; n = change, n_changes++) {
        uint64_t grown[SIM_KV_N_PLACE][LONGEST + 1] = {{0}};
        change = sim_kv_next_change(k, length_of(w, n));
        uint32_t end = change < LONGEST ? change : LONGEST;
        for (uint32_t i = 0; i < k->n_terms; i++) {
            const struct sim_kv_term *t = &k->term[i];
            uint64_t m = n + (uint64_t)sim_kv_grows_in(k, t, length_of(w, n));
            for (; m <= end; m += t->page_tokens) grown[t->place][m] += t->units;
        }
        for (uint32_t m = n + 1; m <= end; m++)
            for (int p = 0; p < SIM_KV_N_PLACE; p++)
                HOLDS(units(w, p, m, false) - units(w, p, m - 1, false) == grown[p][m]);
    }
    HOLDS(n_changes <= 2 * k->n_terms + 4); /* each start, end, cap and budget once */
}

START_TEST(pages_between_two_changes_are_known_at_the_first)
{
    for_rules((uint64_t)_i, growth_is_foretold);
}
END_TEST

/* A scheduler's part: hold what is needed before a step, ask again only beyond what is covered. */
START_TEST(a_sequence_in_chunks_holds_what_it_needs_when_it_asks_beyond_what_is_covered)
{
    struct dice d = {(uint64_t)_i, 1u << 20};
    static struct walk w;
    for (int i = 0; i < N_RULES; i++) {
        struct sim_kv_rule k = any_rule(&d);
        uint32_t filled = 1 + roll(&d, LONGEST / 2), computed = 0, covered = 0;
        uint64_t held[SIM_KV_N_PLACE] = {0};
        walk_through(&w, &k, filled);
        while (computed < LONGEST) {
            uint32_t n = computed < filled ? 1 + roll(&d, filled - computed) : 1;
            struct sim_kv_length after = {computed + n, filled};
            bool ask = computed + n > covered;
            for (int p = 0; p < SIM_KV_N_PLACE && ask; p++)
                held[p] = sim_kv_need(&k, (enum sim_kv_place)p, after);
            for (int p = 0; p < SIM_KV_N_PLACE; p++)
                HOLDS(held[p] >= units(&w, p, computed + n, computed + n <= filled));
            computed += n;
            for (int p = 0; p < SIM_KV_N_PLACE && computed == filled; p++)
                held[p] = sim_kv_units(&k, (enum sim_kv_place)p, after);
            if (ask || computed == filled) covered = sim_kv_covered(&k, after);
            for (int p = 0; p < SIM_KV_N_PLACE; p++)
                HOLDS(held[p] == units(&w, p, computed, computed < filled));
        }
    }
}
END_TEST

/* --- long sequences --- */

/* Everything moved up by so many tokens that no term counts: the same units, and the same lengths, moved too. */
static struct sim_kv_rule moved(struct sim_kv_rule k, uint32_t by)
{
    for (uint32_t i = 0; i < k.n_terms; i++) k.term[i].start += by;
    if (k.budget != SIM_KV_ALL) k.budget += by;
    if (k.read_cap != SIM_KV_ALL) k.read_cap += by;
    if (k.select_after != SIM_KV_ALL) k.select_after += by;
    return k;
}

static uint32_t plus(uint32_t length, uint32_t by)
{
    return length == SIM_KV_ALL ? length : length + by;
}

START_TEST(lengths_of_two_thousand_million_tokens_are_counted_as_short_ones)
{
    struct dice d = {(uint64_t)_i, 2u << 20};
    const uint32_t by = UINT32_C(3) << 30; /* a multiple of every period, and 2^32 is not far */
    for (int i = 0; i < 20 * N_RULES; i++) {
        struct sim_kv_rule k = any_rule(&d), far = moved(k, by);
        uint32_t filled = roll(&d, LONGEST), tokens = filled + roll(&d, LONGEST);
        struct sim_kv_length here = {tokens, filled}, there = {tokens + by, filled + by};
        for (int p = 0; p < SIM_KV_N_PLACE; p++) {
            enum sim_kv_place place = (enum sim_kv_place)p;
            HOLDS(sim_kv_units(&far, place, there) == sim_kv_units(&k, place, here));
            HOLDS(sim_kv_need(&far, place, there) == sim_kv_need(&k, place, here));
        }
        HOLDS(sim_kv_covered(&far, there) == plus(sim_kv_covered(&k, here), by));
        HOLDS(sim_kv_next_change(&far, there) == plus(sim_kv_next_change(&k, here), by));
        for (uint32_t t = 0; t < k.n_terms; t++)
            HOLDS(sim_kv_grows_in(&far, &far.term[t], there) == sim_kv_grows_in(&k, &k.term[t], here));
    }
}
END_TEST

START_TEST(nothing_wraps_at_the_longest_length_there_is)
{
    struct sim_kv_rule k = sim_kv_full(16);
    struct sim_kv_length end = {UINT32_MAX - 1, 1};
    k.term[0].units = UINT32_MAX;
    ck_assert_uint_eq(sim_kv_units(&k, SIM_KV_GPU, end), (UINT64_C(1) << 28) * UINT32_MAX);
    ck_assert_uint_eq(sim_kv_covered(&k, end), SIM_KV_ALL);
    ck_assert_uint_eq(sim_kv_grows_in(&k, &k.term[0], (struct sim_kv_length){0, 0}), 1);
    k.term[0].start = UINT32_MAX - 3;
    k.term[0].cap = 1u << 31;
    ck_assert_uint_eq(sim_kv_next_change(&k, (struct sim_kv_length){1, 1}), UINT32_MAX - 3);
    ck_assert_uint_eq(sim_kv_next_change(&k, (struct sim_kv_length){UINT32_MAX - 3, 1}), SIM_KV_ALL);
    ck_assert_uint_eq(sim_kv_grows_in(&k, &k.term[0], (struct sim_kv_length){1, 1}), UINT32_MAX - 3);
    k.term[0].start = UINT32_MAX;
    ck_assert_uint_eq(sim_kv_grows_in(&k, &k.term[0], (struct sim_kv_length){0, 0}), SIM_KV_ALL);
    k.term[0].start = 0;
    k.term[0].cap = SIM_KV_ALL;
    k.term[0].whole = true;
    ck_assert_uint_eq(sim_kv_grows_in(&k, &k.term[0], end), SIM_KV_ALL);
    ck_assert_uint_eq(sim_kv_covered(&k, end), SIM_KV_ALL);
}
END_TEST

START_TEST(a_budget_that_is_used_up_leaves_nothing_to_change)
{
    struct sim_kv_rule k = sim_kv_full(4);
    k.term[0].kept = true;
    k.term[0].cap = 40;
    k.budget = 30;
    k.evicts_in_decode = true;
    ck_assert_uint_eq(sim_kv_next_change(&k, (struct sim_kv_length){29, 29}), 30);
    ck_assert_uint_eq(sim_kv_next_change(&k, (struct sim_kv_length){30, 29}), SIM_KV_ALL);
    ck_assert_uint_eq(sim_kv_next_change(&k, (struct sim_kv_length){200, 100}), SIM_KV_ALL);
    ck_assert_uint_eq(sim_kv_covered(&k, (struct sim_kv_length){200, 100}), SIM_KV_ALL);
    k.evicts_in_decode = false; /* 30 of the 100 and what is generated */
    ck_assert_uint_eq(sim_kv_next_change(&k, (struct sim_kv_length){100, 100}), 110);
    ck_assert_uint_eq(sim_kv_next_change(&k, (struct sim_kv_length){110, 100}), SIM_KV_ALL);
}
END_TEST

START_TEST(full_holds_a_block_for_every_block_size_tokens_begun)
{
    for (uint32_t block = 1; block <= 64; block++) {
        struct sim_kv_rule k = sim_kv_full(block);
        for (uint32_t n = 0; n < 1000; n++) {
            struct sim_kv_length at = {n, n / 2};
            HOLDS(sim_kv_units(&k, SIM_KV_GPU, at) == (n + block - 1) / block);
            HOLDS(sim_kv_units(&k, SIM_KV_HOST, at) == 0);
            HOLDS(sim_kv_need(&k, SIM_KV_GPU, at) == (n + block - 1) / block);
            HOLDS(sim_kv_covered(&k, at) == (n + block - 1) / block * block);
            HOLDS(sim_kv_next_change(&k, at) == SIM_KV_ALL);
            HOLDS(sim_kv_read(&k, at) == n);
            HOLDS(n <= k.select_after);
        }
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kv_rule");
    TCase *rules = tcase_create("random rules");
    tcase_set_timeout(rules, 60);
    tcase_add_loop_test(rules, units_and_kept_tokens_are_those_of_a_token_by_token_walk, 0, N_SEEDS);
    tcase_add_loop_test(rules, what_a_sequence_needs_where_its_fill_ends_is_the_larger_of_before_and_after, 0,
                        N_SEEDS);
    tcase_add_loop_test(rules, covered_is_the_last_length_before_any_pool_needs_more, 0, N_SEEDS);
    tcase_add_loop_test(rules, a_term_takes_its_next_page_when_the_walk_says, 0, N_SEEDS);
    tcase_add_loop_test(rules, until_the_next_change_growth_repeats_and_reading_keeps_its_pace, 0, N_SEEDS);
    tcase_add_loop_test(rules, pages_between_two_changes_are_known_at_the_first, 0, N_SEEDS);
    tcase_add_loop_test(rules, a_sequence_in_chunks_holds_what_it_needs_when_it_asks_beyond_what_is_covered,
                        0, N_SEEDS);
    suite_add_tcase(s, rules);
    TCase *lengths = tcase_create("lengths");
    tcase_add_loop_test(lengths, lengths_of_two_thousand_million_tokens_are_counted_as_short_ones, 0,
                        N_SEEDS);
    tcase_add_test(lengths, a_budget_that_is_used_up_leaves_nothing_to_change);
    tcase_add_test(lengths, nothing_wraps_at_the_longest_length_there_is);
    tcase_add_test(lengths, full_holds_a_block_for_every_block_size_tokens_begun);
    suite_add_tcase(s, lengths);
    return s;
}
