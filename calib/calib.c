#include "calib/calib.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gsl/gsl_errno.h>

#include "calib/fit.h"
#include "calib/methods.h"
#include "calib/write.h"
#include "sim/memory.h"

/* Steps of a cell: 1e-4 of the law is below the noise of a launch; a raw profile keeps what was measured. */
static const double FITTED_SCALE = 1e4, RAW_SCALE = 1e8;
enum { FIT_SEED = 1 };

static void say(struct cal_talk talk, const char *what, const char *of)
{
    if (!talk.progress) return;
    char *line = sim_printf("%s%s", what, of);
    talk.progress(talk.user, line);
    free(line);
}

static char *text_or(const char *text, const char *fallback)
{
    return sim_strdup(text ? text : fallback);
}

static char *today(void)
{
    char text[16] = "";
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm)) strftime(text, sizeof text, "%Y-%m-%d", &tm);
    return sim_strdup(text);
}

static const struct origin {
    const char *from, *source, *licence;
} origins[] = {{"aiconfigurator", "AIConfigurator performance database", "Apache-2.0"},
               {"vidur", "profiles in Vidur's format", "MIT"},
               {"kvbench", "measured with kvbench", "the measurer's own"}};

static const struct origin *origin_of(const char *from)
{
    size_t i = 0;
    while (i + 1 < sizeof origins / sizeof *origins && strcmp(origins[i].from, from) != 0) i++;
    return &origins[i];
}

/* kvbench's cpu device is no card, and no card is the cpu device. */
static bool same_kind(const struct cal_tables *t, const struct mdl_gpu *gpu, struct sim_status *st)
{
    bool cpu = t->kind && strcmp(t->kind, "cpu") == 0, wanted = strcmp(gpu->name, MDL_CPU_DEVICE) == 0;
    return cpu == wanted ||
           sim_fail(st, "the tables are of %s `%s`, not of %s; name what was measured with --gpu",
                    cpu ? "the cpu device" : "the card", t->device ? t->device : "unknown", gpu->name);
}

/* Everything but the sheets. */
static struct mdl_profile *describe(const struct cal_source *source, const struct mdl_gpu *gpu,
                                    const struct cal_tables *t, const char *stage)
{
    struct mdl_profile *p = sim_alloc(1, sizeof *p);
    const struct origin *origin = origin_of(source->from);
    p->name = sim_strdup(gpu->name);
    p->gpu = sim_strdup(gpu->name);
    p->stage = sim_strdup(stage);
    p->origin = sim_strdup(source->from);
    p->device = text_or(t->device, gpu->title);
    p->engine =
        sim_printf("%s (%s)", t->engine ? t->engine : "unknown", t->kernels ? t->kernels : "unknown kernels");
    p->source = text_or(source->source, origin->source);
    p->licence = text_or(source->licence, origin->licence);
    p->date = source->date ? sim_strdup(source->date) : today();
    p->peaks = t->ceilings.bandwidth_byte_per_s > 0 ? t->ceilings : mdl_peaks_of(gpu);
    if (!(p->peaks.link_byte_per_s > 0)) p->peaks.link_byte_per_s = mdl_peaks_of(gpu).link_byte_per_s;
    p->raw = sim_alloc(t->n_raw + 1, sizeof *p->raw);
    for (; p->n_raw < t->n_raw; p->n_raw++) {
        p->raw[p->n_raw] = t->raw[p->n_raw];
        p->raw[p->n_raw].path = sim_strdup(t->raw[p->n_raw].path);
    }
    return p;
}

static void build_sheets(struct mdl_profile *p, const struct cal_tables *t, bool complete)
{
    for (int i = 0; i < MDL_N_FAMILY; i++) {
        enum mdl_family f = (enum mdl_family)i;
        if (t->family[f].n == 0 || !mdl_sheet_file(f)) continue;
        cal_sheet_build(&p->peaks, f, &t->family[f], NULL, &p->sheet[f]);
        if (complete) cal_sheet_complete(&p->sheet[f], f, &p->peaks);
        p->present[f] = true;
    }
    p->past = complete ? cal_fit_past(p, &t->past, NULL) : mdl_typical_past();
    if (t->family[MDL_ELEMENTWISE].n >= CAL_ELEMENTWISE_POINTS) {
        p->elementwise_frac =
            cal_fit_elementwise(&t->family[MDL_ELEMENTWISE], &p->peaks, &p->sheet[MDL_ELEMENTWISE].t0_s);
        p->present[MDL_ELEMENTWISE] = true;
    }
}

static bool has_folds(enum mdl_family f)
{
    return f == MDL_GEMM || f == MDL_ATTN_PREFILL || f == MDL_ATTN_DECODE;
}

/* `fitted` holds the sheets of the whole fit: chunks with a past stand on them. */
static void check_all(const struct mdl_peaks *peaks, const struct cal_tables *t, struct mdl_profile *fitted,
                      uint64_t seed, struct cal_talk talk, struct mdl_errors error[MDL_N_FAMILY][MDL_N_CHECK])
{
    for (int i = 0; i < MDL_N_FAMILY; i++) {
        enum mdl_family f = (enum mdl_family)i;
        if (!has_folds(f) || t->family[f].n == 0) continue;
        say(talk, "folds over sites and points: ", mdl_family_name(f));
        error[f][MDL_CHECK_SITES] = cal_check_sites(peaks, f, &t->family[f], seed);
        error[f][MDL_CHECK_POINTS] = cal_check_points(peaks, f, &t->family[f], seed);
    }
    if (t->past.n > 0) error[MDL_ATTN_PREFILL][MDL_CHECK_PAST] = cal_check_past(fitted, &t->past, seed);
}

static bool write_fitted(struct mdl_profile *p, const struct cal_tables *t, const char *out_dir,
                         struct cal_talk talk, struct sim_status *st)
{
    p->scale = FITTED_SCALE;
    say(talk, "fitting ", p->gpu);
    build_sheets(p, t, true);
    check_all(&p->peaks, t, p, FIT_SEED, talk, p->error);
    return cal_write_profile(p, out_dir, st);
}

bool cal_import(const struct cal_source *source, const struct mdl_gpu *gpu, const char *out_dir,
                struct cal_talk talk, struct sim_status *st)
{
    struct cal_tables t = {0};
    gsl_set_error_handler_off();
    say(talk, "reading tables of ", source->folder);
    bool ok =
        cal_tables_read_folder(&t, source->from, source->root, source->folder, st) && same_kind(&t, gpu, st);
    if (ok) {
        struct mdl_profile *p = describe(source, gpu, &t, "raw");
        p->scale = RAW_SCALE;
        build_sheets(p, &t, false);
        ok = cal_write_profile(p, out_dir, st);
        mdl_profile_free(p);
    }
    cal_tables_fini(&t);
    return ok;
}

static bool write_methods(const struct cal_source *source, const char *out_dir, struct sim_status *st)
{
    char *raw_dir = sim_printf("%s/%s", source->root, source->folder);
    bool ok = cal_write_methods(raw_dir, out_dir, st);
    free(raw_dir);
    return ok;
}

bool cal_fit(const struct cal_source *source, const struct mdl_gpu *gpu, const char *out_dir,
             struct cal_talk talk, struct sim_status *st)
{
    struct cal_tables t = {0};
    gsl_set_error_handler_off();
    say(talk, "reading tables of ", source->folder);
    bool ok =
        cal_tables_read_folder(&t, source->from, source->root, source->folder, st) && same_kind(&t, gpu, st);
    if (ok) {
        struct mdl_profile *p = describe(source, gpu, &t, "fitted");
        ok = write_fitted(p, &t, out_dir, talk, st);
        if (ok && t.kind) ok = write_methods(source, out_dir, st);
        mdl_profile_free(p);
    }
    cal_tables_fini(&t);
    return ok;
}

/* The description of a profile on disk, without its sheets; NULL with a message. */
static struct mdl_profile *load_description(const char *dir, struct sim_status *st)
{
    struct mdl_profile *p = mdl_profile_load(dir, NULL, st);
    if (!p) return NULL;
    for (int f = 0; f < MDL_N_FAMILY; f++) {
        mdl_sheet_fini(&p->sheet[f]);
        p->present[f] = false;
    }
    return p;
}

bool cal_refit(const char *profile_dir, const char *root, const char *out_dir, struct cal_talk talk,
               struct sim_status *st)
{
    struct cal_tables t = {0};
    struct mdl_profile *p = load_description(profile_dir, st);
    if (!p) return false;
    say(talk, "reading tables of ", p->name);
    bool ok = cal_tables_read_profile(&t, p, root, st);
    if (ok) {
        free(p->stage);
        p->stage = sim_strdup("fitted");
        memset(p->error, 0, sizeof p->error);
        ok = write_fitted(p, &t, out_dir, talk, st);
    }
    cal_tables_fini(&t);
    mdl_profile_free(p);
    return ok;
}

bool cal_check(const char *profile_dir, const char *root, uint64_t seed, struct cal_talk talk,
               struct cal_report *out, struct sim_status *st)
{
    struct cal_tables t = {0};
    struct mdl_profile *p =
        root ? load_description(profile_dir, st) : mdl_profile_load(profile_dir, NULL, st);
    if (!p) return false;
    struct cal_report report = {.profile = sim_strdup(p->name), .recorded = !root};
    bool ok = true;
    if (root) {
        say(talk, "reading tables of ", p->name);
        ok = cal_tables_read_profile(&t, p, root, st);
        if (ok) {
            build_sheets(p, &t, true);
            check_all(&p->peaks, &t, p, seed, talk, report.error);
        }
    } else {
        memcpy(report.error, p->error, sizeof report.error);
    }
    cal_tables_fini(&t);
    mdl_profile_free(p);
    if (!ok) {
        cal_report_fini(&report);
        return false;
    }
    *out = report;
    return true;
}
