#include "experiments/results.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <csv.h>

#include "experiments/folder.h"
#include "experiments/list_strategies.h"
#include "experiments/number_out.h"
#include "experiments/print_run.h"
#include "experiments/report/of.h"
#include "experiments/scenario_out.h"
#include "experiments/version.h"
#include "sim/outfile.h"

/* ---- summary.json ---- */

static json_t *settings_json(const struct exp_fleet_setup *f)
{
    json_t *engine = json_object(), *defaulted = json_array();
    json_object_set_new(engine, "name", json_string(f->engine.name));
    for (int i = 0; i < EXP_N_SETTINGS; i++) {
        const struct exp_setting *s = &f->settings[i];
        bool whole = !s->word && s->value == (double)(json_int_t)s->value;
        bool truth = s->word && (strcmp(s->word, "true") == 0 || strcmp(s->word, "false") == 0);
        json_object_set_new(engine, s->name,
                            truth     ? json_boolean(s->word[0] == 't')
                            : s->word ? json_string(s->word)
                            : whole   ? json_integer((json_int_t)s->value)
                                      : json_real(s->value));
        if (s->defaulted) json_array_append_new(defaulted, json_string(s->name));
    }
    json_object_set_new(engine, "defaulted", defaulted);
    return engine;
}

static json_t *memory_json(const struct mdl_memory *m)
{
    const struct {
        const char *name;
        double count; /* whole bytes, blocks or tokens, below 2^53 */
    } rows[] = {{"total_bytes", m->total_bytes},
                {"usable_bytes", m->usable_bytes},
                {"weight_bytes", m->weight_bytes},
                {"activation_bytes", m->activation_bytes},
                {"graph_bytes", m->graph_bytes},
                {"context_bytes", m->context_bytes},
                {"kv_bytes", m->kv_bytes},
                {"block_bytes", m->block_bytes},
                {"unit_bytes", m->unit_bytes},
                {"blocks", (double)m->blocks},
                {"host_unit_bytes", m->host_unit_bytes},
                {"host_blocks", (double)m->host_blocks},
                {"kv_capacity_tokens", (double)m->kv_capacity_tokens}};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        json_object_set_new(o, rows[i].name, json_integer((json_int_t)rows[i].count));
    return o;
}

static json_t *kv_json(const struct exp_kv_setup *kv)
{
    json_t *o = json_pack("{s:s}", "strategy", kv->use.strategy->name), *values = json_object();
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        enum mdl_kv_key key = (enum mdl_kv_key)i;
        if (!isnan(kv->use.value[i]))
            json_object_set_new(values, mdl_kv_key_info(key)->name,
                                exp_parameter_json(key, kv->use.value[i]));
    }
    json_object_set_new(o, "parameters", values);
    json_object_set_new(o, "gpu_bytes_per_token", json_real(kv->gpu_bytes_per_token));
    json_object_set_new(o, "host_bytes_per_token", json_real(kv->host_bytes_per_token));
    json_object_set_new(o, "length_factor", json_real(kv->shifts ? kv->lengths->mean : 1));
    json_object_set_new(o, "length_source", json_string(kv->lengths->source));
    json_object_set_new(o, "kernels_measured", json_boolean(kv->methods != NULL));
    return o;
}

/* What the fleet did, in the run without drawn errors. */
static json_t *did_json(const struct sim_fleet_report *r)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "kv_capacity_tokens",
                     (json_int_t)r->kv_capacity_tokens, "kv_peak_utilization", r->kv_peak_utilization,
                     "kv_mean_utilization", r->kv_mean_utilization, "kv_host_peak_utilization",
                     r->kv_host_peak_utilization, "gpu_busy", r->gpu_busy, "link_busy", r->link_busy,
                     "host_link_busy", r->host_link_busy, "exposed_frac", r->exposed_frac, "preemptions",
                     (json_int_t)r->preemptions, "max_running", (json_int_t)r->max_running, "fell_back",
                     (json_int_t)r->fell_back);
}

static json_t *fleet_json(const struct exp_fleet_setup *f, const struct sim_fleet *sim)
{
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s}", "name", f->name, "gpu", f->gpu->name, "replicas",
                          (json_int_t)sim->n_replicas, "tensor_parallel", (json_int_t)f->tensor_parallel,
                          "pipeline_parallel", (json_int_t)f->pipeline_parallel, "profile",
                          f->cost ? mdl_profile_name(f->profile) : "linear");
    json_object_set_new(o, "engine", settings_json(f));
    json_object_set_new(o, "memory", memory_json(&f->memory));
    json_object_set_new(o, "kv", kv_json(&f->kv));
    return o;
}

/* JSON's whole numbers are signed here: a seed above them is text. */
static json_t *seed_json(uint64_t seed)
{
    char text[EXP_NUMBER_BYTES + 1] = "";
    if (seed <= INT64_MAX) return json_integer((json_int_t)seed);
    *exp_put_u64(text, seed) = '\0';
    return json_string(text);
}

json_t *exp_results_json(const struct exp_results *r)
{
    const struct exp_setup *u = r->run->setup;
    json_t *o = exp_figures_json(r->figures), *fleets = json_array(), *warnings = json_array();
    for (uint32_t i = 0; i < u->n_fleets; i++) {
        json_t *fleet = fleet_json(&u->fleets[i], &u->sim_fleets[i]);
        json_object_set_new(fleet, "figures", did_json(&r->run->report->fleets[i]));
        json_array_append_new(fleets, fleet);
    }
    if (exp_load_warning(r->figures))
        json_array_append_new(warnings, json_string(exp_load_warning(r->figures)));
    for (uint32_t i = 0; i < u->notes.n; i++) json_array_append_new(warnings, json_string(u->notes.text[i]));
    json_object_set_new(o, "model", json_string(u->arch.name));
    json_object_set_new(o, "weights", json_string(mdl_dtype_name((enum mdl_dtype)r->scenario->weights)));
    json_object_set_new(o, "router", json_string(r->scenario->router));
    json_object_set_new(o, "seed", seed_json(r->scenario->seed));
    json_object_set_new(o, "version", json_string(EXP_VERSION));
    if (u->workload.scaled) {
        json_object_set_new(o, "dispersion_10s_before", json_real(u->workload.before.dispersion[1]));
        json_object_set_new(o, "dispersion_10s_after", json_real(u->workload.after.dispersion[1]));
    }
    json_object_set_new(o, "fleets", fleets);
    json_object_set_new(o, "warnings", warnings);
    return o;
}

/* ---- requests.csv ---- */

enum { ROW_BYTES = 512 };

static void write_id(const struct trc_trace *t, uint64_t i, FILE *out)
{
    const char *id = t->request_id ? t->request_id[i] : NULL;
    char number[EXP_NUMBER_BYTES];
    if (!id)
        fwrite(number, 1, (size_t)(exp_put_u64(number, t->file_row ? t->file_row[i] : i) - number), out);
    else if (strpbrk(id, ",\"\r\n"))
        csv_fwrite(out, id, strlen(id));
    else
        fputs(id, out);
}

static char *put_text(char *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

/* The row behind its id; class names are at most 31 bytes, so that a row fits. */
static char *put_request(char *at, const struct exp_run *run, uint64_t i)
{
    const struct sim_request *q = &run->setup->config.load.requests[i];
    const struct sim_outcome *o = &run->result->outcomes[i];
    bool arrived = o->status != SIM_NOT_ARRIVED, completed = o->status == SIM_COMPLETED;
    const double times[] = {o->queue_s, o->ttft_s, sim_tpot_s(o), o->e2el_s};
    *at++ = ',';
    at = put_text(at, run->setup->class_names[q->slo_class]);
    *at++ = ',';
    if (arrived && o->status != SIM_REJECTED_TOO_LONG) at = exp_put_u64(at, o->replica);
    *at++ = ',';
    if (arrived) at = exp_put_double(at, o->arrival_s);
    *at++ = ',';
    at = exp_put_u64(at, q->input_tokens);
    *at++ = ',';
    at = exp_put_u64(at, arrived ? o->output_tokens : q->output_tokens);
    for (int k = 0; k < 4; k++) {
        *at++ = ',';
        if (completed) at = exp_put_double(at, times[k]);
    }
    *at++ = ',';
    at = exp_put_u64(at, o->preemptions);
    *at++ = ',';
    at = put_text(at, sim_outcome_name((enum sim_outcome_status)o->status));
    *at++ = ',';
    at = exp_put_u64(at, q->output_tokens);
    *at++ = '\n';
    return at;
}

static void write_request(const struct exp_run *run, uint64_t i, FILE *out)
{
    char row[ROW_BYTES];
    write_id(run->setup->workload.trace, i, out);
    fwrite(row, 1, (size_t)(put_request(row, run, i) - row), out);
}

static void write_requests(const struct exp_results *r, FILE *out)
{
    fputs("request_id,slo_class,replica,arrival_s,input_tokens,output_tokens,queue_s,ttft_s,tpot_s,e2el_s,"
          "preemptions,status,baseline_output_tokens\n",
          out);
    for (uint64_t i = 0; i < r->run->result->n_requests && !ferror(out); i++) write_request(r->run, i, out);
}

/* ---- timeline.csv ---- */

/* The last row is the end of the run. link_utilization is that of the time since the row before. */
static void write_timeline(const struct exp_results *r, FILE *out)
{
    const struct sim_result *res = r->run->result;
    fputs(
        "time_s,running,waiting,used_blocks,kv_utilization,arrived,completed,output_tokens,link_utilization,"
        "host_kv_utilization\n",
        out);
    for (uint32_t i = 0; i <= res->n_timeline; i++) {
        const struct sim_sample *s = i < res->n_timeline ? &res->timeline[i] : &res->at_end;
        struct exp_moment m = exp_run_moment(r->run, i);
        fprintf(out, "%.17g,%llu,%llu,%llu,%.6g,%llu,%llu,%llu,%.6g,%.6g\n", s->time_s,
                (unsigned long long)s->running, (unsigned long long)s->waiting,
                (unsigned long long)s->used_blocks, m.kv_used, (unsigned long long)s->arrived,
                (unsigned long long)s->completed, (unsigned long long)s->output_tokens, m.link_busy,
                m.host_kv_used);
    }
}

/* ---- the folder ---- */

static bool write_csv(struct exp_folder *f, const char *name,
                      void (*write)(const struct exp_results *r, FILE *out), const struct exp_results *r,
                      struct sim_status *st)
{
    FILE *out = exp_folder_open(f, name, st);
    if (out) write(r, out);
    return out && exp_folder_written(f, st);
}

static bool write_scenario(struct exp_folder *f, const struct exp_results *r, struct sim_status *st)
{
    FILE *out = exp_folder_open(f, "scenario.yaml", st);
    return out && exp_scenario_write(r->scenario, out, st) && exp_folder_written(f, st);
}

bool exp_results_prepare(const char *dir, struct sim_status *st)
{
    if (!sim_make_dir(dir, st)) return false;
    return access(dir, W_OK | X_OK) == 0 ||
           sim_fail(st, "%s: cannot be written to (%s), expected a writable folder; name another place", dir,
                    strerror(errno));
}

bool exp_results_write(const struct exp_results *r, const char *dir, struct sim_status *st)
{
    struct exp_folder f = {.dir = dir};
    bool ok = exp_results_prepare(dir, st) &&
              exp_folder_json(&f, "summary.json", exp_results_json(r),
                              JSON_INDENT(2) | JSON_REAL_PRECISION(17), st) &&
              write_csv(&f, "requests.csv", write_requests, r, st) &&
              write_csv(&f, "timeline.csv", write_timeline, r, st) && write_scenario(&f, r, st) &&
              exp_folder_report(&f, exp_report_of_run(r, st), r->data_dir, st);
    return exp_folder_commit(&f, ok, NULL, st);
}
