/* Prices: servers to buy, instances to rent, power, space, hands and APIs, each with its date and source. Those that
 * ship (the YAML files of models/prices) are merged in the order of their names; a plan's own file (money.prices) overrides row by row.
 * All in one currency. Rows older than 180 days warn. To add one: a row; see models/prices/README.md. */
#ifndef KVSIM_MODELS_PRICES_H
#define KVSIM_MODELS_PRICES_H

#include "sim/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mdl_price {
    double value; /* in the unit that its place says; >= 0 */
    bool known;
    char date[11]; /* 2026-03-01: when it held */
    char source[200];
};

/* A whole server as it is ordered: GPUs, CPUs, base memory, SSD, network cards. */
struct mdl_server_price {
    char gpu[32];            /* catalogue name, aliases resolved by the reader's caller */
    uint32_t gpus;           /* of one server */
    struct mdl_price server; /* currency a server */
    double host_gib;         /* memory that comes with it */
    double base_w;           /* what it draws besides its GPUs */
};

struct mdl_rent_price {
    char gpu[32];
    uint32_t gpus;         /* of one instance */
    struct mdl_price hour; /* currency an instance-hour */
    double host_gib;
    char provider[64];
};

struct mdl_api_price {
    char model[64];                           /* catalogue name */
    struct mdl_price input_mtok, output_mtok; /* currency per million tokens */
    char provider[64];
};

/* Hours of engineers that a strategy takes. "" = every strategy without a row. */
struct mdl_labour {
    char strategy[32];
    double integration_hours; /* once */
    double operations_hours_per_month;
    char source[200];
};

enum { MDL_MAX_PRICES = 128 };

struct mdl_prices {
    char currency[8]; /* USD */
    uint32_t n_servers, n_rents, n_apis, n_labours;
    struct mdl_server_price servers[MDL_MAX_PRICES];
    struct mdl_rent_price rents[MDL_MAX_PRICES];
    struct mdl_api_price apis[MDL_MAX_PRICES];
    struct mdl_labour labours[MDL_MAX_PRICES];
    struct mdl_price host_gib;          /* a GiB of server memory, bought later */
    struct mdl_price kwh;               /* electricity */
    struct mdl_price pue;               /* watts at the meter per watt in the server, >= 1 */
    struct mdl_price rack_server_month; /* space, network and remote hands, a server and month */
    struct mdl_price maintenance_frac;  /* of the server's price, a year */
    struct mdl_price engineer_hour;
    struct mdl_price
        value_loss_frac; /* of a server's worth, a year: what it resells for falls by this share */
};

/* Reads every file of a folder, by name. NULL with file:line in st: a negative price, a date that is none, an unknown key.
 * Free with free(). */
struct mdl_prices *mdl_prices_load(const char *folder, struct sim_status *st);
/* Puts another file's rows over those that are there: of the same server, strategy or model, and all rents of the same GPU,
 * so that a quote stands although a list is cheaper. The file's currency must be the same; p is unchanged on failure. */
bool mdl_prices_merge(struct mdl_prices *p, const char *path, struct sim_status *st);
/* Everything in another currency: value x rate. */
void mdl_prices_convert(struct mdl_prices *p, const char *currency, double rate);

/* By catalogue name and GPUs of a server; gpus 0 = whatever there is, the most GPUs first. NULL when there is none. Names in
 * files are catalogue names. */
const struct mdl_server_price *mdl_server_price(const struct mdl_prices *p, const char *gpu, uint32_t gpus);
const struct mdl_rent_price *mdl_rent_price(const struct mdl_prices *p,
                                            const char *gpu); /* the cheapest per GPU */
const struct mdl_api_price *mdl_api_price(const struct mdl_prices *p, const char *model);
const struct mdl_labour *mdl_labour(const struct mdl_prices *p, const char *strategy);

/* Days from the price's date to `today` ("2026-11-22"); negative when it lies ahead. */
int mdl_price_age_days(const struct mdl_price *price, const char *today);
enum { MDL_PRICE_OLD_DAYS = 180 };

#endif
