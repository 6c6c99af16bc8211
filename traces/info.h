/* What a trace looks like: counts, lengths, burstiness, and how much of its prompts a prefix cache could
 * serve. Percentiles interpolate linearly between order statistics (numpy's default); variances are the
 * population's. Index of dispersion = variance / mean of the requests per window (Poisson: 1), windows
 * counted from the first arrival, empty ones and the last, unfinished one included. Cost: one sort of 4-byte
 * lengths. */
#ifndef KVSIM_TRACES_INFO_H
#define KVSIM_TRACES_INFO_H

#include "traces/trace.h"

#include <jansson.h>
#include <stdio.h>

enum { TRC_N_WINDOWS = 3 };
extern const double trc_window_s[TRC_N_WINDOWS]; /* 1, 10, 60 */

struct trc_length_info {
    uint64_t sum_tokens;
    double mean_tokens, p50_tokens, p90_tokens, p99_tokens, cv;
    uint32_t max_tokens;
};

/* Where the knowledge of shared prefixes comes from, the best that the trace has. */
enum trc_prefix_source {
    TRC_PREFIX_NONE,
    TRC_PREFIX_HASH_IDS, /* exact for a cache that never evicts, requests in order of arrival */
    TRC_PREFIX_GROUP,    /* prefix_length tokens, from a group's second request on */
    TRC_PREFIX_SESSION   /* an upper bound: each turn repeats the one before and its answer */
};

struct trc_prefix_info {
    enum trc_prefix_source source;
    uint64_t n_blocks, n_unique_blocks, n_hit_blocks; /* hash_ids only */
    uint64_t hit_tokens;                              /* of all input tokens */
};

struct trc_info {
    char dialect[24];
    uint64_t n_requests, n_failed, n_reordered, n_sessions; /* sessions: 0 without the column */
    uint32_t n_classes, hash_block_size;
    struct trc_length_info input, output;
    uint64_t max_total_tokens; /* largest input + output of one request */
    bool has_arrivals;         /* what follows is 0 when not */
    double first_arrival_s, duration_s;
    double request_rate; /* requests / duration, per second */
    double gap_cv;
    double dispersion[TRC_N_WINDOWS], peak_rate[TRC_N_WINDOWS]; /* per second */
    struct trc_prefix_info prefix;
    const char *ignored_columns; /* the trace's own */
};

void trc_info(const struct trc_trace *t, struct trc_info *out);

/* One flat object: dialect, requests, input_tokens, output_tokens, duration_s, request_rate, ... The
 * caller's. */
json_t *trc_info_json(const struct trc_info *info);
void trc_info_print(const struct trc_info *info, FILE *out);

#endif
