#include "kernels/probes/copier.h"

#include <pthread.h>
#include <stdlib.h>

#include "kernels/host.h"

struct kb_copier {
    struct kb_device *device;
    struct kb_traffic *traffic;
    struct kb_queue *queue;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t told, done; /* by its master; after each round */
    bool running, busy, failed, closing;
    uint32_t n;
    struct kb_copier_count count;
    struct kb_error err;
};

static bool one_round(struct kb_copier *c, double *submit_s, double *busy_s, struct kb_error *err)
{
    double began = kb_now_s();
    if (!kb_traffic_send(c->traffic, c->queue, 0, c->n, err)) return false;
    *submit_s = kb_now_s() - began;
    bool ok = c->device->ops->wait(c->queue, err);
    *busy_s = kb_now_s() - began;
    kb_traffic_next_round(c->traffic);
    return ok;
}

/* Called with the lock, which it lets go while copying. */
static void work_once(struct kb_copier *c)
{
    double submit_s = 0, busy_s = 0;
    struct kb_error err = {{0}};
    c->busy = true;
    pthread_mutex_unlock(&c->lock);
    bool ok = one_round(c, &submit_s, &busy_s, &err);
    pthread_mutex_lock(&c->lock);
    c->busy = false;
    if (ok) {
        c->count.rounds++;
        c->count.submit_s += submit_s;
        c->count.busy_s += busy_s;
    } else {
        c->failed = true;
        c->err = err;
    }
    pthread_cond_broadcast(&c->done);
}

static void *serve(void *copier)
{
    struct kb_copier *c = copier;
    struct kb_error err;
    bool entered = c->device->link->enter(c->device, &err);
    pthread_mutex_lock(&c->lock);
    if (!entered) {
        c->failed = true;
        c->err = err;
    }
    while (!c->closing)
        if (c->running && !c->failed)
            work_once(c);
        else
            pthread_cond_wait(&c->told, &c->lock);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

struct kb_copier *kb_copier_new(struct kb_device *d, const struct kb_traffic_plan *plan, struct kb_error *err)
{
    struct kb_copier *c = calloc(1, sizeof *c);
    if (!c || pthread_mutex_init(&c->lock, NULL) || pthread_cond_init(&c->told, NULL) ||
        pthread_cond_init(&c->done, NULL))
        abort();
    c->device = d;
    c->n = plan->n;
    c->traffic = kb_traffic_new(d, plan, err);
    c->queue = c->traffic ? d->ops->queue_new(d, err) : NULL;
    if (c->queue && pthread_create(&c->thread, NULL, serve, c) == 0) return c;
    if (c->queue) {
        kb_fail(err, "no thread to copy in the background");
        d->ops->queue_free(c->queue);
    }
    kb_traffic_free(c->traffic);
    free(c);
    return NULL;
}

static void tell(struct kb_copier *c, bool running, bool closing)
{
    pthread_mutex_lock(&c->lock);
    c->running = running;
    c->closing = closing;
    pthread_cond_signal(&c->told);
    pthread_mutex_unlock(&c->lock);
}

void kb_copier_free(struct kb_copier *c)
{
    if (!c) return;
    tell(c, false, true);
    pthread_join(c->thread, NULL);
    c->device->ops->queue_free(c->queue);
    kb_traffic_free(c->traffic);
    pthread_cond_destroy(&c->done);
    pthread_cond_destroy(&c->told);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void kb_copier_go(struct kb_copier *c)
{
    tell(c, true, false);
}

void kb_copier_rest(struct kb_copier *c)
{
    tell(c, false, false);
    pthread_mutex_lock(&c->lock);
    while (c->busy) pthread_cond_wait(&c->done, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

bool kb_copier_is_well(struct kb_copier *c, struct kb_error *err)
{
    pthread_mutex_lock(&c->lock);
    bool well = !c->failed;
    if (!well) *err = c->err;
    pthread_mutex_unlock(&c->lock);
    return well;
}

void kb_copier_await(struct kb_copier *c, uint64_t n)
{
    pthread_mutex_lock(&c->lock);
    for (uint64_t end = c->count.rounds + n; c->count.rounds < end && !c->failed;)
        pthread_cond_wait(&c->done, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

struct kb_copier_count kb_copier_read(struct kb_copier *c)
{
    pthread_mutex_lock(&c->lock);
    struct kb_copier_count count = c->count;
    pthread_mutex_unlock(&c->lock);
    return count;
}
