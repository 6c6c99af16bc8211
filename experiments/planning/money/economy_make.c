#include <math.h>
#include <string.h>

#include "experiments/planning/money/finalist.h"
#include "sim/check.h"

/* Puts an economy together. */
struct maker {
    const struct exp_plan *plan;
    const struct mdl_prices *prices;
    const struct exp_entry *entry;
    const struct exp_response *response; /* NULL = the entry's point alone */
    struct exp_economy *out;
    struct sim_status *st;
};

/* ---- prices that are missing ---- */

static const char *prices_file(const struct maker *m)
{
    return m->plan->prices[0] ? m->plan->prices : "a file that money.prices names";
}

static bool need_site(const struct maker *m)
{
    const struct mdl_prices *p = m->prices;
    const struct {
        const struct mdl_price *price;
        const char *name;
    } need[] = {{&p->kwh, "kwh"},
                {&p->pue, "pue"},
                {&p->rack_server_month, "rack_server_month"},
                {&p->maintenance_frac, "maintenance_frac"},
                {&p->engineer_hour, "engineer_hour"},
                {&p->value_loss_frac, "value_loss_frac"}};
    for (size_t i = 0; i < sizeof need / sizeof *need; i++)
        if (!need[i].price->known)
            return sim_fail(m->st, "prices: no `site.%s`; add it to %s", need[i].name, prices_file(m));
    return true;
}

static bool no_price(const struct maker *m, const char *row, uint32_t gpus, const char *least)
{
    return sim_fail(m->st, "prices: no %s with %s%u x %s; add a row for this GPU under `%ss` of %s", row,
                    least, gpus, m->entry->candidate.gpu->name, row, prices_file(m));
}

/* ---- capacity ---- */

enum { LEAST_REPLICAS_APART = 4 }; /* below that, rounding to whole replicas hides the slope */

/* Loads, over today's, and the new replicas that they take. */
struct needs {
    uint32_t n, first; /* first: of those that take any; n = none does */
    double load[EXP_MAX_LOADS];
    uint32_t replicas[EXP_MAX_LOADS];
};

static struct needs needs_of(const struct maker *m)
{
    const struct exp_response *r = m->response;
    struct needs k = {.n = 1, .load = {1}, .replicas = {m->entry->n_replicas}};
    for (uint32_t i = k.n = r ? 0 : 1; r && i < r->n_loads; i++) {
        if (r->replicas[i] == UINT32_MAX) continue; /* no number carries it */
        k.load[k.n] = r->load[i];
        k.replicas[k.n++] = r->replicas[i];
    }
    while (k.first < k.n && k.replicas[k.first] == 0) k.first++;
    return k;
}

static bool was_run(const struct maker *m)
{
    return m->entry->point.n_classes > 0;
}

/* How much of the work a card does beside another: serving is mostly reading memory. Before anything was simulated, the bound
 * of the search counts arithmetic. */
static double weight(const struct maker *m, const struct mdl_gpu *gpu)
{
    return was_run(m) ? gpu->bandwidth_byte_per_s : gpu->rate_flops[MDL_BF16];
}

static double have_weight(const struct maker *m)
{
    double sum = 0;
    for (uint32_t i = 0; i < m->plan->n_have; i++) {
        const struct exp_plan_have *h = &m->plan->have[i];
        sum += (double)h->servers * h->gpus_per_server * weight(m, m->entry->candidate.have_gpu[i]);
    }
    return sum;
}

static double replica_weight(const struct maker *m)
{
    return m->entry->candidate.tensor_parallel * weight(m, m->entry->candidate.gpu);
}

/* Load that the kept machines carry when nothing new is needed at the loads that are known. */
static double capacity_alone(const struct maker *m, const struct needs *k)
{
    static const double ENOUGH = 1e6; /* a bound: who knows better has run it */
    double least = k->n ? k->load[k->n - 1] : 1;
    if (!was_run(m)) return ENOUGH;
    return m->response ? fmax(least, m->response->headroom / (1 + m->plan->headroom)) : least;
}

/* Load that the kept machines carry. The new replicas that further load takes show what one of them carries, and what is left
 * is theirs; where too few are new to show it, the work is split by weight. */
static double have_capacity(const struct maker *m, const struct needs *k)
{
    if (k->first == k->n) return capacity_alone(m, k);
    double load = k->load[k->first], least = k->first ? k->load[k->first - 1] : 0;
    uint32_t n = k->replicas[k->first], most = k->replicas[k->n - 1];
    if (most >= n + LEAST_REPLICAS_APART) {
        double each = (k->load[k->n - 1] - load) / (most - n), rest = load - n * each;
        if (rest >= least && rest < load) return rest;
    }
    double have = have_weight(m);
    return fmax(least, load * have / (have + n * replica_weight(m)));
}

static void set_capacity(const struct maker *m)
{
    struct exp_economy *e = m->out;
    struct needs k = needs_of(m);
    e->margin = m->response ? m->response->margin : 1;
    e->have_capacity = m->entry->candidate.keeps_have ? have_capacity(m, &k) : 0;
    for (uint32_t i = k.first; i < k.n; i++) {
        double last = e->n_loads ? e->load[e->n_loads - 1] : e->have_capacity;
        if (k.replicas[i] == 0 || k.load[i] <= last) continue;
        e->load[e->n_loads] = k.load[i];
        e->capacity[e->n_loads++] = (k.load[i] - e->have_capacity) / k.replicas[i];
    }
    if (e->n_loads || !m->entry->candidate.keeps_have) return;
    e->load[0] = 1;
    e->capacity[0] = e->have_capacity * replica_weight(m) / have_weight(m);
    e->n_loads = 1;
}

/* ---- curves ---- */

/* Of the fleet that the points are of, in units of today's peak: it was sized for that, or is enough for more. */
static double fleet_capacity(const struct maker *m)
{
    return m->entry->n_replicas == 0 ? m->out->have_capacity : 1;
}

static void scale(struct exp_curve *c, double by)
{
    for (uint32_t i = 0; i < c->n; i++) c->x[i] *= by;
}

/* A line through 0 and the point, in chords over log x: down to a sixteenth of the point's load they are off by 2 % at most. */
static struct exp_curve busy_line(double x, double busy)
{
    static const double part[] = {0.03125, 0.0625, 0.09375, 0.125, 0.1875, 0.25, 0.375, 0.5, 0.75, 1};
    struct exp_curve c = {0};
    if (busy <= 0) return c;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        c.x[c.n] = part[i] * x;
        c.y[c.n++] = part[i] * busy;
    }
    if (busy < 1) {
        c.x[c.n] = x / busy;
        c.y[c.n++] = 1;
    }
    return c;
}

/* Nobody misses at half the load of the point. */
static struct exp_curve miss_line(double x, double miss)
{
    return (struct exp_curve){.n = 2, .x = {x / 2, x}, .y = {0, miss}};
}

/* A response's points lie at loads over the peak, an entry's own one at the peak and its headroom. */
static void set_curves(const struct maker *m)
{
    struct exp_economy *e = m->out;
    const struct exp_trial_point *p = &m->entry->point;
    double sized = (1 + m->plan->headroom) / fleet_capacity(m);
    if (!was_run(m)) return; /* a bound: nothing is busy, nothing missed */
    if (m->response) {
        e->busy = m->response->busy;
        e->miss = m->response->miss;
        scale(&e->busy, 1 / fleet_capacity(m));
        scale(&e->miss, 1 / fleet_capacity(m));
        return;
    }
    e->busy = busy_line(sized, p->gpu_busy);
    e->miss = miss_line(sized, p->miss);
}

/* ---- the load and what its answers are worth ---- */

static double failure_cost(const struct exp_plan_class *c)
{
    return c->cost_per_failure + c->churn_per_failure * c->customer_value;
}

/* Requests of a class, or those of them that miss. */
static double weight_of(const struct exp_class_point *c, bool missed)
{
    return (double)c->arrived * (missed ? 1 - c->attainment : 1);
}

/* Share of a class in all of them; classes count alike where there are none. */
static double share_of(const struct maker *m, uint32_t class, bool missed)
{
    const struct exp_trial_point *p = &m->entry->point;
    double all = 0;
    for (uint32_t c = 0; c < p->n_classes; c++) all += weight_of(&p->class[c], missed);
    return all > 0 ? weight_of(&p->class[class], missed) / all : 1.0 / m->plan->n_classes;
}

/* A miss costs what it costs the classes that miss, a failing answer what it costs on average. */
static void set_stakes(const struct maker *m)
{
    for (uint32_t c = 0; c < m->plan->n_classes; c++) {
        const struct exp_plan_class *k = &m->plan->class[c];
        m->out->cost_per_miss += share_of(m, c, m->entry->point.miss > 0) * k->cost_per_slo_miss;
        m->out->cost_per_failure += share_of(m, c, false) * failure_cost(k);
    }
}

static void set_load(const struct maker *m)
{
    struct exp_economy *e = m->out;
    const struct exp_entry *entry = m->entry;
    const struct exp_trial_point *p = &entry->point;
    e->requests_per_s = entry->request_rate;
    e->input_tokens = p->input_tokens;
    e->output_tokens = p->output_tokens;
    e->length_ratio = p->length_ratio > 0 ? p->length_ratio : 1;
    e->newly_failing = entry->rates.newly_failing;
    set_stakes(m);
    exp_plan_day(m->plan, e->day);
    e->growth_per_year = m->plan->growth_per_year;
    e->horizon_months = m->plan->horizon_months;
}

/* ---- machines ---- */

static void set_terms(const struct maker *m)
{
    struct exp_economy *e = m->out;
    const struct mdl_prices *p = m->prices;
    e->kwh = p->kwh.value;
    e->pue = p->pue.value;
    e->space_month = p->rack_server_month.value;
    e->maintenance_frac = p->maintenance_frac.value;
    e->value_loss_frac = p->value_loss_frac.value;
    e->lead_time_months = m->plan->lead_time_months;
    e->discount_rate = m->plan->discount_rate;
    e->bridge_rent = m->plan->bridge_rent;
    e->mix_own = 1;
    e->instance_hour = e->api_input_mtok = e->api_output_mtok = NAN;
}

static void set_new(const struct maker *m)
{
    struct exp_economy *e = m->out;
    const struct exp_candidate *c = &m->entry->candidate;
    e->gpus_per_server = c->gpus_per_server;
    e->replicas_per_server = exp_replicas_per_server(c);
    e->gpu_idle_w = c->gpu->idle_w;
    e->gpu_tdp_w = c->gpu->tdp_w;
}

static bool buy(const struct maker *m)
{
    const struct exp_candidate *c = &m->entry->candidate;
    const struct mdl_server_price *s = mdl_server_price(m->prices, c->gpu->name, c->gpus_per_server);
    if (!s) return no_price(m, "server", c->gpus_per_server, "");
    double more_gib = c->keeps_have || isnan(c->host_gib) ? 0 : fmax(0, c->host_gib - s->host_gib);
    if (more_gib > 0 && !m->prices->host_gib.known)
        return sim_fail(m->st, "prices: no `site.host_gib`; add it to %s", prices_file(m));
    m->out->server_price = s->server.value + more_gib * m->prices->host_gib.value;
    m->out->server_base_w = s->base_w;
    m->out->spare_servers = m->plan->spare_servers;
    return true;
}

/* The instance whose replicas cost least, among those that hold one and its memory. */
static bool rent(const struct maker *m)
{
    const struct exp_candidate *c = &m->entry->candidate;
    double least = INFINITY;
    for (uint32_t i = 0; i < m->prices->n_rents; i++) {
        const struct mdl_rent_price *r = &m->prices->rents[i];
        uint32_t replicas = r->gpus / c->tensor_parallel;
        bool small = r->host_gib / r->gpus < c->host_gib / c->gpus_per_server; /* not when that is NaN */
        bool fits = strcmp(r->gpu, c->gpu->name) == 0 && replicas > 0 && !small;
        if (!fits || r->hour.value / replicas >= least) continue;
        least = r->hour.value / replicas;
        m->out->instance_hour = r->hour.value;
        m->out->instance_replicas = replicas;
    }
    return least < INFINITY;
}

/* New machines, by the ways to get them that this one takes; renting until servers arrive is no must. */
static bool set_acquire(const struct maker *m, enum exp_acquire acquire)
{
    m->out->acquire = acquire;
    set_new(m);
    if (acquire != EXP_RENT && !buy(m)) return false;
    return rent(m) || acquire == EXP_BUY ||
           no_price(m, "rent", m->entry->candidate.tensor_parallel, "at least ");
}

/* A kept server by the price of one like it: its upkeep, and what it draws beside its GPUs. Without a price upkeep is left
 * out, and it draws half as much again as its GPUs. */
static void keep(const struct maker *m, const struct exp_plan_have *h, const struct mdl_gpu *gpu)
{
    struct exp_economy *e = m->out;
    double gpus = (double)h->servers * h->gpus_per_server;
    const struct mdl_server_price *s = mdl_server_price(m->prices, gpu->name, h->gpus_per_server);
    if (!s) s = mdl_server_price(m->prices, gpu->name, 0);
    e->have_servers += h->servers;
    e->have_gpus += (uint32_t)gpus;
    e->have_gpu_idle_w += gpus * gpu->idle_w;
    e->have_gpu_tdp_w += gpus * gpu->tdp_w;
    e->have_base_w += gpus * (s ? s->base_w / s->gpus : 0.5 * gpu->tdp_w);
    if (s) e->have_maintenance_month += gpus * s->server.value / s->gpus * e->maintenance_frac / 12;
}

static void set_have(const struct maker *m)
{
    const struct exp_candidate *c = &m->entry->candidate;
    for (uint32_t i = 0; c->keeps_have && i < m->plan->n_have; i++)
        keep(m, &m->plan->have[i], c->have_gpu[i]);
}

/* Memory for servers that have less than the candidate wants. */
static bool set_host_memory(const struct maker *m)
{
    const struct exp_candidate *c = &m->entry->candidate;
    double gib = 0;
    for (uint32_t i = 0; c->adds_host_memory && i < m->plan->n_have; i++) {
        const struct exp_plan_have *h = &m->plan->have[i];
        if (h->host_gib < c->host_gib) gib += h->servers * (c->host_gib - h->host_gib);
    }
    if (gib > 0 && !m->prices->host_gib.known)
        return sim_fail(m->st, "prices: no `site.host_gib`; add it to %s", prices_file(m));
    m->out->host_memory_price = gib * m->prices->host_gib.value;
    return true;
}

/* Is this what runs today? */
static bool runs_already(const struct maker *m)
{
    const struct exp_candidate *c = &m->entry->candidate;
    return c->keeps_have && !c->adds_host_memory && strcmp(c->contender->label, m->plan->baseline.label) == 0;
}

static bool set_labour(const struct maker *m)
{
    const char *strategy = m->entry->candidate.contender->strategy->name;
    const struct mdl_labour *l = mdl_labour(m->prices, strategy);
    if (!l)
        return sim_fail(m->st, "prices: no hours for strategy %s; add a row under `labour` of %s", strategy,
                        prices_file(m));
    double hour = m->prices->engineer_hour.value;
    m->out->integration = runs_already(m) ? 0 : l->integration_hours * hour;
    m->out->operations_month = l->operations_hours_per_month * hour;
    return true;
}

/* ---- the three of them ---- */

static void begin(const struct maker *m)
{
    memset(m->out, 0, sizeof *m->out);
    set_terms(m);
    set_load(m);
}

bool exp_economy_make(const struct exp_plan *plan, const struct mdl_prices *prices,
                      const struct exp_entry *entry, const struct exp_response *response,
                      enum exp_acquire acquire, struct exp_economy *out, struct sim_status *st)
{
    const struct maker m = {plan, prices, entry, response, out, st};
    SIM_CHECK(entry->n_replicas > 0 || entry->candidate.keeps_have);
    begin(&m);
    if (!need_site(&m) || !set_acquire(&m, acquire) || !set_host_memory(&m) || !set_labour(&m)) return false;
    set_have(&m);
    set_capacity(&m);
    set_curves(&m);
    exp_economy_prepare(out);
    return true;
}

bool exp_economy_do_nothing(const struct exp_plan *plan, const struct mdl_prices *prices,
                            const struct exp_entry *baseline, const struct exp_response *response,
                            struct exp_economy *out)
{
    struct sim_status ignored = {0};
    const struct maker m = {plan, prices, baseline, response, out, &ignored};
    begin(&m);
    if (!baseline->candidate.keeps_have || !need_site(&m) || !set_labour(&m)) return false;
    out->fixed = true;
    set_new(&m);
    set_have(&m);
    set_capacity(&m);
    set_curves(&m);
    exp_economy_prepare(out);
    return true;
}

bool exp_economy_api(const struct exp_plan *plan, const struct mdl_prices *prices,
                     const struct exp_entry *baseline, struct exp_economy *out)
{
    const struct maker m = {plan, prices, baseline, NULL, out, NULL};
    const struct mdl_api_price *price = mdl_api_price(prices, plan->base->model);
    if (!price) return false;
    begin(&m);
    out->acquire = EXP_RENT;
    out->output_tokens /=
        out->length_ratio; /* its answers are as long as with full KV, and none fails anew */
    out->length_ratio = 1;
    out->newly_failing = 0;
    out->api_input_mtok = price->input_mtok.value;
    out->api_output_mtok = price->output_mtok.value;
    exp_economy_prepare(out);
    return true;
}
