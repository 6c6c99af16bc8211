#include "experiments/compare.h"

#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "sim/check.h"
#include "sim/memory.h"

/* MiB of 1,024 tokens from bytes of one. */
#define MIB_OF_1K (1024.0 / 1048576.0)

/* clang-format off */
static const struct exp_column_info columns[EXP_N_COLUMNS] = {
    [EXP_GPU_KV]        = {"kv_bytes_per_token", {"GPU KV,", "MiB/1K tok"}, EXP_MEMORY_TABLE, EXP_LOWER, EXP_PLAIN, EXP_RATIO, MIB_OF_1K, true, false},
    [EXP_HOST_KV]       = {"kv_host_bytes_per_token", {"host KV,", "MiB/1K tok"}, EXP_MEMORY_TABLE, EXP_NEITHER, EXP_PLAIN, EXP_NO_DELTA, MIB_OF_1K, true, false},
    [EXP_MAX_RUNNING]   = {"max_running", {"running,", "at most"}, EXP_MEMORY_TABLE, EXP_NEITHER, EXP_WHOLE, EXP_RATIO, 1, true, false},
    [EXP_QUEUE]         = {"mean_queue_ms", {"queueing,", "mean ms"}, EXP_MEMORY_TABLE, EXP_LOWER, EXP_PLAIN, EXP_NO_DELTA, 1, true, false},
    [EXP_KV_PEAK]       = {"kv_peak_utilization", {"KV peak,", "%"}, EXP_MEMORY_TABLE, EXP_NEITHER, EXP_PERCENT, EXP_NO_DELTA, 1, true, false},
    [EXP_PREEMPTIONS]   = {"preemptions", {"preempted,", "times"}, EXP_MEMORY_TABLE, EXP_LOWER, EXP_WHOLE, EXP_NO_DELTA, 1, true, false},
    [EXP_COMPLETED]     = {"completed_frac", {"completed,", "%"}, EXP_MEMORY_TABLE, EXP_HIGHER, EXP_FLOORED_PERCENT, EXP_NO_DELTA, 1, false, false},
    [EXP_TTFT_MEAN]     = {"mean_ttft_ms", {"TTFT mean,", "ms"}, EXP_LATENCY_TABLE, EXP_LOWER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_TTFT_P99]      = {"p99_ttft_ms", {"TTFT p99,", "ms"}, EXP_LATENCY_TABLE, EXP_LOWER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_TPOT_MEAN]     = {"mean_tpot_ms", {"TPOT mean,", "ms"}, EXP_LATENCY_TABLE, EXP_LOWER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_TPOT_P99]      = {"p99_tpot_ms", {"TPOT p99,", "ms"}, EXP_LATENCY_TABLE, EXP_LOWER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_E2EL_MEAN]     = {"mean_e2el_ms", {"E2EL mean,", "ms"}, EXP_LATENCY_TABLE, EXP_LOWER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_E2EL_P99]      = {"p99_e2el_ms", {"E2EL p99,", "ms"}, EXP_LATENCY_TABLE, EXP_LOWER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_REQUESTS]      = {"request_throughput", {"requests", "/s"}, EXP_SERVICE_TABLE, EXP_HIGHER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_OUTPUT]        = {"output_throughput", {"output", "tokens/s"}, EXP_SERVICE_TABLE, EXP_HIGHER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_EQUIVALENT]    = {"equivalent_output_throughput", {"in full's", "tokens/s"}, EXP_SERVICE_TABLE, EXP_HIGHER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_GOODPUT]       = {"request_goodput", {"good", "requests/s"}, EXP_SERVICE_TABLE, EXP_HIGHER, EXP_PLAIN, EXP_RATIO, 1, true, true},
    [EXP_ATTAINMENT]    = {"slo_attainment", {"SLA", "attained, %"}, EXP_SERVICE_TABLE, EXP_HIGHER, EXP_FLOORED_PERCENT, EXP_POINTS, 1, true, true},
    [EXP_LINK_BUSY]     = {"host_link_busy", {"host link", "busy, %"}, EXP_COST_TABLE, EXP_NEITHER, EXP_PERCENT, EXP_NO_DELTA, 1, true, false},
    [EXP_EXPOSED]       = {"exposed_frac", {"waits for", "transfers, %"}, EXP_COST_TABLE, EXP_LOWER, EXP_PERCENT, EXP_NO_DELTA, 1, true, false},
    [EXP_LENGTH_MEAN]   = {"mean_length_shift", {"length,", "mean %"}, EXP_COST_TABLE, EXP_NEITHER, EXP_SIGNED_PERCENT, EXP_NO_DELTA, 1, true, false},
    [EXP_LENGTH_LONGER] = {"length_longer_frac", {"1.5x and", "longer, %"}, EXP_COST_TABLE, EXP_LOWER, EXP_PERCENT, EXP_NO_DELTA, 1, false, false},
    [EXP_E2EL_SAME_LENGTH] = {"mean_e2el_same_length_ms", {"", ""}, EXP_NO_TABLE, EXP_LOWER, EXP_PLAIN, EXP_NO_DELTA, 1, false, false},
    [EXP_QUEUE_SAME_LENGTH] = {"mean_queue_same_length_ms", {"", ""}, EXP_NO_TABLE, EXP_LOWER, EXP_PLAIN, EXP_NO_DELTA, 1, false, false},
    [EXP_E2EL_SPEED]    = {"e2el_speed_frac", {"E2EL by", "speed, %"}, EXP_COST_TABLE, EXP_NEITHER, EXP_SIGNED_PERCENT, EXP_NO_DELTA, 1, false, true},
    [EXP_E2EL_LONGER]   = {"e2el_length_frac", {"E2EL by", "length, %"}, EXP_COST_TABLE, EXP_NEITHER, EXP_SIGNED_PERCENT, EXP_NO_DELTA, 1, false, true},
    [EXP_NEGATIVES]     = {"negative_rate", {"worse", "answers, %"}, EXP_COST_TABLE, EXP_LOWER, EXP_PERCENT, EXP_NO_DELTA, 1, false, false},
    [EXP_UNMEASURED]    = {"unmeasured_frac", {"", ""}, EXP_NO_TABLE, EXP_NEITHER, EXP_PERCENT, EXP_NO_DELTA, 1, false, false},
};
/* clang-format on */

const struct exp_column_info *exp_column_info(enum exp_column c)
{
    return &columns[c];
}

/* ---- from runs to rows ---- */

void exp_sample_take(struct exp_sample *s, const struct exp_figures *f)
{
    for (int c = 0; c < EXP_N_COLUMNS; c++)
        s->value[c] = columns[c].of_figures ? exp_figure(f, columns[c].key).mean : NAN;
    double arrived = exp_figure(f, "arrived").mean;
    s->value[EXP_COMPLETED] = arrived > 0 ? exp_figure(f, "completed").mean / arrived : NAN;
    if (exp_figure(f, "completed").mean > 0) return;
    for (int c = EXP_TTFT_MEAN; c <= EXP_E2EL_P99; c++) s->value[c] = NAN; /* of no request */
    s->value[EXP_QUEUE] = NAN;
}

static struct exp_band band_of(double *values, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        if (!isfinite(values[k])) return (struct exp_band){NAN, NAN, NAN};
    if (n == 1) return (struct exp_band){values[0], values[0], values[0]};
    return exp_band_of(values, n);
}

static double mean_of(const struct exp_sample *s, enum exp_column c, uint32_t n)
{
    return gsl_stats_mean(&s->value[c], sizeof *s / sizeof s->value[0], n);
}

/* Pairs differ by shares of full's mean: the mean of them is then the difference of the means, which are printed, and
 * a replication in which full has next to nothing counts no more than the others. */
static double difference(enum exp_column c, double own, double base, double base_mean)
{
    switch (columns[c].against) {
    case EXP_RATIO:
        return base_mean > 0 ? (own - base) / base_mean : NAN;
    case EXP_POINTS:
        return own - base;
    default:
        return NAN;
    }
}

/* Both parts are shares of full's mean E2EL; they add up to the whole difference. */
static double value_of(enum exp_column c, const struct exp_sample *own, const struct exp_sample *base,
                       double full)
{
    double same = own->value[EXP_E2EL_SAME_LENGTH];
    if (c == EXP_E2EL_SPEED) return base ? (same - base->value[EXP_E2EL_MEAN]) / full : NAN;
    if (c == EXP_E2EL_LONGER) return (own->value[EXP_E2EL_MEAN] - same) / full;
    return own->value[c];
}

void exp_compare_row_set(struct exp_compare_row *row, const struct exp_sample *own,
                         const struct exp_sample *base, uint32_t n)
{
    double *values = sim_alloc(n, sizeof *values), full = base ? mean_of(base, EXP_E2EL_MEAN, n) : NAN;
    for (enum exp_column c = 0; c < EXP_N_COLUMNS; c++) {
        double base_mean = base ? mean_of(base, c, n) : NAN;
        for (uint32_t k = 0; k < n; k++) values[k] = value_of(c, &own[k], base ? &base[k] : NULL, full);
        row->value[c] = band_of(values, n);
        for (uint32_t k = 0; k < n; k++)
            values[k] = base ? difference(c, own[k].value[c], base[k].value[c], base_mean) : NAN;
        row->delta[c] = band_of(values, n);
    }
    free(values);
}

bool exp_compare_clear(const struct exp_compare_row *row, enum exp_column c, double least)
{
    struct exp_band d = row->delta[c];
    return isfinite(d.mean) && fabs(d.mean) >= least && (d.lo > 0 || d.hi < 0);
}

/* ---- as text ---- */

/* What the column's values are like: its first that is not 0, on the screen. */
static double typical(const struct exp_compare *c, enum exp_column column)
{
    for (uint32_t i = 0; i < c->n_rows; i++) {
        double v = fabs(c->row[i].value[column].mean) * columns[column].scale;
        if (!c->row[i].why_not[0] && v > 0 && isfinite(v)) return v;
    }
    return 1;
}

/* As many decimals in a whole column as give about four digits of what is typical; none for thousands. */
static struct exp_cell plain_text(double value, double like)
{
    struct exp_cell cell;
    int decimals = like >= 999.5 ? 0 : like >= 99.95 ? 1 : like >= 0.9995 ? 2 : 3;
    if (fabs(value) >= 999.5)
        snprintf(cell.text, sizeof cell.text, "%s", exp_count_words(value).text);
    else
        snprintf(cell.text, sizeof cell.text, "%.*f", decimals, value);
    return cell;
}

struct exp_cell exp_column_text(const struct exp_compare *c, enum exp_column column, double value)
{
    struct exp_cell cell = {"-"};
    if (!isfinite(value)) return cell;
    if (value == 0 && columns[column].form == EXP_PLAIN) return (struct exp_cell){"0"};
    switch (columns[column].form) {
    case EXP_PLAIN:
        return plain_text(value * columns[column].scale, typical(c, column));
    case EXP_WHOLE:
        snprintf(cell.text, sizeof cell.text, "%s", exp_count_words(value).text);
        break;
    case EXP_PERCENT:
        snprintf(cell.text, sizeof cell.text, "%.1f", 100 * value);
        break;
    case EXP_FLOORED_PERCENT: /* never rounded up: 99.999 is not 100 */
        snprintf(cell.text, sizeof cell.text, "%.2f", floor(value * 1e4 + 1e-9) / 100);
        break;
    case EXP_SIGNED_PERCENT:
        snprintf(cell.text, sizeof cell.text, "%+.1f", 100 * value);
        break;
    }
    return cell;
}

struct exp_cell exp_delta_text(const struct exp_compare_row *row, enum exp_column column)
{
    struct exp_cell cell = {""};
    struct exp_band d = row->delta[column];
    if (!isfinite(d.mean)) return cell;
    const char *noise = d.lo <= 0 && d.hi >= 0 && d.lo < d.hi ? "~" : "";
    if (columns[column].against == EXP_POINTS)
        snprintf(cell.text, sizeof cell.text, "%s%+.1fp", noise, 100 * d.mean);
    else if (d.mean < 10)
        snprintf(cell.text, sizeof cell.text, "%s%+.1f%%", noise, 100 * d.mean);
    else
        snprintf(cell.text, sizeof cell.text, "%sx%.3g", noise, 1 + d.mean);
    return cell;
}

/* ---- the best ---- */

static const double ABOUT_ALL = 0.99;     /* of what the one that completes most does */
static const double ABOUT_AS_FAST = 0.95; /* of its requests per second */

/* What a row must reach to be the best at a load: a light one is no merit. */
struct bar {
    double attained, completed, requests_per_s;
};

/* Meets service levels at all, where any row does. */
static bool serves(const struct exp_compare_row *row, const struct bar *bar)
{
    return !row->why_not[0] && !(row->value[EXP_ATTAINMENT].mean == 0 && bar->attained > 0);
}

static struct bar bar_of(const struct exp_compare *c)
{
    struct bar bar = {0};
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (!c->row[i].why_not[0]) bar.attained = fmax(bar.attained, c->row[i].value[EXP_ATTAINMENT].mean);
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if (!serves(&c->row[i], &bar)) continue;
        bar.completed = fmax(bar.completed, c->row[i].value[EXP_COMPLETED].mean);
        bar.requests_per_s = fmax(bar.requests_per_s, c->row[i].value[EXP_REQUESTS].mean);
    }
    return bar;
}

/* The others are the strategy's own, whatever it serves. */
static bool is_of_load(enum exp_column c)
{
    enum exp_table table = columns[c].table;
    return table == EXP_LATENCY_TABLE || table == EXP_SERVICE_TABLE ||
           (table == EXP_MEMORY_TABLE && c != EXP_GPU_KV);
}

static bool counts(const struct exp_compare_row *row, enum exp_column column, const struct bar *bar)
{
    if (row->why_not[0] || !isfinite(row->value[column].mean)) return false;
    return !is_of_load(column) ||
           (serves(row, bar) && row->value[EXP_COMPLETED].mean >= ABOUT_ALL * bar->completed &&
            row->value[EXP_REQUESTS].mean >= ABOUT_AS_FAST * bar->requests_per_s);
}

/* Longer answers are more tokens and no merit: those in full's count. */
static enum exp_better better_of(const struct exp_compare *c, enum exp_column column)
{
    return column == EXP_OUTPUT && c->length_shift ? EXP_NEITHER : columns[column].better;
}

bool exp_compare_best(const struct exp_compare *c, uint32_t row, enum exp_column column)
{
    enum exp_better better = better_of(c, column);
    struct bar bar = bar_of(c);
    if (better == EXP_NEITHER || !counts(&c->row[row], column, &bar)) return false;
    struct exp_cell own = exp_column_text(c, column, c->row[row].value[column].mean);
    uint32_t alike = 0, worse = 0;
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if (c->row[i].why_not[0] || !isfinite(c->row[i].value[column].mean)) continue;
        double other = c->row[i].value[column].mean, mine = c->row[row].value[column].mean;
        bool same = strcmp(exp_column_text(c, column, other).text, own.text) == 0;
        bool ahead = !same && (better == EXP_LOWER ? other < mine : other > mine);
        if (ahead && counts(&c->row[i], column, &bar)) return false;
        alike += same;
        worse += !same;
    }
    return alike <= worse;
}
