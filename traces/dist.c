#include "traces/dist.h"

#include "sim/csv_in.h"
#include "sim/line_in.h"
#include "sim/memory.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double MAX_TOKENS = 4294967295.0;

const double trc_quantile_frac[TRC_N_QUANTILES] = {
    0,    0.01, 0.05, 0.1, 0.15,  0.2,  0.25, 0.3,  0.35,  0.4,  0.45,  0.5,    0.55,  0.6,    0.65, 0.7,
    0.75, 0.8,  0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995, 0.9975, 0.999, 0.9995, 1};

static double draw_quantiles(const struct trc_dist *d, double u)
{
    int i = 1;
    while (i < TRC_N_QUANTILES - 1 && u > trc_quantile_frac[i]) i++;
    double low = trc_quantile_frac[i - 1], high = trc_quantile_frac[i];
    return d->values[i - 1] + (u - low) / (high - low) * ((double)d->values[i] - d->values[i - 1]);
}

static double draw_real(const struct trc_dist *d, gsl_rng *rng)
{
    double shape = d->b > 0.0 ? 1.0 / (d->b * d->b) : 0.0, log_variance = log1p(d->b * d->b);
    switch (d->kind) {
    case TRC_FIXED:
        return d->a;
    case TRC_UNIFORM:
        return floor(d->a + gsl_rng_uniform(rng) * (d->b - d->a + 1.0));
    case TRC_LOGNORMAL:
        return gsl_ran_lognormal(rng, log(d->a) - log_variance / 2.0, sqrt(log_variance));
    case TRC_GAMMA:
        return d->b > 0.0 ? gsl_ran_gamma(rng, shape, d->a / shape) : d->a;
    case TRC_EMPIRICAL:
        return d->values[(uint64_t)(gsl_rng_uniform(rng) * (double)d->n_values)];
    case TRC_QUANTILES:
        return draw_quantiles(d, gsl_rng_uniform(rng));
    }
    return 1.0;
}

uint32_t trc_dist_draw(const struct trc_dist *d, struct trc_rng *rng)
{
    double x = floor(draw_real(d, &rng->gsl) + 0.5);
    double most = d->max > 0.0 ? d->max : MAX_TOKENS;
    return (uint32_t)(x < 1.0 ? 1.0 : x > most ? most : x);
}

bool trc_dist_check(const struct trc_dist *d, const char *what, struct sim_status *st)
{
    bool good = isfinite(d->a) && isfinite(d->b) && isfinite(d->max) && d->max >= 0.0 &&
                d->max <= MAX_TOKENS && (d->max == 0.0 || d->max >= 1.0);
    if (d->kind == TRC_EMPIRICAL)
        good = good && d->n_values > 0;
    else if (d->kind == TRC_QUANTILES)
        good = good && d->n_values == TRC_N_QUANTILES;
    else
        good = good && d->a >= 1.0 && d->a <= MAX_TOKENS && d->b >= 0.0 && d->b <= MAX_TOKENS;
    if (d->kind == TRC_UNIFORM) good = good && d->b >= d->a && d->a == floor(d->a) && d->b == floor(d->b);
    return good ||
           sim_fail_as(st, SIM_EXIT_USAGE,
                       "%s length distribution: impossible parameters, expected a mean of 1 token or more, "
                       "cv >= 0, lo <= hi; correct it",
                       what);
}

/* Reading a file of lengths. */
struct lengths {
    const char *column; /* NULL: the file has one only */
    int index;
    struct trc_dist *out;
    uint64_t room;
};

static bool find_length_column(struct lengths *l, const struct sim_csv_row *header, struct sim_status *st)
{
    l->index = l->column ? sim_csv_column(header, l->column) : 0;
    if (l->column && l->index < 0)
        return sim_fail(st, "%s:%llu: has no column %s, expected it as in file:PATH:COLUMN; correct the name",
                        header->path, (unsigned long long)header->line,
                        sim_excerpt(l->column, strlen(l->column)).text);
    if (!l->column && header->n_fields != 1)
        return sim_fail(st, "%s:%llu: has %u columns, expected one of lengths; choose with file:PATH:COLUMN",
                        header->path, (unsigned long long)header->line, header->n_fields);
    return true;
}

static bool on_length(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct lengths *l = user;
    uint64_t value;
    if (index == 0) return find_length_column(l, row, st);
    if (!sim_csv_u64(row, l->index, l->column ? l->column : "length", &value, st)) return false;
    if (value < 1 || value > UINT32_MAX)
        return sim_fail(
            st, "%s:%llu: length %llu found, expected 1 to 4294967295 tokens; correct or drop the row",
            row->path, (unsigned long long)row->line, (unsigned long long)value);
    if (l->out->n_values == l->room) {
        l->room = l->room ? l->room + l->room / 2 : 256;
        l->out->values = sim_realloc(l->out->values, l->room, sizeof *l->out->values);
    }
    l->out->values[l->out->n_values++] = (uint32_t)value;
    return true;
}

/* file:PATH or file:PATH:COLUMN. */
static bool parse_file(const char *text, struct trc_dist *out, struct sim_status *st)
{
    char *path = sim_strdup(text);
    char *colon = strrchr(path, ':');
    struct lengths l = {.out = out};
    if (colon && !strchr(colon, '/')) {
        *colon = '\0';
        l.column = colon + 1;
    }
    out->kind = TRC_EMPIRICAL;
    bool ok = sim_csv_read(path, on_length, &l, st);
    if (ok && out->n_values == 0)
        ok = sim_fail(st, "%s:1: holds a header only, expected rows of lengths; is it whole?", path);
    free(path);
    return ok;
}

static const struct {
    const char *name;
    enum trc_dist_kind kind;
    int n_min, n_max;
} kinds[] = {{"fixed", TRC_FIXED, 1, 1},
             {"uniform", TRC_UNIFORM, 2, 2},
             {"lognormal", TRC_LOGNORMAL, 2, 3},
             {"gamma", TRC_GAMMA, 2, 3}};

static bool refuse_text(const char *text, struct sim_status *st)
{
    return sim_fail_as(st, SIM_EXIT_USAGE,
                       "length distribution \"%s\": not understood, expected 512, fixed:512, uniform:LO:HI, "
                       "lognormal:MEAN:CV[:MAX], gamma:MEAN:CV[:MAX] or file:PATH[:COLUMN]",
                       sim_excerpt(text, strlen(text)).text);
}

/* Numbers between colons into values[3]; -1 when a part is no number. */
static int parse_numbers(const char *text, double values[3])
{
    for (int n = 0; n < 3; n++) {
        char *end;
        values[n] = strtod(text, &end);
        if (end == text || strspn(text, "+-.0123456789eE") < (size_t)(end - text)) return -1;
        if (*end == '\0') return n + 1;
        if (*end != ':') return -1;
        text = end + 1;
    }
    return -1;
}

static bool parse_parameters(const char *text, struct trc_dist *d, struct sim_status *st)
{
    const char *rest = text;
    size_t kind = 0;
    if (strchr(text, ':')) {
        size_t length = strcspn(text, ":");
        while (kind < 4 &&
               (strlen(kinds[kind].name) != length || memcmp(kinds[kind].name, text, length) != 0))
            kind++;
        if (kind == 4) return refuse_text(text, st);
        rest = text + length + 1;
    }
    double v[3] = {0.0, 0.0, 0.0};
    int n = parse_numbers(rest, v);
    if (n < kinds[kind].n_min || n > kinds[kind].n_max) return refuse_text(text, st);
    *d = (struct trc_dist){.kind = kinds[kind].kind, .a = v[0], .b = v[1], .max = v[2]};
    struct sim_status why = {0};
    return trc_dist_check(d, "the", &why) || refuse_text(text, st);
}

bool trc_dist_parse(const char *text, struct trc_dist *out, struct sim_status *st)
{
    struct trc_dist d = {0};
    bool ok = strncmp(text, "file:", 5) == 0 ? parse_file(text + 5, &d, st) : parse_parameters(text, &d, st);
    if (ok)
        *out = d;
    else
        trc_dist_fini(&d);
    return ok;
}

void trc_dist_fini(struct trc_dist *d)
{
    free(d->values);
    memset(d, 0, sizeof *d);
}
