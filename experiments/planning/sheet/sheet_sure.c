/* The sheet's doubts: the weakest number, what would change the answer, what to measure, what happens when it goes wrong, and
 * what a pilot changed. */
#include <math.h>
#include <string.h>

#include "experiments/planning/pilot/pilot.h"
#include "experiments/planning/sheet/sheet_parts.h"

/* ---- the weakest number, and the next step ---- */

/* In the terminal the path that a command needs; on a page that is sent to others, the name alone. */
static const char *plan_file(const struct exp_sheet *s)
{
    const char *file = s->d->plan->file[0] ? s->d->plan->file : "plan.yaml", *slash = strrchr(file, '/');
    return s->page.parts && slash ? slash + 1 : file;
}

static const char *next_with_pilot(const struct exp_sheet *s)
{
    char why[400];
    switch (exp_pilot_verdict(s->d, why, sizeof why)) {
    case EXP_GO:
        return exp_text(s->arena, "kvsim plan %s --pilot %s --out DIR", plan_file(s), s->d->pilot->file);
    case EXP_EXTEND:
        return exp_text(s->arena, "kvsim pilot %s --out DIR", plan_file(s));
    default:
        return exp_text(s->arena, "kvsim plan %s --all", plan_file(s));
    }
}

static const char *next_step(const struct exp_sheet *s)
{
    if (!s->best)
        return s->d->search.n_finalists ? "kvsim quality SCORES.csv"
                                        : exp_text(s->arena, "kvsim plan %s --all", plan_file(s));
    if (s->d->pilot) return next_with_pilot(s);
    return exp_text(s->arena, "kvsim pilot %s", plan_file(s));
}

void exp_sheet_weakest(const struct exp_sheet *s)
{
    const struct exp_response *r = s->best ? &s->best->finalist->response : NULL;
    int driver = r ? exp_weakest_driver(r) : -1;
    if (driver >= 0) {
        const char *text = EXP_SAY(s, WEAKEST, exp_term(s->language, exp_driver_name(driver)),
                                   exp_say_error(s, r->log_sd[driver]),
                                   exp_say_error(s, r->elasticity[driver] * r->log_sd[driver]));
        exp_page_text(&s->page, 0, 2,
                      exp_text(s->arena, "%s %s", text,
                               EXP_SAY(s, MEASURE, exp_measure_command(s->arena, s->d, s->best, driver))));
    }
    exp_page_text(&s->page, 0, 2, EXP_SAY(s, NEXT, next_step(s)));
}

/* ---- what would change this answer ---- */

enum { TOP = 3 };

static const char *input_value(const struct exp_sheet *s, int input, double value)
{
    if (input == EXP_INPUT_GROWTH) return EXP_SAY(s, A_YEAR, exp_text(s->arena, "%.3g", 100 * value));
    if (input == EXP_INPUT_FAILURE_RATE)
        return EXP_SAY(s, OF_ANSWERS, exp_text(s->arena, value < 0.0995 ? "%.2g" : "%.0f", 100 * value));
    return EXP_SAY(s, TIMES, exp_text(s->arena, "%.3g", value));
}

static bool flips(const struct exp_bar *b)
{
    return (b->npv_low > 0) != (b->npv_high > 0);
}

static void add_bar(const struct exp_sheet *s, struct exp_grid *g, const struct exp_bar *b)
{
    exp_grid_add(g, exp_term(s->language, exp_input_name(b->input)));
    exp_grid_add(g, input_value(s, b->input, b->low_value));
    exp_grid_add(g, input_value(s, b->input, b->high_value));
    exp_grid_add(g, exp_say_money(s, b->npv_low));
    exp_grid_add(g, exp_say_money(s, b->npv_high));
    exp_grid_add(g, exp_say(s, flips(b) ? EXP_SAY_FLIPS : EXP_SAY_STAYS));
}

static void say_whose(const struct exp_sheet *s, const struct exp_decision_row *row)
{
    const char *currency = s->d->plan->currency, *npv = exp_say_money(s, row->returns.npv);
    exp_page_text(&s->page, 0, 2,
                  row == s->best ? EXP_SAY(s, TORNADO_SAYS, currency, npv)
                                 : EXP_SAY(s, TORNADO_RIVAL, exp_say_row(s, row), currency, npv));
}

static void print_bars(const struct exp_sheet *s, const struct exp_risk *risk)
{
    struct exp_grid g = {.id = "tornado"};
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_INPUT), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_LOW), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_HIGH), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_NPV_LOW), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_NPV_HIGH), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_FLIPS), EXP_CELLS_LEFT);
    for (uint32_t i = 0, n = 0; i < risk->n_bars && n < TOP; i++) {
        if (risk->bar[i].npv_low == risk->bar[i].npv_high) continue;
        add_bar(s, &g, &risk->bar[i]);
        n++;
    }
    if (!g.n_cells) exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_CERTAIN));
    exp_page_grid(&s->page, &g);
}

void exp_sheet_tornado(const struct exp_sheet *s)
{
    const struct exp_decision_row *row = exp_row_of_doubt(s->d);
    if (!s->best || isnan(s->best->returns.npv)) return;
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_TORNADO_TITLE));
    if (!row) {
        exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_TORNADO_ALONE));
        return;
    }
    say_whose(s, row);
    print_bars(s, &row->risk);
}

/* ---- what to measure first ---- */

static void say_knowing(const struct exp_sheet *s)
{
    const struct exp_decision *d = s->d;
    const char *currency = d->plan->currency, *cost = exp_say_money(s, d->pilot_cost);
    if (isnan(d->perfect_information)) {
        exp_page_text(&s->page, 0, 2, EXP_SAY(s, KNOWING_UNKNOWN, currency, cost));
        return;
    }
    bool worth = d->perfect_information > d->pilot_cost;
    exp_page_text(&s->page, 0, 2,
                  EXP_SAY(s, KNOWING, currency, exp_say_money(s, d->perfect_information), cost,
                          exp_say(s, worth ? EXP_SAY_WORTH : EXP_SAY_NOT_WORTH)));
}

void exp_sheet_measure(const struct exp_sheet *s)
{
    int input = exp_input_to_measure(s->d);
    const struct exp_decision_row *row = exp_row_of_doubt(s->d);
    if (!s->best) return;
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_MEASURE_TITLE));
    if (input >= 0) {
        exp_page_text(&s->page, 0, 2, EXP_SAY(s, MEASURE_SAYS, exp_term(s->language, exp_input_name(input))));
        exp_page_code(&s->page, exp_measure_command(s->arena, s->d, row ? row : s->best, input));
    } else {
        exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_NOTHING_TO_MEASURE));
    }
    say_knowing(s);
}

/* ---- if it goes wrong ---- */

static const char *attained(const struct exp_sheet *s, double attainment, bool met)
{
    return exp_text(s->arena, "%s%s", exp_say_attained(s, attainment), met ? "" : "!");
}

static const struct exp_stress_case *find_case(const struct exp_decision_row *row, const char *name)
{
    const struct exp_failsafe *f = &row->finalist->failsafe;
    for (uint32_t i = 0; i < f->n_stress; i++)
        if (strcmp(f->stress[i].name, name) == 0) return &f->stress[i];
    return NULL;
}

/* One line of the table: a cell for every finalist. */
typedef const char *cell_of(const struct exp_sheet *s, const struct exp_decision_row *row, const char *name);

static void add_case(const struct exp_sheet *s, struct exp_grid *g, const char *title, const char *name,
                     cell_of *cell)
{
    exp_grid_add(g, title);
    for (uint32_t i = 0; i < s->d->n_rows; i++)
        if (s->d->row[i].finalist) exp_grid_add(g, cell(s, &s->d->row[i], name));
}

static const char *rollback_cell(const struct exp_sheet *s, const struct exp_decision_row *row,
                                 const char *name)
{
    const struct exp_failsafe *f = &row->finalist->failsafe;
    (void)name;
    return attained(s, f->rollback_attainment, f->rollback_met);
}

static const char *rent_cell(const struct exp_sheet *s, const struct exp_decision_row *row, const char *name)
{
    uint32_t n = row->finalist->failsafe.rollback_rent_servers;
    (void)name;
    return n == UINT32_MAX ? exp_say(s, EXP_SAY_NEVER) : exp_text(s->arena, "%u", n);
}

static const char *stress_cell(const struct exp_sheet *s, const struct exp_decision_row *row,
                               const char *name)
{
    const struct exp_stress_case *c = find_case(row, name);
    return c && c->applies ? attained(s, c->attainment, c->met) : "-";
}

/* Is this row the first of those to whom the case applies? */
static bool is_first(const struct exp_decision *d, uint32_t row, uint32_t stress)
{
    const struct exp_stress_case *c = &d->row[row].finalist->failsafe.stress[stress];
    if (!c->applies) return false;
    for (uint32_t i = 0; i < row; i++) {
        const struct exp_stress_case *other = d->row[i].finalist ? find_case(&d->row[i], c->name) : NULL;
        if (other && other->applies) return false;
    }
    return true;
}

void exp_sheet_failsafe(const struct exp_sheet *s)
{
    const struct exp_decision *d = s->d;
    struct exp_grid g = {.id = "failsafe"};
    if (!d->n_finalists) return;
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_FAILSAFE_TITLE));
    exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_FAILSAFE_SAYS));
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_CASE), EXP_CELLS_LEFT);
    for (uint32_t i = 0; i < d->n_rows; i++)
        if (d->row[i].finalist) exp_grid_add_column(&g, exp_text(s->arena, "%u", i + 1), EXP_CELLS_RIGHT);
    add_case(s, &g, exp_say(s, EXP_SAY_ROLLBACK), "", rollback_cell);
    add_case(s, &g, exp_say(s, EXP_SAY_ROLLBACK_RENT), "", rent_cell);
    for (uint32_t i = 0; i < d->n_rows; i++)
        for (uint32_t k = 0; d->row[i].finalist && k < d->row[i].finalist->failsafe.n_stress; k++) {
            const char *name = d->row[i].finalist->failsafe.stress[k].name;
            if (is_first(d, i, k)) add_case(s, &g, exp_term(s->language, name), name, stress_cell);
        }
    exp_page_grid(&s->page, &g);
}

/* ---- the pilot ---- */

void exp_sheet_pilot(const struct exp_sheet *s)
{
    static const enum exp_phrase words[] = {
        [EXP_GO] = EXP_SAY_GO, [EXP_EXTEND] = EXP_SAY_EXTEND, [EXP_STOP] = EXP_SAY_STOP};
    const struct exp_decision *d = s->d;
    const struct exp_pilot_findings *p = d->pilot;
    char why[400] = "";
    struct exp_grid g = {.id = "pilot"};
    if (!p) return;
    enum exp_verdict_word word = exp_pilot_verdict(d, why, sizeof why);
    const struct exp_decision_row *tried = exp_row_tried(d);
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_PILOT_TITLE));
    exp_page_text(&s->page, 0, 2,
                  EXP_SAY(s, PILOT_SAYS, exp_say_count(s, (double)p->n_baseline),
                          exp_say_count(s, (double)p->n_candidate),
                          tried ? exp_say_row(s, tried) : p->candidate, p->file));
    exp_grid_add_column(&g, "", EXP_CELLS_LEFT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_BEFORE), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_AFTER), EXP_CELLS_RIGHT);
    exp_grid_add(&g, exp_text(s->arena, "NPV, %s", d->plan->currency));
    exp_grid_add(&g, exp_say_money(s, d->npv_before));
    exp_grid_add(&g, exp_say_money(s, tried ? tried->returns.npv : NAN));
    exp_grid_add(&g, exp_say(s, EXP_SAY_P_SAVING_HEAD));
    exp_grid_add(&g, exp_say_chance(s, d->p_saving_before));
    exp_grid_add(&g, exp_say_chance(s, tried ? tried->risk.p_saving : NAN));
    exp_page_grid(&s->page, &g);
    exp_page_text(&s->page, 0, 2, exp_text(s->arena, "%s: %s", exp_say(s, words[word]), why));
}
