/* What every command needs of the machine below: memory that is there or the program ends, files that
 * are complete or absent, and whether the user asked to stop. */
#ifndef KVSIM_KERNELS_KVBENCH_UTIL_H
#define KVSIM_KERNELS_KVBENCH_UTIL_H

#include "kernels/kbench.h"

#include <stdio.h>

/* Now, UTC, as 2025-01-31T12:00:00Z. */
struct kvb_date {
    char text[32];
};
struct kvb_date kvb_date_now(void);

/* Memory, zeroed; aborts when there is none. */
void *kvb_alloc(size_t n, size_t size);
/* Makes room for n items, doubling; returns the new place and sets *room. */
void *kvb_grow(void *p, size_t *room, size_t n, size_t size);
char *kvb_printf(const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* A folder and the folders above it; true when it is there already. */
bool kvb_folder_make(const char *path, struct kb_error *err);

/* A file that appears under its name only when it is complete: write to f, then commit. */
struct kvb_file {
    FILE *f;
    char *path, *temporary;
};
bool kvb_file_begin(struct kvb_file *file, const char *path, struct kb_error *err);
bool kvb_file_commit(struct kvb_file *file, struct kb_error *err);
void kvb_file_abandon(struct kvb_file *file);

/* A YAML string in double quotes, whatever it holds. */
void kvb_yaml_text(FILE *f, const char *text);

/* From here on Ctrl-C and SIGTERM only set a mark, so that what was measured is kept. */
void kvb_interrupt_catch(void);
bool kvb_interrupted(void);

#endif
