/* `kvsim validate --steps PLAN MEASURED`: an executed plan against its price. */
#ifndef KVSIM_EXPERIMENTS_CMD_VALIDATE_STEPS_H
#define KVSIM_EXPERIMENTS_CMD_VALIDATE_STEPS_H

#include "sim/status.h"

#include <stdint.h>

struct exp_validate_steps {
    const char *plan, *measured, *scenario;
    const char *const *set; /* KEY=VALUE, n_sets of them */
    uint32_t n_sets;
    bool json;
};

bool exp_validate_steps(const struct exp_validate_steps *a, struct sim_status *st);

#endif
