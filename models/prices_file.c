#include "models/prices_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "models/strategy.h"
#include "sim/check.h"
#include "sim/memory.h"

/* ---- dates ---- */

/* Days of the Gregorian calendar before year y, month m, day d, from some day on: months counted from March, so that the
 * leap day comes last. */
static int day_number(int y, int m, int d)
{
    y -= m <= 2;
    m = m <= 2 ? m + 9 : m - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d;
}

static int days_of_month(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return days[m - 1] + (m == 2 && leap);
}

/* "2026-03-01", and a day that there is. */
bool mdl_date_day(const char *text, int *day)
{
    if (strlen(text) != 10) return false;
    for (int i = 0; i < 10; i++)
        if (i == 4 || i == 7 ? text[i] != '-' : !isdigit((unsigned char)text[i])) return false;
    int y = atoi(text), m = atoi(text + 5), d = atoi(text + 8);
    if (y < 1900 || m < 1 || m > 12 || d < 1 || d > days_of_month(y, m)) return false;
    *day = day_number(y, m, d);
    return true;
}

/* ---- what a row holds ---- */

enum kind {
    TEXT,     /* bytes: of the array */
    STRATEGY, /* a text that names one; "" = every other */
    COUNT,
    REAL,
    PRICE /* `$` in the key stands for the currency: usd, input_usd */
};

struct field {
    const char *key;
    enum kind kind;
    size_t offset, bytes;
    double least, most;
};

/* A list of rows. */
struct table {
    const char *name, *row; /* in the file, and one of it in messages */
    const struct field *fields;
    uint32_t n_fields;
    bool dated; /* every row has a date and a source, which all its prices take */
    size_t rows, count, row_bytes;
    uint32_t n_keys;   /* of the first fields: a file has them once */
    uint32_t n_places; /* of the first fields: rows with these take the place of those of an earlier file */
};

#define MOST 1e12

/* clang-format off */
#define AT(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
static const struct field server_fields[] = {
    {"gpu",      TEXT,  AT(mdl_server_price, gpu),      0, 0},
    {"gpus",     COUNT, AT(mdl_server_price, gpus),     1, 1024},
    {"$",        PRICE, AT(mdl_server_price, server),   0, MOST},
    {"host_gib", REAL,  AT(mdl_server_price, host_gib), 0, 1e6},
    {"base_w",   REAL,  AT(mdl_server_price, base_w),   0, 1e6},
};
static const struct field rent_fields[] = {
    {"gpu",      TEXT,  AT(mdl_rent_price, gpu),      0, 0},
    {"gpus",     COUNT, AT(mdl_rent_price, gpus),     1, 1024},
    {"provider", TEXT,  AT(mdl_rent_price, provider), 0, 0},
    {"$",        PRICE, AT(mdl_rent_price, hour),     0, MOST},
    {"host_gib", REAL,  AT(mdl_rent_price, host_gib), 0, 1e6},
};
static const struct field api_fields[] = {
    {"model",    TEXT,  AT(mdl_api_price, model),       0, 0},
    {"provider", TEXT,  AT(mdl_api_price, provider),    0, 0},
    {"input_$",  PRICE, AT(mdl_api_price, input_mtok),  0, MOST},
    {"output_$", PRICE, AT(mdl_api_price, output_mtok), 0, MOST},
};
static const struct field labour_fields[] = {
    {"strategy",                   STRATEGY, AT(mdl_labour, strategy),                   0, 0},
    {"integration_hours",          REAL,     AT(mdl_labour, integration_hours),          0, 1e6},
    {"operations_hours_per_month", REAL,     AT(mdl_labour, operations_hours_per_month), 0, 1e5},
    {"source",                     TEXT,     AT(mdl_labour, source),                     0, 0},
};

#define ROWS(member, n_member, type) offsetof(struct mdl_prices, member), offsetof(struct mdl_prices, n_member), sizeof(struct type)
#define FIELDS(of) of, sizeof of / sizeof *of
static const struct table tables[] = {
    {"servers", "server", FIELDS(server_fields), true,  ROWS(servers, n_servers, mdl_server_price), 2, 2},
    {"rents",   "rent",   FIELDS(rent_fields),   true,  ROWS(rents, n_rents, mdl_rent_price),       3, 1},
    {"apis",    "API",    FIELDS(api_fields),    true,  ROWS(apis, n_apis, mdl_api_price),          1, 1},
    {"labour",  "labour", FIELDS(labour_fields), false, ROWS(labours, n_labours, mdl_labour),       1, 1},
};

/* Prices of the site, each with a date and a source of its own. */
#define SITE(member) #member, offsetof(struct mdl_prices, member)
static const struct site {
    const char *name;
    size_t offset;
    struct field field;
} site[] = {
    {SITE(host_gib),          {"$", PRICE, 0, 0, 0, MOST}},
    {SITE(kwh),               {"$", PRICE, 0, 0, 0, MOST}},
    {SITE(pue),               {"value", PRICE, 0, 0, 1, 100}},
    {SITE(rack_server_month), {"$", PRICE, 0, 0, 0, MOST}},
    {SITE(maintenance_frac),  {"value", PRICE, 0, 0, 0, 1}},
    {SITE(engineer_hour),     {"$", PRICE, 0, 0, 0, MOST}},
    {SITE(value_loss_frac),   {"value", PRICE, 0, 0, 0, 1}},
};
/* clang-format on */

enum { N_TABLES = sizeof tables / sizeof *tables, N_SITE = sizeof site / sizeof *site, MAX_KEYS = 12 };

static struct mdl_price *site_price(struct mdl_prices *p, uint32_t i)
{
    return (struct mdl_price *)((char *)p + site[i].offset);
}

static char *row_at(struct mdl_prices *p, const struct table *t, uint32_t i)
{
    return (char *)p + t->rows + i * t->row_bytes;
}

static uint32_t *count_of(struct mdl_prices *p, const struct table *t)
{
    return (uint32_t *)((char *)p + t->count);
}

/* ---- reading a row ---- */

struct key {
    char text[32];
};

/* "input_$" of a file in USD is input_usd. */
static struct key key_of(const char *pattern, const char *currency)
{
    struct key k = {""};
    size_t n = strcspn(pattern, "$");
    snprintf(k.text, sizeof k.text, "%.*s", (int)n, pattern);
    if (!pattern[n]) return k;
    for (size_t i = 0; currency[i]; i++) k.text[n + i] = (char)tolower((unsigned char)currency[i]);
    return k;
}

static bool wrong(const struct mdl_yaml_node *at, const char *what, struct sim_status *st)
{
    return sim_fail(st, "%s:%d: %s", mdl_yaml_file(at), mdl_yaml_line(at), what);
}

static bool read_text(const struct mdl_yaml_node *n, const char *key, char *out, size_t bytes,
                      struct sim_status *st)
{
    const char *text = mdl_yaml_string(n, key, st);
    if (!text) return false;
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)text[i]))
            return sim_fail(st, "%s:%d: %s has a control character or more than one line, expected words",
                            mdl_yaml_file(n), mdl_yaml_line(n), key);
    if (length >= bytes)
        return sim_fail(st, "%s:%d: %s is longer than %zu bytes; shorten it", mdl_yaml_file(n),
                        mdl_yaml_line(n), key, bytes - 1);
    memcpy(out, text, length + 1);
    return true;
}

static bool read_name(const struct mdl_yaml_node *n, const char *key, const struct field *f, char *out,
                      struct sim_status *st)
{
    if (!read_text(n, key, out, f->bytes, st)) return false;
    if (f->kind == TEXT && !out[0])
        return sim_fail(st, "%s:%d: %s is empty, expected words", mdl_yaml_file(n), mdl_yaml_line(n), key);
    struct sim_status why = {0};
    if (f->kind == TEXT || !out[0] || mdl_strategy_find(out, &why)) return true;
    return wrong(n, why.message, st);
}

static bool in_range(const struct mdl_yaml_node *n, const char *key, const struct field *f, double value,
                     struct sim_status *st)
{
    if (value >= f->least && value <= f->most) return true;
    return sim_fail(st, "%s:%d: %s is %g, expected %g to %g", mdl_yaml_file(n), mdl_yaml_line(n), key, value,
                    f->least, f->most);
}

static bool read_count(const struct mdl_yaml_node *n, const char *key, const struct field *f, char *row,
                       struct sim_status *st)
{
    uint64_t value;
    if (!mdl_yaml_u64(n, key, &value, st) || !in_range(n, key, f, (double)value, st)) return false;
    *(uint32_t *)(row + f->offset) = (uint32_t)value;
    return true;
}

static bool read_field(const struct mdl_yaml_node *n, const char *key, const struct field *f, char *row,
                       struct sim_status *st)
{
    double value;
    if (f->kind == TEXT || f->kind == STRATEGY) return read_name(n, key, f, row + f->offset, st);
    if (f->kind == COUNT) return read_count(n, key, f, row, st);
    if (!mdl_yaml_double(n, key, &value, st) || !in_range(n, key, f, value, st)) return false;
    struct mdl_price *price = (struct mdl_price *)(row + f->offset);
    if (f->kind == REAL)
        *(double *)(row + f->offset) = value;
    else
        *price = (struct mdl_price){.value = value, .known = true};
    return true;
}

/* Date and source of a row into every price of it. */
static bool read_origin(const struct mdl_yaml_node *map, const struct field *fields, uint32_t n, char *row,
                        struct sim_status *st)
{
    const struct mdl_yaml_node *date = mdl_yaml_get(map, "date"), *source = mdl_yaml_get(map, "source");
    struct mdl_price origin = {0};
    int day;
    if (!date) return wrong(map, "`date` is missing, expected the day on which the price held", st);
    if (!source) return wrong(map, "`source` is missing, expected who says so", st);
    const char *text = mdl_yaml_string(date, "date", st);
    if (!text) return false;
    if (!mdl_date_day(text, &day)) return wrong(date, "date is no day, expected one such as 2026-03-01", st);
    memcpy(origin.date, text, sizeof origin.date);
    const struct field words = {.kind = TEXT, .bytes = sizeof origin.source};
    if (!read_name(source, "source", &words, origin.source, st)) return false;
    for (uint32_t i = 0; i < n; i++) {
        struct mdl_price *price = (struct mdl_price *)(row + fields[i].offset);
        if (fields[i].kind != PRICE) continue;
        memcpy(price->date, origin.date, sizeof price->date);
        memcpy(price->source, origin.source, sizeof price->source);
    }
    return true;
}

/* Unknown keys first, because a misspelt key would otherwise be reported as a missing one. */
static bool check_keys(const struct mdl_yaml_node *map, const struct key *keys, uint32_t n, bool dated,
                       struct sim_status *st)
{
    const char *valid[MAX_KEYS] = {NULL};
    for (uint32_t i = 0; i < n; i++) valid[i] = keys[i].text;
    if (dated) {
        valid[n] = "date";
        valid[n + 1] = "source";
    }
    for (size_t i = 0; i < mdl_yaml_size(map); i++) {
        const char *key = mdl_yaml_key(map, i);
        uint32_t k = 0;
        while (valid[k] && strcmp(valid[k], key) != 0) k++;
        if (!valid[k]) return mdl_yaml_unknown_key(map, i, valid, st);
    }
    return true;
}

static bool read_row(const struct mdl_yaml_node *map, const struct table *t, const char *currency, char *row,
                     struct sim_status *st)
{
    struct key keys[MAX_KEYS];
    SIM_CHECK(t->n_fields + 2 < MAX_KEYS);
    if (mdl_yaml_kind(map) != MDL_YAML_MAP)
        return sim_fail(st, "%s:%d: `%s` has something that is no mapping, expected {key: value, ...}",
                        mdl_yaml_file(map), mdl_yaml_line(map), t->name);
    for (uint32_t i = 0; i < t->n_fields; i++) keys[i] = key_of(t->fields[i].key, currency);
    if (!check_keys(map, keys, t->n_fields, t->dated, st)) return false;
    for (uint32_t i = 0; i < t->n_fields; i++) {
        const struct mdl_yaml_node *n = mdl_yaml_get(map, keys[i].text);
        if (!n)
            return sim_fail(st, "%s:%d: `%s` of this %s is missing; add it", mdl_yaml_file(map),
                            mdl_yaml_line(map), keys[i].text, t->row);
        if (!read_field(n, keys[i].text, &t->fields[i], row, st)) return false;
    }
    return !t->dated || read_origin(map, t->fields, t->n_fields, row, st);
}

/* ---- reading a file ---- */

/* Do two rows agree in their first n fields, which are names and counts? */
static bool agree(const struct table *t, uint32_t n, const char *a, const char *b)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct field *f = &t->fields[i];
        bool same = f->kind == COUNT ? memcmp(a + f->offset, b + f->offset, f->bytes) == 0
                                     : strcmp(a + f->offset, b + f->offset) == 0;
        if (!same) return false;
    }
    return true;
}

static bool full(const struct mdl_yaml_node *at, const struct table *t, struct sim_status *st)
{
    return sim_fail(st, "%s:%d: more than %d rows of `%s`; remove what the plan does not need",
                    mdl_yaml_file(at), mdl_yaml_line(at), MDL_MAX_PRICES, t->name);
}

static bool read_table(const struct mdl_yaml_node *list, const struct table *t, struct mdl_prices *out,
                       struct sim_status *st)
{
    uint32_t *n = count_of(out, t);
    if (mdl_yaml_kind(list) != MDL_YAML_LIST)
        return sim_fail(st, "%s:%d: `%s` is no list, expected rows that begin with -", mdl_yaml_file(list),
                        mdl_yaml_line(list), t->name);
    for (size_t i = 0; i < mdl_yaml_size(list); i++) {
        const struct mdl_yaml_node *map = mdl_yaml_at(list, i);
        if (*n == MDL_MAX_PRICES) return full(map, t, st);
        char *row = row_at(out, t, *n);
        if (!read_row(map, t, out->currency, row, st)) return false;
        for (uint32_t k = 0; k < *n; k++)
            if (agree(t, t->n_keys, row, row_at(out, t, k)))
                return sim_fail(st, "%s:%d: this %s has a price already in line %d; remove one",
                                mdl_yaml_file(map), mdl_yaml_line(map), t->row,
                                mdl_yaml_line(mdl_yaml_at(list, k)));
        ++*n;
    }
    return true;
}

static bool read_site(const struct mdl_yaml_node *map, struct mdl_prices *out, struct sim_status *st)
{
    struct key names[N_SITE];
    if (mdl_yaml_kind(map) != MDL_YAML_MAP)
        return wrong(map, "`site` is no mapping, expected {kwh: {...}, pue: {...}, ...}", st);
    for (uint32_t i = 0; i < N_SITE; i++) names[i] = key_of(site[i].name, "");
    if (!check_keys(map, names, N_SITE, false, st)) return false;
    for (uint32_t i = 0; i < N_SITE; i++) {
        const struct table one = {
            .name = site[i].name, .row = "price", .fields = &site[i].field, .n_fields = 1, .dated = true};
        const struct mdl_yaml_node *n = mdl_yaml_get(map, site[i].name);
        if (n && !read_row(n, &one, out->currency, (char *)site_price(out, i), st)) return false;
    }
    return true;
}

static bool read_currency(const struct mdl_yaml_node *root, const char *wanted, struct mdl_prices *out,
                          struct sim_status *st)
{
    const struct mdl_yaml_node *n = mdl_yaml_get(root, "currency");
    const char *text = n ? mdl_yaml_string(n, "currency", st) : "USD";
    if (!text) return false;
    if (strlen(text) != 3 || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
        return wrong(n ? n : root, "currency is none, expected three capital letters such as USD", st);
    if (wanted[0] && strcmp(text, wanted) != 0)
        return sim_fail(
            st, "%s:%d: prices in %s among prices in %s; convert the file, or let money.currency be %s",
            mdl_yaml_file(root), mdl_yaml_line(n ? n : root), text, wanted, text);
    memcpy(out->currency, text, 4);
    return true;
}

static bool read_root(const struct mdl_yaml_node *root, const char *wanted, struct mdl_prices *out,
                      struct sim_status *st)
{
    struct key keys[N_TABLES + 2] = {{"currency"}, {"site"}};
    for (int i = 0; i < N_TABLES; i++) keys[i + 2] = key_of(tables[i].name, "");
    if (mdl_yaml_kind(root) != MDL_YAML_MAP)
        return wrong(root, "prices are no mapping, expected currency, servers, rents, apis, site, labour",
                     st);
    if (!check_keys(root, keys, N_TABLES + 2, false, st) || !read_currency(root, wanted, out, st))
        return false;
    for (int i = 0; i < N_TABLES; i++) {
        const struct mdl_yaml_node *list = mdl_yaml_get(root, tables[i].name);
        if (list && !read_table(list, &tables[i], out, st)) return false;
    }
    const struct mdl_yaml_node *map = mdl_yaml_get(root, "site");
    return !map || read_site(map, out, st);
}

/* ---- over what is there ---- */

static void drop_replaced(struct mdl_prices *p, const struct table *t, struct mdl_prices *by)
{
    uint32_t *n = count_of(p, t), kept = 0;
    for (uint32_t i = 0; i < *n; i++) {
        bool replaced = false;
        for (uint32_t k = 0; k < *count_of(by, t); k++)
            replaced |= agree(t, t->n_places, row_at(p, t, i), row_at(by, t, k));
        if (!replaced) memmove(row_at(p, t, kept++), row_at(p, t, i), t->row_bytes);
    }
    *n = kept;
}

static bool put_over(struct mdl_prices *p, struct mdl_prices *by, const struct mdl_yaml_node *root,
                     struct sim_status *st)
{
    memcpy(p->currency, by->currency, sizeof p->currency);
    for (const struct table *t = tables; t < tables + N_TABLES; t++) {
        uint32_t *n = count_of(p, t), more = *count_of(by, t);
        drop_replaced(p, t, by);
        if (*n + more > MDL_MAX_PRICES) return full(root, t, st);
        memcpy(row_at(p, t, *n), row_at(by, t, 0), more * t->row_bytes);
        *n += more;
    }
    for (uint32_t i = 0; i < N_SITE; i++)
        if (site_price(by, i)->known) *site_price(p, i) = *site_price(by, i);
    return true;
}

bool mdl_prices_put(struct mdl_prices *p, const struct mdl_yaml *file, struct sim_status *st)
{
    const struct mdl_yaml_node *root = mdl_yaml_root(file);
    struct mdl_prices *own = sim_alloc(2, sizeof *own), *all = own + 1;
    *all = *p;
    bool ok = read_root(root, p->currency, own, st) && put_over(all, own, root, st);
    if (ok) *p = *all;
    free(own);
    return ok;
}
