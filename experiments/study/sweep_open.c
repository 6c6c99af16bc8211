/* Which points are to be computed: keys of all, by blocks that ranks and threads share, held against the store by rank 0. */
#include "experiments/study/sweep_parts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "experiments/parallel.h"
#include "sim/memory.h"

/* Places of one rank at a time; of a thread; names that rank 0 has in memory. */
enum { BLOCK = 4096, LEAST_BLOCK = 64, TASK = 32, MOST_NAMES = 1 << 17 };

struct name {
    char key[EXP_KEY_BYTES], setup[EXP_KEY_BYTES];
};

/* ---- keys ---- */

struct block {
    const struct exp_sweep_parts *parts;
    uint64_t from, n; /* places of this rank */
    struct name *name;
};

static void name_some(void *block, uint32_t task)
{
    struct block *b = block;
    struct exp_scenario *room = exp_scenario_new();
    uint64_t from = (uint64_t)task * TASK, to = from + TASK < b->n ? from + TASK : b->n;
    for (uint64_t k = from; k < to; k++) {
        struct exp_point_result r;
        exp_sweep_name(b->parts, exp_sweep_point_at(b->parts, b->from + k), room, &r);
        memcpy(b->name[k].key, r.key, EXP_KEY_BYTES);
        memcpy(b->name[k].setup, r.setup, EXP_KEY_BYTES);
    }
    free(room);
}

/* ---- keys that were seen: two points may be one scenario ---- */

struct seen {
    struct bits {
        uint64_t hi, lo;
    } * at; /* 0, 0 = empty */
    size_t n, room;
};

static struct bits bits_of(const char *key)
{
    char half[17] = "";
    memcpy(half, key, 16);
    return (struct bits){strtoull(half, NULL, 16), strtoull(key + 16, NULL, 16)};
}

static struct bits *place_of(const struct seen *s, struct bits b)
{
    size_t i = b.lo & (s->room - 1);
    while ((s->at[i].hi || s->at[i].lo) && (s->at[i].hi != b.hi || s->at[i].lo != b.lo))
        i = (i + 1) & (s->room - 1);
    return &s->at[i];
}

static void grow(struct seen *s)
{
    struct seen bigger = {sim_alloc(s->room ? 2 * s->room : 1024, sizeof *s->at), s->n,
                          s->room ? 2 * s->room : 1024};
    for (size_t i = 0; i < s->room; i++)
        if (s->at[i].hi || s->at[i].lo) *place_of(&bigger, s->at[i]) = s->at[i];
    free(s->at);
    *s = bigger;
}

/* Was the key there already? */
static bool see(struct seen *s, const char *key)
{
    if (2 * s->n >= s->room) grow(s);
    struct bits b = bits_of(key), *at = place_of(s, b);
    if (at->hi || at->lo) return true;
    *at = b;
    s->n++;
    return false;
}

/* ---- against the store ---- */

/* What another study, or this one before it was edited, computed is a row of this one, too. */
static bool adopt(const struct exp_sweep_parts *p, uint64_t i, const struct name *name, struct sim_status *st)
{
    if (!p->writes) return true;
    struct exp_point_result r = {.index = i};
    memcpy(r.key, name->key, EXP_KEY_BYTES);
    memcpy(r.setup, name->setup, EXP_KEY_BYTES);
    r.settings = exp_sweep_settings(p, i);
    bool ok = exp_store_adopt(p->store, &r, st);
    exp_point_result_fini(&r);
    return ok;
}

/* ---- all ---- */

struct search {
    const struct exp_sweep_parts *parts;
    const struct exp_ranks *ranks;
    struct exp_sweep_open *out;
    struct seen seen;
    uint64_t block; /* places of one rank at a time */
    struct name *mine, *all;
    size_t room;
};

static void add(struct search *s, uint64_t i)
{
    struct exp_sweep_open *o = s->out;
    if (o->n == s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        o->point = sim_realloc(o->point, s->room, sizeof *o->point);
    }
    o->point[o->n++] = i;
}

static bool judge(struct search *s, uint64_t i, const struct name *name, struct sim_status *st)
{
    const struct exp_sweep_parts *p = s->parts;
    bool named = name->key[0] != '\0', twin = named && see(&s->seen, name->key), stored = p->store && named;
    bool done = stored && !twin && exp_store_has(p->store, name->key);
    bool kept = stored && !twin && !done && p->o->keep_failed && exp_store_has_failed(p->store, name->key);
    if (twin) {
        s->out->equal++;
        return true;
    }
    if (done || kept) {
        s->out->reused++;
        return !done || adopt(p, i, name, st);
    }
    if (stored && exp_store_stale(p->store, name->setup, name->key) > 0) s->out->stale++;
    if (stored && exp_store_has_failed(p->store, name->key)) s->out->failed++;
    add(s, i);
    return true;
}

static bool search_block(struct search *s, uint64_t from, struct sim_status *st)
{
    uint64_t places = s->out->points, first = from + s->ranks->rank * s->block;
    struct block b = {s->parts, first, 0, s->mine};
    if (first < places) b.n = places - first < s->block ? places - first : s->block;
    exp_parallel((uint32_t)((b.n + TASK - 1) / TASK), s->parts->o->n_threads, name_some, &b);
    exp_ranks_gather(s->ranks, s->mine, s->block * sizeof *s->mine, s->all);
    if (s->ranks->rank) return true;
    bool ok = true;
    for (uint64_t k = 0; ok && k < s->ranks->n * s->block && from + k < places; k++)
        ok = judge(s, exp_sweep_point_at(s->parts, from + k), &s->all[k], st);
    if (s->parts->store) exp_store_renew(s->parts->store);
    return ok;
}

/* Rank 0's word goes: a signal to it, or a failure. One to another rank waits until points are computed. */
static bool goes_on(const struct search *s, bool ok, const sigset_t *stop, bool *stopped)
{
    *stopped = stop && s->ranks->rank == 0 && sigtimedwait(stop, NULL, &(struct timespec){0}) > 0;
    unsigned char on = ok && !*stopped;
    exp_ranks_share(s->ranks, &on, sizeof on);
    return on;
}

static void search(struct search *s, const sigset_t *stop, bool *stopped, struct sim_status *st)
{
    uint64_t step = s->ranks->n * s->block;
    bool ok = true;
    struct exp_sweep_progress p =
        exp_sweep_progress_begin("points looked up", s->ranks->rank > 0 || s->parts->o->verbose);
    for (uint64_t from = 0; from < s->out->points && goes_on(s, ok, stop, stopped); from += step) {
        exp_sweep_progress_show(&p, from, s->out->points, 0);
        ok = search_block(s, from, st);
    }
    exp_sweep_progress_end(&p);
}

/* Rank 0's list becomes everybody's. */
static void share(const struct exp_ranks *ranks, struct exp_sweep_open *out)
{
    exp_ranks_share(ranks, &out->n, sizeof out->n);
    if (ranks->rank) out->point = sim_alloc(out->n ? out->n : 1, sizeof *out->point);
    exp_ranks_share(ranks, out->point, out->n * sizeof *out->point);
}

static uint64_t block_of(uint64_t points, uint32_t n_ranks)
{
    uint64_t block = BLOCK < MOST_NAMES / n_ranks ? BLOCK : MOST_NAMES / n_ranks;
    if (block < LEAST_BLOCK) block = LEAST_BLOCK;
    uint64_t each = (points + n_ranks - 1) / n_ranks;
    return each < block ? each : block;
}

bool exp_sweep_find_open(const struct exp_sweep_parts *p, const sigset_t *stop, struct exp_sweep_open *out,
                         bool *stopped, struct sim_status *st)
{
    *out = (struct exp_sweep_open){.points = exp_sweep_n_places(p)};
    struct search s = {.parts = p, .ranks = p->o->ranks, .out = out};
    s.block = block_of(out->points, s.ranks->n);
    s.mine = sim_alloc(s.block + 1, sizeof *s.mine);
    if (!s.ranks->rank) s.all = sim_alloc(s.ranks->n * s.block + 1, sizeof *s.all);
    search(&s, stop, stopped, st);
    bool ok = exp_ranks_agree(s.ranks, st);
    exp_ranks_share(s.ranks, stopped, sizeof *stopped);
    if (ok && !*stopped) share(s.ranks, out);
    free(s.seen.at);
    free(s.mine);
    free(s.all);
    return ok;
}
