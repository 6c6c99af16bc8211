/* What a pop and a push of the event queue cost with 10, 100 and 1000 events pending: the next event of one
 * owner in the place of the one that was, as the event loop does. Gaps are drawn beforehand. Median of 5; aim
 * 40 ns. */
#include "sim/eventq.h"
#include "sim/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_RUNS = 5, N_EVENTS = 4000000, N_GAPS = 1 << 16 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds per pop and push; *sum takes something of every event, so that none can be left out. */
static double hold_s(uint32_t pending, const double *gap_s, double *sum)
{
    struct sim_arena *arena = sim_arena_new();
    struct sim_eventq q;
    sim_eventq_init(&q, arena, pending);
    for (uint32_t i = 0; i < pending; i++) sim_eventq_push(&q, sim_key_of(gap_s[i], SIM_EV_STEP_END, i, 0));
    double start_s = now_s();
    for (uint32_t i = 0; i < N_EVENTS; i++) {
        sim_key key = sim_eventq_pop(&q);
        double at_s = sim_key_time_s(key);
        *sum += at_s;
        sim_eventq_push(&q, sim_key_of(at_s + gap_s[i % N_GAPS], SIM_EV_STEP_END, sim_key_owner(key), 0));
    }
    double taken_s = now_s() - start_s;
    sim_arena_free(arena);
    return taken_s / N_EVENTS;
}

int main(void)
{
    static const uint32_t pending[] = {10, 100, 1000};
    double *gap_s = sim_alloc(N_GAPS, sizeof *gap_s), sum = 0;
    for (uint32_t i = 0; i < N_GAPS; i++) gap_s[i] = -log(sim_random_unit(1, sim_stream("gaps"), i));
    for (size_t k = 0; k < sizeof pending / sizeof *pending; k++) {
        double taken_s[N_RUNS];
        for (int i = 0; i < N_RUNS; i++) taken_s[i] = hold_s(pending[k], gap_s, &sum);
        qsort(taken_s, N_RUNS, sizeof *taken_s, by_size);
        printf("%4u pending: %.1f ns per pop and push, best %.1f\n", pending[k], 1e9 * taken_s[N_RUNS / 2],
               1e9 * taken_s[0]);
    }
    free(gap_s);
    return sum > 0 ? 0 : 1;
}
