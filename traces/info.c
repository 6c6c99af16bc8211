#include "traces/info.h"

#include "sim/memory.h"
#include "traces/prefix.h"

#include <gsl/gsl_sort_uint.h>
#include <gsl/gsl_statistics_uint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const double trc_window_s[TRC_N_WINDOWS] = {1.0, 10.0, 60.0};

/* Sorts lengths in place. */
static struct trc_length_info measure_lengths(unsigned *lengths, uint64_t n)
{
    struct trc_length_info out = {0};
    double sum_squares = 0.0;
    for (uint64_t i = 0; i < n; i++) out.sum_tokens += lengths[i];
    out.mean_tokens = (double)out.sum_tokens / (double)n;
    for (uint64_t i = 0; i < n; i++)
        sum_squares += (lengths[i] - out.mean_tokens) * (lengths[i] - out.mean_tokens);
    out.cv = sqrt(sum_squares / (double)n) / out.mean_tokens;
    gsl_sort_uint(lengths, 1, n);
    out.p50_tokens = gsl_stats_uint_quantile_from_sorted_data(lengths, 1, n, 0.5);
    out.p90_tokens = gsl_stats_uint_quantile_from_sorted_data(lengths, 1, n, 0.9);
    out.p99_tokens = gsl_stats_uint_quantile_from_sorted_data(lengths, 1, n, 0.99);
    out.max_tokens = lengths[n - 1];
    return out;
}

/* Runs through the sorted arrivals; windows without any are counted, not visited. */
static void measure_window(const struct trc_trace *t, double window_s, double *dispersion, double *peak_rate)
{
    double first = t->requests[0].arrival_s, current = -1.0, count = 0.0, peak = 0.0, sum_squares = 0.0;
    for (uint64_t i = 0; i < t->n_requests; i++) {
        double window = floor((t->requests[i].arrival_s - first) / window_s);
        if (window != current) {
            sum_squares += count * count;
            count = 0.0;
            current = window;
        }
        count += 1.0;
        if (count > peak) peak = count;
    }
    sum_squares += count * count;
    double n_windows = current + 1.0, mean = (double)t->n_requests / n_windows;
    *dispersion = (sum_squares / n_windows - mean * mean) / mean;
    *peak_rate = peak / window_s;
}

static double measure_gap_cv(const struct trc_trace *t, double duration_s)
{
    if (t->n_requests < 2 || duration_s <= 0.0) return 0.0;
    double n = (double)(t->n_requests - 1), mean = duration_s / n, sum_squares = 0.0;
    for (uint64_t i = 1; i < t->n_requests; i++) {
        double gap = t->requests[i].arrival_s - t->requests[i - 1].arrival_s;
        sum_squares += (gap - mean) * (gap - mean);
    }
    return sqrt(sum_squares / n) / mean;
}

static void measure_arrivals(const struct trc_trace *t, struct trc_info *out)
{
    out->first_arrival_s = t->requests[0].arrival_s;
    out->duration_s = t->requests[t->n_requests - 1].arrival_s - out->first_arrival_s;
    out->request_rate = out->duration_s > 0.0 ? (double)t->n_requests / out->duration_s : 0.0;
    out->gap_cv = measure_gap_cv(t, out->duration_s);
    for (int w = 0; w < TRC_N_WINDOWS; w++)
        measure_window(t, trc_window_s[w], &out->dispersion[w], &out->peak_rate[w]);
}

void trc_info(const struct trc_trace *t, struct trc_info *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->dialect, t->dialect, sizeof out->dialect);
    out->n_requests = t->n_requests;
    out->n_failed = t->n_failed;
    out->n_reordered = t->n_reordered;
    out->n_classes = t->n_classes;
    out->hash_block_size = t->hash_block_size;
    out->has_arrivals = t->has_arrivals;
    out->ignored_columns = t->ignored_columns ? t->ignored_columns : "";
    if (t->n_requests == 0) return;
    unsigned *lengths = sim_alloc(t->n_requests, sizeof *lengths);
    for (uint64_t i = 0; i < t->n_requests; i++) {
        uint64_t total = (uint64_t)t->requests[i].input_tokens + t->requests[i].output_tokens;
        if (total > out->max_total_tokens) out->max_total_tokens = total;
        lengths[i] = t->requests[i].input_tokens;
    }
    out->input = measure_lengths(lengths, t->n_requests);
    for (uint64_t i = 0; i < t->n_requests; i++) lengths[i] = t->requests[i].output_tokens;
    out->output = measure_lengths(lengths, t->n_requests);
    free(lengths);
    if (t->has_arrivals) measure_arrivals(t, out);
    out->n_sessions = trc_count_sessions(t);
    trc_prefix_measure(t, &out->prefix);
}
