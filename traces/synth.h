/* Open-loop traces made to order: an arrival process and two length distributions, each from its own named
 * random stream, so that changing one leaves the others as they were. Same spec and seed, same bytes. */
#ifndef KVSIM_TRACES_SYNTH_H
#define KVSIM_TRACES_SYNTH_H

#include "traces/trace.h"

#include <stddef.h>

/* A length or gap distribution. Text form (scenario and --input / --output):
 *   "512"  "fixed:512"  "uniform:lo:hi"  "lognormal:mean:cv[:max]"  "gamma:mean:cv[:max]"
 *   "file:lengths.csv"  "file:lengths.csv:column"
 * Draws are rounded to whole tokens, at least 1; above max they are max.
 * TRC_EMPIRICAL draws one of values with equal chance; in TRC_QUANTILES they stand at the fractions of
 * dist.h. */
enum trc_dist_kind { TRC_FIXED, TRC_UNIFORM, TRC_LOGNORMAL, TRC_GAMMA, TRC_EMPIRICAL, TRC_QUANTILES };

struct trc_dist {
    enum trc_dist_kind kind;
    double a, b, max; /* as in the text form; max 0 = none */
    uint32_t *values; /* owned: trc_dist_fini */
    uint64_t n_values;
};

/* Usage error when the text is no distribution; *out is then untouched. */
bool trc_dist_parse(const char *text, struct trc_dist *out, struct sim_status *st);
void trc_dist_fini(struct trc_dist *d);

/* GAMMA: renewal process with gamma gaps. MMPP: busy and quiet states of equal mean length, exponential.
 * DIURNAL: a sine of one day, from its lowest point at 0. CURVE: rates from a file. In these three a gap of
 * the gamma process is stretched by the rate of its time. BURSTS: ON-OFF: bursts of requests whose pace
 * differs from burst to burst, gamma pauses between them; the pauses follow from request_rate. */
enum trc_arrivals {
    TRC_ARRIVE_GAMMA,
    TRC_ARRIVE_MMPP,
    TRC_ARRIVE_DIURNAL,
    TRC_ARRIVE_CURVE,
    TRC_ARRIVE_BURSTS
};

/* BURSTS: log-normal sizes and, per burst, mean gaps; gamma gaps within. */
struct trc_bursts {
    double mean_size, size_cv;      /* requests */
    double mean_gap_s, mean_gap_cv; /* of the bursts' mean gaps */
    double gap_cv;                  /* of gaps within one burst */
    double pause_cv;
};

struct trc_synth {
    uint64_t n_requests; /* stop after so many; 0 = no limit. One of both limits is needed */
    double duration_s;   /* stop after so long; 0 = no limit */
    enum trc_arrivals arrivals;
    double request_rate; /* mean, per second; CURVE: 0 = as the file says, else it is scaled to this mean */
    double burstiness;   /* gamma shape of the gaps as in vLLM bench: 1 (or 0) = Poisson, < 1 burstier */
    double mmpp_ratio;   /* MMPP: rate of the busy state / rate of the quiet one */
    double mmpp_dwell_s; /* MMPP: mean time in a state */
    double peak_to_mean; /* diurnal: sine of one day with this peak */
    double day_s;        /* diurnal: length of the day; 0 = 86400 */
    const char *curve_path; /* rate curve: CSV time_s,request_rate (step function, repeated) */
    struct trc_bursts bursts;
    struct trc_dist input, output; /* owned: trc_synth_fini */
    /* length_range: integers uniform in [ceil(lo L), floor(hi L)], at least 1; 1, 1 (or 0, 0) = off */
    double length_lo, length_hi;
    uint64_t seed;
};

/* Arrivals are whole microseconds from 0. NULL and one line in st when the spec is impossible. */
struct trc_trace *trc_synth(const struct trc_synth *spec, struct sim_status *st);
void trc_synth_fini(struct trc_synth *spec); /* frees the distributions */

/* A preset fitted to a public trace, as many requests as that has, seed 1: azure-conv, azure-code,
 * mooncake-conversation, arxiv-summarization; sources are in README.md. trc_synth_fini frees it. */
bool trc_preset(const char *name, struct trc_synth *out, struct sim_status *st);

/* Name of preset i, NULL past the last. */
const char *trc_preset_name(size_t i);

/* Load scaling: a new trace of k times the load, k > 0 (README.md, "Scaling"). Free with trc_free.
 *   TRC_SUPERPOSE  ceil(k) copies shifted around the trace's duration, the last one thinned to the fraction
 *                  of k; keeps the duration and the time scale of bursts; k < 1 thins
 *   TRC_COMPRESS   times / k
 *   TRC_THIN       each request stays with chance k <= 1
 * Side columns stay; copy c of a request_id, session_id gets "#c" after it, and its hash_ids are set apart
 * from the other copies' (other users, other prompts); prefix groups stay shared. */
enum trc_how { TRC_SUPERPOSE, TRC_COMPRESS, TRC_THIN };
struct trc_trace *trc_scale(const struct trc_trace *t, double k, enum trc_how how, uint64_t seed,
                            struct sim_status *st);

#endif
