#include "experiments/report/of_compare_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "sim/memory.h"

#define FEW_WORSE 0.01
#define NO_CHANGE 0.01 /* of one run each: less is no difference */

/* ---- three lines ---- */

static enum exp_column output_of(const struct exp_compare *c)
{
    return c->length_shift ? EXP_EQUIVALENT : EXP_OUTPUT;
}

/* Is the difference more than what one run, or the draws of several, can tell? */
static bool differs(const struct exp_compare *c, struct exp_band delta)
{
    if (c->n_replications) return delta.lo > 0 || delta.hi < 0;
    return fabs(delta.mean) >= NO_CHANGE;
}

/* "+12.3 %", or "x20" */
static struct exp_words change_words(double frac)
{
    struct exp_words w = exp_report_times(frac);
    if (!w.text[0]) snprintf(w.text, sizeof w.text, "%+.1f %%", 100 * frac);
    return w;
}

/* By output where it gives more, by time where output is the same. */
static void put_winner(json_t *s, const struct exp_compare *c, const struct exp_compare_row *best)
{
    static const char *const texts[2][2] = {
        {"{0} does best at what this load asks for: output {1} against full.",
         "{0} does best at what this load asks for: output {1} against full, mean E2EL {2}."},
        {"{0} does best at what this load asks for: output, counted in full's tokens, {1} against full.",
         "{0} does best at what this load asks for: output, counted in full's tokens, {1} against full, mean "
         "E2EL {2}."}};
    struct exp_band output = best->delta[output_of(c)], time = best->delta[EXP_E2EL_MEAN];
    bool faster = differs(c, time);
    struct exp_words more = change_words(output.mean), less = change_words(time.mean);
    if (differs(c, output))
        exp_doc_text(s, EXP_PLAIN_TONE, texts[c->length_shift][faster], best->label, more.text,
                     faster ? less.text : NULL, NULL);
    else
        exp_doc_text(s, EXP_PLAIN_TONE,
                     "{0} does best at what this load asks for: mean E2EL {1} against full, and no "
                     "difference in output.",
                     best->label, less.text, NULL);
}

static bool is_limited(const struct exp_scenario *scenario)
{
    struct exp_class_keys classes[SIM_MAX_CLASSES];
    uint32_t n = exp_scenario_classes(scenario, classes);
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        any |= classes[i].slo.ttft_ms > 0 || classes[i].slo.tpot_ms > 0 || classes[i].slo.e2el_ms > 0;
    return any;
}

/* A strategy that is faster may still be too slow. */
static void put_level(json_t *s, const struct exp_compare_row *r)
{
    if (!r->figures || r->why_not[0] || !(exp_figure(r->figures, "arrived").mean > 0)) return;
    double met = exp_figure(r->figures, "sla_met").mean;
    struct exp_words share = exp_short_words(floor(1e4 * r->value[EXP_ATTAINMENT].mean) / 100);
    if (met >= 1)
        exp_doc_text(s, EXP_GOOD_TONE,
                     "Service levels are met under {0}: {1} % of requests keep their limits.", r->label,
                     share.text, NULL);
    else if (met > 0)
        exp_doc_text(s, EXP_WARN_TONE, "Service levels are met in {1} % of replications under {0}.", r->label,
                     exp_short_words(100 * met).text, NULL);
    else
        exp_doc_text(s, EXP_WARN_TONE,
                     "Service levels are missed under {0}: {1} % of requests keep their limits.", r->label,
                     share.text, NULL);
}

static struct exp_words percent(double frac)
{
    struct exp_words w;
    snprintf(w.text, sizeof w.text, frac < 1e-3 ? "%.2g" : "%.3g", 100 * frac);
    return w;
}

/* Speed is not all that is asked for. */
static void put_answers(json_t *s, const struct exp_compare_row *best)
{
    double worse = best->value[EXP_NEGATIVES].mean;
    if (!isfinite(worse))
        exp_doc_text(s, EXP_WARN_TONE, "Nobody published how many answers {0} makes worse.", best->label,
                     NULL);
    else if (worse > 0)
        exp_doc_text(s, worse > FEW_WORSE ? EXP_WARN_TONE : EXP_GOOD_TONE,
                     "{0} makes {1} % of good answers worse: {2} % of all answers newly fail.", best->label,
                     percent(worse).text, percent(best->newly_failing).text, NULL);
    else
        exp_doc_text(s, EXP_GOOD_TONE, "{0} makes no answers worse.", best->label, NULL);
}

static void put_load_state(json_t *s, const struct exp_compare *c, const struct exp_compare_row *r)
{
    if (r->why_not[0] || r->load_state != SIM_OVERLOADED) return;
    exp_doc_text(s, EXP_WARN_TONE,
                 c->n_replications ? "The fleet is overloaded under {0}, at least in one replication: "
                                     "latencies depend on how long the trace is."
                                   : "The fleet is overloaded under {0}: latencies depend on how long the "
                                     "trace is.",
                 r->label, NULL);
}

/* ---- what changes ---- */

static void put_change(json_t *facts, const char *name, double frac)
{
    if (exp_report_times(frac).text[0])
        exp_doc_fact(facts, name, round(1 + frac), "times full's");
    else
        exp_doc_fact(facts, name, round(1000 * frac) / 10, "%");
}

/* Without intervals: paired differences over full's mean reach below -100 %, where no change can be. What cannot be told
 * from noise is said in words. */
static void put_changes(json_t *s, const struct exp_compare *c, const struct exp_compare_row *best)
{
    const struct {
        const char *name;
        enum exp_column column;
    } facts[] = {{"goodput", EXP_GOODPUT},   {"output", output_of(c)},     {"TTFT p99", EXP_TTFT_P99},
                 {"TPOT p99", EXP_TPOT_P99}, {"E2EL mean", EXP_E2EL_MEAN}, {"E2EL p99", EXP_E2EL_P99},
                 {"GPU KV", EXP_GPU_KV}};
    char same[160] = "";
    size_t n = 0;
    exp_doc_text(s, EXP_HEADING_TONE, "What {0} changes against full", best->label, NULL);
    json_t *o = exp_doc_facts(s);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        struct exp_band d = best->delta[facts[i].column];
        if (!isfinite(d.mean)) continue;
        if (differs(c, d))
            put_change(o, facts[i].name, d.mean);
        else
            n += (size_t)snprintf(same + n, sizeof same - n, "%s%s", n ? ", " : "", facts[i].name);
    }
    if (n)
        exp_doc_text(s, EXP_SOFT_TONE,
                     c->n_replications ? "No clear difference, compared replication by replication: {0}."
                                       : "No difference (less than 1 %): {0}.",
                     same, NULL);
}

void exp_report_compare_answer(json_t *doc, const struct exp_compare *c, const struct exp_scenario *scenario)
{
    json_t *s = exp_doc_section(doc, "answer", "Result");
    const struct exp_compare_row *best = exp_compare_winner(c);
    if (c->row[0].why_not[0])
        exp_doc_text(s, EXP_WARN_TONE, "full does not run here: {0}", c->row[0].why_not, NULL);
    else if (best)
        put_winner(s, c, best);
    else
        exp_doc_text(s, EXP_PLAIN_TONE, "No strategy is better than full for this load.", NULL);
    if (is_limited(scenario))
        put_level(s, best ? best : c->row);
    else
        exp_doc_text(s, EXP_PLAIN_TONE, "No request has a service level: nothing is met or missed.", NULL);
    if (best) put_answers(s, best);
    put_load_state(s, c, best ? best : c->row);
    if (best) put_changes(s, c, best);
}

/* ---- the reading ---- */

/* A paragraph of the command's, a sentence a line. */
static void put_sentences(json_t *s, const char *text)
{
    while (*text) {
        const char *end = strstr(text, ". ");
        size_t n = end ? (size_t)(end - text) + 1 : strlen(text);
        char *sentence = sim_printf("%.*s", (int)n, text);
        exp_doc_text(s, EXP_PLAIN_TONE, "{0}", sentence, NULL);
        free(sentence);
        text += n + strspn(text + n, " ");
    }
}

void exp_report_compare_reading(json_t *doc, const struct exp_compare *c)
{
    json_t *s = exp_doc_section(doc, "reading", "Reading");
    char *reading = exp_compare_reading_of_speed(c);
    put_sentences(s, reading);
    free(reading);
    exp_doc_text(s, EXP_SOFT_TONE, "{0}", c->how, NULL);
    if (c->n_replications)
        exp_doc_text(
            s, EXP_SOFT_TONE,
            "Means and 90 % intervals of {0} replications; differences to full are those of the means.",
            exp_count_words(c->n_replications).text, NULL);
    for (uint32_t i = 0; i < c->notes.n; i++)
        exp_doc_text(s, EXP_SOFT_TONE, "Note: {0}", c->notes.text[i], NULL);
}
