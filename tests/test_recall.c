/* What a step waits for its transfers (sim/recall.h): closed forms against machines that run piece by piece, layer by
 * layer and step by step, the limits in which nothing is exposed, and what neighbours on one link do to each other. */
#include "sim/random.h"
#include "sim/recall.h"
#include "tests/harness.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { N_SEEDS = 20, N_CASES = 500 };

static const struct sim_recall_draw mean = {1, 1};
static const enum sim_recall_when kinds[] = {SIM_RECALL_NONE, SIM_RECALL_AT_LAYER, SIM_RECALL_LAYER_AHEAD,
                                             SIM_RECALL_STEP_AHEAD};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* ck_assert for inner loops: Check's own reports every assertion that holds, too, by a system call. */
#define HOLDS(condition) ((condition) ? (void)0 : ck_abort_msg("%s", #condition))

struct dice {
    uint64_t seed, count;
};

static double unit(struct dice *d)
{
    return sim_random_unit(d->seed, sim_stream("recalls"), d->count++);
}

static uint32_t roll(struct dice *d, uint32_t n)
{
    return (uint32_t)(unit(d) * n);
}

/* A time of a step, or its absence. */
static double any_s(struct dice *d)
{
    return roll(d, 5) ? 10e-3 * unit(d) : 0;
}

static struct sim_recall any_recall(struct dice *d, enum sim_recall_when when)
{
    struct sim_recall r = {.when = when,
                           .n_layers = 1 + roll(d, 80),
                           .submit_s = any_s(d),
                           .engine_s = any_s(d),
                           .up_s = any_s(d),
                           .down_s = any_s(d),
                           .duplex = roll(d, 3) ? 1 + unit(d) : 1 + roll(d, 2),
                           .convert_s = any_s(d),
                           .double_buffer = roll(d, 2),
                           .sync_s = any_s(d) / 10};
    r.convert_tail_s = r.convert_s / (1 + roll(d, 64));
    if (when == SIM_RECALL_STEP_AHEAD) {
        r.correct_frac = roll(d, 3) ? unit(d) : 0;
        r.correct_share = unit(d);
        r.correct_select_s = any_s(d);
    }
    return r;
}

static double closed_s(const struct sim_recall *r, struct sim_recall_draw d, double compute_s)
{
    return sim_recall_sum_s(sim_recall_sum(r, d), compute_s);
}

static bool same(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static bool at_most(double a, double b)
{
    return a <= b * (1 + 1e-12) + DBL_MIN;
}

/* --- pieces: copy and conversion --- */

/* Two buffers: piece j is copied when the copy before it is done and the buffer of piece j - 2 is empty again. */
static double two_buffers_s(uint32_t n, double copy_s, double convert_s)
{
    double copied_s = 0, emptied_s[2] = {0, 0}, converted_s = 0;
    for (uint32_t j = 0; j < n; j++) {
        copied_s = fmax(copied_s, emptied_s[j % 2]) + copy_s;
        converted_s = fmax(converted_s, copied_s) + convert_s;
        emptied_s[j % 2] = converted_s;
    }
    return converted_s;
}

START_TEST(copies_and_conversions_take_what_two_buffers_piece_by_piece_take)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        uint32_t n = 1 + roll(&d, 100);
        double copy_s = 1e-6 + any_s(&d), convert_s = any_s(&d);
        struct sim_recall r = {.engine_s = n * copy_s,
                               .submit_s = n * copy_s * unit(&d),
                               .convert_s = n * convert_s,
                               .convert_tail_s = convert_s,
                               .double_buffer = true};
        double two_s = sim_recall_busy_s(&r, mean, 1);
        HOLDS(same(two_s, two_buffers_s(n, copy_s, convert_s)));
        r.double_buffer = false;
        double one_s = sim_recall_busy_s(&r, mean, 1);
        HOLDS(same(one_s, n * (copy_s + convert_s)));
        HOLDS(at_most(two_s, one_s));
        r.convert_tail_s = r.convert_s * (1 + unit(&d)); /* no piece is more than all */
        r.double_buffer = true;
        HOLDS(same(sim_recall_busy_s(&r, mean, 1), one_s));
        double pace = fmax(copy_s, convert_s) + fmin(copy_s, convert_s) / n;
        HOLDS(same(one_s / two_s, (copy_s + convert_s) / pace));
    }
}
END_TEST

START_TEST(copies_go_at_the_pace_of_the_slowest_of_submission_engine_and_wire)
{
    struct sim_recall r = {.submit_s = 3, .engine_s = 2, .up_s = 1, .duplex = 2};
    ck_assert_double_eq(sim_recall_busy_s(&r, mean, 1), 3);
    ck_assert_double_eq(sim_recall_busy_s(&r, mean, 0.25), 4);
    r.engine_s = 5;
    ck_assert_double_eq(sim_recall_busy_s(&r, mean, 0.25), 5);
}
END_TEST

/* Bytes up and down in small portions, each direction at duplex / 2 of its rate while the other has any left. */
static void drain(double up_s, double down_s, double duplex, double *up_done_s, double *all_done_s)
{
    const double portion_s = 1e-4;
    double now_s = 0;
    *up_done_s = 0;
    while (up_s > 0 || down_s > 0) {
        double rate = up_s > 0 && down_s > 0 ? duplex / 2 : 1;
        double least_s = up_s > 0 && down_s > 0 ? fmin(up_s, down_s) : fmax(up_s, down_s);
        double took_s = fmin(portion_s, least_s / rate),
               moved_s = least_s / rate <= portion_s ? least_s : took_s * rate;
        bool up = up_s > 0;
        if (up) up_s -= moved_s;
        if (down_s > 0) down_s -= moved_s;
        now_s += took_s;
        if (up) *up_done_s = now_s;
    }
    *all_done_s = now_s;
}

START_TEST(both_directions_share_the_wire_unless_it_is_duplex)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        struct sim_recall r = any_recall(&d, SIM_RECALL_AT_LAYER);
        double up_done_s, all_done_s;
        r.submit_s = r.engine_s = r.convert_s = 0;
        drain(r.up_s, r.down_s, r.duplex, &up_done_s, &all_done_s);
        HOLDS(same(sim_recall_busy_s(&r, mean, 1), up_done_s));
        HOLDS(same(sim_recall_wire_s(&r, mean), all_done_s));
        struct sim_recall alone = r;
        alone.down_s = 0;
        double slower = sim_recall_busy_s(&r, mean, 1) - sim_recall_busy_s(&alone, mean, 1);
        HOLDS(r.duplex < 2 && r.up_s > 0 && r.down_s > 0 ? slower > 0 : slower == 0);
    }
}
END_TEST

/* --- layers --- */

/* Two machines in a row, n equal jobs: a recall may start with the computation of the layer before. */
static double layer_ahead_s(uint32_t n, double recall_s, double compute_s)
{
    double copied_s = 0, computing_s = 0, computed_s = 0;
    for (uint32_t l = 0; l < n; l++) {
        copied_s = fmax(copied_s, computing_s) + recall_s;
        computing_s = fmax(computed_s, copied_s);
        computed_s = computing_s + compute_s;
    }
    return computed_s;
}

START_TEST(a_layer_ahead_takes_what_two_machines_in_a_row_take)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        struct sim_recall r = any_recall(&d, SIM_RECALL_LAYER_AHEAD);
        double compute_s = any_s(&d), busy_s = sim_recall_busy_s(&r, mean, 1), n = r.n_layers;
        r.down_s = fmin(r.down_s, r.up_s); /* more down than up is a limit of its own */
        busy_s = sim_recall_busy_s(&r, mean, 1);
        double machines_s = layer_ahead_s(r.n_layers, busy_s / n, compute_s / n);
        HOLDS(same(closed_s(&r, mean, compute_s), machines_s + r.sync_s));
    }
}
END_TEST

/* A step ahead, step after step: one station copies in the order in which recalls were launched. A corrected layer
 * selects, has its share fetched while the GPU waits, and the rest beside the computation. */
static double steps_ahead_s(const struct sim_recall *r, double compute_s, double busy_s, uint32_t n_steps)
{
    double there_s[96] = {0}, free_s = 0, now_s = 0, half_s = 0, n = r->n_layers;
    for (uint32_t step = 0; step < n_steps; step++) {
        if (step == n_steps / 2) half_s = now_s;
        for (uint32_t l = 0; l < r->n_layers; l++) {
            uint64_t i = (uint64_t)step * r->n_layers + l;
            bool corrects = floor((double)(i + 1) * r->correct_frac) > floor((double)i * r->correct_frac);
            double left = 1;
            now_s = fmax(now_s, there_s[l]);
            if (corrects) {
                now_s = fmax(now_s + r->correct_select_s / n, free_s) + r->correct_share * busy_s / n;
                left -= r->correct_share;
                free_s = now_s;
            }
            now_s += r->sync_s / n;
            free_s = there_s[l] = fmax(free_s, now_s) + left * busy_s / n;
            now_s += compute_s / n;
        }
    }
    return (now_s - half_s) / (n_steps - n_steps / 2);
}

/* Exact without corrections. With them the closed form spreads them evenly, and real ones come in whole layers: it is a
 * lower bound, met where a layer's recall takes no longer than its computation. */
START_TEST(a_step_ahead_takes_what_a_station_takes_that_copies_step_after_step)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES / 5; i++) {
        struct sim_recall r = any_recall(&d, SIM_RECALL_STEP_AHEAD);
        r.n_layers += 4;
        r.down_s = fmin(r.down_s, r.up_s);
        double compute_s = any_s(&d), busy_s = sim_recall_busy_s(&r, mean, 1);
        double closed = closed_s(&r, mean, compute_s), steps = steps_ahead_s(&r, compute_s, busy_s, 400);
        HOLDS(steps >= 0.995 * closed && steps <= 1.25 * closed);
        if (busy_s <= compute_s) HOLDS(steps <= 1.005 * closed);
        r.correct_frac = 0;
        double path_s = compute_s + r.sync_s; /* a slow backlog takes many steps to be felt */
        if (busy_s > path_s && busy_s < 1.02 * path_s) continue;
        HOLDS(same(steps_ahead_s(&r, compute_s, busy_s, 400), closed_s(&r, mean, compute_s)));
    }
}
END_TEST

START_TEST(layer_by_layer_is_the_closed_form_when_nobody_else_uses_the_link)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        for (int k = 0; k < N_KINDS; k++) {
            struct sim_recall r = any_recall(&d, kinds[k]);
            struct sim_recall_draw draw = {2 * unit(&d), 2 * unit(&d)};
            struct sim_hostlink link = {.n_users = 3};
            if (kinds[k] == SIM_RECALL_NONE && roll(&d, 2)) r.n_layers = 0; /* a prompt's pages going down */
            double compute_s = any_s(&d), start_s = 1e3 * unit(&d);
            link.use[1] = (struct sim_link_use){.end_s = start_s * unit(&d), .share = unit(&d)}; /* is over */
            double took_s = sim_recall_layers_s(&r, draw, compute_s, start_s, &link, 2);
            HOLDS(same(took_s, closed_s(&r, draw, compute_s)));
            HOLDS(same(link.use[2].end_s, start_s + took_s));
            HOLDS(link.use[2].again_s == 0); /* its first step: nobody knows whether there is another */
            HOLDS(took_s == 0 || same(link.use[2].share * took_s, sim_recall_wire_s(&r, draw)));
        }
    }
}
END_TEST

/* --- limits --- */

START_TEST(nothing_recalled_exposes_nothing)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        for (int k = 0; k < N_KINDS; k++) {
            struct sim_recall r = any_recall(&d, kinds[k]);
            struct sim_recall_draw none = {0, unit(&d)};
            double compute_s = any_s(&d) + r.down_s,
                   select_s = none.correct * r.correct_frac * r.correct_select_s;
            HOLDS(sim_recall_busy_s(&r, none, unit(&d)) == 0);
            double sync_s = kinds[k] == SIM_RECALL_NONE ? 0 : r.sync_s;
            HOLDS(same(closed_s(&r, none, compute_s), compute_s + sync_s + select_s));
        }
    }
}
END_TEST

START_TEST(an_infinite_link_exposes_what_is_left_of_submission_and_sync)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        double n_copies = 1 + roll(&d, 1000), submit_s = 2e-6 * unit(&d), compute_s = 10e-3 * unit(&d);
        for (int k = 1; k < N_KINDS; k++) {
            struct sim_recall r = {.when = kinds[k], .n_layers = 1 + roll(&d, 80), .duplex = 1};
            HOLDS(closed_s(&r, mean, compute_s) == compute_s);
            r.submit_s = n_copies * submit_s;
            double exposed_s = closed_s(&r, mean, compute_s) - compute_s;
            double beyond_s = fmax(0, r.submit_s - compute_s), n = r.n_layers;
            if (kinds[k] == SIM_RECALL_AT_LAYER) HOLDS(same(exposed_s + compute_s, r.submit_s + compute_s));
            if (kinds[k] == SIM_RECALL_LAYER_AHEAD)
                HOLDS(fabs(exposed_s -
                           fmax(r.submit_s, r.submit_s + (n - 1) * (r.submit_s - compute_s)) / n) < 1e-15);
            if (kinds[k] == SIM_RECALL_STEP_AHEAD) HOLDS(fabs(exposed_s - beyond_s) < 1e-15);
        }
    }
}
END_TEST

START_TEST(the_further_ahead_the_less_a_step_waits)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        struct sim_recall at = any_recall(&d, SIM_RECALL_AT_LAYER), layer = at, step = at, none = at;
        double compute_s = any_s(&d);
        at.down_s = layer.down_s = step.down_s = none.down_s = fmin(at.down_s, at.up_s);
        layer.when = SIM_RECALL_LAYER_AHEAD;
        step.when = SIM_RECALL_STEP_AHEAD;
        none.when = SIM_RECALL_NONE;
        HOLDS(at_most(closed_s(&none, mean, compute_s), closed_s(&step, mean, compute_s)));
        HOLDS(at_most(closed_s(&step, mean, compute_s), closed_s(&layer, mean, compute_s)));
        HOLDS(at_most(closed_s(&layer, mean, compute_s), closed_s(&at, mean, compute_s)));
    }
}
END_TEST

START_TEST(the_wire_bounds_every_step_in_the_mean)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        for (int k = 0; k < N_KINDS; k++) {
            struct sim_recall r = any_recall(&d, kinds[k]);
            struct sim_recall_draw draw = {2 * unit(&d), 2 * unit(&d)};
            HOLDS(at_most(sim_recall_wire_s(&r, draw), closed_s(&r, draw, any_s(&d))));
        }
    }
}
END_TEST

/* --- more of anything --- */

enum { N_FIELDS = 12 };

/* A field by its number: more of the first ones takes longer, more of the last two does not. */
static double *field(struct sim_recall *r, int i)
{
    double *fields[N_FIELDS] = {&r->submit_s,         &r->engine_s, &r->up_s,           &r->down_s,
                                &r->convert_s,        &r->sync_s,   &r->correct_frac,   &r->correct_share,
                                &r->correct_select_s, &r->up_s,     &r->convert_tail_s, &r->duplex};
    return fields[i];
}

START_TEST(a_step_takes_longer_with_more_of_anything_but_duplex_and_layers)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        for (int k = 0; k < N_KINDS; k++) {
            struct sim_recall r = any_recall(&d, kinds[k]), more = r;
            struct sim_recall_draw draw = {2 * unit(&d), 2 * unit(&d)}, higher = draw;
            double compute_s = any_s(&d), least_s = closed_s(&r, draw, compute_s), share = unit(&d);
            for (int f = 0; f < N_FIELDS; f++) {
                bool duplex = f == N_FIELDS - 1;
                more = r;
                *field(&more, f) *= 1 + unit(&d);
                *field(&more, f) += duplex ? 0 : 1e-3 * unit(&d);
                if (duplex) more.duplex = fmin(more.duplex, 2);
                double more_s = closed_s(&more, draw, compute_s);
                HOLDS(duplex ? at_most(more_s, least_s) : at_most(least_s, more_s));
            }
            more = r;
            more.n_layers += 1 + roll(&d, 10);
            HOLDS(at_most(closed_s(&more, draw, compute_s), least_s));
            HOLDS(at_most(least_s, closed_s(&r, draw, compute_s + 1e-3 * unit(&d))));
            higher.miss += unit(&d);
            HOLDS(at_most(least_s, closed_s(&r, higher, compute_s)));
            higher.correct += unit(&d);
            HOLDS(at_most(least_s, closed_s(&r, higher, compute_s)));
            HOLDS(at_most(sim_recall_busy_s(&r, draw, 1), sim_recall_busy_s(&r, draw, share)));
        }
    }
}
END_TEST

START_TEST(a_draw_is_a_multiple_of_the_mean_rates)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        for (int k = 0; k < N_KINDS; k++) {
            struct sim_recall r = any_recall(&d, kinds[k]), times = r;
            struct sim_recall_draw draw = {3 * unit(&d), 3 * unit(&d)};
            double compute_s = any_s(&d);
            times.submit_s *= draw.miss;
            times.engine_s *= draw.miss;
            times.up_s *= draw.miss;
            times.convert_s *= draw.miss;
            times.convert_tail_s *= draw.miss;
            times.correct_frac = fmin(1, draw.correct * r.correct_frac);
            HOLDS(same(closed_s(&r, draw, compute_s), closed_s(&times, mean, compute_s)));
        }
    }
}
END_TEST

START_TEST(a_recall_and_so_much_more_for_each_of_n_is_their_sum)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        struct sim_recall whole = any_recall(&d, SIM_RECALL_STEP_AHEAD), part = whole, token = {.up_s = 0};
        double n = 1 + roll(&d, 100000), compute_s = any_s(&d);
        whole.pages = 100 * unit(&d);
        whole.up_bytes = 1e6 * unit(&d);
        for (int f = 0; f < N_FIELDS - 1; f++) {
            if (f == 6 || f == 7) continue; /* shares of layers: the recall's own */
            double taken = *field(&part, f) * unit(&d);
            *field(&part, f) -= taken;
            *field(&token, f) += taken / n;
        }
        token.pages = whole.pages / n;
        token.up_bytes = whole.up_bytes / n;
        struct sim_recall sum = sim_recall_plus(&part, &token, n);
        HOLDS(fabs(closed_s(&sum, mean, compute_s) - closed_s(&whole, mean, compute_s)) < 1e-12);
        HOLDS(same(sum.pages, whole.pages) && same(sum.up_bytes, whole.up_bytes));
        struct sim_recall nothing = {.down_s = 1};
        sum = sim_recall_plus(&nothing, &whole, 2); /* kind, layers and shares of the one that recalls */
        HOLDS(sum.when == whole.when && sum.n_layers == whole.n_layers &&
              sum.correct_frac == whole.correct_frac);
        HOLDS(same(sum.up_s, 2 * whole.up_s) && same(sum.down_s, 1 + 2 * whole.down_s));
    }
}
END_TEST

/* --- neighbours on a link --- */

START_TEST(a_user_finds_what_the_others_leave_and_at_least_an_equal_part)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < N_CASES; i++) {
        struct sim_hostlink link = {.n_users = 1 + roll(&d, SIM_LINK_USERS)};
        uint32_t user = roll(&d, link.n_users), n_sharing = 1;
        double at_s = unit(&d), left = 1;
        for (uint32_t u = 0; u < link.n_users; u++) {
            link.use[u] = (struct sim_link_use){.end_s = unit(&d), .share = roll(&d, 4) ? 0.5 * unit(&d) : 0};
            if (roll(&d, 2)) link.use[u].again_s = link.use[u].end_s + 0.2 * unit(&d);
            bool counts = fmax(link.use[u].end_s, link.use[u].again_s) > at_s && link.use[u].share > 0;
            if (u == user || !counts) continue;
            left -= link.use[u].share;
            n_sharing++;
        }
        HOLDS(same(sim_hostlink_share(&link, user, at_s), fmax(left, 1.0 / n_sharing)));
    }
}
END_TEST

START_TEST(a_neighbour_whose_last_step_ends_leaves_the_rest_of_the_layers_the_whole_link)
{
    struct sim_recall r = {.when = SIM_RECALL_AT_LAYER, .n_layers = 4, .up_s = 4, .duplex = 2};
    struct sim_hostlink link = {.n_users = 2, .use = {{.share = 0}, {.end_s = 104, .share = 0.5}}};
    ck_assert_double_eq(sim_recall_layers_s(&r, mean, 0, 100, &link, 0), 2 + 2 + 1 + 1);
    link.use[1] = (struct sim_link_use){.end_s = 104, .share = 0.5};
    ck_assert_double_eq(sim_recall_layers_s(&r, mean, 4, 100, &link, 0), 3 + 3 + 2 + 2);
    link.use[1].again_s = 101; /* it went on so far */
    ck_assert_double_eq(sim_recall_layers_s(&r, mean, 4, 100, &link, 0), 4 * 3);
    r.when = SIM_RECALL_LAYER_AHEAD;
    link.use[1] = (struct sim_link_use){.end_s = 102.5, .share = 0.5};
    ck_assert_double_eq(sim_recall_layers_s(&r, mean, 4, 100, &link, 0), 2 + 2 + 1 + 1 + 1);
    r.sync_s = 4; /* after the first, the neighbour is gone */
    ck_assert_double_eq(sim_recall_layers_s(&r, mean, 4, 100, &link, 0), 2 + 1 + 1 + 1 + 1 + 4);
    r.sync_s = 0;
    r.when = SIM_RECALL_STEP_AHEAD;
    link.use[1].end_s = 104;
    ck_assert_double_eq(sim_recall_layers_s(&r, mean, 4, 100, &link, 0), 2 + 2 + 1 + 1);
    ck_assert_double_eq(sim_recall_layers_s(&r, mean, 7, 100, &link, 0), 7);
}
END_TEST

/* A replica that takes step after step, each with a draw of its own if it draws, and what came of it. */
struct user {
    struct sim_recall recall;
    bool draws;
    double compute_s;
    double at_s, idle_s; /* the next step's start; the mean pause that now and then comes before one */
    double moved_s, stepped_s, alone_s;
};

/* Whoever is earliest takes a step, until end_s; the link's wire time in all. */
static double drive(struct dice *d, struct user *users, uint32_t n, double end_s)
{
    struct sim_hostlink link = {.n_users = n};
    double moved_s = 0;
    for (;;) {
        struct user *u = &users[0];
        for (uint32_t i = 1; i < n; i++)
            if (users[i].at_s < u->at_s) u = &users[i];
        if (u->at_s >= end_s) return moved_s;
        struct sim_recall_draw draw = mean;
        if (u->draws) draw.miss = 0.5 + unit(d);
        double took_s =
            sim_recall_layers_s(&u->recall, draw, u->compute_s, u->at_s, &link, (uint32_t)(u - users));
        double alone_s = closed_s(&u->recall, draw, u->compute_s);
        HOLDS(at_most(alone_s, took_s * (1 + 1e-12)));
        u->stepped_s += took_s;
        u->alone_s += alone_s;
        double in_time = fmin(1, (end_s - u->at_s) / took_s); /* the last step's part that counts */
        u->moved_s += in_time * sim_recall_wire_s(&u->recall, draw);
        moved_s += in_time * sim_recall_wire_s(&u->recall, draw);
        u->at_s += took_s + (u->idle_s > 0 && roll(d, 50) == 0 ? u->idle_s * unit(d) : 0);
    }
}

/* Share of the link that a user would take alone. */
static double alone_frac(const struct user *u)
{
    return sim_recall_wire_s(&u->recall, mean) / closed_s(&u->recall, mean, u->compute_s);
}

static struct user any_user(struct dice *d, double idle_s)
{
    struct user u = {
        .recall = any_recall(d, kinds[roll(d, N_KINDS)]), .idle_s = idle_s, .at_s = 0.01 * unit(d)};
    u.recall.up_s += 1e-3 * unit(d);
    u.compute_s = 30e-3 * unit(d) * unit(d);
    return u;
}

START_TEST(in_the_long_run_a_link_carries_no_more_than_it_can)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < 20; i++) {
        struct user users[8];
        uint32_t n = 2 + roll(&d, 7);
        double idle_s = roll(&d, 2) ? unit(&d) : 0, end_s = 10;
        for (uint32_t u = 0; u < n; u++) {
            users[u] = any_user(&d, idle_s);
            users[u].draws = i % 2;
        }
        HOLDS(drive(&d, users, n, end_s) <= (i % 2 ? 1.03 : 1.02) * end_s);
    }
}
END_TEST

START_TEST(replicas_that_want_more_than_the_link_has_use_all_of_it)
{
    struct dice d = {(uint64_t)_i, 0};
    for (int i = 0; i < 20; i++) {
        struct user users[8];
        uint32_t n = 2 + roll(&d, 7);
        double end_s = 10, wanted = 0;
        for (uint32_t u = 0; u < n; u++) {
            users[u] = any_user(&d, 0);
            users[u].recall.submit_s = users[u].recall.engine_s = users[u].recall.convert_s = 0;
            users[u].compute_s *= 0.3;
            wanted += alone_frac(&users[u]);
        }
        if (wanted < 1.5) continue;
        double moved_s = drive(&d, users, n, end_s);
        HOLDS(moved_s >= 0.9 * end_s && moved_s <= 1.02 * end_s);
    }
}
END_TEST

START_TEST(equal_replicas_that_saturate_a_link_get_equal_parts_of_it)
{
    struct dice d = {(uint64_t)_i, 0};
    static const uint32_t sizes[] = {2, 4, 8};
    for (int k = 1; k < N_KINDS; k++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct user users[8];
            for (uint32_t u = 0; u < sizes[i]; u++)
                users[u] =
                    (struct user){.recall = {.when = kinds[k], .n_layers = 32, .up_s = 10e-3, .duplex = 2},
                                  .compute_s = 1e-3,
                                  .at_s = 5e-3 * unit(&d)};
            drive(&d, users, sizes[i], 20);
            for (uint32_t u = 0; u < sizes[i]; u++) {
                HOLDS(users[u].stepped_s > 1.5 * users[u].alone_s);
                HOLDS(fabs(users[u].moved_s * sizes[i] / 20 - 1) < 0.1);
            }
        }
    }
}
END_TEST

/* Each needs s = w / (compute + w / (1 - s)) of the link; for compute = w, s = (3 - sqrt(5)) / 2. */
START_TEST(two_replicas_settle_where_each_leaves_what_the_other_needs)
{
    struct dice d = {0, 0};
    struct user users[2] = {
        {.recall = {.when = SIM_RECALL_AT_LAYER, .n_layers = 32, .up_s = 1, .duplex = 2}, .compute_s = 1}};
    users[1] = users[0];
    users[1].at_s = 0.3;
    drive(&d, users, 2, 100);
    users[0].moved_s = users[1].moved_s = 0;
    users[0].at_s = users[1].at_s = 0;
    double moved_s = drive(&d, users, 2, 1e4);
    ck_assert_double_eq_tol(moved_s / 1e4, 3 - sqrt(5), 1e-3);
}
END_TEST

START_TEST(only_who_takes_step_after_step_is_expected_to_take_another)
{
    struct sim_recall r = {.when = SIM_RECALL_AT_LAYER, .n_layers = 4, .up_s = 4, .duplex = 2};
    struct sim_hostlink link = {.n_users = 2};
    double took_s = sim_recall_layers_s(&r, mean, 4, 100, &link, 0);
    ck_assert_double_eq(link.use[0].again_s, 0);
    sim_recall_layers_s(&r, mean, 4, 100 + 1.9 * took_s, &link, 0);
    ck_assert_double_eq(link.use[0].again_s, 100 + 3.9 * took_s);
    sim_recall_layers_s(&r, mean, 4, 200, &link, 0);
    ck_assert_double_eq(link.use[0].again_s, 0);
}
END_TEST

START_TEST(pages_going_down_slow_a_neighbour_and_what_moves_nothing_slows_nobody)
{
    struct sim_recall up = {.when = SIM_RECALL_AT_LAYER, .n_layers = 8, .up_s = 4e-3, .duplex = 2};
    struct sim_recall down = {.n_layers = 8, .down_s = 6e-3, .duplex = 2},
                      still = {.n_layers = 8, .duplex = 2};
    struct sim_hostlink link = {.n_users = 2};
    double alone_s = sim_recall_layers_s(&up, mean, 4e-3, 0, &link, 0);
    /* beside the other until 8 ms, six of its layers at half the rate; then alone */
    ck_assert_double_eq_tol(sim_recall_layers_s(&down, mean, 10e-3, 0, &link, 1), 10.5e-3, 1e-12);
    ck_assert_double_eq_tol(link.use[1].share, 6 / 10.5, 1e-12);
    ck_assert(sim_recall_layers_s(&up, mean, 4e-3, 1e-3, &link, 0) > 1.2 * alone_s);
    ck_assert_double_eq_tol(sim_recall_layers_s(&still, mean, 10e-3, 1, &link, 1), 10e-3, 1e-12);
    ck_assert_double_eq_tol(sim_recall_layers_s(&up, mean, 4e-3, 1, &link, 0), alone_s, 1e-12);
}
END_TEST

static TCase *neighbours(void)
{
    TCase *t = tcase_create("neighbours");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_user_finds_what_the_others_leave_and_at_least_an_equal_part, 0, N_SEEDS);
    tcase_add_test(t, a_neighbour_whose_last_step_ends_leaves_the_rest_of_the_layers_the_whole_link);
    tcase_add_loop_test(t, in_the_long_run_a_link_carries_no_more_than_it_can, 0, N_SEEDS);
    tcase_add_loop_test(t, replicas_that_want_more_than_the_link_has_use_all_of_it, 0, N_SEEDS);
    tcase_add_loop_test(t, equal_replicas_that_saturate_a_link_get_equal_parts_of_it, 0, N_SEEDS);
    tcase_add_test(t, two_replicas_settle_where_each_leaves_what_the_other_needs);
    tcase_add_test(t, only_who_takes_step_after_step_is_expected_to_take_another);
    tcase_add_test(t, pages_going_down_slow_a_neighbour_and_what_moves_nothing_slows_nobody);
    return t;
}

Suite *test_suite(void)
{
    Suite *s = suite_create("recall");
    TCase *pieces = tcase_create("pieces");
    tcase_add_loop_test(pieces, copies_and_conversions_take_what_two_buffers_piece_by_piece_take, 0, N_SEEDS);
    tcase_add_test(pieces, copies_go_at_the_pace_of_the_slowest_of_submission_engine_and_wire);
    tcase_add_loop_test(pieces, both_directions_share_the_wire_unless_it_is_duplex, 0, N_SEEDS);
    suite_add_tcase(s, pieces);
    TCase *layers = tcase_create("layers");
    tcase_add_loop_test(layers, a_layer_ahead_takes_what_two_machines_in_a_row_take, 0, N_SEEDS);
    tcase_add_loop_test(layers, a_step_ahead_takes_what_a_station_takes_that_copies_step_after_step, 0,
                        N_SEEDS);
    tcase_add_loop_test(layers, layer_by_layer_is_the_closed_form_when_nobody_else_uses_the_link, 0, N_SEEDS);
    suite_add_tcase(s, layers);
    TCase *limits = tcase_create("limits");
    tcase_add_loop_test(limits, nothing_recalled_exposes_nothing, 0, N_SEEDS);
    tcase_add_loop_test(limits, an_infinite_link_exposes_what_is_left_of_submission_and_sync, 0, N_SEEDS);
    tcase_add_loop_test(limits, the_further_ahead_the_less_a_step_waits, 0, N_SEEDS);
    tcase_add_loop_test(limits, the_wire_bounds_every_step_in_the_mean, 0, N_SEEDS);
    tcase_add_loop_test(limits, a_step_takes_longer_with_more_of_anything_but_duplex_and_layers, 0, N_SEEDS);
    tcase_add_loop_test(limits, a_draw_is_a_multiple_of_the_mean_rates, 0, N_SEEDS);
    tcase_add_loop_test(limits, a_recall_and_so_much_more_for_each_of_n_is_their_sum, 0, N_SEEDS);
    suite_add_tcase(s, limits);
    suite_add_tcase(s, neighbours());
    return s;
}
