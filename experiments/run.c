#include "experiments/run.h"

#include <stdlib.h>

#include "sim/memory.h"

static void simulate(struct exp_run *r, const struct exp_run_options *o)
{
    struct sim_config *config = &r->setup->config;
    config->fast_forward = !o->no_fast_forward && !o->plan;
    if (o->plan) {
        exp_batches_out_trace(o->plan, r->setup->workload.trace);
        config->plan_row = exp_batches_out_row;
        config->plan_user = o->plan;
    }
    config->timeline_points = o->timeline_points;
    config->progress = o->progress;
    config->progress_user = o->progress_user;
    double begin_s = exp_clock_s();
    r->result = sim_run(config);
    r->report = sim_report_new(config, r->result);
    double wall_s = exp_clock_s() - begin_s;
    r->timing = (struct exp_timing){.setup_wall_s = r->setup->wall_s,
                                    .sim_wall_s = wall_s,
                                    .simulated_requests_per_s =
                                        wall_s > 0 ? (double)r->report->all.arrived / wall_s : 0};
    r->figures = exp_figures_new(r->setup, r->report, &r->timing);
}

struct exp_run *exp_run_new(const struct exp_scenario *s, struct exp_cache *cache,
                            const struct exp_run_options *options, struct sim_status *st)
{
    struct exp_run_options defaults = {0};
    struct exp_setup *setup = exp_setup_new(s, cache, options ? options->factors : NULL, st);
    if (!setup) return NULL;
    struct exp_run *r = sim_alloc(1, sizeof *r);
    r->setup = setup;
    simulate(r, options ? options : &defaults);
    return r;
}

void exp_run_free(struct exp_run *r)
{
    if (!r) return;
    exp_figures_free(r->figures);
    sim_report_free(r->report);
    sim_result_free(r->result);
    exp_setup_free(r->setup);
    free(r);
}
