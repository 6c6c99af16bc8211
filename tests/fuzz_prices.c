/* Any bytes as a file of prices, over none and over prices that are there; what is accepted is looked up, aged and
 * converted. */
#include "models/prices_file.h"
#include "sim/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct mdl_price *price)
{
    if (price->known && !(price->value >= 0 && isfinite(price->value))) abort();
    if (abs(mdl_price_age_days(price, "2026-11-22")) > 4000000) abort();
}

static void inspect(const struct mdl_prices *p)
{
    for (uint32_t i = 0; i < p->n_servers; i++) {
        look(&p->servers[i].server);
        if (!mdl_server_price(p, p->servers[i].gpu, p->servers[i].gpus)) abort();
    }
    for (uint32_t i = 0; i < p->n_rents; i++) {
        look(&p->rents[i].hour);
        if (!mdl_rent_price(p, p->rents[i].gpu)) abort();
    }
    for (uint32_t i = 0; i < p->n_apis; i++) {
        look(&p->apis[i].output_mtok);
        if (mdl_api_price(p, p->apis[i].model) != &p->apis[i]) abort();
    }
    for (uint32_t i = 0; i < p->n_labours; i++)
        if (mdl_labour(p, p->labours[i].strategy) != &p->labours[i]) abort();
    look(&p->kwh);
    look(&p->pue);
}

static void put(struct mdl_prices *p, const struct mdl_yaml *file)
{
    struct sim_status st = {0};
    bool ok = mdl_prices_put(p, file, &st);
    if (!ok && (!st.message[0] || strchr(st.message, '\n'))) abort();
    if (ok) inspect(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char there[] = "rents:\n  - {gpu: l4, gpus: 8, provider: A, usd: 9, host_gib: 512, date: "
                                "2026-01-31, source: s}\n";
    struct sim_status st = {0};
    struct mdl_yaml *file = mdl_yaml_parse("fuzz.yaml", (const char *)data, size, &st);
    if (!file) return 0;
    struct mdl_yaml *first = mdl_yaml_parse("first.yaml", there, sizeof there - 1, &st);
    struct mdl_prices *p = sim_alloc(2, sizeof *p);
    put(&p[0], file);
    put(&p[1], first);
    put(&p[1], file);
    mdl_prices_convert(&p[1], "JPY", 150);
    mdl_yaml_free(first);
    mdl_yaml_free(file);
    free(p);
    return 0;
}
