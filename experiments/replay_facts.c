#include "experiments/replay_facts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/yaml.h"
#include "sim/memory.h"

/* A line of the file; NULL when it is not there or no text. */
static const struct mdl_yaml_node *fact(const struct mdl_yaml_node *root, const char *key, const char **text)
{
    struct sim_status ignored = {0};
    const struct mdl_yaml_node *n = mdl_yaml_get(root, key);
    *text = n && mdl_yaml_kind(n) == MDL_YAML_SCALAR ? mdl_yaml_string(n, key, &ignored) : NULL;
    return *text ? n : NULL;
}

static bool contradicts(const struct mdl_yaml_node *n, const char *key, const char *found,
                        const char *expected, struct sim_status *st)
{
    return sim_fail(
        st,
        "%s:%d: measured with %s %.80s, expected %.80s as in the plan and the scenario named here; "
        "name those that belong to the measurement",
        mdl_yaml_file(n), mdl_yaml_line(n), key, found, expected);
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Files move between machines: the name counts, not the folder. */
static bool check_plan_name(const struct mdl_yaml_node *root, const char *plan_path, struct sim_status *st)
{
    const char *text;
    const struct mdl_yaml_node *n = fact(root, "plan", &text);
    return !n || strcmp(base_of(text), base_of(plan_path)) == 0 ||
           contradicts(n, "plan", text, base_of(plan_path), st);
}

static bool check_model(const struct mdl_yaml_node *root, const struct exp_setup *u, struct sim_status *st)
{
    const char *text;
    const struct mdl_yaml_node *n = fact(root, "model", &text);
    return !n || strcmp(text, u->arch.name) == 0 || contradicts(n, "model", text, u->arch.name, st);
}

/* Whether `--kv kv` executes a strategy: by its own name, by the name of its format, or, where it keeps bf16 and reads
 * less than everything, as the window that streaming_llm is. */
static bool executes(const char *kv, const struct mdl_kv_use *use)
{
    struct mdl_kv_decode d = {0};
    use->strategy->decode(use, &d);
    const char *kernel = d.kernel ? d.kernel : "bf16";
    bool full = strcmp(use->strategy->name, "full") == 0;
    if (strcmp(kv, use->strategy->name) == 0) return true;
    if (strcmp(kv, "streaming_llm") == 0) return !full && strcmp(kernel, "bf16") == 0;
    return strcmp(strcmp(kv, "full") == 0 ? "bf16" : kv, kernel) == 0;
}

static bool check_fleet(const struct mdl_yaml_node *root, const struct exp_fleet_setup *f,
                        struct sim_status *st)
{
    const char *text;
    char tp[16];
    const struct mdl_yaml_node *n = fact(root, "kv", &text);
    if (n && !executes(text, &f->kv.use)) return contradicts(n, "--kv", text, f->kv.use.strategy->name, st);
    snprintf(tp, sizeof tp, "%u", f->tensor_parallel);
    n = fact(root, "tensor_parallel", &text);
    return !n || strcmp(text, tp) == 0 || contradicts(n, "tensor_parallel", text, tp, st);
}

static bool check_all(const struct mdl_yaml_node *root, const char *plan_path, const struct exp_setup *u,
                      struct sim_status *st)
{
    if (mdl_yaml_kind(root) != MDL_YAML_MAP)
        return sim_fail(st, "%s: is not a mapping, expected what kvbench replay writes; remove it",
                        mdl_yaml_file(root));
    if (!check_plan_name(root, plan_path, st) || !check_model(root, u, st)) return false;
    for (uint32_t i = 0; i < u->n_fleets; i++)
        if (!check_fleet(root, &u->fleets[i], st)) return false;
    return true;
}

bool exp_replay_check(const char *measured_path, const char *plan_path, const struct exp_setup *u,
                      struct sim_status *st)
{
    char *path = sim_printf("%s.yaml", measured_path);
    bool there = access(path, F_OK) == 0;
    struct mdl_yaml *y = there ? mdl_yaml_load(path, st) : NULL;
    bool ok = !there || (y && check_all(mdl_yaml_root(y), plan_path, u, st));
    mdl_yaml_free(y);
    free(path);
    return ok;
}
