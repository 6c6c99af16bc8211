#include "experiments/scenario_out.h"

#include <stdlib.h>
#include <string.h>

#include "experiments/keys.h"
#include "experiments/value_text.h"

struct writer {
    const struct exp_scenario *s;
    FILE *out;
    struct sim_status *st;
    bool ok;
};

/* A mapping while it is written: the last key says which sections are open. */
struct map {
    struct writer *w;
    int indent;
    const char *first; /* before its first line: "- " of a list entry, else "" */
    const char *head;  /* "engine:", written with the first key; NULL = none, or written */
    const char *last;  /* "" = nothing yet */
};

/* ---- values ---- */

static bool is_text(const struct exp_key *key)
{
    return key->type < EXP_CHOICE;
}

/* NULL with one line in st for a path that got too long from the root. Free with free(). */
static char *value_of(const struct exp_key *key, const void *field, struct sim_status *st)
{
    char *text = exp_value_text(key, field);
    if (!is_text(key) || strlen(text) < EXP_TEXT_BYTES) return text;
    sim_fail(st, "%.80s: is too long as an absolute path, expected at most %d bytes; move it",
             (const char *)field, EXP_TEXT_BYTES - 1);
    free(text);
    return NULL;
}

static bool is_equal(const struct exp_key *key, const void *a, const void *b)
{
    const struct exp_number *x = a, *y = b;
    if (key->optional) return x->given == y->given && (!x->given || x->value == y->value);
    switch (key->type) {
    case EXP_COUNT:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case EXP_REAL:
        return *(const double *)a == *(const double *)b;
    case EXP_FLAG:
        return *(const bool *)a == *(const bool *)b;
    case EXP_CHOICE:
    case EXP_STRATEGY:
        return *(const int *)a == *(const int *)b;
    case EXP_RANGE:
        return memcmp(a, b, 2 * sizeof(double)) == 0;
    default:
        return strcmp(a, b) == 0;
    }
}

/* ---- lines ---- */

static void open_line(struct map *m, int depth)
{
    if (m->head) fprintf(m->w->out, "%s\n", m->head);
    m->head = NULL;
    fprintf(m->w->out, "%*s%s", m->indent + 2 * depth - (int)strlen(m->first), "", m->first);
    m->first = "";
}

/* Heads of the sections that `name` opens and the last key did not. Returns how deep it stands. */
static int open_sections(struct map *m, const char *name)
{
    int depth = 0;
    bool same = true;
    for (const char *at = name, *dot; (dot = strchr(at, '.')); at = dot + 1, depth++) {
        size_t end = (size_t)(dot - name) + 1;
        same = same && strncmp(m->last, name, end) == 0;
        if (same) continue;
        open_line(m, depth);
        fprintf(m->w->out, "%.*s:\n", (int)(dot - at), at);
    }
    return depth;
}

static void put_key(struct map *m, const struct exp_key *key, const void *field)
{
    char *text = m->w->ok ? value_of(key, field, m->w->st) : NULL;
    const char *dot = strrchr(key->name, '.');
    m->w->ok = m->w->ok && text;
    if (text) {
        open_line(m, open_sections(m, key->name));
        fprintf(m->w->out, "%s: %s\n", dot ? dot + 1 : key->name, text);
        m->last = key->name;
    }
    free(text);
}

/* ---- which keys ---- */

/* A load is named by a key of its own, whatever its value. */
static bool names_load(const struct exp_scenario *s, const char *name)
{
    const char *of[] = {[EXP_NO_LOAD] = "",
                        [EXP_TRACE] = "workload.trace",
                        [EXP_OPEN_LOOP] = "workload.open_loop.request_rate",
                        [EXP_CLOSED_LOOP] = "workload.closed_loop.concurrency"};
    return strcmp(name, of[s->workload.source]) == 0;
}

bool exp_scenario_ignores(const struct exp_scenario *s, const struct exp_key *key)
{
    const char *name = key->name;
    enum exp_source source = s->workload.source;
    return (strcmp(name, "workload.trace") == 0 && source != EXP_TRACE) ||
           (strncmp(name, "workload.open_loop.", 19) == 0 && source != EXP_OPEN_LOOP) ||
           (strncmp(name, "workload.closed_loop.", 21) == 0 && source != EXP_CLOSED_LOOP);
}

/* Every fleet says what it is, every class exists by a key. */
static bool is_always_there(const struct exp_scenario *s, const struct exp_key *key)
{
    switch (key->scope) {
    case EXP_IN_FLEET:
        return strcmp(key->name, "gpu") == 0 || strcmp(key->name, "replicas") == 0 ||
               strcmp(key->name, "tensor_parallel") == 0 || strcmp(key->name, "kv.strategy") == 0;
    case EXP_IN_SLO:
        return strcmp(key->name, "percentile") == 0;
    default:
        return strcmp(key->name, "model") == 0 || names_load(s, key->name);
    }
}

static void put_scope(struct map *m, enum exp_scope scope, const void *base, const void *defaults)
{
    for (size_t i = 0; i < exp_key_count(); i++) {
        const struct exp_key *key = exp_key_at(i);
        if (key->scope != scope || exp_scenario_ignores(m->w->s, key)) continue;
        const void *field = (const char *)base + key->offset;
        bool differs = !is_equal(key, field, (const char *)defaults + key->offset);
        if (is_text(key) && !*(const char *)field) continue; /* a file cannot say nothing */
        if (differs || is_always_there(m->w->s, key)) put_key(m, key, field);
    }
}

/* ---- the file ---- */

struct defaults {
    struct exp_scenario *all;
    struct exp_fleet_keys fleet;
    struct exp_class_keys class;
};

static void put_fleets(struct writer *w, const struct defaults *d)
{
    if (w->s->n_fleets) fputs("fleet:\n", w->out);
    for (uint32_t i = 0; i < w->s->n_fleets; i++) {
        struct map fleet = {w, 4, "- ", NULL, ""}, engine = {w, 6, "", "    engine:", ""};
        put_scope(&fleet, EXP_IN_FLEET, &w->s->fleet[i], &d->fleet);
        put_scope(&engine, EXP_IN_ENGINE, &w->s->fleet[i].engine, &d->all->engine);
    }
}

static void put_classes(struct writer *w, const struct defaults *d)
{
    if (w->s->n_classes) fputs("classes:\n", w->out);
    for (uint32_t i = 0; i < w->s->n_classes; i++) {
        struct map class = {w, 4, "", NULL, ""}, slo = {w, 6, "", "    slo:", ""};
        fprintf(w->out, "  %s:\n", w->s->classes[i].name);
        put_scope(&class, EXP_IN_CLASS, &w->s->classes[i], &d->class);
        put_scope(&slo, EXP_IN_SLO, &w->s->classes[i].slo, &d->all->slo);
    }
}

bool exp_scenario_write(const struct exp_scenario *s, FILE *out, struct sim_status *st)
{
    struct writer w = {s, out, st, true};
    struct map top = {&w, 0, "", NULL, ""}, engine = {&w, 2, "", "engine:", ""},
               slo = {&w, 2, "", "slo:", ""};
    struct defaults d = {.all = exp_scenario_new()};
    exp_key_defaults(EXP_IN_FLEET, &d.fleet);
    exp_key_defaults(EXP_IN_CLASS, &d.class);
    put_scope(&top, EXP_IN_SCENARIO, s, d.all);
    put_fleets(&w, &d);
    put_scope(&engine, EXP_IN_ENGINE, &s->engine, &d.all->engine);
    if (s->slo_given) put_scope(&slo, EXP_IN_SLO, &s->slo, &d.all->slo);
    put_classes(&w, &d);
    free(d.all);
    return w.ok;
}
