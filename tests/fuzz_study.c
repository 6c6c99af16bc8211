/* Any bytes as a study file in the folder of the scenarios that ship. Of what is accepted, points from all over are taken
 * apart, made into scenarios and made once more. */
#include "experiments/study/study_file.h"
#include "models/datadir.h"
#include "sim/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_axes(const struct exp_study *s)
{
    if (exp_study_n_axes(s) < 1 || exp_study_n_axes(s) > EXP_STUDY_MAX_AXES) abort();
    for (uint32_t i = 0; i < exp_study_n_axes(s); i++) {
        struct exp_study_axis a = exp_study_axis(s, i);
        if (!a.path || !a.first || !a.last || (a.n_values == 0 && exp_study_n_samples(s) == 0)) abort();
    }
}

/* Settings parse as JSON, one each, numbers where all values are. */
static void check_settings(const struct exp_study *s, uint64_t i)
{
    json_error_t why;
    struct exp_study_point p;
    exp_study_point(s, i, &p);
    char *text = exp_study_settings_json(&p);
    json_t *o = json_loads(text, JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, &why);
    if (p.n < 1 || p.n > EXP_STUDY_MAX_AXES || !o || json_object_size(o) != p.n) abort();
    for (uint32_t k = 0; k < exp_study_n_axes(s); k++) {
        struct exp_study_axis a = exp_study_axis(s, k);
        const json_t *value = json_object_get(o, a.path);
        if (value && a.numeric && !json_is_number(value)) abort();
    }
    json_decref(o);
    free(text);
}

/* `room` is left as another point made it: nothing of that may stay. */
static void check_point(const struct exp_study *s, uint64_t i, struct exp_scenario *room)
{
    struct sim_status st = {0}, again = {0};
    struct exp_scenario *fresh = exp_scenario_new();
    check_settings(s, i);
    bool ok = exp_study_scenario(s, i, room, &st);
    if (!ok && (!st.message[0] || strchr(st.message, '\n'))) abort();
    if (exp_study_scenario(s, i, fresh, &again) != ok || strcmp(st.message, again.message) != 0) abort();
    if (ok && memcmp(room, fresh, sizeof *room) != 0) abort();
    free(fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_status st = {0};
    char *home = mdl_data_dir(&st);
    if (!home) abort();
    char *folder = sim_printf("%s/experiments/scenarios", home);
    struct exp_study *s = exp_study_parse("fuzz.yaml", (const char *)data, size, folder, &st);
    if (!s && (!st.message[0] || strchr(st.message, '\n'))) abort();
    struct exp_scenario *room = exp_scenario_new();
    if (s) check_axes(s);
    for (uint64_t k = 0; s && k < 16; k++) /* the first, the last, and 14 between */
        check_point(s, (uint64_t)floor((double)k / 15 * (double)(exp_study_n_points(s) - 1)), room);
    free(room);
    exp_study_free(s);
    free(folder);
    free(home);
    return 0;
}
