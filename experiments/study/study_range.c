/* Ranges of a study: {from, to, count or step, scale} to the values that they stand for. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/study_parts.h"
#include "experiments/value_text.h"
#include "experiments/values.h"

static const double MOST_WHOLE = 9007199254740992.0; /* 2^53: doubles name every whole number up to it */

static const char *const with_steps[] = {"from", "to", "count", "step", "scale", NULL};
static const char *const without_steps[] = {"from", "to", "scale", NULL};

static bool wrong(const struct exp_study_place *at, const char *what, struct sim_status *st)
{
    return sim_fail(st, "%s: the range of %.100s %s", exp_where(at->node).text, at->path, what);
}

static bool number_of(const struct exp_study_place *at, const char *name, double *out, struct sim_status *st)
{
    char what[EXP_STUDY_PATH_BYTES + 16];
    const struct mdl_yaml_node *node = mdl_yaml_get(at->node, name);
    snprintf(what, sizeof what, "has no `%s`, expected such as {from: 1, to: 16, count: 5}; give it", name);
    if (!node) return wrong(at, what, st);
    snprintf(what, sizeof what, "%s.%s", at->path, name);
    return mdl_yaml_double(node, what, out, st);
}

static bool scale_of(const struct exp_study_place *at, bool *log, struct sim_status *st)
{
    const struct mdl_yaml_node *node = mdl_yaml_get(at->node, "scale");
    const char *word = node ? mdl_yaml_string(node, "scale", st) : "linear";
    if (!word) return false;
    *log = strcmp(word, "log") == 0;
    return *log || strcmp(word, "linear") == 0 ||
           sim_fail(st, "%s: scale of %.100s is not linear or log; choose one of them", exp_where(node).text,
                    at->path);
}

static bool check_keys(const struct exp_study_place *at, const char *const *valid, struct sim_status *st)
{
    for (size_t i = 0; i < mdl_yaml_size(at->node); i++)
        if (!exp_study_is_word(mdl_yaml_key(at->node, i), valid))
            return mdl_yaml_unknown_key(at->node, i, valid, st);
    return true;
}

static bool check_span(const struct exp_study_place *at, const struct exp_study_span *x,
                       struct sim_status *st)
{
    char what[160];
    snprintf(what, sizeof what, "goes from %.6g to %.6g, expected from below to; %s", x->from, x->to,
             x->from > x->to ? "swap them" : "give the value alone");
    if (x->from >= x->to) return wrong(at, what, st);
    if (!isfinite(x->to - x->from)) return wrong(at, "is too wide, expected numbers closer together", st);
    if (x->log && x->from <= 0)
        return wrong(at, "starts at 0 or below on a log scale, expected from above 0; raise it", st);
    if (!x->whole) return true;
    if (x->from != floor(x->from) || x->to != floor(x->to))
        return wrong(at, "has ends with a fraction, expected whole numbers; round them", st);
    return x->to <= MOST_WHOLE ||
           wrong(at, "reaches above 2^53, expected smaller numbers; write the values out", st);
}

bool exp_study_span(const struct exp_study_place *at, bool steps, struct exp_study_span *out,
                    struct sim_status *st)
{
    bool number = at->key && (at->key->type == EXP_COUNT || at->key->type == EXP_REAL);
    bool length = at->key && at->key->type == EXP_LENGTHS;
    if (!number && !length)
        return wrong(at, "is none of numbers, expected a list of values; write them out", st);
    struct exp_study_span x = {.whole = at->key->type != EXP_REAL};
    if (!check_keys(at, steps ? with_steps : without_steps, st) || !number_of(at, "from", &x.from, st) ||
        !number_of(at, "to", &x.to, st) || !scale_of(at, &x.log, st) || !check_span(at, &x, st))
        return false;
    *out = x;
    return true;
}

/* ---- values written out ---- */

struct steps {
    struct exp_study_span span;
    uint64_t n;
    double step; /* 0 = n values from end to end */
};

static bool count_of(const struct exp_study_place *at, const struct mdl_yaml_node *node, uint64_t *n,
                     struct sim_status *st)
{
    char what[EXP_STUDY_PATH_BYTES + 16];
    snprintf(what, sizeof what, "%s.count", at->path);
    if (!mdl_yaml_u64(node, what, n, st)) return false;
    return (*n >= 2 && *n <= EXP_STUDY_MOST_VALUES) ||
           sim_fail(st, "%s: %s is %llu, expected 2 to %d values", exp_where(node).text, what,
                    (unsigned long long)*n, EXP_STUDY_MOST_VALUES);
}

static bool step_of(const struct exp_study_place *at, struct steps *x, struct sim_status *st)
{
    double width = x->span.to - x->span.from;
    if (!number_of(at, "step", &x->step, st)) return false;
    if (x->span.log) return wrong(at, "has a step on a log scale, expected count; give that instead", st);
    if (!(x->step > 0 && x->step <= width))
        return wrong(at, "has a step of 0, below it or beyond the range, expected at most to - from", st);
    double n = floor(width / x->step * (1 + 4 * DBL_EPSILON)) + 1;
    if (n > EXP_STUDY_MOST_VALUES)
        return wrong(at, "has more than 100000 values, expected fewer; take a wider step", st);
    x->n = (uint64_t)n;
    return true;
}

static bool steps_of(const struct exp_study_place *at, struct steps *x, struct sim_status *st)
{
    const struct mdl_yaml_node *count = mdl_yaml_get(at->node, "count"),
                               *step = mdl_yaml_get(at->node, "step");
    *x = (struct steps){.step = 0};
    if (!exp_study_span(at, true, &x->span, st)) return false;
    if (!count == !step)
        return wrong(at,
                     count ? "has both count and step, expected one of them; remove the other"
                           : "has neither count nor step, expected one of them; add it",
                     st);
    return count ? count_of(at, count, &x->n, st) : step_of(at, x, st);
}

/* Value i, as text: six digits of what a logarithm gave, so that every machine has the same. */
static struct exp_digits value_at(const struct steps *x, uint64_t i)
{
    const struct exp_study_span *s = &x->span;
    struct exp_digits d;
    double share = (double)i / (double)(x->n - 1), value = s->from + share * (s->to - s->from);
    if (x->step > 0) value = s->from + (double)i * x->step;
    if (s->log) value = exp(log(s->from) + share * (log(s->to) - log(s->from)));
    if (x->step == 0 && (i == 0 || i == x->n - 1)) {
        d = exp_digits_of(i == 0 ? s->from : s->to);
        value = strtod(d.text, NULL);
    } else {
        snprintf(d.text, sizeof d.text, "%.*g", s->log ? 6 : 12, value);
        value = strtod(d.text, NULL);
    }
    if (s->whole) snprintf(d.text, sizeof d.text, "%.0f", round(value));
    return d;
}

/* As many empty lines before it as the range has, so that messages name its line. */
static char *list_of(const struct steps *x, int line)
{
    char *text = NULL;
    size_t size = 0;
    struct exp_digits last = {""};
    FILE *f = open_memstream(&text, &size);
    for (int i = 1; i < line; i++) fputc('\n', f);
    for (uint64_t i = 0; i < x->n; i++) {
        struct exp_digits d = value_at(x, i);
        if (strcmp(d.text, last.text) != 0) fprintf(f, "%s%s", i ? ", " : "[", d.text);
        last = d;
    }
    fputc(']', f);
    fclose(f);
    return text;
}

const struct mdl_yaml_node *exp_study_range(struct exp_study *s, const struct exp_study_place *at,
                                            struct sim_status *st)
{
    struct steps x;
    if (!steps_of(at, &x, st)) return NULL;
    char *text = list_of(&x, mdl_yaml_line(at->node));
    struct mdl_yaml *y = exp_study_keep(s, mdl_yaml_parse(s->file, text, strlen(text), st));
    free(text);
    return y ? mdl_yaml_root(y) : NULL;
}
