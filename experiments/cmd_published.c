#include "experiments/command.h"

#include <stdio.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/published/study.h"

enum { MAX_STUDIES = 32, KEY_DATA = 0x100, KEY_FIT, KEY_JSON };

struct arguments {
    const char *study[MAX_STUDIES], *data;
    uint32_t n;
    bool fit, json;
};

static const struct argp_option options[] = {
    {"data", KEY_DATA, "DIR", 0, "folder of published raw data (default: $KVSIM_SHARED, else ../shared)", 0},
    {"fit", KEY_FIT, NULL, 0, "fit again what a study fits, and predict with that", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of tables", 0},
    {0},
};

/* Instead of those that were named. */
static error_t add_all(struct arguments *a)
{
    for (a->n = 0; a->n < exp_study_count(); a->n++) a->study[a->n] = exp_study_at(a->n)->name;
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_DATA:
        a->data = arg;
        return 0;
    case KEY_FIT:
        a->fit = true;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (strcmp(arg, "all") == 0) return add_all(a);
        if (a->n == MAX_STUDIES) argp_error(state, "more than %d studies", MAX_STUDIES);
        a->study[a->n++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "[STUDY...|all]",
    "Sets predictions beside what was published: `all` runs every study. Without a study: lists them.\v"
    "Constants, with range and source: experiments/published/constants.yaml.",
    NULL,
    NULL,
    NULL};

static void list_studies(void)
{
    for (size_t i = 0; i < exp_study_count(); i++)
        printf("%-15s %s\n", exp_study_at(i)->name, exp_study_at(i)->help);
}

static bool run_one(const struct exp_study *s, const struct arguments *a, json_t *all, struct sim_status *st)
{
    struct exp_study_result r;
    bool ok = exp_study_run(s, a->data, a->fit, &r, st);
    if (ok && all)
        json_array_append_new(all, exp_study_json(s, &r));
    else if (ok)
        exp_study_print(s, &r);
    exp_study_result_fini(&r);
    return ok;
}

bool exp_cmd_published(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (!a.n) {
        list_studies();
        return true;
    }
    json_t *all = a.json ? json_array() : NULL;
    for (uint32_t i = 0; i < a.n; i++) {
        const struct exp_study *s = exp_study_find(a.study[i], st);
        if (i && s && !a.json) putchar('\n');
        if (s && run_one(s, &a, all, st)) continue;
        json_decref(all);
        return false;
    }
    return !all || exp_print_json(json_pack("{s:o}", "studies", all), st);
}
