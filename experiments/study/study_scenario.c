/* Points of a study: what point i sets, as texts and on a scenario. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/study_parts.h"
#include "experiments/value_text.h"
#include "experiments/values.h"
#include "sim/check.h"

/* What a point sets; texts of sampled numbers beside. */
struct turn {
    uint32_t n;
    struct exp_study_value value[EXP_STUDY_MAX_AXES];
    char (*sampled)[EXP_SAMPLED_BYTES]; /* [EXP_STUDY_MAX_AXES] */
};

static void add_samples(const struct exp_study *s, uint64_t i, struct turn *t)
{
    for (uint32_t k = 0; k < s->n_samplers; k++) {
        const struct exp_study_sampler *x = &s->sampler[k];
        struct exp_study_value *v = &t->value[t->n];
        *v = x->choice ? *exp_study_choice(s, x, i) : x->number;
        if (!x->choice) {
            exp_study_sample(s, x, i, t->sampled[t->n]);
            v->text = t->sampled[t->n];
        }
        t->n++;
    }
}

/* Digits of i, the last level's first; then the values from the first level on. */
static void take_turn(const struct exp_study *s, uint64_t i, struct turn *t)
{
    uint64_t digit[EXP_STUDY_MAX_AXES];
    SIM_CHECK(i < s->n_points);
    t->n = 0;
    for (uint32_t l = s->n_levels; l-- > 0; i /= s->level[l].n) digit[l] = i % s->level[l].n;
    for (uint32_t l = 0; l < s->n_levels; l++) {
        const struct exp_study_level *level = &s->level[l];
        if (!level->entry) add_samples(s, digit[l], t);
        for (uint32_t k = 0; level->entry && k < level->entry[digit[l]].n; k++)
            t->value[t->n++] = level->entry[digit[l]].value[k];
    }
}

void exp_study_point(const struct exp_study *s, uint64_t i, struct exp_study_point *out)
{
    struct turn t = {.sampled = out->sampled};
    take_turn(s, i, &t);
    out->n = 0;
    for (uint32_t k = 0; k < t.n; k++)
        if (!s->told[t.value[k].axis])
            out->setting[out->n++] =
                (struct exp_study_setting){s->axis[t.value[k].axis].path, t.value[k].text};
}

/* ---- as a scenario ---- */

/* Sampled numbers as YAML, all in one document. NULL when there are none. */
static struct mdl_yaml *parse_samples(struct turn *t, struct sim_status *st)
{
    char text[EXP_STUDY_MAX_AXES * (EXP_SAMPLED_BYTES + 2) + 2] = "";
    size_t n = 0, item = 0;
    for (uint32_t k = 0; k < t->n; k++)
        if (!t->value[k].at.node)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "[", t->value[k].text);
    if (n == 0) return NULL;
    snprintf(text + n, sizeof text - n, "]");
    struct mdl_yaml *y = mdl_yaml_parse("--random", text, n + 1, st);
    for (uint32_t k = 0; y && k < t->n; k++)
        if (!t->value[k].at.node) t->value[k].at.node = mdl_yaml_at(mdl_yaml_root(y), item++);
    return y;
}

/* The load of a point takes the place of the base's; two loads in one point contradict each other. */
static void drop_load(const struct turn *t, struct exp_scenario *out)
{
    for (uint32_t k = 0; k < t->n; k++)
        if (exp_scenario_source(t->value[k].at.path) != EXP_NO_LOAD) out->workload.source = EXP_NO_LOAD;
}

/* Parameters that a fleet's strategy does not have: of two axes, each value alone was fine. */
static bool check_parameters(const struct exp_scenario *s, struct sim_status *st)
{
    for (uint32_t f = 0; f < s->n_fleets; f++) {
        const struct exp_kv_keys *k = &s->fleet[f].kv;
        const struct mdl_strategy *own = mdl_strategy_at((size_t)k->strategy);
        for (int i = 0; i < MDL_N_KV_KEY; i++) {
            if (!k->value[i].given || mdl_strategy_default(own, (enum mdl_kv_key)i)) continue;
            return sim_fail(st,
                            "%s: fleet.%u.kv.%s: strategy %s has no such parameter, expected it with others "
                            "only; give it behind those that have it, as in freekv:budget=1024",
                            exp_scenario_where(s, &k->value[i]).text, f,
                            mdl_kv_key_info((enum mdl_kv_key)i)->name, own->name);
        }
    }
    return true;
}

bool exp_study_scenario(const struct exp_study *s, uint64_t i, struct exp_scenario *out,
                        struct sim_status *st)
{
    char sampled[EXP_STUDY_MAX_AXES][EXP_SAMPLED_BYTES];
    struct turn t = {.sampled = sampled};
    take_turn(s, i, &t);
    *out = *s->base;
    drop_load(&t, out);
    struct sim_status why = {0};
    struct mdl_yaml *samples = parse_samples(&t, &why);
    bool ok = !why.message[0] && exp_study_set(s, t.value, t.n, out, &why);
    mdl_yaml_free(samples);
    ok = ok && check_parameters(out, &why) && exp_scenario_check(out, &why);
    return ok || sim_fail(st, "%s", why.message);
}

/* ---- as JSON ---- */

/* Digits as they are written, so that 2^64 - 1 stays what it is; else the shortest that read back to the number. */
static char *json_value(const char *text)
{
    double number;
    bool digits = *text && strspn(text, "0123456789") == strlen(text) && (text[0] != '0' || !text[1]);
    if (digits) return sim_strdup(text);
    if (exp_study_number(text, &number)) return sim_strdup(exp_digits_of(number).text);
    json_t *string = json_string(text);
    char *dumped = string ? json_dumps(string, JSON_ENCODE_ANY) : sim_strdup("null");
    json_decref(string);
    return dumped;
}

char *exp_study_settings_json(const struct exp_study_point *p)
{
    char *all = sim_strdup("{");
    for (uint32_t i = 0; i < p->n; i++) {
        char *value = json_value(p->setting[i].value);
        char *longer = sim_printf("%s%s\"%s\":%s", all, i ? "," : "", p->setting[i].path, value);
        free(value);
        free(all);
        all = longer;
    }
    char *text = sim_printf("%s}", all);
    free(all);
    return text;
}
