#include "experiments/planning/file/plan_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/values.h"
#include "sim/check.h"
#include "sim/memory.h"

#define P(field) offsetof(struct exp_plan, field)
#define C(field) offsetof(struct exp_plan_class, field)
#define H(field) offsetof(struct exp_plan_have, field)
#define REAL(n, u, at, d, lo, hi, x, h)                                                                      \
    {                                                                                                        \
        {n, EXP_IN_SCENARIO, EXP_REAL, false, u, d, lo, hi, NULL, at, x, h, NULL}, &exp_form_plain           \
    }
#define MAYBE(n, u, at, d, lo, hi, h)                                                                        \
    {                                                                                                        \
        {n, EXP_IN_SCENARIO, EXP_REAL, true, u, d, lo, hi, NULL, at, NULL, h, NULL}, &exp_form_plain         \
    }
#define COUNT(n, u, at, d, lo, hi, x, h)                                                                     \
    {                                                                                                        \
        {n, EXP_IN_SCENARIO, EXP_COUNT, false, u, d, lo, hi, NULL, at, x, h, NULL}, &exp_form_plain          \
    }
#define FLAG(n, at, d, h)                                                                                    \
    {                                                                                                        \
        {n, EXP_IN_SCENARIO, EXP_FLAG, false, "", d, 0, 0, NULL, at, NULL, h, NULL}, &exp_form_plain         \
    }
#define TEXT(t, n, at, d, h)                                                                                 \
    {                                                                                                        \
        {n, EXP_IN_SCENARIO, t, false, "", d, 0, 0, NULL, at, NULL, h, NULL}, &exp_form_plain                \
    }
#define WORD(n, at, c, d, x, h, form)                                                                        \
    {                                                                                                        \
        {n, EXP_IN_SCENARIO, EXP_CHOICE, false, "", d, 0, 0, c, at, x, h, NULL}, &form                       \
    }
#define LIST(t, n, at, d, lo, hi, c, x, h, form)                                                             \
    {                                                                                                        \
        {n, EXP_IN_SCENARIO, t, false, "", d, lo, hi, c, at, x, h, NULL}, &form                              \
    }
#define ASSUMED "; assumed: nobody publishes it, put your own"

/* clang-format off */
static const struct exp_plan_row rows[] = {
    LIST(EXP_ROUTER, "router", 0, "least_outstanding", 0, 0, NULL, "least_outstanding", "which replica takes a request (kvsim list routers). Default: as a load balancer that knows its servers", exp_form_router),

    REAL("load.peak_to_mean", "", P(peak_to_mean), "2.7", 1, 20, NULL, "the load as given is the planned peak of a day; its mean is so many times lower. Default: ServeGen's production traces, 42.5 / 16.0 requests/s"),
    LIST(EXP_REAL, "load.rate_curve", P(rate_curve), "", 0, 1e12, NULL, NULL, "24 figures, the load of each hour of the day in any unit, in place of peak_to_mean", exp_form_curve),
    REAL("load.growth_per_year", "", P(growth_per_year), "0", -0.99, 100, NULL, "0.6: after a year 1.6 times the load. Default: none"),
    COUNT("load.horizon_months", "months", P(horizon_months), "36", 1, 120, NULL, "how long the plan counts. Default: three years, a common depreciation of servers"),

    REAL("classes.NAME.cost_per_failure", "currency", C(cost_per_failure), "0", 0, 1e9, NULL, "what an answer costs that is good with full KV and fails with the strategy. Default: nothing, which flatters every lossy strategy"),
    REAL("classes.NAME.cost_per_slo_miss", "currency", C(cost_per_slo_miss), "0", 0, 1e9, NULL, "what a request costs that is outside its limits. Default: nothing"),
    REAL("classes.NAME.churn_per_failure", "share", C(churn_per_failure), "0", 0, 1, NULL, "share of failing answers that lose a customer. Default: none"),
    REAL("classes.NAME.customer_value", "currency", C(customer_value), "0", 0, 1e12, NULL, "what a customer who leaves was worth"),
    MAYBE("classes.NAME.max_failure_rate", "share", C(max_failure_rate), "no limit", 0, 1, "share of the class's answers that may newly fail; strategies that are known to fail more often are out"),

    TEXT(EXP_NAME, "have.N.gpu", H(gpu), "", "machines that there are: catalogue name of the card (kvsim list gpus)"),
    COUNT("have.N.servers", "servers", H(servers), "0", 0, 10000, NULL, "how many of them"),
    COUNT("have.N.gpus_per_server", "GPUs", H(gpus_per_server), "8", 1, 64, NULL, "GPUs of a server. Default: as sold with SXM cards"),
    MAYBE("have.N.host_gib", "GiB", H(host_gib), "by the card's server", 0, 1e6, "host memory of a server for KV"),
    WORD("have.N.link", H(link), "own|pcie3|pcie4|pcie5|pcie6", "own", NULL, "host link of a GPU, where it is not the card's own", exp_form_link),
    COUNT("have.N.tensor_parallel", "GPUs", H(tensor_parallel), "0", 0, 64, NULL, "GPUs of a replica today; 0 = the candidate's, where it fits"),

    LIST(EXP_TEXT, "baseline.kv", P(baseline), "full", 0, 0, NULL, NULL, "KV strategy that saving and payback are measured against. Default: what engines do", exp_form_baseline),

    LIST(EXP_NAME, "search.gpu", P(search_gpu), "[a100-80-sxm, h100-sxm, h200-sxm, b200-sxm, l40s]", 0, 0, NULL, "[l40s, h100-sxm]", "cards that may be bought or rented. Default: those with measured operators and a price", exp_form_gpus),
    LIST(EXP_COUNT, "search.tensor_parallel", P(tensor_parallel), "", 1, 64, NULL, "[1]", "GPUs of a replica. Default: the three smallest powers of two at which the weights fit one of the cards", exp_form_degrees),
    LIST(EXP_TEXT, "search.strategy", P(strategies), "[full, fp8, kivi4, freekv]", 0, 0, NULL, "[full, fp8]", "KV strategies with settings as in freekv:budget=1024, or all; full is always among them. Default: one of each kind: none, shipped by engines, quantised, retrieved", exp_form_strategies),
    COUNT("search.gpus_per_server", "GPUs", P(gpus_per_server), "8", 1, 64, NULL, "GPUs of a server that is bought. Default: as sold with SXM cards"),
    LIST(EXP_CHOICE, "search.acquire", P(acquire), "[buy, rent, mix]", 0, 0, "buy|rent|mix", NULL, "ways to get machines; mix: own the base, rent the peak", exp_form_acquire),

    COUNT("spare.servers", "servers", P(spare_servers), "0", 0, 1000, NULL, "servers that stand by, beside those that serve"),
    REAL("spare.headroom", "share", P(headroom), "0", 0, 10, NULL, "0.2: the fleet is sized for 1.2 times the peak. Default: none"),
    FLAG("robust", P(robust), "false", "the service levels hold with one server lost"),

    REAL("supply.lead_time_months", "months", P(lead_time_months), "0", 0, 120, NULL, "from order to service of a server. Default: none"),
    WORD("supply.bridge", P(bridge_rent), "rent|wait", "rent", NULL, "until then: rent what is missing, or let the load miss its limits", exp_form_bridge),

    LIST(EXP_NAME, "money.currency", P(currency), "USD", 0, 0, NULL, NULL, "of all costs of this plan", exp_form_currency),
    REAL("money.exchange_rate", "", P(exchange_rate), "1", 1e-6, 1e6, NULL, "units of that currency for a US dollar, in which prices ship"),
    REAL("money.discount_rate", "a year", P(discount_rate), "0.08", 0, 10, NULL, "what a year's wait takes off money. Default: a usual cost of capital; ask finance"),
    TEXT(EXP_PATH, "money.prices", P(prices), "", "prices over those that ship, row by row (models/prices/README.md)"),

    TEXT(EXP_PATH, "quality.record", P(quality), "", "what strategies do to answers, as `kvsim quality --record` writes it. Default: the record that ships, from published scores"),
    LIST(EXP_TEXT, "quality.task_mix", P(task_mix), "", 0, 1e9, NULL, NULL, "share of the traffic by task of the record. Default: tasks as often as the record samples them", exp_form_task_mix),

    REAL("uncertainty.growth", "", P(unsure_growth), "0.3", 0, 10, NULL, "90 % of what the load may become after a year lie between 1 / (1 + x) and 1 + x of what is planned" ASSUMED),
    REAL("uncertainty.capex", "", P(unsure_capex), "0.15", 0, 10, NULL, "the same of prices of servers" ASSUMED),
    REAL("uncertainty.rent", "", P(unsure_rent), "0.3", 0, 10, NULL, "the same of rents" ASSUMED),
    REAL("uncertainty.power", "", P(unsure_power), "0.25", 0, 10, NULL, "the same of electricity" ASSUMED),
    REAL("uncertainty.failure_cost", "", P(unsure_failure_cost), "1", 0, 10, NULL, "the same of what failures and misses cost: within a factor of two" ASSUMED),
    REAL("uncertainty.length", "", P(unsure_length), "0.1", 0, 10, NULL, "the same of output lengths under a strategy" ASSUMED),

    MAYBE("pilot.cost", "currency", P(pilot_cost), "hours of an engineer, from the prices", 0, 1e12, "what a pilot costs, to set beside what it would tell"),
};
/* clang-format on */
enum { N_ROWS = sizeof rows / sizeof rows[0] };

size_t exp_plan_row_count(void)
{
    return N_ROWS;
}

const struct exp_plan_row *exp_plan_row_at(size_t i)
{
    return &rows[i];
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

const char *exp_plan_place(const struct exp_plan_row *row)
{
    static const char *const places[] = {"classes.NAME.", "have.N."};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (begins(row->key.name, places[i])) return places[i];
    return "";
}

void exp_plan_defaults(const char *place, void *owner)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct exp_key *k = &rows[i].key;
        struct exp_plan_input in = {k, k->name, NULL, NULL};
        struct sim_status st = {0};
        if (strcmp(exp_plan_place(&rows[i]), place) != 0) continue;
        bool ok = rows[i].form->take(&in, owner, &st);
        SIM_CHECK(ok);
    }
}

/* ---- paths ---- */

/* `head` with one name or number behind it becomes `head` and `stands_for`. */
static bool generalise(const char *path, const char *head, const char *stands_for, char *out, size_t size)
{
    size_t n = strlen(head);
    if (!begins(path, head) || !path[n] || path[n] == '.') return false;
    const char *rest = path + n + strcspn(path + n, ".");
    return snprintf(out, size, "%s%s%s", head, stands_for, rest) < (int)size;
}

bool exp_plan_pattern(const char *path, char *out, size_t size)
{
    return generalise(path, "classes.", "NAME", out, size) || generalise(path, "have.", "N", out, size) ||
           snprintf(out, size, "%s", path) < (int)size;
}

const struct exp_plan_row *exp_plan_row(const char *path)
{
    char pattern[EXP_PLAN_PATH_BYTES];
    if (!exp_plan_pattern(path, pattern, sizeof pattern)) return NULL;
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].key.name, pattern) == 0) return &rows[i];
    return NULL;
}

/* ---- keys of scenarios ---- */

static const char LOAD[] = "load.", WORKLOAD[] = "workload.";

/* Fleets are what is searched for, linear costs are none of a card, a closed loop has no rate that could grow, every fleet
 * of a candidate has the same strategy, and the router has a row with a plan's own default. */
static bool is_passed_on(const struct exp_key *k)
{
    static const char *const kept_out[] = {"cost.", "workload.closed_loop.", "kv.", "router"};
    for (size_t i = 0; i < sizeof kept_out / sizeof kept_out[0]; i++)
        if (begins(k->name, kept_out[i])) return false;
    return k->scope != EXP_IN_FLEET;
}

static void add(struct exp_plan_keys *l, const char *place, const struct exp_key *k,
                const struct exp_plan_row *row)
{
    SIM_CHECK(l->n < EXP_MAX_PLAN_KEYS);
    struct exp_plan_key *at = &l->at[l->n++];
    const char *name = begins(k->name, WORKLOAD) ? k->name + strlen(WORKLOAD) : k->name;
    snprintf(at->path, sizeof at->path, "%s%s%s", place, name == k->name ? "" : LOAD, name);
    at->key = k;
    at->row = row;
}

enum stretch { BEFORE_LOAD, OF_LOAD, BEHIND_LOAD };

static enum stretch stretch_of(const struct exp_key *k)
{
    static const char *const behind[] = {"measure.", "seed"};
    if (begins(k->name, WORKLOAD)) return OF_LOAD;
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++)
        if (begins(k->name, behind[i])) return BEHIND_LOAD;
    return BEFORE_LOAD;
}

static void add_scenario(struct exp_plan_keys *l, enum stretch which)
{
    for (size_t i = 0; i < exp_key_count(); i++) {
        const struct exp_key *k = exp_key_at(i);
        if (k->scope == EXP_IN_SCENARIO && is_passed_on(k) && stretch_of(k) == which) add(l, "", k, NULL);
    }
}

static void add_scope(struct exp_plan_keys *l, enum exp_scope scope, const char *place)
{
    for (size_t i = 0; i < exp_key_count(); i++) {
        const struct exp_key *k = exp_key_at(i);
        if (k->scope == scope && is_passed_on(k)) add(l, place, k, NULL);
    }
}

static bool is_elsewhere(const struct exp_plan_row *row)
{
    const char *name = row->key.name;
    return begins(name, LOAD) || begins(name, "classes.") || strcmp(name, "router") == 0;
}

static void add_rows(struct exp_plan_keys *l, const char *section)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (section ? begins(rows[i].key.name, section) : !is_elsewhere(&rows[i]))
            add(l, "", &rows[i].key, &rows[i]);
}

void exp_plan_keys(struct exp_plan_keys *out)
{
    out->n = 0;
    add_scenario(out, BEFORE_LOAD);
    add_rows(out, "router");
    add_scope(out, EXP_IN_ENGINE, "engine.");
    add_scenario(out, OF_LOAD);
    add_rows(out, LOAD);
    add_scope(out, EXP_IN_SLO, "slo.");
    add_scope(out, EXP_IN_SLO, "classes.NAME.slo.");
    add_scope(out, EXP_IN_CLASS, "classes.NAME.");
    add_rows(out, "classes.");
    add_rows(out, NULL);
    add_scenario(out, BEHIND_LOAD);
}

bool exp_plan_to_scenario(const char *path, char *out, size_t size)
{
    char pattern[EXP_PLAN_PATH_BYTES];
    struct exp_plan_keys *keys = sim_alloc(1, sizeof *keys);
    bool found = exp_plan_pattern(path, pattern, sizeof pattern);
    exp_plan_keys(keys);
    size_t i = 0;
    while (found && i < keys->n && (keys->at[i].row || strcmp(keys->at[i].path, pattern) != 0)) i++;
    found = found && i < keys->n;
    free(keys);
    bool load = begins(path, LOAD);
    return found &&
           snprintf(out, size, "%s%s", load ? WORKLOAD : "", path + (load ? strlen(LOAD) : 0)) < (int)size;
}

bool exp_plan_is_section(const char *path)
{
    char pattern[EXP_PLAN_PATH_BYTES];
    struct exp_plan_keys *keys = sim_alloc(1, sizeof *keys);
    bool found = false, fits = exp_plan_pattern(path, pattern, sizeof pattern);
    exp_plan_keys(keys);
    size_t n = strlen(pattern);
    for (size_t i = 0; fits && !found && i < keys->n; i++)
        found = begins(keys->at[i].path, pattern) && keys->at[i].path[n] == '.';
    free(keys);
    return found;
}

/* Does a name end here? */
static bool is_whole(const char *rest)
{
    return *rest == '.' || *rest == '\0';
}

/* Keys of scenarios that plans do not take, and what takes their place. */
static const char *instead_of(const char *path)
{
    static const struct {
        const char *head, *instead;
    } table[] = {
        {"fleet", "a plan searches for the fleet, expected `search` for what may be bought and `have` for "
                  "what there is"},
        {"workload", "a plan calls it `load`, expected load.trace, load.multiply ..."},
        {"load.closed_loop", "a closed loop has no rate to size a fleet for, expected load.trace or "
                             "load.open_loop"},
        {"cost", "a plan prices steps by the profiles of its cards; remove it"},
        {"kv", "a plan searches for the strategy, expected search.strategy"},
    };
    const char *kv = begins(path, "classes.") ? strstr(path, ".kv") : NULL;
    if (kv && is_whole(kv + 3))
        return "every fleet of a candidate has one strategy; plan the class apart, or limit it by "
               "max_failure_rate";
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (begins(path, table[i].head) && is_whole(path + strlen(table[i].head))) return table[i].instead;
    return NULL;
}

bool exp_plan_unknown_key(const char *path, const char *where, struct sim_status *st)
{
    char pattern[EXP_PLAN_PATH_BYTES] = "";
    const char *names[EXP_MAX_PLAN_KEYS + 20] = {"load",     "engine",      "slo",   "classes", "have",
                                                 "baseline", "search",      "spare", "supply",  "money",
                                                 "quality",  "uncertainty", "pilot", "measure", "predictor"};
    size_t n = 0;
    const char *instead = instead_of(path);
    if (instead) return sim_fail(st, "%s: %.80s: %s", where, path, instead);
    struct exp_plan_keys *keys = sim_alloc(1, sizeof *keys);
    exp_plan_pattern(path, pattern, sizeof pattern);
    exp_plan_keys(keys);
    while (names[n]) n++;
    for (size_t i = 0; i < keys->n; i++) names[n++] = keys->at[i].path;
    sim_fail(st, "%s: unknown key `%.80s`, expected one of `kvsim list plan-keys`%s", where, path,
             mdl_hint(pattern, names).text);
    free(keys);
    return false;
}

void exp_plan_expected(const struct exp_plan_key *k, char *out, size_t size)
{
    if (k->row && k->row->form->expected)
        snprintf(out, size, "%s", k->row->form->expected);
    else
        exp_value_expected(k->key, out, size);
}
