/* What scenarios load from disk, each thing once: the GPU catalogue, architectures, engine files, profiles, kernels,
 * output lengths and quality of KV strategies, and traces. A run makes one; a study shares one over all its points, which
 * then cost no reading. What it hands out lives until exp_cache_free. Threads may share one: what one of them loads
 * the others wait for. */
#ifndef KVSIM_EXPERIMENTS_CACHE_H
#define KVSIM_EXPERIMENTS_CACHE_H

#include "experiments/scenario.h"
#include "models/arch.h"
#include "models/engine.h"
#include "models/kvcost.h"
#include "models/lengths.h"
#include "models/profile.h"
#include "models/quality.h"
#include "traces/trace.h"

struct exp_cache;
struct exp_costs;

/* NULL when the program's data folder or its GPU catalogue cannot be read. */
struct exp_cache *exp_cache_new(struct sim_status *st);
void exp_cache_free(struct exp_cache *c);

/* From now on set-ups share their step costs (costs.h), which then cannot be fitted. Before threads begin. */
void exp_cache_share_costs(struct exp_cache *c);
/* NULL = each set-up makes its own. */
struct exp_costs *exp_cache_costs(struct exp_cache *c);

const char *exp_cache_data_dir(const struct exp_cache *c);
const struct mdl_gpu_catalogue *exp_cache_gpus(const struct exp_cache *c);

/* Each NULL with one line in st. */
const struct mdl_arch *exp_cache_arch(struct exp_cache *c, const char *name_or_path, struct sim_status *st);
const struct mdl_engine *exp_cache_engine(struct exp_cache *c, const char *name_or_path,
                                          struct sim_status *st);
/* Folder of a shipped profile's name, or of a path (with a /); free with free(). NULL when no profile is
 * there. */
char *exp_profile_dir(const char *data_dir, const char *name, struct sim_status *st);
/* name "" is the GPU's own profile, or analytic when it has none; "analytic"; a shipped name; or a folder. */
const struct mdl_profile *exp_cache_profile(struct exp_cache *c, const char *name, const struct mdl_gpu *gpu,
                                            struct sim_status *st);
/* Strategy kernels and copies that kvbench measured on the card. name "" is `<gpu>-kvbench` when that ships, else
 * *out is NULL; else a shipped name or a folder. */
bool exp_cache_methods(struct exp_cache *c, const char *name, const struct mdl_gpu *gpu,
                       const struct mdl_methods **out, struct sim_status *st);
/* Output lengths under a strategy with its parameters; pairs_path "" = as published. */
const struct mdl_lengths *exp_cache_lengths(struct exp_cache *c, const struct mdl_kv_use *use,
                                            const char *pairs_path, struct sim_status *st);
/* What a strategy with its parameters does to answers; path "" = the record that ships. A record that says nothing of them
 * gives a quality that is not known (models/quality.h). */
const struct mdl_quality *exp_cache_quality(struct exp_cache *c, const struct mdl_kv_use *use,
                                            const char *path, struct sim_status *st);
const struct trc_trace *exp_cache_trace(struct exp_cache *c, const struct exp_workload_keys *w,
                                        struct sim_status *st);

#endif
