#include "experiments/report/of_validation_parts.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"

enum { MAX_GROUPS = 40, NAMED = 4 };

/* ---- predicted against measured ---- */

/* From the least to the greatest measured. */
static void put_diagonal(json_t *chart, const struct exp_reruns *t, enum exp_quantity q)
{
    double least = INFINITY, most = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        least = fmin(least, exp_measured_ms(&t->trial[i], q));
        most = fmax(most, exp_measured_ms(&t->trial[i], q));
    }
    json_t *series = exp_doc_series(chart, "predicted = measured");
    exp_doc_joined(series);
    exp_doc_xy(series, exp_report_rounded(least), exp_report_rounded(least));
    exp_doc_xy(series, exp_report_rounded(most), exp_report_rounded(most));
}

static bool is_first(const struct exp_reruns *t, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(t->trial[k].point->system, t->trial[i].point->system) == 0) return false;
    return true;
}

/* Those with names beside them: of all the picture would be unreadable. */
static double named_from(const struct exp_reruns *t, enum exp_quantity q)
{
    double *error = sim_alloc(t->n, sizeof *error);
    for (uint32_t i = 0; i < t->n; i++) error[i] = fabs(log1p(exp_error_frac(&t->trial[i], q)));
    gsl_sort(error, 1, t->n);
    double least = error[t->n > NAMED ? t->n - NAMED : 0];
    free(error);
    return least;
}

/* What names a point beside its GPU, which is its series. */
enum trait { MODEL, PARALLEL, LENGTHS, IN_FLIGHT, N_TRAITS };

static struct exp_words trait_of(const struct exp_rerun *x, enum trait trait)
{
    const struct exp_point *p = x->point;
    struct exp_words w;
    if (trait == MODEL)
        snprintf(w.text, sizeof w.text, "%s", exp_short_model(x));
    else if (trait == PARALLEL)
        snprintf(w.text, sizeof w.text, "TP%u", p->tensor_parallel);
    else if (trait == LENGTHS)
        snprintf(w.text, sizeof w.text, "%u/%u", p->isl, p->osl);
    else
        snprintf(w.text, sizeof w.text, "x%u", p->concurrency);
    return w;
}

static bool differs(const struct exp_reruns *t, enum trait trait)
{
    for (uint32_t i = 1; i < t->n; i++)
        if (strcmp(trait_of(&t->trial[i], trait).text, trait_of(&t->trial[0], trait).text) != 0) return true;
    return false;
}

/* "Qwen3-8B TP4 1024/128 x64": only what is not the same of all points; there is little room. Free with free(). */
static char *label_of(const struct exp_rerun *x, const bool told[N_TRAITS])
{
    char *label = sim_strdup("");
    for (int k = 0; k < N_TRAITS; k++) {
        if (!told[k]) continue;
        char *longer = sim_printf("%s%s%s", label, *label ? " " : "", trait_of(x, (enum trait)k).text);
        free(label);
        label = longer;
    }
    return label;
}

/* A series for each GPU. */
static void put_points(json_t *chart, const struct exp_reruns *t, enum exp_quantity q)
{
    double named = named_from(t, q);
    bool told[N_TRAITS];
    for (int k = 0; k < N_TRAITS; k++) told[k] = differs(t, (enum trait)k);
    for (uint32_t first = 0; first < t->n; first++) {
        if (!is_first(t, first)) continue;
        const char *system = t->trial[first].point->system;
        json_t *series = exp_doc_series(chart, system);
        for (uint32_t i = first; i < t->n; i++) {
            const struct exp_rerun *x = &t->trial[i];
            double across = exp_report_rounded(exp_measured_ms(x, q)),
                   up = exp_report_rounded(exp_predicted_ms(x, q));
            if (strcmp(x->point->system, system) != 0) continue;
            char *label = label_of(x, told);
            if (*label && fabs(log1p(exp_error_frac(x, q))) >= named)
                exp_doc_xy_label(series, across, up, label);
            else
                exp_doc_xy(series, across, up);
            free(label);
        }
    }
}

static void put_scatters(json_t *doc, const struct exp_reruns *t)
{
    static const char *const ids[EXP_N_QUANTITIES] = {
        [EXP_TTFT] = "predicted-ttft", [EXP_TPOT] = "predicted-tpot"};
    static const char *const titles[EXP_N_QUANTITIES] = {
        [EXP_TTFT] = "TTFT, predicted against measured", [EXP_TPOT] = "TPOT, predicted against measured"};
    json_t *s = exp_doc_section(doc, "predicted", "Predicted against measured");
    for (int q = EXP_N_QUANTITIES - 1; q >= 0; q--) {
        json_t *chart = exp_doc_chart(s, ids[q], titles[q], EXP_SCATTER);
        exp_doc_x(chart, "measured", "ms", EXP_LOG);
        exp_doc_y(chart, "predicted", "ms", EXP_LOG);
        exp_doc_note(chart, "Points above the diagonal are predicted slower than measured; named are those "
                            "furthest off: input/output tokens, x requests in flight.");
        put_diagonal(chart, t, (enum exp_quantity)q);
        put_points(chart, t, (enum exp_quantity)q);
        exp_report_fit_scales(chart, 10);
    }
}

/* ---- who is how far off ---- */

struct group {
    char name[64];
    double order; /* of numbers; texts go by their name */
    uint32_t n;   /* points */
};

typedef struct group grouping(const struct exp_rerun *x);

static struct group model_group(const struct exp_rerun *x)
{
    struct group g = {.order = 0};
    snprintf(g.name, sizeof g.name, "%s", exp_short_model(x));
    return g;
}

static struct group gpu_group(const struct exp_rerun *x)
{
    struct group g = {.order = 0};
    snprintf(g.name, sizeof g.name, "%s", x->point->system);
    return g;
}

static struct group tp_group(const struct exp_rerun *x)
{
    struct group g = {.order = x->point->tensor_parallel};
    snprintf(g.name, sizeof g.name, "%u", x->point->tensor_parallel);
    return g;
}

static struct group concurrency_group(const struct exp_rerun *x)
{
    struct group g = {.order = x->point->concurrency};
    snprintf(g.name, sizeof g.name, "%u", x->point->concurrency);
    return g;
}

static int by_order(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_size(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return by_order(a, b);
}

/* At most MAX_GROUPS, those with the most points, in their order; free with free(). */
static struct group *groups_of(const struct exp_reruns *t, grouping *of, uint32_t *n_groups)
{
    struct group *list = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        struct group g = of(&t->trial[i]);
        uint32_t k = 0;
        while (k < n && strcmp(list[k].name, g.name) != 0) k++;
        if (k == n) {
            list = sim_realloc(list, ++n, sizeof *list);
            list[k] = g;
        }
        list[k].n++;
    }
    qsort(list, n, sizeof *list, by_size);
    if (n > MAX_GROUPS) n = MAX_GROUPS;
    qsort(list, n, sizeof *list, by_order);
    *n_groups = n;
    return list;
}

static void put_group(json_t *series, uint32_t place, const struct group *g, const struct exp_reruns *t,
                      grouping *of, enum exp_quantity q)
{
    double *error = sim_alloc(g->n, sizeof *error);
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++)
        if (strcmp(of(&t->trial[i]).name, g->name) == 0) error[n++] = 100 * exp_error_frac(&t->trial[i], q);
    gsl_sort(error, 1, n);
    exp_doc_range(series, place, exp_report_rounded(gsl_stats_quantile_from_sorted_data(error, 1, n, 0.1)),
                  exp_report_rounded(gsl_stats_quantile_from_sorted_data(error, 1, n, 0.5)),
                  exp_report_rounded(gsl_stats_quantile_from_sorted_data(error, 1, n, 0.9)));
    free(error);
}

static void put_by(json_t *s, const char *id, const char *title, const struct exp_reruns *t, grouping *of)
{
    uint32_t n;
    struct group *groups = groups_of(t, of, &n);
    if (n < 2) { /* the table of all errors says it */
        free(groups);
        return;
    }
    json_t *chart = exp_doc_chart(s, id, title, EXP_RANGES);
    exp_doc_y(chart, "error", "%", EXP_LINEAR);
    exp_doc_note(chart, "10 %, median and 90 % of the errors; above 0 the prediction is slower.");
    for (uint32_t k = 0; k < n; k++) exp_doc_name(chart, groups[k].name);
    for (int q = 0; q < EXP_N_QUANTITIES; q++) {
        json_t *series = exp_doc_series(chart, exp_quantity_name((enum exp_quantity)q));
        for (uint32_t k = 0; k < n; k++) put_group(series, k, &groups[k], t, of, (enum exp_quantity)q);
    }
    free(groups);
}

static void put_groups(json_t *doc, const struct exp_reruns *t)
{
    json_t *s = exp_doc_section(doc, "groups", "For whom");
    put_by(s, "by-model", "Errors by model", t, model_group);
    put_by(s, "by-gpu", "Errors by GPU", t, gpu_group);
    put_by(s, "by-tp", "Errors by tensor parallel", t, tp_group);
    put_by(s, "by-concurrency", "Errors by requests in flight", t, concurrency_group);
}

void exp_report_validation_charts(json_t *doc, const struct exp_reruns *t)
{
    put_scatters(doc, t);
    put_groups(doc, t);
}
