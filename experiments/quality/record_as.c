#include "experiments/quality/record_as.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/published_rows.h"
#include "models/yaml.h"
#include "sim/csv_in.h"
#include "sim/memory.h"

/* ---- what the user says ---- */

static bool wrong(const char *text, const char *why, struct sim_status *st)
{
    return sim_fail_as(st, SIM_EXIT_USAGE,
                       "--record-as `%.120s`: %s, expected METHOD=STRATEGY:PARAMETER=VALUE:..., such as "
                       "kivi/4bits=kivi4:bits=4",
                       text, why);
}

static const struct mdl_strategy *find_strategy(const char *text, size_t n, struct sim_status *st)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), text);
    return mdl_strategy_find(name, st);
}

/* The `=` behind the method: names of methods may hold some, so it is the first with a strategy behind it. */
static const char *split(const char *text, const struct mdl_strategy **strategy, struct sim_status *st)
{
    struct sim_status first = {0};
    for (const char *at = strchr(text, '='); at; at = strchr(at + 1, '=')) {
        struct sim_status why = {0};
        *strategy = find_strategy(at + 1, strcspn(at + 1, ":"), &why);
        if (*strategy) return at;
        if (first.code == SIM_EXIT_OK) first = why;
    }
    wrong(text, first.message[0] ? first.message : "there is no `=`", st);
    return NULL;
}

/* Names and ranges are judged as in the record's own rows. */
static bool check_parameters(const char *text, const struct mdl_strategy *strategy, const char *parameters,
                             struct sim_status *st)
{
    const size_t length = strlen(parameters);
    const struct sim_csv_row row = {"--record-as", 1, 1, &parameters, &length};
    struct mdl_row_parameters p;
    struct sim_status why = {0};
    if (!mdl_row_parameters(&row, 0, &p, &why))
        return wrong(text, "not all of its parameters are some that answers depend on, with numbers in range",
                     st);
    for (uint32_t i = 0; i < p.n; i++)
        if (!mdl_strategy_default(strategy, p.key[i])) {
            char what[160];
            snprintf(what, sizeof what, "%s has no parameter `%s`", strategy->name,
                     mdl_kv_key_info(p.key[i])->name);
            return wrong(text, what, st);
        }
    return true;
}

bool exp_record_as_parse(const char *text, const struct exp_scores *s, uint32_t *method,
                         struct exp_record_as *out, struct sim_status *st)
{
    const struct mdl_strategy *strategy = NULL;
    struct exp_record_as as;
    const char *equals = split(text, &strategy, st);
    if (!equals) return false;
    const char *parameters = equals + 1 + strcspn(equals + 1, ":");
    parameters += *parameters == ':';
    if (snprintf(as.parameters, sizeof as.parameters, "%s", parameters) >= (int)sizeof as.parameters)
        return wrong(text, "its parameters are too long", st);
    for (char *c = as.parameters; *c; c++)
        if (*c == ':') *c = ',';
    snprintf(as.strategy, sizeof as.strategy, "%s", strategy->name);
    if (!check_parameters(text, strategy, as.parameters, st)) return false;
    char *name = sim_printf("%.*s", (int)(equals - text), text);
    uint32_t found = exp_scores_method(s, name, st);
    free(name);
    if (found == UINT32_MAX) return false;
    *method = found;
    *out = as;
    return true;
}

/* ---- what names say ---- */

/* A whole number behind `before` at *at, and `after` behind it; goes on behind that. 0 when it is not there. */
static uint32_t take_number(const char **at, const char *before, const char *after)
{
    size_t n = strlen(before);
    if (strncmp(*at, before, n) != 0) return 0;
    const char *digits = *at + n;
    size_t n_digits = strspn(digits, "0123456789");
    if (n_digits == 0 || n_digits > 7 || strncmp(digits + n_digits, after, strlen(after)) != 0) return 0;
    *at = digits + n_digits + strlen(after);
    return (uint32_t)strtoul(digits, NULL, 10);
}

static bool guess_kivi(const char *params, struct exp_record_as *out)
{
    uint32_t bits = take_number(&params, "", "bits"), group = take_number(&params, "_group", "");
    uint32_t residual = take_number(&params, "_residual", "");
    snprintf(out->strategy, sizeof out->strategy, "kivi4|kivi2");
    snprintf(out->parameters, sizeof out->parameters, "bits=%u,group=%u,residual=%u", bits, group, residual);
    return bits && group && residual && !*params;
}

static bool guess_gear(const char *params, struct exp_record_as *out)
{
    uint32_t bits = take_number(&params, "", "bits");
    snprintf(out->strategy, sizeof out->strategy, "gear4|gear2");
    snprintf(out->parameters, sizeof out->parameters, "bits=%u", bits);
    return bits && !*params;
}

/* `c512_w32_k7_maxpool`: of the tokens kept, 512; what else is there changes no score, see models/quality/. */
static bool guess_h2o(const char *params, struct exp_record_as *out)
{
    uint32_t budget = take_number(&params, "c", "");
    snprintf(out->strategy, sizeof out->strategy, "h2o");
    snprintf(out->parameters, sizeof out->parameters, "budget=%u,heavy_frac=0", budget);
    return budget && (!*params || *params == '_');
}

static bool guess_streaming(const char *params, struct exp_record_as *out)
{
    uint32_t budget = take_number(&params, "c", "");
    snprintf(out->strategy, sizeof out->strategy, "streaming_llm");
    snprintf(out->parameters, sizeof out->parameters, "budget=%u,sink=64", budget);
    return budget && (!*params || *params == '_');
}

bool exp_record_as_guess(const char *method, struct exp_record_as *out)
{
    static const struct {
        const char *alg;
        bool (*guess)(const char *params, struct exp_record_as *out);
    } known[] = {{"kivi/", guess_kivi},
                 {"gear/", guess_gear},
                 {"h2o/", guess_h2o},
                 {"streamingllm/", guess_streaming}};
    struct exp_record_as as = {.parameters = ""};
    struct sim_status never = {0};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t n = strlen(known[i].alg);
        if (strncmp(method, known[i].alg, n) != 0 || !known[i].guess(method + n, &as)) continue;
        *out = as;
        return true;
    }
    if (!mdl_strategy_find(method, &never)) return false;
    snprintf(as.strategy, sizeof as.strategy, "%s", method);
    *out = as;
    return true;
}
