#include "traces/intern.h"

#include "sim/memory.h"

#include <stdlib.h>
#include <string.h>

/* Finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t hash_text(const char *text)
{
    uint64_t h = UINT64_C(0x9e3779b97f4a7c15);
    for (; *text; text++) h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return mix(h);
}

static struct trc_intern_entry *find_entry(const struct trc_intern *table, const char *text)
{
    size_t i = hash_text(text) & (table->room - 1);
    while (table->entries[i].text && strcmp(table->entries[i].text, text) != 0)
        i = (i + 1) & (table->room - 1);
    return &table->entries[i];
}

static void grow_intern(struct trc_intern *table)
{
    struct trc_intern bigger = {.n = table->n, .room = table->room ? 2 * table->room : 16};
    bigger.entries = sim_alloc(bigger.room, sizeof *bigger.entries);
    for (size_t i = 0; i < table->room; i++)
        if (table->entries[i].text) *find_entry(&bigger, table->entries[i].text) = table->entries[i];
    free(table->entries);
    *table = bigger;
}

struct trc_intern_entry *trc_intern(struct trc_intern *table, const char *text, struct sim_arena *strings)
{
    if (2 * table->n >= table->room) grow_intern(table);
    struct trc_intern_entry *e = find_entry(table, text);
    if (!e->text) {
        e->text = sim_arena_strdup(strings, text);
        table->n++;
    }
    return e;
}

void trc_intern_fini(struct trc_intern *table)
{
    free(table->entries);
    memset(table, 0, sizeof *table);
}

static size_t find_id(const struct trc_id_set *set, uint64_t id)
{
    size_t i = mix(id) & (set->room - 1);
    while (set->ids[i] && set->ids[i] != id) i = (i + 1) & (set->room - 1);
    return i;
}

bool trc_id_set_has(const struct trc_id_set *set, uint64_t id)
{
    if (id == 0) return set->has_zero;
    return set->room > 0 && set->ids[find_id(set, id)] == id;
}

static void grow_ids(struct trc_id_set *set)
{
    struct trc_id_set bigger = {
        .n = set->n, .has_zero = set->has_zero, .room = set->room ? 2 * set->room : 64};
    bigger.ids = sim_alloc(bigger.room, sizeof *bigger.ids);
    for (size_t i = 0; i < set->room; i++)
        if (set->ids[i]) bigger.ids[find_id(&bigger, set->ids[i])] = set->ids[i];
    free(set->ids);
    *set = bigger;
}

void trc_id_set_add(struct trc_id_set *set, uint64_t id)
{
    if (2 * set->n >= set->room) grow_ids(set);
    if (trc_id_set_has(set, id)) return;
    set->n++;
    if (id == 0)
        set->has_zero = true;
    else
        set->ids[find_id(set, id)] = id;
}

void trc_id_set_fini(struct trc_id_set *set)
{
    free(set->ids);
    memset(set, 0, sizeof *set);
}
