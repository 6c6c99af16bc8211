/* Any bytes as the requests of a pilot: what is taken is in order of arrival, finite, and paired with itself only. */
#include "experiments/planning/pilot/pilot_parts.h"

#include "sim/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "model: llama-3.1-8b\n"
                           "load: {open_loop: {request_rate: 1, num_requests: 10}}\n"
                           "classes:\n"
                           "  default: {slo: {ttft_ms: 500}}\n"
                           "  critical: {slo: {e2el_ms: 9000}, max_failure_rate: 0.01}\n";

static struct exp_plan *the_plan(void)
{
    struct sim_status st = {0};
    struct exp_plan *p = exp_plan_parse("plan.yaml", text, sizeof text - 1, &st);
    SIM_CHECK(p);
    return p;
}

static void check_request(const struct exp_served *q)
{
    SIM_CHECK(q->id[0] && q->line > 1 && q->input_tokens > 0 && q->slo_class < 2);
    SIM_CHECK(q->arrival_s >= 0 && isfinite(q->arrival_s) && q->failed >= -1 && q->failed <= 1);
    SIM_CHECK(q->completed == !isnan(q->ttft_s) && (!q->completed || q->ttft_s > 0));
    SIM_CHECK(!q->completed || q->one_token || q->tpot_s > 0);
    SIM_CHECK(q->one_token == (q->output_tokens < 2) && (q->loads || !q->completed));
}

static void check_arm(const struct exp_measured_arm *a)
{
    SIM_CHECK(a->n == 0 || a->at[0].arrival_s == 0);
    for (uint64_t i = 0; i < a->n; i++) {
        check_request(&a->at[i]);
        SIM_CHECK(i == 0 || a->at[i].arrival_s >= a->at[i - 1].arrival_s);
    }
}

static void check(const struct exp_pilot_measured *m)
{
    for (int a = 0; a < EXP_N_ARMS; a++) check_arm(&m->arm[a]);
    for (uint64_t i = 0; i < m->n_pairs; i++) {
        const struct exp_served *b = &m->arm[EXP_ARM_BASELINE].at[m->pair[i].of[EXP_ARM_BASELINE]];
        const struct exp_served *c = &m->arm[EXP_ARM_CANDIDATE].at[m->pair[i].of[EXP_ARM_CANDIDATE]];
        SIM_CHECK(strcmp(b->id, c->id) == 0 && b->input_tokens == c->input_tokens);
        SIM_CHECK(b->completed && c->completed);
    }
    struct exp_pilot_findings f = {0};
    exp_pilot_failed(m, &f);
    SIM_CHECK(f.failures <= f.answers && f.class[0].failures <= f.class[0].answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof path, "%s/kvsim-fuzz-%ld", dir, (long)getpid());
    FILE *f = fopen(path, "wb");
    SIM_CHECK(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
    struct exp_plan *plan = the_plan();
    struct sim_status st = {0};
    struct exp_pilot_measured m;
    if (exp_pilot_csv_read(plan, path, false, &m, &st)) {
        SIM_CHECK(st.code == SIM_EXIT_OK);
        check(&m);
        exp_pilot_csv_fini(&m);
    } else {
        SIM_CHECK(st.code != SIM_EXIT_OK && st.message[0] && !strchr(st.message, '\n'));
    }
    exp_plan_free(plan);
    unlink(path);
    return 0;
}
