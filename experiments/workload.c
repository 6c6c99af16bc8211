#include "experiments/workload.h"

#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "traces/synth.h"

/* ---- the three loads ---- */

static bool take_trace(struct exp_workload *w, const struct exp_scenario *s, struct exp_cache *cache,
                       struct sim_status *st)
{
    const struct exp_workload_keys *k = &s->workload;
    const struct trc_trace *t = exp_cache_trace(cache, k, st);
    if (!t) return false;
    w->trace = t;
    if (k->multiply == 1.0) return true;
    w->trace = w->own_trace = trc_scale(t, k->multiply, (enum trc_how)k->how, s->seed, st);
    if (!w->trace) return false;
    w->scaled = true;
    trc_info(t, &w->before);
    trc_info(w->trace, &w->after);
    return true;
}

static bool take_synth(struct exp_workload *w, struct trc_synth *spec, const char *input, const char *output,
                       struct sim_status *st)
{
    if (trc_dist_parse(input, &spec->input, st) && trc_dist_parse(output, &spec->output, st))
        w->trace = w->own_trace = trc_synth(spec, st);
    trc_synth_fini(spec);
    return w->trace != NULL;
}

static bool take_open_loop(struct exp_workload *w, const struct exp_scenario *s, struct sim_status *st)
{
    const struct exp_open_loop_keys *k = &s->workload.open_loop;
    struct trc_synth spec = {.n_requests = k->num_requests,
                             .duration_s = k->duration_s,
                             .arrivals = TRC_ARRIVE_GAMMA,
                             .request_rate = k->request_rate * s->workload.multiply,
                             .burstiness = k->burstiness,
                             .length_lo = k->length_range[0],
                             .length_hi = k->length_range[1],
                             .seed = s->seed};
    return take_synth(w, &spec, k->input_tokens, k->output_tokens, st);
}

/* Arrival times of a closed loop are the simulator's; any process will do to make the requests. */
static bool take_closed_loop(struct exp_workload *w, const struct exp_scenario *s, struct sim_status *st)
{
    const struct exp_closed_loop_keys *k = &s->workload.closed_loop;
    struct trc_synth spec = {.n_requests = k->num_requests ? k->num_requests : 10 * k->concurrency,
                             .arrivals = TRC_ARRIVE_GAMMA,
                             .request_rate = 1,
                             .burstiness = 1,
                             .length_lo = k->length_range[0],
                             .length_hi = k->length_range[1],
                             .seed = s->seed};
    return take_synth(w, &spec, k->input_tokens, k->output_tokens, st);
}

/* ---- classes ---- */

struct assign {
    const struct exp_class_keys *classes;
    uint32_t n_classes, otherwise;
    const struct trc_trace *trace;
};

static bool has_rule(const struct exp_class_keys *c)
{
    return c->min_input_tokens.given || c->max_input_tokens.given || c->min_output_tokens.given ||
           c->max_output_tokens.given || c->task[0] || c->model[0];
}

static bool same(const char *wanted, char **column, uint64_t i)
{
    return !wanted[0] || (column && column[i] && strcmp(wanted, column[i]) == 0);
}

static bool matches(const struct exp_class_keys *c, const struct sim_request *r, const struct trc_trace *t,
                    uint64_t i)
{
    return has_rule(c) && (!c->min_input_tokens.given || r->input_tokens >= c->min_input_tokens.value) &&
           (!c->max_input_tokens.given || r->input_tokens <= c->max_input_tokens.value) &&
           (!c->min_output_tokens.given || r->output_tokens >= c->min_output_tokens.value) &&
           (!c->max_output_tokens.given || r->output_tokens <= c->max_output_tokens.value) &&
           same(c->task, t->task, i) && same(c->model, t->model, i);
}

/* Class `default`, else the first one without a rule, else the first. */
static uint32_t fallback_class(const struct exp_class_keys *classes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(classes[i].name, "default") == 0) return i;
    for (uint32_t i = 0; i < n; i++)
        if (!has_rule(&classes[i])) return i;
    return 0;
}

static void assign_by_rule(struct sim_request *r, uint64_t n, const struct assign *a)
{
    for (uint64_t i = 0; i < n; i++) {
        uint32_t c = 0;
        while (c < a->n_classes && !matches(&a->classes[c], &r[i], a->trace, i)) c++;
        r[i].slo_class = (uint16_t)(c < a->n_classes ? c : a->otherwise);
    }
}

static void assign_by_trace(struct sim_request *r, uint64_t n, const struct assign *a,
                            struct exp_notes *notes)
{
    const struct trc_trace *t = a->trace;
    uint16_t *map = sim_alloc(t->n_classes, sizeof *map);
    for (uint32_t i = 0; i < t->n_classes; i++) {
        uint32_t c = 0;
        while (c < a->n_classes && strcmp(a->classes[c].name, t->class_names[i]) != 0) c++;
        map[i] = (uint16_t)(c < a->n_classes ? c : a->otherwise);
        if (c == a->n_classes && a->n_classes > 1)
            exp_note(notes, "class `%.40s` of the trace is not in the scenario: counted as `%s`",
                     t->class_names[i], a->classes[a->otherwise].name);
    }
    for (uint64_t i = 0; i < n; i++) r[i].slo_class = map[r[i].slo_class < t->n_classes ? r[i].slo_class : 0];
    free(map);
}

/* The workload's own, changeable requests. */
static struct sim_request *own(struct exp_workload *w)
{
    if (w->own_trace) return w->own_trace->requests;
    if (!w->own_requests) {
        w->own_requests = sim_alloc(w->n_requests, sizeof *w->own_requests);
        memcpy(w->own_requests, w->requests, w->n_requests * sizeof *w->own_requests);
        w->requests = w->own_requests;
    }
    return w->own_requests;
}

static void assign_classes(struct exp_workload *w, const struct exp_scenario *s, struct exp_notes *notes)
{
    struct exp_class_keys *classes = sim_alloc(SIM_MAX_CLASSES, sizeof *classes);
    uint32_t n = exp_scenario_classes(s, classes);
    struct assign a = {classes, n, fallback_class(classes, n), w->trace};
    if (w->trace->n_classes)
        assign_by_trace(own(w), w->n_requests, &a, notes);
    else if (n > 1)
        assign_by_rule(own(w), w->n_requests, &a);
    free(classes);
}

/* ---- the whole ---- */

bool exp_workload_init(struct exp_workload *w, const struct exp_scenario *s, struct exp_cache *cache,
                       struct exp_notes *notes, struct sim_status *st)
{
    *w = (struct exp_workload){0};
    enum exp_source source = s->workload.source;
    bool ok = source == EXP_TRACE       ? take_trace(w, s, cache, st)
              : source == EXP_OPEN_LOOP ? take_open_loop(w, s, st)
                                        : take_closed_loop(w, s, st);
    if (!ok) return false;
    w->requests = w->trace->requests;
    w->n_requests = w->trace->n_requests;
    uint64_t most = s->workload.max_requests;
    if (source == EXP_TRACE && most && most < w->n_requests) w->n_requests = most;
    assign_classes(w, s, notes);
    return true;
}

struct exp_workload exp_workload_borrow(const struct exp_workload *w)
{
    struct exp_workload copy = *w;
    copy.own_requests = NULL;
    copy.own_trace = NULL;
    return copy;
}

void exp_workload_fini(struct exp_workload *w)
{
    free(w->own_requests);
    trc_free(w->own_trace);
    *w = (struct exp_workload){0};
}

static bool clip(struct sim_request *r, enum exp_overlong how, uint32_t max_model_len)
{
    uint64_t total = (uint64_t)r->input_tokens + r->output_tokens;
    if (total <= max_model_len) return false;
    uint64_t over = total - max_model_len;
    uint32_t *field = how == EXP_CLIP_INPUT ? &r->input_tokens : &r->output_tokens;
    if (over >= *field) return false; /* the other half alone is too long: left to be rejected */
    *field -= (uint32_t)over;
    return true;
}

void exp_workload_clip(struct exp_workload *w, enum exp_overlong how, uint32_t max_model_len)
{
    bool any = false;
    for (uint64_t i = 0; i < w->n_requests && !any; i++)
        any = (uint64_t)w->requests[i].input_tokens + w->requests[i].output_tokens > max_model_len;
    if (!any || how == EXP_REJECT) return;
    struct sim_request *r = own(w);
    for (uint64_t i = 0; i < w->n_requests; i++) w->n_clipped += clip(&r[i], how, max_model_len);
}
