/* From outcomes to the figures that people compare: vLLM's names and formulas, exact percentiles (linear
 * interpolation as numpy's) for TTFT, TPOT, E2EL and queueing, the histogram's for ITL. Everything in seconds
 * here; milliseconds belong to the printers. */
#ifndef KVSIM_SIM_METRICS_H
#define KVSIM_SIM_METRICS_H

#include "sim/cluster.h"

struct sim_stat {
    double mean, median, std, p50, p90, p95, p99; /* std is the population's; median == p50 */
};

enum sim_load_state { SIM_STABLE, SIM_BACKLOGGED, SIM_OVERLOADED };
const char *sim_load_state_name(enum sim_load_state s);

/* One class, or the whole run. */
struct sim_summary {
    uint64_t arrived, completed, rejected, unfinished;
    uint64_t input_tokens, output_tokens; /* of completed requests */
    uint64_t equivalent_output_tokens;    /* theirs with full KV, at the lengths that the load says */
    double length_factor;                 /* output_tokens over these */
    double equivalent_output_throughput;  /* these per second */
    uint64_t preemptions;
    double duration_s; /* first arrival to last completion */
    double request_throughput, output_throughput, total_token_throughput; /* per second */
    double request_goodput;                                               /* good requests per second */
    struct sim_stat ttft, tpot, itl, e2el, queue; /* TPOT over requests with more than one output token */
    double slo_attainment;                        /* good / arrived */
    double slo_attainment_worst_5min;             /* the worst window of 300 s by arrival */
    uint64_t slo_violations_ttft, slo_violations_tpot, slo_violations_e2el; /* of completed requests */
    bool sla_met;
};

/* One fleet; shares are of its own replicas, links and steps. */
struct sim_fleet_report {
    double kv_peak_utilization, kv_mean_utilization, kv_host_peak_utilization;
    double gpu_busy, link_busy, host_link_busy, exposed_frac; /* as of the whole run, below */
    uint64_t kv_capacity_tokens, preemptions, fell_back, max_running;
};

struct sim_report {
    struct sim_summary all;
    struct sim_summary *classes; /* n_classes */
    uint32_t n_classes;
    struct sim_fleet_report *fleets; /* n_fleets */
    uint32_t n_fleets;
    enum sim_load_state load_state;
    bool load_is_brief; /* its last request comes less than a mean service time after the first */
    double kv_peak_utilization, kv_mean_utilization, gpu_busy;
    double link_busy;      /* by one replica */
    double host_link_busy; /* by all replicas on it; of the fleet whose links are busiest */
    double exposed_frac;   /* of the time with a step in flight: waiting for transfers, with corrections and
                              conversions */
    double link_up_bytes, link_down_bytes; /* host to device, device to host */
    double recalled_pages, corrected_heads;
    double kv_host_peak_utilization;
    double mean_running;               /* whole cluster */
    uint64_t max_running, max_waiting; /* largest on any one replica */
    uint64_t kv_capacity_tokens, iterations;
    uint64_t fell_back; /* requests */
    double output_throughput_per_gpu;
    double time_frac[SIM_N_EVIDENCE]; /* shares of GPU time by evidence; sum 1 when anything ran */
};

struct sim_report *sim_report_new(const struct sim_config *config, const struct sim_result *result);
void sim_report_free(struct sim_report *r);

#endif
