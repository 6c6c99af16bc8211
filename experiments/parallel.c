#include "experiments/parallel.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/memory.h"

struct queue {
    uint32_t n_tasks;
    uint32_t next; /* taken atomically */
    void (*work)(void *user, uint32_t i);
    void *user;
};

static void *take(void *queue)
{
    struct queue *q = queue;
    for (uint32_t i; (i = __atomic_fetch_add(&q->next, 1, __ATOMIC_RELAXED)) < q->n_tasks;)
        q->work(q->user, i);
    return NULL;
}

void exp_parallel(uint32_t n_tasks, uint32_t n_threads, void (*work)(void *user, uint32_t i), void *user)
{
    struct queue q = {n_tasks, 0, work, user};
    uint32_t helpers = n_threads < n_tasks ? n_threads : n_tasks, started = 0;
    pthread_t *threads = sim_alloc(helpers ? helpers : 1, sizeof *threads);
    while (started + 1 < helpers && pthread_create(&threads[started], NULL, take, &q) == 0) started++;
    take(&q);
    for (uint32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    free(threads);
}

uint32_t exp_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}
