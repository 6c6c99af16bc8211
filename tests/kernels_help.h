/* Kernels on a device against their references: what the test_kernels suites share. */
#ifndef KVSIM_TESTS_KERNELS_HELP_H
#define KVSIM_TESTS_KERNELS_HELP_H

#include <stdio.h>
#include <string.h>

#include "kernels/case.h"
#include "tests/harness.h"

/* ck_assert in loops of millions costs seconds: it says where it is each time. */
#define REQUIRE(holds, ...)                                                                                  \
    do {                                                                                                     \
        if (!(holds)) ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

/* The shapes that `check` runs on a device; the caller frees the grid. */
static inline struct kb_grid check_shapes(const struct kb_kernel *k, const struct kb_device *d)
{
    struct kb_grid g = {.suite = KB_SUITE_CHECK, .cpu = strcmp(d->kind, "cpu") == 0, .device = d->info};
    k->grid(&g);
    return g;
}

/* "format=bf16 seqs=3 ..." */
static inline void shape_text(const struct kb_kernel *k, const uint32_t *shape, char *text, size_t room)
{
    size_t used = 0;
    text[0] = 0;
    for (uint32_t i = 0; k->keys[i] && used < room; i++) {
        char word[32];
        used += (size_t)snprintf(text + used, room - used, "%s%s=%s", i ? " " : "", k->keys[i],
                                 kb_key_text(k->keys[i], shape[i], word));
    }
}

/* Every check shape of a kernel, each with other inputs. */
static inline void assert_kernel_is_right(enum kb_kernel_id id, struct kb_device *d, uint64_t seed)
{
    const struct kb_kernel *k = kb_kernels[id];
    ck_assert_msg(k && d->kernel[id], "device %s has no kernel %d", d->kind, (int)id);
    struct kb_grid g = check_shapes(k, d);
    ck_assert_msg(g.n > 0, "%s has no shapes to check", k->name);
    for (size_t i = 0; i < g.n; i++) {
        struct kb_verdict v;
        struct kb_error err = {{0}};
        char shape[256];
        shape_text(k, g.shape[i], shape, sizeof shape);
        bool ran = kb_case_check(k, g.shape[i], seed + i, d, &v, &err);
        if (!ran)
            ck_abort_msg("%s %s, seed %llu: %s", k->name, shape, (unsigned long long)(seed + i), err.text);
        REQUIRE(v.error <= v.limit, "%s %s, seed %llu: %s", k->name, shape, (unsigned long long)(seed + i),
                v.text);
    }
    kb_grid_free(&g);
}

#endif
