/* What a decode step moves over the host link, and how much of that the GPU waits for. A step's layers are a
 * pipeline of three stations: the compute stream, the threads and engine that copy, and the wire, which other
 * replicas of the server may use too. Three ways to overlap:
 *   at the layer      selection and recall are on the critical path of every layer (ArkVale)
 *   a layer ahead     the recall of layer l runs beside the computation of layer l - 1 (InfiniGen, prefetch)
 *   a step ahead      the recall for layer l of step i is launched at layer l of step i - 1 (FreeKV)
 * Alone on the link the layers of a step are alike and the sum has a closed form; beside others the step is
 * resolved layer by layer. Times here are those of a whole step. */
#ifndef KVSIM_SIM_RECALL_H
#define KVSIM_SIM_RECALL_H

#include "sim/evidence.h"

#include <stdbool.h>
#include <stdint.h>

enum sim_recall_when { SIM_RECALL_NONE, SIM_RECALL_AT_LAYER, SIM_RECALL_LAYER_AHEAD, SIM_RECALL_STEP_AHEAD };

/* At the mean miss and correction rates. */
struct sim_recall {
    enum sim_recall_when when;
    enum sim_evidence how;
    uint32_t n_layers; /* that recall; those that keep everything are left out */
    double submit_s;   /* threads hand copies to the driver, already divided among them */
    double engine_s;   /* the copy engine works through descriptors */
    double up_s;       /* recalled bytes at the link's rate, host to device */
    double down_s; /* evicted and new pages, device to host: nobody waits for them, but the wire is shared */
    double duplex; /* both directions together over one alone: 1 = half duplex, 2 = independent */
    double convert_s;        /* layout conversion of what was recalled */
    double convert_tail_s;   /* of it, one piece; pieces are alike, and so are those of the copy */
    bool double_buffer;      /* conversion of a piece beside the copy of the next; else one after the other */
    double sync_s;           /* host syncs on the critical path */
    double correct_frac;     /* share of layers whose recall is corrected: a step ahead only */
    double correct_share;    /* share of a corrected layer's recall that is fetched while the GPU waits */
    double correct_select_s; /* selection on the critical path, were every layer corrected */
    double up_bytes, down_bytes, pages; /* moved and recalled in a step */
    double heads;                       /* corrected when all layers are */
};

/* `more` for each of n, on top: of its times, bytes and pages. Every other field is taken from whichever recalls. */
struct sim_recall sim_recall_plus(const struct sim_recall *r, const struct sim_recall *more, double n);

/* A step's draw: multiples of the mean miss rate and of the mean correction rate. */
struct sim_recall_draw {
    double miss, correct;
};

/* Time that copying and converting take, with the share of the link in (0, 1] that is there for it:
 *   copy = max(submit, engine, (up + min(up, down) x (2 / duplex - 1)) / link_share)
 *   busy = copy + convert; with two buffers longer + shorter x convert_tail / convert: first copy, pace of the
 *          slower one, last conversion
 * d.miss scales everything but down. While both directions carry data each goes at duplex / 2 of its rate alone. */
double sim_recall_busy_s(const struct sim_recall *r, struct sim_recall_draw d, double link_share);

/* Time that the wire of an idle link is in use: max(up, down) + min(up, down) x (2 / duplex - 1). */
double sim_recall_wire_s(const struct sim_recall *r, struct sim_recall_draw d);

/* Closed form: a step that computes for compute_s takes
 *   max(compute_s + wait_s, move_s + compute_s x move_frac)
 * With n layers, correct = min(1, d.correct x correct_frac) and moving = max(busy, wire), as nobody waits for what goes
 * down but no step ends before the link is through with it in the mean:
 *   at the layer    max(compute + busy + sync, wire)
 *   a layer ahead   max(compute + busy / n, moving + compute / n x busy / moving) + sync
 *   a step ahead    max(compute + sync + correct x (correct_select + correct_share x busy), moving)
 *   none            max(compute, wire)
 * A layer ahead is a flow shop of two machines: the first recall, or the last computation, has nothing beside it. A
 * step ahead is a lower bound where a layer's recall takes longer than its computation and corrections, spread evenly
 * here, come in lumps: up to a quarter more. */
struct sim_recall_sum {
    double wait_s, move_s, move_frac;
};
struct sim_recall_sum sim_recall_sum(const struct sim_recall *r, struct sim_recall_draw d);

static inline double sim_recall_sum_s(struct sim_recall_sum s, double compute_s)
{
    double path = compute_s + s.wait_s, move = s.move_s + compute_s * s.move_frac;
    return path > move ? path : move;
}

/* The wire of one root complex and who uses it. A user holds a share of it from the start to the end of its step:
 * the share that its bytes need, both directions as one. All zero: nobody uses it. */
enum { SIM_LINK_USERS = 16 };
struct sim_link_use {
    double end_s, share;
    double again_s; /* steps of others that begin before reckon with it for as long as they last */
};
struct sim_hostlink {
    uint32_t n_users;
    struct sim_link_use use[SIM_LINK_USERS];
};

/* Share that is left for a step of `user` that begins at at_s: what the others leave, at least an equal part. */
double sim_hostlink_share(const struct sim_hostlink *link, uint32_t user, double at_s);

/* The same step layer by layer on a shared link, starting at start_s; books the link. The share is read anew where a
 * layer's recall begins: a neighbour's last step may end meanwhile. One that took step after step so far is taken to
 * go on, so that in the long run the link carries what it can and no more. A correction rate is a share of every
 * layer's work. Equal to the closed form, to rounding, when nobody else uses the link. O(layers) at ns each; start_s
 * of all users in order. */
double sim_recall_layers_s(const struct sim_recall *r, struct sim_recall_draw d, double compute_s,
                           double start_s, struct sim_hostlink *link, uint32_t user);

#endif
