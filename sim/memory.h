/* Memory of this program (not of the simulated GPU): allocation that aborts when there is none left, and an
 * arena whose whole content is freed at once. Event handlers take what they need before a run starts. */
#ifndef KVSIM_SIM_MEMORY_H
#define KVSIM_SIM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* n x size zeroed bytes; aborts with the size when there is no memory or the product overflows. Free with
 * free(). */
void *sim_alloc(size_t n, size_t size);

/* Grows or shrinks an allocation to n x size bytes; new bytes are not zeroed. Free with free(). */
void *sim_realloc(void *p, size_t n, size_t size);

/* A copy of a string; free with free(). */
char *sim_strdup(const char *s);

/* printf into a new string; free with free(). */
char *sim_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Arena: blocks of memory that live until sim_arena_free. */
struct sim_arena;
struct sim_arena *sim_arena_new(void);
void sim_arena_free(struct sim_arena *a);
void *sim_arena_alloc(struct sim_arena *a, size_t n, size_t size); /* zeroed, 16-byte aligned */
char *sim_arena_strdup(struct sim_arena *a, const char *s);

#endif
