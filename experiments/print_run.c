#include "experiments/print_run.h"

#include <math.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/keys.h"
#include "experiments/print_kv.h"

const char *exp_load_warning(const struct exp_figures *f)
{
    switch (f->load_state) {
    case SIM_BACKLOGGED:
        if (f->load_is_brief)
            return "WARNING: the load is over before the first answers: nothing can be said about whether "
                   "the "
                   "fleet keeps up; give more requests";
        return "WARNING: the load is backlogged at the last arrival: latencies depend on how long the trace "
               "is";
    case SIM_OVERLOADED:
        return "WARNING: the fleet is overloaded: latencies depend on how long the trace is";
    default:
        return NULL;
    }
}

/* ---- what was simulated ---- */

static void print_load(const struct exp_scenario *s, const struct exp_run *run, FILE *out)
{
    const struct exp_workload *w = &run->setup->workload;
    const struct exp_workload_keys *k = &s->workload;
    if (k->source == EXP_CLOSED_LOOP) {
        fprintf(out, "load: closed loop, %s requests in flight, %s in all\n",
                exp_count_words((double)k->closed_loop.concurrency).text,
                exp_count_words((double)w->n_requests).text);
        return;
    }
    const struct sim_request *r = w->requests;
    double span_s = w->n_requests ? r[w->n_requests - 1].arrival_s - r[0].arrival_s : 0;
    fprintf(out, "load: %s%s%s, %s requests in %s", k->source == EXP_TRACE ? k->trace : "open loop",
            k->source == EXP_TRACE ? ", " : "", k->source == EXP_TRACE ? w->trace->dialect : "",
            exp_count_words((double)w->n_requests).text, exp_duration_words(span_s).text);
    if (span_s > 0) fprintf(out, ", %s requests/s", exp_short_words((double)w->n_requests / span_s).text);
    if (k->source == EXP_OPEN_LOOP && k->multiply != 1)
        fprintf(out, " (the rate multiplied by %g)", k->multiply);
    fputc('\n', out);
    if (w->scaled)
        fprintf(out, "      multiplied by %g: %s -> %s requests/s; index of dispersion (10 s) %.3g -> %.3g\n",
                k->multiply, exp_short_words(w->before.request_rate).text,
                exp_short_words(w->after.request_rate).text, w->before.dispersion[1], w->after.dispersion[1]);
}

static void print_fleet(const struct exp_fleet_setup *f, const struct sim_fleet *sim, FILE *out)
{
    fprintf(out, "fleet %s: %u x %s, TP %u, PP %u, kv %s, profile %s\n", f->name, sim->n_replicas,
            f->gpu->title, f->tensor_parallel, f->pipeline_parallel, f->kv.use.strategy->name,
            f->cost ? mdl_profile_name(f->profile) : "none (linear cost)");
}

static void setting_text(const struct exp_setting *s, char *text, size_t size)
{
    char value[40];
    snprintf(value, sizeof value, "%.10g", s->value);
    snprintf(text, size, "%s %s%s", s->name, s->word ? s->word : value, s->defaulted ? " (default)" : "");
}

/* Line i of the memory breakdown, empty past its end. */
static void memory_text(const struct mdl_memory *m, int i, char *text, size_t size)
{
    const struct {
        const char *name;
        double bytes;
    } parts[] = {
        {"driver reports", m->total_bytes},
        {"usable", m->usable_bytes},
        {"weights", m->weight_bytes},
        {"activations", m->activation_bytes},
        {"CUDA graphs", m->graph_bytes},
        {"context, libraries", m->context_bytes},
        {"KV cache", (double)m->blocks * m->unit_bytes},
    };
    enum { N_PARTS = sizeof parts / sizeof parts[0] };
    text[0] = '\0';
    if (i < N_PARTS)
        snprintf(text, size, "%-20s %7.2f", parts[i].name, parts[i].bytes / 1073741824.0);
    else if (i == N_PARTS)
        snprintf(text, size, "%-20s %s", "KV tokens", exp_count_words((double)m->kv_capacity_tokens).text);
}

static void print_engine_and_memory(const struct exp_fleet_setup *f, FILE *out)
{
    char left[96], right[64];
    snprintf(left, sizeof left, "engine %s%s", f->engine.name,
             f->engine.fitted ? "" : ", overheads not fitted");
    fprintf(out, "  %-46s %s\n", left, "memory of a GPU, GiB");
    for (int i = 0; i < EXP_N_SETTINGS; i++) {
        setting_text(&f->settings[i], left, sizeof left);
        memory_text(&f->memory, i, right, sizeof right);
        fprintf(out, "    %-*s%s%s\n", right[0] ? 44 : 0, left, right[0] ? "   " : "", right);
    }
}

/* ---- figures ---- */

static const char *band_text(struct exp_band b, double scale, bool banded, char *text, size_t size)
{
    int n = snprintf(text, size, "%s", exp_short_words(b.mean * scale).text);
    if (banded)
        snprintf(text + n, size - (size_t)n, " [%s, %s]", exp_short_words(b.lo * scale).text,
                 exp_short_words(b.hi * scale).text);
    return text;
}

static void print_cell(struct exp_band b, bool banded, FILE *out)
{
    char text[64];
    if (!isfinite(b.mean))
        fprintf(out, " %*s", banded ? 23 : 10, "-");
    else if (banded)
        fprintf(out, " %23s", band_text(b, 1, true, text, sizeof text));
    else if (b.mean < 1000)
        fprintf(out, " %10.2f", b.mean);
    else
        fprintf(out, " %10s", exp_count_words(b.mean).text);
}

static void print_latency(const struct exp_figures *f, FILE *out)
{
    static const char *const rows[][2] = {
        {"ttft", "TTFT"}, {"tpot", "TPOT"}, {"itl", "ITL"}, {"e2el", "E2EL"}, {"queue", "queueing"}};
    static const char *const columns[] = {"mean", "p50", "p90", "p99"};
    bool banded = f->n_replications > 0;
    fprintf(out, "\nlatency, ms  ");
    for (int c = 0; c < 4; c++) fprintf(out, " %*s", banded ? 23 : 10, columns[c]);
    fputc('\n', out);
    bool any = exp_figure(f, "completed").mean > 0;
    for (int r = 0; r < 5; r++) {
        fprintf(out, "  %-11s", rows[r][1]);
        for (int c = 0; c < 4; c++) {
            char name[32];
            snprintf(name, sizeof name, "%s_%s_ms", columns[c], rows[r][0]);
            struct exp_band none = {NAN, NAN, NAN};
            print_cell(any ? exp_figure(f, name) : none, banded, out);
        }
        fputc('\n', out);
    }
}

static void print_throughput(const struct exp_figures *f, FILE *out)
{
    bool banded = f->n_replications > 0;
    char a[64], b[64], c[64];
    fprintf(out, "\n%-13s %s arrived, %s completed, %s rejected, %s unfinished in %s\n", "requests",
            exp_count_words(exp_figure(f, "arrived").mean).text,
            exp_count_words(exp_figure(f, "completed").mean).text,
            exp_count_words(exp_figure(f, "rejected").mean).text,
            exp_count_words(exp_figure(f, "unfinished").mean).text,
            exp_duration_words(exp_figure(f, "duration_s").mean).text);
    if (exp_figure(f, "rejected").mean > 0)
        fprintf(out,
                "%-13s rejected: input + output above max_model_len; raise engine.max_model_len or the KV "
                "cache, or clip with workload.overlong\n",
                "");
    fprintf(out, "%-13s %s requests/s; good %s requests/s\n", "throughput",
            band_text(exp_figure(f, "request_throughput"), 1, banded, a, sizeof a),
            band_text(exp_figure(f, "request_goodput"), 1, banded, b, sizeof b));
    fprintf(out, "%-13s %s output tokens/s, %s per GPU; %s with input\n", "",
            band_text(exp_figure(f, "output_throughput"), 1, banded, a, sizeof a),
            band_text(exp_figure(f, "output_throughput_per_gpu"), 1, banded, b, sizeof b),
            band_text(exp_figure(f, "total_token_throughput"), 1, banded, c, sizeof c));
}

static void print_machine(const struct exp_figures *f, FILE *out)
{
    bool banded = f->n_replications > 0;
    char a[64], b[64];
    fprintf(out, "%-13s peak %s %%, mean %s %% of the pool; room for %s tokens; %s preemptions\n", "KV cache",
            band_text(exp_figure(f, "kv_peak_utilization"), 100, banded, a, sizeof a),
            band_text(exp_figure(f, "kv_mean_utilization"), 100, banded, b, sizeof b),
            exp_count_words(exp_figure(f, "kv_capacity_tokens").mean).text,
            exp_count_words(exp_figure(f, "preemptions").mean).text);
    fprintf(out, "%-13s GPU %s %%; running %s in the cluster, at most %s on a replica; waiting at most %s\n",
            "busy", band_text(exp_figure(f, "gpu_busy"), 100, banded, a, sizeof a),
            band_text(exp_figure(f, "mean_running"), 1, banded, b, sizeof b),
            exp_count_words(exp_figure(f, "max_running").mean).text,
            exp_count_words(exp_figure(f, "max_waiting").mean).text);
    exp_print_host_kv(f, out);
    exp_print_transfers(f, out);
    fprintf(out, "%-13s", "evidence");
    int n = 0;
    for (int e = 0; e < SIM_N_EVIDENCE; e++) {
        char name[40];
        snprintf(name, sizeof name, "time_%s_frac", sim_evidence_name((enum sim_evidence)e));
        double frac = exp_figure(f, name).mean;
        if (frac > 0)
            fprintf(out, "%s %s %.1f %%", n++ ? "," : "", sim_evidence_name((enum sim_evidence)e),
                    100 * frac);
    }
    if (!n) fputs(" no GPU time was simulated", out);
    fprintf(out, "\n%-13s in %s (%s requests/s), set up in %s\n", "simulated",
            exp_duration_words(exp_figure(f, "sim_wall_s").mean).text,
            exp_count_words(exp_figure(f, "simulated_requests_per_s").mean).text,
            exp_duration_words(exp_figure(f, "setup_wall_s").mean).text);
}

/* ---- service levels ---- */

void exp_limits_text(const struct sim_slo *slo, char *text, size_t size)
{
    const double ms[] = {slo->ttft_s * 1e3, slo->tpot_s * 1e3, slo->e2el_s * 1e3};
    const char *const names[] = {"TTFT", "TPOT", "E2EL"};
    size_t n = 0;
    text[0] = '\0';
    for (int i = 0; i < 3; i++)
        if (ms[i] > 0 && n < size)
            n += (size_t)snprintf(text + n, size - n, "%s%s %s", n ? ", " : "", names[i],
                                  exp_short_words(ms[i]).text);
    if (!n) snprintf(text, size, "none");
}

/* Attainment in %, never rounded up: 99.999 is not 100. */
static double floor_percent(double frac)
{
    return floor(frac * 1e4) / 100;
}

static void attained_text(struct exp_band b, bool banded, char *text, size_t size)
{
    if (banded)
        snprintf(text, size, "%.2f [%.2f, %.2f]", floor_percent(b.mean), floor_percent(b.lo),
                 floor_percent(b.hi));
    else
        snprintf(text, size, "%.2f", floor_percent(b.mean));
}

static void print_slas(const struct exp_run *run, const struct exp_figures *f, FILE *out)
{
    bool banded = f->n_replications > 0;
    fprintf(out, "\n%-14s %-30s %*s %9s %7s\n", "service level", "limits, ms", banded ? 22 : 10, "attained",
            "worst 5'", "goal");
    for (uint32_t c = 0; c < f->n_classes; c++) {
        const struct sim_slo *slo = &run->setup->sim_classes[c].slo;
        char limits[80], attained[64];
        exp_limits_text(slo, limits, sizeof limits);
        if (exp_figure_of_class(f, c, "arrived").mean == 0) {
            fprintf(out, "  %-12s %-30s no requests\n", f->class_names[c], limits);
            continue;
        }
        attained_text(exp_figure_of_class(f, c, "slo_attainment"), banded, attained, sizeof attained);
        double met = exp_figure_of_class(f, c, "sla_met").mean;
        fprintf(out, "  %-12s %-30s %*s %% %7.2f %% %4.4g %%  ", f->class_names[c], limits, banded ? 20 : 8,
                attained, floor_percent(exp_figure_of_class(f, c, "slo_attainment_worst_5min").mean),
                slo->percentile);
        if (banded && met > 0 && met < 1)
            fprintf(out, "met in %.0f %% of replications\n", 100 * met);
        else
            fprintf(out, "%s\n", met > 0 ? "MET" : "MISSED");
    }
}

void exp_print_run(const struct exp_scenario *s, const struct exp_run *run, const struct exp_figures *figures,
                   FILE *out)
{
    const struct exp_setup *u = run->setup;
    fprintf(out, "model %s, weights %s, router %s, seed %llu\n", u->arch.name,
            mdl_dtype_name((enum mdl_dtype)s->weights), s->router, (unsigned long long)s->seed);
    print_load(s, run, out);
    for (uint32_t i = 0; i < u->n_fleets; i++) {
        print_fleet(&u->fleets[i], &u->sim_fleets[i], out);
        exp_print_kv(&u->fleets[i], &s->fleet[i].kv, out);
        print_engine_and_memory(&u->fleets[i], out);
    }
    fputc('\n', out);
    for (uint32_t i = 0; i < u->notes.n; i++) fprintf(out, "note: %s\n", u->notes.text[i]);
    fprintf(out, "load state: %s\n", sim_load_state_name(figures->load_state));
    if (exp_load_warning(figures)) fprintf(out, "%s\n", exp_load_warning(figures));
    if (figures->n_replications)
        fprintf(out, "mean and [5 %%, 95 %%] of %u replications\n", figures->n_replications);
    print_latency(figures, out);
    print_throughput(figures, out);
    print_slas(run, figures, out);
    fputc('\n', out);
    print_machine(figures, out);
}
