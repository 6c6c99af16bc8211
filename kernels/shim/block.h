/* The block of threads that runs: who may run, who waits where, shared memory and copies under way. Threads run
 * until a meeting point; then the next thread of the warp that can run does, then of the next warp. Blocks run
 * in turn up and down the thread numbers, so that a missing meeting shows in one of them. When nobody can run,
 * or a rule is broken, the launch fails with kernel, block and place; nothing hangs. For the shim's own files. */
#ifndef KVSIM_KERNELS_SHIM_BLOCK_H
#define KVSIM_KERNELS_SHIM_BLOCK_H

#include "kernels/kbench.h"

#include <vector>

#include "kernels/shim/fibre.h"

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

enum { KB_SHIM_WARP = 32, KB_SHIM_SLOT = 6, KB_SHIM_BARRIERS = 16 };
enum { KB_SHIM_MAX_THREADS = 1024, KB_SHIM_MAX_WARPS = KB_SHIM_MAX_THREADS / KB_SHIM_WARP };
enum { KB_SHIM_GUARD = 64, KB_SHIM_GUARD_BYTE = 0xa5, KB_SHIM_POISON = 0xff };

struct kb_shim_block;

struct kb_shim_place {
    const char *word; /* NULL: nowhere, it can run */
    int line;
};

/* Exchange: a lane puts its slot, meets the others, and takes from any slot or from what the last to come
 * made of them. Two turns alternate: nobody is a turn ahead of a lane that has not read. */
struct kb_shim_warp {
    uint32_t ready, arrived; /* lanes */
    struct kb_shim_place place;
    uint32_t turn;
    uint32_t slot[2][KB_SHIM_WARP][KB_SHIM_SLOT];
    uint32_t result[2][KB_SHIM_WARP][4];
};

struct kb_shim_copy {
    void *to;
    const void *from;
    uint32_t bytes;
    bool valid;
    uint32_t group;
};

/* A warpgroup's product that was started and is not waited for (kernels/shim/wgmma.h); pointers into the
 * thread's registers. */
struct kb_shim_product {
    float *d;
    const uint32_t *a; /* NULL: by descriptor */
    uint64_t a_descriptor, b_descriptor;
    uint32_t n, group;
    bool b_transposed, accumulates;
};

struct kb_shim_thread {
    dim3 index;
    uint32_t rank, lane;
    struct kb_shim_warp *warp;
    struct kb_shim_block *block;
    struct kb_shim_place place;
    bool ended;
    uint32_t n_groups; /* closed so far */
    std::vector<struct kb_shim_copy> copies;
    std::vector<struct kb_shim_product> products;
    uint32_t n_product_groups;
    bool products_fenced;
    struct kb_fibre fibre;
};

/* A shared variable; KB_SHIM_GUARD bytes that nobody may touch follow it. */
struct kb_shim_static {
    unsigned char *at;
    size_t bytes, align;
};

struct kb_shim_barrier {
    uint32_t expected, n_arrived;
    uint32_t arrived[KB_SHIM_WARP]; /* lanes of each warp */
};

struct kb_shim_launch {
    const char *name;
    dim3 grid, block;
    size_t shared_bytes;
    void (*body)(const void *arguments);
    const void *arguments;
};

struct kb_shim_block {
    struct kb_fibre host;
    const struct kb_shim_launch *launch;
    dim3 index;
    uint32_t n_threads, n_warps, n_running;
    bool backwards, failed;
    struct kb_error error;
    uint64_t serial; /* of this block, since the program began */
    uint64_t limit_bytes, static_bytes;
    unsigned char *shared;
    std::vector<struct kb_shim_static> variables;
    struct kb_shim_barrier barrier[KB_SHIM_BARRIERS];
    struct kb_shim_warp warp[KB_SHIM_MAX_WARPS];
    struct kb_shim_thread thread[KB_SHIM_MAX_THREADS];
    uint32_t n_fibres; /* threads that have one */
    unsigned char *stacks;
};

struct kb_shim_block *kb_shim_block_new(void);
void kb_shim_block_free(struct kb_shim_block *b);
/* Runs a whole grid; false and kernel, block and reason when a block failed. */
bool kb_shim_run(struct kb_queue *queue, const struct kb_shim_launch *launch, struct kb_error *err);

/* ---- for the thread that runs ---- */

extern thread_local struct kb_shim_thread *kb_shim_now;
const dim3 *kb_shim_block_index();
const dim3 *kb_shim_block_dim();
const dim3 *kb_shim_grid_dim();
unsigned char *kb_shim_shared();
/* Counts a shared variable in; the first thread of a block to come poisons it. */
void kb_shim_static_shared(const struct kb_shim_static *variable, uint64_t *seen);

/* Waits for all lanes of the warp; the last to come runs last(warp), when there is one, before anybody goes on.
 * Returns the turn whose slots and results hold. Orders no memory, as shuffles do not. */
uint32_t kb_shim_meet_warp(struct kb_shim_place place, void (*last)(struct kb_shim_warp *w));
/* The same, and what the lanes did before has happened for all of them. */
void kb_shim_sync_warp(struct kb_shim_place place);
/* Waits until n threads have come to the barrier; n = 0: all of the block. */
void kb_shim_meet_block(struct kb_shim_place place, uint32_t barrier, uint32_t n);
/* Counts as come to the barrier and goes on. */
void kb_shim_arrive_block(struct kb_shim_place place, uint32_t barrier, uint32_t n);
/* 16 or 4 bytes, both addresses multiples of that. */
void kb_shim_copy_begin(void *to, const void *from, uint32_t bytes, bool valid, struct kb_shim_place place);
void kb_shim_copy_close();
void kb_shim_copy_land(uint32_t n_open);

/* n words of another lane in the place of one's own (warp.cc, as all that follows). */
void kb_shim_exchange(uint32_t *word, uint32_t n, uint32_t from, struct kb_shim_place place);
uint32_t kb_shim_vote(bool x, struct kb_shim_place place);
void kb_shim_load_matrices(uint32_t r[4], const void *row, bool transposed, struct kb_shim_place place);
uint32_t kb_shim_transpose(uint32_t x, struct kb_shim_place place);
void kb_shim_mma(float c[4], const uint32_t a[4], const uint32_t b[2], bool fp16, struct kb_shim_place place);

/* Others run while this thread cannot; returns when it may go on. */
void kb_shim_run_others(struct kb_shim_thread *t);
/* Fails the block when somebody wrote behind what the guard follows. */
void kb_shim_guard_intact(struct kb_shim_block *b, const unsigned char *guard, const char *what);

/* Ends the launch with this line. */
[[noreturn]] void kb_shim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* 16 bytes of shared memory at a multiple of 16. */
void kb_shim_check_shared(const void *p, const char *word, int line);
void kb_shim_check_aligned(const void *p, uint32_t align, const char *word, int line);

#endif
