/* Tables from text, or from 64-bit ids, to a number: each distinct text is stored once, ids are a set that
 * counts. Open addressing, at most half full; a look-up costs one cache miss or two. */
#ifndef KVSIM_TRACES_INTERN_H
#define KVSIM_TRACES_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_arena;

struct trc_intern_entry {
    char *text;     /* NULL: free */
    uint64_t value; /* 0 at first, the caller's to use */
};

struct trc_intern {
    struct trc_intern_entry *entries;
    size_t n, room;
};

/* The entry of a text, made when it is new: its copy lives in the arena. Valid until the next call. */
struct trc_intern_entry *trc_intern(struct trc_intern *table, const char *text, struct sim_arena *strings);
void trc_intern_fini(struct trc_intern *table);

struct trc_id_set {
    uint64_t *ids;
    bool has_zero; /* id 0 marks a free place, so it is kept apart */
    size_t n, room;
};

bool trc_id_set_has(const struct trc_id_set *set, uint64_t id);
void trc_id_set_add(struct trc_id_set *set, uint64_t id);
void trc_id_set_fini(struct trc_id_set *set);

#endif
