/* What launchers of parallel programs tell in the environment. */
#include "experiments/study/ranks.h"

#include <stdlib.h>

/* The largest number among variables of these names; 0 when none is set. */
static unsigned long largest(const char *const *names)
{
    unsigned long most = 0;
    for (; *names; names++) {
        const char *text = getenv(*names);
        unsigned long n = text ? strtoul(text, NULL, 10) : 0;
        if (n > most && n < UINT32_MAX) most = n;
    }
    return most;
}

/* Open MPI's mpirun, MPICH's and others', srun. A batch script of Slurm has none of these. */
uint32_t exp_ranks_started(void)
{
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", NULL};
    unsigned long n = largest(sizes);
    return n > 1 ? (uint32_t)n : 1;
}

bool exp_ranks_is_first(void)
{
    static const char *const ranks[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID", NULL};
    return exp_ranks_started() == 1 || largest(ranks) == 0;
}
