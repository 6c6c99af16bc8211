/* The report of a plan: the decision sheet, then pictures of what it rests on, then losers, page two and how to make it
 * again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/of.h"
#include "experiments/report/of_plan_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

uint32_t exp_plan_report_n(const struct exp_plan_report *r)
{
    uint32_t n = 0;
    while (n < r->d->n_rows && r->d->row[n].finalist) n++;
    return n;
}

const char *exp_plan_report_name(const struct exp_plan_report *r, uint32_t row)
{
    const struct exp_decision_row *of = &r->d->row[row];
    return exp_text(r->arena, "%u %s TP %u %s", row + 1, exp_row_gpu(r->arena, of, "have"),
                    of->entry->candidate.tensor_parallel, exp_row_strategy(r->arena, of));
}

/* ---- the sheet ---- */

static void put_sheet(const struct exp_plan_report *r, enum exp_sheet_piece piece, json_t *section)
{
    json_t *en, *ja;
    exp_doc_languages(section, &en, &ja);
    exp_sheet_parts(r->d, EXP_ENGLISH, piece, en);
    exp_sheet_parts(r->d, EXP_JAPANESE, piece, ja);
}

/* ---- how to make it again ---- */

static const char *plan_file(const struct exp_plan_report *r)
{
    const char *file = r->d->plan->file;
    const char *slash = strrchr(file, '/');
    return !*file ? "plan.yaml" : slash ? slash + 1 : file;
}

static void put_plan(const struct exp_plan_report *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    SIM_CHECK(out); /* out of memory */
    exp_plan_write(r->d->plan, out);
    fclose(out);
    json_t *section = exp_doc_section(r->doc, "plan-file", "The plan");
    exp_doc_text(section, EXP_PLAIN_TONE, "{0}: every value that was used.", plan_file(r), NULL);
    exp_doc_code(section, text);
    free(text);
}

/* With the winner's scenario, where there is a winner. */
static void put_commands(const struct exp_plan_report *r, struct sim_status *st)
{
    const struct exp_entry *e = r->d->best == UINT32_MAX ? NULL : r->d->row[r->d->best].entry;
    struct exp_scenario *s = e ? exp_candidate_scenario(r->d->plan, &e->candidate, e->n_replicas, st) : NULL;
    exp_report_reproduce(r->doc, s,
                         exp_text(r->arena, "kvsim plan %s --out DIR%s", plan_file(r),
                                  s ? "\nkvsim run DIR/scenario.yaml --out DIR/winner" : ""),
                         st);
    free(s);
}

/* ---- the whole ---- */

json_t *exp_report_of_plan(const struct exp_decision *d, struct sim_status *st)
{
    struct exp_plan_report r = {.d = d, .arena = sim_arena_new()};
    r.doc = exp_doc_new("plan", "Decision for {0}", plan_file(&r), NULL);
    exp_doc_subtitle(r.doc, "{0}, {1} months, {2}", d->plan->base->model,
                     exp_text(r.arena, "%u", d->plan->horizon_months), d->plan->currency, NULL);
    put_sheet(&r, EXP_SHEET_DECISION, exp_doc_section(r.doc, "decision", "Decision"));
    exp_plan_report_load(&r);
    exp_plan_report_money(&r);
    exp_plan_report_tornado(&r);
    exp_plan_report_time(&r);
    exp_plan_report_quality(&r);
    exp_plan_report_evidence(&r);
    put_sheet(&r, EXP_SHEET_REST, exp_doc_section(r.doc, "assumptions", "Losers, assumptions and prices"));
    put_sheet(&r, EXP_SHEET_DETAILS, exp_doc_section(r.doc, "details", "Page two, for the integrator"));
    put_plan(&r);
    put_commands(&r, st);
    sim_arena_free(r.arena);
    exp_doc_finish(r.doc);
    if (st->code == SIM_EXIT_OK) return r.doc;
    json_decref(r.doc);
    return NULL;
}
