/* Arrival processes of synthesis. Each is a rate over time and a renewal process run at that rate: the gaps
 * are drawn in "operational time", where the mean is 1, and stretched by the rate of the moment, so that a
 * varying rate is met exactly and without thinning. ON-OFF bursts are drawn directly. A new process is one
 * row of the table in arrivals.c. */
#ifndef KVSIM_TRACES_ARRIVALS_H
#define KVSIM_TRACES_ARRIVALS_H

#include "traces/synth.h"
#include "traces/synth_rng.h"

struct trc_arrival_state {
    const struct trc_synth *spec;
    struct trc_rng gaps, states; /* streams "arrival gaps" and "arrival states" */
    double now_s;
    double shape;                       /* gamma shape of the gaps, mean 1 */
    bool is_busy;                       /* MMPP */
    double state_end_s;                 /* MMPP */
    double *curve_start_s, *curve_rate; /* steps; curve_start_s[n_steps] is the end */
    size_t n_steps, step;
    double curve_base_s; /* start of the present repetition */
    double burst_left, burst_gap_s, burst_gap_shape, pause_mean_s;
};

/* Checks the spec and reads its curve. Call trc_arrivals_fini either way. */
bool trc_arrivals_init(struct trc_arrival_state *a, const struct trc_synth *spec, struct sim_status *st);

/* Time of the next arrival, seconds, never before the last one. */
double trc_arrivals_next(struct trc_arrival_state *a);
void trc_arrivals_fini(struct trc_arrival_state *a);

#endif
