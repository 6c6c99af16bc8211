#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "experiments/planning/money/response_parts.h"
#include "experiments/replicate.h"
#include "models/lengths.h"
#include "sim/check.h"

static const double Z95 = 1.6448536269514722;

const char *exp_driver_name(int driver)
{
    static const char *const names[EXP_N_DRIVERS] = {
        [EXP_DRIVE_FAMILY + MDL_GEMM] = "matrix products",
        [EXP_DRIVE_FAMILY + MDL_ATTN_PREFILL] = "prefill attention kernels",
        [EXP_DRIVE_FAMILY + MDL_ATTN_DECODE] = "decode attention kernels",
        [EXP_DRIVE_FAMILY + MDL_ALLREDUCE] = "all-reduce between GPUs",
        [EXP_DRIVE_FAMILY + MDL_ELEMENTWISE] = "elementwise kernels",
        [EXP_DRIVE_RESIDUAL] = "speed of the serving engine",
        [EXP_DRIVE_KV] = "rates and efficiencies of the KV strategy",
        [EXP_DRIVE_HOST] = "host link and submission",
        [EXP_DRIVE_LENGTH] = "length of outputs"};
    SIM_CHECK(driver >= 0 && driver < EXP_N_DRIVERS);
    return names[driver];
}

/* ---- fleets of several kinds ---- */

/* A candidate beside machines that there are: an error of each kind moves its share of the GPUs. */
struct mixture {
    const struct exp_setup *u;
    uint32_t n;
    double share[EXP_MAX_FLEETS];
    uint32_t largest;
};

static struct mixture mixture_of(const struct exp_setup *u, uint32_t n_replicas)
{
    struct mixture m = {.u = u, .n = u->n_fleets};
    double sum = 0;
    for (uint32_t f = 0; f < m.n; f++) {
        double replicas = f + 1 == m.n ? n_replicas : u->sim_fleets[f].n_replicas;
        m.share[f] = replicas * u->sim_fleets[f].gpus_per_replica;
        sum += m.share[f];
        if (m.share[f] > m.share[m.largest]) m.largest = f;
    }
    for (uint32_t f = 0; f < m.n && sum > 0; f++) m.share[f] /= sum;
    return m;
}

typedef double log_sd_fn(const struct exp_fleet_setup *f, int family);
typedef const char *name_fn(const struct exp_fleet_setup *f);

/* Fleets of one name err together, others by themselves. */
static double mixed_log_sd(const struct mixture *m, log_sd_fn *log_sd, name_fn *name, int family)
{
    double square = 0;
    for (uint32_t f = 0; f < m->n; f++) {
        const struct exp_fleet_setup *fleet = &m->u->fleets[f];
        double together = 0;
        bool first = true;
        for (uint32_t g = 0; g < m->n; g++) {
            const struct exp_fleet_setup *other = &m->u->fleets[g];
            if (strcmp(name(fleet), name(other)) != 0) continue;
            first &= g >= f;
            together += m->share[g] * log_sd(other, family);
        }
        if (first) square += together * together;
    }
    return sqrt(square);
}

static double family_log_sd(const struct exp_fleet_setup *f, int family)
{
    return f->profile ? mdl_profile_error_frac(f->profile, (enum mdl_family)family) : 0;
}

static const char *profile_name(const struct exp_fleet_setup *f)
{
    return f->profile ? mdl_profile_name(f->profile) : "linear";
}

static double residual_log_sd(const struct exp_fleet_setup *f, int family)
{
    (void)family;
    return f->profile ? f->engine.residual_frac : 0;
}

static const char *engine_name(const struct exp_fleet_setup *f)
{
    return f->engine.name;
}

/* ---- rates of a strategy, constants of a server ---- */

/* Mean of the logs by which figures move from as expected to slow, and how many move. */
struct slowdown {
    double log_sum;
    uint32_t n;
};

static void add_slowdown(struct slowdown *s, double expected, double slow)
{
    if (!(expected > 0 && slow > 0) || expected == slow) return;
    s->log_sum += fabs(log(slow / expected));
    s->n++;
}

static double slowdown_log_sd(const struct slowdown *s)
{
    return s->n ? s->log_sum / s->n / Z95 : 0;
}

/* Figures that a user gave are counted and do not move: what is moved less has a smaller elasticity, and the product holds. */
static double strategy_log_sd(const struct exp_fleet_setup *f)
{
    struct slowdown s = {0};
    double expected[MDL_N_KV_KEY], slow[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) expected[k] = slow[k] = NAN;
    exp_factors_slow_strategy(f, 0.5, expected);
    exp_factors_slow_strategy(f, 0.95, slow);
    for (int k = 0; k < MDL_N_KV_KEY; k++) add_slowdown(&s, expected[k], slow[k]);
    return slowdown_log_sd(&s);
}

/* A server that was measured is known. */
static double host_log_sd(const struct exp_fleet_setup *f)
{
    struct slowdown s = {0};
    double expected[EXP_MAX_HOST_KEYS], slow[EXP_MAX_HOST_KEYS];
    if (f->kv.host.how != SIM_ANALYTIC) return 0;
    for (int i = 0; i < EXP_MAX_HOST_KEYS; i++) expected[i] = slow[i] = NAN;
    exp_factors_slow_host(f->gpu, 0.5, expected);
    exp_factors_slow_host(f->gpu, 0.95, slow);
    for (int i = 0; i < EXP_MAX_HOST_KEYS; i++) add_slowdown(&s, expected[i], slow[i]);
    return slowdown_log_sd(&s);
}

static bool moves_kv(const struct exp_setup *u)
{
    bool any = false;
    for (uint32_t f = 0; f < u->n_fleets; f++) any |= u->sim_fleets[f].cost->moves;
    return any;
}

/* ---- lengths ---- */

/* Of the mean ratio: of pairs that were measured, its standard error; published figures are from other traffic. */
static double length_log_sd(const struct exp_fleet_setup *f, const struct exp_plan *plan)
{
    const struct mdl_lengths *l = f->kv.lengths;
    if (!l || (l->known && !l->any)) return 0;
    if (l->n_pairs == 0) return log1p(plan->unsure_length) / Z95;
    double square = 0;
    for (int i = 0; i < MDL_LENGTH_QUANTILES; i++)
        square += (l->factor[i] - l->mean) * (l->factor[i] - l->mean) / MDL_LENGTH_QUANTILES;
    return sqrt(square / l->n_pairs) / l->mean;
}

/* ---- all of them ---- */

static void name_stream(struct exp_response *r, int driver, const char *kind, const char *name)
{
    snprintf(r->stream[driver], sizeof r->stream[driver], "%s %.100s", kind, name);
}

/* Far enough to stand out of the noise, near enough that the service level is no more than just broken. */
static const double FAMILY_STEP = 0.14, WHOLE_STEP = 0.06;

static void describe_operators(const struct mixture *m, struct exp_probe_job *job, struct exp_response *r)
{
    const struct exp_fleet_setup *largest = &m->u->fleets[m->largest];
    bool parallel = false, priced = false;
    for (uint32_t f = 0; f < m->n; f++) {
        parallel |= m->u->fleets[f].tensor_parallel > 1;
        priced |= m->u->fleets[f].profile != NULL;
    }
    for (int i = 0; i < MDL_N_FAMILY; i++) {
        int d = EXP_DRIVE_FAMILY + i;
        r->log_sd[d] = mixed_log_sd(m, family_log_sd, profile_name, i);
        name_stream(r, d, mdl_family_name((enum mdl_family)i), profile_name(largest));
        if (priced && (i != MDL_ALLREDUCE || parallel)) job->step[d] = FAMILY_STEP;
    }
    r->log_sd[EXP_DRIVE_RESIDUAL] = mixed_log_sd(m, residual_log_sd, engine_name, 0);
    name_stream(r, EXP_DRIVE_RESIDUAL, "residual", engine_name(largest));
    job->step[EXP_DRIVE_RESIDUAL] = WHOLE_STEP;
}

void exp_drivers_describe(const struct exp_plan *plan, const struct exp_setup *u, uint32_t n_replicas,
                          struct exp_probe_job *job, struct exp_response *out)
{
    struct mixture m = mixture_of(u, n_replicas);
    const struct exp_fleet_setup *largest = &u->fleets[m.largest];
    const char *strategy = largest->kv.use.strategy->name;
    for (int d = 0; d < EXP_N_DRIVERS; d++) job->any_step[d] = true;
    describe_operators(&m, job, out);
    if (largest->profile) out->log_sd[EXP_DRIVE_KV] = strategy_log_sd(largest);
    if (largest->profile && moves_kv(u)) out->log_sd[EXP_DRIVE_HOST] = host_log_sd(largest);
    for (int d = EXP_DRIVE_KV; d <= EXP_DRIVE_HOST; d++) {
        job->step[d] = Z95 * out->log_sd[d]; /* to the slow end of what sources say, and no further */
        job->any_step[d] = false;
    }
    out->log_sd[EXP_DRIVE_LENGTH] = length_log_sd(largest, plan);
    job->step[EXP_DRIVE_LENGTH] = WHOLE_STEP;
    name_stream(out, EXP_DRIVE_KV, "kv", strategy);
    name_stream(out, EXP_DRIVE_HOST, "host", largest->gpu->name);
    name_stream(out, EXP_DRIVE_LENGTH, "length", strategy);
}

/* The quantile, counted towards slower, at which a driver of ranges is moved so far. */
static double unit_of(const struct exp_response *r, int driver, double move)
{
    return gsl_cdf_ugaussian_P(move / r->log_sd[driver]);
}

void exp_drivers_factors(const struct exp_setup *u, const struct exp_response *r,
                         const double move[EXP_N_DRIVERS], struct exp_factors *out)
{
    exp_factors_none(out);
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        const struct exp_fleet_setup *fleet = &u->fleets[f];
        for (int i = 0; i < MDL_N_FAMILY; i++) out->family[f][i] = exp(move[EXP_DRIVE_FAMILY + i]);
        out->residual[f] = exp(move[EXP_DRIVE_RESIDUAL]);
        if (move[EXP_DRIVE_KV] != 0)
            exp_factors_slow_strategy(fleet, unit_of(r, EXP_DRIVE_KV, move[EXP_DRIVE_KV]), out->kv[f]);
        if (move[EXP_DRIVE_HOST] != 0)
            exp_factors_slow_host(fleet->gpu, unit_of(r, EXP_DRIVE_HOST, move[EXP_DRIVE_HOST]), out->host[f]);
    }
}
