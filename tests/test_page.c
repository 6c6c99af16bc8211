/* The page: widths of letters, wrapped lines and tables, and the phrases of both languages. Oracles: the C library's table
 * of widths, the words that were put in, and figures that every language must have. */
#include <stdio.h>
#include <stdlib.h>

#include "experiments/page.h"
#include "experiments/planning/sheet/words.h"
#include "tests/page_help.h"

START_TEST(widths_of_letters_are_those_of_the_c_library)
{
    static const char *const texts[] = {
        "plain", "サーバー2台を購入（16 x H200）", "… → ÷ 「」、。", "한국어", "中文", "é", ""};
    ck_assert_ptr_nonnull(setlocale(LC_ALL, "C.UTF-8"));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_int_eq(exp_text_columns(texts[i]), width_of(texts[i], strlen(texts[i])));
    ck_assert_int_eq(exp_text_columns("\xff\xfe"), 2);
    ck_assert_int_eq(exp_text_columns("\xe3\x81"), 2);
}
END_TEST

static char *wrapped(const char *text)
{
    char *got;
    size_t size;
    FILE *out = open_memstream(&got, &size);
    exp_page_text(&(struct exp_page){.out = out}, 0, 2, text);
    fclose(out);
    return got;
}

START_TEST(wrapped_words_are_all_there_and_in_order)
{
    char text[900] = "", *at = text;
    for (int i = 0; i < 150; i++) at += sprintf(at, "%s%d", i ? " " : "", i);
    char *got = wrapped(text);
    assert_fits(got);
    int n = 0;
    for (char *word = strtok(got, " \n"); word; word = strtok(NULL, " \n"), n++)
        ck_assert_int_eq(atoi(word), n);
    ck_assert_int_eq(n, 150);
    free(got);
}
END_TEST

START_TEST(a_word_without_end_is_cut_and_japanese_does_not_begin_a_line_with_a_full_stop)
{
    char text[300];
    memset(text, 'x', 250);
    text[250] = '\0';
    char *got = wrapped(text);
    assert_fits(got);
    free(got);
    for (int shift = 0; shift < 6; shift++) {
        char japanese[400] = "";
        memset(japanese, 'a', (size_t)shift);
        for (int i = 0; i < 30; i++) strcat(japanese, "語語。");
        got = wrapped(japanese);
        assert_fits(got);
        ck_assert_ptr_null(strstr(got, "\n  。"));
        free(got);
    }
}
END_TEST

START_TEST(japanese_does_not_begin_a_line_with_a_small_letter)
{
    for (int shift = 0; shift < 4; shift++) {
        char japanese[400] = "";
        memset(japanese, 'a', (size_t)shift);
        for (int i = 0; i < 20; i++) strcat(japanese, "キャッシュ");
        char *got = wrapped(japanese);
        assert_fits(got);
        ck_assert_ptr_null(strstr(got, "\n  ャ"));
        ck_assert_ptr_null(strstr(got, "\n  ッ"));
        ck_assert_ptr_null(strstr(got, "\n  ュ"));
        free(got);
    }
}
END_TEST

START_TEST(control_characters_of_any_encoding_are_not_passed_on)
{
    char *got = wrapped("a\033b\xc2\x9b"
                        "c\x9b"
                        "d\xe2\x80\xae"
                        "e\xc0\x9b"
                        "f\x7fgé");
    ck_assert_str_eq(got, "a?b?c?d?e?f?gé\n");
    free(got);
}
END_TEST

/* ---- tables ---- */

static char *table(bool markdown, const char *const cells[], int n)
{
    char *got;
    size_t size;
    FILE *out = open_memstream(&got, &size);
    struct exp_grid g = {0};
    exp_grid_add_column(&g, "name", EXP_CELLS_LEFT);
    exp_grid_add_column(&g, "USD/\nmonth", EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, "head-\nroom", EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, "source", EXP_CELLS_WRAP);
    exp_grid_add_column(&g, "why", EXP_CELLS_BELOW);
    for (int i = 0; i < n; i++) exp_grid_add(&g, cells[i]);
    exp_page_grid(&(struct exp_page){.out = out, .markdown = markdown}, &g);
    fclose(out);
    return got;
}

static const char *const two_rows[] = {
    "a", "1", "1.24x", "here", "", "サーバー", "1,000", "2x", "there | and there", "because"};

START_TEST(numbers_stand_to_the_right_and_reasons_below_their_row)
{
    char *got = table(false, two_rows, 10);
    ck_assert_str_eq(got, "           USD/  head-\n"
                          "name      month   room  source\n"
                          "a             1  1.24x  here\n"
                          "サーバー  1,000     2x  there | and there\n"
                          "   why: because\n");
    free(got);
    got = table(true, two_rows, 10);
    ck_assert_str_eq(got, "\n| name | USD/month | headroom | source | why |\n"
                          "|---|---:|---:|---|---|\n"
                          "| a | 1 | 1.24x | here |  |\n"
                          "| サーバー | 1,000 | 2x | there \\| and there | because |\n");
    free(got);
    got = table(false, NULL, 0);
    ck_assert_str_eq(got, "");
    free(got);
}
END_TEST

START_TEST(a_cell_of_lines_is_one_line_in_markdown)
{
    const char *const cells[] = {"\nfirst", "a/\nb", "c-\nd", "\xc2\x9b", "e\nf"};
    char *got = table(true, cells, 5);
    ck_assert_msg(strstr(got, "|  first | a/b | cd | ? | e f |\n") != NULL, "%s", got);
    free(got);
}
END_TEST

START_TEST(a_table_of_any_content_fits_and_loses_no_letter)
{
    static const size_t lengths[] = {1, 7, 30, 90, 300};
    enum { KINDS = 5 };
    for (int a = 0; a < KINDS; a++)
        for (int b = 0; b < KINDS; b++)
            for (int c = 0; c < KINDS; c++) {
                char text[3][301] = {"", "", ""};
                memset(text[0], 'x', lengths[a]);
                memset(text[1], 'y', lengths[b]);
                memset(text[2], 'z', lengths[c]);
                const char *const cells[] = {text[0], text[1], "1", text[2], text[2]};
                char *got = table(false, cells, 5);
                size_t n[3] = {0};
                assert_fits(got);
                for (const char *at = got; *at; at++)
                    for (int i = 0; i < 3; i++) n[i] += *at == "xyz"[i];
                ck_assert_uint_eq(n[0], lengths[a]);
                ck_assert_uint_eq(n[1], lengths[b] + 1); /* and why */
                ck_assert_uint_eq(n[2], 2 * lengths[c]);
                free(got);
            }
}
END_TEST

/* ---- words ---- */

static unsigned arguments_of(const char *text)
{
    unsigned set = 0;
    for (; *text; text++)
        if (text[0] == '{' && text[1] >= '0' && text[1] <= '9' && text[2] == '}')
            set |= 1u << (text[1] - '0');
    return set;
}

START_TEST(both_languages_have_every_phrase_with_the_same_figures)
{
    for (int i = 0; i < EXP_N_PHRASES; i++) {
        const char *en = exp_phrase(EXP_ENGLISH, (enum exp_phrase)i);
        const char *ja = exp_phrase(EXP_JAPANESE, (enum exp_phrase)i);
        ck_assert_msg(*en && *ja, "phrase %d says nothing", i);
        ck_assert_msg(arguments_of(en) == arguments_of(ja), "%s / %s", en, ja);
    }
}
END_TEST

START_TEST(names_of_drivers_inputs_and_costs_are_translated)
{
    for (int i = 0; i < EXP_N_INPUTS; i++)
        ck_assert_msg(strcmp(exp_term(EXP_JAPANESE, exp_input_name(i)), exp_input_name(i)) != 0, "%s",
                      exp_input_name(i));
    for (int i = 0; i < EXP_N_COST_ITEMS; i++) {
        const char *name = exp_cost_item_name((enum exp_cost_item)i);
        ck_assert_msg(strcmp(exp_term(EXP_JAPANESE, name), name) != 0, "%s", name);
    }
    for (int i = 0; i < EXP_N_ACQUIRE; i++) {
        const char *name = exp_acquire_name((enum exp_acquire)i);
        ck_assert_msg(strcmp(exp_term(EXP_JAPANESE, name), name) != 0, "%s", name);
    }
    ck_assert_str_eq(exp_term(EXP_JAPANESE, "nobody's word"), "nobody's word");
}
END_TEST

START_TEST(figures_take_their_places_in_any_order)
{
    struct sim_arena *arena = sim_arena_new();
    const char *const args[] = {"21", "55", "68", NULL};
    ck_assert_str_eq(exp_phrase_fill(arena, EXP_ENGLISH, EXP_SAY_THROUGHPUT_IS, args),
                     "21 -> 55 req/s needed, 68 predicted");
    ck_assert_str_eq(exp_phrase_fill(arena, EXP_JAPANESE, EXP_SAY_PAYBACK_IS, args), "55か月中21か月");
    ck_assert_str_eq(
        exp_phrase_fill(arena, EXP_ENGLISH, EXP_SAY_MEASURE, (const char *const[]){"{0} {9}", NULL}),
        "Measure: {0} {9}");
    sim_arena_free(arena);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("page");
    TCase *t = tcase_create("page");
    tcase_add_test(t, widths_of_letters_are_those_of_the_c_library);
    tcase_add_test(t, wrapped_words_are_all_there_and_in_order);
    tcase_add_test(t, a_word_without_end_is_cut_and_japanese_does_not_begin_a_line_with_a_full_stop);
    tcase_add_test(t, numbers_stand_to_the_right_and_reasons_below_their_row);
    tcase_add_test(t, a_table_of_any_content_fits_and_loses_no_letter);
    tcase_add_test(t, japanese_does_not_begin_a_line_with_a_small_letter);
    tcase_add_test(t, control_characters_of_any_encoding_are_not_passed_on);
    tcase_add_test(t, a_cell_of_lines_is_one_line_in_markdown);
    tcase_add_test(t, both_languages_have_every_phrase_with_the_same_figures);
    tcase_add_test(t, names_of_drivers_inputs_and_costs_are_translated);
    tcase_add_test(t, figures_take_their_places_in_any_order);
    suite_add_tcase(s, t);
    return s;
}
