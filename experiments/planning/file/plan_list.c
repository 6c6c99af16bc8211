#include "experiments/planning/file/plan_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/values.h"
#include "sim/check.h"
#include "sim/line_in.h"
#include "sim/memory.h"

bool exp_plan_wrong(const struct exp_plan_item *item, const char *expected, struct sim_status *st)
{
    return sim_fail(st, "%s: %.100s is `%s`, expected %s", exp_where(item->node).text, item->in->path,
                    sim_excerpt(item->text, strlen(item->text)).text, expected);
}

bool exp_plan_twice(const struct exp_plan_item *item, struct sim_status *st)
{
    return sim_fail(st, "%s: %.100s names `%s` twice, expected each once; remove one",
                    exp_where(item->node).text, item->in->path,
                    sim_excerpt(item->text, strlen(item->text)).text);
}

const char *exp_plan_scalar(const struct exp_plan_item *item, const char *expected, struct sim_status *st)
{
    struct sim_status empty = {0};
    enum mdl_yaml_kind kind = mdl_yaml_kind(item->node);
    const char *text = kind == MDL_YAML_SCALAR ? mdl_yaml_string(item->node, item->in->path, &empty) : NULL;
    struct exp_plan_item shown = {item->in, item->node,
                                  kind == MDL_YAML_MAP    ? "{...}"
                                  : kind == MDL_YAML_LIST ? "[...]"
                                                          : ""};
    if (!text) exp_plan_wrong(&shown, expected, st);
    return text;
}

/* ---- in ---- */

struct list {
    const struct exp_plan_input *in;
    void *owner;
    const struct exp_plan_limit *limit;
    uint32_t n;
};

static bool add(struct list *l, const struct mdl_yaml_node *node, const char *text, struct sim_status *st)
{
    struct exp_plan_item item = {l->in, node, text};
    if (l->n == l->limit->most)
        return sim_fail(st, "%s: %.100s has more than %u entries; leave some out", exp_where(node).text,
                        l->in->path, l->limit->most);
    if (!l->limit->add(&item, l->owner, l->n, st)) return false;
    l->n++;
    return true;
}

/* `a,b`, blanks around entries left out. */
static bool add_joined(struct list *l, const struct mdl_yaml_node *node, const char *text,
                       struct sim_status *st)
{
    char *copy = sim_strdup(text);
    bool ok = true;
    for (char *at = copy; ok && at;) {
        char *next = strchr(at, ',');
        if (next) *next++ = '\0';
        at += strspn(at, " ");
        size_t n = strlen(at);
        while (n > 0 && at[n - 1] == ' ') at[--n] = '\0';
        ok = add(l, node, at, st);
        at = next;
    }
    free(copy);
    return ok;
}

static const char *expected_of(const struct exp_plan_input *in)
{
    const struct exp_plan_row *row = exp_plan_row(in->path);
    return row && row->form->expected ? row->form->expected : "a list";
}

static bool add_node(struct list *l, const struct mdl_yaml_node *node, struct sim_status *st)
{
    struct exp_plan_item item = {l->in, node, NULL};
    if (mdl_yaml_kind(node) != MDL_YAML_LIST) {
        const char *text = exp_plan_scalar(&item, expected_of(l->in), st);
        return text && add_joined(l, node, text, st);
    }
    for (size_t i = 0; i < mdl_yaml_size(node); i++) {
        item.node = mdl_yaml_at(node, i);
        const char *text = exp_plan_scalar(&item, expected_of(l->in), st);
        if (!text || !add(l, item.node, text, st)) return false;
    }
    return true;
}

static bool add_default(struct list *l, struct sim_status *st)
{
    const char *text = l->in->key->fallback;
    struct mdl_yaml *y = text[0] ? mdl_yaml_parse("default", text, strlen(text), st) : NULL;
    bool ok = !text[0] || (y && add_node(l, mdl_yaml_root(y), st));
    mdl_yaml_free(y);
    return ok;
}

bool exp_plan_is_default(const struct mdl_yaml_node *node)
{
    struct sim_status ignored = {0};
    const char *text = mdl_yaml_kind(node) == MDL_YAML_SCALAR ? mdl_yaml_string(node, "", &ignored) : NULL;
    return text && (strcmp(text, "default") == 0 || strcmp(text, "none") == 0);
}

bool exp_plan_list(const struct exp_plan_input *in, void *owner, const struct exp_plan_limit *limit,
                   uint32_t *n, struct sim_status *st)
{
    struct list l = {in, owner, limit, 0};
    bool ok = !in->node || exp_plan_is_default(in->node) ? add_default(&l, st) : add_node(&l, in->node, st);
    *n = l.n;
    return ok;
}

/* ---- out ---- */

void exp_plan_text_add(struct exp_plan_text *t, const char *entry)
{
    char *longer = t->text ? sim_printf("%s, %s", t->text, entry) : sim_printf("[%s", entry);
    free(t->text);
    t->text = longer;
}

char *exp_plan_text_end(struct exp_plan_text *t, const char *empty)
{
    if (!t->text) return sim_strdup(empty);
    char *whole = sim_printf("%s]", t->text);
    free(t->text);
    return whole;
}
