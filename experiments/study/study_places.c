/* Which keys of a scenario a mapping of a study names: nested or with dots, `fleet.0.gpu` as well as `fleet: {0: {gpu: ...}}`. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "experiments/study/study_parts.h"
#include "experiments/values.h"

bool exp_study_is_word(const char *word, const char *const *valid)
{
    while (*valid && strcmp(*valid, word) != 0) valid++;
    return *valid != NULL;
}

/* False when the key and what stands before it are too long together. */
static bool join(char path[EXP_STUDY_PATH_BYTES], const char *prefix, const char *key)
{
    int n = snprintf(path, EXP_STUDY_PATH_BYTES, "%s%s%s", prefix, *prefix ? "." : "", key);
    for (char *at = path; *at; at++)
        if (iscntrl((unsigned char)*at)) *at = '?';
    return n < EXP_STUDY_PATH_BYTES;
}

static bool not_a_mapping(const struct exp_study_place *at, struct sim_status *st)
{
    bool list = mdl_yaml_kind(at->node) == MDL_YAML_LIST;
    if (strcmp(at->path, "fleet") == 0)
        return sim_fail(st, "%s: fleet stands here as a whole, expected its keys such as fleet.0.gpu",
                        exp_where(at->node).text);
    return sim_fail(st, "%s: %.100s is a section with %s, expected keys below it; see `kvsim list keys`",
                    exp_where(at->node).text, at->path, list ? "a list" : "a single value");
}

static bool walk_section(const struct exp_study_walk *w, const struct exp_study_place *at,
                         struct sim_status *st)
{
    bool mappings = mdl_yaml_kind(at->node) == MDL_YAML_LIST && strcmp(at->path, "fleet") != 0;
    struct exp_study_walk below = *w;
    below.skip = NULL;
    if (mdl_yaml_kind(at->node) == MDL_YAML_MAP) return exp_study_walk(&below, at->path, at->node, st);
    return mappings && w->visit_section ? w->visit_section(w->context, at, st) : not_a_mapping(at, st);
}

static bool visit(const struct exp_study_walk *w, const char *path, const struct mdl_yaml_node *node,
                  struct sim_status *st)
{
    struct exp_study_place at = {path, NULL, UINT32_MAX, false, node};
    struct exp_target target;
    if (strcmp(path, "strategy") != 0) {
        if (!exp_key_resolve(w->scratch, path, exp_where(node).text, &target, st)) return false;
        if (!target.key) return walk_section(w, &at, st);
        at.key = target.key;
        at.field = (uint32_t)((const char *)target.field - (const char *)w->scratch);
    }
    at.path = sim_arena_strdup(w->study->arena, path);
    return w->visit(w->context, &at, st);
}

bool exp_study_walk(const struct exp_study_walk *w, const char *prefix, const struct mdl_yaml_node *map,
                    struct sim_status *st)
{
    for (size_t i = 0; i < mdl_yaml_size(map); i++) {
        char path[EXP_STUDY_PATH_BYTES];
        const struct mdl_yaml_node *node = mdl_yaml_at(map, i);
        if (w->skip && strcmp(mdl_yaml_key(map, i), w->skip) == 0) continue;
        if (!join(path, prefix, mdl_yaml_key(map, i)))
            return sim_fail(st, "%s: `%.40s...` is no key, expected one of `kvsim list keys`; correct it",
                            exp_where(node).text, path);
        if (!visit(w, path, node, st)) return false;
    }
    return true;
}
