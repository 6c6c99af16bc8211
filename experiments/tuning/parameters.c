#include "experiments/tuning/parameters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/value_text.h"
#include "models/yaml.h"
#include "sim/line_in.h"
#include "sim/memory.h"

/* What may be searched, in the order in which a search takes it unasked: at most USUAL_KEYS of those marked. What a
 * strategy merely assumes (rates, efficiencies) is nobody's choice and stands elsewhere. */
enum { USUAL_KEYS = 3 };
static const struct {
    enum mdl_kv_key key;
    const char *also; /* another name for it; several keys may share one: the strategy has one of them */
    bool unasked, doubling /* only powers of two lie between low and high */, answers;
} known[] = {
    {MDL_KV_BUDGET, NULL, true, false, true},
    {MDL_KV_TAU, "tau", true, false, true},
    {MDL_KV_PREFETCH, "prefetch", true, true, false},
    {MDL_KV_BITS, NULL, true, true, true},
    {MDL_KV_COLD_BITS, "bits", true, true, true},
    {MDL_KV_RESIDUAL, "window", true, true, true},
    {MDL_KV_HOT_FRAC, NULL, true, false, true},
    {MDL_KV_RANK, NULL, true, true, true},
    {MDL_KV_RANK_FRAC, NULL, true, false, true},
    {MDL_KV_FETCH_FRAC, NULL, true, false, true},
    {MDL_KV_FULL_HEADS, NULL, true, false, true},
    {MDL_KV_PARTIAL_FRAC, NULL, true, false, true},
    {MDL_KV_RECENT, "window", true, false, true},
    {MDL_KV_PAGE, NULL, true, true, true},
    {MDL_KV_CORRECT_EVERY, "correction", false, true, true},
    {MDL_KV_SINK, NULL, false, true, true},
    {MDL_KV_CHUNK, NULL, false, true, true},
    {MDL_KV_GROUP, NULL, false, true, true},
    {MDL_KV_OUTLIER, NULL, false, false, true},
    {MDL_KV_HEAVY_FRAC, NULL, false, false, true},
    {MDL_KV_SCORE_WINDOW, NULL, false, true, true},
    {MDL_KV_PYRAMID_LOW, NULL, false, false, true},
    {MDL_KV_SKIP_LAYERS, NULL, false, true, true},
    {MDL_KV_EVICT_IN_DECODE, NULL, false, false, true},
    {MDL_KV_SPECULATIVE, NULL, false, false, true},
    {MDL_KV_COLD_ON_HOST, NULL, false, false, false},
    {MDL_KV_BY_LAYER, NULL, false, false, false},
    {MDL_KV_PICK, NULL, false, false, false},
    {MDL_KV_LAYOUT, NULL, false, false, false},
    {MDL_KV_DOUBLE_BUFFER, NULL, false, false, false},
    {MDL_KV_POLICY, NULL, false, false, false},
};
enum { N_KNOWN = sizeof known / sizeof known[0] };

static size_t index_of(enum mdl_kv_key key)
{
    size_t i = 0;
    while (i + 1 < N_KNOWN && known[i].key != key) i++;
    return i;
}

bool exp_tune_changes_answers(enum mdl_kv_key key)
{
    return known[index_of(key)].answers;
}

bool exp_tune_is_choice(enum mdl_kv_key key)
{
    enum mdl_kv_type type = mdl_kv_key_info(key)->type;
    return type == MDL_KV_CHOICE || type == MDL_KV_FLAG || key == MDL_KV_BITS || key == MDL_KV_COLD_BITS;
}

bool exp_tune_has_parameters(const struct mdl_strategy *s)
{
    for (size_t i = 0; i < N_KNOWN; i++)
        if (mdl_strategy_default(s, known[i].key)) return true;
    return false;
}

/* ---- values ---- */

/* Word i of a choice's words. */
static bool word_at(const char *words, int i, char *out, size_t room)
{
    for (; i > 0 && words; i--) {
        words = strchr(words, '|');
        if (words) words++;
    }
    if (!words) return false;
    snprintf(out, room, "%.*s", (int)strcspn(words, "|"), words);
    return true;
}

struct exp_tune_value exp_tune_value_text(enum mdl_kv_key key, double value)
{
    const struct mdl_kv_key_info *k = mdl_kv_key_info(key);
    struct exp_tune_value v = {""};
    if (k->type == MDL_KV_CHOICE && value >= 0 && word_at(k->unit, (int)value, v.text, sizeof v.text))
        return v;
    if (k->type == MDL_KV_FLAG)
        snprintf(v.text, sizeof v.text, "%s", value > 0 ? "true" : "false");
    else
        snprintf(v.text, sizeof v.text, "%s", exp_digits_of(value).text);
    return v;
}

static bool read_value(enum mdl_kv_key key, const char *text, size_t length, double *out,
                       struct sim_status *st)
{
    const struct mdl_kv_key_info *k = mdl_kv_key_info(key);
    char own[64], *end;
    if (length > 0 && length < sizeof own) {
        memcpy(own, text, length);
        own[length] = '\0';
        for (int i = 0; i <= (int)k->most && (k->type == MDL_KV_CHOICE || k->type == MDL_KV_FLAG); i++)
            if (strcmp(exp_tune_value_text(key, i).text, own) == 0) return *out = i, true;
        double v = strtod(own, &end);
        bool whole = k->type == MDL_KV_REAL || v == floor(v);
        if (!*end && k->type != MDL_KV_CHOICE && whole && v >= k->least && v <= k->most)
            return *out = v + 0.0, true; /* no -0 */
    }
    return sim_fail_as(st, SIM_EXIT_USAGE, "--over: %s `%s` is no value of it, expected %s%s%.10g to %.10g",
                       k->name, sim_excerpt(text, length).text,
                       k->type == MDL_KV_CHOICE ? k->unit : "a number",
                       k->type == MDL_KV_CHOICE ? ", of numbers " : " from ", k->least, k->most);
}

/* False when it has no room. */
static bool add_value(struct exp_tune_parameter *p, double value)
{
    uint32_t at = p->n;
    for (uint32_t i = 0; i < p->n; i++)
        if (p->value[i] == value) return true;
    if (p->n == EXP_TUNE_GRID) return false;
    for (; at > 0 && p->value[at - 1] > value; at--) p->value[at] = p->value[at - 1];
    p->value[at] = value;
    p->n++;
    return true;
}

/* Powers of two times the lower end, and where that leaves few values, those half-way between. */
static void add_doublings(struct exp_tune_parameter *p, bool only)
{
    enum { FEW = 4, MOST = EXP_TUNE_GRID - 1 };
    double from = p->low > 0 ? p->low : fmax(1, floor(p->high / 16));
    int n = 1;
    while (from * pow(2, n) <= p->high) n++;
    double step = n > MOST ? pow(p->high / from, 1.0 / (MOST - 1)) : 2;
    add_value(p, p->low);
    for (double v = from; v <= p->high * (1 + 1e-9); v *= step) {
        add_value(p, round(v));
        if (!only && n < FEW && v * 1.5 <= p->high) add_value(p, round(v * 1.5));
    }
    add_value(p, p->high);
}

double exp_tune_rounded(const struct exp_tune_parameter *p, double value)
{
    double parts = pow(10, -floor(log10((p->high - p->low) * 1e-3)));
    return fmin(fmax(round(value * parts) / parts, p->low), p->high);
}

static void add_evenly(struct exp_tune_parameter *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        add_value(p, exp_tune_rounded(p, p->low + (p->high - p->low) * i / (n - 1)));
}

/* The values that are raced, or that a smooth parameter's profile has. */
static void spread(struct exp_tune_parameter *p)
{
    enum { SMOOTH_POINTS = 9 };
    const struct mdl_kv_key_info *k = mdl_kv_key_info(p->key);
    p->n = 0;
    p->smooth = k->type == MDL_KV_REAL && p->low < p->high;
    if (p->smooth)
        add_evenly(p, SMOOTH_POINTS);
    else if (k->type == MDL_KV_COUNT)
        add_doublings(p, known[index_of(p->key)].doubling);
    else
        for (double v = p->low; v <= p->high; v++) add_value(p, v);
}

/* ---- one parameter ---- */

static struct exp_tune_parameter parameter_of(const struct exp_kv_keys *k, const struct mdl_kv_default *d)
{
    const struct exp_number *given = &k->value[d->key];
    struct exp_tune_parameter p = {
        .key = d->key, .low = d->low, .high = d->high, .usual = given->given ? given->value : d->value};
    p.low = fmin(p.low, p.usual);
    p.high = fmax(p.high, p.usual);
    spread(&p);
    if (!p.smooth) add_value(&p, p.usual);
    return p;
}

static bool read_range(struct exp_tune_parameter *p, const char *text, const char *dots, size_t length,
                       struct sim_status *st)
{
    const char *high = dots + 2;
    if (!read_value(p->key, text, (size_t)(dots - text), &p->low, st) ||
        !read_value(p->key, high, length - (size_t)(high - text), &p->high, st))
        return false;
    if (!(p->low < p->high))
        return sim_fail_as(st, SIM_EXIT_USAGE, "--over: %s from %g to %g is no range, expected LOW..HIGH",
                           mdl_kv_key_info(p->key)->name, p->low, p->high);
    spread(p);
    return true;
}

static bool read_list(struct exp_tune_parameter *p, const char *text, size_t length, struct sim_status *st)
{
    p->n = 0;
    p->smooth = false;
    p->listed = true;
    for (const char *at = text, *end = text + length; at <= end;) {
        size_t n = strcspn(at, "/,");
        double v;
        if (!read_value(p->key, at, n, &v, st)) return false;
        if (p->n == EXP_TUNE_GRID)
            return sim_fail_as(st, SIM_EXIT_USAGE, "--over: more than %d values of %s; name fewer",
                               EXP_TUNE_GRID, mdl_kv_key_info(p->key)->name);
        add_value(p, v);
        at += n + 1;
    }
    p->low = p->value[0];
    p->high = p->value[p->n - 1];
    return true;
}

/* What stands behind NAME=, up to the comma. */
static bool read_values(struct exp_tune_parameter *p, const char *text, size_t length, struct sim_status *st)
{
    const char *dots = strstr(text, "..");
    return dots && dots < text + length ? read_range(p, text, dots, length, st)
                                        : read_list(p, text, length, st);
}

/* ---- which ones ---- */

/* The strategy's own parameter by name or by its other name. */
static const struct mdl_kv_default *find(const struct mdl_strategy *s, const char *name, size_t length)
{
    for (size_t i = 0; i < N_KNOWN; i++) {
        const struct mdl_kv_default *d = mdl_strategy_default(s, known[i].key);
        const char *names[] = {mdl_kv_key_info(known[i].key)->name, known[i].also};
        for (int k = 0; d && k < 2; k++)
            if (names[k] && strlen(names[k]) == length && memcmp(names[k], name, length) == 0) return d;
    }
    return NULL;
}

static bool unknown(const struct mdl_strategy *s, const char *name, size_t length, struct sim_status *st)
{
    const char *names[N_KNOWN + 1] = {0};
    char list[600] = "", own[64];
    size_t n = 0;
    for (size_t i = 0; i < N_KNOWN; i++)
        if (mdl_strategy_default(s, known[i].key)) names[n++] = mdl_kv_key_info(known[i].key)->name;
    for (size_t i = 0; i < n; i++) {
        if (i) strcat(list, ", ");
        strncat(list, names[i], sizeof list - strlen(list) - 3);
    }
    snprintf(own, sizeof own, "%.*s", (int)length, name);
    return sim_fail_as(st, SIM_EXIT_USAGE,
                       "--over: `%s` is nothing of strategy %s that can be searched, expected %s%s",
                       sim_excerpt(name, length).text, s->name, n ? list : "another strategy: it has none",
                       mdl_hint(own, names).text);
}

static bool take_named(const struct exp_kv_keys *k, const char *over, struct exp_tune_parameter *out,
                       uint32_t *n, struct sim_status *st)
{
    const struct mdl_strategy *s = mdl_strategy_at((size_t)k->strategy);
    for (const char *at = over;; at++) {
        size_t item = strcspn(at, ","), name = strcspn(at, "=,");
        const struct mdl_kv_default *d = find(s, at, name);
        if (!d) return unknown(s, at, name, st);
        for (uint32_t i = 0; i < *n; i++)
            if (out[i].key == d->key)
                return sim_fail_as(st, SIM_EXIT_USAGE, "--over: %s stands there twice, expected once",
                                   mdl_kv_key_info(d->key)->name);
        if (*n == EXP_TUNE_KEYS)
            return sim_fail_as(st, SIM_EXIT_USAGE, "--over: more than %d parameters; name fewer",
                               EXP_TUNE_KEYS);
        out[*n] = parameter_of(k, d);
        if (name < item && !read_values(&out[*n], at + name + 1, item - name - 1, st)) return false;
        ++*n;
        at += item;
        if (!*at) return true;
    }
}

/* A window inside a budget costs nothing by itself; a page is looked at where nothing else is. */
static bool beside_others(const struct mdl_strategy *s, enum mdl_kv_key key, uint32_t n)
{
    return (key == MDL_KV_RECENT && mdl_strategy_default(s, MDL_KV_BUDGET)) || (key == MDL_KV_PAGE && n > 0);
}

static void take_usual(const struct exp_kv_keys *k, struct exp_tune_parameter *out, uint32_t *n)
{
    const struct mdl_strategy *s = mdl_strategy_at((size_t)k->strategy);
    for (size_t i = 0; i < N_KNOWN && *n < USUAL_KEYS; i++) {
        const struct mdl_kv_default *d = mdl_strategy_default(s, known[i].key);
        if (known[i].unasked && d && d->low < d->high && !beside_others(s, known[i].key, *n))
            out[(*n)++] = parameter_of(k, d);
    }
}

static bool count_ok(const struct exp_tune_parameter *p, uint32_t n, struct sim_status *st)
{
    double settings = 1;
    for (uint32_t i = 0; i < n; i++) settings *= p[i].smooth ? 1 : p[i].n;
    if (settings < EXP_TUNE_CANDIDATES) return true;
    return sim_fail_as(
        st, SIM_EXIT_USAGE,
        "--over: %.0f settings, expected fewer than %d; name fewer parameters, or values as in "
        "budget=1024/2048",
        settings, EXP_TUNE_CANDIDATES);
}

bool exp_tune_parameters(const struct exp_scenario *s, uint32_t fleet, const char *over,
                         struct exp_tune_parameter out[EXP_TUNE_KEYS], uint32_t *n, struct sim_status *st)
{
    const struct exp_kv_keys *k = &s->fleet[fleet].kv;
    *n = 0;
    if (over && !take_named(k, over, out, n, st)) return false;
    if (!over) take_usual(k, out, n);
    if (*n == 0)
        return sim_fail_as(
            st, SIM_EXIT_USAGE,
            "strategy %s has nothing to tune, expected one that has: --strategy NAME (kvsim list strategies)",
            mdl_strategy_at((size_t)k->strategy)->name);
    return count_ok(out, *n, st);
}

/* ---- what was scored ---- */

static void take_values(struct exp_tune_parameter *p, const double *value, uint32_t n)
{
    p->n = p->n_scored = p->n_left_out = 0;
    p->smooth = false;
    if (p->usual >= p->low && p->usual <= p->high) add_value(p, p->usual);
    for (uint32_t i = 0; i < n; i++) {
        if (!(value[i] >= p->low && value[i] <= p->high)) continue;
        p->n_scored++;
        p->n_left_out += !add_value(p, value[i]);
    }
}

bool exp_tune_take_scored(struct exp_tune_parameter *p, uint32_t n, const struct mdl_rows_aside *scored,
                          struct sim_status *st)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < scored->n_keys; k++) {
            uint32_t inside = 0;
            for (uint32_t v = 0; v < scored->n_values[k]; v++)
                inside += scored->value[k][v] >= p[i].low && scored->value[k][v] <= p[i].high;
            if (scored->key[k] == p[i].key && !p[i].listed && inside)
                take_values(&p[i], scored->value[k], scored->n_values[k]);
        }
    return count_ok(p, n, st);
}

/* ---- the grid ---- */

static bool same(const struct exp_tune_setting *a, const struct exp_tune_setting *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

uint32_t exp_tune_grid(const struct exp_tune_parameter *p, uint32_t n, struct exp_tune_setting *out)
{
    uint32_t at[EXP_TUNE_KEYS] = {0}, count = 1, i;
    out[0] = (struct exp_tune_setting){0};
    for (i = 0; i < n; i++) out[0].value[i] = p[i].usual;
    do {
        struct exp_tune_setting s = {0};
        for (i = 0; i < n; i++) s.value[i] = p[i].smooth ? p[i].usual : p[i].value[at[i]];
        if (!same(&s, &out[0])) out[count++] = s;
        for (i = n; i-- > 0;) { /* the last one turns fastest */
            if (!p[i].smooth && ++at[i] < p[i].n) break;
            at[i] = 0;
        }
    } while (i < n);
    return count;
}
