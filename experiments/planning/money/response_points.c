#include <math.h>
#include <string.h>

#include "experiments/parallel.h"
#include "experiments/planning/money/response_parts.h"
#include "models/monotone.h"
#include "sim/check.h"

enum {
    LOWEST = -23,     /* 0.41 of what the fleet is sized for */
    FIRST_ABOVE = 10, /* 1.48 times */
    FURTHER = 14,     /* and so on by 1.73 */
    HIGHEST = 52,     /* 7.7 times */
    MAX_BISECTIONS = 4,
    FAR_ABOVE = 3, /* 1.12 times the break: the end of the curve */
    MAX_AGAIN = 3, /* drivers that are moved a second time */
};
static const double GRID = 1.04;
static const double TOO_LITTLE = 0.003; /* log of equivalent load that does not stand out */
static const double WIDER = 2.5;
static const double AIM = 0.06; /* log of equivalent load that is neither lost nor beyond */

/* ---- running ---- */

struct batch {
    const struct exp_probe *probe;
    struct exp_probe_task *task;
};

static void run_task(void *batch, uint32_t i)
{
    struct batch *b = batch;
    struct exp_probe_task *t = &b->task[i];
    b->probe->run(b->probe->user, &t->at, &t->p, &t->st);
}

bool exp_soundings_run(struct exp_soundings *w, struct exp_probe_task *task, uint32_t n,
                       struct sim_status *st)
{
    struct batch b = {&w->job->probe, task};
    exp_parallel(n, w->job->n_threads, run_task, &b);
    w->n_points += n;
    for (uint32_t i = 0; i < n; i++)
        if (task[i].st.message[0]) return sim_fail_as(st, task[i].st.code, "%s", task[i].st.message);
    return true;
}

double exp_grid_load(const struct exp_soundings *w, int k)
{
    return pow(GRID, k) * (1 + w->job->headroom);
}

double exp_grid_log(int k)
{
    return k * log(GRID);
}

int exp_grid_nearest(double log_x)
{
    return (int)lround(log_x / log(GRID));
}

struct exp_probe_task exp_sounding_task(const struct exp_soundings *w, int k)
{
    return (struct exp_probe_task){.k = k,
                                   .at = {.n_replicas = w->job->n_replicas, .load = exp_grid_load(w, k)}};
}

/* ---- the fleet as it is ---- */

static const struct exp_sounding *find(const struct exp_soundings *w, int k)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (w->at[i].k == k) return &w->at[i];
    return NULL;
}

static void keep(struct exp_soundings *w, int k, const struct exp_probe_point *p)
{
    uint32_t i = w->n++;
    for (; i && w->at[i - 1].k > k; i--) w->at[i] = w->at[i - 1];
    w->at[i] = (struct exp_sounding){k, *p};
}

/* Those of k[n] that are not there yet. */
static bool sound(struct exp_soundings *w, const int *k, uint32_t n, struct sim_status *st)
{
    struct exp_probe_task task[EXP_NOMINAL_POINTS];
    int added[EXP_NOMINAL_POINTS];
    uint32_t n_added = 0;
    for (uint32_t i = 0; i < n && w->n + n_added < EXP_NOMINAL_POINTS; i++) {
        if (find(w, k[i])) continue;
        added[n_added] = k[i];
        task[n_added++] = exp_sounding_task(w, k[i]);
    }
    if (!exp_soundings_run(w, task, n_added, st)) return false;
    for (uint32_t i = 0; i < n_added; i++) keep(w, added[i], &task[i].p);
    return true;
}

double exp_break_between(const struct exp_sounding *holds, const struct exp_sounding *breaks)
{
    static const double A_HANDFUL = 0.01; /* strain that says nothing */
    double low = log(holds->p.strain + A_HANDFUL), high = log(breaks->p.strain + A_HANDFUL);
    double part = (log(EXP_BROKEN + A_HANDFUL) - low) / (high - low);
    return exp_grid_log(holds->k) + part * (exp_grid_log(breaks->k) - exp_grid_log(holds->k));
}

/* The lowest load that breaks, and the one below it; strain that falls with load is noise. Where all break, what the fleet
 * is sized for takes its place. */
static void find_break(struct exp_soundings *w)
{
    uint32_t i = 0;
    while (i < w->n && w->at[i].p.strain <= EXP_BROKEN) i++;
    w->breaks = i > 0 && i < w->n;
    w->broken = i == 0 ? 0 : w->at[i < w->n ? i : w->n - 1].k;
    w->driven = w->breaks ? w->at[i - 1].k : w->broken;
    w->log_break = w->breaks ? exp_break_between(&w->at[i - 1], &w->at[i]) : exp_grid_log(w->broken);
}

/* One replica fewer breaks at what the fleet is sized for, so it breaks below n / (n - 1) of that. */
static int first_above(const struct exp_probe_job *j)
{
    double n = j->n_replicas + j->n_kept;
    int k = n > 1 ? exp_grid_nearest(log(n / (n - 1))) + 2 : FIRST_ABOVE;
    return k < 4 ? 4 : k > FIRST_ABOVE ? FIRST_ABOVE : k;
}

static bool bracket(struct exp_soundings *w, struct sim_status *st)
{
    int above = first_above(w->job);
    const int first[] = {LOWEST, -9, -4, 0, above};
    if (!sound(w, first, sizeof first / sizeof first[0], st)) return false;
    find_break(w);
    for (above += FURTHER; !w->breaks && w->at[w->n - 1].p.strain <= EXP_BROKEN && above <= HIGHEST;
         above += 2 * FURTHER) {
        const int next[] = {above, above + FURTHER};
        if (!sound(w, next, 2, st)) return false;
        find_break(w);
    }
    return true;
}

/* Inwards until loads next to each other on the grid hold and break. */
static bool close_in(struct exp_soundings *w, struct sim_status *st)
{
    for (int i = 0; i < MAX_BISECTIONS && w->breaks; i++) {
        int below = w->driven, quarter = (w->broken - below) / 4, k = exp_grid_nearest(w->log_break);
        if (w->broken == below + 1) return true;
        if (k < below + 1 + quarter) k = below + 1 + quarter;
        if (k > w->broken - 1 - quarter) k = w->broken - 1 - quarter;
        if (!sound(w, &k, 1, st)) return false;
        find_break(w);
    }
    return true;
}

static void fill_curve(struct exp_curve *c, const double *x, const double *y, uint32_t n)
{
    c->n = n;
    memcpy(c->x, x, n * sizeof *x);
    memcpy(c->y, y, n * sizeof *y);
    mdl_monotone(c->y, n, 1);
}

/* Without the points that are nearest to another, as many as there is no place for. */
static void fill_curves(struct exp_soundings *w)
{
    double x[EXP_NOMINAL_POINTS], miss[EXP_NOMINAL_POINTS], busy[EXP_NOMINAL_POINTS];
    uint32_t n = 0;
    struct exp_sounding at[EXP_NOMINAL_POINTS];
    memcpy(at, w->at, sizeof at);
    for (n = w->n; n > EXP_MAX_CURVE; n--) {
        uint32_t least = 1;
        for (uint32_t i = 2; i + 1 < n; i++)
            if (at[i + 1].k - at[i - 1].k < at[least + 1].k - at[least - 1].k) least = i;
        memmove(&at[least], &at[least + 1], (n - least - 1) * sizeof *at);
    }
    for (uint32_t i = 0; i < n; i++) {
        x[i] = exp_grid_load(w, at[i].k);
        miss[i] = at[i].p.miss;
        busy[i] = at[i].p.busy;
    }
    fill_curve(&w->out->miss, x, miss, n);
    fill_curve(&w->out->busy, x, busy, n);
}

static void fill_seen(struct exp_soundings *w)
{
    w->out->n_seen = w->n;
    for (uint32_t i = 0; i < w->n; i++) {
        w->out->seen[i] = w->at[i].p.seen;
        w->out->seen[i].load = exp_grid_load(w, w->at[i].k);
    }
}

static void finish_nominal(struct exp_soundings *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        exp_pressure_add(&w->curve, exp_grid_log(w->at[i].k), w->at[i].p.pressure);
    exp_pressure_finish(&w->curve);
    fill_curves(w);
    fill_seen(w);
}

/* ---- drivers ---- */

/* Log of the load that a point is worth, over its own. Against the fleet as it is under the very same requests, where that
 * was tried, so that their noise cancels. */
static double equivalent(const struct exp_soundings *w, const struct exp_probe_task *t)
{
    const struct exp_sounding *as_it_is = find(w, t->k);
    double own = as_it_is ? exp_pressure_load(&w->curve, as_it_is->p.pressure) : exp_grid_log(t->k);
    return exp_pressure_load(&w->curve, t->p.pressure) - own;
}

static bool is_beyond(const struct exp_soundings *w, const struct exp_probe_task *t)
{
    return exp_pressure_load(&w->curve, t->p.pressure) > w->curve.log_x[w->curve.n - 1];
}

struct driving {
    struct exp_probe_task task[EXP_N_DRIVERS];
    int driver[EXP_N_DRIVERS];
    uint32_t n; /* drivers that move */
};

static void take_elasticity(struct exp_soundings *w, int driver, const struct exp_probe_task *t)
{
    double e = equivalent(w, t) / t->at.move[driver];
    if (e < 0 || is_beyond(w, t))
        w->out->clamped |= 1u << driver;
    else
        w->out->clamped &= ~(1u << driver);
    w->out->elasticity[driver] = fmax(0, e);
}

/* Is another point needed? Where the first leads beyond all loads that were tried, with a smaller step, or under less load
 * where the step is what sources say; with a larger one where it is lost in the noise. */
static bool needs_another(const struct exp_soundings *w, int driver, const struct exp_probe_task *first,
                          struct exp_probe_task *another)
{
    double by = equivalent(w, first), step = first->at.move[driver];
    bool any_step = w->job->any_step[driver], beyond = is_beyond(w, first);
    int lower = first->k - exp_grid_nearest(by);
    if (!beyond && (by >= TOO_LITTLE || !any_step)) return false;
    *another = exp_sounding_task(w, !beyond || any_step ? first->k : lower < LOWEST ? LOWEST : lower);
    another->at.move[driver] = !any_step ? step : beyond ? step * AIM / by : step * WIDER;
    return true;
}

static bool move_again(struct exp_soundings *w, const struct driving *d, uint32_t most, struct sim_status *st)
{
    struct exp_probe_task again[MAX_AGAIN];
    int driver[MAX_AGAIN];
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->n && n < most; i++)
        if (needs_another(w, d->driver[i], &d->task[i], &again[n])) driver[n++] = d->driver[i];
    if (!exp_soundings_run(w, again, n, st)) return false;
    for (uint32_t i = 0; i < n; i++) take_elasticity(w, driver[i], &again[i]);
    return true;
}

/* All at once by one part of their steps: together up below the break, up and down in turns above it. The root mean
 * square by which products of elasticities miss what these are worth. */
static bool keep_out(struct exp_soundings *w, const struct driving *d, struct sim_status *st)
{
    struct exp_probe_task task[2] = {exp_sounding_task(w, w->driven), exp_sounding_task(w, w->broken + 1)};
    double sum = 0, square = 0;
    for (uint32_t i = 0; i < d->n; i++) sum += w->out->elasticity[d->driver[i]] * w->job->step[d->driver[i]];
    for (uint32_t i = 0; i < d->n; i++) {
        double move = w->job->step[d->driver[i]] * fmin(1, AIM / fmax(sum, AIM));
        task[0].at.move[d->driver[i]] = move;
        task[1].at.move[d->driver[i]] = i % 2 ? move : -move;
    }
    if (!exp_soundings_run(w, task, 2, st)) return false;
    for (int t = 0; t < 2; t++) {
        double error = equivalent(w, &task[t]);
        for (int i = 0; i < EXP_N_DRIVERS; i++) error -= w->out->elasticity[i] * task[t].at.move[i];
        square += error * error / 2;
    }
    w->out->fit_error = sqrt(square);
    return true;
}

static bool drive(struct exp_soundings *w, uint32_t most_again, struct sim_status *st)
{
    struct driving d = {.n = 0};
    for (int i = 0; i < EXP_N_DRIVERS; i++) {
        if (w->job->step[i] == 0) continue;
        d.task[d.n] = exp_sounding_task(w, w->driven);
        d.task[d.n].at.move[i] = w->job->step[i];
        d.driver[d.n++] = i;
    }
    const int above[] = {w->broken + 1, w->broken + FAR_ABOVE};
    if (!sound(w, above, 2, st) || !exp_soundings_run(w, d.task, d.n, st)) return false;
    finish_nominal(w);
    for (uint32_t i = 0; i < d.n; i++) take_elasticity(w, d.driver[i], &d.task[i]);
    return move_again(w, &d, most_again, st) && keep_out(w, &d, st);
}

/* ---- the whole ---- */

/* So many that every load ahead has a point, too. */
static uint32_t most_again(const struct exp_soundings *w)
{
    uint32_t moved = 2, later = 2 + EXP_HEADROOM_TRIES + (w->job->growth > 1 ? EXP_GROWTH_LOADS : 0);
    for (int d = 0; d < EXP_N_DRIVERS; d++) moved += w->job->step[d] != 0;
    uint32_t taken = w->n_points + moved + later;
    uint32_t left = taken < EXP_RESPONSE_POINTS ? EXP_RESPONSE_POINTS - taken : 0;
    return left < MAX_AGAIN ? left : MAX_AGAIN;
}

bool exp_response_probe(const struct exp_probe_job *j, struct exp_response *out, struct sim_status *st)
{
    struct exp_soundings w = {.job = j, .out = out};
    out->clamped = 0;
    for (int d = 0; d < EXP_N_DRIVERS; d++) out->elasticity[d] = 0;
    if (!bracket(&w, st) || !close_in(&w, st) || !drive(&w, most_again(&w), st)) return false;
    if (!exp_soundings_headroom(&w, st) || !exp_soundings_grow(&w, st)) return false;
    SIM_CHECK(w.n_points <= EXP_RESPONSE_POINTS);
    out->n_points = w.n_points;
    out->margin = w.breaks ? fmax(1, exp(w.log_break)) : 1;
    return true;
}
