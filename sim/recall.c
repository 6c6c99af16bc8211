#include "sim/recall.h"

#include "sim/check.h"

#include <math.h>

static inline double longer(double a, double b)
{
    return a > b ? a : b;
}

static inline double shorter(double a, double b)
{
    return a < b ? a : b;
}

static inline double layers(const struct sim_recall *r)
{
    return r->n_layers ? r->n_layers : 1;
}

/* --- a step's work at a share of the link --- */

/* While both directions carry data each goes at duplex / 2 of its rate alone: what that adds to either. */
static inline double beside_s(const struct sim_recall *r, double up_s)
{
    double both_s = shorter(up_s, r->down_s);
    if (!(both_s > 0)) return 0;
    return r->duplex > 1 ? longer(0, both_s * (2 / r->duplex - 1)) : both_s;
}

static inline double wire_s(const struct sim_recall *r, double up_s)
{
    return longer(up_s, r->down_s) + beside_s(r, up_s);
}

double sim_recall_wire_s(const struct sim_recall *r, struct sim_recall_draw d)
{
    return wire_s(r, d.miss * r->up_s);
}

/* Two stations in a row, equal pieces: the first works on the next piece while the second works on this one. All of
 * the longer work and one piece of the shorter; a single piece, or a single buffer, is all of both. */
static inline double in_pieces_s(const struct sim_recall *r, double copy_s, double convert_s)
{
    if (!(convert_s > 0)) return copy_s;
    double piece_frac = r->double_buffer ? shorter(1, r->convert_tail_s / r->convert_s) : 1;
    return longer(copy_s, convert_s) + shorter(copy_s, convert_s) * piece_frac;
}

static inline double busy_s(const struct sim_recall *r, double miss, double link_share)
{
    double up_s = miss * r->up_s, host_s = miss * longer(r->submit_s, r->engine_s);
    double arrival_s = up_s > 0 ? (up_s + beside_s(r, up_s)) / link_share : 0;
    return in_pieces_s(r, longer(host_s, arrival_s), miss * r->convert_s);
}

double sim_recall_busy_s(const struct sim_recall *r, struct sim_recall_draw d, double link_share)
{
    return busy_s(r, d.miss, link_share);
}

/* What of a step depends on the share of the link: copies and conversions, what a step ahead waits for corrections,
 * and what the step cannot be shorter than, because the wire carries both directions. */
struct work {
    double busy_s, correct_s, move_s;
};

static inline struct work work_at(const struct sim_recall *r, struct sim_recall_draw d, double link_share)
{
    double carry_s = wire_s(r, d.miss * r->up_s) / link_share;
    if (r->when == SIM_RECALL_NONE) return (struct work){.move_s = carry_s};
    double copy_s = busy_s(r, d.miss, link_share);
    if (r->when == SIM_RECALL_AT_LAYER) return (struct work){.busy_s = copy_s, .move_s = carry_s};
    struct work w = {.busy_s = copy_s, .move_s = longer(copy_s, carry_s)};
    if (r->when == SIM_RECALL_STEP_AHEAD)
        w.correct_s =
            shorter(1, d.correct * r->correct_frac) * (r->correct_select_s + r->correct_share * copy_s);
    return w;
}

/* A layer ahead: how much of the last layer's computation comes after all that was moved. All of it, where the last
 * recall was what took so long; none, where that was pages on their way down. */
static inline double tail_frac(const struct work *w)
{
    return w->busy_s < w->move_s ? w->busy_s / w->move_s : 1;
}

struct sim_recall_sum sim_recall_sum(const struct sim_recall *r, struct sim_recall_draw d)
{
    struct work w = work_at(r, d, 1);
    switch (r->when) {
    case SIM_RECALL_NONE:
        return (struct sim_recall_sum){0, w.move_s, 0};
    case SIM_RECALL_AT_LAYER:
        return (struct sim_recall_sum){w.busy_s + r->sync_s, w.move_s, 0};
    case SIM_RECALL_LAYER_AHEAD:
        return (struct sim_recall_sum){w.busy_s / layers(r) + r->sync_s, w.move_s + r->sync_s,
                                       tail_frac(&w) / layers(r)};
    case SIM_RECALL_STEP_AHEAD:
        return (struct sim_recall_sum){w.correct_s + r->sync_s, w.move_s, 0};
    }
    return (struct sim_recall_sum){0};
}

struct sim_recall sim_recall_plus(const struct sim_recall *r, const struct sim_recall *more, double n)
{
    struct sim_recall sum = r->when || !more->when ? *r : *more;
    sum.submit_s = r->submit_s + n * more->submit_s;
    sum.engine_s = r->engine_s + n * more->engine_s;
    sum.up_s = r->up_s + n * more->up_s;
    sum.down_s = r->down_s + n * more->down_s;
    sum.convert_s = r->convert_s + n * more->convert_s;
    sum.convert_tail_s = r->convert_tail_s + n * more->convert_tail_s;
    sum.sync_s = r->sync_s + n * more->sync_s;
    sum.correct_select_s = r->correct_select_s + n * more->correct_select_s;
    sum.up_bytes = r->up_bytes + n * more->up_bytes;
    sum.down_bytes = r->down_bytes + n * more->down_bytes;
    sum.pages = r->pages + n * more->pages;
    return sum;
}

/* --- the link --- */

/* The share that is left for a user, and until when it is. */
struct view {
    double share, until_s;
};

/* What a user whose step began at start_s finds at at_s. A neighbour that goes on step after step counts until this
 * step is over, though its own ends before: its next one, which nobody knows yet, will need as much. */
static struct view look(const struct sim_hostlink *link, uint32_t user, double start_s, double at_s)
{
    double left = 1, until_s = INFINITY;
    uint32_t n_sharing = 1;
    for (uint32_t i = 0; i < link->n_users; i++) {
        const struct sim_link_use *use = &link->use[i];
        bool stays = use->again_s > start_s;
        if (i == user || !(use->share > 0) || !(stays || use->end_s > at_s)) continue;
        left -= use->share;
        n_sharing++;
        if (!stays && use->end_s < until_s) until_s = use->end_s;
    }
    return (struct view){longer(left, 1.0 / n_sharing), until_s};
}

double sim_hostlink_share(const struct sim_hostlink *link, uint32_t user, double at_s)
{
    return look(link, user, at_s, at_s).share;
}

/* A step that begins within its own length of the last one's end is one of many: the next is expected likewise. */
static void book(struct sim_link_use *use, double start_s, double took_s, double carry_s)
{
    bool goes_on = use->share > 0 && start_s <= use->end_s + took_s;
    double end_s = start_s + took_s;
    *use = (struct sim_link_use){.end_s = end_s,
                                 .share = carry_s > 0 ? shorter(1, carry_s / took_s) : 0,
                                 .again_s = goes_on ? end_s + took_s : 0};
}

/* --- a step layer by layer --- */

struct layer {
    double compute_s, sync_s;
    struct work work;
};

/* Clocks since the step began. */
struct clocks {
    double path_s;  /* the compute stream is through with the layers so far */
    double moved_s; /* the copies were at work so long for them */
    double begun_s; /* a layer ahead: the last layer's computation began, its recall being there */
};

static inline double recall_begins_s(enum sim_recall_when when, const struct clocks *t)
{
    if (when == SIM_RECALL_AT_LAYER) return t->path_s;
    if (when == SIM_RECALL_LAYER_AHEAD) return t->begun_s;
    return longer(t->path_s, t->moved_s);
}

/* A host sync holds up the recalls that are launched after it, too. */
static inline void take_layer_ahead(struct clocks *t, const struct layer *l)
{
    double begun_s = longer(t->path_s, t->begun_s + l->work.busy_s);
    t->begun_s = begun_s + l->sync_s;
    t->path_s = begun_s + l->compute_s + l->sync_s;
    t->moved_s += l->work.move_s + l->sync_s;
}

static inline void take_layer(enum sim_recall_when when, struct clocks *t, const struct layer *l)
{
    if (when == SIM_RECALL_LAYER_AHEAD) {
        take_layer_ahead(t, l);
        return;
    }
    double wait_s = when == SIM_RECALL_AT_LAYER ? l->work.busy_s : l->work.correct_s;
    t->path_s += l->compute_s + l->sync_s + wait_s;
    t->moved_s += l->work.move_s;
}

static struct work per_layer(struct work w, double n)
{
    return (struct work){w.busy_s / n, w.correct_s / n, w.move_s / n};
}

double sim_recall_layers_s(const struct sim_recall *r, struct sim_recall_draw d, double compute_s,
                           double start_s, struct sim_hostlink *link, uint32_t user)
{
    SIM_CHECK(user < link->n_users && link->n_users <= SIM_LINK_USERS);
    double n = layers(r);
    struct layer layer = {.compute_s = compute_s / n, .sync_s = r->when ? r->sync_s / n : 0};
    struct clocks t = {0};
    struct view view = {.until_s = -INFINITY};
    for (double i = 0; i < n; i++) {
        double at_s = start_s + recall_begins_s(r->when, &t);
        if (at_s >= view.until_s) {
            view = look(link, user, start_s, at_s);
            layer.work = per_layer(work_at(r, d, view.share), n);
        }
        take_layer(r->when, &t, &layer);
    }
    if (r->when == SIM_RECALL_LAYER_AHEAD) t.moved_s += layer.compute_s * tail_frac(&layer.work);
    double took_s = longer(t.path_s, t.moved_s);
    book(&link->use[user], start_s, took_s, sim_recall_wire_s(r, d));
    return took_s;
}
