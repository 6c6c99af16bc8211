#include "traces/prefix.h"

#include "sim/memory.h"
#include "traces/intern.h"

#include <string.h>

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void measure_hash_ids(const struct trc_trace *t, struct trc_prefix_info *out)
{
    struct trc_id_set seen = {0};
    for (uint64_t i = 0; i < t->n_requests; i++) {
        uint32_t begin = t->hash_begin[i], end = t->hash_begin[i + 1], k = begin;
        while (k < end && trc_id_set_has(&seen, t->hash_ids[k])) k++;
        out->n_blocks += end - begin;
        out->n_hit_blocks += k - begin;
        out->hit_tokens += smaller((uint64_t)(k - begin) * t->hash_block_size, t->requests[i].input_tokens);
        for (k = begin; k < end; k++) trc_id_set_add(&seen, t->hash_ids[k]);
    }
    out->n_unique_blocks = seen.n;
    trc_id_set_fini(&seen);
}

static void measure_groups(const struct trc_trace *t, struct trc_prefix_info *out)
{
    struct trc_intern groups = {0};
    struct sim_arena *strings = sim_arena_new();
    for (uint64_t i = 0; i < t->n_requests; i++) {
        if (!*t->prefix_group[i]) continue;
        struct trc_intern_entry *e = trc_intern(&groups, t->prefix_group[i], strings);
        if (e->value++) out->hit_tokens += smaller(t->prefix_length[i], t->requests[i].input_tokens);
    }
    trc_intern_fini(&groups);
    sim_arena_free(strings);
}

static void measure_sessions(const struct trc_trace *t, struct trc_prefix_info *out)
{
    struct trc_intern sessions = {0};
    struct sim_arena *strings = sim_arena_new();
    for (uint64_t i = 0; i < t->n_requests; i++) {
        if (!*t->session_id[i]) continue;
        struct trc_intern_entry *e = trc_intern(&sessions, t->session_id[i], strings);
        const struct sim_request *r = &t->requests[i];
        out->hit_tokens += smaller(e->value, r->input_tokens); /* value: context after the turn before */
        e->value = (uint64_t)r->input_tokens + r->output_tokens;
    }
    trc_intern_fini(&sessions);
    sim_arena_free(strings);
}

void trc_prefix_measure(const struct trc_trace *t, struct trc_prefix_info *out)
{
    memset(out, 0, sizeof *out);
    if (t->hash_begin && t->hash_begin[t->n_requests] > 0) {
        out->source = TRC_PREFIX_HASH_IDS;
        measure_hash_ids(t, out);
    } else if (t->prefix_group && t->prefix_length) {
        out->source = TRC_PREFIX_GROUP;
        measure_groups(t, out);
    } else if (t->session_id) {
        out->source = TRC_PREFIX_SESSION;
        measure_sessions(t, out);
    }
}

uint64_t trc_count_sessions(const struct trc_trace *t)
{
    if (!t->session_id) return 0;
    struct trc_intern sessions = {0};
    struct sim_arena *strings = sim_arena_new();
    uint64_t n_alone = 0;
    for (uint64_t i = 0; i < t->n_requests; i++) {
        if (*t->session_id[i])
            trc_intern(&sessions, t->session_id[i], strings);
        else
            n_alone++;
    }
    uint64_t n = sessions.n + n_alone;
    trc_intern_fini(&sessions);
    sim_arena_free(strings);
    return n;
}
