#include "traces/info.h"

#include <inttypes.h>

static const char *const source_names[] = {"none", "hash_ids", "prefix_group", "session"};

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0.0;
}

static void put_real(json_t *object, const char *name, bool is_known, double value)
{
    json_object_set_new(object, name, is_known ? json_real(value) : json_null());
}

static void put_count(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void put_lengths(json_t *object, const char *of, const struct trc_length_info *l)
{
    static const char *const statistics[] = {"mean", "p50", "p90", "p99", "cv"};
    const double values[] = {l->mean_tokens, l->p50_tokens, l->p90_tokens, l->p99_tokens, l->cv};
    char name[64];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s_%s_tokens", statistics[i], of);
        put_real(object, name, true, values[i]);
    }
    snprintf(name, sizeof name, "max_%s_tokens", of);
    put_count(object, name, l->max_tokens);
}

static void put_arrivals(json_t *object, const struct trc_info *info)
{
    char name[64];
    put_real(object, "duration_s", info->has_arrivals, info->duration_s);
    put_real(object, "first_arrival_s", info->has_arrivals, info->first_arrival_s);
    put_real(object, "request_rate", info->has_arrivals, info->request_rate);
    put_real(object, "gap_cv", info->has_arrivals, info->gap_cv);
    for (int w = 0; w < TRC_N_WINDOWS; w++) {
        snprintf(name, sizeof name, "dispersion_%.0fs", trc_window_s[w]);
        put_real(object, name, info->has_arrivals, info->dispersion[w]);
        snprintf(name, sizeof name, "peak_request_rate_%.0fs", trc_window_s[w]);
        put_real(object, name, info->has_arrivals, info->peak_rate[w]);
    }
}

static void put_prefix(json_t *object, const struct trc_info *info)
{
    const struct trc_prefix_info *p = &info->prefix;
    json_object_set_new(object, "prefix_source", json_string(source_names[p->source]));
    put_count(object, "prefix_hit_tokens", p->hit_tokens);
    put_real(object, "prefix_hit_tokens_frac", true, share(p->hit_tokens, info->input.sum_tokens));
    if (p->source != TRC_PREFIX_HASH_IDS) return;
    put_count(object, "hash_block_size", info->hash_block_size);
    put_count(object, "prefix_blocks", p->n_blocks);
    put_count(object, "prefix_unique_blocks", p->n_unique_blocks);
    put_count(object, "prefix_hit_blocks", p->n_hit_blocks);
    put_real(object, "prefix_hit_blocks_frac", true, share(p->n_hit_blocks, p->n_blocks));
}

json_t *trc_info_json(const struct trc_info *info)
{
    json_t *object = json_object();
    json_object_set_new(object, "dialect", json_string(info->dialect));
    put_count(object, "requests", info->n_requests);
    put_count(object, "input_tokens", info->input.sum_tokens);
    put_count(object, "output_tokens", info->output.sum_tokens);
    put_arrivals(object, info);
    put_lengths(object, "input", &info->input);
    put_lengths(object, "output", &info->output);
    put_count(object, "max_total_tokens", info->max_total_tokens);
    put_prefix(object, info);
    put_count(object, "sessions", info->n_sessions);
    put_count(object, "classes", info->n_classes);
    put_count(object, "failed", info->n_failed);
    put_count(object, "reordered", info->n_reordered);
    json_object_set_new(object, "ignored_columns", json_string(info->ignored_columns));
    return object;
}

static void print_lengths(FILE *out, const char *of, const struct trc_length_info *l)
{
    fprintf(out, "%-8s %10.1f %10.0f %10.0f %10.0f %10" PRIu32 " %8.3f %14" PRIu64 "\n", of, l->mean_tokens,
            l->p50_tokens, l->p90_tokens, l->p99_tokens, l->max_tokens, l->cv, l->sum_tokens);
}

static void print_arrivals(FILE *out, const struct trc_info *info)
{
    fprintf(out, "\narrivals: CV of gaps %.3f (Poisson 1)\n", info->gap_cv);
    fprintf(out, "window      dispersion  peak req/s   (dispersion: variance / mean of counts, Poisson 1)\n");
    for (int w = 0; w < TRC_N_WINDOWS; w++)
        fprintf(out, "%4.0f s %15.2f %11.2f\n", trc_window_s[w], info->dispersion[w], info->peak_rate[w]);
}

static void print_prefix(FILE *out, const struct trc_info *info)
{
    const struct trc_prefix_info *p = &info->prefix;
    if (p->source == TRC_PREFIX_NONE) return;
    fprintf(out, "\nprefix cache without eviction (%s%s): %.1f %% of input tokens hit (%" PRIu64 ")\n",
            source_names[p->source], p->source == TRC_PREFIX_SESSION ? ", upper bound" : "",
            100.0 * share(p->hit_tokens, info->input.sum_tokens), p->hit_tokens);
    if (p->source == TRC_PREFIX_HASH_IDS)
        fprintf(out,
                "  %.1f %% of %" PRIu64 " blocks hit; %" PRIu64 " different blocks of %" PRIu32 " tokens\n",
                100.0 * share(p->n_hit_blocks, p->n_blocks), p->n_blocks, p->n_unique_blocks,
                info->hash_block_size);
}

void trc_info_print(const struct trc_info *info, FILE *out)
{
    fprintf(out, "trace: %s, %" PRIu64 " requests", info->dialect, info->n_requests);
    if (info->has_arrivals)
        fprintf(out, ", %.1f s, %.3f req/s\n", info->duration_s, info->request_rate);
    else
        fprintf(out, ", lengths only (no arrivals)\n");
    fprintf(out, "\n%-8s %10s %10s %10s %10s %10s %8s %14s\n", "tokens", "mean", "p50", "p90", "p99", "max",
            "CV", "sum");
    print_lengths(out, "input", &info->input);
    print_lengths(out, "output", &info->output);
    fprintf(out, "longest request: %" PRIu64 " tokens, input and output together\n", info->max_total_tokens);
    if (info->has_arrivals) print_arrivals(out, info);
    print_prefix(out, info);
    if (info->n_sessions) fprintf(out, "\nsessions: %" PRIu64 "\n", info->n_sessions);
    if (info->n_classes) fprintf(out, "SLO classes: %" PRIu32 "\n", info->n_classes);
    if (info->n_failed) fprintf(out, "\nfailed requests in the file: %" PRIu64 "\n", info->n_failed);
    if (info->n_reordered) fprintf(out, "rows out of time order, sorted: %" PRIu64 "\n", info->n_reordered);
    if (*info->ignored_columns) fprintf(out, "columns not read: %s\n", info->ignored_columns);
}
