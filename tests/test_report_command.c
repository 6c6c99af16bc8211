/* `kvsim report` as a user meets it, and the documents that other commands leave for it. */
#include "experiments/report/report.h"
#include "tests/command_help.h"

enum { FILE_BYTES = 4 << 20 };

/* A file of the test's folder; free with free(). */
static char *file_of(const char *name)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    char *text = sim_alloc(FILE_BYTES, 1);
    ck_assert_uint_lt(fread(text, 1, FILE_BYTES - 1, f), FILE_BYTES - 1);
    fclose(f);
    return text;
}

static json_t *document_of(const char *folder)
{
    struct sim_status st = {0};
    char path[4400];
    snprintf(path, sizeof path, "%s/%s/report.json", test_dir(), folder);
    json_t *doc = exp_report_read(path, &st);
    ck_assert_msg(doc != NULL, "%s", st.message);
    return doc;
}

static void run(void)
{
    scenario();
    works("run s.yaml --out run");
}

static void study(void)
{
    scenario();
    test_file("study.yaml", "scenario: s.yaml\n"
                            "grid:\n"
                            "  strategy: [full, fp8]\n"
                            "  workload.open_loop.request_rate: [2, 8]\n");
    works("sweep study.yaml --db points");
}

static void plan(void)
{
    test_file("plan.yaml", "model: llama-3.1-8b\n"
                           "load: {open_loop: {request_rate: 12, num_requests: 400, input_tokens: "
                           "'uniform:200:900', output_tokens: 'uniform:20:200'}}\n"
                           "slo: {ttft_ms: 1500, tpot_ms: 60, percentile: 95}\n"
                           "search: {gpu: l40s, tensor_parallel: 1, strategy: [full, fp8]}\n");
    works("plan plan.yaml --out plan");
}

static bool has(const char *text, const char *piece)
{
    return strstr(text, piece) != NULL;
}

/* ---- what is written ---- */

START_TEST(the_page_of_a_folder_is_the_one_that_its_run_wrote)
{
    run();
    char *first = file_of("run/report.html");
    const struct ran *r = works("report run");
    ck_assert_msg(has(r->err, "run/report.html: ") && has(r->err, " KB\n"), "%s", r->err);
    ck_assert(has(r->err, "next: open run/report.html in a browser"));
    char *again = file_of("run/report.html");
    ck_assert(strcmp(first, again) == 0);
    works("report run/report.json --out other.html");
    char *other = file_of("other.html");
    ck_assert(strcmp(first, other) == 0);
    works("report run/ --lang ja");
    char *ja = file_of("run/report.html");
    ck_assert(has(ja, "<html lang=\"ja\">") && has(ja, "サービス水準"));
    free(ja);
    free(other);
    free(again);
    free(first);
}
END_TEST

START_TEST(markdown_goes_to_standard_output_or_to_a_file)
{
    run();
    const char *printed = works("report run --format md")->out;
    ck_assert(strncmp(printed, "# ", 2) == 0 && has(printed, "\n## ") && has(printed, "\n| "));
    char *copy = sim_strdup(printed);
    const struct ran *r = works("report run --format md --out run.md");
    ck_assert_str_eq(r->out, "");
    char *file = file_of("run.md");
    ck_assert(strcmp(copy, file) == 0);
    ck_assert_str_eq(works("report run --format md --out -")->out, copy);
    ck_assert(has(works("report run --out -")->out, "<!DOCTYPE html>"));
    printed = works("report run --format md --lang ja")->out;
    ck_assert(has(printed, "\n## サービス水準"));
    free(file);
    free(copy);
}
END_TEST

START_TEST(csv_is_a_file_for_every_table_and_chart)
{
    run();
    json_t *doc = document_of("run"), *section, *part;
    size_t i, k;
    int n = 0;
    const struct ran *r = works("report run --format csv");
    json_array_foreach(json_object_get(doc, "sections"), i, section)
        json_array_foreach(json_object_get(section, "parts"), k, part)
    {
        const char *id = json_string_value(json_object_get(part, "id"));
        char name[200];
        if (!id) continue;
        snprintf(name, sizeof name, "run/report-csv/%s.csv", id);
        ck_assert_msg(there(name), "%s", name);
        n++;
    }
    ck_assert_int_gt(n, 8);
    ck_assert_int_eq(files_with("run/report-csv", ""), n);
    char *count = sim_printf("run/report-csv: %d files\n", n);
    ck_assert_str_eq(r->err, count);
    works("report run --format csv --out elsewhere");
    ck_assert_int_eq(files_with("elsewhere", "csv"), n);
    free(count);
    json_decref(doc);
}
END_TEST

START_TEST(a_database_is_known_by_its_content)
{
    study();
    const struct ran *r = works("report points");
    ck_assert(has(r->err, "next: open points.html in a browser"));
    ck_assert_int_eq(shell("cp points points.json &&", "--version", ">/dev/null"), 0);
    works("report points.json --out again.html");
    char *page = file_of("points.html"), *again = file_of("again.html");
    ck_assert(has(page, "\"kind\":\"study\"") && has(again, "\"kind\":\"study\""));
    r = works("report points --format md --study study");
    ck_assert(has(r->out, "fp8") && has(r->out, "request_rate"));
    works("report points --format csv");
    ck_assert_int_gt(files_with("points-csv", ".csv"), 3);
    fails("report points --study other", 1, "no study is called `other`, expected one of: study");
    free(again);
    free(page);
}
END_TEST

START_TEST(without_the_library_a_note_says_what_to_install)
{
    run();
    int code = shell("KVSIM_CHART_JS=/nowhere", "report run", "2>err.txt");
    char *said = file_of("err.txt"), *page = file_of("run/report.html");
    ck_assert_int_eq(code, 0);
    ck_assert(has(said, "install the package libjs-chart.js"));
    ck_assert_uint_lt(strlen(page), 150000);
    free(page);
    free(said);
    code = shell("KVSIM_CHART_JS=/nowhere", "run s.yaml --out other", ">/dev/null 2>err.txt");
    said = file_of("err.txt");
    ck_assert_int_eq(code, 0);
    ck_assert_msg(has(said, "install the package libjs-chart.js"), "%s", said);
    free(said);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(what_is_no_report_ends_in_one_line)
{
    test_file("empty", "");
    test_file("text.txt", "hello\n");
    test_file("short.json", "{\"kind\":\"run\"");
    test_file("lacks.json", "{\"kind\":\"run\"}");
    test_file("sqlite", "SQLite format 3 but no more");
    test_file("hostile.json",
              "{\"kind\":\"run\",\"title\":[\"x\"],\"subtitle\":[\"\"],\"version\":\"\",\"sections\":"
              "[{\"id\":\"../../x\",\"title\":\"\",\"parts\":[]}]}");
    fails("report", 2, "nothing to report on is given");
    fails("report a b", 2, "too many arguments: `b`");
    fails("report nothing", 1, "nothing: cannot be opened (No such file or directory)");
    fails("report .", 1,
          ".: holds no report.json, expected a folder that `kvsim run`, `compare`, `plan` or "
          "`validate` wrote with --out");
    fails("report empty", 1, "empty: is neither a report.json nor a study's database");
    fails("report text.txt", 1, "is neither");
    fails("report sqlite", 1, "sqlite");
    fails("report short.json", 1, "short.json:1: not valid JSON");
    fails("report lacks.json", 1, "lacks.json: title: is missing");
    fails("report hostile.json", 1, "hostile.json: sections[0].id: is `../../x`, expected up to 64 of a-z");
    fails("report /dev/null", 1, "/dev/null: is no file or folder");
    fails("report lacks.json --study x", 2, "--study: lacks.json is no database");
    fails("report lacks.json --format pdf", 2, "--format is `pdf`, expected one of: html, md, csv");
    fails("report lacks.json --lang fr", 2, "--lang is `fr`, expected one of: en, ja");
    fails("report lacks.json --out ''", 2, "--out is empty");
    fails("report run --format csv --out -", 2, "--out is -, expected a folder");
}
END_TEST

START_TEST(what_cannot_be_written_leaves_what_was_there)
{
    run();
    char *before = file_of("run/report.json");
    fails("report run --out nowhere/report.html", 1, "nowhere/report.html: cannot be written");
    fails("report run --out run", 1, "run: is a directory, expected a file");
    fails("report run/report.json --out run/report.json", 2, "is what is reported on and would be lost");
    fails("report run --out run/../run/report.json", 2, "is what is reported on and would be lost");
    fails("report run --format csv --out s.yaml", 1, "s.yaml");
    ck_assert_int_eq(shell("", "report run --format md", ">/dev/full 2>err.txt"), 1);
    char *said = file_of("err.txt"), *after = file_of("run/report.json");
    ck_assert(has(said, "standard output: cannot be written (No space left on device)"));
    ck_assert_int_eq(lines_of(said), 1);
    ck_assert(strcmp(before, after) == 0);
    free(said);
    fails("report run --out /dev/full", 1, "writing failed (No space left on device)");
    free(after);
    free(before);
}
END_TEST

/* A disk of 64 KiB, as far as a process can tell; the page is larger. */
START_TEST(a_full_disk_leaves_the_old_page_and_no_half_of_a_new_one)
{
    run();
    char *before = file_of("run/report.html");
    int code = shell("(trap '' XFSZ; ulimit -f 64; ", "report run --lang ja", "2>err.txt)");
    char *said = file_of("err.txt"), *after = file_of("run/report.html");
    ck_assert_int_eq(code, 1);
    ck_assert_msg(has(said, "run/report.html: writing failed (File too large)"), "%s", said);
    ck_assert(strcmp(before, after) == 0);
    ck_assert_int_eq(files_with("run", "tmp"), 0);
    free(said);
    free(after);
    free(before);
}
END_TEST

/* ---- Japanese ---- */

/* Words of the field that stay: no letters but those of units and abbreviations. */
static bool stays(const char *text)
{
    static const char *const kept[] = {"TTFT", "TPOT", "ITL", "E2EL", "SLA", "NPV", "KV", "GPU",
                                       "GPUs", "CPU",  "p50", "p90",  "p95", "p99", "TP"};
    char *copy = sim_strdup(text), *rest = copy;
    bool all = true;
    for (char *word = strtok(rest, " ,:()"); word; word = strtok(NULL, " ,:()")) {
        bool known = false, letters = false;
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) known |= strcmp(kept[i], word) == 0;
        for (const char *at = word; *at; at++)
            letters |= (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        all &= known || !letters;
    }
    free(copy);
    return all;
}

static int lacks(const char *what, const json_t *text)
{
    const char *english = json_string_value(text);
    if (!english || stays(english) || strcmp(exp_report_word(EXP_JAPANESE, english), english) != 0) return 0;
    printf("no Japanese for the %s: %s\n", what, english);
    return 1;
}

/* Those without which a reader does not find his way; the rest is said for who adds words. */
static int titles_lacking(const json_t *doc)
{
    const json_t *sections = json_object_get(doc, "sections");
    int n = lacks("title", json_array_get(json_object_get(doc, "title"), 0));
    for (size_t i = 0; i < json_array_size(sections); i++) {
        const json_t *section = json_array_get(sections, i), *parts = json_object_get(section, "parts");
        n += lacks("section", json_object_get(section, "title"));
        for (size_t k = 0; k < json_array_size(parts); k++) {
            const json_t *part = json_array_get(parts, k), *columns = json_object_get(part, "columns");
            n += lacks("table or chart", json_object_get(part, "title"));
            n += lacks("note", json_object_get(part, "note"));
            n += lacks("x axis", json_object_get(json_object_get(part, "x"), "title"));
            n += lacks("y axis", json_object_get(json_object_get(part, "y"), "title"));
            for (size_t c = 0; c < json_array_size(columns); c++)
                lacks("column", json_object_get(json_array_get(columns, c), "name"));
        }
    }
    return n;
}

START_TEST(every_title_of_what_commands_write_has_a_japanese_one)
{
    static const char *const folders[] = {"run", "compare", "plan", "validate"};
    run();
    plan();
    test_file("m.csv",
              "model_path,system,precision,isl,osl,concurrency,tp_size,backend_version,ttft_ms,tpot_ms\n"
              "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,4,1,0.12.0,100,10\n"
              "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,8,1,0.12.0,100,10\n");
    works("validate m.csv --replications 2 --out validate");
    works("compare s.yaml --strategies fp8,freekv --out compare");
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        json_t *doc = document_of(folders[i]);
        ck_assert_str_eq(json_string_value(json_object_get(doc, "kind")), folders[i]);
        ck_assert_int_eq(titles_lacking(doc), 0);
        json_decref(doc);
    }
}
END_TEST

/* A study's document is not kept: its page holds it in either language. */
START_TEST(every_heading_of_a_study_has_a_japanese_one)
{
    study();
    const char *text = works("report points --format md --lang ja")->out;
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        char *heading = sim_printf("%.*s", (int)strcspn(line, "\n"), line);
        bool plain = true;
        for (const char *at = heading; *at; at++) plain &= (unsigned char)*at < 0x80;
        if (strncmp(heading, "##", 2) == 0) ck_assert_msg(!plain || stays(heading), "%s", heading);
        free(heading);
        if (!line[strcspn(line, "\n")]) break;
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("report_command");
    TCase *t = tcase_create("report_command");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, the_page_of_a_folder_is_the_one_that_its_run_wrote);
    tcase_add_test(t, markdown_goes_to_standard_output_or_to_a_file);
    tcase_add_test(t, csv_is_a_file_for_every_table_and_chart);
    tcase_add_test(t, a_database_is_known_by_its_content);
    tcase_add_test(t, without_the_library_a_note_says_what_to_install);
    tcase_add_test(t, what_is_no_report_ends_in_one_line);
    tcase_add_test(t, what_cannot_be_written_leaves_what_was_there);
    tcase_add_test(t, a_full_disk_leaves_the_old_page_and_no_half_of_a_new_one);
    tcase_add_test(t, every_title_of_what_commands_write_has_a_japanese_one);
    tcase_add_test(t, every_heading_of_a_study_has_a_japanese_one);
    suite_add_tcase(s, t);
    return s;
}
