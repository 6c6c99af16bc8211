#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cache.h"
#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/keys.h"
#include "experiments/list_strategies.h"
#include "experiments/listing.h"
#include "experiments/planning/file/plan_keys.h"
#include "experiments/values.h"
#include "models/yaml.h"
#include "sim/memory.h"
#include "sim/router.h"

/* ---- models and GPUs ---- */

static json_t *list_models(struct exp_cache *cache, struct sim_status *st)
{
    json_t *rows = json_array();
    char **names = mdl_arch_names(exp_cache_data_dir(cache), st);
    for (int i = 0; names && names[i]; i++) {
        const struct mdl_arch *a = exp_cache_arch(cache, names[i], st);
        if (!a) break;
        json_array_append_new(rows, json_pack("{s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:s}", "name",
                                              names[i], "parameters_b", (double)mdl_arch_parameters(a) * 1e-9,
                                              "layers", (json_int_t)a->n_layers, "heads",
                                              (json_int_t)a->n_q_heads, "kv_heads", (json_int_t)a->n_kv_heads,
                                              "head_dim", (json_int_t)a->head_dim, "max_tokens",
                                              (json_int_t)a->max_position_embeddings, "kv_kib_per_token",
                                              mdl_arch_kv_byte_per_token(a, MDL_BF16) / 1024, "hidden",
                                              (json_int_t)a->hidden, "hugging_face", a->hf_id));
    }
    mdl_arch_names_free(names);
    return rows;
}

static json_t *list_gpus(struct exp_cache *cache, struct sim_status *st)
{
    (void)st;
    json_t *rows = json_array();
    const struct mdl_gpu_catalogue *c = exp_cache_gpus(cache);
    for (size_t i = 0; i < mdl_gpu_count(c); i++) {
        const struct mdl_gpu *g = mdl_gpu_at(c, i);
        json_array_append_new(rows, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:s, s:s}", "name", g->name,
                                              "memory_gib", (double)g->memory_bytes / 1073741824.0,
                                              "tb_per_s", g->bandwidth_byte_per_s * 1e-12, "bf16_tflops",
                                              g->rate_flops[MDL_BF16] * 1e-12, "fp8_tflops",
                                              g->rate_flops[MDL_FP8] * 1e-12, "nvlink_gb_per_s",
                                              g->nvlink_byte_per_s * 1e-9, "profile",
                                              g->profile[0] ? g->profile : "analytic", "title", g->title));
    }
    return rows;
}

/* ---- files that ship ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a folder of the data folder, sorted, without hidden ones; ended by NULL. A folder that is not
 * there is empty. */
static char **names_in(const char *data_dir, const char *folder)
{
    size_t n = 0;
    char **names = sim_alloc(1, sizeof *names);
    char *path = sim_printf("%s/%s", data_dir, folder);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        names = sim_realloc(names, n + 2, sizeof *names);
        names[n++] = sim_strdup(e->d_name);
        names[n] = NULL;
    }
    if (dir) closedir(dir);
    free(path);
    qsort(names, n, sizeof *names, by_name);
    return names;
}

static void names_free(char **names)
{
    for (size_t i = 0; names[i]; i++) free(names[i]);
    free(names);
}

static const char *yaml_text(const struct mdl_yaml_node *root, const char *key)
{
    struct sim_status ignored = {0};
    const struct mdl_yaml_node *n = mdl_yaml_kind(root) == MDL_YAML_MAP ? mdl_yaml_get(root, key) : NULL;
    const char *text = n && mdl_yaml_kind(n) == MDL_YAML_SCALAR ? mdl_yaml_string(n, key, &ignored) : NULL;
    return text ? text : "";
}

static json_t *list_profiles(struct exp_cache *cache, struct sim_status *st)
{
    json_t *rows = json_array();
    char **names = names_in(exp_cache_data_dir(cache), "calib/profiles");
    for (size_t i = 0; names[i]; i++) {
        char *path = sim_printf("%s/calib/profiles/%s/profile.yaml", exp_cache_data_dir(cache), names[i]);
        struct sim_status absent = {0};
        struct mdl_yaml *y = mdl_yaml_load(path, &absent); /* a folder that is no profile is not listed */
        if (y) {
            const struct mdl_yaml_node *root = mdl_yaml_root(y);
            json_array_append_new(rows,
                                  json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", names[i], "gpu",
                                            yaml_text(root, "gpu"), "date", yaml_text(root, "date"), "source",
                                            yaml_text(root, "source"), "engine", yaml_text(root, "engine")));
        }
        mdl_yaml_free(y);
        free(path);
    }
    names_free(names);
    (void)st;
    return rows;
}

static json_t *list_engines(struct exp_cache *cache, struct sim_status *st)
{
    json_t *rows = json_array();
    char **names = names_in(exp_cache_data_dir(cache), "calib/engines");
    for (size_t i = 0; names[i]; i++) {
        char *dot = strrchr(names[i], '.');
        if (!dot || strcmp(dot, ".yaml") != 0) continue;
        *dot = '\0';
        const struct mdl_engine *e = exp_cache_engine(cache, names[i], st);
        if (!e) break;
        json_array_append_new(rows, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:b, s:f}", "name",
                                              names[i], "cpu_step_ms", e->cpu_step_s * 1e3, "cpu_seq_us",
                                              e->cpu_seq_s * 1e6, "cpu_layer_eager_us",
                                              e->cpu_layer_eager_s * 1e6, "gpu_layer_us",
                                              e->gpu_layer_s * 1e6, "ingress_ms", e->ingress_s * 1e3,
                                              "egress_ms", e->egress_s * 1e3, "async", e->async_scheduling,
                                              "fitted", e->fitted, "residual", e->residual_frac));
    }
    names_free(names);
    return rows;
}

/* ---- what the program knows by itself ---- */

static json_t *list_strategies(struct exp_cache *cache, struct sim_status *st)
{
    (void)cache;
    (void)st;
    return exp_strategy_rows();
}

static json_t *list_routers(struct exp_cache *cache, struct sim_status *st)
{
    (void)cache;
    (void)st;
    json_t *rows = json_array();
    for (size_t i = 0; i < sim_router_count(); i++)
        json_array_append_new(
            rows, json_pack("{s:s, s:s}", "name", sim_router_at(i)->name, "help", sim_router_at(i)->help));
    return rows;
}

static json_t *list_keys(struct exp_cache *cache, struct sim_status *st)
{
    (void)cache;
    (void)st;
    json_t *rows = json_array();
    for (size_t p = exp_place_count(); p-- > 0;)
        for (size_t i = 0; i < exp_key_count(); i++) {
            const struct exp_key *k = exp_key_at(i);
            const struct exp_place *place = exp_place_at(p);
            if (k->scope != place->scope) continue;
            char expected[300];
            exp_value_expected(k, expected, sizeof expected);
            char *path =
                place->pattern[0] ? sim_printf("%s.%s", place->pattern, k->name) : sim_strdup(k->name);
            json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s}", "key", path, "default",
                                                  k->fallback[0] ? k->fallback : "-", "help", k->help,
                                                  "expected", expected));
            free(path);
        }
    return rows;
}

static json_t *list_plan_keys(struct exp_cache *cache, struct sim_status *st)
{
    (void)cache;
    (void)st;
    json_t *rows = json_array();
    struct exp_plan_keys *keys = sim_alloc(1, sizeof *keys);
    exp_plan_keys(keys);
    for (size_t i = 0; i < keys->n; i++) {
        const struct exp_plan_key *k = &keys->at[i];
        char expected[300];
        exp_plan_expected(k, expected, sizeof expected);
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s}", "key", k->path, "default",
                                              k->key->fallback[0] ? k->key->fallback : "-", "help",
                                              k->key->help, "expected", expected));
    }
    free(keys);
    return rows;
}

static const struct {
    const char *name;
    json_t *(*rows)(struct exp_cache *cache, struct sim_status *st);
    const char *next;
} lists[] = {
    {"models", list_models, "kvsim run SCENARIO --set model=NAME"},
    {"gpus", list_gpus, "kvsim run SCENARIO --set fleet.0.gpu=NAME"},
    {"strategies", list_strategies, "kvsim list strategies NAME, or kvsim run SCENARIO --strategy NAME"},
    {"profiles", list_profiles, "kvsim calib show NAME"},
    {"routers", list_routers, "kvsim run SCENARIO --set router=NAME"},
    {"engines", list_engines, "kvsim run SCENARIO --set engine.name=NAME"},
    {"keys", list_keys, "kvsim run SCENARIO --set KEY=VALUE"},
    {"plan-keys", list_plan_keys, "kvsim plan PLAN --set KEY=VALUE"},
};
enum { N_LISTS = sizeof lists / sizeof lists[0] };

/* ---- command ---- */

struct arguments {
    const char *what, *name;
    bool json;
};
enum { KEY_JSON = 0x100 };

static const struct argp_option options[] = {
    {"json", KEY_JSON, NULL, 0, "print one JSON object", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    if (key == KEY_JSON) {
        a->json = true;
        return 0;
    }
    if (key == ARGP_KEY_NO_ARGS)
        argp_failure(
            state, SIM_EXIT_USAGE, 0,
            "nothing named to list, expected models, gpus, strategies, profiles, routers, engines, keys or "
            "plan-keys");
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    if (a->name || (a->what && strcmp(a->what, "strategies") != 0))
        argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`", arg);
    if (a->what)
        a->name = arg;
    else
        a->what = arg;
    return 0;
}

static const struct argp argp = {options,
                                 parse,
                                 "models|gpus|strategies [NAME]|profiles|routers|engines|keys|plan-keys",
                                 "Lists what scenarios and plans can name; of one strategy, its parameters.",
                                 NULL,
                                 NULL,
                                 NULL};

static int find_list(const char *what, struct sim_status *st)
{
    const char *names[N_LISTS + 1] = {0};
    for (int i = 0; i < N_LISTS; i++) {
        if (strcmp(lists[i].name, what) == 0) return i;
        names[i] = lists[i].name;
    }
    sim_fail_as(st, SIM_EXIT_USAGE,
                "kvsim list: `%.40s` cannot be listed, expected models, gpus, strategies, profiles, routers, "
                "engines, keys or plan-keys%s",
                what, mdl_hint(what, names).text);
    return -1;
}

static bool print_list(int n, bool as_json, struct exp_cache *cache, struct sim_status *st)
{
    json_t *rows = lists[n].rows(cache, st);
    if (st->code != SIM_EXIT_OK) {
        json_decref(rows);
        return false;
    }
    if (as_json) return exp_print_json(json_pack("{s:o}", lists[n].name, rows), st);
    if (json_array_size(rows))
        exp_print_rows(rows, stdout);
    else
        printf("no %s in %s\n", lists[n].name, exp_cache_data_dir(cache));
    json_decref(rows);
    return true;
}

bool exp_cmd_list(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.name) {
        if (!exp_strategy_show(a.name, a.json, st)) return false;
        if (fflush(stdout) == 0)
            exp_next("kvsim run SCENARIO --strategy %s --set fleet.0.kv.PARAMETER=VALUE", a.name);
        return true;
    }
    int n = find_list(a.what, st);
    struct exp_cache *cache = n < 0 ? NULL : exp_cache_new(st);
    bool ok = cache && print_list(n, a.json, cache, st);
    exp_cache_free(cache);
    if (ok && fflush(stdout) == 0) exp_next("%s", lists[n].next);
    return ok;
}
