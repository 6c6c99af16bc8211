#include "experiments/command.h"

#include <string.h>

#include "models/yaml.h"

static const struct exp_command commands[] = {
    {"run", "simulate a scenario: latency, throughput, service levels, memory", exp_cmd_run},
    {"trace", "look at, convert and make request traces", exp_cmd_trace},
    {"calib", "turn measured operator tables into GPU profiles, and check them", exp_cmd_calib},
    {"validate", "compare predictions with measured serving points", exp_cmd_validate},
    {"list", "models, GPUs, strategies, profiles, routers, engines, scenario keys", exp_cmd_list},
    {"init", "write a commented scenario that runs as it is", exp_cmd_init},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

size_t exp_command_count(void)
{
    return N_COMMANDS;
}

const struct exp_command *exp_command_at(size_t i)
{
    return &commands[i];
}

const struct exp_command *exp_command_find(const char *name, struct sim_status *st)
{
    const char *names[N_COMMANDS + 1] = {0};
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
        names[i] = commands[i].name;
    }
    sim_fail_as(st, SIM_EXIT_USAGE, "kvsim: unknown command `%.40s`, expected one of those in `kvsim --help`; did you mean `%s`?",
                name, mdl_nearest(name, names));
    return NULL;
}
