/* The rules by which rows are read: time, units, bad rows, block sizes. Oracles: the C library's calendar,
 * decimal arithmetic on integers, and small examples worked by hand. */
#include "tests/trace_help.h"

#include "traces/clock.h"
#include "traces/intern.h"

#include "sim/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct trc_options DEFAULTS = {0};

#define CANONICAL "arrival_time_us,input_tokens,output_tokens\n"

START_TEST(datetimes_agree_with_the_c_library_on_every_day_to_2250)
{
    for (int64_t day = 0; day < 102000; day++) {
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        char text[40];
        ck_assert_ptr_nonnull(gmtime_r(&seconds, &tm));
        size_t n = strftime(text, sizeof text, day % 2 ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &tm);
        int64_t us = -1;
        ck_assert_msg(trc_datetime_us(text, n, &us), "%s", text);
        ck_assert_int_eq(us, (int64_t)seconds * 1000000);
    }
}
END_TEST

static bool datetime(const char *text, int64_t *us)
{
    return trc_datetime_us(text, strlen(text), us);
}

START_TEST(datetime_fractions_and_zones_are_exact)
{
    int64_t us;
    ck_assert(datetime("1970-01-01 00:00:00.6805900", &us) && us == 680590);
    ck_assert(datetime("1970-01-01 00:00:00.9999995", &us) && us == 1000000);
    ck_assert(datetime("1970-01-01 00:00:00.000000499", &us) && us == 0);
    ck_assert(datetime("1970-01-01 00:00:00.1", &us) && us == 100000);
    ck_assert(datetime("1970-01-01 05:30:00+05:30", &us) && us == 0);
    ck_assert(datetime("1970-01-01T00:00:00-01:00", &us) && us == INT64_C(3600000000));
    ck_assert(datetime("2023-11-16 18:15:46.6805900", &us) && us == INT64_C(1700158546680590));
}
END_TEST

START_TEST(what_is_no_datetime_is_none)
{
    static const char *const bad[] = {
        "",
        "12",
        "2023-02-29 00:00:00",
        "2023-13-01 00:00:00",
        "2023-00-01 00:00:00",
        "2023-01-32 00:00:00",
        "2023-01-01 24:00:00",
        "2023-01-01 00:60:00",
        "2023-01-01 00:00:60",
        "2023-01-01",
        "2023-01-01 00:00",
        "2023-01-01 00:00:00.",
        "2023-01-01 00:00:00.1234567890",
        "2023-01-01 00:00:00+0530",
        "2023-01-01 00:00:00 ",
        "2023-01-01 00:00:00Zx",
        "1969-12-31 23:59:59",
        "1970-01-01 00:00:00+00:01",
        "9999-01-01 00:00:00",
        "23-01-01 00:00:00",
        "2023/01/01 00:00:00",
        "-2023-01-01 00:00:00",
    };
    int64_t us;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) ck_assert_msg(!datetime(bad[i], &us), "%s", bad[i]);
    ck_assert(datetime("2024-02-29 00:00:00", &us));
    ck_assert(datetime("2000-02-29 00:00:00", &us));
    ck_assert(!datetime("2100-02-29 00:00:00", &us));
}
END_TEST

static bool decimal(const char *text, int power, int64_t *us)
{
    bool is_whole;
    return trc_decimal_us(text, strlen(text), power, us, &is_whole);
}

/* A number of n/10^7 seconds is round-half-up(n / 10) microseconds, whatever is appended. */
START_TEST(decimal_seconds_round_half_up_like_integers)
{
    uint64_t n = 12345;
    for (int i = 0; i < 20000; i++) {
        n = (n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407));
        uint64_t units = (n >> 20) % UINT64_C(90000000000000000);
        char text[64];
        snprintf(text, sizeof text, "%llu.%07llu%s", (unsigned long long)(units / 10000000),
                 (unsigned long long)(units % 10000000), i % 2 ? "" : "0000000000000000000000");
        int64_t us = -1;
        if (units / 10 >= TRC_MAX_US) continue;
        ck_assert_msg(decimal(text, 6, &us), "%s", text);
        ck_assert_int_eq(us, (int64_t)((units + 5) / 10));
    }
}
END_TEST

START_TEST(decimals_of_every_unit_and_form_are_exact)
{
    int64_t us;
    ck_assert(decimal("5.8926549999999995", 6, &us) && us == 5892655);
    ck_assert(decimal("1e-05", 6, &us) && us == 10);
    ck_assert(decimal("1.5E3", 6, &us) && us == 1500000000);
    ck_assert(decimal("+7", 6, &us) && us == 7000000);
    ck_assert(decimal(".5", 6, &us) && us == 500000);
    ck_assert(decimal("5.", 6, &us) && us == 5000000);
    ck_assert(decimal("3001", 3, &us) && us == 3001000);
    ck_assert(decimal("499", -3, &us) && us == 0);
    ck_assert(decimal("500", -3, &us) && us == 1);
    ck_assert(decimal("0.00000049", 6, &us) && us == 0);
    ck_assert(decimal("0.0000005", 6, &us) && us == 1);
    ck_assert(decimal("0e99999999999", 6, &us) && us == 0);
    ck_assert(decimal("1e-99999999999", 6, &us) && us == 0);
    ck_assert(decimal("9000000000", 6, &us) && us == TRC_MAX_US);
    ck_assert(decimal("000000000000000000000000000001", 0, &us) && us == 1);
    static const char *const bad[] = {
        "",    ".",    "-1",  "nan",   "inf",  "1e",         "1e+",
        "0x1", "1 2",  "1,5", "1.2.3", "1e99", "9000000001", "10000000000000000000",
        "+-1", "1e1x", "e5",  "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!decimal(bad[i], 6, &us), "%s", bad[i]);
}
END_TEST

START_TEST(a_suffix_in_the_name_wins_over_the_dialect_and_the_flag_over_both)
{
    struct trc_trace *t = read_text("timestamp_ms,input_length,output_length\n7,1,2\n", DEFAULTS);
    request_is(t, 0, 7000, 1, 2);
    trc_free(t);
    t = read_text("timestamp,input_length,output_length\n7,1,2\n",
                  (struct trc_options){.time_unit = TRC_UNIT_S});
    request_is(t, 0, 7000000, 1, 2);
    trc_free(t);
    t = read_text("arrival_time_us,input_tokens,output_tokens\n7,1,2\n",
                  (struct trc_options){.time_unit = TRC_UNIT_NS});
    request_is(t, 0, 0, 1, 2);
    trc_free(t);
    t = read_text("when_ms,input_tokens,output_tokens\n7,1,2\n",
                  (struct trc_options){.columns = "arrival=when_ms"});
    request_is(t, 0, 7000, 1, 2);
    trc_free(t);
}
END_TEST

START_TEST(a_unit_is_never_guessed)
{
    refused("arrival_time,input_tokens,output_tokens\n1700000000,1,2\n", DEFAULTS,
            "bad.txt:2: column arrival_time: the unit of \"1700000000\" is not stated");
    refused("timestamp,input_length,output_length\n0,1,2\n1.5,1,2\n", DEFAULTS,
            "bad.txt:3: column timestamp: the unit of \"1.5\" is not stated");
    refused("t,in,out\n0,1,2\n", DEFAULTS, "--time-unit");
    struct trc_trace *t = read_text("timestamp,input_length,output_length\n0,1,2\n2.0,1,2\n", DEFAULTS);
    request_is(t, 1, 2000, 1, 2); /* 2.0 has no fraction: pandas wrote it */
    trc_free(t);
}
END_TEST

START_TEST(columns_can_be_named_and_two_for_one_field_are_an_error)
{
    static const char two[] = "arrival_time_us,timestamp,input_tokens,output_tokens\n1,2,3,4\n";
    refused(two, DEFAULTS,
            "bad.txt:1: columns \"arrival_time_us\" and \"timestamp\" both mean arrival_time_us");
    struct trc_trace *t = read_text(two, (struct trc_options){.columns = "arrival=arrival_time_us"});
    request_is(t, 0, 1, 3, 4);
    ck_assert_str_eq(t->ignored_columns, "timestamp");
    trc_free(t);
    t = read_text("When,Prompt Size (tok),gen\n1,3,4\n",
                  (struct trc_options){.columns = "arrival=when,input=prompt_size_tok,output=gen",
                                       .time_unit = TRC_UNIT_US});
    request_is(t, 0, 1, 3, 4);
    trc_free(t);
    refused("input_tokens,input_tokens,arrival_time_us,output_tokens\n1,1,1,1\n", DEFAULTS,
            "both mean input_tokens");
    refused(two, (struct trc_options){.columns = "arrival=nope"}, "has no column \"nope\"");
    refused(two, (struct trc_options){.columns = "arival=timestamp"}, "--columns: \"arival=timestamp\"");
    refused(two, (struct trc_options){.columns = "arrival"}, "--columns: \"arrival\"");
    refused(two, (struct trc_options){.columns = "arrival=a,arrival=b"}, "--columns: \"arrival=b\"");
}
END_TEST

START_TEST(unknown_columns_are_listed_and_never_fatal)
{
    struct trc_trace *t = read_text("TIMESTAMP,ContextTokens,GeneratedTokens,Deadline,\"\x1b[2J\"\n"
                                    "2023-11-16 18:15:46,374,44,9,x\n",
                                    DEFAULTS);
    ck_assert_str_eq(t->ignored_columns, "Deadline, ?[2J");
    trc_free(t);
}
END_TEST

START_TEST(rows_out_of_order_are_sorted_and_equal_times_keep_their_order)
{
    struct trc_trace *t = read_text(CANONICAL "10,1,1\n5,2,1\n10,3,1\n5,4,1\n11,5,1\n", DEFAULTS);
    ck_assert_uint_eq(t->n_reordered, 2);
    static const uint32_t order[] = {2, 4, 1, 3, 5};
    static const uint64_t rows[] = {1, 3, 0, 2, 4};
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(t->requests[i].input_tokens, order[i]);
        ck_assert_uint_eq(t->file_row[i], rows[i]);
    }
    trc_free(t);
}
END_TEST

START_TEST(requests_without_output_are_skipped_kept_or_refused)
{
    static const char text[] = CANONICAL "1,1,5\n2,0,0\n3,7,0\n4,1,6\n";
    struct trc_trace *t = read_text(text, DEFAULTS);
    ck_assert_uint_eq(t->n_requests, 2);
    ck_assert_uint_eq(t->n_failed, 2);
    trc_free(t);
    refused(text, (struct trc_options){.zero_output = TRC_ZERO_ERROR},
            "bad.txt:3: column output_tokens: \"0\"");
    refused(text, (struct trc_options){.zero_output = TRC_ZERO_ONE}, "bad.txt:3: column input_tokens: \"0\"");
    t = read_text(CANONICAL "1,1,5\n3,7,0\n", (struct trc_options){.zero_output = TRC_ZERO_ONE});
    request_is(t, 1, 3, 7, 1);
    ck_assert_uint_eq(t->n_failed, 1);
    trc_free(t);
    t = read_text("arrival_time_us,input_tokens,output_tokens,status\n1,1,5,ok\n2,1,5,Error\n3,1,5,\n",
                  DEFAULTS);
    ck_assert_uint_eq(t->n_requests, 2);
    ck_assert_uint_eq(t->n_failed, 1);
    trc_free(t);
    refused(CANONICAL "1,1,0\n", DEFAULTS, "holds no request (every row is a failed one)");
}
END_TEST

START_TEST(bad_cells_are_refused_with_line_and_column)
{
    refused(CANONICAL "1,-5,1\n", DEFAULTS,
            "bad.txt:2: column input_tokens: \"-5\" found, expected a whole number");
    refused(CANONICAL "1,5,1\n\n2,5.5,1\n", DEFAULTS, "bad.txt:4: column input_tokens: \"5.5\"");
    refused(CANONICAL "1,nan,1\n", DEFAULTS, "column input_tokens: \"nan\"");
    refused(CANONICAL "1,,1\n", DEFAULTS, "column input_tokens: is empty or missing");
    refused(CANONICAL "1,5\n", DEFAULTS, "column output_tokens: is empty or missing");
    refused(CANONICAL "1,5,4294967296\n", DEFAULTS, "column output_tokens: \"4294967296\"");
    refused(CANONICAL "1,10000000000000000000,1\n", DEFAULTS,
            "column input_tokens: \"10000000000000000000\"");
    refused(CANONICAL "10000000000000000000,1,1\n", DEFAULTS,
            "column arrival_time_us: \"10000000000000000000\"");
    refused(CANONICAL "-1,1,1\n", DEFAULTS, "column arrival_time_us: \"-1\" found, expected a time >= 0");
    refused(CANONICAL "nan,1,1\n", DEFAULTS, "column arrival_time_us: \"nan\"");
    refused(CANONICAL ",1,1\n", DEFAULTS, "column arrival_time_us: is empty or missing");
    refused(CANONICAL "1,0,1\n", DEFAULTS, "column input_tokens: \"0\" found, expected at least 1 token");
    refused(CANONICAL "1,1,1,1\n", DEFAULTS, "bad.txt:2: has 4 fields, expected the header's 3");
    refused("TIMESTAMP,ContextTokens,GeneratedTokens\n17,1,1\n", DEFAULTS,
            "column TIMESTAMP: \"17\" found, expected a datetime");
    refused("arrival_time_us,input_tokens,output_tokens,priority\n1,1,1,3000000000\n", DEFAULTS,
            "column priority");
    refused("arrival_time_us,input_tokens,output_tokens,turn\n1,1,1,-1\n", DEFAULTS, "column turn");
}
END_TEST

START_TEST(pandas_floats_that_are_whole_are_counts)
{
    struct trc_trace *t = read_text(CANONICAL "1.0,374.0,44.\n", DEFAULTS);
    request_is(t, 0, 1, 374, 44);
    trc_free(t);
}
END_TEST

START_TEST(files_that_are_no_traces_are_refused)
{
    refused("", DEFAULTS, "bad.txt:1: file is empty");
    refused("\n\n# nothing\n", DEFAULTS, "bad.txt:1: holds no text");
    refused(CANONICAL, DEFAULTS, "bad.txt:1: holds no request");
    refused("a,b,c\n1,2,3\n", DEFAULTS, "bad.txt:1: no column is input_tokens (unknown: a, b, c)");
    refused("arrival_time_us,input_tokens\n1,2\n", DEFAULTS, "no column is output_tokens");
    refused("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", DEFAULTS,
            "git-LFS pointer");
    refused("[{\"timestamp\": 1}]\n", DEFAULTS, "is a JSON array");
    struct sim_status st = {0};
    ck_assert_ptr_null(trc_read(test_dir(), NULL, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "is a directory"));
    st = (struct sim_status){0};
    ck_assert_ptr_null(trc_read("/nonexistent.csv", NULL, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "/nonexistent.csv: cannot be opened"));
}
END_TEST

START_TEST(a_file_of_very_many_columns_is_refused_quickly)
{
    enum { N = 5000 };
    char *text = sim_alloc(N * 8, 1), *at = text;
    for (int i = 0; i < N; i++) at += sprintf(at, "c%d,", i);
    strcpy(at, "x\n1\n");
    refused(text, DEFAULTS, "more than 4096 different columns");
    free(text);
}
END_TEST

START_TEST(bad_json_lines_are_refused_with_their_line)
{
    static const char good[] = "{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 6}\n";
    char text[512];
    static const struct {
        const char *line, *needle;
    } bad[] = {
        {"{\"timestamp\": 0, \"input_length\": 5, \"outp", "bad.txt:2: is no JSON object"},
        {"[1, 2]", "bad.txt:2: is no JSON object (another value"},
        {"{\"timestamp\": 0, \"timestamp\": 1, \"input_length\": 5, \"output_length\": 6}", "duplicate"},
        {"{\"timestamp\": 0, \"input_length\": [5], \"output_length\": 6}",
         "key input_length: holds another kind"},
        {"{\"timestamp\": 0, \"input_length\": 5, \"output_length\": null}",
         "column output_length: is empty or missing"},
        {"{\"timestamp\": 0, \"input_length\": 5}", "column output_length: is empty or missing"},
        {"{\"timestamp\": 0, \"input_length\": -5, \"output_length\": 6}", "column input_length: \"-5\""},
        {"{\"timestamp\": 0, \"input_length\": 5.5, \"output_length\": 6}", "column input_length: \"5.5\""},
        {"{\"timestamp\": 0, \"input_length\": 1e19, \"output_length\": 6}",
         "column input_length: \"1e+19\""},
        {"{\"timestamp\": 0, \"input_length\": 99999999999999999999, \"output_length\": 6}",
         "is no JSON object"},
        {"{\"timestamp\": NaN, \"input_length\": 5, \"output_length\": 6}", "is no JSON object"},
        {"{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 6, \"session_id\": \"s\"}",
         "key session_id: appears here first"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "%s%s\n", good, bad[i].line);
        refused(text, DEFAULTS, bad[i].needle);
    }
    refused("{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 6, \"hash_ids\": [-1]}\n", DEFAULTS,
            "key hash_ids: holds another kind");
}
END_TEST

START_TEST(json_reals_become_the_decimal_that_was_written)
{
    struct trc_trace *t = read_text(
        "{\"arrived_at\": 5.8926549999999995, \"num_prefill_tokens\": 5.0, \"num_decode_tokens\": \"6\"}\n"
        "{\"num_prefill_tokens\": 5, \"arrived_at\": 1e1, \"x\": {}, \"num_decode_tokens\": 7}\n",
        DEFAULTS);
    request_is(t, 0, 5892655, 5, 6);
    request_is(t, 1, 10000000, 5, 7);
    ck_assert_str_eq(t->ignored_columns, "x");
    trc_free(t);
}
END_TEST

#define WITH_IDS "arrival_time_us,input_tokens,output_tokens,hash_ids\n"

START_TEST(hash_ids_may_stand_between_blanks_semicolons_or_bars)
{
    struct trc_trace *t =
        read_text(WITH_IDS "1,33,1,1 2 3\n2,33,1,4;5;6\n3,33,1,7|8|9\n4,33,1,\"[10, 11, 12]\"\n5,33,1,\n",
                  (struct trc_options){.hash_block_size = 16});
    ck_assert_uint_eq(t->hash_begin[5], 12);
    for (uint64_t i = 0; i < 12; i++) ck_assert_uint_eq(t->hash_ids[i], i + 1);
    trc_free(t);
    refused(WITH_IDS "1,33,1,1 x\n", DEFAULTS, "column hash_ids: \"1 x\"");
    refused(WITH_IDS "1,33,1,18446744073709551616\n", DEFAULTS, "column hash_ids");
}
END_TEST

START_TEST(a_block_size_that_does_not_fit_the_ids_stops_the_reading)
{
    static const char mooncake[] =
        "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0, 1]}\n";
    refused(mooncake, (struct trc_options){.hash_block_size = 16},
            "bad.txt:1: column hash_ids: 2 ids for 600 input tokens, expected 38 with blocks of 16 tokens");
    refused(WITH_IDS "1,33,1,1 2 3\n2,64,1,1 2\n", DEFAULTS,
            "bad.txt:3: column hash_ids: 2 ids for 64 input tokens");
    refused(WITH_IDS "1,1,1,1\n", DEFAULTS, "several powers of two fit");
    refused(WITH_IDS "1,30,1,1 2 3 4 5\n", DEFAULTS, "no power of two fits");         /* 6 or 7 tokens */
    struct trc_trace *t = read_text(WITH_IDS "1,11,1,1 2\n2,21,1,1 2 3\n", DEFAULTS); /* 7 to 10 */
    ck_assert_uint_eq(t->hash_block_size, 8);
    trc_free(t);
}
END_TEST

START_TEST(blocks_may_drop_the_partial_one_when_all_rows_do)
{
    struct trc_options options = {.hash_block_size = 64};
    struct trc_trace *t = read_text(WITH_IDS "1,130,1,1 2\n2,191,1,1 3\n", options);
    ck_assert_uint_eq(t->hash_block_size, 64);
    trc_free(t);
    refused(WITH_IDS "1,130,1,1 2\n2,130,1,1 3 4\n", options, "bad.txt:3: column hash_ids");
}
END_TEST

START_TEST(relative_times_keep_their_offset_and_epochs_do_not)
{
    struct trc_trace *t = read_text(CANONICAL "5000000,1,1\n6000000,1,1\n", DEFAULTS);
    request_is(t, 0, 5000000, 1, 1);
    trc_free(t);
    t = read_text(CANONICAL "5000000,1,1\n6000000,1,1\n", (struct trc_options){.rebase = true});
    request_is(t, 0, 0, 1, 1);
    request_is(t, 1, 1000000, 1, 1);
    trc_free(t);
    t = read_text("arrival_time_s,input_tokens,output_tokens\n1700158546.680590,1,1\n1700158546.680591,1,1\n",
                  DEFAULTS);
    request_is(t, 0, 0, 1, 1);
    request_is(t, 1, 1, 1, 1);
    trc_free(t);
}
END_TEST

START_TEST(ticks_spread_evenly_into_the_time_to_the_next)
{
    struct trc_trace *t = read_text(CANONICAL "0,1,1\n0,2,1\n0,3,1\n3000,4,1\n5000,5,1\n5000,6,1\n",
                                    (struct trc_options){.spread_ticks = true});
    static const int64_t us[] = {0, 1000, 2000, 3000, 5000, 6000};
    for (uint64_t i = 0; i < 6; i++) request_is(t, i, us[i], (uint32_t)i + 1, 1);
    trc_free(t);
}
END_TEST

START_TEST(time_scale_multiplies_gaps)
{
    struct trc_trace *t =
        read_text(CANONICAL "10,1,1\n30,1,1\n31,1,1\n", (struct trc_options){.time_scale = 0.5});
    request_is(t, 0, 5, 1, 1);
    request_is(t, 1, 15, 1, 1);
    request_is(t, 2, 16, 1, 1); /* 15.5 rounds up */
    trc_free(t);
    refused(CANONICAL "10,1,1\n", (struct trc_options){.time_scale = -1}, "--time-scale -1");
    refused(CANONICAL "10,1,1\n", (struct trc_options){.time_scale = 1e300}, "--time-scale 1e+300");
}
END_TEST

START_TEST(the_tables_of_texts_and_ids_hold_what_was_put_in)
{
    struct trc_intern table = {0};
    struct sim_arena *strings = sim_arena_new();
    struct trc_id_set set = {0};
    char name[16];
    for (uint64_t i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "%d", (int)(i % 2500));
        struct trc_intern_entry *e = trc_intern(&table, name, strings);
        ck_assert_uint_eq(e->value, i < 2500 ? 0 : i - 2500 + 1);
        e->value = i % 2500 + 1;
        trc_id_set_add(&set, i % 2500 * UINT64_C(0x100000001));
        ck_assert(trc_id_set_has(&set, i % 2500 * UINT64_C(0x100000001)));
    }
    ck_assert_uint_eq(table.n, 2500);
    ck_assert_uint_eq(set.n, 2500);
    ck_assert(!trc_id_set_has(&set, 1));
    trc_intern_fini(&table);
    trc_id_set_fini(&set);
    sim_arena_free(strings);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("trace rules");
    TCase *time = tcase_create("time"), *rows = tcase_create("rows"), *blocks = tcase_create("hash blocks");
    tcase_add_test(time, datetimes_agree_with_the_c_library_on_every_day_to_2250);
    tcase_add_test(time, datetime_fractions_and_zones_are_exact);
    tcase_add_test(time, what_is_no_datetime_is_none);
    tcase_add_test(time, decimal_seconds_round_half_up_like_integers);
    tcase_add_test(time, decimals_of_every_unit_and_form_are_exact);
    tcase_add_test(time, a_suffix_in_the_name_wins_over_the_dialect_and_the_flag_over_both);
    tcase_add_test(time, a_unit_is_never_guessed);
    tcase_add_test(time, relative_times_keep_their_offset_and_epochs_do_not);
    tcase_add_test(time, ticks_spread_evenly_into_the_time_to_the_next);
    tcase_add_test(time, time_scale_multiplies_gaps);
    tcase_add_test(rows, columns_can_be_named_and_two_for_one_field_are_an_error);
    tcase_add_test(rows, unknown_columns_are_listed_and_never_fatal);
    tcase_add_test(rows, rows_out_of_order_are_sorted_and_equal_times_keep_their_order);
    tcase_add_test(rows, requests_without_output_are_skipped_kept_or_refused);
    tcase_add_test(rows, bad_cells_are_refused_with_line_and_column);
    tcase_add_test(rows, pandas_floats_that_are_whole_are_counts);
    tcase_add_test(rows, files_that_are_no_traces_are_refused);
    tcase_add_test(rows, a_file_of_very_many_columns_is_refused_quickly);
    tcase_add_test(rows, bad_json_lines_are_refused_with_their_line);
    tcase_add_test(rows, json_reals_become_the_decimal_that_was_written);
    tcase_add_test(blocks, hash_ids_may_stand_between_blanks_semicolons_or_bars);
    tcase_add_test(blocks, a_block_size_that_does_not_fit_the_ids_stops_the_reading);
    tcase_add_test(blocks, blocks_may_drop_the_partial_one_when_all_rows_do);
    tcase_add_test(blocks, the_tables_of_texts_and_ids_hold_what_was_put_in);
    suite_add_tcase(s, time);
    suite_add_tcase(s, rows);
    suite_add_tcase(s, blocks);
    return s;
}
