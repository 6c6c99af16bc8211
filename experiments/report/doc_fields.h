/* A document's fields, checked against tables: which keys an object has, what each may be, and where in the document the first
 * one is that is not so: "report.json: sections[2].parts[0].rows[3]: what, expected". */
#ifndef KVSIM_EXPERIMENTS_REPORT_DOC_FIELDS_H
#define KVSIM_EXPERIMENTS_REPORT_DOC_FIELDS_H

#include "sim/status.h"

#include <jansson.h>
#include <stdint.h>

struct exp_doc_check {
    const char *name; /* of the file, for messages */
    json_t *ids;      /* of sections, tables and charts so far */
    struct sim_status *st;
};

/* A step of the way, from the document inwards. */
struct exp_doc_place {
    const struct exp_doc_place *up;
    const char *key; /* NULL for the document itself */
    size_t index;    /* EXP_DOC_NO_INDEX for what is not in a list */
};
#define EXP_DOC_NO_INDEX SIZE_MAX

enum exp_doc_want {
    EXP_WANT_TEXT,
    EXP_WANT_ID,       /* names files and places in the page */
    EXP_WANT_TEMPLATE, /* [T,...] */
    EXP_WANT_NUMBER,   /* or null */
    EXP_WANT_DIGITS,
    EXP_WANT_TRUTH,
    EXP_WANT_CHOICE,
    EXP_WANT_TEXTS,
    EXP_WANT_LIST,
    EXP_WANT_OBJECT
};

/* A table of them ends with {0}. */
struct exp_doc_field {
    const char *key;
    enum exp_doc_want want;
    bool optional;
    const char *const *choices; /* end with NULL */
};

/* Each returns false with the place in c->st when something is not so. */
bool exp_doc_wrong(const struct exp_doc_check *c, const struct exp_doc_place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* All that the table names and nothing else. */
bool exp_doc_check_fields(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *o,
                          const struct exp_doc_field *fields);
bool exp_doc_check_count(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *list,
                         size_t most);
/* One of the words; field says which. */
bool exp_doc_check_choice(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *o,
                          const struct exp_doc_field *field);

/* A number that can be drawn, or null. */
bool exp_doc_is_number(const json_t *v);
/* "is a text", "is missing" */
const char *exp_doc_kind_of(const json_t *v);

#endif
