/* `kvsim calib`: raw operator tables to profiles (import, fit), how wrong they are (check), what is in them
 * (show). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calib/calib.h"
#include "experiments/cache.h"
#include "experiments/cli.h"
#include "experiments/command.h"
#include "models/datadir.h"
#include "sim/memory.h"

struct arguments {
    const char *what, *gpu, *raw, *out;
    struct cal_source source;
    uint64_t seed;
    bool json;
};

enum { KEY_GPU = 0x100, KEY_FROM, KEY_RAW, KEY_SOURCE, KEY_LICENCE, KEY_DATE, KEY_SEED, KEY_JSON };

static const struct argp_option make_options[] = {
    {"out", 'o', "DIR", 0, "the profile's folder (needed)", 0},
    {"gpu", KEY_GPU, "NAME", 0, "the card that was measured (kvsim list gpus)", 0},
    {"from", KEY_FROM, "FORMAT", 0, "aiconfigurator (default), vidur or kvbench", 0},
    {"raw", KEY_RAW, "DIR", 0, "folder of raw tables, above FOLDER (default: $KVSIM_SHARED/profiles)", 0},
    {"source", KEY_SOURCE, "TEXT", 0, "where the tables are from, for profile.yaml", 0},
    {"licence", KEY_LICENCE, "TEXT", 0, "their licence", 0},
    {"date", KEY_DATE, "YYYY-MM-DD", 0, "their date (default: today)", 0},
    {0},
};

static const struct argp_option check_options[] = {
    {"raw", KEY_RAW, "DIR", 0,
     "folder of raw tables (default: $KVSIM_SHARED/profiles; without: recorded errors)", 0},
    {"seed", KEY_SEED, "N", 0, "of the folds (default: 1)", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object", 0},
    {0},
};

static const struct argp_option show_options[] = {{0}};

static const char *const formats[] = {"aiconfigurator", "vidur", "kvbench", NULL};

static bool is_date(const char *text)
{
    static const char form[] = "dddd-dd-dd";
    size_t i = 0;
    while (form[i] && (form[i] == 'd' ? isdigit((unsigned char)text[i]) != 0 : text[i] == form[i])) i++;
    return !form[i] && !text[i];
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'o':
        a->out = arg;
        return 0;
    case KEY_GPU:
        a->gpu = arg;
        return 0;
    case KEY_FROM:
        a->source.from = formats[exp_cli_choice(state, "--from", arg, formats)];
        return 0;
    case KEY_RAW:
        a->raw = arg;
        return 0;
    case KEY_SOURCE:
        a->source.source = arg;
        return 0;
    case KEY_LICENCE:
        a->source.licence = arg;
        return 0;
    case KEY_DATE:
        if (!is_date(arg))
            argp_failure(state, SIM_EXIT_USAGE, 0, "--date is `%.40s`, expected YYYY-MM-DD", arg);
        a->source.date = arg;
        return 0;
    case KEY_SEED:
        a->seed = exp_cli_count(state, "--seed", arg, 0, UINT64_MAX);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->what) argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`", arg);
        a->what = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, SIM_EXIT_USAGE, 0,
                     "nothing named to work on, expected one; `kvsim list profiles` shows profiles");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- places ---- */

static bool holds_profile(const char *dir)
{
    char *yaml = sim_printf("%s/profile.yaml", dir);
    bool there = access(yaml, F_OK) == 0;
    free(yaml);
    return there;
}

/* The folder as it is named, else the shipped profile of that name; free with free(). */
static char *profile_dir(const char *name, struct sim_status *st)
{
    if (holds_profile(name)) return sim_strdup(name);
    char *data_dir = mdl_data_dir(st);
    char *dir = data_dir ? exp_profile_dir(data_dir, name, st) : NULL;
    free(data_dir);
    return dir;
}

/* --raw, else $KVSIM_SHARED/profiles where that is; NULL when there is neither. free with free(). */
static char *raw_dir(const struct arguments *a)
{
    if (a->raw) return sim_strdup(a->raw);
    const char *base = getenv("KVSIM_SHARED");
    char *dir = base ? sim_printf("%s/profiles", base) : NULL;
    if (dir && access(dir, R_OK) == 0) return dir;
    free(dir);
    return NULL;
}

static void tell(void *user, const char *what)
{
    (void)user;
    if (isatty(STDERR_FILENO)) fprintf(stderr, "%s\n", what);
}

static const struct cal_talk talk = {tell, NULL};

/* ---- import and fit ---- */

typedef bool make_fn(const struct cal_source *source, const struct mdl_gpu *gpu, const char *out_dir,
                     struct cal_talk talk, struct sim_status *st);

static bool make_from_folder(struct arguments *a, const char *root, make_fn *make, struct sim_status *st)
{
    if (!a->gpu)
        return sim_fail_as(
            st, SIM_EXIT_USAGE,
            "kvsim calib: no --gpu given, expected the card that was measured; see `kvsim list gpus`");
    struct exp_cache *cache = exp_cache_new(st);
    const struct mdl_gpu *gpu = cache ? mdl_gpu_find(exp_cache_gpus(cache), a->gpu, st) : NULL;
    a->source.root = root;
    a->source.folder = a->what;
    bool ok = gpu && make(&a->source, gpu, a->out, talk, st);
    exp_cache_free(cache);
    return ok;
}

static bool make_profile(struct arguments *a, make_fn *make, struct sim_status *st)
{
    if (!a->out)
        return sim_fail_as(st, SIM_EXIT_USAGE, "kvsim calib: no output folder given, expected -o DIR");
    char *root = raw_dir(a);
    bool ok = root ? make_from_folder(a, root, make, st)
                   : sim_fail_as(st, SIM_EXIT_USAGE,
                                 "kvsim calib: no raw tables named, expected --raw DIR (or KVSIM_SHARED)");
    free(root);
    return ok;
}

static const struct argp import_argp = {
    make_options,
    parse,
    "FOLDER",
    "Writes raw tables of a card (FOLDER below the folder of raw tables) as a "
    "profile of what was measured and nothing else.",
    NULL,
    NULL,
    NULL};

static bool run_import(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {.source.from = formats[0]};
    argp_parse(&import_argp, argc, argv, 0, NULL, &a);
    if (!make_profile(&a, cal_import, st)) return false;
    exp_next("kvsim calib fit %s -o DIR", a.out);
    return true;
}

static const struct argp fit_argp = {
    make_options,
    parse,
    "FOLDER|PROFILE",
    "Fits utilisation surfaces to the raw tables of a card, given as a folder below the "
    "folder of raw tables or as a profile that names them.",
    NULL,
    NULL,
    NULL};

static bool refit(const struct arguments *a, const char *dir, struct sim_status *st)
{
    if (!a->out)
        return sim_fail_as(st, SIM_EXIT_USAGE, "kvsim calib: no output folder given, expected -o DIR");
    char *root = raw_dir(a);
    bool ok = root ? cal_refit(dir, root, a->out, talk, st)
                   : sim_fail_as(st, SIM_EXIT_USAGE,
                                 "kvsim calib: no raw tables named, expected --raw DIR (or KVSIM_SHARED)");
    free(root);
    return ok;
}

static bool run_fit(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {.source.from = formats[0]};
    argp_parse(&fit_argp, argc, argv, 0, NULL, &a);
    struct sim_status no_profile = {0};
    /* A PROFILE is told from a FOLDER by its profile.yaml; kvbench's folders have one, too, and need --gpu. */
    char *dir = a.gpu ? NULL : profile_dir(a.what, &no_profile);
    bool ok = dir ? refit(&a, dir, st) : make_profile(&a, cal_fit, st);
    free(dir);
    if (ok) exp_next("kvsim calib check %s", a.out);
    return ok;
}

/* ---- check and show ---- */

static const struct argp check_argp = {
    check_options,
    parse,
    "PROFILE",
    "How wrong a profile is on shapes that its fit did not see: refitted from the raw "
    "tables with seeded folds, or as recorded at the fit.",
    NULL,
    NULL,
    NULL};

static bool run_check(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {.seed = 1};
    argp_parse(&check_argp, argc, argv, 0, NULL, &a);
    struct cal_report report;
    char *dir = profile_dir(a.what, st), *root = raw_dir(&a);
    bool ok = dir && cal_check(dir, root, a.seed, talk, &report, st);
    free(dir);
    free(root);
    if (!ok) return false;
    if (a.json)
        ok = cal_report_json(&report, stdout, st);
    else
        cal_report_print(&report, stdout);
    cal_report_fini(&report);
    if (ok && fflush(stdout) == 0) exp_next("kvsim calib show %s", a.what);
    return ok;
}

static const struct argp show_argp = {
    show_options, parse, "PROFILE", "What a profile is, covers, and where it is from.", NULL, NULL, NULL};

static bool run_show(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {0};
    argp_parse(&show_argp, argc, argv, 0, NULL, &a);
    char *dir = profile_dir(a.what, st);
    bool ok = dir && cal_show(dir, stdout, st);
    free(dir);
    if (ok && fflush(stdout) == 0) exp_next("kvsim run SCENARIO --set fleet.0.profile=%s", a.what);
    return ok;
}

/* ---- dispatch ---- */

bool exp_cmd_calib(int argc, char **argv, struct sim_status *st)
{
    static const struct exp_command subcommands[] = {
        {"import", "raw operator tables of a card, as a profile of what was measured", run_import},
        {"fit", "raw operator tables of a card, as a profile that answers for any shape", run_fit},
        {"check", "how wrong a profile is on shapes that its fit did not see", run_check},
        {"show", "what a profile is, covers, and where it is from", run_show},
    };
    return exp_dispatch(subcommands, sizeof subcommands / sizeof subcommands[0], argc, argv, st);
}
