#include <math.h>
#include <stdlib.h>

#include "experiments/results.h"
#include "experiments/tuning/tune.h"
#include "sim/memory.h"
#include "sim/outfile.h"

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void put_band(json_t *o, const char *name, struct exp_band b)
{
    char key[96];
    json_object_set_new(o, name, real(b.mean));
    snprintf(key, sizeof key, "%s_lo", name);
    json_object_set_new(o, key, real(b.lo));
    snprintf(key, sizeof key, "%s_hi", name);
    json_object_set_new(o, key, real(b.hi));
}

static json_t *value_json(enum mdl_kv_key key, double value)
{
    enum mdl_kv_type type = mdl_kv_key_info(key)->type;
    if (type == MDL_KV_CHOICE) return json_string(exp_tune_value_text(key, value).text);
    if (type == MDL_KV_FLAG) return json_boolean(value > 0);
    return type == MDL_KV_COUNT ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *setting_json(const struct exp_tune *t, const struct exp_tune_setting *s)
{
    json_t *o = json_object();
    for (uint32_t i = 0; i < t->n_parameters; i++)
        json_object_set_new(o, mdl_kv_key_info(t->parameter[i].key)->name,
                            value_json(t->parameter[i].key, s->value[i]));
    return o;
}

static json_t *trial_json(const struct exp_tune *t, const struct exp_tune_trial *x)
{
    static const char *const fates[] = {"kept", "dropped", "cannot run", "refused"};
    json_t *o = json_object();
    double tpot_s = 0;
    for (uint32_t k = 0; k < x->n; k++) tpot_s += x->sample[k].tpot_s / x->n;
    json_object_set_new(o, "setting", setting_json(t, &x->setting));
    json_object_set_new(o, "outcome",
                        json_string(x == t->best && x->fate == EXP_TUNE_IN ? "best" : fates[x->fate]));
    json_object_set_new(o, "from", json_string(x->usual ? "default" : x->raced ? "grid" : "search"));
    json_object_set_new(o, "replications", json_integer(x->n));
    put_band(o, "objective", exp_tune_band(t, x));
    json_object_set_new(o, "meets_service_levels", x->n ? json_boolean(exp_tune_meets(x)) : json_null());
    json_object_set_new(o, "met_in_replications", json_integer(exp_tune_met_in(x)));
    json_object_set_new(o, "attained", real(exp_tune_attained(x)));
    json_object_set_new(o, "mean_tpot_ms", x->n ? real(tpot_s * 1e3) : json_null());
    json_object_set_new(o, "newly_failing", real(x->newly_failing));
    json_object_set_new(o, "quality_source", json_string(x->quality_source));
    json_object_set_new(o, "why", json_string(x->why));
    return o;
}

static json_t *profile_json(const struct exp_tune *t, uint32_t i)
{
    const struct exp_tune_profile *f = &t->profile[i];
    const struct exp_tune_parameter *p = &t->parameter[i];
    json_t *o = json_object(), *values = json_array(), *close = json_array();
    json_object_set_new(o, "parameter", json_string(mdl_kv_key_info(p->key)->name));
    json_object_set_new(o, "searched", json_string(p->smooth ? "minimised" : "raced"));
    json_object_set_new(o, "best", value_json(p->key, t->best->setting.value[i]));
    json_object_set_new(o, "default", value_json(p->key, p->usual));
    for (uint32_t k = 0; k < f->n; k++) {
        json_t *v = json_object();
        json_object_set_new(v, "value", value_json(p->key, f->value[k]));
        json_object_set_new(v, "objective", real(exp_tune_shown(t->objective, f->objective[k])));
        json_array_append_new(values, v);
        if (f->close[k]) json_array_append_new(close, value_json(p->key, f->value[k]));
    }
    json_object_set_new(o, "values", values);
    json_object_set_new(o, "within_1_percent", close);
    return o;
}

/* ---- rates that change ---- */

static json_t *rates_json(struct exp_tune_rates r)
{
    json_t *o = json_object();
    json_object_set_new(o, "miss_rate", real(r.miss));
    json_object_set_new(o, "correction_rate", real(r.correction));
    return o;
}

static json_t *static_json(const struct exp_tune *t, const struct exp_tune_static *x, bool adaptive)
{
    enum exp_tune_objective of = t->shift.objective;
    json_t *o = json_object();
    json_object_set_new(o, "policy", json_string(adaptive ? "adaptive" : "static"));
    if (!adaptive) json_object_set_new(o, "prefetch_pages", json_integer((json_int_t)x->prefetch_pages));
    put_band(o, "objective", exp_tune_shown_band(of, x->objective));
    put_band(o, "mean_tpot_s", x->tpot_s);
    json_object_set_new(o, "objective_rates_before", real(exp_tune_shown(of, x->mean_before)));
    json_object_set_new(o, "objective_rates_after", real(exp_tune_shown(of, x->mean_after)));
    json_object_set_new(o, "mean_tpot_s_rates_before", real(x->tpot_before_s));
    json_object_set_new(o, "mean_tpot_s_rates_after", real(x->tpot_after_s));
    json_object_set_new(o, "why", json_string(x->why));
    return o;
}

static json_t *shift_json(const struct exp_tune *t)
{
    const struct exp_tune_shift *s = &t->shift;
    if (!t->shifts) return json_null();
    json_t *o = json_object(), *rows = json_array();
    json_object_set_new(o, "before", rates_json(s->before));
    json_object_set_new(o, "after", rates_json(s->after));
    json_object_set_new(o, "objective", json_string(exp_tune_objective_name(s->objective)));
    json_object_set_new(o, "from_s", real(s->from_s));
    json_object_set_new(o, "learn_s", real(s->learn_s));
    json_object_set_new(o, "why", json_string(s->why));
    if (!s->why[0]) {
        json_array_append_new(rows, static_json(t, &s->adaptive, true));
        for (uint32_t i = 0; i < s->n_fixed; i++)
            json_array_append_new(rows, static_json(t, &s->fixed[i], false));
        json_object_set_new(o, "best_static", json_integer(s->best));
        json_object_set_new(o, "best_static_rates_before", json_integer(s->best_before));
        json_object_set_new(o, "best_static_rates_after", json_integer(s->best_after));
        put_band(o, "adaptive_gain", s->gain);
        put_band(o, "adaptive_tpot_gain", s->tpot_gain);
    }
    json_object_set_new(o, "settings", rows);
    return o;
}

/* ---- all ---- */

json_t *exp_tune_json(const struct exp_tune *t)
{
    json_t *o = json_object(), *profiles = json_array(), *limits = json_array(), *trials = json_array(),
           *warnings = json_array();
    json_object_set_new(o, "title", json_string(t->title));
    json_object_set_new(o, "strategy", json_string(t->strategy));
    json_object_set_new(o, "objective", json_string(exp_tune_objective_name(t->objective)));
    json_object_set_new(o, "unit", json_string(exp_tune_unit(t).text));
    json_object_set_new(o, "replications", json_integer(t->n_replications));
    json_object_set_new(o, "max_negatives", real(t->max_negatives));
    json_object_set_new(o, "best", trial_json(t, t->best));
    json_object_set_new(o, "default", trial_json(t, t->usual));
    json_object_set_new(o, "highest", trial_json(t, t->found));
    json_object_set_new(o, "advice", setting_json(t, &exp_tune_advice(t)->setting));
    json_object_set_new(o, "best_again", trial_json(t, t->best_again));
    json_object_set_new(o, "default_again", trial_json(t, t->usual_again));
    put_band(o, "gain", t->gain);
    json_object_set_new(o, "no_better_than_default", json_boolean(t->no_better));
    for (uint32_t i = 0; i < t->n_parameters; i++) json_array_append_new(profiles, profile_json(t, i));
    json_object_set_new(o, "flatness", profiles);
    for (uint32_t i = 0; i < t->n_limits; i++) json_array_append_new(limits, json_string(t->limit[i]));
    json_object_set_new(o, "limits", limits);
    for (uint32_t i = 0; i < exp_tune_book_count(t->book); i++)
        json_array_append_new(trials, trial_json(t, exp_tune_book_trial(t->book, i)));
    json_object_set_new(o, "settings", trials);
    json_object_set_new(o, "adaptive", shift_json(t));
    for (uint32_t i = 0; i < t->notes.n; i++) json_array_append_new(warnings, json_string(t->notes.text[i]));
    json_object_set_new(o, "warnings", warnings);
    json_object_set_new(o, "wall_s", real(t->wall_s));
    return o;
}

bool exp_tune_write(const struct exp_tune *t, const char *dir, struct sim_status *st)
{
    if (!exp_results_prepare(dir, st)) return false;
    char *path = sim_printf("%s/tune.json", dir);
    struct sim_outfile *f = sim_outfile_open(path, st);
    json_t *o = exp_tune_json(t);
    bool ok = f && (json_dumpf(o, sim_outfile_stream(f), JSON_INDENT(2) | JSON_REAL_PRECISION(17)) == 0 ||
                    sim_fail(st, "%s: writing failed, nothing was left behind; free some space", path));
    if (f && ok)
        ok = sim_outfile_commit(f, st);
    else
        sim_outfile_abandon(f);
    json_decref(o);
    free(path);
    return ok;
}
