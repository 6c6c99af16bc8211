/* The inside of a profile, for the parts that read, fit and write it; everybody else asks through
 * models/profile.h. A sheet is one operator family: a surface, the raw key of each of its rows, and t0. The
 * reader takes fitted and raw profiles alike: an empty cell was not measured, a negative one was filled in by
 * the fit. */
#ifndef KVSIM_MODELS_PROFILE_PARTS_H
#define KVSIM_MODELS_PROFILE_PARTS_H

#include "models/law.h"
#include "models/profile.h"
#include "models/surface.h"

enum { MDL_MAX_KEYS = 5 };

/* Rows of all-reduce.csv by the code path that ran. */
enum mdl_variant { MDL_GRAPH, MDL_EAGER, MDL_NCCL, MDL_N_VARIANT };
const char *mdl_variant_name(enum mdl_variant v);

struct mdl_sheet {
    struct mdl_surface s;
    uint32_t n_keys;
    uint32_t
        *key; /* [row][MDL_MAX_KEYS]: type, n, k | type, q heads, kv heads, head_dim, seqs | variant, gpus */
    double t0_s;     /* shortest launch */
    uint32_t kernel; /* variant of mdl_place_kernel */
};

/* Relative errors at the fit, as fractions. */
struct mdl_errors {
    uint64_t n;
    double median, p90, worst, bias, sd_log;
};

enum mdl_check_kind { MDL_CHECK_SITES, MDL_CHECK_POINTS, MDL_CHECK_PAST, MDL_N_CHECK };
const char *mdl_check_name(enum mdl_check_kind k); /* "sites", "points", "past" */

struct mdl_raw_file {
    char *path; /* relative to the folder of raw tables */
    char sha256[65];
};

struct mdl_profile {
    char *name, *gpu, *engine, *origin, *device, *source, *licence, *date, *stage;
    struct mdl_peaks peaks;
    bool analytic, transferred;
    struct mdl_past_law past;
    double elementwise_frac; /* share of the bandwidth that elementwise kernels reach; 0 = not measured */
    double scale;            /* a cell is scale x (t0 + roofline) / time */
    struct mdl_sheet sheet[MDL_N_FAMILY];
    bool present[MDL_N_FAMILY];
    struct mdl_errors error[MDL_N_FAMILY][MDL_N_CHECK];
    struct mdl_raw_file *raw;
    uint32_t n_raw;
};

/* File and key columns of a family. */
const char *mdl_sheet_file(enum mdl_family f); /* "gemm.csv", NULL for elementwise */
uint32_t mdl_sheet_keys(enum mdl_family f, const char *const **names);

/* Features of a row from its key, and seconds of t0 + roofline in a cell of it. */
void mdl_sheet_features(enum mdl_family f, const uint32_t *key, double *x);
uint32_t mdl_sheet_n_features(enum mdl_family f);
double mdl_sheet_law_s(const struct mdl_peaks *peaks, enum mdl_family f, double t0_s, const uint32_t *key,
                       double size);

void mdl_sheet_fini(struct mdl_sheet *sheet);
bool mdl_sheet_read(const char *path, enum mdl_family f, double scale, struct mdl_sheet *out,
                    struct sim_status *st);

/* The yaml half of a profile; sheets are left empty. */
bool mdl_profile_read_yaml(const char *path, struct mdl_profile *out, struct sim_status *st);

/* One row of a family at any place: its own cells where it was measured, else kriged from its neighbours.
 *   key      as in a sheet; y [n_cols] log(time / law), how [n_cols] evidence of each
 *   returns  false when nothing like it was measured (another number type, an empty sheet) */
bool mdl_sheet_row(const struct mdl_sheet *sheet, enum mdl_family f, const uint32_t *key, double *y,
                   uint8_t *how);

/* The family's sheet when it has rows of this number type, else NULL. */
const struct mdl_sheet *mdl_profile_sheet(const struct mdl_profile *p, enum mdl_family f,
                                          enum mdl_dtype type);

/* Evidence of an answer of this profile whose cells are known as `how`. */
enum sim_evidence mdl_profile_evidence(const struct mdl_profile *p, enum sim_evidence how);

/* Nothing of the card was measured: the time of a launch of this roofline, rising with it, and the shortest
 * one. */
double mdl_typical_s(enum mdl_family f, double roof_s);
double mdl_typical_gemm_s(const struct mdl_peaks *p, enum mdl_dtype weights, double m, double n, double k);
double mdl_typical_t0_s(enum mdl_family f);
struct mdl_past_law mdl_typical_past(void);

#endif
