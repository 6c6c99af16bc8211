#include "experiments/steps.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "experiments/replay_facts.h"
#include "sim/csv_in.h"
#include "sim/lengthshift.h"
#include "sim/memory.h"
#include "sim/replica.h"

/* --- what was measured --- */

static const double MAX_S = 1e9; /* of a step: beyond, sums and ratios mean nothing */

/* What a step executes, as kvbench counts it; 0 everywhere: not told. */
struct content {
    uint64_t seqs, new_tokens, kv_tokens;
};

struct sample {
    uint64_t step;
    uint32_t replica;
    double seconds;
    struct content of;
};

struct samples {
    struct sample *sample;
    size_t n, room;
    int step, replica, measured;
    int seqs, new_tokens, kv_tokens; /* below 0: the file has no such column */
};

static int by_step(const void *va, const void *vb)
{
    const struct sample *a = va, *b = vb;
    if (a->replica != b->replica) return a->replica < b->replica ? -1 : 1;
    if (a->step != b->step) return a->step < b->step ? -1 : 1;
    return (a->seconds > b->seconds) - (a->seconds < b->seconds);
}

static bool need_column(const struct sim_csv_row *row, const char *name, int *out, struct sim_status *st)
{
    *out = sim_csv_column(row, name);
    return *out >= 0 || sim_fail(st, "%s:%" PRIu64 ": no column `%s`, expected what kvbench replay writes",
                                 row->path, row->line, name);
}

static bool read_header(struct samples *s, const struct sim_csv_row *row, struct sim_status *st)
{
    s->seqs = sim_csv_column(row, "seqs");
    s->new_tokens = sim_csv_column(row, "new_tokens");
    s->kv_tokens = sim_csv_column(row, "kv_tokens");
    return need_column(row, "step", &s->step, st) && need_column(row, "replica", &s->replica, st) &&
           need_column(row, "measured_s", &s->measured, st);
}

static bool read_content(const struct samples *s, const struct sim_csv_row *row, struct content *out,
                         struct sim_status *st)
{
    *out = (struct content){0};
    if (s->seqs < 0 || s->new_tokens < 0 || s->kv_tokens < 0) return true;
    return sim_csv_u64(row, s->seqs, "seqs", &out->seqs, st) &&
           sim_csv_u64(row, s->new_tokens, "new_tokens", &out->new_tokens, st) &&
           sim_csv_u64(row, s->kv_tokens, "kv_tokens", &out->kv_tokens, st);
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct samples *s = user;
    struct sample x;
    uint64_t replica;
    if (index == 0) return read_header(s, row, st);
    if (!sim_csv_u64(row, s->step, "step", &x.step, st) ||
        !sim_csv_u64(row, s->replica, "replica", &replica, st) ||
        !sim_csv_double(row, s->measured, "measured_s", &x.seconds, st) || !read_content(s, row, &x.of, st))
        return false;
    if (!(x.seconds > 0 && x.seconds <= MAX_S) || replica > UINT32_MAX)
        return sim_fail(
            st, "%s:%" PRIu64 ": measured_s %g of replica %" PRIu64 ", expected seconds above 0, at most %g",
            row->path, row->line, x.seconds, replica, MAX_S);
    x.replica = (uint32_t)replica;
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        s->sample = sim_realloc(s->sample, s->room, sizeof *s->sample);
    }
    s->sample[s->n++] = x;
    return true;
}

static bool read_samples(const char *path, struct samples *s, struct sim_status *st)
{
    if (!sim_csv_read(path, on_row, s, st)) return false;
    if (!s->n) return sim_fail(st, "%s: a header and no rows, expected one row per step and repeat", path);
    qsort(s->sample, s->n, sizeof *s->sample, by_step);
    return true;
}

/* The repeats of a step, ascending; how many. */
static size_t find(const struct samples *s, const struct exp_batches_step *step, const struct sample **first)
{
    struct sample key = {.step = step->step, .replica = step->replica};
    size_t lo = 0, hi = s->n, n = 0;
    while (lo < hi) { /* the first that is not before the key: times are above 0 */
        size_t middle = lo + (hi - lo) / 2;
        if (by_step(&s->sample[middle], &key) < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    *first = &s->sample[lo];
    while (lo + n < s->n && s->sample[lo + n].step == step->step &&
           s->sample[lo + n].replica == step->replica)
        n++;
    return n;
}

/* --- is it this plan's measurement? --- */

static struct content content_of(const struct exp_batches *p, const struct exp_batches_step *s)
{
    struct content c = {0};
    for (size_t i = s->first; i < s->first + s->n_rows; i++) {
        const struct exp_batches_row *row = &p->rows[i];
        c.seqs += row->new_tokens > 0;
        c.new_tokens += row->new_tokens;
        if (row->new_tokens == 1 && row->past_tokens) c.kv_tokens += (uint64_t)row->past_tokens + 1;
    }
    return c;
}

static bool check_content(const struct exp_batches *p, const struct exp_batches_step *step,
                          const struct content *found, const char *path, struct sim_status *st)
{
    struct content planned = content_of(p, step);
    if (!found->seqs || (found->seqs == planned.seqs && found->new_tokens == planned.new_tokens &&
                         found->kv_tokens == planned.kv_tokens))
        return true;
    return sim_fail(st,
                    "%s: step %" PRIu64 " of replica %" PRIu32 " was executed with %" PRIu64
                    " sequences, %" PRIu64 " new tokens and %" PRIu64 " in the cache, the plan has %" PRIu64
                    ", %" PRIu64 " and %" PRIu64 "; name the plan that was replayed",
                    path, step->step, step->replica, found->seqs, found->new_tokens, found->kv_tokens,
                    planned.seqs, planned.new_tokens, planned.kv_tokens);
}

/* --- is it this scenario's plan? --- */

static const struct sim_fleet *fleet_of(const struct exp_setup *u, uint32_t replica)
{
    uint32_t f = 0;
    while (f + 1 < u->n_fleets && replica >= u->sim_fleets[f].n_replicas)
        replica -= u->sim_fleets[f++].n_replicas;
    return &u->sim_fleets[f];
}

/* Other loads often have the same ids, 0 to n; their arrivals and lengths differ. */
static bool check_plan(const struct exp_batches *p, const struct exp_setup *u, bool *ends, const char *path,
                       struct sim_status *st)
{
    uint64_t n_replicas = 0;
    for (uint32_t f = 0; f < u->n_fleets; f++) n_replicas += u->sim_fleets[f].n_replicas;
    bool open_loop = u->config.load.concurrency == 0;
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct exp_batches_step *s = &p->steps[i];
        const char *wrong = s->replica >= n_replicas ? "the scenario has fewer replicas" : NULL;
        for (size_t r = s->first; !wrong && r < s->first + s->n_rows; r++) {
            const struct exp_batches_row *row = &p->rows[r];
            const struct sim_request *q = &u->config.load.requests[row->request];
            if (open_loop && s->start_s < q->arrival_s)
                wrong = "a request starts before the scenario's arrives";
            uint64_t tokens = (uint64_t)row->past_tokens + row->new_tokens,
                     most = q->input_tokens + (uint64_t)sim_shifted_tokens(fleet_of(u, s->replica), q,
                                                                           u->config.seed, row->request);
            *ends |= row->new_tokens && tokens + 1 == most; /* the last token is not computed on */
            if (tokens > most) wrong = "a request has more tokens than the scenario's";
        }
        if (wrong)
            return sim_fail(st,
                            "%s: step %" PRIu64 " of replica %" PRIu32
                            ": %s; name the scenario that made the plan, with the same --set",
                            path, s->step, s->replica, wrong);
    }
    return true;
}

/* --- what it should have cost --- */

/* A request that fell back to `full` reads all of its context where others would not. */
static bool fell_back(const struct sim_fleet *f, const struct exp_batches_row *row)
{
    bool limited = f->kv->read_cap != SIM_KV_ALL || f->kv->budget != SIM_KV_ALL;
    return f->plain && limited && row->read_tokens == (uint64_t)row->past_tokens + row->new_tokens;
}

/* What a decode row adds. Where part of a strategy reads everything, rows tell the blend of that and of what is kept. */
static void add_reads(struct sim_reads *reads, const struct exp_batches_row *row, const struct sim_fleet *f)
{
    const struct sim_kv_rule *kv = f->kv;
    double all = (double)row->past_tokens + row->new_tokens, dense_frac = kv ? kv->all_frac : 0;
    double kept = dense_frac < 1 ? (row->read_tokens - dense_frac * all) / (1 - dense_frac) : all;
    reads->n_seqs++;
    reads->kept += (uint64_t)llround(fmax(kept, 0));
    reads->all += (uint64_t)all;
    if (!kv || all <= kv->select_after || fell_back(f, row)) return;
    reads->n_selecting++;
    reads->selecting += (uint64_t)all;
}

/* The batch of a step as the replica would have handed it over; chunks has room for its rows. `generated` tokens of
 * each request before this step, and after it. */
static struct sim_batch batch_of(const struct exp_batches *p, const struct exp_batches_step *s,
                                 const struct exp_setup *u, uint32_t *generated, struct sim_chunk *chunks)
{
    struct sim_batch b = {.chunks = chunks};
    for (size_t i = s->first; i < s->first + s->n_rows; i++) {
        const struct exp_batches_row *row = &p->rows[i];
        uint32_t prompt = u->config.load.requests[row->request].input_tokens;
        if (!row->new_tokens) continue;
        bool last =
            (uint64_t)row->past_tokens + row->new_tokens >= (uint64_t)prompt + generated[row->request];
        b.new_tokens += row->new_tokens;
        b.n_outputs += last;
        generated[row->request] += last;
        if (row->new_tokens == 1 && row->past_tokens >= prompt)
            add_reads(&b.decode, row, fleet_of(u, s->replica));
        else
            chunks[b.n_chunks++] = (struct sim_chunk){row->new_tokens, row->past_tokens, last};
    }
    return b;
}

/* As the replica prices it: decodes alone by their line, else the batch on one stage; with what its rows move at the
 * mean rates, alone on the link. */
static double step_s(const struct sim_cost *cost, const struct sim_batch *b)
{
    struct sim_price p;
    if (b->n_chunks == 0 && b->decode.n_seqs > 0 && cost->n_stages == 1) {
        struct sim_decode_line line;
        cost->decode_line(cost, &b->decode, &line);
        return sim_line_time(&line, &b->decode).step_s;
    }
    cost->price(cost, b, 0, &p);
    return sim_price_alone_s(&p);
}

static void price(const struct exp_steps *x, const struct exp_batches_step *s, const struct exp_setup *u,
                  uint32_t *generated, struct exp_step_trial *t)
{
    struct sim_chunk *chunks = sim_alloc(s->n_rows, sizeof *chunks);
    struct sim_batch b = batch_of(&x->plan, s, u, generated, chunks);
    t->step = s->step;
    t->replica = s->replica;
    t->n_decodes = b.decode.n_seqs;
    t->n_chunks = b.n_chunks;
    t->new_tokens = b.new_tokens;
    t->predicted_s = step_s(fleet_of(u, s->replica)->cost, &b);
    free(chunks);
}

static bool pair(struct exp_steps *x, const struct samples *s, const struct exp_setup *u, const char *path,
                 struct sim_status *st)
{
    uint32_t *generated = sim_alloc(u->config.load.n_requests, sizeof *generated);
    size_t n_used = 0;
    bool ok = true;
    x->trial = sim_alloc(x->plan.n_steps, sizeof *x->trial);
    for (size_t i = 0; ok && i < x->plan.n_steps; i++) {
        const struct sample *first;
        size_t n = find(s, &x->plan.steps[i], &first);
        struct exp_step_trial *t = &x->trial[x->n];
        price(x, &x->plan.steps[i], u, generated, t);
        n_used += n;
        if (!n || !t->new_tokens) continue; /* not measured, or preemptions only */
        ok = check_content(&x->plan, &x->plan.steps[i], &first->of, path, st);
        t->measured_s =
            n % 2 ? first[n / 2].seconds : 0.5 * (first[n / 2 - 1].seconds + first[n / 2].seconds);
        t->noise = first[n - 1].seconds / first[0].seconds - 1;
        if (n > x->n_repeats) x->n_repeats = n;
        x->n++;
    }
    free(generated);
    if (!ok) return false;
    return (x->n && n_used == s->n) ||
           sim_fail(st, "%s: %s in the plan, expected the replay of that plan; name it", path,
                    x->n ? "some of its steps are not" : "none of its steps is");
}

/* --- TTFT and TPOT --- */

/* When each request yields tokens on one replica's clock, whose steps take other times than planned: a step
 * starts as long after the end of the one before as it was planned to. */
struct clock {
    double planned_end_s, end_s;
    bool running;
};

struct life {
    double first_s, last_s; /* of its tokens */
    double arrival_s;       /* on the replica's clock */
    uint32_t tokens;
    bool begun;
};

static double arrival_on(const struct clock *c, double planned_arrival_s, double planned_start_s,
                         double start_s)
{
    /* in an idle gap it keeps its distance to the step that it starts; before, to the end of the last one */
    return planned_arrival_s >= c->planned_end_s ? start_s - (planned_start_s - planned_arrival_s)
                                                 : c->end_s - (c->planned_end_s - planned_arrival_s);
}

static void live(struct exp_steps *x, const struct exp_setup *u, const double *duration_s, struct life *life)
{
    struct clock *clock = sim_alloc(UINT16_MAX + 1, sizeof *clock);
    for (size_t i = 0; i < x->plan.n_steps; i++) {
        const struct exp_batches_step *s = &x->plan.steps[i];
        struct clock *c = &clock[s->replica & UINT16_MAX];
        double start_s = c->running ? c->end_s + (s->start_s - c->planned_end_s) : s->start_s;
        double end_s = start_s + duration_s[i];
        for (size_t r = s->first; r < s->first + s->n_rows; r++) {
            const struct exp_batches_row *row = &x->plan.rows[r];
            const struct sim_request *q = &u->config.load.requests[row->request];
            struct life *l = &life[row->request];
            if (!row->new_tokens) continue;
            if (!l->begun) l->arrival_s = arrival_on(c, q->arrival_s, s->start_s, start_s);
            l->begun = true;
            if (row->past_tokens + row->new_tokens < q->input_tokens + l->tokens) continue;
            if (!l->tokens++) l->first_s = end_s;
            l->last_s = end_s;
        }
        *c = (struct clock){s->start_s + s->duration_s, end_s, true};
    }
    free(clock);
}

static void compare_requests(struct exp_steps *x, const struct exp_setup *u, const struct life *a,
                             const struct life *b)
{
    uint64_t n = u->config.load.n_requests, n_ttft = 0, n_tpot = 0;
    double *room = sim_alloc(4 * n + 1, sizeof *room), *ttft[2] = {room, room + n},
           *tpot[2] = {room + 2 * n, room + 3 * n};
    for (uint64_t i = 0; i < n; i++) {
        if (!a[i].tokens) continue;
        ttft[0][n_ttft] = a[i].first_s - a[i].arrival_s;
        ttft[1][n_ttft++] = b[i].first_s - b[i].arrival_s;
        if (a[i].tokens < 2) continue;
        tpot[0][n_tpot] = (a[i].last_s - a[i].first_s) / (a[i].tokens - 1);
        tpot[1][n_tpot++] = (b[i].last_s - b[i].first_s) / (b[i].tokens - 1);
    }
    x->ttft = exp_errors_of(ttft[0], ttft[1], n_ttft);
    x->tpot = exp_errors_of(tpot[0], tpot[1], n_tpot);
    free(room);
}

/* Only when every step was measured: a request's life has no holes. */
static void compare_lives(struct exp_steps *x, const struct exp_setup *u)
{
    if (x->n != x->plan.n_steps) return;
    uint64_t n = u->config.load.n_requests;
    double *predicted = sim_alloc(2 * x->n, sizeof *predicted), *measured = predicted + x->n;
    struct life *a = sim_alloc(n, sizeof *a), *b = sim_alloc(n, sizeof *b);
    for (size_t i = 0; i < x->n; i++) {
        predicted[i] = x->trial[i].predicted_s;
        measured[i] = x->trial[i].measured_s;
    }
    live(x, u, predicted, a);
    live(x, u, measured, b);
    compare_requests(x, u, a, b);
    free(a);
    free(b);
    free(predicted);
}

/* --- summing up --- */

enum part { ALL, DECODE_ONLY, MIXED };

static struct exp_errors errors_of(const struct exp_steps *x, enum part part)
{
    double *predicted = sim_alloc(2 * x->n, sizeof *predicted), *measured = predicted + x->n;
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++) {
        const struct exp_step_trial *t = &x->trial[i];
        if (part != ALL && (part == MIXED) != (t->n_chunks > 0)) continue;
        predicted[n] = t->predicted_s;
        measured[n++] = t->measured_s;
    }
    struct exp_errors e = exp_errors_of(predicted, measured, n);
    free(predicted);
    return e;
}

static void sum_up(struct exp_steps *x)
{
    double *noise = sim_alloc(x->n, sizeof *noise), predicted_s = 0, measured_s = 0;
    for (size_t i = 0; i < x->n; i++) {
        noise[i] = x->trial[i].noise;
        predicted_s += x->trial[i].predicted_s;
        measured_s += x->trial[i].measured_s;
    }
    gsl_sort(noise, 1, x->n);
    x->noise_median = gsl_stats_quantile_from_sorted_data(noise, 1, x->n, 0.5);
    x->total_error = predicted_s / measured_s - 1;
    x->all = errors_of(x, ALL);
    x->decode_only = errors_of(x, DECODE_ONLY);
    x->mixed = errors_of(x, MIXED);
    free(noise);
}

/* All-reduce is not executed: its price becomes nothing (0 would mean "as the profile says"). */
static struct exp_factors without_allreduce(void)
{
    struct exp_factors f;
    exp_factors_none(&f);
    for (int i = 0; i < EXP_MAX_FLEETS; i++) f.family[i][MDL_ALLREDUCE] = 1e-300;
    return f;
}

bool exp_steps_new(const char *plan_path, const char *measured_path, const struct exp_scenario *s,
                   struct exp_cache *cache, struct exp_steps *out, struct sim_status *st)
{
    struct exp_factors factors = without_allreduce();
    struct exp_steps x = {0};
    struct samples samples = {0};
    struct exp_setup *u = exp_setup_new(s, cache, &factors, st);
    bool ok = u && exp_batches_read(plan_path, u->workload.trace, &x.plan, st) &&
              check_plan(&x.plan, u, &x.ends, plan_path, st) &&
              exp_replay_check(measured_path, plan_path, u, st) &&
              read_samples(measured_path, &samples, st) && pair(&x, &samples, u, measured_path, st);
    if (ok) {
        for (uint32_t f = 0; f < u->n_fleets; f++)
            x.parallel |= u->fleets[f].tensor_parallel > 1 || u->fleets[f].pipeline_parallel > 1;
        sum_up(&x);
        compare_lives(&x, u);
        *out = x;
    } else {
        exp_steps_fini(&x);
    }
    free(samples.sample);
    exp_setup_free(u);
    return ok;
}

void exp_steps_fini(struct exp_steps *x)
{
    exp_batches_fini(&x->plan);
    free(x->trial);
    *x = (struct exp_steps){0};
}
