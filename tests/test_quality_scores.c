/* Scores in: CSV, JSON arrays, JSON lines, folders; what is refused and how. */
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "experiments/quality/record_as.h"
#include "experiments/quality/scores_build.h"
#include "tests/scores_help.h"

static void refused_with(const char *path, const struct exp_scores_options *o, const char *expected)
{
    struct sim_status st = {0};
    struct exp_scores *s = exp_scores_read(&path, 1, o, &st);
    ck_assert_msg(s == NULL, "%s was read, expected `%s`", path, expected);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    ck_assert_msg(strchr(st.message, '\n') == NULL, "more than a line: %s", st.message);
}

static void refused(const char *name, const char *text, const char *expected)
{
    refused_with(test_file(name, text), NULL, expected);
}

static const struct exp_score *score_of(const struct exp_scores *s, const char *name, const char *task,
                                        const char *id)
{
    for (uint32_t i = 0; i < s->n_samples; i++)
        if (strcmp(s->task[s->sample[i].task], task) == 0 && strcmp(s->sample[i].id, id) == 0)
            return &s->score[method(s, name)][i];
    ck_abort_msg("no sample %s %s", task, id);
    return NULL;
}

/* ---- CSV ---- */

START_TEST(columns_are_found_by_name_and_samples_sorted)
{
    struct exp_scores *s = scores_of("score,id,task,note,alg,params\n"
                                     "0.5,10,b,x,kivi,4bits\n0.25,9,b,x,kivi,4bits\n1,x,b,x,kivi,4bits\n"
                                     "0.75,9.0,a,x,hf,\n0,010,b,x,hf,\n");
    ck_assert_uint_eq(s->n_methods, 2);
    ck_assert_str_eq(s->method[0], "kivi/4bits");
    ck_assert_str_eq(s->method[1], "hf");
    ck_assert_uint_eq(s->n_tasks, 2);
    ck_assert_str_eq(s->task[0], "a");
    static const char *const ids[] = {"9", "9", "010", "10", "x"}; /* numbers by value, then words */
    ck_assert_uint_eq(s->n_samples, 5);
    for (int i = 0; i < 5; i++) ck_assert_str_eq(s->sample[i].id, ids[i]);
    ck_assert_double_eq(score_of(s, "kivi", "b", "9")->score, 0.25);
    ck_assert(isnan(score_of(s, "hf", "b", "9")->score));
    ck_assert_uint_eq(s->n_of_method[0], 3);
    ck_assert_uint_eq(s->n_of_method[1], 2);
    ck_assert_uint_eq(score_of(s, "hf", "a", "9")->output_tokens, EXP_NO_TOKENS);
    exp_scores_free(s);
}
END_TEST

START_TEST(tokens_are_read_where_they_are)
{
    struct exp_scores *s =
        scores_of("alg,params,task,id,score,output_tokens\nhf,,a,1,1,374.0\nhf,,a,2,1,\nhf,,a,3,0,0\n");
    ck_assert_uint_eq(score_of(s, "hf", "a", "1")->output_tokens, 374);
    ck_assert_uint_eq(score_of(s, "hf", "a", "2")->output_tokens, EXP_NO_TOKENS);
    ck_assert_uint_eq(score_of(s, "hf", "a", "3")->output_tokens, 0);
    exp_scores_free(s);
}
END_TEST

START_TEST(percentages_are_scaled_and_otherwise_refused_with_the_hint)
{
    const char *path = test_file("percent.csv", "alg,params,task,id,score\nhf,,a,1,41.2\nhf,,a,2,100\n");
    const struct exp_scores_options percent = {.scale = 100};
    struct sim_status st = {0};
    struct exp_scores *s = exp_scores_read(&path, 1, &percent, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert_double_eq_tol(score_of(s, "hf", "a", "1")->score, 0.412, 1e-15);
    ck_assert_double_eq(score_of(s, "hf", "a", "2")->score, 1);
    exp_scores_free(s);
    refused_with(path, NULL,
                 "percent.csv:2: score is 41.2, expected 0 to 1; for percentages give --scale 100");
    refused("s.csv", "alg,params,task,id,score\nhf,,a,1,-0.1\n", "s.csv:2: score is -0.1, expected 0 to 1");
    refused("s.csv", "alg,params,task,id,score\nhf,,a,1,1e300\n", "score is 1e+300");
    refused("s.csv", "alg,params,task,id,score\nhf,,a,1,nan\n", "column score");
}
END_TEST

START_TEST(what_is_no_table_of_scores_gets_one_line)
{
    refused("s.csv", "alg,params,task,id\nhf,,a,1\n",
            "s.csv:1: has no column `score`, expected alg,params,task,id,score");
    refused("s.csv", "a,b\n1,2\n", "has no column `alg`");
    refused("s.csv", "alg,params,task,id,score\n", "no score in what was read");
    refused("s.csv", "alg,params,task,id,score\nhf,,a,1,1\nhf,,a,1,0.5\n",
            "s.csv:3: task a, id 1 of hf has a score already, expected each sample once");
    refused("s.csv", "alg,params,task,id,score\n,,a,1,1\n", "s.csv:2: the method's name is empty");
    refused("s.csv", "alg,params,task,id,score\nhf,,,1,1\n", "s.csv:2: the task's name is empty");
    refused("s.csv", "alg,params,task,id,score\nhf,,a,,1\n", "s.csv:2: the id is empty");
    refused("s.csv", "alg,params,task,id,score\nhf,,a\n", "column score: is missing");
    refused("s.csv", "alg,params,task,id,score\nhf,,a\033[2J,1,1\n", "control characters");
    refused("s.csv", "alg,params,task,id,score\nh\xff,,a,1,1\n", "UTF-8");
    refused("s.csv", "alg,params,task,id,score,output_tokens\nhf,,a,1,1,-3\n", "column output_tokens");
    refused("s.csv", "alg,params,task,id,score,output_tokens\nhf,,a,1,1,4294967296\n",
            "more than any answer");
    refused("s.csv", "# nothing\n", "holds no scores");
    refused_with("/nowhere/s.csv", NULL, "/nowhere/s.csv: cannot be opened");
}
END_TEST

START_TEST(too_many_methods_or_tasks_are_refused)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    fputs("alg,params,task,id,score\n", f);
    for (int i = 0; i < 1025; i++) fprintf(f, "m%d,,a,1,1\n", i);
    fclose(f);
    refused("s.csv", text, "s.csv:1026: has more methods than can be read, expected at most 1,024");
    free(text);
    f = open_memstream(&text, &size);
    fputs("alg,params,task,id,score\n", f);
    for (int i = 0; i < 257; i++) fprintf(f, "m,,t%d,1,1\n", i);
    fclose(f);
    refused("s.csv", text, "s.csv:258: has more tasks than can be read, expected at most 256");
    free(text);
}
END_TEST

/* ---- JSON ---- */

START_TEST(names_of_released_files_say_method_and_task)
{
    static const struct {
        const char *path, *alg, *params, *task;
    } row[] = {
        {"x/hf_Meta-Llama-3-8B-instruct_8192_b1_qasper_eval.json", "hf", "", "qasper"},
        {"kivi_Meta-Llama-3-8B-instruct_8192_b1_4bits_group32_residual128_passage_retrieval_en_eval.json",
         "kivi", "4bits_group32_residual128", "passage_retrieval_en"},
        {"h2o_Meta-Llama-3-8B-instruct_8192_b1_c512_w64_k7_maxpool_multi_news_eval.json", "h2o",
         "c512_w64_k7_maxpool", "multi_news"},
        {"streaming_llm_Llama_8192_b16_c512_repobench-p_eval.jsonl.gz", "streaming_llm", "c512",
         "repobench-p"},
        {"pred/gear_Llama-3_8192_b1_4bits/lcc.jsonl", "gear", "4bits", "lcc"},
        {"full/2wikimqa.jsonl", "full", "", "2wikimqa"},
        {"kivi4_trec.json", "kivi4", "", "trec"},
        {"mine_8192_b1_qasper.json", "mine", "", "qasper"},
        {"trec.json", "", "", "trec"},
        {"notatrec.json", "notatrec", "", ""},
        {"", "", "", ""},
        {"_b1.json", "_b1", "", ""},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct exp_scores_name n = exp_scores_name_of(row[i].path);
        ck_assert_str_eq(n.alg, row[i].alg);
        ck_assert_str_eq(n.params, row[i].params);
        ck_assert_str_eq(n.task, row[i].task);
    }
}
END_TEST

START_TEST(an_array_takes_its_method_and_task_from_its_name)
{
    struct exp_scores *s =
        scores_of_file(test_file("kivi_Llama-3_8192_b1_4bits_group32_residual128_multifieldqa_en_eval.json",
                                 "[\n    {\n        \"id\": 0,\n        \"score\": 0.0606\n    },\n"
                                 "    {\"id\": 1, \"score\": 1},\n    {\"id\": 2.0, \"score\": true}\n]\n"));
    ck_assert_str_eq(s->method[0], "kivi/4bits_group32_residual128");
    ck_assert_str_eq(s->task[0], "multifieldqa_en");
    ck_assert_uint_eq(s->n_samples, 3);
    ck_assert_double_eq(score_of(s, "kivi", "multifieldqa_en", "0")->score, 0.0606);
    ck_assert_double_eq(score_of(s, "kivi", "multifieldqa_en", "2")->score, 1);
    exp_scores_free(s);
}
END_TEST

START_TEST(objects_say_method_and_task_themselves_and_lack_ids)
{
    struct exp_scores *s = scores_of_file(test_file(
        "all.jsonl",
        "{\"method\":\"kivi/4bits\",\"dataset\":\"own task\",\"score\":0.5,\"output_tokens\":12}\n\n"
        "{\"alg\":\"kivi\",\"params\":\"4bits\",\"task\":\"own task\",\"score\":0.25}\n"));
    ck_assert_uint_eq(s->n_methods, 1);
    ck_assert_double_eq(score_of(s, "kivi/4bits", "own task", "0")->score, 0.5);
    ck_assert_uint_eq(score_of(s, "kivi/4bits", "own task", "0")->output_tokens, 12);
    ck_assert_double_eq(score_of(s, "kivi/4bits", "own task", "1")->score, 0.25);
    exp_scores_free(s);
}
END_TEST

START_TEST(options_say_what_the_name_does_not)
{
    const char *path = test_file("mine.json", "[{\"id\":\"a\",\"score\":1}]");
    const struct exp_scores_options o = {.scale = 1, .alg = "m", .params = "p", .task = "t"};
    struct sim_status st = {0};
    struct exp_scores *s = exp_scores_read(&path, 1, &o, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert_str_eq(s->method[0], "m/p");
    ck_assert_str_eq(s->task[0], "t");
    exp_scores_free(s);
    refused_with(path, NULL, "which task this is");
}
END_TEST

START_TEST(json_that_holds_no_scores_gets_one_line)
{
    refused("m_trec.jsonl", "{\"id\":1,\"score\":1}\n{\"id\":2,\"pred\":\"Paris\",\"answers\":[\"Paris\"]}\n",
            "m_trec.jsonl:2: has an answer in `pred` and no `score`");
    refused("m_trec.json", "[\n{\"id\":1,\"score\":1},\n\n{\"id\":2,\"score\":\"1\"}]",
            "m_trec.json:4: `score` is no number");
    refused("m_trec.json", "[{\"id\":1,\"score\":1},{\"id\":1,\"score\":1}]", "has a score already");
    refused("m_trec.json", "[{\"id\":1,\"score\":1},{\"score\":1}]", "some objects have an `id`");
    refused("m_trec.json", "[{\"id\":1,\"score\":NaN}]", "m_trec.json:1: is no JSON");
    refused("m_trec.json", "[\n{\"id\":1,\n\"score\":}]", "m_trec.json:3: is no JSON");
    refused("m_trec.json", "[{\"id\":1,\"score\":1}", "the array does not end");
    refused("m_trec.json", "[{\"id\":1,\"score\":1}] x", "more behind the array");
    refused("m_trec.json", "[1]", "no object");
    refused("m_trec.json", "[]", "empty array");
    refused("m_trec.json", "[{\"id\":1,\"score\":1,\"score\":0}]", "duplicate");
    refused("m_trec.json", "{\"trec\": 41.2}", "has no `score`");
    refused("m_trec.json", "[{\"id\":[],\"score\":1}]", "`id` is neither");
    refused("m_trec.json", "[{\"id\":1,\"score\":1,\"output_tokens\":1.5}]", "`output_tokens` is no count");
    refused("m_trec.json", "[{\"id\":1,\"score\":41}]", "--scale 100");
}
END_TEST

/* ---- several files ---- */

static const char *folder_of(const char *name)
{
    static char path[4200];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    mkdir(path, 0700);
    return path;
}

START_TEST(a_folder_is_read_in_the_order_of_names_plain_or_gzip)
{
    const char *folder = folder_of("scores");
    test_file("scores/b_trec.json", "[{\"id\":0,\"score\":0.5}]");
    test_file("scores/readme.txt", "not looked at");
    test_file("scores/.hidden.csv", "not looked at");
    test_file("scores/c.csv", "alg,params,task,id,score\nhf,,trec,0,1\n");
    char *path = sim_printf("%s/a_trec.jsonl.gz", folder);
    gzFile gz = gzopen(path, "wb");
    ck_assert_int_gt(gzputs(gz, "{\"id\":0,\"score\":0.25}\n"), 0);
    gzclose(gz);
    struct exp_scores *s = scores_of_file(folder);
    ck_assert_uint_eq(s->n_methods, 3);
    ck_assert_str_eq(s->method[0], "a");
    ck_assert_str_eq(s->method[1], "b");
    ck_assert_str_eq(s->method[2], "hf");
    ck_assert_double_eq(score_of(s, "a", "trec", "0")->score, 0.25);
    exp_scores_free(s);
    free(path);
    refused_with(folder_of("empty"), NULL, "holds no *.csv, *.json or *.jsonl");
}
END_TEST

START_TEST(files_of_different_formats_become_one_table)
{
    const char *paths[] = {test_file("one.csv", "alg,params,task,id,score\nhf,,trec,3,1\n"),
                           test_file("kivi_L_8192_b1_4bits_trec_eval.json", "[{\"id\":3,\"score\":0}]")};
    struct sim_status st = {0};
    struct exp_scores *s = exp_scores_read(paths, 2, NULL, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert_uint_eq(s->n_samples, 1);
    ck_assert_uint_eq(s->n_methods, 2);
    exp_scores_free(s);
    const char *twice[] = {paths[0], paths[0]};
    ck_assert_ptr_null(exp_scores_read(twice, 2, NULL, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "has a score already"));
}
END_TEST

START_TEST(the_released_scores_are_read_whole)
{
    const char *path = TEST_SHARED("rethink/per_sample_scores.csv");
    struct exp_scores *s = scores_of_file(path);
    uint64_t n = 0;
    for (uint32_t m = 0; m < s->n_methods; m++) n += s->n_of_method[m];
    ck_assert_uint_eq(n, 72700);
    ck_assert_uint_eq(s->n_methods, 22);
    ck_assert_uint_eq(s->n_tasks, 14);
    ck_assert_uint_eq(s->n_samples, 3350);
    ck_assert_double_eq(score_of(s, "kivi/4bits", "qasper", "7")->score, 0.6956521739130435);
    exp_scores_free(s);
}
END_TEST

/* ---- names ---- */

static void unknown(const struct exp_scores *s, const char *name, const char *expected)
{
    struct sim_status st = {0};
    ck_assert_uint_eq(exp_scores_method(s, name, &st), UINT32_MAX);
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
}

START_TEST(methods_are_found_by_the_beginning_of_their_name)
{
    struct exp_scores *s =
        scores_of("alg,params,task,id,score\nhf,,a,1,1\nkivi,4bits,a,1,1\nkivi,2bits,a,1,1\n"
                  "kivi,2bits_x,a,1,1\n");
    ck_assert_uint_eq(method(s, "kivi/4"), 1);
    ck_assert_uint_eq(method(s, "kivi/2bits"), 2); /* a whole name, though another begins with it */
    unknown(s, "kivi", "is the beginning of 3 names, expected of one: kivi/4bits, kivi/2bits, kivi/2bits_x");
    unknown(s, "kivy/4bits", "did you mean `kivi/4bits`?");
    unknown(s, "", "no method");
    exp_scores_free(s);
}
END_TEST

START_TEST(the_baseline_is_the_only_one_with_such_a_name)
{
    struct sim_status st = {0};
    struct exp_scores *s = scores_of("alg,params,task,id,score\nkivi,,a,1,1\nfp16,x,a,1,1\n");
    ck_assert_uint_eq(exp_scores_baseline(s, &st), 1);
    exp_scores_free(s);
    s = scores_of("alg,params,task,id,score\nkivi,,a,1,1\nhf,,a,1,1\nfull,,a,1,1\n");
    ck_assert_uint_eq(exp_scores_baseline(s, &st), UINT32_MAX);
    ck_assert_msg(strstr(st.message, "more than one") && strstr(st.message, "--baseline"), "%s", st.message);
    exp_scores_free(s);
}
END_TEST

/* ---- what methods are, what traffic is ---- */

START_TEST(released_names_are_known_as_strategies_with_parameters)
{
    static const struct {
        const char *method, *strategy, *parameters;
    } row[] = {{"kivi/2bits_group32_residual128", "kivi4|kivi2", "bits=2,group=32,residual=128"},
               {"gear/8bits", "gear4|gear2", "bits=8"},
               {"h2o/c512_w64_k7_maxpool", "h2o", "budget=512,heavy_frac=0"},
               {"streamingllm/c1024_w32_k7_maxpool", "streaming_llm", "budget=1024,sink=64"},
               {"freekv", "freekv", ""}};
    struct exp_record_as as;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        ck_assert(exp_record_as_guess(row[i].method, &as));
        ck_assert_str_eq(as.strategy, row[i].strategy);
        ck_assert_str_eq(as.parameters, row[i].parameters);
    }
    ck_assert(!exp_record_as_guess("kivi/4bits", &as)); /* of which group? */
    ck_assert(!exp_record_as_guess("mine/x", &as));
    ck_assert(!exp_record_as_guess("h2o/c512x", &as));
}
END_TEST

START_TEST(record_as_is_taken_apart_and_checked)
{
    struct exp_scores *s = scores_of("alg,params,task,id,score\nhf,,a,1,1\nmine,k=4,a,1,1\n");
    struct exp_record_as as;
    struct sim_status st = {0};
    uint32_t m;
    ck_assert_msg(exp_record_as_parse("mine/k=4=freekv:budget=1024:sink=64", s, &m, &as, &st), "%s",
                  st.message);
    ck_assert_uint_eq(m, 1);
    ck_assert_str_eq(as.strategy, "freekv");
    ck_assert_str_eq(as.parameters, "budget=1024,sink=64");
    ck_assert(exp_record_as_parse("mine=fp8", s, &m, &as, &st) && !as.parameters[0]);
    static const char *const wrong[] = {
        "mine",      "mine=nope:budget=1",   "mine=freekv:budgt=1",     "mine=freekv:budget=many",
        "other=fp8", "mine=fp8:budget=1024", "mine=freekv:budget=1024:"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        st = (struct sim_status){0};
        ck_assert_msg(!exp_record_as_parse(wrong[i], s, &m, &as, &st) && st.message[0], "%s was taken",
                      wrong[i]);
    }
    exp_scores_free(s);
}
END_TEST

START_TEST(a_task_mix_is_shares_or_a_file)
{
    struct mdl_task_mix mix;
    struct sim_status st = {0};
    ck_assert_msg(exp_task_mix_read("qasper=0.3,own=task=2", &mix, &st), "%s", st.message);
    ck_assert_uint_eq(mix.n, 2);
    ck_assert_str_eq(mix.at[1].task, "own=task");
    ck_assert_double_eq(mix.at[1].share, 2);
    ck_assert_msg(exp_task_mix_read(test_file("mix.csv", "share,task\n0.5,lcc\n0,trec\n"), &mix, &st), "%s",
                  st.message);
    ck_assert_uint_eq(mix.n, 2);
    ck_assert_str_eq(mix.at[0].task, "lcc");
    static const char *const wrong[] = {
        "a=1,a=2", "a=-1", "a=x", "a=0", "=1", "a=1,", "a=nan", "a=inf", "a=1e308,b=1e308", "/nowhere.csv"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        st = (struct sim_status){0};
        ck_assert_msg(!exp_task_mix_read(wrong[i], &mix, &st) && st.message[0], "%s was taken", wrong[i]);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("quality scores");
    TCase *c = tcase_create("quality scores");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, columns_are_found_by_name_and_samples_sorted);
    tcase_add_test(c, tokens_are_read_where_they_are);
    tcase_add_test(c, percentages_are_scaled_and_otherwise_refused_with_the_hint);
    tcase_add_test(c, what_is_no_table_of_scores_gets_one_line);
    tcase_add_test(c, too_many_methods_or_tasks_are_refused);
    tcase_add_test(c, names_of_released_files_say_method_and_task);
    tcase_add_test(c, an_array_takes_its_method_and_task_from_its_name);
    tcase_add_test(c, objects_say_method_and_task_themselves_and_lack_ids);
    tcase_add_test(c, options_say_what_the_name_does_not);
    tcase_add_test(c, json_that_holds_no_scores_gets_one_line);
    tcase_add_test(c, a_folder_is_read_in_the_order_of_names_plain_or_gzip);
    tcase_add_test(c, files_of_different_formats_become_one_table);
    tcase_add_test(c, the_released_scores_are_read_whole);
    tcase_add_test(c, methods_are_found_by_the_beginning_of_their_name);
    tcase_add_test(c, the_baseline_is_the_only_one_with_such_a_name);
    tcase_add_test(c, released_names_are_known_as_strategies_with_parameters);
    tcase_add_test(c, record_as_is_taken_apart_and_checked);
    tcase_add_test(c, a_task_mix_is_shares_or_a_file);
    suite_add_tcase(s, c);
    return s;
}
