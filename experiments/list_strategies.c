#include "experiments/list_strategies.h"

#include <stdio.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/listing.h"

static const char *graph_word(enum mdl_kv_graph g)
{
    static const char *const words[] = {"no", "piecewise", "yes"};
    return words[g];
}

json_t *exp_strategy_rows(void)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        const struct mdl_strategy *s = mdl_strategy_at(i);
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", s->name, "group",
                                              s->group, "graph", graph_word(s->graph), "flash", s->flash,
                                              "paged", s->paged, "help", s->help));
    }
    return rows;
}

json_t *exp_parameter_json(enum mdl_kv_key key, double value)
{
    const struct mdl_kv_key_info *k = mdl_kv_key_info(key);
    if (k->type == MDL_KV_FLAG) return json_boolean(value != 0);
    if (k->type == MDL_KV_COUNT) return json_integer((json_int_t)value);
    if (k->type == MDL_KV_REAL) return json_real(value);
    const char *word = k->unit;
    for (int i = 0; i < (int)value && strchr(word, '|'); i++) word = strchr(word, '|') + 1;
    return json_stringn(word, strcspn(word, "|"));
}

static json_t *range_json(const struct mdl_kv_key_info *k, const struct mdl_kv_default *d)
{
    char text[64];
    if (k->type == MDL_KV_CHOICE) return json_string(k->unit);
    if (k->type == MDL_KV_FLAG) return json_string("true|false");
    snprintf(text, sizeof text, "%g to %g", d->low, d->high);
    return json_string(text);
}

static json_t *parameters(const struct mdl_strategy *s)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < s->n_defaults; i++) {
        const struct mdl_kv_default *d = &s->defaults[i];
        const struct mdl_kv_key_info *k = mdl_kv_key_info(d->key);
        json_array_append_new(rows,
                              json_pack("{s:s, s:o, s:o, s:s, s:s, s:s}", "parameter", k->name, "default",
                                        exp_parameter_json(d->key, d->value), "range of sources",
                                        range_json(k, d), "unit", k->type == MDL_KV_CHOICE ? "" : k->unit,
                                        "help", k->help, "source", d->source));
    }
    return rows;
}

static void print(const struct mdl_strategy *s, const json_t *rows)
{
    const char *const lines[][2] = {
        {"group", s->group},          {"CUDA graphs", graph_word(s->graph)}, {"FlashAttention", s->flash},
        {"PagedAttention", s->paged}, {"when it cannot", s->fallback},       {"source", s->source}};
    printf("%s: %s\n", s->name, s->help);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines[i][1]) printf("  %-15s %s\n", lines[i][0], lines[i][1]);
    putchar('\n');
    if (json_array_size(rows))
        exp_print_rows(rows, stdout);
    else
        puts("no parameters");
}

bool exp_strategy_show(const char *name, bool as_json, struct sim_status *st)
{
    struct sim_status why = {0};
    const struct mdl_strategy *s = mdl_strategy_find(name, &why);
    if (!s) return sim_fail_as(st, SIM_EXIT_USAGE, "kvsim list strategies: %s", why.message);
    json_t *rows = parameters(s);
    if (as_json)
        return exp_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:o}", "name", s->name,
                                        "group", s->group, "help", s->help, "graph", graph_word(s->graph),
                                        "flash", s->flash, "paged", s->paged, "fallback", s->fallback,
                                        "source", s->source, "parameters", rows),
                              st);
    print(s, rows);
    json_decref(rows);
    return true;
}
