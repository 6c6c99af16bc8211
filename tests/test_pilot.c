/* What was measured, read back: simulated pilots whose truth is known, the machines of pilot.yaml, wrong files by their
 * line, and failures from either source. */
#include "tests/pilot_help.h"

static struct played with(double slower, double longer, double noise_sd, uint64_t seed)
{
    struct played how = as_predicted;
    how.slower = slower;
    how.longer = longer;
    how.noise_sd = noise_sd;
    how.seed = seed;
    return how;
}

/* ---- speed and length ---- */

START_TEST(the_factor_on_step_times_is_found_in_either_arm)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    const double slower[] = {0.8, 1, 1.15, 1.4};
    for (size_t i = 0; i < sizeof slower / sizeof *slower; i++) {
        struct played base = with(1.05, 1, 0, 1), cand = with(slower[i], 1, 0, 1);
        struct exp_pilot_findings f = findings_of(p, played_file(p, &base, &cand), NULL);
        ck_assert_uint_eq(f.n_candidate, 1200);
        ck_assert_uint_eq(f.n_baseline, 1200);
        ck_assert_msg(fabs(f.speed - log(slower[i])) < 0.002, "%g: found %g", slower[i], exp(f.speed));
        ck_assert_double_lt(fabs(f.baseline_speed - log(1.05)), 0.002);
        ck_assert_double_gt(f.speed_sd, 0.009);
        ck_assert_double_lt(f.speed_sd, 0.03);
        ck_assert(slower[i] == 1 ? fabs(f.ttft) < 1e-9 : (f.ttft > 0) == (slower[i] > 1));
    }
    pilot_free(p);
}
END_TEST

START_TEST(what_is_found_lies_within_its_error_when_clocks_are_noisy)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    double squares = 0;
    enum { PILOTS = 12 };
    for (uint64_t k = 1; k <= PILOTS; k++) {
        struct played base = with(1, 1, 0.5, k), cand = with(1.1, 1, 0.5, 100 + k);
        struct exp_pilot_findings f = findings_of(p, played_file(p, &base, &cand), NULL);
        double off = (f.speed - log(1.1)) / f.speed_sd;
        ck_assert_double_lt(fabs(off), 3.5);
        squares += off * off / PILOTS;
    }
    ck_assert_double_lt(squares, 2.5);
    ck_assert_double_gt(squares, 0.1);
    pilot_free(p);
}
END_TEST

START_TEST(longer_answers_are_found_by_pairs_and_by_arms)
{
    struct pilot *p = pilot_new(PILOT_PLAN "slo: {ttft_ms: 1000}\nlength_shift: false\n", "kivi4");
    struct played base = as_predicted, cand = with(1, 1.3, 0, 1);
    struct exp_pilot_findings paired = findings_of(p, played_file(p, &base, &cand), NULL);
    cand.prefix = "other-";
    struct exp_pilot_findings apart = findings_of(p, played_file(p, &base, &cand), NULL);
    ck_assert_uint_eq(paired.n_paired, 1200);
    ck_assert_uint_eq(apart.n_paired, 0);
    ck_assert_double_lt(fabs(paired.length - log(1.3)), 0.002);
    ck_assert_double_eq_tol(apart.length, paired.length, 1e-12);
    ck_assert_double_lt(paired.length_sd, 0.002);
    /* lengths of the sample have a CV of about 0.77: both arms' errors together */
    ck_assert_double_lt(fabs(apart.length_sd / (0.77 * sqrt(2.0 / 1200)) - 1), 0.3);
    ck_assert_double_lt(fabs(paired.speed), 0.002); /* longer answers are no slower steps */
    pilot_free(p);
}
END_TEST

START_TEST(pairs_need_the_same_prompt)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    const char *path = test_file("measured.csv", PILOT_HEADER);
    FILE *out = fopen(path, "a");
    for (int i = 0; i < 60; i++)
        fprintf(out, "baseline,%d,%d,%d,10,0.1,0.01,,\ncandidate,%d,%d,%d,20,0.1,0.01,,\n", i, i, 100 + i, i,
                i, 200 + i);
    fclose(out);
    struct exp_pilot_findings f = findings_of(p, path, NULL);
    ck_assert_uint_eq(f.n_paired, 0);
    ck_assert_double_eq_tol(f.length, log(2), 1e-12);
    pilot_free(p);
}
END_TEST

START_TEST(milliseconds_any_order_and_any_origin_of_time_say_the_same)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    struct exp_pilot_findings f[2];
    for (int ms = 0; ms < 2; ms++) {
        const char *path =
            test_file("measured.csv", ms ? "# a comment\ntpot_ms,extra,ttft_ms,output_tokens,input_"
                                           "tokens,arrival_s,request_id,arm\n"
                                         : PILOT_HEADER);
        FILE *out = fopen(path, "a");
        for (int k = 0; k < 120; k++) {
            int i = ms ? 119 - k : k;
            const char *arm = i % 2 ? "candidate" : "baseline";
            if (ms)
                fprintf(out, "%d,x,%d,%d,%d,%d,\"r%d\",%s\n", 10 + i % 5, 50 + i, 90 + i, 70 + i, 1000 + i, i,
                        arm);
            else
                fprintf(out, "%s,r%d,%d,%d,%d,%.3f,%.3f,,\n", arm, i, i, 70 + i, 90 + i, (50 + i) * 1e-3,
                        (10 + i % 5) * 1e-3);
        }
        fclose(out);
        f[ms] = findings_of(p, path, NULL);
    }
    ck_assert_double_eq_tol(f[0].speed, f[1].speed, 1e-9);
    ck_assert_double_eq_tol(f[0].ttft, f[1].ttft, 1e-9);
    ck_assert_double_eq_tol(f[0].length, f[1].length, 1e-12);
    pilot_free(p);
}
END_TEST

/* ---- service levels ---- */

START_TEST(requests_within_their_limits_are_counted_by_class)
{
    struct pilot *p = pilot_new(PILOT_PLAN "classes:\n"
                                           "  default: {slo: {ttft_ms: 200, tpot_ms: 20, percentile: 99}}\n"
                                           "  critical: {slo: {e2el_ms: 1000, percentile: 90}}\n",
                                "kivi4");
    const char *path = test_file(
        "measured.csv", "arm,request_id,slo_class,arrival_s,input_tokens,output_tokens,ttft_s,tpot_s,"
                        "status\n");
    FILE *out = fopen(path, "a");
    for (int i = 0; i < 50; i++) {
        fprintf(out, "baseline,%d,,%d,100,11,0.1,0.01,\n", i, i);
        /* default: 10 with too long a TTFT, 5 of them with too long a TPOT too, 5 with a long TPOT only */
        fprintf(out, "candidate,d%d,default,%d,100,11,%g,%g,\n", i, i, i < 10 ? 0.3 : 0.1,
                i >= 5 && i < 15 ? 0.03 : 0.01);
        /* critical: ttft 0.5 and 10 gaps of 0.01 or 0.06 */
        fprintf(out, "candidate,c%d,critical,%d,100,11,0.5,%g,completed\n", i, i, i < 7 ? 0.06 : 0.01);
    }
    fprintf(out, "candidate,u,critical,3,100,11,,,unfinished\n"
                 "candidate,l,critical,3,100000000,11,,,rejected_too_long\n"
                 "candidate,n,critical,3,100,11,,,not_arrived\n");
    fclose(out);
    struct exp_pilot_findings f = findings_of(p, path, NULL);
    ck_assert_uint_eq(f.class[0].requests, 50);
    ck_assert_uint_eq(f.class[0].good, 35);
    ck_assert_uint_eq(f.class[1].requests, 52);
    ck_assert_uint_eq(f.class[1].good, 43);
    pilot_free(p);
}
END_TEST

/* ---- failures ---- */

START_TEST(failures_of_pairs_count_where_full_kv_does_not_fail)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    const char *path = test_file("measured.csv", PILOT_HEADER);
    FILE *out = fopen(path, "a");
    for (int i = 0; i < 200; i++) /* full KV fails 20; the candidate these 20 and 7 others */
        fprintf(out, "baseline,%d,%d,100,10,0.1,0.01,%d,\ncandidate,%d,%d,100,10,0.1,0.01,%d,\n", i, i,
                i < 20, i, i, i < 27);
    fclose(out);
    struct exp_pilot_findings f = findings_of(p, path, NULL);
    ck_assert_uint_eq(f.answers, 200);
    ck_assert_uint_eq(f.failures, 7);
    ck_assert_uint_eq(f.class[0].answers, 200);
    ck_assert_uint_eq(f.class[0].failures, 27); /* what users of the candidate saw */
    pilot_free(p);
}
END_TEST

START_TEST(failures_of_other_requests_are_an_excess_with_the_variance_of_both_arms)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    const char *path = test_file("measured.csv", PILOT_HEADER);
    FILE *out = fopen(path, "a");
    for (int i = 0; i < 1000; i++)
        fprintf(out, "baseline,b%d,%d,100,10,0.1,0.01,%d,\ncandidate,c%d,%d,100,10,0.1,0.01,%d,\n", i, i,
                i < 40, i, i, i < 90);
    fclose(out);
    struct exp_pilot_findings f = findings_of(p, path, NULL);
    double rate = (double)f.failures / (double)f.answers, variance = (0.04 * 0.96 + 0.09 * 0.91) / 1000;
    ck_assert_double_lt(fabs(rate - 0.05), 0.002);
    ck_assert_double_lt(fabs(rate * (1 - rate) / (double)f.answers / variance - 1), 0.05);
    pilot_free(p);
}
END_TEST

START_TEST(answers_that_nobody_judged_are_not_measured)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    struct exp_pilot_findings f = findings_of(p, played_file(p, &as_predicted, &as_predicted), NULL);
    ck_assert_uint_eq(f.answers, 0);
    ck_assert_uint_eq(f.failures, 0);
    pilot_free(p);
}
END_TEST

static const char *write_scores(int n)
{
    const char *path = test_file("scores.csv", "alg,params,task,id,score\n");
    FILE *out = fopen(path, "a");
    for (int i = 0; i < n; i++) /* full KV: 0.8 or 0.2; the candidate loses 0.8 on every tenth */
        fprintf(out, "baseline,,chat,%d,%g\ncandidate,,chat,%d,%g\n", i, i % 2 ? 0.2 : 0.8, i,
                i % 2    ? 0.2
                : i % 20 ? 0.8
                         : 0.1);
    fclose(out);
    return path;
}

START_TEST(scores_count_negatives_and_critical_cases)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    struct exp_pilot_findings f;
    const char *measured = played_file(p, &as_predicted, &as_predicted);
    test_file("critical.csv", "# nothing yet\ntask,id,weight,pass,prompt\n");
    f = findings_of(p, measured, write_scores(400));
    ck_assert_uint_eq(f.answers, 400);
    ck_assert_uint_eq(f.failures, 20);
    ck_assert_uint_eq(f.class[0].failures, 20);
    ck_assert_uint_eq(f.critical, 0);
    test_file("critical.csv", "task,id,weight,pass,prompt\nchat,0,,,a\nchat,2,,,b\nchat,3,1,0.5,c\n");
    f = findings_of(p, measured, write_scores(400));
    ck_assert_uint_eq(f.critical, 3);
    ck_assert_uint_eq(f.critical_failures, 2); /* 0 fell, 3 is below its pass mark */
    test_file("critical.csv", "task,id\n");
    pilot_free(p);
}
END_TEST

/* ---- the machines ---- */

static bool reads_yaml(struct pilot *p, const char *text, struct exp_arm_machines *arm, struct sim_status *st)
{
    const char *path = test_file("pilot.yaml", text);
    memcpy(arm, p->arm, EXP_N_ARMS * sizeof *arm);
    bool ok = exp_pilot_arms_read(path, p->cache, arm, st);
    remove(path);
    return ok;
}

START_TEST(pilot_yaml_says_which_machines_there_were)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    struct exp_arm_machines arm[EXP_N_ARMS];
    struct sim_status st = {0};
    ck_assert(p->arm[EXP_ARM_CANDIDATE].apart);
    ck_assert_msg(
        reads_yaml(p,
                   "candidate: {gpu: a100-80-sxm, replicas: 3, tensor_parallel: 2, strategy: "
                   "\"freekv:budget=1024\", max_num_seqs: 64}\n"
                   "baseline: {replicas: 2, host_gib: 512}\nstages: []\nstop: {}\ncritical_cases: 3\n",
                   arm, &st),
        "%s", st.message);
    const struct exp_arm_machines *c = &arm[EXP_ARM_CANDIDATE], *b = &arm[EXP_ARM_BASELINE];
    ck_assert_str_eq(c->candidate.gpu->name, "a100-80-sxm");
    ck_assert_uint_eq(c->replicas, 3);
    ck_assert_uint_eq(c->candidate.tensor_parallel, 2);
    ck_assert_uint_eq(c->candidate.max_num_seqs, 64);
    ck_assert_str_eq(c->contender.label, "freekv:budget=1024");
    ck_assert_uint_eq(b->replicas, 2);
    ck_assert_double_eq(b->candidate.host_gib, 512);
    ck_assert_str_eq(b->contender.label, "full");
    struct exp_scenario *s = exp_arm_scenario(p->plan, c, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert_uint_eq(s->n_fleets, 1);
    ck_assert_uint_eq(s->fleet[0].replicas, 3);
    ck_assert_double_eq(s->fleet[0].kv.value[MDL_KV_BUDGET].value, 1024);
    free(s);
    ck_assert(reads_yaml(p, "candidate: {strategy: full}\n", arm, &st));
    ck_assert(!arm[EXP_ARM_CANDIDATE].apart);
    pilot_free(p);
}
END_TEST

START_TEST(a_wrong_pilot_yaml_is_refused_at_its_line)
{
    static const struct {
        const char *text, *needle;
    } bad[] = {
        {"- 1\n", "pilot.yaml:1: is no mapping"},
        {"\ncandidat: {}\n", "pilot.yaml:2: unknown key `candidat`"},
        {"candidate: 3\n", "pilot.yaml:1: is no mapping"},
        {"candidate: {replica: 1}\n", "unknown key `replica`"},
        {"candidate: {replicas: 0}\n", "replicas is 0, expected 1 to 65535"},
        {"candidate: {replicas: -1}\n", "pilot.yaml:1"},
        {"candidate: {gpu: h1000}\n", "h1000"},
        {"candidate:\n  strategy: frekv\n", "pilot.yaml:2: strategy `frekv`"},
        {"candidate: {strategy: 'kivi4,fp8'}\n", "expected one strategy"},
        {"candidate: {host_gib: .nan}\n", "pilot.yaml:1"},
        {"candidate: {tensor_parallel: 16}\n", "expected at most gpus_per_server 8"},
    };
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct exp_arm_machines arm[EXP_N_ARMS];
        struct sim_status st = {0};
        ck_assert_msg(!reads_yaml(p, bad[i].text, arm, &st), "%s", bad[i].text);
        ck_assert_msg(strstr(st.message, bad[i].needle), "`%s` lacks `%s`", st.message, bad[i].needle);
    }
    pilot_free(p);
}
END_TEST

START_TEST(a_pilot_of_what_the_plan_does_not_have_is_refused)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    const char *measured = played_file(p, &as_predicted, &as_predicted);
    const char *others[] = {"candidate: {strategy: fp8}\n", "candidate: {gpu: a100-80-sxm}\n"};
    for (size_t i = 0; i < 2; i++) {
        struct sim_status st = {0};
        struct exp_pilot_findings f;
        const char *yaml = test_file("pilot.yaml", others[i]);
        ck_assert(!exp_pilot_read(&p->decision, p->cache, measured, NULL, &f, &st));
        ck_assert_msg(strstr(st.message, "expected one of the plan's finalists"), "%s", st.message);
        remove(yaml);
    }
    struct exp_pilot_findings f = findings_of(p, measured, NULL);
    ck_assert_str_eq(f.candidate, "h100-sxm TP 1, kivi4");
    pilot_free(p);
}
END_TEST

START_TEST(full_kv_on_another_card_says_nothing_of_this_ones_speed)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    const char *measured = played_file(p, &as_predicted, &as_predicted);
    const char *yaml = test_file("pilot.yaml", "baseline: {gpu: h200-sxm}\n");
    struct exp_pilot_findings f = findings_of(p, measured, NULL);
    remove(yaml);
    ck_assert(isnan(f.baseline_speed) && isnan(f.baseline_speed_sd));
    ck_assert_double_lt(fabs(f.speed), 1e-6);
    ck_assert(isfinite(f.length));
    pilot_free(p);
}
END_TEST

START_TEST(more_replicas_are_replayed_as_so_many)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    for (int a = 0; a < EXP_N_ARMS; a++) p->arm[a].replicas = 2;
    const char *measured = played_file(p, &as_predicted, &as_predicted);
    test_file("pilot.yaml", "candidate: {replicas: 2}\nbaseline: {replicas: 2}\n");
    struct exp_pilot_findings two = findings_of(p, measured, NULL);
    remove(test_file("pilot.yaml", ""));
    struct exp_pilot_findings one = findings_of(p, measured, NULL);
    ck_assert_double_lt(fabs(two.speed), 1e-6);
    ck_assert_double_lt(one.speed, -0.02); /* two machines are faster than one is predicted to be */
    pilot_free(p);
}
END_TEST

/* ---- wrong files ---- */

static const struct {
    const char *head, *row, *needle;
} bad_rows[] = {
    {PILOT_HEADER, "candidat,1,0,10,10,0.1,0.01,,", "measured.csv:2: arm: `candidat`, expected baseline or"},
    {PILOT_HEADER, "candidate,,0,10,10,0.1,0.01,,", "measured.csv:2: request_id: ``"},
    {PILOT_HEADER, "candidate,1,-1,10,10,0.1,0.01,,", "arrival_s: `-1`"},
    {PILOT_HEADER, "candidate,1,nan,10,10,0.1,0.01,,", "arrival_s"},
    {PILOT_HEADER, "candidate,1,1e13,10,10,0.1,0.01,,", "arrival_s: `1e13`"},
    {PILOT_HEADER, "candidate,1,0,0,10,0.1,0.01,,", "input_tokens: `0`, expected 1 to 2^30"},
    {PILOT_HEADER, "candidate,1,0,1e12,10,0.1,0.01,,", "input_tokens"},
    {PILOT_HEADER, "candidate,1,0,10,-3,0.1,0.01,,", "output_tokens"},
    {PILOT_HEADER, "candidate,1,0,10,10,0,0.01,,", "ttft_s: `0`, expected a time above 0"},
    {PILOT_HEADER, "candidate,1,0,10,10,,0.01,,", "ttft_s"},
    {PILOT_HEADER, "candidate,1,0,10,10,0.1,,,", "tpot_s"},
    {PILOT_HEADER, "candidate,1,0,10,10,0.1,-0.01,,", "tpot_s: `-0.01`"},
    {PILOT_HEADER, "candidate,1,0,10,10,0.1,0,,", "tpot_s: `0`"},
    {PILOT_HEADER, "candidate,1,0,10,10,0.1,inf,,", "tpot_s"},
    {PILOT_HEADER, "candidate,1,0,10,10,0.1,0.01,yes,", "failed: `yes`, expected 0 or 1"},
    {PILOT_HEADER, "candidate,1,0,10,10,0.1,0.01,,done", "status: `done`, expected completed"},
    {PILOT_HEADER, "candidate,1,0,10,10,0.1,0.01", "measured.csv:2: 7 fields"},
    {PILOT_HEADER, "candidate,1,0,10,10,0.1,0.01,,\ncandidate,1,0,10,10,0.1,0.01,,",
     "measured.csv:3: request_id: `1` stands on line 2 too"},
    {PILOT_HEADER, "", "0 requests of arm baseline"},
    {"arm,request_id,arrival_s,input_tokens,output_tokens,tpot_s\n", "",
     "measured.csv:1: no column `ttft_s`"},
    {"arm,request_id,input_tokens,output_tokens,ttft_s,tpot_s\n", "", "no column `arrival_s`"},
    {"request_id,arrival_s,input_tokens,output_tokens,ttft_s,tpot_s\n", "", "no column `arm`"},
    {"arm,request_id,arrival_s,input_tokens,output_tokens,ttft_s,ttft_ms,tpot_s\n", "",
     "columns `ttft_s` and `ttft_ms`"},
    {"arm,request_id,slo_class,arrival_s,input_tokens,output_tokens,ttft_s,tpot_s\n",
     "candidate,1,defalt,0,10,10,0.1,0.01",
     "slo_class: `defalt` is no class of the plan, expected default; did you mean `default`?"},
};

START_TEST(a_wrong_file_is_refused_at_its_line_and_nothing_is_found)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
        struct sim_status st = {0};
        struct exp_pilot_findings f = {.answers = 77};
        char *text = sim_printf("%s%s\n", bad_rows[i].head, bad_rows[i].row);
        bool ok = exp_pilot_read(&p->decision, p->cache, test_file("measured.csv", text), NULL, &f, &st);
        ck_assert_msg(!ok, "was read: %s", text);
        ck_assert_msg(strstr(st.message, bad_rows[i].needle), "`%s` lacks `%s`", st.message,
                      bad_rows[i].needle);
        ck_assert_ptr_null(strchr(st.message, '\n'));
        ck_assert_uint_eq(f.answers, 77);
        free(text);
    }
    pilot_free(p);
}
END_TEST

START_TEST(an_arm_that_answers_nothing_longer_than_a_token_is_too_little)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    struct sim_status st = {0};
    struct exp_pilot_findings f;
    const char *path = test_file("measured.csv", PILOT_HEADER);
    FILE *out = fopen(path, "a");
    for (int i = 0; i < 60; i++)
        fprintf(out, "baseline,%d,%d,10,10,0.1,0.01,,\ncandidate,%d,%d,10,%d,0.1,,,\n", i, i, i, i, i % 2);
    fclose(out);
    ck_assert(!exp_pilot_read(&p->decision, p->cache, path, NULL, &f, &st));
    ck_assert_msg(strstr(st.message, "0 requests of arm candidate with two output tokens"), "%s", st.message);
    pilot_free(p);
}
END_TEST

START_TEST(a_column_in_another_unit_is_pointed_out)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    struct sim_status st = {0};
    struct exp_pilot_findings f;
    const char *path = test_file("measured.csv", PILOT_HEADER);
    FILE *out = fopen(path, "a");
    for (int i = 0; i < 60; i++) /* milliseconds where seconds are said */
        fprintf(out, "baseline,%d,%d,100,10,0.1,10,,\ncandidate,%d,%d,100,10,0.1,0.01,,\n", i, i, i, i);
    fclose(out);
    ck_assert(!exp_pilot_read(&p->decision, p->cache, path, NULL, &f, &st));
    ck_assert_msg(strstr(st.message, "TPOT of arm baseline") && strstr(st.message, "unit"), "%s", st.message);
    pilot_free(p);
}
END_TEST

START_TEST(requests_longer_than_the_model_takes_are_left_out_of_the_comparison)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "kivi4");
    const char *path = played_file(p, &as_predicted, &as_predicted);
    FILE *out = fopen(path, "a");
    fputs("candidate,long,5,900000000,50,30,5,,\n", out);
    fclose(out);
    struct exp_pilot_findings f = findings_of(p, path, NULL);
    ck_assert_double_lt(fabs(f.speed), 1e-6);
    ck_assert_uint_eq(f.class[0].requests, 1201);
    pilot_free(p);
}
END_TEST

START_TEST(a_winner_on_full_kv_needs_one_arm)
{
    struct pilot *p = pilot_new(PILOT_ONE_CLASS, "full");
    const char *path = test_file("measured.csv", PILOT_HEADER);
    FILE *out = fopen(path, "a");
    struct played cand = with(1.2, 1, 0, 1);
    play(p, EXP_ARM_CANDIDATE, &cand, out);
    fclose(out);
    struct exp_pilot_findings f = findings_of(p, path, NULL);
    ck_assert_double_lt(fabs(f.speed - log(1.2)), 0.002);
    ck_assert_double_eq(f.baseline_speed, f.speed);
    ck_assert(isnan(f.length));
    pilot_free(p);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("pilot");
    TCase *t = tcase_create("speed and length");
    tcase_add_test(t, the_factor_on_step_times_is_found_in_either_arm);
    tcase_add_test(t, what_is_found_lies_within_its_error_when_clocks_are_noisy);
    tcase_add_test(t, longer_answers_are_found_by_pairs_and_by_arms);
    tcase_add_test(t, pairs_need_the_same_prompt);
    tcase_add_test(t, milliseconds_any_order_and_any_origin_of_time_say_the_same);
    suite_add_tcase(s, t);
    t = tcase_create("service and failures");
    tcase_add_test(t, requests_within_their_limits_are_counted_by_class);
    tcase_add_test(t, failures_of_pairs_count_where_full_kv_does_not_fail);
    tcase_add_test(t, failures_of_other_requests_are_an_excess_with_the_variance_of_both_arms);
    tcase_add_test(t, answers_that_nobody_judged_are_not_measured);
    tcase_add_test(t, scores_count_negatives_and_critical_cases);
    suite_add_tcase(s, t);
    t = tcase_create("machines");
    tcase_add_test(t, pilot_yaml_says_which_machines_there_were);
    tcase_add_test(t, a_wrong_pilot_yaml_is_refused_at_its_line);
    tcase_add_test(t, a_pilot_of_what_the_plan_does_not_have_is_refused);
    tcase_add_test(t, full_kv_on_another_card_says_nothing_of_this_ones_speed);
    tcase_add_test(t, more_replicas_are_replayed_as_so_many);
    tcase_add_test(t, a_winner_on_full_kv_needs_one_arm);
    suite_add_tcase(s, t);
    t = tcase_create("wrong files");
    tcase_add_test(t, a_wrong_file_is_refused_at_its_line_and_nothing_is_found);
    tcase_add_test(t, an_arm_that_answers_nothing_longer_than_a_token_is_too_little);
    tcase_add_test(t, a_column_in_another_unit_is_pointed_out);
    tcase_add_test(t, requests_longer_than_the_model_takes_are_left_out_of_the_comparison);
    suite_add_tcase(s, t);
    return s;
}
