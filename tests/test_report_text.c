#include "tests/report_help.h"

#include <csv.h>

/* ---- Markdown ---- */

static char *markdown(const json_t *doc, enum exp_language language)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(f);
    exp_report_markdown(doc, language, f);
    ck_assert_int_eq(fclose(f), 0);
    return text;
}

/* Bars that part cells: those behind no backslash. */
static size_t bars_of(const char *line, size_t n)
{
    size_t bars = 0;
    for (size_t i = 0; i < n; i++) {
        bars += line[i] == '|';
        i += line[i] == '\\';
    }
    return bars;
}

START_TEST(rows_of_a_markdown_table_have_equal_cells_whatever_their_texts_are)
{
    for (int i = 0; i < N_HOSTILE; i++) {
        json_t *doc = sample_doc(hostile_texts[i]);
        char *text = markdown(doc, EXP_ENGLISH);
        size_t expected = 0, n_tables = 0;
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
            size_t n = strcspn(line, "\n");
            if (*line != '|') {
                expected = 0;
                continue;
            }
            n_tables += expected == 0;
            if (!expected) expected = bars_of(line, n);
            ck_assert_msg(bars_of(line, n) == expected, "%.*s", (int)n, line);
        }
        ck_assert_uint_eq(n_tables, 7); /* one table, six charts */
        free(text);
        json_decref(doc);
    }
}
END_TEST

/* Outside of code, where everything is text. */
START_TEST(markdown_lets_no_text_become_markup_or_a_control_code)
{
    for (int i = 0; i < N_HOSTILE; i++) {
        json_t *doc = sample_doc(hostile_texts[i]);
        char *text = markdown(doc, EXP_ENGLISH), *code = strstr(text, "```");
        ck_assert_ptr_nonnull(code);
        for (const char *at = text; *at; at++)
            ck_assert_msg((unsigned char)*at >= 0x20 || *at == '\n', "control code %d", *at);
        char *end = strstr(code + strspn(code, "`"), "```");
        ck_assert_ptr_nonnull(end);
        memset(code, ' ', (size_t)(end + strspn(end, "`") - code));
        for (const char *at = text; *at; at++) {
            unsigned char c = (unsigned char)*at, before = at > text ? (unsigned char)at[-1] : ' ';
            ck_assert_msg(!strchr("<`*", c) || before == '\\', "%.40s", at);
            ck_assert_msg(strncmp(at, "](", 2) != 0 || before == '\\', "%.40s", at);
        }
        free(text);
        json_decref(doc);
    }
}
END_TEST

START_TEST(texts_that_begin_like_a_list_or_a_heading_stay_paragraphs)
{
    static const char *const texts[][2] = {{"- FAIL", "\\- FAIL\n"},
                                           {"# 1", "\\# 1\n"},
                                           {"12. December", "12\\. December\n"},
                                           {"> 3", "\\> 3\n"},
                                           {"1.5 s", "1.5 s\n"},
                                           {"16 x H200", "16 x H200\n"},
                                           {"a_b __c__ -> d", "a_b \\_\\_c\\_\\_ -> d\n"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *doc = exp_doc_new("run", "x", NULL), *section = exp_doc_section(doc, "s", "S");
        exp_doc_text(section, EXP_PLAIN_TONE, texts[i][0], NULL);
        char *text = markdown(doc, EXP_ENGLISH), *at = strstr(text, "## S\n\n");
        ck_assert_ptr_nonnull(at);
        ck_assert_msg(strncmp(at + 6, texts[i][1], strlen(texts[i][1])) == 0, "%s", at);
        free(text);
        json_decref(doc);
    }
}
END_TEST

START_TEST(code_ends_where_its_text_does)
{
    json_t *doc = exp_doc_new("run", "x", NULL), *section = exp_doc_section(doc, "s", "S");
    exp_doc_code(section, "a\n```\n# no heading\n`````\nb");
    char *text = markdown(doc, EXP_ENGLISH);
    ck_assert_ptr_nonnull(strstr(text, "\n``````\na\n```\n# no heading\n`````\nb\n``````\n"));
    free(text);
    json_decref(doc);
}
END_TEST

/* Of a table in Markdown, by its heading: the cell of a row (0 = head) and column, trimmed. */
static const char *cell_of(const char *text, const char *heading, int row, int column)
{
    static char cell[200];
    const char *at = strstr(text, heading);
    ck_assert_msg(at != NULL, "no %s in %s", heading, text);
    at = strstr(at, "\n|");
    ck_assert_ptr_nonnull(at);
    for (int r = 0; r < row + (row > 0); r++) at = strchr(at + 1, '\n');
    ck_assert_msg(at[1] == '|', "%s has no row %d", heading, row);
    at += 2;
    for (int c = 0; c < column; c++) at = strchr(at, '|') + 1;
    at += strspn(at, " ");
    size_t n = strcspn(at, "|\n");
    while (n && at[n - 1] == ' ') n--;
    snprintf(cell, sizeof cell, "%.*s", (int)n, at);
    return cell;
}

START_TEST(charts_in_markdown_show_points_that_are_there)
{
    json_t *doc = sample_doc("x");
    char *text = markdown(doc, EXP_ENGLISH);
    ck_assert_str_eq(cell_of(text, "### Latency", 0, 0), "time, s");
    ck_assert_str_eq(cell_of(text, "### Latency", 1, 0), "0");
    ck_assert_str_eq(cell_of(text, "### Latency", 1, 1), "1.5 [1, 2]");
    ck_assert_str_eq(cell_of(text, "### Latency", 12, 0), "41"); /* the last of at most twelve */
    ck_assert_str_eq(cell_of(text, "### Latency", 12, 1), "");
    ck_assert_ptr_nonnull(strstr(text, "Some of its points; all are in lines.csv"));
    ck_assert_str_eq(cell_of(text, "### Front", 2, 1), "freekv:budget=1024");
    ck_assert_str_eq(cell_of(text, "### Cost", 2, 0), "second");
    ck_assert_str_eq(cell_of(text, "### Cost", 2, 1), "11");
    ck_assert_str_eq(cell_of(text, "### NPV", 2, 4), "4");
    ck_assert_str_eq(cell_of(text, "### x", 2, 1), "1235");
    free(text);
    text = markdown(doc, EXP_JAPANESE);
    ck_assert_str_eq(cell_of(text, "### NPV", 0, 2), "下限");
    ck_assert_ptr_nonnull(strstr(text, "全ての点はlines.csvに"));
    free(text);
    json_decref(doc);
}
END_TEST

/* Two series over other x but the same shares: read at equal shares. */
START_TEST(distributions_are_read_at_equal_shares)
{
    json_t *doc = exp_doc_new("run", "x", NULL), *section = exp_doc_section(doc, "s", "S");
    json_t *chart = exp_doc_chart(section, "cdf", "Latency", EXP_LINES);
    exp_doc_x(chart, "latency", "ms", EXP_LINEAR);
    exp_doc_y(chart, "share", "%", EXP_LINEAR);
    for (int s = 1; s <= 2; s++) {
        json_t *series = exp_doc_series(chart, s == 1 ? "a" : "b");
        for (int i = 0; i <= 110; i++) exp_doc_xy(series, s * (10 + i), i * 100 / 110.0);
    }
    char *text = markdown(doc, EXP_ENGLISH);
    ck_assert_str_eq(cell_of(text, "### Latency", 0, 0), "share, %");
    ck_assert_str_eq(cell_of(text, "### Latency", 7, 1), "70"); /* the seventh of twelve: i = 60 */
    ck_assert_str_eq(cell_of(text, "### Latency", 7, 2), "140");
    free(text);
    json_decref(doc);
}
END_TEST

START_TEST(many_series_are_rows)
{
    json_t *doc = exp_doc_new("run", "x", NULL), *section = exp_doc_section(doc, "s", "S");
    json_t *chart = exp_doc_chart(section, "c", "Wide", EXP_LINES);
    for (int s = 0; s < 20; s++) {
        char name[24];
        snprintf(name, sizeof name, "s%d", s);
        json_t *series = exp_doc_series(chart, name);
        for (int i = 0; i < 3; i++) exp_doc_xy(series, i, 100 * s + i);
    }
    char *text = markdown(doc, EXP_ENGLISH);
    ck_assert_str_eq(cell_of(text, "### Wide", 20, 0), "s19");
    ck_assert_str_eq(cell_of(text, "### Wide", 20, 3), "1902");
    ck_assert_ptr_null(strstr(text, "Some of its points"));
    free(text);
    json_decref(doc);
}
END_TEST

/* ---- CSV ---- */

struct cells {
    char text[4000][60];
    int row_of[4000], n, n_rows;
};

static void take_cell(void *cell, size_t size, void *user)
{
    struct cells *c = user;
    ck_assert_int_lt(c->n, 4000);
    snprintf(c->text[c->n], sizeof c->text[0], "%.*s", (int)size, cell ? (char *)cell : "");
    c->row_of[c->n++] = c->n_rows;
}

static void take_row(int end, void *user)
{
    (void)end;
    ((struct cells *)user)->n_rows++;
}

static const struct cells *read_csv(const char *folder, const char *id)
{
    static struct cells c;
    struct csv_parser parser;
    char path[4400], bytes[4096];
    snprintf(path, sizeof path, "%s/%s/%s.csv", test_dir(), folder, id);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    memset(&c, 0, sizeof c);
    ck_assert_int_eq(csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI), 0);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        ck_assert_uint_eq(csv_parse(&parser, bytes, n, take_cell, take_row, &c), n);
    ck_assert_int_eq(csv_fini(&parser, take_cell, take_row, &c), 0);
    csv_free(&parser);
    fclose(f);
    return &c;
}

static int csv_of(const json_t *doc, const char *folder, enum exp_language language)
{
    struct sim_status st = {0};
    char dir[4200];
    int n = 0;
    snprintf(dir, sizeof dir, "%s/%s", test_dir(), folder);
    ck_assert_msg(exp_report_csv(doc, language, dir, &n, &st), "%s", st.message);
    return n;
}

START_TEST(cells_are_read_back_from_csv_as_they_were)
{
    for (int i = 0; i < N_HOSTILE; i++) {
        json_t *doc = sample_doc(hostile_texts[i]);
        ck_assert_int_eq(csv_of(doc, "hostile", EXP_ENGLISH), 7);
        const struct cells *c = read_csv("hostile", "table");
        const json_t *rows = json_object_get(part_of(doc, "table", "table"), "rows");
        ck_assert_int_eq(c->n, 3 * 4);
        for (int r = 1; r <= 3; r++) {
            const char *text = json_string_value(json_array_get(json_array_get(rows, (size_t)r - 1), 0));
            const char *got = c->text[3 * r];
            ck_assert_int_eq(c->row_of[3 * r], r);
            ck_assert_msg(!*got || !strchr("=+-@\t\r", *got), "a formula: %s", got);
            if (*got == '\'') got++;
            ck_assert_msg(strncmp(got, text, 59) == 0, "%s, not %s", got, text);
            ck_assert_double_eq_tol(atof(c->text[3 * r + 1]), (r - 1) * 1234.5678, 1e-8);
        }
        ck_assert_str_eq(c->text[3 * 2 + 2], ""); /* not known */
        json_decref(doc);
    }
}
END_TEST

START_TEST(a_charts_csv_has_every_point_of_every_series)
{
    json_t *doc = sample_doc("x");
    csv_of(doc, "charts", EXP_ENGLISH);
    const struct cells *c = read_csv("charts", "lines");
    ck_assert_int_eq(c->n_rows, 1 + 41);
    ck_assert_str_eq(c->text[1], "time (s)");
    ck_assert_str_eq(c->text[3], "low");
    for (int i = 0; i < 40; i++) {
        ck_assert_str_eq(c->text[5 * (i + 1)], "full");
        for (int k = 1; k < 5; k++) {
            const double expected[] = {i, 1.5 + i, 1 + i, 2 + i};
            ck_assert_double_eq(atof(c->text[5 * (i + 1) + k]), expected[k - 1]);
        }
    }
    c = read_csv("charts", "ranges");
    ck_assert_int_eq(c->n_rows, 3);
    ck_assert_str_eq(c->text[5 * 2 + 1], "second");
    ck_assert_str_eq(c->text[5 * 2 + 4], "4");
    c = read_csv("charts", "scatter");
    ck_assert_str_eq(c->text[4 * 2 + 3], "freekv:budget=1024");
    csv_of(doc, "charts-ja", EXP_JAPANESE);
    ck_assert_str_eq(read_csv("charts-ja", "ranges")->text[2], "下限");
    json_decref(doc);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("report_text");
    TCase *t = tcase_create("report_text");
    tcase_add_test(t, rows_of_a_markdown_table_have_equal_cells_whatever_their_texts_are);
    tcase_add_test(t, markdown_lets_no_text_become_markup_or_a_control_code);
    tcase_add_test(t, texts_that_begin_like_a_list_or_a_heading_stay_paragraphs);
    tcase_add_test(t, code_ends_where_its_text_does);
    tcase_add_test(t, charts_in_markdown_show_points_that_are_there);
    tcase_add_test(t, distributions_are_read_at_equal_shares);
    tcase_add_test(t, many_series_are_rows);
    tcase_add_test(t, cells_are_read_back_from_csv_as_they_were);
    tcase_add_test(t, a_charts_csv_has_every_point_of_every_series);
    suite_add_tcase(s, t);
    return s;
}
