/* Threads that compute points. Each takes one point, computes it and gives its result away before it takes the next. */
#include "experiments/study/sweep_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/check.h"
#include "sim/memory.h"

/* ---- points ---- */

uint64_t exp_crew_waiting(const struct exp_crew *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->n_spans; i++) n += c->span[i].to - c->span[i].from;
    return n;
}

static struct exp_span cut(struct exp_crew *c, uint64_t n)
{
    if (!c->n_spans) return (struct exp_span){0};
    struct exp_span *first = &c->span[0], out = *first;
    if (out.to - out.from > n) out.to = out.from + n;
    first->from = out.to;
    if (first->from == first->to) memmove(first, first + 1, --c->n_spans * sizeof *first);
    return out;
}

struct exp_span exp_crew_cut(struct exp_crew *c, uint64_t n)
{
    pthread_mutex_lock(&c->lock);
    struct exp_span out = c->stop ? (struct exp_span){0} : cut(c, n);
    pthread_mutex_unlock(&c->lock);
    return out;
}

void exp_crew_feed(struct exp_crew *c, struct exp_span span, bool last)
{
    pthread_mutex_lock(&c->lock);
    SIM_CHECK(c->n_spans < EXP_MAX_SPANS);
    if (span.from < span.to) c->span[c->n_spans++] = span;
    c->last |= last;
    pthread_cond_broadcast(&c->more);
    pthread_mutex_unlock(&c->lock);
}

static void wake(struct exp_crew *c)
{
    c->woken = true;
    pthread_cond_signal(&c->wake);
}

static bool take(struct exp_crew *c, uint64_t *i)
{
    pthread_mutex_lock(&c->lock);
    while (!c->stop && !c->n_spans && !c->last) {
        c->n_hungry++;
        wake(c);
        pthread_cond_wait(&c->more, &c->lock);
        c->n_hungry--;
    }
    struct exp_span one = c->stop ? (struct exp_span){0} : cut(c, 1);
    pthread_mutex_unlock(&c->lock);
    if (one.from == one.to) return false;
    *i = c->point[one.from];
    return true;
}

/* ---- results ---- */

static void post(struct exp_crew *c, const struct exp_point_result *r)
{
    struct exp_posted *p = sim_alloc(1, sizeof *p);
    p->bytes = exp_result_pack(r, &p->n);
    pthread_mutex_lock(&c->lock);
    *c->posted_end = p;
    c->posted_end = &p->next;
    pthread_mutex_unlock(&c->lock);
}

static void say(const struct exp_crew *c, const char *what, uint64_t i)
{
    if (c->parts->o->verbose) fprintf(stderr, "%s %llu\n", what, (unsigned long long)i);
}

/* False once nobody wants results; a store that is being written is not closed. */
static bool enter(struct exp_crew *c)
{
    pthread_mutex_lock(&c->lock);
    bool wanted = !c->abandoned;
    c->n_giving += wanted;
    pthread_mutex_unlock(&c->lock);
    return wanted;
}

static void leave(struct exp_crew *c, const struct exp_point_result *r, const struct sim_status *st)
{
    pthread_mutex_lock(&c->lock);
    c->n_giving--;
    if (st->code == SIM_EXIT_OK) {
        c->computed++;
        c->failed += r->state == EXP_POINT_FAILED;
        c->busy_s += r->wall_s;
    } else {
        if (c->st.code == SIM_EXIT_OK) c->st = *st;
        c->stop = true;
        pthread_cond_broadcast(&c->more);
    }
    /* What is stored needs no main thread, which would take a processor from those that compute. */
    if (!c->parts->store || c->stop) wake(c);
    pthread_mutex_unlock(&c->lock);
}

void exp_crew_give(struct exp_crew *c, const struct exp_point_result *r)
{
    struct sim_status st = {0};
    if (!enter(c)) return;
    if (!c->parts->store)
        post(c, r);
    else if (exp_store_put(c->parts->store, r, &st))
        say(c, "stored", r->index);
    leave(c, r, &st);
}

/* ---- threads ---- */

static void *work(void *crew)
{
    struct exp_crew *c = crew;
    struct exp_scenario *room = exp_scenario_new();
    for (uint64_t i; take(c, &i);) {
        struct exp_point_result r;
        say(c, "begin", i);
        exp_sweep_compute(c->parts, i, room, &r);
        exp_crew_give(c, &r);
        exp_point_result_fini(&r);
    }
    free(room);
    pthread_mutex_lock(&c->lock);
    c->n_running--;
    wake(c);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void init(struct exp_crew *c, struct exp_sweep_parts *p, const uint64_t *point)
{
    pthread_condattr_t forward;
    *c = (struct exp_crew){.parts = p, .point = point};
    c->posted_end = &c->posted;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&forward);
    pthread_condattr_setclock(&forward, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &forward);
    pthread_cond_init(&c->more, NULL);
    pthread_condattr_destroy(&forward);
    c->thread = sim_alloc(p->o->n_threads, sizeof *c->thread);
}

/* Fewer threads than asked for, when the system refuses them, do as well. */
bool exp_crew_start(struct exp_crew *c, struct exp_sweep_parts *p, const uint64_t *point,
                    struct sim_status *st)
{
    int why = 0;
    init(c, p, point);
    pthread_mutex_lock(&c->lock);
    while (c->n_threads < p->o->n_threads && !why) {
        why = pthread_create(&c->thread[c->n_threads], NULL, work, c);
        if (!why) c->n_running++, c->n_threads++;
    }
    pthread_mutex_unlock(&c->lock);
    return c->n_threads > 0 ||
           sim_fail(st, "kvsim sweep: no thread can be started (%s); allow more processes (ulimit -u)",
                    strerror(why));
}

void exp_crew_stop(struct exp_crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->more);
    pthread_mutex_unlock(&c->lock);
}

void exp_crew_wait(struct exp_crew *c, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    long ns = until.tv_nsec + (long)(1e9 * seconds);
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&c->lock);
    while (!c->woken && pthread_cond_timedwait(&c->wake, &c->lock, &until) != ETIMEDOUT) continue;
    c->woken = false;
    pthread_mutex_unlock(&c->lock);
}

/* From here on no thread touches the store. */
static bool abandon(struct exp_crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    c->abandoned = c->n_running > 0;
    pthread_cond_broadcast(&c->more);
    while (c->abandoned && c->n_giving > 0) {
        pthread_mutex_unlock(&c->lock);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        pthread_mutex_lock(&c->lock);
    }
    bool left = c->abandoned;
    pthread_mutex_unlock(&c->lock);
    return left;
}

bool exp_crew_end(struct exp_crew *c)
{
    if (abandon(c)) {
        for (uint32_t i = 0; i < c->n_threads; i++) pthread_detach(c->thread[i]);
        return false;
    }
    for (uint32_t i = 0; i < c->n_threads; i++) pthread_join(c->thread[i], NULL);
    while (c->posted) {
        struct exp_posted *p = c->posted;
        c->posted = p->next;
        free(p->bytes);
        free(p);
    }
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->wake);
    pthread_cond_destroy(&c->more);
    free(c->thread);
    return true;
}
