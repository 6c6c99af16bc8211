#include "sim/router.h"

#include "sim/cluster_state.h"
#include "sim/lengthshift.h"
#include "sim/predict.h"
#include "sim/random.h"

#include <math.h>
#include <string.h>

static uint32_t round_robin(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)r;
    (void)index;
    return (uint32_t)(c->router_turn % c->n_replicas);
}

static uint32_t at_random(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)r;
    double u = sim_random_unit(c->config->seed, sim_stream("router"), index);
    return (uint32_t)(u * c->n_replicas);
}

static uint32_t least_outstanding(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)r;
    (void)index;
    uint32_t best = 0;
    for (uint32_t i = 1; i < c->n_replicas; i++)
        if (sim_replica_outstanding(&c->replicas[i]) < sim_replica_outstanding(&c->replicas[best])) best = i;
    return best;
}

static double memory_share(const struct sim_replica *r)
{
    return (double)(sim_replica_used_blocks(r) + r->waiting_blocks) / (double)r->pool.n_blocks;
}

static uint32_t min_memory(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)r;
    (void)index;
    uint32_t best = 0;
    for (uint32_t i = 1; i < c->n_replicas; i++)
        if (memory_share(&c->replicas[i]) < memory_share(&c->replicas[best])) best = i;
    return best;
}

/* The fleets pinned to the class; without any, those pinned to none; without any of these, all. */
static bool serves(const struct sim_cluster *c, uint32_t replica, uint16_t slo_class)
{
    uint64_t bit = (uint64_t)1 << slo_class;
    bool pinned = false, unpinned = false;
    for (uint32_t f = 0; f < c->config->n_fleets; f++) {
        pinned |= (c->config->fleets[f].slo_class_mask & bit) != 0;
        unpinned |= c->config->fleets[f].slo_class_mask == 0;
    }
    uint64_t mask = c->config->fleets[c->replicas[replica].fleet].slo_class_mask;
    return pinned ? (mask & bit) != 0 : !unpinned || mask == 0;
}

static uint32_t by_class(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)index;
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < c->n_replicas; i++) {
        if (!serves(c, i, r->slo_class)) continue;
        if (best == UINT32_MAX ||
            sim_replica_outstanding(&c->replicas[i]) < sim_replica_outstanding(&c->replicas[best]))
            best = i;
    }
    return best;
}

/* --- by what is predicted for the request, as in the case study of arXiv 2503.24000 (Table 8) --- */

struct foresight {
    const struct sim_cluster *cluster;
    const struct sim_request *request;
    uint32_t index;
    double rate_sigma, length_sigma, length_draw;
    /* on the fleet that is looked at: predicted throughput over the true one, predicted output */
    double rate_error, tokens;
};

static struct foresight foresee(const struct sim_cluster *c, const struct sim_request *q, uint64_t index)
{
    const struct sim_predictor *p = &c->config->predictor;
    return (struct foresight){.cluster = c,
                              .request = q,
                              .index = (uint32_t)index,
                              .rate_sigma = sim_predict_sigma(p->throughput_accuracy),
                              .length_sigma = sim_predict_sigma(p->length_accuracy),
                              .length_draw = sim_length_draw(c->config->seed, (uint32_t)index)};
}

static void look_at(struct foresight *f, uint32_t fleet)
{
    const struct sim_config *config = f->cluster->config;
    uint64_t rate = sim_stream("predicted throughput"), length = sim_stream("predicted length");
    f->rate_error = sim_predict_error(f->rate_sigma, config->seed, rate, f->index, fleet);
    f->tokens = sim_tokens_at(&config->fleets[fleet], f->request, f->length_draw) *
                sim_predict_error(f->length_sigma, config->seed, length, f->index, fleet);
}

/* The replica with the least of what `score` says; of equals, where `balance` is set the one with the fewest
 * outstanding, then the lowest. Replicas of a fleet are neighbours. */
static uint32_t least(struct foresight *f,
                      double (*score)(const struct foresight *, const struct sim_replica *), bool balance)
{
    const struct sim_replica *all = f->cluster->replicas;
    double best_score = INFINITY;
    uint32_t best = 0;
    for (uint32_t i = 0; i < f->cluster->n_replicas; i++) {
        if (i == 0 || all[i].fleet != all[i - 1].fleet) look_at(f, all[i].fleet);
        double s = score(f, &all[i]);
        if (s > best_score) continue;
        if (s == best_score &&
            !(balance && sim_replica_outstanding(&all[i]) < sim_replica_outstanding(&all[best])))
            continue;
        best_score = s;
        best = i;
    }
    return best;
}

static double token_s(const struct foresight *f, const struct sim_replica *r)
{
    return sim_predict_token_s(r, f->request->input_tokens) / f->rate_error;
}

static double output_tokens(const struct foresight *f, const struct sim_replica *r)
{
    (void)r;
    return f->tokens;
}

static double latency_s(const struct foresight *f, const struct sim_replica *r)
{
    double prefill_s = sim_predict_prefill_s(r, f->request->input_tokens) / f->rate_error;
    return prefill_s + f->tokens * token_s(f, r);
}

static uint32_t predicted_throughput(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    struct foresight f = foresee(c, r, index);
    return least(&f, token_s, false);
}

/* A fleet's replicas differ by nothing in this, so one of them would take all. */
static uint32_t predicted_length(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    struct foresight f = foresee(c, r, index);
    return least(&f, output_tokens, true);
}

static uint32_t predicted_e2e(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    struct foresight f = foresee(c, r, index);
    return least(&f, latency_s, false);
}

static const struct sim_router routers[] = {
    {"round_robin", "each in turn", false, round_robin},
    {"random", "uniformly at random, by the seed", false, at_random},
    {"least_outstanding", "fewest requests running and waiting", true, least_outstanding},
    {"min_memory", "smallest share of KV blocks in use or needed by waiting prompts", true, min_memory},
    {"by_class", "the fleet pinned to the request's class, there the fewest outstanding", true, by_class},
    {"predicted_throughput", "highest decode throughput predicted for the request", true,
     predicted_throughput},
    {"predicted_length", "the fleet with the shortest answer predicted, there the fewest outstanding", true,
     predicted_length},
    {"predicted_e2e", "shortest prefill time + answer length / decode throughput, all predicted", true,
     predicted_e2e},
};

size_t sim_router_count(void)
{
    return sizeof routers / sizeof *routers;
}

const struct sim_router *sim_router_at(size_t i)
{
    return &routers[i];
}

const struct sim_router *sim_router_find(const char *name)
{
    for (size_t i = 0; i < sim_router_count(); i++)
        if (strcmp(routers[i].name, name) == 0) return &routers[i];
    return NULL;
}
