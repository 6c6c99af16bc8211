#include "models/profile_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/place.h"
#include "sim/csv_in.h"
#include "sim/memory.h"

enum { MAX_ROWS = 1 << 16, MAX_COLS = 1 << 10, MAX_CELLS = 1 << 22, MAX_KEY = 1 << 30 };

static const char *const gemm_keys[] = {"dtype", "n", "k"};
static const char *const attn_keys[] = {"kv_dtype", "q_heads", "kv_heads", "head_dim", "seqs"};
static const char *const allreduce_keys[] = {"variant", "gpus"};

static const struct {
    const char *file;
    const char *const *key;
    uint32_t n_keys, n_features;
} family[MDL_N_FAMILY] = {
    [MDL_GEMM] = {"gemm.csv", gemm_keys, 3, MDL_GEMM_FEATURES},
    [MDL_ATTN_PREFILL] = {"attention_prefill.csv", attn_keys, 5, MDL_ATTN_FEATURES},
    [MDL_ATTN_DECODE] = {"attention_decode.csv", attn_keys, 5, MDL_ATTN_FEATURES},
    [MDL_ALLREDUCE] = {"allreduce.csv", allreduce_keys, 2, 2},
};

const char *mdl_sheet_file(enum mdl_family f)
{
    return family[f].file;
}

uint32_t mdl_sheet_keys(enum mdl_family f, const char *const **names)
{
    *names = family[f].key;
    return family[f].n_keys;
}

uint32_t mdl_sheet_n_features(enum mdl_family f)
{
    return family[f].n_features;
}

const char *mdl_variant_name(enum mdl_variant v)
{
    static const char *const name[MDL_N_VARIANT] = {"graph", "eager", "nccl"};
    return name[v];
}

static struct mdl_attn_shape attn_shape(const uint32_t *key)
{
    return (struct mdl_attn_shape){
        .q_heads = key[1], .kv_heads = key[2], .head_dim = key[3], .kv = (enum mdl_dtype)key[0]};
}

void mdl_sheet_features(enum mdl_family f, const uint32_t *key, double *x)
{
    if (f == MDL_GEMM) {
        mdl_place_gemm((enum mdl_dtype)key[0], key[1], key[2], x);
    } else if (f == MDL_ALLREDUCE) {
        x[0] = key[0];
        x[1] = log2(key[1]);
    } else {
        mdl_place_attn(attn_shape(key), key[4], x);
    }
}

double mdl_sheet_law_s(const struct mdl_peaks *peaks, enum mdl_family f, double t0_s, const uint32_t *key,
                       double size)
{
    switch (f) {
    case MDL_GEMM:
        return t0_s + mdl_roof_gemm_s(peaks, (enum mdl_dtype)key[0], size, key[1], key[2]);
    case MDL_ATTN_PREFILL:
        return t0_s + mdl_roof_prefill_s(peaks, attn_shape(key), key[4], size);
    case MDL_ATTN_DECODE:
        return t0_s + mdl_roof_decode_s(peaks, attn_shape(key), key[4], size * key[4]);
    case MDL_ALLREDUCE:
        return t0_s + mdl_roof_allreduce_s(peaks, key[1], size);
    default:
        return t0_s;
    }
}

void mdl_sheet_fini(struct mdl_sheet *sheet)
{
    mdl_surface_fini(&sheet->s);
    free(sheet->key);
    *sheet = (struct mdl_sheet){0};
}

/* ---- reading ---- */

struct reading {
    enum mdl_family f;
    double scale;
    uint32_t n_cols, n_rows, room;
    double *axis, *y, *feature;
    uint8_t *cell;
    uint32_t *key;
};

/* Digits only: a profile has 10^5 cells, and strtod would be most of its loading time. */
static bool parse_int(const char *text, uint32_t most, uint32_t *out)
{
    uint64_t v = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        v = 10 * v + (uint64_t)(*text - '0');
        if (v > most) return false;
    }
    *out = (uint32_t)v;
    return true;
}

static bool read_header(struct reading *r, const struct sim_csv_row *row, struct sim_status *st)
{
    uint32_t n_keys = family[r->f].n_keys;
    for (uint32_t i = 0; i < n_keys; i++)
        if (i >= row->n_fields || strcmp(row->field[i], family[r->f].key[i]) != 0)
            return sim_fail(
                st, "%s:%llu: column %u is not `%s`, expected a profile's %s; write it with calib fit",
                row->path, (unsigned long long)row->line, i + 1, family[r->f].key[i], family[r->f].file);
    if (row->n_fields == n_keys || row->n_fields - n_keys > MAX_COLS)
        return sim_fail(st, "%s:%llu: has %u sizes, expected 1 to %d columns of sizes after the keys",
                        row->path, (unsigned long long)row->line, row->n_fields - n_keys, MAX_COLS);
    r->n_cols = row->n_fields - n_keys;
    r->axis = sim_alloc(r->n_cols, sizeof *r->axis);
    for (uint32_t c = 0; c < r->n_cols; c++) {
        uint32_t size;
        if (!parse_int(row->field[n_keys + c], MAX_KEY, &size) || size == 0 ||
            (c > 0 && size <= r->axis[c - 1]))
            return sim_fail(st, "%s:%llu: size `%s`, expected ascending whole numbers from 1", row->path,
                            (unsigned long long)row->line, row->field[n_keys + c]);
        r->axis[c] = size;
    }
    return true;
}

static void grow(struct reading *r)
{
    if (r->n_rows < r->room) return;
    r->room = r->room ? 2 * r->room : 256;
    size_t cells = (size_t)r->room * r->n_cols;
    r->y = sim_realloc(r->y, cells, sizeof *r->y);
    r->cell = sim_realloc(r->cell, cells, sizeof *r->cell);
    r->key = sim_realloc(r->key, (size_t)r->room * MDL_MAX_KEYS, sizeof *r->key);
    r->feature = sim_realloc(r->feature, (size_t)r->room * MDL_MAX_FEATURES, sizeof *r->feature);
}

/* The first key is a word (type or variant), the others are counts. */
static bool read_keys(struct reading *r, const struct sim_csv_row *row, uint32_t *key, struct sim_status *st)
{
    enum mdl_dtype type = MDL_BF16;
    uint32_t v = 0;
    bool ok = false;
    if (r->f == MDL_ALLREDUCE)
        for (; v < MDL_N_VARIANT && !ok; v++)
            ok = strcmp(row->field[0], mdl_variant_name((enum mdl_variant)v)) == 0;
    else
        ok = mdl_dtype_parse(row->field[0], &type);
    if (!ok)
        return sim_fail(st, "%s:%llu: %s `%s`, expected %s", row->path, (unsigned long long)row->line,
                        family[r->f].key[0], row->field[0],
                        r->f == MDL_ALLREDUCE ? "graph, eager or nccl" : "bf16, fp8, int8 or int4");
    key[0] = r->f == MDL_ALLREDUCE ? v - 1 : (uint32_t)type;
    for (uint32_t i = 1; i < family[r->f].n_keys; i++)
        if (!parse_int(row->field[i], MAX_KEY, &key[i]) || key[i] == 0)
            return sim_fail(st, "%s:%llu: %s `%s`, expected a whole number from 1", row->path,
                            (unsigned long long)row->line, family[r->f].key[i], row->field[i]);
    return true;
}

static bool read_cell(const struct reading *r, const char *text, double *y, uint8_t *cell)
{
    uint32_t v;
    *y = 0;
    *cell = MDL_HOLE;
    if (!*text) return true;
    bool filled = *text == '-';
    if (!parse_int(text + filled, 1000000000, &v) || v == 0) return false;
    *y = -log(v / r->scale);
    *cell = filled ? MDL_FILLED : MDL_MEASURED;
    return true;
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct reading *r = user;
    uint32_t n_keys = family[r->f].n_keys;
    if (index == 0) return read_header(r, row, st);
    if (row->n_fields != n_keys + r->n_cols)
        return sim_fail(st, "%s:%llu: has %u fields, expected %u as in the header", row->path,
                        (unsigned long long)row->line, row->n_fields, n_keys + r->n_cols);
    if (r->n_rows == MAX_ROWS || (uint64_t)r->n_rows * r->n_cols >= MAX_CELLS)
        return sim_fail(st, "%s:%llu: too many cells, expected at most %d rows and %d cells", row->path,
                        (unsigned long long)row->line, MAX_ROWS, MAX_CELLS);
    grow(r);
    uint32_t *key = r->key + (size_t)r->n_rows * MDL_MAX_KEYS;
    if (!read_keys(r, row, key, st)) return false;
    mdl_sheet_features(r->f, key, r->feature + (size_t)r->n_rows * family[r->f].n_features);
    size_t at = (size_t)r->n_rows * r->n_cols;
    for (uint32_t c = 0; c < r->n_cols; c++)
        if (!read_cell(r, row->field[n_keys + c], r->y + at + c, r->cell + at + c))
            return sim_fail(st, "%s:%llu: cell `%s` in column %u, expected a whole number, not 0, or nothing",
                            row->path, (unsigned long long)row->line, row->field[n_keys + c], n_keys + c + 1);
    r->n_rows++;
    return true;
}

bool mdl_sheet_read(const char *path, enum mdl_family f, double scale, struct mdl_sheet *out,
                    struct sim_status *st)
{
    struct reading r = {.f = f, .scale = scale};
    bool ok = sim_csv_read(path, on_row, &r, st);
    if (ok && r.n_rows == 0)
        ok = sim_fail(st, "%s:1: has no rows, expected at least one site; fit it again", path);
    struct mdl_sheet sheet = {
        .n_keys = family[f].n_keys,
        .key = r.key,
        .s = {r.n_rows, r.n_cols, family[f].n_features, r.feature, r.axis, r.y, r.cell},
    };
    if (!ok) {
        mdl_sheet_fini(&sheet);
        return false;
    }
    mdl_surface_hold(&sheet.s);
    *out = sheet;
    return true;
}
