#include "calib/write.h"

#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"
#include "sim/outfile.h"

/* ---- sheets ---- */

static void write_key(FILE *out, enum mdl_family f, const uint32_t *key, uint32_t n_keys)
{
    fputs(f == MDL_ALLREDUCE ? mdl_variant_name((enum mdl_variant)key[0])
                             : mdl_dtype_name((enum mdl_dtype)key[0]),
          out);
    for (uint32_t i = 1; i < n_keys; i++) fprintf(out, ",%u", key[i]);
}

static void write_cell(FILE *out, double scale, double y, enum mdl_cell cell)
{
    double v = fmin(fmax(round(scale * exp(-y)), 1.0), 999999999.0);
    if (cell == MDL_HOLE)
        fputc(',', out);
    else
        fprintf(out, cell == MDL_FILLED ? ",-%.0f" : ",%.0f", v);
}

static void write_rows(FILE *out, enum mdl_family f, const struct mdl_sheet *sheet, double scale)
{
    const char *const *name;
    const struct mdl_surface *s = &sheet->s;
    uint32_t n_keys = mdl_sheet_keys(f, &name);
    for (uint32_t i = 0; i < n_keys; i++) fprintf(out, "%s%s", i ? "," : "", name[i]);
    for (uint32_t c = 0; c < s->n_cols; c++) fprintf(out, ",%.0f", s->axis[c]);
    fputc('\n', out);
    for (uint32_t r = 0; r < s->n_rows; r++) {
        write_key(out, f, sheet->key + (size_t)r * MDL_MAX_KEYS, n_keys);
        size_t at = (size_t)r * s->n_cols;
        for (uint32_t c = 0; c < s->n_cols; c++)
            write_cell(out, scale, s->y[at + c], (enum mdl_cell)s->cell[at + c]);
        fputc('\n', out);
    }
}

static bool write_sheet(const struct mdl_profile *p, enum mdl_family f, const char *dir,
                        struct sim_status *st)
{
    char *path = sim_printf("%s/%s", dir, mdl_sheet_file(f));
    struct sim_outfile *out = sim_outfile_open(path, st);
    free(path);
    if (!out) return false;
    write_rows(sim_outfile_stream(out), f, &p->sheet[f], p->scale);
    return sim_outfile_commit(out, st);
}

/* ---- profile.yaml ---- */

/* Single quotes keep any text as it is; a quote inside is doubled, a line break becomes a space. */
static void write_text(FILE *out, const char *key, const char *text)
{
    fprintf(out, "%s: '", key);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
    fputs("'\n", out);
}

static void write_errors(FILE *out, const struct mdl_profile *p)
{
    fputs("# Relative errors, fractions: whole sites left out, single points left out, chunks with a "
          "past.\nerrors:\n",
          out);
    for (int f = 0; f < MDL_N_FAMILY; f++) {
        bool any = false;
        for (int k = 0; k < MDL_N_CHECK; k++) {
            const struct mdl_errors *e = &p->error[f][k];
            if (e->n == 0) continue;
            if (!any) fprintf(out, "  %s:\n", mdl_family_name((enum mdl_family)f));
            any = true;
            fprintf(out,
                    "    %s: {n: %llu, median: %.5f, p90: %.5f, worst: %.4f, bias: %.5f, sd_log: %.5f}\n",
                    mdl_check_name((enum mdl_check_kind)k), (unsigned long long)e->n, e->median, e->p90,
                    e->worst, e->bias, e->sd_log);
        }
    }
}

static void write_head(FILE *out, const struct mdl_profile *p)
{
    fputs("# How fast one GPU runs one engine's operators; see models/README.md, \"Operators\".\nformat: 1\n",
          out);
    write_text(out, "stage", p->stage);
    write_text(out, "gpu", p->gpu);
    write_text(out, "engine", p->engine);
    write_text(out, "origin", p->origin);
    write_text(out, "device", p->device);
    write_text(out, "source", p->source);
    write_text(out, "licence", p->licence);
    write_text(out, "date", p->date);
    fprintf(out, "peaks:\n  bf16_flops: %.6g\n  fp8_flops: %.6g\n  int8_flops: %.6g\n  int4_flops: %.6g\n",
            p->peaks.rate_flops[MDL_BF16], p->peaks.rate_flops[MDL_FP8], p->peaks.rate_flops[MDL_INT8],
            p->peaks.rate_flops[MDL_INT4]);
    fprintf(out, "  bandwidth_byte_per_s: %.6g\n  link_byte_per_s: %.6g\n", p->peaks.bandwidth_byte_per_s,
            p->peaks.link_byte_per_s);
    fprintf(out, "# A cell is scale x (t0 + roofline) / time.\nscale: %.0f\nt0_s:\n", p->scale);
    for (int f = 0; f < MDL_N_FAMILY; f++)
        if (p->present[f])
            fprintf(out, "  %s: %.6g\n", mdl_family_name((enum mdl_family)f), p->sheet[f].t0_s);
    fprintf(out,
            "# Shares of the peaks at which a prefill chunk works off its past.\npast: {compute_frac: %.4f, "
            "bytes_frac: "
            "%.4f}\n",
            p->past.compute_frac, p->past.bytes_frac);
    if (p->elementwise_frac > 0)
        fprintf(out,
                "# Share of the bandwidth that norms, RoPE and activations reach.\nelementwise_bytes_frac: "
                "%.5g\n",
                p->elementwise_frac);
    fputs("# Variant of models/place.c that told sites left out best.\ncovariance: {", out);
    for (int f = 0; f < MDL_N_FAMILY; f++)
        fprintf(out, "%s%s: %u", f ? ", " : "", mdl_family_name((enum mdl_family)f), p->sheet[f].kernel);
    fputs("}\nraw:\n", out);
    for (uint32_t i = 0; i < p->n_raw; i++)
        fprintf(out, "  - {path: '%s', sha256: %s}\n", p->raw[i].path, p->raw[i].sha256);
}

static bool write_yaml(const struct mdl_profile *p, const char *dir, struct sim_status *st)
{
    char *path = sim_printf("%s/profile.yaml", dir);
    struct sim_outfile *out = sim_outfile_open(path, st);
    free(path);
    if (!out) return false;
    write_head(sim_outfile_stream(out), p);
    bool any = false;
    for (int f = 0; f < MDL_N_FAMILY; f++)
        for (int k = 0; k < MDL_N_CHECK; k++) any |= p->error[f][k].n > 0;
    if (any) write_errors(sim_outfile_stream(out), p);
    return sim_outfile_commit(out, st);
}

bool cal_write_profile(const struct mdl_profile *p, const char *dir, struct sim_status *st)
{
    if (!sim_make_dir(dir, st)) return false;
    for (int f = 0; f < MDL_N_FAMILY; f++)
        if (p->present[f] && mdl_sheet_file((enum mdl_family)f) &&
            !write_sheet(p, (enum mdl_family)f, dir, st))
            return false;
    return write_yaml(p, dir, st);
}
