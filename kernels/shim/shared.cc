/* Shared memory of the block that runs, and copies into it. */
#include "kernels/shim/block.h"

#include <string.h>

enum { STATIC_BYTES = 48 << 10 }; /* of shared variables, on all targets */

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
    fill_unseen(v->at, KB_SHIM_POISON, v->bytes);
    fill_unseen(v->at + v->bytes, KB_SHIM_GUARD_BYTE, KB_SHIM_GUARD);
    kb_fibre_forbid(v->at + v->bytes, KB_SHIM_GUARD);
    b->variables.push_back(*v);
    b->static_bytes += v->bytes;
    if (b->static_bytes > STATIC_BYTES || b->static_bytes + b->launch->shared_bytes > b->limit_bytes)
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
    memset(to, KB_SHIM_POISON, bytes);
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

void kb_shim_guard_intact(struct kb_shim_block *b, const unsigned char *guard, const char *what)
{
    kb_fibre_permit(guard, KB_SHIM_GUARD);
    for (uint32_t i = 0; i < KB_SHIM_GUARD && !b->failed; i++) {
        if (guard[i] == KB_SHIM_GUARD_BYTE) continue;
        kb_fail(&b->error, "%s, block (%u, %u, %u): wrote %u bytes beyond the end of %s", b->launch->name,
                b->index.x, b->index.y, b->index.z, i + 1, what);
        b->failed = true;
    }
}
