#include "traces/synth.h"

#include "sim/memory.h"
#include "traces/permute.h"
#include "traces/synth_rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double MAX_REQUESTS = 4e9;

static double round_us(double time_s)
{
    return floor(time_s * 1e6 + 0.5) / 1e6;
}

/* Which requests of t make the new trace: all of them `whole` times, then each with chance `fraction`.
 * copy[i]: which copy row i belongs to. */
struct picks {
    uint64_t *from;
    uint32_t *copy;
    uint64_t n;
};

static struct picks pick(uint64_t n_requests, uint32_t whole, double fraction, struct trc_rng *rng)
{
    struct picks p = {0};
    uint64_t room = (whole + (fraction > 0.0)) * n_requests;
    p.from = sim_alloc(room, sizeof *p.from);
    p.copy = sim_alloc(room, sizeof *p.copy);
    for (uint32_t c = 0; c <= whole; c++) {
        if (c == whole && fraction <= 0.0) break;
        for (uint64_t i = 0; i < n_requests; i++) {
            if (c == whole && gsl_rng_uniform(&rng->gsl) >= fraction) continue;
            p.from[p.n] = i;
            p.copy[p.n++] = c;
        }
    }
    return p;
}

static struct trc_trace *compress(const struct trc_trace *t, double k)
{
    uint64_t *from = sim_alloc(t->n_requests, sizeof *from);
    for (uint64_t i = 0; i < t->n_requests; i++) from[i] = i;
    struct trc_trace *out = trc_select(t, from, t->n_requests);
    for (uint64_t i = 0; i < out->n_requests; i++)
        out->requests[i].arrival_s = round_us(out->requests[i].arrival_s / k);
    free(from);
    return out;
}

static struct trc_trace *thin(const struct trc_trace *t, double k, struct trc_rng *rng, struct sim_status *st)
{
    struct picks p = pick(t->n_requests, k >= 1.0, k >= 1.0 ? 0.0 : k, rng);
    struct trc_trace *out = p.n ? trc_select(t, p.from, p.n) : NULL;
    if (!out)
        sim_fail(st, "thinning to %g leaves none of %llu requests, expected one or more; take a larger share",
                 k, (unsigned long long)t->n_requests);
    free(p.from);
    free(p.copy);
    return out;
}

/* Where copy c starts: copies stand evenly around the trace's duration, each a little off by chance, so that
 * no two run side by side. The duration has one mean gap more than first to last arrival: a closed ring. */
static double *draw_shifts(const struct trc_trace *t, uint32_t n_copies, struct trc_rng *rng, double *ring_s)
{
    double span_s = t->requests[t->n_requests - 1].arrival_s - t->requests[0].arrival_s;
    *ring_s = t->n_requests > 1 ? span_s * (double)t->n_requests / (double)(t->n_requests - 1) : 0.0;
    double *shifts = sim_alloc(n_copies, sizeof *shifts);
    for (uint32_t c = 1; c < n_copies; c++)
        shifts[c] = *ring_s * (c - 0.5 + gsl_rng_uniform(&rng->gsl)) / n_copies;
    return shifts;
}

static void rename_copies(struct trc_trace *t, char **column, const uint32_t *copy)
{
    for (uint64_t i = 0; column && i < t->n_requests; i++) {
        if (copy[i] == 0 || !*column[i]) continue;
        char *name = sim_printf("%s#%u", column[i], copy[i]);
        column[i] = sim_arena_strdup(t->strings, name);
        free(name);
    }
}

/* Ids are names of prefixes, so a copy's are moved past all others; 2^64 wraps around, which keeps them
 * distinct. */
static void separate_hash_ids(struct trc_trace *t, const uint32_t *copy)
{
    uint64_t largest = 0;
    if (!t->hash_begin) return;
    for (uint32_t k = 0; k < t->hash_begin[t->n_requests]; k++)
        if (t->hash_ids[k] > largest) largest = t->hash_ids[k];
    for (uint64_t i = 0; i < t->n_requests; i++)
        for (uint32_t k = t->hash_begin[i]; k < t->hash_begin[i + 1]; k++)
            t->hash_ids[k] += copy[i] * (largest + 1);
}

static struct trc_trace *superpose(const struct trc_trace *t, double k, uint64_t seed)
{
    struct trc_rng thinning, shifting;
    trc_rng_init(&thinning, seed, "scale thin");
    trc_rng_init(&shifting, seed, "scale shift");
    uint32_t whole = (uint32_t)floor(k);
    struct picks p = pick(t->n_requests, whole, k - whole, &thinning);
    double ring_s, first_s = t->requests[0].arrival_s;
    double *shifts = draw_shifts(t, whole + 1, &shifting, &ring_s);
    struct trc_trace *out = trc_select(t, p.from, p.n);
    for (uint64_t i = 0; i < out->n_requests; i++) {
        double offset_s = out->requests[i].arrival_s - first_s + shifts[p.copy[i]];
        if (p.copy[i] && offset_s >= ring_s) offset_s -= ring_s;
        out->requests[i].arrival_s = round_us(first_s + offset_s);
    }
    rename_copies(out, out->request_id, p.copy);
    rename_copies(out, out->session_id, p.copy);
    separate_hash_ids(out, p.copy);
    trc_sort(out);
    free(out->file_row); /* several requests may have been one row */
    out->file_row = NULL;
    free(shifts);
    free(p.from);
    free(p.copy);
    return out;
}

static bool check(const struct trc_trace *t, double k, enum trc_how how, struct sim_status *st)
{
    static const char *const names[] = {"superpose", "compress", "thin"};
    bool good =
        isfinite(k) && k > 0.0 && k * (double)t->n_requests <= MAX_REQUESTS && (how != TRC_THIN || k <= 1.0);
    if (!good)
        return sim_fail_as(st, SIM_EXIT_USAGE, "multiply %g by %s: expected %s; correct it", k, names[how],
                           how == TRC_THIN ? "a share above 0 and up to 1"
                                           : "a factor > 0 that leaves below 4e9 requests");
    if (how == TRC_SUPERPOSE && t->hash_begin && k * (double)t->hash_begin[t->n_requests] > UINT32_MAX / 2)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "multiply %g: makes more than 2^31 hash ids, expected fewer; compress "
                           "instead, or write the trace without hash_ids",
                           k);
    if (how == TRC_COMPRESS && t->n_requests && t->requests[t->n_requests - 1].arrival_s / k > 9e9)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "multiply %g: stretches the trace beyond 285 years; take a larger one", k);
    return t->has_arrivals || how == TRC_THIN ||
           sim_fail_as(st, SIM_EXIT_USAGE,
                       "multiply: the trace has no arrivals, expected some to scale; give it "
                       "arrivals first, e.g. with a request_rate");
}

struct trc_trace *trc_scale(const struct trc_trace *t, double k, enum trc_how how, uint64_t seed,
                            struct sim_status *st)
{
    if (!check(t, k, how, st)) return NULL;
    if (how == TRC_COMPRESS) return compress(t, k);
    if (how == TRC_SUPERPOSE && k >= 1.0) return superpose(t, k, seed);
    struct trc_rng rng;
    trc_rng_init(&rng, seed, "scale thin");
    return thin(t, k, &rng, st);
}
