#include "experiments/quality/scores.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/yaml.h"
#include "sim/memory.h"

void exp_scores_free(struct exp_scores *s)
{
    if (!s) return;
    for (uint32_t m = 0; m < s->n_methods; m++) free(s->score[m]);
    free(s->score);
    free(s->method);
    free(s->task);
    free(s->sample);
    free(s->n_of_method);
    sim_arena_free(s->strings);
    free(s);
}

/* ---- names ---- */

/* "a, b, c" of the methods that begin with a text, "..." behind the fourth; how many there are. */
static uint32_t list_methods(const struct exp_scores *s, const char *begin, char *out, size_t room)
{
    enum { MOST = 4 };
    uint32_t n = 0;
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t m = 0; m < s->n_methods; m++) {
        if (strncmp(s->method[m], begin, strlen(begin)) != 0) continue;
        if (n <= MOST && at < room)
            at +=
                (size_t)snprintf(out + at, room - at, "%s%s", n ? ", " : "", n < MOST ? s->method[m] : "...");
        n++;
    }
    return n;
}

/* Of whole names and of their beginnings, which are what people type: "kivi", "kivi/4bits". */
static struct mdl_hint nearest(const struct exp_scores *s, const char *name)
{
    struct sim_arena *arena = sim_arena_new();
    const char **valid = sim_arena_alloc(arena, 3 * (size_t)s->n_methods + 1, sizeof *valid);
    for (uint32_t m = 0, n = 0; m < s->n_methods; m++) {
        size_t alg = strcspn(s->method[m], "/"), word = alg + strcspn(s->method[m] + alg, "_");
        char *whole = s->method[m], *short_name = sim_arena_strdup(arena, whole),
             *first = sim_arena_strdup(arena, whole);
        short_name[word] = '\0';
        first[alg] = '\0';
        valid[n++] = first;
        valid[n++] = short_name;
        valid[n++] = whole;
    }
    struct mdl_hint hint = mdl_hint(name, valid);
    sim_arena_free(arena);
    return hint;
}

uint32_t exp_scores_method(const struct exp_scores *s, const char *name, struct sim_status *st)
{
    uint32_t found = UINT32_MAX, n = 0;
    for (uint32_t m = 0; m < s->n_methods; m++) {
        if (strcmp(s->method[m], name) == 0) return m;
        if (name[0] && strncmp(s->method[m], name, strlen(name)) == 0) {
            found = m;
            n++;
        }
    }
    if (n == 1) return found;
    char list[600];
    list_methods(s, n ? name : "", list, sizeof list);
    if (n)
        sim_fail_as(st, SIM_EXIT_USAGE, "method `%.100s` is the beginning of %u names, expected of one: %s",
                    name, n, list);
    else
        sim_fail_as(st, SIM_EXIT_USAGE, "the scores have no method `%.100s`, expected one of: %s%s", name,
                    list, nearest(s, name).text);
    return UINT32_MAX;
}

static bool is_baseline(const char *method)
{
    static const char *const names[] = {"hf", "full", "fp16", "bf16", "baseline"};
    size_t n = strcspn(method, "/");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == n && memcmp(names[i], method, n) == 0) return true;
    return false;
}

uint32_t exp_scores_baseline(const struct exp_scores *s, struct sim_status *st)
{
    uint32_t found = UINT32_MAX, n = 0;
    for (uint32_t m = 0; m < s->n_methods; m++) {
        if (!is_baseline(s->method[m])) continue;
        found = m;
        n++;
    }
    if (n == 1) return found;
    char list[600];
    list_methods(s, "", list, sizeof list);
    sim_fail_as(st, SIM_EXIT_USAGE,
                "%s of the methods is called hf, full, fp16, bf16 or baseline, expected one that the others "
                "are measured "
                "against; give --baseline M (there are: %s)",
                n ? "more than one" : "none", list);
    return UINT32_MAX;
}

bool exp_scores_identical(const struct exp_scores *s, uint32_t i, uint32_t k)
{
    bool any = false;
    for (uint32_t n = 0; n < s->n_samples; n++) {
        double a = s->score[i][n].score, b = s->score[k][n].score;
        if (isnan(a) || isnan(b)) continue;
        if (a != b) return false;
        any = true;
    }
    return any;
}
