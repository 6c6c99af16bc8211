#include "sim/evidence.h"

#include "sim/check.h"

const char *sim_evidence_name(enum sim_evidence how)
{
    static const char *const names[SIM_N_EVIDENCE] = {"measured", "interpolated", "extrapolated",
                                                      "transferred", "analytic"};
    SIM_CHECK(how < SIM_N_EVIDENCE);
    return names[how];
}
