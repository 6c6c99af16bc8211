#include "calib/calib.h"

#include <stdlib.h>

#include <jansson.h>

#include "sim/memory.h"

void cal_report_fini(struct cal_report *r)
{
    free(r->profile);
    *r = (struct cal_report){0};
}

static json_t *errors_json(const struct mdl_errors *e)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f}", "n", (json_int_t)e->n, "median", e->median, "p90", e->p90,
                     "worst", e->worst, "bias", e->bias);
}

bool cal_report_json(const struct cal_report *r, FILE *out, struct sim_status *st)
{
    static const char *const key[MDL_N_CHECK] = {"operators", "points", "past"};
    json_t *root = json_object();
    json_object_set_new(root, "profile", json_string(r->profile));
    if (r->recorded) json_object_set_new(root, "recorded", json_true());
    for (int k = 0; k < MDL_N_CHECK; k++) {
        json_t *families = json_object();
        for (int f = 0; f < MDL_N_FAMILY; f++)
            if (r->error[f][k].n > 0)
                json_object_set_new(families, mdl_family_name((enum mdl_family)f),
                                    errors_json(&r->error[f][k]));
        json_object_set_new(root, key[k], families);
    }
    bool ok = json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 && fputc('\n', out) != EOF;
    json_decref(root);
    return ok || sim_fail(st, "calib check: the report could not be written");
}

static const char *check_title(enum mdl_check_kind k)
{
    return k == MDL_CHECK_SITES    ? "shapes that the fit did not see"
           : k == MDL_CHECK_POINTS ? "sizes that the fit did not see"
                                   : "prompt chunks with a past";
}

static void print_errors(struct mdl_errors error[MDL_N_FAMILY][MDL_N_CHECK], FILE *out)
{
    for (int k = 0; k < MDL_N_CHECK; k++) {
        bool any = false;
        for (int f = 0; f < MDL_N_FAMILY; f++) {
            const struct mdl_errors *e = &error[f][k];
            if (e->n == 0) continue;
            if (!any)
                fprintf(out, "%-32s %8s %9s %9s %9s %9s\n", check_title((enum mdl_check_kind)k), "n",
                        "median %", "p90 %", "worst %", "bias %");
            any = true;
            fprintf(out, "  %-30s %8llu %9.2f %9.2f %9.1f %+9.2f\n", mdl_family_name((enum mdl_family)f),
                    (unsigned long long)e->n, 100 * e->median, 100 * e->p90, 100 * e->worst, 100 * e->bias);
        }
    }
}

void cal_report_print(struct cal_report *r, FILE *out)
{
    fprintf(out, "%s%s\n", r->profile,
            r->recorded ? " (errors recorded at the fit; give --raw to measure them)" : "");
    print_errors(r->error, out);
}

/* ---- show ---- */

static void print_sheet(const struct mdl_profile *p, enum mdl_family f, FILE *out)
{
    const struct mdl_surface *s = &p->sheet[f].s;
    size_t n = (size_t)s->n_rows * s->n_cols, measured = 0;
    for (size_t i = 0; i < n; i++) measured += s->cell[i] == MDL_MEASURED;
    fprintf(out, "  %-18s %6u rows, sizes %.0f to %.0f (%u), %5.1f %% measured, t0 %.2f us\n",
            mdl_family_name(f), s->n_rows, s->axis[0], s->axis[s->n_cols - 1], s->n_cols,
            100.0 * (double)measured / (double)n, 1e6 * p->sheet[f].t0_s);
}

bool cal_show(const char *profile_dir, FILE *out, struct sim_status *st)
{
    struct mdl_profile *p = mdl_profile_load(profile_dir, NULL, st);
    if (!p) return false;
    fprintf(out, "%s (%s)\n  gpu      %s, %s\n  engine   %s\n  source   %s, %s, %s\n", p->name, p->stage,
            p->gpu, p->device, p->engine, p->source, p->licence, p->date);
    fprintf(out, "  peaks    bf16 %.1f TFLOP/s, fp8 %.1f TFLOP/s, memory %.0f GB/s, link %.0f GB/s\n",
            1e-12 * p->peaks.rate_flops[MDL_BF16], 1e-12 * p->peaks.rate_flops[MDL_FP8],
            1e-9 * p->peaks.bandwidth_byte_per_s, 1e-9 * p->peaks.link_byte_per_s);
    for (int f = 0; f < MDL_N_FAMILY; f++)
        if (p->present[f] && p->sheet[f].s.n_rows > 0) print_sheet(p, (enum mdl_family)f, out);
    print_errors(p->error, out);
    mdl_profile_free(p);
    return true;
}
