#include "experiments/planning/money/economy.h"

#include <math.h>
#include <string.h>

#include "experiments/planning/money/economy_parts.h"
#include "sim/check.h"

static const double MONTH_S = 730 * 3600.0;
static const double MOST_MACHINES = 1e9; /* so that any load has a number of them */

const char *exp_cost_item_name(enum exp_cost_item i)
{
    static const char *const names[EXP_N_COST_ITEMS] = {
        "servers",    "host memory", "integration", "power",           "space",      "maintenance",
        "operations", "rent",        "missed SLOs", "failing answers", "managed API"};
    return names[i];
}

struct exp_world exp_world_expected(void)
{
    return (struct exp_world){.load = 1,
                              .growth_per_year = NAN,
                              .effort = 1,
                              .planned = 1,
                              .length = 1,
                              .capex = 1,
                              .rent = 1,
                              .power = 1,
                              .failure_rate = 1,
                              .failure_cost = 1,
                              .miss_cost = 1};
}

/* ---- machines that a load takes ---- */

/* Of a replica, in a fleet that is made for so much load. */
static double capacity_for(const struct exp_economy *e, double load)
{
    uint32_t i = 0, last = e->n_loads - 1;
    if (e->n_loads == 0) return 0;
    while (i < e->n_loads && e->load[i] < load) i++;
    if (i == 0 || i > last) return e->capacity[i == 0 ? 0 : last];
    double part = (load - e->load[i - 1]) / (e->load[i] - e->load[i - 1]);
    return e->capacity[i - 1] + part * (e->capacity[i] - e->capacity[i - 1]);
}

/* A whole number of machines, each of so much; what exceeds it by rounding alone takes none more. */
static double whole(double need, double each)
{
    return need > 0 ? fmin(ceil(need / each - 1e-9), MOST_MACHINES) : 0;
}

uint32_t exp_economy_replicas(const struct exp_economy *e, double load)
{
    double each = capacity_for(e, load);
    return each > 0 ? (uint32_t)whole(load - e->have_capacity, each) : 0;
}

/* ---- a month ---- */

struct flow {
    const struct exp_economy *e;
    const struct exp_world *w;
    struct exp_cash *out;
    bool rents;                 /* may rent what it does not own */
    double own_share;           /* of the peak that is bought for */
    uint32_t first_delivery;    /* month */
    double growth, keeps_worth; /* factors, a month */
    double server_price;        /* in this world */
    uint32_t cursor;
    /* of the month */
    uint32_t month;
    double load, demand; /* load; as it feels */
    double sized; /* what machines are there for: more than the load when it feels like more than they bear */
    double capacity;              /* of a replica at this size */
    double servers, owned;        /* running; spares included */
    double worth;                 /* of all that was bought */
    double busy, miss, instances; /* means over the day */
};

static void pay(struct flow *f, uint32_t month, enum exp_cost_item item, double amount)
{
    f->out->month[month] += amount;
    f->out->item[item] += amount;
}

/* What this month takes is there at its begin, with the month before it, if its lead time is over by then. */
static void take_delivery(struct flow *f)
{
    const struct exp_economy *e = f->e;
    uint32_t at = f->month - 1;
    if (f->own_share == 0 || at < f->first_delivery) return;
    double replicas = whole(f->own_share * f->sized - e->have_capacity, f->capacity);
    double servers = whole(replicas, e->replicas_per_server);
    if (servers <= f->servers) return;
    double bought = servers - f->servers + (f->servers == 0 ? e->spare_servers : 0);
    f->servers = servers;
    f->owned += bought;
    f->out->bought[at] = (uint32_t)bought;
    f->worth += bought * f->server_price;
    pay(f, at, EXP_COST_SERVERS, bought * f->server_price);
}

/* The same machines all day; none miss everything. */
static void serve_alone(struct flow *f, double fleet)
{
    const struct exp_day_tables *t = &f->e->tables;
    struct exp_knot k = {.miss = 1};
    if (fleet > 0) k = exp_knot_at(t->day, t->n_day, log(f->demand / fleet), &f->cursor);
    f->busy = k.busy;
    f->miss = k.miss;
    f->instances = 0;
}

/* What does not fit on own machines is rented, hour by hour, in whole instances. */
static void serve_by_hour(struct flow *f)
{
    const struct exp_economy *e = f->e;
    const struct exp_day_tables *t = &e->tables;
    double own = f->servers * e->replicas_per_server, log_demand = log(f->demand);
    uint32_t cursor = t->n_hour - 1;
    f->busy = f->miss = f->instances = 0;
    for (uint32_t i = 0; i < t->n_levels; i++) {
        double need = whole(f->sized * t->level[i].load - e->have_capacity, f->capacity);
        double instances = whole(need - own, e->instance_replicas);
        double fleet = e->have_capacity + (own + instances * e->instance_replicas) * f->capacity;
        double log_x = log_demand + t->level[i].log_load - log(fleet);
        struct exp_knot k = {0};
        if (fleet > 0) k = exp_knot_at(t->hour, t->n_hour, log_x, &cursor); /* else there is no load */
        f->busy += t->level[i].hours_frac * k.busy;
        f->miss += t->level[i].traffic_frac * k.miss;
        f->instances += t->level[i].hours_frac * instances;
    }
}

static void serve(struct flow *f)
{
    const struct exp_economy *e = f->e;
    double fleet = e->have_capacity + f->servers * e->replicas_per_server * f->capacity;
    if (exp_economy_is_api(e))
        f->busy = f->miss = f->instances = 0;
    else if (f->rents && whole(f->sized - fleet, f->capacity) > 0)
        serve_by_hour(f);
    else
        serve_alone(f, fleet);
}

static void pay_machines(struct flow *f)
{
    const struct exp_economy *e = f->e;
    double gpu_w = e->gpu_idle_w + f->busy * (e->gpu_tdp_w - e->gpu_idle_w);
    double have_w = e->have_base_w + e->have_gpu_idle_w + f->busy * (e->have_gpu_tdp_w - e->have_gpu_idle_w);
    double watts = f->servers * (e->gpus_per_server * gpu_w + e->server_base_w) + have_w;
    pay(f, f->month, EXP_COST_POWER, watts * 1e-3 * e->pue * EXP_MONTH_HOURS * e->kwh * f->w->power);
    pay(f, f->month, EXP_COST_SPACE, (f->owned + e->have_servers) * e->space_month);
    pay(f, f->month, EXP_COST_MAINTENANCE,
        f->owned * f->server_price * e->maintenance_frac / 12 + e->have_maintenance_month);
    pay(f, f->month, EXP_COST_OPERATIONS, e->operations_month);
    if (f->instances > 0)
        pay(f, f->month, EXP_COST_RENT, f->instances * EXP_MONTH_HOURS * e->instance_hour * f->w->rent);
}

static void pay_answers(struct flow *f)
{
    const struct exp_economy *e = f->e;
    const struct exp_world *w = f->w;
    double requests = e->requests_per_s * f->load * e->tables.mean * MONTH_S;
    double failing = isnan(e->newly_failing) ? 0 : fmin(1, e->newly_failing * w->failure_rate);
    double output = e->output_tokens * w->length;
    pay(f, f->month, EXP_COST_SLO_LOSS, requests * f->miss * e->cost_per_miss * w->miss_cost);
    pay(f, f->month, EXP_COST_FAILURE_LOSS, requests * failing * e->cost_per_failure * w->failure_cost);
    if (exp_economy_is_api(e))
        pay(f, f->month, EXP_COST_API,
            requests * 1e-6 * (e->input_tokens * e->api_input_mtok + output * e->api_output_mtok));
    f->out->served += requests;
    f->out->good += requests * (1 - f->miss) * (1 - failing);
    f->out->output_tokens += requests * output;
    f->out->equivalent_tokens += requests * e->output_tokens / e->length_ratio;
}

/* ---- the horizon ---- */

static struct flow start(const struct exp_economy *e, const struct exp_world *w, struct exp_cash *out)
{
    double growth = isnan(w->growth_per_year) ? e->growth_per_year : w->growth_per_year;
    bool own_none = e->fixed || e->acquire == EXP_RENT || exp_economy_is_api(e);
    return (struct flow){.e = e,
                         .w = w,
                         .out = out,
                         .rents = !e->fixed && !isnan(e->instance_hour) &&
                                  (e->acquire != EXP_BUY || e->bridge_rent),
                         .own_share = own_none                ? 0
                                      : e->acquire == EXP_MIX ? e->mix_own
                                                              : 1,
                         .first_delivery = (uint32_t)fmin(ceil(e->lead_time_months), EXP_MAX_MONTHS),
                         .growth = pow(1 + growth, 1.0 / 12),
                         .keeps_worth = pow(1 - e->value_loss_frac, 1.0 / 12),
                         .server_price = e->server_price * w->capex,
                         .load = w->load};
}

static void pay_now(struct flow *f)
{
    f->worth = f->e->host_memory_price * f->w->capex;
    pay(f, 0, EXP_COST_HOST_MEMORY, f->worth);
    pay(f, 0, EXP_COST_INTEGRATION, f->e->integration);
}

void exp_cash_flow(const struct exp_economy *e, const struct exp_world *w, struct exp_cash *out)
{
    SIM_CHECK(e->tables.n_day > 0 && e->horizon_months <= EXP_MAX_MONTHS);
    memset(out, 0, sizeof *out);
    out->n_months = e->horizon_months;
    struct flow f = start(e, w, out);
    pay_now(&f);
    for (f.month = 1; f.month <= e->horizon_months; f.month++) {
        f.load *= f.growth;
        f.demand = f.load * w->effort;
        f.sized = f.load * fmax(w->planned, w->effort / fmax(e->margin, 1));
        f.capacity = capacity_for(e, f.sized);
        take_delivery(&f);
        serve(&f);
        pay_machines(&f);
        pay_answers(&f);
        f.worth *= f.keeps_worth;
        out->servers[f.month] = (uint32_t)f.servers;
        out->rented[f.month] = f.instances;
    }
    out->residual = f.worth;
    for (uint32_t m = 0; m <= out->n_months; m++) out->total += out->month[m];
}
