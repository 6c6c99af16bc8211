/* `kvsim init plan`: every key of a plan, commented, with values that run on the trace that ships in seconds. */
#include <stdlib.h>
#include <string.h>

#include "experiments/commented.h"
#include "experiments/planning/file/plan_keys.h"
#include "sim/memory.h"

/* What the sample plan sets; all others stand as comments. NULL: the trace. */
static const struct {
    const char *path, *value;
} sample[] = {
    {"model", "llama-3.1-8b"},
    {"weights", "bf16"},
    {"router", "least_outstanding"},
    {"load.trace", NULL},
    {"load.multiply", "8"},
    {"load.how", "superpose"},
    {"slo.ttft_ms", "1000"},
    {"slo.tpot_ms", "50"},
    {"slo.percentile", "99"},
    {"search.gpu", "[l40s, h100-sxm]"},
    {"search.tensor_parallel", "[1]"},
    {"search.strategy", "[full, fp8]"},
};
enum { N_SAMPLE = sizeof sample / sizeof sample[0] };

/* What a comment shows where a default would teach nothing. */
static const struct {
    const char *path, *value;
} shown[] = {
    {"load.rate_curve", "[1, 1, 1, 1, 1, 2, 3, 5, 8, 9, 9, 9, 9, 9, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1]"},
    {"have.-.gpu", "a100-80-sxm"},
    {"have.-.servers", "2"},
    {"quality.task_mix", "{qasper: 0.7, gov_report: 0.3}"},
    {"classes.critical.max_failure_rate", "0.001"},
    {"classes.critical.cost_per_failure", "40"},
};
enum { N_SHOWN = sizeof shown / sizeof shown[0] };

static void set_value(struct exp_commented *line, const char *trace)
{
    for (int i = 0; i < N_SAMPLE; i++)
        if (strcmp(sample[i].path, line->path) == 0) {
            line->used = true;
            line->value = sample[i].value ? sample[i].value : trace;
        }
    for (int i = 0; i < N_SHOWN; i++)
        if (strcmp(shown[i].path, line->path) == 0) line->value = shown[i].value;
}

/* "classes.NAME.x" and "have.N.x" as a file would have them. */
static void place(const char *pattern, char out[EXP_COMMENTED_BYTES])
{
    const char *of_class = strncmp(pattern, "classes.NAME", 12) == 0 ? pattern + 12 : NULL;
    const char *of_have = strncmp(pattern, "have.N", 6) == 0 ? pattern + 6 : NULL;
    snprintf(out, EXP_COMMENTED_BYTES, "%s%s",
             of_class  ? "classes.critical"
             : of_have ? "have.-"
                       : "",
             of_class  ? of_class
             : of_have ? of_have
                       : pattern);
}

/* Texts and lists of the plan's own say what they take; numbers do so by their names. */
static const char *expected_of(const struct exp_plan_key *k)
{
    return k->row && k->row->form->expected ? k->row->form->expected : NULL;
}

void exp_plan_write_template(const char *trace, FILE *out)
{
    struct exp_plan_keys *keys = sim_alloc(1, sizeof *keys);
    exp_plan_keys(keys);
    struct exp_commented *line = sim_alloc(keys->n, sizeof *line);
    for (size_t i = 0; i < keys->n; i++) {
        const struct exp_plan_key *k = &keys->at[i];
        place(k->path, line[i].path);
        line[i].key = k->key;
        line[i].expected = expected_of(k);
        line[i].value = k->row && k->key->example ? k->key->fallback : NULL;
        set_value(&line[i], trace);
    }
    fputs("# A kvsim plan: what shall be served, what there is, what may be bought. Keys that start with # "
          "are at "
          "their\n# default or show what they take; `kvsim list plan-keys` explains all.\n",
          out);
    exp_commented_write(line, keys->n, out);
    free(line);
    free(keys);
}
