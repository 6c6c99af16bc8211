/* The files of `kvsim plan --out`: decision.md, plan.json, plan.csv, plan.yaml, report.json, report.html and the winner's
 * scenario.yaml; what plan.csv says. */
#include <csv.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/folder.h"
#include "experiments/planning/sheet/facts.h"
#include "experiments/report/of.h"
#include "experiments/report/report.h"
#include "experiments/results.h"
#include "experiments/scenario_out.h"
#include "models/datadir.h"
#include "sim/memory.h"

/* ---- plan.csv ---- */

static void put_text(const char *text, FILE *out)
{
    if (strpbrk(text, ",\"\r\n"))
        csv_fwrite(out, text, strlen(text));
    else
        fputs(text, out);
}

/* A column of the CSV: the key of a candidate's JSON, or key.key, under which it stands there. */
static const char *const columns[] = {
    "gpu",
    "machines",
    "tensor_parallel",
    "strategy",
    "settings",
    "acquire",
    "replicas",
    "gpus",
    "servers",
    "spare_servers",
    "have_servers",
    "servers_bought",
    "feasible",
    "fate",
    "verified",
    "baseline",
    "why_not",
    "cost_total",
    "npv",
    "saving",
    "capex",
    "payback_state",
    "payback_months",
    "p_saving",
    "p_payback",
    "cost_per_hour",
    "cost_per_month",
    "cost_per_1000_good",
    "cost_per_mtok",
    "cost_per_mtok_equivalent",
    "headroom",
    "p99_ttft_ms.mean",
    "p99_tpot_ms.mean",
    "evidence.measured",
    "evidence.interpolated",
    "evidence.extrapolated",
    "evidence.transferred",
    "evidence.analytic",
    "unmeasured",
    "measure_first",
    "rollback.attainment",
    "rollback.met",
    "rollback.rent_servers",
    "newly_failing",
    "newly_failing_lo",
    "newly_failing_hi",
};
enum { N_COLUMNS = sizeof columns / sizeof columns[0] };

static const json_t *find(const json_t *row, const char *path)
{
    const char *dot = strchr(path, '.');
    if (!dot) return json_object_get(row, path);
    char *head = sim_printf("%.*s", (int)(dot - path), path);
    const json_t *found = json_object_get(json_object_get(row, head), dot + 1);
    free(head);
    return found;
}

static void put_value(const json_t *value, FILE *out)
{
    if (json_is_string(value))
        put_text(json_string_value(value), out);
    else if (json_is_integer(value))
        fprintf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        fprintf(out, "%.17g", json_real_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "true" : "false", out);
}

/* p99_ttft_ms.mean is p99_ttft_ms, evidence.measured is evidence_measured. */
static void put_head(const char *path, FILE *out)
{
    size_t n = strlen(path);
    if (n > 5 && strcmp(path + n - 5, ".mean") == 0) n -= 5;
    for (size_t i = 0; i < n; i++) fputc(path[i] == '.' ? '_' : path[i], out);
}

static void put_class_heads(const struct exp_plan *plan, FILE *out)
{
    for (uint32_t c = 0; c < plan->n_classes; c++)
        fprintf(out, ",slo_attainment_%s,slo_attainment_%s_lo,slo_attainment_%s_hi", plan->class[c].name,
                plan->class[c].name, plan->class[c].name);
}

static void put_classes(const struct exp_plan *plan, const json_t *row, FILE *out)
{
    static const char *const ends[] = {"mean", "lo", "hi"};
    const json_t *all = json_object_get(row, "slo_attainment");
    for (uint32_t c = 0; c < plan->n_classes; c++)
        for (int i = 0; i < 3; i++) {
            fputc(',', out);
            put_value(json_object_get(json_object_get(all, plan->class[c].name), ends[i]), out);
        }
}

void exp_decision_csv(const struct exp_decision *d, FILE *out)
{
    json_t *o = exp_decision_json(d), *row;
    size_t i;
    fputs("rank", out);
    for (int c = 0; c < N_COLUMNS; c++) {
        fputc(',', out);
        put_head(columns[c], out);
    }
    put_class_heads(d->plan, out);
    fputc('\n', out);
    json_array_foreach(json_object_get(o, "candidates"), i, row)
    {
        fprintf(out, "%zu", i + 1);
        for (int c = 0; c < N_COLUMNS; c++) {
            fputc(',', out);
            put_value(find(row, columns[c]), out);
        }
        put_classes(d->plan, row, out);
        fputc('\n', out);
    }
    json_decref(o);
}

/* ---- the other files ---- */

struct page {
    const struct exp_decision *d;
    enum exp_language language;
    json_t *report;
    char *data_dir;
};

static bool write_sheet(const struct page *p, FILE *out, struct sim_status *st)
{
    struct exp_sheet_options o = {.language = p->language, .all = true, .markdown = true};
    exp_sheet_print(p->d, &o, out);
    exp_sheet_print_details(p->d, &o, out);
    (void)st;
    return true;
}

static bool write_json(const struct page *p, FILE *out, struct sim_status *st)
{
    json_t *o = exp_decision_json(p->d);
    if (json_dumpf(o, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) == 0) fputc('\n', out);
    json_decref(o);
    (void)st;
    return true;
}

static bool write_csv(const struct page *p, FILE *out, struct sim_status *st)
{
    exp_decision_csv(p->d, out);
    (void)st;
    return true;
}

static bool write_plan(const struct page *p, FILE *out, struct sim_status *st)
{
    exp_plan_write(p->d->plan, out);
    (void)st;
    return true;
}

static bool write_report(const struct page *p, FILE *out, struct sim_status *st)
{
    exp_report_json(p->report, out);
    (void)st;
    return true;
}

static bool write_html(const struct page *p, FILE *out, struct sim_status *st)
{
    return exp_report_html(p->report, p->language, p->data_dir, out, st);
}

static bool write_scenario(const struct page *p, FILE *out, struct sim_status *st)
{
    const struct exp_entry *e = p->d->row[p->d->best].entry;
    struct exp_scenario *s = exp_candidate_scenario(p->d->plan, &e->candidate, e->n_replicas, st);
    if (!s) return false;
    char label[EXP_LABEL_BYTES + 64];
    exp_candidate_label(&e->candidate, label, sizeof label);
    fprintf(out, "# The winner of a plan: %u replicas, %s, under the plan's load; `kvsim run` takes it.\n",
            e->n_replicas, label);
    bool ok = exp_scenario_write(s, out, st);
    free(s);
    return ok;
}

/* ---- the folder ---- */

#define WINNERS_FILE "scenario.yaml"

static const struct {
    const char *name;
    bool (*write)(const struct page *p, FILE *out, struct sim_status *st);
} files[] = {{"decision.md", write_sheet},  {"plan.json", write_json},     {"plan.csv", write_csv},
             {"plan.yaml", write_plan},     {"report.json", write_report}, {"report.html", write_html},
             {WINNERS_FILE, write_scenario}};
enum { N_FILES = sizeof files / sizeof files[0] };

/* The scenario of an earlier plan's winner, when this one has none. */
static bool remove_old(const struct exp_folder *f, struct sim_status *st)
{
    char *path = sim_printf("%s/" WINNERS_FILE, f->dir);
    bool ok = unlink(path) == 0 || errno == ENOENT ||
              sim_fail(st, "%s: is of an earlier plan and stays (%s); remove it", path, strerror(errno));
    free(path);
    return ok;
}

static bool write_file(const struct page *p, int i, struct exp_folder *f, struct sim_status *st)
{
    FILE *out = exp_folder_open(f, files[i].name, st);
    return out && files[i].write(p, out, st) && exp_folder_written(f, st);
}

bool exp_decision_write(const struct exp_decision *d, enum exp_language language, const char *dir,
                        struct sim_status *st)
{
    struct page p = {.d = d, .language = language};
    struct exp_folder f = {.dir = dir};
    bool wins = d->best != UINT32_MAX;
    bool ok = exp_results_prepare(dir, st) && (p.data_dir = mdl_data_dir(st)) &&
              (p.report = exp_report_of_plan(d, st));
    for (int i = 0; ok && i < N_FILES; i++)
        if (wins || strcmp(files[i].name, WINNERS_FILE) != 0) ok = write_file(&p, i, &f, st);
    json_decref(p.report);
    free(p.data_dir);
    return exp_folder_commit(&f, ok, wins ? NULL : remove_old, st);
}
