/* What kvbench measured of methods rather than of an engine's operators: tables that `calib fit --from kvbench` writes
 * beside them. ratio.csv: decode attention of a KV format over bf16, per head layout, sequences and tokens each;
 * kernels.csv: the two ceilings of each format, by which it moves to other layouts and cards; transfer.csv: copies;
 * overlap.csv: copying beside converting; host.yaml (a copy of kvbench's, optional): launch and synchronisation.
 * A file that is not there leaves its part unmeasured. Read once before a run; a question costs under a us. */
#ifndef KVSIM_MODELS_METHODS_H
#define KVSIM_MODELS_METHODS_H

#include "models/host.h"
#include "models/profile.h"

struct mdl_methods;
struct mdl_methods *mdl_methods_load(const char *profile_dir, struct sim_status *st);
void mdl_methods_free(struct mdl_methods *m);

/* A launch of decode attention: which format ("int4", "kivi4" ...) on which card. */
struct mdl_ratio_query {
    const char *format;
    double bytes_frac; /* KV bytes of the format over bf16's */
    struct mdl_attn_shape shape;
    const struct mdl_gpu *gpu;
    double n_seqs, kv_tokens; /* tokens: of all sequences */
};

/* Time over that of bf16, same shape, same card. Between measured shapes log-linear in sequences and tokens each, held
 * outside (extrapolated); another head layout of the same group size by the ceilings (extrapolated), another card
 * likewise (transferred). False when nothing says. */
bool mdl_methods_ratio(const struct mdl_methods *m, const struct mdl_ratio_query *q, struct mdl_time *out);

/* Share of the shorter of copying and converting that hides beside the longer, of a host pool in this layout ("hnd",
 * "nhd" ...); NaN when not measured. */
double mdl_methods_overlap(const struct mdl_methods *m, const char *layout);

/* Puts measured copies and constants in the place of assumed ones. */
void mdl_methods_measure_host(const struct mdl_methods *m, struct mdl_host *host);

#endif
