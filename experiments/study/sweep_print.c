#include "experiments/study/sweep_print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/listing.h"

#define COUNT(n) exp_count_words((double)(n)).text

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- a sweep ---- */

static void print_sum(const struct exp_sweep_sum *sum, FILE *out)
{
    fprintf(out, "%s point%s: %s computed", COUNT(sum->points), plural(sum->points), COUNT(sum->computed));
    if (sum->computed)
        fprintf(out, " in %s (%s points/s)", exp_duration_words(sum->wall_s).text,
                exp_short_words((double)sum->computed / sum->wall_s).text);
    fprintf(out, ", %s stored before", COUNT(sum->reused));
    if (sum->equal) fprintf(out, ", %s equal to others", COUNT(sum->equal));
    if (sum->stale)
        fprintf(out, "; %s of the computed replace%s stale ones, of another model version or other files",
                COUNT(sum->stale), sum->stale == 1 ? "s" : "");
    fputc('\n', out);
}

static void print_failures(const struct exp_sweep_digest *d, FILE *out)
{
    size_t i;
    json_t *one;
    if (!d->failed) return;
    fprintf(out, "\n%s of %s failed:\n", COUNT(d->failed), COUNT(d->rows));
    json_array_foreach(d->failures, i, one)
    {
        fprintf(out, "  %6s  %s\n", COUNT(json_integer_value(json_object_get(one, "points"))),
                json_string_value(json_object_get(one, "reason")));
    }
    if (d->other_reasons) fprintf(out, "  %6s  for other reasons\n", COUNT(d->other_reasons));
}

void exp_sweep_print(const struct exp_sweep_sum *sum, const struct exp_sweep_digest *d, FILE *out)
{
    print_sum(sum, out);
    print_failures(d, out);
    if (!json_array_size(d->best)) return;
    fprintf(out, "\nbest by %s:\n", d->by);
    exp_print_rows(d->best, out);
}

json_t *exp_sweep_json(const struct exp_sweep_sum *sum, const struct exp_sweep_digest *d, const char *db)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:s, s:O}", "points", (json_int_t)sum->points,
                     "computed", (json_int_t)sum->computed, "reused", (json_int_t)sum->reused, "equal",
                     (json_int_t)sum->equal, "failed", (json_int_t)sum->failed, "stale",
                     (json_int_t)sum->stale, "wall_s", sum->wall_s, "points_per_s",
                     (double)sum->computed / sum->wall_s, "db", db, "failures", d->failures);
}

/* ---- a forecast ---- */

/* Of all ranks. */
static uint64_t threads_of(const struct exp_sweep_options *o)
{
    return (uint64_t)o->n_threads * (o->ranks ? o->ranks->n : 1);
}

/* The last points leave threads idle. */
static double expected_s(const struct exp_sweep_options *o, const struct exp_sweep_forecast *f)
{
    uint64_t threads = threads_of(o);
    return f->open ? f->s_per_point * fmax(1, (double)f->open / (double)threads) : 0;
}

static void print_axes(const struct exp_study *study, FILE *out)
{
    for (uint32_t i = 0; i < exp_study_n_axes(study); i++) {
        const struct exp_study_axis axis = exp_study_axis(study, i);
        fprintf(out, "%-10s%s: ", i ? "" : "axes", axis.path);
        if (!axis.n_values)
            fprintf(out, "%s samples, %s to %s\n", COUNT(exp_study_n_samples(study)), axis.first, axis.last);
        else if (axis.n_values == 1)
            fprintf(out, "%s\n", axis.first);
        else
            fprintf(out, "%s values, %s to %s\n", COUNT(axis.n_values), axis.first, axis.last);
    }
}

/* Two digits: more would claim more than a few points can tell. */
static struct exp_words about(double seconds)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.1e", fmax(seconds, 0.1));
    return exp_duration_words(strtod(digits, NULL));
}

static struct exp_words size_words(uint64_t bytes)
{
    struct exp_words w;
    double mb = (double)bytes / 1e6;
    snprintf(w.text, sizeof w.text, mb < 1000 ? "%.2g MB" : "%.3g GB", mb < 1000 ? mb : mb / 1000);
    return w;
}

void exp_sweep_print_forecast(const struct exp_study *study, const struct exp_sweep_options *o,
                              const struct exp_sweep_forecast *f, FILE *out)
{
    const char *note = exp_study_note(study);
    uint64_t threads = threads_of(o);
    fprintf(out, "%-10s%s%s%s\n", "study", exp_study_name(study), note[0] ? ": " : "", note);
    print_axes(study, out);
    fprintf(out, "%-10s%s: %s stored, %s open", "points", COUNT(f->points), COUNT(f->stored), COUNT(f->open));
    if (f->failed) fprintf(out, " (%s of them failed before)", COUNT(f->failed));
    if (f->equal) fprintf(out, ", %s equal to others", COUNT(f->equal));
    if (f->stale)
        fprintf(out, "; %s of the open are stale (of another model version or other files)", COUNT(f->stale));
    fputc('\n', out);
    if (!f->open) return;
    fprintf(out, "%-10sabout %s on %s thread%s (%s a point)\n", "time", about(expected_s(o, f)).text,
            COUNT(threads), plural(threads), exp_duration_words(f->s_per_point).text);
    fprintf(out, "%-10s%s, about %s more\n", "database", o->db, size_words(f->bytes).text);
}

json_t *exp_sweep_forecast_json(const struct exp_sweep_options *o, const struct exp_sweep_forecast *f)
{
    json_t *out = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "points", (json_int_t)f->points, "stored",
                            (json_int_t)f->stored, "equal", (json_int_t)f->equal, "open", (json_int_t)f->open,
                            "stale", (json_int_t)f->stale, "failed", (json_int_t)f->failed);
    if (isfinite(f->s_per_point)) json_object_set_new(out, "s_per_point", json_real(f->s_per_point));
    json_object_set_new(out, "expected_s", json_real(expected_s(o, f)));
    json_object_set_new(out, "threads", json_integer((json_int_t)threads_of(o)));
    json_object_set_new(out, "db", json_string(o->db));
    json_object_set_new(out, "db_bytes", json_integer((json_int_t)f->bytes));
    return out;
}
