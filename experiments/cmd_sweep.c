/* `kvsim sweep`: the points of a study, computed and stored. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/parallel.h"
#include "experiments/study/sweep_print.h"
#include "sim/memory.h"
#include "sim/outfile.h"

enum { MAX_FILES = 65536, MAX_SHARDS = 1000000 };

struct arguments {
    const char *study, *db, *csv;
    const char **file; /* to merge */
    uint32_t n_files;
    struct exp_sweep_options sweep;
    bool merge, dry_run, json, jobs;
};

enum { KEY_DB = 0x100, KEY_SHARD, KEY_MERGE, KEY_DRY_RUN, KEY_CSV, KEY_JSON, KEY_VERBOSE, KEY_KEEP_FAILED };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What is done:", 1},
    {"jobs", 'j', "N", 0, "threads (default: all cores; under mpirun one in each process)", 0},
    {"db", KEY_DB, "FILE", 0,
     "the database (default: NAME.sqlite in the current folder, of the study's name)", 0},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "axes, points, expected time and size; nothing is written", 0},
    {"keep-failed", KEY_KEEP_FAILED, NULL, 0, "leave points alone that failed before", 0},
    {NULL, 0, NULL, 0, "Over many machines:", 2},
    {"shard", KEY_SHARD, "K/N", 0,
     "part K of N, into a database of its own (default: NAME-K-of-N.sqlite), as for a job array", 0},
    {"merge", KEY_MERGE, "FILE...", 0, "take the points of other databases into --db, and stop", 0},
    {NULL, 0, NULL, 0, "How it is shown:", 3},
    {"csv", KEY_CSV, "FILE", 0, "write every point as CSV; - is standard output", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of tables", 0},
    {"verbose", KEY_VERBOSE, NULL, 0, "a line on stderr as each point begins and when it is stored", 0},
    {0},
};

/* ---- options ---- */

static void parse_shard(const struct argp_state *state, const char *text, struct exp_sweep_options *o)
{
    char part[24] = "";
    const char *slash = strchr(text, '/');
    if (!slash || slash - text >= (int)sizeof part)
        argp_failure(state, SIM_EXIT_USAGE, 0, "--shard is `%.40s`, expected K/N, as 3/8", text);
    else
        memcpy(part, text, (size_t)(slash - text));
    o->n_shards = slash ? (uint32_t)exp_cli_count(state, "--shard: N", slash + 1, 1, MAX_SHARDS) : 1;
    o->shard = (uint32_t)exp_cli_count(state, "--shard: K", part, 1, o->n_shards);
}

static const char *named(const struct argp_state *state, const char *option, const char *text)
{
    if (!*text) argp_failure(state, SIM_EXIT_USAGE, 0, "%s is empty, expected a file", option);
    return text;
}

static void add_file(const struct argp_state *state, struct arguments *a, const char *path)
{
    if (a->n_files == MAX_FILES)
        argp_failure(state, SIM_EXIT_USAGE, 0, "more than %d files to merge", MAX_FILES);
    a->file[a->n_files++] = named(state, "--merge", path);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'j':
        a->sweep.n_threads = (uint32_t)exp_cli_count(state, "--jobs", arg, 1, 1024);
        a->jobs = true;
        return 0;
    case KEY_DB:
        a->db = named(state, "--db", arg);
        return 0;
    case KEY_SHARD:
        parse_shard(state, arg, &a->sweep);
        a->sweep.is_shard = true;
        return 0;
    case KEY_MERGE:
        a->merge = true;
        add_file(state, a, arg);
        return 0;
    case KEY_DRY_RUN:
        a->dry_run = true;
        return 0;
    case KEY_CSV:
        a->csv = named(state, "--csv", arg);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_VERBOSE:
        a->sweep.verbose = true;
        return 0;
    case KEY_KEEP_FAILED:
        a->sweep.keep_failed = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void check_together(const struct arguments *a, struct argp_state *state)
{
    const bool many = exp_ranks_started() > 1, on_stdout = a->csv && strcmp(a->csv, "-") == 0;
    const struct {
        bool both;
        const char *names;
    } apart[] = {{a->merge && a->sweep.is_shard, "--merge and --shard"},
                 {a->merge && a->dry_run, "--merge and --dry-run"},
                 {a->merge && a->sweep.keep_failed, "--merge and --keep-failed"},
                 {a->dry_run && a->csv, "--dry-run and --csv"},
                 {a->json && on_stdout, "--json and --csv -"},
                 {a->sweep.is_shard && many, "--shard and mpirun"}};
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++)
        if (apart[i].both)
            argp_failure(state, SIM_EXIT_USAGE, 0, "%s: cannot be had together, expected one",
                         apart[i].names);
    if (!a->study && !a->merge)
        argp_failure(state, SIM_EXIT_USAGE, 0, "no study given; `kvsim init study` writes one");
    if (!a->study && !a->db)
        argp_failure(state, SIM_EXIT_USAGE, 0, "--merge: into what? expected --db FILE, or the study");
}

/* Files follow --merge; a study is known by its ending wherever it stands. */
static bool is_study(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (a->merge && !is_study(arg)) {
            add_file(state, a, arg);
            return 0;
        }
        if (a->study)
            argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`, expected one study", arg);
        a->study = arg;
        return 0;
    case ARGP_KEY_END:
        check_together(a, state);
        return 0;
    default:
        return parse_option(key, arg, state);
    }
}

static const struct argp argp = {
    options,
    parse,
    "STUDY.yaml\n--db FILE --merge FILE... [STUDY.yaml]",
    "Computes the points of a study and stores each the moment it is done. Points that are stored already "
    "are not "
    "computed again: the same command goes on where it stopped, however it stopped."
    "\v"
    "A point is known by what determines it: the scenario, the contents of its trace, profile, engine, "
    "quality and "
    "prices, and the version of the model. Where one of them changed, what is stored is stale and computed "
    "anew.\n\n"
    "Under mpirun every process computes and the first stores. As a job array, each job takes --shard K/N "
    "into a "
    "database of its own, and --merge brings them together.\n\n"
    "A point that fails is stored with its reason and tried again by the next start. Exit 0 also when some "
    "failed; 1 "
    "when all did or nothing can be stored; 130 when interrupted.",
    NULL,
    NULL,
    NULL};

/* ---- the command ---- */

struct job {
    const struct arguments *a;
    struct exp_sweep_options sweep;
    struct exp_ranks ranks;
    struct exp_study *study;
    char *db;
    bool kept; /* the study, for threads that were left behind */
};

/* A study's name as that of a file in this folder; the caller's. */
static char *file_of(const struct exp_study *study, const char *ending)
{
    char *name = sim_strdup(exp_study_name(study));
    for (char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || strchr("/\\:*?\"<>|", *c) || (c == name && (*c == '-' || *c == '.')))
            *c = '_';
    char *path = sim_printf("%s%s", name, ending);
    free(name);
    return path;
}

static char *default_db(const struct job *j)
{
    const struct exp_sweep_options *o = &j->sweep;
    char ending[48] = ".sqlite";
    if (o->is_shard) snprintf(ending, sizeof ending, "-%u-of-%u.sqlite", o->shard, o->n_shards);
    return file_of(j->study, ending);
}

/* Can the table be written, when hours of computing are over? Not over what it is made from. */
static bool check_csv(const struct job *j, struct sim_status *st)
{
    struct stat s;
    const char *path = j->a->csv;
    if (!path || strcmp(path, "-") == 0) return true;
    if (strcmp(path, j->db) == 0 || sim_is_same_file(path, j->db) ||
        (j->a->study && sim_is_same_file(path, j->a->study)))
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--csv: %s is the database or the study, expected another file", path);
    if (stat(path, &s) == 0 && !S_ISREG(s.st_mode)) return true; /* a pipe is opened once */
    struct sim_outfile *f = sim_outfile_open(path, st);
    sim_outfile_abandon(f);
    return f != NULL;
}

static bool write_csv(const struct job *j, struct exp_store *s, struct sim_status *st)
{
    const char *path = j->a->csv, *study = j->study ? exp_study_name(j->study) : NULL;
    if (!path) return true;
    if (strcmp(path, "-") == 0) return exp_store_csv(s, study, stdout, st);
    struct sim_outfile *f = sim_outfile_open(path, st);
    if (!f) return false;
    struct sim_status why = {0};
    if (exp_store_csv(s, study, sim_outfile_stream(f), &why)) return sim_outfile_commit(f, st);
    sim_outfile_abandon(f);
    return sim_fail_as(st, why.code, "--csv %s: %s", path, why.message);
}

/* ---- what to do next ---- */

/* "next: ..." of words that a shell takes apart in the same way. */
static void next(const char *const *word, int n, const char *remark)
{
    char *line = exp_cli_line(n, (char *const *)word);
    exp_next("%s%s", line, remark);
    free(line);
}

/* The sweep of a dry run, or what merged shards leave to do: no shard's. */
static void next_sweep(const struct job *j)
{
    const struct arguments *a = j->a;
    char jobs[16], shard[32];
    const char *word[12] = {"kvsim", "sweep", a->study};
    int n = 3;
    snprintf(jobs, sizeof jobs, "%u", a->sweep.n_threads);
    snprintf(shard, sizeof shard, "%u/%u", a->sweep.shard, a->sweep.n_shards);
    if (a->jobs) word[n++] = "-j", word[n++] = jobs;
    if (a->sweep.is_shard) word[n++] = "--shard", word[n++] = shard;
    if (a->db) word[n++] = "--db", word[n++] = a->db;
    if (a->sweep.keep_failed) word[n++] = "--keep-failed";
    next(word, n, "");
}

static void next_report(const struct job *j)
{
    next((const char *const[]){"kvsim", "report", j->db}, 3, "");
}

static void next_merge(const struct job *j)
{
    char *all = file_of(j->study, ".sqlite");
    next((const char *const[]){"kvsim", "sweep", "--db", all, "--merge", j->db}, 6,
         "   (with those of the other shards)");
    free(all);
}

/* ---- a dry run ---- */

static bool dry_run(const struct job *j, struct sim_status *st)
{
    struct exp_sweep_forecast f;
    if (!exp_sweep_forecast(j->study, &j->sweep, true, &f, st)) return false;
    if (j->a->json) return exp_print_json(exp_sweep_forecast_json(&j->sweep, &f), st);
    exp_sweep_print_forecast(j->study, &j->sweep, &f, stdout);
    if (f.open) next_sweep(j);
    return true;
}

/* ---- merging ---- */

/* Before anything is taken: a pattern that nothing matches comes as it was written. */
static bool files_are_there(const struct arguments *a, struct sim_status *st)
{
    for (uint32_t i = 0; i < a->n_files; i++)
        if (access(a->file[i], R_OK) != 0)
            return sim_fail(st, "--merge: %s: cannot be read (%s), expected the database of a shard%s",
                            a->file[i], strerror(errno),
                            strpbrk(a->file[i], "*?[") ? "; nothing matches this pattern" : "");
    return true;
}

static bool take_files(const struct job *j, struct exp_store *s, struct exp_merged *sum,
                       struct sim_status *st)
{
    const struct arguments *a = j->a;
    for (uint32_t i = 0; i < a->n_files; i++) {
        if (sim_is_same_file(a->file[i], j->db))
            return sim_fail_as(st, SIM_EXIT_USAGE, "--merge: %s is --db itself, expected other files",
                               a->file[i]);
        if (!exp_store_merge(s, a->file[i], sum, st)) return false;
    }
    return true;
}

static bool show_merged(const struct job *j, const struct exp_merged *sum, struct sim_status *st)
{
    struct exp_sweep_forecast f = {0};
    if (j->study && !exp_sweep_forecast(j->study, &j->sweep, false, &f, st)) return false;
    if (j->a->json) {
        json_t *o = json_pack("{s:I, s:I, s:I, s:s}", "files", (json_int_t)sum->n_files, "added",
                              (json_int_t)sum->n_added, "known", (json_int_t)sum->n_known, "db", j->db);
        if (j->study) json_object_set_new(o, "points", json_integer((json_int_t)f.points));
        if (j->study) json_object_set_new(o, "open", json_integer((json_int_t)f.open));
        if (j->study) json_object_set_new(o, "failed", json_integer((json_int_t)f.failed));
        return exp_print_json(o, st);
    }
    FILE *out = j->a->csv && strcmp(j->a->csv, "-") == 0 ? stderr : stdout;
    fprintf(out, "%llu file%s: %s points added, %s known before\n", (unsigned long long)sum->n_files,
            sum->n_files == 1 ? "" : "s", exp_count_words((double)sum->n_added).text,
            exp_count_words((double)sum->n_known).text);
    if (j->study)
        fprintf(out, "%s of %s points are open, %s of them because they failed\n",
                exp_count_words((double)f.open).text, exp_count_words((double)f.points).text,
                exp_count_words((double)f.failed).text);
    if (f.open)
        next_sweep(j);
    else
        next_report(j);
    return true;
}

static bool merge(const struct job *j, struct sim_status *st)
{
    struct exp_merged sum = {0};
    if (!files_are_there(j->a, st)) return false;
    struct exp_store *s = exp_store_open(j->db, EXP_STORE_WRITE, st);
    bool ok = s && take_files(j, s, &sum, st) && write_csv(j, s, st);
    exp_store_close(s);
    return ok && show_merged(j, &sum, st);
}

/* ---- computing ---- */

static bool any_done(const struct exp_sweep_sum *sum, const struct exp_sweep_digest *d, struct sim_status *st)
{
    if (!sum->computed || sum->failed < sum->computed || sum->reused) return true;
    json_t *first = json_array_get(d->failures, 0);
    const char *why = json_string_value(json_object_get(first, "reason"));
    why = why ? why : "reasons are in the database";
    return sum->failed == 1
               ? sim_fail(st, "the only point failed: %s", why)
               : sim_fail(st, "all %s points failed: %s", exp_count_words((double)sum->failed).text, why);
}

static bool show(const struct job *j, const struct exp_sweep_sum *sum, struct sim_status *st)
{
    struct exp_sweep_digest d = {0};
    struct exp_store *s = exp_store_open(j->db, EXP_STORE_READ, st);
    bool csv_here = j->a->csv && strcmp(j->a->csv, "-") == 0;
    bool ok = s && write_csv(j, s, st) && exp_sweep_digest(s, exp_study_name(j->study), &d, st);
    exp_store_close(s);
    if (ok && j->a->json)
        ok = exp_print_json(exp_sweep_json(sum, &d, j->db), st);
    else if (ok && !csv_here)
        exp_sweep_print(sum, &d, stdout);
    ok = ok && any_done(sum, &d, st);
    exp_sweep_digest_fini(&d);
    return ok;
}

static bool sweep(struct job *j, struct sim_status *st)
{
    struct exp_sweep_sum sum = {0};
    bool ok = exp_sweep(j->study, &j->sweep, &sum, st);
    j->kept = sum.abandoned;
    if (!ok || j->ranks.rank) return ok;
    if (!show(j, &sum, st)) return false;
    if (j->sweep.is_shard)
        next_merge(j);
    else
        next_report(j);
    return true;
}

/* Rank 0 reads the study first, so that a mistake in it is told once. */
static bool load(struct job *j, struct sim_status *st)
{
    const char *path = j->a->study;
    if (path && j->ranks.rank == 0) j->study = exp_study_load(path, st);
    bool ok = exp_ranks_agree(&j->ranks, st);
    if (ok && path && j->ranks.rank > 0) j->study = exp_study_load(path, st);
    ok = exp_ranks_agree(&j->ranks, st);
    if (!ok) return false;
    j->sweep.db = j->db = j->a->db ? sim_strdup(j->a->db) : default_db(j);
    if (j->ranks.rank == 0) check_csv(j, st);
    return exp_ranks_agree(&j->ranks, st);
}

/* What only one process does. */
static bool is_for_one(const struct arguments *a)
{
    return a->merge || a->dry_run;
}

static bool carry_out(struct job *j, struct sim_status *st)
{
    if (!load(j, st)) return false;
    if (is_for_one(j->a) && j->ranks.rank) return true;
    return j->a->merge ? merge(j, st) : j->a->dry_run ? dry_run(j, st) : sweep(j, st);
}

/* Standard output or error to nowhere; the descriptor that it was. */
static int mute(int fd)
{
    int was = dup(fd), nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) dup2(nowhere, fd);
    if (nowhere >= 0) close(nowhere);
    return was;
}

static void end_quietly(void)
{
    _exit(SIM_EXIT_OK);
}

/* Only the first of several processes speaks, and its exit code is that of all: one that ends with another code, be it
 * on wrong usage, has mpirun kill the first before it speaks. */
static void read_arguments(int argc, char **argv, struct arguments *a)
{
    bool first = exp_ranks_is_first();
    int was = first ? -1 : mute(STDERR_FILENO);
    if (!first) {
        close(mute(STDOUT_FILENO));
        atexit(end_quietly);
    }
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, a);
    if (was >= 0) dup2(was, STDERR_FILENO);
    if (was >= 0) close(was);
}

bool exp_cmd_sweep(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {.sweep = {.n_shards = 1, .shard = 1}};
    a.file = sim_alloc(MAX_FILES, sizeof *a.file);
    read_arguments(argc, argv, &a);
    struct job j = {.a = &a, .sweep = a.sweep};
    if (!a.jobs) j.sweep.n_threads = exp_ranks_started() > 1 ? 1 : exp_processors();
    bool ok = exp_ranks_begin(&j.ranks, st);
    j.sweep.ranks = &j.ranks;
    ok = ok && carry_out(&j, st);
    exp_ranks_end(&j.ranks);
    if (!j.kept) exp_study_free(j.study);
    if (!j.kept) free(j.db);
    free(a.file);
    return ok || !exp_ranks_is_first();
}
