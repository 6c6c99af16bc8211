#include "kernels/shim/block.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

thread_local struct kb_shim_thread *kb_shim_now;

const dim3 *kb_shim_block_index()
{
    return &kb_shim_now->block->index;
}

const dim3 *kb_shim_block_dim()
{
    return &kb_shim_now->block->launch->block;
}

const dim3 *kb_shim_grid_dim()
{
    return &kb_shim_now->block->launch->grid;
}

unsigned char *kb_shim_shared()
{
    return kb_shim_now->block->shared;
}

/* --- failing --- */

[[noreturn]] static void leave(struct kb_shim_block *b)
{
    kb_fibre_release(&b->host);
    kb_fibre_switch(&kb_shim_now->fibre, &b->host);
    abort(); /* a fibre of a failed block is never run again */
}

void kb_shim_fail(const char *format, ...)
{
    struct kb_shim_block *b = kb_shim_now->block;
    const struct kb_shim_launch *l = b->launch;
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    kb_fail(&b->error, "%s, block (%u, %u, %u): %s", l->name, b->index.x, b->index.y, b->index.z, what);
    b->failed = true;
    leave(b);
}

/* Who waits where, the first few places. */
[[noreturn]] static void fail_deadlock(struct kb_shim_block *b)
{
    char text[320] = "";
    size_t used = 0;
    uint32_t n_ended = 0;
    for (uint32_t i = 0; i < b->n_threads; i++) {
        struct kb_shim_place p = b->thread[i].place;
        uint32_t same = 0;
        bool first = true;
        n_ended += b->thread[i].ended;
        for (uint32_t j = 0; p.word && j < b->n_threads; j++) {
            bool equal = b->thread[j].place.word == p.word && b->thread[j].place.line == p.line;
            first &= !equal || j >= i;
            same += equal;
        }
        if (p.word && first && used < sizeof text - 80)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%u at %s of line %d",
                                     used ? ", " : "", same, p.word, p.line);
    }
    kb_shim_fail("deadlock: threads wait for others that do not come: %s; %u have ended", text, n_ended);
}

/* --- who runs next --- */

static struct kb_shim_thread *next_in(struct kb_shim_block *b, uint32_t warp, uint32_t after)
{
    uint32_t ready = b->warp[warp].ready;
    if (!ready) return nullptr;
    uint32_t lane;
    if (b->backwards) {
        uint32_t below = ready & ((1u << after) - 1u);
        lane = 31u - (uint32_t)__builtin_clz(below ? below : ready);
    } else {
        uint32_t above = after == 31 ? 0 : ready & (~0u << (after + 1));
        lane = (uint32_t)__builtin_ctz(above ? above : ready);
    }
    return &b->thread[warp * KB_SHIM_WARP + lane];
}

static struct kb_shim_thread *next_thread(struct kb_shim_block *b, const struct kb_shim_thread *t)
{
    uint32_t warp = t->rank / KB_SHIM_WARP;
    struct kb_shim_thread *next = next_in(b, warp, t->lane);
    for (uint32_t i = 1; !next && i < b->n_warps; i++) {
        uint32_t w = (b->backwards ? warp + b->n_warps - i : warp + i) % b->n_warps;
        next = next_in(b, w, b->backwards ? 0 : 31);
    }
    return next;
}

void kb_shim_run_others(struct kb_shim_thread *t)
{
    struct kb_shim_thread *next = next_thread(t->block, t);
    if (!next) fail_deadlock(t->block);
    if (next == t) return;
    kb_shim_now = next;
    kb_fibre_switch(&t->fibre, &next->fibre);
}

/* Lets others run, if any can; stays ready itself. */
static void give_way(struct kb_shim_thread *t)
{
    t->warp->ready &= ~(1u << t->lane);
    struct kb_shim_thread *next = next_thread(t->block, t);
    t->warp->ready |= 1u << t->lane;
    if (!next) return;
    kb_shim_now = next;
    kb_fibre_switch(&t->fibre, &next->fibre);
}

/* --- meeting --- */

static void check_same_place(const struct kb_shim_thread *t, struct kb_shim_place p)
{
    struct kb_shim_place other = t->warp->place;
    if (other.line == p.line && strcmp(other.word, p.word) == 0) return;
    kb_shim_fail("lanes of warp %u are at different places: %s of line %d and %s of line %d",
                 t->rank / KB_SHIM_WARP, other.word, other.line, p.word, p.line);
}

uint32_t kb_shim_meet_warp(struct kb_shim_place place, void (*last)(struct kb_shim_warp *w))
{
    struct kb_shim_thread *t = kb_shim_now;
    struct kb_shim_warp *w = t->warp;
    uint32_t me = 1u << t->lane, turn = w->turn;
    if (w->arrived) check_same_place(t, place);
    w->place = place;
    w->arrived |= me;
    if (w->arrived == ~0u) {
        if (last) last(w);
        w->arrived = 0;
        w->ready = ~0u;
        w->turn++;
        for (uint32_t i = 0; i < KB_SHIM_WARP; i++) (t - t->lane + i)->place.word = nullptr;
    } else {
        t->place = place;
        w->ready &= ~me;
        kb_shim_run_others(t);
    }
    return turn & 1;
}

void kb_shim_sync_warp(struct kb_shim_place place)
{
    struct kb_shim_warp *w = kb_shim_now->warp;
    kb_fibre_release(w);
    kb_shim_meet_warp(place, nullptr);
    kb_fibre_acquire(w);
}

static void open_barrier(struct kb_shim_block *b, struct kb_shim_barrier *barrier)
{
    for (uint32_t w = 0; w < b->n_warps; w++) {
        uint32_t lanes = barrier->arrived[w];
        barrier->arrived[w] = 0;
        b->warp[w].ready |= lanes;
        for (; lanes; lanes &= lanes - 1)
            b->thread[w * KB_SHIM_WARP + (uint32_t)__builtin_ctz(lanes)].place.word = nullptr;
    }
    barrier->n_arrived = 0;
}

/* Counts one thread in; the last opens the barrier. True then. */
static bool come(struct kb_shim_block *b, struct kb_shim_place place, uint32_t number, uint32_t n)
{
    if (number >= KB_SHIM_BARRIERS || n % KB_SHIM_WARP)
        kb_shim_fail("%s of line %d: barrier %u, %u threads", place.word, place.line, number, n);
    struct kb_shim_barrier *barrier = &b->barrier[number];
    if (!n) n = b->n_threads;
    if (barrier->n_arrived && barrier->expected != n)
        kb_shim_fail("%s of line %d: %u threads expected, %u by others", place.word, place.line, n,
                     barrier->expected);
    barrier->expected = n;
    kb_fibre_release(barrier);
    if (++barrier->n_arrived < n) return false;
    open_barrier(b, barrier);
    return true;
}

void kb_shim_meet_block(struct kb_shim_place place, uint32_t number, uint32_t n)
{
    struct kb_shim_thread *t = kb_shim_now;
    struct kb_shim_block *b = t->block;
    if (!come(b, place, number, n)) {
        b->barrier[number].arrived[t->rank / KB_SHIM_WARP] |= 1u << t->lane;
        t->place = place;
        t->warp->ready &= ~(1u << t->lane);
        kb_shim_run_others(t);
    }
    kb_fibre_acquire(&b->barrier[number]);
}

void kb_shim_arrive_block(struct kb_shim_place place, uint32_t number, uint32_t n)
{
    struct kb_shim_thread *t = kb_shim_now;
    /* Those who waited run at once in every other block: what they wait for must be there by now. */
    if (come(t->block, place, number, n) && t->block->backwards) give_way(t);
}
