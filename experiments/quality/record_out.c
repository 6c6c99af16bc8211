#include "experiments/quality/record_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/page.h"
#include "experiments/quality/record_as.h"
#include "sim/memory.h"
#include "sim/outfile.h"

enum { MOST_NAME = 80 }; /* bytes of a method's name in a source */

struct known {
    struct exp_record_as as;
    bool any;
};

static bool name_strategies(const struct exp_scores *s, const char *const *as, uint32_t n_as,
                            struct known *known, struct sim_status *st)
{
    for (uint32_t m = 0; m < s->n_methods; m++)
        known[m].any = exp_record_as_guess(s->method[m], &known[m].as);
    for (uint32_t i = 0; i < n_as; i++) {
        uint32_t m;
        struct exp_record_as said;
        if (!exp_record_as_parse(as[i], s, &m, &said, st)) return false;
        known[m] = (struct known){said, true};
    }
    return true;
}

static const struct exp_quality_result *result_of(const struct exp_quality_study *x, uint32_t set)
{
    return &exp_quality_at(x, set, 0)->result;
}

static bool same_row(const struct known *a, const struct known *b)
{
    return a->any && b->any && strcmp(a->as.strategy, b->as.strategy) == 0 &&
           strcmp(a->as.parameters, b->as.parameters) == 0;
}

/* Does another method stand for the same rows, with more samples or earlier with as many? */
static bool is_covered(const struct exp_quality_study *x, const struct known *known, uint32_t set)
{
    const struct exp_quality_result *own = result_of(x, set);
    for (uint32_t k = 0; k < x->asked->n_sets; k++) {
        const struct exp_quality_result *other = result_of(x, k);
        if (k == set || other->set.n > 1 || other->set.method[0] == own->set.method[0] ||
            !same_row(&known[own->set.method[0]], &known[other->set.method[0]]))
            continue;
        if (other->all.samples > own->all.samples || (other->all.samples == own->all.samples && k < set))
            return true;
    }
    return false;
}

/* Was the same method asked for before? */
static bool is_repeated(const struct exp_quality_study *x, uint32_t set)
{
    for (uint32_t k = 0; k < set; k++)
        if (result_of(x, k)->set.n == 1 && result_of(x, k)->set.method[0] == result_of(x, set)->set.method[0])
            return true;
    return false;
}

static bool is_written(const struct exp_quality_study *x, const struct known *known, uint32_t set)
{
    const struct exp_quality_set *own = &result_of(x, set)->set;
    return own->n == 1 && known[own->method[0]].any && !is_repeated(x, set) && !is_covered(x, known, set);
}

static bool write_set(const struct exp_quality_study *x, const struct exp_record_as *as, uint32_t set,
                      FILE *out)
{
    struct mdl_quality q;
    char source[220];
    const char *own = x->scores->method[result_of(x, set)->set.method[0]];
    const char *base = x->scores->method[x->asked->options.baseline];
    snprintf(source, sizeof source, "counted by kvsim quality from scores of %.*s against %.*s",
             exp_text_bytes(own, MOST_NAME), own, exp_text_bytes(base, MOST_NAME), base);
    exp_quality_case_record(x, exp_quality_at(x, set, 0), source, &q);
    bool ok = mdl_quality_write(out, as->strategy, as->parameters, &q);
    mdl_quality_fini(&q);
    return ok;
}

static bool write_sets(const struct exp_quality_study *x, const struct known *known, const char *path,
                       struct sim_status *st)
{
    struct sim_outfile *f = sim_outfile_open(path, st);
    if (!f) return false;
    FILE *out = sim_outfile_stream(f);
    bool ok = mdl_quality_write_header(out);
    for (uint32_t k = 0; ok && k < x->asked->n_sets; k++)
        if (is_written(x, known, k)) ok = write_set(x, &known[result_of(x, k)->set.method[0]].as, k, out);
    if (ok) return sim_outfile_commit(f, st);
    sim_outfile_abandon(f);
    return sim_fail(st, "%s: cannot be written, expected room for it; name another place", path);
}

static void tell_left_out(const struct exp_quality_study *x, const struct known *known)
{
    if (x->asked->n_thetas > 1)
        fprintf(stderr, "in the record: what counts at theta %g, the first\n", x->asked->theta[0]);
    for (uint32_t k = 0; k < x->asked->n_sets; k++) {
        const struct exp_quality_set *own = &result_of(x, k)->set;
        if (own->n > 1 || is_repeated(x, k) || is_written(x, known, k)) continue;
        fprintf(stderr, "not in the record: %s, %s\n", x->label[k],
                known[own->method[0]].any ? "another method is the same strategy" : "see --record-as");
    }
}

bool exp_quality_write_record(const struct exp_quality_study *x, const char *path, const char *const *as,
                              uint32_t n_as, struct sim_status *st)
{
    struct known *known = sim_alloc(x->scores->n_methods, sizeof *known);
    uint32_t n = 0;
    bool ok = name_strategies(x->scores, as, n_as, known, st);
    for (uint32_t k = 0; ok && k < x->asked->n_sets; k++) n += is_written(x, known, k);
    if (ok && n == 0)
        ok = sim_fail_as(st, SIM_EXIT_USAGE,
                         "--record: which strategies the methods are is not known, expected at least "
                         "one; give --record-as %.80s=STRATEGY:PARAMETER=VALUE",
                         x->label[0]);
    ok = ok && write_sets(x, known, path, st);
    if (ok) tell_left_out(x, known);
    free(known);
    return ok;
}
