/* The main threads of a sweep. Rank 0's leads: it hands chunks of points to the others, stores what they send, shows how far
 * it is. The others follow: they ask for points before they run out, and send results as they come.
 *     ASK       follower -> leader   struct ask; one at a time
 *     CHUNK     leader -> follower   struct exp_span; an empty one: there are no more
 *     RESULT    follower -> leader   exp_result_pack
 *     FAREWELL  follower -> leader   struct farewell: all its results are sent; once
 *               leader -> follower   in answer, or before it: stop; once
 * Each ends when it has sent and received its FAREWELLs. */
#include "experiments/study/sweep_parts.h"

#include <stdlib.h>
#include <time.h>

#include "sim/check.h"
#include "sim/memory.h"

/* A chunk's length in time; how often messages are looked for; how long a stop waits for points that have begun. mpirun
 * kills its processes a second after it tells them to end. */
static const double CHUNK_S = 0.05, POLL_S = 0.001, CALM_S = 0.02, SHOW_S = 0.1;
static const double FOLLOWER_GRACE_S = 0.3, LEADER_GRACE_S = 0.6;

struct ask {
    uint32_t n_threads; /* that want points */
};

struct farewell {
    bool signalled;
};

/* One that comes after this one ends the program at once. */
static bool signalled(const sigset_t *stop)
{
    if (sigtimedwait(stop, NULL, &(struct timespec){0}) <= 0) return false;
    pthread_sigmask(SIG_UNBLOCK, stop, NULL);
    return true;
}

struct state {
    uint32_t n_running, n_hungry;
    uint64_t waiting, computed, failed;
    double mean_s; /* of a point on one thread; 0 = not known yet */
    bool stop, last, all_sent;
};

static struct state look(struct exp_crew *c)
{
    pthread_mutex_lock(&c->lock);
    const struct state s = {c->n_running, c->n_hungry, exp_crew_waiting(c),
                            c->computed,  c->failed,   c->computed ? c->busy_s / (double)c->computed : 0,
                            c->stop,      c->last,     !c->posted};
    pthread_mutex_unlock(&c->lock);
    return s;
}

/* ---- rank 0 ---- */

struct leader {
    struct exp_crew *crew;
    const struct exp_ranks *ranks;
    bool *dismissed;  /* [ranks] FAREWELL is sent */
    uint32_t n_there; /* other ranks whose FAREWELL has not come */
    bool signalled;
    double stop_s; /* when it began to stop; 0 = it does not */
};

/* So many that its threads are busy for CHUNK_S, and the others have as much to do. */
static uint64_t chunk(const struct leader *l, uint32_t n_threads)
{
    const struct state s = look(l->crew);
    double each = s.mean_s > 0 && s.mean_s < CHUNK_S ? CHUNK_S / s.mean_s : 1;
    uint64_t n = each < 1e6 ? (uint64_t)(n_threads * each) : 1000000, fair = s.waiting / (2 * l->ranks->n);
    if (n > fair) n = fair;
    return n ? n : 1;
}

static void dismiss(struct leader *l, uint32_t rank)
{
    if (!l->dismissed[rank]) exp_ranks_send(l->ranks, rank, EXP_FAREWELL, NULL, 0);
    l->dismissed[rank] = true;
}

static void take_result(struct leader *l, const struct exp_mailed *m)
{
    struct exp_point_result r;
    exp_result_unpack(m->bytes, m->n, &r);
    exp_crew_give(l->crew, &r);
    exp_point_result_fini(&r);
}

static void answer(struct leader *l, const struct exp_mailed *m)
{
    switch (m->kind) {
    case EXP_ASK:
        SIM_CHECK(m->n == sizeof(struct ask));
        if (l->dismissed[m->from]) return;
        struct exp_span span = exp_crew_cut(l->crew, chunk(l, ((struct ask *)m->bytes)->n_threads));
        exp_ranks_send(l->ranks, m->from, EXP_CHUNK, &span, sizeof span);
        return;
    case EXP_RESULT:
        take_result(l, m);
        return;
    case EXP_FAREWELL:
        SIM_CHECK(m->n == sizeof(struct farewell));
        l->signalled |= ((struct farewell *)m->bytes)->signalled;
        l->n_there--;
        dismiss(l, m->from);
        return;
    default:
        SIM_CHECK(!"a message that nobody sends to rank 0");
    }
}

static void hear(struct leader *l)
{
    for (struct exp_mailed m; exp_ranks_poll(l->ranks, &m); free(m.bytes)) answer(l, &m);
}

static void call_off(struct leader *l)
{
    if (l->stop_s > 0) return;
    l->stop_s = exp_clock_s();
    exp_crew_stop(l->crew);
    for (uint32_t i = 1; i < l->ranks->n; i++) dismiss(l, i);
}

static bool leads_on(struct leader *l, const struct state *s)
{
    if (s->stop || l->signalled) call_off(l);
    bool waits = s->n_running > 0 || l->n_there > 0;
    return waits && !(l->stop_s > 0 && exp_clock_s() - l->stop_s > LEADER_GRACE_S);
}

/* Things that need no millisecond: the lease, the line for people. */
static void now_and_then(struct leader *l, const struct state *s, uint64_t n_open,
                         struct exp_sweep_progress *p, double *last_s)
{
    if (exp_clock_s() - *last_s < SHOW_S) return;
    *last_s = exp_clock_s();
    exp_store_renew(l->crew->parts->store);
    exp_sweep_progress_show(p, s->computed, n_open, s->failed);
}

bool exp_sweep_lead(struct exp_crew *c, const sigset_t *stop, const struct exp_sweep_open *open)
{
    const struct exp_ranks *ranks = c->parts->o->ranks;
    struct leader l = {c, ranks, sim_alloc(ranks->n, sizeof *l.dismissed), ranks->n - 1, false, 0};
    struct exp_sweep_progress progress = exp_sweep_progress_begin("points", c->parts->o->verbose);
    double last_s = 0;
    exp_crew_feed(c, (struct exp_span){0, open->n}, true);
    for (;;) {
        hear(&l);
        l.signalled |= signalled(stop);
        const struct state s = look(c);
        if (!leads_on(&l, &s)) break;
        now_and_then(&l, &s, open->n, &progress, &last_s);
        exp_crew_wait(c, ranks->n > 1 ? POLL_S : SHOW_S);
    }
    exp_sweep_progress_end(&progress);
    free(l.dismissed);
    return !l.signalled;
}

/* ---- the other ranks ---- */

struct follower {
    struct exp_crew *crew;
    const struct exp_ranks *ranks;
    bool asked, signalled, left, dismissed; /* left: FAREWELL is sent */
    uint64_t n_open, chunk;                 /* points; those of the last chunk */
    double stop_s;
};

static void obey(struct follower *f, const struct exp_mailed *m)
{
    SIM_CHECK(m->kind == EXP_CHUNK || m->kind == EXP_FAREWELL);
    if (m->kind == EXP_FAREWELL) {
        f->dismissed = true;
        if (!f->left) exp_crew_stop(f->crew);
        return;
    }
    SIM_CHECK(m->n == sizeof(struct exp_span));
    struct exp_span span = *(struct exp_span *)m->bytes;
    SIM_CHECK(f->asked && span.from <= span.to && span.to <= f->n_open);
    f->asked = false;
    f->chunk = span.to - span.from;
    exp_crew_feed(f->crew, span, f->chunk == 0);
}

static void send_results(struct follower *f)
{
    struct exp_crew *c = f->crew;
    if (f->left) return; /* of a thread that was left behind */
    pthread_mutex_lock(&c->lock);
    struct exp_posted *p = c->posted;
    c->posted = NULL;
    c->posted_end = &c->posted;
    pthread_mutex_unlock(&c->lock);
    while (p) {
        struct exp_posted *next = p->next;
        exp_ranks_send(f->ranks, 0, EXP_RESULT, p->bytes, p->n);
        free(p->bytes);
        free(p);
        p = next;
    }
}

/* Of short points, when half of a chunk is left, so that none waits for an answer; a long one is worth the wait, because
 * a point that lies here is one that an idle rank cannot have. */
static void ask(struct follower *f, const struct state *s)
{
    bool is_short = s->mean_s > 0 && s->mean_s < CHUNK_S;
    const struct ask a = {is_short ? f->crew->n_threads : s->n_hungry};
    bool wants = s->waiting <= f->chunk / 2 && (is_short || s->n_hungry > s->waiting);
    if (!wants || f->asked || s->last || s->stop) return;
    exp_ranks_send(f->ranks, 0, EXP_ASK, &a, sizeof a);
    f->asked = true;
}

/* Threads that do not end in time are left behind; what they have sent is all there is. */
static void leave_when_done(struct follower *f, const struct state *s)
{
    if ((s->stop || f->signalled) && f->stop_s == 0) {
        f->stop_s = exp_clock_s();
        exp_crew_stop(f->crew);
    }
    bool late = f->stop_s > 0 && exp_clock_s() - f->stop_s > FOLLOWER_GRACE_S;
    if (f->left || !s->all_sent || (s->n_running > 0 && !late)) return;
    const struct farewell bye = {f->signalled};
    exp_ranks_send(f->ranks, 0, EXP_FAREWELL, &bye, sizeof bye);
    f->left = true;
}

bool exp_sweep_follow(struct exp_crew *c, const sigset_t *stop, const struct exp_sweep_open *open)
{
    struct follower f = {.crew = c, .ranks = c->parts->o->ranks, .n_open = open->n};
    while (!f.left || !f.dismissed) {
        for (struct exp_mailed m; exp_ranks_poll(f.ranks, &m); free(m.bytes)) obey(&f, &m);
        f.signalled |= signalled(stop);
        send_results(&f);
        const struct state s = look(c);
        ask(&f, &s);
        leave_when_done(&f, &s);
        bool waits = f.asked || f.left || f.stop_s > 0 || exp_ranks_sending(f.ranks);
        exp_crew_wait(c, waits ? POLL_S : CALM_S);
    }
    return !f.signalled;
}
