/* The files of `kvsim plan --out`: decision.md, plan.json, plan.csv, plan.yaml and the winner's scenario.yaml; plan.csv. */
#include <csv.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/planning/sheet/facts.h"
#include "experiments/results.h"
#include "experiments/scenario_out.h"
#include "sim/memory.h"
#include "sim/outfile.h"

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
    bool ok = json_dumpf(o, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) == 0 && fputc('\n', out) != EOF;
    json_decref(o);
    return ok || sim_fail(st, "plan.json: writing failed, nothing was left behind; free some space");
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

static const struct {
    const char *name;
    bool (*write)(const struct page *p, FILE *out, struct sim_status *st);
    bool of_winner;
} files[] = {{"decision.md", write_sheet, false},
             {"plan.json", write_json, false},
             {"plan.csv", write_csv, false},
             {"plan.yaml", write_plan, false},
             {"scenario.yaml", write_scenario, true}};
enum { N_FILES = sizeof files / sizeof files[0] };

static bool write_file(const struct page *p, int i, const char *path, struct sim_outfile *file,
                       struct sim_status *st)
{
    FILE *out = sim_outfile_stream(file);
    if (!files[i].write(p, out, st)) return false;
    if (fflush(out) == 0 && !ferror(out)) return true;
    return sim_fail(st,
                    "%s: writing failed (%s), nothing was left behind; free some space or name another place",
                    path, strerror(errno));
}

/* The winner of an earlier plan, when this one has none. */
static bool remove_old(const char *dir, int i, struct sim_status *st)
{
    char *path = sim_printf("%s/%s", dir, files[i].name);
    bool ok = unlink(path) == 0 || errno == ENOENT ||
              sim_fail(st, "%s: is of an earlier plan and stays (%s); remove it", path, strerror(errno));
    free(path);
    return ok;
}

/* Nobody interrupts between the first and the last file that takes its name. */
static bool commit(struct sim_outfile **open, const char *dir, bool ok, struct sim_status *st)
{
    sigset_t interrupts, before;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGTERM);
    sigaddset(&interrupts, SIGHUP);
    sigprocmask(SIG_BLOCK, &interrupts, &before);
    for (int i = 0; i < N_FILES; i++) {
        if (ok)
            ok = open[i] ? sim_outfile_commit(open[i], st) : remove_old(dir, i, st);
        else
            sim_outfile_abandon(open[i]);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ok;
}

bool exp_decision_write(const struct exp_decision *d, enum exp_language language, const char *dir,
                        struct sim_status *st)
{
    struct page p = {d, language};
    struct sim_outfile *open[N_FILES] = {NULL};
    bool ok = exp_results_prepare(dir, st);
    for (int i = 0; ok && i < N_FILES; i++) {
        if (files[i].of_winner && d->best == UINT32_MAX) continue;
        char *path = sim_printf("%s/%s", dir, files[i].name);
        open[i] = sim_outfile_open(path, st);
        ok = open[i] && write_file(&p, i, path, open[i], st);
        free(path);
    }
    return commit(open, dir, ok, st);
}
