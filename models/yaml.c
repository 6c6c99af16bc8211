#include "models/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yaml.h>

#include "models/textfile.h"
#include "sim/memory.h"

enum { MAX_BYTES = 16 << 20, MAX_DEPTH = 64, MAX_NODES = 1 << 20, MAX_WORD = 64, SHOWN = 48 };

struct mdl_yaml_node {
    const struct mdl_yaml *doc;
    const yaml_node_t *node;
};

struct mdl_yaml {
    char *file;
    yaml_document_t document;
    struct mdl_yaml_node *node; /* node[i] wraps libyaml's node i + 1 */
};

struct shown {
    char text[SHOWN + 4];
};

/* A word of the file for a message: cut, and without bytes that would break the line. */
static struct shown show(const char *word)
{
    struct shown s;
    size_t n = 0;
    for (; word[n] && n < SHOWN; n++) s.text[n] = iscntrl((unsigned char)word[n]) ? '?' : word[n];
    snprintf(s.text + n, sizeof s.text - n, "%s", word[n] ? "..." : "");
    return s;
}

/* ---- loading ---- */

static bool parser_failed(const yaml_parser_t *p, const char *file, struct sim_status *st)
{
    bool marked = p->error != YAML_READER_ERROR && p->error != YAML_MEMORY_ERROR;
    return sim_fail(st, "%s:%zu: not valid YAML: %s; check indentation and quotes", file,
                    marked ? p->problem_mark.line + 1 : p->mark.line + 1,
                    p->problem ? p->problem : "out of memory");
}

/* Directives are of no use here, and many of them cost libyaml quadratic time. */
static bool check_text(const char *file, const char *text, size_t length, struct sim_status *st)
{
    if (length > MAX_BYTES)
        return sim_fail(st, "%s: is longer than %d bytes, expected a small YAML file", file, MAX_BYTES);
    if (memchr(text, '\0', length)) return sim_fail(st, "%s: contains NUL bytes, expected text", file);
    int line = 1;
    for (const char *at = text; at; line++) {
        if (at < text + length && *at == '%')
            return sim_fail(st, "%s:%d: YAML directives (%%) are not accepted; remove the line", file, line);
        at = memchr(at, '\n', length - (size_t)(at - text));
        if (at) at++;
    }
    return true;
}

struct scan {
    const char *file;
    int depth, n_documents, n_nodes;
};

static bool check_event(struct scan *s, const yaml_event_t *e, struct sim_status *st)
{
    const yaml_char_t *anchor = NULL;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        s->n_documents++;
        break;
    case YAML_SCALAR_EVENT:
        anchor = e->data.scalar.anchor;
        s->n_nodes++;
        break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        anchor = e->type == YAML_MAPPING_START_EVENT ? e->data.mapping_start.anchor
                                                     : e->data.sequence_start.anchor;
        s->n_nodes++;
        s->depth++;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        s->depth--;
        break;
    default:
        break;
    }
    size_t line = e->start_mark.line + 1;
    if (anchor || e->type == YAML_ALIAS_EVENT)
        return sim_fail(
            st, "%s:%zu: anchors and aliases (& and *) are not accepted; write the value out, or quote it",
            s->file, line);
    if (s->n_documents > 1)
        return sim_fail(st, "%s:%zu: a second YAML document starts here, expected one per file", s->file,
                        line);
    if (s->depth > MAX_DEPTH)
        return sim_fail(st, "%s:%zu: nested deeper than %d levels", s->file, line, MAX_DEPTH);
    if (s->n_nodes > MAX_NODES)
        return sim_fail(st, "%s:%zu: more than %d values; lists of that size belong in a CSV", s->file, line,
                        MAX_NODES);
    return true;
}

static void parser_start(yaml_parser_t *p, const char *text, size_t length)
{
    yaml_parser_initialize(p);
    yaml_parser_set_encoding(p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(p, (const unsigned char *)text, length);
}

/* Looks at the events alone first, so that a hostile file is refused before a document is built of it. */
static bool check_events(const char *file, const char *text, size_t length, struct sim_status *st)
{
    yaml_parser_t parser;
    parser_start(&parser, text, length);
    struct scan scan = {.file = file};
    bool ok = true, more = true;
    while (ok && more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            ok = parser_failed(&parser, file, st);
            break;
        }
        ok = check_event(&scan, &event, st);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return ok;
}

static int compare_keys(const void *a, const void *b)
{
    const struct mdl_yaml_node *const *x = a, *const *y = b;
    int order =
        strcmp((const char *)(*x)->node->data.scalar.value, (const char *)(*y)->node->data.scalar.value);
    return order ? order : (*x > *y) - (*x < *y); /* node order is file order */
}

static const struct mdl_yaml_node *wrap(const struct mdl_yaml *y, int id)
{
    return &y->node[id - 1];
}

static bool check_map(const struct mdl_yaml_node *map, struct sim_status *st)
{
    size_t n = mdl_yaml_size(map);
    const struct mdl_yaml_node **key = sim_alloc(n + 1, sizeof *key);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        key[i] = wrap(map->doc, map->node->data.mapping.pairs.start[i].key);
        if (key[i]->node->type != YAML_SCALAR_NODE)
            ok = sim_fail(st, "%s:%d: a key is a list or mapping, expected a word", map->doc->file,
                          mdl_yaml_line(key[i]));
    }
    if (ok) qsort(key, n, sizeof *key, compare_keys);
    for (size_t i = 1; ok && i < n; i++) {
        const char *word = (const char *)key[i]->node->data.scalar.value;
        if (strcmp((const char *)key[i - 1]->node->data.scalar.value, word) == 0)
            ok = sim_fail(st, "%s:%d: key `%s` was already given in line %d; remove one", map->doc->file,
                          mdl_yaml_line(key[i]), show(word).text, mdl_yaml_line(key[i - 1]));
    }
    free(key);
    return ok;
}

static bool check_nodes(struct mdl_yaml *y, struct sim_status *st)
{
    size_t n = (size_t)(y->document.nodes.top - y->document.nodes.start);
    if (n == 0) return sim_fail(st, "%s: holds no value, expected YAML", y->file);
    y->node = sim_alloc(n, sizeof *y->node);
    for (size_t i = 0; i < n; i++)
        y->node[i] = (struct mdl_yaml_node){.doc = y, .node = &y->document.nodes.start[i]};
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *node = y->node[i].node;
        if (node->type == YAML_MAPPING_NODE && !check_map(&y->node[i], st)) return false;
        if (node->type != YAML_SCALAR_NODE) continue;
        if (strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
            return sim_fail(st, "%s:%d: contains an escaped NUL byte, expected text", y->file,
                            mdl_yaml_line(&y->node[i]));
    }
    return true;
}

struct mdl_yaml *mdl_yaml_parse(const char *name, const char *text, size_t length, struct sim_status *st)
{
    size_t mark =
        length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* the byte order mark of UTF-8 */
    text += mark;
    length -= mark;
    if (!check_text(name, text, length, st) || !check_events(name, text, length, st)) return NULL;
    yaml_parser_t parser;
    parser_start(&parser, text, length);
    struct mdl_yaml *y = sim_alloc(1, sizeof *y);
    y->file = sim_strdup(name);
    bool ok = yaml_parser_load(&parser, &y->document) != 0;
    if (!ok) parser_failed(&parser, name, st);
    yaml_parser_delete(&parser);
    if (ok && check_nodes(y, st)) return y;
    mdl_yaml_free(y);
    return NULL;
}

struct mdl_yaml *mdl_yaml_load(const char *path, struct sim_status *st)
{
    size_t length;
    char *text = mdl_textfile_read(path, MAX_BYTES, &length, st);
    if (!text) return NULL;
    struct mdl_yaml *y = mdl_yaml_parse(path, text, length, st);
    free(text);
    return y;
}

void mdl_yaml_free(struct mdl_yaml *y)
{
    if (!y) return;
    yaml_document_delete(&y->document);
    free(y->node);
    free(y->file);
    free(y);
}

/* ---- walking ---- */

const struct mdl_yaml_node *mdl_yaml_root(const struct mdl_yaml *y)
{
    return &y->node[0];
}

enum mdl_yaml_kind mdl_yaml_kind(const struct mdl_yaml_node *n)
{
    if (n->node->type == YAML_MAPPING_NODE) return MDL_YAML_MAP;
    return n->node->type == YAML_SEQUENCE_NODE ? MDL_YAML_LIST : MDL_YAML_SCALAR;
}

const char *mdl_yaml_file(const struct mdl_yaml_node *n)
{
    return n->doc->file;
}

int mdl_yaml_line(const struct mdl_yaml_node *n)
{
    return (int)n->node->start_mark.line + 1;
}

size_t mdl_yaml_size(const struct mdl_yaml_node *n)
{
    const yaml_node_t *node = n->node;
    if (node->type == YAML_MAPPING_NODE)
        return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    if (node->type == YAML_SEQUENCE_NODE)
        return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    return 0;
}

static const struct mdl_yaml_node *key_node(const struct mdl_yaml_node *map, size_t i)
{
    if (map->node->type != YAML_MAPPING_NODE || i >= mdl_yaml_size(map)) return NULL;
    return wrap(map->doc, map->node->data.mapping.pairs.start[i].key);
}

const char *mdl_yaml_key(const struct mdl_yaml_node *map, size_t i)
{
    const struct mdl_yaml_node *key = key_node(map, i);
    return key ? (const char *)key->node->data.scalar.value : NULL;
}

const struct mdl_yaml_node *mdl_yaml_at(const struct mdl_yaml_node *n, size_t i)
{
    if (i >= mdl_yaml_size(n)) return NULL;
    if (n->node->type == YAML_MAPPING_NODE) return wrap(n->doc, n->node->data.mapping.pairs.start[i].value);
    return wrap(n->doc, n->node->data.sequence.items.start[i]);
}

const struct mdl_yaml_node *mdl_yaml_get(const struct mdl_yaml_node *map, const char *key)
{
    size_t n = map->node->type == YAML_MAPPING_NODE ? mdl_yaml_size(map) : 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(mdl_yaml_key(map, i), key) == 0) return mdl_yaml_at(map, i);
    }
    return NULL;
}

/* ---- scalars ---- */

static bool wrong(const struct mdl_yaml_node *n, const char *what, const char *expected,
                  struct sim_status *st)
{
    const char *word = "a list";
    if (mdl_yaml_kind(n) == MDL_YAML_MAP) word = "a mapping";
    if (mdl_yaml_kind(n) == MDL_YAML_SCALAR) word = (const char *)n->node->data.scalar.value;
    return sim_fail(st, "%s:%d: %s is `%s`, expected %s", n->doc->file, mdl_yaml_line(n), what,
                    show(word).text, expected);
}

const char *mdl_yaml_string(const struct mdl_yaml_node *n, const char *what, struct sim_status *st)
{
    const yaml_node_t *node = n->node;
    bool scalar = node->type == YAML_SCALAR_NODE;
    if (scalar && (node->data.scalar.length || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE))
        return (const char *)node->data.scalar.value;
    if (scalar)
        sim_fail(st, "%s:%d: %s has no value; give one or remove the key", n->doc->file, mdl_yaml_line(n),
                 what);
    else
        wrong(n, what, "a single value", st);
    return NULL;
}

bool mdl_yaml_double(const struct mdl_yaml_node *n, const char *what, double *out, struct sim_status *st)
{
    const char *text = mdl_yaml_string(n, what, st);
    if (!text) return false;
    char *end;
    double value = strtod(text, &end);
    bool decimal = *text && strspn(text, "+-.0123456789eE") == strlen(text); /* no hex, inf, nan or blanks */
    if (!decimal || *end) return wrong(n, what, "a number", st);
    if (!isfinite(value)) return wrong(n, what, "a number below 1.8e308", st);
    *out = value;
    return true;
}

bool mdl_yaml_u64(const struct mdl_yaml_node *n, const char *what, uint64_t *out, struct sim_status *st)
{
    const char *text = mdl_yaml_string(n, what, st);
    if (!text) return false;
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return wrong(n, what, "a whole number without sign, point or unit", st);
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno == ERANGE) return wrong(n, what, "a whole number below 2^64", st);
    *out = value;
    return true;
}

bool mdl_yaml_bool(const struct mdl_yaml_node *n, const char *what, bool *out, struct sim_status *st)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    const char *text = mdl_yaml_string(n, what, st);
    if (!text) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) != 0) continue;
        *out = i % 2 == 1;
        return true;
    }
    return wrong(n, what, "true or false", st);
}

/* ---- unknown keys ---- */

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance without regard to case, of the first MAX_WORD characters. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[MAX_WORD + 1], n = strnlen(b, MAX_WORD), m = strnlen(a, MAX_WORD);
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            bool differ = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            size_t next = min3(row[j] + 1, row[j - 1] + 1, diagonal + differ);
            diagonal = row[j];
            row[j] = next;
        }
    }
    return row[n];
}

/* How far a word is from what it may mean: one edit when it is the beginning, SIZE_MAX when it is another
 * word. */
static size_t strangeness(const char *word, const char *valid)
{
    size_t n = strlen(word), longest = strlen(valid) > n ? strlen(valid) : n;
    if (n >= 2 && strncasecmp(word, valid, n) == 0) return strlen(valid) > n;
    size_t distance = edit_distance(word, valid);
    return distance <= longest / 2 ? distance : SIZE_MAX;
}

const char *mdl_nearest(const char *word, const char *const *valid)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (; *valid; valid++) {
        size_t distance = strangeness(word, *valid);
        if (distance >= best_distance) continue;
        best = *valid;
        best_distance = distance;
    }
    return best;
}

struct mdl_hint mdl_hint(const char *word, const char *const *valid)
{
    struct mdl_hint hint = {""};
    const char *near = mdl_nearest(word, valid);
    if (near) snprintf(hint.text, sizeof hint.text, "; did you mean `%.80s`?", near);
    return hint;
}

bool mdl_yaml_unknown_key(const struct mdl_yaml_node *map, size_t i, const char *const *valid,
                          struct sim_status *st)
{
    char list[512] = "";
    size_t used = 0;
    for (size_t k = 0; valid[k] && used < sizeof list; k++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "", valid[k]);
    if (used >= sizeof list) snprintf(list + sizeof list - 4, 4, "...");
    const char *key = mdl_yaml_key(map, i);
    return sim_fail(st, "%s:%d: unknown key `%s`, expected one of %s%s", map->doc->file,
                    mdl_yaml_line(key_node(map, i)), show(key).text, list, mdl_hint(key, valid).text);
}
