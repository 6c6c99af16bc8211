#include "experiments/value_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/values.h"
#include "sim/memory.h"

struct exp_digits exp_digits_of(double value)
{
    struct exp_digits d;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(d.text, sizeof d.text, "%.*g", digits, value);
        if (strtod(d.text, NULL) == value) break;
    }
    return d;
}

char *exp_whole_path(const char *path)
{
    char here[4096];
    bool whole = !path[0] || path[0] == '/' || strcmp(path, "-") == 0 || !getcwd(here, sizeof here);
    return whole ? sim_strdup(path) : sim_printf("%s/%s", strcmp(here, "/") == 0 ? "" : here, path);
}

/* ---- scalars ---- */

/* One character of UTF-8 and its length; a byte that begins none is one by itself. */
static uint32_t character(const char *text, int *length)
{
    const unsigned char *b = (const unsigned char *)text;
    int n = b[0] < 0xC0 ? 1 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
    uint32_t c = n == 1 ? b[0] : b[0] & (0x7Fu >> n);
    for (int i = 1; i < n; i++) {
        if ((b[i] & 0xC0) != 0x80) {
            *length = 1;
            return b[0];
        }
        c = c << 6 | (b[i] & 0x3F);
    }
    *length = n;
    return c;
}

/* Line breaks and control characters of YAML. */
static bool must_escape(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029 || c == 0xFEFF || c == 0xFFFE ||
           c == 0xFFFF;
}

static bool any_to_escape(const char *text)
{
    int length;
    for (const char *at = text; *at; at += length)
        if (must_escape(character(at, &length))) return true;
    return false;
}

static char *escaped(const char *text)
{
    char *out = sim_alloc(10 * strlen(text) + 3, 1), *to = out;
    int length;
    *to++ = '"';
    for (const char *at = text; *at; at += length) {
        uint32_t c = character(at, &length);
        if (must_escape(c)) {
            to += sprintf(to, "\\U%08X", c);
        } else {
            if (c == '"' || c == '\\') *to++ = '\\';
            memcpy(to, at, (size_t)length);
            to += length;
        }
    }
    memcpy(to, "\"", 2);
    return out;
}

static char *quoted(const char *text)
{
    char *out = sim_alloc(2 * strlen(text) + 3, 1), *to = out;
    *to++ = '\'';
    for (const char *at = text; *at; at++) {
        if (*at == '\'') *to++ = '\'';
        *to++ = *at;
    }
    memcpy(to, "'", 2);
    return out;
}

char *exp_yaml_scalar(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+=-";
    if (*text && text[0] != '-' && text[strspn(text, plain)] == '\0') return sim_strdup(text);
    return any_to_escape(text) ? escaped(text) : quoted(text);
}

/* ---- values ---- */

static char *text_value(const struct exp_key *key, const char *text)
{
    bool file = key->type == EXP_LENGTHS && strncmp(text, "file:", 5) == 0;
    if (!text[0]) return sim_strdup("default");
    if (!file && !exp_value_is_path(key, text)) return exp_yaml_scalar(text);
    char *path = exp_whole_path(text + (file ? 5 : 0)), *all = sim_printf("%s%s", file ? "file:" : "", path);
    char *scalar = exp_yaml_scalar(all);
    free(all);
    free(path);
    return scalar;
}

static char *choice_text(const struct exp_key *key, int i)
{
    if (key->type == EXP_STRATEGY) return sim_strdup(mdl_strategy_at((size_t)i)->name);
    return sim_strdup(exp_choice_word(key, i).text);
}

static char *number_text(const struct exp_key *key, double value)
{
    if (key->type == EXP_FLAG) return sim_strdup(value != 0 ? "true" : "false");
    if (key->type == EXP_CHOICE || key->type == EXP_STRATEGY) return choice_text(key, (int)value);
    return sim_strdup(exp_digits_of(value).text);
}

char *exp_value_text(const struct exp_key *key, const void *field)
{
    const double *pair = field;
    if (key->optional) {
        const struct exp_number *n = field;
        return n->given ? number_text(key, n->value) : sim_strdup("default");
    }
    switch (key->type) {
    case EXP_COUNT:
        return sim_printf("%llu", (unsigned long long)*(const uint64_t *)field);
    case EXP_REAL:
        return number_text(key, *(const double *)field);
    case EXP_FLAG:
        return number_text(key, *(const bool *)field);
    case EXP_CHOICE:
    case EXP_STRATEGY:
        return choice_text(key, *(const int *)field);
    case EXP_RANGE:
        return sim_printf("[%s, %s]", exp_digits_of(pair[0]).text, exp_digits_of(pair[1]).text);
    case EXP_NAMES:
        return sim_printf("[%s]", (const char *)field);
    default:
        return text_value(key, field);
    }
}
