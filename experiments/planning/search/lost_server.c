#include "experiments/planning/search/lost_server.h"

#include "sim/check.h"
#include "sim/memory.h"

static void drop_group(struct exp_plan *plan, struct exp_candidate *c, uint32_t i)
{
    plan->n_have--;
    for (; i < plan->n_have; i++) {
        plan->have[i] = plan->have[i + 1];
        c->have_gpu[i] = c->have_gpu[i + 1];
        c->have_tensor_parallel[i] = c->have_tensor_parallel[i + 1];
    }
    if (plan->n_have == 0) c->keeps_have = false;
}

struct exp_plan *exp_plan_lose_server(const struct exp_plan *plan, struct exp_candidate *c, uint32_t i)
{
    SIM_CHECK(c->keeps_have && i < plan->n_have && plan->have[i].servers > 0);
    struct exp_plan *less = sim_alloc(1, sizeof *less);
    *less = *plan;
    if (--less->have[i].servers == 0) drop_group(less, c, i);
    return less;
}
