/* The points of studies in one SQLite file (write-ahead log), each stored in a transaction of its own the moment it is
 * done. kill -9 loses nothing that was stored; loss of power at most the last points, never the file.
 *   point    one row a point, by key and study: idx, setup, state, why, load_state, settings (JSON), bands (JSON), classes
 *            (JSON), wall_s, finished_at, used_at, model_version, one REAL column per measure
 *   study    one row a study: name, file text, base scenario text, versions and hashes (JSON), note, axes (JSON)
 *   lease    at most one row: pid, host, start of the process, when it was last renewed
 * Measures that a newer program adds become new columns. One process writes at a time (the lease); others may read. */
#ifndef KVSIM_EXPERIMENTS_STUDY_STORE_STORE_H
#define KVSIM_EXPERIMENTS_STUDY_STORE_STORE_H

#include "experiments/study/point.h"
#include "experiments/study/study_file.h"

struct exp_store;

enum exp_store_mode {
    EXP_STORE_READ,  /* must exist; works beside a writer that is no shard's, and on a read-only medium */
    EXP_STORE_WRITE, /* made when absent; takes the lease; refused on a network file system */
    EXP_STORE_SHARD /* the same for one process's own file, locked for it alone: a network file system is fine */
};

/* NULL with one line in st: no such file, no SQLite file, damaged (what to do), of a newer program, on a network file system
 * (use --shard), a folder that cannot be written, leased by somebody who is alive (pid, host, since when; what to do). */
struct exp_store *exp_store_open(const char *path, enum exp_store_mode mode, struct sim_status *st);
/* Gives the lease back, folds the log into the file. */
void exp_store_close(struct exp_store *s);
/* As it was opened; the store's. */
const char *exp_store_path(const struct exp_store *s);

/* Describes the study whose points follow; the same name replaces. Where its file or scenario is another one than that
 * stored, its points are no rows of it until they are put or adopted; nothing is deleted. */
bool exp_store_put_study(struct exp_store *s, const struct exp_study *study, const json_t *versions,
                         struct sim_status *st);

/* One point, one transaction; any thread. A failed point is a row, too, and is tried again by the next start (its row is
 * then replaced). False on a full disk and the like: nothing is half stored. */
bool exp_store_put(struct exp_store *s, const struct exp_point_result *r, struct sim_status *st);

/* Is the key stored and done, whichever study computed it? And stored as failed and not done? */
bool exp_store_has(struct exp_store *s, const char *key);
bool exp_store_has_failed(struct exp_store *s, const char *key);
/* For each point that need not be computed: the stored point of r->key is point r->index of the study that was put last,
 * with r->settings. Needed where a study shares points with another or its file was edited: without it they are stored, but
 * no rows of that study. Writes nothing when the row says so already; about 5 us. */
bool exp_store_adopt(struct exp_store *s, const struct exp_point_result *r, struct sim_status *st);
/* Stored points of the same setup under another key: an older model, another trace ... */
uint64_t exp_store_stale(struct exp_store *s, const char *setup, const char *key);

/* Tells the lease's holder is alive; called by the writer now and then (it looks at the clock itself). */
void exp_store_renew(struct exp_store *s);

/* Takes over the points of other files (of shards), each file in one transaction. A key that is there already must have the
 * same numbers, wall clocks aside, else nothing of that file is taken and the first difference is named. */
struct exp_merged {
    uint64_t n_files, n_added, n_known;
};
bool exp_store_merge(struct exp_store *s, const char *path, struct exp_merged *sum, struct sim_status *st);

/* ---- reading ---- */

/* {"name","note","axes":[{"path","numeric"}...],"scenario":TEXT,"file":TEXT,"versions":{...},"points":N} of every study; the
 * caller's. */
json_t *exp_store_studies(struct exp_store *s, struct sim_status *st);

/* A row: texts live until the visitor returns. measure has exp_measure_count() values, NaN where there is none. */
struct exp_stored {
    const char *study, *key, *setup, *why, *load_state, *settings, *bands, *classes, *model_version;
    uint64_t index;
    enum exp_point_state state;
    const double *measure;
    double wall_s;
    bool stale; /* a newer row of the same setup exists, or the model's version is not this program's */
};
/* Rows of a study as it is now (NULL = of every one) in the order of study, index and key. key and setup are "" where the
 * scenario could not be made, bands and classes NULL without. The visitor returns false to stop; it may ask the store. */
bool exp_store_each(struct exp_store *s, const char *study,
                    bool (*visit)(void *user, const struct exp_stored *row), void *user,
                    struct sim_status *st);

/* The same rows as CSV: one column per setting in front, every measure, one column per band; classes as JSON. */
bool exp_store_csv(struct exp_store *s, const char *study, FILE *out, struct sim_status *st);

/* The name of a network file system by statfs's f_type ("NFS"), or NULL for a local one. */
const char *exp_network_filesystem(long f_type);

#endif
