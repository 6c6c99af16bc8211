/* A launch: the blocks of a grid one after the other, on the same fibres. */
#include "kernels/shim/simt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STACK_BYTES = 256 << 10 };

/* Of every fibre: the kernel for one block, then the rest of the block runs, then the next block. */
static void live()
{
    kb_fibre_entered();
    for (;;) {
        struct kb_shim_thread *t = kb_shim_now;
        struct kb_shim_block *b = t->block;
        kb_fibre_acquire(&b->launch);
        b->launch->body(b->launch->arguments);
        kb_fibre_release(&b->host);
        t->ended = true;
        t->warp->ready &= ~(1u << t->lane);
        if (--b->n_running)
            kb_shim_run_others(t);
        else
            kb_fibre_switch(&t->fibre, &b->host);
    }
}

static void give_fibres(struct kb_shim_block *b)
{
    if (!b->stacks) {
        void *p = mmap(nullptr, (size_t)KB_SHIM_MAX_THREADS * STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) abort();
        b->stacks = (unsigned char *)p;
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (; b->n_fibres < b->n_threads; b->n_fibres++) { /* the lowest page of each stack stops an overflow */
        unsigned char *stack = b->stacks + (size_t)b->n_fibres * STACK_BYTES;
        if (mprotect(stack, page, PROT_NONE)) abort();
        kb_fibre_make(&b->thread[b->n_fibres].fibre, stack + page, STACK_BYTES - page, live);
    }
}

static void begin(struct kb_shim_block *b)
{
    const struct kb_shim_launch *l = b->launch;
    static uint64_t n_blocks;
    b->serial = ++n_blocks;
    b->backwards = b->serial % 2 == 0;
    b->failed = false;
    b->static_bytes = 0;
    b->n_running = b->n_threads;
    b->variables.clear();
    memset(b->barrier, 0, sizeof b->barrier);
    memset(b->shared, KB_SHIM_POISON, l->shared_bytes);
    for (uint32_t w = 0; w < b->n_warps; w++) {
        b->warp[w].ready = ~0u;
        b->warp[w].arrived = 0;
    }
    for (uint32_t i = 0; i < b->n_threads; i++) {
        struct kb_shim_thread *t = &b->thread[i];
        t->index = dim3(i % l->block.x, i / l->block.x % l->block.y, i / l->block.x / l->block.y);
        t->rank = i;
        t->lane = i % KB_SHIM_WARP;
        t->warp = &b->warp[i / KB_SHIM_WARP];
        t->block = b;
        t->place.word = nullptr;
        t->ended = false;
        t->n_groups = 0;
        t->copies.clear();
        t->products.clear();
        t->n_product_groups = 0;
        t->products_fenced = false;
    }
}

static bool run_block(struct kb_shim_block *b, dim3 index, struct kb_error *err)
{
    begin(b);
    b->index = index;
    kb_fibre_release(&b->launch);
    kb_shim_now = &b->thread[b->backwards ? b->n_threads - 1 : 0];
    kb_fibre_switch(&b->host, &kb_shim_now->fibre);
    kb_fibre_acquire(&b->host);
    if (b->failed) b->n_fibres = 0; /* all are in the middle of something: made anew */
    for (const struct kb_shim_static &v : b->variables)
        kb_shim_guard_intact(b, v.at + v.bytes, "a shared variable");
    kb_shim_guard_intact(b, b->shared + b->launch->shared_bytes, "shared memory");
    if (b->failed) *err = b->error;
    return !b->failed;
}

static bool fits(const struct kb_shim_launch *l, uint64_t limit_bytes, struct kb_error *err)
{
    uint64_t n = (uint64_t)l->block.x * l->block.y * l->block.z;
    if (n == 0 || n > KB_SHIM_MAX_THREADS || n % KB_SHIM_WARP || l->block.z > 64)
        return kb_fail(err, "%s: a block of %llu threads: not whole warps, at most 32", l->name,
                       (unsigned long long)n);
    if (!l->grid.x || !l->grid.y || !l->grid.z || l->grid.x > INT32_MAX || l->grid.y > 65535 ||
        l->grid.z > 65535)
        return kb_fail(err, "%s: a grid of %u x %u x %u blocks", l->name, l->grid.x, l->grid.y, l->grid.z);
    return l->shared_bytes <= limit_bytes ||
           kb_fail(err, "%s: %zu bytes of shared memory, %llu there", l->name, l->shared_bytes,
                   (unsigned long long)limit_bytes);
}

bool kb_shim_run(struct kb_queue *queue, const struct kb_shim_launch *l, struct kb_error *err)
{
    struct kb_shim_block *b = queue->block;
    void *shared;
    b->limit_bytes = queue->device->info.shared_bytes;
    if (!fits(l, b->limit_bytes, err)) return false;
    b->launch = l;
    b->n_threads = l->block.x * l->block.y * l->block.z;
    b->n_warps = b->n_threads / KB_SHIM_WARP;
    if (posix_memalign(&shared, 128, l->shared_bytes + KB_SHIM_GUARD)) abort();
    b->shared = (unsigned char *)shared;
    memset(b->shared + l->shared_bytes, KB_SHIM_GUARD_BYTE, KB_SHIM_GUARD);
    kb_fibre_adopt(&b->host);
    bool ok = true;
    for (unsigned z = 0; ok && z < l->grid.z; z++)
        for (unsigned y = 0; ok && y < l->grid.y; y++)
            for (unsigned x = 0; ok && x < l->grid.x; x++) {
                give_fibres(b);
                kb_fibre_forbid(b->shared + l->shared_bytes, KB_SHIM_GUARD);
                ok = run_block(b, dim3(x, y, z), err);
            }
    free(shared);
    kb_shim_now = nullptr;
    return ok;
}

struct kb_shim_block *kb_shim_block_new(void)
{
    return new kb_shim_block();
}

void kb_shim_block_free(struct kb_shim_block *b)
{
    for (uint32_t i = 0; i < KB_SHIM_MAX_THREADS; i++)
        if (b->thread[i].fibre.stack) kb_fibre_free(&b->thread[i].fibre);
    if (b->stacks) munmap(b->stacks, (size_t)KB_SHIM_MAX_THREADS * STACK_BYTES);
    delete b;
}
