/* `kvsim init scenario|study|plan`: commented files that run on the shipped sample, from tables of keys where there is one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/commented.h"
#include "experiments/planning/file/plan_file.h"
#include "experiments/study/study_file.h"
#include "models/datadir.h"
#include "sim/memory.h"
#include "sim/outfile.h"

enum { MAX_LINES = 256 };

struct lines {
    struct exp_commented line[MAX_LINES];
    size_t n;
};

static void add_scope(struct lines *l, enum exp_scope scope, const char *place, bool used)
{
    for (size_t i = 0; i < exp_key_count() && l->n < MAX_LINES; i++) {
        const struct exp_key *k = exp_key_at(i);
        if (k->scope != scope) continue;
        struct exp_commented *line = &l->line[l->n++];
        snprintf(line->path, sizeof line->path, "%s%s", place, k->name);
        line->key = k;
        line->used = used && k->example;
    }
}

/* The table's order, with scopes where a person looks for them: after the model, and before what is rarely
 * touched. */
static struct lines *lines_new(void)
{
    struct lines *l = sim_alloc(1, sizeof *l), *top = sim_alloc(1, sizeof *top);
    add_scope(top, EXP_IN_SCENARIO, "", true);
    for (size_t i = 0; i < top->n && l->n < MAX_LINES; i++) {
        if (strcmp(top->line[i].path, "router") == 0) {
            add_scope(l, EXP_IN_FLEET, "fleet.-.", true);
            add_scope(l, EXP_IN_ENGINE, "engine.", true);
        }
        if (strcmp(top->line[i].path, "measure.warmup_requests") == 0) {
            add_scope(l, EXP_IN_SLO, "slo.", true);
            add_scope(l, EXP_IN_SLO, "classes.critical.slo.", false);
            add_scope(l, EXP_IN_CLASS, "classes.critical.", false);
        }
        l->line[l->n++] = top->line[i];
    }
    free(top);
    return l;
}

static void write_scenario(const char *trace, FILE *out)
{
    struct lines *l = lines_new();
    fputs(
        "# A kvsim scenario. Keys that start with # are at their default; `kvsim list keys` explains all.\n",
        out);
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->line[i].path, "workload.trace") == 0) l->line[i].value = trace;
    exp_commented_write(l->line, l->n, out);
    free(l);
}

/* ---- command ---- */

struct arguments {
    const char *what, *file;
    bool force;
};

static const struct argp_option options[] = {
    {"force", 'f', NULL, 0, "replace FILE when it is there", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    if (key == 'f') {
        a->force = true;
        return 0;
    }
    if (key == ARGP_KEY_NO_ARGS)
        argp_failure(state, SIM_EXIT_USAGE, 0,
                     "nothing named to write, expected `scenario`, `study` or `plan`");
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    if (a->file) argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`", arg);
    if (a->what)
        a->file = arg;
    else
        a->what = arg;
    return 0;
}

static const struct argp argp = {
    options,
    parse,
    "scenario|study|plan [FILE]",
    "Writes a commented scenario, study or plan that runs unchanged on the shipped sample, to FILE or to "
    "standard output.",
    NULL,
    NULL,
    NULL};

struct subject {
    const char *name;
    void (*write)(const char *sample, FILE *out);
    const char *sample;      /* what it refers to, below the data that ships */
    const char *next, *file; /* the command that takes it, and what it calls the file */
};
static const struct subject subjects[] = {
    {"scenario", write_scenario, "traces/samples/demo.csv", "run", "SCENARIO"},
    {"study", exp_study_template, "experiments/scenarios/demo.yaml", "sweep", "STUDY"},
    {"plan", exp_plan_write_template, "traces/samples/demo.csv", "plan", "PLAN"},
};
enum { N_SUBJECTS = sizeof subjects / sizeof subjects[0] };

static const struct subject *find(const char *name, struct sim_status *st)
{
    for (int i = 0; i < N_SUBJECTS; i++)
        if (strcmp(subjects[i].name, name) == 0) return &subjects[i];
    sim_fail_as(st, SIM_EXIT_USAGE,
                "kvsim init: `%.40s` cannot be written, expected `scenario`, `study` or `plan`", name);
    return NULL;
}

static bool write_file(const struct arguments *a, const struct subject *s, const char *sample,
                       struct sim_status *st)
{
    if (!a->force && access(a->file, F_OK) == 0)
        return sim_fail(st, "%s: is there already, expected a new file; name another or give --force",
                        a->file);
    struct sim_outfile *f = sim_outfile_open(a->file, st);
    if (!f) return false;
    s->write(sample, sim_outfile_stream(f));
    return sim_outfile_commit(f, st);
}

bool exp_cmd_init(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    const struct subject *s = find(a.what, st);
    char *data_dir = s ? mdl_data_dir(st) : NULL;
    if (!data_dir) return false;
    char *sample = sim_printf("%s/%s", data_dir, s->sample);
    bool ok = true;
    if (a.file)
        ok = write_file(&a, s, sample, st);
    else
        s->write(sample, stdout);
    free(sample);
    free(data_dir);
    if (ok && fflush(stdout) == 0) exp_next("kvsim %s %s", s->next, a.file ? a.file : s->file);
    return ok;
}
