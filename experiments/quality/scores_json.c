#include "experiments/quality/scores_build.h"

#include "sim/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 30 };

/* A file's text, and how far it was read. */
struct reader {
    struct exp_scores_builder *b;
    const char *path;
    char *text;
    size_t size, at;
    uint64_t line, n_objects;
    struct exp_scores_name name;
    bool has_ids; /* said by the first object; without them samples are counted from 0 */
};

static bool slurp(struct reader *r, struct sim_lines *in, struct sim_status *st)
{
    struct sim_line line;
    size_t room = 0;
    while (sim_lines_next(in, &line, st)) {
        if (r->size + line.length + 1 > MAX_BYTES)
            return sim_fail(st, "%s:%llu: file is longer than 1 GiB, expected scores; split it", r->path,
                            (unsigned long long)line.number);
        if (r->size + line.length + 1 > room) {
            room = 2 * (r->size + line.length + 1);
            r->text = sim_realloc(r->text, room, 1);
        }
        memcpy(r->text + r->size, line.text, line.length);
        r->size += line.length;
        r->text[r->size++] = '\n';
    }
    return st->code == SIM_EXIT_OK;
}

/* ---- one object ---- */

static bool refuse(const struct reader *r, const char *what, struct sim_status *st)
{
    return sim_fail(st, "%s:%llu: %s", r->path, (unsigned long long)r->line, what);
}

/* A text value of the first of these keys that there is; NULL without. */
static const char *text_of(const json_t *object, const char *key, const char *other)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : json_string_value(json_object_get(object, other));
}

/* The score as a number; pass or fail counts as 1 or 0. */
static bool take_score(const struct reader *r, const json_t *object, double *score, struct sim_status *st)
{
    const json_t *value = json_object_get(object, "score");
    if (json_is_number(value) || json_is_boolean(value)) {
        *score = json_is_boolean(value) ? (double)json_is_true(value) : json_number_value(value);
        return true;
    }
    if (value) return refuse(r, "`score` is no number, expected one; correct or drop the object", st);
    if (json_object_get(object, "pred"))
        return refuse(
            r,
            "has an answer in `pred` and no `score`, expected scores; run the benchmark's own evaluation "
            "on it first (LongBench: eval.py)",
            st);
    return refuse(r, "has no `score`, expected objects with `id` and `score`; is it the right file?", st);
}

/* As text: whole numbers without a point, however the file writes them. */
static bool take_id(const struct reader *r, const json_t *object, char out[EXP_ID_BYTES],
                    struct sim_status *st)
{
    const json_t *value = json_object_get(object, "id");
    if (!value) value = json_object_get(object, "_id");
    if (r->n_objects > 0 && (value != NULL) != r->has_ids)
        return refuse(
            r, "some objects have an `id` and some have none, expected all or none; add the missing", st);
    if (!value)
        snprintf(out, EXP_ID_BYTES, "%llu", (unsigned long long)r->n_objects);
    else if (json_is_integer(value))
        snprintf(out, EXP_ID_BYTES, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, EXP_ID_BYTES, "%.17g", json_real_value(value));
    else if (json_is_string(value) && json_string_length(value) < EXP_ID_BYTES)
        snprintf(out, EXP_ID_BYTES, "%s", json_string_value(value));
    else
        return refuse(r, "`id` is neither a number nor a text of at most 127 bytes, expected one", st);
    return true;
}

static bool take_tokens(const struct reader *r, const json_t *object, uint32_t *out, struct sim_status *st)
{
    const json_t *value = json_object_get(object, "output_tokens");
    *out = EXP_NO_TOKENS;
    if (!value || json_is_null(value)) return true;
    double tokens = json_is_number(value) ? json_number_value(value) : -1;
    if (!(tokens >= 0 && tokens < EXP_NO_TOKENS) || tokens != floor(tokens))
        return refuse(r, "`output_tokens` is no count of tokens, expected a whole number from 0 on", st);
    *out = (uint32_t)tokens;
    return true;
}

/* The object's own words come first, then the user's, then the file name's. */
static bool take_names(const struct reader *r, const json_t *object, struct exp_score_row *row,
                       struct sim_status *st)
{
    const struct exp_scores_options *o = exp_scores_builder_options(r->b);
    const char *alg = text_of(object, "alg", "method"), *params = text_of(object, "params", "params");
    const char *task = text_of(object, "task", "dataset");
    bool says = alg || o->alg;
    row->alg = alg ? alg : o->alg ? o->alg : r->name.alg;
    row->params = params ? params : o->params ? o->params : says ? "" : r->name.params;
    row->task = task ? task : o->task ? o->task : r->name.task;
    if (!row->task[0])
        return refuse(
            r,
            "neither the object nor the file's name says which task this is, expected `task` or a name "
            "that ends in a LongBench task (..._qasper_eval.json); or give --task",
            st);
    if (!row->alg[0])
        return refuse(
            r,
            "neither the object nor the file's name says which method this is, expected `alg` or a name "
            "such as kivi_MODEL_8192_b1_4bits_qasper_eval.json; or give --alg",
            st);
    return true;
}

static bool add_object(struct reader *r, const json_t *object, struct sim_status *st)
{
    struct exp_score_row row = {.path = r->path, .line = r->line};
    char id[EXP_ID_BYTES];
    if (!json_is_object(object))
        return refuse(r, "holds a value that is no object, expected objects with `id` and `score`", st);
    if (!take_score(r, object, &row.score, st) || !take_id(r, object, id, st) ||
        !take_tokens(r, object, &row.output_tokens, st) || !take_names(r, object, &row, st))
        return false;
    row.id = id;
    if (r->n_objects++ == 0) r->has_ids = json_object_get(object, "id") || json_object_get(object, "_id");
    return exp_scores_add(r->b, &row, st);
}

/* ---- the file ---- */

/* Goes on to the next byte that is not blank; its value, 0 at the end. */
static char next_byte(struct reader *r)
{
    for (; r->at < r->size && strchr(" \t\r\n", r->text[r->at]); r->at++) r->line += r->text[r->at] == '\n';
    return r->at < r->size ? r->text[r->at] : '\0';
}

static bool read_object(struct reader *r, struct sim_status *st)
{
    json_error_t error;
    json_t *object =
        json_loadb(r->text + r->at, r->size - r->at, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
    if (!object)
        return sim_fail(
            st, "%s:%llu: is no JSON (%s), expected objects with `id` and `score`; correct the file", r->path,
            (unsigned long long)r->line + (error.line > 0 ? (unsigned)error.line - 1 : 0),
            sim_excerpt(error.text, strlen(error.text)).text);
    bool ok = add_object(r, object, st);
    json_decref(object);
    for (size_t end = r->at + (size_t)error.position; r->at < end; r->at++) r->line += r->text[r->at] == '\n';
    return ok;
}

static bool read_array(struct reader *r, struct sim_status *st)
{
    r->at++;
    if (next_byte(r) == ']')
        return refuse(r, "is an empty array, expected objects with `id` and `score`", st);
    for (;;) {
        if (next_byte(r) != '{') return refuse(r, "holds a value that is no object, expected one", st);
        if (!read_object(r, st)) return false;
        char c = next_byte(r);
        if (c != ',' && c != ']')
            return refuse(r, "the array does not end, expected `,` or `]`; fetch it again", st);
        r->at++;
        if (c == ']') break;
    }
    return next_byte(r) == '\0' ||
           refuse(r, "there is more behind the array, expected the end of the file", st);
}

static bool read_sequence(struct reader *r, struct sim_status *st)
{
    for (char c; (c = next_byte(r)) != '\0';) {
        if (c != '{') return refuse(r, "holds a value that is no object, expected one object a line", st);
        if (!read_object(r, st)) return false;
    }
    return true;
}

bool exp_scores_read_json(struct exp_scores_builder *b, struct sim_lines *in, struct sim_status *st)
{
    struct reader r = {.b = b, .path = sim_lines_path(in), .line = 1};
    r.name = exp_scores_name_of(r.path);
    bool ok = slurp(&r, in, st) && (next_byte(&r) == '[' ? read_array(&r, st) : read_sequence(&r, st));
    free(r.text);
    return ok;
}
