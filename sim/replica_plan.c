/* The plan: every row of every step, for whoever wants to see the batches. */
#include "sim/replica.h"

#include <math.h>

/* Pages of a sequence that the strategy has dropped from the GPU at a length. */
static uint32_t dropped_pages(const struct sim_replica *r, const struct sim_seq *s, uint32_t tokens)
{
    const struct sim_kv_rule *kv = sim_seq_rule(r, s);
    uint32_t kept = sim_kv_kept(kv, sim_seq_at(r, s, tokens));
    return (tokens - kept) / kv->term[0].page_tokens;
}

static uint32_t plan_reads(const struct sim_replica *r, const struct sim_seq *s, uint32_t n_tokens)
{
    const struct sim_kv_rule *kv = sim_seq_rule(r, s);
    uint32_t all = s->computed + n_tokens;
    if (!sim_row_is_decode(s, n_tokens)) return all;
    uint32_t kept = sim_kv_read(kv, sim_seq_at(r, s, all));
    return (uint32_t)lround(kv->all_frac * all + (1 - kv->all_frac) * kept);
}

void sim_plan_tell(const struct sim_replica *r, const struct sim_seq *s, const struct sim_step *step,
                   uint32_t n_tokens)
{
    struct sim_plan_row row = {.step = r->stats.iterations,
                               .replica = r->id,
                               .request = s->request,
                               .start_s = step->start_s,
                               .end_s = n_tokens ? step->end_s : 0,
                               .new_tokens = n_tokens,
                               .past_tokens = s->computed,
                               .read_tokens = n_tokens ? plan_reads(r, s, n_tokens) : 0};
    if (n_tokens)
        row.evicted_pages = dropped_pages(r, s, s->computed + n_tokens) - dropped_pages(r, s, s->computed);
    row.recalled_pages = step->row_pages;
    row.corrected_heads = step->row_heads;
    r->shared->plan_row(r->shared->plan_user, &row);
}

static bool selects(const struct sim_replica *r, const struct sim_seq *s, uint32_t n_tokens)
{
    return sim_row_is_decode(s, n_tokens) && s->computed + n_tokens > sim_seq_rule(r, s)->select_after;
}

/* A step's pages and heads, dealt out evenly: rows of whole numbers that add up to the rounded sum. */
void sim_plan_tell_step(struct sim_replica *r, struct sim_step *step)
{
    uint32_t n = 0, i_selecting = 0;
    for (uint32_t i = 0; i < step->n_rows; i++)
        n += selects(r, &r->seqs[step->rows[i].slot], step->rows[i].n_tokens);
    uint64_t pages = (uint64_t)llround(step->pages), heads = (uint64_t)llround(step->heads);
    for (uint32_t i = 0; i < step->n_rows; i++) {
        const struct sim_seq *s = &r->seqs[step->rows[i].slot];
        step->row_pages = step->row_heads = 0;
        if (selects(r, s, step->rows[i].n_tokens)) {
            step->row_pages = (uint32_t)(pages * (i_selecting + 1) / n - pages * i_selecting / n);
            step->row_heads = (uint32_t)(heads * (i_selecting + 1) / n - heads * i_selecting / n);
            i_selecting++;
        }
        sim_plan_tell(r, s, step, step->rows[i].n_tokens);
    }
}
