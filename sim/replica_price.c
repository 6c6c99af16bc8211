/* What a replica's steps take, with what they move and wait for, and the books about it. */
#include "sim/replica.h"

#include "sim/random.h"

#include <math.h>

/* `miss` and `correct`: sums over steps of the draws; `steps`: of what does not depend on them. */
static void book_recall(struct sim_replica *r, const struct sim_recall *m, double steps, double miss,
                        double correct)
{
    struct sim_fleet_stats *t = &r->stats;
    t->up_bytes += m->up_bytes * miss;
    t->down_bytes += m->down_bytes * steps;
    t->recalled_pages += m->pages * miss;
    t->corrected_heads += m->heads * m->correct_frac * correct;
}

/* A line's steps at the mean rates: what contexts add to the wire is taken at their mean, too. */
static double mean_wire_s(const struct sim_line_use *u)
{
    if (!u->steps) return 0;
    double steps = (double)u->steps, selecting = (double)u->selecting_sum / steps;
    struct sim_recall m = sim_recall_plus(&u->line.recall, &u->line.recall_token, selecting);
    return steps * sim_recall_wire_s(&m, (struct sim_recall_draw){1, 1});
}

/* Of the line in use. */
static double line_wire_s(const struct sim_replica *r)
{
    if (!r->rich) return 0;
    return r->cost->n_draws > 0 || r->link ? r->use.wire_s : mean_wire_s(&r->use);
}

/* Of a step that was priced last where lines price it. */
static double step_link_s(const struct sim_replica *r, const struct sim_step *step)
{
    const struct sim_decode_line *line = &r->use.line;
    if (!step->on_line) return step->link_s;
    struct sim_recall m = sim_recall_plus(&line->recall, &line->recall_token, (double)step->selecting);
    return step->link_s + sim_recall_wire_s(&m, sim_replica_draw(r, r->stats.iterations - 1));
}

double sim_replica_link_s(const struct sim_replica *r, double now_s)
{
    double sum_s = r->stats.link_s + line_wire_s(r);
    for (uint32_t i = 0; i < r->n_in_flight; i++) {
        const struct sim_step *step = &r->steps[(r->first_step + i) % r->cost->n_stages];
        if (step->end_s > now_s && step->end_s > step->start_s)
            sum_s -= step_link_s(r, step) * (step->end_s - now_s) / (step->end_s - step->start_s);
    }
    return sum_s;
}

void sim_replica_book_line(struct sim_replica *r)
{
    struct sim_line_use *u = &r->use;
    const struct sim_decode_line *line = &u->line;
    double steps = (double)u->steps, selecting_s = line->select_slope_s * (double)u->selecting_sum;
    double kv = line->kept_frac * (double)u->kept_sum + line->all_frac * (double)u->all_sum;
    r->stats.gpu_s += steps * line->gpu_base_s + line->gpu_slope_s * kv + selecting_s;
    for (int e = 0; e < SIM_N_EVIDENCE; e++) r->stats.by_evidence_s[e] += steps * line->base_by_evidence_s[e];
    r->stats.by_evidence_s[line->attention] += steps * line->attention_base_s + line->gpu_slope_s * kv;
    if (r->rich) {
        bool drawn = r->cost->n_draws > 0;
        double selecting = (double)u->selecting_sum;
        r->stats.by_evidence_s[line->select] += selecting_s;
        r->stats.by_evidence_s[line->recall.how] += u->exposed_s;
        r->stats.exposed_s += u->exposed_s;
        r->stats.link_s += line_wire_s(r);
        book_recall(r, &line->recall, steps, drawn ? u->miss_sum : steps, drawn ? u->correct_sum : steps);
        book_recall(r, &line->recall_token, selecting, drawn ? u->miss_selecting_sum : selecting, 0);
    }
    u->steps = u->kept_sum = u->all_sum = u->selecting_sum = 0;
    u->wire_s = u->exposed_s = u->miss_sum = u->miss_selecting_sum = u->correct_sum = 0;
}

void sim_replica_fetch_line(struct sim_replica *r, const struct sim_reads *reads)
{
    sim_replica_book_line(r);
    r->use.n_seqs = reads->n_seqs;
    r->use.n_selecting = reads->n_selecting;
    r->cost->decode_line(r->cost, reads, &r->use.line);
}

/* What the line in use has priced is booked by the cost that it came from; the next step fetches one anew. */
void sim_replica_change_cost(struct sim_replica *r, double now_s)
{
    const struct sim_fleet *f = r->of;
    sim_replica_book_line(r);
    while (r->n_later < f->n_later && f->later[r->n_later].from_s <= now_s)
        r->cost = f->later[r->n_later++].cost;
    r->later_s = r->n_later < f->n_later ? f->later[r->n_later].from_s : INFINITY;
    r->use.n_seqs = 0;
}

bool sim_fleet_draws(const struct sim_fleet *f)
{
    bool any = f->cost->n_draws > 0;
    for (uint32_t i = 0; i < f->n_later; i++) any |= f->later[i].cost->n_draws > 0;
    return any;
}

bool sim_fleet_moves(const struct sim_fleet *f)
{
    bool any = f->cost->moves;
    for (uint32_t i = 0; i < f->n_later; i++) any |= f->later[i].cost->moves;
    return any;
}

struct sim_recall_draw sim_replica_draw(const struct sim_replica *r, uint64_t iteration)
{
    const struct sim_cost *c = r->cost;
    if (!c->n_draws) return (struct sim_recall_draw){1, 1};
    double u = sim_random_unit(r->shared->seed, r->draw_stream, iteration);
    return c->draws[(uint32_t)(u * c->n_draws)];
}

/* A step that moves m beside beside_s, without what the CPU adds. */
static double moved_s(struct sim_replica *r, const struct sim_recall *m, struct sim_recall_draw draw,
                      double beside_s, double start_s)
{
    if (r->link) return sim_recall_layers_s(m, draw, beside_s, start_s, r->link, r->link_user);
    return sim_recall_sum_s(sim_recall_sum(m, draw), beside_s);
}

struct sim_step_time sim_replica_drawn_time(struct sim_replica *r, const struct sim_reads *reads,
                                            struct sim_recall_draw draw, double start_s)
{
    const struct sim_decode_line *line = &r->use.line;
    struct sim_recall m = sim_recall_plus(&line->recall, &line->recall_token, (double)reads->selecting);
    double gpu_s = sim_line_gpu_s(line, reads);
    double moving_s = moved_s(r, &m, draw, sim_longer(gpu_s, line->launch_s), start_s);
    double computed_s = sim_longer(gpu_s + line->add_s, line->floor_s);
    r->use.wire_s += sim_recall_wire_s(&m, draw);
    return (struct sim_step_time){computed_s, sim_longer(moving_s + line->add_s, computed_s)};
}

/* A stage's price with what its rows move. */
static double stage_s(struct sim_replica *r, const struct sim_price *price, struct sim_step *step,
                      double start_s)
{
    if (price->recall.when == SIM_RECALL_NONE && !(price->recall.down_s + price->prefill_down_s > 0))
        return price->step_s;
    struct sim_recall_draw draw = sim_replica_draw(r, r->stats.iterations);
    struct sim_recall m = price->recall;
    m.down_s += price->prefill_down_s;
    m.down_bytes += price->prefill_down_bytes;
    double beside_s = fmax(price->gpu_s, price->launch_s);
    double step_s = fmax(moved_s(r, &m, draw, beside_s, start_s) + price->cpu_add_s, price->step_s);
    double exposed_s = (step_s - price->step_s) / r->cost->n_stages;
    double link_s = sim_recall_wire_s(&m, draw) / r->cost->n_stages;
    r->stats.link_s += link_s;
    step->link_s += link_s;
    book_recall(r, &m, 1, draw.miss, draw.correct);
    r->stats.exposed_s += exposed_s;
    r->stats.by_evidence_s[m.how] += exposed_s;
    step->pages += m.pages * draw.miss;
    step->heads += m.heads * m.correct_frac * draw.correct;
    return step_s;
}

/* When a mixed batch, or one of several pipeline stages, leaves the last stage. */
double sim_replica_price_stages(struct sim_replica *r, const struct sim_batch *b, struct sim_step *step,
                                double extra_s)
{
    double end_s = step->start_s + extra_s;
    for (uint32_t stage = 0; stage < r->cost->n_stages; stage++) {
        struct sim_price price;
        r->cost->price(r->cost, b, stage, &price);
        if (stage > 0) {
            double hop_s = r->cost->transfer_s(r->cost, b->new_tokens);
            end_s = fmax(end_s + hop_s, r->stage_free_s[stage]);
            r->stats.link_s += hop_s / (r->cost->n_stages - 1);
        }
        end_s += stage_s(r, &price, step, end_s);
        r->stage_free_s[stage] = end_s;
        r->stats.gpu_s += price.gpu_s / r->cost->n_stages;
        for (int e = 0; e < SIM_N_EVIDENCE; e++)
            r->stats.by_evidence_s[e] += price.by_evidence_s[e] / r->cost->n_stages;
    }
    return end_s;
}

/* A step of decodes only on a single stage; the first of a run, too. */
double sim_replica_price_decodes(struct sim_replica *r, const struct sim_reads *reads, struct sim_step *step)
{
    struct sim_line_use *u = &r->use;
    if (!sim_line_covers(u, reads)) sim_replica_fetch_line(r, reads);
    u->steps++;
    u->kept_sum += reads->kept;
    if (!r->rich) return sim_line_plain_s(&u->line, reads->kept);
    step->on_line = true;
    step->selecting = reads->selecting;
    struct sim_recall_draw draw = sim_replica_draw(r, r->stats.iterations);
    struct sim_step_time t = r->link || r->cost->n_draws
                                 ? sim_replica_drawn_time(r, reads, draw, step->start_s)
                                 : sim_line_time(&u->line, reads);
    u->all_sum += reads->all;
    u->selecting_sum += reads->selecting;
    u->exposed_s += t.step_s - t.computed_s;
    if (r->cost->n_draws) sim_line_book_draw(u, reads, draw);
    if (r->shared->plan_row) {
        struct sim_recall m =
            sim_recall_plus(&u->line.recall, &u->line.recall_token, (double)reads->selecting);
        step->pages = m.pages * draw.miss;
        step->heads = m.heads * m.correct_frac * draw.correct;
    }
    return t.step_s;
}
