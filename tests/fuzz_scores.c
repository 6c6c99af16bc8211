/* Feeds bytes to exp_scores_read as a file whose name says a method and a task, with the options that change its path; what
 * is read must be a sound table, and every count of it must add up. */
#include "experiments/quality/evaluate.h"
#include "sim/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scores(const struct exp_scores *s)
{
    uint64_t n = 0, sum = 0;
    SIM_CHECK(s->n_methods > 0 && s->n_tasks > 0 && s->n_samples > 0);
    for (uint32_t i = 0; i < s->n_samples; i++) {
        SIM_CHECK(s->sample[i].task < s->n_tasks && s->sample[i].id[0]);
        SIM_CHECK(i == 0 || s->sample[i - 1].task <= s->sample[i].task);
    }
    for (uint32_t m = 0; m < s->n_methods; m++) {
        SIM_CHECK(s->method[m][0]);
        sum += s->n_of_method[m];
        for (uint32_t i = 0; i < s->n_samples; i++) {
            double score = s->score[m][i].score;
            SIM_CHECK(isnan(score) || (score >= 0 && score <= 1));
            n += !isnan(score);
        }
    }
    SIM_CHECK(n == sum);
}

static void check_counts(const struct exp_quality_count *c)
{
    SIM_CHECK(c->negatives <= c->benign && c->benign <= c->samples && c->fixed <= c->samples);
    SIM_CHECK(c->worse + c->same + c->better == c->samples && c->zeroed + c->partial == c->negatives);
    SIM_CHECK(c->longer <= c->length_pairs && c->length_pairs <= c->samples && c->empty <= c->samples);
}

static void ask(const struct exp_scores *s, uint8_t choice)
{
    struct exp_quality_options o = {.theta = 0.1, .rule = choice & 4 ? EXP_RULE_CODE : EXP_RULE_PAPER};
    struct exp_quality_set set = {.n = 1, .method = {s->n_methods - 1}};
    struct exp_quality_result r;
    struct sim_status st = {0};
    o.benign_by_median = (choice & 8) != 0;
    if (choice & 16 && s->n_methods > 2) set.method[set.n++] = 1;
    if (!exp_quality_evaluate(s, &set, &o, &r, &st)) {
        SIM_CHECK(st.message[0]);
        return;
    }
    check_counts(&r.all);
    for (uint32_t t = 0; t < s->n_tasks; t++) check_counts(&r.task[t]);
    struct exp_quality_bands b = exp_quality_bootstrap(s, &r, &o, 3, 1);
    SIM_CHECK(b.worse.lo >= 0 && b.worse.hi <= 1 && b.worse.lo <= b.worse.hi);
    exp_quality_result_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    char path[128];
    const char *name = path, *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof path, "%s/kvsim-fuzz-%ld_M_8192_b1_4bits_qasper_eval.json", dir, (long)getpid());
    FILE *f = fopen(path, "wb");
    SIM_CHECK(f && fwrite(data + 1, 1, size - 1, f) == size - 1 && fclose(f) == 0);
    struct exp_scores_options options = {
        .scale = data[0] & 1 ? 100 : 0, .alg = data[0] & 2 ? "m" : NULL, .task = data[0] & 2 ? "t" : NULL};
    struct sim_status st = {0};
    struct exp_scores *s = exp_scores_read(&name, 1, &options, &st);
    SIM_CHECK(s || st.message[0]); /* refused without a word */
    if (s) {
        check_scores(s);
        ask(s, data[0]);
    }
    exp_scores_free(s);
    unlink(path);
    return 0;
}
