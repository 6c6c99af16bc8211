#include "models/published_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check.h"
#include "sim/line_in.h"
#include "sim/memory.h"

/* Of time alone: whatever they are, the same tokens are kept at the same width. Replications draw them. */
static bool is_of_time(enum mdl_kv_key key)
{
    static const enum mdl_kv_key keys[] = {
        MDL_KV_PICK,          MDL_KV_LAYOUT,  MDL_KV_DOUBLE_BUFFER,      MDL_KV_MISS,
        MDL_KV_CORRECTION,    MDL_KV_MISS_CV, MDL_KV_CORRECT_HEADS,      MDL_KV_KERNEL_EFFICIENCY,
        MDL_KV_CORRECTION_CV, MDL_KV_DRAWS,   MDL_KV_PREFILL_EFFICIENCY, MDL_KV_FUSED,
        MDL_KV_GRAPH};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i] == key) return true;
    return false;
}

/* ---- cells ---- */

bool mdl_row_columns(const struct sim_csv_row *header, struct mdl_row_column *columns, int n,
                     struct sim_status *st)
{
    for (int i = 0; i < n; i++) {
        columns[i].at = sim_csv_column(header, columns[i].name);
        if (columns[i].at < 0)
            return sim_fail(st, "%s:%llu: no column `%s`; add it", header->path,
                            (unsigned long long)header->line, columns[i].name);
    }
    return true;
}

const char *mdl_row_text(const struct sim_csv_row *row, struct mdl_row_column c)
{
    return (uint32_t)c.at < row->n_fields ? row->field[c.at] : "";
}

bool mdl_row_copy(const struct sim_csv_row *row, struct mdl_row_column c, char *out, size_t room,
                  struct sim_status *st)
{
    int n = snprintf(out, room, "%s", mdl_row_text(row, c));
    if (n > 0 && (size_t)n < room) return true;
    return sim_fail(st, "%s:%llu: %s has %d characters, expected 1 to %zu", row->path,
                    (unsigned long long)row->line, c.name, n, room - 1);
}

bool mdl_row_number(const struct sim_csv_row *row, struct mdl_row_column c, const double range[2],
                    double *out, struct sim_status *st)
{
    if (!sim_csv_double(row, c.at, c.name, out, st)) return false;
    if (*out >= range[0] && *out <= range[1]) return true;
    return sim_fail(st, "%s:%llu: %s is %g, expected %g to %g", row->path, (unsigned long long)row->line,
                    c.name, *out, range[0], range[1]);
}

int mdl_row_choice(const struct sim_csv_row *row, struct mdl_row_column c, const char *const *words, int n,
                   struct sim_status *st)
{
    for (int i = 0; i < n; i++)
        if (strcmp(mdl_row_text(row, c), words[i]) == 0) return i;
    char list[128] = "";
    for (int i = 0; i < n; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words[i]);
    }
    const char *found = mdl_row_text(row, c);
    sim_fail(st, "%s:%llu: %s is `%s`, expected one of %s", row->path, (unsigned long long)row->line, c.name,
             sim_excerpt(found, strlen(found)).text, list);
    return -1;
}

/* ---- one row ---- */

static bool wrong(const struct sim_csv_row *row, const char *cell, const char *expected,
                  struct sim_status *st)
{
    return sim_fail(st, "%s:%llu: parameters are `%s`, expected %s", row->path, (unsigned long long)row->line,
                    sim_excerpt(cell, strlen(cell)).text, expected);
}

static bool key_of(const char *name, size_t length, enum mdl_kv_key *out)
{
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        const char *known = mdl_kv_key_info((enum mdl_kv_key)i)->name;
        if (strlen(known) != length || memcmp(known, name, length) != 0) continue;
        *out = (enum mdl_kv_key)i;
        return !is_of_time(*out);
    }
    return false;
}

static bool names(const struct mdl_row_parameters *p, enum mdl_kv_key key)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (p->key[i] == key) return true;
    return false;
}

/* Reads `name=number` where *at is and goes on behind it. */
static bool take_parameter(const char **at, struct mdl_row_parameters *p)
{
    size_t length = strcspn(*at, "=,");
    enum mdl_kv_key key;
    if ((*at)[length] != '=' || p->n == MDL_ROW_KEYS || !key_of(*at, length, &key) || names(p, key))
        return false;
    const struct mdl_kv_key_info *info = mdl_kv_key_info(key);
    const char *text = *at + length + 1;
    char *end;
    double value = strtod(text, &end);
    if (end == text || (*end && *end != ',') || !(value >= info->least && value <= info->most)) return false;
    p->key[p->n] = key;
    p->value[p->n++] = value;
    *at = end;
    return true;
}

bool mdl_row_parameters(const struct sim_csv_row *row, int column, struct mdl_row_parameters *out,
                        struct sim_status *st)
{
    const char *cell = (uint32_t)column < row->n_fields ? row->field[column] : "";
    struct mdl_row_parameters p = {.n = 0};
    for (const char *at = cell; *at;) {
        if (!take_parameter(&at, &p) || (*at && !at[1]))
            return wrong(row, cell,
                         "name=number,... with parameters that answers depend on (kvsim list keys)", st);
        at += *at == ',';
    }
    *out = p;
    return true;
}

bool mdl_row_is_of(const struct sim_csv_row *row, int column, const char *strategy)
{
    const char *at = (uint32_t)column < row->n_fields ? row->field[column] : "";
    for (size_t length = strlen(strategy);; at++) {
        size_t n = strcspn(at, "|");
        if (n == length && memcmp(at, strategy, n) == 0) return true;
        at += n;
        if (!*at) return false;
    }
}

/* Shares are written with few digits. */
static bool same(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(a);
}

bool mdl_row_matches(const struct mdl_row_parameters *p, const struct mdl_kv_use *use)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (!same(p->value[i], use->value[p->key[i]])) return false;
    return true;
}

/* ---- rows that stand aside ---- */

static uint32_t place_of(struct mdl_rows_aside *aside, enum mdl_kv_key key)
{
    uint32_t k = 0;
    while (k < aside->n_keys && aside->key[k] != key) k++;
    if (k == aside->n_keys && k < MDL_ROW_KEYS) aside->key[aside->n_keys++] = key;
    return k;
}

static bool has_value(const struct mdl_rows_aside *aside, uint32_t k, double value)
{
    for (uint32_t i = 0; i < aside->n_values[k]; i++)
        if (same(aside->value[k][i], value)) return true;
    return false;
}

static void add_value(struct mdl_rows_aside *aside, uint32_t k, double value)
{
    uint32_t at = aside->n_values[k]++;
    for (; at > 0 && aside->value[k][at - 1] > value; at--) aside->value[k][at] = aside->value[k][at - 1];
    aside->value[k][at] = value;
}

void mdl_rows_set_aside(struct mdl_rows_aside *aside, const struct mdl_row_parameters *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t k = place_of(aside, p->key[i]);
        if (k == MDL_ROW_KEYS || has_value(aside, k, p->value[i])) continue;
        if (aside->n_values[k] < MDL_ROW_VALUES) add_value(aside, k, p->value[i]);
    }
}

/* "budget 256, 512 and 2048" */
static void put_values(const struct mdl_rows_aside *aside, uint32_t k, FILE *out)
{
    uint32_t n = aside->n_values[k];
    fputs(mdl_kv_key_info(aside->key[k])->name, out);
    for (uint32_t i = 0; i < n; i++)
        fprintf(out, "%s%.6g", i == 0 ? " " : i + 1 < n ? ", " : " and ", aside->value[k][i]);
}

bool mdl_rows_aside_text(const struct mdl_rows_aside *aside, const struct mdl_kv_use *use, char *out,
                         size_t room)
{
    bool differs[MDL_ROW_KEYS], any = false, first = true;
    if (!aside->n_keys) return false;
    for (uint32_t k = 0; k < aside->n_keys; k++)
        any |= differs[k] = !has_value(aside, k, use->value[aside->key[k]]);
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    SIM_CHECK(f); /* out of memory */
    fputs("published only for ", f);
    for (uint32_t k = 0; k < aside->n_keys; k++) {
        if (any && !differs[k]) continue; /* each was published, but not together: all are named */
        if (!first) fputs(" with ", f);
        put_values(aside, k, f);
        first = false;
    }
    fputs(", not for these parameters", f);
    fclose(f);
    snprintf(out, room, "%s", text);
    free(text);
    return true;
}

char *mdl_answer_parameters(const struct mdl_kv_use *use)
{
    char *text = sim_strdup("");
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        if (isnan(use->value[i]) || is_of_time((enum mdl_kv_key)i)) continue;
        char *longer = sim_printf("%s%s%s=%.17g", text, text[0] ? "," : "",
                                  mdl_kv_key_info((enum mdl_kv_key)i)->name, use->value[i]);
        free(text);
        text = longer;
    }
    return text;
}
