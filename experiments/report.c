#include "experiments/report.h"

#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/textfile.h"
#include "sim/memory.h"

enum { MAX_TEMPLATE_BYTES = 1 << 20, MAX_LIBRARY_BYTES = 4 << 20, CDF_POINTS = 201, MAX_SORTED = 200000 };

static const char *const libraries[] = {
    "/usr/share/javascript/chart.js/chart.min.js",
    "/usr/share/javascript/chart.js/Chart.min.js",
    "/usr/share/nodejs/chart.js/dist/chart.min.js",
};
enum { N_LIBRARIES = sizeof libraries / sizeof libraries[0] };

static const char *library_path(void)
{
    for (int i = 0; i < N_LIBRARIES; i++)
        if (access(libraries[i], R_OK) == 0) return libraries[i];
    return NULL;
}

bool exp_report_has_charts(void)
{
    return library_path() != NULL;
}

/* ---- latency distributions ---- */

static bool counted(const struct exp_run *run, uint64_t i)
{
    const struct sim_load *load = &run->setup->config.load;
    const struct sim_outcome *o = &run->result->outcomes[i];
    return o->status == SIM_COMPLETED && i >= load->warmup_requests &&
           o->arrival_s >= run->result->first_arrival_s + load->warmup_s;
}

static double ttft_s(const struct sim_outcome *o)
{
    return o->ttft_s;
}

static double e2el_s(const struct sim_outcome *o)
{
    return o->e2el_s;
}

static double rounded(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.5g", value);
    return strtod(text, NULL);
}

/* Every n-th request is enough for a curve; the tables have the exact percentiles. */
static uint64_t stride_of(const struct exp_run *run)
{
    return run->result->n_requests / MAX_SORTED + 1;
}

/* Milliseconds at 0, 0.5 ... 100 %; an empty list when nothing completed. */
static json_t *quantiles_ms(const struct exp_run *run, double (*value)(const struct sim_outcome *),
                            uint32_t least_output_tokens, double *values)
{
    uint64_t n = 0, stride = stride_of(run);
    json_t *list = json_array();
    for (uint64_t i = 0; i < run->result->n_requests; i += stride) {
        const struct sim_outcome *o = &run->result->outcomes[i];
        if (counted(run, i) && o->output_tokens >= least_output_tokens) values[n++] = value(o) * 1e3;
    }
    gsl_sort(values, 1, n);
    for (int p = 0; n && p < CDF_POINTS; p++)
        json_array_append_new(list,
                              json_real(rounded(values[(uint64_t)((double)(n - 1) * p / (CDF_POINTS - 1))])));
    return list;
}

static json_t *distributions(const struct exp_run *run)
{
    double *values = sim_alloc(run->result->n_requests / stride_of(run) + 1, sizeof *values);
    json_t *o = json_object();
    json_object_set_new(o, "TTFT", quantiles_ms(run, ttft_s, 1, values));
    json_object_set_new(o, "TPOT", quantiles_ms(run, sim_tpot_s, 2, values));
    json_object_set_new(o, "E2EL", quantiles_ms(run, e2el_s, 1, values));
    free(values);
    return o;
}

/* ---- the cluster over time ---- */

static json_t *timeline(const struct exp_run *run)
{
    const struct sim_result *res = run->result;
    json_t *list = json_array();
    for (uint32_t i = 0; i < res->n_timeline; i++) {
        const struct sim_sample *s = &res->timeline[i];
        json_array_append_new(list, json_pack("[f,I,I,I,I,I,I]", rounded(s->time_s), (json_int_t)s->running,
                                              (json_int_t)s->waiting, (json_int_t)s->used_blocks,
                                              (json_int_t)s->arrived, (json_int_t)s->completed,
                                              (json_int_t)s->output_tokens));
    }
    return list;
}

static json_t *limits(const struct exp_setup *u)
{
    json_t *o = json_object();
    for (uint32_t c = 0; c < u->config.n_classes; c++) {
        const struct sim_slo *slo = &u->sim_classes[c].slo;
        json_object_set_new(o, u->class_names[c],
                            json_pack("{s:f,s:f,s:f,s:f}", "ttft_ms", slo->ttft_s * 1e3, "tpot_ms",
                                      slo->tpot_s * 1e3, "e2el_ms", slo->e2el_s * 1e3, "percentile",
                                      slo->percentile));
    }
    return o;
}

static json_t *report_data(const struct exp_results *r)
{
    double blocks = 0;
    for (uint32_t f = 0; f < r->run->setup->n_fleets; f++)
        blocks +=
            (double)r->run->setup->sim_fleets[f].engine.n_blocks * r->run->setup->sim_fleets[f].n_replicas;
    json_t *o = json_object();
    json_object_set_new(o, "summary", exp_results_json(r));
    json_object_set_new(o, "scenario", json_string(r->scenario->file));
    json_object_set_new(o, "limits", limits(r->run->setup));
    json_object_set_new(o, "blocks", json_real(blocks));
    json_object_set_new(o, "distributions", distributions(r->run));
    json_object_set_new(o, "timeline", timeline(r->run));
    return o;
}

/* ---- the page ---- */

/* JSON inside a script element: no `<` may stand in it, or a name in a trace could close the element. */
static void write_json(const struct exp_results *r, FILE *out)
{
    json_t *data = report_data(r);
    char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(data);
    for (const char *at = text; at && *at;) {
        size_t n = strcspn(at, "<");
        fwrite(at, 1, n, out);
        at += n;
        if (*at == '<') {
            fputs("\\u003c", out);
            at++;
        }
    }
    free(text);
}

static void write_library(FILE *out)
{
    struct sim_status st = {0};
    size_t length;
    const char *path = library_path();
    char *text = path ? mdl_textfile_read(path, MAX_LIBRARY_BYTES, &length, &st) : NULL;
    if (text && !strstr(text, "</script")) fputs(text, out);
    free(text);
}

/* The template with what stands between @@ replaced. */
static void write_page(const struct exp_results *r, const char *page, FILE *out)
{
    for (const char *at = page; *at;) {
        const char *mark = strstr(at, "@@");
        fwrite(at, 1, mark ? (size_t)(mark - at) : strlen(at), out);
        if (!mark) return;
        if (strncmp(mark, "@@DATA@@", 8) == 0) write_json(r, out);
        if (strncmp(mark, "@@CHART@@", 9) == 0) write_library(out);
        const char *end = strstr(mark + 2, "@@");
        at = end ? end + 2 : mark + strlen(mark);
    }
}

bool exp_report_write(const struct exp_results *r, FILE *out, struct sim_status *st)
{
    size_t length;
    char *path = sim_printf("%s/experiments/report.html", r->data_dir);
    char *page = mdl_textfile_read(path, MAX_TEMPLATE_BYTES, &length, st);
    if (page) write_page(r, page, out);
    bool ok = page != NULL;
    free(page);
    free(path);
    return ok;
}
