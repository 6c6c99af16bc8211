#include "experiments/quality/print_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/page.h"
#include "sim/memory.h"

/* ---- by threshold, by task ---- */

static uint32_t n_shown(const struct exp_quality_study *x)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < x->n_sets; k++) n += !exp_quality_is_copy(x, k);
    return n;
}

static void put_thetas(const struct exp_quality_study *x, FILE *out)
{
    struct exp_blocks *g = exp_blocks_new(1 + x->asked->n_thetas, 1);
    fputs("\nNegatives by how far a score may fall, % of full KV's\n", out);
    exp_blocks_head(g, 0, "", "method");
    for (uint32_t t = 0; t < x->asked->n_thetas; t++) {
        struct exp_quality_text head;
        snprintf(head.at, sizeof head.at, "%g", 100 * x->asked->theta[t]);
        exp_blocks_head(g, 1 + t, "", head.at);
    }
    for (uint32_t k = 0; k < x->n_sets; k++) {
        exp_quality_put_label(g, x, k);
        for (uint32_t t = 0; t < x->asked->n_thetas; t++)
            exp_blocks_cell(g, "%llu", (unsigned long long)exp_quality_at(x, k, t)->result.all.negatives);
    }
    exp_blocks_print(g, out);
}

/* "kivi/" above "4bits", or a number. */
static void head_of_set(struct exp_blocks *g, const struct exp_quality_study *x, uint32_t set,
                        uint32_t column)
{
    struct exp_quality_text head, above = {""};
    const char *slash = strchr(x->label[set], '/'), *name = x->label[set];
    const int most = sizeof head.at - 1;
    if (exp_quality_numbered(x)) {
        snprintf(head.at, sizeof head.at, "%u", set + 1);
    } else if (exp_quality_first(x, set)->result.set.n == 1 && slash) {
        int alg = (int)(slash + 1 - name);
        snprintf(above.at, sizeof above.at, "%.*s", exp_text_bytes(name, alg < most ? alg : most), name);
        snprintf(head.at, sizeof head.at, "%.*s", exp_text_bytes(slash + 1, most), slash + 1);
    } else {
        snprintf(head.at, sizeof head.at, "%.*s", exp_text_bytes(name, most), name);
    }
    exp_blocks_head(g, column, above.at, head.at);
}

/* Benign samples of the task as the set has them that has most. */
static uint64_t benign_of(const struct exp_quality_study *x, uint32_t task)
{
    uint64_t most = 0;
    for (uint32_t k = 0; k < x->n_sets; k++) {
        uint64_t n = exp_quality_first(x, k)->result.task[task].benign;
        if (n > most) most = n;
    }
    return most;
}

static void put_task_cell(struct exp_blocks *g, const struct exp_quality_study *x, uint32_t set,
                          uint32_t task)
{
    const struct exp_quality_count *c = &exp_quality_first(x, set)->result.task[task];
    if (!c->samples)
        exp_blocks_cell(g, "-");
    else if (exp_quality_numbered(x) || !c->benign)
        exp_blocks_cell(g, "%llu", (unsigned long long)c->negatives);
    else
        exp_blocks_cell(g, "%llu %3.0f%%", (unsigned long long)c->negatives,
                        100 * (double)c->negatives / (double)c->benign);
}

static void put_tasks(const struct exp_quality_study *x, FILE *out)
{
    struct exp_blocks *g = exp_blocks_new(2 + n_shown(x), 2);
    fprintf(out, "\nNegatives by task%s\n",
            exp_quality_numbered(x) ? ", methods by their number" : ", and % of benign");
    exp_blocks_head(g, 0, "", "task");
    exp_blocks_head(g, 1, "", "benign");
    for (uint32_t k = 0, column = 2; k < x->n_sets; k++)
        if (!exp_quality_is_copy(x, k)) head_of_set(g, x, k, column++);
    for (uint32_t t = 0; t < x->scores->n_tasks; t++) {
        exp_blocks_cell(g, "%s", x->scores->task[t]);
        exp_blocks_cell(g, "%llu", (unsigned long long)benign_of(x, t));
        for (uint32_t k = 0; k < x->n_sets; k++)
            if (!exp_quality_is_copy(x, k)) put_task_cell(g, x, k, t);
    }
    exp_blocks_print(g, out);
}

/* ---- how answers fail ---- */

static void put_modes(const struct exp_quality_study *x, FILE *out)
{
    bool lengths = exp_quality_has_lengths(x);
    struct exp_blocks *g = exp_blocks_new(lengths ? 7 : 3, 1);
    fprintf(out, "\nHow answers fail: negatives%s\n", lengths ? "; lengths: of all samples" : "");
    exp_blocks_head(g, 0, "", "method");
    exp_blocks_head(g, 1, "score", "to 0");
    exp_blocks_head(g, 2, "score", "partial");
    if (lengths) {
        exp_blocks_head(g, 3, "", "empty");
        exp_blocks_head(g, 4, "", "truncated");
        exp_blocks_head(g, 5, "1.5 x longer", "or more");
        exp_blocks_head(g, 6, "0.5 x as long", "or less");
    }
    for (uint32_t k = 0; k < x->n_sets; k++) {
        const struct exp_quality_count *c = exp_quality_all(x, k);
        uint64_t n[] = {c->zeroed, c->partial, c->empty, c->truncated, c->longer, c->shorter};
        exp_quality_put_label(g, x, k);
        for (int i = 0; i < (lengths ? 6 : 2); i++) exp_blocks_cell(g, "%llu", (unsigned long long)n[i]);
    }
    exp_blocks_print(g, out);
}

static void put_worst_of(const struct exp_quality_study *x, uint32_t set, uint32_t n_worst, FILE *out)
{
    const struct exp_quality_case *c = exp_quality_first(x, set);
    uint32_t *sample = sim_alloc(n_worst, sizeof *sample);
    uint32_t n = exp_quality_worst(x->scores, &c->result, &c->options, sample, n_worst);
    char *text = sim_printf("%s:%s", x->label[set], n ? "" : " no score fell");
    for (uint32_t i = 0; i < n; i++) {
        const struct exp_sample_id *at = &x->scores->sample[sample[i]];
        char *longer =
            sim_printf("%s %s %s (%.2f to %.2f)%s", text, x->scores->task[at->task], at->id,
                       x->scores->score[c->options.baseline][sample[i]].score,
                       exp_quality_score(x->scores, &c->result.set, sample[i]), i + 1 < n ? "," : "");
        free(text);
        text = longer;
    }
    exp_print_wrapped(text, 2, out);
    free(text);
    free(sample);
}

static void put_worst(const struct exp_quality_study *x, uint32_t n_worst, FILE *out)
{
    if (!n_worst) return;
    fputs("\nWorst cases: task, id (score with full KV to score)\n", out);
    for (uint32_t k = 0; k < x->n_sets; k++)
        if (!exp_quality_is_copy(x, k)) put_worst_of(x, k, n_worst, out);
}

/* ---- what must not fail, what to keep ---- */

static void put_critical(const struct exp_quality_study *x, FILE *out)
{
    const struct exp_critical *listed = x->asked->critical;
    struct exp_blocks *g = exp_blocks_new(8, 1);
    fprintf(out, "\nCritical samples: %u listed", listed->n + listed->n_unknown);
    if (listed->n_unknown) fprintf(out, ", %u of them in no scores", listed->n_unknown);
    fputc('\n', out);
    static const char *const heads[][2] = {{"", "method"},
                                           {"", "samples"},
                                           {"", "missing"},
                                           {"", "failures"},
                                           {"by weight", "%"},
                                           {"at most %,", "95 % sure"},
                                           {"worst 5 %", "mean change"},
                                           {"worst", "change"}};
    for (uint32_t c = 0; c < 8; c++) exp_blocks_head(g, c, heads[c][0], heads[c][1]);
    for (uint32_t k = 0; k < x->n_sets; k++) {
        const struct exp_critical_result *r = &exp_quality_first(x, k)->critical;
        if (exp_quality_first(x, k)->result.set.n > 1) continue;
        exp_quality_put_label(g, x, k);
        exp_blocks_cell(g, "%llu", (unsigned long long)r->n);
        exp_blocks_cell(g, "%llu", (unsigned long long)r->missing);
        exp_blocks_cell(g, "%llu", (unsigned long long)r->failures);
        exp_blocks_cell(g, "%s", exp_quality_percent(r->weighted_failures).at);
        exp_blocks_cell(g, "%s", exp_quality_percent(r->bound).at);
        exp_blocks_cell(g, isnan(r->cvar) ? "-" : "%+.3f", r->cvar);
        exp_blocks_cell(g, isnan(r->worst_change) ? "-" : "%+.3f", r->worst_change);
    }
    exp_blocks_print(g, out);
}

static void put_guard_of(const struct exp_quality_study *x, uint32_t set, FILE *out)
{
    const struct exp_guard *guard = &exp_quality_first(x, set)->guard;
    char *list = sim_strdup("");
    for (uint32_t i = 0; i < guard->n; i++) {
        char *longer = sim_printf("%s%s%s", list, i ? ", " : "", x->scores->task[guard->task[i]]);
        free(list);
        list = longer;
    }
    char *text;
    if (guard->n)
        text = sim_printf(
            "%s: %s; %s %% of the traffic. Newly failing %s %% before, %s %% after, %s %% when "
            "chosen on one half "
            "of the samples and judged on the other%s",
            x->label[set], list, exp_quality_percent(guard->share).at,
            exp_quality_percent(guard->rate_before).at, exp_quality_percent(guard->rate_after).at,
            exp_quality_percent(guard->rate_held_out).at, guard->met ? "" : ". This does not reach the rate");
    else
        text = sim_printf("%s: nothing; %s %% newly fail", x->label[set],
                          exp_quality_percent(guard->rate_before).at);
    exp_print_wrapped(text, 2, out);
    free(text);
    free(list);
}

static void put_guard(const struct exp_quality_study *x, FILE *out)
{
    fprintf(out, "\nKeep on full KV so that at most %s %% of answers newly fail\n",
            exp_quality_percent(x->asked->guard_rate).at);
    for (uint32_t k = 0; k < x->n_sets - x->has_rerun; k++)
        if (!exp_quality_is_copy(x, k)) put_guard_of(x, k, out);
}

void exp_quality_print_details(const struct exp_quality_study *x, uint32_t n_worst, FILE *out)
{
    if (x->asked->n_thetas > 1) put_thetas(x, out);
    put_tasks(x, out);
    put_modes(x, out);
    put_worst(x, n_worst, out);
    if (x->asked->critical) put_critical(x, out);
    if (!isnan(x->asked->guard_rate)) put_guard(x, out);
}
