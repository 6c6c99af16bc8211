#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "experiments/planning/search/search_parts.h"
#include "sim/memory.h"

/* ---- what breaks ---- */

/* One limit of a class and what the 99th percentile makes of it. */
struct limit {
    const char *name, *key;
    double limit_s, p99_s, miss;
};

static void limits_of(const struct sim_slo *slo, const struct exp_class_point *p, struct limit out[3])
{
    out[0] = (struct limit){"TTFT", "ttft_ms", slo->ttft_s, p->ttft_p99_s, p->ttft_miss};
    out[1] = (struct limit){"TPOT", "tpot_ms", slo->tpot_s, p->tpot_p99_s, p->tpot_miss};
    out[2] = (struct limit){"E2EL", "e2el_ms", slo->e2el_s, p->e2el_p99_s, p->e2el_miss};
}

void exp_say_what_breaks(struct exp_entry *e, const struct exp_setup *u)
{
    double most = -1;
    for (uint32_t c = 0; c < e->point.n_classes; c++) {
        struct limit l[3];
        limits_of(&u->sim_classes[c].slo, &e->point.class[c], l);
        for (int i = 0; i < 3 && !e->point.class[c].met; i++) {
            if (l[i].limit_s <= 0 || l[i].miss <= most) continue;
            most = l[i].miss;
            snprintf(e->why_not, sizeof e->why_not,
                     "%s of class %s: %.3g %% of requests over %.4g ms on any number of replicas", l[i].name,
                     u->class_names[c], 100 * l[i].miss, 1e3 * l[i].limit_s);
        }
    }
}

/* ---- the smallest change that would do ---- */

enum { N_STEPS = 40 };
#define STEP 1.1

/* The plan with limits of one kind, or of all, this many times as wide. */
static void widen(struct exp_scenario *s, int kind, double by)
{
    struct exp_slo_keys *slo[SIM_MAX_CLASSES + 1] = {&s->slo};
    for (uint32_t i = 0; i < s->n_classes; i++) slo[i + 1] = &s->classes[i].slo;
    for (uint32_t i = 0; i <= s->n_classes; i++) {
        if (kind == 0 || kind == 3) slo[i]->ttft_ms *= by;
        if (kind == 1 || kind == 3) slo[i]->tpot_ms *= by;
        if (kind == 2 || kind == 3) slo[i]->e2el_ms *= by;
    }
}

/* The number that is asked about. What met as predicted, but on no number once errors are drawn, has twice of what it took. */
static uint32_t number_of(const struct exp_entry *e)
{
    return e->point.met && e->n_replicas < EXP_MOST_REPLICAS / 2 ? 2 * e->n_replicas : e->n_replicas;
}

static bool meets_as_predicted(struct exp_hunters *h, const struct exp_plan *plan, const struct exp_entry *e)
{
    const struct exp_trial_change change = {.lose_server = plan->robust};
    struct sim_status ignored = {0};
    struct exp_trial_point p = {0};
    struct exp_trial *t = exp_trial_new(plan, &e->candidate, h->cache, h->loads, &change, &ignored);
    bool ok = t && exp_trial_run(t, number_of(e), 1 + plan->headroom, plan->base->seed, false, &p, &ignored);
    exp_trial_free(t);
    return ok && p.met;
}

static bool meets_with_errors(struct exp_hunters *h, const struct exp_plan *plan, const struct exp_entry *e)
{
    const struct exp_verdict_options o = {.load_factor = 1 + plan->headroom, .n_threads = 1, .brief = true};
    struct sim_status ignored = {0};
    struct exp_verdict v = {0};
    struct exp_panel *p = exp_panel_new(plan, &e->candidate, h->cache, h->loads, plan->base->seed, &ignored);
    bool ok = p && exp_panel_judge(p, number_of(e), &o, &v, &ignored);
    exp_panel_free(p);
    return ok && v.feasible;
}

/* Does the entry meet when limits are so much wider? As strictly as it was found not to. */
static bool would_do(struct exp_hunters *h, const struct exp_entry *e, int kind, double by)
{
    struct exp_plan *plan = sim_alloc(1, sizeof *plan);
    *plan = *h->plan;
    plan->base = exp_scenario_copy(h->plan->base);
    widen(plan->base, kind, by);
    bool ok = (e->point.met ? meets_with_errors : meets_as_predicted)(h, plan, e);
    free(plan->base);
    free(plan);
    return ok;
}

/* The least factor, in steps of a tenth and then by halves, with which the entry meets; infinite when none does. */
static double least_factor(struct exp_hunters *h, const struct exp_entry *e, int kind, double most)
{
    double low = 1, high = 1;
    for (int i = 0; i < N_STEPS; i++) {
        high *= STEP;
        if (high > most) return INFINITY;
        if (would_do(h, e, kind, high)) break;
        low = high;
        if (i == N_STEPS - 1) return INFINITY;
    }
    for (int i = 0; i < 4; i++) {
        double middle = 0.5 * (low + high);
        if (would_do(h, e, kind, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

static bool has_limit(const struct exp_scenario *s, int kind)
{
    const struct exp_slo_keys *slo = &s->slo;
    bool any = (kind == 0 ? slo->ttft_ms : kind == 1 ? slo->tpot_ms : slo->e2el_ms) > 0;
    for (uint32_t i = 0; i < s->n_classes; i++) {
        slo = &s->classes[i].slo;
        any |= (kind == 0 ? slo->ttft_ms : kind == 1 ? slo->tpot_ms : slo->e2el_ms) > 0;
    }
    return any || kind == 3;
}

/* The entries that miss least: a bound on how many are tried. */
static uint32_t most_promising(const struct exp_search *s, const struct exp_entry *out[], uint32_t room)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_entries; i++) {
        const struct exp_entry *e = &s->entry[i];
        if (e->fate != EXP_NEVER_MEETS) continue;
        uint32_t at = n < room ? n++ : room;
        if (at == room && e->point.miss >= out[room - 1]->point.miss) continue;
        if (at == room) at--;
        for (; at && out[at - 1]->point.miss > e->point.miss; at--) out[at] = out[at - 1];
        out[at] = e;
    }
    return n;
}

enum { TRIED = 4, KINDS = 4 };

void exp_find_relaxation(struct exp_hunters *h, struct exp_search *s)
{
    static const char *const names[KINDS] = {"ttft_ms", "tpot_ms", "e2el_ms", "all limits"};
    const struct exp_entry *best[TRIED];
    double least = INFINITY;
    uint32_t n = most_promising(s, best, TRIED);
    for (int kind = 0; kind < KINDS; kind++) {
        if (!has_limit(h->plan->base, kind) || (kind == KINDS - 1 && isfinite(least))) continue;
        for (uint32_t i = 0; i < n; i++) {
            char label[EXP_LABEL_BYTES + 64];
            double by = least_factor(h, best[i], kind, least);
            if (!(by < least)) continue;
            least = by;
            exp_candidate_label(&best[i]->candidate, label, sizeof label);
            snprintf(s->relaxation, sizeof s->relaxation, "%s %.2f times as wide would do, with %u x %s",
                     names[kind], by, number_of(best[i]), label);
        }
    }
}
