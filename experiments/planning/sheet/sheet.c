/* The first page of the decision sheet. Nothing is computed here: figures are the decision's, or facts.h's. */
#include "experiments/planning/sheet/sheet_parts.h"

#include <math.h>
#include <string.h>

#include "experiments/cli.h"

/* ---- the headline ---- */

static const char *machines(const struct exp_sheet *s, enum exp_phrase one, enum exp_phrase many, uint32_t n)
{
    return exp_say_args(s, n == 1 ? one : many, (const char *const[]){exp_text(s->arena, "%u", n), NULL});
}

static const char *number(const struct exp_sheet *s, uint32_t n)
{
    return exp_text(s->arena, "%u", n);
}

static const char *keep_it(const struct exp_sheet *s)
{
    const struct exp_candidate *c = &s->best->entry->candidate;
    return EXP_SAY(s, KEEP, exp_have_text(s->arena, s->d->plan), exp_row_strategy(s->arena, s->best),
                   number(s, c->have_tensor_parallel[0]));
}

/* "Buy 2 servers (16 x h200-sxm, 1 spare), freekv, TP 1" */
static const char *get_it(const struct exp_sheet *s, const struct exp_fleet_size *size)
{
    const struct exp_candidate *c = &s->best->entry->candidate;
    enum exp_acquire way = s->best->finalist->best;
    const char *servers = way == EXP_RENT ? machines(s, EXP_SAY_INSTANCE, EXP_SAY_INSTANCES, size->servers)
                                          : machines(s, EXP_SAY_SERVER, EXP_SAY_SERVERS,
                                                     way == EXP_MIX ? size->bought : size->servers);
    static const enum exp_phrase words[] = {
        [EXP_BUY] = EXP_SAY_BUY, [EXP_RENT] = EXP_SAY_RENT, [EXP_MIX] = EXP_SAY_MIX};
    const char *text = exp_say_args(
        s, words[way],
        (const char *const[]){servers, number(s, size->servers * c->gpus_per_server), c->gpu->name,
                              size->spare_servers ? EXP_SAY(s, SPARE, number(s, size->spare_servers)) : "",
                              exp_row_strategy(s->arena, s->best), number(s, c->tensor_parallel), NULL});
    if (c->keeps_have) text = exp_text(s->arena, "%s%s", exp_say(s, EXP_SAY_BESIDE), text);
    return text;
}

static const char *what_to_do(const struct exp_sheet *s)
{
    const struct exp_candidate *c = &s->best->entry->candidate;
    struct exp_fleet_size size = exp_fleet_size(s->d, s->best);
    const char *text = strcmp(exp_row_way(s->best), "keep") == 0 ? keep_it(s) : get_it(s, &size);
    if (c->adds_host_memory)
        text = exp_text(s->arena, "%s%s", text,
                        EXP_SAY(s, MORE_MEMORY, exp_text(s->arena, "%.0f", c->host_gib)));
    if (s->best->finalist->best == EXP_BUY && size.bought > size.servers)
        text = exp_text(s->arena, "%s%s", text,
                        EXP_SAY(s, GROWS, machines(s, EXP_SAY_SERVER, EXP_SAY_SERVERS, size.bought),
                                number(s, size.last_month)));
    return text;
}

/* In the unit of what it is the band of. */
static const char *band_of(const struct exp_sheet *s, struct exp_band band, double value)
{
    double lo = value < 0 ? -band.hi : band.lo, hi = value < 0 ? -band.lo : band.hi;
    return exp_text(s->arena, " [%s, %s]", exp_say_money_like(s, lo, value),
                    exp_say_money_like(s, hi, value));
}

static const char *payback_of(const struct exp_sheet *s, const struct exp_return *r)
{
    switch (r->payback) {
    case EXP_PAYBACK_MONTH:
        if (r->payback_month == 1) return exp_say(s, EXP_SAY_PAYBACK_NEXT);
        return EXP_SAY(s, PAYBACK_MONTH, exp_text(s->arena, "%u", r->payback_month));
    case EXP_PAYBACK_IMMEDIATE:
        return exp_say(s, EXP_SAY_PAYBACK_IMMEDIATE);
    case EXP_PAYBACK_EQUAL:
        return exp_say(s, EXP_SAY_PAYBACK_EQUAL);
    default:
        return exp_say(s, EXP_SAY_PAYBACK_NEVER);
    }
}

/* From so many draws on that pay back, the month needs no word beside it. */
static const double SURE_OF_PAYBACK = 0.9;

/* A payback of what is expected says little where many draws have none. */
static const char *if_sure(const struct exp_sheet *s, const char *payback)
{
    const struct exp_risk *risk = &s->best->risk;
    enum exp_payback state = s->best->returns.payback;
    bool pays = state == EXP_PAYBACK_MONTH || state == EXP_PAYBACK_IMMEDIATE;
    if (!pays || !risk->n_draws || !(risk->p_payback < SURE_OF_PAYBACK)) return payback;
    return EXP_SAY(s, PAYBACK_UNSURE, payback, exp_say_chance(s, risk->p_payback));
}

/* "saves 0.41M [0.12M, 0.66M], payback 11 months, P(saving > 0) 0.93": the median of the draws where there are any, which
 * lies within its interval when what is expected is the edge of what is likely. */
static const char *what_it_saves(const struct exp_sheet *s)
{
    const struct exp_return *r = &s->best->returns;
    const struct exp_risk *risk = &s->best->risk;
    if (s->best->entry->is_baseline) return exp_say(s, EXP_SAY_IS_BASELINE);
    if (isnan(r->saving)) return exp_say(s, EXP_SAY_NO_BASELINE);
    const char *band = risk->n_draws ? band_of(s, risk->saving, risk->saving.mean) : "";
    double median = risk->n_draws ? risk->saving.mean : r->saving;
    const char *saving = median < 0 ? EXP_SAY(s, COSTS_MORE, exp_say_money(s, -median), band)
                                    : EXP_SAY(s, SAVES, exp_say_money(s, median), band);
    const char *sure =
        risk->n_draws ? exp_text(s->arena, ", %s", EXP_SAY(s, P_SAVING, exp_say_chance(s, risk->p_saving)))
                      : "";
    return exp_text(s->arena, "%s, %s%s", saving, if_sure(s, payback_of(s, r)), sure);
}

static void say_measure_first(const struct exp_sheet *s)
{
    const struct exp_decision *d = s->d;
    if (!s->best->measure_first) return;
    const char *first = EXP_SAY(s, MEASURE_FIRST, exp_say_percent(s, s->best->unmeasured_frac));
    const char *then = exp_say(s, EXP_SAY_NONE_MEASURED);
    if (d->best_measured != UINT32_MAX)
        then = EXP_SAY(
            s, BEST_MEASURED,
            exp_text(s->arena, "%u  %s", d->best_measured + 1, exp_say_row(s, &d->row[d->best_measured])));
    exp_page_text(&s->page, 0, 2, exp_text(s->arena, "%s %s", first, then));
}

/* Nobody should buy a fleet without having read that an API costs less. */
static void say_api(const struct exp_sheet *s)
{
    const struct exp_reference_line *api = &s->d->reference[1];
    if (!api->known || api->cash.total >= exp_row_cash(s->best)->total) return;
    exp_page_text(&s->page, 0, 2,
                  EXP_SAY(s, API_CHEAPER, s->d->plan->currency, exp_say_money(s, api->cash.total),
                          exp_text(s->arena, "%u", s->d->plan->horizon_months)));
}

static void say_nothing(const struct exp_sheet *s)
{
    const struct exp_search *search = &s->d->search;
    if (search->n_finalists) {
        exp_page_heading(&s->page, 1, exp_say(s, EXP_SAY_NOT_SCORED));
        return;
    }
    exp_page_heading(&s->page, 1, exp_say(s, EXP_SAY_NOTHING));
    exp_page_text(&s->page, 0, 2,
                  search->relaxation[0] ? EXP_SAY(s, RELAXATION, search->relaxation)
                                        : exp_say(s, EXP_SAY_NO_RELAXATION));
}

static void print_headline(const struct exp_sheet *s)
{
    if (!s->best) {
        say_nothing(s);
        return;
    }
    const char *cost = EXP_SAY(s, TOTAL, s->d->plan->currency, exp_say_money(s, exp_row_cash(s->best)->total),
                               exp_text(s->arena, "%u", s->d->plan->horizon_months));
    exp_page_heading(&s->page, 1, what_to_do(s));
    exp_page_text(&s->page, 0, 2, exp_text(s->arena, "%s; %s", cost, what_it_saves(s)));
    say_api(s);
    say_measure_first(s);
}

/* ---- the four checks ---- */

static void add_check(const struct exp_sheet *s, struct exp_grid *g, enum exp_check_state state,
                      const char *what, const char *figures)
{
    static const enum exp_phrase words[] = {
        [EXP_PASS] = EXP_SAY_PASS, [EXP_FAIL] = EXP_SAY_FAIL, [EXP_UNKNOWN] = EXP_SAY_UNKNOWN};
    exp_grid_add(g, exp_say(s, words[state]));
    exp_grid_add(g, what);
    exp_grid_add(g, figures);
}

static void check_throughput(const struct exp_sheet *s, struct exp_grid *g)
{
    const struct exp_decision *d = s->d;
    add_check(s, g, d->check_throughput, exp_say(s, EXP_SAY_CHECK_THROUGHPUT),
              EXP_SAY(s, THROUGHPUT_IS, exp_say_number(s, d->requests_per_s_today),
                      exp_say_number(s, d->requests_per_s_needed),
                      s->best ? exp_say_number(s, d->requests_per_s_predicted) : "?"));
}

/* A class passes alone by the rule of the whole: the lower end of its interval. */
static enum exp_check_state class_state(struct exp_band attained, double percentile)
{
    if (isnan(attained.lo)) return EXP_UNKNOWN;
    return 100 * attained.lo >= percentile - 1e-9 ? EXP_PASS : EXP_FAIL;
}

static void check_classes(const struct exp_sheet *s, struct exp_grid *g)
{
    struct exp_class_keys class[SIM_MAX_CLASSES];
    uint32_t n = exp_scenario_classes(s->d->plan->base, class);
    for (uint32_t c = 0; c < n; c++) {
        struct exp_band none = {NAN, NAN, NAN};
        struct exp_band a = s->best ? s->best->entry->at.attainment[c] : none;
        add_check(s, g, s->best ? class_state(a, class[c].slo.percentile) : s->d->check_sla,
                  EXP_SAY(s, CHECK_SLA, class[c].name),
                  EXP_SAY(s, SLA_IS, exp_say_attained(s, a.mean), exp_say_attained(s, a.lo),
                          exp_say_attained(s, a.hi), exp_text(s->arena, "%.6g", class[c].slo.percentile)));
    }
}

static const char *critical_says(const struct exp_sheet *s)
{
    uint64_t needed = exp_critical_needed(s->d->plan);
    struct exp_critical_count k = exp_critical_count(s->d);
    const char *failed = exp_say_count(s, (double)k.failures), *of = exp_say_count(s, (double)k.n);
    if (s->d->check_critical == EXP_PASS && k.n == 0) return exp_say(s, EXP_SAY_LOSSLESS);
    if (s->best && k.n == 0 && isnan(s->best->entry->rates.newly_failing))
        return exp_say(s, EXP_SAY_CRITICAL_UNSCORED);
    if (needed == 0) return EXP_SAY(s, CRITICAL_ANY, failed, of);
    return EXP_SAY(s, CRITICAL_IS, failed, of, exp_say_count(s, (double)needed));
}

static const char *payback_check(const struct exp_sheet *s)
{
    const char *horizon = exp_text(s->arena, "%u", s->d->plan->horizon_months);
    if (!s->best) return "?";
    const struct exp_return *r = &s->best->returns;
    if (s->d->search.baseline == UINT32_MAX) return exp_say(s, EXP_SAY_NO_BASELINE);
    switch (r->payback) {
    case EXP_PAYBACK_MONTH:
        return if_sure(s, EXP_SAY(s, PAYBACK_IS, exp_text(s->arena, "%u", r->payback_month), horizon));
    case EXP_PAYBACK_IMMEDIATE:
        return if_sure(s, exp_say(s, EXP_SAY_IMMEDIATE));
    case EXP_PAYBACK_EQUAL:
        return exp_say(s, s->best->entry->is_baseline ? EXP_SAY_SAME : EXP_SAY_PAYBACK_EQUAL);
    default:
        return EXP_SAY(s, NEVER_WITHIN, horizon);
    }
}

static void print_checks(const struct exp_sheet *s)
{
    struct exp_grid g = {.id = "checks"};
    exp_grid_add_column(&g, "", EXP_CELLS_LEFT);
    exp_grid_add_column(&g, "", EXP_CELLS_LEFT);
    exp_grid_add_column(&g, "", EXP_CELLS_WRAP);
    check_throughput(s, &g);
    check_classes(s, &g);
    add_check(s, &g, s->d->check_critical, exp_say(s, EXP_SAY_CHECK_CRITICAL), critical_says(s));
    add_check(s, &g, s->d->check_payback, exp_say(s, EXP_SAY_CHECK_PAYBACK), payback_check(s));
    exp_page_grid(&s->page, &g);
}

/* ---- the table ---- */

static const char *milliseconds(const struct exp_sheet *s, double seconds)
{
    double ms = 1e3 * seconds;
    if (!isfinite(ms)) return "?";
    return ms < 9.95 ? exp_text(s->arena, "%.1f", ms) : exp_say_count(s, ms);
}

static const char *rank(const struct exp_sheet *s, uint32_t i)
{
    bool odd_winner = s->d->best != 0 && i == s->d->best;
    return exp_text(s->arena, "%u%s", i + 1, odd_winner ? "*" : "");
}

static void add_columns(const struct exp_sheet *s, struct exp_grid *g)
{
    const char *currency = s->d->plan->currency;
    exp_grid_add_column(g, "#", EXP_CELLS_RIGHT);
    exp_grid_add_column(g, "GPU", EXP_CELLS_LEFT);
    exp_grid_add_column(g, "TP", EXP_CELLS_RIGHT);
    exp_grid_add_column(g, exp_say(s, EXP_SAY_HEAD_STRATEGY), EXP_CELLS_LEFT);
    exp_grid_add_column(g, exp_say(s, EXP_SAY_HEAD_GET), EXP_CELLS_LEFT);
    exp_grid_add_column(g, "GPUs", EXP_CELLS_RIGHT);
    exp_grid_add_column(g, EXP_SAY(s, HEAD_MONTH, currency), EXP_CELLS_RIGHT);
    exp_grid_add_column(g, EXP_SAY(s, HEAD_GOOD, currency), EXP_CELLS_RIGHT);
    exp_grid_add_column(g, exp_say(s, EXP_SAY_HEAD_LATENCY), EXP_CELLS_RIGHT);
    exp_grid_add_column(g, exp_say(s, EXP_SAY_HEAD_HEADROOM), EXP_CELLS_RIGHT);
    exp_grid_add_column(g, exp_say(s, EXP_SAY_HEAD_NEGATIVE), EXP_CELLS_RIGHT);
    exp_grid_add_column(g, exp_say(s, EXP_SAY_HEAD_MEASURED), EXP_CELLS_RIGHT);
    exp_grid_add_column(g, exp_say(s, EXP_SAY_HEAD_SETTINGS), EXP_CELLS_BELOW);
    exp_grid_add_column(g, exp_say(s, EXP_SAY_HEAD_WHY), EXP_CELLS_BELOW);
}

static void add_row(const struct exp_sheet *s, struct exp_grid *g, uint32_t i)
{
    const struct exp_decision_row *row = &s->d->row[i];
    const struct exp_candidate *c = &row->entry->candidate;
    exp_grid_add(g, rank(s, i));
    exp_grid_add(g, exp_row_gpu(s->arena, row, exp_say(s, EXP_SAY_HAVE)));
    exp_grid_add(g, exp_text(s->arena, "%u", c->tensor_parallel));
    exp_grid_add(g, c->contender->strategy->name);
    exp_grid_add(g, exp_term(s->language, exp_row_way(row)));
    exp_grid_add(g, exp_text(s->arena, "%u", exp_fleet_size(s->d, row).gpus));
    exp_grid_add(g, exp_say_money(s, row->unit.per_month));
    exp_grid_add(g, exp_say_money(s, row->unit.per_1000_good));
    exp_grid_add(g, exp_text(s->arena, "%s/%s", milliseconds(s, exp_row_ttft_p99_s(row).mean),
                             milliseconds(s, exp_row_tpot_p99_s(row).mean)));
    exp_grid_add(g, isfinite(row->finalist->response.headroom)
                        ? exp_text(s->arena, "%.2fx", row->finalist->response.headroom)
                        : "?");
    exp_grid_add(g, exp_say_percent(s, row->entry->rates.newly_failing));
    exp_grid_add(g, exp_say_percent(s, 1 - row->unmeasured_frac));
    exp_grid_add(g, exp_row_settings(s->arena, row));
    exp_grid_add(g, exp_why(s->arena, s->d, row, s->language));
}

static void print_table(const struct exp_sheet *s)
{
    const struct exp_decision *d = s->d;
    struct exp_grid g = {.id = "finalists"};
    if (!d->n_finalists) return;
    add_columns(s, &g);
    for (uint32_t i = 0; i < d->n_rows; i++)
        if (d->row[i].finalist) add_row(s, &g, i);
    exp_page_gap_in_text(&s->page);
    exp_page_grid(&s->page, &g);
    if (s->best && d->best != 0) exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_NO_WINNER));
    exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_LEGEND));
    if (d->plan->n_have) exp_page_text(&s->page, 0, 2, EXP_SAY(s, HAVE_IS, exp_have_text(s->arena, d->plan)));
    if (d->search.baseline == UINT32_MAX) return;
    const struct exp_decision_row base = {.entry = &d->search.entry[d->search.baseline]};
    exp_page_text(&s->page, 0, 2,
                  EXP_SAY(s, AGAINST, exp_say_row(s, &base), d->plan->currency,
                          exp_say_money(s, d->baseline_cash.total)));
}

/* ---- the losers ---- */

enum { FEW = 10 }; /* enough to see why nothing holds */

static void add_loser(const struct exp_sheet *s, struct exp_grid *g, const struct exp_decision_row *row)
{
    const struct exp_candidate *c = &row->entry->candidate;
    exp_grid_add(g, exp_row_gpu(s->arena, row, exp_say(s, EXP_SAY_HAVE)));
    exp_grid_add(g, exp_text(s->arena, "%u", c->tensor_parallel));
    exp_grid_add(g, exp_row_strategy(s->arena, row));
    exp_grid_add(g, number(s, row->entry->n_replicas));
    exp_grid_add(g, exp_say_money(s, row->entry->cost_estimate));
    exp_grid_add(g, exp_why(s->arena, s->d, row, s->language));
}

static uint32_t shown_losers(const struct exp_sheet *s)
{
    if (s->all) return UINT32_MAX;
    return s->best ? 0 : FEW;
}

static void print_losers(const struct exp_sheet *s, uint32_t most)
{
    const struct exp_decision *d = s->d;
    struct exp_grid g = {.id = "losers", .folded = true};
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_LOSERS_TITLE));
    exp_grid_add_column(&g, "GPU", EXP_CELLS_LEFT);
    exp_grid_add_column(&g, "TP", EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_STRATEGY), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_REPLICAS), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, EXP_SAY(s, HEAD_ESTIMATE, d->plan->currency), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_WHY), EXP_CELLS_WRAP);
    for (uint32_t i = 0, n = 0; i < d->n_rows && n < most; i++) {
        if (d->row[i].finalist) continue;
        add_loser(s, &g, &d->row[i]);
        n++;
    }
    exp_page_grid(&s->page, &g);
}

static void print_all_losers(const struct exp_sheet *s)
{
    uint32_t n = 0, most = shown_losers(s);
    for (uint32_t i = 0; i < s->d->n_rows; i++) n += !s->d->row[i].finalist;
    if (n && most) print_losers(s, most);
    if (n > most) exp_page_text(&s->page, 0, 2, EXP_SAY(s, LOSERS, exp_say_count(s, n - most)));
}

/* ---- the page ---- */

static void print_notes(const struct exp_sheet *s)
{
    const struct exp_notes *notes = &s->d->notes;
    if (!notes->n) return;
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_NOTES_TITLE));
    exp_page_gap_in_markdown(&s->page);
    for (uint32_t i = 0; i < notes->n; i++) exp_page_item(&s->page, notes->text[i]);
}

static void print_decision(const struct exp_sheet *s)
{
    print_headline(s);
    print_checks(s);
    print_table(s);
    if (!s->all) print_all_losers(s);
    exp_sheet_weakest(s);
    exp_sheet_tornado(s);
    exp_sheet_measure(s);
    exp_sheet_references(s);
    exp_sheet_failsafe(s);
    exp_sheet_pilot(s);
}

static void print_rest(const struct exp_sheet *s)
{
    if (s->all) print_all_losers(s);
    exp_sheet_assumptions(s);
    exp_sheet_prices(s, false);
    print_notes(s);
}

void exp_sheet_print(const struct exp_decision *d, const struct exp_sheet_options *o, FILE *out)
{
    struct exp_sheet s;
    exp_sheet_init(&s, d, o, out);
    print_decision(&s);
    print_rest(&s);
    exp_sheet_fini(&s);
}

void exp_sheet_parts(const struct exp_decision *d, enum exp_language language, enum exp_sheet_piece piece,
                     json_t *section)
{
    static void (*const print[])(const struct exp_sheet *s) = {[EXP_SHEET_DECISION] = print_decision,
                                                               [EXP_SHEET_REST] = print_rest,
                                                               [EXP_SHEET_DETAILS] = exp_sheet_details};
    const struct exp_sheet_options o = {.language = language, .all = true};
    struct exp_page_parts parts = {.section = section};
    struct exp_sheet s;
    exp_sheet_init(&s, d, &o, NULL);
    s.page.parts = &parts;
    print[piece](&s);
    exp_page_parts_end(&parts);
    exp_sheet_fini(&s);
}
