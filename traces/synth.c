#include "traces/synth.h"

#include "sim/memory.h"
#include "traces/arrivals.h"
#include "traces/dist.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024 };

static const double MAX_TIME_S = 9e9, MAX_REQUESTS = 1e9;

/* One kind of length: its distribution and the range around what it draws, each with its own stream. */
struct length_source {
    const struct trc_dist *dist;
    struct trc_rng draws, ranges;
    double lo, hi;
};

static void init_source(struct length_source *s, const struct trc_synth *spec, bool is_input)
{
    s->dist = is_input ? &spec->input : &spec->output;
    trc_rng_init(&s->draws, spec->seed, is_input ? "input lengths" : "output lengths");
    trc_rng_init(&s->ranges, spec->seed, is_input ? "input range" : "output range");
    s->lo = spec->length_lo == 0.0 && spec->length_hi == 0.0 ? 1.0 : spec->length_lo;
    s->hi = spec->length_lo == 0.0 && spec->length_hi == 0.0 ? 1.0 : spec->length_hi;
}

static uint32_t draw_length(struct length_source *s)
{
    uint32_t length = trc_dist_draw(s->dist, &s->draws);
    if (s->lo == 1.0 && s->hi == 1.0) return length;
    double low = ceil(s->lo * length), high = floor(s->hi * length);
    if (low < 1.0) low = 1.0;
    if (high > 4294967295.0) high = 4294967295.0;
    if (high <= low) return (uint32_t)(high < 1.0 ? 1.0 : high);
    return (uint32_t)(low + floor(gsl_rng_uniform(&s->ranges.gsl) * (high - low + 1.0)));
}

static bool check_spec(const struct trc_synth *spec, struct sim_status *st)
{
    if (spec->n_requests == 0 && !(spec->duration_s > 0.0))
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "nothing ends the trace, expected num_requests or a duration > 0");
    if (spec->duration_s < 0.0 || spec->duration_s > MAX_TIME_S || isnan(spec->duration_s))
        return sim_fail_as(st, SIM_EXIT_USAGE, "duration_s %g: expected 0 to 9e9 seconds; correct it",
                           spec->duration_s);
    if (spec->n_requests == 0 && spec->duration_s * spec->request_rate > MAX_REQUESTS)
        return sim_fail_as(
            st, SIM_EXIT_USAGE,
            "%g requests/s for %g s are %g requests, expected at most 1e9; shorten the duration or give "
            "num_requests",
            spec->request_rate, spec->duration_s, spec->duration_s * spec->request_rate);
    bool range_ok = spec->length_lo >= 0.0 && spec->length_hi >= spec->length_lo && spec->length_hi <= 1e6;
    if (!range_ok)
        return sim_fail_as(st, SIM_EXIT_USAGE, "length_range [%g, %g]: expected 0 <= lo <= hi; correct it",
                           spec->length_lo, spec->length_hi);
    return trc_dist_check(&spec->input, "input", st) && trc_dist_check(&spec->output, "output", st);
}

static void add_request(struct trc_trace *t, uint64_t *room, struct sim_request r)
{
    if (t->n_requests == *room) {
        *room = *room ? *room + *room / 2 : FIRST_ROOM;
        t->requests = sim_realloc(t->requests, *room, sizeof *t->requests);
    }
    t->requests[t->n_requests++] = r;
}

static bool generate(struct trc_trace *t, struct trc_arrival_state *arrivals, struct sim_status *st)
{
    const struct trc_synth *spec = arrivals->spec;
    struct length_source input, output;
    init_source(&input, spec, true);
    init_source(&output, spec, false);
    uint64_t room = 0, n_most = spec->n_requests ? spec->n_requests : UINT64_MAX;
    while (t->n_requests < n_most) {
        double time_s = trc_arrivals_next(arrivals);
        if (spec->duration_s > 0.0 && time_s > spec->duration_s) break;
        if (!(time_s <= MAX_TIME_S))
            return sim_fail_as(st, SIM_EXIT_USAGE,
                               "the trace runs beyond 285 years, expected a higher request_rate "
                               "or fewer requests; correct it");
        struct sim_request r = {.arrival_s = floor(time_s * 1e6 + 0.5) / 1e6};
        r.input_tokens = draw_length(&input);
        r.output_tokens = draw_length(&output);
        add_request(t, &room, r);
    }
    return t->n_requests > 0 || sim_fail_as(st, SIM_EXIT_USAGE,
                                            "no request arrives within %g s, expected one or more; "
                                            "raise request_rate or the duration",
                                            spec->duration_s);
}

struct trc_trace *trc_synth(const struct trc_synth *spec, struct sim_status *st)
{
    if (!check_spec(spec, st)) return NULL;
    struct trc_trace *t = sim_alloc(1, sizeof *t);
    struct trc_arrival_state arrivals;
    strcpy(t->dialect, "synthetic");
    t->has_arrivals = true;
    t->ignored_columns = sim_strdup("");
    bool ok = trc_arrivals_init(&arrivals, spec, st) && generate(t, &arrivals, st);
    trc_arrivals_fini(&arrivals);
    if (ok) {
        t->requests = sim_realloc(t->requests, t->n_requests, sizeof *t->requests);
        return t;
    }
    trc_free(t);
    return NULL;
}

void trc_synth_fini(struct trc_synth *spec)
{
    trc_dist_fini(&spec->input);
    trc_dist_fini(&spec->output);
}
