#include "experiments/compare_reading.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check.h"

/* Where words change. */
static const double FULL_PEAK = 0.95;  /* the KV cache is full */
static const double NEAR_PEAK = 0.80;  /* and near it */
static const double QUEUE_FRAC = 0.05; /* queueing that limits, of E2EL */
static const double SMALL_FRAC = 0.20; /* decode attention is a small part of a step */
static const double WEAK_FRAC = 0.30;  /* evidence that asks for measuring */
static const double COMPLETES = 0.99;  /* of what full completes */

bool exp_reader_completes(const struct exp_reader *x, const struct exp_compare_row *r)
{
    return exp_ran(r) &&
           (!x->full || exp_mean(r, EXP_COMPLETED) >= COMPLETES * exp_mean(x->full, EXP_COMPLETED));
}

struct exp_words exp_ms_words(double ms)
{
    struct exp_words w;
    if (ms >= 1e4) return exp_duration_words(round(ms * 1e-2) / 10);
    snprintf(w.text, sizeof w.text, ms >= 1e3 ? "%.2f s" : "%.3g ms", ms >= 1e3 ? ms * 1e-3 : ms);
    return w;
}

/* ---- names with figures ---- */

enum { MAX_NAMES = 6 };

void exp_names_add(struct exp_names *names, uint32_t row, double figure)
{
    uint32_t at = names->n++;
    for (; at > 0 && names->figure[at - 1] < figure; at--) {
        names->row[at] = names->row[at - 1];
        names->figure[at] = names->figure[at - 1];
    }
    names->row[at] = row;
    names->figure[at] = figure;
}

void exp_reader_names(const struct exp_reader *x, const struct exp_names *names,
                      void (*figures)(const struct exp_reader *x, const struct exp_compare_row *r))
{
    uint32_t shown = names->n <= MAX_NAMES ? names->n : MAX_NAMES - 1;
    for (uint32_t i = 0; i < shown; i++) {
        fputs(i == 0 ? "" : i + 1 == names->n ? " and " : ", ", x->out);
        fputs(x->c->row[names->row[i]].label, x->out);
        if (!figures) continue;
        fputs(" (", x->out);
        figures(x, &x->c->row[names->row[i]]);
        fputc(')', x->out);
    }
    if (shown < names->n) fprintf(x->out, " and %u more", names->n - shown);
}

/* ---- what limits full ---- */

/* Few requests leave room that is too small for one more: each holds its share of the peak. */
static bool is_cache_full(const struct exp_compare_row *full)
{
    double peak = exp_mean(full, EXP_KV_PEAK);
    return peak >= FULL_PEAK || peak * (1 + 1 / exp_mean(full, EXP_MAX_RUNNING)) > 1;
}

bool exp_reader_memory_bound(const struct exp_compare_row *full)
{
    bool queues = exp_mean(full, EXP_QUEUE) >= QUEUE_FRAC * exp_mean(full, EXP_E2EL_MEAN);
    return exp_mean(full, EXP_PREEMPTIONS) > 0 || (is_cache_full(full) && queues);
}

static bool is_memory_idle(const struct exp_compare_row *full)
{
    return !exp_reader_memory_bound(full) && exp_mean(full, EXP_KV_PEAK) < NEAR_PEAK;
}

static void read_queueing(const struct exp_reader *x)
{
    double queue = exp_mean(x->full, EXP_QUEUE), e2el = exp_mean(x->full, EXP_E2EL_MEAN);
    if (queue >= QUEUE_FRAC * e2el)
        fprintf(
            x->out,
            " Requests queue for %s all the same (%.0f %% of E2EL): the limit is compute or max_num_seqs.",
            exp_ms_words(queue).text, 100 * queue / e2el);
}

static void read_limit(const struct exp_reader *x)
{
    const struct exp_compare_row *f = x->full;
    double queue = exp_mean(f, EXP_QUEUE), e2el = exp_mean(f, EXP_E2EL_MEAN);
    if (exp_reader_memory_bound(f)) {
        fprintf(x->out, "Under full KV memory is the limit: the cache peaks at %.0f %%",
                exp_percent(f, EXP_KV_PEAK));
        if (exp_mean(f, EXP_PREEMPTIONS) > 0)
            fprintf(x->out, ", there are %s preemptions,",
                    exp_count_words(exp_mean(f, EXP_PREEMPTIONS)).text);
        fprintf(x->out, " and requests queue for %s on average (%.0f %% of E2EL), at most %s running.",
                exp_ms_words(queue).text, 100 * queue / e2el,
                exp_count_words(exp_mean(f, EXP_MAX_RUNNING)).text);
        return;
    }
    if (is_memory_idle(f))
        fprintf(x->out,
                "KV memory is not what limits this load, and no strategy can raise throughput by holding "
                "less: under full the cache peaks at %.0f %% and nothing is preempted.",
                exp_percent(f, EXP_KV_PEAK));
    else
        fprintf(x->out,
                "Under full KV memory is close to being the limit: the cache peaks at %.0f %% without "
                "preemptions.",
                exp_percent(f, EXP_KV_PEAK));
    read_queueing(x);
}

/* What a decode step has to give. */
static void read_step(const struct exp_reader *x)
{
    const struct exp_anatomy *a = &x->full->anatomy;
    if (!(a->step_s > 0) || !isfinite(a->attention_s)) return;
    double frac = a->attention_s / a->step_s;
    fprintf(x->out,
            " At full's mean batch (%.0f sequences of %s tokens a replica) a decode step takes %.3g ms, of "
            "which decode attention is %.3g ms (%.0f %%)",
            x->c->load.n_seqs, exp_count_words(round(x->c->load.context_tokens)).text, 1e3 * a->step_s,
            1e3 * a->attention_s, 100 * frac);
    fputs(frac < SMALL_FRAC ? ": reading less cannot save more than that." : ".", x->out);
}

/* ---- who wins ---- */

static bool gains_output(const struct exp_reader *x, const struct exp_compare_row *r)
{
    return r != x->full && exp_reader_completes(x, r) && r->delta[x->output].mean > 0 &&
           exp_compare_clear(r, x->output, EXP_NOTABLE);
}

static bool gains_time(const struct exp_reader *x, const struct exp_compare_row *r)
{
    return r != x->full && exp_reader_completes(x, r) && r->delta[EXP_E2EL_MEAN].mean < 0 &&
           exp_compare_clear(r, EXP_E2EL_MEAN, EXP_NOTABLE);
}

bool exp_reader_wins(const struct exp_reader *x, const struct exp_compare_row *r)
{
    return gains_output(x, r) || gains_time(x, r);
}

void exp_reader_signed(const struct exp_reader *x, double frac)
{
    double percents = round(100 * frac);
    fprintf(x->out, percents == 0 ? "%.0f %%" : "%+.0f %%", fabs(percents) > 0 ? percents : 0);
}

static void put_output(const struct exp_reader *x, const struct exp_compare_row *r)
{
    exp_reader_signed(x, r->delta[x->output].mean);
    fprintf(x->out, ", %s tokens/s", exp_count_words(round(exp_mean(r, x->output))).text);
}

void exp_reader_e2el(const struct exp_reader *x, const struct exp_compare_row *r)
{
    exp_reader_signed(x, r->delta[EXP_E2EL_MEAN].mean);
}

static void read_output(const struct exp_reader *x)
{
    struct exp_names names = {.n = 0};
    double worst = 0;
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        if (gains_output(x, &x->c->row[i])) exp_names_add(&names, i, x->c->row[i].delta[x->output].mean);
        if (exp_reader_completes(x, &x->c->row[i])) worst = fmin(worst, x->c->row[i].delta[x->output].mean);
    }
    if (names.n) {
        fprintf(x->out, " Most output%s: ",
                x->output == EXP_EQUIVALENT ? ", counted in tokens that full would give" : "");
        exp_reader_names(x, &names, put_output);
        fprintf(x->out, "; full gives %s.", exp_count_words(round(exp_mean(x->full, x->output))).text);
    } else {
        fprintf(x->out, " No strategy raises throughput over full's %s tokens/s by %.0f %%%s.",
                exp_count_words(round(exp_mean(x->full, x->output))).text, 100 * EXP_NOTABLE,
                x->full->load_state == SIM_STABLE && worst > -EXP_NOTABLE ? ": all serve what arrives" : "");
    }
}

static void read_time(const struct exp_reader *x)
{
    struct exp_names names = {.n = 0};
    for (uint32_t i = 0; i < x->c->n_rows; i++)
        if (gains_time(x, &x->c->row[i])) exp_names_add(&names, i, -x->c->row[i].delta[EXP_E2EL_MEAN].mean);
    if (names.n) {
        fputs(" Mean E2EL falls under ", x->out);
        exp_reader_names(x, &names, exp_reader_e2el);
    } else {
        fprintf(x->out, " None shortens mean E2EL by %.0f %%", 100 * EXP_NOTABLE);
    }
    fprintf(x->out, "; full takes %s.", exp_ms_words(exp_mean(x->full, EXP_E2EL_MEAN)).text);
}

/* The row that does best at what the load asks for; NULL when nobody wins. */
static const struct exp_compare_row *best_of(const struct exp_reader *x)
{
    const struct exp_compare_row *best = NULL;
    double most = 0;
    bool by_output = false;
    for (uint32_t i = 0; i < x->c->n_rows; i++) by_output |= gains_output(x, &x->c->row[i]);
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        const struct exp_compare_row *r = &x->c->row[i];
        double gain = by_output ? r->delta[x->output].mean : -r->delta[EXP_E2EL_MEAN].mean;
        if (!(by_output ? gains_output(x, r) : gains_time(x, r)) || gain <= most) continue;
        best = r;
        most = gain;
    }
    return best;
}

static void put_winners_room(const struct exp_reader *x, const struct exp_compare_row *r)
{
    const double mib = 1024.0 / 1048576.0;
    double own = exp_mean(r, EXP_MAX_RUNNING), full = exp_mean(x->full, EXP_MAX_RUNNING);
    fprintf(x->out, "room, %.3g instead of %.3g MiB of GPU memory for 1K tokens and ",
            exp_mean(r, EXP_GPU_KV) * mib, exp_mean(x->full, EXP_GPU_KV) * mib);
    if (own > full)
        fprintf(x->out, "at most %s requests running instead of %s", exp_count_words(own).text,
                exp_count_words(full).text);
    else
        fprintf(x->out, "a cache that peaks at %.0f %%", exp_percent(r, EXP_KV_PEAK));
}

/* Why the winner wins, from what it holds and what its step takes. */
static void read_winner(const struct exp_reader *x, const struct exp_compare_row *r)
{
    const struct exp_compare_row *f = x->full;
    bool room = exp_reader_memory_bound(f) && exp_mean(r, EXP_GPU_KV) < exp_mean(f, EXP_GPU_KV);
    bool time = r->anatomy.step_s < (1 - EXP_NOTABLE) * f->anatomy.step_s;
    if (!room && !time) return;
    fprintf(x->out, " %s wins by ", r->label);
    if (room) put_winners_room(x, r);
    if (time)
        fprintf(x->out, "%sspeed: %.3g ms for the step that takes full %.3g", room ? ", and by " : "",
                1e3 * r->anatomy.step_s, 1e3 * f->anatomy.step_s);
    fputc('.', x->out);
}

static void read_attainment(const struct exp_reader *x)
{
    double best = exp_mean(x->full, EXP_ATTAINMENT);
    uint32_t at = 0;
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        const struct exp_compare_row *r = &x->c->row[i];
        if (!exp_ran(r) || !(exp_mean(r, EXP_ATTAINMENT) > best)) continue;
        best = exp_mean(r, EXP_ATTAINMENT);
        at = i;
    }
    if (best > exp_mean(x->full, EXP_ATTAINMENT) + 0.005)
        fprintf(x->out, " Service levels are met best under %s: by %s %% of requests, under full by %s %%.",
                x->c->row[at].label, exp_column_text(x->c, EXP_ATTAINMENT, best).text,
                exp_column_text(x->c, EXP_ATTAINMENT, exp_mean(x->full, EXP_ATTAINMENT)).text);
}

/* ---- what to keep in mind ---- */

static const double TAIL = 0.05; /* a tail that is longer */

static void read_tail(const struct exp_reader *x, const struct exp_compare_row *r)
{
    bool e2el = r->delta[EXP_E2EL_P99].mean > 0 && exp_compare_clear(r, EXP_E2EL_P99, TAIL);
    bool ttft = r->delta[EXP_TTFT_P99].mean > 0 && exp_compare_clear(r, EXP_TTFT_P99, TAIL);
    if (!e2el && !ttft) return;
    fprintf(x->out, " The tail is longer under %s: ", r->label);
    if (e2el) fprintf(x->out, "p99 E2EL %+.0f %%", 100 * r->delta[EXP_E2EL_P99].mean);
    if (ttft) fprintf(x->out, "%sp99 TTFT %+.0f %%", e2el ? ", " : "", 100 * r->delta[EXP_TTFT_P99].mean);
    fputc('.', x->out);
}

static void read_answers(const struct exp_reader *x, const struct exp_compare_row *r)
{
    if (!isfinite(exp_mean(r, EXP_NEGATIVES)))
        fprintf(x->out, " How many answers get worse under %s nobody published.", r->label);
    else if (exp_mean(r, EXP_NEGATIVES) > 0)
        fprintf(x->out, " Under %s %.1f %% of benign samples get worse answers.", r->label,
                exp_percent(r, EXP_NEGATIVES));
}

static void read_caveats(const struct exp_reader *x, const struct exp_compare_row *r)
{
    read_tail(x, r);
    if (!x->of_speed) read_answers(x, r);
    if (exp_mean(r, EXP_UNMEASURED) > WEAK_FRAC)
        fprintf(x->out, " %.0f %% of the GPU time behind %s was never measured on this GPU.",
                exp_percent(r, EXP_UNMEASURED), r->label);
}

/* "Llama" may be "Llama-3-8B": one whose name begins with the other's. */
static bool may_be_same_model(const char *a, const char *b)
{
    size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return strncmp(a, b, n) == 0;
}

static bool lengths_compare(const struct exp_reader *x)
{
    const char *first = NULL;
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        const struct exp_compare_row *r = &x->c->row[i];
        if (!exp_ran(r) || !r->length_model[0]) continue;
        if (!first) first = r->length_model;
        if (!may_be_same_model(first, r->length_model)) return false;
    }
    return true;
}

static bool is_first_of_model(const struct exp_reader *x, uint32_t row)
{
    for (uint32_t i = 0; i < row; i++)
        if (exp_ran(&x->c->row[i]) && strcmp(x->c->row[i].length_model, x->c->row[row].length_model) == 0)
            return false;
    return exp_ran(&x->c->row[row]) && x->c->row[row].length_model[0];
}

/* Names by the model that their lengths are of. */
static void read_length_models(const struct exp_reader *x)
{
    if (lengths_compare(x)) return;
    const char *before =
        " Output lengths were measured on different models and do not compare with each other: ";
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        if (!is_first_of_model(x, i)) continue;
        struct exp_names names = {.n = 0};
        for (uint32_t k = i; k < x->c->n_rows; k++)
            if (exp_ran(&x->c->row[k]) && strcmp(x->c->row[k].length_model, x->c->row[i].length_model) == 0)
                exp_names_add(&names, k, -(double)k);
        fputs(before, x->out);
        exp_reader_names(x, &names, NULL);
        fprintf(x->out, " on %s", x->c->row[i].length_model);
        before = ", ";
    }
    fputc('.', x->out);
}

static void read_absent(const struct exp_reader *x)
{
    struct exp_names names = {.n = 0};
    for (uint32_t i = 0; i < x->c->n_rows; i++)
        if (!exp_ran(&x->c->row[i])) exp_names_add(&names, i, -(double)i);
    if (!names.n) return;
    fputs(names.n == 1 ? " It does not run here: " : " They do not run here: ", x->out);
    exp_reader_names(x, &names, NULL);
    fputc('.', x->out);
}

/* full did not run: nothing to compare with, only figures beside each other. */
static void read_without_full(const struct exp_reader *x)
{
    fputs("full does not run here, so that there is nothing to compare with.", x->out);
    const struct exp_compare_row *best = NULL;
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        const struct exp_compare_row *r = &x->c->row[i];
        if (exp_ran(r) && (!best || exp_mean(r, EXP_GOODPUT) > exp_mean(best, EXP_GOODPUT))) best = r;
    }
    if (best)
        fprintf(x->out, " Of those that run %s serves most good requests, %.3g /s.", best->label,
                exp_mean(best, EXP_GOODPUT));
}

static void read_with_full(const struct exp_reader *x)
{
    const struct exp_compare_row *best = best_of(x);
    read_limit(x);
    read_step(x);
    if (x->c->n_rows == 1) return;
    read_output(x);
    read_time(x);
    if (best) read_winner(x, best);
    read_attainment(x);
    exp_reader_losers(x);
    if (best) read_caveats(x, best);
    read_length_models(x);
}

static struct exp_reader reader_of(const struct exp_compare *c)
{
    return (struct exp_reader){.c = c,
                               .full = exp_ran(&c->row[0]) ? &c->row[0] : NULL,
                               .output = c->length_shift ? EXP_EQUIVALENT : EXP_OUTPUT};
}

const struct exp_compare_row *exp_compare_winner(const struct exp_compare *c)
{
    struct exp_reader x = reader_of(c);
    return x.full ? best_of(&x) : NULL;
}

static char *reading_of(const struct exp_compare *c, bool of_speed)
{
    char *text = NULL;
    size_t size = 0;
    struct exp_reader x = reader_of(c);
    x.of_speed = of_speed;
    x.out = open_memstream(&text, &size);
    SIM_CHECK(x.out); /* out of memory */
    if (!x.full)
        read_without_full(&x);
    else if (!(exp_mean(x.full, EXP_E2EL_MEAN) > 0))
        fputs("Under full no request was completed: there is nothing to compare with.", x.out);
    else
        read_with_full(&x);
    read_absent(&x);
    fclose(x.out);
    return text;
}

char *exp_compare_reading(const struct exp_compare *c)
{
    return reading_of(c, false);
}

char *exp_compare_reading_of_speed(const struct exp_compare *c)
{
    return reading_of(c, true);
}
