#include "experiments/compare_reading.h"

#include <math.h>
#include <string.h>

static const double BUSY_FRAC = 0.50; /* a link that is what transfers wait for */
static const double COST_FRAC = 0.01; /* a cost that counts as a reason, of a request without queueing */

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

/* ---- prices ---- */

/* What the GPU computes in a step beside decode attention. */
static double other_s(const struct exp_anatomy *a)
{
    return a->gpu_s - a->attention_s;
}

/* Seconds of a request of full's length without its queueing, which any other cost multiplies when the load is heavy. */
static double served_s(const struct exp_compare_row *r)
{
    return (exp_mean(r, EXP_E2EL_SAME_LENGTH) - exp_mean(r, EXP_QUEUE_SAME_LENGTH)) * 1e-3;
}

/* Of those, what waiting for transfers (with corrections and conversions) takes, if a busy link is the reason or if
 * it is not. */
static double exposed_s(const struct exp_compare_row *r, bool busy)
{
    return (exp_mean(r, EXP_LINK_BUSY) >= BUSY_FRAC) == busy ? exp_mean(r, EXP_EXPOSED) * served_s(r) : 0;
}

static double prefill_s(const struct exp_reader *x, const struct exp_compare_row *r)
{
    double own = r->anatomy.prefill_s, full = x->full->anatomy.prefill_s;
    return isfinite(own) ? own - full
                         : (exp_mean(r, EXP_TTFT_MEAN) - exp_mean(x->full, EXP_TTFT_MEAN)) * 1e-3;
}

/* Memory that it takes beyond full's keeps so many more requests waiting. */
static double room_s(const struct exp_reader *x, const struct exp_compare_row *r)
{
    double more = exp_mean(r, EXP_GPU_KV) / exp_mean(x->full, EXP_GPU_KV) - 1;
    return exp_reader_memory_bound(x->full) && more > 0 ? more * served_s(x->full) : 0;
}

/* Seconds that the strategy adds to a request of full's. */
static double price(const struct exp_reader *x, const struct exp_compare_row *r, enum reason reason)
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
        return exp_mean(r, EXP_LENGTH_MEAN) *
               (exp_mean(x->full, EXP_E2EL_MEAN) - exp_mean(x->full, EXP_TTFT_MEAN)) * 1e-3;
    case LESS_ROOM:
        return room_s(x, r);
    default:
        return 0;
    }
}

/* The largest price; of speed alone, whatever lengths add. */
static enum reason main_reason(const struct exp_reader *x, const struct exp_compare_row *r, bool of_speed)
{
    enum reason why = r->delta[EXP_E2EL_MEAN].mean > EXP_NOTABLE ? SLOWER : NO_GAIN;
    double most = COST_FRAC * served_s(x->full);
    for (enum reason k = 0; k < N_PRICES; k++) {
        double p = of_speed && k == LONGER ? 0 : price(x, r, k);
        if (!(p > most)) continue;
        most = p;
        why = k;
    }
    return why;
}

/* Longer outputs explain nothing of what speed alone takes longer: that has a reason of its own. */
static bool is_reason(const struct exp_reader *x, const struct exp_compare_row *r, enum reason k)
{
    enum reason main = main_reason(x, r, false);
    bool slower = main == LONGER && exp_mean(r, EXP_E2EL_SPEED) > EXP_NOTABLE;
    return k == main || (slower && k == main_reason(x, r, true));
}

/* What the copies wait for most; EXP_N_STATIONS where that is not known. */
static enum exp_station limiting_station(const struct exp_anatomy *a)
{
    enum exp_station most = EXP_N_STATIONS;
    for (enum exp_station k = 0; k < EXP_N_STATIONS; k++)
        if (a->station_s[k] > (most == EXP_N_STATIONS ? 0 : a->station_s[most])) most = k;
    return most;
}

static void put_exposed(const struct exp_reader *x, const struct exp_compare_row *r)
{
    enum exp_station station = limiting_station(&r->anatomy);
    fprintf(x->out, "%.0f %% of step time, ", exp_percent(r, EXP_EXPOSED));
    if (station != EXP_N_STATIONS) fprintf(x->out, "mostly %s, ", exp_station_name(station));
    fprintf(x->out, "link %.0f %% busy", exp_percent(r, EXP_LINK_BUSY));
}

static void put_kernel(const struct exp_reader *x, const struct exp_compare_row *r)
{
    fprintf(x->out, "%.2fx", r->anatomy.attention_s / x->full->anatomy.attention_s);
}

static void put_step(const struct exp_reader *x, const struct exp_compare_row *r, double more_s)
{
    fprintf(x->out, "%+.2g ms", 1e3 * more_s);
    if (strcmp(r->graphs, "yes") != 0) fprintf(x->out, ", CUDA graphs: %s", r->graphs);
}

static void put_extra(const struct exp_reader *x, const struct exp_compare_row *r)
{
    put_step(x, r, other_s(&r->anatomy) - other_s(&x->full->anatomy));
}

static void put_host(const struct exp_reader *x, const struct exp_compare_row *r)
{
    put_step(x, r, r->anatomy.host_s - x->full->anatomy.host_s);
}

static void put_prefill(const struct exp_reader *x, const struct exp_compare_row *r)
{
    if (r->anatomy.prefill_s > 0)
        fprintf(x->out, "%.2fx, ", r->anatomy.prefill_s / x->full->anatomy.prefill_s);
    fputs("TTFT ", x->out);
    exp_reader_signed(x, r->delta[EXP_TTFT_MEAN].mean);
}

static void put_longer(const struct exp_reader *x, const struct exp_compare_row *r)
{
    fprintf(x->out, "%.2fx, ", 1 + exp_mean(r, EXP_LENGTH_MEAN));
    exp_reader_signed(x, exp_mean(r, EXP_E2EL_LONGER));
    fputs(" of E2EL, speed alone ", x->out);
    exp_reader_signed(x, exp_mean(r, EXP_E2EL_SPEED));
}

static void put_room(const struct exp_reader *x, const struct exp_compare_row *r)
{
    exp_reader_signed(x, r->delta[EXP_GPU_KV].mean);
    fprintf(x->out, " GPU memory for 1K tokens, at most %s running",
            exp_count_words(exp_mean(r, EXP_MAX_RUNNING)).text);
}

static void put_slower(const struct exp_reader *x, const struct exp_compare_row *r)
{
    exp_reader_e2el(x, r);
    fprintf(x->out, ", queueing %s", exp_ms_words(exp_mean(r, EXP_QUEUE)).text);
}

static const struct {
    const char *before;
    void (*figures)(const struct exp_reader *x, const struct exp_compare_row *r);
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
    [NO_GAIN] = {"Little changes", exp_reader_e2el},
};

static void read_losers(const struct exp_reader *x)
{
    for (enum reason k = 0; k < N_REASONS; k++) {
        struct exp_names names = {.n = 0};
        for (uint32_t i = 0; i < x->c->n_rows; i++) {
            const struct exp_compare_row *r = &x->c->row[i];
            if (r == x->full || !exp_reader_completes(x, r) || exp_reader_wins(x, r) || !is_reason(x, r, k))
                continue;
            exp_names_add(&names, i, k < N_PRICES ? price(x, r, k) : -r->delta[EXP_E2EL_MEAN].mean);
        }
        if (!names.n) continue;
        fprintf(x->out, " %s: ", words[k].before);
        exp_reader_names(x, &names, words[k].figures);
        fputc('.', x->out);
    }
}

static void put_completed(const struct exp_reader *x, const struct exp_compare_row *r)
{
    fprintf(x->out, "%.0f %% completed", exp_percent(r, EXP_COMPLETED));
}

static void read_incomplete(const struct exp_reader *x)
{
    struct exp_names names = {.n = 0};
    for (uint32_t i = 0; i < x->c->n_rows; i++)
        if (exp_ran(&x->c->row[i]) && !exp_reader_completes(x, &x->c->row[i]))
            exp_names_add(&names, i, exp_mean(&x->c->row[i], EXP_COMPLETED));
    if (!names.n) return;
    fputs(" Requests are left undone by ", x->out);
    exp_reader_names(x, &names, put_completed);
    fprintf(x->out, "; full completes %.0f %%.", exp_percent(x->full, EXP_COMPLETED));
}

static void read_overloaded(const struct exp_reader *x)
{
    struct exp_names names = {.n = 0};
    for (uint32_t i = 0; i < x->c->n_rows; i++)
        if (exp_ran(&x->c->row[i]) && x->c->row[i].load_state > x->full->load_state)
            exp_names_add(&names, i, -(double)i);
    if (!names.n) return;
    fputs(" The load is not kept up with under ", x->out);
    exp_reader_names(x, &names, NULL);
    fprintf(x->out, "; under full it is %s.", sim_load_state_name(x->full->load_state));
}

void exp_reader_losers(const struct exp_reader *x)
{
    read_losers(x);
    read_incomplete(x);
    read_overloaded(x);
}
