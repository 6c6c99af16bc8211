/* Where a number comes from. Never mixed up in code or in print; ordered from best to worst, so that the
 * evidence of a combination is the maximum of its parts. */
#ifndef KVSIM_SIM_EVIDENCE_H
#define KVSIM_SIM_EVIDENCE_H

enum sim_evidence {
    SIM_MEASURED,     /* a grid point that was measured on this GPU */
    SIM_INTERPOLATED, /* between measured points of this GPU */
    SIM_EXTRAPOLATED, /* outside the measured range of this GPU */
    SIM_TRANSFERRED,  /* measured on another card, moved by its ceilings */
    SIM_ANALYTIC,     /* datasheet peaks and typical utilisation */
    SIM_N_EVIDENCE
};

/* "measured" ... "analytic". */
const char *sim_evidence_name(enum sim_evidence how);

#endif
