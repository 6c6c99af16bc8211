#include "experiments/values.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/line_in.h"
#include "sim/router.h"

struct exp_where exp_where(const struct mdl_yaml_node *node)
{
    struct exp_where w;
    const char *file = mdl_yaml_file(node);
    if (strncmp(file, "--", 2) == 0)
        snprintf(w.text, sizeof w.text, "%.*s", (int)sizeof w.text - 1, file);
    else
        snprintf(w.text, sizeof w.text, "%.*s:%d", (int)sizeof w.text - 16, file, mdl_yaml_line(node));
    return w;
}

void exp_router_names(char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sim_router_count() && n + 1 < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", sim_router_at(i)->name);
}

void exp_strategy_names(char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < mdl_strategy_count() && n + 1 < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", mdl_strategy_at(i)->name);
}

struct exp_word exp_choice_word(const struct exp_key *key, int i)
{
    struct exp_word word = {""};
    const char *at = key->words;
    for (; i > 0 && at; i--) at = (at = strchr(at, '|')) ? at + 1 : NULL;
    if (at) snprintf(word.text, sizeof word.text, "%.*s", (int)strcspn(at, "|"), at);
    return word;
}

static void join(const struct exp_key *key, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "one of: ");
    struct exp_word word;
    for (int i = 0; n + 1 < size && (word = exp_choice_word(key, i)).text[0]; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", word.text);
}

/* Whole numbers above 2^53 are not all doubles; %.0f would print digits that nobody wrote. */
static void range_text(const struct exp_key *key, const char *kind, char *out, size_t size)
{
    const char *unit = key->unit[0] ? " " : "";
    if (key->hi >= 1e15)
        snprintf(out, size, "%s of at least %.9g%s%s", kind, key->lo, unit, key->unit);
    else
        snprintf(out, size, "%s from %.15g to %.15g%s%s", kind, key->lo, key->hi, unit, key->unit);
}

void exp_value_expected(const struct exp_key *key, char *out, size_t size)
{
    char names[300];
    switch (key->type) {
    case EXP_CHOICE:
        join(key, out, size);
        break;
    case EXP_STRATEGY:
        exp_strategy_names(names, sizeof names);
        snprintf(out, size, "one of: %s", names);
        break;
    case EXP_COUNT:
        range_text(key, "a whole number", out, size);
        break;
    case EXP_REAL:
        range_text(key, "a number", out, size);
        break;
    case EXP_RANGE:
        range_text(key, "two numbers [lo, hi], lo <= hi,", out, size);
        break;
    case EXP_FLAG:
        snprintf(out, size, "true or false");
        break;
    case EXP_ROUTER:
        exp_router_names(names, sizeof names);
        snprintf(out, size, "one of: %s", names);
        break;
    case EXP_LENGTHS:
        snprintf(out, size,
                 "a number, uniform:lo:hi, lognormal:mean:cv[:max], gamma:mean:cv[:max] or file:PATH");
        break;
    case EXP_NAMES:
        snprintf(out, size, "a list of names");
        break;
    default:
        snprintf(out, size, "text of at most %d bytes",
                 (key->type == EXP_NAME ? (int)EXP_NAME_BYTES : (int)EXP_TEXT_BYTES) - 1);
    }
}

struct input {
    const struct exp_key *key;
    const char *path, *folder;
    const struct mdl_yaml_node *node;
};

/* "; did you mean ...?" for a strategy that is nearly one, else nothing. */
static struct mdl_hint nearest(const struct exp_key *key, const char *text)
{
    enum { MOST = 64 };
    const char *names[MOST + 1] = {0};
    for (size_t i = 0; key->type == EXP_STRATEGY && i < mdl_strategy_count() && i < MOST; i++)
        names[i] = mdl_strategy_at(i)->name;
    return mdl_hint(text, names);
}

static bool wrong(const struct input *in, const char *text, struct sim_status *st)
{
    char expected[400];
    exp_value_expected(in->key, expected, sizeof expected);
    const char *why = in->key->refusal ? in->key->refusal : "";
    return sim_fail(st, "%s: %.100s is `%s`%s%s, expected %s%s", exp_where(in->node).text, in->path,
                    sim_excerpt(text, strlen(text)).text, *why ? ", " : "", why, expected,
                    nearest(in->key, text).text);
}

/* The scalar's text, or NULL with a message for lists, mappings and nothing at all. */
static const char *scalar(const struct input *in, struct sim_status *st)
{
    if (mdl_yaml_kind(in->node) != MDL_YAML_SCALAR) {
        wrong(in, mdl_yaml_kind(in->node) == MDL_YAML_MAP ? "{...}" : "[...]", st);
        return NULL;
    }
    struct sim_status empty = {0};
    const char *text = mdl_yaml_string(in->node, in->path, &empty);
    if (!text) wrong(in, "", st);
    return text;
}

static bool is_number(const char *text, double *out)
{
    char *end;
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text)) return false;
    *out = strtod(text, &end);
    return !*end && isfinite(*out);
}

static bool real_in(const struct exp_key *key, const char *text, double *out)
{
    return is_number(text, out) && *out >= key->lo && *out <= key->hi;
}

static bool count_in(const struct exp_key *key, const char *text, uint64_t *out)
{
    double value;
    if (!real_in(key, text, &value) || value != floor(value)) return false;
    if (strspn(text, "0123456789") == strlen(text)) {
        errno = 0;
        *out = strtoull(text, NULL, 10);
        return errno == 0;
    }
    if (value > 9007199254740992.0) return false;
    *out = (uint64_t)value;
    return true;
}

static bool flag_in(const char *text, bool *out)
{
    *out = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "on") == 0;
    return *out || strcmp(text, "false") == 0 || strcmp(text, "no") == 0 || strcmp(text, "off") == 0;
}

static bool choice_in(const struct exp_key *key, const char *text, int *out)
{
    struct exp_word word;
    for (int i = 0; (word = exp_choice_word(key, i)).text[0]; i++)
        if (strcmp(word.text, text) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool strategy_in(const char *text, int *out)
{
    for (size_t i = 0; i < mdl_strategy_count(); i++)
        if (strcmp(mdl_strategy_at(i)->name, text) == 0) {
            *out = (int)i;
            return true;
        }
    return false;
}

static bool set_optional(const struct exp_key *key, struct exp_number *field, const char *text)
{
    uint64_t count;
    double real;
    bool flag, ok = false;
    int choice;
    if (key->type == EXP_COUNT && (ok = count_in(key, text, &count))) real = (double)count;
    if (key->type == EXP_REAL) ok = real_in(key, text, &real);
    if (key->type == EXP_FLAG && (ok = flag_in(text, &flag))) real = flag;
    if (key->type == EXP_CHOICE && (ok = choice_in(key, text, &choice))) real = choice;
    if (key->type == EXP_STRATEGY && (ok = strategy_in(text, &choice))) real = choice;
    if (ok) *field = (struct exp_number){real, true};
    return ok;
}

static bool set_number(const struct exp_key *key, void *field, const char *text)
{
    union {
        uint64_t count;
        double real;
        bool flag;
        int choice;
    } v;
    switch (key->type) {
    case EXP_COUNT:
        if (!count_in(key, text, &v.count)) return false;
        *(uint64_t *)field = v.count;
        return true;
    case EXP_REAL:
        if (!real_in(key, text, &v.real)) return false;
        *(double *)field = v.real;
        return true;
    case EXP_FLAG:
        if (!flag_in(text, &v.flag)) return false;
        *(bool *)field = v.flag;
        return true;
    case EXP_STRATEGY:
        if (!strategy_in(text, &v.choice)) return false;
        *(int *)field = v.choice;
        return true;
    default:
        if (!choice_in(key, text, &v.choice)) return false;
        *(int *)field = v.choice;
        return true;
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

bool exp_value_is_path(const struct exp_key *key, const char *text)
{
    switch (key->type) {
    case EXP_PATH:
        return true;
    case EXP_NAME_OR_PATH:
        return strchr(text, '/') || ends_with(text, ".yaml");
    case EXP_MODEL:
        return text[0] == '.' || text[0] == '/' || ends_with(text, ".json");
    default:
        return false;
    }
}

static bool keep_text(const struct input *in, char *field, const char *before, const char *folder,
                      const char *text, struct sim_status *st)
{
    size_t size = in->key->type == EXP_NAME || in->key->type == EXP_ROUTER ? EXP_NAME_BYTES : EXP_TEXT_BYTES;
    bool join_folder = folder && text[0] != '/' && strcmp(text, "-") != 0;
    int n = snprintf(NULL, 0, "%s%s%s%s", before, join_folder ? folder : "", join_folder ? "/" : "", text);
    if (n < 0 || (size_t)n >= size) return wrong(in, text, st);
    snprintf(field, size, "%s%s%s%s", before, join_folder ? folder : "", join_folder ? "/" : "", text);
    return true;
}

static bool set_lengths(const struct input *in, char *field, const char *text, struct sim_status *st)
{
    if (strncmp(text, "file:", 5) == 0) return keep_text(in, field, "file:", in->folder, text + 5, st);
    struct trc_dist d;
    struct sim_status why = {0};
    if (!trc_dist_parse(text, &d, &why)) return wrong(in, text, st);
    trc_dist_fini(&d);
    return keep_text(in, field, "", NULL, text, st);
}

static bool set_names(const struct input *in, char *field, struct sim_status *st)
{
    if (mdl_yaml_kind(in->node) != MDL_YAML_LIST) {
        const char *text = scalar(in, st);
        return text && keep_text(in, field, "", NULL, text, st);
    }
    char joined[EXP_TEXT_BYTES] = "";
    size_t n = 0;
    for (size_t i = 0; i < mdl_yaml_size(in->node); i++) {
        struct input item = *in;
        item.node = mdl_yaml_at(in->node, i);
        const char *text = scalar(&item, st);
        if (!text) return false;
        if (text[strspn(text, EXP_CLASS_LETTERS)] != '\0' || n + strlen(text) + 2 > sizeof joined)
            return wrong(&item, text, st);
        n += (size_t)snprintf(joined + n, sizeof joined - n, "%s%s", i ? "," : "", text);
    }
    memcpy(field, joined, n + 1);
    return true;
}

static bool set_range(const struct input *in, double *field, struct sim_status *st)
{
    double v[2];
    if (mdl_yaml_kind(in->node) != MDL_YAML_LIST || mdl_yaml_size(in->node) != 2)
        return wrong(in, "not a pair", st);
    for (size_t i = 0; i < 2; i++) {
        struct input item = *in;
        item.node = mdl_yaml_at(in->node, i);
        const char *text = scalar(&item, st);
        if (!text) return false;
        if (!real_in(in->key, text, &v[i])) return wrong(&item, text, st);
    }
    if (v[0] > v[1]) return wrong(in, "lo above hi", st);
    memcpy(field, v, sizeof v);
    return true;
}

static bool set_text(const struct input *in, char *field, const char *text, struct sim_status *st)
{
    if (in->key->type == EXP_ROUTER && !sim_router_find(text)) return wrong(in, text, st);
    return keep_text(in, field, "", exp_value_is_path(in->key, text) ? in->folder : NULL, text, st);
}

bool exp_value_set(const struct exp_key *key, void *field, const char *path, const char *folder,
                   const struct mdl_yaml_node *node, struct sim_status *st)
{
    struct input in = {key, path, folder, node};
    if (key->type == EXP_NAMES) return set_names(&in, field, st);
    if (key->type == EXP_RANGE) return set_range(&in, field, st);
    const char *text = scalar(&in, st);
    if (!text) return false;
    if (strcmp(text, "none") == 0 || strcmp(text, "default") == 0) {
        exp_value_default(key, field);
        return true;
    }
    if (key->optional) return set_optional(key, field, text) || wrong(&in, text, st);
    if (key->type == EXP_LENGTHS) return set_lengths(&in, field, text, st);
    if (key->type >= EXP_CHOICE) return set_number(key, field, text) || wrong(&in, text, st);
    return set_text(&in, field, text, st);
}

void exp_value_default(const struct exp_key *key, void *field)
{
    if (key->optional) {
        *(struct exp_number *)field = (struct exp_number){0, false};
    } else if (key->type == EXP_RANGE) {
        sscanf(key->fallback, "[%lf, %lf]", &((double *)field)[0], &((double *)field)[1]);
    } else if (key->type >= EXP_CHOICE) {
        set_number(key, field, key->fallback);
    } else {
        size_t size = key->type == EXP_NAME || key->type == EXP_ROUTER ? EXP_NAME_BYTES : EXP_TEXT_BYTES;
        snprintf(field, size, "%s", key->fallback);
    }
}
