/* Study p1-tp: Table 3 of paper 1, throughput of four methods over fp16 at tensor parallelism 1, 2 and 4. The table
 * does not state batch and length, and no all-reduce was measured on that machine; so signs are judged, and sizes
 * printed. What the port's decode path gives no reason for is named. */
#include "experiments/published/list.h"
#include "experiments/published/p1.h"

#include <math.h>
#include <stdio.h>

enum { N_TP = 3 };
static const uint32_t tps[N_TP] = {1, 2, 4};

/* Tokens/s of fp16, and the methods' over it. source: Table 3. */
static const double fp16_token_per_s[EXP_P1_STAGES][N_TP] = {{6610.24, 11041.35, 12938.66},
                                                             {129.72, 194.83, 195.02}};
static const double gain[EXP_P1_STAGES][EXP_P1_METHODS][N_TP] = {
    {{1, 1, 1}, {1.06, 1.09, 1.03}, {0.86, 0.80, 0.90}, {0.58, 0.58, 0.51}, {0.95, 0.96, 0.92}},
    {{1, 1, 1}, {0.98, 0.88, 0.90}, {1.02, 0.97, 0.97}, {1.34, 0.69, 0.85}, {1.34, 1.01, 0.97}},
};

struct study {
    const struct exp_study_run *run;
    struct exp_p1_machine machine;
    double batch, prompt;
    double step_s[EXP_P1_STAGES][EXP_P1_METHODS][N_TP];
};

static bool predict(struct study *s, enum exp_p1_id method, int t, struct sim_status *st)
{
    struct exp_p1_price price;
    if (!exp_p1_price_init(&price, &s->machine, method, tps[t], NULL, s->run->constants, st)) return false;
    s->step_s[EXP_P1_PREFILL][method][t] = exp_p1_prefill_s(&price, (uint32_t)s->batch, (uint32_t)s->prompt);
    s->step_s[EXP_P1_DECODE][method][t] = exp_p1_decode_s(&price, (uint32_t)s->batch, (uint32_t)s->prompt);
    exp_p1_price_fini(&price);
    return true;
}

static double predicted_gain(const struct study *s, int stage, int method, int t)
{
    return s->step_s[stage][EXP_P1_FP16][t] / s->step_s[stage][method][t];
}

/* ---- what is printed ---- */

static void add_rows(const struct study *s, int stage, int method)
{
    for (int t = 0; t < N_TP; t++) {
        struct exp_published_row row = {.published = gain[stage][method][t],
                                        .predicted = predicted_gain(s, stage, method, t)};
        double tokens = stage == EXP_P1_PREFILL ? s->batch * s->prompt : s->batch;
        snprintf(row.group, sizeof row.group, "%s", exp_p1_stage_names[stage]);
        snprintf(row.what, sizeof row.what, "%s over fp16, TP %u", exp_p1_methods[method].name, tps[t]);
        snprintf(row.unit, sizeof row.unit, "x");
        if (method == EXP_P1_FP16) {
            row.published = fp16_token_per_s[stage][t];
            row.predicted = tokens / s->step_s[stage][method][t];
            snprintf(row.what, sizeof row.what, "fp16, TP %u", tps[t]);
            snprintf(row.unit, sizeof row.unit, "token/s");
        }
        exp_published_row(s->run->out, &row);
    }
}

static void judge(const struct study *s, const char *name, double value, bool met, const char *wanted)
{
    struct exp_published_figure f = {
        .group = "signs", .value = value, .goal = met ? EXP_GOAL_MET : EXP_GOAL_MISSED};
    snprintf(f.name, sizeof f.name, "%s", name);
    snprintf(f.wanted, sizeof f.wanted, "%s", wanted);
    exp_published_figure(s->run->out, &f);
}

static void judge_signs(const struct study *s)
{
    char name[48];
    for (int m = EXP_P1_KIVI; m < EXP_P1_METHODS; m++) {
        double change =
            predicted_gain(s, EXP_P1_DECODE, m, N_TP - 1) - predicted_gain(s, EXP_P1_DECODE, m, 0);
        snprintf(name, sizeof name, "%s decode gain, TP 4 less TP 1", exp_p1_methods[m].name);
        judge(s, name, change, change < 0, "< 0");
    }
    for (int t = 0; t < N_TP; t++) {
        double g = predicted_gain(s, EXP_P1_PREFILL, EXP_P1_H2O, t);
        snprintf(name, sizeof name, "h2o prefill over fp16, TP %u", tps[t]);
        judge(s, name, g, g < 1, "< 1");
    }
}

/* Cells that lie on the same side of 1; a change below 2 % is on both. */
static void count_sides(const struct study *s)
{
    const double even = 0.02;
    int same = 0, all = 0;
    for (int stage = 0; stage < EXP_P1_STAGES; stage++)
        for (int m = EXP_P1_KIVI; m < EXP_P1_METHODS; m++)
            for (int t = 0; t < N_TP; t++) {
                double published = gain[stage][m][t] - 1, predicted = predicted_gain(s, stage, m, t) - 1;
                bool agree = published * predicted > 0 || fabs(published) <= even || fabs(predicted) <= even;
                same += agree;
                all++;
                if (!agree)
                    exp_published_note(s->run->out,
                                       "other side of 1: %s %s TP %u, published %.2f, predicted %.2f",
                                       exp_p1_methods[m].name, exp_p1_stage_names[stage], tps[t],
                                       published + 1, predicted + 1);
            }
    exp_published_figure(s->run->out, &(struct exp_published_figure){.group = "signs",
                                                                     .name = "cells on the same side of 1",
                                                                     .value = same});
    exp_published_figure(s->run->out,
                         &(struct exp_published_figure){.group = "signs", .name = "cells", .value = all});
}

static void name_the_unexplained(const struct study *s)
{
    exp_published_note(
        s->run->out,
        "from TP 2 on fp16 decode is bound by the host (194.8 and 195.0 token/s), so what a method saves on "
        "the GPU is not seen, and what it launches more is; that is the model's reason for every gain that "
        "falls");
    exp_published_note(s->run->out, "unexplained: h2o decode at 0.69 (TP 2) and 0.85 (TP 4), where Stream "
                                    "keeps as many tokens by the same "
                                    "decode path and has 1.01 and 0.97; h2o prefill at 0.51 to 0.58, where "
                                    "the released rows of one GPU lose 7 to 25 %%");
    exp_published_note(s->run->out, "unexplained: kivi prefill above fp16 (1.03 to 1.09), although it packs "
                                    "beside the same work; fp16 itself at 6610 "
                                    "token/s, where the released rows of one GPU reach 5768");
}

bool exp_published_p1_tp(const struct exp_study_run *r, struct sim_status *st)
{
    struct study s = {.run = r};
    bool ok = exp_p1_machine_init(&s.machine, r, st);
    if (!ok) return false;
    ok = exp_constant_value(r->constants, "p1.table3.batch", &s.batch, st) &&
         exp_constant_value(r->constants, "p1.table3.prompt", &s.prompt, st);
    for (int m = 0; ok && m < EXP_P1_METHODS; m++)
        for (int t = 0; ok && t < N_TP; t++) ok = predict(&s, (enum exp_p1_id)m, t, st);
    for (int stage = 0; ok && stage < EXP_P1_STAGES; stage++)
        for (int m = 0; m < EXP_P1_METHODS; m++) add_rows(&s, stage, m);
    if (ok) judge_signs(&s);
    if (ok) count_sides(&s);
    if (ok) name_the_unexplained(&s);
    exp_p1_machine_fini(&s.machine);
    return ok;
}
