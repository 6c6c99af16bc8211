#include "experiments/cmd_validate_steps.h"

#include <stdio.h>
#include <stdlib.h>

#include "experiments/cli.h"
#include "experiments/steps.h"

static json_t *row_json(const struct exp_step_trial *t)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "step", (json_int_t)t->step, "replica",
                     (json_int_t)t->replica, "decodes", (json_int_t)t->n_decodes, "chunks",
                     (json_int_t)t->n_chunks, "new_tokens", (json_int_t)t->new_tokens, "predicted_s",
                     t->predicted_s, "measured_s", t->measured_s, "error",
                     t->predicted_s / t->measured_s - 1);
}

static json_t *steps_json(const struct exp_steps *x)
{
    json_t *o = json_pack("{s:I, s:I, s:I}", "n", (json_int_t)x->n, "planned", (json_int_t)x->plan.n_steps,
                          "repeats", (json_int_t)x->n_repeats);
    json_t *rows = json_array();
    exp_errors_json(o, "step", x->all);
    exp_errors_json(o, "decode_step", x->decode_only);
    exp_errors_json(o, "mixed_step", x->mixed);
    exp_errors_json(o, "ttft", x->ttft);
    exp_errors_json(o, "tpot", x->tpot);
    json_object_set_new(o, "total_error", json_real(x->total_error));
    json_object_set_new(o, "noise_median", x->n_repeats > 1 ? json_real(x->noise_median) : json_null());
    for (size_t i = 0; i < x->n; i++) json_array_append_new(rows, row_json(&x->trial[i]));
    json_object_set_new(o, "rows", rows);
    return o;
}

static void print_steps(const struct exp_steps *x)
{
    printf("%zu of %zu steps of the plan were executed, %zu times each\n", x->n, x->plan.n_steps,
           x->n_repeats);
    exp_errors_print("steps of decodes only", "time", x->decode_only);
    exp_errors_print("steps with prompt chunks", "time", x->mixed);
    exp_errors_print("all steps", "time", x->all);
    exp_errors_print("requests, batches as planned", "TTFT", x->ttft);
    exp_errors_print("requests, batches as planned", "TPOT", x->tpot);
    printf("time of all steps together: %+.2f %%\n", 100 * x->total_error);
    if (x->n_repeats > 1)
        printf("noise: the slowest repeat of a step is %.2f %% slower than its fastest (median over steps)\n",
               100 * x->noise_median);
    else
        puts("noise: unknown, every step was executed once; kvbench replay --repeat 3");
    if (x->parallel) puts("left out on both sides: all-reduce, and all pipeline stages but the first");
}

bool exp_validate_steps(const struct exp_validate_steps *a, struct sim_status *st)
{
    struct exp_steps x = {0};
    struct exp_scenario *s = exp_scenario_load(a->scenario, st);
    bool ok = s != NULL;
    for (uint32_t i = 0; ok && i < a->n_sets; i++) ok = exp_scenario_set_option(s, a->set[i], st);
    struct exp_cache *cache = ok && exp_scenario_check(s, st) ? exp_cache_new(st) : NULL;
    ok = cache && exp_steps_new(a->plan, a->measured, s, cache, &x, st);
    if (ok && a->json)
        ok = exp_print_json(steps_json(&x), st);
    else if (ok)
        print_steps(&x);
    if (ok && x.n < x.plan.n_steps)
        fprintf(stderr, "note: TTFT and TPOT need every step of the plan to be executed\n");
    if (ok && !x.ends)
        fprintf(stderr,
                "note: no request of the plan ends where the scenario says; is the plan whole, and made from "
                "%s?\n",
                a->scenario);
    exp_steps_fini(&x);
    exp_cache_free(cache);
    free(s);
    return ok;
}
