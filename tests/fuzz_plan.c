/* Any bytes as a plan file; what is accepted is printed, written and read back to the same text. Input after the first NUL
 * byte is a path and a value for one --set. */
#include "experiments/planning/file/plan_file.h"
#include "sim/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *text_of(const struct exp_plan *p, void (*write)(const struct exp_plan *p, FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) abort();
    write(p, f);
    fclose(f);
    return text;
}

static void check_day(const struct exp_plan *p)
{
    double day[EXP_DAY_HOURS], most = 0;
    exp_plan_day(p, day);
    for (int h = 0; h < EXP_DAY_HOURS; h++) {
        if (!(day[h] >= 0 && day[h] <= 1)) abort();
        most = fmax(most, day[h]);
    }
    if (most != 1) abort();
}

/* What is written reads back, and then is written alike. */
static void inspect(const struct exp_plan *p)
{
    struct sim_status st = {0};
    if (p->n_classes < 1 || p->n_classes > SIM_MAX_CLASSES || p->n_have > EXP_MAX_HAVE) abort();
    if (p->strategies.n < 1 || strcmp(p->strategies.at[0].label, "full") != 0) abort();
    check_day(p);
    char *text = text_of(p, exp_plan_write);
    struct exp_plan *again = exp_plan_parse("again.yaml", text, strlen(text), &st);
    if (!again) abort();
    char *first = text_of(again, exp_plan_write);
    struct exp_plan *third = exp_plan_parse("third.yaml", first, strlen(first), &st);
    if (!third) abort();
    char *second = text_of(third, exp_plan_write);
    if (strcmp(first, second) != 0) abort();
    free(second);
    free(first);
    free(text);
    free(text_of(p, exp_plan_print));
    exp_plan_free(third);
    exp_plan_free(again);
}

static void set_one(struct exp_plan *p, const char *text, size_t size)
{
    struct sim_status st = {0};
    char *option = sim_alloc(size + 1, 1);
    memcpy(option, text, size);
    bool ok = exp_plan_set_option(p, option, &st);
    if (!ok && (!st.message[0] || strchr(st.message, '\n'))) abort();
    if (ok) inspect(p);
    free(option);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_status st = {0};
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t length = nul ? (size_t)(nul - data) : size;
    struct exp_plan *p = exp_plan_parse("fuzz.yaml", (const char *)data, length, &st);
    if (!p && (!st.message[0] || strchr(st.message, '\n'))) abort();
    if (p) inspect(p);
    if (!p) p = exp_plan_new();
    if (nul) set_one(p, (const char *)nul + 1, size - length - 1);
    exp_plan_free(p);
    return 0;
}
