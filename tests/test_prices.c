/* Prices: the files that ship, what is refused and with which line, whose row wins, and days between dates. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch.h"
#include "models/datadir.h"
#include "models/gpu.h"
#include "models/prices.h"
#include "models/prices_file.h"
#include "models/strategy.h"
#include "sim/memory.h"
#include "tests/harness.h"

#define H100                                                                                                 \
    "{gpu: h100-sxm, gpus: 8, usd: 300000, host_gib: 2048, base_w: 2800, date: 2026-07-01, source: quote 1}"
#define RENT(gpu, provider, usd)                                                                             \
    "  - {gpu: " gpu ", gpus: 8, provider: " provider ", usd: " usd                                          \
    ", host_gib: 1024, date: 2026-07-01, source: list}\n"

static bool put(struct mdl_prices *p, const char *text, struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_parse("p.yaml", text, strlen(text), st);
    bool ok = y && mdl_prices_put(p, y, st);
    mdl_yaml_free(y);
    return ok;
}

static struct mdl_prices *of(const char *text)
{
    struct sim_status st = {0};
    struct mdl_prices *p = sim_alloc(1, sizeof *p);
    ck_assert_msg(put(p, text, &st), "%s", st.message);
    return p;
}

static struct mdl_prices *shipped(void)
{
    struct sim_status st = {0};
    char *data = mdl_data_dir(&st), *folder = sim_printf("%s/models/prices", data);
    struct mdl_prices *p = mdl_prices_load(folder, &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    free(folder);
    free(data);
    return p;
}

static void refused(const char *text, const char *line, const char *expected)
{
    struct sim_status st = {0};
    struct mdl_prices *p = of("servers:\n  - " H100 "\n"), *before = sim_alloc(1, sizeof *before);
    *before = *p;
    ck_assert_msg(!put(p, text, &st), "accepted: %s", text);
    ck_assert_msg(strncmp(st.message, line, strlen(line)) == 0, "`%s` is not of %s", st.message, line);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    ck_assert_mem_eq(p, before, sizeof *p);
    free(before);
    free(p);
}

/* ---- what ships ---- */

static void is_dated(const struct mdl_price *price)
{
    int day;
    ck_assert(price->known);
    ck_assert(isfinite(price->value) && price->value > 0);
    ck_assert_msg(mdl_date_day(price->date, &day), "%s", price->date);
    ck_assert_uint_gt(strlen(price->source), 10);
}

START_TEST(every_price_that_ships_has_a_date_and_a_source)
{
    struct mdl_prices *p = shipped();
    const struct mdl_price *site[] = {
        &p->host_gib,       &p->kwh, &p->pue, &p->rack_server_month, &p->maintenance_frac, &p->engineer_hour,
        &p->value_loss_frac};
    ck_assert_str_eq(p->currency, "USD");
    for (size_t i = 0; i < sizeof site / sizeof *site; i++) is_dated(site[i]);
    for (uint32_t i = 0; i < p->n_servers; i++) is_dated(&p->servers[i].server);
    for (uint32_t i = 0; i < p->n_rents; i++) is_dated(&p->rents[i].hour);
    for (uint32_t i = 0; i < p->n_apis; i++) {
        is_dated(&p->apis[i].input_mtok);
        is_dated(&p->apis[i].output_mtok);
        ck_assert_double_ge(p->apis[i].output_mtok.value, p->apis[i].input_mtok.value);
    }
    for (uint32_t i = 0; i < p->n_labours; i++)
        ck_assert_ptr_nonnull(strstr(p->labours[i].source, "kvsim estimate:"));
    free(p);
}
END_TEST

START_TEST(every_measured_gpu_can_be_bought_and_rented_in_eights)
{
    struct sim_status st = {0};
    struct mdl_prices *p = shipped();
    char *data = mdl_data_dir(&st), *csv = sim_printf("%s/models/gpus.csv", data);
    struct mdl_gpu_catalogue *gpus = mdl_gpu_catalogue_load(csv, &st);
    uint32_t measured = 0;
    for (size_t i = 0; i < mdl_gpu_count(gpus); i++) {
        const struct mdl_gpu *g = mdl_gpu_at(gpus, i);
        if (!g->profile[0]) continue;
        const struct mdl_server_price *s = mdl_server_price(p, g->name, 8);
        const struct mdl_rent_price *r = mdl_rent_price(p, g->name);
        ck_assert_msg(s && r && r->gpus == 8, "%s", g->name);
        /* what NVIDIA states for its own systems bounds what a server draws */
        ck_assert_double_lt(s->base_w, 8 * g->tdp_w);
        ck_assert_double_gt(s->server.value, 8 * 5000);
        /* bought servers pay back against rent between a quarter and five years of full use */
        double years = s->server.value / (r->hour.value * 8760);
        ck_assert_msg(years > 0.25 && years < 5, "%s: %g", g->name, years);
        measured++;
    }
    ck_assert_uint_ge(measured, 5);
    mdl_gpu_catalogue_free(gpus);
    free(csv);
    free(data);
    free(p);
}
END_TEST

START_TEST(names_in_the_files_that_ship_are_names_of_the_catalogues)
{
    struct sim_status st = {0};
    struct mdl_prices *p = shipped();
    char *data = mdl_data_dir(&st), *csv = sim_printf("%s/models/gpus.csv", data);
    struct mdl_gpu_catalogue *gpus = mdl_gpu_catalogue_load(csv, &st);
    char **models = mdl_arch_names(data, &st);
    for (uint32_t i = 0; i < p->n_servers + p->n_rents; i++) {
        const char *name = i < p->n_servers ? p->servers[i].gpu : p->rents[i - p->n_servers].gpu;
        const struct mdl_gpu *g = mdl_gpu_find(gpus, name, &st);
        ck_assert_msg(g && strcmp(g->name, name) == 0, "%s", name);
    }
    for (uint32_t i = 0; i < p->n_apis; i++) {
        bool found = false;
        for (char **m = models; *m; m++) found |= strcmp(*m, p->apis[i].model) == 0;
        ck_assert_msg(found, "%s", p->apis[i].model);
    }
    for (size_t i = 0; i < mdl_strategy_count(); i++)
        ck_assert_str_eq(mdl_labour(p, mdl_strategy_at(i)->name)->strategy, mdl_strategy_at(i)->name);
    mdl_arch_names_free(models);
    mdl_gpu_catalogue_free(gpus);
    free(csv);
    free(data);
    free(p);
}
END_TEST

/* ---- look-ups ---- */

START_TEST(a_server_is_found_by_its_gpus_and_the_largest_without)
{
    struct mdl_prices *p =
        of("servers:\n"
           "  - {gpu: l4, gpus: 4, usd: 30000, host_gib: 256, base_w: 400, date: 2026-01-02, source: a}\n"
           "  - {gpu: l4, gpus: 8, usd: 50000, host_gib: 512, base_w: 600, date: 2026-01-02, source: a}\n"
           "  - {gpu: l4, gpus: 2, usd: 20000, host_gib: 128, base_w: 300, date: 2026-01-02, source: a}\n");
    ck_assert_double_eq(mdl_server_price(p, "l4", 4)->server.value, 30000);
    ck_assert_double_eq(mdl_server_price(p, "l4", 4)->host_gib, 256);
    ck_assert_double_eq(mdl_server_price(p, "l4", 4)->base_w, 400);
    ck_assert_uint_eq(mdl_server_price(p, "l4", 0)->gpus, 8);
    ck_assert_ptr_null(mdl_server_price(p, "l4", 1));
    ck_assert_ptr_null(mdl_server_price(p, "l40", 0));
    free(p);
}
END_TEST

START_TEST(the_cheapest_rent_is_the_cheapest_a_gpu)
{
    struct mdl_prices *p = of("rents:\n" RENT("h100-sxm", "A", "32") RENT(
        "h100-sxm", "B", "31.9") "  - {gpu: h100-sxm, gpus: 1, provider: C, usd: 3.98, host_gib: 100, date: "
                                 "2026-07-01, source: list}\n");
    ck_assert_str_eq(mdl_rent_price(p, "h100-sxm")->provider, "C"); /* 3.98 < 31.9 / 8 */
    ck_assert_ptr_null(mdl_rent_price(p, "h200-sxm"));
    free(p);
}
END_TEST

START_TEST(a_strategy_without_hours_takes_those_of_the_empty_name)
{
    struct mdl_prices *p =
        of("labour:\n"
           "  - {strategy: '', integration_hours: 300, operations_hours_per_month: 30, source: s}\n"
           "  - {strategy: fp8, integration_hours: 24, operations_hours_per_month: 12, source: s}\n");
    ck_assert_double_eq(mdl_labour(p, "fp8")->integration_hours, 24);
    ck_assert_double_eq(mdl_labour(p, "freekv")->integration_hours, 300);
    ck_assert_double_eq(mdl_labour(p, "freekv")->operations_hours_per_month, 30);
    free(p);
    p = of("currency: USD\n");
    ck_assert_ptr_null(mdl_labour(p, "freekv"));
    free(p);
}
END_TEST

/* ---- whose row wins ---- */

START_TEST(a_later_file_takes_the_place_of_the_same_rows_only)
{
    struct sim_status st = {0};
    struct mdl_prices *p =
        of("servers:\n  - " H100 "\n"
           "rents:\n" RENT("h100-sxm", "A", "30") RENT("h100-sxm", "B", "20")
               RENT("h200-sxm", "A", "40") "site:\n  kwh: {usd: 0.08, date: 2026-01-31, source: EIA}\n"
                                           "  pue: {value: 1.5, date: 2026-01-31, source: survey}\n");
    ck_assert(put(p,
                  "servers:\n"
                  "  - {gpu: h100-sxm, gpus: 8, usd: 250000, host_gib: 1024, base_w: 3000, date: 2026-11-01, "
                  "source: quote 2}\n"
                  "  - {gpu: h100-sxm, gpus: 4, usd: 140000, host_gib: 512, base_w: 1500, date: 2026-11-01, "
                  "source: quote 2}\n"
                  "rents:\n" RENT("h100-sxm", "ours",
                                  "25") "site: {kwh: {usd: 0.2, date: 2026-11-01, source: contract}}\n",
                  &st));
    ck_assert_uint_eq(p->n_servers, 2);
    ck_assert_double_eq(mdl_server_price(p, "h100-sxm", 8)->server.value, 250000);
    ck_assert_str_eq(mdl_server_price(p, "h100-sxm", 8)->server.source, "quote 2");
    ck_assert_uint_eq(p->n_rents, 2); /* the quote stands although B was cheaper */
    ck_assert_double_eq(mdl_rent_price(p, "h100-sxm")->hour.value, 25);
    ck_assert_double_eq(mdl_rent_price(p, "h200-sxm")->hour.value, 40);
    ck_assert_double_eq(p->kwh.value, 0.2);
    ck_assert_double_eq(p->pue.value, 1.5);
    free(p);
}
END_TEST

START_TEST(a_folder_is_read_by_name_and_a_file_after_it)
{
    struct sim_status st = {0};
    test_file("b.yaml", "site: {kwh: {usd: 2, date: 2026-01-31, source: s}}\n");
    test_file("a.yaml", "site: {kwh: {usd: 1, date: 2026-01-31, source: s}}\n");
    test_file("c.txt", "no prices\n");
    struct mdl_prices *p = mdl_prices_load(test_dir(), &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    ck_assert_double_eq(p->kwh.value, 2);
    char *path = sim_printf("%s/a.yaml", test_dir());
    ck_assert(mdl_prices_merge(p, path, &st));
    ck_assert_double_eq(p->kwh.value, 1);
    test_file("b.yaml", "site: {kwh: {usd: -2, date: 2026-01-31, source: s}}\n");
    ck_assert_ptr_null(mdl_prices_load(test_dir(), &st));
    ck_assert_ptr_nonnull(strstr(st.message, "b.yaml:1: usd is -2"));
    free(path);
    free(p);
}
END_TEST

START_TEST(a_folder_without_prices_is_no_folder_of_prices)
{
    struct sim_status st[2] = {{0}};
    ck_assert_ptr_null(mdl_prices_load("/nowhere/at/all", &st[0]));
    ck_assert_ptr_nonnull(strstr(st[0].message, "cannot be opened"));
    ck_assert_ptr_null(mdl_prices_load("/", &st[1]));
    ck_assert_ptr_nonnull(strstr(st[1].message, "holds no prices"));
}
END_TEST

/* ---- refusals ---- */

#define KWH(usd, date) "site:\n  kwh: {usd: " usd ", date: " date ", source: s}\n"

START_TEST(what_is_no_price_is_refused_with_its_line)
{
    refused(KWH("-0.1", "2026-01-31"), "p.yaml:2: ", "usd is -0.1, expected 0 to 1e+12");
    refused(KWH(".nan", "2026-01-31"), "p.yaml:2: ", "expected a number");
    refused(KWH("nan", "2026-01-31"), "p.yaml:2: ", "expected a number");
    refused(KWH("1e999", "2026-01-31"), "p.yaml:2: ", "expected a number below");
    refused(KWH("1e13", "2026-01-31"), "p.yaml:2: ", "expected 0 to 1e+12");
    refused(KWH("", "2026-01-31"), "p.yaml:2: ", "usd has no value");
    refused("site: {pue: {value: 0.9, date: 2026-01-31, source: s}}\n",
            "p.yaml:1: ", "value is 0.9, expected 1 to 100");
    refused("site: {value_loss_frac: {value: 1.1, date: 2026-01-31, source: s}}\n",
            "p.yaml:1: ", "expected 0 to 1");
}
END_TEST

START_TEST(days_that_are_none_are_refused)
{
    static const char *const none[] = {"2026-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-1-31",
                                       "20260131",   "2026/01/31", "yesterday",  "1899-12-31", "2100-02-29"};
    char text[200];
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        snprintf(text, sizeof text, KWH("0.1", "%s"), none[i]);
        refused(text, "p.yaml:2: ", "date is no day, expected one such as 2026-03-01");
    }
    free(of(KWH("0.1", "2024-02-29")));
    free(of(KWH("0.1", "2000-02-29")));
}
END_TEST

START_TEST(keys_that_are_unknown_or_missing_are_named)
{
    refused("servers:\n  - {gpu: l4, gpuss: 8}\n", "p.yaml:2: ", "did you mean `gpus`?");
    refused("serverz: []\n", "p.yaml:1: ", "did you mean `servers`?");
    refused("site: {kwhs: {usd: 1}}\n", "p.yaml:1: ", "did you mean `kwh`?");
    refused("servers:\n\n  - {gpu: l4, gpus: 8, usd: 1, host_gib: 1, date: 2026-01-31, source: s}\n",
            "p.yaml:3: ", "`base_w` of this server is missing");
    refused("site: {kwh: {usd: 1, source: s}}\n", "p.yaml:1: ", "`date` is missing");
    refused("site: {kwh: {usd: 1, date: 2026-01-31}}\n", "p.yaml:1: ", "`source` is missing");
    refused(
        "labour:\n  - {strategy: freekw, integration_hours: 1, operations_hours_per_month: 1, source: s}\n",
        "p.yaml:2: ", "did you mean `freekv`?");
    refused("servers: {}\n", "p.yaml:1: ", "no list");
    refused("servers: [l4]\n", "p.yaml:1: ", "no mapping");
    refused("site: []\n", "p.yaml:1: ", "no mapping");
    refused("- a\n", "p.yaml:1: ", "no mapping");
}
END_TEST

START_TEST(names_that_are_empty_too_long_or_hostile_are_refused)
{
    char text[600], name[300];
    memset(name, 'x', sizeof name);
    snprintf(text, sizeof text, "site: {kwh: {usd: 1, date: 2026-01-31, source: %.200s}}\n", name);
    refused(text, "p.yaml:1: ", "source is longer than 199 bytes");
    snprintf(text, sizeof text, "site: {kwh: {usd: 1, date: 2026-01-31, source: %.199s}}\n", name);
    free(of(text));
    snprintf(text, sizeof text, "servers:\n  - {gpu: %.32s, gpus: 8, usd: 1, host_gib: 1, base_w: 1}\n",
             name);
    refused(text, "p.yaml:2: ", "gpu is longer than 31 bytes");
    refused("servers:\n  - {gpu: '', gpus: 8, usd: 1, host_gib: 1, base_w: 1}\n",
            "p.yaml:2: ", "gpu is empty");
    refused("site: {kwh: {usd: 1, date: 2026-01-31, source: \"a\\nb\"}}\n",
            "p.yaml:1: ", "control character");
    refused("site: {kwh: {usd: 1, date: 2026-01-31, source: \"a\\e[2J\"}}\n",
            "p.yaml:1: ", "control character");
    refused("servers:\n  - {gpu: l4, gpus: 0, usd: 1, host_gib: 1, base_w: 1}\n",
            "p.yaml:2: ", "gpus is 0, expected 1");
    refused("servers:\n  - {gpu: l4, gpus: 1.5, usd: 1, host_gib: 1, base_w: 1}\n",
            "p.yaml:2: ", "whole number");
    refused("servers:\n  - {gpu: l4, gpus: 4294967304, usd: 1, host_gib: 1, base_w: 1}\n",
            "p.yaml:2: ", "expected 1 to 1024");
}
END_TEST

START_TEST(the_same_row_twice_in_a_file_is_refused_with_both_lines)
{
    refused("servers:\n  - " H100 "\n  - " H100 "\n", "p.yaml:3: ", "already in line 2");
    refused("rents:\n" RENT("l4", "A", "1") RENT("l4", "B", "1") RENT("l4", "A", "2"),
            "p.yaml:4: ", "already in line 2");
    refused("labour:\n  - {strategy: '', integration_hours: 1, operations_hours_per_month: 1, source: s}\n"
            "  - {strategy: '', integration_hours: 2, operations_hours_per_month: 1, source: s}\n",
            "p.yaml:3: ", "already in line 2");
    refused("apis:\n"
            "  - {model: phi-4, provider: A, input_usd: 1, output_usd: 1, date: 2026-01-31, source: s}\n"
            "  - {model: phi-4, provider: B, input_usd: 1, output_usd: 1, date: 2026-01-31, source: s}\n",
            "p.yaml:3: ", "already in line 2");
}
END_TEST

START_TEST(more_rows_than_there_is_room_for_are_refused)
{
    size_t size = 200 * (MDL_MAX_PRICES + 2), at = 0;
    char *text = sim_alloc(size, 1);
    at += (size_t)snprintf(text, size, "rents:\n");
    for (int i = 0; i <= MDL_MAX_PRICES; i++)
        at += (size_t)snprintf(text + at, size - at, RENT("l4", "p%d", "1"), i);
    refused(text, "p.yaml:130: ", "more than 128 rows of `rents`");
    free(text);
}
END_TEST

START_TEST(rows_of_two_files_share_the_room)
{
    struct sim_status st = {0};
    size_t size = 200 * (MDL_MAX_PRICES + 2), at = 0;
    char *text = sim_alloc(size, 1);
    at += (size_t)snprintf(text, size, "rents:\n");
    for (int i = 0; i < MDL_MAX_PRICES; i++)
        at += (size_t)snprintf(text + at, size - at, RENT("l4", "p%d", "1"), i);
    struct mdl_prices *p = of(text);
    ck_assert_uint_eq(p->n_rents, MDL_MAX_PRICES);
    ck_assert(!put(p, "rents:\n" RENT("l40", "A", "1"), &st));
    ck_assert_uint_eq(p->n_rents, MDL_MAX_PRICES);
    st = (struct sim_status){0};
    ck_assert(put(p, text, &st)); /* all take the place of all */
    ck_assert_uint_eq(p->n_rents, MDL_MAX_PRICES);
    free(text);
    free(p);
}
END_TEST

/* ---- currencies ---- */

START_TEST(currencies_do_not_mix)
{
    refused("currency: EUR\n", "p.yaml:1: ", "prices in EUR among prices in USD");
    refused("currency: usd\n", "p.yaml:1: ", "three capital letters");
    refused("currency: DOLLAR\n", "p.yaml:1: ", "three capital letters");
    refused("site: {kwh: {eur: 1, date: 2026-01-31, source: s}}\n", "p.yaml:1: ", "`eur`");
}
END_TEST

START_TEST(the_key_of_a_price_is_the_currency_of_its_file)
{
    struct sim_status st = {0};
    struct mdl_prices *p = of(
        "currency: EUR\n"
        "site: {kwh: {eur: 0.21, date: 2026-01-31, source: s}}\n"
        "apis:\n  - {model: phi-4, provider: A, input_eur: 1, output_eur: 3, date: 2026-01-31, source: s}\n");
    ck_assert_str_eq(p->currency, "EUR");
    ck_assert_double_eq(p->kwh.value, 0.21);
    ck_assert_double_eq(mdl_api_price(p, "phi-4")->output_mtok.value, 3);
    ck_assert_str_eq(mdl_api_price(p, "phi-4")->output_mtok.date, "2026-01-31");
    ck_assert(!put(p, "currency: EUR\nsite: {kwh: {usd: 1, date: 2026-01-31, source: s}}\n", &st));
    free(p);
}
END_TEST

START_TEST(conversion_scales_money_and_nothing_else)
{
    struct mdl_prices *usd = shipped(), *jpy = shipped();
    mdl_prices_convert(jpy, "JPY", 150);
    ck_assert_str_eq(jpy->currency, "JPY");
    for (uint32_t i = 0; i < usd->n_servers; i++) {
        ck_assert_double_eq(jpy->servers[i].server.value, 150 * usd->servers[i].server.value);
        ck_assert_double_eq(jpy->servers[i].base_w, usd->servers[i].base_w);
    }
    for (uint32_t i = 0; i < usd->n_rents; i++)
        ck_assert_double_eq(jpy->rents[i].hour.value, 150 * usd->rents[i].hour.value);
    for (uint32_t i = 0; i < usd->n_apis; i++) {
        ck_assert_double_eq(jpy->apis[i].input_mtok.value, 150 * usd->apis[i].input_mtok.value);
        ck_assert_double_eq(jpy->apis[i].output_mtok.value, 150 * usd->apis[i].output_mtok.value);
    }
    ck_assert_double_eq(jpy->kwh.value, 150 * usd->kwh.value);
    ck_assert_double_eq(jpy->host_gib.value, 150 * usd->host_gib.value);
    ck_assert_double_eq(jpy->rack_server_month.value, 150 * usd->rack_server_month.value);
    ck_assert_double_eq(jpy->engineer_hour.value, 150 * usd->engineer_hour.value);
    ck_assert_double_eq(jpy->pue.value, usd->pue.value);
    ck_assert_double_eq(jpy->maintenance_frac.value, usd->maintenance_frac.value);
    ck_assert_double_eq(jpy->value_loss_frac.value, usd->value_loss_frac.value);
    free(usd);
    free(jpy);
}
END_TEST

/* ---- days ---- */

START_TEST(a_century_of_days_is_counted_one_by_one)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct mdl_price first = {.known = true, .date = "1999-12-31"};
    int n = 0;
    for (int y = 2000; y <= 2100; y++)
        for (int m = 1; m <= 12; m++)
            for (int d = 1; d <= days[m - 1] + (m == 2 && y % 4 == 0 && y != 2100); d++) {
                char today[40];
                snprintf(today, sizeof today, "%04d-%02d-%02d", y, m, d);
                ck_assert_int_eq(mdl_price_age_days(&first, today), ++n);
            }
    ck_assert_int_eq(n, 36890); /* 101 years, 25 of them leap years: 101 x 365 + 25 */
}
END_TEST

START_TEST(a_price_ages_from_its_date_and_may_lie_ahead)
{
    struct mdl_price p = {.known = true, .date = "2026-03-01"};
    ck_assert_int_eq(mdl_price_age_days(&p, "2026-03-01"), 0);
    ck_assert_int_eq(mdl_price_age_days(&p, "2026-11-22"), 266);
    ck_assert_int_eq(mdl_price_age_days(&p, "2026-02-28"), -1);
    p.known = false;
    ck_assert_int_eq(mdl_price_age_days(&p, "2026-11-22"), 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("prices");
    TCase *c = tcase_create("prices");
    tcase_add_test(c, every_price_that_ships_has_a_date_and_a_source);
    tcase_add_test(c, every_measured_gpu_can_be_bought_and_rented_in_eights);
    tcase_add_test(c, names_in_the_files_that_ship_are_names_of_the_catalogues);
    tcase_add_test(c, a_server_is_found_by_its_gpus_and_the_largest_without);
    tcase_add_test(c, the_cheapest_rent_is_the_cheapest_a_gpu);
    tcase_add_test(c, a_strategy_without_hours_takes_those_of_the_empty_name);
    tcase_add_test(c, a_later_file_takes_the_place_of_the_same_rows_only);
    tcase_add_test(c, a_folder_is_read_by_name_and_a_file_after_it);
    tcase_add_test(c, a_folder_without_prices_is_no_folder_of_prices);
    tcase_add_test(c, what_is_no_price_is_refused_with_its_line);
    tcase_add_test(c, days_that_are_none_are_refused);
    tcase_add_test(c, keys_that_are_unknown_or_missing_are_named);
    tcase_add_test(c, names_that_are_empty_too_long_or_hostile_are_refused);
    tcase_add_test(c, the_same_row_twice_in_a_file_is_refused_with_both_lines);
    tcase_add_test(c, more_rows_than_there_is_room_for_are_refused);
    tcase_add_test(c, rows_of_two_files_share_the_room);
    tcase_add_test(c, currencies_do_not_mix);
    tcase_add_test(c, the_key_of_a_price_is_the_currency_of_its_file);
    tcase_add_test(c, conversion_scales_money_and_nothing_else);
    tcase_add_test(c, a_century_of_days_is_counted_one_by_one);
    tcase_add_test(c, a_price_ages_from_its_date_and_may_lie_ahead);
    suite_add_tcase(s, c);
    return s;
}
