#include "experiments/report/of_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/of.h"
#include "experiments/scenario_out.h"
#include "experiments/study/point.h"
#include "experiments/version.h"
#include "sim/check.h"
#include "sim/memory.h"

#define MOST_CHANGE 10 /* 1000 %: who reads more counts zeros */

double exp_report_rounded(double value)
{
    char text[32];
    if (!isfinite(value)) return value;
    snprintf(text, sizeof text, "%.5g", value);
    return strtod(text, NULL);
}

const char *exp_report_latency(enum exp_latency latency)
{
    static const char *const names[EXP_N_LATENCIES] = {"TTFT", "TPOT", "E2EL"};
    return names[latency];
}

/* 0 to 100, whatever is drawn. */
static void show_all_percents(json_t *chart)
{
    json_t *y = json_object_get(chart, "y");
    json_object_set_new(y, "min", json_integer(0));
    json_object_set_new(y, "max", json_integer(100));
}

/* ---- latency ---- */

#define LEAST_MS 1e-3 /* a logarithmic axis has no 0 */

json_t *exp_report_cdf(json_t *section, const char *id, const char *title)
{
    json_t *chart = exp_doc_chart(section, id, title, EXP_LINES);
    exp_doc_x(chart, "latency", "ms", EXP_LOG);
    exp_doc_y(chart, "share of requests", "%", EXP_LINEAR);
    show_all_percents(chart);
    return chart;
}

void exp_report_cdf_add(json_t *chart, const char *name, const double ms[EXP_QUANTILES])
{
    json_t *series = exp_doc_series(chart, name);
    for (int p = 0; p < EXP_QUANTILES; p++)
        if (isfinite(ms[p]))
            exp_doc_xy(series, exp_report_rounded(fmax(ms[p], LEAST_MS)), 100 * p / (EXP_QUANTILES - 1.0));
}

/* ---- axes ---- */

/* Of all points of a chart. */
static void find_ends(const json_t *chart, size_t coordinate, double *least, double *most)
{
    const json_t *series, *point;
    size_t i, k;
    *least = INFINITY;
    *most = 0;
    json_array_foreach(json_object_get(chart, "series"), i, series)
    {
        json_array_foreach(json_object_get(series, "points"), k, point)
        {
            double v = json_number_value(json_array_get(point, coordinate));
            *least = fmin(*least, v);
            *most = fmax(*most, v);
        }
    }
}

void exp_report_fit_scales(json_t *chart, double ratio)
{
    static const char *const axes[] = {"x", "y"};
    for (size_t k = 0; k < 2; k++) {
        json_t *axis = json_object_get(chart, axes[k]);
        double least, most;
        find_ends(chart, k, &least, &most);
        if (strcmp(json_string_value(json_object_get(axis, "scale")), "log") == 0 && most < ratio * least)
            json_object_set_new(axis, "scale", json_string("linear"));
    }
}

/* ---- time ---- */

json_t *exp_report_over_time(json_t *section, const char *id, const char *title, const char *y,
                             const char *unit)
{
    json_t *chart = exp_doc_chart(section, id, title, EXP_LINES);
    exp_doc_x(chart, "time", "s", EXP_LINEAR);
    exp_doc_y(chart, y, unit, EXP_LINEAR);
    return chart;
}

static double member_of(const struct exp_moment *m, size_t member)
{
    return *(const double *)((const char *)m + member);
}

void exp_report_over_time_add(json_t *chart, const char *name, const struct exp_run_curves *c, size_t member,
                              double scale)
{
    json_t *series = exp_doc_series(chart, name);
    for (uint32_t i = 0; i < c->n_timeline; i++)
        exp_doc_xy(series, exp_report_rounded(c->timeline[i].time_s),
                   exp_report_rounded(scale * member_of(&c->timeline[i], member)));
}

bool exp_report_moves(const struct exp_run_curves *c, size_t member)
{
    for (uint32_t i = 0; i < c->n_timeline; i++)
        if (member_of(&c->timeline[i], member) != 0) return true;
    return false;
}

/* ---- shares ---- */

json_t *exp_report_stacked(json_t *section, const char *id, const char *title, const char *unit)
{
    json_t *chart = exp_doc_chart(section, id, title, EXP_STACKED);
    exp_doc_y(chart, "", unit, EXP_LINEAR);
    if (strcmp(unit, "%") == 0) show_all_percents(chart);
    return chart;
}

void exp_report_evidence(json_t *section, uint32_t n, const char *(*name)(const void *of, uint32_t i),
                         double (*frac)(const void *of, uint32_t i, enum sim_evidence e), const void *of)
{
    json_t *chart = exp_report_stacked(section, "evidence", "What GPU time rests on", "%");
    exp_doc_note(chart, "Measured and interpolated times come from this GPU; the others were never measured "
                        "on it.");
    for (uint32_t i = 0; i < n; i++) exp_doc_name(chart, name(of, i));
    for (int e = 0; e < SIM_N_EVIDENCE; e++) {
        double most = 0;
        for (uint32_t i = 0; i < n; i++) most = fmax(most, frac(of, i, (enum sim_evidence)e));
        if (!(most > 0)) continue;
        json_t *series = exp_doc_series(chart, sim_evidence_name((enum sim_evidence)e));
        for (uint32_t i = 0; i < n; i++)
            exp_doc_xy(series, i, exp_report_rounded(100 * frac(of, i, (enum sim_evidence)e)));
    }
}

void exp_report_band_fact(json_t *facts, const char *name, struct exp_band b, double scale, const char *unit,
                          bool banded)
{
    exp_doc_fact_band(facts, name, scale * b.mean, banded ? scale * b.lo : NAN, banded ? scale * b.hi : NAN,
                      unit);
}

/* As the page writes numbers: four digits, thousands apart. */
static struct exp_words cell_words(double value)
{
    bool many = fabs(value) >= 999.5 && fabs(value) < 1e15;
    return many ? exp_count_words(round(value)) : exp_short_words(value);
}

void exp_report_band_cell(json_t *row, struct exp_band b, double scale)
{
    if (!isfinite(b.mean) || !isfinite(b.lo) || !isfinite(b.hi)) {
        exp_doc_cell(row, scale * b.mean);
        return;
    }
    char *text = sim_printf("%s [%s, %s]", cell_words(scale * b.mean).text, cell_words(scale * b.lo).text,
                            cell_words(scale * b.hi).text);
    exp_doc_cell_text(row, text);
    free(text);
}

void exp_report_share_cell(json_t *row, double percent)
{
    char text[16];
    snprintf(text, sizeof text, "%.2f", floor(percent * 100 + 1e-6) / 100);
    if (percent > 99.9 && percent < 100)
        exp_doc_cell_text(row, text);
    else
        exp_doc_cell(row, percent);
}

struct exp_words exp_report_times(double frac)
{
    struct exp_words w = {""};
    if (frac > MOST_CHANGE) snprintf(w.text, sizeof w.text, frac < 9e14 ? "x%.0f" : "x%.3g", 1 + frac);
    return w;
}

/* ---- how to make it again ---- */

/* Free with free(). NULL with one line in st. */
static char *scenario_text(const struct exp_scenario *s, struct sim_status *st)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    SIM_CHECK(out); /* out of memory */
    bool ok = exp_scenario_write(s, out, st);
    fclose(out);
    if (ok) return text;
    free(text);
    return NULL;
}

/* Files that a scenario reads; one that is gone meanwhile leaves the list out. */
static json_t *files_of(const struct exp_scenario *s)
{
    struct sim_status ignored = {0};
    char key[EXP_KEY_BYTES], setup[EXP_KEY_BYTES];
    struct exp_cache *cache = exp_cache_new(&ignored);
    struct exp_hasher *h = cache ? exp_hasher_new(cache, "", &ignored) : NULL;
    bool ok = h && exp_point_keys(h, s, 0, key, setup, &ignored);
    json_t *files = ok ? exp_hasher_json(h) : NULL;
    exp_hasher_free(h);
    exp_cache_free(cache);
    return files;
}

void exp_report_files(json_t *section, const json_t *files)
{
    json_t *table = exp_doc_table(section, "files", "Files that were read");
    size_t i;
    const json_t *file;
    exp_doc_folded(table);
    exp_doc_column_text(table, "file");
    exp_doc_column_text(table, "sha256");
    json_array_foreach(json_object_get(files, "files"), i, file)
    {
        json_t *row = exp_doc_row(table);
        exp_doc_cell_text(row, json_string_value(json_object_get(file, "path")));
        exp_doc_cell_text(row, json_string_value(json_object_get(file, "sha256")));
    }
}

void exp_report_reproduce(json_t *doc, const struct exp_scenario *s, const char *command,
                          struct sim_status *st)
{
    json_t *section = exp_doc_section(doc, "reproduce", "Make it again");
    exp_doc_text(section, EXP_PLAIN_TONE, "kvsim {0}, model version {1}.", EXP_VERSION, exp_model_version(),
                 NULL);
    exp_doc_code(section, command);
    char *text = s ? scenario_text(s, st) : NULL;
    if (!text) return;
    exp_doc_text(section, EXP_PLAIN_TONE,
                 "scenario.yaml: the scenario with every setting that is not a "
                 "default.",
                 NULL);
    exp_doc_code(section, text);
    free(text);
    json_t *files = files_of(s);
    exp_report_files(section, files);
    json_decref(files);
}
