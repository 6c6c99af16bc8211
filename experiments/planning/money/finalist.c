#include "experiments/planning/money/finalist.h"

#include <stdio.h>
#include <string.h>

static bool make_economies(const struct exp_plan *plan, const struct mdl_prices *prices,
                           struct exp_finalist *f, struct sim_status *st)
{
    struct exp_world expected = exp_world_expected();
    struct sim_status why = {0};
    bool any = false;
    for (int a = 0; a < EXP_N_ACQUIRE; a++) {
        f->can_acquire[a] = plan->acquire[a] && exp_economy_make(plan, prices, f->entry, &f->response,
                                                                 (enum exp_acquire)a, &f->economy[a], &why);
        if (!f->can_acquire[a]) continue;
        if (a == EXP_MIX) exp_economy_choose_mix(&f->economy[a]);
        exp_cash_flow(&f->economy[a], &expected, &f->cash[a]);
        if (!any || f->cash[a].total < f->cash[f->best].total) f->best = (enum exp_acquire)a;
        any = true;
    }
    return any || sim_fail_as(st, why.code, "%s", why.message);
}

/* For the integrator: the settings that the simulated engine had. */
static bool take_engine(const struct exp_plan *plan, struct exp_cache *cache, struct exp_loads *loads,
                        struct exp_finalist *f, struct sim_status *st)
{
    struct exp_trial *t = exp_trial_new(plan, &f->entry->candidate, cache, loads, NULL, st);
    if (!t) return false;
    const struct exp_setup *u = exp_trial_setup(t);
    const struct exp_fleet_setup *fleet = &u->fleets[u->n_fleets - 1];
    snprintf(f->engine, sizeof f->engine, "%s", fleet->engine.name);
    memcpy(f->engine_setting, fleet->settings, sizeof f->engine_setting);
    exp_trial_free(t);
    return true;
}

bool exp_finalist_make(const struct exp_plan *plan, const struct mdl_prices *prices,
                       const struct exp_search *search, uint32_t entry, struct exp_cache *cache,
                       struct exp_loads *loads, uint32_t n_threads, struct exp_finalist *out,
                       struct sim_status *st)
{
    *out = (struct exp_finalist){.entry = &search->entry[entry]};
    return exp_response_make(plan, out->entry, cache, loads, n_threads, &out->response, st) &&
           exp_failsafe_make(plan, out->entry, cache, loads, n_threads, &out->failsafe, st) &&
           make_economies(plan, prices, out, st) && take_engine(plan, cache, loads, out, st);
}
