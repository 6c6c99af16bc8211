/* Values of a study onto scenarios, by the table of keys; strategies as `kvsim compare` has them. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/study_parts.h"
#include "experiments/values.h"
#include "sim/line_in.h"

bool exp_study_number(const char *text, double *out)
{
    char *end;
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text)) return false;
    *out = strtod(text, &end);
    return !*end && isfinite(*out);
}

/* ---- setting ---- */

static bool set_key(const struct exp_study *s, const struct exp_study_place *at, struct exp_scenario *out,
                    struct sim_status *st)
{
    return exp_scenario_set_node(out, &(struct exp_alias){at->path, at->path, s->folder, true}, at->node, st);
}

/* Parameters that the strategy does not have, also where the fleet had it before. */
static void forget_others(struct exp_kv_keys *k)
{
    const struct mdl_strategy *own = mdl_strategy_at((size_t)k->strategy);
    for (int i = 0; i < MDL_N_KV_KEY; i++)
        if (!mdl_strategy_default(own, (enum mdl_kv_key)i)) k->value[i] = (struct exp_number){0, false};
}

static bool set_strategy(const struct exp_study *s, const struct exp_study_strategy *x,
                         struct exp_scenario *out, struct sim_status *st)
{
    const struct exp_contender *c = &x->contender;
    if (!exp_scenario_take_strategy(out, c->strategy->name, st)) return false;
    for (uint32_t f = 0; f < out->n_fleets; f++) {
        forget_others(&out->fleet[f].kv);
        for (uint32_t i = 0; i < c->n_settings; i++) {
            char path[96];
            snprintf(path, sizeof path, "fleet.%u.kv.%s", f, c->setting[i].key);
            struct exp_study_place at = {.path = path, .node = x->setting[i]};
            if (!set_key(s, &at, out, st)) return false;
        }
    }
    return true;
}

enum phase { BEFORE, STRATEGY, PARAMETERS, N_PHASES };

static enum phase phase_of(const struct exp_study_value *v)
{
    if (v->strategy) return STRATEGY;
    bool kv = v->at.key->scope == EXP_IN_FLEET && strncmp(v->at.key->name, "kv.", 3) == 0;
    return kv ? PARAMETERS : BEFORE;
}

bool exp_study_set(const struct exp_study *s, const struct exp_study_value *value, uint32_t n,
                   struct exp_scenario *out, struct sim_status *st)
{
    for (int phase = BEFORE; phase < N_PHASES; phase++)
        for (uint32_t i = 0; i < n; i++) {
            const struct exp_study_value *v = &value[i];
            if (v->at.label || (int)phase_of(v) != phase) continue;
            if (!(v->strategy ? set_strategy(s, v->strategy, out, st) : set_key(s, &v->at, out, st)))
                return false;
        }
    return true;
}

/* ---- reading ---- */

/* "[0.8, 1.2]" of a list of scalars. */
static char *list_text(struct exp_study *s, const struct mdl_yaml_node *list)
{
    struct sim_status never = {0};
    char *all = sim_strdup("[");
    for (size_t i = 0; i < mdl_yaml_size(list); i++) {
        const char *item = mdl_yaml_string(mdl_yaml_at(list, i), "", &never);
        char *longer = sim_printf("%s%s%s", all, i ? ", " : "", item ? item : "");
        free(all);
        all = longer;
    }
    char *text = sim_printf("%s]", all), *kept = sim_arena_strdup(s->arena, text);
    free(all);
    free(text);
    return kept;
}

bool exp_study_value(struct exp_study *s, const struct exp_study_place *at, struct exp_scenario *scratch,
                     struct exp_study_value *out, struct sim_status *st)
{
    struct sim_status never = {0};
    if (!set_key(s, at, scratch, st)) return false;
    bool scalar = mdl_yaml_kind(at->node) == MDL_YAML_SCALAR;
    const char *text = scalar ? mdl_yaml_string(at->node, "", &never) : list_text(s, at->node);
    *out = (struct exp_study_value){*at, text, NULL, 0};
    return true;
}

/* ---- strategies ---- */

/* Without the option that others write them behind. */
static const char *plain_message(const struct sim_status *why)
{
    static const char option[] = "--strategies: ";
    return why->message + (strncmp(why->message, option, strlen(option)) == 0 ? strlen(option) : 0);
}

static bool not_names(const struct exp_study_place *at, const char *text, struct sim_status *st)
{
    return sim_fail(st, "%s: strategy is `%s`, expected one such as freekv:budget=1024, or all",
                    exp_where(at->node).text, sim_excerpt(text, strlen(text)).text);
}

/* The text as one name; NULL with a message. */
static const char *name_at(const struct exp_study_place *at, struct sim_status *st)
{
    struct sim_status empty = {0};
    bool scalar = mdl_yaml_kind(at->node) == MDL_YAML_SCALAR;
    const char *text = scalar ? mdl_yaml_string(at->node, "strategy", &empty) : NULL;
    bool plain = text && *text && !strchr(text, ',');
    for (const char *c = text; plain && *c; c++) plain = !iscntrl((unsigned char)*c);
    if (plain) return text;
    not_names(at,
              text                                       ? text
              : scalar                                   ? ""
              : mdl_yaml_kind(at->node) == MDL_YAML_LIST ? "[...]"
                                                         : "{...}",
              st);
    return NULL;
}

/* Its parameters as YAML, each tried on a fleet. */
static bool take_settings(struct exp_study *s, const struct exp_study_place *at, struct exp_study_strategy *x,
                          struct sim_status *st)
{
    struct sim_status why = {0};
    struct exp_scenario *fleet = exp_scenario_copy(s->base);
    if (fleet->n_fleets == 0) exp_key_resolve(fleet, "fleet.0.gpu", "", &(struct exp_target){0}, &why);
    bool ok = true;
    for (uint32_t i = 0; ok && i < x->contender.n_settings; i++) {
        const char *value = x->contender.setting[i].value;
        struct mdl_yaml *y = exp_study_keep(s, mdl_yaml_parse("--strategy", value, strlen(value), &why));
        ok = y != NULL;
        if (ok) x->setting[i] = mdl_yaml_root(y);
    }
    ok = ok && set_strategy(s, x, fleet, &why);
    free(fleet);
    return ok || sim_fail(st, "%s: strategy %.60s: %s", exp_where(at->node).text, x->contender.label,
                          strncmp(why.message, "--strategy: ", 12) == 0 ? why.message + 12 : why.message);
}

static bool count_strategies(struct exp_study *s, const struct exp_study_place *at, uint32_t n,
                             struct sim_status *st)
{
    s->n_strategies += n;
    return s->n_strategies <= EXP_STUDY_MOST_STRATEGIES ||
           sim_fail(st, "%s: more than %d strategies, expected fewer; leave some out",
                    exp_where(at->node).text, EXP_STUDY_MOST_STRATEGIES);
}

uint32_t exp_study_strategies(struct exp_study *s, const struct exp_study_place *at,
                              const struct exp_study_value **out, struct sim_status *st)
{
    struct sim_status why = {0};
    const char *text = name_at(at, st);
    if (!text) return 0;
    struct exp_contenders *list = sim_alloc(1, sizeof *list);
    bool ok = exp_contenders_parse(text, list, &why) ||
              sim_fail(st, "%s: strategy: %s", exp_where(at->node).text, plain_message(&why));
    /* `full` comes first in any list: alone it is what was asked for, with one more it was not. */
    uint32_t from = ok && list->n == 2 ? 1 : 0, n = ok ? list->n - from : 0;
    struct exp_study_value *value = sim_arena_alloc(s->arena, n + 1, sizeof *value);
    ok = ok && count_strategies(s, at, n, st);
    for (uint32_t i = 0; ok && i < n; i++) {
        struct exp_study_strategy *x = sim_arena_alloc(s->arena, 1, sizeof *x);
        x->contender = list->at[from + i];
        value[i] = (struct exp_study_value){*at, x->contender.label, x, 0};
        ok = take_settings(s, at, x, st);
    }
    free(list);
    *out = value;
    return ok ? n : 0;
}
