/* Money of one option: what a fleet that follows the load costs, month by month. An economy is plain data: how many replicas
 * a load takes, how busy they are, what fails, and all prices. A world is one draw of what nobody knows yet. From the two
 * follow purchases (lead time, rent bridging), cash per month and totals; no allocation, 4 us a call, renting by the hour 11.
 *   Month 0 is now; running costs of month m = 1 .. H are dated at its end, when its load is that of m / 12 years from now;
 *   purchases are dated at their delivery, and serve from the month after it. What month m needs is delivered with month
 *   m - 1, but nothing before the lead time (whole months, rounded up) is over. A month has 730 hours.
 *   NPV = sum over m of (baseline_m - option_m) / (1 + r)^(m / 12), plus the difference of residuals, discounted. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_MONEY_ECONOMY_H
#define KVSIM_EXPERIMENTS_PLANNING_MONEY_ECONOMY_H

#include "experiments/planning/file/plan_file.h"
#include "models/prices.h"

enum { EXP_MAX_LOADS = 8, EXP_MAX_MONTHS = 120, EXP_MAX_CURVE = 12 };

/* A function of the load on a replica, over the load that the fleet was sized for: linear between points in log x, the
 * ends held. x > 0 and rises. No points: 0. */
struct exp_curve {
    uint32_t n;
    double x[EXP_MAX_CURVE], y[EXP_MAX_CURVE];
};
double exp_curve_at(const struct exp_curve *c, double x);
/* The same of misses, which go on from the last point straight to 1 at twice its x. */
double exp_curve_miss_at(const struct exp_curve *c, double x);

/* Both curves over log x, at the points of either. */
struct exp_knot {
    double log_x, busy, miss;
};
enum { EXP_HOUR_KNOTS = 2 * EXP_MAX_CURVE + 1, EXP_DAY_KNOTS = EXP_DAY_HOURS * EXP_HOUR_KNOTS };

/* Hours with the same load; levels fall. */
struct exp_day_level {
    double load, log_load;
    double hours_frac, traffic_frac; /* of the day's hours, of its requests */
};

/* What follows from an economy's curves and day, so that a month takes one look-up instead of 24. */
struct exp_day_tables {
    uint32_t n_levels;
    struct exp_day_level level[EXP_DAY_HOURS];
    double mean; /* load */
    uint32_t n_hour, n_day;
    struct exp_knot hour[EXP_HOUR_KNOTS];
    struct exp_knot
        day[EXP_DAY_KNOTS]; /* means over a day whose busiest hour is at x: busy by hour, misses by request */
};

enum exp_cost_item {
    EXP_COST_SERVERS, /* and spares */
    EXP_COST_HOST_MEMORY,
    EXP_COST_INTEGRATION,
    EXP_COST_POWER,
    EXP_COST_SPACE, /* rack, network, remote hands */
    EXP_COST_MAINTENANCE,
    EXP_COST_OPERATIONS,
    EXP_COST_RENT,
    EXP_COST_SLO_LOSS,     /* requests outside their limits */
    EXP_COST_FAILURE_LOSS, /* newly failing answers, churn included */
    EXP_COST_API,          /* the reference line of a managed API */
    EXP_N_COST_ITEMS
};
const char *exp_cost_item_name(enum exp_cost_item i); /* "servers" */

struct exp_economy {
    enum exp_acquire acquire;
    /* Capacity of a replica, in units of load (over today's peak) and with headroom taken off, of a fleet that is made
     * for so much load: linear between, the ends held. A load takes ceil((load - have_capacity) / capacity) replicas. */
    uint32_t n_loads;
    double load[EXP_MAX_LOADS], capacity[EXP_MAX_LOADS];
    double margin; /* effort that such a fleet bears beyond the expected one; 0 = 1, none */
    struct exp_curve miss,
        busy; /* over load / capacity of the fleet that serves; misses of all classes by cost below */
    uint32_t replicas_per_server, gpus_per_server;
    uint32_t spare_servers; /* bought with the first server; they stand switched off */
    uint32_t have_servers;  /* already paid for; 0 = not kept */
    double have_capacity;   /* load that they carry */
    bool fixed;             /* do nothing: never buys nor rents; what does not fit is missed */

    double requests_per_s;                  /* at today's peak (the plan's load) */
    double input_tokens, output_tokens;     /* a request; output as served */
    double length_ratio;                    /* output over that of full KV */
    double newly_failing;                   /* share of answers; NaN = not known, costs nothing and says so */
    double cost_per_miss, cost_per_failure; /* means over classes by traffic; churn included */

    double server_price, server_base_w; /* currency, W */
    double host_memory_price;           /* once, for what there is */
    double instance_hour;               /* NaN = cannot be rented */
    uint32_t instance_replicas;
    double gpu_idle_w, gpu_tdp_w;
    uint32_t have_gpus;
    double have_gpu_idle_w, have_gpu_tdp_w, have_base_w; /* sums over all that are kept */
    double have_maintenance_month;                       /* currency, of all that are kept */
    double kwh, pue, space_month, maintenance_frac, value_loss_frac;
    double integration, operations_month; /* currency */
    double api_input_mtok,
        api_output_mtok; /* reference line: everything through an API; NaN = not this option */

    double day[EXP_DAY_HOURS]; /* load over the peak */
    double growth_per_year, lead_time_months, discount_rate;
    bool bridge_rent;
    uint32_t horizon_months;
    double mix_own; /* EXP_MIX: servers own this share of the month's peak; set by exp_economy_choose_mix */

    struct exp_day_tables tables; /* exp_economy_prepare */
};
/* Fills the tables: once all else is set, and again after a change to `day`, `miss` or `busy`. */
void exp_economy_prepare(struct exp_economy *e);

/* What a draw changes; exp_world_expected is all as the plan says. */
struct exp_world {
    double load;            /* on the load of every month after now: demand */
    double growth_per_year; /* instead of the economy's; NaN = as it is */
    double
        effort; /* the load feels like so many times itself: slower operators, longer outputs, lower hit rates */
    double planned; /* effort that the fleet is sized for, its margin on top: 1, or what a pilot measured */
    double length;  /* on output tokens */
    double capex, rent, power;                    /* on prices */
    double failure_rate, failure_cost, miss_cost; /* on those */
};
struct exp_world exp_world_expected(void);

struct exp_cash {
    uint32_t n_months;                                     /* H; entries 0 .. H */
    double month[EXP_MAX_MONTHS + 1];                      /* cash out, >= 0 */
    double item[EXP_N_COST_ITEMS];                         /* sums, undiscounted */
    double residual;                                       /* worth of what was bought, at the horizon */
    uint32_t servers[EXP_MAX_MONTHS + 1];                  /* owned and running, without spares */
    uint32_t bought[EXP_MAX_MONTHS + 1];                   /* delivered this month, spares included */
    double rented[EXP_MAX_MONTHS + 1];                     /* instances, mean over the month */
    double total;                                          /* undiscounted sum, less nothing */
    double served, good, output_tokens, equivalent_tokens; /* over the horizon, at mean load */
};
void exp_cash_flow(const struct exp_economy *e, const struct exp_world *w, struct exp_cash *out);

/* Replicas that a load takes beside the machines that there are. */
uint32_t exp_economy_replicas(const struct exp_economy *e, double load);

/* Sets mix_own to the share that costs least in the expected world. */
void exp_economy_choose_mix(struct exp_economy *e);

enum exp_payback { EXP_PAYBACK_MONTH, EXP_PAYBACK_IMMEDIATE, EXP_PAYBACK_NEVER, EXP_PAYBACK_EQUAL };
const char *exp_payback_name(enum exp_payback p); /* "months", "immediate", "never", "equal" */

struct exp_return {
    double npv, saving; /* discounted with residuals; undiscounted without */
    double capex;       /* servers, memory, integration */
    enum exp_payback payback;
    uint32_t
        payback_month; /* the first with cumulative undiscounted saving >= 0 after the last negative one */
};
struct exp_return exp_return_of(const struct exp_cash *baseline, const struct exp_cash *option,
                                double discount_rate);

struct exp_unit_costs {
    double per_hour; /* with what purchases lost in worth instead of their price; appears nowhere else */
    double per_1000_good;
    double per_mtok;            /* output tokens as served */
    double per_mtok_equivalent; /* at their length with full KV */
    double per_month;           /* total / months */
};
struct exp_unit_costs exp_unit_costs_of(const struct exp_cash *c);

/* Load over today's at which `a` and `b` cost the same over the horizon, by bisection between 1/1024 and 1024; the largest
 * where there are several more than 1 % apart, and the load at which the order changes where whole servers make costs jump.
 * NaN when one is always cheaper. */
double exp_break_even_load(const struct exp_economy *a, const struct exp_economy *b);

#endif
