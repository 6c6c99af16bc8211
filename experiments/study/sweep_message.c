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

/* What is left of a message. */
struct rest {
    const char *at;
    size_t n;
};

static void *copy(struct rest *rest, size_t n)
{
    SIM_CHECK(n <= rest->n);
    void *out = n ? sim_alloc(n, 1) : NULL;
    if (n) memcpy(out, rest->at, n);
    *rest = (struct rest){rest->at + n, rest->n - n};
    return out;
}

static char *copy_text(struct rest *rest, size_t n)
{
    char *text = copy(rest, n);
    SIM_CHECK(!text || text[n - 1] == '\0');
    return text;
}

void exp_result_unpack(const void *bytes, size_t n, struct exp_point_result *out)
{
    struct head head;
    SIM_CHECK(n >= sizeof head);
    memcpy(&head, bytes, sizeof head);
    SIM_CHECK(head.n_measures == 0 || head.n_measures == exp_measure_count());
    struct rest rest = {(const char *)bytes + sizeof head, n - sizeof head};
    *out = head.plain;
    out->measure = copy(&rest, head.n_measures * sizeof *out->measure);
    out->bands = copy_text(&rest, head.text_bytes[0]);
    out->classes = copy_text(&rest, head.text_bytes[1]);
    out->settings = copy_text(&rest, head.text_bytes[2]);
    SIM_CHECK(rest.n == 0);
}
