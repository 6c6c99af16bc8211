#include "experiments/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "sim/check.h"

/* Where words change. */
static const double NOTABLE = 0.02;    /* a difference that is worth a word, of throughput or latency */
static const double FULL_PEAK = 0.95;  /* the KV cache is full */
static const double NEAR_PEAK = 0.80;  /* and near it */
static const double QUEUE_FRAC = 0.05; /* queueing that limits, of E2EL */
static const double SMALL_FRAC = 0.20; /* decode attention is a small part of a step */
static const double BUSY_FRAC = 0.50;  /* a link that is what transfers wait for */
static const double COST_FRAC = 0.01;  /* a cost that counts as a reason, of a request without queueing */
static const double WEAK_FRAC = 0.30;  /* evidence that asks for measuring */
static const double COMPLETES = 0.99;  /* of what full completes */
enum { MAX_NAMES = 6 };

/* What a strategy pays with; where no price is found, whether it is slower at all. */
enum reason {
    LINK,  /* its bytes keep the host link busy */
    WAITS, /* for transfers, corrections and conversions, while the link has time */
    KERNEL,
    EXTRA,
    HOST,
    PREFILL,
    LONGER,
    LESS_ROOM,
    N_PRICES,
    SLOWER = N_PRICES,
    NO_GAIN,
    N_REASONS
};

struct reader {
    const struct exp_compare *c;
    const struct exp_compare_row *full; /* NULL: it did not run */
    enum exp_column output;             /* what counts as output: baseline tokens when lengths shift */
    FILE *out;
};

static double value(const struct exp_compare_row *r, enum exp_column c)
{
    return r->value[c].mean;
}

static double percent(const struct exp_compare_row *r, enum exp_column c)
{
    return 100 * r->value[c].mean;
}

static bool ran(const struct exp_compare_row *r)
{
    return !r->why_not[0];
}

static bool completes(const struct reader *x, const struct exp_compare_row *r)
{
    return ran(r) && (!x->full || value(r, EXP_COMPLETED) >= COMPLETES * value(x->full, EXP_COMPLETED));
}

/* Milliseconds as people say them. */
static struct exp_words time_words(double ms)
{
    struct exp_words w;
    if (ms >= 1e4) return exp_duration_words(round(ms * 1e-2) / 10);
    snprintf(w.text, sizeof w.text, ms >= 1e3 ? "%.2f s" : "%.3g ms", ms >= 1e3 ? ms * 1e-3 : ms);
    return w;
}

/* ---- names with figures ---- */

struct names {
    uint32_t row[EXP_MAX_CONTENDERS];
    double figure[EXP_MAX_CONTENDERS]; /* they are named from the largest on */
    uint32_t n;
};

static void add_name(struct names *names, uint32_t row, double figure)
{
    uint32_t at = names->n++;
    for (; at > 0 && names->figure[at - 1] < figure; at--) {
        names->row[at] = names->row[at - 1];
        names->figure[at] = names->figure[at - 1];
    }
    names->row[at] = row;
    names->figure[at] = figure;
}

static void put_names(const struct reader *x, const struct names *names,
                      void (*figures)(const struct reader *x, const struct exp_compare_row *r))
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
    double peak = value(full, EXP_KV_PEAK);
    return peak >= FULL_PEAK || peak * (1 + 1 / value(full, EXP_MAX_RUNNING)) > 1;
}

static bool is_memory_bound(const struct exp_compare_row *full)
{
    bool queues = value(full, EXP_QUEUE) >= QUEUE_FRAC * value(full, EXP_E2EL_MEAN);
    return value(full, EXP_PREEMPTIONS) > 0 || (is_cache_full(full) && queues);
}

static bool is_memory_idle(const struct exp_compare_row *full)
{
    return !is_memory_bound(full) && value(full, EXP_KV_PEAK) < NEAR_PEAK;
}

static void read_queueing(const struct reader *x)
{
    double queue = value(x->full, EXP_QUEUE), e2el = value(x->full, EXP_E2EL_MEAN);
    if (queue >= QUEUE_FRAC * e2el)
        fprintf(
            x->out,
            " Requests queue for %s all the same (%.0f %% of E2EL): the limit is compute or max_num_seqs.",
            time_words(queue).text, 100 * queue / e2el);
}

static void read_limit(const struct reader *x)
{
    const struct exp_compare_row *f = x->full;
    double queue = value(f, EXP_QUEUE), e2el = value(f, EXP_E2EL_MEAN);
    if (is_memory_bound(f)) {
        fprintf(x->out, "Under full KV memory is the limit: the cache peaks at %.0f %%",
                percent(f, EXP_KV_PEAK));
        if (value(f, EXP_PREEMPTIONS) > 0)
            fprintf(x->out, ", there are %s preemptions,", exp_count_words(value(f, EXP_PREEMPTIONS)).text);
        fprintf(x->out, " and requests queue for %s on average (%.0f %% of E2EL), at most %s running.",
                time_words(queue).text, 100 * queue / e2el, exp_count_words(value(f, EXP_MAX_RUNNING)).text);
        return;
    }
    if (is_memory_idle(f))
        fprintf(x->out,
                "KV memory is not what limits this load, and no strategy can raise throughput by holding "
                "less: under full the cache peaks at %.0f %% and nothing is preempted.",
                percent(f, EXP_KV_PEAK));
    else
        fprintf(x->out,
                "Under full KV memory is close to being the limit: the cache peaks at %.0f %% without "
                "preemptions.",
                percent(f, EXP_KV_PEAK));
    read_queueing(x);
}

/* What a decode step has to give. */
static void read_step(const struct reader *x)
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

static bool gains_output(const struct reader *x, const struct exp_compare_row *r)
{
    return r != x->full && completes(x, r) && r->delta[x->output].mean > 0 &&
           exp_compare_clear(r, x->output, NOTABLE);
}

static bool gains_time(const struct reader *x, const struct exp_compare_row *r)
{
    return r != x->full && completes(x, r) && r->delta[EXP_E2EL_MEAN].mean < 0 &&
           exp_compare_clear(r, EXP_E2EL_MEAN, NOTABLE);
}

static bool wins(const struct reader *x, const struct exp_compare_row *r)
{
    return gains_output(x, r) || gains_time(x, r);
}

/* "+12 %", and 0 without a sign. */
static void put_signed(const struct reader *x, double frac)
{
    double percents = round(100 * frac);
    fprintf(x->out, percents == 0 ? "%.0f %%" : "%+.0f %%", fabs(percents) > 0 ? percents : 0);
}

static void put_output(const struct reader *x, const struct exp_compare_row *r)
{
    put_signed(x, r->delta[x->output].mean);
    fprintf(x->out, ", %s tokens/s", exp_count_words(round(value(r, x->output))).text);
}

static void put_e2el(const struct reader *x, const struct exp_compare_row *r)
{
    put_signed(x, r->delta[EXP_E2EL_MEAN].mean);
}

static void read_output(const struct reader *x)
{
    struct names names = {.n = 0};
    double worst = 0;
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        if (gains_output(x, &x->c->row[i])) add_name(&names, i, x->c->row[i].delta[x->output].mean);
        if (completes(x, &x->c->row[i])) worst = fmin(worst, x->c->row[i].delta[x->output].mean);
    }
    if (names.n) {
        fprintf(x->out, " Most output%s: ",
                x->output == EXP_EQUIVALENT ? ", counted in tokens that full would give" : "");
        put_names(x, &names, put_output);
        fprintf(x->out, "; full gives %s.", exp_count_words(round(value(x->full, x->output))).text);
    } else {
        fprintf(x->out, " No strategy raises throughput over full's %s tokens/s by %.0f %%%s.",
                exp_count_words(round(value(x->full, x->output))).text, 100 * NOTABLE,
                x->full->load_state == SIM_STABLE && worst > -NOTABLE ? ": all serve what arrives" : "");
    }
}

static void read_time(const struct reader *x)
{
    struct names names = {.n = 0};
    for (uint32_t i = 0; i < x->c->n_rows; i++)
        if (gains_time(x, &x->c->row[i])) add_name(&names, i, -x->c->row[i].delta[EXP_E2EL_MEAN].mean);
    if (names.n) {
        fputs(" Mean E2EL falls under ", x->out);
        put_names(x, &names, put_e2el);
    } else {
        fprintf(x->out, " None shortens mean E2EL by %.0f %%", 100 * NOTABLE);
    }
    fprintf(x->out, "; full takes %s.", time_words(value(x->full, EXP_E2EL_MEAN)).text);
}

/* The row that does best at what the load asks for; NULL when nobody wins. */
static const struct exp_compare_row *best_of(const struct reader *x)
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

static void put_winners_room(const struct reader *x, const struct exp_compare_row *r)
{
    const double mib = 1024.0 / 1048576.0;
    double own = value(r, EXP_MAX_RUNNING), full = value(x->full, EXP_MAX_RUNNING);
    fprintf(x->out, "room, %.3g instead of %.3g MiB of GPU memory for 1K tokens and ",
            value(r, EXP_GPU_KV) * mib, value(x->full, EXP_GPU_KV) * mib);
    if (own > full)
        fprintf(x->out, "at most %s requests running instead of %s", exp_count_words(own).text,
                exp_count_words(full).text);
    else
        fprintf(x->out, "a cache that peaks at %.0f %%", percent(r, EXP_KV_PEAK));
}

/* Why the winner wins, from what it holds and what its step takes. */
static void read_winner(const struct reader *x, const struct exp_compare_row *r)
{
    const struct exp_compare_row *f = x->full;
    bool room = is_memory_bound(f) && value(r, EXP_GPU_KV) < value(f, EXP_GPU_KV);
    bool time = r->anatomy.step_s < (1 - NOTABLE) * f->anatomy.step_s;
    if (!room && !time) return;
    fprintf(x->out, " %s wins by ", r->label);
    if (room) put_winners_room(x, r);
    if (time)
        fprintf(x->out, "%sspeed: %.3g ms for the step that takes full %.3g", room ? ", and by " : "",
                1e3 * r->anatomy.step_s, 1e3 * f->anatomy.step_s);
    fputc('.', x->out);
}

static void read_attainment(const struct reader *x)
{
    double best = value(x->full, EXP_ATTAINMENT);
    uint32_t at = 0;
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        const struct exp_compare_row *r = &x->c->row[i];
        if (!ran(r) || !(value(r, EXP_ATTAINMENT) > best)) continue;
        best = value(r, EXP_ATTAINMENT);
        at = i;
    }
    if (best > value(x->full, EXP_ATTAINMENT) + 0.005)
        fprintf(x->out, " Service levels are met best under %s: by %s %% of requests, under full by %s %%.",
                x->c->row[at].label, exp_column_text(x->c, EXP_ATTAINMENT, best).text,
                exp_column_text(x->c, EXP_ATTAINMENT, value(x->full, EXP_ATTAINMENT)).text);
}

/* ---- why the others do not ---- */

/* What the GPU computes in a step beside decode attention. */
static double other_s(const struct exp_anatomy *a)
{
    return a->gpu_s - a->attention_s;
}

/* Seconds of a request without its queueing, which any other cost multiplies when the load is heavy. */
static double served_s(const struct exp_compare_row *r)
{
    return (value(r, EXP_E2EL_SAME_LENGTH) - value(r, EXP_QUEUE)) * 1e-3;
}

/* Of those, what waiting for transfers (with corrections and conversions) takes, if a busy link is the reason or if
 * it is not. */
static double exposed_s(const struct exp_compare_row *r, bool busy)
{
    return (value(r, EXP_LINK_BUSY) >= BUSY_FRAC) == busy ? value(r, EXP_EXPOSED) * served_s(r) : 0;
}

static double prefill_s(const struct reader *x, const struct exp_compare_row *r)
{
    double own = r->anatomy.prefill_s, full = x->full->anatomy.prefill_s;
    return isfinite(own) ? own - full : (value(r, EXP_TTFT_MEAN) - value(x->full, EXP_TTFT_MEAN)) * 1e-3;
}

/* Memory that it takes beyond full's keeps so many more requests waiting. */
static double room_s(const struct reader *x, const struct exp_compare_row *r)
{
    double more = value(r, EXP_GPU_KV) / value(x->full, EXP_GPU_KV) - 1;
    return is_memory_bound(x->full) && more > 0 ? more * served_s(x->full) : 0;
}

/* Seconds that the strategy adds to a request of full's. */
static double price(const struct reader *x, const struct exp_compare_row *r, enum reason reason)
{
    const struct exp_anatomy *a = &r->anatomy, *f = &x->full->anatomy;
    double steps = x->c->load.output_tokens;
    switch (reason) {
    case LINK:
        return exposed_s(r, true);
    case WAITS:
        return exposed_s(r, false);
    case KERNEL:
        return steps * (a->attention_s - f->attention_s);
    case EXTRA:
        return steps * (other_s(a) - other_s(f));
    case HOST:
        return steps * (a->host_s - f->host_s);
    case PREFILL:
        return prefill_s(x, r);
    case LONGER:
        return value(r, EXP_LENGTH_MEAN) * (value(x->full, EXP_E2EL_MEAN) - value(x->full, EXP_TTFT_MEAN)) *
               1e-3;
    case LESS_ROOM:
        return room_s(x, r);
    default:
        return 0;
    }
}

static enum reason main_reason(const struct reader *x, const struct exp_compare_row *r)
{
    enum reason why = r->delta[EXP_E2EL_MEAN].mean > NOTABLE ? SLOWER : NO_GAIN;
    double most = COST_FRAC * served_s(x->full);
    for (int k = 0; k < N_PRICES; k++) {
        double p = price(x, r, (enum reason)k);
        if (!(p > most)) continue;
        most = p;
        why = (enum reason)k;
    }
    return why;
}

static void put_exposed(const struct reader *x, const struct exp_compare_row *r)
{
    fprintf(x->out, "%.0f %% of step time, link %.0f %% busy", percent(r, EXP_EXPOSED),
            percent(r, EXP_LINK_BUSY));
}

static void put_kernel(const struct reader *x, const struct exp_compare_row *r)
{
    fprintf(x->out, "%.2fx", r->anatomy.attention_s / x->full->anatomy.attention_s);
}

static void put_step(const struct reader *x, const struct exp_compare_row *r, double more_s)
{
    fprintf(x->out, "%+.2g ms", 1e3 * more_s);
    if (strcmp(r->graphs, "yes") != 0) fprintf(x->out, ", CUDA graphs: %s", r->graphs);
}

static void put_extra(const struct reader *x, const struct exp_compare_row *r)
{
    put_step(x, r, other_s(&r->anatomy) - other_s(&x->full->anatomy));
}

static void put_host(const struct reader *x, const struct exp_compare_row *r)
{
    put_step(x, r, r->anatomy.host_s - x->full->anatomy.host_s);
}

static void put_prefill(const struct reader *x, const struct exp_compare_row *r)
{
    if (r->anatomy.prefill_s > 0)
        fprintf(x->out, "%.2fx, ", r->anatomy.prefill_s / x->full->anatomy.prefill_s);
    fputs("TTFT ", x->out);
    put_signed(x, r->delta[EXP_TTFT_MEAN].mean);
}

static void put_longer(const struct reader *x, const struct exp_compare_row *r)
{
    fprintf(x->out, "%.2fx, ", 1 + value(r, EXP_LENGTH_MEAN));
    put_signed(x, value(r, EXP_E2EL_LONGER));
    fputs(" of E2EL, speed alone ", x->out);
    put_signed(x, value(r, EXP_E2EL_SPEED));
}

static void put_room(const struct reader *x, const struct exp_compare_row *r)
{
    put_signed(x, r->delta[EXP_GPU_KV].mean);
    fprintf(x->out, " GPU memory for 1K tokens, at most %s running",
            exp_count_words(value(r, EXP_MAX_RUNNING)).text);
}

static void put_slower(const struct reader *x, const struct exp_compare_row *r)
{
    put_e2el(x, r);
    fprintf(x->out, ", queueing %s", time_words(value(r, EXP_QUEUE)).text);
}

static const struct {
    const char *before;
    void (*figures)(const struct reader *x, const struct exp_compare_row *r);
} words[N_REASONS] = {
    [LINK] = {"Bound by the host link", put_exposed},
    [WAITS] = {"Waiting for transfers (with corrections and conversions) while the link has time",
               put_exposed},
    [KERNEL] = {"Bound by their kernels, decode attention against full's", put_kernel},
    [EXTRA] = {"Extra work in every step beside attention", put_extra},
    [HOST] = {"The host is waited for in every step", put_host},
    [PREFILL] = {"Prefill takes longer", put_prefill},
    [LONGER] = {"Longer outputs make requests longer", put_longer},
    [LESS_ROOM] = {"Less room for requests", put_room},
    [SLOWER] = {"Slower", put_slower},
    [NO_GAIN] = {"Little changes", put_e2el},
};

static void read_losers(const struct reader *x)
{
    for (int k = 0; k < N_REASONS; k++) {
        struct names names = {.n = 0};
        for (uint32_t i = 0; i < x->c->n_rows; i++) {
            const struct exp_compare_row *r = &x->c->row[i];
            if (r == x->full || !completes(x, r) || wins(x, r) || main_reason(x, r) != (enum reason)k)
                continue;
            add_name(&names, i, k < N_PRICES ? price(x, r, (enum reason)k) : -r->delta[EXP_E2EL_MEAN].mean);
        }
        if (!names.n) continue;
        fprintf(x->out, " %s: ", words[k].before);
        put_names(x, &names, words[k].figures);
        fputc('.', x->out);
    }
}

static void put_completed(const struct reader *x, const struct exp_compare_row *r)
{
    fprintf(x->out, "%.0f %% completed", percent(r, EXP_COMPLETED));
}

static void read_incomplete(const struct reader *x)
{
    struct names names = {.n = 0};
    for (uint32_t i = 0; i < x->c->n_rows; i++)
        if (ran(&x->c->row[i]) && !completes(x, &x->c->row[i]))
            add_name(&names, i, value(&x->c->row[i], EXP_COMPLETED));
    if (!names.n) return;
    fputs(" Requests are left undone by ", x->out);
    put_names(x, &names, put_completed);
    fprintf(x->out, "; full completes %.0f %%.", percent(x->full, EXP_COMPLETED));
}

static void read_overloaded(const struct reader *x)
{
    struct names names = {.n = 0};
    for (uint32_t i = 0; i < x->c->n_rows; i++)
        if (ran(&x->c->row[i]) && x->c->row[i].load_state > x->full->load_state)
            add_name(&names, i, -(double)i);
    if (!names.n) return;
    fputs(" The load is not kept up with under ", x->out);
    put_names(x, &names, NULL);
    fprintf(x->out, "; under full it is %s.", sim_load_state_name(x->full->load_state));
}

/* ---- what to keep in mind ---- */

static const double TAIL = 0.05; /* a tail that is longer */

static void read_tail(const struct reader *x, const struct exp_compare_row *r)
{
    bool e2el = r->delta[EXP_E2EL_P99].mean > 0 && exp_compare_clear(r, EXP_E2EL_P99, TAIL);
    bool ttft = r->delta[EXP_TTFT_P99].mean > 0 && exp_compare_clear(r, EXP_TTFT_P99, TAIL);
    if (!e2el && !ttft) return;
    fprintf(x->out, " The tail is longer under %s: ", r->label);
    if (e2el) fprintf(x->out, "p99 E2EL %+.0f %%", 100 * r->delta[EXP_E2EL_P99].mean);
    if (ttft) fprintf(x->out, "%sp99 TTFT %+.0f %%", e2el ? ", " : "", 100 * r->delta[EXP_TTFT_P99].mean);
    fputc('.', x->out);
}

static void read_caveats(const struct reader *x, const struct exp_compare_row *r)
{
    read_tail(x, r);
    if (!isfinite(value(r, EXP_NEGATIVES)))
        fprintf(x->out, " How many answers get worse under %s nobody published.", r->label);
    else if (value(r, EXP_NEGATIVES) > 0)
        fprintf(x->out, " Under %s %.1f %% of benign samples get worse answers.", r->label,
                percent(r, EXP_NEGATIVES));
    if (value(r, EXP_UNMEASURED) > WEAK_FRAC)
        fprintf(x->out, " %.0f %% of the GPU time behind %s was never measured on this GPU.",
                percent(r, EXP_UNMEASURED), r->label);
}

/* "Llama" may be "Llama-3-8B": one whose name begins with the other's. */
static bool may_be_same_model(const char *a, const char *b)
{
    size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return strncmp(a, b, n) == 0;
}

static bool lengths_compare(const struct reader *x)
{
    const char *first = NULL;
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        const struct exp_compare_row *r = &x->c->row[i];
        if (!ran(r) || !r->length_model[0]) continue;
        if (!first) first = r->length_model;
        if (!may_be_same_model(first, r->length_model)) return false;
    }
    return true;
}

static bool is_first_of_model(const struct reader *x, uint32_t row)
{
    for (uint32_t i = 0; i < row; i++)
        if (ran(&x->c->row[i]) && strcmp(x->c->row[i].length_model, x->c->row[row].length_model) == 0)
            return false;
    return ran(&x->c->row[row]) && x->c->row[row].length_model[0];
}

/* Names by the model that their lengths are of. */
static void read_length_models(const struct reader *x)
{
    if (lengths_compare(x)) return;
    const char *before =
        " Output lengths were measured on different models and do not compare with each other: ";
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        if (!is_first_of_model(x, i)) continue;
        struct names names = {.n = 0};
        for (uint32_t k = i; k < x->c->n_rows; k++)
            if (ran(&x->c->row[k]) && strcmp(x->c->row[k].length_model, x->c->row[i].length_model) == 0)
                add_name(&names, k, -(double)k);
        fputs(before, x->out);
        put_names(x, &names, NULL);
        fprintf(x->out, " on %s", x->c->row[i].length_model);
        before = ", ";
    }
    fputc('.', x->out);
}

static void read_absent(const struct reader *x)
{
    struct names names = {.n = 0};
    for (uint32_t i = 0; i < x->c->n_rows; i++)
        if (!ran(&x->c->row[i])) add_name(&names, i, -(double)i);
    if (!names.n) return;
    fputs(names.n == 1 ? " It does not run here: " : " They do not run here: ", x->out);
    put_names(x, &names, NULL);
    fputc('.', x->out);
}

/* full did not run: nothing to compare with, only figures beside each other. */
static void read_without_full(const struct reader *x)
{
    fputs("full does not run here, so that there is nothing to compare with.", x->out);
    const struct exp_compare_row *best = NULL;
    for (uint32_t i = 0; i < x->c->n_rows; i++) {
        const struct exp_compare_row *r = &x->c->row[i];
        if (ran(r) && (!best || value(r, EXP_GOODPUT) > value(best, EXP_GOODPUT))) best = r;
    }
    if (best)
        fprintf(x->out, " Of those that run %s serves most good requests, %.3g /s.", best->label,
                value(best, EXP_GOODPUT));
}

static void read_with_full(const struct reader *x)
{
    const struct exp_compare_row *best = best_of(x);
    read_limit(x);
    read_step(x);
    if (x->c->n_rows == 1) return;
    read_output(x);
    read_time(x);
    if (best) read_winner(x, best);
    read_attainment(x);
    read_losers(x);
    read_incomplete(x);
    read_overloaded(x);
    if (best) read_caveats(x, best);
    read_length_models(x);
}

static struct reader reader_of(const struct exp_compare *c)
{
    return (struct reader){.c = c,
                           .full = ran(&c->row[0]) ? &c->row[0] : NULL,
                           .output = c->length_shift ? EXP_EQUIVALENT : EXP_OUTPUT};
}

const struct exp_compare_row *exp_compare_winner(const struct exp_compare *c)
{
    struct reader x = reader_of(c);
    return x.full ? best_of(&x) : NULL;
}

char *exp_compare_reading(const struct exp_compare *c)
{
    char *text = NULL;
    size_t size = 0;
    struct reader x = reader_of(c);
    x.out = open_memstream(&text, &size);
    SIM_CHECK(x.out); /* out of memory */
    if (!x.full)
        read_without_full(&x);
    else if (!(value(x.full, EXP_E2EL_MEAN) > 0))
        fputs("Under full no request was completed: there is nothing to compare with.", x.out);
    else
        read_with_full(&x);
    read_absent(&x);
    fclose(x.out);
    return text;
}
