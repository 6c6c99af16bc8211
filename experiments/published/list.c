/* The studies, in the order in which `kvsim published` lists them. */
#include "experiments/published/list.h"

#include <string.h>

#include "models/yaml.h"

static const struct exp_study studies[] = {
    {"p1-throughput", "prefill and decode throughput of LMDeploy on an A6000, five methods (paper 1)",
     "rethink", exp_published_p1_throughput},
    {"p1-tp", "gains of four methods over fp16 at tensor parallelism 1, 2 and 4: signs (paper 1, Table 3)",
     NULL, exp_published_p1_tp},
    {"p1-routing",
     "1000 requests on four GPUs behind routers that predict throughput, length or both (paper 1, Table 8)",
     NULL, exp_published_p1_routing},
    {"p2-absolute", "decode steps of FreeKV, ArkVale and RaaS on an RTX PRO 6000, by a third party (paper 2)",
     NULL, exp_published_p2_absolute},
    {"p2-speedups",
     "speed-ups of FreeKV over ArkVale, ShadowKV and InfiniGen on an A100, and of its parts (paper 2)", NULL,
     exp_published_p2_speedups},
    {"memory", "bytes of a sequence under every strategy against closed forms and printed sizes", NULL,
     exp_published_memory},
};
enum { N_STUDIES = sizeof studies / sizeof *studies };

size_t exp_study_count(void)
{
    return N_STUDIES;
}

const struct exp_study *exp_study_at(size_t i)
{
    return i < N_STUDIES ? &studies[i] : NULL;
}

const struct exp_study *exp_study_find(const char *name, struct sim_status *st)
{
    const char *names[N_STUDIES + 1] = {0};
    for (size_t i = 0; i < N_STUDIES; i++) {
        if (strcmp(studies[i].name, name) == 0) return &studies[i];
        names[i] = studies[i].name;
    }
    sim_fail_as(st, SIM_EXIT_USAGE,
                "kvsim published: unknown study `%.40s`, expected one that `kvsim published` lists%s", name,
                mdl_hint(name, names).text);
    return NULL;
}
