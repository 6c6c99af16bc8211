/* A result as bytes: the struct itself, its measures, its texts. Ranks are the same program on the same kind of machine,
 * which sweep.c makes sure of by its version. */
#include "experiments/study/sweep_parts.h"

#include <stdlib.h>
#include <string.h>

#include "sim/check.h"
#include "sim/memory.h"

enum { N_TEXTS = 3 };

struct head {
    struct exp_point_result plain;
    uint64_t n_measures, text_bytes[N_TEXTS]; /* 0 = NULL, else with the final zero */
};

static void *put(void *at, const void *bytes, size_t n)
{
    if (n) memcpy(at, bytes, n);
    return (char *)at + n;
}

void *exp_result_pack(const struct exp_point_result *r, size_t *n)
{
    const char *const text[N_TEXTS] = {r->bands, r->classes, r->settings};
    struct head head;
    memset(&head, 0, sizeof head); /* no byte of memory that was never written goes out */
    memcpy(&head.plain, r, sizeof *r);
    head.plain.measure = NULL;
    head.plain.bands = head.plain.classes = head.plain.settings = NULL;
    head.n_measures = r->measure ? exp_measure_count() : 0;
    *n = sizeof head + head.n_measures * sizeof *r->measure;
    for (int i = 0; i < N_TEXTS; i++) *n += head.text_bytes[i] = text[i] ? strlen(text[i]) + 1 : 0;
    void *bytes = sim_alloc(*n, 1), *at = put(bytes, &head, sizeof head);
    at = put(at, r->measure, head.n_measures * sizeof *r->measure);
    for (int i = 0; i < N_TEXTS; i++) at = put(at, text[i], head.text_bytes[i]);
    return bytes;
}

static void *copy(const char **at, size_t n)
{
    void *out = n ? sim_alloc(n, 1) : NULL;
    if (n) memcpy(out, *at, n);
    *at += n;
    return out;
}

void exp_result_unpack(const void *bytes, size_t n, struct exp_point_result *out)
{
    struct head head;
    const char *at = bytes;
    SIM_CHECK(n >= sizeof head);
    memcpy(&head, at, sizeof head);
    at += sizeof head;
    size_t measures = head.n_measures * sizeof *out->measure;
    SIM_CHECK(n == sizeof head + measures + head.text_bytes[0] + head.text_bytes[1] + head.text_bytes[2]);
    *out = head.plain;
    out->measure = copy(&at, measures);
    out->bands = copy(&at, head.text_bytes[0]);
    out->classes = copy(&at, head.text_bytes[1]);
    out->settings = copy(&at, head.text_bytes[2]);
}
