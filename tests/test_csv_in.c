/* The CSV and line readers: oracles are the rows that RFC 4180 says are there, and a public file's row count.
 */
#include "tests/harness.h"

#include "sim/csv_in.h"
#include "sim/line_in.h"
#include "sim/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* All cells as "a|b/c|d": fields between |, rows between /. */
struct dump {
    char text[512];
    uint64_t lines[16], n_rows;
    uint64_t stop_at; /* row index; UINT64_MAX: never */
};

static bool dump_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct dump *d = user;
    (void)st;
    if (index == d->stop_at) return false;
    if (index > 0) strcat(d->text, "/");
    for (uint32_t i = 0; i < row->n_fields; i++) {
        if (i > 0) strcat(d->text, "|");
        strcat(d->text, row->field[i]);
        ck_assert_uint_eq(strlen(row->field[i]), row->length[i]);
    }
    if (d->n_rows < 16) d->lines[d->n_rows] = row->line;
    d->n_rows++;
    return true;
}

static struct dump dump_file(const char *path)
{
    struct dump d = {.stop_at = UINT64_MAX};
    struct sim_status st = {0};
    bool ok = sim_csv_read(path, dump_row, &d, &st);
    ck_assert_msg(ok, "%s", st.message);
    return d;
}

static void expect(const char *text, const char *cells)
{
    struct dump d = dump_file(test_file("in.csv", text));
    ck_assert_str_eq(d.text, cells);
}

static void expect_error_in(const char *path, const char *needle)
{
    struct dump d = {.stop_at = UINT64_MAX};
    struct sim_status st = {0};
    ck_assert(!sim_csv_read(path, dump_row, &d, &st));
    ck_assert_int_eq(st.code, SIM_EXIT_FAILURE);
    ck_assert_msg(strstr(st.message, needle), "\"%s\" is not in \"%s\"", needle, st.message);
    ck_assert_ptr_null(strchr(st.message, '\n'));
}

static const char *write_bytes(const char *name, const void *bytes, size_t n)
{
    const char *path = test_file(name, "");
    FILE *f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

static const char *write_gz(const char *name, const char *text)
{
    const char *path = test_file(name, "");
    gzFile f = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(f, text, (unsigned)strlen(text)), (int)strlen(text));
    ck_assert_int_eq(gzclose(f), Z_OK);
    return path;
}

START_TEST(line_ends_of_every_kind_give_the_same_rows)
{
    expect("a,b\n1,2\n3,4\n", "a|b/1|2/3|4");
    expect("a,b\r\n1,2\r\n3,4\r\n", "a|b/1|2/3|4");
    expect("a,b\r\n1,2\r\n3,4", "a|b/1|2/3|4");
    expect("a,b\n1,2\n3,4", "a|b/1|2/3|4");
    expect("\xef\xbb\xbf"
           "a,b\n1,2\n3,4",
           "a|b/1|2/3|4");
}
END_TEST

START_TEST(blank_lines_and_comments_are_no_rows_and_lines_keep_their_numbers)
{
    struct dump d = dump_file(test_file("c.csv", "# made by hand\n\na,b\n\n  \n1,2\n#x,y\n3,4\n"));
    ck_assert_str_eq(d.text, "a|b/1|2/3|4");
    ck_assert_uint_eq(d.lines[0], 3);
    ck_assert_uint_eq(d.lines[1], 6);
    ck_assert_uint_eq(d.lines[2], 8);
}
END_TEST

START_TEST(quotes_follow_rfc_4180_and_may_hold_delimiters_quotes_and_lines)
{
    expect("a,b\n\"1,5\",\"say \"\"hi\"\"\"\n", "a|b/1,5|say \"hi\"");
    struct dump d = dump_file(test_file("q.csv", "a,b\n1,\"two\n\n# lines\"\n3,4\n"));
    ck_assert_str_eq(d.text, "a|b/1|two\n\n# lines/3|4");
    ck_assert_uint_eq(d.lines[1], 2);
    ck_assert_uint_eq(d.lines[2], 5);
}
END_TEST

START_TEST(the_delimiter_is_a_comma_else_a_tab_else_a_semicolon)
{
    expect("a\tb;c\n1\t2;3\n", "a|b;c/1|2;3");
    expect("a;b\n1;2,5\n", "a|b/1|2,5");
    expect("a;x,b\n1;2,3\n", "a;x|b/1;2|3");
    expect("\"a,x\";b\n1;2\n", "a,x|b/1|2");
    expect("alone\n1\n", "alone/1");
}
END_TEST

START_TEST(gzip_reads_as_the_plain_text_and_a_cut_one_is_refused)
{
    const char *path = write_gz("z.csv.gz", "a,b\n1,2\n");
    struct dump d = dump_file(path);
    ck_assert_str_eq(d.text, "a|b/1|2");
    ck_assert_int_eq(truncate(path, 20), 0);
    expect_error_in(path, "cannot be read further");
}
END_TEST

/* A quoted field in a row sends it through libcsv; without one it is split directly. Both must agree. */
START_TEST(rows_with_and_without_quotes_are_split_alike)
{
    static const char *const rows[] = {"1,2,3", " 1 ,\t2\t, 3 ", ",,", "a b , c d,  ", "1,2,3,", "\t,\t,\t"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        snprintf(text, sizeof text, "x,y\n%s,z\n%s,\"z\"\n", rows[i], rows[i]);
        struct dump d = dump_file(test_file("alike.csv", text));
        char *plain = strchr(d.text, '/') + 1, *quoted = strchr(plain, '/');
        *quoted++ = '\0';
        ck_assert_str_eq(plain, quoted);
    }
    expect("a\tb\n 1 \t\t\n", "a|b/1||");
}
END_TEST

START_TEST(a_callback_can_stop_without_an_error)
{
    struct dump d = {.stop_at = 2};
    struct sim_status st = {0};
    ck_assert(sim_csv_read(test_file("s.csv", "a\n1\n2\n3\n"), dump_row, &d, &st));
    ck_assert_str_eq(d.text, "a/1");
    ck_assert_int_eq(st.code, SIM_EXIT_OK);
}
END_TEST

START_TEST(rows_longer_than_any_buffer_arrive_whole)
{
    size_t n = 3 << 20;
    char *text = sim_alloc(n + 16, 1);
    memcpy(text, "a,b\n", 4);
    memset(text + 4, 'x', n);
    strcpy(text + 4 + n, ",2\n");
    struct sim_status st = {0};
    struct sim_lines *in = sim_lines_open(write_bytes("long.csv", text, strlen(text)), &st);
    struct sim_line line;
    ck_assert(sim_lines_next(in, &line, &st) && sim_lines_next(in, &line, &st));
    ck_assert_uint_eq(line.length, n + 2);
    ck_assert(memcmp(line.text, text + 4, line.length) == 0);
    ck_assert(!sim_lines_next(in, &line, &st));
    ck_assert_int_eq(st.code, SIM_EXIT_OK);
    sim_lines_close(in);
    free(text);
}
END_TEST

START_TEST(peeking_leaves_the_line_to_be_read)
{
    struct sim_status st = {0};
    struct sim_lines *in = sim_lines_open(test_file("p.txt", "\n# no\nfirst\nsecond\n"), &st);
    struct sim_line line;
    ck_assert(sim_lines_peek(in, &line, &st));
    ck_assert_uint_eq(line.number, 3);
    ck_assert(sim_lines_next(in, &line, &st));
    ck_assert(line.length == 5 && memcmp(line.text, "first", 5) == 0);
    ck_assert(sim_lines_next(in, &line, &st));
    ck_assert(line.length == 6 && memcmp(line.text, "second", 6) == 0);
    sim_lines_close(in);
}
END_TEST

START_TEST(what_is_no_text_file_is_refused_with_its_name_and_line)
{
    expect_error_in(test_dir(), "is a directory");
    expect_error_in("/nonexistent/x.csv", "cannot be opened");
    expect_error_in(test_file("empty.csv", ""), "empty.csv:1: file is empty");
    expect_error_in(test_file("blank.csv", "\n# only\n"), "blank.csv:1: has no header");
    expect_error_in(test_file("lfs.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
                    "is a git-LFS pointer");
    expect_error_in(write_bytes("nul.csv", "a,b\n1,\0\n", 8), "nul.csv:2: holds a NUL byte");
    expect_error_in(write_bytes("u16.csv",
                                "\xff\xfe"
                                "a\0,\0b\0\n\0",
                                10),
                    "UTF-16");
}
END_TEST

START_TEST(quotes_that_do_not_match_are_refused_at_their_line)
{
    expect_error_in(test_file("open.csv", "a,b\n1,2\n3,\"4\n5,6\n"), "open.csv:3: has a quote");
    expect_error_in(test_file("mid.csv", "a,b\n1,2\"5\n"), "mid.csv:2: has a quote");
    expect_error_in(test_file("after.csv", "a,b\n\"1\"x,2\n"), "after.csv:2: has a quote");
}
END_TEST

START_TEST(a_row_of_too_many_fields_is_refused)
{
    char *text = sim_alloc(70008, 1);
    memcpy(text, "a,b\n", 4);
    memset(text + 4, ',', 70000);
    expect_error_in(test_file("wide.csv", text), "wide.csv:2: has more than 65536 fields");
    free(text);
}
END_TEST

START_TEST(a_line_over_64_mib_is_refused_before_it_is_read_whole)
{
    const char *path = test_file("huge.csv.gz", "");
    gzFile f = gzopen(path, "wb1");
    char block[65536];
    memset(block, '1', sizeof block);
    gzputs(f, "a\n");
    for (int i = 0; i < 1040; i++) gzwrite(f, block, sizeof block);
    gzclose(f);
    expect_error_in(path, "huge.csv.gz:2: line is longer than 64 MiB");
}
END_TEST

/* Cells of column b, one after another. */
struct cells {
    bool good[32];
    double reals[32];
    uint64_t counts[32];
    char message[1024];
};

static bool take_double(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct cells *c = user;
    struct sim_status own = {0};
    (void)st;
    if (index == 0) return true;
    c->good[index] = sim_csv_double(row, 1, "b", &c->reals[index], &own);
    if (!c->good[index]) memcpy(c->message, own.message, sizeof own.message);
    return true;
}

static bool take_u64(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct cells *c = user;
    struct sim_status own = {0};
    (void)st;
    if (index == 0) return true;
    c->good[index] = sim_csv_u64(row, 1, "b", &c->counts[index], &own);
    if (!c->good[index]) memcpy(c->message, own.message, sizeof own.message);
    return true;
}

START_TEST(decimal_cells_are_finite_decimals_or_errors)
{
    struct cells c = {0};
    struct sim_status st = {0};
    const char *path = test_file("d.csv", "a,b\n"
                                          "x,1.5\nx,-2e-3\nx, 7 \nx,+.5\n"
                                          "x,nan\nx,inf\nx,0x10\nx,1e999\nx,\nx,1 2\nx,1.5s\nx\nx,--1\n");
    ck_assert(sim_csv_read(path, take_double, &c, &st));
    const double good[] = {0, 1.5, -2e-3, 7, 0.5};
    for (int i = 1; i <= 4; i++) {
        ck_assert_msg(c.good[i], "row %d", i);
        ck_assert(c.reals[i] == good[i]);
    }
    for (int i = 5; i <= 13; i++) ck_assert_msg(!c.good[i], "row %d", i);
    ck_assert_ptr_nonnull(
        strstr(c.message, "d.csv:14: column b: \"--1\" found, expected a finite decimal number"));
}
END_TEST

START_TEST(whole_number_cells_stop_at_64_bits)
{
    struct cells c = {0};
    struct sim_status st = {0};
    const char *path =
        test_file("u.csv", "a,b\n"
                           "x,0\nx,18446744073709551615\nx,374.0\nx,374.\n"
                           "x,18446744073709551616\nx,99999999999999999999\nx,-1\nx,1.5\nx,\nx,1e3\n");
    ck_assert(sim_csv_read(path, take_u64, &c, &st));
    const uint64_t good[] = {0, 0, UINT64_MAX, 374, 374};
    for (int i = 1; i <= 4; i++) {
        ck_assert_msg(c.good[i], "row %d", i);
        ck_assert_uint_eq(c.counts[i], good[i]);
    }
    for (int i = 5; i <= 10; i++) ck_assert_msg(!c.good[i], "row %d", i);
}
END_TEST

START_TEST(messages_show_hostile_text_short_and_printable)
{
    char bytes[300];
    memset(bytes, '\x1b', sizeof bytes);
    struct sim_excerpt e = sim_excerpt(bytes, sizeof bytes);
    ck_assert_str_eq(e.text, "????????????????????????????????????????...");
    ck_assert_str_eq(sim_excerpt("ok", 2).text, "ok");
}
END_TEST

START_TEST(a_public_file_without_a_last_newline_gives_all_its_rows)
{
    const char *path = TEST_SHARED("traces/azure-2023/AzureLLMInferenceTrace_conv.csv");
    struct sim_status st = {0};
    struct sim_lines *in = sim_lines_open(path, &st);
    struct sim_line line;
    uint64_t n = 0;
    while (sim_lines_next(in, &line, &st)) n++;
    ck_assert_uint_eq(n, 19367);
    ck_assert(line.length > 8 && memcmp(line.text + line.length - 8, ",197,183", 8) == 0);
    sim_lines_close(in);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("csv_in");
    TCase *rows = tcase_create("rows"), *bad = tcase_create("bad input"), *cells = tcase_create("cells");
    tcase_add_test(rows, line_ends_of_every_kind_give_the_same_rows);
    tcase_add_test(rows, blank_lines_and_comments_are_no_rows_and_lines_keep_their_numbers);
    tcase_add_test(rows, quotes_follow_rfc_4180_and_may_hold_delimiters_quotes_and_lines);
    tcase_add_test(rows, the_delimiter_is_a_comma_else_a_tab_else_a_semicolon);
    tcase_add_test(rows, gzip_reads_as_the_plain_text_and_a_cut_one_is_refused);
    tcase_add_test(rows, rows_with_and_without_quotes_are_split_alike);
    tcase_add_test(rows, a_callback_can_stop_without_an_error);
    tcase_add_test(rows, rows_longer_than_any_buffer_arrive_whole);
    tcase_add_test(rows, peeking_leaves_the_line_to_be_read);
    tcase_add_test(rows, a_public_file_without_a_last_newline_gives_all_its_rows);
    tcase_add_test(bad, what_is_no_text_file_is_refused_with_its_name_and_line);
    tcase_add_test(bad, quotes_that_do_not_match_are_refused_at_their_line);
    tcase_add_test(bad, a_row_of_too_many_fields_is_refused);
    tcase_add_test(bad, a_line_over_64_mib_is_refused_before_it_is_read_whole);
    tcase_add_test(cells, decimal_cells_are_finite_decimals_or_errors);
    tcase_add_test(cells, whole_number_cells_stop_at_64_bits);
    tcase_add_test(cells, messages_show_hostile_text_short_and_printable);
    suite_add_tcase(s, rows);
    suite_add_tcase(s, bad);
    suite_add_tcase(s, cells);
    return s;
}
