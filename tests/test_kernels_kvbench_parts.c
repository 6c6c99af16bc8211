/* The parts of the measuring program: its readers against bad input, its tables against torn lines and full disks,
 * and who owns which page in a replay. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/kvbench/arch.h"
#include "kernels/kvbench/batch.h"
#include "kernels/kvbench/plan.h"
#include "kernels/kvbench/sheet.h"
#include "kernels/kvbench/stats.h"
#include "tests/harness.h"

#define HEADER                                                                                               \
    "step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens,recalled_pages,"          \
    "corrected_heads,evicted_pages\n"

/* ---- statistics ---- */

START_TEST(median_and_spread_are_those_of_the_definition)
{
    double five[] = {5, 1, 4, 2, 3}, four[] = {4, 1, 3, 2}, one[] = {7}, flat[] = {2, 2, 2};
    struct kvb_stats s = kvb_stats_of(five, 5);
    ck_assert_double_eq_tol(s.median, 3, 1e-12);
    ck_assert_double_eq_tol(s.least, 1, 1e-12);
    ck_assert_double_eq_tol(s.spread_frac, (4.0 - 2.0) / 3, 1e-12);
    ck_assert_uint_eq(s.n, 5);
    s = kvb_stats_of(four, 4);
    ck_assert_double_eq_tol(s.median, 2.5, 1e-12);
    ck_assert_double_eq_tol(s.spread_frac, (3.25 - 1.75) / 2.5, 1e-12);
    s = kvb_stats_of(one, 1);
    ck_assert_double_eq_tol(s.median, 7, 1e-12);
    ck_assert_double_eq_tol(s.spread_frac, 0, 1e-12);
    ck_assert_double_eq_tol(kvb_stats_of(flat, 3).spread_frac, 0, 1e-12);
}
END_TEST

/* ---- plans ---- */

static struct kvb_plan *plan_of(const char *text)
{
    struct kb_error err = {""};
    struct kvb_plan *p = kvb_plan_read(test_file("plan.csv", text), &err);
    ck_assert_msg(p != NULL, "%s", err.text);
    return p;
}

/* Two replicas, a prompt in two chunks, decode, a preemption and a restart; rows out of order, a column more. */
START_TEST(a_plan_is_put_in_order_and_completed)
{
    struct kvb_plan *p = plan_of("step,replica,request_id,new_tokens,past_tokens,read_tokens,colour\n"
                                 "2,0,a,1,40,41,red\n"
                                 "0,0,a,32,0,32,red\n"
                                 "1,0,a,8,32,40,red\n"
                                 "1,0,b,16,0,16,red\n"
                                 "2,0,b,0,16,0,red\n"
                                 "3,0,b,17,0,17,red\n"
                                 "0,1,c,5,0,5,red\n");
    ck_assert_uint_eq(p->n_rows, 7);
    ck_assert_uint_eq(p->n_steps, 5);
    ck_assert_uint_eq(p->n_requests, 3);
    static const struct {
        uint32_t replica, n_rows;
        uint64_t step;
    } expected[] = {{0, 1, 0}, {0, 2, 1}, {0, 2, 2}, {0, 1, 3}, {1, 1, 0}};
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(p->step[i].replica, expected[i].replica);
        ck_assert_uint_eq(p->step[i].n_rows, expected[i].n_rows);
        ck_assert_uint_eq(p->step[i].step, expected[i].step);
    }
    for (size_t i = 0; i < p->n_rows; i++) {
        const struct kvb_plan_row *r = &p->row[i];
        bool chunk = strcmp(r->request_id, "a") == 0 && r->new_tokens == 32;
        bool cut_off = strcmp(r->request_id, "b") == 0 && r->step < 3;
        ck_assert_msg(r->yields == (!chunk && !cut_off), "line %d", (int)r->line);
        ck_assert_msg(r->last == (r->step == 3 || r->replica == 1 || (r->step == 2 && *r->request_id == 'a')),
                      "line %d", (int)r->line);
    }
    kvb_plan_free(p);
}
END_TEST

static void refuses_plan(const char *text, const char *expected)
{
    struct kb_error err = {""};
    const char *path = test_file("bad.csv", text);
    struct kvb_plan *p = kvb_plan_read(path, &err);
    ck_assert_msg(p == NULL, "taken: %s", text);
    ck_assert_msg(strstr(err.text, expected) != NULL, "`%s` lacks `%s`", err.text, expected);
    ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0, "`%s` does not name the file", err.text);
    ck_assert_msg(strchr(err.text, '\n') == NULL, "more than a line: %s", err.text);
}

START_TEST(a_bad_plan_is_refused_with_file_and_line)
{
    refuses_plan("", "is empty");
    refuses_plan("a,b\n1,2\n", ":1: no column step");
    refuses_plan(HEADER, "holds no steps");
    refuses_plan(HEADER "0,0,0,0,1,-1,0,1,0,0,0\n", ":2: column new_tokens: `-1`");
    refuses_plan(HEADER "0,0,0,0,1,1e3,0,1,0,0,0\n", ":2: column new_tokens: `1e3`");
    refuses_plan(HEADER "0,0,0,0,1,,0,1,0,0,0\n", ":2: column new_tokens");
    refuses_plan(HEADER "0,0,0,0,1,99999999999,0,1,0,0,0\n", ":2: column new_tokens");
    refuses_plan(HEADER "0,0,0,0,,4,0,4,0,0,0\n", ":2: column request_id");
    refuses_plan(HEADER "0,0,nan,0,1,4,0,4,0,0,0\n", ":2: column start_s: `nan`");
    refuses_plan(HEADER "0,0,0,inf,1,4,0,4,0,0,0\n", ":2: column duration_s: `inf`");
    refuses_plan(HEADER "0,0,0,0,1,4,0,5,0,0,0\n", ":2: read_tokens is more than");
    refuses_plan(HEADER "0,0,0,0,1,1,9,0,0,0,0\n", ":2: read_tokens of a decode row is 0");
    refuses_plan(HEADER "0,0,0,0,1,4,0,4,0,0,5\n", ":2: evicted_pages is more than");
    refuses_plan(HEADER "0,0,0,0,1,4\n", ":2: column past_tokens: is missing");
    refuses_plan(HEADER "0,0,0,0,7,4,0,4,0,0,0\n1,0,0,0,8,4,0,4,0,0,0\n0,0,0,0,7,4,0,4,0,0,0\n",
                 ":4: request 7 is in step 0 twice");
    refuses_plan(HEADER "0,0,0,0,\"1,4,0,4,0,0,0\n", ":2: ");
    struct kb_error err = {""};
    ck_assert_ptr_null(kvb_plan_read("/nowhere/plan.csv", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/plan.csv: cannot be read"));
}
END_TEST

/* ---- pages ---- */

/* A random plan: requests arrive, grow, are preempted and end. */
static char *random_plan(uint64_t seed, uint32_t n_steps)
{
    enum { REQUESTS = 6 };
    struct kb_random r = {seed};
    uint32_t tokens[REQUESTS] = {0}, id[REQUESTS], next = 0;
    char *text = calloc(1, 1 << 20), *at = text;
    at += sprintf(at, HEADER);
    for (uint32_t i = 0; i < REQUESTS; i++) id[i] = next++;
    for (uint32_t step = 0; step < n_steps; step++)
        for (uint32_t i = 0; i < REQUESTS; i++) {
            uint32_t dice = kb_random_below(&r, 12), n = tokens[i] ? 1 : 1 + kb_random_below(&r, 70);
            if (dice == 0 && tokens[i]) n = 0;
            if (dice == 1) continue;
            at += sprintf(at, "%u,0,0,0,r%u,%u,%u,%u,0,0,0\n", step, id[i], n, tokens[i],
                          n ? tokens[i] + n : 0);
            tokens[i] = n ? tokens[i] + n : 0;
            if (dice == 2) {
                tokens[i] = 0;
                id[i] = next++;
            }
        }
    return text;
}

/* Every sequence's pages are there, and no page belongs to two of them. */
static void check_tables(const struct kvb_batch *b, uint32_t page_tokens, uint32_t n_pages)
{
    unsigned char *owned = calloc(n_pages + 1, 1);
    for (uint32_t s = 0; s < b->n_seqs; s++) {
        uint32_t length = b->word[b->lengths + s];
        ck_assert_uint_eq(length, b->word[b->past + s] + b->word[b->begin + s + 1] - b->word[b->begin + s]);
        for (uint32_t i = 0; i < (length + page_tokens - 1) / page_tokens; i++) {
            uint32_t page = b->word[b->tables + (size_t)s * b->max_pages + i];
            ck_assert_uint_lt(page, n_pages);
            ck_assert_msg(!owned[page], "page %u twice", page);
            owned[page] = 1;
        }
    }
    free(owned);
}

START_TEST(no_page_has_two_owners_and_the_dry_pass_finds_the_peak)
{
    enum { PAGE_TOKENS = 4 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct kb_error err = {""};
        struct kvb_batch b = {0};
        char *text = random_plan(seed, 40);
        struct kvb_plan *p = plan_of(text);
        uint32_t peak = 0;
        for (int pass = 0; pass < 2; pass++) {
            struct kvb_pages *pages = kvb_pages_new(p->n_requests, peak, 1);
            for (size_t i = 0; i < p->n_steps; i++) {
                ck_assert_msg(kvb_batch_make(&b, p, &p->step[i], pages, PAGE_TOKENS, &err), "%s", err.text);
                check_tables(&b, PAGE_TOKENS, pages->n_known);
                kvb_batch_end(p, &p->step[i], pages);
            }
            if (pass == 1) ck_assert_uint_eq(pages->n_known, peak);
            ck_assert_uint_eq(pages->n_free, pages->n_known); /* all requests have ended */
            peak = pages->n_known;
            kvb_pages_free(pages);
        }
        kvb_batch_fini(&b);
        kvb_plan_free(p);
        free(text);
    }
}
END_TEST

START_TEST(a_batch_has_decode_first_and_counts_what_kernels_need)
{
    struct kb_error err = {""};
    struct kvb_batch b = {0};
    struct kvb_plan *p = plan_of(HEADER "0,0,0,0,p,10,0,10,0,0,0\n0,0,0,0,d,9,0,9,0,0,0\n"
                                        "1,0,0,0,p,6,10,16,0,0,0\n1,0,0,0,d,1,9,8,3,0,0\n");
    struct kvb_pages *pages = kvb_pages_new(p->n_requests, 0, 1);
    for (int i = 0; i < 2; i++)
        ck_assert_msg(kvb_batch_make(&b, p, &p->step[i], pages, 4, &err), "%s", err.text);
    ck_assert_uint_eq(b.n_seqs, 2);
    ck_assert_uint_eq(b.n_decode, 1);
    ck_assert_uint_eq(b.n_tokens, 7);
    ck_assert_uint_eq(b.n_prompt_tokens, 6);
    ck_assert_uint_eq(b.n_yields, 2);
    ck_assert_uint_eq(b.max_pages, 4);
    ck_assert_uint_eq(b.n_prompt_pages, 4);
    ck_assert_uint_eq(b.read_tokens, 8);
    ck_assert_uint_eq(b.n_recalled, 3);
    ck_assert_uint_eq(b.word[b.lengths], 10);     /* the decode row */
    ck_assert_uint_eq(b.word[b.lengths + 1], 16); /* the prompt */
    ck_assert_uint_eq(b.word[b.pos], 9);
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert_uint_eq(b.word[b.pos + 1 + i], 10 + i);
        ck_assert_uint_eq(b.word[b.seq + 1 + i], 1);
    }
    ck_assert_uint_eq(b.word[b.q_begin + 1], 6);
    kvb_pages_free(pages);
    kvb_batch_fini(&b);
    kvb_plan_free(p);
}
END_TEST

START_TEST(evicted_pages_go_back_and_too_many_are_refused)
{
    struct kb_error err = {""};
    struct kvb_batch b = {0};
    struct kvb_plan *p =
        plan_of(HEADER "0,0,0,0,x,40,0,40,0,0,3\n1,0,0,0,x,1,40,16,0,0,0\n2,0,0,0,x,1,41,16,0,0,9\n");
    struct kvb_pages *pages = kvb_pages_new(p->n_requests, 0, 1);
    ck_assert(kvb_batch_make(&b, p, &p->step[0], pages, 4, &err));
    ck_assert_uint_eq(pages->n_known, 10);
    ck_assert_uint_eq(pages->n_free, 3);
    ck_assert(kvb_batch_make(&b, p, &p->step[1], pages, 4, &err));
    ck_assert_uint_eq(pages->n_known, 10); /* the eleventh page is one that was evicted */
    ck_assert_uint_eq(pages->n_free, 2);
    ck_assert(!kvb_batch_make(&b, p, &p->step[2], pages, 4, &err));
    ck_assert_msg(strstr(err.text, "plan line 4: request x evicts 9 pages") != NULL, "%s", err.text);
    kvb_pages_free(pages);
    kvb_batch_fini(&b);
    kvb_plan_free(p);
}
END_TEST

/* ---- models ---- */

#define SMALL_MODEL                                                                                          \
    "{\"model_type\": \"llama\", \"hidden_size\": 64, \"intermediate_size\": 128, \"num_hidden_layers\": 2," \
    " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 64, \"vocab_size\": 256}"

START_TEST(a_model_is_read_and_shared_out)
{
    struct kb_error err = {""};
    struct kb_model m;
    ck_assert_msg(kvb_arch_load(test_file("tiny.json", SMALL_MODEL), 1, &m, &err), "%s", err.text);
    ck_assert_str_eq(m.name, "tiny");
    ck_assert_uint_eq(m.hidden, 64);
    ck_assert_uint_eq(m.head_dim, 64);
    ck_assert_double_eq_tol(m.rope_theta, 10000, 1e-3);
    ck_assert_msg(kvb_arch_load(test_file("tiny.json", SMALL_MODEL), 2, &m, &err), "%s", err.text);
    struct kvb_share s = kvb_arch_share(&m);
    ck_assert_uint_eq(s.n_q_heads, 1);
    ck_assert_uint_eq(s.n_kv_heads, 1); /* replicated */
    ck_assert_uint_eq(s.intermediate, 64);
    ck_assert_uint_eq(s.vocab, 128);
}
END_TEST

static void refuses_model(const char *text, const char *expected)
{
    struct kb_error err = {""};
    struct kb_model m = {.hidden = 7};
    const char *path = test_file("bad.json", text);
    ck_assert_msg(!kvb_arch_load(path, 3, &m, &err), "taken: %s", text);
    ck_assert_msg(strstr(err.text, expected) != NULL, "`%s` lacks `%s`", err.text, expected);
    ck_assert_uint_eq(m.hidden, 7); /* written on success only */
}

START_TEST(a_bad_model_is_refused)
{
    refuses_model("{", "not valid JSON");
    refuses_model("[1]", "is not a JSON object");
    refuses_model("{\"model_type\": \"mamba\"}", "model_type `mamba`");
    refuses_model("{\"model_type\": \"llama\"}", "no key `hidden_size`");
    refuses_model("{\"model_type\": \"llama\", \"hidden_size\": -4}", "key `hidden_size`");
    refuses_model("{\"model_type\": \"llama\", \"hidden_size\": 4.5}", "key `hidden_size`");
    refuses_model(SMALL_MODEL, "cannot be split over 3 GPUs");
    struct kb_error err = {""};
    struct kb_model m;
    setenv("KVSIM_DATA", test_dir(), 1);
    ck_assert(!kvb_arch_load("nothing-of-the-kind", 1, &m, &err));
    ck_assert_msg(strstr(err.text, "model `nothing-of-the-kind`") != NULL, "%s", err.text);
    ck_assert(!kvb_arch_load("/nowhere/config.json", 1, &m, &err));
    ck_assert_msg(strstr(err.text, "/nowhere/config.json: cannot be read") != NULL, "%s", err.text);
}
END_TEST

/* ---- tables ---- */

static const char *const sheet_keys[] = {"format", "tokens", NULL};
static const struct kb_kernel sheet_kernel = {.name = "sheet", .family = "small", .keys = sheet_keys};

static struct kvb_sheet *sheet_open(void)
{
    struct kb_error err = {""};
    struct kvb_sheet *s = kvb_sheet_open(test_dir(), &sheet_kernel, NULL, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    return s;
}

static struct kvb_row sheet_row(uint32_t i)
{
    return (struct kvb_row){.shape = {i % KB_N_FORMAT, i},
                            .heat = i % 2 ? KVB_HOT : KVB_COLD,
                            .number = {1e-6 / (i + 1), 1e-7, 0.0123456789, 20, 4e9 + i, 0},
                            .status = (enum kvb_status)(i % KVB_N_STATUS)};
}

static void append_row(struct kvb_sheet *s, uint32_t i)
{
    struct kb_error err = {""};
    struct kvb_row r = sheet_row(i);
    ck_assert_msg(kvb_sheet_append(s, &r, 1, &err), "%s", err.text);
}

static void check_row(const struct kvb_sheet *s, size_t at, uint32_t i)
{
    struct kvb_row want = sheet_row(i);
    const struct kvb_row *got = &s->row[at];
    ck_assert_mem_eq(got->shape, want.shape, sizeof want.shape);
    ck_assert_int_eq((int)got->heat, (int)want.heat);
    ck_assert_int_eq((int)got->status, (int)want.status);
    for (int k = 0; k < KVB_N_KERNEL_NUMBERS; k++)
        ck_assert_double_eq_tol(got->number[k], want.number[k], 1e-8 * fabs(want.number[k]) + 1e-300);
}

static char *sheet_path(void)
{
    static char path[4200];
    snprintf(path, sizeof path, "%s/sheet.csv", test_dir());
    return path;
}

/* The file is cut after every one of its bytes in turn: whole lines stay, the rest goes, and it grows on. */
START_TEST(a_torn_line_is_dropped_wherever_the_tear_is)
{
    enum { ROWS = 3 };
    struct stat whole;
    struct kvb_sheet *s = sheet_open();
    for (uint32_t i = 0; i < ROWS; i++) append_row(s, i);
    kvb_sheet_close(s);
    char *text = calloc(1, 4096);
    FILE *f = fopen(sheet_path(), "rb");
    size_t n = fread(text, 1, 4096, f);
    fclose(f);
    ck_assert_int_eq(stat(sheet_path(), &whole), 0);
    for (size_t cut = 0; cut <= n; cut++) {
        f = fopen(sheet_path(), "wb");
        fwrite(text, 1, cut, f);
        fclose(f);
        size_t lines = 0;
        for (size_t i = 0; i < cut; i++) lines += text[i] == '\n';
        s = sheet_open();
        ck_assert_uint_eq(s->n_rows, lines ? lines - 1 : 0);
        for (uint32_t i = 0; i < s->n_rows; i++) check_row(s, i, i);
        size_t before = s->n_rows;
        append_row(s, 7);
        kvb_sheet_close(s);
        s = sheet_open();
        ck_assert_uint_eq(s->n_rows, before + 1);
        check_row(s, before, 7);
        kvb_sheet_close(s);
    }
    free(text);
    unlink(sheet_path());
}
END_TEST

/* Appends where ten bytes of room are left, in a process of its own: 0 = refused with the right line. */
static int append_without_room(struct kvb_sheet *s)
{
    struct kb_error err = {""};
    struct stat now;
    struct kvb_row r = sheet_row(2);
    if (stat(sheet_path(), &now) != 0) return 1;
    struct rlimit most = {(rlim_t)now.st_size + 10, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &most) != 0) return 2;
    if (kvb_sheet_append(s, &r, 1, &err)) return 3;
    return strstr(err.text, "sheet.csv: cannot be written") ? 0 : 4;
}

START_TEST(a_full_disk_is_told_and_leaves_the_rows_readable)
{
    struct kvb_sheet *s = sheet_open();
    append_row(s, 0);
    append_row(s, 1);
    int status = -1;
    pid_t child = fork();
    if (child == 0) _exit(append_without_room(s));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %d", status);
    kvb_sheet_close(s);
    s = sheet_open();
    ck_assert_uint_eq(s->n_rows, 2);
    check_row(s, 1, 1);
    kvb_sheet_close(s);
    unlink(sheet_path());
}
END_TEST

static void refuses_sheet(const char *text, const char *expected)
{
    struct kb_error err = {""};
    test_file("sheet.csv", text);
    ck_assert_msg(kvb_sheet_open(test_dir(), &sheet_kernel, NULL, &err) == NULL, "taken: %s", text);
    ck_assert_msg(strstr(err.text, expected) != NULL, "`%s` lacks `%s`", err.text, expected);
    unlink(sheet_path());
}

START_TEST(a_table_of_something_else_is_refused)
{
    static const char head[] = "format,tokens,heat,time_s,min_s,spread_frac,samples,bytes,flops,status\n";
    char text[400];
    refuses_sheet("a,b,c\n", ":1: other columns");
    snprintf(text, sizeof text, "%sbf16,1,cold,1,1,1,1,1,1\n", head);
    refuses_sheet(text, ":2: has 9 fields");
    snprintf(text, sizeof text, "%sbf17,1,cold,1,1,1,1,1,1,ok\n", head);
    refuses_sheet(text, ":2: column format: `bf17`");
    snprintf(text, sizeof text, "%sbf16,1,warm,1,1,1,1,1,1,ok\n", head);
    refuses_sheet(text, ":2: column heat: `warm`");
    snprintf(text, sizeof text, "%sbf16,1,cold,nan,1,1,1,1,1,ok\n", head);
    refuses_sheet(text, ":2: column time_s: `nan`");
    snprintf(text, sizeof text, "%sbf16,1,cold,1,1,1,1,1,1,fine\n", head);
    refuses_sheet(text, ":2: column status: `fine`");
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kernels_kvbench_parts");
    TCase *parts = tcase_create("parts");
    tcase_add_test(parts, median_and_spread_are_those_of_the_definition);
    tcase_add_test(parts, a_plan_is_put_in_order_and_completed);
    tcase_add_test(parts, a_bad_plan_is_refused_with_file_and_line);
    tcase_add_test(parts, no_page_has_two_owners_and_the_dry_pass_finds_the_peak);
    tcase_add_test(parts, a_batch_has_decode_first_and_counts_what_kernels_need);
    tcase_add_test(parts, evicted_pages_go_back_and_too_many_are_refused);
    tcase_add_test(parts, a_model_is_read_and_shared_out);
    tcase_add_test(parts, a_bad_model_is_refused);
    tcase_add_test(parts, a_torn_line_is_dropped_wherever_the_tear_is);
    tcase_add_test(parts, a_full_disk_is_told_and_leaves_the_rows_readable);
    tcase_add_test(parts, a_table_of_something_else_is_refused);
    suite_add_tcase(s, parts);
    return s;
}
