/* What the parts of the store share: the open file, its statements, its columns and the one way to fail. Every function
 * wants the store's mutex held, but for those of store_process.c and store_filesystem.c, which know no store. */
#ifndef KVSIM_EXPERIMENTS_STUDY_STORE_STORE_PARTS_H
#define KVSIM_EXPERIMENTS_STUDY_STORE_STORE_PARTS_H

#include "experiments/study/store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>
#include <time.h>

/* ---- who is who: store_process.c ---- */

struct exp_process {
    long pid;
    char host[256];
    char birth
        [160]; /* "BOOT NAMESPACE TICKS": of the machine's start, of process numbers, of the process's start */
};
void exp_process_self(struct exp_process *out);

enum exp_life {
    EXP_LIFE_ALIVE,
    EXP_LIFE_DEAD,
    EXP_LIFE_REBOOTED, /* this host's name, but the machine started since: dead, unless two hosts share a name */
    EXP_LIFE_ELSEWHERE /* on another host or in another container: cannot be seen from here */
};
enum exp_life exp_process_life(const struct exp_process *self, const struct exp_process *other);
/* The process that holds a lock on the file or its log, not this one; 0 = not found. */
long exp_process_locking(const char *path);

/* ---- where a file lies: store_filesystem.c ---- */

/* Is there, or may be made there, what the mode wants? *network gets the network file system's name or NULL. */
bool exp_store_place(const char *path, enum exp_store_mode mode, const char **network, struct sim_status *st);
/* The network file system behind FUSE, by the device's line in the mount table ("sshfs"), or NULL. */
const char *exp_fuse_network(FILE *mountinfo, unsigned major, unsigned minor);

/* ---- the open store ---- */

enum exp_store_statement {
    EXP_STMT_PUT,
    EXP_STMT_HAS,
    EXP_STMT_HAS_FAILED,
    EXP_STMT_STALE,
    EXP_STMT_PLACED,
    EXP_STMT_MOVE,
    EXP_STMT_COPY,
    EXP_STMT_DROP_UNKEYED,
    EXP_STMT_RENEW,
    EXP_N_STATEMENTS
};

struct exp_store {
    char *path;
    enum exp_store_mode mode;
    const char *network; /* file system, NULL = local */
    sqlite3 *db;
    pthread_mutex_t mutex; /* recursive, so that a visitor of rows may ask the store */
    sqlite3_stmt *made[EXP_N_STATEMENTS];
    char *study; /* that was put last */
    char **columns;
    size_t n_columns;  /* of `point` in the file, those of newer programs too */
    bool *has_measure; /* [exp_measure_count()] */
    bool has_unkeyed;  /* rows of points whose scenario could not be made */
    bool busy;         /* the last failure was somebody else's lock */
    bool leased;
    struct exp_process self;
    struct timespec renewed;
    dev_t device;
    ino_t inode;
    char lost[512]; /* why nothing may be written any more, "" */
};

/* The columns that every file has, in the order of the statements that name them all; then the measures. */
enum exp_store_column {
    EXP_COL_STUDY,
    EXP_COL_IDX,
    EXP_COL_KEY,
    EXP_COL_SETUP,
    EXP_COL_STATE,
    EXP_COL_WHY,
    EXP_COL_LOAD_STATE,
    EXP_COL_SETTINGS,
    EXP_COL_BANDS,
    EXP_COL_CLASSES,
    EXP_COL_WALL_S,
    EXP_COL_FINISHED_AT,
    EXP_COL_USED_AT,
    EXP_COL_MODEL_VERSION,
    EXP_N_STORE_COLUMNS
};
const char *exp_store_column_name(size_t i); /* fixed ones, then measures; NULL behind the last */

/* exp_store_open, which waits so long for a file that is locked. */
struct exp_store *exp_store_open_within(const char *path, enum exp_store_mode mode, double patience_s,
                                        struct sim_status *st);

/* ---- store_sql.c: statements, and sqlite's answers as lines ---- */

/* Says what sqlite said last as one line with what to do; false. */
bool exp_store_fail(struct exp_store *s, struct sim_status *st);
bool exp_store_exec(struct exp_store *s, const char *sql, struct sim_status *st);
/* Prepares; NULL with a line. */
sqlite3_stmt *exp_store_prepare(struct exp_store *s, const char *sql, struct sim_status *st);
/* A statement that stays, made from sql at first use. Reset, ready to bind. */
sqlite3_stmt *exp_store_statement(struct exp_store *s, enum exp_store_statement which, const char *sql,
                                  struct sim_status *st);
/* Runs a statement that returns no rows and resets it. */
bool exp_store_run(struct exp_store *s, sqlite3_stmt *q, struct sim_status *st);
/* The first column of the first row; `otherwise` without one. */
bool exp_store_number(struct exp_store *s, const char *sql, int64_t *out, struct sim_status *st);
/* Begins a transaction that writes; ends it, kept when ok and nothing fails. */
bool exp_store_begin(struct exp_store *s, struct sim_status *st);
bool exp_store_end(struct exp_store *s, bool ok, struct sim_status *st);
void exp_store_bind_text(sqlite3_stmt *q, int i, const char *text); /* the text outlives the step */
/* Appends the format for each of n names, commas between them; "%w" in it is the name, quotes doubled. */
void exp_store_names(sqlite3_str *sql, const char *format, const char *const *names, size_t n);
char *exp_store_sql(sqlite3_str *sql); /* the finished text, sqlite3_free */
/* "2026-08-01T12:00:00.123Z" */
struct exp_stamp {
    char text[40];
};
struct exp_stamp exp_stamp_now(void);

/* ---- store_schema.c ---- */

/* Ours, of no newer program? *made is false for an empty file. */
bool exp_store_identify(struct exp_store *s, bool *made, struct sim_status *st);
/* Makes the tables in an empty file, adds columns that are missing; inside a transaction. */
bool exp_store_migrate(struct exp_store *s, struct sim_status *st);
bool exp_store_columns(struct exp_store *s,
                       struct sim_status *st); /* fills columns, has_measure, has_unkeyed */
bool exp_store_whole(struct exp_store *s, struct sim_status *st); /* is its size one of whole pages? */
bool exp_store_check(struct exp_store *s,
                     struct sim_status *st); /* sqlite's own, of a file that is not large */

/* ---- store_lease.c ---- */

/* Inside a transaction. */
bool exp_store_take_lease(struct exp_store *s, struct sim_status *st);
/* False when somebody alive holds it. */
bool exp_store_unleased(struct exp_store *s, struct sim_status *st);
void exp_store_give_lease(struct exp_store *s);

/* ---- store_put.c ---- */

struct exp_study_row {
    const char *name, *file, *scenario, *versions, *note, *axes;
    uint64_t points;
};
bool exp_store_put_study_row(struct exp_store *s, const struct exp_study_row *row, struct sim_status *st);
/* May this store be written, still? */
bool exp_store_writable(struct exp_store *s, struct sim_status *st);

/* ---- store_read.c ---- */

/* The rows of a study (NULL = all) in their order: every column by exp_store_column_name, NULL where the file lacks a
 * measure; then 1 where a newer row of the same setup exists. */
sqlite3_stmt *exp_store_select_rows(struct exp_store *s, const char *study, struct sim_status *st);
/* A condition on p: a newer row of its setup and study has another key. */
extern const char exp_store_newer[];

#endif
