/* Ranks by Open MPI. Its blocking calls spin on a processor until they are done, which on a full machine takes it from the
 * threads that compute: here everything is begun, then tested with short sleeps in between. */
#include "experiments/study/ranks.h"

#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/check.h"
#include "sim/memory.h"

struct letter {
    struct letter *next;
    MPI_Request request;
    char bytes[];
};

struct exp_mail {
    struct letter *first; /* not delivered yet; newest first, each is tested alone */
};

enum { AT_ONCE = 1 << 30 }; /* bytes: MPI counts in int */

static void nap(void)
{
    nanosleep(&(struct timespec){0, 200000}, NULL);
}

static void finish(MPI_Request *request)
{
    for (int done = 0; MPI_Test(request, &done, MPI_STATUS_IGNORE), !done;) nap();
}

/* Threads of MPI's own take no signals that end a program: those are for the one who can stop a sweep in good order. */
static void init(void)
{
    int level;
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, &before);
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool start(struct exp_ranks *out, struct sim_status *st)
{
    int rank, n;
    init();
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    *out = (struct exp_ranks){(uint32_t)rank, (uint32_t)n, sim_alloc(1, sizeof *out->mail)};
    return out->n == exp_ranks_started() ||
           sim_fail(
               st,
               "kvsim sweep: one of %u processes that were started together, but MPI knows of %d, expected "
               "one group; start it with mpirun, or srun --mpi=pmix",
               exp_ranks_started(), n);
}

bool exp_ranks_begin(struct exp_ranks *out, struct sim_status *st)
{
    *out = (struct exp_ranks){.rank = 0, .n = 1};
    return exp_ranks_started() == 1 || start(out, st);
}

/* Frees what was delivered. */
static void tidy(struct exp_mail *mail)
{
    for (struct letter **at = &mail->first; *at;) {
        struct letter *one = *at;
        int done = 0;
        MPI_Test(&one->request, &done, MPI_STATUS_IGNORE);
        if (done) {
            *at = one->next;
            free(one);
        } else {
            at = &one->next;
        }
    }
}

bool exp_ranks_sending(const struct exp_ranks *r)
{
    if (!r->mail) return false;
    tidy(r->mail);
    return r->mail->first != NULL;
}

/* A sweep that stopped leaves messages that nobody waits for, and a long one is under way until it is received. */
static void drop_messages(const struct exp_ranks *r)
{
    for (struct exp_mailed m; exp_ranks_poll(r, &m);) free(m.bytes);
}

void exp_ranks_end(struct exp_ranks *r)
{
    if (!r->mail) return;
    MPI_Request all;
    for (; exp_ranks_sending(r); nap()) drop_messages(r);
    MPI_Ibarrier(MPI_COMM_WORLD, &all);
    for (int done = 0; MPI_Test(&all, &done, MPI_STATUS_IGNORE), !done; nap()) drop_messages(r);
    MPI_Finalize();
    free(r->mail);
    *r = (struct exp_ranks){0};
}

void exp_ranks_share(const struct exp_ranks *r, void *bytes, size_t n)
{
    for (size_t at = 0; r->n > 1 && at < n; at += AT_ONCE) {
        MPI_Request request;
        MPI_Ibcast((char *)bytes + at, n - at < AT_ONCE ? (int)(n - at) : AT_ONCE, MPI_BYTE, 0,
                   MPI_COMM_WORLD, &request);
        finish(&request);
    }
}

void exp_ranks_gather(const struct exp_ranks *r, const void *mine, size_t n, void *all)
{
    if (r->n == 1) {
        memcpy(all, mine, n);
        return;
    }
    MPI_Request request;
    SIM_CHECK(n <= AT_ONCE);
    MPI_Igather(mine, (int)n, MPI_BYTE, all, (int)n, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
    finish(&request);
}

bool exp_ranks_agree(const struct exp_ranks *r, struct sim_status *st)
{
    if (r->n == 1) return st->code == SIM_EXIT_OK;
    int mine = st->code == SIM_EXIT_OK ? (int)r->n : (int)r->rank, lowest;
    MPI_Request request;
    MPI_Iallreduce(&mine, &lowest, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD, &request);
    finish(&request);
    if (lowest == (int)r->n) return true;
    MPI_Ibcast(st, sizeof *st, MPI_BYTE, lowest, MPI_COMM_WORLD, &request);
    finish(&request);
    return false;
}

void exp_ranks_send(const struct exp_ranks *r, uint32_t to, enum exp_message kind, const void *bytes,
                    size_t n)
{
    SIM_CHECK(n <= AT_ONCE);
    struct letter *one = sim_alloc(1, sizeof *one + n);
    if (n) memcpy(one->bytes, bytes, n);
    MPI_Isend(one->bytes, (int)n, MPI_BYTE, (int)to, (int)kind, MPI_COMM_WORLD, &one->request);
    one->next = r->mail->first;
    r->mail->first = one;
    tidy(r->mail);
}

bool exp_ranks_poll(const struct exp_ranks *r, struct exp_mailed *out)
{
    int there = 0, n;
    MPI_Status status;
    if (r->n == 1) return false;
    tidy(r->mail);
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status);
    if (!there) return false;
    MPI_Get_count(&status, MPI_BYTE, &n);
    *out = (struct exp_mailed){(uint32_t)status.MPI_SOURCE, (enum exp_message)status.MPI_TAG,
                               sim_alloc((size_t)n + 1, 1), (size_t)n};
    MPI_Recv(out->bytes, n, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return true;
}
