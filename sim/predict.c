#include "sim/predict.h"

#include "sim/random.h"

#include <math.h>

/* --- what decodes --- */

/* n requests that decode right after prompts of so many tokens. */
static void add_prompts(struct sim_reads *reads, const struct sim_kv_rule *kv, uint32_t prompt, uint32_t n)
{
    uint64_t tokens = (uint64_t)prompt + 1;
    reads->n_seqs += n;
    reads->all += n * tokens;
    reads->kept += (uint64_t)n * sim_kv_read(kv, (struct sim_kv_length){prompt + 1, prompt});
    if (tokens <= kv->select_after) return;
    reads->selecting += n * tokens;
    reads->n_selecting += n;
}

/* Those that wait count as so many of their mean length. */
static struct sim_reads all_together(const struct sim_replica *r, uint32_t input_tokens)
{
    struct sim_reads reads = sim_replica_reads(r);
    uint32_t n_waiting = r->inbox.n + r->waiting.n;
    if (n_waiting) add_prompts(&reads, r->kv, (uint32_t)(r->waiting_tokens / n_waiting), n_waiting);
    add_prompts(&reads, r->kv, input_tokens, 1);
    return reads;
}

/* How many times as many requests there are as seats, or units needed as there are; at least 1. */
static double turns(const struct sim_replica *r, uint32_t n_seqs, uint32_t input_tokens)
{
    uint64_t units = sim_replica_used_blocks(r) + r->waiting_blocks +
                     sim_kv_need(r->kv, SIM_KV_GPU, (struct sim_kv_length){input_tokens, input_tokens});
    double seats = (double)n_seqs / r->engine->max_num_seqs;
    return fmax(1, fmax(seats, (double)units / (double)r->pool.n_blocks));
}

static struct sim_reads at_once(const struct sim_reads *all, double n_turns)
{
    uint32_t n_seqs = (uint32_t)lround(all->n_seqs / n_turns);
    return (struct sim_reads){.n_seqs = n_seqs > 0 ? n_seqs : 1,
                              .n_selecting = (uint32_t)lround(all->n_selecting / n_turns),
                              .kept = (uint64_t)((double)all->kept / n_turns),
                              .all = (uint64_t)((double)all->all / n_turns),
                              .selecting = (uint64_t)((double)all->selecting / n_turns)};
}

/* --- what it costs, at the mean rates and alone on the link --- */

static double stage_s(const struct sim_replica *r, const struct sim_batch *b, uint32_t stage)
{
    struct sim_price p;
    r->cost->price(r->cost, b, stage, &p);
    return sim_price_alone_s(&p);
}

/* Through all pipeline stages. */
static double batch_s(const struct sim_replica *r, const struct sim_batch *b)
{
    double sum_s = stage_s(r, b, 0);
    for (uint32_t stage = 1; stage < r->cost->n_stages; stage++)
        sum_s += r->cost->transfer_s(r->cost, b->new_tokens) + stage_s(r, b, stage);
    return sum_s;
}

static double decode_s(const struct sim_replica *r, const struct sim_reads *reads)
{
    if (r->cost->n_stages > 1) {
        struct sim_batch b = {.decode = *reads, .new_tokens = reads->n_seqs, .n_outputs = reads->n_seqs};
        return batch_s(r, &b);
    }
    struct sim_decode_line line;
    r->cost->decode_line(r->cost, reads, &line);
    return sim_line_time(&line, reads).step_s;
}

/* A longer prompt is rejected when it arrives; cost models need not know its price. */
static uint32_t served(const struct sim_replica *r, uint32_t input_tokens)
{
    return input_tokens < r->engine->max_model_len ? input_tokens : r->engine->max_model_len;
}

double sim_predict_token_s(const struct sim_replica *r, uint32_t input_tokens)
{
    input_tokens = served(r, input_tokens);
    struct sim_reads all = all_together(r, input_tokens);
    double n_turns = turns(r, all.n_seqs, input_tokens);
    struct sim_reads reads = at_once(&all, n_turns);
    return n_turns * decode_s(r, &reads);
}

/* --- the prompt --- */

/* Prompt tokens that come before a new request's. */
static uint64_t tokens_ahead(const struct sim_replica *r)
{
    uint64_t sum = r->waiting_tokens;
    if (r->run.active) return sum;
    for (uint32_t i = 0; i < r->n_running; i++) {
        const struct sim_seq *s = &r->seqs[r->running[i]];
        uint32_t left = s->known - s->computed;
        if (left > 1) sum += left;
    }
    return sum;
}

static double chunk_s(const struct sim_replica *r, const struct sim_reads *running, struct sim_chunk chunk)
{
    struct sim_batch b = {.decode = *running,
                          .n_chunks = 1,
                          .chunks = &chunk,
                          .new_tokens = (uint64_t)running->n_seqs + chunk.new_tokens,
                          .n_outputs = running->n_seqs + chunk.last};
    return batch_s(r, &b);
}

/* A prompt of its own, in chunks of at most so many tokens; all but the last are priced as the mean of them. */
static double prompt_s(const struct sim_replica *r, const struct sim_reads *running, uint32_t tokens,
                       uint32_t most)
{
    uint32_t n_before = (tokens - 1) / most, before = n_before * most;
    double s = chunk_s(r, running, (struct sim_chunk){tokens - before, before, true});
    if (n_before) s += n_before * chunk_s(r, running, (struct sim_chunk){most, (before - most) / 2, false});
    return s;
}

double sim_predict_prefill_s(const struct sim_replica *r, uint32_t input_tokens)
{
    const struct sim_engine *e = r->engine;
    struct sim_reads running = sim_replica_reads(r);
    uint32_t most =
        e->max_num_batched_tokens > running.n_seqs ? e->max_num_batched_tokens - running.n_seqs : 1;
    uint64_t ahead = tokens_ahead(r);
    double s = 0;
    if (ahead) {
        uint32_t chunk = ahead < most ? (uint32_t)ahead : most;
        s = chunk_s(r, &running, (struct sim_chunk){chunk, 0, true}) * ((double)ahead / chunk);
    }
    uint32_t limit = e->long_prefill_token_threshold;
    return s + prompt_s(r, &running, served(r, input_tokens), limit && limit < most ? limit : most);
}

/* --- how well it is known --- */

/* Newton's method from above; the derivative of exp(x^2 / 2) erf(x / sqrt 2) is sqrt(2 / pi) + x times it. */
double sim_predict_sigma(double accuracy)
{
    const double root_2_over_pi = 0.79788456080286536, root_half = 0.70710678118654752;
    if (!(accuracy > 0 && accuracy < 1)) return 0;
    double error = 1 - accuracy, sigma = error / root_2_over_pi, change = 1;
    for (int i = 0; i < 20 && change > 1e-9; i++) {
        double at = exp(sigma * sigma / 2) * erf(sigma * root_half);
        change = (at - error) / (root_2_over_pi + sigma * at);
        sigma -= change;
    }
    return sigma;
}

/* Box and Muller's cosine from the two halves of one draw. */
double sim_predict_error(double sigma, uint64_t seed, uint64_t stream, uint32_t request, uint32_t fleet)
{
    const double two_pi = 6.28318530717958648;
    if (!(sigma > 0)) return 1;
    uint64_t bits = sim_random_u64(seed, stream, (uint64_t)fleet << 32 | request);
    double u = ((double)(bits >> 32) + 0.5) * 0x1p-32, v = ((double)(bits & UINT32_MAX) + 0.5) * 0x1p-32;
    return exp(sigma * sqrt(-2 * log(u)) * cos(two_pi * v));
}
