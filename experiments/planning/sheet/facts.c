#include "experiments/planning/sheet/facts.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/pilot/pilot.h"
#include "sim/check.h"

const char *exp_text(struct sim_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    SIM_CHECK(n >= 0);
    char *out = sim_arena_alloc(arena, (size_t)n + 1, 1);
    vsnprintf(out, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return out;
}

/* ---- machines ---- */

const struct exp_economy *exp_row_economy(const struct exp_decision_row *row)
{
    return row->finalist ? &row->finalist->economy[row->finalist->best] : NULL;
}

const struct exp_cash *exp_row_cash(const struct exp_decision_row *row)
{
    return row->finalist ? &row->finalist->cash[row->finalist->best] : NULL;
}

const char *exp_row_way(const struct exp_decision_row *row)
{
    const struct exp_cash *cash = exp_row_cash(row);
    if (!cash) return "";
    for (uint32_t m = 0; m <= cash->n_months; m++)
        if (cash->bought[m] || cash->rented[m] > 0) return exp_acquire_name(row->finalist->best);
    return row->entry->candidate.keeps_have ? "keep" : exp_acquire_name(row->finalist->best);
}

static void add_kept(const struct exp_plan *plan, struct exp_fleet_size *size)
{
    for (uint32_t i = 0; i < plan->n_have; i++) {
        size->have_servers += plan->have[i].servers;
        size->gpus += plan->have[i].servers * plan->have[i].gpus_per_server;
    }
}

static void add_schedule(const struct exp_cash *cash, struct exp_fleet_size *size)
{
    for (uint32_t m = 0; m <= cash->n_months; m++) {
        size->bought += cash->bought[m];
        if (cash->bought[m]) size->last_month = m;
    }
}

struct exp_fleet_size exp_fleet_size(const struct exp_decision *d, const struct exp_decision_row *row)
{
    const struct exp_entry *e = row->entry;
    const struct exp_economy *economy = exp_row_economy(row);
    uint32_t per_server = exp_replicas_per_server(&e->candidate);
    struct exp_fleet_size size = {.servers = (e->n_replicas + per_server - 1) / per_server};
    bool owns = size.servers && (!economy || economy->acquire != EXP_RENT);
    if (owns) size.spare_servers = economy ? economy->spare_servers : d->plan->spare_servers;
    size.servers += size.spare_servers;
    size.gpus = size.servers * e->candidate.gpus_per_server;
    if (e->candidate.keeps_have) add_kept(d->plan, &size);
    if (economy) add_schedule(exp_row_cash(row), &size);
    return size;
}

const char *exp_have_text(struct sim_arena *arena, const struct exp_plan *plan)
{
    const char *text = "";
    for (uint32_t i = 0; i < plan->n_have; i++) {
        const struct exp_plan_have *h = &plan->have[i];
        text = exp_text(arena, "%s%s%u x %s", text, i ? " + " : "", h->servers * h->gpus_per_server, h->gpu);
    }
    return text;
}

const char *exp_row_gpu(struct sim_arena *arena, const struct exp_decision_row *row, const char *have)
{
    const struct exp_candidate *c = &row->entry->candidate;
    if (!c->keeps_have) return c->gpu->name;
    return row->entry->n_replicas ? exp_text(arena, "%s + %s", have, c->gpu->name) : have;
}

const char *exp_row_settings(struct sim_arena *arena, const struct exp_decision_row *row)
{
    const struct exp_candidate *c = &row->entry->candidate;
    const char *colon = strchr(c->contender->label, ':'), *text = colon ? colon + 1 : "";
    if (c->max_num_seqs)
        text = exp_text(arena, "%s%smax_num_seqs=%u", text, *text ? ":" : "", c->max_num_seqs);
    if (c->max_num_batched_tokens)
        text = exp_text(arena, "%s%smax_num_batched_tokens=%u", text, *text ? ":" : "",
                        c->max_num_batched_tokens);
    if (c->adds_host_memory) text = exp_text(arena, "%s%shost_gib=%.0f", text, *text ? ":" : "", c->host_gib);
    return text;
}

const char *exp_row_strategy(struct sim_arena *arena, const struct exp_decision_row *row)
{
    const char *name = row->entry->candidate.contender->strategy->name;
    const char *settings = exp_row_settings(arena, row);
    return *settings ? exp_text(arena, "%s:%s", name, settings) : name;
}

/* ---- how it does ---- */

bool exp_row_feasible(const struct exp_decision_row *row)
{
    const struct exp_entry *e = row->entry;
    if (e->fate == EXP_FINALIST) return e->at.feasible;
    return e->fate == EXP_SEARCHED && e->point.met;
}

const double *exp_row_evidence(const struct exp_decision_row *row)
{
    return row->entry->fate == EXP_FINALIST ? row->entry->at.evidence : row->entry->point.evidence;
}

static bool was_run(const struct exp_entry *e)
{
    return e->point.n_classes > 0;
}

static struct exp_band band_of(double value)
{
    return (struct exp_band){value, value, value};
}

struct exp_band exp_row_ttft_p99_s(const struct exp_decision_row *row)
{
    const struct exp_entry *e = row->entry;
    if (e->fate == EXP_FINALIST) return e->at.ttft_p99_s;
    return band_of(was_run(e) ? e->point.ttft_p99_s : NAN);
}

struct exp_band exp_row_tpot_p99_s(const struct exp_decision_row *row)
{
    const struct exp_entry *e = row->entry;
    if (e->fate == EXP_FINALIST) return e->at.tpot_p99_s;
    return band_of(was_run(e) ? e->point.tpot_p99_s : NAN);
}

uint64_t exp_critical_needed(const struct exp_plan *plan)
{
    double least = NAN;
    for (uint32_t c = 0; c < plan->n_classes; c++) least = fmin(least, plan->class[c].max_failure_rate);
    return isnan(least) ? 0 : (uint64_t)ceil(3 / fmax(least, EXP_LEAST_LIMIT) - 1e-9);
}

struct exp_critical_count exp_critical_count(const struct exp_decision *d)
{
    struct exp_critical_count k = {0};
    if (d->best == UINT32_MAX) return k;
    const struct mdl_quality_rates *r = &d->row[d->best].entry->rates;
    k.n = r->critical + (d->pilot ? d->pilot->critical : 0);
    k.failures = r->critical_failures + (d->pilot ? d->pilot->critical_failures : 0);
    return k;
}

const struct exp_decision_row *exp_row_tried(const struct exp_decision *d)
{
    char label[EXP_LABEL_BYTES];
    for (uint32_t i = 0; d->pilot && i < d->n_rows; i++) {
        exp_candidate_label(&d->row[i].entry->candidate, label, sizeof label);
        if (d->row[i].finalist && strcmp(label, d->pilot->candidate) == 0) return &d->row[i];
    }
    return d->best == UINT32_MAX ? NULL : &d->row[d->best];
}

/* ---- what to measure ---- */

int exp_weakest_driver(const struct exp_response *r)
{
    int weakest = -1;
    double most = 0;
    for (int i = 0; i < EXP_N_DRIVERS; i++) {
        double moves = fabs(r->elasticity[i] * r->log_sd[i]);
        if (moves <= most) continue;
        most = moves;
        weakest = i;
    }
    return weakest;
}

/* Families of kvbench (kernels/README.md) whose kernels a group of strategies is made of. */
static const char *kv_families(const struct mdl_strategy *s)
{
    static const char *const of[][2] = {{"quantise", "compress,decode"},
                                        {"low rank", "compress,decode"},
                                        {"drop, static", "decode"},
                                        {"drop, dynamic", "choose,decode"},
                                        {"retrieve", "choose,move,decode"}};
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
        if (strcmp(of[i][0], s->group) == 0) return of[i][1];
    return "move,decode";
}

/* What measures a driver on the card; NULL: only the whole engine shows it. */
static const char *families_of(const struct mdl_strategy *s, int driver)
{
    switch (driver) {
    case EXP_DRIVE_FAMILY + MDL_GEMM:
        return "gemm";
    case EXP_DRIVE_FAMILY + MDL_ATTN_PREFILL:
        return "prefill";
    case EXP_DRIVE_FAMILY + MDL_ATTN_DECODE:
        return "decode";
    case EXP_DRIVE_FAMILY + MDL_ELEMENTWISE:
        return "small";
    case EXP_DRIVE_KV:
        return kv_families(s);
    case EXP_DRIVE_HOST:
        return "move";
    default:
        return NULL;
    }
}

const char *exp_measure_command(struct sim_arena *arena, const struct exp_decision *d,
                                const struct exp_decision_row *row, int input)
{
    const struct exp_candidate *c = &row->entry->candidate;
    const char *plan = d->plan->file[0] ? d->plan->file : "PLAN.yaml";
    if (input == EXP_INPUT_FAILURE_RATE) return "kvsim quality SCORES.csv";
    if (input == EXP_DRIVE_LENGTH) return exp_text(arena, "kvsim pilot %s --out pilot", plan);
    if (input >= EXP_N_DRIVERS) return NULL;
    const char *families = families_of(c->contender->strategy, input);
    if (!families) return "kvsim validate MEASURED.csv --scenario scenario.yaml";
    return exp_text(arena, "kvbench run --only %s%s --out raw", families,
                    c->tensor_parallel > 1 ? exp_text(arena, " --tensor-parallel %u", c->tensor_parallel)
                                           : "");
}

const struct exp_decision_row *exp_row_of_doubt(const struct exp_decision *d)
{
    if (d->best == UINT32_MAX) return NULL;
    if (!d->row[d->best].entry->is_baseline) return &d->row[d->best];
    for (uint32_t i = 0; i < d->n_rows; i++)
        if (d->row[i].finalist && i != d->best) return &d->row[i];
    return NULL;
}

int exp_input_to_measure(const struct exp_decision *d)
{
    const struct exp_decision_row *row = exp_row_of_doubt(d);
    for (uint32_t i = 0; row && i < row->risk.n_bars; i++) {
        const struct exp_bar *b = &row->risk.bar[i];
        bool can = b->input < EXP_N_DRIVERS || b->input == EXP_INPUT_FAILURE_RATE;
        if (can && b->npv_low != b->npv_high) return b->input;
    }
    if (!row && d->best != UINT32_MAX) row = &d->row[d->best];
    return row ? exp_weakest_driver(&row->finalist->response) : -1;
}

/* ---- why not ---- */

struct why {
    struct sim_arena *arena;
    const struct exp_decision *d;
    const struct exp_decision_row *row, *best;
    enum exp_language language;
    const char *text;
};

static void because(struct why *w, const char *reason)
{
    w->text = *w->text ? exp_text(w->arena, "%s; %s", w->text, reason) : reason;
}

static const char *say(const struct why *w, enum exp_phrase phrase)
{
    return exp_phrase(w->language, phrase);
}

static const char *fill(const struct why *w, enum exp_phrase phrase, const char *a, const char *b)
{
    return exp_phrase_fill(w->arena, w->language, phrase, (const char *const[]){a, b, NULL});
}

/* Above so much of the pool nothing more can be admitted but by chance. */
static const double POOL_IS_FULL = 0.95;

/* The limit that the most requests are over, of all classes; "" when none is missed. */
static const char *tightest(const struct exp_trial_point *p)
{
    static const char *const names[] = {"TTFT", "TPOT", "E2EL"};
    double missed[3] = {0}, most = 0;
    const char *name = "";
    for (uint32_t c = 0; c < p->n_classes; c++) {
        const struct exp_class_point *k = &p->class[c];
        const double share[] = {k->ttft_miss, k->tpot_miss, k->e2el_miss};
        for (int i = 0; i < 3; i++) missed[i] += share[i] * (double)k->arrived;
    }
    for (int i = 0; i < 3; i++) {
        if (!(missed[i] > most)) continue;
        most = missed[i];
        name = names[i];
    }
    return name;
}

static const char *limit_of(const struct why *w)
{
    const struct exp_trial_point *p = &w->row->entry->point;
    return p->kv_peak_utilization >= POOL_IS_FULL ? say(w, EXP_SAY_WHY_MEMORY) : tightest(p);
}

/* What it spends most beyond the winner on. */
static const char *dearest(const struct why *w)
{
    const struct exp_cash *own = exp_row_cash(w->row), *best = exp_row_cash(w->best);
    int item = -1;
    double most = 0;
    for (int i = 0; own && best && i < EXP_N_COST_ITEMS; i++) {
        double more = own->item[i] - best->item[i];
        if (!(more > most)) continue;
        most = more;
        item = i;
    }
    return item < 0 ? "" : exp_term(w->language, exp_cost_item_name((enum exp_cost_item)item));
}

static double total_of(const struct exp_decision_row *row)
{
    const struct exp_cash *cash = exp_row_cash(row);
    return cash ? cash->total : row->entry->cost_estimate;
}

static void more_of(struct why *w, enum exp_phrase phrase, const char *how_much, const char *of_what)
{
    const char *text = fill(w, phrase, how_much, NULL);
    because(w, *of_what ? fill(w, EXP_SAY_WHY_BECAUSE, text, of_what) : text);
}

static const char *percent(const struct why *w, double ratio)
{
    double more = 100 * (ratio - 1);
    return exp_text(w->arena, more < 9.95 ? "%.1f" : "%.0f", more);
}

static void say_machines(struct why *w)
{
    uint32_t own = exp_fleet_size(w->d, w->row).gpus, best = exp_fleet_size(w->d, w->best).gpus;
    if (own > best) more_of(w, EXP_SAY_WHY_GPUS, exp_text(w->arena, "%u", own - best), limit_of(w));
}

static void say_money(struct why *w)
{
    double ratio = total_of(w->row) / total_of(w->best);
    double good = w->row->unit.per_1000_good / w->best->unit.per_1000_good;
    if (ratio > 1.0005)
        more_of(w, EXP_SAY_WHY_COST, percent(w, ratio), dearest(w));
    else if (good > 1.0005)
        more_of(w, EXP_SAY_WHY_GOOD, percent(w, good), "");
}

static void compare(struct why *w)
{
    if (!exp_row_feasible(w->row)) because(w, say(w, EXP_SAY_WHY_SLA));
    say_machines(w);
    if (!*w->text) say_money(w);
    if (isnan(w->row->entry->rates.newly_failing)) because(w, say(w, EXP_SAY_WHY_QUALITY));
    if (w->row->measure_first) because(w, say(w, EXP_SAY_WHY_MEASURE));
}

static const char *why_words(struct sim_arena *arena, const struct exp_decision *d,
                             const struct exp_decision_row *row, enum exp_language language)
{
    if (row->entry->why_not[0]) return row->entry->why_not;
    if (d->best == UINT32_MAX || row == &d->row[d->best]) return "";
    struct why w = {arena, d, row, &d->row[d->best], language, ""};
    compare(&w);
    return w.text;
}

const char *exp_why(struct sim_arena *arena, const struct exp_decision *d, const struct exp_decision_row *row,
                    enum exp_language language)
{
    if (language == EXP_ENGLISH && row->why_not[0]) return row->why_not;
    return why_words(arena, d, row, language);
}

void exp_decision_why(const struct exp_decision *d, const struct exp_decision_row *row, char *out,
                      size_t size)
{
    struct sim_arena *arena = sim_arena_new();
    snprintf(out, size, "%s", why_words(arena, d, row, EXP_ENGLISH));
    sim_arena_free(arena);
}
