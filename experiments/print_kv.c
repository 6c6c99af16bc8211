#include "experiments/print_kv.h"

#include <math.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/kv_setup.h"
#include "experiments/list_strategies.h"

enum { WIDTH = 100, INDENT = 4 };

/* Pieces behind one another, broken between them. */
struct line {
    FILE *out;
    int at;     /* column */
    bool first; /* no piece yet */
};

static void put(struct line *l, const char *piece)
{
    bool fits = l->at + (int)strlen(piece) + 3 <= WIDTH; /* a comma before it and one behind */
    if (!l->first && fits)
        l->at += fprintf(l->out, ", ");
    else if (!l->first)
        l->at = fprintf(l->out, ",\n%*s", INDENT + 2, "") - 2;
    l->at += fprintf(l->out, "%s", piece);
    l->first = false;
}

static struct line begin(const char *title, FILE *out)
{
    return (struct line){out, fprintf(out, "%*s%s ", INDENT, "", title), true};
}

/* "12.3 KiB", "1.5 MiB". */
static struct exp_words bytes_words(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    struct exp_words w;
    int u = 0;
    for (; u < 5 && bytes >= 1023.95; u++) bytes /= 1024;
    snprintf(w.text, sizeof w.text, "%.4g %s", bytes, units[u]);
    return w;
}

/* ---- parameters ---- */

static void put_parameter(struct line *l, enum mdl_kv_key key, double value)
{
    char piece[96];
    json_t *v = exp_parameter_json(key, value);
    char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    snprintf(piece, sizeof piece, "%s %s", mdl_kv_key_info(key)->name, text ? text : json_string_value(v));
    put(l, piece);
    free(text);
    json_decref(v);
}

/* Those that were given, or those that were not. */
static void print_parameters(const struct mdl_kv_use *use, const struct exp_kv_keys *k, bool given, FILE *out)
{
    struct line l = {0};
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        if (isnan(use->value[i]) || k->value[i].given != given) continue;
        if (!l.out) l = begin(given ? "given" : "default", out);
        put_parameter(&l, (enum mdl_kv_key)i, use->value[i]);
    }
    if (l.out) fputc('\n', out);
}

/* ---- memory ---- */

static void print_pages(const struct mdl_kv_use *use, FILE *out)
{
    struct mdl_kv_memory m = {0};
    use->strategy->memory(use, &m);
    struct line l = begin("keeps", out);
    for (uint32_t i = 0; i < m.n_parts; i++) {
        char piece[160];
        const struct mdl_kv_part *p = &m.part[i];
        snprintf(piece, sizeof piece, "%s of %u tokens %s%s", p->what, p->page_tokens,
                 bytes_words(p->page_bytes).text, p->place == SIM_KV_HOST ? " on the host" : "");
        put(&l, piece);
    }
    if (m.replica_bytes > 0) {
        char piece[64];
        snprintf(piece, sizeof piece, "buffers %s", bytes_words(m.replica_bytes).text);
        put(&l, piece);
    }
    fputc('\n', out);
}

static void print_bytes(const struct exp_kv_setup *kv, FILE *out)
{
    fprintf(out, "%*sholds %s on the GPU", INDENT, "", bytes_words(1024 * kv->gpu_bytes_per_token).text);
    if (kv->host_bytes_per_token > 0)
        fprintf(out, " and %s on the host", bytes_words(1024 * kv->host_bytes_per_token).text);
    fprintf(out, " per 1,024 tokens of a request of %s (the load's mean)\n",
            exp_count_words(kv->mean_tokens).text);
}

static void print_host(const struct mdl_host *h, FILE *out)
{
    fprintf(out, "%*shost link %s GB/s, duplex %.3g, %u GPU%s on it; %s of host memory per GPU\n", INDENT, "",
            exp_short_words(h->link_byte_per_s * 1e-9).text, h->duplex, h->gpus_per_link,
            h->gpus_per_link == 1 ? "" : "s", bytes_words(h->memory_bytes).text);
}

/* ---- policy ---- */

/* Of decode batches whose sequences all read what a budget leaves them. */
static bool chosen(const struct exp_fleet_setup *f, uint32_t n, struct mdl_adaptive_setting *out)
{
    uint64_t kept = (uint64_t)n * f->kv.plan.rule.read_cap, all = (uint64_t)n * f->kv.mean_tokens;
    struct sim_reads reads = {kept, all, all, n, n};
    return f->cost && mdl_cost_policy(f->cost, &reads, out);
}

static void print_policy(const struct exp_fleet_setup *f, FILE *out)
{
    static const uint32_t batches[] = {1, 2, 4, 8, 16, 64};
    struct mdl_adaptive_setting s;
    uint32_t least = UINT32_MAX, most = 0;
    char piece[96];
    if (!chosen(f, 1, &s)) return;
    struct line l = begin("prefetches", out);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        chosen(f, batches[i], &s);
        snprintf(piece, sizeof piece, i ? "%u at %u" : "%u pages at batch %u", s.prefetch_pages, batches[i]);
        put(&l, piece);
        if (s.correction_every < least) least = s.correction_every;
        if (s.correction_every > most) most = s.correction_every;
    }
    if (least == most)
        snprintf(piece, sizeof piece, "checks every %u steps", most);
    else
        snprintf(piece, sizeof piece, "checks every %u to %u steps", least, most);
    put(&l, most == 1 ? "checks every step" : piece);
    fputc('\n', out);
}

/* ---- the whole ---- */

static bool uses_host(const struct exp_kv_setup *kv)
{
    struct mdl_kv_decode d = {0};
    kv->use.strategy->decode(&kv->use, &d);
    return kv->plan.unit_bytes[SIM_KV_HOST] > 0 || d.when != SIM_RECALL_NONE;
}

void exp_print_kv(const struct exp_fleet_setup *f, const struct exp_kv_keys *k, FILE *out)
{
    const struct exp_kv_setup *kv = &f->kv;
    if (exp_kv_is_full(f)) return;
    fprintf(out, "  kv %s: %s%s\n", kv->use.strategy->name, kv->use.strategy->help,
            kv->methods || !f->profile ? "" : "; its kernels and copies were not measured on this card");
    print_parameters(&kv->use, k, true, out);
    print_parameters(&kv->use, k, false, out);
    print_pages(&kv->use, out);
    print_bytes(kv, out);
    if (uses_host(kv)) print_host(&kv->host, out);
    print_policy(f, out);
    if (kv->shifts)
        fprintf(
            out,
            "%*soutputs x %.3g on average; at most half as long %.1f %%, half as long again or more %.1f %%\n"
            "%*s  (%s)\n",
            INDENT, "", kv->lengths->mean, 100 * kv->lengths->half_frac, 100 * kv->lengths->longer_frac,
            INDENT, "", kv->lengths->source);
    else
        fprintf(out, "%*soutputs as long as with full KV (%s)\n", INDENT, "",
                kv->lengths->any ? "length_shift is off" : kv->lengths->source);
}

void exp_print_host_kv(const struct exp_figures *f, FILE *out)
{
    double peak = exp_figure(f, "kv_host_peak_utilization").mean, fell = exp_figure(f, "fell_back").mean;
    if (peak > 0)
        fprintf(out, "%-13s peak %s %% of the host memory that is given to it%s\n", "KV on host",
                exp_short_words(100 * peak).text, peak > 0.99 ? ": full, requests wait or fall back" : "");
    if (fell > 0)
        fprintf(out, "%-13s %s requests kept their whole KV on the GPU\n", "fell back",
                exp_count_words(fell).text);
}

void exp_print_transfers(const struct exp_figures *f, FILE *out)
{
    double up = exp_figure(f, "link_up_bytes").mean, down = exp_figure(f, "link_down_bytes").mean;
    double shift = exp_figure(f, "mean_length_shift").mean;
    if (up + down > 0)
        fprintf(out,
                "%-13s host link carries data %.3g %% of the time (%.3g %% for one replica); up %s, down %s; "
                "%s pages recalled\n"
                "%-13s steps wait %.3g %% of their time: for data, submission of copies, syncs, corrections, "
                "conversions\n",
                "transfers", 100 * exp_figure(f, "host_link_busy").mean,
                100 * exp_figure(f, "link_busy").mean, bytes_words(up).text, bytes_words(down).text,
                exp_count_words(exp_figure(f, "recalled_pages").mean).text, "",
                100 * exp_figure(f, "exposed_frac").mean);
    if (shift != 0)
        fprintf(out, "%-13s outputs %+.1f %% against full KV; %s output tokens/s in tokens of full KV\n",
                "lengths", 100 * shift,
                exp_short_words(exp_figure(f, "equivalent_output_throughput").mean).text);
}
