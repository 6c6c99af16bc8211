/* Any bytes through the YAML reader, then a walk over every node with every typed reader. */
#include "models/yaml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct mdl_yaml_node *n)
{
    static const char *const valid[] = {"model", "fleet", NULL};
    struct sim_status st[4] = {{0}};
    double number;
    uint64_t whole;
    bool truth;
    mdl_yaml_double(n, "n", &number, &st[0]);
    mdl_yaml_u64(n, "n", &whole, &st[1]);
    mdl_yaml_bool(n, "n", &truth, &st[2]);
    for (size_t i = 0; i < mdl_yaml_size(n); i++) {
        if (mdl_yaml_kind(n) == MDL_YAML_MAP) {
            mdl_yaml_unknown_key(n, i, valid, &st[3]);
            if (mdl_yaml_get(n, mdl_yaml_key(n, i)) != mdl_yaml_at(n, i)) abort();
        }
        walk(mdl_yaml_at(n, i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_status st = {0};
    struct mdl_yaml *y = mdl_yaml_parse("fuzz", (const char *)data, size, &st);
    if (!y && !st.message[0]) abort();
    if (y) walk(mdl_yaml_root(y));
    mdl_yaml_free(y);
    return 0;
}
