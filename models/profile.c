#include "models/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/place.h"
#include "models/profile_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

#include <gsl/gsl_errno.h>

const char *mdl_family_name(enum mdl_family f)
{
    static const char *const name[MDL_N_FAMILY] = {"gemm", "attention_prefill", "attention_decode",
                                                   "allreduce", "elementwise"};
    SIM_CHECK(f < MDL_N_FAMILY);
    return name[f];
}

const char *mdl_profile_name(const struct mdl_profile *p)
{
    return p->name;
}

const char *mdl_profile_origin(const struct mdl_profile *p)
{
    return p->origin ? p->origin : "";
}

void mdl_profile_free(struct mdl_profile *p)
{
    if (!p) return;
    for (int f = 0; f < MDL_N_FAMILY; f++) mdl_sheet_fini(&p->sheet[f]);
    for (uint32_t i = 0; i < p->n_raw; i++) free(p->raw[i].path);
    char *text[] = {p->name,   p->gpu,     p->engine, p->origin, p->device,
                    p->source, p->licence, p->date,   p->stage};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) free(text[i]);
    free(p->raw);
    free(p);
}

/* The last part of a path, without slashes at its end. */
static char *base_name(const char *dir)
{
    char *copy = sim_strdup(dir);
    size_t n = strlen(copy);
    while (n > 1 && copy[n - 1] == '/') copy[--n] = '\0';
    const char *slash = strrchr(copy, '/');
    char *name = sim_strdup(slash && slash[1] ? slash + 1 : copy);
    free(copy);
    return name;
}

static bool load_sheets(struct mdl_profile *p, const char *dir, struct sim_status *st)
{
    for (int i = 0; i < MDL_N_FAMILY; i++) {
        enum mdl_family f = (enum mdl_family)i;
        if (!p->present[f] || !mdl_sheet_file(f)) continue;
        double t0_s = p->sheet[f].t0_s;
        uint32_t kernel = p->sheet[f].kernel;
        char *path = sim_printf("%s/%s", dir, mdl_sheet_file(f));
        bool ok = mdl_sheet_read(path, f, p->scale, &p->sheet[f], st);
        p->sheet[f].t0_s = t0_s;
        p->sheet[f].kernel = kernel;
        free(path);
        if (!ok) return false;
    }
    return true;
}

struct mdl_profile *mdl_profile_load(const char *dir, const struct mdl_gpu *gpu, struct sim_status *st)
{
    gsl_set_error_handler_off();
    struct mdl_profile *p = sim_alloc(1, sizeof *p);
    char *yaml = sim_printf("%s/profile.yaml", dir);
    p->name = base_name(dir);
    bool ok = mdl_profile_read_yaml(yaml, p, st) && load_sheets(p, dir, st);
    free(yaml);
    if (!ok) {
        mdl_profile_free(p);
        return NULL;
    }
    if (!gpu || strcmp(gpu->name, p->gpu) == 0) return p;
    if (strcmp(gpu->name, MDL_CPU_DEVICE) == 0 || strcmp(p->gpu, MDL_CPU_DEVICE) == 0) {
        sim_fail(
            st,
            "%s: measured on %s, cannot stand for %s; a profile of the cpu device is for the cpu device only",
            dir, p->gpu, gpu->name);
        mdl_profile_free(p);
        return NULL;
    }
    p->transferred = true;
    p->peaks = mdl_peaks_of(gpu);
    return p;
}

struct mdl_profile *mdl_profile_analytic(const struct mdl_gpu *gpu)
{
    struct mdl_profile *p = sim_alloc(1, sizeof *p);
    p->name = sim_printf("analytic-%s", gpu->name);
    p->gpu = sim_strdup(gpu->name);
    p->peaks = mdl_peaks_of(gpu);
    p->analytic = true;
    p->past = mdl_typical_past();
    return p;
}

enum sim_evidence mdl_profile_evidence(const struct mdl_profile *p, enum sim_evidence how)
{
    if (p->analytic) return SIM_ANALYTIC;
    return p->transferred && how < SIM_TRANSFERRED ? SIM_TRANSFERRED : how;
}

/* ---- rows ---- */

static bool has_type(const struct mdl_sheet *sheet, uint32_t type)
{
    for (uint32_t r = 0; r < sheet->s.n_rows; r++)
        if (sheet->key[(size_t)r * MDL_MAX_KEYS] == type) return true;
    return false;
}

const struct mdl_sheet *mdl_profile_sheet(const struct mdl_profile *p, enum mdl_family f, enum mdl_dtype type)
{
    return p->present[f] && has_type(&p->sheet[f], type) ? &p->sheet[f] : NULL;
}

/* A cell that was filled is interpolated between cells of its row, and extrapolated beyond the last. */
static enum sim_evidence cell_evidence(const struct mdl_surface *s, uint32_t row, uint32_t col)
{
    const uint8_t *cell = s->cell + (size_t)row * s->n_cols;
    if (cell[col] == MDL_MEASURED) return SIM_MEASURED;
    bool left = memchr(cell, MDL_MEASURED, col) != NULL;
    bool right = memchr(cell + col, MDL_MEASURED, s->n_cols - col) != NULL;
    return left && right ? SIM_INTERPOLATED : SIM_EXTRAPOLATED;
}

/* Moves a key into the box of measured keys of its type; says whether it was inside. */
static bool clamp_key(const struct mdl_sheet *sheet, uint32_t *key)
{
    bool inside = true;
    for (uint32_t i = 1; i < sheet->n_keys; i++) {
        uint32_t lo = UINT32_MAX, hi = 0;
        for (uint32_t r = 0; r < sheet->s.n_rows; r++) {
            const uint32_t *k = sheet->key + (size_t)r * MDL_MAX_KEYS;
            if (k[0] != key[0]) continue;
            lo = k[i] < lo ? k[i] : lo;
            hi = k[i] > hi ? k[i] : hi;
        }
        if (key[i] >= lo && key[i] <= hi) continue;
        inside = false;
        key[i] = key[i] < lo ? lo : hi;
    }
    return inside;
}

/* Columns that no row of this batch (last key of attention) reaches are beyond what fits the card's memory.
 */
static bool column_seen(const struct mdl_sheet *sheet, const uint32_t *key, uint32_t col)
{
    for (uint32_t r = 0; r < sheet->s.n_rows; r++) {
        const uint32_t *k = sheet->key + (size_t)r * MDL_MAX_KEYS;
        bool alike = k[0] == key[0] && (sheet->n_keys < MDL_MAX_KEYS || k[4] == key[4]);
        if (alike && sheet->s.cell[(size_t)r * sheet->s.n_cols + col] == MDL_MEASURED) return true;
    }
    return false;
}

bool mdl_sheet_row(const struct mdl_sheet *sheet, enum mdl_family f, const uint32_t *key, double *y,
                   uint8_t *how)
{
    const struct mdl_surface *s = &sheet->s;
    double x[MDL_MAX_FEATURES];
    uint32_t near[MDL_MAX_KEYS];
    if (!has_type(sheet, key[0])) return false;
    memcpy(near, key, sheet->n_keys * sizeof *near);
    bool inside = clamp_key(sheet, near);
    mdl_sheet_features(f, near, x);
    uint32_t row = mdl_surface_find(s, x);
    if (row != MDL_NO_ROW) {
        memcpy(y, s->y + (size_t)row * s->n_cols, s->n_cols * sizeof *y);
        for (uint32_t c = 0; c < s->n_cols; c++)
            how[c] = (uint8_t)(inside ? cell_evidence(s, row, c) : SIM_EXTRAPOLATED);
        return true;
    }
    if (!mdl_surface_krige(s, mdl_place_kernel(f, sheet->kernel), x, MDL_NO_ROWS, y)) return false;
    for (uint32_t c = 0; c < s->n_cols; c++)
        how[c] = (uint8_t)(inside && column_seen(sheet, near, c) ? SIM_INTERPOLATED : SIM_EXTRAPOLATED);
    return true;
}

/* ---- what it covers ---- */

static bool has_head_dim(const struct mdl_sheet *sheet, uint32_t head_dim)
{
    for (uint32_t r = 0; r < sheet->s.n_rows; r++)
        if (sheet->key[(size_t)r * MDL_MAX_KEYS + 3] == head_dim) return true;
    return false;
}

static bool covers_attn(const struct mdl_profile *p, enum mdl_family f, struct mdl_attn_shape shape,
                        struct sim_status *st)
{
    if (!p->present[f]) return true;
    if (!has_type(&p->sheet[f], shape.kv))
        return sim_fail(
            st,
            "profile %s: %s has no %s KV cache, expected a type that was measured; use bf16 KV or "
            "another profile",
            p->name, mdl_family_name(f), mdl_dtype_name(shape.kv));
    if (!has_head_dim(&p->sheet[f], shape.head_dim))
        return sim_fail(
            st,
            "profile %s: %s has no head_dim %u, expected one that was measured; use another profile "
            "or `profile: analytic`",
            p->name, mdl_family_name(f), shape.head_dim);
    return true;
}

bool mdl_profile_covers(const struct mdl_profile *p, enum mdl_dtype weights, struct mdl_attn_shape shape,
                        uint32_t tp, struct sim_status *st)
{
    (void)tp; /* any number of GPUs is answered from the nearest measured one */
    if (p->present[MDL_GEMM] && weights != MDL_INT4 && !has_type(&p->sheet[MDL_GEMM], weights))
        return sim_fail(st,
                        "profile %s: no %s GEMM was measured, expected bf16 or another measured type; set "
                        "`weights:` or use another profile",
                        p->name, mdl_dtype_name(weights));
    return covers_attn(p, MDL_ATTN_PREFILL, shape, st) && covers_attn(p, MDL_ATTN_DECODE, shape, st);
}
