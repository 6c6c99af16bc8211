/* Results of a study as text and as JSON. */
#include "experiments/published/study.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- text ---- */

static void print_rows(const struct exp_published *p)
{
    const char *group = "";
    for (uint32_t i = 0; i < p->n_rows; i++) {
        const struct exp_published_row *r = &p->row[i];
        if (strcmp(r->group, group) != 0)
            printf("%s%-44s %12s %12s %7s\n", i ? "\n" : "", r->group, "published", "predicted", "ratio");
        group = r->group;
        printf("  %-33.33s %8s", r->what, r->unit);
        if (isnan(r->published))
            printf(" %12s %12.4g %7s\n", "-", r->predicted, "-");
        else
            printf(" %12.4g %12.4g %7.3f\n", r->published, r->predicted, r->predicted / r->published);
    }
    if (p->n_rows) putchar('\n');
}

static void print_figures(const struct exp_published *p)
{
    const char *group = "";
    for (uint32_t i = 0; i < p->n_figures; i++) {
        const struct exp_published_figure *f = &p->figure[i];
        if (strcmp(f->group, group) != 0) printf("%s\n", f->group);
        group = f->group;
        printf("  %-42s %10.4g %-6s", f->name, f->value, f->unit);
        if (f->goal != EXP_NO_GOAL)
            printf(" goal %s: %s", f->wanted, f->goal == EXP_GOAL_MET ? "met" : "missed");
        putchar('\n');
    }
}

static void print_constants(const struct exp_constants *c)
{
    bool any = false;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct exp_constant *k = &c->constant[i];
        if (!k->used) continue;
        if (!any) printf("\nconstants (experiments/published/constants.yaml)\n");
        any = true;
        printf("  %-34s %10.5g  %g to %g  %s\n", k->name, k->value, k->low, k->high, k->source);
    }
}

void exp_study_print(const struct exp_study *s, const struct exp_study_result *r)
{
    printf("%s: %s\n\n", s->name, s->help);
    print_rows(&r->results);
    print_figures(&r->results);
    for (uint32_t i = 0; i < r->results.n_notes; i++) printf("%s- %s\n", i ? "" : "\n", r->results.note[i]);
    print_constants(&r->constants);
}

/* ---- JSON ---- */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *rows_json(const struct exp_published *p)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < p->n_rows; i++) {
        const struct exp_published_row *r = &p->row[i];
        json_array_append_new(rows,
                              json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "group", r->group, "what", r->what,
                                        "unit", r->unit, "published", number(r->published), "predicted",
                                        number(r->predicted), "ratio", number(r->predicted / r->published)));
    }
    return rows;
}

static json_t *figures_json(const struct exp_published *p)
{
    json_t *figures = json_array();
    for (uint32_t i = 0; i < p->n_figures; i++) {
        const struct exp_published_figure *f = &p->figure[i];
        json_t *o = json_pack("{s:s, s:s, s:s, s:o}", "group", f->group, "name", f->name, "unit", f->unit,
                              "value", number(f->value));
        if (o && f->goal != EXP_NO_GOAL) {
            json_object_set_new(o, "goal", json_string(f->wanted));
            json_object_set_new(o, "met", json_boolean(f->goal == EXP_GOAL_MET));
        }
        json_array_append_new(figures, o);
    }
    return figures;
}

static json_t *constants_json(const struct exp_constants *c)
{
    json_t *constants = json_array();
    for (uint32_t i = 0; i < c->n; i++) {
        const struct exp_constant *k = &c->constant[i];
        if (k->used)
            json_array_append_new(constants,
                                  json_pack("{s:s, s:f, s:f, s:f, s:s}", "name", k->name, "value", k->value,
                                            "low", k->low, "high", k->high, "source", k->source));
    }
    return constants;
}

json_t *exp_study_json(const struct exp_study *s, const struct exp_study_result *r)
{
    json_t *notes = json_array();
    for (uint32_t i = 0; i < r->results.n_notes; i++)
        json_array_append_new(notes, json_string(r->results.note[i]));
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "study", s->name, "rows", rows_json(&r->results), "figures",
                     figures_json(&r->results), "notes", notes, "constants", constants_json(&r->constants));
}
