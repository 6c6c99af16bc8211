/* `kvsim init scenario`: the table of keys written out as a commented scenario that runs on the shipped
 * sample. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/keys.h"
#include "experiments/values.h"
#include "models/datadir.h"
#include "sim/memory.h"
#include "sim/outfile.h"

enum { PATH_BYTES = 160, MAX_LINES = 256 };

/* A key at its place in the file ("-" in a path is an entry of a list); used: the sample needs it, and it is
 * no comment. */
struct line {
    char path[PATH_BYTES];
    const struct exp_key *key;
    bool used;
};

struct lines {
    struct line line[MAX_LINES];
    size_t n;
};

static void add_scope(struct lines *l, enum exp_scope scope, const char *place, bool used)
{
    for (size_t i = 0; i < exp_key_count() && l->n < MAX_LINES; i++) {
        const struct exp_key *k = exp_key_at(i);
        if (k->scope != scope) continue;
        struct line *line = &l->line[l->n++];
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

/* Whether a section holds a key that is used: the others stand there as comments. */
static bool is_used(const struct lines *l, const char *section, size_t length)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->line[i].used && strncmp(l->line[i].path, section, length) == 0) return true;
    return false;
}

/* Length of what two paths have in common, in whole names. */
static size_t shared(const char *a, const char *b)
{
    size_t whole = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '.') whole = i + 1;
    return whole;
}

static int depth_at(const char *path, size_t length)
{
    int n = 0;
    for (size_t i = 0; i < length; i++) n += path[i] == '.';
    return n;
}

/* Heads of the sections that open between the last key and this one. True when a list entry begins. */
static bool open_sections(const struct lines *l, const char *path, const char *last, FILE *out)
{
    bool entry = false;
    size_t at = shared(path, last);
    for (const char *dot; (dot = strchr(path + at, '.'));) {
        size_t end = (size_t)(dot - path);
        entry = path[at] == '-';
        if (!entry)
            fprintf(out, "%s%*s%s%.*s:\n", at == 0 ? "\n" : "", 2 * depth_at(path, at), "",
                    is_used(l, path, end + 1) ? "" : "# ", (int)(end - at), path + at);
        at = end + 1;
    }
    return entry;
}

static const char *value_of(const struct line *line, const char *trace)
{
    const struct exp_key *k = line->key;
    if (strcmp(k->name, "workload.trace") == 0) return trace;
    if (k->example) return k->example;
    if (k->type == EXP_NAMES) return "[]";
    return k->fallback[0] && !k->optional ? k->fallback : "default";
}

static void write_help(const struct exp_key *k, FILE *out)
{
    char expected[300];
    exp_value_expected(k, expected, sizeof expected);
    fprintf(out, "# %s", k->help);
    if (k->type == EXP_CHOICE) fprintf(out, "; %s", expected);
    if (k->optional) fprintf(out, "; default: %s", k->fallback);
    fputc('\n', out);
}

static void write_line(const struct lines *l, size_t i, const char *trace, FILE *out)
{
    char text[EXP_TEXT_BYTES];
    const struct line *line = &l->line[i];
    const char *path = line->path, *last = i ? l->line[i - 1].path : "";
    bool entry = open_sections(l, path, last, out);
    const char *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path;
    int indent = 2 * depth_at(path, strlen(path));
    if (!dot && strchr(last, '.')) fputc('\n', out);
    snprintf(text, sizeof text, "%*s%s%s%s: %s", entry ? indent - 2 : indent, "", entry ? "- " : "",
             line->used ? "" : "# ", name, value_of(line, trace));
    fprintf(out, "%-40s ", text);
    write_help(line->key, out);
}

static void write_scenario(const char *trace, FILE *out)
{
    struct lines *l = lines_new();
    fputs(
        "# A kvsim scenario. Keys that start with # are at their default; `kvsim list keys` explains all.\n",
        out);
    for (size_t i = 0; i < l->n; i++) write_line(l, i, trace, out);
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
        argp_failure(state, SIM_EXIT_USAGE, 0, "nothing named to write, expected `scenario`");
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
    "scenario [FILE]",
    "Writes a commented scenario that runs unchanged on the shipped sample, to FILE or to "
    "standard output.",
    NULL,
    NULL,
    NULL};

static bool write_file(const struct arguments *a, const char *trace, struct sim_status *st)
{
    if (!a->force && access(a->file, F_OK) == 0)
        return sim_fail(st, "%s: is there already, expected a new file; name another or give --force",
                        a->file);
    struct sim_outfile *f = sim_outfile_open(a->file, st);
    if (!f) return false;
    write_scenario(trace, sim_outfile_stream(f));
    return sim_outfile_commit(f, st);
}

bool exp_cmd_init(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (strcmp(a.what, "scenario") != 0)
        return sim_fail_as(st, SIM_EXIT_USAGE, "kvsim init: `%.40s` cannot be written, expected `scenario`",
                           a.what);
    char *data_dir = mdl_data_dir(st);
    if (!data_dir) return false;
    char *trace = sim_printf("%s/traces/samples/demo.csv", data_dir);
    bool ok = true;
    if (a.file)
        ok = write_file(&a, trace, st);
    else
        write_scenario(trace, stdout);
    free(trace);
    free(data_dir);
    if (ok && fflush(stdout) == 0) exp_next("kvsim run %s", a.file ? a.file : "SCENARIO");
    return ok;
}
