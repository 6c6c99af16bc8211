#include "experiments/costs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check.h"
#include "sim/memory.h"

/* What a cost is made from. Padding between fields is zeroed or, at worst, makes equal things look different. */
struct inputs {
    struct mdl_cost_spec spec; /* its pointers into a setup are NULL here */
    struct mdl_arch arch;
    struct mdl_engine engine;
    struct mdl_kv_use use, believed;
    struct mdl_kv_plan plan;
    struct mdl_host host;
};

struct exp_shared_cost {
    struct exp_shared_cost *next;
    struct inputs *from;
    uint64_t hash;
    struct mdl_cost *cost;
    uint32_t users;
    uint64_t last_used;
    bool made;
    struct sim_status why; /* code 0 = it could be made */
};

struct exp_costs {
    pthread_mutex_t lock;
    pthread_cond_t made;
    struct exp_shared_cost *first;
    uint64_t clock;
};

struct exp_costs *exp_costs_new(void)
{
    struct exp_costs *c = sim_alloc(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->made, NULL);
    return c;
}

static void drop(struct exp_shared_cost *e)
{
    mdl_cost_free(e->cost);
    free(e->from);
    free(e);
}

void exp_costs_free(struct exp_costs *c)
{
    if (!c) return;
    while (c->first) {
        struct exp_shared_cost *e = c->first;
        SIM_CHECK(e->users == 0);
        c->first = e->next;
        drop(e);
    }
    pthread_cond_destroy(&c->made);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct inputs *inputs_of(const struct mdl_cost_spec *spec)
{
    struct inputs *in = sim_alloc(1, sizeof *in);
    in->spec = *spec;
    in->arch = *spec->arch;
    in->engine = *spec->engine;
    if (spec->use) {
        in->use = *spec->use;
        in->plan = *spec->plan;
        in->host = *spec->host;
    }
    if (spec->believed) in->believed = *spec->believed;
    in->spec.arch = NULL;
    in->spec.engine = NULL;
    in->spec.use = NULL;
    in->spec.believed = NULL;
    in->spec.plan = NULL;
    in->spec.host = NULL;
    return in;
}

/* FNV-1a over words: a filter before the bytes are compared. */
static uint64_t hash_of(const struct inputs *in)
{
    uint64_t h = 0xcbf29ce484222325u, word;
    const unsigned char *at = (const unsigned char *)in;
    for (size_t i = 0; i + sizeof word <= sizeof *in; i += sizeof word) {
        memcpy(&word, at + i, sizeof word);
        h = (h ^ word) * 0x100000001b3u;
    }
    return h;
}

static struct exp_shared_cost *find(struct exp_costs *c, const struct inputs *in, uint64_t hash)
{
    struct exp_shared_cost *e = c->first;
    while (e && (e->hash != hash || memcmp(e->from, in, sizeof *in) != 0)) e = e->next;
    return e;
}

/* The idle ones beyond what is kept, the longest idle first. */
static void shrink(struct exp_costs *c)
{
    for (;;) {
        struct exp_shared_cost **oldest = NULL;
        uint32_t idle = 0;
        for (struct exp_shared_cost **at = &c->first; *at; at = &(*at)->next) {
            if ((*at)->users) continue;
            idle++;
            if (!oldest || (*at)->last_used < (*oldest)->last_used) oldest = at;
        }
        if (idle <= EXP_IDLE_COSTS) return;
        struct exp_shared_cost *e = *oldest;
        *oldest = e->next;
        drop(e);
    }
}

static struct exp_shared_cost *add(struct exp_costs *c, struct inputs *in, uint64_t hash)
{
    struct exp_shared_cost *e = sim_alloc(1, sizeof *e);
    e->next = c->first;
    e->from = in;
    e->hash = hash;
    c->first = e;
    return e;
}

static void make(struct exp_costs *c, struct exp_shared_cost *e, const struct mdl_cost_spec *spec)
{
    pthread_mutex_unlock(&c->lock);
    struct mdl_cost *cost = mdl_cost_new(spec, &e->why);
    pthread_mutex_lock(&c->lock);
    e->cost = cost;
    e->made = true;
    pthread_cond_broadcast(&c->made);
}

struct exp_shared_cost *exp_costs_take(struct exp_costs *c, const struct mdl_cost_spec *spec,
                                       struct sim_status *st)
{
    struct inputs *in = inputs_of(spec);
    uint64_t hash = hash_of(in);
    pthread_mutex_lock(&c->lock);
    struct exp_shared_cost *e = find(c, in, hash);
    bool known = e != NULL;
    if (!known) e = add(c, in, hash);
    e->users++;
    e->last_used = ++c->clock;
    if (!known) make(c, e, spec);
    while (!e->made) pthread_cond_wait(&c->made, &c->lock);
    bool ok = e->cost != NULL;
    if (!ok) {
        e->users--;
        sim_fail_as(st, e->why.code, "%s", e->why.message);
    }
    shrink(c);
    pthread_mutex_unlock(&c->lock);
    if (known) free(in);
    return ok ? e : NULL;
}

void exp_costs_give(struct exp_costs *c, struct exp_shared_cost *cost)
{
    if (!cost) return;
    pthread_mutex_lock(&c->lock);
    cost->users--;
    shrink(c);
    pthread_mutex_unlock(&c->lock);
}

struct mdl_cost *exp_shared_cost(const struct exp_shared_cost *cost)
{
    return cost->cost;
}
