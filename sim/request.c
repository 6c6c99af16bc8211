#include "sim/request.h"

#include "sim/check.h"

const char *sim_outcome_name(enum sim_outcome_status status)
{
    static const char *const names[SIM_N_OUTCOME] = {"not_arrived", "unfinished", "completed",
                                                     "rejected_too_long"};
    SIM_CHECK(status < SIM_N_OUTCOME);
    return names[status];
}
