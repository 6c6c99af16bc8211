#include "experiments/planning/pilot/pilot_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/quality/guard.h"
#include "sim/memory.h"

static const double THETA = 0.1; /* as the shipped record */

/* ---- from the `failed` column ---- */

struct tally {
    uint64_t judged, failed;
};

static struct tally tally_of(const struct exp_measured_arm *a)
{
    struct tally t = {0};
    for (uint64_t i = 0; i < a->n; i++) {
        t.judged += a->at[i].failed >= 0;
        t.failed += a->at[i].failed == 1;
    }
    return t;
}

static uint64_t count_pairs(const struct exp_pilot_measured *m, uint64_t *newly)
{
    uint64_t n = 0;
    *newly = 0;
    for (uint64_t i = 0; i < m->n_pairs; i++) {
        int base = m->arm[EXP_ARM_BASELINE].at[m->pair[i].of[EXP_ARM_BASELINE]].failed;
        int cand = m->arm[EXP_ARM_CANDIDATE].at[m->pair[i].of[EXP_ARM_CANDIDATE]].failed;
        n += base >= 0 && cand >= 0;
        *newly += base == 0 && cand == 1;
    }
    return n;
}

/* Of a rate; above 0 even where none or all fail (Jeffreys). */
static double variance(struct tally t)
{
    double n = (double)t.judged + 1, p = ((double)t.failed + 0.5) / n;
    return p * (1 - p) / n;
}

/* Two arms with other requests: by how much the candidate fails more often, as so many answers with so many failures that
 * the excess has the same variance. */
static void excess(struct tally base, struct tally cand, struct exp_pilot_findings *out)
{
    double pb = (double)base.failed / (double)base.judged, pc = (double)cand.failed / (double)cand.judged;
    double sd = sqrt(variance(base) + variance(cand));
    double more = fmax(pc - pb, 0), at = fmin(fmax(more, sd), 0.5);
    double n = sd > 0 ? fmin(at * (1 - at) / (sd * sd), (double)cand.judged) : (double)cand.judged;
    out->answers = (uint64_t)fmax(1, round(n));
    out->failures = (uint64_t)round(more * (double)out->answers);
}

/* A class's limit holds for what its users see: its failures are the candidate's own. */
static void count_classes(const struct exp_pilot_measured *m, struct exp_pilot_findings *out)
{
    const struct exp_measured_arm *a = &m->arm[EXP_ARM_CANDIDATE];
    for (uint64_t i = 0; i < a->n; i++) {
        struct exp_pilot_class *c = &out->class[a->at[i].slo_class];
        c->answers += a->at[i].failed >= 0;
        c->failures += a->at[i].failed == 1;
    }
}

void exp_pilot_failed(const struct exp_pilot_measured *m, struct exp_pilot_findings *out)
{
    struct tally base = tally_of(&m->arm[EXP_ARM_BASELINE]), cand = tally_of(&m->arm[EXP_ARM_CANDIDATE]);
    uint64_t newly, pairs = count_pairs(m, &newly);
    out->answers = cand.judged;
    out->failures = cand.failed;
    if (2 * pairs >= cand.judged && pairs > 0) {
        out->answers = pairs;
        out->failures = newly;
    } else if (base.judged && cand.judged) {
        excess(base, cand, out);
    }
    count_classes(m, out);
}

/* ---- from scores ---- */

/* `candidate`, else the only one beside the baseline, else the one that is called as the strategy. */
static uint32_t candidate_method(const struct exp_scores *s, uint32_t baseline,
                                 const struct exp_arm_machines *candidate, struct sim_status *st)
{
    for (uint32_t m = 0; m < s->n_methods; m++)
        if (strcmp(s->method[m], "candidate") == 0) return m;
    if (s->n_methods == 2) return 1 - baseline;
    return exp_scores_method(s, candidate->contender.strategy->name, st);
}

struct known {
    const char *id;
    uint16_t slo_class;
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct known *)a)->id, ((const struct known *)b)->id);
}

/* Scores under evaluation. */
struct scoring {
    const struct exp_scores *s;
    struct exp_quality_options options;
    uint32_t method; /* the candidate's */
    uint32_t n_classes;
    struct known *known; /* by id */
    size_t n_known;
    struct exp_pilot_findings *out;
};

static void know_classes(struct scoring *x, const struct exp_measured_arm *a)
{
    x->known = sim_alloc(a->n ? a->n : 1, sizeof *x->known);
    x->n_known = a->n;
    for (uint64_t i = 0; i < a->n; i++) x->known[i] = (struct known){a->at[i].id, a->at[i].slo_class};
    if (a->n) qsort(x->known, a->n, sizeof *x->known, by_id);
}

/* That of the request of the sample's name; of a plan with one class, this; else NULL. */
static struct exp_pilot_class *class_of(const struct scoring *x, const char *id)
{
    struct known key = {id, 0};
    const struct known *found = x->n_known ? bsearch(&key, x->known, x->n_known, sizeof key, by_id) : NULL;
    if (found) return &x->out->class[found->slo_class];
    return x->n_classes == 1 ? &x->out->class[0] : NULL;
}

static bool count_scores(const struct scoring *x, struct sim_status *st)
{
    struct exp_quality_set set = {.n = 1, .method = {x->method}};
    struct exp_quality_result r = {0};
    if (!exp_quality_evaluate(x->s, &set, &x->options, &r, st)) return false;
    x->out->answers = r.all.samples;
    x->out->failures = r.all.negatives;
    for (uint32_t i = 0; i < x->s->n_samples; i++) {
        struct exp_pilot_class *c = class_of(x, x->s->sample[i].id);
        if (!c || !exp_quality_compares(x->s, &set, &x->options, i)) continue;
        c->answers++;
        c->failures += r.negative[i];
    }
    exp_quality_result_fini(&r);
    return true;
}

/* The template holds none. */
static bool count_critical(const struct scoring *x, const char *path, struct sim_status *st)
{
    struct exp_critical critical = {0};
    if (!exp_csv_has_rows(path)) return true;
    if (!exp_critical_read(path, x->s, &critical, st)) return false;
    struct exp_critical_result r = exp_critical_evaluate(x->s, &critical, x->method, &x->options);
    x->out->critical = r.n;
    x->out->critical_failures = r.failures;
    exp_critical_fini(&critical);
    return true;
}

static bool judge(struct scoring *x, const struct exp_arm_machines *candidate, const char *critical_csv,
                  struct sim_status *st)
{
    x->options.baseline = exp_scores_baseline(x->s, st);
    if (x->options.baseline == UINT32_MAX) return false;
    x->method = candidate_method(x->s, x->options.baseline, candidate, st);
    return x->method != UINT32_MAX && count_scores(x, st) && count_critical(x, critical_csv, st);
}

bool exp_pilot_scores(const struct exp_pilot_lab *lab, const struct exp_pilot_measured *m,
                      const struct exp_pilot_files *files, struct exp_pilot_findings *out,
                      struct sim_status *st)
{
    struct exp_scores_options o = {0};
    struct exp_scores *s = exp_scores_read(&files->scores, 1, &o, st);
    if (!s) return false;
    struct scoring x = {.s = s,
                        .options = {.rule = EXP_RULE_PAPER, .theta = THETA},
                        .n_classes = lab->plan->n_classes,
                        .out = out};
    know_classes(&x, &m->arm[EXP_ARM_CANDIDATE]);
    bool ok = judge(&x, &lab->arm[EXP_ARM_CANDIDATE], files->critical, st);
    free(x.known);
    exp_scores_free(s);
    return ok;
}
