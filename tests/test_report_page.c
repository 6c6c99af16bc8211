#include "experiments/report/library.h"
#include "models/datadir.h"
#include "models/textfile.h"
#include "tests/report_help.h"

enum { PAGE_BYTES = 2000000, LIBRARY_BYTES = 4 << 20 };

static char *page_of(const json_t *doc, enum exp_language language)
{
    struct sim_status st = {0};
    char *text = NULL, *data_dir = mdl_data_dir(&st);
    size_t size = 0;
    ck_assert_msg(data_dir != NULL, "%s", st.message);
    FILE *f = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(f);
    ck_assert_msg(exp_report_html(doc, language, data_dir, f, &st), "%s", st.message);
    ck_assert_int_eq(fclose(f), 0);
    free(data_dir);
    return text;
}

static char *part_text(const char *name)
{
    struct sim_status st = {0};
    char *data_dir = mdl_data_dir(&st), *path = sim_printf("%s/experiments/report/%s", data_dir, name);
    size_t length;
    char *text = mdl_textfile_read(path, LIBRARY_BYTES, &length, &st);
    ck_assert_msg(text != NULL, "%s", st.message);
    free(path);
    free(data_dir);
    return text;
}

/* What stands in the element of an id, as a browser takes it: up to the first end of a script. */
static json_t *embedded(const char *page, const char *id)
{
    char *tag = sim_printf("<script type=\"application/json\" id=\"%s\">", id);
    const char *begin = strstr(page, tag);
    ck_assert_msg(begin != NULL, "no %s", tag);
    begin += strlen(tag);
    const char *end = strstr(begin, "</script");
    ck_assert_ptr_nonnull(end);
    json_error_t why;
    json_t *o = json_loadb(begin, (size_t)(end - begin), JSON_REJECT_DUPLICATES, &why);
    ck_assert_msg(o != NULL, "%s: %s", id, why.text);
    free(tag);
    return o;
}

/* Equal but for what is beyond nine digits. */
static bool alike(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *v;
    if (json_is_number(a) && json_is_number(b))
        return fabs(json_number_value(a) - json_number_value(b)) <= 1e-8 * fabs(json_number_value(a));
    if (json_is_array(a) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++)
            if (!alike(json_array_get(a, i), json_array_get(b, i))) return false;
        return json_is_array(b);
    }
    if (!json_is_object(a) || json_object_size(a) != json_object_size(b)) return json_equal(a, b);
    json_object_foreach((json_t *)a, key, v) if (!alike(v, json_object_get(b, key))) return false;
    return true;
}

START_TEST(nothing_in_a_page_asks_for_anything)
{
    static const char *const asking[] = {"http",           "src=",
                                         "fetch",          "url(",
                                         "@import",        "import(",
                                         "XMLHttpRequest", "<iframe",
                                         "sendBeacon",     "WebSocket",
                                         "EventSource",    "sourceMappingURL",
                                         "<base",          "navigator.serviceWorker"};
    for (int i = 0; i < N_HOSTILE; i++) {
        json_t *doc = sample_doc(hostile_texts[i]);
        char *page = page_of(doc, EXP_JAPANESE);
        for (size_t k = 0; k < sizeof asking / sizeof asking[0]; k++)
            ck_assert_msg(!strstr(page, asking[k]), "the page holds %s: %.60s", asking[k],
                          strstr(page, asking[k]));
        ck_assert_uint_eq(count_of(page, "<link"), 1); /* the empty icon, so that none is asked for */
        ck_assert_ptr_nonnull(strstr(page, "<link rel=\"icon\" href=\"data:,\">"));
        ck_assert_ptr_nonnull(strstr(page, "default-src 'none'"));
        free(page);
        json_decref(doc);
    }
}
END_TEST

START_TEST(no_text_leaves_the_place_where_it_was_put)
{
    for (int i = 0; i < N_HOSTILE; i++) {
        json_t *doc = sample_doc(hostile_texts[i]);
        char *page = page_of(doc, EXP_ENGLISH), *title = strstr(page, "<title>"),
             *template = part_text("page.html");
        ck_assert_uint_eq(count_of(page, "<script"), count_of(template, "<script"));
        ck_assert_uint_eq(count_of(page, "</script"), count_of(template, "</script"));
        ck_assert_uint_eq(count_of(page, "<!--"), 0);
        ck_assert_ptr_nonnull(title);
        ck_assert_uint_eq(strcspn(title + 7, "<"), (size_t)(strstr(title, "</title>") - title - 7));
        free(template);
        free(page);
        json_decref(doc);
    }
}
END_TEST

START_TEST(the_embedded_data_are_the_document_in_its_language)
{
    for (int i = 0; i < N_HOSTILE; i++)
        for (int language = EXP_ENGLISH; language <= EXP_JAPANESE; language++) {
            json_t *doc = sample_doc(hostile_texts[i]);
            json_t *expected = exp_report_translated(doc, (enum exp_language)language);
            char *page = page_of(doc, (enum exp_language)language);
            json_t *data = embedded(page, "data");
            ck_assert_msg(alike(expected, data), "%s", hostile_texts[i]);
            ck_assert_ptr_nonnull(
                strstr(page, language == EXP_JAPANESE ? "<html lang=\"ja\">" : "<html lang=\"en\">"));
            json_decref(data);
            json_decref(expected);
            free(page);
            json_decref(doc);
        }
}
END_TEST

START_TEST(every_mark_of_the_page_is_filled)
{
    json_t *doc = sample_doc("x");
    char *page = page_of(doc, EXP_ENGLISH), *template = part_text("page.html");
    static const char *const marks[] = {"TITLE", "LANG",  "STYLE",   "DATA",
                                        "WORDS", "CHART", "DRAWING", "SCRIPT"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        char *mark = sim_printf("@@%s@@", marks[i]);
        ck_assert_msg(strstr(template, mark) != NULL, "%s", mark);
        ck_assert_msg(!strstr(page, mark), "%s", mark);
        free(mark);
    }
    ck_assert_uint_eq(count_of(template, "@@"), 2 * sizeof marks / sizeof marks[0]);
    ck_assert_ptr_nonnull(strstr(page, "<title>A run of x</title>"));
    free(template);
    free(page);
    json_decref(doc);
}
END_TEST

/* page.js keeps them in one table, `const W = {...};`. */
START_TEST(every_word_of_the_page_has_a_japanese_one)
{
    json_t *doc = sample_doc("x");
    char *page = page_of(doc, EXP_JAPANESE), *english = page_of(doc, EXP_ENGLISH),
         *script = part_text("page.js");
    json_t *words = embedded(page, "words"), *none = embedded(english, "words");
    char *at = strstr(script, "const W = {"), *end = at ? strstr(at, "\n};") : NULL;
    size_t n = 0;
    ck_assert_ptr_nonnull(end);
    ck_assert_uint_eq(json_object_size(none), 0);
    for (*end = '\0'; (at = strchr(at, '"')); n++) {
        size_t length = strcspn(++at, "\"");
        char *word = sim_printf("%.*s", (int)length, at);
        ck_assert_msg(json_is_string(json_object_get(words, word)), "no Japanese for: %s", word);
        free(word);
        at += length + 1;
    }
    ck_assert_uint_gt(n, 20);
    ck_assert_uint_eq(json_object_size(words), n); /* and none that the page does not say */
    json_decref(none);
    json_decref(words);
    free(script);
    free(english);
    free(page);
    json_decref(doc);
}
END_TEST

START_TEST(twenty_strategies_with_time_lines_are_less_than_two_megabytes)
{
    json_t *doc = exp_doc_new("compare", "x", NULL), *section = exp_doc_section(doc, "s", "S");
    for (int c = 0; c < 8; c++) {
        json_t *chart = exp_doc_chart(section, "c", "C", EXP_LINES);
        for (int s = 0; s < 20; s++) {
            json_t *series = exp_doc_series(chart, "freekv:budget=1024");
            for (int i = 0; i < 5000; i++) exp_doc_xy(series, i * 0.1234, sin(i * 0.01 + s) * 100 / 3);
        }
    }
    exp_doc_finish(doc);
    char *page = page_of(doc, EXP_ENGLISH);
    ck_assert_uint_lt(strlen(page), PAGE_BYTES);
    ck_assert_uint_gt(strlen(page), 8 * 20 * EXP_DOC_POINTS * 4);
    free(page);
    json_decref(doc);
}
END_TEST

/* ---- the charts' library ---- */

START_TEST(banners_keep_licences_and_lose_addresses)
{
    static const struct {
        const char *text, *cleaned; /* NULL = not fit */
    } cases[] = {
        {"/*!\n * A v1\n * https://a.org\n * (c) 2022 A\n * MIT License\n */\nx()",
         "/*!\n * A v1\n * (c) 2022 A\n * MIT License\n */\nx()"},
        {"x();/*!\n * http://b.org\n */y()", "x();/*!\n */y()"},
        {"x('/*');y()", "x('/*');y()"},
        {"x('http://c.org')", NULL},
        {"/*! http://d.org */x()", NULL},
        {"/*!\n * http://e.org", NULL},
        {"x.src=1", NULL},
        {"fetch(x)", NULL},
        {"'</script>'", NULL},
        {"'<!--'", NULL},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = sim_strdup(cases[i].text);
        ck_assert_msg(exp_chart_library_clean(text) == (cases[i].cleaned != NULL), "%s", cases[i].text);
        if (cases[i].cleaned) ck_assert_str_eq(text, cases[i].cleaned);
        free(text);
    }
}
END_TEST

/* Without the package there is nothing to see here: what a page has then is the next test's. */
START_TEST(the_librarys_code_is_as_it_was)
{
    struct sim_status st = {0};
    size_t length;
    char *whole =
        mdl_textfile_read("/usr/share/javascript/chart.js/chart.min.js", LIBRARY_BYTES, &length, &st);
    char *cleaned = exp_chart_library();
    ck_assert(exp_report_has_charts() == (cleaned != NULL));
    if (whole && cleaned) {
        ck_assert_ptr_nonnull(
            strstr(cleaned, "(c) 2022 Chart.js Contributors\n * Released under the MIT License"));
        ck_assert_uint_lt(length - strlen(cleaned), 120); /* two lines of addresses */
        const char *code = strstr(whole, "*/"), *own = strstr(cleaned, "*/");
        size_t n = (size_t)(strstr(code + 2, "/*!") - code); /* the first banner to the second */
        ck_assert_int_eq(strncmp(code, own, n), 0);
        ck_assert_str_eq(strstr(code + n, "*/"), strstr(own + n, "*/"));
    }
    free(cleaned);
    free(whole);
}
END_TEST

START_TEST(a_page_without_the_library_has_everything_but_the_drawings)
{
    const char *other = test_file("other.js", "/*! Chart.js v9.0 */ chart()");
    const char *const places[] = {"/nowhere/chart.min.js", other, "/dev/zero"};
    json_t *doc = sample_doc("x");
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        ck_assert_int_eq(setenv("KVSIM_CHART_JS", places[i], 1), 0);
        ck_assert(!exp_report_has_charts());
        char *page = page_of(doc, EXP_ENGLISH);
        json_t *data = embedded(page, "data"), *expected = exp_report_translated(doc, EXP_ENGLISH);
        ck_assert(alike(expected, data));
        ck_assert_uint_lt(strlen(page), 150000);
        ck_assert_ptr_nonnull(strstr(page, "package libjs-chart.js"));
        json_decref(expected);
        json_decref(data);
        free(page);
    }
    unsetenv("KVSIM_CHART_JS");
    json_decref(doc);
}
END_TEST

START_TEST(a_page_whose_parts_are_missing_says_which)
{
    struct sim_status st = {0};
    json_t *doc = sample_doc("x");
    FILE *f = fopen("/dev/null", "w");
    ck_assert(!exp_report_html(doc, EXP_ENGLISH, test_dir(), f, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "/experiments/report/page.html: cannot be opened"));
    fclose(f);
    json_decref(doc);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("report_page");
    TCase *t = tcase_create("report_page");
    tcase_add_test(t, nothing_in_a_page_asks_for_anything);
    tcase_add_test(t, no_text_leaves_the_place_where_it_was_put);
    tcase_add_test(t, the_embedded_data_are_the_document_in_its_language);
    tcase_add_test(t, every_mark_of_the_page_is_filled);
    tcase_add_test(t, every_word_of_the_page_has_a_japanese_one);
    tcase_add_test(t, twenty_strategies_with_time_lines_are_less_than_two_megabytes);
    tcase_add_test(t, banners_keep_licences_and_lose_addresses);
    tcase_add_test(t, the_librarys_code_is_as_it_was);
    tcase_add_test(t, a_page_without_the_library_has_everything_but_the_drawings);
    tcase_add_test(t, a_page_whose_parts_are_missing_says_which);
    suite_add_tcase(s, t);
    return s;
}
