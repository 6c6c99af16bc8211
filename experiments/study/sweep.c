#include "experiments/study/sweep.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calib/sha256.h"
#include "experiments/study/sweep_parts.h"
#include "sim/memory.h"

/* ---- the same everywhere ---- */

struct sameness {
    char version[80], study[65]; /* hash of the study's text */
    char key[EXP_KEY_BYTES];     /* of its first point */
    char host[64];
};

static struct sameness sameness_of(const struct exp_sweep_parts *p)
{
    struct sameness s = {0};
    struct exp_point_result r = {0};
    struct exp_scenario *room = exp_scenario_new();
    struct cal_sha256 sum;
    cal_sha256_init(&sum);
    cal_sha256_add(&sum, exp_study_text(p->study), strlen(exp_study_text(p->study)));
    cal_sha256_end(&sum, s.study);
    if (exp_sweep_n_places(p)) exp_sweep_name(p, exp_sweep_point_at(p, 0), room, &r);
    memcpy(s.key, r.key, sizeof s.key);
    snprintf(s.version, sizeof s.version, "%s", exp_model_version());
    gethostname(s.host, sizeof s.host - 1);
    free(room);
    return s;
}

/* Ranks on other machines may have another program, trace or profile: their rows would be of another study. */
static bool is_same_everywhere(const struct exp_sweep_parts *p, struct sim_status *st)
{
    const struct exp_ranks *ranks = p->o->ranks;
    if (ranks->n == 1) return true;
    struct sameness mine = sameness_of(p), *all = sim_alloc(ranks->n, sizeof *all);
    exp_ranks_gather(ranks, &mine, sizeof mine, all);
    for (uint32_t i = 1; ranks->rank == 0 && i < ranks->n; i++)
        if (memcmp(&all[i], &mine, offsetof(struct sameness, host)) != 0)
            sim_fail(st,
                     "kvsim sweep: rank %u on %s has another kvsim (%s) or other files than rank 0 on %s "
                     "(%s), expected "
                     "the same program, data, study and traces on every host",
                     i, all[i].host, all[i].version, mine.host, mine.version);
    free(all);
    return exp_ranks_agree(ranks, st);
}

/* ---- before and after ---- */

static bool open_store(struct exp_sweep_parts *p, struct sim_status *st)
{
    const struct exp_sweep_options *o = p->o;
    if (o->ranks->rank) return true;
    p->store = exp_store_open(o->db, o->is_shard ? EXP_STORE_SHARD : EXP_STORE_WRITE, st);
    p->writes = p->store != NULL;
    return p->writes;
}

/* The study's row, with the files that were read so far. */
static bool describe(const struct exp_sweep_parts *p, struct sim_status *st)
{
    if (!p->store) return true;
    json_t *versions = exp_hasher_json(p->hasher);
    json_object_set_new(versions, "currency", json_string(p->prices->currency));
    bool ok = exp_store_put_study(p->store, p->study, versions, st);
    json_decref(versions);
    return ok;
}

/* ---- points ---- */

static bool interrupted(const struct exp_sweep_sum *sum, struct sim_status *st)
{
    return sim_fail_as(
        st, (enum sim_exit)EXP_EXIT_INTERRUPTED,
        "interrupted: %llu of %llu points are stored, %llu of them as failed; the same command goes on",
        (unsigned long long)(sum->reused + sum->computed), (unsigned long long)(sum->points - sum->equal),
        (unsigned long long)sum->failed);
}

/* Threads that were left behind read the crew and its list of points: both stay with them. */
static bool compute(struct exp_sweep_parts *p, const struct exp_sweep_open *open, const sigset_t *stop,
                    struct exp_sweep_sum *sum, struct sim_status *st)
{
    struct exp_crew *c = sim_alloc(1, sizeof *c);
    bool started = exp_crew_start(c, p, open->point, st), leads = p->o->ranks->rank == 0, quiet = true;
    if (!exp_ranks_agree(p->o->ranks, st)) {
        started = false;
        exp_crew_stop(c);
    }
    if (started) quiet = leads ? exp_sweep_lead(c, stop, open) : exp_sweep_follow(c, stop, open);
    sum->abandoned = !exp_crew_end(c);
    if (leads) sum->computed = c->computed, sum->failed = c->failed, sum->busy_s = c->busy_s;
    if (c->st.code != SIM_EXIT_OK) *st = c->st;
    if (!quiet) interrupted(sum, st);
    if (!sum->abandoned) free(c);
    return st->code == SIM_EXIT_OK;
}

static bool carry_out(struct exp_sweep_parts *p, const sigset_t *stop, struct exp_sweep_sum *sum,
                      struct sim_status *st)
{
    struct exp_sweep_open open = {0};
    bool stopped = false;
    describe(p, st);
    bool ok = exp_ranks_agree(p->o->ranks, st) && exp_sweep_find_open(p, stop, &open, &stopped, st);
    sum->points = open.points, sum->reused = open.reused, sum->equal = open.equal, sum->stale = open.stale;
    if (ok && stopped)
        ok = sim_fail_as(st, (enum sim_exit)EXP_EXIT_INTERRUPTED,
                         "interrupted before the first point; the same command begins again");
    if (ok) describe(p, st);
    if (ok && exp_ranks_agree(p->o->ranks, st) && open.n > 0) compute(p, &open, stop, sum, st);
    if (!sum->abandoned) free(open.point);
    return exp_ranks_agree(p->o->ranks, st);
}

static bool sweep(struct exp_sweep_parts *p, const sigset_t *stop, struct exp_sweep_sum *sum,
                  struct sim_status *st)
{
    if (exp_sweep_has_room(p, st)) exp_sweep_parts_open(p, st);
    bool ok = exp_ranks_agree(p->o->ranks, st) && is_same_everywhere(p, st);
    if (ok) open_store(p, st);
    ok = ok && exp_ranks_agree(p->o->ranks, st) && carry_out(p, stop, sum, st);
    exp_store_close(p->store);
    if (!sum->abandoned) exp_sweep_parts_close(p);
    return ok;
}

/* What ends a sweep in good order; not what whoever started it has it ignore (a job in the background, nohup). */
static sigset_t ends(void)
{
    static const int signals[] = {SIGINT, SIGTERM};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN) sigaddset(&set, signals[i]);
    }
    return set;
}

bool exp_sweep(const struct exp_study *study, const struct exp_sweep_options *o, struct exp_sweep_sum *out,
               struct sim_status *st)
{
    static const struct exp_ranks alone = {.rank = 0, .n = 1};
    struct exp_sweep_options *mine = sim_alloc(1, sizeof *mine);
    struct exp_sweep_parts *p = sim_alloc(1, sizeof *p);
    struct exp_sweep_sum sum = {0};
    sigset_t stop = ends(), before;
    double begin_s = exp_clock_s();
    *mine = *o;
    if (!mine->ranks) mine->ranks = &alone;
    p->study = study;
    p->o = mine;
    pthread_sigmask(SIG_BLOCK, &stop, &before);
    bool ok = sweep(p, &stop, &sum, st);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sum.wall_s = exp_clock_s() - begin_s;
    if (!sum.abandoned) {
        free(p);
        free(mine);
    }
    *out = sum;
    return ok;
}
