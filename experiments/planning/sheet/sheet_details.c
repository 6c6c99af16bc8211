/* Page two of the decision sheet, for the integrator: engine flags, strategy parameters, what was verified, what the speed
 * depends on, purchases, costs, and every value of the plan. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/planning/sheet/sheet_parts.h"
#include "sim/check.h"

/* ---- engine flags ---- */

/* A setting of the engine block in vLLM's spelling; without a value where it is a flag. */
struct flag {
    const char *setting, *on, *off; /* off NULL: takes a value */
};
static const struct flag flags[] = {
    {"max_num_seqs", "--max-num-seqs", NULL},
    {"max_num_batched_tokens", "--max-num-batched-tokens", NULL},
    {"max_model_len", "--max-model-len", NULL},
    {"block_size", "--block-size", NULL},
    {"gpu_memory_utilization", "--gpu-memory-utilization", NULL},
    {"scheduling_policy", "--scheduling-policy", NULL},
    {"async_scheduling", "--async-scheduling", "--no-async-scheduling"},
    {"enforce_eager", "--enforce-eager", ""},
};
/* Only when the plan gives them. */
static const struct flag rare[] = {
    {"num_gpu_blocks", "--num-gpu-blocks-override", NULL},
    {"long_prefill_token_threshold", "--long-prefill-token-threshold", NULL},
};

/* Which engine has a strategy behind which flag; what is not here has to be integrated. */
static const struct {
    const char *strategy, *engine, *flag;
} shipped[] = {
    {"fp8", "vLLM", "--kv-cache-dtype fp8"},
    {"int8", "LMDeploy", "--quant-policy 8"},
    {"int4", "LMDeploy", "--quant-policy 4"},
};
enum { N_SHIPPED = sizeof shipped / sizeof shipped[0] };

static int find_shipped(const struct mdl_strategy *strategy)
{
    for (int i = 0; i < N_SHIPPED; i++)
        if (strcmp(shipped[i].strategy, strategy->name) == 0) return i;
    return -1;
}

static const struct mdl_strategy *strategy_of(const struct exp_sheet *s)
{
    return s->best->entry->candidate.contender->strategy;
}

static const struct exp_setting *find_setting(const struct exp_sheet *s, const char *name)
{
    const struct exp_finalist *f = s->best->finalist;
    for (int i = 0; i < EXP_N_SETTINGS && f->engine[0]; i++)
        if (strcmp(f->engine_setting[i].name, name) == 0) return &f->engine_setting[i];
    return NULL;
}

static const char *add_flag(const struct exp_sheet *s, const char *line, const char *flag, const char *value)
{
    return exp_text(s->arena, "%s \\\n  %s%s%s", line, flag, *value ? " " : "", value);
}

static const char *add_setting(const struct exp_sheet *s, const char *line, const struct flag *f,
                               const struct exp_setting *set)
{
    if (!f->off)
        return add_flag(s, line, f->on, set->word ? set->word : exp_text(s->arena, "%.10g", set->value));
    const char *flag = set->word && strcmp(set->word, "true") == 0 ? f->on : f->off;
    return *flag ? add_flag(s, line, flag, "") : line;
}

static bool keeps_only(const struct exp_sheet *s)
{
    const struct exp_entry *e = s->best->entry;
    return e->candidate.keeps_have && e->n_replicas == 0;
}

static uint32_t tensor_parallel(const struct exp_sheet *s)
{
    const struct exp_candidate *c = &s->best->entry->candidate;
    return keeps_only(s) ? c->have_tensor_parallel[0] : c->tensor_parallel;
}

static const char *command_line(const struct exp_sheet *s)
{
    const struct exp_setting *set;
    enum mdl_dtype weights = (enum mdl_dtype)s->d->plan->base->weights;
    int ships = find_shipped(strategy_of(s));
    const char *line = exp_text(s->arena, "vllm serve %s", s->d->plan->base->model);
    line = add_flag(s, line, "--tensor-parallel-size", exp_text(s->arena, "%u", tensor_parallel(s)));
    if (weights == MDL_BF16) line = add_flag(s, line, "--dtype", "bfloat16");
    if (weights == MDL_FP8) line = add_flag(s, line, "--quantization", "fp8");
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if ((set = find_setting(s, flags[i].setting))) line = add_setting(s, line, &flags[i], set);
    for (size_t i = 0; i < sizeof rare / sizeof rare[0]; i++)
        if ((set = find_setting(s, rare[i].setting)) && !set->defaulted)
            line = add_setting(s, line, &rare[i], set);
    if (ships >= 0 && strcmp(shipped[ships].engine, "vLLM") == 0)
        line = add_flag(s, line, shipped[ships].flag, "");
    return add_flag(s, line, "--no-enable-prefix-caching", "");
}

static const char *kv_says(const struct exp_sheet *s)
{
    const struct mdl_strategy *strategy = strategy_of(s);
    int ships = find_shipped(strategy);
    if (strcmp(strategy->name, "full") == 0) return EXP_SAY(s, FLAGS_PLAIN, strategy->name);
    if (ships < 0) return EXP_SAY(s, FLAGS_NOT, strategy->name, strategy->fallback, strategy->source);
    if (strcmp(shipped[ships].engine, "vLLM") == 0)
        return EXP_SAY(s, FLAGS_SHIPS, strategy->name, shipped[ships].flag);
    return EXP_SAY(s, FLAGS_ELSEWHERE, strategy->name, shipped[ships].engine, shipped[ships].flag);
}

static void say_kept(const struct exp_sheet *s)
{
    const struct exp_candidate *c = &s->best->entry->candidate;
    for (uint32_t i = 0; c->keeps_have && i < s->d->plan->n_have; i++) {
        const struct exp_plan_have *h = &s->d->plan->have[i];
        exp_page_text(&s->page, 0, 2,
                      EXP_SAY(s, FLAGS_HAVE, exp_text(s->arena, "%u", h->servers), h->gpu,
                              exp_text(s->arena, "%u", c->have_tensor_parallel[i])));
    }
}

static void print_flags(const struct exp_sheet *s)
{
    const struct exp_entry *e = s->best->entry;
    enum mdl_dtype weights = (enum mdl_dtype)s->d->plan->base->weights;
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_FLAGS_TITLE));
    if (!keeps_only(s))
        exp_page_text(&s->page, 0, 2,
                      EXP_SAY(s, FLAGS_SAYS, exp_text(s->arena, "%u", e->n_replicas),
                              exp_text(s->arena, "%u", exp_replicas_per_server(&e->candidate)),
                              e->candidate.gpu->name));
    exp_page_code(&s->page, command_line(s));
    exp_page_text(&s->page, 0, 2, EXP_SAY(s, FLAGS_MODEL, s->d->plan->base->model));
    say_kept(s);
    exp_page_text(&s->page, 0, 2, kv_says(s));
    if (weights != MDL_BF16)
        exp_page_text(&s->page, 0, 2, EXP_SAY(s, FLAGS_WEIGHTS, mdl_dtype_name(weights)));
    const char *engine = s->best->finalist->engine;
    if (*engine && strncmp(engine, "vllm", 4) != 0)
        exp_page_text(&s->page, 0, 2, EXP_SAY(s, FLAGS_OTHER_ENGINE, engine));
    exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_FLAGS_DEFAULTS));
    exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_FLAGS_PREFIX));
}

/* ---- strategy parameters ---- */

/* What the contender sets a parameter to; NULL = the strategy's default. */
static const char *given(const struct exp_contender *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_settings; i++)
        if (strcmp(c->setting[i].key, name) == 0) return c->setting[i].value;
    return NULL;
}

/* Words of a choice stand in its unit. */
static const char *parameter_text(const struct exp_sheet *s, const struct mdl_kv_key_info *info, double value)
{
    const char *word = info->unit;
    if (info->type == MDL_KV_FLAG) return value > 0 ? "true" : "false";
    if (info->type != MDL_KV_CHOICE) return exp_text(s->arena, "%.6g", value);
    for (int i = (int)value; i > 0 && *word; i--) word += strcspn(word, "|") + 1;
    return exp_text(s->arena, "%.*s", (int)strcspn(word, "|"), word);
}

static void add_parameter(const struct exp_sheet *s, struct exp_grid *g, const struct mdl_kv_default *p)
{
    const struct mdl_kv_key_info *info = mdl_kv_key_info(p->key);
    const char *own = given(s->best->entry->candidate.contender, info->name);
    bool number = info->type == MDL_KV_COUNT || info->type == MDL_KV_REAL;
    exp_grid_add(g, info->name);
    exp_grid_add(g, own ? own : parameter_text(s, info, p->value));
    exp_grid_add(g, number ? exp_text(s->arena, "%.6g .. %.6g", p->low, p->high) : "");
    exp_grid_add(g, own ? exp_say(s, EXP_SAY_GIVEN) : p->source);
}

static void print_parameters(const struct exp_sheet *s)
{
    const struct mdl_strategy *strategy = strategy_of(s);
    struct exp_grid g = {.id = "parameters"};
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_PARAMETERS_TITLE));
    if (strategy->n_defaults == 0) {
        exp_page_text(&s->page, 0, 2, EXP_SAY(s, NO_PARAMETERS, strategy->name));
        return;
    }
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_PARAMETER), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_VALUE), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_RANGE), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_SOURCE), EXP_CELLS_WRAP);
    for (uint32_t i = 0; i < strategy->n_defaults; i++) add_parameter(s, &g, &strategy->defaults[i]);
    exp_page_grid(&s->page, &g);
}

/* ---- what was verified ---- */

static const char *attained(const struct exp_sheet *s, struct exp_band a)
{
    return exp_text(s->arena, "%s [%s, %s]", exp_say_attained(s, a.mean), exp_say_attained(s, a.lo),
                    exp_say_attained(s, a.hi));
}

/* A line for every class. */
static void add_verdict(const struct exp_sheet *s, struct exp_grid *g, const struct exp_verdict *v,
                        enum exp_phrase seeds)
{
    for (uint32_t c = 0; v->n_replications && c < s->d->plan->n_classes; c++) {
        exp_grid_add(g, c ? "" : exp_text(s->arena, "%u", v->n_replicas));
        exp_grid_add(g, c ? "" : exp_say(s, seeds));
        exp_grid_add(g, c ? "" : exp_say(s, v->feasible ? EXP_SAY_YES : EXP_SAY_NO));
        exp_grid_add(g, s->d->plan->class[c].name);
        exp_grid_add(g, attained(s, v->attainment[c]));
    }
}

static const char *what_seeds_say(const struct exp_sheet *s)
{
    const struct exp_entry *e = s->best->entry;
    if (e->n_replicas == 0) return exp_say(s, EXP_SAY_VERIFIED_NONE);
    enum exp_phrase phrase = e->verified            ? EXP_SAY_VERIFIED
                             : !e->checked          ? EXP_SAY_NOT_CHECKED
                             : e->fresh_at.feasible ? EXP_SAY_NOT_VERIFIED
                                                    : EXP_SAY_TOO_FEW;
    return exp_say_args(s, phrase,
                        (const char *const[]){exp_text(s->arena, "%u", e->n_replicas),
                                              exp_text(s->arena, "%u", e->n_replicas - 1), NULL});
}

static void print_verified(const struct exp_sheet *s)
{
    const struct exp_entry *e = s->best->entry;
    struct exp_grid g = {.id = "verified"};
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_VERIFY_TITLE));
    exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_VERIFY_SAYS));
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_REPLICAS), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_SEEDS), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_MEETS), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_CLASS), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_ATTAINED), EXP_CELLS_RIGHT);
    add_verdict(s, &g, &e->below, EXP_SAY_FIRST);
    add_verdict(s, &g, &e->at, EXP_SAY_FIRST);
    add_verdict(s, &g, &e->above, EXP_SAY_FIRST);
    add_verdict(s, &g, &e->fresh_below, EXP_SAY_FRESH);
    add_verdict(s, &g, &e->fresh_at, EXP_SAY_FRESH);
    exp_page_grid(&s->page, &g);
    exp_page_text(&s->page, 0, 2, what_seeds_say(s));
}

/* ---- what the speed depends on ---- */

static void print_drivers(const struct exp_sheet *s)
{
    const struct exp_response *r = &s->best->finalist->response;
    struct exp_grid g = {.id = "drivers"};
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_SENSITIVE_TITLE));
    exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_SENSITIVE_SAYS));
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_DRIVER), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_KNOWN), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_ELASTICITY), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_STREAM), EXP_CELLS_WRAP);
    for (int i = 0; i < EXP_N_DRIVERS; i++) {
        if (r->elasticity[i] == 0 && r->log_sd[i] == 0) continue;
        exp_grid_add(&g, exp_term(s->language, exp_driver_name(i)));
        exp_grid_add(&g, exp_say_error(s, r->log_sd[i]));
        exp_grid_add(&g, exp_text(s->arena, "%.2g", r->elasticity[i]));
        exp_grid_add(&g, r->stream[i]);
    }
    exp_page_grid(&s->page, &g);
}

/* ---- every value ---- */

static void print_values(const struct exp_sheet *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    SIM_CHECK(out); /* out of memory */
    exp_plan_print(s->d->plan, out);
    fclose(out);
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_VALUES_TITLE));
    exp_page_code(&s->page, text);
    free(text);
}

void exp_sheet_details(const struct exp_sheet *s)
{
    exp_page_heading(&s->page, 1, exp_say(s, EXP_SAY_DETAILS_TITLE));
    if (s->best) {
        exp_page_text(&s->page, 0, 2, exp_say_row(s, s->best));
        print_flags(s);
        print_parameters(s);
        exp_sheet_bill(s);
        exp_sheet_schedule(s);
        exp_sheet_costs(s);
        print_verified(s);
        print_drivers(s);
    }
    exp_sheet_prices(s, true);
    print_values(s);
    exp_page_text(&s->page, 0, 2,
                  EXP_SAY(s, TOOK, exp_say_count(s, (double)s->d->n_runs),
                          exp_text(s->arena, "%s", exp_duration_words(s->d->wall_s).text)));
}

void exp_sheet_print_details(const struct exp_decision *d, const struct exp_sheet_options *o, FILE *out)
{
    struct exp_sheet s;
    exp_sheet_init(&s, d, o, out);
    fputc('\n', out);
    exp_sheet_details(&s);
    exp_sheet_fini(&s);
}
