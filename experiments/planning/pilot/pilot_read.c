#include "experiments/planning/pilot/pilot_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

/* ---- output lengths ---- */

enum { LEAST_PAIRS = 30 };

static struct exp_pairs lengths_of_pairs(const struct exp_pilot_measured *m, double *cand, double *base)
{
    for (uint64_t i = 0; i < m->n_pairs; i++) {
        const uint64_t *of = m->pair[i].of;
        cand[i] = m->arm[EXP_ARM_CANDIDATE].at[of[EXP_ARM_CANDIDATE]].output_tokens;
        base[i] = m->arm[EXP_ARM_BASELINE].at[of[EXP_ARM_BASELINE]].output_tokens;
    }
    return (struct exp_pairs){cand, base, m->n_pairs, exp_pilot_block(m->n_pairs, 1)};
}

/* Log of the mean output length of what was completed. */
static struct exp_pairs lengths_of_arm(const struct exp_measured_arm *a, double *tokens, double *ones)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < a->n; i++) {
        if (!a->at[i].completed) continue;
        tokens[n] = a->at[i].output_tokens;
        ones[n++] = 1;
    }
    return (struct exp_pairs){tokens, ones, n, exp_pilot_block(n, 1)};
}

static void measure_length(const struct exp_pilot_measured *m, uint64_t seed, struct exp_pilot_findings *out)
{
    const struct exp_measured_arm *base = &m->arm[EXP_ARM_BASELINE], *cand = &m->arm[EXP_ARM_CANDIDATE];
    uint64_t room = base->n > cand->n ? base->n : cand->n;
    double *x = sim_alloc(room, sizeof *x), *y = sim_alloc(room, sizeof *y);
    if (m->n_pairs >= LEAST_PAIRS && 2 * m->n_pairs >= cand->n) {
        struct exp_pairs p = lengths_of_pairs(m, x, y);
        out->n_paired = m->n_pairs;
        out->length = exp_log_ratio(&p);
        out->length_sd = exp_log_ratio_sd(&p, seed);
    } else {
        struct exp_pairs b = lengths_of_arm(base, x, y);
        double base_log = exp_log_ratio(&b), base_sd = exp_log_ratio_sd(&b, seed);
        struct exp_pairs c = lengths_of_arm(cand, x, y);
        out->length = exp_log_ratio(&c) - base_log;
        out->length_sd = hypot(base_sd, exp_log_ratio_sd(&c, seed + 1));
    }
    free(y);
    free(x);
}

/* ---- service levels ---- */

static bool within(double value_s, double limit_ms)
{
    return limit_ms <= 0 || value_s * 1e3 <= limit_ms;
}

struct misses {
    uint64_t any, ttft, tpot, e2el;
};

static void count_misses(const struct exp_served *q, const struct exp_slo_keys *slo, struct misses *m)
{
    double tpot_s = q->one_token ? 0 : q->tpot_s;
    double e2el_s = q->ttft_s + (q->one_token ? 0 : tpot_s * (q->output_tokens - 1));
    bool ttft = q->completed && within(q->ttft_s, slo->ttft_ms);
    bool tpot = q->completed && within(tpot_s, slo->tpot_ms);
    bool e2el = q->completed && within(e2el_s, slo->e2el_ms);
    m->ttft += !ttft;
    m->tpot += !tpot;
    m->e2el += !e2el;
    m->any += !(ttft && tpot && e2el);
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void measure_service(const struct exp_plan *plan, const struct exp_measured_arm *a,
                            struct exp_pilot_findings *out)
{
    struct exp_class_keys *class = sim_alloc(SIM_MAX_CLASSES, sizeof *class);
    struct misses m[SIM_MAX_CLASSES] = {{0}};
    uint32_t n = exp_scenario_classes(plan->base, class);
    for (uint64_t i = 0; i < a->n; i++) {
        uint16_t c = a->at[i].slo_class;
        out->class[c].requests++;
        count_misses(&a->at[i], &class[c].slo, &m[c]);
    }
    for (uint32_t c = 0; c < n; c++) {
        uint64_t worst = most(m[c].ttft, most(m[c].tpot, m[c].e2el)); /* rule per_metric */
        out->class[c].good = out->class[c].requests - (class[c].slo.rule == 1 ? worst : m[c].any);
    }
    free(class);
}

/* ---- the whole ---- */

static bool measure_speed(const struct exp_pilot_lab *lab, const struct exp_pilot_measured *m,
                          struct exp_pilot_findings *out, struct sim_status *st)
{
    struct exp_prediction c, b;
    if (!exp_pilot_predict(lab, m, EXP_ARM_CANDIDATE, &c, st)) return false;
    b = c;
    if (lab->arm[EXP_ARM_CANDIDATE].apart && !exp_pilot_predict(lab, m, EXP_ARM_BASELINE, &b, st))
        return false;
    out->speed = c.speed;
    out->speed_sd = c.speed_sd;
    out->ttft = c.ttft;
    out->ttft_sd = c.ttft_sd;
    bool same_gpu = lab->arm[EXP_ARM_BASELINE].candidate.gpu == lab->arm[EXP_ARM_CANDIDATE].candidate.gpu;
    out->baseline_speed = same_gpu ? b.speed : NAN;
    out->baseline_speed_sd = same_gpu ? b.speed_sd : NAN;
    return true;
}

static bool measure_failures(const struct exp_pilot_lab *lab, const struct exp_pilot_measured *m,
                             const char *scores_csv, struct exp_pilot_findings *out, struct sim_status *st)
{
    if (!scores_csv) {
        exp_pilot_failed(m, out);
        return true;
    }
    char *critical = exp_beside(out->file, "critical.csv");
    struct exp_pilot_files files = {scores_csv, critical};
    bool ok = exp_pilot_scores(lab, m, &files, out, st);
    free(critical);
    return ok;
}

static bool measure(const struct exp_pilot_lab *lab, const char *scores_csv, struct exp_pilot_findings *out,
                    struct sim_status *st)
{
    struct exp_pilot_measured m;
    bool apart = lab->arm[EXP_ARM_CANDIDATE].apart;
    if (!exp_pilot_csv_read(lab->plan, out->file, apart, &m, st)) return false;
    out->n_baseline = m.arm[EXP_ARM_BASELINE].n;
    out->n_candidate = m.arm[EXP_ARM_CANDIDATE].n;
    if (apart) measure_length(&m, lab->plan->base->seed, out);
    measure_service(lab->plan, &m.arm[EXP_ARM_CANDIDATE], out);
    bool ok = measure_speed(lab, &m, out, st) && measure_failures(lab, &m, scores_csv, out, st);
    exp_pilot_csv_fini(&m);
    return ok;
}

bool exp_pilot_read(const struct exp_decision *before, struct exp_cache *cache, const char *measured_csv,
                    const char *scores_csv, struct exp_pilot_findings *out, struct sim_status *st)
{
    struct exp_arm_machines *arm = sim_alloc(EXP_N_ARMS, sizeof *arm);
    struct exp_pilot_findings *f = sim_alloc(1, sizeof *f);
    const struct exp_pilot_lab lab = {before->plan, cache, arm};
    f->length = f->length_sd = NAN;
    bool ok =
        snprintf(f->file, sizeof f->file, "%s", measured_csv) < (int)sizeof f->file ||
        sim_fail_as(st, SIM_EXIT_USAGE, "--pilot: the path is longer than %d bytes", EXP_TEXT_BYTES - 1);
    ok = ok && exp_pilot_arms(before, cache, arm, st) && exp_pilot_arms_read(measured_csv, cache, arm, st);
    const struct exp_decision_row *row = ok ? exp_piloted_row(before, &arm[EXP_ARM_CANDIDATE], st) : NULL;
    ok = row && measure(&lab, scores_csv, f, st);
    if (ok) {
        exp_candidate_label(&row->entry->candidate, f->candidate, sizeof f->candidate);
        *out = *f;
    }
    free(f);
    free(arm);
    return ok;
}
