/* The raw measurements of one kernel or probe: a CSV file that grows by a row per point. Rows are appended in
 * one write each and a torn last line is cut off when the file is opened again, so a killed run loses at most
 * the point in hand. Columns: the shape's keys, heat (kernels), numbers, status. */
#ifndef KVSIM_KERNELS_KVBENCH_SHEET_H
#define KVSIM_KERNELS_KVBENCH_SHEET_H

#include "kernels/probe.h"

enum { KVB_MAX_NUMBERS = KB_MAX_VALUES + 3 };

enum kvb_heat { KVB_COLD, KVB_HOT };

/* ok; noisy: spread over the limit; unsupported, too_big, failed: not measured, all numbers 0. */
enum kvb_status { KVB_OK, KVB_NOISY, KVB_UNSUPPORTED, KVB_TOO_BIG, KVB_FAILED, KVB_N_STATUS };
const char *kvb_status_name(enum kvb_status s);

struct kvb_row {
    uint32_t shape[KB_MAX_KEYS];
    enum kvb_heat heat;
    double number[KVB_MAX_NUMBERS];
    enum kvb_status status;
};

/* Numbers of a kernel's rows; a probe's are its values, then spread_frac, samples and bytes. */
enum { KVB_TIME_S, KVB_MIN_S, KVB_SPREAD_FRAC, KVB_SAMPLES, KVB_BYTES, KVB_FLOPS, KVB_N_KERNEL_NUMBERS };

struct kvb_sheet {
    char *path;
    const char *const *keys;
    uint32_t n_keys;
    bool has_heat;
    const char *number[KVB_MAX_NUMBERS];
    uint32_t n_numbers;
    struct kvb_row *row;
    size_t n_rows, room;
    int file; /* -1 until the first row */
    int64_t bytes;
    double synced_s;
};

/* folder/name.csv with what it holds already; the file itself appears with its first row. One of kernel and
 * probe is NULL. Free with kvb_sheet_close. */
struct kvb_sheet *kvb_sheet_open(const char *folder, const struct kb_kernel *kernel,
                                 const struct kb_probe *probe, struct kb_error *err);
bool kvb_sheet_append(struct kvb_sheet *s, const struct kvb_row *rows, uint32_t n, struct kb_error *err);
void kvb_sheet_close(struct kvb_sheet *s);

/* The row of a shape, or NULL; heat is ignored for probes. */
const struct kvb_row *kvb_sheet_find(const struct kvb_sheet *s, const uint32_t *shape, enum kvb_heat heat);
/* Place of a number by its column's name, or -1. */
int kvb_sheet_number(const struct kvb_sheet *s, const char *name);

#endif
