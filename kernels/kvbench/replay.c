#include "kernels/kvbench/replay.h"

#include <stdlib.h>

#include "kernels/kvbench/util.h"

enum { SINK_PAGES = 4 };

struct replay {
    struct kb_device *device;
    const struct kvb_plan *plan;
    const struct kvb_replay_options *o;
    struct kvb_pages *pages;
    struct kvb_engine *engine;
    struct kvb_batch batch;
    size_t n_steps; /* of the plan */
    struct kb_error *err;
};

/* What to do with a batch that is made; repeat and step in hand. False ends the pass. */
typedef bool visit_fn(struct replay *r, const struct kvb_plan_step *step, void *user);

/* All steps in order, requests growing and ending as the plan says. Replicas come one after the other, each with the
 * whole pool. */
static bool visit_steps(struct replay *r, visit_fn *visit, void *user)
{
    const struct kvb_plan *p = r->plan;
    bool ok = true;
    for (size_t i = 0; ok && i < r->n_steps; i++) {
        if (i == 0 || p->step[i].replica != p->step[i - 1].replica) kvb_pages_reset(r->pages);
        ok = kvb_batch_make(&r->batch, p, &p->step[i], r->pages, r->o->engine.page_tokens, r->err);
        if (ok && r->batch.n_tokens) ok = visit(r, &p->step[i], user);
        kvb_batch_end(p, &p->step[i], r->pages);
    }
    return ok;
}

/* --- the dry pass --- */

struct need {
    struct kvb_engine_size size;
    size_t n_steps;
};

/* Full attention reads everything: a plan of another strategy would be executed wrongly. */
static bool check_reads(struct replay *r, const struct kvb_plan_step *step)
{
    const struct kvb_batch *b = &r->batch;
    if (r->o->engine.window || b->read_tokens == 0) return true;
    return kb_fail(r->err,
                   "step %llu of replica %u: decode reads %u tokens of a longer cache; replay it with --kv "
                   "streaming_llm",
                   (unsigned long long)step->step, step->replica, b->read_tokens);
}

static bool measure_need(struct replay *r, const struct kvb_plan_step *step, void *user)
{
    struct need *n = user;
    n->n_steps++;
    kvb_engine_size_add(&n->size, &r->batch, r->device, &r->o->engine.model);
    return check_reads(r, step);
}

static bool find_need(struct replay *r, struct need *n)
{
    r->pages = kvb_pages_new(r->plan->n_requests, 0, SINK_PAGES);
    bool ok = visit_steps(r, measure_need, n);
    n->size.n_pages = r->pages->n_known;
    kvb_pages_free(r->pages);
    r->pages = NULL;
    return ok &&
           (n->n_steps > 0 || kb_fail(r->err, "the plan computes nothing, expected new_tokens above 0"));
}

/* --- warming up --- */

/* Kernels are loaded and matrix products choose their algorithms at first use: once for each size of step, on one
 * layer. */
struct warm_up {
    unsigned char *done; /* [n_tokens] */
};

static bool warm(struct replay *r, const struct kvb_plan_step *step, void *user)
{
    struct warm_up *w = user;
    struct kvb_step_time ignored;
    (void)step;
    if (kvb_interrupted()) return false;
    if (w->done[r->batch.n_tokens]) return true;
    w->done[r->batch.n_tokens] = 1;
    return kvb_engine_step(r->engine, &r->batch, 1, &ignored, r->err);
}

static bool warm_up(struct replay *r, uint32_t max_tokens)
{
    struct warm_up w = {kvb_alloc((size_t)max_tokens + 1, 1)};
    bool ok = visit_steps(r, warm, &w);
    free(w.done);
    return ok;
}

/* --- the timed passes --- */

struct pass {
    uint32_t repeat;
    kvb_replay_fn *on_step;
    void *user;
};

static bool execute(struct replay *r, const struct kvb_plan_step *step, void *user)
{
    const struct pass *p = user;
    struct kvb_step_time time;
    if (kvb_interrupted()) return false;
    if (!kvb_engine_step(r->engine, &r->batch, r->o->engine.model.n_layers, &time, r->err)) return false;
    return p->on_step(p->user, step, &r->batch, p->repeat, &time);
}

static bool run_passes(struct replay *r, kvb_replay_fn *on_step, void *user)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < r->o->repeats; i++) {
        struct pass p = {i, on_step, user};
        ok = visit_steps(r, execute, &p);
    }
    return ok || kvb_interrupted();
}

bool kvb_replay(struct kb_device *d, const struct kvb_plan *plan, const struct kvb_replay_options *o,
                struct kvb_replay_facts *facts, kvb_replay_fn *on_step, void *user, struct kb_error *err)
{
    struct replay r = {.device = d, .plan = plan, .o = o, .err = err};
    struct need need = {0};
    r.n_steps = o->max_steps < plan->n_steps ? (size_t)o->max_steps : plan->n_steps;
    bool ok = find_need(&r, &need);
    if (ok) ok = (r.engine = kvb_engine_new(d, &o->engine, &need.size, err)) != NULL;
    if (ok) {
        r.pages = kvb_pages_new(plan->n_requests, need.size.n_pages, SINK_PAGES);
        *facts = (struct kvb_replay_facts){need.n_steps, kvb_engine_distinct_layers(r.engine),
                                           need.size.n_pages, kvb_engine_bytes(r.engine)};
        ok = (warm_up(&r, need.size.n_tokens) || kvb_interrupted()) && run_passes(&r, on_step, user);
    }
    kvb_engine_free(r.engine);
    kvb_pages_free(r.pages);
    kvb_batch_fini(&r.batch);
    return ok;
}
