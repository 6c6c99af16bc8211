#include "experiments/compare.h"

#include <csv.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/folder.h"
#include "experiments/report/of.h"
#include "experiments/scenario_out.h"
#include "sim/memory.h"

/* ---- JSON ---- */

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void put_band(json_t *o, const char *key, struct exp_band band, bool replicated)
{
    char name[64];
    json_object_set_new(o, key, real(band.mean));
    if (!replicated) return;
    snprintf(name, sizeof name, "%s_lo", key);
    json_object_set_new(o, name, real(band.lo));
    snprintf(name, sizeof name, "%s_hi", key);
    json_object_set_new(o, name, real(band.hi));
}

/* Columns that are no figure of a run; those stand in the summary already. */
static void put_columns(json_t *o, const struct exp_compare_row *row, bool replicated)
{
    for (int k = 0; k < EXP_N_COLUMNS; k++) {
        const struct exp_column_info *info = exp_column_info((enum exp_column)k);
        if (!info->of_figures) put_band(o, info->key, row->value[k], replicated);
    }
    json_object_set_new(o, "negative_source", json_string(row->negative_source));
    json_object_set_new(o, "cuda_graphs", json_string(row->graphs));
    json_object_set_new(o, "length_source", json_string(row->length_source));
}

static json_t *deltas_json(const struct exp_compare_row *row, bool replicated)
{
    json_t *o = json_object();
    for (int k = 0; k < EXP_N_COLUMNS; k++) {
        const struct exp_column_info *info = exp_column_info((enum exp_column)k);
        if (info->against != EXP_NO_DELTA) put_band(o, info->key, row->delta[k], replicated);
    }
    return o;
}

static json_t *anatomy_json(const struct exp_anatomy *a)
{
    const struct {
        const char *name;
        double value;
    } parts[] = {
        {"step_s", a->step_s},      {"gpu_s", a->gpu_s},         {"decode_attention_s", a->attention_s},
        {"select_s", a->select_s},  {"exposed_s", a->exposed_s}, {"host_s", a->host_s},
        {"prefill_s", a->prefill_s}};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        json_object_set_new(o, parts[i].name, real(parts[i].value));
    json_t *stations = json_object();
    for (enum exp_station k = 0; k < EXP_N_STATIONS; k++)
        json_object_set_new(stations, exp_station_name(k), real(a->station_s[k]));
    json_object_set_new(o, "station_s", stations);
    return o;
}

static json_t *row_json(const struct exp_compare *c, const struct exp_compare_row *row)
{
    bool replicated = c->n_replications > 0;
    json_t *o = json_pack("{s:s, s:s}", "strategy", row->strategy, "label", row->label);
    if (row->why_not[0]) {
        json_object_set_new(o, "error", json_string(row->why_not));
        return o;
    }
    if (row->summary)
        json_object_update(o, row->summary);
    else
        for (int k = 0; k < EXP_N_COLUMNS; k++)
            if (exp_column_info((enum exp_column)k)->of_figures)
                put_band(o, exp_column_info((enum exp_column)k)->key, row->value[k], replicated);
    put_columns(o, row, replicated);
    json_object_set_new(o, "against_full", deltas_json(row, replicated));
    json_object_set_new(o, "at_mean_load", anatomy_json(&row->anatomy));
    return o;
}

json_t *exp_compare_json(const struct exp_compare *c)
{
    json_t *rows = json_array(), *o = json_object();
    char *reading = exp_compare_reading(c);
    for (uint32_t i = 0; i < c->n_rows; i++) json_array_append_new(rows, row_json(c, &c->row[i]));
    json_object_set_new(o, "baseline", json_string("full"));
    json_object_set_new(o, "strategies", rows);
    json_object_set_new(o, "mean_load",
                        json_pack("{s:o, s:o, s:o, s:o}", "sequences_per_replica", real(c->load.n_seqs),
                                  "context_tokens", real(c->load.context_tokens), "prompt_tokens",
                                  real(c->load.prompt_tokens), "output_tokens", real(c->load.output_tokens)));
    json_object_set_new(o, "reading", json_string(reading));
    free(reading);
    return o;
}

/* ---- CSV ---- */

static void put_text(const char *text, FILE *out)
{
    if (strpbrk(text, ",\"\r\n"))
        csv_fwrite(out, text, strlen(text));
    else
        fputs(text, out);
}

static void put_head(const char *name, const char *suffix, bool replicated, FILE *out)
{
    fprintf(out, ",%s%s", name, suffix);
    if (replicated) fprintf(out, ",%s%s_lo,%s%s_hi", name, suffix, name, suffix);
}

static void put_number(double value, FILE *out)
{
    fputc(',', out);
    if (isfinite(value)) fprintf(out, "%.17g", value);
}

static void put_numbers(struct exp_band band, bool replicated, FILE *out)
{
    put_number(band.mean, out);
    if (!replicated) return;
    put_number(band.lo, out);
    put_number(band.hi, out);
}

static void put_heads(bool replicated, FILE *out)
{
    fputs("label,strategy,error,load_state", out);
    for (size_t i = 0; i < exp_figure_count(); i++) put_head(exp_figure_name(i), "", replicated, out);
    for (int k = 0; k < EXP_N_COLUMNS; k++) {
        const struct exp_column_info *info = exp_column_info((enum exp_column)k);
        if (!info->of_figures) put_head(info->key, "", replicated, out);
    }
    for (int k = 0; k < EXP_N_COLUMNS; k++) {
        const struct exp_column_info *info = exp_column_info((enum exp_column)k);
        if (info->against != EXP_NO_DELTA) put_head(info->key, "_against_full", replicated, out);
    }
    fputs(",cuda_graphs,negative_source,length_source\n", out);
}

static void put_row(const struct exp_compare_row *row, bool replicated, FILE *out)
{
    const struct exp_band none = {NAN, NAN, NAN};
    bool ran = !row->why_not[0];
    put_text(row->label, out);
    fprintf(out, ",%s,", row->strategy);
    put_text(row->why_not, out);
    fprintf(out, ",%s", ran ? sim_load_state_name(row->load_state) : "");
    for (size_t i = 0; i < exp_figure_count(); i++)
        put_numbers(ran && row->figures ? exp_figure(row->figures, exp_figure_name(i)) : none, replicated,
                    out);
    for (int k = 0; k < EXP_N_COLUMNS; k++)
        if (!exp_column_info((enum exp_column)k)->of_figures)
            put_numbers(ran ? row->value[k] : none, replicated, out);
    for (int k = 0; k < EXP_N_COLUMNS; k++)
        if (exp_column_info((enum exp_column)k)->against != EXP_NO_DELTA)
            put_numbers(ran ? row->delta[k] : none, replicated, out);
    fprintf(out, ",%s,", ran ? row->graphs : "");
    put_text(row->negative_source, out);
    fputc(',', out);
    put_text(row->length_source, out);
    fputc('\n', out);
}

void exp_compare_csv(const struct exp_compare *c, FILE *out)
{
    put_heads(c->n_replications > 0, out);
    for (uint32_t i = 0; i < c->n_rows; i++) put_row(&c->row[i], c->n_replications > 0, out);
}

/* ---- the folder ---- */

enum { READABLE = JSON_INDENT(2) | JSON_REAL_PRECISION(17) };
static const char SUMMARY[] = "summary-", JSON[] = ".json";

/* summary-freekv-budget=1024.json */
static bool write_summary(struct exp_folder *f, const struct exp_compare *c,
                          const struct exp_compare_row *row, struct sim_status *st)
{
    if (row->why_not[0]) return true;
    char *name = sim_printf("%s%s%s", SUMMARY, row->label, JSON);
    for (char *at = name; *at; at++)
        if (*at == ':' || *at == '/') *at = '-';
    bool ok = exp_folder_json(f, name, row_json(c, row), READABLE, st);
    free(name);
    return ok;
}

static bool write_all(struct exp_folder *f, const struct exp_compare *c, const struct exp_compare_made *made,
                      struct sim_status *st)
{
    if (!exp_folder_json(f, "compare.json", exp_compare_json(c), READABLE, st)) return false;
    FILE *out = exp_folder_open(f, "compare.csv", st);
    if (!out) return false;
    exp_compare_csv(c, out);
    if (!exp_folder_written(f, st) || !(out = exp_folder_open(f, "scenario.yaml", st)) ||
        !exp_scenario_write(made->scenario, out, st) || !exp_folder_written(f, st))
        return false;
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (!write_summary(f, c, &c->row[i], st)) return false;
    return exp_folder_report(f, exp_report_of_compare(c, made->scenario, st), made->data_dir, st);
}

/* Summaries of strategies that took part in an earlier study, not in this one. */
static bool is_stale(const struct exp_folder *f, const char *name)
{
    size_t n = strlen(name), head = strlen(SUMMARY), tail = strlen(JSON);
    if (n < head + tail || strncmp(name, SUMMARY, head) != 0 || strcmp(name + n - tail, JSON) != 0)
        return false;
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->name[i], name) == 0) return false;
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        const char *strategy = mdl_strategy_at(i)->name, *label = name + head;
        size_t length = strlen(strategy);
        if (strncmp(label, strategy, length) == 0 &&
            (label[length] == '-' || strcmp(label + length, JSON) == 0))
            return true;
    }
    return false;
}

static bool remove_stale(const struct exp_folder *f, struct sim_status *st)
{
    DIR *dir = opendir(f->dir);
    bool ok = dir != NULL;
    for (struct dirent *e; ok && (e = readdir(dir));) {
        if (!is_stale(f, e->d_name)) continue;
        char *path = sim_printf("%s/%s", f->dir, e->d_name);
        ok = unlink(path) == 0 ||
             sim_fail(st, "%s: is of an earlier study and stays (%s); remove it", path, strerror(errno));
        free(path);
    }
    if (dir) closedir(dir);
    return ok || sim_fail(st, "%s: cannot be listed (%s), old summaries may stay; look there", f->dir,
                          strerror(errno));
}

bool exp_compare_write(const struct exp_compare *c, const struct exp_compare_made *made, const char *dir,
                       struct sim_status *st)
{
    struct exp_folder f = {.dir = dir};
    bool ok = exp_results_prepare(dir, st) && write_all(&f, c, made, st);
    return exp_folder_commit(&f, ok, remove_stale, st);
}
