/* Strategies side by side: who takes part, rows against closed forms, tables within the screen, and what the paragraph
 * says of made-up rows; tests/test_compare_study.c runs whole studies. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/compare.h"
#include "experiments/parallel.h"
#include "sim/memory.h"
#include "tests/harness.h"

/* ---- threads ---- */

static void count(void *counts, uint32_t i)
{
    __atomic_fetch_add(&((uint32_t *)counts)[i], 1, __ATOMIC_RELAXED);
}

START_TEST(every_task_is_done_once_on_any_number_of_threads)
{
    for (uint32_t n = 0; n < 40; n += 13) {
        for (uint32_t threads = 0; threads < 7; threads++) {
            uint32_t counts[40] = {0};
            exp_parallel(n, threads, count, counts);
            for (uint32_t i = 0; i < 40; i++) ck_assert_uint_eq(counts[i], i < n);
        }
    }
    ck_assert_uint_ge(exp_processors(), 1);
}
END_TEST

/* ---- who takes part ---- */

static struct exp_contenders *parsed(const char *list)
{
    struct sim_status st = {0};
    struct exp_contenders *c = sim_alloc(1, sizeof *c);
    ck_assert_msg(exp_contenders_parse(list, c, &st), "%s: %s", list, st.message);
    return c;
}

static void refused(const char *list, const char *expected)
{
    struct sim_status st = {0};
    struct exp_contenders c = {.n = 77};
    ck_assert_msg(!exp_contenders_parse(list, &c, &st), "accepted `%s`", list);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s`: `%s` lacks `%s`", list, st.message, expected);
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    ck_assert_uint_eq(c.n, 77);
}

START_TEST(full_comes_first_whether_it_is_named_or_not)
{
    const char *const lists[] = {"h2o", "h2o,full", "full,h2o"};
    for (int i = 0; i < 3; i++) {
        struct exp_contenders *c = parsed(lists[i]);
        ck_assert_uint_eq(c->n, 2);
        ck_assert_str_eq(c->at[0].label, "full");
        ck_assert_str_eq(c->at[1].strategy->name, "h2o");
        free(c);
    }
}
END_TEST

START_TEST(all_is_every_strategy_once_and_leaves_out_what_is_named_before)
{
    struct exp_contenders *all = parsed("all"), *more = parsed("h2o,all,freekv:budget=1024");
    ck_assert_uint_eq(all->n, mdl_strategy_count());
    ck_assert_uint_eq(more->n, mdl_strategy_count() + 1);
    for (uint32_t i = 0; i < all->n; i++)
        for (uint32_t k = 0; k < i; k++) ck_assert_ptr_ne(all->at[i].strategy, all->at[k].strategy);
    ck_assert_str_eq(more->at[more->n - 1].label, "freekv:budget=1024");
    free(all);
    free(more);
}
END_TEST

START_TEST(without_a_list_a_dozen_stand_beside_full)
{
    struct exp_contenders *c = parsed(NULL);
    ck_assert_uint_eq(c->n, 13);
    ck_assert_str_eq(c->at[0].label, "full");
    free(c);
}
END_TEST

START_TEST(one_strategy_may_stand_there_with_several_settings)
{
    struct exp_contenders *c = parsed("freekv,freekv:budget=1024:correction_tau=0.9,freekv:budget=512");
    ck_assert_uint_eq(c->n, 4);
    ck_assert_uint_eq(c->at[2].n_settings, 2);
    ck_assert_str_eq(c->at[2].setting[0].key, "budget");
    ck_assert_str_eq(c->at[2].setting[0].value, "1024");
    ck_assert_str_eq(c->at[2].setting[1].key, "correction_tau");
    ck_assert_str_eq(c->at[2].label, "freekv:budget=1024:correction_tau=0.9");
    free(c);
}
END_TEST

START_TEST(lengths_quality_and_fallback_are_settings_of_every_strategy_but_full)
{
    struct exp_contenders *c =
        parsed("kivi4:length_pairs=some/pairs.csv,freekv:fallback.when=short:fallback.below_tokens=2000");
    ck_assert_str_eq(c->at[1].setting[0].key, "length_pairs");
    ck_assert_str_eq(c->at[1].setting[0].value, "some/pairs.csv");
    ck_assert_str_eq(c->at[2].setting[1].key, "fallback.below_tokens");
    free(c);
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        const char *name = mdl_strategy_at(i)->name;
        for (int k = 0; k < 2; k++) {
            char *list = sim_printf("%s:%s=a.csv", name, k ? "quality" : "length_pairs");
            if (strcmp(name, "full") == 0)
                refused(list, k ? "full has no parameter `quality`" : "full has no parameter `length_pairs`");
            else
                free(parsed(list));
            free(list);
        }
    }
}
END_TEST

START_TEST(what_is_wrong_with_a_list_is_said_in_one_line)
{
    refused("freekw", "did you mean `freekv`");
    refused("", "a name is empty");
    refused("h2o,,quest", "a name is empty");
    refused("h2o,", "a name is empty");
    refused("h2o,h2o", "h2o is named twice");
    refused("full,full", "full is named twice");
    refused("all,h2o", "h2o is named twice");
    refused("freekv:budget=1:page=2,freekv:page=2:budget=1", "named twice");
    refused("freekv:budgett=1", "did you mean `budget`");
    refused("freekv:bits=4", "expected one of: ");
    refused("freekv:budget", "expected PARAMETER=VALUE");
    refused("freekv:budget=", "expected PARAMETER=VALUE");
    refused("freekv:", "expected PARAMETER=VALUE");
    refused("freekv:budget=1:budget=2", "budget twice");
    refused("freekv:budget=1:sink=1:recent=1:page=1:skip_layers=1:layout=1:double_buffer=1:prefetch_pages=1:"
            "policy=1:miss_rate=1:draws=1:graph=1:length_pairs=a",
            "at most 12 settings");
}
END_TEST

/* ---- rows ---- */

static struct exp_sample sample(double e2el_ms)
{
    struct exp_sample s;
    for (int c = 0; c < EXP_N_COLUMNS; c++) s.value[c] = NAN;
    s.value[EXP_GPU_KV] = 131072;
    s.value[EXP_MAX_RUNNING] = 30;
    s.value[EXP_QUEUE] = s.value[EXP_QUEUE_SAME_LENGTH] = 0;
    s.value[EXP_KV_PEAK] = 0.3;
    s.value[EXP_PREEMPTIONS] = 0;
    s.value[EXP_COMPLETED] = 1;
    s.value[EXP_TTFT_MEAN] = s.value[EXP_TTFT_P99] = 100;
    s.value[EXP_TPOT_MEAN] = s.value[EXP_TPOT_P99] = 10;
    s.value[EXP_E2EL_MEAN] = s.value[EXP_E2EL_P99] = s.value[EXP_E2EL_SAME_LENGTH] = e2el_ms;
    s.value[EXP_REQUESTS] = s.value[EXP_GOODPUT] = 5;
    s.value[EXP_OUTPUT] = s.value[EXP_EQUIVALENT] = 1000;
    s.value[EXP_ATTAINMENT] = 0.9;
    s.value[EXP_LINK_BUSY] = s.value[EXP_EXPOSED] = 0;
    s.value[EXP_LENGTH_MEAN] = s.value[EXP_LENGTH_LONGER] = 0;
    s.value[EXP_NEGATIVES] = 0;
    s.value[EXP_UNMEASURED] = 0.1;
    return s;
}

START_TEST(differences_are_shares_of_fulls_value_and_points_for_attainment)
{
    struct exp_sample full = sample(1000), own = sample(800);
    struct exp_compare_row row = {0};
    own.value[EXP_ATTAINMENT] = 0.95;
    own.value[EXP_OUTPUT] = 1250;
    own.value[EXP_GOODPUT] = 6;
    full.value[EXP_GOODPUT] = 0;
    exp_compare_row_set(&row, &own, &full, 1);
    ck_assert_double_eq_tol(row.delta[EXP_E2EL_MEAN].mean, -0.2, 1e-12);
    ck_assert_double_eq_tol(row.delta[EXP_OUTPUT].mean, 0.25, 1e-12);
    ck_assert_double_eq_tol(row.delta[EXP_ATTAINMENT].mean, 0.05, 1e-12);
    ck_assert(isnan(row.delta[EXP_GOODPUT].mean)); /* of nothing */
    ck_assert(isnan(row.delta[EXP_PREEMPTIONS].mean));
    ck_assert_str_eq(exp_delta_text(&row, EXP_E2EL_MEAN).text, "-20.0%");
    ck_assert_str_eq(exp_delta_text(&row, EXP_ATTAINMENT).text, "+5.0p");
    exp_compare_row_set(&row, &full, NULL, 1);
    for (int c = 0; c < EXP_N_COLUMNS; c++) ck_assert(isnan(row.delta[c].mean));
}
END_TEST

/* Seeds move both rows by a factor of five; their difference stays what it is. */
START_TEST(what_replications_have_in_common_cancels_in_the_difference)
{
    struct exp_sample full[20], faster[20], same[20];
    struct exp_compare_row row = {0}, noise = {0};
    for (int k = 0; k < 20; k++) {
        full[k] = sample(1000 * (1 + k % 5));
        faster[k] = sample(0.9 * full[k].value[EXP_E2EL_MEAN]);
        same[k] = sample(full[k].value[EXP_E2EL_MEAN] * (1 + 0.01 * (k % 3 - 1)));
    }
    exp_compare_row_set(&row, faster, full, 20);
    ck_assert_double_gt(row.value[EXP_E2EL_MEAN].hi, 4 * row.value[EXP_E2EL_MEAN].lo);
    ck_assert_double_eq_tol(row.delta[EXP_E2EL_MEAN].mean, -0.1, 1e-12);
    ck_assert_double_eq_tol(row.delta[EXP_E2EL_MEAN].lo, -0.1 * 5 / 3, 1e-12);
    ck_assert_double_eq_tol(row.delta[EXP_E2EL_MEAN].hi, -0.1 * 1 / 3, 1e-12);
    ck_assert(exp_compare_clear(&row, EXP_E2EL_MEAN, 0.02));
    exp_compare_row_set(&noise, same, full, 20);
    ck_assert(!exp_compare_clear(&noise, EXP_E2EL_MEAN, 0));
    ck_assert_int_eq(exp_delta_text(&noise, EXP_E2EL_MEAN).text[0], '~');
    ck_assert_int_eq(exp_delta_text(&row, EXP_E2EL_MEAN).text[0], '-');
}
END_TEST

/* In one replication full has next to nothing, and in another nothing. */
START_TEST(differences_are_those_of_the_means_that_are_printed)
{
    static const double full_goodput[] = {0.001, 0, 0.347}, own_goodput[] = {0.4, 0.42, 0.428};
    struct exp_sample full[3], own[3];
    struct exp_compare_row base = {0}, row = {0};
    for (int k = 0; k < 3; k++) {
        full[k] = sample(1000 + 700 * k);
        own[k] = sample(3000 - 500 * k);
        full[k].value[EXP_GOODPUT] = full_goodput[k];
        own[k].value[EXP_GOODPUT] = own_goodput[k];
        own[k].value[EXP_ATTAINMENT] = 0.1 * k;
        own[k].value[EXP_E2EL_SAME_LENGTH] = 900 + 300 * k * k;
    }
    exp_compare_row_set(&base, full, NULL, 3);
    exp_compare_row_set(&row, own, full, 3);
    for (enum exp_column c = 0; c < EXP_N_COLUMNS; c++) {
        double a = row.value[c].mean, b = base.value[c].mean;
        enum exp_against against = exp_column_info(c)->against;
        if (against == EXP_RATIO && b > 0) ck_assert_double_eq_tol(row.delta[c].mean, a / b - 1, 1e-12);
        if (against == EXP_POINTS) ck_assert_double_eq_tol(row.delta[c].mean, a - b, 1e-12);
    }
    ck_assert_double_eq_tol(row.delta[EXP_GOODPUT].mean, 0.416 / 0.116 - 1, 1e-12);
    ck_assert_str_eq(exp_delta_text(&row, EXP_GOODPUT).text, "+258.6%");
    ck_assert_double_eq_tol(row.value[EXP_E2EL_SPEED].mean + row.value[EXP_E2EL_LONGER].mean,
                            row.delta[EXP_E2EL_MEAN].mean, 1e-12);
}
END_TEST

START_TEST(speed_and_longer_outputs_add_up_to_the_whole_difference)
{
    for (int k = 0; k < 50; k++) {
        struct exp_sample full = sample(500 + 10 * k), own = sample(300 + 17 * k);
        struct exp_compare_row row = {0};
        own.value[EXP_E2EL_SAME_LENGTH] = 250 + 13 * k;
        exp_compare_row_set(&row, &own, &full, 1);
        ck_assert_double_eq_tol(row.value[EXP_E2EL_SPEED].mean + row.value[EXP_E2EL_LONGER].mean,
                                row.delta[EXP_E2EL_MEAN].mean, 1e-12);
        ck_assert_double_eq_tol(row.value[EXP_E2EL_SPEED].mean, (250.0 + 13 * k) / (500 + 10 * k) - 1, 1e-12);
    }
}
END_TEST

/* ---- made-up studies ---- */

enum { MADE_ROWS = 4 };

struct made {
    struct exp_compare c;
    struct exp_compare_row row[MADE_ROWS];
    struct exp_sample sample[MADE_ROWS];
};

/* full, h2o, arkvale, kivi4; all like full, which decodes 10 ms a step, 6 ms of it attention. */
static void make(struct made *m)
{
    static const char *const names[MADE_ROWS] = {"full", "h2o", "arkvale", "kivi4"};
    *m = (struct made){.c = {.row = m->row, .n_rows = MADE_ROWS, .title = "a model on a GPU"}};
    m->c.load = (struct exp_point_load){
        .n_seqs = 20, .context_tokens = 2000, .prompt_tokens = 1800, .output_tokens = 400};
    for (int i = 0; i < MADE_ROWS; i++) {
        m->sample[i] = sample(5000);
        snprintf(m->row[i].label, sizeof m->row[i].label, "%s", names[i]);
        snprintf(m->row[i].strategy, sizeof m->row[i].strategy, "%s", names[i]);
        m->row[i].anatomy = (struct exp_anatomy){10e-3, 9e-3, 6e-3, 0, 0, 1e-3, 50e-3, {0}};
        m->row[i].evidence[SIM_INTERPOLATED] = 1;
        m->row[i].graphs = i == 2 ? "no" : "yes";
    }
}

static void settle(struct made *m)
{
    for (int i = 0; i < MADE_ROWS; i++)
        exp_compare_row_set(&m->row[i], &m->sample[i], i ? &m->sample[0] : NULL, 1);
}

static void set_e2el(struct made *m, int row, double ms)
{
    m->sample[row].value[EXP_E2EL_MEAN] = m->sample[row].value[EXP_E2EL_SAME_LENGTH] = ms;
}

START_TEST(the_best_is_the_lowest_or_highest_of_those_that_complete_the_load)
{
    struct made m;
    make(&m);
    set_e2el(&m, 1, 4000);
    set_e2el(&m, 2, 3000);
    m.sample[2].value[EXP_COMPLETED] = 0.5;
    m.sample[3].value[EXP_GOODPUT] = 6;
    settle(&m);
    for (uint32_t i = 0; i < MADE_ROWS; i++) {
        ck_assert_int_eq(exp_compare_best(&m.c, i, EXP_E2EL_MEAN), i == 1);
        ck_assert_int_eq(exp_compare_best(&m.c, i, EXP_GOODPUT), i == 3);
        ck_assert(!exp_compare_best(&m.c, i, EXP_TPOT_MEAN)); /* all the same */
        ck_assert(!exp_compare_best(&m.c, i, EXP_MAX_RUNNING));
    }
    snprintf(m.row[1].why_not, sizeof m.row[1].why_not, "no");
    ck_assert(!exp_compare_best(&m.c, 1, EXP_E2EL_MEAN));
}
END_TEST

START_TEST(a_light_load_and_longer_answers_are_no_merit)
{
    struct made m;
    make(&m);
    set_e2el(&m, 1, 1000);
    m.sample[1].value[EXP_REQUESTS] = 4.7; /* of 5 */
    set_e2el(&m, 2, 2000);
    m.sample[2].value[EXP_ATTAINMENT] = 0;
    m.sample[2].value[EXP_REQUESTS] = 9;
    set_e2el(&m, 3, 3000);
    m.sample[3].value[EXP_REQUESTS] = 4.8;
    m.sample[3].value[EXP_OUTPUT] = 2000;
    settle(&m);
    for (uint32_t i = 0; i < MADE_ROWS; i++) {
        ck_assert_int_eq(exp_compare_best(&m.c, i, EXP_E2EL_MEAN), i == 3);
        ck_assert_int_eq(exp_compare_best(&m.c, i, EXP_OUTPUT), i == 3);
        ck_assert_int_eq(exp_compare_best(&m.c, i, EXP_REQUESTS), i == 0);
    }
    m.sample[0].value[EXP_NEGATIVES] = m.sample[1].value[EXP_NEGATIVES] = 0.3;
    m.sample[2].value[EXP_NEGATIVES] = 0.1; /* whatever it serves, its answers are the best */
    m.sample[3].value[EXP_NEGATIVES] = 0.2;
    settle(&m);
    for (uint32_t i = 0; i < MADE_ROWS; i++)
        ck_assert_int_eq(exp_compare_best(&m.c, i, EXP_NEGATIVES), i == 2);
    m.c.length_shift = true;
    for (uint32_t i = 0; i < MADE_ROWS; i++) ck_assert(!exp_compare_best(&m.c, i, EXP_OUTPUT));
    for (int i = 0; i < MADE_ROWS; i++)
        m.sample[i].value[EXP_ATTAINMENT] = 0; /* nobody: no reason to leave any out */
    settle(&m);
    ck_assert(exp_compare_best(&m.c, 2, EXP_REQUESTS));
    ck_assert(exp_compare_best(&m.c, 2, EXP_E2EL_MEAN));
}
END_TEST

static char *printed(const struct exp_compare *c, uint32_t width, bool bold)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    exp_compare_print(c, width, bold, f);
    fclose(f);
    return text;
}

static size_t longest_line(const char *text)
{
    size_t most = 0;
    for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
        if (strcspn(text, "\n") > most) most = strcspn(text, "\n");
    return most;
}

/* Everything that can be wide is. */
static void make_wide(struct made *m, struct exp_sample full[3], struct exp_sample own[3])
{
    make(m);
    m->c.length_shift = true;
    m->c.n_replications = 3;
    for (int k = 0; k < 3; k++) {
        full[k] = sample(123456 + 1000 * k);
        own[k] = sample(7654321 + 1000 * k);
        own[k].value[EXP_HOST_KV] = 98765;
        own[k].value[EXP_LENGTH_MEAN] = 0.44;
        own[k].value[EXP_NEGATIVES] = 0.2;
        own[k].value[EXP_EXPOSED] = own[k].value[EXP_LINK_BUSY] = 0.5;
    }
    for (int i = 0; i < MADE_ROWS; i++) exp_compare_row_set(&m->row[i], i ? own : full, i ? full : NULL, 3);
    snprintf(m->row[1].label, sizeof m->row[1].label, "freekv:budget=1024:correction_tau=0.9:layout=hybrid");
    snprintf(m->row[2].why_not, sizeof m->row[2].why_not,
             "the host has 12 GiB and a sequence takes 64: more is needed");
    snprintf(m->row[1].negative_source, sizeof m->row[1].negative_source,
             "somebody who counted them, Table 9, and wrote");
    for (int e = 0; e < SIM_N_EVIDENCE; e++) m->row[1].evidence[e] = 0.2;
    exp_note(&m->c.notes,
             "a note that is so long that it cannot stand in one line of a screen that has few columns");
}

START_TEST(tables_stay_within_the_screen_and_lose_no_row)
{
    struct exp_sample full[3], own[3];
    struct made m;
    make_wide(&m, full, own);
    for (uint32_t width = 80; width <= 160; width += 8) {
        char *text = printed(&m.c, width, false);
        ck_assert_msg(longest_line(text) <= width, "%zu columns instead of %u", longest_line(text), width);
        ck_assert_ptr_nonnull(strstr(text, "arkvale        does not run here: the host has"));
        ck_assert_ptr_nonnull(strstr(text, "freekv:budget=1024:correction_tau=0.9:layout=hybrid\n"));
        ck_assert_ptr_nonnull(strstr(text, "somebody"));
        ck_assert_ptr_null(strchr(text, '\033'));
        ck_assert_ptr_null(strstr(text, " \n"));
        free(text);
    }
}
END_TEST

START_TEST(bold_only_adds_escape_codes)
{
    struct made m;
    make(&m);
    set_e2el(&m, 1, 4000);
    settle(&m);
    char *plain = printed(&m.c, 100, false), *bold = printed(&m.c, 100, true), *to = bold;
    ck_assert_ptr_nonnull(strstr(bold, "\033[1m"));
    for (const char *from = bold; *from;)
        if (*from == '\033')
            from += strcspn(from, "m") + 1;
        else
            *to++ = *from++;
    *to = '\0';
    ck_assert_str_eq(plain, bold);
    free(plain);
    free(bold);
}
END_TEST

/* ---- the paragraph ---- */

static void reads(struct made *m, const char *expected, bool there)
{
    char *text = exp_compare_reading(&m->c);
    ck_assert_msg((strstr(text, expected) != NULL) == there, "%s `%s`: %s", there ? "lacks" : "has", expected,
                  text);
    ck_assert_ptr_null(strchr(text, '\n'));
    ck_assert_ptr_null(strstr(text, "nan"));
    ck_assert_ptr_null(strstr(text, "inf"));
    ck_assert_ptr_null(strstr(text, "  "));
    free(text);
}

START_TEST(a_load_that_leaves_the_cache_empty_is_not_bound_by_it)
{
    struct made m;
    make(&m);
    settle(&m);
    reads(&m, "KV memory is not what limits this load", true);
    reads(&m, "peaks at 30 %", true);
    reads(&m, "Under full KV memory is the limit", false);
    reads(&m, "None shortens mean E2EL", true);
    reads(&m, "No strategy raises throughput", true);
    reads(&m, "Requests queue", false);
    m.sample[0].value[EXP_QUEUE] = 2500;
    settle(&m);
    reads(&m, "Requests queue for 2.50 s all the same (50 % of E2EL)", true);
    ck_assert_ptr_null(exp_compare_winner(&m.c));
}
END_TEST

START_TEST(preemptions_under_full_make_memory_the_limit_and_room_the_reason)
{
    struct made m;
    make(&m);
    m.sample[0].value[EXP_KV_PEAK] = 1;
    m.sample[0].value[EXP_PREEMPTIONS] = 1234;
    m.sample[0].value[EXP_QUEUE] = 1500;
    m.sample[1].value[EXP_OUTPUT] = 1310;
    m.sample[1].value[EXP_GPU_KV] = 32768;
    m.sample[1].value[EXP_MAX_RUNNING] = 96;
    settle(&m);
    reads(&m, "Under full KV memory is the limit: the cache peaks at 100 %, there are 1,234 preemptions",
          true);
    reads(&m, "Most output: h2o (+31 %, 1,310 tokens/s); full gives 1,000", true);
    reads(&m, "h2o wins by room, 32 instead of 128 MiB of GPU memory for 1K tokens and at most 96 requests",
          true);
    ck_assert_ptr_eq(exp_compare_winner(&m.c), &m.row[1]);
    m.sample[0].value[EXP_PREEMPTIONS] = 0;
    m.sample[0].value[EXP_KV_PEAK] = 0.7;
    settle(&m);
    reads(&m, "Under full KV memory is the limit", false);
    m.sample[0].value[EXP_MAX_RUNNING] = 2; /* each takes 35 %: a third does not fit */
    settle(&m);
    reads(&m, "the cache peaks at 70 % and requests queue for 1.50 s on average", true);
    m.sample[0].value[EXP_MAX_RUNNING] = 30;
    m.sample[0].value[EXP_QUEUE] = 0;
    m.sample[0].value[EXP_KV_PEAK] = 0.9;
    settle(&m);
    reads(&m, "close to being the limit: the cache peaks at 90 %", true);
}
END_TEST

START_TEST(each_loser_is_named_with_what_it_pays_most)
{
    static const struct {
        struct exp_anatomy a;
        const char *expected;
    } cases[] = {
        {{40e-3, 9e-3, 6e-3, 0, 30e-3, 1e-3, 50e-3, {0}},
         "Bound by the host link: arkvale (75 % of step time, link 90 % busy)"},
        {{40e-3, 9e-3, 6e-3, 0, 30e-3, 1e-3, 50e-3, {[EXP_WIRE] = 29e-3, [EXP_SYNCS] = 1e-3}},
         "Bound by the host link: arkvale (75 % of step time, mostly wire, link 90 % busy)"},
        {{16e-3, 15e-3, 12e-3, 0, 0, 1e-3, 50e-3, {0}}, "decode attention against full's: arkvale (2.00x)"},
        {{14e-3, 13e-3, 6e-3, 4e-3, 0, 1e-3, 50e-3, {0}},
         "Extra work in every step beside attention: arkvale (+4 ms, CUDA graphs: no)"},
        {{19e-3, 9e-3, 6e-3, 0, 0, 10e-3, 50e-3, {0}},
         "The host is waited for in every step: arkvale (+9 ms, CUDA graphs: no)"},
        {{10e-3, 9e-3, 6e-3, 0, 0, 1e-3, 500e-3, {0}}, "Prefill takes longer: arkvale (10.00x, TTFT 0 %)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made m;
        make(&m);
        set_e2el(&m, 2, 9000);
        m.sample[2].value[EXP_EXPOSED] = cases[i].a.exposed_s / cases[i].a.step_s;
        m.sample[2].value[EXP_LINK_BUSY] = 0.9;
        m.row[2].anatomy = cases[i].a;
        settle(&m);
        reads(&m, cases[i].expected, true);
        reads(&m, "Little changes: ", true); /* for the other two */
    }
}
END_TEST

START_TEST(longer_outputs_are_told_apart_from_speed)
{
    struct made m;
    make(&m);
    m.c.length_shift = true;
    m.sample[3].value[EXP_E2EL_SAME_LENGTH] = 4500;
    m.sample[3].value[EXP_E2EL_MEAN] = 6500;
    m.sample[3].value[EXP_LENGTH_MEAN] = 0.44;
    m.row[3].anatomy.attention_s = 5e-3;
    settle(&m);
    reads(&m, "Longer outputs make requests longer: kivi4 (1.44x, +40 % of E2EL, speed alone -10 %)", true);
    set_e2el(&m, 3, 4000);
    settle(&m);
    reads(&m, "Longer outputs", false);
    reads(&m, "Mean E2EL falls under kivi4 (-20 %); full takes 5.00 s", true);
}
END_TEST

/* It takes four times as long by waiting for transfers, and its answers are eight times as long. */
START_TEST(who_is_slower_for_its_speed_too_is_named_with_both_reasons)
{
    struct made m;
    make(&m);
    m.c.length_shift = true;
    m.sample[2].value[EXP_EXPOSED] = 0.75;
    m.sample[2].value[EXP_LINK_BUSY] = 0.1;
    m.sample[2].value[EXP_E2EL_SAME_LENGTH] = 20000;
    m.sample[2].value[EXP_E2EL_MEAN] = 160000;
    m.sample[2].value[EXP_QUEUE] = 150000; /* mostly, which is no part of what it takes at full's lengths */
    m.sample[2].value[EXP_LENGTH_MEAN] = 7;
    m.row[2].anatomy.station_s[EXP_SUBMISSION] = 20e-3;
    m.row[2].anatomy.station_s[EXP_SYNCS] = 10e-3;
    settle(&m);
    reads(&m, "Longer outputs make requests longer: arkvale (8.00x, +2800 % of E2EL, speed alone +300 %)",
          true);
    reads(
        &m,
        "Waiting for transfers (with corrections and conversions) while the link has time: arkvale (75 % of "
        "step time, mostly submission, link 10 % busy)",
        true);
    m.sample[2].value[EXP_E2EL_SAME_LENGTH] = 5000;
    m.sample[2].value[EXP_E2EL_MEAN] = 40000;
    settle(&m);
    reads(&m, "speed alone 0 %", true);
    reads(&m, "Waiting for transfers", false);
}
END_TEST

START_TEST(lengths_of_different_models_are_said_not_to_compare)
{
    static const struct {
        const char *models[MADE_ROWS], *expected; /* NULL: nothing to say */
    } cases[] = {
        {{"", "Llama-3-8B", "", "Mistral"}, "each other: h2o on Llama-3-8B, kivi4 on Mistral."},
        {{"", "Mistral", "Llama", "Mistral"}, "each other: h2o and kivi4 on Mistral, arkvale on Llama."},
        {{"", "Llama", "", "Llama-3-8B"}, NULL}, /* may be the same */
        {{"", "Llama", "", "Llama"}, NULL},
        {{"", "", "", "Mistral"}, NULL},
        {{"", "", "", ""}, NULL}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct made m;
        make(&m);
        settle(&m);
        for (int i = 0; i < MADE_ROWS; i++)
            snprintf(m.row[i].length_model, sizeof m.row[i].length_model, "%s", cases[c].models[i]);
        reads(&m, cases[c].expected ? cases[c].expected : "do not compare", cases[c].expected != NULL);
        snprintf(m.row[3].why_not, sizeof m.row[3].why_not, "no");
        if (c == 0) reads(&m, "do not compare", false); /* of those that are shown */
    }
}
END_TEST

START_TEST(a_small_share_of_attention_is_said_to_bound_what_can_be_saved)
{
    struct made m;
    make(&m);
    settle(&m);
    reads(&m, "decode attention is 6 ms (60 %).", true);
    m.row[0].anatomy.attention_s = 0.8e-3;
    reads(&m, "decode attention is 0.8 ms (8 %): reading less cannot save more than that", true);
    m.row[0].anatomy = (struct exp_anatomy){NAN, NAN, NAN, NAN, NAN, NAN, NAN, {0}};
    reads(&m, "a decode step takes", false);
}
END_TEST

START_TEST(a_winner_is_named_with_its_worse_answers_and_its_evidence)
{
    struct made m;
    make(&m);
    set_e2el(&m, 1, 3000);
    m.sample[1].value[EXP_NEGATIVES] = 0.156;
    m.sample[1].value[EXP_UNMEASURED] = 0.64;
    settle(&m);
    reads(&m, "Under h2o 15.6 % of benign samples get worse answers", true);
    reads(&m, "64 % of the GPU time behind h2o was never measured", true);
    m.sample[1].value[EXP_NEGATIVES] = NAN;
    settle(&m);
    reads(&m, "How many answers get worse under h2o nobody published", true);
}
END_TEST

START_TEST(requests_left_undone_win_nothing)
{
    struct made m;
    make(&m);
    set_e2el(&m, 2, 1000);
    m.sample[2].value[EXP_COMPLETED] = 0.6;
    settle(&m);
    reads(&m, "Requests are left undone by arkvale (60 % completed); full completes 100 %.", true);
    reads(&m, "Mean E2EL falls", false);
}
END_TEST

START_TEST(rows_that_do_not_run_are_named_and_full_may_be_one_of_them)
{
    struct made m;
    make(&m);
    snprintf(m.row[3].why_not, sizeof m.row[3].why_not, "no");
    settle(&m);
    reads(&m, "It does not run here: kivi4.", true);
    snprintf(m.row[0].why_not, sizeof m.row[0].why_not, "no");
    reads(&m, "full does not run here, so that there is nothing to compare with. Of those that run h2o",
          true);
    m.c.n_rows = 1;
    m.row[0].why_not[0] = '\0';
    reads(&m, "No strategy raises", false);
    m.sample[0].value[EXP_E2EL_MEAN] = NAN;
    settle(&m);
    reads(&m, "no request was completed", true);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("compare");
    TCase *c = tcase_create("compare");
    tcase_add_test(c, every_task_is_done_once_on_any_number_of_threads);
    tcase_add_test(c, full_comes_first_whether_it_is_named_or_not);
    tcase_add_test(c, all_is_every_strategy_once_and_leaves_out_what_is_named_before);
    tcase_add_test(c, without_a_list_a_dozen_stand_beside_full);
    tcase_add_test(c, one_strategy_may_stand_there_with_several_settings);
    tcase_add_test(c, lengths_quality_and_fallback_are_settings_of_every_strategy_but_full);
    tcase_add_test(c, what_is_wrong_with_a_list_is_said_in_one_line);
    tcase_add_test(c, differences_are_shares_of_fulls_value_and_points_for_attainment);
    tcase_add_test(c, what_replications_have_in_common_cancels_in_the_difference);
    tcase_add_test(c, differences_are_those_of_the_means_that_are_printed);
    tcase_add_test(c, speed_and_longer_outputs_add_up_to_the_whole_difference);
    tcase_add_test(c, the_best_is_the_lowest_or_highest_of_those_that_complete_the_load);
    tcase_add_test(c, a_light_load_and_longer_answers_are_no_merit);
    tcase_add_test(c, tables_stay_within_the_screen_and_lose_no_row);
    tcase_add_test(c, bold_only_adds_escape_codes);
    tcase_add_test(c, a_load_that_leaves_the_cache_empty_is_not_bound_by_it);
    tcase_add_test(c, preemptions_under_full_make_memory_the_limit_and_room_the_reason);
    tcase_add_test(c, each_loser_is_named_with_what_it_pays_most);
    tcase_add_test(c, longer_outputs_are_told_apart_from_speed);
    tcase_add_test(c, who_is_slower_for_its_speed_too_is_named_with_both_reasons);
    tcase_add_test(c, lengths_of_different_models_are_said_not_to_compare);
    tcase_add_test(c, a_small_share_of_attention_is_said_to_bound_what_can_be_saved);
    tcase_add_test(c, a_winner_is_named_with_its_worse_answers_and_its_evidence);
    tcase_add_test(c, requests_left_undone_win_nothing);
    tcase_add_test(c, rows_that_do_not_run_are_named_and_full_may_be_one_of_them);
    suite_add_tcase(s, c);
    return s;
}
