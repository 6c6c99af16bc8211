#include "kernels/kvbench/command.h"

const struct kvb_command kvb_commands[] = {
    {"list", "kernels, probes and devices, and what is not available here", kvb_cmd_list},
    {"check", "every kernel against its reference", kvb_cmd_check},
    {"run", "measure this device and write a profile", kvb_cmd_run},
    {"replay", "execute the batches of a plan that kvsim exported", kvb_cmd_replay},
    {0},
};
