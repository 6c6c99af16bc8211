#include "models/profile_parts.h"

#include <math.h>
#include <stdlib.h>

#include "models/monotone.h"
#include "sim/check.h"
#include "sim/memory.h"

struct mdl_gemm_curve {
    struct mdl_peaks peaks;
    enum mdl_dtype weights;
    double n, k, t0_s;
    enum sim_evidence beyond; /* outside the measured range */
    uint32_t n_points;        /* 0: nothing measured, the typical curve answers */
    double *m, *log_s, *y;    /* y: log(time / law), after the monotone fit */
    uint8_t *how;
};

static double law_s(const struct mdl_gemm_curve *c, double m)
{
    return c->t0_s + mdl_roof_gemm_s(&c->peaks, c->weights, m, c->n, c->k);
}

static void alloc_points(struct mdl_gemm_curve *c, uint32_t n_points)
{
    c->n_points = n_points;
    c->m = sim_alloc(n_points, sizeof *c->m);
    c->log_s = sim_alloc(n_points, sizeof *c->log_s);
    c->y = sim_alloc(n_points, sizeof *c->y);
    c->how = sim_alloc(n_points, sizeof *c->how);
}

/* Types that nobody measured borrow the bf16 cells under their own law. */
static void fill_measured(struct mdl_gemm_curve *c, const struct mdl_sheet *sheet, enum mdl_dtype cells)
{
    uint32_t key[MDL_MAX_KEYS] = {cells, (uint32_t)c->n, (uint32_t)c->k};
    alloc_points(c, sheet->s.n_cols);
    c->t0_s = sheet->t0_s;
    for (uint32_t i = 0; i < c->n_points; i++) c->m[i] = sheet->s.axis[i];
    bool found = mdl_sheet_row(sheet, MDL_GEMM, key, c->y, c->how);
    SIM_CHECK(found);
    for (uint32_t i = 0; i < c->n_points && cells != c->weights; i++) c->how[i] = SIM_ANALYTIC;
}

struct mdl_gemm_curve *mdl_gemm_curve_new(const struct mdl_profile *p, enum mdl_dtype weights, uint64_t n,
                                          uint64_t k)
{
    SIM_CHECK(n > 0 && k > 0 && n <= UINT32_MAX && k <= UINT32_MAX);
    struct mdl_gemm_curve *c = sim_alloc(1, sizeof *c);
    *c = (struct mdl_gemm_curve){.peaks = p->peaks, .weights = weights, .n = (double)n, .k = (double)k};
    const struct mdl_sheet *own = mdl_profile_sheet(p, MDL_GEMM, weights);
    const struct mdl_sheet *bf16 = mdl_profile_sheet(p, MDL_GEMM, MDL_BF16);
    if (own)
        fill_measured(c, own, weights);
    else if (bf16)
        fill_measured(c, bf16, MDL_BF16);
    else
        c->t0_s = mdl_typical_t0_s(MDL_GEMM);
    for (uint32_t i = 0; i < c->n_points; i++) {
        c->how[i] = (uint8_t)mdl_profile_evidence(p, (enum sim_evidence)c->how[i]);
        c->log_s[i] = c->y[i] + log(law_s(c, c->m[i]));
    }
    c->beyond = mdl_profile_evidence(p, own ? SIM_EXTRAPOLATED : SIM_ANALYTIC);
    if (c->n_points > 0) mdl_monotone(c->log_s, c->n_points, 1);
    for (uint32_t i = 0; i < c->n_points; i++) c->y[i] = c->log_s[i] - log(law_s(c, c->m[i]));
    return c;
}

void mdl_gemm_curve_free(struct mdl_gemm_curve *c)
{
    if (!c) return;
    free(c->m);
    free(c->log_s);
    free(c->y);
    free(c->how);
    free(c);
}

static enum sim_evidence worse(enum sim_evidence a, enum sim_evidence b)
{
    return a > b ? a : b;
}

struct mdl_time mdl_gemm_curve_at(const struct mdl_gemm_curve *c, double m)
{
    if (!(m > 0)) return (struct mdl_time){0.0, SIM_MEASURED};
    if (c->n_points == 0)
        return (struct mdl_time){mdl_typical_gemm_s(&c->peaks, c->weights, m, c->n, c->k), SIM_ANALYTIC};
    uint32_t last = c->n_points - 1;
    if (m < c->m[0] || m > c->m[last]) {
        uint32_t end = m < c->m[0] ? 0 : last;
        return (struct mdl_time){exp(c->y[end]) * law_s(c, m),
                                 worse(c->beyond, (enum sim_evidence)c->how[end])};
    }
    struct mdl_place at = mdl_axis_place(c->m, c->n_points, m);
    if (at.frac >= 1.0) at = (struct mdl_place){at.i + 1, 0.0};
    if (at.frac <= 0.0) return (struct mdl_time){exp(c->log_s[at.i]), (enum sim_evidence)c->how[at.i]};
    /* Between two sizes the law's log is convex in log m, so the dip that a falling y may leave is all below
     * the left end: clamping there keeps time from falling. */
    double log_s = (1 - at.frac) * c->y[at.i] + at.frac * c->y[at.i + 1] + log(law_s(c, m));
    log_s = fmin(fmax(log_s, c->log_s[at.i]), c->log_s[at.i + 1]);
    enum sim_evidence ends = worse((enum sim_evidence)c->how[at.i], (enum sim_evidence)c->how[at.i + 1]);
    return (struct mdl_time){exp(log_s), worse(SIM_INTERPOLATED, ends)};
}

struct mdl_time mdl_gemm_s(const struct mdl_profile *p, enum mdl_dtype weights, uint64_t m, uint64_t n,
                           uint64_t k)
{
    if (m == 0 || n == 0 || k == 0) return (struct mdl_time){0.0, SIM_MEASURED};
    struct mdl_gemm_curve *c = mdl_gemm_curve_new(p, weights, n, k);
    struct mdl_time t = mdl_gemm_curve_at(c, (double)m);
    mdl_gemm_curve_free(c);
    return t;
}
