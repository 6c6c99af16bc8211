#include "experiments/compare.h"

#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"
#include "sim/replica.h"

/* ---- where full's load stands ---- */

/* At evenly spaced output tokens of the load, counted through all requests in their order. */
static void sample_lengths(const struct sim_load *load, double n_tokens, struct sim_kv_length *out)
{
    double before = 0;
    uint32_t taken = 0;
    for (uint64_t i = 0; i < load->n_requests && taken < EXP_LOAD_SAMPLES; i++) {
        const struct sim_request *q = &load->requests[i];
        for (double at; taken < EXP_LOAD_SAMPLES &&
                        (at = (taken + 0.5) / EXP_LOAD_SAMPLES * n_tokens) < before + q->output_tokens;)
            out[taken++] =
                (struct sim_kv_length){q->input_tokens + (uint32_t)(at - before) + 1, q->input_tokens};
        before += q->output_tokens;
    }
}

struct exp_point_load exp_point_load_at(const struct exp_setup *u, double n_seqs)
{
    const struct sim_load *load = &u->config.load;
    struct exp_point_load p = {.n_seqs = fmax(1, round(n_seqs))};
    double input = 0, output = 0, n = (double)load->n_requests;
    for (uint64_t i = 0; i < load->n_requests; i++) {
        input += load->requests[i].input_tokens;
        output += load->requests[i].output_tokens;
    }
    sample_lengths(load, output, p.sample);
    for (int i = 0; i < EXP_LOAD_SAMPLES; i++)
        p.context_tokens += p.sample[i].tokens / (double)EXP_LOAD_SAMPLES;
    p.prompt_tokens = n > 0 ? fmax(1, input / n) : NAN;
    p.output_tokens = n > 0 ? output / n : NAN;
    return p;
}

struct exp_point_load exp_point_load_of(const struct exp_setup *u, const struct exp_figures *f)
{
    double replicas = 0;
    for (uint32_t i = 0; i < u->n_fleets; i++) replicas += u->sim_fleets[i].n_replicas;
    return exp_point_load_at(u, exp_figure(f, "mean_running").mean / replicas);
}

/* ---- a decode step there ---- */

/* n_seqs sequences that are like the samples. */
static struct sim_reads reads_of(const struct sim_kv_rule *rule, const struct exp_point_load *load)
{
    double kept = 0, all = 0, selecting = 0, n_selecting = 0, each = load->n_seqs / EXP_LOAD_SAMPLES;
    for (int i = 0; i < EXP_LOAD_SAMPLES; i++) {
        struct sim_kv_length at = load->sample[i];
        kept += each * sim_kv_read(rule, at);
        all += each * at.tokens;
        if (at.tokens <= rule->select_after) continue;
        n_selecting += each;
        selecting += each * at.tokens;
    }
    return (struct sim_reads){.n_seqs = (uint32_t)load->n_seqs,
                              .n_selecting = (uint32_t)lround(n_selecting),
                              .kept = (uint64_t)llround(kept),
                              .all = (uint64_t)llround(all),
                              .selecting = (uint64_t)llround(selecting)};
}

static const char *const station_names[EXP_N_STATIONS] = {
    [EXP_SUBMISSION] = "submission", [EXP_DESCRIPTORS] = "descriptors", [EXP_WIRE] = "wire",
    [EXP_CONVERSION] = "conversion", [EXP_SELECTION] = "selection",     [EXP_SYNCS] = "syncs"};

const char *exp_station_name(enum exp_station s)
{
    return station_names[s];
}

/* The recall with one station slower. */
static struct sim_recall slowed(struct sim_recall r, enum exp_station station, double factor)
{
    double *const of[EXP_N_STATIONS][2] = {
        [EXP_SUBMISSION] = {&r.submit_s},        [EXP_DESCRIPTORS] = {&r.engine_s},
        [EXP_WIRE] = {&r.up_s, &r.down_s},       [EXP_CONVERSION] = {&r.convert_s, &r.convert_tail_s},
        [EXP_SELECTION] = {&r.correct_select_s}, [EXP_SYNCS] = {&r.sync_s}};
    for (int i = 0; i < 2; i++)
        if (of[station][i]) *of[station][i] *= factor;
    return r;
}

/* A step's time is sums and maxima of its stations', so that it is the sum of these and of what computation adds. */
static void dissect_waits(const struct sim_decode_line *line, const struct sim_reads *reads,
                          double station_s[EXP_N_STATIONS])
{
    const double little = 1e-6;
    const struct sim_recall_draw mean = {1, 1};
    struct sim_recall r = sim_recall_plus(&line->recall, &line->recall_token, (double)reads->selecting);
    double compute_s = fmax(sim_line_gpu_s(line, reads), line->launch_s);
    double step_s = sim_recall_sum_s(sim_recall_sum(&r, mean), compute_s);
    for (enum exp_station k = 0; k < EXP_N_STATIONS; k++) {
        struct sim_recall slower = slowed(r, k, 1 + little);
        station_s[k] = (sim_recall_sum_s(sim_recall_sum(&slower, mean), compute_s) - step_s) / little;
    }
}

static void dissect_step(const struct sim_cost *cost, const struct sim_reads *reads, struct exp_anatomy *a)
{
    struct sim_decode_line line;
    cost->decode_line(cost, reads, &line);
    struct sim_step_time t = sim_line_time(&line, reads);
    a->step_s = t.step_s;
    a->gpu_s = sim_line_gpu_s(&line, reads);
    a->attention_s = line.attention_base_s + line.gpu_slope_s * sim_line_kv(&line, reads);
    a->select_s = line.select_slope_s * (double)reads->selecting;
    a->exposed_s = t.step_s - t.computed_s;
    a->host_s = t.computed_s - a->gpu_s;
    dissect_waits(&line, reads, a->station_s);
}

/* ---- a prompt ---- */

/* Alone on its replica, in the engine's chunks. */
static double prompt_s(const struct sim_fleet *f, uint32_t tokens)
{
    double s = 0;
    uint32_t most = f->engine.max_num_batched_tokens, limit = f->engine.long_prefill_token_threshold;
    if (limit && limit < most) most = limit;
    for (uint32_t done = 0, n; done < tokens; done += n) {
        n = tokens - done < most ? tokens - done : most;
        struct sim_chunk chunk = {n, done, done + n == tokens};
        struct sim_batch b = {.n_chunks = 1, .chunks = &chunk, .new_tokens = n, .n_outputs = chunk.last};
        for (uint32_t stage = 0; stage < f->cost->n_stages; stage++) {
            struct sim_price p;
            f->cost->price(f->cost, &b, stage, &p);
            s += sim_price_alone_s(&p);
        }
    }
    return s;
}

struct exp_anatomy exp_anatomy_of(const struct exp_setup *u, uint32_t fleet,
                                  const struct exp_point_load *load)
{
    struct exp_anatomy a = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, {0}};
    const struct sim_fleet *f = &u->sim_fleets[fleet];
    if (!isfinite(load->n_seqs) || !isfinite(load->prompt_tokens)) return a;
    struct sim_kv_rule full = sim_kv_full(f->engine.block_size);
    struct sim_reads reads = reads_of(f->kv ? f->kv : &full, load);
    if (f->cost->n_stages == 1 && reads.n_seqs <= f->engine.max_num_seqs) dissect_step(f->cost, &reads, &a);
    a.prefill_s = prompt_s(f, (uint32_t)lround(load->prompt_tokens));
    return a;
}
