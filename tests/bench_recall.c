/* What a KV rule and a recall cost the event loop: units and covered length of a sequence, the closed form of a step,
 * with a draw of its own or not, and a step layer by layer beside others on the link. Median of 5. */
#include "sim/kv.h"
#include "sim/memory.h"
#include "sim/random.h"
#include "sim/recall.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_RUNS = 5, N_CALLS = 2000000, N_INPUTS = 1 << 12, N_LAYERS = 32 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the calls are made with, drawn beforehand. */
struct inputs {
    struct sim_kv_rule rule;
    struct sim_recall recall;
    struct sim_recall_sum sum;
    struct sim_hostlink link;
    struct sim_kv_length length[N_INPUTS];
    struct sim_recall_draw draw[N_INPUTS];
    double compute_s[N_INPUTS];
};

/* FreeKV as it comes: resident pages, digests, a host copy; and its recall. */
static void init(struct inputs *in)
{
    in->rule = (struct sim_kv_rule){
        .term = {{.cap = 2048, .page_tokens = 32, .units = 16, .kept = true},
                 {.cap = SIM_KV_ALL, .page_tokens = 32, .units = 1, .whole = true},
                 {.place = SIM_KV_HOST, .cap = SIM_KV_ALL, .page_tokens = 32, .units = 1, .whole = true}},
        .n_terms = 3,
        .period = 32,
        .budget = 2048,
        .evicts_in_decode = true,
        .read_cap = SIM_KV_ALL,
        .select_after = 2048};
    in->recall = (struct sim_recall){.when = SIM_RECALL_STEP_AHEAD,
                                     .n_layers = N_LAYERS,
                                     .submit_s = 3e-3,
                                     .engine_s = 1e-3,
                                     .up_s = 2e-3,
                                     .down_s = 1e-4,
                                     .duplex = 1.4,
                                     .convert_s = 1e-4,
                                     .convert_tail_s = 1e-6,
                                     .double_buffer = true,
                                     .sync_s = 1e-3,
                                     .correct_frac = 0.3,
                                     .correct_share = 0.2,
                                     .correct_select_s = 1e-3};
    in->sum = sim_recall_sum(&in->recall, (struct sim_recall_draw){1, 1});
    for (uint32_t i = 0; i < N_INPUTS; i++) {
        double u = sim_random_unit(1, sim_stream("bench"), i);
        in->length[i] = (struct sim_kv_length){(uint32_t)(u * 32768), (uint32_t)(u * 30000)};
        in->draw[i] = (struct sim_recall_draw){0.5 + u, 1.5 - u};
        in->compute_s[i] = 10e-3 + 1e-3 * u;
    }
}

typedef double act(struct inputs *in, uint32_t i);

static double units(struct inputs *in, uint32_t i)
{
    return (double)sim_kv_units(&in->rule, SIM_KV_GPU, in->length[i % N_INPUTS]);
}

static double covered(struct inputs *in, uint32_t i)
{
    return sim_kv_covered(&in->rule, in->length[i % N_INPUTS]);
}

static double next_change(struct inputs *in, uint32_t i)
{
    return sim_kv_next_change(&in->rule, in->length[i % N_INPUTS]);
}

static double closed(struct inputs *in, uint32_t i)
{
    return sim_recall_sum_s(in->sum, in->compute_s[i % N_INPUTS]);
}

static double drawn(struct inputs *in, uint32_t i)
{
    return sim_recall_sum_s(sim_recall_sum(&in->recall, in->draw[i % N_INPUTS]), in->compute_s[i % N_INPUTS]);
}

/* All users take steps of about 10 ms in turn. */
static double layered(struct inputs *in, uint32_t i)
{
    double start_s = 10e-3 * i / in->link.n_users;
    return sim_recall_layers_s(&in->recall, in->draw[i % N_INPUTS], in->compute_s[i % N_INPUTS], start_s,
                               &in->link, i % in->link.n_users);
}

/* Prints ns a call; *sum takes something of every call, so that none can be left out. */
static void measure(const char *what, act *call, struct inputs *in, double *sum)
{
    double taken_s[N_RUNS];
    for (int run = 0; run < N_RUNS; run++) {
        double start_s = now_s();
        for (uint32_t i = 0; i < N_CALLS; i++) *sum += call(in, i);
        taken_s[run] = (now_s() - start_s) / N_CALLS;
    }
    qsort(taken_s, N_RUNS, sizeof *taken_s, by_size);
    printf("%-44s %7.1f ns, best %.1f\n", what, 1e9 * taken_s[N_RUNS / 2], 1e9 * taken_s[0]);
}

int main(void)
{
    struct inputs *in = sim_alloc(1, sizeof *in);
    static const uint32_t users[] = {1, 2, 8};
    double sum = 0;
    init(in);
    measure("units of a rule of three terms", units, in, &sum);
    measure("covered length", covered, in, &sum);
    measure("next change", next_change, in, &sum);
    measure("closed form at the mean rates", closed, in, &sum);
    measure("closed form with a draw", drawn, in, &sum);
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        char what[64];
        in->link = (struct sim_hostlink){.n_users = users[i]};
        snprintf(what, sizeof what, "%d layers, %u on the link", N_LAYERS, users[i]);
        measure(what, layered, in, &sum);
    }
    free(in);
    return sum > 0 ? 0 : 1;
}
