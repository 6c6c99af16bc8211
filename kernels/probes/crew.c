#include "kernels/probes/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernels/link.h"

struct member {
    struct kb_crew *crew;
    pthread_t thread;
    uint32_t index;
    bool ok;
    struct kb_error err;
};

struct kb_crew {
    struct kb_device *device;
    kb_crew_work *work;
    void *arg;
    struct member *member;
    uint32_t n;
    pthread_mutex_t lock;
    pthread_cond_t armed, finished;
    uint64_t round; /* that they are called to; 0 = none yet */
    uint32_t n_finished;
    bool closing;
    atomic_uint n_ready;
    atomic_ullong started; /* the round that may go */
};

/* False when the crew is dismissed. */
static bool wait_for_round(struct kb_crew *c, uint64_t round)
{
    pthread_mutex_lock(&c->lock);
    while (c->round < round && !c->closing) pthread_cond_wait(&c->armed, &c->lock);
    bool called = c->round >= round;
    pthread_mutex_unlock(&c->lock);
    return called;
}

static void count_finished(struct kb_crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->n_finished++;
    pthread_cond_signal(&c->finished);
    pthread_mutex_unlock(&c->lock);
}

static void *serve(void *member)
{
    struct member *m = member;
    struct kb_crew *c = m->crew;
    m->ok = c->device->link->enter(c->device, &m->err);
    count_finished(c);
    for (uint64_t round = 1; wait_for_round(c, round); round++) {
        atomic_fetch_add(&c->n_ready, 1);
        while (atomic_load(&c->started) < round) sched_yield();
        m->ok = c->work(c->arg, m->index, &m->err);
        count_finished(c);
    }
    return NULL;
}

static bool start_member(struct kb_crew *c, struct kb_error *err)
{
    struct member *m = &c->member[c->n];
    *m = (struct member){.crew = c, .index = c->n};
    if (pthread_create(&m->thread, NULL, serve, m) != 0) return kb_fail(err, "no thread to submit from");
    c->n++;
    return true;
}

struct kb_crew *kb_crew_new(struct kb_device *d, uint32_t n_threads, kb_crew_work *work, void *arg,
                            struct kb_error *err)
{
    struct kb_crew *c = calloc(1, sizeof *c);
    if (!c) abort();
    c->device = d;
    c->work = work;
    c->arg = arg;
    c->member = calloc(n_threads, sizeof *c->member);
    if (!c->member || pthread_mutex_init(&c->lock, NULL) || pthread_cond_init(&c->armed, NULL) ||
        pthread_cond_init(&c->finished, NULL))
        abort();
    while (c->n < n_threads && start_member(c, err)) continue;
    if (c->n == n_threads && kb_crew_finish(c, err)) return c; /* all have entered the device */
    kb_crew_free(c);
    return NULL;
}

void kb_crew_free(struct kb_crew *c)
{
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_broadcast(&c->armed);
    pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < c->n; i++) pthread_join(c->member[i].thread, NULL);
    pthread_cond_destroy(&c->finished);
    pthread_cond_destroy(&c->armed);
    pthread_mutex_destroy(&c->lock);
    free(c->member);
    free(c);
}

void kb_crew_arm(struct kb_crew *c)
{
    atomic_store(&c->n_ready, 0);
    pthread_mutex_lock(&c->lock);
    c->n_finished = 0;
    c->round++;
    pthread_cond_broadcast(&c->armed);
    pthread_mutex_unlock(&c->lock);
    while (atomic_load(&c->n_ready) < c->n) sched_yield();
}

void kb_crew_go(struct kb_crew *c)
{
    atomic_fetch_add(&c->started, 1);
}

bool kb_crew_finish(struct kb_crew *c, struct kb_error *err)
{
    pthread_mutex_lock(&c->lock);
    while (c->n_finished < c->n) pthread_cond_wait(&c->finished, &c->lock);
    pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < c->n; i++)
        if (!c->member[i].ok) {
            *err = c->member[i].err;
            return false;
        }
    return true;
}
