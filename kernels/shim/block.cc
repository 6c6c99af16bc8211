#include "kernels/shim/block.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/shim/simt.h"

enum { MAX_THREADS = 1024, MAX_WARPS = MAX_THREADS / KB_SHIM_WARP, STACK_BYTES = 256 << 10 };
enum { STATIC_SHARED_BYTES = 48 << 10, POISON = 0xff, GUARD_BYTE = 0xa5 };

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
    struct kb_shim_warp warp[MAX_WARPS];
    struct kb_shim_thread thread[MAX_THREADS];
    uint32_t n_fibres; /* threads that have one */
    unsigned char *stacks;
};

thread_local struct kb_shim_thread *kb_shim_now;

const dim3 *kb_shim_block_index()
{
    return &kb_shim_now->block->index;
}

const dim3 *kb_shim_block_dim()
{
    return &kb_shim_now->block->launch->block;
}

const dim3 *kb_shim_grid_dim()
{
    return &kb_shim_now->block->launch->grid;
}

unsigned char *kb_shim_shared()
{
    return kb_shim_now->block->shared;
}

/* --- failing --- */

[[noreturn]] static void leave(struct kb_shim_block *b)
{
    kb_fibre_release(&b->host);
    kb_fibre_switch(&kb_shim_now->fibre, &b->host);
    abort(); /* a fibre of a failed block is never run again */
}

void kb_shim_fail(const char *format, ...)
{
    struct kb_shim_block *b = kb_shim_now->block;
    const struct kb_shim_launch *l = b->launch;
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    kb_fail(&b->error, "%s, block (%u, %u, %u): %s", l->name, b->index.x, b->index.y, b->index.z, what);
    b->failed = true;
    leave(b);
}

/* Who waits where, the first few places. */
[[noreturn]] static void fail_deadlock(struct kb_shim_block *b)
{
    char text[320] = "";
    size_t used = 0;
    uint32_t n_ended = 0;
    for (uint32_t i = 0; i < b->n_threads; i++) {
        struct kb_shim_place p = b->thread[i].place;
        uint32_t same = 0;
        bool first = true;
        n_ended += b->thread[i].ended;
        for (uint32_t j = 0; p.word && j < b->n_threads; j++) {
            bool equal = b->thread[j].place.word == p.word && b->thread[j].place.line == p.line;
            first &= !equal || j >= i;
            same += equal;
        }
        if (p.word && first && used < sizeof text - 80)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%u at %s of line %d",
                                     used ? ", " : "", same, p.word, p.line);
    }
    kb_shim_fail("deadlock: threads wait for others that do not come: %s; %u have ended", text, n_ended);
}

/* --- who runs next --- */

static struct kb_shim_thread *next_in(struct kb_shim_block *b, uint32_t warp, uint32_t after)
{
    uint32_t ready = b->warp[warp].ready;
    if (!ready) return nullptr;
    uint32_t lane;
    if (b->backwards) {
        uint32_t below = ready & ((1u << after) - 1u);
        lane = 31u - (uint32_t)__builtin_clz(below ? below : ready);
    } else {
        uint32_t above = after == 31 ? 0 : ready & (~0u << (after + 1));
        lane = (uint32_t)__builtin_ctz(above ? above : ready);
    }
    return &b->thread[warp * KB_SHIM_WARP + lane];
}

static struct kb_shim_thread *next_thread(struct kb_shim_block *b, const struct kb_shim_thread *t)
{
    uint32_t warp = t->rank / KB_SHIM_WARP;
    struct kb_shim_thread *next = next_in(b, warp, t->lane);
    for (uint32_t i = 1; !next && i < b->n_warps; i++) {
        uint32_t w = (b->backwards ? warp + b->n_warps - i : warp + i) % b->n_warps;
        next = next_in(b, w, b->backwards ? 0 : 31);
    }
    return next;
}

static void run_others(struct kb_shim_thread *t)
{
    struct kb_shim_thread *next = next_thread(t->block, t);
    if (!next) fail_deadlock(t->block);
    if (next == t) return;
    kb_shim_now = next;
    kb_fibre_switch(&t->fibre, &next->fibre);
}

/* Lets others run, if any can; stays ready itself. */
static void give_way(struct kb_shim_thread *t)
{
    t->warp->ready &= ~(1u << t->lane);
    struct kb_shim_thread *next = next_thread(t->block, t);
    t->warp->ready |= 1u << t->lane;
    if (!next) return;
    kb_shim_now = next;
    kb_fibre_switch(&t->fibre, &next->fibre);
}

/* --- meeting --- */

static void check_same_place(const struct kb_shim_thread *t, struct kb_shim_place p)
{
    struct kb_shim_place other = t->warp->place;
    if (other.line == p.line && strcmp(other.word, p.word) == 0) return;
    kb_shim_fail("lanes of warp %u are at different places: %s of line %d and %s of line %d",
                 t->rank / KB_SHIM_WARP, other.word, other.line, p.word, p.line);
}

uint32_t kb_shim_meet_warp(struct kb_shim_place place, void (*last)(struct kb_shim_warp *w))
{
    struct kb_shim_thread *t = kb_shim_now;
    struct kb_shim_warp *w = t->warp;
    uint32_t me = 1u << t->lane, turn = w->turn;
    if (w->arrived) check_same_place(t, place);
    w->place = place;
    w->arrived |= me;
    if (w->arrived == ~0u) {
        if (last) last(w);
        w->arrived = 0;
        w->ready = ~0u;
        w->turn++;
        for (uint32_t i = 0; i < KB_SHIM_WARP; i++) (t - t->lane + i)->place.word = nullptr;
    } else {
        t->place = place;
        w->ready &= ~me;
        run_others(t);
    }
    return turn & 1;
}

void kb_shim_sync_warp(struct kb_shim_place place)
{
    struct kb_shim_warp *w = kb_shim_now->warp;
    kb_fibre_release(w);
    kb_shim_meet_warp(place, nullptr);
    kb_fibre_acquire(w);
}

static void open_barrier(struct kb_shim_block *b, struct kb_shim_barrier *barrier)
{
    for (uint32_t w = 0; w < b->n_warps; w++) {
        uint32_t lanes = barrier->arrived[w];
        barrier->arrived[w] = 0;
        b->warp[w].ready |= lanes;
        for (; lanes; lanes &= lanes - 1)
            b->thread[w * KB_SHIM_WARP + (uint32_t)__builtin_ctz(lanes)].place.word = nullptr;
    }
    barrier->n_arrived = 0;
}

/* Counts one thread in; the last opens the barrier. True then. */
static bool come(struct kb_shim_block *b, struct kb_shim_place place, uint32_t number, uint32_t n)
{
    if (number >= KB_SHIM_BARRIERS || n % KB_SHIM_WARP)
        kb_shim_fail("%s of line %d: barrier %u, %u threads", place.word, place.line, number, n);
    struct kb_shim_barrier *barrier = &b->barrier[number];
    if (!n) n = b->n_threads;
    if (barrier->n_arrived && barrier->expected != n)
        kb_shim_fail("%s of line %d: %u threads expected, %u by others", place.word, place.line, n,
                     barrier->expected);
    barrier->expected = n;
    kb_fibre_release(barrier);
    if (++barrier->n_arrived < n) return false;
    open_barrier(b, barrier);
    return true;
}

void kb_shim_meet_block(struct kb_shim_place place, uint32_t number, uint32_t n)
{
    struct kb_shim_thread *t = kb_shim_now;
    struct kb_shim_block *b = t->block;
    if (!come(b, place, number, n)) {
        b->barrier[number].arrived[t->rank / KB_SHIM_WARP] |= 1u << t->lane;
        t->place = place;
        t->warp->ready &= ~(1u << t->lane);
        run_others(t);
    }
    kb_fibre_acquire(&b->barrier[number]);
}

void kb_shim_arrive_block(struct kb_shim_place place, uint32_t number, uint32_t n)
{
    struct kb_shim_thread *t = kb_shim_now;
    /* Those who waited run at once in every other block: what they wait for must be there by now. */
    if (come(t->block, place, number, n) && t->block->backwards) give_way(t);
}

/* --- shared memory and copies --- */

/* memset that no sanitizer takes for something the running thread did. */
static void fill_unseen(unsigned char *at, unsigned char byte, size_t n)
{
    for (volatile unsigned char *p = at; n; n--) *p++ = byte;
}

void kb_shim_static_shared(const struct kb_shim_static *v, uint64_t *seen)
{
    struct kb_shim_block *b = kb_shim_now->block;
    if (*seen == b->serial) return;
    *seen = b->serial;
    fill_unseen(v->at, POISON, v->bytes);
    fill_unseen(v->at + v->bytes, GUARD_BYTE, KB_SHIM_GUARD);
    kb_fibre_forbid(v->at + v->bytes, KB_SHIM_GUARD);
    b->variables.push_back(*v);
    b->static_bytes += v->bytes;
    if (b->static_bytes > STATIC_SHARED_BYTES || b->static_bytes + b->launch->shared_bytes > b->limit_bytes)
        kb_shim_fail("%llu bytes of shared variables and %zu bytes beside: more than there is",
                     (unsigned long long)b->static_bytes, b->launch->shared_bytes);
}

void kb_shim_check_aligned(const void *p, uint32_t align, const char *word, int line)
{
    if ((uintptr_t)p % align)
        kb_shim_fail("%s of line %d: address %p is not a multiple of %u", word, line, p, align);
}

void kb_shim_check_shared(const void *p, const char *word, int line)
{
    struct kb_shim_block *b = kb_shim_now->block;
    const unsigned char *at = (const unsigned char *)p;
    kb_shim_check_aligned(p, 16, word, line);
    if (at >= b->shared && at + 16 <= b->shared + b->launch->shared_bytes) return;
    for (const struct kb_shim_static &v : b->variables) {
        if (at < v.at || at + 16 > v.at + v.bytes) continue;
        if (v.align % 16)
            kb_shim_fail("%s of line %d: a shared variable aligned to %zu", word, line, v.align);
        return;
    }
    kb_shim_fail("%s of line %d: 16 bytes at %p are not in shared memory", word, line, p);
}

void kb_shim_copy_begin(void *to, const void *from, uint32_t bytes, bool valid, struct kb_shim_place place)
{
    struct kb_shim_thread *t = kb_shim_now;
    kb_shim_check_aligned(to, bytes, place.word, place.line);
    kb_shim_check_aligned(from, bytes, place.word, place.line);
    kb_shim_check_shared((unsigned char *)to - (uintptr_t)to % 16, place.word, place.line);
    memset(to, POISON, bytes);
    kb_fibre_writes(to, bytes);
    t->copies.push_back(kb_shim_copy{to, from, bytes, valid, t->n_groups});
    kb_fibre_release(&t->block->host); /* who frees the list when this block fails */
}

void kb_shim_copy_close()
{
    kb_shim_now->n_groups++;
}

void kb_shim_copy_land(uint32_t n_open)
{
    struct kb_shim_thread *t = kb_shim_now;
    size_t n = 0;
    for (; n < t->copies.size() && t->copies[n].group + n_open < t->n_groups; n++) {
        const struct kb_shim_copy *c = &t->copies[n];
        kb_fibre_writes(c->to, c->bytes);
        memset(c->to, 0, c->bytes);
        if (!c->valid) continue;
        kb_fibre_reads(c->from, c->bytes);
        memcpy(c->to, c->from, c->bytes);
    }
    t->copies.erase(t->copies.begin(), t->copies.begin() + (ptrdiff_t)n);
}

static void guard_intact(struct kb_shim_block *b, const unsigned char *guard, const char *what)
{
    kb_fibre_permit(guard, KB_SHIM_GUARD);
    for (uint32_t i = 0; i < KB_SHIM_GUARD && !b->failed; i++) {
        if (guard[i] == GUARD_BYTE) continue;
        kb_fail(&b->error, "%s, block (%u, %u, %u): wrote %u bytes beyond the end of %s", b->launch->name,
                b->index.x, b->index.y, b->index.z, i + 1, what);
        b->failed = true;
    }
}

/* --- a block's life --- */

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
            run_others(t);
        else
            kb_fibre_switch(&t->fibre, &b->host);
    }
}

static void give_fibres(struct kb_shim_block *b)
{
    if (!b->stacks) {
        void *p = mmap(nullptr, (size_t)MAX_THREADS * STACK_BYTES, PROT_READ | PROT_WRITE,
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
    memset(b->shared, POISON, l->shared_bytes);
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
    for (const struct kb_shim_static &v : b->variables) guard_intact(b, v.at + v.bytes, "a shared variable");
    guard_intact(b, b->shared + b->launch->shared_bytes, "shared memory");
    if (b->failed) *err = b->error;
    return !b->failed;
}

static bool fits(const struct kb_shim_launch *l, uint64_t limit_bytes, struct kb_error *err)
{
    uint64_t n = (uint64_t)l->block.x * l->block.y * l->block.z;
    if (n == 0 || n > MAX_THREADS || n % KB_SHIM_WARP || l->block.z > 64)
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
    memset(b->shared + l->shared_bytes, GUARD_BYTE, KB_SHIM_GUARD);
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
    for (uint32_t i = 0; i < MAX_THREADS; i++)
        if (b->thread[i].fibre.stack) kb_fibre_free(&b->thread[i].fibre);
    if (b->stacks) munmap(b->stacks, (size_t)MAX_THREADS * STACK_BYTES);
    delete b;
}
