/* Any bytes as a scenario file; what is accepted is checked, asked for its classes, and copied key by key.
 * Input after the first NUL byte is a path and a value for one --set. */
#include "experiments/keys.h"
#include "sim/memory.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inspect(const struct exp_scenario *s)
{
    struct sim_status st = {0};
    struct exp_class_keys *classes = sim_alloc(SIM_MAX_CLASSES, sizeof *classes);
    if (!exp_scenario_check(s, &st) && !st.message[0]) abort();
    uint32_t n = exp_scenario_classes(s, classes);
    if (n < 1 || n > SIM_MAX_CLASSES || s->n_fleets > EXP_MAX_FLEETS) abort();
    free(classes);
}

static void set_one(struct exp_scenario *s, const char *text, size_t size)
{
    struct sim_status st = {0};
    char *option = sim_alloc(size + 1, 1);
    memcpy(option, text, size);
    bool ok = exp_scenario_set_option(s, option, &st);
    if (!ok && (!st.message[0] || strchr(st.message, '\n'))) abort();
    if (ok) inspect(s);
    free(option);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_status st = {0};
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t length = nul ? (size_t)(nul - data) : size;
    struct exp_scenario *s = exp_scenario_parse("fuzz.yaml", (const char *)data, length, &st);
    if (!s && (!st.message[0] || strchr(st.message, '\n'))) abort();
    if (s) inspect(s);
    if (!s) s = exp_scenario_new();
    if (nul) set_one(s, (const char *)nul + 1, size - length - 1);
    free(s);
    return 0;
}
