/* Files of prices as people write them, read by tables of fields: every row says what it is of, what it costs, on which day,
 * and who says so. Apart from models/prices.h because only the reader and its fuzzer need it. */
#ifndef KVSIM_MODELS_PRICES_FILE_H
#define KVSIM_MODELS_PRICES_FILE_H

#include "models/prices.h"
#include "models/yaml.h"

/* A file's rows over those that are there: a server's of the same GPU and number of GPUs, all rents of a GPU, an API's of the
 * model, labour of the strategy. Currencies must agree, unless there is none yet. p is unchanged on failure. */
bool mdl_prices_put(struct mdl_prices *p, const struct mdl_yaml *file, struct sim_status *st);

/* "2026-03-01", and a day that there is; days from some day on. */
bool mdl_date_day(const char *text, int *day);

#endif
