/* Study files: what they hold, ranges written out, every refusal with its line, and what `kvsim init study` writes. */
#include "tests/command_help.h"
#include "tests/study_help.h"

/* ---- ranges ---- */

START_TEST(ranges_are_the_values_that_one_would_write)
{
    static const struct {
        const char *key, *range, *values;
    } cases[] = {
        {"workload.multiply", "{from: 1, to: 16, count: 5, scale: log}", "1 2 4 8 16"},
        {"workload.multiply", "{from: 1, to: 100, count: 4, scale: log}", "1 4.64159 21.5443 100"},
        {"workload.multiply", "{from: 0.1, to: 0.5, count: 5}", "0.1 0.2 0.3 0.4 0.5"},
        {"workload.multiply", "{from: 0.1, to: 0.55, step: 0.1, scale: linear}", "0.1 0.2 0.3 0.4 0.5"},
        {"workload.multiply", "{from: 0.1, to: 0.3, step: 0.1}", "0.1 0.2 0.3"},
        {"fleet.0.replicas", "{from: 1, to: 4, count: 7}", "1 2 3 4"},
        {"fleet.0.replicas", "{from: 1, to: 10, count: 4}", "1 4 7 10"},
        {"fleet.0.replicas", "{from: 1, to: 64, count: 7, scale: log}", "1 2 4 8 16 32 64"},
        {"fleet.0.replicas", "{from: 1, to: 8, step: 3}", "1 4 7"},
        {"workload.open_loop.input_tokens", "{from: 128, to: 1024, count: 4, scale: log}",
         "128 256 512 1024"},
        {"workload.multiply", "{from: 1.23456789012345, to: 2.5, count: 2}", "1.23456789012345 2.5"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        char *text = sim_printf("set: {workload.open_loop.num_requests: 9}\ngrid: {%s: %s}\n", cases[c].key,
                                cases[c].range),
             got[400] = "";
        struct exp_study *s = study(text);
        for (uint64_t i = 0; i < exp_study_n_points(s); i++) {
            struct exp_study_point p;
            exp_study_point(s, i, &p);
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "", p.setting[0].value);
            free(scenario_of(s, i));
        }
        ck_assert_str_eq(got, cases[c].values);
        exp_study_free(s);
        free(text);
    }
}
END_TEST

/* ---- the file ---- */

START_TEST(a_file_has_a_name_a_note_prices_and_replications)
{
    struct exp_study *s = study("grid: {seed: [1]}\n"), *t = study("name: load\nnote: |\n  two\n  lines\n"
                                                                   "prices: /p.yaml\nreplications: 16\n"
                                                                   "grid: {seed: 1}\n");
    ck_assert_str_eq(exp_study_name(s), "s");
    ck_assert_str_eq(exp_study_file(s), "s.yaml");
    ck_assert_str_eq(exp_study_text(s), "scenario: base.yaml\ngrid: {seed: [1]}\n");
    ck_assert_str_eq(exp_study_note(s), "");
    ck_assert_str_eq(exp_study_prices(s), "");
    ck_assert_uint_eq(exp_study_replications(s), 0);
    ck_assert_str_eq(exp_study_name(t), "load");
    ck_assert_str_eq(exp_study_note(t), "two lines");
    ck_assert_str_eq(exp_study_prices(t), "/p.yaml");
    ck_assert_uint_eq(exp_study_replications(t), 16);
    exp_study_free(s);
    exp_study_free(t);
}
END_TEST

START_TEST(what_is_wrong_has_a_line)
{
    /* clang-format off */
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", "s.yaml:1: nothing varies, expected grid, list or random"},
        {"grid: {}", "s.yaml:2: grid holds no keys"},
        {"grid: [seed]", "s.yaml:2: grid holds no keys"},
        {"grid:", "s.yaml:2: grid holds no keys"},
        {"grid:\n  seed: []", "s.yaml:3: seed has no values"},
        {"grid:\n  seed:", "s.yaml:3: seed has no values"},
        {"grid:\n  slo: []", "s.yaml:3: slo has no values"},
        {"grid:\n  slo: 3", "s.yaml:3: slo is a section with a single value"},
        {"grid:\n  fleet: [[{gpu: l4}]]", "s.yaml:3: fleet stands here as a whole"},
        {"grid:\n  sed: [1]", "s.yaml:3: unknown key `sed`, expected one of `kvsim list keys`; did you mean `seed`?"},
        {"grid:\n  fleet.2.replicas: [1]", "s.yaml:3: `fleet.2.replicas` names no fleet"},
        {"grid:\n  seed:\n    - 1\n    - x", "s.yaml:5: seed is `x`, expected a whole number"},
        {"grid:\n  seed: [1, 2, 1]", "s.yaml:3: seed has the value `1` twice"},
        {"grid:\n  seed: [1]\nlist:\n  - {seed: 2}", "s.yaml:5: seed varies in line 3 already"},
        {"grid:\n  slo.ttft_ms: [1]\n  slo: {ttft_ms: [2]}", "s.yaml:4: slo.ttft_ms varies in line 3 already"},
        {"random:\n  samples: 3\n  keys:\n    seed: [1]\n    seed: [2]", "already given in line 5"},
        {"random: {samples: 3, keys: {slo.ttft_ms: [1], slo: {ttft_ms: [2]}}}", "stands in random twice"},
        {"list: []", "s.yaml:2: list holds no entries"},
        {"list: {seed: 1}", "s.yaml:2: list holds no entries"},
        {"list:\n  - {seed: 1}\n  - {}", "s.yaml:4: an entry of the list sets no keys"},
        {"list:\n  - {seed: 1}\n  - {slo: {}}", "s.yaml:4: an entry of the list sets no keys"},
        {"list:\n  - {slo.ttft_ms: 1, slo: {ttft_ms: 1}}", "s.yaml:3: slo.ttft_ms is set twice in one entry"},
        {"list:\n  - {strategy: all}", "s.yaml:3: strategy stands for "},
        {"list: {seed: []}", "s.yaml:2: list holds no entries"},
        {"list:\n  a:\n    - {seed: 1}", "s.yaml:4: an entry of list.a has no name, expected such as {name: chat, ...}"},
        {"list:\n  a:\n    - {name: [x], seed: 1}", "s.yaml:4: an entry of list.a has no name"},
        {"list:\n  a:\n    - {name: '', seed: 1}", "s.yaml:4: an entry of list.a has no name"},
        {"list:\n  a:\n    - {name: \"x\\ny\", seed: 1}", "s.yaml:4: an entry of list.a has no name"},
        {"list:\n  a:\n    - {name: 0123456789012345678901234567890123456789012345678901234567890123}", "at most 63 bytes"},
        {"list:\n  a:\n    - {name: x, seed: 1}\n    - {name: x, seed: 2}", "s.yaml:5: a has the value `x` twice"},
        {"list:\n  a:\n    - {name: x, seed: 1}\n    - 3", "s.yaml:5: an entry of the list sets no keys"},
        {"list:\n  a:\n    - {name: x, sed: 1}", "s.yaml:4: unknown key `sed`"},
        {"list:\n  a.b:\n    - {name: x, seed: 1}", "s.yaml:4: a list is called `a.b`, expected at most 63 letters"},
        {"list: {'': [{name: x, seed: 1}]}", "s.yaml:2: a list is called ``"},
        {"list:\n  a: [{name: x, seed: 1}]\n  a: [{name: y, seed: 1}]", "already given in line 3"},
        {"list:\n  a: [{name: x, seed: 1}]\n  b: [{name: y, seed: 1}]", "s.yaml:4: seed varies in line 3 already"},
        {"list:\n  a: [{name: x, seed: 1}]\ngrid:\n  seed: [1, 2]", "s.yaml:5: seed varies in line 3 already"},
        {"grid:\n  router: [random]\nlist:\n  router:\n    - {name: x, seed: 1}", "s.yaml:6: list.router has the name of what varies in line 3"},
        {"list:\n  router: [{name: x, seed: 1}]\nrandom: {samples: 2, keys: {router: [random]}}", "list.router has the name of what varies in line 4"},
        {"list:\n  a: [{name: x, strategy: full}]\n  b: [{name: y, fleet.0.kv.strategy: fp8}]", "fleet.0.kv.strategy and strategy (line 3) both choose one"},
        {"grid: {slo: [], seed: [1, 2]}", "s.yaml:2: slo has no values"},
        {"gird: {seed: [1]}", "s.yaml:2: unknown key `gird`"},
        {"grid:\n  seed: {from: 1, to: 2}", "s.yaml:3: the range of seed has neither count nor step"},
        {"grid:\n  seed: {from: 1, to: 2, count: 2, step: 1}", "both count and step"},
        {"grid:\n  seed: {to: 2, count: 2}", "s.yaml:3: the range of seed has no `from`"},
        {"grid:\n  seed: {from: 1, count: 2}", "s.yaml:3: the range of seed has no `to`"},
        {"grid:\n  seed: {from: 1, to: 2, cuont: 2}", "s.yaml:3: unknown key `cuont`"},
        {"grid:\n  seed: {from: 3, to: 2, count: 2}", "s.yaml:3: the range of seed goes from 3 to 2"},
        {"grid:\n  seed: {from: 2, to: 2, count: 2}", "give the value alone"},
        {"grid:\n  seed: {from: .nan, to: 2, count: 2}", "s.yaml:3: seed.from is `.nan`, expected a number"},
        {"grid:\n  seed: {from: 1, to: 1e999, count: 2}", "s.yaml:3: seed.to is `1e999`"},
        {"grid:\n  seed: {from: 1.5, to: 3, count: 2}", "ends with a fraction"},
        {"grid:\n  seed: {from: 1, to: 1e18, count: 2}", "above 2^53"},
        {"grid:\n  seed: {from: 1, to: 3, count: 0}", "s.yaml:3: seed.count is 0, expected 2 to 100000"},
        {"grid:\n  seed: {from: 1, to: 3, count: 1}", "s.yaml:3: seed.count is 1, expected 2 to 100000"},
        {"grid:\n  seed: {from: 1, to: 3, count: -1}", "s.yaml:3: seed.count is `-1`"},
        {"grid:\n  seed: {from: 1, to: 3, count: 100001}", "expected 2 to 100000"},
        {"grid:\n  seed: {from: 1, to: 3, step: 0}", "s.yaml:3: the range of seed has a step of 0"},
        {"grid:\n  seed: {from: 1, to: 3, step: -1}", "has a step of 0, below it"},
        {"grid:\n  seed: {from: 1, to: 3, step: 3}", "beyond the range"},
        {"grid:\n  seed: {from: 1, to: 300001, step: 1}", "more than 100000 values"},
        {"grid:\n  seed: {from: 1, to: 3, step: 1, scale: log}", "has a step on a log scale"},
        {"grid:\n  seed: {from: 0, to: 3, count: 3, scale: log}", "starts at 0 or below on a log scale"},
        {"grid:\n  seed: {from: 1, to: 3, count: 3, scale: cubic}", "is not linear or log"},
        {"grid:\n  router: {from: 1, to: 3, count: 3}", "s.yaml:3: the range of router is none of numbers"},
        {"grid:\n  strategy: {from: 1, to: 3, count: 3}", "s.yaml:3: the range of strategy is none of numbers"},
        {"grid:\n  workload.multiply: {from: 1, to: 1e5, count: 3}", "s.yaml:3: workload.multiply is `50000.5`"},
        {"random: {samples: 3}", "s.yaml:2: random holds no keys"},
        {"random: {samples: 3, keys: {}}", "s.yaml:2: random holds no keys"},
        {"random: {samples: 0, keys: {seed: [1]}}", "s.yaml:2: random.samples is 0, expected 1 to 2^40"},
        {"random: {samples: 1099511627777, keys: {seed: [1]}}", "expected 1 to 2^40"},
        {"random: {keys: {seed: [1]}}", "s.yaml:2: random has no `samples`"},
        {"random: {samples: 3, method: sobol, keys: {seed: [1]}}", "none of latin_hypercube, uniform"},
        {"random: {samples: 3, keys: {workload.multiply: {from: 1, to: 1e5}}}", "workload.multiply.to is `1e5`"},
        {"random: {samples: 3, keys: {seed: {from: 1, to: 3, count: 3}}}", "unknown key `count`"},
        {"random: {samples: 1099511627776, keys: {seed: [1]}}\ngrid: {slo.ttft_ms: [1, 2]}", "s.yaml:3: more than 2^40 points"},
        {"grid:\n  strategy: [full, frekv]", "s.yaml:3: strategy: kv.strategy: unknown strategy `frekv`"},
        {"grid:\n  strategy: ['freekv:budgt=1']", "did you mean `budget`?"},
        {"grid:\n  strategy: ['freekv:budget=x']", "s.yaml:3: strategy freekv:budget=x: fleet.0.kv.budget is `x`, expected a whole number"},
        {"grid:\n  strategy: 'full,fp8'", "s.yaml:3: strategy is `full,fp8`"},
        {"grid:\n  strategy: [[full]]", "s.yaml:3: strategy is `[...]`"},
        {"grid:\n  strategy: [all, fp8]", "s.yaml:3: strategy has the value `fp8` twice"},
        {"grid:\n  strategy: [full]\n  fleet.0.kv.strategy: [full]", "s.yaml:4: fleet.0.kv.strategy and strategy"},
        {"grid:\n  strategy: ['freekv:budget=9']\n  fleet.0.kv.budget: [8]", "s.yaml:4: fleet.0.kv.budget is set by strategy freekv:budget=9 too"},
        {"grid:\n  workload.trace: [a.csv]\n  workload.open_loop.request_rate: [1]", "s.yaml:4: workload.open_loop.request_rate is a second load"},
        {"set: [seed]\ngrid: {seed: [1]}", "s.yaml:2: set is no mapping of keys"},
        {"set: {sed: 1}\ngrid: {seed: [1]}", "s.yaml:2: unknown key `sed`"},
        {"set: {seed: x}\ngrid: {seed: [1]}", "s.yaml:2: seed is `x`"},
        {"set: {strategy: all}\ngrid: {seed: [1]}", "s.yaml:2: strategy stands for "},
        {"set: {router: random}\ngrid: {seed: [1],\n  router: [random]}", "s.yaml:4: router varies here and is set in line 2"},
        {"set: {strategy: full}\ngrid: {strategy: [fp8]}", "s.yaml:3: strategy varies here and is set in line 2"},
        {"set: {seed: 3}\nrandom: {samples: 2, keys: {seed: [1, 2]}}", "s.yaml:3: seed varies here and is set in line 2"},
        {"list:\n  - {name: a, seed: 1}", "s.yaml:3: an entry has a name and its list has none, expected such as `list: {card: [{name: a, ...}]}`"},
        {"name: ''\ngrid: {seed: [1]}", "s.yaml:2: name is empty"},
        {"name: a/b\ngrid: {seed: [1]}", "or a path"},
        {"replications: 1\ngrid: {seed: [1]}", "s.yaml:2: replications is 1, expected 2 to 100000"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) refused(cases[i].text, cases[i].expected);
}
END_TEST

START_TEST(more_than_32_keys_are_refused_and_32_are_not)
{
    char text[4000] = "list:\n  - {";
    for (int i = 0; i < 32; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "classes.c%d.slo.%s: 10, ", i / 4,
                 (const char *[]){"ttft_ms", "tpot_ms", "e2el_ms", "percentile"}[i % 4]);
    char *fits = sim_printf("%s}\n", text), *more = sim_printf("%sseed: 3}\n", text);
    struct exp_study *s = study(fits);
    struct exp_study_point p;
    exp_study_point(s, 0, &p);
    ck_assert_uint_eq(p.n, 32);
    free(scenario_of(s, 0));
    exp_study_free(s);
    refused(more, "s.yaml:3: more than 32 keys vary");
    free(fits);
    free(more);
}
END_TEST

START_TEST(a_base_that_is_wrong_speaks_for_itself)
{
    struct sim_status st = {0};
    const char *bad = test_file("bad.yaml", "model: llama-3.1-8b\nsede: 3\n"), none[] = "grid: {seed: [1]}\n";
    const char *no_file = test_file("nofile.yaml", "scenario: nothere.yaml\ngrid: {seed: [1]}\n");
    const char *of_bad = test_file("ofbad.yaml", "scenario: bad.yaml\ngrid: {seed: [1]}\n");
    ck_assert_ptr_null(exp_study_load(no_file, &st));
    ck_assert_msg(strncmp(st.message, no_file, strlen(no_file)) == 0, "%s", st.message);
    ck_assert_ptr_nonnull(strstr(st.message, "/nofile.yaml:1: scenario: "));
    ck_assert_ptr_nonnull(strstr(st.message, "/nothere.yaml: cannot be opened"));
    st = (struct sim_status){0};
    ck_assert_ptr_null(exp_study_load(of_bad, &st));
    ck_assert_msg(strstr(st.message, bad) && strstr(st.message, ":2: unknown key `sede`"), "%s", st.message);
    st = (struct sim_status){0};
    ck_assert_ptr_null(exp_study_parse("s.yaml", none, strlen(none), NULL, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "s.yaml:1: names no `scenario`"));
    st = (struct sim_status){0};
    ck_assert_ptr_null(exp_study_load("/nowhere/at/all.yaml", &st));
    ck_assert_ptr_nonnull(strstr(st.message, "/nowhere/at/all.yaml"));
}
END_TEST

START_TEST(an_empty_file_is_told_what_a_study_looks_like)
{
    static const char *const texts[] = {"", "\n \n", "# grid: {seed: [1]}\n"};
    for (int i = 0; i < 3; i++) {
        struct sim_status st = {0};
        ck_assert_ptr_null(exp_study_parse("s.yaml", texts[i], strlen(texts[i]), NULL, &st));
        ck_assert_ptr_nonnull(strstr(st.message, "s.yaml: is empty, expected a study such as {scenario: "));
        ck_assert_ptr_nonnull(strstr(st.message, "`kvsim init study` writes one"));
    }
}
END_TEST

/* Entries that leave the key out keep what `set` says. */
START_TEST(a_list_may_set_what_set_sets_for_some_of_its_entries)
{
    struct exp_study *s =
        study("set: {seed: 3}\nlist:\n  - {router: random}\n  - {router: random, seed: 4}\n");
    struct exp_scenario *first = scenario_of(s, 0), *second = scenario_of(s, 1);
    ck_assert_uint_eq(first->seed, 3);
    ck_assert_uint_eq(second->seed, 4);
    free(first);
    free(second);
    exp_study_free(s);
}
END_TEST

/* A study's own line where the study gave the value, the scenario's where that did. */
START_TEST(points_that_fail_name_the_line_of_whoever_gave_the_value)
{
    struct exp_study *s = study("grid:\n  fleet.0.kv.fallback.when: [short, never]\n  seed: [1, 2]\n");
    point_fails(s, 0, "s.yaml:3: fleet.0.kv.fallback.when short");
    exp_study_free(s);
    s = study("set: {router: by_class}\ngrid: {strategy: [full], classes.a.kv.strategy: [full, fp8]}\n");
    free(scenario_of(s, 0));
    point_fails(s, 1, "s.yaml:3: classes.a.kv.strategy fp8: no fleet has it");
    exp_study_free(s);
}
END_TEST

/* ---- kvsim init study ---- */

static char *template_of(const char *scenario)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    exp_study_template(scenario, f);
    fclose(f);
    return text;
}

START_TEST(the_template_is_a_study_and_stays_one_with_every_comment_taken_in)
{
    struct sim_status st = {0};
    const char *base = test_file("base.yaml", base_text);
    char *text = template_of(base), *all = sim_strdup(text);
    struct exp_study *s = exp_study_parse("t.yaml", text, strlen(text), NULL, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert_uint_eq(exp_study_n_points(s), 15);
    for (uint64_t i = 0; i < 15; i++) free(scenario_of(s, i));
    exp_study_free(s);
    for (char *line = strstr(all, "scenario:"); line; line = strchr(line, '\n'), line += line != NULL)
        if (strncmp(line, "# ", 2) == 0) memmove(line, line + 2, strlen(line + 2) + 1);
    s = exp_study_parse("t.yaml", all, strlen(all), NULL, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert_uint_eq(exp_study_n_points(s), 15 * 2 * 100);
    ck_assert_uint_eq(exp_study_replications(s), 16);
    ck_assert_uint_eq(exp_study_base(s)->workload.max_requests, 2000);
    free(scenario_of(s, 2999));
    exp_study_free(s);
    free(text);
    free(all);
}
END_TEST

START_TEST(kvsim_init_study_writes_a_study_of_the_shipped_sample)
{
    struct sim_status st = {0};
    char *path = sim_printf("%s/mine.yaml", test_dir());
    works("init study mine.yaml");
    struct exp_study *s = exp_study_load(path, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    struct exp_scenario *x = scenario_of(s, 0);
    ck_assert_str_eq(exp_study_name(s), "mine");
    ck_assert_int_eq(access(x->workload.trace, R_OK), 0);
    fails("init study mine.yaml", 1, "is there already");
    free(x);
    free(path);
    exp_study_free(s);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("study_file");
    TCase *ranges = tcase_create("ranges"), *file = tcase_create("file");
    tcase_add_test(ranges, ranges_are_the_values_that_one_would_write);
    tcase_add_test(file, a_file_has_a_name_a_note_prices_and_replications);
    tcase_add_test(file, what_is_wrong_has_a_line);
    tcase_add_test(file, more_than_32_keys_are_refused_and_32_are_not);
    tcase_add_test(file, a_base_that_is_wrong_speaks_for_itself);
    tcase_add_test(file, an_empty_file_is_told_what_a_study_looks_like);
    tcase_add_test(file, a_list_may_set_what_set_sets_for_some_of_its_entries);
    tcase_add_test(file, points_that_fail_name_the_line_of_whoever_gave_the_value);
    tcase_add_test(file, the_template_is_a_study_and_stays_one_with_every_comment_taken_in);
    tcase_add_test(file, kvsim_init_study_writes_a_study_of_the_shipped_sample);
    suite_add_tcase(s, ranges);
    suite_add_tcase(s, file);
    return s;
}
