#include "experiments/planning/pilot_parts.h"

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

/* Two arms with other requests: by how much the candidate fails more often, as so many answers with so many failures that
 * the excess has the same variance. */
static void excess(struct tally base, struct tally cand, struct exp_pilot_findings *out)
{
    double pb = (double)base.failed / (double)base.judged, pc = (double)cand.failed / (double)cand.judged;
    double sd = sqrt(pb * (1 - pb) / (double)base.judged + pc * (1 - pc) / (double)cand.judged);
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

/* Class of a sample: that of the request of its name; of a plan with one class, this. */
struct classes {
    struct known *at;
    size_t n;
    uint32_t n_classes;
};

static struct classes classes_of(const struct exp_plan *plan, const struct exp_measured_arm *a)
{
    struct classes c = {
        .at = sim_alloc(a->n ? a->n : 1, sizeof *c.at), .n = a->n, .n_classes = plan->n_classes};
    for (uint64_t i = 0; i < a->n; i++) c.at[i] = (struct known){a->at[i].id, a->at[i].slo_class};
    if (c.n) qsort(c.at, c.n, sizeof *c.at, by_id);
    return c;
}

static struct exp_pilot_class *class_of(const struct classes *c, const char *id,
                                        struct exp_pilot_findings *out)
{
    struct known key = {id, 0};
    const struct known *found = c->n ? bsearch(&key, c->at, c->n, sizeof *c->at, by_id) : NULL;
    if (found) return &out->class[found->slo_class];
    return c->n_classes == 1 ? &out->class[0] : NULL;
}

static bool count_scores(const struct exp_scores *s, const struct exp_quality_set *set,
                         const struct exp_quality_options *o, const struct classes *classes,
                         struct exp_pilot_findings *out, struct sim_status *st)
{
    struct exp_quality_result r = {0};
    if (!exp_quality_evaluate(s, set, o, &r, st)) return false;
    out->answers = r.all.samples;
    out->failures = r.all.negatives;
    for (uint32_t i = 0; i < s->n_samples; i++) {
        if (!exp_quality_compares(s, set, o, i)) continue;
        struct exp_pilot_class *c = class_of(classes, s->sample[i].id, out);
        if (!c) continue;
        c->answers++;
        c->failures += r.negative[i];
    }
    exp_quality_result_fini(&r);
    return true;
}

/* The template holds none. */
static bool count_critical(const struct exp_scores *s, const struct exp_quality_options *o, uint32_t method,
                           const char *path, struct exp_pilot_findings *out, struct sim_status *st)
{
    struct exp_critical critical = {0};
    if (!exp_csv_has_rows(path)) return true;
    if (!exp_critical_read(path, s, &critical, st)) return false;
    struct exp_critical_result r = exp_critical_evaluate(s, &critical, method, o);
    out->critical = r.n;
    out->critical_failures = r.failures;
    exp_critical_fini(&critical);
    return true;
}

static bool judge(const struct exp_scores *s, const struct exp_arm_machines *candidate,
                  const struct classes *classes, const char *critical_csv, struct exp_pilot_findings *out,
                  struct sim_status *st)
{
    struct exp_quality_options o = {.rule = EXP_RULE_PAPER, .theta = THETA};
    o.baseline = exp_scores_baseline(s, st);
    if (o.baseline == UINT32_MAX) return false;
    uint32_t method = candidate_method(s, o.baseline, candidate, st);
    struct exp_quality_set set = {.n = 1, .method = {method}};
    return method != UINT32_MAX && count_scores(s, &set, &o, classes, out, st) &&
           count_critical(s, &o, method, critical_csv, out, st);
}

bool exp_pilot_scores(const struct exp_plan *plan, const struct exp_arm_machines *candidate,
                      const struct exp_pilot_measured *m, const struct exp_pilot_files *files,
                      struct exp_pilot_findings *out, struct sim_status *st)
{
    struct exp_scores_options o = {0};
    struct exp_scores *s = exp_scores_read(&files->scores, 1, &o, st);
    if (!s) return false;
    struct classes classes = classes_of(plan, &m->arm[EXP_ARM_CANDIDATE]);
    bool ok = judge(s, candidate, &classes, files->critical, out, st);
    free(classes.at);
    exp_scores_free(s);
    return ok;
}
