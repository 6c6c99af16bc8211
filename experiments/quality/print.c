#include "experiments/quality/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/quality/print_parts.h"
#include "sim/memory.h"

/* More sets than this are told apart by numbers where each is a column. */
enum { MAX_NAMED_COLUMNS = 6 };

struct exp_quality_text exp_quality_percent(double frac)
{
    struct exp_quality_text t = {"-"};
    double value = 100 * frac;
    if (!isnan(value)) snprintf(t.at, sizeof t.at, "%.*f", fabs(value) < 0.95 && value != 0 ? 2 : 1, value);
    return t;
}

/* "5.5 [4.7, 6.4]" */
static struct exp_quality_text band_text(struct exp_band b)
{
    struct exp_quality_text t = exp_quality_percent(b.mean);
    if (isnan(b.lo) || isnan(b.hi)) return t;
    struct exp_quality_text lo = exp_quality_percent(b.lo), hi = exp_quality_percent(b.hi), all;
    snprintf(all.at, sizeof all.at, "%.12s [%.12s, %.12s]", t.at, lo.at, hi.at);
    return all;
}

static struct exp_quality_text share(uint64_t n, uint64_t of)
{
    return exp_quality_percent(of ? (double)n / (double)of : NAN);
}

static const char *baseline_of(const struct exp_quality_study *x)
{
    return x->scores->method[x->asked->options.baseline];
}

bool exp_quality_numbered(const struct exp_quality_study *x)
{
    return x->n_sets > MAX_NAMED_COLUMNS;
}

bool exp_quality_has_lengths(const struct exp_quality_study *x)
{
    for (uint32_t k = 0; k < x->n_sets; k++)
        if (exp_quality_all(x, k)->length_pairs) return true;
    return false;
}

void exp_quality_put_label(struct exp_blocks *g, const struct exp_quality_study *x, uint32_t set)
{
    const char *again = x->has_rerun && set == x->n_sets - 1 ? " (full again)" : "";
    if (exp_quality_numbered(x))
        exp_blocks_cell(g, "%2u %s%s", set + 1, x->label[set], again);
    else
        exp_blocks_cell(g, "%s%s", x->label[set], again);
}

/* ---- totals ---- */

static void put_definition(const struct exp_quality_study *x, FILE *out)
{
    const struct exp_quality_options *o = &exp_quality_first(x, 0)->options;
    char *text = sim_printf(
        "Benign: %s scores at least its %s on the task. Negative: benign, and the score is %s %g of %s's "
        "(theta %g, %s rule). Fixed: the same with the two exchanged. Net: newly failing less fixed.",
        baseline_of(x), o->benign_by_median ? "median" : "mean",
        o->rule == EXP_RULE_CODE ? "at most" : "below", 1 - o->theta, baseline_of(x), o->theta,
        o->rule == EXP_RULE_CODE ? "code" : "paper");
    exp_print_wrapped(text, 0, out);
    free(text);
    if (x->asked->n_draws)
        fprintf(out, "[ ]: 90 %% bootstrap intervals, %s draws.\n",
                exp_count_words((double)x->asked->n_draws).text);
    if (x->has_rerun)
        exp_print_wrapped(
            "(full again): full KV measured once more, the noise without any compression; it is subtracted "
            "nowhere.",
            0, out);
    fputc('\n', out);
}

static void put_failures(const struct exp_quality_study *x, FILE *out)
{
    struct exp_blocks *g = exp_blocks_new(5, 1);
    exp_blocks_head(g, 0, "", "method");
    exp_blocks_head(g, 1, "negative", "/ benign");
    exp_blocks_head(g, 2, "negative", "% of benign");
    exp_blocks_head(g, 3, "newly failing", "% of all");
    exp_blocks_head(g, 4, "net", "%");
    for (uint32_t k = 0; k < x->n_sets; k++) {
        const struct exp_quality_case *c = exp_quality_first(x, k);
        exp_quality_put_label(g, x, k);
        exp_blocks_cell(g, "%llu/%llu", (unsigned long long)c->result.all.negatives,
                        (unsigned long long)c->result.all.benign);
        exp_blocks_cell(g, "%s", band_text(c->bands.negative_rate).at);
        exp_blocks_cell(g, "%s", band_text(c->bands.newly_failing).at);
        exp_blocks_cell(g, "%s", exp_quality_percent(c->bands.net.mean).at);
    }
    exp_blocks_print(g, out);
}

static void put_changes(const struct exp_quality_study *x, FILE *out)
{
    bool lengths = exp_quality_has_lengths(x);
    struct exp_blocks *g = exp_blocks_new(8 + lengths, 1);
    fprintf(out, "\nShares of all samples; scores: means of the tasks' means, x 100%s\n",
            lengths ? "; tokens: times full KV's" : "");
    exp_blocks_head(g, 0, "", "method");
    exp_blocks_head(g, 1, "worse", "%");
    exp_blocks_head(g, 2, "same", "%");
    exp_blocks_head(g, 3, "better", "%");
    exp_blocks_head(g, 4, "fixed", "%");
    exp_blocks_head(g, 5, "mean", "score");
    exp_blocks_head(g, 6, "with", "full");
    exp_blocks_head(g, 7, "", "missing");
    if (lengths) exp_blocks_head(g, 8, "output", "tokens");
    for (uint32_t k = 0; k < x->n_sets; k++) {
        const struct exp_quality_count *c = exp_quality_all(x, k);
        struct exp_quality_means mean =
            exp_quality_mean_scores(&exp_quality_first(x, k)->result, x->scores->n_tasks);
        exp_quality_put_label(g, x, k);
        exp_blocks_cell(g, "%s", share(c->worse, c->samples).at);
        exp_blocks_cell(g, "%s", share(c->same, c->samples).at);
        exp_blocks_cell(g, "%s", share(c->better, c->samples).at);
        exp_blocks_cell(g, "%s", share(c->fixed, c->samples).at);
        exp_blocks_cell(g, "%.2f", 100 * mean.score);
        exp_blocks_cell(g, "%.2f", 100 * mean.base);
        exp_blocks_cell(g, "%llu", (unsigned long long)exp_quality_first(x, k)->result.missing);
        if (!lengths) continue;
        if (c->base_tokens)
            exp_blocks_cell(g, "%.3f", (double)c->tokens / (double)c->base_tokens);
        else
            exp_blocks_cell(g, "-");
    }
    exp_blocks_print(g, out);
}

static void put_mix(const struct exp_quality_study *x, FILE *out)
{
    struct exp_blocks *g = exp_blocks_new(5, 1);
    fputs("\nBy the task mix, % of all answers\n", out);
    exp_blocks_head(g, 0, "", "method");
    exp_blocks_head(g, 1, "newly", "failing");
    exp_blocks_head(g, 2, "newly", "fixed");
    exp_blocks_head(g, 3, "", "net");
    exp_blocks_head(g, 4, "of the mix", "covered");
    for (uint32_t k = 0; k < x->n_sets; k++) {
        const struct mdl_quality_rates *r = &exp_quality_first(x, k)->by_mix;
        exp_quality_put_label(g, x, k);
        exp_blocks_cell(
            g, "%s",
            band_text((struct exp_band){r->newly_failing, r->newly_failing_lo, r->newly_failing_hi}).at);
        exp_blocks_cell(g, "%s", exp_quality_percent(r->newly_fixed).at);
        exp_blocks_cell(g, "%s", exp_quality_percent(r->newly_failing - r->newly_fixed).at);
        exp_blocks_cell(g, "%s", exp_quality_percent(r->covered).at);
    }
    exp_blocks_print(g, out);
}

/* ---- remarks ---- */

static bool put_identical(const struct exp_quality_study *x, FILE *out)
{
    char *text = NULL;
    for (uint32_t k = 0; k < x->n_sets; k++) {
        uint32_t same = x->same_as[k];
        if (same == UINT32_MAX) continue;
        char *longer = sim_printf("%s %s = %s", text ? text : "note: Identical scores on all common samples:",
                                  x->label[same], x->label[k]);
        free(text);
        text = sim_printf("%s,", longer);
        free(longer);
    }
    if (!text) return false;
    text[strlen(text) - 1] = '\0';
    exp_print_wrapped(text, 2, out);
    free(text);
    return true;
}

/* Of how many more the code's rule makes negative. */
static void put_rules(const struct exp_quality_study *x, FILE *out)
{
    char *text =
        sim_strdup("By the paper's rule / by its code's, where a score at the limit is negative too:");
    bool differ = false;
    for (uint32_t k = 0; k < x->n_sets; k++) {
        const uint64_t *n = exp_quality_first(x, k)->negatives_by_rule;
        if (n[EXP_RULE_PAPER] == n[EXP_RULE_CODE] || exp_quality_is_copy(x, k)) continue;
        char *longer =
            sim_printf("%s%s %s %llu / %llu", text, differ ? "," : "", x->label[k],
                       (unsigned long long)n[EXP_RULE_PAPER], (unsigned long long)n[EXP_RULE_CODE]);
        free(text);
        text = longer;
        differ = true;
    }
    fputc('\n', out);
    if (differ)
        exp_print_wrapped(text, 2, out);
    else
        fputs("The paper's rule and its code's count the same here.\n", out);
    free(text);
}

static void put_notes(const struct exp_quality_study *x, FILE *out)
{
    for (uint32_t i = 0; i < x->notes.n; i++) {
        char *text = sim_printf("note: %s", x->notes.text[i]);
        exp_print_wrapped(text, 2, out);
        free(text);
    }
}

void exp_quality_print(const struct exp_quality_study *x, uint32_t n_worst, FILE *out)
{
    bool noted = put_identical(x, out);
    put_notes(x, out);
    if (noted || x->notes.n) fputc('\n', out);
    put_definition(x, out);
    put_failures(x, out);
    put_changes(x, out);
    if (x->asked->mix) put_mix(x, out);
    exp_quality_print_details(x, n_worst, out);
    put_rules(x, out);
}
