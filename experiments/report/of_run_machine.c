/* What was simulated and on what it rests: where the time of a fleet's GPUs goes, their memory, engines, KV strategies. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/list_strategies.h"
#include "experiments/report/of_run_parts.h"
#include "sim/check.h"

char *exp_report_fleets(const struct exp_setup *u)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    SIM_CHECK(out); /* out of memory */
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        fprintf(out, "%s%u x %s", f ? " + " : "", u->sim_fleets[f].n_replicas, u->fleets[f].gpu->title);
        if (u->fleets[f].tensor_parallel > 1) fprintf(out, ", TP %u", u->fleets[f].tensor_parallel);
        if (u->fleets[f].pipeline_parallel > 1) fprintf(out, ", PP %u", u->fleets[f].pipeline_parallel);
    }
    fclose(out);
    return text;
}

static bool is_first_with_strategy(const struct exp_setup *u, uint32_t fleet)
{
    for (uint32_t f = 0; f < fleet; f++)
        if (u->fleets[f].kv.use.strategy == u->fleets[fleet].kv.use.strategy) return false;
    return true;
}

char *exp_report_strategies(const struct exp_setup *u)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    SIM_CHECK(out); /* out of memory */
    for (uint32_t f = 0; f < u->n_fleets; f++)
        if (is_first_with_strategy(u, f))
            fprintf(out, "%s%s", f ? " + " : "", u->fleets[f].kv.use.strategy->name);
    fclose(out);
    return text;
}

/* ---- where the time goes ---- */

/* Of a fleet's GPUs from the first arrival to the last answer; they add up to 1. */
struct spent {
    double computing, transfers, engine, nothing;
};

static struct spent spent_of(const struct exp_run *run, uint32_t fleet)
{
    const struct sim_fleet_stats *s = &run->result->fleets[fleet];
    double span_s = run->result->end_s - run->result->first_arrival_s;
    double all_s = span_s * run->setup->sim_fleets[fleet].n_replicas;
    if (!(all_s > 0)) return (struct spent){NAN, NAN, NAN, NAN};
    struct spent t = {.computing = s->gpu_s / all_s, .transfers = s->exposed_s / all_s};
    t.engine = fmax(0, s->step_s / all_s - t.computing - t.transfers);
    t.nothing = fmax(0, 1 - t.computing - t.transfers - t.engine);
    return t;
}

static void put_spent(json_t *s, const struct exp_run *run)
{
    static const struct {
        const char *name;
        size_t offset;
    } parts[] = {{"GPU computes", offsetof(struct spent, computing)},
                 {"waits for transfers", offsetof(struct spent, transfers)},
                 {"engine and hand-overs", offsetof(struct spent, engine)},
                 {"nothing to do", offsetof(struct spent, nothing)}};
    json_t *chart = exp_report_stacked(s, "time-spent", "What the GPUs do", "%");
    exp_doc_note(chart, "From the first arrival to the last answer, mean over the GPUs of a fleet.");
    for (uint32_t f = 0; f < run->setup->n_fleets; f++) exp_doc_name(chart, run->setup->fleets[f].name);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        json_t *series = exp_doc_series(chart, parts[i].name);
        for (uint32_t f = 0; f < run->setup->n_fleets; f++) {
            struct spent t = spent_of(run, f);
            exp_doc_xy(series, f,
                       exp_report_rounded(100 * *(const double *)((const char *)&t + parts[i].offset)));
        }
    }
}

/* ---- evidence ---- */

static const char *fleet_name(const void *run, uint32_t f)
{
    return ((const struct exp_run *)run)->setup->fleets[f].name;
}

static double fleet_evidence(const void *run, uint32_t f, enum sim_evidence e)
{
    const struct sim_fleet_stats *s = &((const struct exp_run *)run)->result->fleets[f];
    double all_s = 0;
    for (int k = 0; k < SIM_N_EVIDENCE; k++) all_s += s->by_evidence_s[k];
    return all_s > 0 ? s->by_evidence_s[e] / all_s : 0;
}

static void put_evidence(json_t *doc, const struct exp_results *r)
{
    json_t *s = exp_doc_section(doc, "evidence", "What the numbers rest on");
    double known = exp_figure(r->figures, "time_measured_frac").mean +
                   exp_figure(r->figures, "time_interpolated_frac").mean;
    exp_doc_text(s, EXP_PLAIN_TONE,
                 "{0} % of the GPU time was measured on this GPU or lies between measurements.",
                 exp_short_words(100 * known).text, NULL);
    exp_report_evidence(s, r->run->setup->n_fleets, fleet_name, fleet_evidence, r->run);
}

/* ---- memory ---- */

#define GIB (1.0 / 1073741824.0)

static void put_memory(json_t *doc, const struct exp_setup *u)
{
    static const struct {
        const char *name;
        size_t offset;
    } parts[] = {{"weights", offsetof(struct mdl_memory, weight_bytes)},
                 {"activations", offsetof(struct mdl_memory, activation_bytes)},
                 {"CUDA graphs", offsetof(struct mdl_memory, graph_bytes)},
                 {"context, libraries", offsetof(struct mdl_memory, context_bytes)}};
    enum { N_PARTS = sizeof parts / sizeof parts[0] };
    json_t *s = exp_doc_section(doc, "memory", "Memory of a GPU");
    json_t *chart = exp_report_stacked(s, "gpu-memory", "What fills it", "GiB");
    json_t *series[N_PARTS + 2];
    for (int i = 0; i < N_PARTS + 2; i++)
        series[i] = exp_doc_series(chart, i < N_PARTS ? parts[i].name : i == N_PARTS ? "KV cache" : "free");
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        const struct mdl_memory *m = &u->fleets[f].memory;
        double kv_bytes = (double)m->blocks * m->unit_bytes, rest = m->total_bytes - kv_bytes;
        exp_doc_name(chart, u->fleets[f].name);
        for (int i = 0; i < N_PARTS; i++) {
            double bytes = *(const double *)((const char *)m + parts[i].offset);
            exp_doc_xy(series[i], f, exp_report_rounded(bytes * GIB));
            rest -= bytes;
        }
        exp_doc_xy(series[N_PARTS], f, exp_report_rounded(kv_bytes * GIB));
        exp_doc_xy(series[N_PARTS + 1], f, exp_report_rounded(fmax(0, rest) * GIB));
    }
}

/* ---- fleets and settings ---- */

static void put_fleets(json_t *s, const struct exp_run *run)
{
    const struct exp_setup *u = run->setup;
    json_t *t = exp_doc_table(s, "fleets", "Fleets");
    static const char *const texts[] = {"fleet", "GPU", "KV strategy", "engine", "profile"};
    static const char *const numbers[] = {"replicas", "tensor parallel", "pipeline parallel"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) exp_doc_column_text(t, texts[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) exp_doc_column(t, numbers[i], "");
    exp_doc_column(t, "room for KV", "tokens");
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        const struct exp_fleet_setup *fleet = &u->fleets[f];
        json_t *row = exp_doc_row(t);
        exp_doc_cell_text(row, fleet->name);
        exp_doc_cell_text(row, fleet->gpu->title);
        exp_doc_cell_text(row, fleet->kv.use.strategy->name);
        exp_doc_cell_text(row, fleet->engine.name);
        exp_doc_cell_text(row, fleet->cost ? mdl_profile_name(fleet->profile) : "none (linear cost)");
        exp_doc_cell(row, u->sim_fleets[f].n_replicas);
        exp_doc_cell(row, fleet->tensor_parallel);
        exp_doc_cell(row, fleet->pipeline_parallel);
        exp_doc_cell(row, (double)run->report->fleets[f].kv_capacity_tokens);
    }
}

static void put_setting(json_t *t, const char *fleet, const char *name, const char *value, const char *from)
{
    json_t *row = exp_doc_row(t);
    exp_doc_cell_text(row, fleet);
    exp_doc_cell_text(row, name);
    exp_doc_cell_text(row, value);
    exp_doc_cell_text(row, from);
}

static json_t *settings_table(json_t *s, const char *id, const char *title)
{
    json_t *t = exp_doc_table(s, id, title);
    exp_doc_folded(t);
    exp_doc_column_text(t, "fleet");
    exp_doc_column_text(t, "setting");
    exp_doc_column_text(t, "value");
    exp_doc_column_text(t, "from");
    return t;
}

static void put_engine(json_t *t, const struct exp_fleet_setup *f)
{
    for (int i = 0; i < EXP_N_SETTINGS; i++) {
        const struct exp_setting *e = &f->settings[i];
        char value[64];
        snprintf(value, sizeof value, "%.10g%s%s", e->value, *e->unit ? " " : "", e->unit);
        put_setting(t, f->name, e->name, e->word ? e->word : value, e->defaulted ? "default" : "scenario");
    }
}

static void put_parameters(json_t *t, const struct exp_fleet_setup *f, const struct exp_kv_keys *k)
{
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        enum mdl_kv_key key = (enum mdl_kv_key)i;
        if (isnan(f->kv.use.value[i])) continue;
        json_t *v = exp_parameter_json(key, f->kv.use.value[i]);
        char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        put_setting(t, f->name, mdl_kv_key_info(key)->name, text ? text : json_string_value(v),
                    k->value[i].given ? "scenario" : "default");
        free(text);
        json_decref(v);
    }
}

static void put_settings(json_t *doc, const struct exp_results *r)
{
    const struct exp_setup *u = r->run->setup;
    json_t *s = exp_doc_section(doc, "settings", "Fleets and settings");
    put_fleets(s, r->run);
    json_t *engine = settings_table(s, "engine-settings", "Engine settings");
    json_t *kv = settings_table(s, "kv-settings", "Settings of the KV strategy");
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        put_engine(engine, &u->fleets[f]);
        put_parameters(kv, &u->fleets[f], &r->scenario->fleet[f].kv);
    }
}

void exp_report_run_machine(json_t *doc, const struct exp_results *r)
{
    json_t *s = exp_doc_section(doc, "spent", "Where the time goes");
    if (r->figures->n_replications) exp_doc_text(s, EXP_SOFT_TONE, EXP_REPORT_ONE_RUN, NULL);
    put_spent(s, r->run);
    put_memory(doc, r->run->setup);
    put_settings(doc, r);
    put_evidence(doc, r);
}
