/* Shared by the trace suites: read a text as a trace, or see it refused. */
#ifndef KVSIM_TESTS_TRACE_HELP_H
#define KVSIM_TESTS_TRACE_HELP_H

#include "tests/harness.h"
#include "traces/trace.h"

#include <string.h>

static inline struct trc_trace *read_file(const char *path, struct trc_options options)
{
    struct sim_status st = {0};
    struct trc_trace *t = trc_read(path, &options, &st);
    ck_assert_msg(t != NULL, "%s", st.message);
    ck_assert_int_eq(st.code, SIM_EXIT_OK);
    return t;
}

static inline struct trc_trace *read_text(const char *text, struct trc_options options)
{
    return read_file(test_file("trace.txt", text), options);
}

/* The whole message is one line, begins with the file (or the flag) and holds the needle. */
static inline void refused(const char *text, struct trc_options options, const char *needle)
{
    struct sim_status st = {0};
    struct trc_trace *t = trc_read(test_file("bad.txt", text), &options, &st);
    ck_assert_msg(t == NULL, "was read, expected: %s", needle);
    ck_assert_int_ne(st.code, SIM_EXIT_OK);
    ck_assert_msg(strstr(st.message, needle), "\"%s\" is not in \"%s\"", needle, st.message);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    ck_assert_msg(strstr(st.message, "expected"), "says not what was expected: %s", st.message);
}

/* Request i arrives at that microsecond with those lengths. */
static inline void request_is(const struct trc_trace *t, uint64_t i, int64_t arrival_us, uint32_t input,
                              uint32_t output)
{
    ck_assert_uint_lt(i, t->n_requests);
    ck_assert_double_eq(t->requests[i].arrival_s, (double)arrival_us / 1e6);
    ck_assert_uint_eq(t->requests[i].input_tokens, input);
    ck_assert_uint_eq(t->requests[i].output_tokens, output);
}

static inline void traces_equal(const struct trc_trace *a, const struct trc_trace *b)
{
    ck_assert_uint_eq(a->n_requests, b->n_requests);
    for (uint64_t i = 0; i < a->n_requests; i++) {
        const struct sim_request *x = &a->requests[i], *y = &b->requests[i];
        ck_assert_msg(x->arrival_s == y->arrival_s && x->input_tokens == y->input_tokens &&
                          x->output_tokens == y->output_tokens && x->priority == y->priority,
                      "request %llu differs: %.7f %u %u, %.7f %u %u", (unsigned long long)i, x->arrival_s,
                      x->input_tokens, x->output_tokens, y->arrival_s, y->input_tokens, y->output_tokens);
    }
}

#endif
