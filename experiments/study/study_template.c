/* `kvsim init study`: every construct of a study file, with values that run on the sample that ships in seconds. */
#include <stdlib.h>

#include "experiments/study/study_file.h"
#include "experiments/value_text.h"

static const char head[] = "# A kvsim study: one scenario, and what to change in it. Every key of a scenario "
                           "may vary (`kvsim list keys`),\n"
                           "# and `strategy`, which is the KV strategy of every fleet with its parameters "
                           "(`kvsim list strategies`).\n"
                           "# Points are all combinations of what stands in grid, list and random; `kvsim "
                           "sweep THIS --dry-run` counts them.\n"
                           "# Relative paths start at this file's folder.\n"
                           "\n"
                           "# name: strategies-over-load       # of the study; default: this file's name\n"
                           "# note: one line for the report\n";

static const char body[] =
    "\n"
    "# set:                             # of every point\n"
    "#   workload.max_requests: 2000\n"
    "#   slo: {ttft_ms: 500, tpot_ms: 50}\n"
    "\n"
    "grid:                              # every combination\n"
    "  strategy: [full, fp8, kivi4]     # or with parameters, freekv:budget=1024; `all` is the whole "
    "catalogue\n"
    "  workload.multiply: {from: 1, to: 16, count: 5, scale: log}  # or values, [1, 2, 4]; or {from: 1, to: "
    "9, step: 2}\n"
    "\n"
    "# list:                            # settings that belong together: one point each, times the grid\n"
    "#   - {fleet.0.gpu: h100-sxm, fleet.0.tensor_parallel: 1}\n"
    "#   - {fleet.0.gpu: a100-80-sxm, fleet.0.tensor_parallel: 2}\n"
    "#                                  # or lists with names, of which tables show these alone:\n"
    "#                                  # traffic: [{name: chat, workload.trace: chat.csv}, {name: code, "
    "...}]\n"
    "\n"
    "# random:                          # so many samples, times the grid and the list\n"
    "#   samples: 100\n"
    "#   seed: 1\n"
    "#   method: latin_hypercube        # or uniform\n"
    "#   keys:\n"
    "#     engine.max_num_batched_tokens: {from: 512, to: 16384, scale: log}\n"
    "#     router: [round_robin, least_outstanding]\n"
    "\n"
    "# replications: 16                 # error bands of every point; default: none\n"
    "# prices: quote.yaml               # over the prices that ship\n";

void exp_study_template(const char *scenario, FILE *out)
{
    char *path = exp_yaml_scalar(scenario);
    fprintf(out, "%sscenario: %s\n%s", head, path, body);
    free(path);
}
