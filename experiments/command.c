#include "experiments/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/yaml.h"
#include "sim/line_in.h"
#include "sim/memory.h"

static const struct exp_command commands[] = {
    {"run", "simulate a scenario: latency, throughput, service levels, memory", exp_cmd_run},
    {"compare", "KV-cache strategies side by side on one load, and why they differ", exp_cmd_compare},
    {"sweep", "a study: grids, lists and samples over any key, on many cores or machines", exp_cmd_sweep},
    {"plan", "the cheapest fleet that meets the service levels: cost, payback, risk", exp_cmd_plan},
    {"tune", "the best setting of a KV strategy for a load, and how flat it is", exp_cmd_tune},
    {"quality", "per-sample failures of a KV strategy, and what to keep from it", exp_cmd_quality},
    {"pilot", "what to measure before money is spent", exp_cmd_pilot},
    {"report", "what was found as one page for a browser, as Markdown or CSV", exp_cmd_report},
    {"trace", "look at, convert and make request traces", exp_cmd_trace},
    {"calib", "turn measured operator tables into GPU profiles, and check them", exp_cmd_calib},
    {"validate", "compare predictions with measured serving points", exp_cmd_validate},
    {"list", "models, GPUs, strategies, profiles, routers, engines, scenario keys", exp_cmd_list},
    {"published", "set predictions beside published measurements", exp_cmd_published},
    {"init", "write a commented scenario, study or plan that runs as it is", exp_cmd_init},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0], MAX_COMMANDS = 16 };

size_t exp_command_count(void)
{
    return N_COMMANDS;
}

const struct exp_command *exp_command_at(size_t i)
{
    return &commands[i];
}

static const struct exp_command *find(const struct exp_command *table, size_t n, const char *name,
                                      const char *under, struct sim_status *st)
{
    const char *names[MAX_COMMANDS + 1] = {0};
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) == 0) return &table[i];
        names[i] = table[i].name;
    }
    sim_fail_as(st, SIM_EXIT_USAGE, "%s: unknown command `%s`, expected one of those in `%s --help`%s", under,
                sim_excerpt(name, strlen(name)).text, under, mdl_hint(name, names).text);
    return NULL;
}

const struct exp_command *exp_command_find(const char *name, struct sim_status *st)
{
    return find(commands, N_COMMANDS, name, "kvsim", st);
}

bool exp_is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0 || strcmp(word, "-h") == 0 ||
           strcmp(word, "help") == 0;
}

bool exp_dispatch(const struct exp_command *subcommands, size_t n, int argc, char **argv,
                  struct sim_status *st)
{
    const char *what = argc > 1 ? argv[1] : "--help";
    if (exp_is_help(what)) {
        printf("Usage: %s COMMAND [options] ARGS\n\nCommands:\n", argv[0]);
        for (size_t i = 0; i < n; i++) printf("  %-9s %s\n", subcommands[i].name, subcommands[i].help);
        printf("\n%s COMMAND --help explains a command.\n", argv[0]);
        return argc > 1 ||
               sim_fail_as(st, SIM_EXIT_USAGE, "%s: no command given, expected one of those above", argv[0]);
    }
    const struct exp_command *command = find(subcommands, n, what, argv[0], st);
    if (!command) return false;
    char *name = sim_printf("%s %s", argv[0], command->name);
    argv[1] = name;
    bool ok = command->run(argc - 1, argv + 1, st);
    free(name);
    return ok;
}
