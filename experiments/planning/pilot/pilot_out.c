#include "experiments/planning/pilot/pilot_parts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/page.h"
#include "experiments/results.h"
#include "experiments/scenario_out.h"
#include "sim/memory.h"
#include "sim/outfile.h"

struct writer {
    const struct exp_decision *d;
    const struct exp_pilot_plan *p;
    const struct exp_arm_machines *arm; /* [EXP_N_ARMS] */
    const char *dir;
};

/* ---- pilot.md ---- */

static void write_how(const struct writer *w, const struct exp_page *page)
{
    const char *file = w->d->plan->file[0] ? w->d->plan->file : "plan.yaml";
    char *next = sim_printf("kvsim plan %s --pilot %s/measured.csv\n"
                            "kvsim plan %s --pilot %s/measured.csv --scores scores.csv\n",
                            file, w->dir, file, w->dir);
    exp_page_heading(page, 2, "What to do");
    exp_page_item(page, "Run both arms as pilot.yaml says; correct it where the machines are others.");
    exp_page_item(page, "Write a row of measured.csv for every request that arrived.");
    exp_page_item(page,
                  "List the cases that must not fail in critical.csv, and score the answers of both arms "
                  "(columns alg,params,task,id,score; alg is `baseline` or `candidate`, id the request's).");
    exp_page_item(page, "Go, extend or stop:");
    exp_page_code(page, next);
    exp_page_heading(page, 2, "Rehearsal");
    exp_page_text(page, 0, 0, "The same arms simulated, and what they would have measured:");
    exp_page_code(page, "kvsim run scenario-baseline.yaml --out baseline\n"
                        "kvsim run scenario-candidate.yaml --out candidate\n"
                        "sed '1s/^/arm,/;1!s/^/baseline,/' baseline/requests.csv > measured.csv\n"
                        "sed '1d;s/^/candidate,/' candidate/requests.csv >> measured.csv\n");
    free(next);
}

static bool write_page(const struct writer *w, FILE *out, struct sim_status *st)
{
    struct exp_page page = {.out = out, .markdown = true};
    exp_pilot_page(w->d, w->p, &page);
    write_how(w, &page);
    (void)st;
    return true;
}

/* ---- pilot.yaml ---- */

static void write_arm(const struct writer *w, int arm, FILE *out)
{
    const struct exp_arm_machines *a = &w->arm[arm];
    const struct exp_candidate *c = &a->candidate;
    fprintf(out, "%s:\n  gpu: %s\n  tensor_parallel: %u\n  gpus_per_server: %u\n", exp_arm_name(arm),
            c->gpu->name, c->tensor_parallel, c->gpus_per_server);
    if (!isnan(c->host_gib)) fprintf(out, "  host_gib: %.15g\n", c->host_gib);
    if (c->max_num_batched_tokens) fprintf(out, "  max_num_batched_tokens: %u\n", c->max_num_batched_tokens);
    if (c->max_num_seqs) fprintf(out, "  max_num_seqs: %u\n", c->max_num_seqs);
    fprintf(out, "  strategy: \"%s\"\n  replicas: %u\n", a->contender.label, a->replicas);
}

static void write_stage(const struct exp_pilot_stage *s, FILE *out)
{
    fprintf(out,
            "  - {name: %s, class: %s, traffic_frac: %.6g, latency_requests: %llu, length_requests: %llu, "
            "quality_answers: %llu, failures_allowed: %llu, hours: %.4g}\n",
            s->name, s->class[0] ? s->class : "all", s->traffic_frac, (unsigned long long)s->n_latency,
            (unsigned long long)s->n_length, (unsigned long long)s->n_quality,
            (unsigned long long)s->failures_allowed, s->hours);
}

static void write_stops(const struct writer *w, FILE *out)
{
    struct exp_class_keys *keys = sim_alloc(SIM_MAX_CLASSES, sizeof *keys);
    uint32_t n = exp_scenario_classes(w->d->plan->base, keys);
    fprintf(out, "stop:\n  confidence: 0.95\n");
    if (isfinite(w->p->length_ratio_max)) fprintf(out, "  length_ratio: %.4g\n", w->p->length_ratio_max);
    if (w->p->n_critical) fprintf(out, "  critical_failures: 1\n");
    fprintf(out, "  classes:\n");
    for (uint32_t c = 0; c < n; c++) {
        double most = w->d->plan->class[c].max_failure_rate;
        fprintf(out, "    %s: {percentile: %.6g", keys[c].name, keys[c].slo.percentile);
        if (!isnan(most)) fprintf(out, ", max_failure_rate: %.6g", most);
        fprintf(out, "}\n");
    }
    free(keys);
}

static bool write_yaml(const struct writer *w, FILE *out, struct sim_status *st)
{
    fputs("# The pilot's machines: `kvsim plan PLAN --pilot measured.csv` reads this file beside "
          "measured.csv.\n"
          "# An arm with more replicas, or on another GPU, says so here.\n",
          out);
    write_arm(w, EXP_ARM_CANDIDATE, out);
    write_arm(w, EXP_ARM_BASELINE, out);
    fputs("\n# What follows is for people and their tools; kvsim does not read it back.\nstages:\n", out);
    for (uint32_t i = 0; i < w->p->n_stages; i++) write_stage(&w->p->stage[i], out);
    fprintf(out, "critical_cases: %llu\n", (unsigned long long)w->p->n_critical);
    write_stops(w, out);
    (void)st;
    return true;
}

/* ---- templates ---- */

static bool write_measured(const struct writer *w, FILE *out, struct sim_status *st)
{
    (void)w;
    (void)st;
    fputs(
        "# A row per request of either arm, in any order; lines that start with # are not read.\n"
        "#   arm            baseline or candidate\n"
        "#   request_id     once in an arm; the same in both arms where both got the same request (shadow "
        "stage)\n"
        "#   slo_class      a class of the plan; empty = default\n"
        "#   arrival_s      seconds, from any moment on, the same for all requests of an arm\n"
        "#   input_tokens, output_tokens\n"
        "#   ttft_s         time to first token, seconds (or a column ttft_ms)\n"
        "#   tpot_s         time per output token after the first, seconds (or tpot_ms); empty with one "
        "token\n"
        "#   failed         1: the answer is wrong, 0: it is not, empty: nobody judged (--scores says more)\n"
        "#   status         completed, unfinished, rejected_too_long or not_arrived; empty = completed. The "
        "two\n"
        "#                  times of what was not completed stay empty\n"
        "# Columns that `kvsim run --out` writes are understood, and others are left alone. An example:\n"
        "# baseline,17,default,12.25,812,143,0.183,0.0141,0,completed\n"
        "# candidate,17,default,12.25,812,151,0.201,0.0102,0,completed\n"
        "arm,request_id,slo_class,arrival_s,input_tokens,output_tokens,ttft_s,tpot_s,failed,status\n",
        out);
    return true;
}

static bool write_critical(const struct writer *w, FILE *out, struct sim_status *st)
{
    (void)st;
    fprintf(out,
            "# The cases that must not fail: %llu of them without a failure keep the plan's limit.\n"
            "#   task, id   as in the scores (kvsim plan --pilot measured.csv --scores scores.csv)\n"
            "#   weight     how much it counts beside the others; empty = 1\n"
            "#   pass       the least score that passes, 0 to 1; empty = no more than 10 %% below full KV\n"
            "#   prompt     where the prompt lies; for people\n"
            "# An example:\n"
            "# contracts,4711,1,0.8,prompts/contracts/4711.txt\n"
            "task,id,weight,pass,prompt\n",
            (unsigned long long)w->p->n_critical);
    return true;
}

static bool write_scenario(const struct writer *w, int arm, FILE *out, struct sim_status *st)
{
    struct exp_scenario *s = exp_arm_scenario(w->d->plan, &w->arm[arm], st);
    if (!s) return false;
    s->workload.multiply *= w->p->load_factor;
    fprintf(out, "# The %s's arm of the pilot at its share of the load: %s.\n", exp_arm_name(arm),
            w->p->arm[arm]);
    bool ok = exp_scenario_write(s, out, st);
    free(s);
    return ok;
}

static bool write_baseline(const struct writer *w, FILE *out, struct sim_status *st)
{
    return write_scenario(w, EXP_ARM_BASELINE, out, st);
}

static bool write_candidate(const struct writer *w, FILE *out, struct sim_status *st)
{
    return write_scenario(w, EXP_ARM_CANDIDATE, out, st);
}

/* ---- the folder ---- */

static const struct {
    const char *name;
    bool (*write)(const struct writer *w, FILE *out, struct sim_status *st);
    bool filled_in; /* by the user */
} files[] = {
    {"pilot.md", write_page, false},
    {"pilot.yaml", write_yaml, false},
    {"measured.csv", write_measured, true},
    {"critical.csv", write_critical, true},
    {"scenario-baseline.yaml", write_baseline, false},
    {"scenario-candidate.yaml", write_candidate, false},
};
enum { N_FILES = sizeof files / sizeof files[0] };

/* Measurements are worth more than a template. */
bool exp_pilot_prepare(const char *dir, struct sim_status *st)
{
    bool ok = exp_results_prepare(dir, st);
    for (int i = 0; ok && i < N_FILES; i++) {
        char *path = sim_printf("%s/%s", dir, files[i].name);
        if (files[i].filled_in && exp_csv_has_rows(path))
            ok = sim_fail(
                st, "%s: holds rows already, expected a folder without measurements; name another one", path);
        free(path);
    }
    return ok;
}

static struct sim_outfile *write_file(const struct writer *w, int i, struct sim_status *st)
{
    char *path = sim_printf("%s/%s", w->dir, files[i].name);
    struct sim_outfile *file = sim_outfile_open(path, st);
    FILE *out = file ? sim_outfile_stream(file) : NULL;
    bool ok = out && files[i].write(w, out, st);
    if (ok && (fflush(out) != 0 || ferror(out)))
        ok = sim_fail(
            st, "%s: writing failed (%s), nothing was left behind; free some space or name another place",
            path, strerror(errno));
    if (!ok) sim_outfile_abandon(file);
    free(path);
    return ok ? file : NULL;
}

bool exp_pilot_write(const struct exp_decision *d, const struct exp_pilot_plan *p, struct exp_cache *cache,
                     const char *dir, struct sim_status *st)
{
    struct sim_outfile *open[N_FILES] = {NULL};
    struct exp_arm_machines *arm = sim_alloc(EXP_N_ARMS, sizeof *arm);
    struct writer w = {d, p, arm, dir};
    bool ok = exp_pilot_prepare(dir, st) && exp_pilot_arms(d, cache, arm, st);
    for (int i = 0; ok && i < N_FILES; i++) ok = (open[i] = write_file(&w, i, st)) != NULL;
    for (int i = 0; i < N_FILES; i++) {
        if (ok)
            ok = sim_outfile_commit(open[i], st);
        else
            sim_outfile_abandon(open[i]);
    }
    free(arm);
    return ok;
}
