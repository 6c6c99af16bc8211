/* What a column of a trace can mean, and the words that the field has for it. Columns are found by name,
 * never by position: names are compared in lower case with everything but letters and digits dropped, so that
 * "Request tokens", request_tokens and RequestTokens are one. A new word is one line in field.c. */
#ifndef KVSIM_TRACES_FIELD_H
#define KVSIM_TRACES_FIELD_H

#include "sim/status.h"

#include <stddef.h>
#include <stdint.h>

enum trc_field {
    TRC_F_ARRIVAL,
    TRC_F_INPUT,
    TRC_F_OUTPUT,
    TRC_F_REQUEST_ID,
    TRC_F_SESSION,
    TRC_F_CHAT, /* Bailian: the request's own id, named as parent by the next turn */
    TRC_F_PARENT,
    TRC_F_TURN,
    TRC_F_MODEL,
    TRC_F_TASK,
    TRC_F_PRIORITY,
    TRC_F_PREFIX_GROUP,
    TRC_F_PREFIX_LENGTH,
    TRC_F_HASH_IDS,
    TRC_F_SLO_CLASS,
    TRC_F_STATUS,
    TRC_N_FIELDS
};

/* How arrivals are written. The unit of a bare number is never guessed from its size. */
enum trc_clock { TRC_CLOCK_ASK, TRC_CLOCK_DATETIME, TRC_CLOCK_S, TRC_CLOCK_MS, TRC_CLOCK_US, TRC_CLOCK_NS };

struct trc_columns {
    char **name;   /* as in the file */
    char **normal; /* letters and digits only, lower case */
    int *field;    /* enum trc_field, or -1: ignored */
    size_t n, room;
    int column[TRC_N_FIELDS];   /* -1: the file has none */
    char *wanted[TRC_N_FIELDS]; /* from --columns, normalised; NULL = by synonyms */
};

/* Reads --columns ("arrival=when,input=prompt"; NULL = all by synonyms). Free with trc_columns_fini. */
bool trc_columns_init(struct trc_columns *c, const char *overrides, struct sim_status *st);
void trc_columns_fini(struct trc_columns *c);

/* One more column; its field is found at once. Fails (path:line) when a second column claims a field. */
bool trc_columns_add(struct trc_columns *c, const char *name, const char *path, uint64_t line,
                     struct sim_status *st);

/* Called once after the header: arms t, in and out when all three are there, and demands what --columns
 * named. */
bool trc_columns_close(struct trc_columns *c, const char *path, uint64_t line, struct sim_status *st);

/* Column with this normalised name, or -1. */
int trc_columns_find(const struct trc_columns *c, const char *normal);

/* The unit that the arrival column's name states (arrival_time_us: microseconds), else TRC_CLOCK_ASK. */
enum trc_clock trc_columns_clock(const struct trc_columns *c);

/* Names of the columns that nobody reads, "a, b" or ""; free with free(). */
char *trc_columns_ignored(const struct trc_columns *c);

/* The canonical name of a field, e.g. "input_tokens"; the word that --columns takes for it, e.g. "input". */
const char *trc_field_name(enum trc_field field);
const char *trc_field_flag(enum trc_field field);

#endif
