#include "experiments/figures.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check.h"
#include "sim/memory.h"

enum source { OF_SUMMARY, OF_REPORT, OF_KV, OF_TIMING };
enum form { COUNT, REAL, FLAG, SHIFT /* a factor, less 1 */ };

/* What follows from a run and its set-up together. */
struct kv {
    double gpu_bytes_per_token,
        host_bytes_per_token; /* of a whole replica, a request of the mean length; fleets weighted by GPUs */
    double up_gb_per_s, down_gb_per_s; /* mean over the run, of one GPU's host link */
};

struct figure {
    const char *name;
    enum source source;
    enum form form;
    size_t offset;
    double scale;
};

#define SUMMARY(name, form, field, scale)                                                                    \
    {                                                                                                        \
        name, OF_SUMMARY, form, offsetof(struct sim_summary, field), scale                                   \
    }
#define REPORT(name, form, field)                                                                            \
    {                                                                                                        \
        name, OF_REPORT, form, offsetof(struct sim_report, field), 1                                         \
    }
#define KV(name, field)                                                                                      \
    {                                                                                                        \
        name, OF_KV, REAL, offsetof(struct kv, field), 1                                                     \
    }
#define TIMING(name)                                                                                         \
    {                                                                                                        \
#name, OF_TIMING, REAL, offsetof(struct exp_timing, name), 1                                         \
    }
#define STAT(of)                                                                                             \
    SUMMARY("mean_" #of "_ms", REAL, of.mean, 1e3), SUMMARY("median_" #of "_ms", REAL, of.median, 1e3),      \
        SUMMARY("std_" #of "_ms", REAL, of.std, 1e3), SUMMARY("p50_" #of "_ms", REAL, of.p50, 1e3),          \
        SUMMARY("p90_" #of "_ms", REAL, of.p90, 1e3), SUMMARY("p95_" #of "_ms", REAL, of.p95, 1e3),          \
        SUMMARY("p99_" #of "_ms", REAL, of.p99, 1e3)

static const struct figure figures[] = {
    SUMMARY("arrived", COUNT, arrived, 1),
    SUMMARY("completed", COUNT, completed, 1),
    SUMMARY("rejected", COUNT, rejected, 1),
    SUMMARY("unfinished", COUNT, unfinished, 1),
    SUMMARY("duration_s", REAL, duration_s, 1),
    SUMMARY("total_input_tokens", COUNT, input_tokens, 1),
    SUMMARY("total_output_tokens", COUNT, output_tokens, 1),
    SUMMARY("request_throughput", REAL, request_throughput, 1),
    SUMMARY("output_throughput", REAL, output_throughput, 1),
    SUMMARY("total_token_throughput", REAL, total_token_throughput, 1),
    SUMMARY("request_goodput", REAL, request_goodput, 1),
    REPORT("output_throughput_per_gpu", REAL, output_throughput_per_gpu),
    SUMMARY("mean_length_shift", SHIFT, length_factor,
            1), /* 0.12: outputs are 12 % longer than with full KV */
    SUMMARY("equivalent_output_throughput", REAL, equivalent_output_throughput,
            1), /* in tokens with full KV */
    STAT(ttft),
    STAT(tpot),
    STAT(itl),
    STAT(e2el),
    SUMMARY("mean_queue_ms", REAL, queue.mean, 1e3),
    SUMMARY("p50_queue_ms", REAL, queue.p50, 1e3),
    SUMMARY("p90_queue_ms", REAL, queue.p90, 1e3),
    SUMMARY("p99_queue_ms", REAL, queue.p99, 1e3),
    SUMMARY("slo_attainment", REAL, slo_attainment, 1),
    SUMMARY("slo_attainment_worst_5min", REAL, slo_attainment_worst_5min, 1),
    SUMMARY("slo_violations_ttft", COUNT, slo_violations_ttft, 1),
    SUMMARY("slo_violations_tpot", COUNT, slo_violations_tpot, 1),
    SUMMARY("slo_violations_e2el", COUNT, slo_violations_e2el, 1),
    SUMMARY("sla_met", FLAG, sla_met, 1),
    SUMMARY("preemptions", COUNT, preemptions, 1),
    REPORT("kv_capacity_tokens", COUNT, kv_capacity_tokens),
    REPORT("kv_peak_utilization", REAL, kv_peak_utilization),
    REPORT("kv_mean_utilization", REAL, kv_mean_utilization),
    REPORT("kv_host_peak_utilization", REAL, kv_host_peak_utilization),
    REPORT("fell_back", COUNT, fell_back),
    KV("kv_bytes_per_token", gpu_bytes_per_token),
    KV("kv_host_bytes_per_token", host_bytes_per_token),
    REPORT("gpu_busy", REAL, gpu_busy),
    REPORT("link_busy", REAL, link_busy),           /* by one replica */
    REPORT("host_link_busy", REAL, host_link_busy), /* by all replicas on it */
    /* of the time with a step in flight: waiting for transfers, with corrections and conversions */
    REPORT("exposed_frac", REAL, exposed_frac),
    REPORT("link_up_bytes", REAL, link_up_bytes),
    REPORT("link_down_bytes", REAL, link_down_bytes),
    KV("link_up_gb_per_s", up_gb_per_s),
    KV("link_down_gb_per_s", down_gb_per_s),
    REPORT("recalled_pages", REAL, recalled_pages),
    REPORT("corrected_heads", REAL, corrected_heads),
    REPORT("mean_running", REAL, mean_running),
    REPORT("max_running", COUNT, max_running),
    REPORT("max_waiting", COUNT, max_waiting),
    REPORT("iterations", COUNT, iterations),
    REPORT("time_measured_frac", REAL, time_frac[SIM_MEASURED]),
    REPORT("time_interpolated_frac", REAL, time_frac[SIM_INTERPOLATED]),
    REPORT("time_extrapolated_frac", REAL, time_frac[SIM_EXTRAPOLATED]),
    REPORT("time_transferred_frac", REAL, time_frac[SIM_TRANSFERRED]),
    REPORT("time_analytic_frac", REAL, time_frac[SIM_ANALYTIC]),
    TIMING(sim_wall_s),
    TIMING(setup_wall_s),
    TIMING(simulated_requests_per_s),
};
enum { N_FIGURES = sizeof figures / sizeof figures[0] };

size_t exp_figure_count(void)
{
    return N_FIGURES;
}

const char *exp_figure_name(size_t i)
{
    return figures[i].name;
}

bool exp_figure_by_class(size_t i)
{
    return figures[i].source == OF_SUMMARY;
}

bool exp_figure_is_timing(size_t i)
{
    return figures[i].source == OF_TIMING;
}

static double read_field(const struct figure *f, const void *base)
{
    const char *field = (const char *)base + f->offset;
    if (f->form == COUNT) return (double)*(const uint64_t *)field;
    if (f->form == FLAG) return *(const bool *)field;
    if (f->form == SHIFT) return *(const double *)field - 1;
    return *(const double *)field * f->scale;
}

static struct exp_band single(double value)
{
    return (struct exp_band){value, value, value};
}

static struct exp_figures *empty(uint32_t n_classes)
{
    struct exp_figures *f = sim_alloc(1, sizeof *f);
    f->n_classes = n_classes;
    f->all = sim_alloc(N_FIGURES, sizeof *f->all);
    f->classes = sim_alloc((size_t)n_classes * N_FIGURES, sizeof *f->classes);
    return f;
}

static struct kv kv_of(const struct exp_setup *u, const struct sim_report *r)
{
    struct kv kv = {0};
    double gpus = 0, replicas = 0;
    for (uint32_t i = 0; i < u->n_fleets; i++) {
        const struct exp_kv_setup *k = &u->fleets[i].kv;
        double n = (double)u->sim_fleets[i].n_replicas * u->sim_fleets[i].gpus_per_replica;
        kv.gpu_bytes_per_token += n * k->gpu_bytes_per_token;
        kv.host_bytes_per_token += n * k->host_bytes_per_token;
        gpus += n;
        replicas += u->sim_fleets[i].n_replicas;
    }
    kv.gpu_bytes_per_token /= gpus;
    kv.host_bytes_per_token /= gpus;
    if (r->all.duration_s <= 0) return kv;
    kv.up_gb_per_s = 1e-9 * r->link_up_bytes / replicas / r->all.duration_s;
    kv.down_gb_per_s = 1e-9 * r->link_down_bytes / replicas / r->all.duration_s;
    return kv;
}

struct exp_figures *exp_figures_new(const struct exp_setup *setup, const struct sim_report *report,
                                    const struct exp_timing *timing)
{
    struct exp_figures *f = empty(report->n_classes);
    struct kv kv = kv_of(setup, report);
    const void *base[] = {
        [OF_SUMMARY] = &report->all, [OF_REPORT] = report, [OF_KV] = &kv, [OF_TIMING] = timing};
    f->load_state = report->load_state;
    f->load_is_brief = report->load_is_brief;
    for (size_t i = 0; i < N_FIGURES; i++)
        f->all[i] = single(read_field(&figures[i], base[figures[i].source]));
    for (uint32_t c = 0; c < report->n_classes; c++) {
        memcpy(f->class_names[c], setup->class_names[c], sizeof f->class_names[c]);
        for (size_t i = 0; i < N_FIGURES; i++)
            f->classes[c * N_FIGURES + i] =
                single(exp_figure_by_class(i) ? read_field(&figures[i], &report->classes[c]) : NAN);
    }
    return f;
}

void exp_figures_free(struct exp_figures *f)
{
    if (!f) return;
    free(f->all);
    free(f->classes);
    free(f);
}

static size_t index_of(const char *name)
{
    size_t i = 0;
    while (i < N_FIGURES && strcmp(figures[i].name, name) != 0) i++;
    SIM_CHECK(i < N_FIGURES);
    return i;
}

struct exp_band exp_figure(const struct exp_figures *f, const char *name)
{
    return f->all[index_of(name)];
}

struct exp_band exp_figure_of_class(const struct exp_figures *f, uint32_t class, const char *name)
{
    return f->classes[class * N_FIGURES + index_of(name)];
}

/* ---- error bands ---- */

void exp_figures_scale_ttft(struct exp_figures *f, double factor)
{
    for (size_t i = 0; i < N_FIGURES; i++) {
        if (!strstr(figures[i].name, "_ttft_ms")) continue;
        f->all[i] = single(f->all[i].mean * factor);
        for (uint32_t c = 0; c < f->n_classes; c++) {
            struct exp_band *band = &f->classes[c * N_FIGURES + i];
            *band = single(band->mean * factor);
        }
    }
}

struct exp_band exp_band_of(double *values, uint32_t n)
{
    gsl_sort(values, 1, n);
    return (struct exp_band){gsl_stats_mean(values, 1, n),
                             gsl_stats_quantile_from_sorted_data(values, 1, n, 0.05),
                             gsl_stats_quantile_from_sorted_data(values, 1, n, 0.95)};
}

struct exp_figures *exp_figures_combine(struct exp_figures *const *runs, uint32_t n)
{
    struct exp_figures *f = empty(runs[0]->n_classes);
    double *values = sim_alloc(n, sizeof *values);
    memcpy(f->class_names, runs[0]->class_names, sizeof f->class_names);
    f->n_replications = n;
    for (uint32_t r = 0; r < n; r++)
        if (runs[r]->load_state > f->load_state) f->load_state = runs[r]->load_state;
    for (uint32_t r = 0; r < n; r++) f->load_is_brief |= runs[r]->load_is_brief;
    for (size_t i = 0; i < N_FIGURES; i++) {
        for (uint32_t r = 0; r < n; r++) values[r] = runs[r]->all[i].mean;
        f->all[i] = exp_band_of(values, n);
    }
    for (size_t i = 0; i < (size_t)f->n_classes * N_FIGURES; i++) {
        for (uint32_t r = 0; r < n; r++) values[r] = runs[r]->classes[i].mean;
        f->classes[i] = exp_figure_by_class(i % N_FIGURES) ? exp_band_of(values, n) : single(NAN);
    }
    free(values);
    return f;
}

/* ---- JSON ---- */

static json_t *number(double value, enum form form)
{
    if (!isfinite(value)) return json_null();
    if (form == COUNT && value == floor(value) && fabs(value) < 9e15) return json_integer((json_int_t)value);
    return json_real(value);
}

static void put(json_t *object, const struct figure *figure, struct exp_band band, bool replicated)
{
    char name[64];
    bool flag = figure->form == FLAG && !replicated;
    json_object_set_new(object, figure->name,
                        flag ? json_boolean(band.mean != 0) : number(band.mean, figure->form));
    if (!replicated) return;
    snprintf(name, sizeof name, "%s_lo", figure->name);
    json_object_set_new(object, name, number(band.lo, figure->form));
    snprintf(name, sizeof name, "%s_hi", figure->name);
    json_object_set_new(object, name, number(band.hi, figure->form));
}

json_t *exp_figures_json(const struct exp_figures *f)
{
    json_t *object = json_object(), *classes = json_object();
    json_object_set_new(object, "load_state", json_string(sim_load_state_name(f->load_state)));
    if (f->n_replications) json_object_set_new(object, "replications", json_integer(f->n_replications));
    for (size_t i = 0; i < N_FIGURES; i++) put(object, &figures[i], f->all[i], f->n_replications > 0);
    for (uint32_t c = 0; c < f->n_classes; c++) {
        json_t *class = json_object();
        for (size_t i = 0; i < N_FIGURES; i++)
            if (exp_figure_by_class(i))
                put(class, &figures[i], f->classes[c * N_FIGURES + i], f->n_replications > 0);
        json_object_set_new(classes, f->class_names[c], class);
    }
    json_object_set_new(object, "classes", classes);
    return object;
}
