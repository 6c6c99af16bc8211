#include "sim/memory.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_CHUNK = 1 << 16 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    alignas(ARENA_ALIGN) unsigned char bytes[];
};

struct sim_arena {
    struct chunk *head;
};

static void *no_memory(size_t n, size_t size)
{
    fprintf(stderr, "kvsim: out of memory for %zu x %zu bytes\n", n, size);
    abort();
}

void *sim_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    return p ? p : no_memory(n, size);
}

void *sim_realloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) return no_memory(n, size);
    void *q = realloc(p, bytes ? bytes : 1);
    return q ? q : no_memory(n, size);
}

char *sim_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(sim_alloc(n, 1), s, n);
}

char *sim_printf(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *s = sim_alloc((size_t)n + 1, 1);
    vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return s;
}

struct sim_arena *sim_arena_new(void)
{
    return sim_alloc(1, sizeof(struct sim_arena));
}

void sim_arena_free(struct sim_arena *a)
{
    if (!a) return;
    while (a->head) {
        struct chunk *next = a->head->next;
        free(a->head);
        a->head = next;
    }
    free(a);
}

void *sim_arena_alloc(struct sim_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2) return no_memory(n, size);
    bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct chunk *c = a->head;
    if (!c || c->size - c->used < bytes) {
        size_t room = bytes > ARENA_CHUNK ? bytes : ARENA_CHUNK;
        c = sim_alloc(1, sizeof *c + room);
        c->size = room;
        c->next = a->head;
        a->head = c;
    }
    void *p = c->bytes + c->used;
    c->used += bytes;
    return p;
}

char *sim_arena_strdup(struct sim_arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(sim_arena_alloc(a, n, 1), s, n);
}
