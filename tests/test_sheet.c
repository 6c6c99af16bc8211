/* The decision sheet: what a struct of results says on paper. Oracles: a decision made by hand, whose figures must stand in
 * the sheet; the C library's own widths of letters; what Markdown asks of a table. */
#include <stdio.h>

#include "experiments/planning/sheet/facts.h"
#include "experiments/page.h"
#include "experiments/planning/pilot/pilot.h"
#include "tests/decision_help.h"
#include "tests/page_help.h"

static char *printed(const struct exp_decision *d, struct exp_sheet_options o, bool details)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    exp_sheet_print(d, &o, out);
    if (details) exp_sheet_print_details(d, &o, out);
    fclose(out);
    return text;
}

static char *english(const struct exp_decision *d)
{
    return printed(d, (struct exp_sheet_options){.all = true}, false);
}

static void assert_says(const char *text, const char *words)
{
    if (!strstr(text, words)) fputs(text, stderr);
    ck_assert_msg(strstr(text, words) != NULL, "nothing above says `%s`", words);
}

static void assert_silent(const char *text, const char *words)
{
    ck_assert_msg(strstr(text, words) == NULL, "`%s` stands there", words);
}

/* ---- the page ---- */

START_TEST(no_line_is_wider_than_the_page_in_either_language)
{
    struct made *m = made_new();
    for (int language = EXP_ENGLISH; language <= EXP_JAPANESE; language++)
        for (int state = 0; state < 3; state++) {
            if (state == 1) m->d.row[0].measure_first = true;
            if (state == 2) make_hopeless(&m->d);
            char *text = printed(
                &m->d, (struct exp_sheet_options){(enum exp_language)language, true, false, false}, true);
            assert_fits(text);
            free(text);
        }
    made_free(m);
}
END_TEST

START_TEST(long_names_of_cards_settings_and_classes_still_fit)
{
    struct made *m = made_new();
    struct mdl_gpu long_card = *m->d.search.entry[0].candidate.gpu;
    strcpy(long_card.name, "rtx-pro-6000-workstation-maxq-1");
    for (int i = 0; i < MADE_ROWS; i++) m->d.search.entry[i].candidate.gpu = &long_card;
    memset(m->plan->class[0].name, 'c', 31);
    for (int i = 0; i < MADE_FINALISTS; i++) m->d.row[i].unit.per_month = 123456789;
    memset(m->plan->file, 'p', 200);
    memset(m->d.notes.text[0], 'n', sizeof m->d.notes.text[0] - 1);
    for (int language = EXP_ENGLISH; language <= EXP_JAPANESE; language++) {
        char *text =
            printed(&m->d, (struct exp_sheet_options){(enum exp_language)language, true, false, false}, true);
        assert_fits(text);
        free(text);
    }
    made_free(m);
}
END_TEST

START_TEST(what_moves_a_cursor_is_not_passed_on)
{
    struct made *m = made_new();
    strcpy(m->prices->kwh.source, "a\033[2Jb\rc");
    strcpy(m->d.notes.text[0], "x\033]0;y\a");
    char *text = printed(&m->d, (struct exp_sheet_options){.all = true}, true);
    for (const char *c = text; *c; c++) ck_assert((unsigned char)*c >= 0x20 || *c == '\n');
    free(text);
    made_free(m);
}
END_TEST

START_TEST(bold_is_only_around_headings_and_only_when_asked)
{
    struct made *m = made_new();
    char *plain = english(&m->d),
         *bold = printed(&m->d, (struct exp_sheet_options){.all = true, .bold = true}, false);
    ck_assert_ptr_null(strchr(plain, '\033'));
    ck_assert(strncmp(bold, "\033[1m", 4) == 0);
    free(plain);
    free(bold);
    made_free(m);
}
END_TEST

/* ---- what it says ---- */

START_TEST(the_headline_is_the_decision_in_two_lines)
{
    struct made *m = made_new();
    char *text = english(&m->d);
    ck_assert_msg(strncmp(text,
                          "Buy 3 servers (24 x h200-sxm, 1 spare), freekv:budget=1024, TP 1\n"
                          "USD 1.92M over 36 months; saves 400,000 [120,000, 660,000], payback 11 months,\n"
                          "  P(saving > 0) 0.93\n",
                          150) == 0,
                  "%s", text);
    free(text);
    made_free(m);
}
END_TEST

START_TEST(an_api_that_costs_less_is_said_below_the_headline)
{
    struct made *m = made_new();
    char *text = english(&m->d);
    ck_assert_ptr_null(strstr(text, "A managed API serves"));
    free(text);
    m->d.reference[1].cash.total = 1.0e6;
    text = english(&m->d);
    assert_says(text, "A managed API serves this load for USD 1.00M over 36 months");
    ck_assert(strstr(text, "A managed API serves") < strstr(text, "PASS"));
    free(text);
    made_free(m);
}
END_TEST

START_TEST(ways_to_get_it_have_their_own_headline)
{
    struct made *m = made_new();
    struct exp_finalist *f = &m->d.finalist[0];
    f->best = EXP_RENT;
    f->economy[EXP_RENT].acquire = EXP_RENT;
    f->cash[EXP_RENT] = f->cash[EXP_BUY];
    memset(f->cash[EXP_RENT].bought, 0, sizeof f->cash[EXP_RENT].bought);
    char *text = english(&m->d);
    assert_says(text, "Rent 2 instances (16 x h200-sxm), freekv:budget=1024, TP 1\n");
    free(text);
    f->best = EXP_BUY;
    f->cash[EXP_BUY].bought[30] = 4;
    text = english(&m->d);
    assert_says(text, "TP 1; 7 servers by\nmonth 30\n");
    free(text);
    made_free(m);
}
END_TEST

static void keep_what_there_is(struct made *m)
{
    m->plan->n_have = 1;
    m->plan->have[0] = (struct exp_plan_have){.servers = 2, .gpus_per_server = 8};
    strcpy(m->plan->have[0].gpu, "a100-80-sxm");
    m->d.search.entry[0].candidate.keeps_have = true;
    m->d.search.entry[0].candidate.have_tensor_parallel[0] = 2;
}

START_TEST(what_there_is_is_kept_alone_or_with_more_beside_it)
{
    struct made *m = made_new();
    struct exp_cash *cash = &m->d.finalist[0].cash[EXP_BUY];
    keep_what_there_is(m);
    char *text = english(&m->d);
    assert_says(text, "Beside what there is: Buy 3 servers (24 x h200-sxm, 1 spare)");
    assert_says(text, "have +");
    assert_says(text, "have: the machines there are, 16 x a100-80-sxm.");
    free(text);
    m->d.search.entry[0].n_replicas = 0;
    memset(cash->bought, 0, sizeof cash->bought);
    memset(cash->rented, 0, sizeof cash->rented);
    text = english(&m->d);
    assert_says(text, "Keep what there is (16 x a100-80-sxm), freekv:budget=1024, TP 2\n");
    ck_assert_uint_eq(exp_fleet_size(&m->d, &m->d.row[0]).gpus, 16);
    free(text);
    made_free(m);
}
END_TEST

START_TEST(the_four_checks_stand_there_in_words_and_sign)
{
    struct made *m = made_new();
    char *text = english(&m->d);
    assert_says(text, "+ PASS     throughput      21 -> 55 req/s needed, 68 predicted\n");
    assert_says(text, "+ PASS     SLA default     99.4 [99.1, 99.6] % of 99\n");
    assert_says(text, "+ PASS     SLA critical    99.95 [99.91, 100] % of 99.9\n");
    assert_says(text, "? UNKNOWN  critical cases  0 of 420 failed, need 3,000 without a failure\n");
    assert_says(text, "+ PASS     payback         11 of 36 months\n");
    free(text);
    m->d.check_throughput = m->d.check_payback = EXP_FAIL;
    m->d.row[0].returns.payback = EXP_PAYBACK_NEVER;
    m->d.search.entry[0].at.attainment[0].lo = 0.98;
    text = english(&m->d);
    assert_says(text, "- FAIL     throughput");
    assert_says(text, "- FAIL     SLA default     99.4 [98, 99.6] % of 99\n");
    assert_says(text, "- FAIL     payback         never within 36 months\n");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(an_attainment_is_never_rounded_up_to_its_goal)
{
    struct made *m = made_new();
    m->d.search.entry[0].at.attainment[0] = (struct exp_band){0.99999, 0.989999, 1};
    char *text = english(&m->d);
    assert_says(text, "- FAIL     SLA default     99.99 [98.99, 100] % of 99\n");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(the_table_has_the_figures_of_the_rows)
{
    struct made *m = made_new();
    char *text = english(&m->d);
    assert_says(text, "1 h200-sxm  1 freekv   buy   24 53,300    0.31    640/31 1.24x 0.9%   71%\n"
                      "   settings: budget=1024\n"
                      "2 h200-sxm  1 full     buy   32 64,700    0.38    640/31 1.24x    0   71%\n"
                      "   why not: +8 GPUs: KV memory\n");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(nothing_feasible_is_said_first_with_the_smallest_relaxation)
{
    struct made *m = made_new();
    make_hopeless(&m->d);
    char *text = english(&m->d);
    ck_assert(strncmp(text,
                      "Nothing meets the service levels.\nSmallest relaxation: ttft_ms 1.40 times as wide",
                      60) == 0);
    assert_says(text, "- FAIL");
    assert_says(text, "The losers");
    assert_says(text, "Next: kvsim plan");
    free(text);
    m->d.search.relaxation[0] = '\0';
    text = english(&m->d);
    assert_says(text, "No relaxation of the limits that was tried would do");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(candidates_that_nobody_scored_are_no_recommendation)
{
    struct made *m = made_new();
    m->d.best = m->d.best_measured = UINT32_MAX;
    char *text = english(&m->d);
    ck_assert(strncmp(text, "Nothing can be recommended", 26) == 0);
    assert_says(text, "Next: kvsim quality");
    assert_says(text, "640/31");
    free(text);
    m->d.best = 1;
    text = english(&m->d);
    assert_says(text, "2* h200-sxm");
    assert_says(text, "* is the recommendation");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(what_is_not_known_is_a_question_mark_and_never_nan)
{
    struct made *m = made_new();
    m->d.perfect_information = NAN;
    m->d.row[0].unit.per_1000_good = NAN;
    m->d.search.entry[0].at.ttft_p99_s.mean = NAN;
    m->d.row[0].risk.p_saving = NAN;
    m->d.row[0].risk.saving.lo = -INFINITY;
    for (int language = EXP_ENGLISH; language <= EXP_JAPANESE; language++) {
        char *text =
            printed(&m->d, (struct exp_sheet_options){(enum exp_language)language, true, false, false}, true);
        assert_silent(text, " nan");
        assert_silent(text, " inf");
        assert_says(text, "?/31");
        free(text);
    }
    made_free(m);
}
END_TEST

START_TEST(the_tornado_shows_the_top_three_and_what_changes_the_answer)
{
    struct made *m = made_new();
    char *text = english(&m->d);
    assert_says(text, "growth of the load        35 % p.a.  85 % p.a.    -120,000      610,000  changes\n");
    assert_silent(text, "price of power");
    assert_says(text, "kvbench run --only move --out raw");
    assert_says(text, "Weakest number: host link and submission (+-30 %)");
    assert_says(
        text,
        "Knowing everything beforehand is worth USD 41,000 at most; the pilot costs USD\n  8,800: a pilot");
    free(text);
    m->d.pilot_cost = 50000;
    text = english(&m->d);
    assert_says(text, "by money alone it is not worth it.");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(where_the_baseline_wins_the_next_candidate_is_doubted)
{
    struct made *m = made_new();
    m->d.best = 1;
    m->d.row[0].returns.npv = -5000;
    char *text = english(&m->d);
    assert_says(text, "it is what saving is measured against");
    assert_says(text, "freekv:budget=1024, whose NPV");
    assert_says(text, "USD -5,000 as expected");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(reference_lines_prices_and_rollback_stand_beside_the_winner)
{
    struct made *m = made_new();
    char *text = english(&m->d);
    assert_says(text, "managed API");
    assert_says(text, "3.40M");
    assert_says(text, "the recommendation is cheaper above\n");
    assert_says(text, "there are no machines today");
    assert_says(text, "rolled back to full KV");
    assert_says(text, "41.2!");
    assert_says(text, "2020-01-31 OLD");
    assert_says(text, "2999-01-01\n");
    assert_says(text, "OLD: more than 180 days");
    assert_says(text, "ask for a quote\n");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(losers_are_counted_or_listed_with_their_reasons)
{
    struct made *m = made_new();
    char *text = printed(&m->d, (struct exp_sheet_options){0}, false);
    assert_says(text, "Losers not shown: 1; --all shows them and why.");
    assert_silent(text, "a request of 32,000");
    free(text);
    text = english(&m->d);
    assert_says(text, "a request of 32,000");
    free(text);
    made_free(m);
}
END_TEST

/* ---- page two ---- */

START_TEST(flags_are_vllms_and_say_what_no_engine_ships)
{
    struct made *m = made_new();
    struct exp_sheet_options o = {.all = true};
    char *text = printed(&m->d, o, true);
    assert_says(text, "vllm serve llama-3.1-8b \\\n");
    assert_says(text, "--tensor-parallel-size 1 \\\n");
    assert_says(text, "--max-num-seqs 256 \\\n");
    assert_says(text, "--gpu-memory-utilization 0.92 \\\n");
    assert_says(text, "--async-scheduling \\\n");
    assert_silent(text, "--num-gpu-blocks-override");
    assert_silent(text, "--kv-cache-dtype");
    assert_says(text, "no serving engine ships freekv");
    assert_says(text, "budget ");
    assert_says(text, "given in the plan");
    free(text);
    m->d.search.entry[0].candidate.contender = &m->plan->strategies.at[0];
    text = printed(&m->d, o, true);
    assert_says(text, "KV cache: full needs no flag.");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(fp8_is_a_flag_and_its_settings_are_sources)
{
    struct made *m = made_new();
    struct exp_contenders fp8;
    struct sim_status st = {0};
    ck_assert(exp_contenders_parse("fp8", &fp8, &st));
    m->d.search.entry[0].candidate.contender = &fp8.at[1];
    char *text = printed(&m->d, (struct exp_sheet_options){.all = true}, true);
    assert_says(text, "--kv-cache-dtype fp8 \\\n");
    assert_says(text, "KV cache: fp8 is --kv-cache-dtype fp8.");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(the_bill_and_the_months_are_the_cash_flows)
{
    struct made *m = made_new();
    char *text = printed(&m->d, (struct exp_sheet_options){.all = true}, true);
    assert_says(text, "server, 8 x h200-sxm, 2,048 GiB");
    assert_says(text, "355,000  710,000  2020-01-31\n"); /* two of three bought are not spare */
    assert_says(text, "spare server, the same");
    assert_says(text, "month  delivered  running  rented  USD paid\n"
                      "    0          2        0    0.00   710,000\n"
                      "    1          0        1    0.50    33,611\n"
                      "    2          0        1    0.00    33,611\n"
                      "   20          1        1    0.00    33,611\n"
                      "   21          0        2    0.00    33,611\n"
                      "   36          0        2    0.00    33,611\n");
    assert_says(text, "1.92M     2.33M    -410,000");
    assert_says(text, "Replicas needed: 16; with 15 a service level is missed.");
    free(text);
    made_free(m);
}
END_TEST

/* ---- Markdown ---- */

static int cells_of(const char *line, size_t n)
{
    int cells = -1;
    for (size_t i = 0; i < n; i++) cells += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    return cells;
}

START_TEST(markdown_tables_have_equal_cells_and_a_rule_under_their_heads)
{
    struct made *m = made_new();
    for (int language = EXP_ENGLISH; language <= EXP_JAPANESE; language++) {
        char *text =
            printed(&m->d, (struct exp_sheet_options){(enum exp_language)language, true, true, false}, true);
        int cells = 0, row = 0, tables = 0;
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
            size_t n = strcspn(line, "\n");
            row = line[0] == '|' ? row + 1 : 0;
            if (row == 1) cells = cells_of(line, n);
            if (row) ck_assert_int_eq(cells_of(line, n), cells);
            if (row) ck_assert_int_eq(line[n - 1], '|');
            if (row == 2) ck_assert_msg(strspn(line, "|-:") == n, "%.*s", (int)n, line);
            tables += row == 2;
        }
        ck_assert_int_ge(tables, 12);
        assert_says(text, "A \\| B");
        free(text);
    }
    made_free(m);
}
END_TEST

START_TEST(markdown_says_what_the_terminal_says)
{
    struct made *m = made_new();
    char *text = printed(&m->d, (struct exp_sheet_options){.all = true, .markdown = true}, false);
    ck_assert(strncmp(text, "# Buy 3 servers (24 x h200-sxm, 1 spare), freekv:budget=1024, TP 1\n", 66) == 0);
    assert_says(text, "| + PASS | throughput | 21 -> 55 req/s needed, 68 predicted |");
    assert_says(text, "| USD/month | USD/1k good |");
    assert_says(text, "| headroom |");
    assert_says(text, "```\nkvbench run --only move --out raw\n```\n");
    ck_assert_ptr_null(strchr(text, '\033'));
    free(text);
    made_free(m);
}
END_TEST

/* ---- why not ---- */

static void assert_why(const struct exp_decision *d, uint32_t row, const char *words)
{
    char why[EXP_WHY_BYTES];
    exp_decision_why(d, &d->row[row], why, sizeof why);
    ck_assert_str_eq(why, words);
}

START_TEST(reasons_name_the_gpus_and_what_they_are_for)
{
    struct made *m = made_new();
    struct exp_entry *base = &m->d.search.entry[1];
    base->n_replicas = 24;
    assert_why(&m->d, 0, "");
    assert_why(&m->d, 1, "+8 GPUs: KV memory");
    base->point.kv_peak_utilization = 0.4;
    assert_why(&m->d, 1, "+8 GPUs: TPOT");
    base->point.class[1].ttft_miss = 0.5; /* 50 of 100 against 9 of 900 */
    assert_why(&m->d, 1, "+8 GPUs: TTFT");
    base->point.class[0].tpot_miss = base->point.class[1].ttft_miss = 0;
    assert_why(&m->d, 1, "+8 GPUs");
    made_free(m);
}
END_TEST

START_TEST(reasons_name_the_money_where_gpus_are_the_same)
{
    struct made *m = made_new();
    m->d.search.entry[1].n_replicas = 16;
    assert_why(&m->d, 1, "+21 % cost: power");
    assert_why(&m->d, 2, "+9.4 % cost: power; quality not measured; measure first");
    m->d.finalist[1].cash[EXP_BUY] = m->d.finalist[0].cash[EXP_BUY];
    assert_why(&m->d, 1, "+23 % per good answer");
    assert_why(&m->d, 3, "a request of 32,000 tokens does not fit, \"really\"");
    struct sim_arena *arena = sim_arena_new();
    ck_assert_str_eq(exp_why(arena, &m->d, &m->d.row[1], EXP_JAPANESE), "良答当たり +23 %");
    sim_arena_free(arena);
    made_free(m);
}
END_TEST

START_TEST(commands_measure_what_they_are_asked_to)
{
    struct made *m = made_new();
    struct sim_arena *arena = sim_arena_new();
    static const char *const families[] = {"gemm",   "prefill", "decode", "compress",
                                           "choose", "move",    "small"};
    for (int input = 0; input < EXP_N_INPUTS; input++) {
        const char *command = exp_measure_command(arena, &m->d, &m->d.row[0], input);
        const char *only = command ? strstr(command, "--only ") : NULL;
        if (input >= EXP_N_DRIVERS && input != EXP_INPUT_FAILURE_RATE) ck_assert_ptr_null(command);
        if (input < EXP_N_DRIVERS) ck_assert_ptr_nonnull(command);
        for (const char *at = only ? only + 7 : NULL; at && *at && *at != ' ';) {
            size_t n = strcspn(at, ", "), known = 0;
            for (size_t i = 0; i < 7; i++)
                known += strlen(families[i]) == n && strncmp(at, families[i], n) == 0;
            ck_assert_msg(known == 1, "%s", command);
            at += n + (at[n] == ',');
        }
    }
    ck_assert_str_eq(exp_measure_command(arena, &m->d, &m->d.row[0], EXP_DRIVE_KV),
                     "kvbench run --only choose,move,decode --out raw");
    ck_assert_ptr_nonnull(
        strstr(exp_measure_command(arena, &m->d, &m->d.row[0], EXP_DRIVE_LENGTH), "kvsim pilot"));
    sim_arena_free(arena);
    made_free(m);
}
END_TEST

START_TEST(samples_that_are_needed_are_three_over_the_strictest_limit)
{
    struct made *m = made_new();
    ck_assert_uint_eq(exp_critical_needed(m->plan), 3000);
    m->plan->class[0].max_failure_rate = 0.0003;
    ck_assert_uint_eq(exp_critical_needed(m->plan), 10000);
    m->plan->class[0].max_failure_rate = 0; /* a limit too, which no number of answers shows */
    ck_assert_uint_eq(exp_critical_needed(m->plan), 3000000);
    m->plan->class[0].max_failure_rate = m->plan->class[1].max_failure_rate = NAN;
    ck_assert_uint_eq(exp_critical_needed(m->plan), 0);
    made_free(m);
}
END_TEST

START_TEST(a_pilot_is_shown_before_and_after)
{
    struct made *m = made_new();
    struct exp_pilot_findings f = {.n_baseline = 1200, .n_candidate = 1300, .length = NAN, .answers = 0};
    strcpy(f.file, "measured.csv");
    exp_candidate_label(&m->d.search.entry[0].candidate, f.candidate, sizeof f.candidate);
    m->d.pilot = &f;
    m->d.npv_before = 111000;
    m->d.p_saving_before = 0.72;
    char *text = english(&m->d);
    assert_says(text, "Measured: 1,200 requests on full KV, 1,300 on h200-sxm TP 1 freekv:budget=1024");
    assert_says(text, "NPV, USD       111,000  350,000\n");
    assert_says(text, "P(saving > 0)     0.72     0.93\n");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(a_payback_that_many_draws_lack_says_how_likely_it_is)
{
    struct made *m = made_new();
    m->d.row[0].risk.p_payback = 0.41;
    char *text = english(&m->d);
    assert_says(text, "payback 11 months as");
    assert_says(text, "expected, within the horizon with P 0.41, P(saving > 0) 0.93");
    assert_says(text, "11 of 36 months as expected, within the");
    free(text);
    m->d.row[0].returns.payback_month = 1;
    m->d.row[0].risk.p_payback = 0.95;
    text = english(&m->d);
    assert_says(text, "payback 1 month,");
    assert_silent(text, "as expected, within");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(a_pilot_is_judged_where_nothing_can_be_recommended)
{
    struct made *m = made_new();
    struct exp_pilot_findings f = {.n_baseline = 12, .n_candidate = 13, .length = NAN};
    strcpy(f.file, "measured.csv");
    strcpy(f.candidate, "h200-sxm TP 1, kivi4");
    make_hopeless(&m->d);
    m->d.pilot = &f;
    char *text = english(&m->d);
    assert_says(text, "12 requests on full KV, 13 on h200-sxm TP 1, kivi4");
    assert_says(text, "STOP: no fleet meets the service levels");
    free(text);
    json_t *o = exp_decision_json(&m->d);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(o, "pilot"), "verdict")), "stop");
    ck_assert(json_is_null(json_object_get(json_object_get(o, "pilot"), "npv_after")));
    json_decref(o);
    made_free(m);
}
END_TEST

START_TEST(what_fresh_seeds_say_is_said_as_it_is)
{
    struct made *m = made_new();
    struct exp_entry *e = &m->d.search.entry[0];
    struct exp_sheet_options o = {.all = true};
    e->verified = e->checked = false;
    char *text = printed(&m->d, o, true);
    assert_says(text, "Not checked with fresh seeds");
    free(text);
    e->checked = true;
    e->fresh_at.feasible = false;
    text = printed(&m->d, o, true);
    assert_says(text, "replicas miss a service level with them");
    free(text);
    e->fresh_at.feasible = true;
    text = printed(&m->d, o, true);
    assert_says(text, "Fresh seeds do not agree");
    assert_says(text, "do, too. Replicas needed: between");
    free(text);
    e->n_replicas = 0;
    text = printed(&m->d, o, true);
    assert_says(text, "No replica is needed beside what there is.");
    free(text);
    made_free(m);
}
END_TEST

START_TEST(what_is_small_is_not_nothing_and_what_is_large_has_no_exponent)
{
    struct made *m = made_new();
    m->d.search.entry[0].rates.newly_failing = 0.0001;
    m->d.finalist[0].response.log_sd[EXP_DRIVE_HOST] = 0.7;
    m->d.row[0].risk.bar[0].input = EXP_INPUT_FAILURE_RATE;
    m->d.row[0].risk.bar[0].low_value = 0.2;
    m->d.row[0].risk.bar[0].high_value = 1;
    char *text = printed(&m->d, (struct exp_sheet_options){.all = true}, true);
    assert_says(text, "<0.1%");
    assert_says(text, "+-101 %");
    assert_says(text, " 100 % ");
    assert_silent(text, "1e+02");
    free(text);
    made_free(m);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("sheet");
    TCase *page = tcase_create("page"), *says = tcase_create("says"), *rest = tcase_create("rest");
    tcase_add_test(page, no_line_is_wider_than_the_page_in_either_language);
    tcase_add_test(page, long_names_of_cards_settings_and_classes_still_fit);
    tcase_add_test(page, what_moves_a_cursor_is_not_passed_on);
    tcase_add_test(page, bold_is_only_around_headings_and_only_when_asked);
    tcase_add_test(says, the_headline_is_the_decision_in_two_lines);
    tcase_add_test(says, an_api_that_costs_less_is_said_below_the_headline);
    tcase_add_test(says, ways_to_get_it_have_their_own_headline);
    tcase_add_test(says, what_there_is_is_kept_alone_or_with_more_beside_it);
    tcase_add_test(says, the_four_checks_stand_there_in_words_and_sign);
    tcase_add_test(says, an_attainment_is_never_rounded_up_to_its_goal);
    tcase_add_test(says, the_table_has_the_figures_of_the_rows);
    tcase_add_test(says, nothing_feasible_is_said_first_with_the_smallest_relaxation);
    tcase_add_test(says, candidates_that_nobody_scored_are_no_recommendation);
    tcase_add_test(says, what_is_not_known_is_a_question_mark_and_never_nan);
    tcase_add_test(says, the_tornado_shows_the_top_three_and_what_changes_the_answer);
    tcase_add_test(says, where_the_baseline_wins_the_next_candidate_is_doubted);
    tcase_add_test(says, reference_lines_prices_and_rollback_stand_beside_the_winner);
    tcase_add_test(says, losers_are_counted_or_listed_with_their_reasons);
    tcase_add_test(rest, flags_are_vllms_and_say_what_no_engine_ships);
    tcase_add_test(rest, fp8_is_a_flag_and_its_settings_are_sources);
    tcase_add_test(rest, the_bill_and_the_months_are_the_cash_flows);
    tcase_add_test(rest, markdown_tables_have_equal_cells_and_a_rule_under_their_heads);
    tcase_add_test(rest, markdown_says_what_the_terminal_says);
    tcase_add_test(rest, reasons_name_the_gpus_and_what_they_are_for);
    tcase_add_test(rest, reasons_name_the_money_where_gpus_are_the_same);
    tcase_add_test(rest, commands_measure_what_they_are_asked_to);
    tcase_add_test(rest, samples_that_are_needed_are_three_over_the_strictest_limit);
    tcase_add_test(rest, a_pilot_is_shown_before_and_after);
    tcase_add_test(rest, a_payback_that_many_draws_lack_says_how_likely_it_is);
    tcase_add_test(rest, a_pilot_is_judged_where_nothing_can_be_recommended);
    tcase_add_test(rest, what_fresh_seeds_say_is_said_as_it_is);
    tcase_add_test(rest, what_is_small_is_not_nothing_and_what_is_large_has_no_exponent);
    suite_add_tcase(s, page);
    suite_add_tcase(s, says);
    suite_add_tcase(s, rest);
    return s;
}
