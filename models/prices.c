#include "models/prices.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/prices_file.h"
#include "sim/check.h"
#include "sim/memory.h"

/* ---- files ---- */

static bool is_yaml(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".yaml") == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The YAML files of a folder, by name; the list and its strings are the caller's. */
static char **yaml_files(const char *folder, size_t *n, struct sim_status *st)
{
    DIR *dir = opendir(folder);
    char **files = NULL;
    *n = 0;
    if (!dir) {
        sim_fail(st, "%s: cannot be opened, expected the folder of prices: %s; check KVSIM_DATA", folder,
                 strerror(errno));
        return NULL;
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (!is_yaml(entry->d_name)) continue;
        files = sim_realloc(files, *n + 1, sizeof *files);
        files[(*n)++] = sim_printf("%s/%s", folder, entry->d_name);
    }
    closedir(dir);
    if (files) qsort(files, *n, sizeof *files, compare_names);
    if (!files) sim_fail(st, "%s: holds no prices, expected files that end in .yaml", folder);
    return files;
}

bool mdl_prices_merge(struct mdl_prices *p, const char *path, struct sim_status *st)
{
    struct mdl_yaml *file = mdl_yaml_load(path, st);
    bool ok = file && mdl_prices_put(p, file, st);
    mdl_yaml_free(file);
    return ok;
}

struct mdl_prices *mdl_prices_load(const char *folder, struct sim_status *st)
{
    size_t n;
    char **files = yaml_files(folder, &n, st);
    if (!files) return NULL;
    struct mdl_prices *p = sim_alloc(1, sizeof *p);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        ok = ok && mdl_prices_merge(p, files[i], st);
        free(files[i]);
    }
    free(files);
    if (ok) return p;
    free(p);
    return NULL;
}

/* ---- another currency ---- */

void mdl_prices_convert(struct mdl_prices *p, const char *currency, double rate)
{
    struct mdl_price *of_site[] = {&p->host_gib, &p->kwh, &p->rack_server_month, &p->engineer_hour};
    SIM_CHECK(rate > 0 && isfinite(rate) && strlen(currency) < sizeof p->currency);
    snprintf(p->currency, sizeof p->currency, "%s", currency);
    for (uint32_t i = 0; i < p->n_servers; i++) p->servers[i].server.value *= rate;
    for (uint32_t i = 0; i < p->n_rents; i++) p->rents[i].hour.value *= rate;
    for (uint32_t i = 0; i < p->n_apis; i++) {
        p->apis[i].input_mtok.value *= rate;
        p->apis[i].output_mtok.value *= rate;
    }
    for (size_t i = 0; i < sizeof of_site / sizeof *of_site; i++) of_site[i]->value *= rate;
}

/* ---- look-ups ---- */

const struct mdl_server_price *mdl_server_price(const struct mdl_prices *p, const char *gpu, uint32_t gpus)
{
    const struct mdl_server_price *best = NULL;
    for (uint32_t i = 0; i < p->n_servers; i++) {
        const struct mdl_server_price *s = &p->servers[i];
        if (strcmp(s->gpu, gpu) != 0 || (gpus && s->gpus != gpus)) continue;
        if (!best || s->gpus > best->gpus) best = s;
    }
    return best;
}

const struct mdl_rent_price *mdl_rent_price(const struct mdl_prices *p, const char *gpu)
{
    const struct mdl_rent_price *best = NULL;
    for (uint32_t i = 0; i < p->n_rents; i++) {
        const struct mdl_rent_price *r = &p->rents[i];
        if (strcmp(r->gpu, gpu) != 0) continue;
        if (!best || r->hour.value / r->gpus < best->hour.value / best->gpus) best = r;
    }
    return best;
}

const struct mdl_api_price *mdl_api_price(const struct mdl_prices *p, const char *model)
{
    for (uint32_t i = 0; i < p->n_apis; i++)
        if (strcmp(p->apis[i].model, model) == 0) return &p->apis[i];
    return NULL;
}

const struct mdl_labour *mdl_labour(const struct mdl_prices *p, const char *strategy)
{
    const struct mdl_labour *other = NULL;
    for (uint32_t i = 0; i < p->n_labours; i++) {
        if (strcmp(p->labours[i].strategy, strategy) == 0) return &p->labours[i];
        if (!p->labours[i].strategy[0]) other = &p->labours[i];
    }
    return other;
}

int mdl_price_age_days(const struct mdl_price *price, const char *today)
{
    int then, now;
    if (!price->known || !mdl_date_day(price->date, &then) || !mdl_date_day(today, &now)) return 0;
    return now - then;
}
