/* What a request holds in both pools by its strategy's rule, and what decode attention reads of it. */
#include "sim/replica.h"

void sim_replica_add_reads(const struct sim_replica *r, struct sim_reads *reads, const struct sim_seq *s,
                           uint32_t tokens)
{
    const struct sim_kv_rule *kv = sim_seq_rule(r, s);
    reads->kept += sim_kv_read(kv, sim_seq_at(r, s, tokens));
    if (tokens <= kv->select_after) return;
    reads->selecting += tokens;
    reads->n_selecting++;
}

uint32_t sim_replica_known_tokens(const struct sim_replica *r, uint32_t request)
{
    return r->shared->requests[request].input_tokens + (r->shared->generated[request] & ~SIM_SWAPPED);
}

/* The rule of a waiting request, as far as it is known before it is admitted. */
static const struct sim_kv_rule *rule_of(const struct sim_replica *r, uint32_t request)
{
    const struct sim_fleet *f = r->of;
    if (f->fallback != SIM_FALLBACK_SHORT) return r->kv;
    uint64_t tokens =
        (uint64_t)r->shared->requests[request].input_tokens + r->shared->outcomes[request].output_tokens;
    return tokens < f->fallback_tokens ? f->plain : r->kv;
}

/* Pages of a rule that is not rich. */
static inline uint32_t plain_pages(const struct sim_kv_rule *kv, uint32_t tokens)
{
    uint32_t page = kv->term[0].page_tokens;
    return tokens / page + (tokens % page > 0);
}

static inline uint64_t gpu_need(const struct sim_replica *r, const struct sim_kv_rule *kv,
                                struct sim_kv_length at)
{
    if (!r->rich) return (uint64_t)plain_pages(kv, at.tokens) * kv->term[0].units;
    return sim_kv_need(kv, SIM_KV_GPU, at);
}

static inline uint64_t host_need(const struct sim_replica *r, const struct sim_kv_rule *kv,
                                 struct sim_kv_length at)
{
    return r->rich ? sim_kv_need(kv, SIM_KV_HOST, at) : 0;
}

static inline uint32_t covered(const struct sim_replica *r, const struct sim_kv_rule *kv,
                               struct sim_kv_length at)
{
    if (!r->rich) return plain_pages(kv, at.tokens) * kv->term[0].page_tokens;
    return sim_kv_covered(kv, at);
}

uint64_t sim_replica_waiting_units(const struct sim_replica *r, uint32_t request, uint32_t known)
{
    return gpu_need(r, rule_of(r, request), (struct sim_kv_length){known, known});
}

bool sim_replica_fits(const struct sim_replica *r, const struct sim_kv_rule *kv, struct sim_kv_length at,
                      uint64_t spare)
{
    return gpu_need(r, kv, at) + spare <= r->pool.n_free && host_need(r, kv, at) <= r->host.n_free;
}

struct sim_entry sim_replica_head(const struct sim_replica *r)
{
    uint32_t request = r->waiting.head, kept = r->shared->generated[request];
    struct sim_entry e = {
        .request = request, .known = sim_replica_known_tokens(r, request), .kv = rule_of(r, request)};
    e.computed = kept & SIM_SWAPPED ? e.known - 1 : 0;
    e.filled = e.computed ? r->shared->requests[request].input_tokens : e.known;
    if (r->of->fallback == SIM_FALLBACK_HOST_FULL &&
        host_need(r, e.kv, (struct sim_kv_length){e.known, e.known}) > r->host.n_free)
        e.kv = r->of->plain;
    return e;
}

/* By a rule that is not rich: what a sequence of so many tokens lacks; it holds that from now on. */
static inline uint32_t hold_pages(const struct sim_replica *r, struct sim_seq *s, uint32_t tokens)
{
    struct sim_holding *h = sim_holding_of(r, s);
    uint32_t pages = plain_pages(r->kv, tokens), units = pages * r->kv->term[0].units;
    uint32_t more = units - h->held[SIM_KV_GPU];
    h->held[SIM_KV_GPU] = units;
    s->covered = pages * r->kv->term[0].page_tokens;
    return more;
}

static bool grow_plain(struct sim_replica *r, struct sim_seq *s, uint32_t tokens)
{
    const struct sim_holding *h = sim_holding_of(r, s);
    uint64_t units = (uint64_t)plain_pages(r->kv, tokens) * r->kv->term[0].units;
    if (units > r->pool.n_free + h->held[SIM_KV_GPU]) return false;
    return sim_kv_grow(&r->pool, h->run[SIM_KV_GPU], hold_pages(r, s, tokens));
}

bool sim_replica_grow(struct sim_replica *r, struct sim_seq *s, uint32_t tokens)
{
    if (!r->rich) return grow_plain(r, s, tokens);
    struct sim_kv_length at = sim_seq_at(r, s, tokens);
    uint64_t gpu = gpu_need(r, sim_seq_rule(r, s), at), host = host_need(r, sim_seq_rule(r, s), at);
    struct sim_holding *h = sim_holding_of(r, s);
    uint64_t more_gpu = gpu > h->held[SIM_KV_GPU] ? gpu - h->held[SIM_KV_GPU] : 0;
    uint64_t more_host = host > h->held[SIM_KV_HOST] ? host - h->held[SIM_KV_HOST] : 0;
    if (more_gpu > r->pool.n_free || more_host > r->host.n_free) return false;
    sim_kv_grow(&r->pool, h->run[SIM_KV_GPU], more_gpu);
    if (more_host) sim_kv_grow(&r->host, h->run[SIM_KV_HOST], more_host);
    h->held[SIM_KV_GPU] += (uint32_t)more_gpu;
    h->held[SIM_KV_HOST] += (uint32_t)more_host;
    s->covered = covered(r, sim_seq_rule(r, s), at);
    return true;
}

void sim_replica_settle(struct sim_replica *r, struct sim_seq *s)
{
    struct sim_kv_length at = sim_seq_at(r, s, s->computed);
    struct sim_holding *h = sim_holding_of(r, s);
    if (!r->rich) {
        sim_kv_settle(&r->pool, h->run[SIM_KV_GPU], hold_pages(r, s, s->computed));
        return;
    }
    uint32_t holds[] = {(uint32_t)gpu_need(r, sim_seq_rule(r, s), at),
                        (uint32_t)host_need(r, sim_seq_rule(r, s), at)};
    for (int p = 0; p < SIM_KV_N_PLACE; p++) {
        sim_kv_settle(sim_replica_pool(r, p), h->run[p], holds[p] - h->held[p]);
        h->held[p] = holds[p];
    }
    s->covered = covered(r, sim_seq_rule(r, s), at);
}

void sim_replica_end_fill(struct sim_replica *r, struct sim_seq *s)
{
    struct sim_kv_length at = sim_seq_at(r, s, s->computed);
    struct sim_holding *h = sim_holding_of(r, s);
    for (int p = 0; p < SIM_KV_N_PLACE; p++) {
        uint64_t keeps = sim_kv_units(sim_seq_rule(r, s), (enum sim_kv_place)p, at);
        if (keeps >= h->held[p]) continue;
        sim_kv_shrink(sim_replica_pool(r, p), h->run[p], h->held[p] - keeps);
        h->held[p] = (uint32_t)keeps;
    }
    s->covered = sim_kv_covered(sim_seq_rule(r, s), at);
}

struct sim_reads sim_replica_reads(const struct sim_replica *r)
{
    struct sim_reads reads = {.n_seqs = r->n_running};
    for (uint32_t i = 0; i < r->n_running; i++) {
        const struct sim_seq *s = &r->seqs[r->running[i]];
        uint32_t tokens = s->known + (r->run.active ? r->run.steps : 0);
        reads.all += tokens;
        if (r->rich) sim_replica_add_reads(r, &reads, s, tokens);
    }
    if (!r->rich) reads.kept = reads.all;
    return reads;
}
