/* Shared by the suites that run build/kvsim as a user does: exit codes, what it prints, the files it leaves.
 * KVSIM_BIN names another program. */
#ifndef KVSIM_TESTS_COMMAND_HELP_H
#define KVSIM_TESTS_COMMAND_HELP_H

#include "sim/memory.h"
#include "tests/harness.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_BYTES = 1 << 18 };

struct ran {
    int code;
    char out[TEXT_BYTES], err[TEXT_BYTES];
};

static inline void slurp(const char *name, char *text)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, TEXT_BYTES - 1, f);
    text[n] = '\0';
    fclose(f);
}

static inline const char *program(void)
{
    static char path[4200];
    const char *given = getenv("KVSIM_BIN");
    if (given) return given;
    char self[4096] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert_int_gt(n, 0);
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof path, "%s/../kvsim", self);
    return path;
}

/* Exit code of `BEFORE kvsim ARGUMENTS REDIRECTIONS` in the test's folder. */
static inline int shell(const char *before, const char *arguments, const char *redirections)
{
    char *line = sim_printf("cd '%s' && %s '%s' %s %s </dev/null", test_dir(), before, program(), arguments,
                            redirections);
    int status = system(line);
    free(line);
    ck_assert_msg(WIFEXITED(status), "kvsim %s was killed", arguments);
    return WEXITSTATUS(status);
}

/* Runs `kvsim ARGUMENTS`. The result is valid until the next call. */
static inline const struct ran *kvsim(const char *arguments)
{
    static struct ran r;
    r.code = shell("", arguments, ">out.txt 2>err.txt");
    slurp("out.txt", r.out);
    slurp("err.txt", r.err);
    return &r;
}

static inline const struct ran *works(const char *arguments)
{
    const struct ran *r = kvsim(arguments);
    ck_assert_msg(r->code == 0, "kvsim %s: exit %d: %s", arguments, r->code, r->err);
    return r;
}

static inline json_t *json_of(const char *arguments)
{
    json_error_t why;
    json_t *o = json_loads(works(arguments)->out, 0, &why);
    ck_assert_msg(o != NULL, "kvsim %s: %s", arguments, why.text);
    return o;
}

static inline int lines_of(const char *text)
{
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static inline void fails(const char *arguments, int code, const char *expected)
{
    const struct ran *r = kvsim(arguments);
    ck_assert_msg(r->code == code, "kvsim %s: exit %d, expected %d: %s", arguments, r->code, code, r->err);
    ck_assert_msg(r->out[0] == '\0', "kvsim %s printed %s", arguments, r->out);
    ck_assert_msg(strstr(r->err, expected) != NULL, "kvsim %s: `%s` lacks `%s`", arguments, r->err, expected);
    ck_assert_msg(lines_of(r->err) == 1, "kvsim %s: not one line: %s", arguments, r->err);
}

static inline bool there(const char *name)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return access(path, F_OK) == 0;
}

/* How many files of a folder (below the test's) hold `piece` in their name; all of them for "". */
static inline int files_with(const char *folder, const char *piece)
{
    char *line = sim_printf("ls -A '%s/%s' 2>/dev/null | grep -c -- '%s'", test_dir(), folder, piece);
    FILE *p = popen(line, "r");
    int n = -1;
    ck_assert_int_eq(fscanf(p, "%d", &n), 1);
    pclose(p);
    free(line);
    return n;
}

/* A scenario that needs no profile: four replicas, two classes, a synthesised load. */
static inline const char *scenario(void)
{
    return test_file("s.yaml",
                     "model: llama-3.1-8b\n"
                     "fleet: [{gpu: h100-sxm, replicas: 2, profile: analytic}]\n"
                     "router: least_outstanding\n"
                     "workload:\n"
                     "  open_loop: {request_rate: 8, num_requests: 400, input_tokens: "
                     "'lognormal:600:0.7:4000', output_tokens: 'uniform:20:200'}\n"
                     "classes:\n"
                     "  default: {slo: {ttft_ms: 40, tpot_ms: 50}}\n"
                     "  long: {slo: {e2el_ms: 9000, percentile: 90}, assign: {min_input_tokens: 600}}\n");
}

static inline void has_number(const json_t *o, const char *name)
{
    ck_assert_msg(json_is_number(json_object_get(o, name)), "no number %s", name);
}

static inline double number(const json_t *o, const char *name)
{
    has_number(o, name);
    return json_number_value(json_object_get(o, name));
}

#endif
