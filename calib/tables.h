/* Raw tables in memory: every measured launch of one card as (family, key, size, seconds), whatever project's
 * files it came from. Importers fill it, the fit and the folds read it. Points are sorted by key and size,
 * launches measured more than once are merged into their geometric mean. */
#ifndef KVSIM_CALIB_TABLES_H
#define KVSIM_CALIB_TABLES_H

#include "models/profile_parts.h"

struct cal_point {
    uint32_t key[MDL_MAX_KEYS]; /* as in struct mdl_sheet */
    uint32_t size;              /* tokens; bytes for all-reduce */
    uint32_t past;              /* prefill only: tokens already there */
    double time_s;
};

struct cal_table {
    struct cal_point *point;
    size_t n, room;
};

struct cal_tables {
    struct cal_table family[MDL_N_FAMILY];
    struct cal_table past;     /* prefill launches on top of a past; never part of a fit */
    struct mdl_peaks ceilings; /* measured in the same run; 0 = take the datasheet's */
    char *kind;                /* cpu or cuda, of kvbench; else NULL */
    char *device, *engine, *kernels;
    struct mdl_raw_file *raw;
    uint32_t n_raw;
};

void cal_tables_fini(struct cal_tables *t);
void cal_table_add(struct cal_table *t, const struct cal_point *p);
/* Sorts and merges all tables. */
void cal_tables_settle(struct cal_tables *t);
/* Remembers a file and its sha256; `path` is root/relative. */
bool cal_tables_note_file(struct cal_tables *t, const char *root, const char *relative,
                          struct sim_status *st);

/* Importers: read one file of the project into t. The kind of table is told by the file's name. */
bool cal_aiconfigurator_read(struct cal_tables *t, const char *root, const char *relative,
                             struct sim_status *st);
bool cal_vidur_read(struct cal_tables *t, const char *root, const char *relative, struct sim_status *st);
bool cal_kvbench_read(struct cal_tables *t, const char *root, const char *relative, struct sim_status *st);

/* All known tables under root/folder, newest version directory first, read by the importer `from`. */
bool cal_tables_read_folder(struct cal_tables *t, const char *from, const char *root, const char *folder,
                            struct sim_status *st);
/* The files that a profile names, refused when their sha256 is another. */
bool cal_tables_read_profile(struct cal_tables *t, const struct mdl_profile *p, const char *root,
                             struct sim_status *st);

#endif
