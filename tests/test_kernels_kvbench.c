/* The measuring program as a user meets it: usage, tables and profile of a run, killed, interrupted and resumed, and
 * replay. KVBENCH_BIN names another program. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "kernels/kvbench/sheet.h"
#include "tests/harness.h"

enum { TEXT_BYTES = 1 << 18 };

#define SMALL_MODEL                                                                                          \
    "{\"model_type\": \"llama\", \"hidden_size\": 64, \"intermediate_size\": 128, \"num_hidden_layers\": 2," \
    " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 64, \"vocab_size\": 256}"

#define HEADER                                                                                               \
    "step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens,recalled_pages,"          \
    "corrected_heads,evicted_pages\n"

/* ---- the program ---- */

struct ran {
    int code;
    char out[TEXT_BYTES], err[TEXT_BYTES];
};

static const char *program(void)
{
    static char path[4200];
    const char *given = getenv("KVBENCH_BIN");
    if (given) return given;
    char self[4096] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert_int_gt(n, 0);
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof path, "%s/../kvbench", self);
    return path;
}

static void slurp(const char *name, char *text)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "no %s", path);
    size_t n = fread(text, 1, TEXT_BYTES - 1, f);
    text[n] = '\0';
    fclose(f);
}

/* Runs `BEFORE kvbench ARGUMENTS` in the test's folder. The result is valid until the next call. */
static const struct ran *kvbench_after(const char *before, const char *arguments)
{
    static struct ran r;
    static char line[9000];
    snprintf(line, sizeof line, "cd '%s' && %s '%s' %s >out.txt 2>err.txt </dev/null", test_dir(), before,
             program(), arguments);
    int status = system(line);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    slurp("out.txt", r.out);
    slurp("err.txt", r.err);
    return &r;
}

static const struct ran *works(const char *arguments)
{
    const struct ran *r = kvbench_after("", arguments);
    ck_assert_msg(r->code == 0, "kvbench %s: exit %d: %s%s", arguments, r->code, r->out, r->err);
    return r;
}

/* The last line of the talk. */
static const char *last_line(const char *text)
{
    static char line[1000];
    size_t n = strlen(text);
    while (n && text[n - 1] == '\n') n--;
    size_t begin = n;
    while (begin && text[begin - 1] != '\n') begin--;
    snprintf(line, sizeof line, "%.*s", (int)(n - begin), text + begin);
    return line;
}

static void fails(const char *arguments, int code, const char *expected)
{
    const struct ran *r = kvbench_after("", arguments);
    ck_assert_msg(r->code == code, "kvbench %s: exit %d, expected %d: %s", arguments, r->code, code, r->err);
    ck_assert_msg(r->out[0] == '\0', "kvbench %s printed %s", arguments, r->out);
    ck_assert_msg(strstr(last_line(r->err), expected) != NULL, "kvbench %s: `%s` lacks `%s`", arguments,
                  r->err, expected);
}

START_TEST(wrong_usage_ends_with_2_and_help_with_0)
{
    static const char *const helped[] = {"--help", "list --help", "check --help", "run --help",
                                         "replay --help"};
    for (int i = 0; i < 5; i++) ck_assert_ptr_nonnull(strstr(works(helped[i])->out, "Usage: kvbench"));
    ck_assert_ptr_nonnull(strstr(works("--version")->out, "kvbench "));
    fails("measure", 2, "no command `measure`");
    fails("run", 2, "no --out DIR given");
    fails("run --out d --suite slow", 2, "--suite is `slow`, expected one of: quick, full");
    fails("run --out d --only everything", 2, "--only is `everything`");
    fails("run --out d --budget -3", 2, "--budget is `-3`");
    fails("run --out d --tensor-parallel 0", 2, "--tensor-parallel is `0`");
    fails("check --seeds none", 2, "--seeds is `none`");
    fails("list kernels", 2, "too many arguments");
    fails("replay --model m --kv full", 2, "no PLAN.csv given");
    fails("replay p.csv --kv full", 2, "no --model given");
    fails("replay p.csv --model m", 2, "no --kv given");
    fails("check --device tpu", 1, "device `tpu`");
    fails("check --device cuda:99", 1, "cuda");
}
END_TEST

START_TEST(list_names_every_kernel_and_what_is_missing)
{
    json_error_t why;
    json_t *all = json_loads(works("list --device cpu --json")->out, 0, &why);
    ck_assert_msg(all != NULL, "%s", why.text);
    const json_t *kernels = json_object_get(all, "kernels");
    uint32_t n = 0;
    for (int i = 0; i < KB_N_KERNEL; i++) n += kb_kernels[i] != NULL;
    ck_assert_uint_eq(json_array_size(kernels), n);
    const json_t *first = json_array_get(json_object_get(all, "devices"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(first, "name")), "cpu");
    ck_assert(json_is_true(json_object_get(first, "available")));
    json_decref(all);
    ck_assert_ptr_nonnull(strstr(works("list --device cpu")->out, "suites"));
}
END_TEST

START_TEST(check_prints_a_line_per_kernel)
{
    const struct ran *r = works("check --device cpu --only ceiling,rmsnorm --shapes 2");
    ck_assert_ptr_nonnull(strstr(r->out, "ok    read"));
    ck_assert_ptr_nonnull(strstr(r->out, "ok    rmsnorm               2 shapes"));
    json_error_t why;
    json_t *list = json_loads(works("check --device cpu --only copy --seeds 2 --json")->out, 0, &why);
    ck_assert_msg(list != NULL, "%s", why.text);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "failed")), 0);
    json_decref(list);
}
END_TEST

static int n_lines(const char *name)
{
    static char text[TEXT_BYTES];
    int n = 0;
    slurp(name, text);
    for (const char *p = text; *p; p++) n += *p == '\n';
    return n;
}

/* Lines of all tables of a run. */
static int n_table_lines(const char *folder)
{
    char line[4300];
    int n = -1;
    snprintf(line, sizeof line, "cat '%s/%s'/*.csv 2>/dev/null | wc -l", test_dir(), folder);
    FILE *p = popen(line, "r");
    ck_assert_int_eq(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

static bool there(const char *name)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return access(path, F_OK) == 0;
}

#define SMALL_RUN "run --device cpu --model tiny.json --suite quick --only small "

START_TEST(a_run_writes_tables_and_a_profile_and_goes_on_where_it_was)
{
    static char text[TEXT_BYTES];
    test_file("tiny.json", SMALL_MODEL);
    works(SMALL_RUN "--out r --budget 0.5");
    ck_assert(there("r/profile.yaml") && there("r/host.yaml") && there("r/run.json"));
    slurp("r/profile.yaml", text);
    ck_assert_ptr_nonnull(strstr(text, "stage: kvbench\n"));
    ck_assert_ptr_nonnull(strstr(text, "\ncomplete: false\n"));
    ck_assert_ptr_nonnull(strstr(text, "reason: \"out of budget\""));
    ck_assert_ptr_nonnull(strstr(text, "reason: \"--only\""));
    int before = n_table_lines("r"), of_read = n_lines("r/read.csv");
    ck_assert_int_ge(of_read, 2); /* the first of the ceilings */
    json_error_t why;
    json_t *all = json_loads(works(SMALL_RUN "--out r --budget 1 --json")->out, 0, &why);
    ck_assert_msg(all != NULL, "%s", why.text);
    ck_assert(json_is_false(json_object_get(all, "complete")));
    json_decref(all);
    ck_assert_int_gt(n_table_lines("r"), before);
    ck_assert_int_eq(n_lines("r/read.csv"), of_read); /* and it is not measured again */
    fails("run --device cpu --model tiny.json --suite full --out r", 1, "holds another run (its suite is");
    fails("run --device cpu --model tiny.json --tensor-parallel 2 --out r", 1,
          "holds another run (its model is");
    fails("run --device cpu --model tiny.json --out .", 1, "is not empty and holds no run");
}
END_TEST

/* The program is killed as soon as a table is there; nothing of what it holds is lost. */
START_TEST(a_killed_run_is_resumed)
{
    char kill_it[6000];
    test_file("tiny.json", SMALL_MODEL);
    snprintf(kill_it, sizeof kill_it,
             "cd '%s' && ('%s' " SMALL_RUN "--out k >/dev/null 2>&1 & p=$!; i=0; "
             "while [ $(cat k/*.csv 2>/dev/null | wc -l) -lt 4 ] && [ $i -lt 400 ]; do sleep 0.05; "
             "i=$((i+1)); done; "
             "kill -9 $p; wait $p 2>/dev/null; true)",
             test_dir(), program());
    ck_assert_int_eq(system(kill_it), 0);
    ck_assert(there("k/run.json"));
    int before = n_table_lines("k"), of_read = n_lines("k/read.csv");
    ck_assert_int_ge(before, 4);
    const struct ran *r = works(SMALL_RUN "--out k --budget 1");
    ck_assert_ptr_nonnull(strstr(r->err, "going on with what is there"));
    ck_assert_int_gt(n_table_lines("k"), before);
    ck_assert_int_eq(n_lines("k/read.csv"), of_read);
}
END_TEST

START_TEST(an_interrupted_run_keeps_what_it_has)
{
    test_file("tiny.json", SMALL_MODEL);
    const struct ran *r =
        kvbench_after("timeout -s INT 1.5", SMALL_RUN "--out i --budget 30 --spread-limit 1e-6");
    ck_assert_msg(r->code == 124 || r->code == 1 || r->code == 0, "exit %d: %s", r->code, r->err);
    ck_assert(there("i/profile.yaml"));
    static char text[TEXT_BYTES];
    slurp("i/profile.yaml", text);
    ck_assert_ptr_nonnull(strstr(text, "\ncomplete: false\n"));
}
END_TEST

/* ---- replay ---- */

/* Three requests, prompts and decode, a preemption and a restart; the first is long enough for KIVI's window. */
static void write_plan(void)
{
    static char text[20000];
    char *at = text;
    at += sprintf(at, HEADER "0,0,0,1,a,150,0,150,0,0,0\n1,0,0,1,a,1,150,151,0,0,0\n1,0,0,1,b,20,0,20,0,0,0\n"
                             "2,0,0,1,c,9,0,9,0,0,0\n2,0,0,1,b,0,20,0,0,0,0\n2,0,0,1,a,1,151,152,2,0,0\n"
                             "3,0,0,1,b,20,0,20,0,0,0\n3,0,0,1,c,1,9,10,0,0,0\n");
    for (int i = 0; i < 40; i++)
        at += sprintf(at, "%d,0,0,1,b,1,%d,%d,0,0,0\n%d,0,0,1,c,1,%d,%d,0,0,0\n", 4 + i, 20 + i, 21 + i,
                      4 + i, 10 + i, 11 + i);
    test_file("p.csv", text);
    test_file("tiny.json", SMALL_MODEL);
}

START_TEST(replay_executes_every_step_as_often_as_asked)
{
    enum { STEPS = 44 };
    static const char *const kept[] = {"full", "fp8", "int8", "int4", "kivi4", "kivi2"};
    char arguments[300];
    write_plan();
    for (int i = 0; i < 6; i++) {
        snprintf(arguments, sizeof arguments,
                 "replay p.csv --model tiny.json --kv %s --device cpu --layers 1 --repeat 2 --out r.csv",
                 kept[i]);
        works(arguments);
        ck_assert_int_eq(n_lines("r.csv"), 1 + 2 * STEPS);
        ck_assert(there("r.csv.yaml"));
    }
    const struct ran *r =
        works("replay p.csv --model tiny.json --kv full --device cpu --breakdown --max-steps 3");
    ck_assert_ptr_nonnull(strstr(r->out, "gemm_s,attention_s,append_s,recall_s,other_s\n"));
    double measured, prepare, part[5];
    unsigned seqs, tokens;
    ck_assert_int_eq(sscanf(strchr(r->out, '\n') + 1, "0,0,0,%lf,%lf,%u,%u,0,%lf,%lf,%lf,%lf,%lf", &measured,
                            &prepare, &seqs, &tokens, &part[0], &part[1], &part[2], &part[3], &part[4]),
                     9);
    ck_assert_uint_eq(seqs, 1);
    ck_assert_uint_eq(tokens, 150);
    double sum = part[0] + part[1] + part[2] + part[3] + part[4];
    ck_assert_msg(part[0] > 0 && part[1] > 0 && sum <= measured * 1.0001, "%g of %g", sum, measured);
}
END_TEST

START_TEST(replay_refuses_what_it_would_do_wrong)
{
    write_plan();
    fails("replay p.csv --model tiny.json --kv h2o --device cpu", 1, "--kv h2o cannot be replayed");
    fails("replay p.csv --model tiny.json --kv full --graph on --device cpu", 1,
          "--graph on is not possible");
    fails("replay p.csv --model tiny.json --kv kivi4 --page-tokens 16 --device cpu", 1, "a multiple of 32");
    test_file("window.csv", HEADER "0,0,0,1,a,300,0,300,0,0,0\n1,0,0,1,a,1,300,128,0,0,0\n");
    fails("replay window.csv --model tiny.json --kv full --device cpu", 1, "--kv streaming_llm");
    works("replay window.csv --model tiny.json --kv streaming_llm --device cpu");
    test_file("huge.csv",
              HEADER "0,0,0,1,a,1,260000000,260000001,0,0,0\n0,0,0,1,b,1,260000000,260000001,0,0,0\n");
    fails("replay huge.csv --model tiny.json --kv full --device cpu --layers 2", 1, "bytes of device memory");
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kernels_kvbench");
    TCase *commands = tcase_create("commands");
    tcase_set_timeout(commands, 30);
    tcase_add_test(commands, wrong_usage_ends_with_2_and_help_with_0);
    tcase_add_test(commands, list_names_every_kernel_and_what_is_missing);
    tcase_add_test(commands, check_prints_a_line_per_kernel);
    tcase_add_test(commands, a_run_writes_tables_and_a_profile_and_goes_on_where_it_was);
    tcase_add_test(commands, a_killed_run_is_resumed);
    tcase_add_test(commands, an_interrupted_run_keeps_what_it_has);
    tcase_add_test(commands, replay_executes_every_step_as_often_as_asked);
    tcase_add_test(commands, replay_refuses_what_it_would_do_wrong);
    suite_add_tcase(s, commands);
    return s;
}
