/* Every dialect from a few lines, and the public files: oracles are their exact token sums, row counts,
 * burstiness and prefix hits, and that two formats of the same requests read as the same requests. */
#include "tests/trace_help.h"

#include "traces/dialect.h"
#include "traces/info.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

static const struct trc_options DEFAULTS = {0};

START_TEST(azure_2023_rows_keep_their_seventh_digit_and_their_last_line)
{
    struct trc_trace *t = read_text("TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
                                    "2023-11-16 18:15:46.6805900,374,44\r\n"
                                    "2023-11-16 18:15:50.9951690,396,109\r\n"
                                    "2023-11-16 18:15:51.2224676,879,55",
                                    DEFAULTS);
    ck_assert_str_eq(t->dialect, "azure");
    ck_assert_uint_eq(t->n_requests, 3);
    request_is(t, 0, 0, 374, 44);
    request_is(t, 1, 4314579, 396, 109);
    request_is(t, 2, 4541878, 879, 55); /* 51.2224676 rounds up to .222468 */
    ck_assert(t->has_arrivals);
    ck_assert_ptr_null(t->file_row);
    ck_assert_ptr_null(t->request_id);
    trc_free(t);
}
END_TEST

START_TEST(azure_2024_has_a_zone_and_azure_2025_another_column)
{
    struct trc_trace *t = read_text("TIMESTAMP,ContextTokens,GeneratedTokens\n"
                                    "2024-05-10 00:00:00.009930+00:00,2162,5\n"
                                    "2024-05-10 02:00:01.009930+02:00,2399,6\n",
                                    DEFAULTS);
    request_is(t, 0, 0, 2162, 5);
    request_is(t, 1, 1000000, 2399, 6);
    trc_free(t);
    t = read_text("TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n"
                  "2025-02-28 23:59:59.5,3,100,7\n2025-03-01 00:00:00.5,0,200,8\n",
                  DEFAULTS);
    ck_assert_str_eq(t->dialect, "azure");
    ck_assert_str_eq(t->ignored_columns, "NumImages");
    request_is(t, 1, 1000000, 200, 8);
    trc_free(t);
}
END_TEST

START_TEST(vidur_seconds_are_rounded_not_cut)
{
    struct trc_trace *t = read_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n"
                                    "5.8926549999999995,91,16\n639.6116939999999,7,8\n",
                                    DEFAULTS);
    ck_assert_str_eq(t->dialect, "vidur");
    request_is(t, 1, 5892655, 91, 16);
    request_is(t, 2, 639611694, 7, 8);
    trc_free(t);
    t = read_text("arrival_time,num_prefill_tokens,num_decode_tokens\n2023-01-01 00:00:01,5,6\n"
                  "2023-01-01 00:00:03,5,6\n",
                  DEFAULTS);
    ck_assert_str_eq(t->dialect, "vidur");
    request_is(t, 1, 2000000, 5, 6);
    trc_free(t);
}
END_TEST

START_TEST(lengths_without_arrivals_are_taken_only_when_asked_for)
{
    static const char text[] =
        "num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n3772,54,3826,69.8\n";
    refused(text, DEFAULTS, "bad.txt:1: has lengths but no arrivals");
    refused(text, DEFAULTS, "kvsim trace synth --input file:FILE:COLUMN");
    struct trc_trace *t = read_text(text, (struct trc_options){.lengths_only_ok = true});
    ck_assert(!t->has_arrivals);
    ck_assert_str_eq(t->ignored_columns, "num_total_tokens, pd_ratio");
    request_is(t, 0, 0, 3772, 54);
    trc_free(t);
}
END_TEST

START_TEST(frontier_ids_between_bars_are_hash_ids)
{
    struct trc_trace *t =
        read_text("arrived_at,num_prefill_tokens,num_decode_tokens,session_id,block_hash_ids\n"
                  "0.0,32,2,7,11|22\n1.5,20,2,7,11|33\n",
                  DEFAULTS);
    ck_assert_uint_eq(t->hash_begin[2], 4);
    ck_assert_uint_eq(t->hash_ids[3], 33);
    ck_assert_uint_eq(t->hash_block_size, 16); /* the one power of two with ceil(32 / b) = ceil(20 / b) = 2 */
    ck_assert_str_eq(t->session_id[1], "7");
    ck_assert_ptr_eq(t->session_id[0], t->session_id[1]);
    trc_free(t);
}
END_TEST

START_TEST(burstgpt_is_read_by_name_in_both_of_its_layouts)
{
    struct trc_trace *t = read_text("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
                                    "5,ChatGPT,472,18,490,Conversation log\n"
                                    "45,ChatGPT,1087,0,1087,Conversation log\n"
                                    "118,GPT-4,417,276,693,Conversation log\n",
                                    DEFAULTS);
    ck_assert_str_eq(t->dialect, "burstgpt");
    ck_assert_uint_eq(t->n_requests, 2);
    ck_assert_uint_eq(t->n_failed, 1);
    request_is(t, 0, 5000000, 472, 18); /* its offset is real */
    request_is(t, 1, 118000000, 417, 276);
    ck_assert_str_eq(t->model[1], "GPT-4");
    ck_assert_uint_eq(t->file_row[1], 2); /* a skipped row still counts as a row */
    trc_free(t);
    t = read_text(
        "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,s1,2.5,ChatGPT,472,18,490,Conversation log\n",
        (struct trc_options){.rebase = true});
    ck_assert_str_eq(t->session_id[0], "s1");
    request_is(t, 0, 0, 472, 18);
    trc_free(t);
}
END_TEST

START_TEST(bailian_chats_become_sessions_by_their_parents)
{
    struct trc_trace *t = read_text(
        "{\"chat_id\":1,\"parent_chat_id\":-1,\"timestamp\":61.114,\"input_length\":17,\"output_length\":2,"
        "\"type\":\"text\",\"turn\":1,\"hash_ids\":[5,6]}\n"
        "{\"chat_id\":2,\"parent_chat_id\":1,\"timestamp\":62.0,\"input_length\":33,\"output_length\":2,"
        "\"type\":\"text\",\"turn\":2,\"hash_ids\":[5,6,7]}\n"
        "{\"chat_id\":9,\"parent_chat_id\":-1,\"timestamp\":62.5,\"input_length\":3,\"output_length\":2,"
        "\"type\":\"text\",\"turn\":1,\"hash_ids\":[8]}\n"
        "{\"chat_id\":4,\"parent_chat_id\":2,\"timestamp\":70.25,\"input_length\":49,\"output_length\":2,"
        "\"type\":\"text\",\"turn\":3,\"hash_ids\":[5,6,7,9]}\n",
        DEFAULTS);
    ck_assert_str_eq(t->dialect, "bailian");
    ck_assert_uint_eq(t->hash_block_size, 16);
    request_is(t, 0, 61114000, 17, 2);
    request_is(t, 3, 70250000, 49, 2);
    ck_assert_str_eq(t->session_id[0], "1");
    ck_assert_str_eq(t->session_id[1], "1");
    ck_assert_str_eq(t->session_id[2], "9");
    ck_assert_str_eq(t->session_id[3], "1");
    ck_assert_str_eq(t->request_id[3], "4");
    ck_assert_uint_eq(t->turn[3], 3);
    ck_assert_str_eq(t->ignored_columns, "type");
    trc_free(t);
}
END_TEST

START_TEST(mooncake_is_in_milliseconds_with_blocks_of_512)
{
    struct trc_trace *t = read_text(
        "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 500, \"hash_ids\": [0, 1]}\n"
        "{\"timestamp\": 3001, \"input_length\": 1025, \"output_length\": 49, \"hash_ids\": [0, 14, 15]}\n",
        DEFAULTS);
    ck_assert_str_eq(t->dialect, "mooncake");
    ck_assert_uint_eq(t->hash_block_size, 512);
    request_is(t, 1, 3001000, 1025, 49);
    ck_assert_uint_eq(t->hash_begin[1], 2);
    ck_assert_uint_eq(t->hash_ids[4], 15);
    trc_free(t);
}
END_TEST

START_TEST(llmservingsim_nanoseconds_keep_their_offset_and_its_agents_are_refused)
{
    struct trc_trace *t =
        read_text("{\"input_toks\": 27369, \"output_toks\": 1626, \"arrival_time_ns\": 101537499}\n"
                  "{\"input_toks\": 2, \"output_toks\": 3, \"arrival_time_ns\": 101537500}\n",
                  DEFAULTS);
    ck_assert_str_eq(t->dialect, "llmservingsim");
    request_is(t, 0, 101537, 27369, 1626);
    request_is(t, 1, 101538, 2, 3);
    trc_free(t);
    refused("{\"session_id\": \"s\", \"arrival_time_ns\": 1, \"sub_requests\": "
            "[{\"input_toks\": 1, \"output_toks\": 2, \"tool_duration_ns\": 3}]}\n",
            DEFAULTS, "bad.txt:1: key sub_requests: holds a closed loop");
}
END_TEST

START_TEST(splitwise_sim_apex_baseten_and_weka_are_known)
{
    struct trc_trace *t = read_text(
        "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n"
        "0,2,0,1.5,1,2048,8\n",
        DEFAULTS);
    ck_assert_str_eq(t->dialect, "splitwise-sim");
    request_is(t, 0, 1500000, 2048, 8);
    ck_assert_str_eq(t->request_id[0], "0");
    trc_free(t);
    t = read_text("RequestID,StartTimeOffset,ContextTokens,GeneratedTokens,TotalTokens\n7,2000000000,3,4,7\n",
                  DEFAULTS);
    ck_assert_str_eq(t->dialect, "apex");
    request_is(t, 0, 2000000, 3, 4);
    trc_free(t);
    t = read_text(
        "timestamp_start_unix_ms,input_tokens,output_tokens\n1700000000123,5,6\n1700000000125,5,6\n",
        DEFAULTS);
    ck_assert_str_eq(t->dialect, "baseten");
    request_is(t, 1, 2000, 5, 6); /* an epoch is shifted to 0 */
    trc_free(t);
    t = read_text("t,in,out\n1,5,6\n", (struct trc_options){.time_unit = TRC_UNIT_S});
    ck_assert_str_eq(t->dialect, "weka");
    request_is(t, 0, 1000000, 5, 6);
    trc_free(t);
}
END_TEST

START_TEST(canonical_and_blis_bring_every_side_column)
{
    struct trc_trace *t = read_text(
        "request_id,arrival_time_us,input_tokens,output_tokens,session_id,round_index,model,vllm_priority,"
        "prefix_group,prefix_length,hash_ids,slo_class,task,client_id\n"
        "r1,10,33,2,s1,1,m,-5,g,16,1 2 3,critical,qa,c\n"
        "\"r,2\",20,32,2,s1,2,m,7,g,16,1;2,,code,c\n"
        "r3,20,1,2,,,,,,,9,critical,,c\n",
        (struct trc_options){.hash_block_size = 16});
    ck_assert_str_eq(t->dialect, "canonical");
    ck_assert_str_eq(t->request_id[1], "r,2");
    ck_assert_uint_eq(t->turn[1], 2);
    ck_assert_int_eq(t->requests[0].priority, -5);
    ck_assert_int_eq(t->requests[1].priority, 7);
    ck_assert_str_eq(t->prefix_group[0], "g");
    ck_assert_uint_eq(t->prefix_length[1], 16);
    ck_assert_str_eq(t->task[1], "code");
    ck_assert_str_eq(t->session_id[2], "");
    ck_assert_uint_eq(t->n_classes, 2);
    ck_assert_str_eq(t->class_names[t->requests[0].slo_class], "critical");
    ck_assert_str_eq(t->class_names[t->requests[1].slo_class], "default");
    ck_assert_uint_eq(t->requests[2].slo_class, t->requests[0].slo_class);
    ck_assert_str_eq(t->ignored_columns, "client_id");
    trc_free(t);
}
END_TEST

START_TEST(unknown_formats_are_read_by_synonyms_with_a_stated_unit)
{
    struct trc_trace *t = read_text("arrival_time_ms,prompt_len,completion_tokens\n1.5,10,20\n", DEFAULTS);
    ck_assert_str_eq(t->dialect, "generic");
    request_is(t, 0, 1500, 10, 20);
    trc_free(t);
    t = read_text(
        "timestamp,prompt_tokens,completion_tokens\n2024-05-10T00:00:00Z,1,2\n2024-05-10T00:00:01Z,1,2\n",
        DEFAULTS);
    request_is(t, 1, 1000000, 1, 2);
    trc_free(t);
    refused("timestamp,prompt_tokens,completion_tokens\n12,1,2\n", DEFAULTS, "--time-unit");
}
END_TEST

START_TEST(each_dialect_of_the_table_is_found_by_its_own_columns)
{
    for (size_t i = 0; trc_dialect_at(i); i++) {
        const struct trc_dialect *d = trc_dialect_at(i);
        struct sim_status st = {0};
        struct trc_columns c;
        ck_assert(trc_columns_init(&c, NULL, &st));
        for (int k = 0; k < TRC_DIALECT_COLUMNS; k++)
            if (d->columns[k])
                ck_assert_msg(trc_columns_add(&c, d->columns[k], "f", 1, &st), "%s", st.message);
        ck_assert(trc_columns_close(&c, "f", 1, &st));
        ck_assert_str_eq(trc_dialect_find(&c)->name, d->name);
        ck_assert(c.column[TRC_F_INPUT] >= 0 && c.column[TRC_F_OUTPUT] >= 0);
        trc_columns_fini(&c);
    }
}
END_TEST

static const struct public_file {
    const char *path, *dialect;
    uint64_t n, input, output;
    double duration_s, gap_cv, dispersion[3], peak[3];
} files[] = {
    {"traces/azure-2023/AzureLLMInferenceTrace_conv.csv",
     "azure",
     19366,
     22361870,
     4088665,
     3501.722,
     1.094,
     {1.39, 4.00, 20.55},
     {16, 9.8, 8.45}},
    {"traces/azure-2023/AzureLLMInferenceTrace_code.csv",
     "azure",
     8819,
     18059974,
     245896,
     3435.948,
     13.151,
     {13.18, 71.30, 160.54},
     {67, 32.7, 10.53}},
    {"traces/mooncake/conversation_trace.jsonl",
     "mooncake",
     12031,
     144793823,
     4122048,
     3536.999,
     3.034,
     {7.89, 2.09, 2.85},
     {28, 6.7, 4.12}},
    {"traces/vidur/splitwise_conv.csv",
     "vidur",
     19366,
     22361870,
     4088665,
     3501.722,
     1.094,
     {1.39, 4.00, 20.55},
     {16, 9.8, 8.45}},
    {"traces/vidur/splitwise_code.csv",
     "vidur",
     8819,
     18059974,
     245896,
     3435.948,
     13.151,
     {13.18, 71.30, 160.54},
     {67, 32.7, 10.53}},
};

START_TEST(public_files_have_their_published_counts_and_burstiness)
{
    const struct public_file *f = &files[_i];
    const char *path = TEST_SHARED(f->path);
    struct trc_trace *t = read_file(path, DEFAULTS);
    struct trc_info info;
    trc_info(t, &info);
    ck_assert_str_eq(info.dialect, f->dialect);
    ck_assert_uint_eq(info.n_requests, f->n);
    ck_assert_uint_eq(info.input.sum_tokens, f->input);
    ck_assert_uint_eq(info.output.sum_tokens, f->output);
    ck_assert_double_eq_tol(info.duration_s, f->duration_s, 0.0005);
    ck_assert_double_eq_tol(info.gap_cv, f->gap_cv, 0.0005);
    for (int w = 0; w < 3; w++) {
        ck_assert_double_eq_tol(info.dispersion[w], f->dispersion[w], 0.0051);
        ck_assert_double_eq_tol(info.peak_rate[w], f->peak[w], 0.0051);
    }
    ck_assert_uint_eq(info.n_reordered + info.n_failed, 0);
    trc_free(t);
}
END_TEST

START_TEST(arxiv_lengths_have_their_published_sums)
{
    const char *path = TEST_SHARED("traces/vidur/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv");
    struct trc_trace *t = read_file(path, (struct trc_options){.lengths_only_ok = true});
    struct trc_info info;
    trc_info(t, &info);
    ck_assert_uint_eq(info.n_requests, 28257);
    ck_assert_uint_eq(info.input.sum_tokens, 73131321);
    ck_assert_uint_eq(info.output.sum_tokens, 8234948);
    ck_assert_uint_eq(info.max_total_tokens, 4096);
    trc_free(t);
}
END_TEST

START_TEST(azure_and_its_vidur_copy_read_as_the_same_requests)
{
    static const char *const twins[2][2] = {
        {"traces/azure-2023/AzureLLMInferenceTrace_conv.csv", "traces/vidur/splitwise_conv.csv"},
        {"traces/azure-2023/AzureLLMInferenceTrace_code.csv", "traces/vidur/splitwise_code.csv"}};
    const char *path = TEST_SHARED(twins[_i][0]);
    struct trc_trace *azure = read_file(path, DEFAULTS);
    path = TEST_SHARED(twins[_i][1]);
    struct trc_trace *vidur = read_file(path, DEFAULTS);
    traces_equal(azure, vidur);
    trc_free(azure);
    trc_free(vidur);
}
END_TEST

START_TEST(mooncake_prefix_hits_are_exact)
{
    const char *path = TEST_SHARED("traces/mooncake/conversation_trace.jsonl");
    struct trc_trace *t = read_file(path, DEFAULTS);
    struct trc_info info;
    trc_info(t, &info);
    ck_assert_int_eq(info.prefix.source, TRC_PREFIX_HASH_IDS);
    ck_assert_uint_eq(info.prefix.n_blocks, 288500);
    ck_assert_uint_eq(info.prefix.n_unique_blocks, 182790);
    ck_assert_double_eq_tol((double)info.prefix.n_hit_blocks / 288500.0, 0.366, 0.0005);
    ck_assert_double_eq_tol((double)info.prefix.hit_tokens / 144793823.0, 0.374, 0.0005);
    trc_free(t);
}
END_TEST

/* Blocks of 4 tokens, by hand: request 0 has none seen; 1 shares {1, 2}, of which only 7 tokens are its own;
 * 2 knows 9 but not 8 before it, so nothing; 3 repeats 0 whole. Hits: 0 + 2 + 0 + 3 blocks, 0 + 7 + 0 + 10
 * tokens. */
START_TEST(prefix_hits_are_the_longest_known_run_from_the_start)
{
    struct trc_trace *t = read_text("arrival_time_us,input_tokens,output_tokens,hash_ids\n"
                                    "0,10,1,1 2 3\n1,7,1,1 2\n2,8,1,8 3\n3,10,1,1 2 3\n",
                                    (struct trc_options){.hash_block_size = 4});
    struct trc_info info;
    trc_info(t, &info);
    ck_assert_uint_eq(info.prefix.n_blocks, 10);
    ck_assert_uint_eq(info.prefix.n_unique_blocks, 4);
    ck_assert_uint_eq(info.prefix.n_hit_blocks, 5);
    ck_assert_uint_eq(info.prefix.hit_tokens, 17);
    trc_free(t);
}
END_TEST

START_TEST(prefix_groups_and_sessions_give_their_hits)
{
    struct trc_trace *t = read_text("arrival_time_us,input_tokens,output_tokens,prefix_group,prefix_length\n"
                                    "0,100,1,a,60\n1,50,1,a,60\n2,100,1,b,60\n3,100,1,,0\n4,100,1,a,60\n",
                                    DEFAULTS);
    struct trc_info info;
    trc_info(t, &info);
    ck_assert_int_eq(info.prefix.source, TRC_PREFIX_GROUP);
    ck_assert_uint_eq(info.prefix.hit_tokens, 50 + 60);
    trc_free(t);
    t = read_text("arrival_time_us,input_tokens,output_tokens,session_id\n"
                  "0,100,10,a\n1,150,10,a\n2,30,10,b\n3,100,10,a\n4,10,10,\n",
                  DEFAULTS);
    trc_info(t, &info);
    ck_assert_int_eq(info.prefix.source, TRC_PREFIX_SESSION);
    ck_assert_uint_eq(info.prefix.hit_tokens, 110 + 100);
    ck_assert_uint_eq(info.n_sessions, 3);
    trc_free(t);
}
END_TEST

/* Requests at 0, 0.5, 1.5, 12 s. 1 s windows: counts 2, 1, 0 x 10, 1 over 13: mean 4/13, mean square 6/13. */
START_TEST(info_agrees_with_arithmetic_by_hand)
{
    struct trc_trace *t = read_text("arrived_at,num_prefill_tokens,num_decode_tokens\n"
                                    "0,10,1\n0.5,20,1\n1.5,30,1\n12,40,3\n",
                                    DEFAULTS);
    struct trc_info info;
    trc_info(t, &info);
    double mean = 4.0 / 13.0;
    ck_assert_double_eq_tol(info.dispersion[0], (6.0 / 13.0 - mean * mean) / mean, 1e-12);
    ck_assert_double_eq_tol(info.dispersion[1], 0.5, 1e-12); /* counts 3, 1: mean 2, variance 1 */
    ck_assert_double_eq_tol(info.dispersion[2], 0.0, 1e-12);
    ck_assert_double_eq(info.peak_rate[0], 2.0);
    ck_assert_double_eq(info.peak_rate[1], 0.3);
    ck_assert_double_eq(info.duration_s, 12.0);
    ck_assert_double_eq_tol(info.gap_cv, sqrt((3.5 * 3.5 + 3 * 3 + 6.5 * 6.5) / 3.0) / 4.0, 1e-12);
    ck_assert_double_eq_tol(info.input.mean_tokens, 25.0, 1e-12);
    ck_assert_double_eq_tol(info.input.p50_tokens, 25.0, 1e-12);
    ck_assert_double_eq_tol(info.input.p90_tokens, 37.0, 1e-12); /* numpy: 30 + 0.7 x 10 */
    ck_assert_double_eq_tol(info.input.cv, sqrt(125.0) / 25.0, 1e-12);
    ck_assert_uint_eq(info.output.sum_tokens, 6);
    ck_assert_uint_eq(info.max_total_tokens, 43);
    json_t *j = trc_info_json(&info);
    ck_assert_int_eq(json_integer_value(json_object_get(j, "requests")), 4);
    ck_assert_int_eq(json_integer_value(json_object_get(j, "input_tokens")), 100);
    ck_assert_str_eq(json_string_value(json_object_get(j, "dialect")), "vidur");
    ck_assert_double_eq(json_real_value(json_object_get(j, "duration_s")), 12.0);
    json_decref(j);
    trc_free(t);
}
END_TEST

START_TEST(a_trace_of_one_request_or_of_one_instant_has_finite_info)
{
    static const char *const texts[] = {"arrived_at,num_prefill_tokens,num_decode_tokens\n5,10,1\n",
                                        "arrived_at,num_prefill_tokens,num_decode_tokens\n5,10,1\n5,9,2\n"};
    struct trc_trace *t = read_text(texts[_i], DEFAULTS);
    struct trc_info info;
    trc_info(t, &info);
    ck_assert(isfinite(info.gap_cv) && isfinite(info.request_rate) && isfinite(info.dispersion[0]));
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    trc_info_print(&info, f);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "trace: vidur, "));
    ck_assert_ptr_null(strstr(text, "nan"));
    free(text);
    trc_free(t);
}
END_TEST

static void side_columns_equal(const struct trc_trace *a, const struct trc_trace *b)
{
    for (uint64_t i = 0; i < a->n_requests; i++) {
        ck_assert_str_eq(a->request_id[i], b->request_id[i]);
        ck_assert_str_eq(a->session_id[i], b->session_id[i]);
        ck_assert_str_eq(a->model[i], b->model[i]);
        ck_assert_str_eq(a->task[i], b->task[i]);
        ck_assert_str_eq(a->prefix_group[i], b->prefix_group[i]);
        ck_assert_uint_eq(a->turn[i], b->turn[i]);
        ck_assert_uint_eq(a->prefix_length[i], b->prefix_length[i]);
        ck_assert_uint_eq(a->hash_begin[i + 1], b->hash_begin[i + 1]);
        ck_assert_str_eq(a->class_names[a->requests[i].slo_class], b->class_names[b->requests[i].slo_class]);
    }
    for (uint32_t k = 0; k < a->hash_begin[a->n_requests]; k++)
        ck_assert_uint_eq(a->hash_ids[k], b->hash_ids[k]);
}

static struct trc_trace *write_and_read(const struct trc_trace *t, const char *name,
                                        struct trc_options options)
{
    struct sim_status st = {0};
    const char *path = test_file(name, "");
    ck_assert_msg(trc_write(t, path, &st), "%s", st.message);
    return read_file(path, options);
}

START_TEST(writing_and_reading_again_changes_nothing)
{
    const struct trc_options options = {.hash_block_size = 16};
    struct trc_trace *t = read_text(
        "request_id,arrival_time_us,input_tokens,output_tokens,session_id,turn,model,priority,prefix_group,"
        "prefix_length,hash_ids,slo_class,task\n"
        "r1,10,33,2,s1,1,\"m, \"\"big\"\"\",-5,g,16,1|2|18446744073709551615,critical,qa\n"
        "\"#r 2\",20,32,2,\" s1\",2,m,7,g,16,1;2,,\"two\nlines\"\n"
        "r3,5,1,2,,,,,,,,critical,\n",
        options);
    ck_assert_uint_eq(t->n_reordered, 1);
    ck_assert_str_eq(t->request_id[0], "r3");
    struct trc_trace *again = write_and_read(t, "again.csv", options);
    ck_assert_str_eq(again->dialect, "canonical");
    traces_equal(t, again);
    side_columns_equal(t, again);
    trc_free(t);
    trc_free(again);
}
END_TEST

START_TEST(public_files_survive_conversion)
{
    const char *path = TEST_SHARED(files[_i].path);
    struct trc_trace *t = read_file(path, DEFAULTS);
    struct trc_trace *again = write_and_read(t, "converted.csv", DEFAULTS);
    traces_equal(t, again);
    ck_assert_uint_eq(t->hash_block_size, again->hash_block_size); /* mooncake: 512, found by the ratio */
    if (t->hash_begin)
        ck_assert_mem_eq(t->hash_ids, again->hash_ids, t->hash_begin[t->n_requests] * sizeof *t->hash_ids);
    trc_free(t);
    trc_free(again);
}
END_TEST

START_TEST(row_numbers_survive_skipping_and_sorting)
{
    struct trc_trace *t =
        read_text("arrival_time_us,input_tokens,output_tokens\n30,1,1\n10,2,0\n20,3,1\n", DEFAULTS);
    ck_assert_uint_eq(t->n_requests, 2);
    ck_assert_uint_eq(t->file_row[0], 2);
    ck_assert_uint_eq(t->file_row[1], 0);
    struct trc_trace *again = write_and_read(t, "rows.csv", DEFAULTS);
    ck_assert_str_eq(again->request_id[0], "2");
    ck_assert_str_eq(again->request_id[1], "0");
    trc_free(t);
    trc_free(again);
}
END_TEST

START_TEST(lengths_only_stay_lengths_only_when_written)
{
    struct trc_options options = {.lengths_only_ok = true};
    struct trc_trace *t = read_text("num_prefill_tokens,num_decode_tokens\n5,6\n", options);
    struct trc_trace *again = write_and_read(t, "lengths.csv", options);
    ck_assert(!again->has_arrivals);
    request_is(again, 0, 0, 5, 6);
    trc_free(t);
    trc_free(again);
}
END_TEST

START_TEST(a_target_that_cannot_be_written_is_an_error)
{
    struct trc_trace *t = read_text("arrival_time_us,input_tokens,output_tokens\n1,1,1\n", DEFAULTS);
    struct sim_status st = {0};
    ck_assert(!trc_write(t, "/nonexistent/x.csv", &st));
    ck_assert_ptr_nonnull(strstr(st.message, "/nonexistent/x.csv: cannot be written"));
    trc_free(t);
}
END_TEST

START_TEST(gzip_json_lines_read_like_plain_ones)
{
    const char *path = test_file("m.jsonl.gz", "");
    static const char text[] =
        "{\"timestamp\": 7, \"input_length\": 5, \"output_length\": 6, \"hash_ids\": [3]}";
    gzFile f = gzopen(path, "wb");
    ck_assert_int_eq(gzputs(f, text), (int)strlen(text));
    ck_assert_int_eq(gzclose(f), Z_OK);
    struct trc_trace *t = read_file(path, DEFAULTS);
    request_is(t, 0, 7000, 5, 6);
    trc_free(t);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("traces");
    TCase *d = tcase_create("dialects"), *p = tcase_create("public files"), *i = tcase_create("info"),
          *w = tcase_create("write");
    tcase_add_test(d, azure_2023_rows_keep_their_seventh_digit_and_their_last_line);
    tcase_add_test(d, azure_2024_has_a_zone_and_azure_2025_another_column);
    tcase_add_test(d, vidur_seconds_are_rounded_not_cut);
    tcase_add_test(d, lengths_without_arrivals_are_taken_only_when_asked_for);
    tcase_add_test(d, frontier_ids_between_bars_are_hash_ids);
    tcase_add_test(d, burstgpt_is_read_by_name_in_both_of_its_layouts);
    tcase_add_test(d, bailian_chats_become_sessions_by_their_parents);
    tcase_add_test(d, mooncake_is_in_milliseconds_with_blocks_of_512);
    tcase_add_test(d, llmservingsim_nanoseconds_keep_their_offset_and_its_agents_are_refused);
    tcase_add_test(d, splitwise_sim_apex_baseten_and_weka_are_known);
    tcase_add_test(d, canonical_and_blis_bring_every_side_column);
    tcase_add_test(d, unknown_formats_are_read_by_synonyms_with_a_stated_unit);
    tcase_add_test(d, each_dialect_of_the_table_is_found_by_its_own_columns);
    tcase_add_test(d, gzip_json_lines_read_like_plain_ones);
    tcase_add_loop_test(p, public_files_have_their_published_counts_and_burstiness, 0, 5);
    tcase_add_test(p, arxiv_lengths_have_their_published_sums);
    tcase_add_loop_test(p, azure_and_its_vidur_copy_read_as_the_same_requests, 0, 2);
    tcase_add_test(p, mooncake_prefix_hits_are_exact);
    tcase_add_loop_test(p, public_files_survive_conversion, 0, 5);
    tcase_add_test(i, prefix_hits_are_the_longest_known_run_from_the_start);
    tcase_add_test(i, prefix_groups_and_sessions_give_their_hits);
    tcase_add_test(i, info_agrees_with_arithmetic_by_hand);
    tcase_add_loop_test(i, a_trace_of_one_request_or_of_one_instant_has_finite_info, 0, 2);
    tcase_add_test(w, writing_and_reading_again_changes_nothing);
    tcase_add_test(w, row_numbers_survive_skipping_and_sorting);
    tcase_add_test(w, lengths_only_stay_lengths_only_when_written);
    tcase_add_test(w, a_target_that_cannot_be_written_is_an_error);
    suite_add_tcase(s, d);
    suite_add_tcase(s, p);
    suite_add_tcase(s, i);
    suite_add_tcase(s, w);
    return s;
}
