#include "sim/scheduler.h"

#include <string.h>

static const struct sim_scheduler *const schedulers[] = {&sim_scheduler_vllm_v1};

size_t sim_scheduler_count(void)
{
    return sizeof schedulers / sizeof *schedulers;
}

const struct sim_scheduler *sim_scheduler_at(size_t i)
{
    return schedulers[i];
}

const struct sim_scheduler *sim_scheduler_find(const char *name)
{
    for (size_t i = 0; i < sim_scheduler_count(); i++)
        if (strcmp(schedulers[i]->name, name) == 0) return schedulers[i];
    return NULL;
}
