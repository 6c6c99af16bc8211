/* The simulator's containers against the slowest thing that can be right: a linear scan, a sort, a count one
 * by one. Capacities are 1 to a few, so that full and empty happen all the time. */
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/eventq.h"
#include "sim/kvpool.h"
#include "sim/queue.h"
#include "sim/random.h"
#include "tests/harness.h"

enum { N_SEEDS = 20 };

/* ck_assert for inner loops: Check's own reports every assertion that holds, too, by a system call. */
#define HOLDS(condition) ((condition) ? (void)0 : ck_abort_msg("%s", #condition))

/* Draws of one test: uniform in 0 .. n - 1. */
struct dice {
    uint64_t seed, count;
};

static uint32_t roll(struct dice *d, uint32_t n)
{
    return (uint32_t)(sim_random_unit(d->seed, sim_stream("structures"), d->count++) * n);
}

/* Acts in a child; true when that ended by SIGABRT, as a broken rule must. */
static bool aborts(void (*act)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr)) act();
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* --- event queue --- */

enum { QUEUE_CAPACITY = 40, N_OWNERS = 13 };

/* Few instants, kinds and owners, so that most keys tie in something. */
static sim_key any_key(struct dice *d, uint32_t owner)
{
    double time_s = roll(d, 5) * 0.25 + (roll(d, 10) ? 0 : DBL_MIN);
    return sim_key_of(time_s, (enum sim_event_kind)roll(d, SIM_EV_SAMPLE + 1), owner, roll(d, 4));
}

static uint32_t least(const sim_key *keys, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (keys[i] < keys[best]) best = i;
    return best;
}

START_TEST(the_event_queue_pops_what_a_linear_scan_finds)
{
    struct dice d = {(uint64_t)_i, 0};
    struct sim_arena *arena = sim_arena_new();
    struct sim_eventq q;
    sim_key model[QUEUE_CAPACITY];
    uint32_t n = 0;
    sim_eventq_init(&q, arena, QUEUE_CAPACITY);
    for (int step = 0; step < 5000; step++) {
        bool push = n == 0 || (n < QUEUE_CAPACITY && roll(&d, 100) < (step / 500 % 2 ? 40u : 60u));
        if (push) {
            model[n] = any_key(&d, roll(&d, N_OWNERS));
            sim_eventq_push(&q, model[n++]);
        } else {
            uint32_t at = least(model, n);
            HOLDS(sim_eventq_pop(&q) == model[at]);
            model[at] = model[--n];
        }
        HOLDS(q.n == n);
        HOLDS(sim_eventq_peek(&q) == (n ? model[least(model, n)] : SIM_KEY_NEVER));
    }
    sim_arena_free(arena);
}
END_TEST

START_TEST(a_queue_with_owners_keeps_the_last_key_of_each)
{
    struct dice d = {(uint64_t)_i, 0};
    struct sim_arena *arena = sim_arena_new();
    struct sim_eventq q;
    sim_key model[N_OWNERS];
    for (uint32_t i = 0; i < N_OWNERS; i++) model[i] = SIM_KEY_NEVER;
    sim_eventq_init_owned(&q, arena, N_OWNERS);
    for (int step = 0; step < 5000; step++) {
        uint32_t owner = roll(&d, N_OWNERS), what = roll(&d, 4);
        if (what == 0 && q.n) {
            owner = least(model, N_OWNERS);
            HOLDS(sim_eventq_pop(&q) == model[owner]);
            model[owner] = SIM_KEY_NEVER;
        } else {
            model[owner] = what == 1 ? SIM_KEY_NEVER : any_key(&d, owner);
            sim_eventq_set(&q, owner, model[owner]);
        }
        uint32_t n = 0;
        for (uint32_t i = 0; i < N_OWNERS; i++) n += model[i] != SIM_KEY_NEVER;
        HOLDS(q.n == n);
        HOLDS(sim_eventq_peek(&q) == model[least(model, N_OWNERS)]);
    }
    sim_arena_free(arena);
}
END_TEST

START_TEST(events_of_one_instant_come_by_kind_then_owner_then_request)
{
    const sim_key in_order[] = {
        sim_key_of(0, SIM_EV_SAMPLE, 0xffffff, UINT32_MAX),
        sim_key_of(1.5, SIM_EV_TRANSFER_END, 7, 9),
        sim_key_of(1.5, SIM_EV_STEP_END, 7, 9),
        sim_key_of(1.5, SIM_EV_ARRIVAL, 3, 9),
        sim_key_of(1.5, SIM_EV_ARRIVAL, 7, 2),
        sim_key_of(1.5, SIM_EV_ARRIVAL, 7, 9),
        sim_key_of(1.5, SIM_EV_STEP_START, 0, 0),
        sim_key_of(1.5, SIM_EV_SAMPLE, 0, 0),
        sim_key_of(nextafter(1.5, 2), SIM_EV_TRANSFER_END, 0, 0),
        sim_key_of(INFINITY, SIM_EV_TRANSFER_END, 0, 0),
    };
    enum { N = sizeof in_order / sizeof *in_order };
    struct sim_arena *arena = sim_arena_new();
    struct sim_eventq q;
    sim_eventq_init(&q, arena, N);
    for (uint32_t i = 0; i < N; i++) sim_eventq_push(&q, in_order[(i * 7 + 3) % N]);
    for (uint32_t i = 0; i < N; i++) ck_assert(sim_eventq_pop(&q) == in_order[i]);
    ck_assert(in_order[N - 1] < SIM_KEY_NEVER);
    sim_arena_free(arena);
}
END_TEST

START_TEST(a_key_gives_back_its_parts)
{
    sim_key key = sim_key_of(1234.5678, SIM_EV_STEP_START, 0xabcdef, 0xdeadbeef);
    ck_assert_double_eq(sim_key_time_s(key), 1234.5678);
    ck_assert_int_eq(sim_key_kind(key), SIM_EV_STEP_START);
    ck_assert_uint_eq(sim_key_owner(key), 0xabcdef);
    ck_assert_uint_eq(sim_key_request(key), 0xdeadbeef);
}
END_TEST

static void push_into_a_full_queue(void)
{
    struct sim_eventq q;
    sim_eventq_init(&q, sim_arena_new(), 2);
    for (uint32_t i = 0; i < 3; i++) sim_eventq_push(&q, sim_key_of(i, SIM_EV_ARRIVAL, 0, i));
}

static void pop_from_an_empty_queue(void)
{
    struct sim_eventq q;
    sim_eventq_init(&q, sim_arena_new(), 2);
    sim_eventq_pop(&q);
}

static void set_without_owners(void)
{
    struct sim_eventq q;
    sim_eventq_init(&q, sim_arena_new(), 2);
    sim_eventq_set(&q, 0, sim_key_of(1, SIM_EV_ARRIVAL, 0, 0));
}

START_TEST(an_event_queue_used_against_its_rules_aborts)
{
    ck_assert(aborts(push_into_a_full_queue));
    ck_assert(aborts(pop_from_an_empty_queue));
    ck_assert(aborts(set_without_owners));
}
END_TEST

/* --- KV pool --- */

enum { MAX_RUNS = 5 };

/* The pool kept the naive way: who has how many blocks. */
struct pool_model {
    struct sim_kvpool pool;
    uint32_t references[MAX_RUNS], blocks[MAX_RUNS];
    uint64_t lent, least_free;
};

static uint64_t model_free(const struct pool_model *m)
{
    uint64_t held = m->lent;
    for (int i = 0; i < MAX_RUNS; i++) held += m->references[i] ? m->blocks[i] : 0;
    return m->pool.n_blocks - held;
}

static void open_one(struct pool_model *m)
{
    uint32_t n_open = 0;
    for (int i = 0; i < MAX_RUNS; i++) n_open += m->references[i] > 0;
    if (n_open == MAX_RUNS) return;
    uint32_t run = sim_kv_open(&m->pool);
    HOLDS(run < MAX_RUNS);
    HOLDS(m->references[run] == 0);
    m->references[run] = 1;
    m->blocks[run] = 0;
}

static void play_pool(struct pool_model *m, struct dice *d)
{
    uint32_t run = roll(d, MAX_RUNS), n = roll(d, 4);
    bool fits = n <= model_free(m);
    switch (roll(d, 6)) {
    case 0:
        open_one(m);
        break;
    case 1:
        if (m->references[run] != 1) break;
        HOLDS(sim_kv_grow(&m->pool, run, n) == fits);
        m->blocks[run] += fits ? n : 0;
        break;
    case 2:
        if (!m->references[run]) break;
        sim_kv_share(&m->pool, run);
        m->references[run]++;
        break;
    case 3:
        if (!m->references[run]) break;
        sim_kv_release(&m->pool, run);
        m->references[run]--;
        break;
    case 4:
        HOLDS(sim_kv_lend(&m->pool, n) == fits);
        m->lent += fits ? n : 0;
        break;
    case 5:
        if (m->references[run] != 1 || n > m->lent) break;
        sim_kv_settle(&m->pool, run, n);
        m->blocks[run] += n;
        m->lent -= n;
        break;
    }
}

START_TEST(the_pool_loses_no_block_whatever_is_asked_of_it)
{
    static const uint64_t capacities[] = {1, 2, 3, 7, 40};
    for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
        struct dice d = {(uint64_t)_i, c << 32};
        struct sim_arena *arena = sim_arena_new();
        struct pool_model m = {.least_free = capacities[c]};
        sim_kvpool_init(&m.pool, arena, capacities[c], MAX_RUNS);
        for (int step = 0; step < 3000; step++) {
            play_pool(&m, &d);
            if (model_free(&m) < m.least_free) m.least_free = model_free(&m);
            HOLDS(m.pool.n_free == model_free(&m));
            HOLDS(m.pool.n_lent == m.lent);
            HOLDS(m.pool.least_free == m.least_free);
            HOLDS(sim_kvpool_balanced(&m.pool));
        }
        HOLDS(m.least_free == 0); /* it was full at least once */
        sim_arena_free(arena);
    }
}
END_TEST

START_TEST(a_pool_that_lost_a_block_is_not_balanced)
{
    struct sim_arena *arena = sim_arena_new();
    struct sim_kvpool p;
    sim_kvpool_init(&p, arena, 3, 2);
    uint32_t run = sim_kv_open(&p);
    ck_assert(sim_kv_grow(&p, run, 2));
    ck_assert(sim_kvpool_balanced(&p));
    p.runs[run].n_blocks--;
    ck_assert(!sim_kvpool_balanced(&p));
    sim_arena_free(arena);
}
END_TEST

static struct sim_kvpool small_pool(void)
{
    struct sim_kvpool p;
    sim_kvpool_init(&p, sim_arena_new(), 3, 2);
    return p;
}

static void open_one_run_too_many(void)
{
    struct sim_kvpool p = small_pool();
    for (int i = 0; i < 3; i++) sim_kv_open(&p);
}

static void release_twice(void)
{
    struct sim_kvpool p = small_pool();
    uint32_t run = sim_kv_open(&p);
    sim_kv_release(&p, run);
    sim_kv_release(&p, run);
}

static void share_what_nobody_holds(void)
{
    struct sim_kvpool p = small_pool();
    sim_kv_share(&p, 1);
}

static void settle_more_than_was_lent(void)
{
    struct sim_kvpool p = small_pool();
    uint32_t run = sim_kv_open(&p);
    sim_kv_lend(&p, 1);
    sim_kv_settle(&p, run, 2);
}

START_TEST(a_pool_used_against_its_rules_aborts)
{
    ck_assert(aborts(open_one_run_too_many));
    ck_assert(aborts(release_twice));
    ck_assert(aborts(share_what_nobody_holds));
    ck_assert(aborts(settle_more_than_was_lent));
}
END_TEST

/* --- queues of requests --- */

enum { N_REQUESTS = 60 };

struct queue_case {
    struct sim_request requests[N_REQUESTS];
    uint32_t next[N_REQUESTS], child[N_REQUESTS];
    struct sim_links links;
    struct sim_queue queue;
    uint32_t model[N_REQUESTS]; /* first .. last */
    uint32_t n;
    bool inside[N_REQUESTS];
};

static void queue_case_init(struct queue_case *q, struct dice *d, bool by_priority)
{
    *q = (struct queue_case){.n = 0};
    for (uint32_t i = 0; i < N_REQUESTS; i++) q->requests[i].priority = (int32_t)roll(d, 7) - 3;
    q->links =
        (struct sim_links){.requests = q->requests, .next = q->next, .child = by_priority ? q->child : NULL};
    sim_queue_init(&q->queue, &q->links, by_priority);
}

static void model_insert(struct queue_case *q, uint32_t at, uint32_t request)
{
    for (uint32_t i = q->n++; i > at; i--) q->model[i] = q->model[i - 1];
    q->model[at] = request;
}

/* Where a request belongs among the sorted ones: lower priority value first, then lower number. */
static uint32_t sorted_place(const struct queue_case *q, uint32_t request)
{
    uint32_t at = 0;
    while (at < q->n &&
           (q->requests[q->model[at]].priority < q->requests[request].priority ||
            (q->requests[q->model[at]].priority == q->requests[request].priority && q->model[at] < request)))
        at++;
    return at;
}

static void push_one(struct queue_case *q, struct dice *d)
{
    uint32_t request = roll(d, N_REQUESTS);
    bool front = roll(d, 3) == 0;
    if (q->inside[request]) return;
    q->inside[request] = true;
    model_insert(q, q->queue.by_priority ? sorted_place(q, request) : front ? 0 : q->n, request);
    if (front)
        sim_queue_push_front(&q->queue, request);
    else
        sim_queue_push(&q->queue, request);
}

static void pop_one(struct queue_case *q)
{
    uint32_t request = sim_queue_pop(&q->queue);
    HOLDS(request == q->model[0]);
    q->inside[request] = false;
    q->n--;
    for (uint32_t i = 0; i < q->n; i++) q->model[i] = q->model[i + 1];
}

static void check_queue(struct dice *d, bool by_priority)
{
    struct queue_case q;
    queue_case_init(&q, d, by_priority);
    for (int step = 0; step < 4000; step++) {
        if (q.n && roll(d, 100) < (step / 400 % 2 ? 60u : 30u))
            pop_one(&q);
        else
            push_one(&q, d);
        HOLDS(q.queue.n == q.n);
        HOLDS(q.queue.head == (q.n ? q.model[0] : SIM_NONE));
    }
    while (q.n) pop_one(&q);
    HOLDS(q.queue.head == SIM_NONE);
}

START_TEST(first_come_first_served_is_a_list_with_a_front_and_an_end)
{
    struct dice d = {(uint64_t)_i, 0};
    check_queue(&d, false);
}
END_TEST

START_TEST(the_priority_queue_serves_in_sorted_order)
{
    struct dice d = {(uint64_t)_i, 0};
    check_queue(&d, true);
}
END_TEST

static void pop_a_request_that_is_not_there(void)
{
    uint32_t next[1];
    struct sim_links links = {.next = next};
    struct sim_queue q;
    sim_queue_init(&q, &links, false);
    sim_queue_pop(&q);
}

START_TEST(popping_from_an_empty_queue_of_requests_aborts)
{
    ck_assert(aborts(pop_a_request_that_is_not_there));
}
END_TEST

static TCase *queues(void)
{
    TCase *c = tcase_create("queues");
    tcase_add_loop_test(c, the_event_queue_pops_what_a_linear_scan_finds, 0, N_SEEDS);
    tcase_add_loop_test(c, a_queue_with_owners_keeps_the_last_key_of_each, 0, N_SEEDS);
    tcase_add_test(c, events_of_one_instant_come_by_kind_then_owner_then_request);
    tcase_add_test(c, a_key_gives_back_its_parts);
    tcase_add_test(c, an_event_queue_used_against_its_rules_aborts);
    tcase_add_loop_test(c, first_come_first_served_is_a_list_with_a_front_and_an_end, 0, N_SEEDS);
    tcase_add_loop_test(c, the_priority_queue_serves_in_sorted_order, 0, N_SEEDS);
    tcase_add_test(c, popping_from_an_empty_queue_of_requests_aborts);
    return c;
}

static TCase *pool(void)
{
    TCase *c = tcase_create("pool");
    tcase_add_loop_test(c, the_pool_loses_no_block_whatever_is_asked_of_it, 0, N_SEEDS);
    tcase_add_test(c, a_pool_that_lost_a_block_is_not_balanced);
    tcase_add_test(c, a_pool_used_against_its_rules_aborts);
    return c;
}

Suite *test_suite(void)
{
    Suite *s = suite_create("structures");
    suite_add_tcase(s, queues());
    suite_add_tcase(s, pool());
    return s;
}
