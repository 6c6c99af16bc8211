#include "experiments/quality/record_as.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/csv_in.h"
#include "sim/memory.h"

static const double MOST_SHARE = 1e9;

/* What a message begins with: where the mix stands. */
struct origin {
    const char *path;
    uint64_t line; /* 0 = an option */
};

static bool wrong(const struct origin *o, const char *task, const char *what, struct sim_status *st)
{
    if (o->line)
        return sim_fail(st, "%s:%llu: task `%.60s`: %s", o->path, (unsigned long long)o->line, task, what);
    return sim_fail_as(st, SIM_EXIT_USAGE, "--mix: task `%.60s`: %s", task, what);
}

static bool add(struct mdl_task_mix *mix, const char *task, double share, const struct origin *o,
                struct sim_status *st)
{
    if (!(share >= 0 && share <= MOST_SHARE))
        return wrong(o, task, "its share is no number from 0 to 1e9, expected one", st);
    if (!*task || strlen(task) >= MDL_TASK_BYTES)
        return wrong(o, task, "its name is empty or longer than 63 bytes, expected a task of the scores", st);
    if (mix->n == MDL_MAX_TASKS) return wrong(o, task, "there are 256 tasks before it, expected no more", st);
    for (uint32_t i = 0; i < mix->n; i++)
        if (strcmp(mix->at[i].task, task) == 0) return wrong(o, task, "is there twice, expected once", st);
    snprintf(mix->at[mix->n].task, MDL_TASK_BYTES, "%s", task);
    mix->at[mix->n++].share = share;
    return true;
}

/* ---- task=share,task=share ---- */

/* Changes the text. */
static bool take_share(char *text, struct mdl_task_mix *mix, struct sim_status *st)
{
    static const struct origin option = {"--mix", 0};
    char *equals = strrchr(text, '='), *end = NULL;
    if (!equals) return wrong(&option, text, "has no share, expected task=share,... or a CSV file", st);
    *equals++ = '\0';
    double share = strspn(equals, "+.0123456789eE-") == strlen(equals) ? strtod(equals, &end) : NAN;
    return add(mix, text, end && end != equals && !*end ? share : NAN, &option, st);
}

static bool read_option(const char *text, struct mdl_task_mix *mix, struct sim_status *st)
{
    char *copy = sim_strdup(text);
    bool ok = true;
    for (char *at = copy; ok && at;) {
        char *next = strchr(at, ',');
        if (next) *next++ = '\0';
        ok = take_share(at, mix, st);
        at = next;
    }
    free(copy);
    return ok;
}

/* ---- a file ---- */

struct reader {
    struct mdl_task_mix *mix;
    int task, share;
};

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct reader *r = user;
    double share;
    if (index == 0) {
        r->task = sim_csv_column(row, "task");
        r->share = sim_csv_column(row, "share");
        return (r->task >= 0 && r->share >= 0) ||
               sim_fail(st, "%s:%llu: has no columns task and share, expected both; is it the right file?",
                        row->path, (unsigned long long)row->line);
    }
    const struct origin at = {row->path, row->line};
    return sim_csv_double(row, r->share, "share", &share, st) &&
           add(r->mix, (uint32_t)r->task < row->n_fields ? row->field[r->task] : "", share, &at, st);
}

bool exp_task_mix_read(const char *text, struct mdl_task_mix *out, struct sim_status *st)
{
    struct mdl_task_mix *mix = sim_alloc(1, sizeof *mix);
    struct reader r = {.mix = mix};
    bool ok = strchr(text, '=') ? read_option(text, mix, st) : sim_csv_read(text, on_row, &r, st);
    double sum = 0;
    for (uint32_t i = 0; i < mix->n; i++) sum += mix->at[i].share;
    if (ok && !(sum > 0)) {
        ok = sim_fail_as(st, SIM_EXIT_USAGE, "--mix: all shares are 0, expected at least one that is more");
    }
    if (ok) *out = *mix;
    free(mix);
    return ok;
}
