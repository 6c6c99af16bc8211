/* FreeKV's parts, added one after the other as in paper 2's ablation, and the cost of its corrections. */
#include "experiments/published/p2.h"

#include <math.h>
#include <stdio.h>

enum { N_BATCHES = 3, N_PARTS = 4 };
static const uint32_t batches[N_BATCHES] = {1, 2, 4};

/* Published gains are the largest over its settings, each part's own. source: FreeKV, ablation [2nd]. */
static const struct {
    const char *name;
    double layout, double_buffer, speculative, gain;
} parts[N_PARTS] = {
    {"pages by token, one buffer, at the layer", MDL_NHD, 0, 0, NAN},
    {"hybrid layout", MDL_HYBRID, 0, 0, 10.5},
    {"double buffer", MDL_HYBRID, 1, 0, 1.2},
    {"speculative retrieval", MDL_HYBRID, 1, 1, 1.9},
};

struct setting {
    const struct exp_study_run *run;
    struct exp_p2_case of;
};

static void nothing(double given[MDL_N_KV_KEY])
{
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
}

static bool price_parts(const struct setting *s, double step_s[N_PARTS][N_BATCHES], struct sim_status *st)
{
    for (int p = 0; p < N_PARTS; p++) {
        double given[MDL_N_KV_KEY];
        struct exp_p2_case c = s->of;
        struct exp_p2_price price;
        nothing(given);
        given[MDL_KV_LAYOUT] = parts[p].layout;
        given[MDL_KV_DOUBLE_BUFFER] = parts[p].double_buffer;
        given[MDL_KV_SPECULATIVE] = parts[p].speculative;
        c.given = given;
        if (!exp_p2_price_init(&price, &c, s->run->constants, st)) return false;
        for (int b = 0; b < N_BATCHES; b++) step_s[p][b] = exp_p2_step_s(&price, c.load, batches[b]);
        exp_p2_price_fini(&price);
    }
    return true;
}

/* ---- gains ---- */

static void add_gain(const struct exp_study_run *r, int part, double predicted)
{
    struct exp_published_row row = {
        .group = "parts of FreeKV, largest gain of each", .unit = "x", .published = parts[part].gain};
    row.predicted = predicted;
    snprintf(row.what, sizeof row.what, "%s", parts[part].name);
    exp_published_row(r->out, &row);
}

static bool show_gains(const struct exp_study_run *r, const struct exp_p2_machine *m,
                       const struct exp_p2_load *loads, uint32_t n_loads, struct sim_status *st)
{
    double gain[N_PARTS] = {0};
    for (int model = 0; model < EXP_P2_MODELS; model++)
        for (uint32_t l = 0; l < n_loads; l++) {
            double step_s[N_PARTS][N_BATCHES];
            struct setting s = {r, {m, (enum exp_p2_model)model, EXP_P2_FREEKV, &loads[l], NULL}};
            if (!price_parts(&s, step_s, st)) return false;
            for (int p = 1; p < N_PARTS; p++)
                for (int b = 0; b < N_BATCHES; b++) gain[p] = fmax(gain[p], step_s[p - 1][b] / step_s[p][b]);
        }
    for (int p = 1; p < N_PARTS; p++) add_gain(r, p, gain[p]);
    return true;
}

/* ---- corrections ---- */

static bool corrected_s(const struct setting *s, double tau, double rate, double step_s[N_BATCHES],
                        struct sim_status *st)
{
    double given[MDL_N_KV_KEY];
    struct exp_p2_case c = s->of;
    struct exp_p2_price price;
    nothing(given);
    given[MDL_KV_TAU] = tau;
    given[MDL_KV_CORRECTION] = rate;
    c.given = given;
    if (!exp_p2_price_init(&price, &c, s->run->constants, st)) return false;
    for (int b = 0; b < N_BATCHES; b++) step_s[b] = exp_p2_step_s(&price, c.load, batches[b]);
    exp_p2_price_fini(&price);
    return true;
}

/* Beside no checks at all. */
static bool show_corrections(const struct setting *s, struct sim_status *st)
{
    static const double rates[] = {0, 0.2, 0.4};
    double plain_s[N_BATCHES], step_s[N_BATCHES];
    if (!corrected_s(s, 0, 0, plain_s, st)) return false;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (!corrected_s(s, 0.8, rates[i], step_s, st)) return false;
        for (int b = 0; b < N_BATCHES; b += N_BATCHES - 1) {
            struct exp_published_figure f = {.group = "corrections, llama, 32K in", .unit = "%"};
            snprintf(f.name, sizeof f.name, "step longer at a rate of %.1f, batch %u", rates[i], batches[b]);
            f.value = 100 * (step_s[b] / plain_s[b] - 1);
            exp_published_figure(s->run->out, &f);
        }
    }
    return true;
}

bool exp_p2_parts(const struct exp_study_run *r, const struct exp_p2_machine *m,
                  const struct exp_p2_load *loads, uint32_t n_loads, struct sim_status *st)
{
    struct setting s = {r, {m, EXP_P2_LLAMA, EXP_P2_FREEKV, &loads[0], NULL}};
    return show_gains(r, m, loads, n_loads, st) && show_corrections(&s, st);
}
