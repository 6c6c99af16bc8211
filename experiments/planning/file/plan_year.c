/* The year that follows from a load: its day, and its growth. */
#include <math.h>

#include "experiments/planning/file/plan_file.h"

static const double PI = 3.14159265358979323846;
enum { BUSIEST_HOUR = 14 }; /* which one does not matter to any figure */

static double hour_load(int hour, double k)
{
    return pow((1 + cos(2 * PI * (hour - BUSIEST_HOUR) / EXP_DAY_HOURS)) / 2, k);
}

static double mean_load(double k)
{
    double sum = 0;
    for (int h = 0; h < EXP_DAY_HOURS; h++) sum += hour_load(h, k);
    return sum / EXP_DAY_HOURS;
}

/* The mean falls as k rises; by k = 1e6 one hour is all that is left. */
static double exponent_of(double peak_to_mean)
{
    double lo = 0, hi = 1e6;
    for (int i = 0; i < 200 && lo < hi; i++) {
        double middle = lo + (hi - lo) / 2;
        if (middle <= lo || middle >= hi) break;
        if (mean_load(middle) * peak_to_mean > 1)
            lo = middle;
        else
            hi = middle;
    }
    return hi;
}

/* However small k is, the hour opposite the busiest has no load: a flatter day has its load there alone. */
static void flat_day(double peak_to_mean, double shape[EXP_DAY_HOURS])
{
    for (int h = 0; h < EXP_DAY_HOURS; h++) shape[h] = 1;
    shape[(BUSIEST_HOUR + EXP_DAY_HOURS / 2) % EXP_DAY_HOURS] =
        EXP_DAY_HOURS / peak_to_mean - (EXP_DAY_HOURS - 1);
}

static void cosine_day(double peak_to_mean, double shape[EXP_DAY_HOURS])
{
    if (peak_to_mean * (EXP_DAY_HOURS - 1) <= EXP_DAY_HOURS) {
        flat_day(peak_to_mean, shape);
        return;
    }
    double k = exponent_of(peak_to_mean);
    for (int h = 0; h < EXP_DAY_HOURS; h++) shape[h] = hour_load(h, k);
}

void exp_plan_day(const struct exp_plan *p, double shape[EXP_DAY_HOURS])
{
    double most = 0;
    if (!p->n_rate_curve) {
        cosine_day(p->peak_to_mean, shape);
        return;
    }
    for (int h = 0; h < EXP_DAY_HOURS; h++) most = fmax(most, p->rate_curve[h]);
    for (int h = 0; h < EXP_DAY_HOURS; h++) shape[h] = p->rate_curve[h] / most;
}
