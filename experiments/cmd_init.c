/* `kvsim init scenario`: the table of keys written out as a commented scenario that runs on the shipped sample. */
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

enum { PATH_BYTES = 160 };

/* A key's place in the file; "-" is an entry of a list. */
struct path {
    char text[PATH_BYTES];
};

static struct path path_of(const struct exp_key *k)
{
    static const char *const prefix[] = {[EXP_IN_SCENARIO] = "",
                                         [EXP_IN_FLEET] = "fleet.-.",
                                         [EXP_IN_ENGINE] = "engine.",
                                         [EXP_IN_CLASS] = "classes.critical.",
                                         [EXP_IN_SLO] = "slo."};
    struct path p;
    snprintf(p.text, sizeof p.text, "%s%s", prefix[k->scope], k->name);
    return p;
}

/* Whether a section holds a key that the sample needs: the others stand there as comments. */
static bool is_used(const char *section, size_t length)
{
    for (size_t i = 0; i < exp_key_count(); i++)
        if (exp_key_at(i)->example && strncmp(path_of(exp_key_at(i)).text, section, length) == 0) return true;
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
static bool open_sections(const char *path, const char *last, FILE *out)
{
    bool entry = false;
    size_t at = shared(path, last);
    for (const char *dot; (dot = strchr(path + at, '.'));) {
        size_t end = (size_t)(dot - path);
        entry = path[at] == '-';
        if (!entry)
            fprintf(out, "%s%*s%s%.*s:\n", at == 0 ? "\n" : "", 2 * depth_at(path, at), "",
                    is_used(path, end + 1) ? "" : "# ", (int)(end - at), path + at);
        at = end + 1;
    }
    return entry;
}

static void write_key(const struct exp_key *k, const char *last, const char *trace, FILE *out)
{
    char expected[300];
    struct path path = path_of(k);
    bool entry = open_sections(path.text, last, out);
    const char *dot = strrchr(path.text, '.'), *name = dot ? dot + 1 : path.text;
    bool is_trace = strcmp(k->name, "workload.trace") == 0, has_default = k->fallback[0] && !k->optional;
    const char *value = is_trace ? trace : k->example ? k->example : has_default ? k->fallback : "default";
    int indent = 2 * depth_at(path.text, strlen(path.text));
    exp_value_expected(k, expected, sizeof expected);
    fprintf(out, "%*s%s%s%s: %s  # %s", entry ? indent - 2 : indent, "", entry ? "- " : "", k->example ? "" : "# ", name,
            value, k->help);
    if (k->type >= EXP_CHOICE) fprintf(out, "; %s", expected);
    fprintf(out, "%s%s\n", k->fallback[0] ? "; default " : "", k->fallback);
}

static void write_scenario(const char *trace, FILE *out)
{
    fputs("# A kvsim scenario. Keys that start with # are at their default; `kvsim list keys` explains all.\n", out);
    struct path last = {""};
    for (size_t i = 0; i < exp_key_count(); i++) {
        write_key(exp_key_at(i), last.text, trace, out);
        last = path_of(exp_key_at(i));
    }
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
    if (key == ARGP_KEY_NO_ARGS) argp_error(state, "nothing named to write, expected `scenario`");
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    if (a->file) argp_error(state, "too many arguments: `%s`", arg);
    if (a->what)
        a->file = arg;
    else
        a->what = arg;
    return 0;
}

static const struct argp argp = {options, parse, "scenario [FILE]",
                                 "Writes a commented scenario that runs unchanged on the shipped sample, to FILE or to "
                                 "standard output.",
                                 NULL, NULL, NULL};

static bool write_file(const struct arguments *a, const char *trace, struct sim_status *st)
{
    if (!a->force && access(a->file, F_OK) == 0)
        return sim_fail(st, "%s: is there already, expected a new file; name another or give --force", a->file);
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
        return sim_fail_as(st, SIM_EXIT_USAGE, "kvsim init: `%.40s` cannot be written, expected `scenario`", a.what);
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
