#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/report/of.h"
#include "experiments/report/report.h"
#include "models/datadir.h"
#include "sim/memory.h"
#include "sim/outfile.h"

enum format { HTML, MARKDOWN, CSV };

struct arguments {
    const char *input, *study, *out;
    enum format format;
    enum exp_language language;
};

enum { KEY_STUDY = 0x100, KEY_FORMAT, KEY_LANG };

static const struct argp_option options[] = {
    {"study", KEY_STUDY, "NAME", 0, "which study of a database that holds several", 0},
    {"format", KEY_FORMAT, "html|md|csv", 0,
     "a page for a browser (default), Markdown, or every table and chart as CSV", 0},
    {"lang", KEY_LANG, "en|ja", 0, "English (default) or Japanese", 0},
    {"out", 'o', "FILE|DIR", 0,
     "where to: a file for html and md, - for standard output, a folder for csv. Defaults: html "
     "DIR/report.html, "
     "or NAME.html beside NAME.sqlite; md standard output; csv DIR/report-csv, or NAME-csv beside "
     "NAME.sqlite",
     0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const formats[] = {"html", "md", "csv", NULL}, *const languages[] = {"en", "ja", NULL};
    struct arguments *a = state->input;
    switch (key) {
    case KEY_STUDY:
        a->study = arg;
        return 0;
    case KEY_FORMAT:
        a->format = (enum format)exp_cli_choice(state, "--format", arg, formats);
        return 0;
    case KEY_LANG:
        a->language = (enum exp_language)exp_cli_choice(state, "--lang", arg, languages);
        return 0;
    case 'o':
        if (!*arg)
            argp_failure(state, SIM_EXIT_USAGE, 0, "--out is empty, expected a file, or a folder for csv");
        a->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->input)
            argp_failure(state, SIM_EXIT_USAGE, 0,
                         "too many arguments: `%s`, expected one folder or database", arg);
        a->input = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(
            state, SIM_EXIT_USAGE, 0,
            "nothing to report on is given, expected a folder that --out wrote, or a study's database");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "DIR|DATABASE",
    "Writes what `kvsim run`, `compare`, `plan` or `validate` found (the folder of their --out), or the "
    "points "
    "of a study (the database of `kvsim sweep`), as one page for a browser, as Markdown, or as CSV."
    "\v"
    "The page is one file that asks for nothing from any network: it can be sent and opened anywhere. What "
    "is in "
    "it comes from report.json, which lies beside the results.",
    NULL,
    NULL,
    NULL};

/* ---- what is given ---- */

struct job {
    const struct arguments *a;
    bool database;
    char *file; /* the document or the database */
    char *base; /* what outputs are named after: DIR/report, or the file without its extension */
    json_t *doc;
};

/* By its first bytes, whatever its name is. */
static bool look_into(const char *path, bool *database, struct sim_status *st)
{
    static const char magic[] = "SQLite format 3";
    char head[sizeof magic] = "";
    FILE *f = fopen(path, "rb");
    if (!f)
        return sim_fail(st, "%s: cannot be opened (%s), expected a readable file; correct the path", path,
                        strerror(errno));
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    *database = n == sizeof head && memcmp(head, magic, sizeof head) == 0;
    size_t blanks = strspn(head, " \t\r\n");
    return *database || head[blanks < n ? blanks : 0] == '{' ||
           sim_fail(
               st,
               "%s: is neither a report.json nor a study's database, expected a folder that --out wrote, its "
               "report.json, or the database of `kvsim sweep`",
               path);
}

static char *without_extension(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return dot && dot > name ? sim_printf("%.*s", (int)(dot - path), path) : sim_strdup(path);
}

static bool take_folder(struct job *j, struct sim_status *st)
{
    const char *path = j->a->input;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    j->base = sim_printf("%.*s/report", (int)n, path);
    j->file = sim_printf("%s.json", j->base);
    struct stat is;
    return stat(j->file, &is) == 0 || errno != ENOENT ||
           sim_fail(st,
                    "%s: holds no report.json, expected a folder that `kvsim run`, `compare`, `plan` or "
                    "`validate` "
                    "wrote with --out; run one again with --out %s",
                    path, path);
}

static bool find(struct job *j, struct sim_status *st)
{
    const char *path = j->a->input;
    struct stat is;
    if (stat(path, &is) != 0)
        return sim_fail(
            st,
            "%s: cannot be opened (%s), expected a folder that --out wrote, or a study's database; "
            "correct the path",
            path, strerror(errno));
    if (S_ISDIR(is.st_mode)) return take_folder(j, st);
    if (!S_ISREG(is.st_mode))
        return sim_fail(st, "%s: is no file or folder, expected a folder that --out wrote; correct the path",
                        path);
    j->base = without_extension(path);
    j->file = sim_strdup(path);
    return look_into(path, &j->database, st);
}

/* The database's rows are texts of others, too. */
static json_t *study(const struct arguments *a, struct sim_status *st)
{
    struct exp_store *store = exp_store_open(a->input, EXP_STORE_READ, st);
    json_t *doc = store ? exp_report_of_study(store, a->study, st) : NULL;
    if (store) exp_store_close(store);
    if (!doc || exp_report_check(doc, a->input, st)) return doc;
    json_decref(doc);
    return NULL;
}

static bool load(struct job *j, struct sim_status *st)
{
    if (j->a->study && !j->database)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--study: %s is no database, expected one that `kvsim sweep` wrote", j->a->input);
    j->doc = j->database ? study(j->a, st) : exp_report_read(j->file, st);
    return j->doc != NULL;
}

/* ---- what is written ---- */

typedef bool writer(const struct job *j, FILE *out, struct sim_status *st);

static bool write_html(const struct job *j, FILE *out, struct sim_status *st)
{
    char *data_dir = mdl_data_dir(st);
    bool ok = data_dir && exp_report_html(j->doc, j->a->language, data_dir, out, st);
    free(data_dir);
    return ok;
}

static bool write_markdown(const struct job *j, FILE *out, struct sim_status *st)
{
    (void)st;
    exp_report_markdown(j->doc, j->a->language, out);
    return true;
}

/* Whole or not at all; says how large it became. */
static bool write_file(const struct job *j, const char *path, writer *write, struct sim_status *st)
{
    if (sim_is_same_file(path, j->file))
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--out: %s is what is reported on and would be lost, expected another file", path);
    struct sim_outfile *f = sim_outfile_open(path, st);
    if (!f) return false;
    FILE *out = sim_outfile_stream(f);
    if (!write(j, out, st)) {
        sim_outfile_abandon(f);
        return false;
    }
    long bytes = ftell(out); /* a pipe has no place */
    if (!sim_outfile_commit(f, st)) return false;
    if (bytes > 0) fprintf(stderr, "%s: %s KB\n", path, exp_count_words(((double)bytes + 999) / 1000).text);
    return true;
}

static bool write_stdout(const struct job *j, writer *write, struct sim_status *st)
{
    if (!write(j, stdout, st)) return false;
    return (fflush(stdout) == 0 && !ferror(stdout)) ||
           sim_fail(st, "standard output: cannot be written (%s); name another place", strerror(errno));
}

static bool is_stdout(const char *out)
{
    return out && strcmp(out, "-") == 0;
}

static bool html(const struct job *j, struct sim_status *st)
{
    if (is_stdout(j->a->out)) return write_stdout(j, write_html, st);
    char *path = j->a->out ? sim_strdup(j->a->out) : sim_printf("%s.html", j->base);
    bool ok = write_file(j, path, write_html, st);
    if (ok) exp_report_note_charts();
    if (ok) exp_next("open %s in a browser", path);
    free(path);
    return ok;
}

static bool markdown(const struct job *j, struct sim_status *st)
{
    const char *out = j->a->out;
    return !out || is_stdout(out) ? write_stdout(j, write_markdown, st)
                                  : write_file(j, out, write_markdown, st);
}

static bool csv(const struct job *j, struct sim_status *st)
{
    int n = 0;
    if (is_stdout(j->a->out))
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--out is -, expected a folder: CSV is a file for each table and chart");
    char *dir = j->a->out ? sim_strdup(j->a->out) : sim_printf("%s-csv", j->base);
    bool ok = exp_report_csv(j->doc, j->a->language, dir, &n, st);
    if (ok) fprintf(stderr, "%s: %d file%s\n", dir, n, n == 1 ? "" : "s");
    free(dir);
    return ok;
}

bool exp_cmd_report(int argc, char **argv, struct sim_status *st)
{
    static bool (*const formats[])(const struct job *j, struct sim_status *st) = {
        [HTML] = html, [MARKDOWN] = markdown, [CSV] = csv};
    struct arguments a = {0};
    struct job j = {.a = &a};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    bool ok = find(&j, st) && load(&j, st) && formats[a.format](&j, st);
    json_decref(j.doc);
    free(j.file);
    free(j.base);
    return ok;
}
