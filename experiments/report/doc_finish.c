#include "experiments/report/doc_parts.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

/* ---- thinning ---- */

enum { X, Y, LO, HI, N_COORDINATES };

/* NaN for a gap and where there is no such number. */
static double number_at(const json_t *points, size_t i, size_t k)
{
    const json_t *v = json_array_get(json_array_get(points, i), k);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static bool is_gap(const json_t *points, size_t i)
{
    return isnan(number_at(points, i, Y)) && isnan(number_at(points, i, LO)) &&
           isnan(number_at(points, i, HI));
}

/* What a stretch of points is remembered by: the least and the greatest of these, and whether there was a gap. */
struct memorable {
    bool extremes[N_COORDINATES], gaps;
};

static struct memorable look(const json_t *points)
{
    struct memorable m = {.extremes = {[Y] = true}};
    for (size_t i = 0; i < json_array_size(points); i++) {
        m.gaps |= is_gap(points, i);
        m.extremes[LO] |= !isnan(number_at(points, i, LO));
        m.extremes[HI] |= !isnan(number_at(points, i, HI));
        m.extremes[X] |= i && number_at(points, i, X) < number_at(points, i - 1, X); /* else its ends are */
    }
    return m;
}

static size_t count(const struct memorable *m)
{
    size_t n = m->gaps;
    for (size_t k = 0; k < N_COORDINATES; k++) n += m->extremes[k] ? 2 : 0;
    return n;
}

struct stretch {
    const json_t *points;
    size_t begin, end;
};

/* The place of the least (sign 1) or greatest (-1) coordinate k. */
static void keep_extreme(const struct stretch *s, size_t k, double sign, bool *keep)
{
    size_t at = s->end;
    double best = INFINITY;
    for (size_t i = s->begin; i < s->end; i++) {
        double value = sign * number_at(s->points, i, k);
        if (!(value < best)) continue;
        best = value;
        at = i;
    }
    if (at < s->end) keep[at] = true;
}

static void keep_stretch(const struct stretch *s, const struct memorable *m, bool *keep)
{
    for (size_t k = 0; k < N_COORDINATES; k++) {
        if (!m->extremes[k]) continue;
        keep_extreme(s, k, 1, keep);
        keep_extreme(s, k, -1, keep);
    }
    size_t gap = s->begin;
    while (gap < s->end && !is_gap(s->points, gap)) gap++;
    if (gap < s->end) keep[gap] = true;
}

void exp_doc_thin(json_t *points)
{
    size_t n = json_array_size(points);
    if (n <= EXP_DOC_POINTS) return;
    struct memorable m = look(points);
    size_t n_stretches = (EXP_DOC_POINTS - 2) / count(&m);
    bool *keep = sim_alloc(n, sizeof *keep);
    keep[0] = keep[n - 1] = true;
    for (size_t k = 0; k < n_stretches; k++) {
        struct stretch s = {points, 1 + (n - 2) * k / n_stretches, 1 + (n - 2) * (k + 1) / n_stretches};
        keep_stretch(&s, &m, keep);
    }
    json_t *kept = json_array();
    for (size_t i = 0; i < n; i++)
        if (keep[i]) json_array_append(kept, json_array_get(points, i));
    json_array_clear(points);
    json_array_extend(points, kept);
    json_decref(kept);
    free(keep);
}

/* ---- digits ---- */

/* Seven are more than can be drawn; a page of many curves is mostly their digits. */
static void shorten(json_t *points)
{
    char text[32];
    for (size_t i = 0; i < json_array_size(points); i++) {
        json_t *p = json_array_get(points, i);
        for (size_t k = 0; k < json_array_size(p); k++) {
            if (!json_is_real(json_array_get(p, k))) continue;
            snprintf(text, sizeof text, "%.7g", json_real_value(json_array_get(p, k)));
            json_array_set_new(p, k, json_real(strtod(text, NULL)));
        }
    }
}

/* ---- what is empty goes ---- */

static bool has_points(const json_t *series)
{
    const json_t *points = json_object_get(series, "points");
    for (size_t i = 0; i < json_array_size(points); i++)
        if (!is_gap(points, i)) return true;
    return false;
}

/* ---- what is too much is cut, and said ---- */

static void cut(json_t *list, size_t most)
{
    while (json_array_size(list) > most) json_array_remove(list, json_array_size(list) - 1);
}

/* Points at names that are gone go with them. */
static void cut_names(json_t *chart, size_t most)
{
    json_t *names = json_object_get(json_object_get(chart, "x"), "names"), *series, *point;
    size_t i, k;
    if (json_array_size(names) <= most) return;
    cut(names, most);
    json_array_foreach(json_object_get(chart, "series"), i, series)
    {
        json_t *points = json_object_get(series, "points"), *kept = json_array();
        json_array_foreach(points, k, point) if (number_at(points, k, X) < (double)most)
            json_array_append(kept, point);
        json_object_set_new(series, "points", kept);
    }
}

/* What stands above a part of which less is left than there was; NULL = all of it is there. */
static json_t *said(size_t most, size_t n, const char *template)
{
    char shown[24], all[24];
    if (n <= most) return NULL;
    snprintf(shown, sizeof shown, "%zu", most);
    snprintf(all, sizeof all, "%zu", n);
    return json_pack("{s:s, s:s, s:[s, s, s]}", "kind", "text", "tone", "soft", "text", template, shown, all);
}

/* Puts it before part i, which moves on by one. */
static size_t say_cut(json_t *parts, size_t i, json_t *text)
{
    if (text) json_array_insert_new(parts, i++, text);
    return i;
}

/* Before points are thinned: those that stay must be of names that stay. Returns where the part is afterwards. */
static size_t limit_names(json_t *parts, size_t i)
{
    json_t *part = json_array_get(parts, i), *names = json_object_get(json_object_get(part, "x"), "names");
    i = say_cut(parts, i, said(EXP_DOC_POINTS, json_array_size(names), "The first {0} of {1} names."));
    cut_names(part, EXP_DOC_POINTS);
    return i;
}

/* Once what is empty is gone. */
static size_t limit_lists(json_t *parts, size_t i)
{
    json_t *part = json_array_get(parts, i), *rows = json_object_get(part, "rows"),
           *series = json_object_get(part, "series");
    i = say_cut(parts, i, said(EXP_DOC_ROWS, json_array_size(rows), "The first {0} of {1} rows."));
    i = say_cut(parts, i, said(EXP_DOC_SERIES, json_array_size(series), "The first {0} of {1} series."));
    cut(rows, EXP_DOC_ROWS);
    cut(series, EXP_DOC_SERIES);
    return i;
}

static void finish_chart(json_t *chart)
{
    json_t *series = json_object_get(chart, "series");
    for (size_t i = json_array_size(series); i-- > 0;) {
        json_t *s = json_array_get(series, i);
        if (!has_points(s)) {
            json_array_remove(series, i);
            continue;
        }
        exp_doc_thin(json_object_get(s, "points"));
        shorten(json_object_get(s, "points"));
    }
}

static bool is_empty(const json_t *part)
{
    static const char *const lists[] = {"items", "rows", "series"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const json_t *list = json_object_get(part, lists[i]);
        if (list && !json_array_size(list)) return true;
    }
    return false;
}

/* Ids are asked for twice by who has two of a thing: the second is given a number. */
static void make_unique(json_t *part, json_t *taken)
{
    const char *id = json_string_value(json_object_get(part, "id"));
    char other[EXP_DOC_ID_BYTES + 24];
    if (!id) return;
    snprintf(other, sizeof other, "%s", id);
    for (unsigned k = 2; json_object_get(taken, other); k++)
        snprintf(other, sizeof other, "%.*s-%u", EXP_DOC_ID_BYTES - 12, id, k);
    json_object_set_new(taken, other, json_true());
    json_object_set_new(part, "id", json_string(other));
}

static void finish_parts(json_t *parts, json_t *taken);

static bool finish_part(json_t *part, json_t *taken)
{
    json_t *en = json_object_get(part, "en"), *ja = json_object_get(part, "ja");
    if (en && ja) {
        json_t *also = json_copy(taken); /* one of the languages is shown: they may have the same ids */
        finish_parts(en, also);
        finish_parts(ja, taken);
        json_object_update(taken, also);
        json_decref(also);
        return json_array_size(en) || json_array_size(ja);
    }
    finish_chart(part);
    if (is_empty(part)) return false;
    make_unique(part, taken);
    return true;
}

static void finish_parts(json_t *parts, json_t *taken)
{
    for (size_t i = 0; i < json_array_size(parts);) {
        i = limit_names(parts, i);
        if (finish_part(json_array_get(parts, i), taken))
            i = limit_lists(parts, i) + 1;
        else
            json_array_remove(parts, i);
    }
}

void exp_doc_finish(json_t *doc)
{
    json_t *sections = json_object_get(doc, "sections"), *taken = json_object();
    for (size_t i = 0; i < json_array_size(sections);) {
        json_t *section = json_array_get(sections, i), *parts = json_object_get(section, "parts");
        finish_parts(parts, taken);
        if (!json_array_size(parts)) {
            json_array_remove(sections, i);
            continue;
        }
        make_unique(section, taken);
        i++;
    }
    json_decref(taken);
}
