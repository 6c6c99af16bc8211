#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */
#include "kernels/cpu/link.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/cpu/cpu.h"
#include "kernels/host.h"

/* As deep as the launch queue of a GPU's stream; the thread gives room back after each BURST. */
enum { RING = 1024, BURST = 32, PAGE_BYTES = 4096 };

enum verb { COPY_EVEN, COPY_LISTED, RECORD, AWAIT };

struct command {
    enum verb verb;
    const char *from;
    char *to;
    const uint64_t *offset_from, *offset_to; /* COPY_LISTED */
    size_t pitch_from, pitch_to;             /* COPY_EVEN */
    size_t bytes, n;                         /* of a fragment; fragments */
    struct kb_event *event;
    uint64_t ticket; /* which recording of the event */
};

struct kb_queue {
    struct kb_device *device;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, progress; /* for the thread; for those who wait for room or for the end */
    uint64_t n_put, n_done;
    bool closing;
    struct command ring[RING];
};

struct kb_event {
    pthread_mutex_t lock;
    pthread_cond_t past;
    uint64_t recorded, done; /* tickets */
    double stamp_s;          /* of the last one done */
};

/* --- events --- */

static struct kb_event *event_new(struct kb_device *d, struct kb_error *err)
{
    (void)d;
    (void)err;
    struct kb_event *e = calloc(1, sizeof *e);
    if (!e || pthread_mutex_init(&e->lock, NULL) || pthread_cond_init(&e->past, NULL)) abort();
    return e;
}

static void event_free(struct kb_event *e)
{
    if (!e) return;
    pthread_cond_destroy(&e->past);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static uint64_t event_ticket(struct kb_event *e, bool another)
{
    pthread_mutex_lock(&e->lock);
    uint64_t ticket = another ? ++e->recorded : e->recorded;
    pthread_mutex_unlock(&e->lock);
    return ticket;
}

static void event_stamp(struct kb_event *e, uint64_t ticket)
{
    pthread_mutex_lock(&e->lock);
    e->stamp_s = kb_now_s();
    if (ticket > e->done) e->done = ticket;
    pthread_cond_broadcast(&e->past);
    pthread_mutex_unlock(&e->lock);
}

static void event_await(struct kb_event *e, uint64_t ticket)
{
    pthread_mutex_lock(&e->lock);
    while (e->done < ticket) pthread_cond_wait(&e->past, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static bool event_sync(struct kb_event *e, struct kb_error *err)
{
    (void)err;
    event_await(e, event_ticket(e, false));
    return true;
}

static bool event_read(struct kb_event *e, double *stamp_s)
{
    pthread_mutex_lock(&e->lock);
    bool past = e->recorded > 0 && e->done == e->recorded;
    *stamp_s = e->stamp_s;
    pthread_mutex_unlock(&e->lock);
    return past;
}

static bool event_seconds(struct kb_event *from, struct kb_event *to, double *seconds, struct kb_error *err)
{
    double a, b;
    if (!event_read(from, &a) || !event_read(to, &b)) return kb_fail(err, "cpu: an event is not past yet");
    *seconds = b - a;
    return true;
}

/* --- the copy thread --- */

static void copy_even(const struct command *c)
{
    for (size_t i = 0; i < c->n; i++) memcpy(c->to + i * c->pitch_to, c->from + i * c->pitch_from, c->bytes);
}

static void copy_listed(const struct command *c)
{
    for (size_t i = 0; i < c->n; i++) memcpy(c->to + c->offset_to[i], c->from + c->offset_from[i], c->bytes);
}

static void execute(const struct command *c)
{
    switch (c->verb) {
    case COPY_EVEN:
        copy_even(c);
        break;
    case COPY_LISTED:
        copy_listed(c);
        break;
    case RECORD:
        event_stamp(c->event, c->ticket);
        break;
    case AWAIT:
        event_await(c->event, c->ticket);
        break;
    }
}

static void *copy_thread(void *queue)
{
    struct kb_queue *q = queue;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (q->n_done == q->n_put && !q->closing) pthread_cond_wait(&q->work, &q->lock);
        if (q->n_done == q->n_put) break;
        uint64_t begin = q->n_done, end = q->n_put - begin > BURST ? begin + BURST : q->n_put;
        pthread_mutex_unlock(&q->lock); /* nobody writes to commands that were put and are not done */
        for (uint64_t i = begin; i < end; i++) execute(&q->ring[i % RING]);
        pthread_mutex_lock(&q->lock);
        q->n_done = end;
        pthread_cond_broadcast(&q->progress);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

struct kb_queue *kb_cpu_queue_new(struct kb_device *d, struct kb_error *err)
{
    struct kb_queue *q = calloc(1, sizeof *q);
    if (!q) abort();
    q->device = d;
    if (pthread_mutex_init(&q->lock, NULL) || pthread_cond_init(&q->work, NULL) ||
        pthread_cond_init(&q->progress, NULL))
        abort();
    if (pthread_create(&q->thread, NULL, copy_thread, q) == 0) return q;
    kb_fail(err, "cpu: no copy thread: the limit of threads is reached");
    free(q);
    return NULL;
}

void kb_cpu_queue_free(struct kb_queue *q)
{
    if (!q) return;
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_signal(&q->work);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    pthread_cond_destroy(&q->progress);
    pthread_cond_destroy(&q->work);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

bool kb_cpu_queue_wait(struct kb_queue *q, struct kb_error *err)
{
    (void)err;
    pthread_mutex_lock(&q->lock);
    for (uint64_t end = q->n_put; q->n_done < end;) pthread_cond_wait(&q->progress, &q->lock);
    pthread_mutex_unlock(&q->lock);
    return true;
}

bool kb_cpu_settle(struct kb_queue *q, struct kb_error *err)
{
    return !q || kb_cpu_queue_wait(q, err);
}

static void put_locked(struct kb_queue *q, const struct command *c)
{
    while (q->n_put - q->n_done == RING) pthread_cond_wait(&q->progress, &q->lock);
    q->ring[q->n_put++ % RING] = *c;
    pthread_cond_signal(&q->work);
}

static bool put(struct kb_queue *q, const struct command *c)
{
    pthread_mutex_lock(&q->lock);
    put_locked(q, c);
    pthread_mutex_unlock(&q->lock);
    return true;
}

/* On an empty queue the event is past now: kernels, which run in the caller, are timed without the thread. */
static bool event_record(struct kb_event *e, struct kb_queue *q, struct kb_error *err)
{
    (void)err;
    struct command c = {.verb = RECORD, .event = e, .ticket = event_ticket(e, true)};
    pthread_mutex_lock(&q->lock);
    bool empty = q->n_done == q->n_put;
    if (!empty) put_locked(q, &c);
    pthread_mutex_unlock(&q->lock);
    if (empty) event_stamp(e, c.ticket);
    return true;
}

static bool event_wait(struct kb_queue *q, struct kb_event *e, struct kb_error *err)
{
    (void)err;
    struct command c = {.verb = AWAIT, .event = e, .ticket = event_ticket(e, false)};
    return put(q, &c);
}

/* --- copies --- */

static bool copy(struct kb_queue *q, void *to, const void *from, size_t bytes, enum kb_direction direction,
                 struct kb_error *err)
{
    (void)direction;
    (void)err;
    struct command c = {.verb = COPY_EVEN, .from = from, .to = to, .bytes = bytes, .n = 1};
    return put(q, &c);
}

static bool has(struct kb_device *d, enum kb_method m)
{
    return m != KB_BY_KERNEL || d->kernel[KB_GATHER] != NULL;
}

static bool by_loop(struct kb_queue *q, const struct kb_fragments *f, struct kb_error *err)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (!copy(q, (char *)f->to + f->offset_to[i], (const char *)f->from + f->offset_from[i], f->bytes,
                  f->direction, err))
            return false;
    return true;
}

static bool by_batch(struct kb_queue *q, const struct kb_fragments *f)
{
    struct command c = {.verb = COPY_LISTED,
                        .from = f->from,
                        .to = f->to,
                        .offset_from = f->offset_from,
                        .offset_to = f->offset_to,
                        .bytes = f->bytes,
                        .n = f->n};
    return put(q, &c);
}

static bool by_2d(struct kb_queue *q, const struct kb_fragments *f)
{
    struct command c = {.verb = COPY_EVEN,
                        .from = (const char *)f->from + f->offset_from[0],
                        .to = (char *)f->to + f->offset_to[0],
                        .pitch_from = f->n > 1 ? f->offset_from[1] - f->offset_from[0] : 0,
                        .pitch_to = f->n > 1 ? f->offset_to[1] - f->offset_to[0] : 0,
                        .bytes = f->bytes,
                        .n = f->n};
    return put(q, &c);
}

static bool by_kernel(struct kb_queue *q, const struct kb_fragments *f, struct kb_error *err)
{
    struct kb_gather g = {.from = f->from,
                          .offset_from = f->device_offset_from,
                          .offset_to = f->device_offset_to,
                          .to = f->to,
                          .n = f->n,
                          .fragment_bytes = f->bytes,
                          .blocks = f->blocks};
    return q->device->kernel[KB_GATHER](q, &g, err);
}

static bool fragments(struct kb_queue *q, enum kb_method m, const struct kb_fragments *f,
                      struct kb_error *err)
{
    if (!has(q->device, m)) return kb_fail(err, "cpu: this build has no gather kernel");
    if (f->n == 0) return true;
    switch (m) {
    case KB_BY_LOOP:
        return by_loop(q, f, err);
    case KB_BY_BATCH:
        return by_batch(q, f);
    case KB_BY_2D:
        return by_2d(q, f);
    default:
        return by_kernel(q, f, err);
    }
}

/* --- memory and launches --- */

static bool enter(struct kb_device *d, struct kb_error *err)
{
    (void)d;
    (void)err;
    return true;
}

/* Pages that are there, and stay there where the system lets us lock them. The length stands in a page before. */
static void *pin_alloc(struct kb_device *d, size_t bytes, struct kb_error *err)
{
    (void)d;
    size_t whole = bytes + PAGE_BYTES;
    if (bytes > kb_host_pin_limit("")) {
        kb_fail(err, "cpu: %zu bytes to pin: more than a quarter of the free memory", bytes);
        return NULL;
    }
    char *p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        kb_fail(err, "cpu: %zu bytes to pin are not to be had", bytes);
        return NULL;
    }
    (void)madvise(p, whole, MADV_HUGEPAGE); /* a wish, and so is the lock */
    for (size_t i = 0; i < whole; i += PAGE_BYTES) p[i] = 0;
    (void)mlock(p, whole);
    *(size_t *)(void *)p = whole;
    return p + PAGE_BYTES;
}

static void pin_free(struct kb_device *d, void *p)
{
    (void)d;
    if (!p) return;
    char *base = (char *)p - PAGE_BYTES;
    munmap(base, *(size_t *)(void *)base);
}

/* What a kernel of the cpu device costs beside its work: the queue settled, the threads gathered and let go. */
static bool launch_empty(struct kb_queue *q, struct kb_error *err)
{
    if (!kb_cpu_settle(q, err)) return false;
#pragma omp parallel
    __asm__ volatile("" ::: "memory");
    return true;
}

const struct kb_link_ops kb_cpu_link = {.enter = enter,
                                        .pin_alloc = pin_alloc,
                                        .pin_free = pin_free,
                                        .copy = copy,
                                        .has = has,
                                        .fragments = fragments,
                                        .event_new = event_new,
                                        .event_free = event_free,
                                        .event_record = event_record,
                                        .event_wait = event_wait,
                                        .event_sync = event_sync,
                                        .event_seconds = event_seconds,
                                        .launch_empty = launch_empty};
