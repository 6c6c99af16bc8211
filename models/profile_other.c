/* What a profile says of everything but GEMM and attention, and what it says when nothing was measured. */
#include "models/profile_parts.h"

#include <math.h>
#include <stdlib.h>

#include "sim/check.h"
#include "sim/memory.h"

/* ---- nothing measured ---- */

/* Efficiency (t0 + roofline) / time against log2(roofline / t0). Of each shipped vLLM profile, the median
 * over its measured cells within a factor of 2 of each ratio; of those, the median over the five cards (A100,
 * H100, H200, B200, L40S; the all-reduce over NVLink over the first four, the one over PCIe is the L40S). t0
 * likewise. Elementwise kernels were not measured by that source: 80 % of the bandwidth is what fused ones
 * reach. Matrix products: bf16 with n and k from 512 to 51,200, launches bound by the matrix rate and by
 * bytes apart. In the older tables of calib/profiles' A100 and A6000 norms, activations and additions lie
 * between 34 and 88 %. */
enum { N_TYPICAL = 9, PCIE_ALLREDUCE = MDL_N_FAMILY, BYTES_GEMM, N_CURVES };
static const double TYPICAL_RATIO_LOG2[N_TYPICAL] = {-6, -4, -2, 0, 2, 4, 6, 8, 10};
static const struct {
    double t0_s, efficiency[N_TYPICAL];
} typical[N_CURVES] = {
    [MDL_GEMM] = {3.0e-6, {0.85, 0.85, 0.85, 0.78, 0.75, 0.70, 0.74, 0.78, 0.77}},
    [BYTES_GEMM] = {3.0e-6, {0.93, 0.93, 0.85, 0.76, 0.80, 0.80, 0.78, 0.80, 0.82}},
    [MDL_ATTN_PREFILL] = {10.7e-6, {0.82, 0.70, 0.59, 0.38, 0.33, 0.38, 0.46, 0.52, 0.56}},
    [MDL_ATTN_DECODE] = {10.1e-6, {0.85, 0.72, 0.69, 0.68, 0.72, 0.85, 0.91, 0.73, 0.76}},
    [MDL_ALLREDUCE] = {4.9e-6, {0.94, 0.83, 0.65, 0.58, 0.63, 0.60, 0.67, 0.75, 0.74}},
    [MDL_ELEMENTWISE] = {2.0e-6, {0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8}},
    [PCIE_ALLREDUCE] = {5.3e-6, {0.40, 0.40, 0.31, 0.21, 0.15, 0.14, 0.12, 0.12, 0.12}},
};

/* NVLink starts at 100 GB/s per direction, PCIe ends at 64. */
static const double SLOWEST_NVLINK = 1e11;

double mdl_typical_t0_s(enum mdl_family f)
{
    return typical[f].t0_s;
}

static double typical_efficiency(enum mdl_family f, double ratio)
{
    const double *e = typical[f].efficiency;
    double x = ratio > 0 ? log2(ratio) : TYPICAL_RATIO_LOG2[0];
    if (x <= TYPICAL_RATIO_LOG2[0]) return e[0];
    for (int i = 1; i < N_TYPICAL; i++) {
        double lo = TYPICAL_RATIO_LOG2[i - 1], hi = TYPICAL_RATIO_LOG2[i];
        if (x < hi) return e[i - 1] + (e[i] - e[i - 1]) * (x - lo) / (hi - lo);
    }
    return e[N_TYPICAL - 1];
}

double mdl_typical_s(enum mdl_family f, double roof_s)
{
    double t0_s = typical[f].t0_s;
    return (t0_s + roof_s) / typical_efficiency(f, roof_s / t0_s);
}

/* Each branch of the roofline at its own utilisation, then the longer one. */
double mdl_typical_gemm_s(const struct mdl_peaks *p, enum mdl_dtype weights, double m, double n, double k)
{
    return fmax(mdl_typical_s(MDL_GEMM, mdl_roof_gemm_flops_s(p, weights, m, n, k)),
                mdl_typical_s((enum mdl_family)BYTES_GEMM, mdl_roof_gemm_bytes_s(p, weights, m, n, k)));
}

/* Between the fits to the two tables that have a past (A100 and A6000, FlashAttention 2). */
struct mdl_past_law mdl_typical_past(void)
{
    return (struct mdl_past_law){.compute_frac = 0.5, .bytes_frac = 0.5};
}

/* ---- all-reduce ---- */

/* The row of a variant whose number of GPUs is nearest in log; MDL_NO_ROW when the variant was not measured.
 */
static uint32_t allreduce_row(const struct mdl_sheet *sheet, enum mdl_variant v, uint32_t tp)
{
    uint32_t best = MDL_NO_ROW;
    double nearest = INFINITY;
    for (uint32_t r = 0; r < sheet->s.n_rows; r++) {
        const uint32_t *key = sheet->key + (size_t)r * MDL_MAX_KEYS;
        double distance = fabs(log((double)key[1] / tp));
        if (key[0] != v || distance >= nearest) continue;
        nearest = distance;
        best = r;
    }
    return best;
}

static struct mdl_time allreduce_at(const struct mdl_profile *p, uint32_t row, uint32_t tp, double bytes)
{
    const struct mdl_sheet *sheet = &p->sheet[MDL_ALLREDUCE];
    const double *y = sheet->s.y + (size_t)row * sheet->s.n_cols;
    struct mdl_place at = mdl_axis_place(sheet->s.axis, sheet->s.n_cols, bytes);
    uint32_t right = at.i + (at.frac > 0);
    double slow = (1 - at.frac) * y[at.i] + at.frac * y[right];
    bool inside = bytes >= sheet->s.axis[0] && bytes <= sheet->s.axis[sheet->s.n_cols - 1] &&
                  sheet->key[(size_t)row * MDL_MAX_KEYS + 1] == tp;
    bool on_grid = inside && (at.frac <= 0 || at.frac >= 1);
    enum sim_evidence how = on_grid ? SIM_MEASURED : inside ? SIM_INTERPOLATED : SIM_EXTRAPOLATED;
    return (struct mdl_time){exp(slow) * (sheet->t0_s + mdl_roof_allreduce_s(&p->peaks, tp, bytes)),
                             mdl_profile_evidence(p, how)};
}

/* Engines hand a message to whichever is faster: vLLM's own kernel for small ones, NCCL for large ones. */
static struct mdl_time fastest_allreduce(const struct mdl_profile *p, enum mdl_variant own, uint32_t tp,
                                         double bytes)
{
    const enum mdl_variant variants[] = {own, MDL_NCCL, own == MDL_GRAPH ? MDL_EAGER : MDL_GRAPH};
    struct mdl_time best = {0, SIM_ANALYTIC};
    for (int i = 0; i < 3; i++) {
        uint32_t row = allreduce_row(&p->sheet[MDL_ALLREDUCE], variants[i], tp);
        if (row == MDL_NO_ROW || (i == 2 && best.s > 0)) continue;
        struct mdl_time t = allreduce_at(p, row, tp, bytes);
        if (best.s <= 0 || t.s < best.s) best = t;
    }
    return best;
}

struct mdl_time mdl_allreduce_s(const struct mdl_profile *p, uint32_t tp, double bytes, bool graph)
{
    if (tp < 2 || !(bytes > 0)) return (struct mdl_time){0.0, SIM_MEASURED};
    struct mdl_time best = {0, SIM_ANALYTIC};
    if (p->present[MDL_ALLREDUCE]) best = fastest_allreduce(p, graph ? MDL_GRAPH : MDL_EAGER, tp, bytes);
    if (best.s > 0) return best;
    enum mdl_family f =
        p->peaks.link_byte_per_s < SLOWEST_NVLINK ? (enum mdl_family)PCIE_ALLREDUCE : MDL_ALLREDUCE;
    return (struct mdl_time){mdl_typical_s(f, mdl_roof_allreduce_s(&p->peaks, tp, bytes)), SIM_ANALYTIC};
}

/* ---- elementwise ---- */

struct mdl_time mdl_elementwise_s(const struct mdl_profile *p, double bytes, double launches)
{
    if (!(bytes > 0) && !(launches > 0)) return (struct mdl_time){0.0, SIM_MEASURED};
    double t0_s =
        p->present[MDL_ELEMENTWISE] ? p->sheet[MDL_ELEMENTWISE].t0_s : mdl_typical_t0_s(MDL_ELEMENTWISE);
    bool measured = p->elementwise_frac > 0;
    double frac = measured ? p->elementwise_frac : typical_efficiency(MDL_ELEMENTWISE, INFINITY);
    double stream_s = bytes / (frac * p->peaks.bandwidth_byte_per_s);
    return (struct mdl_time){launches * t0_s + stream_s,
                             measured ? mdl_profile_evidence(p, SIM_INTERPOLATED) : SIM_ANALYTIC};
}

/* ---- error ---- */

double mdl_profile_error_frac(const struct mdl_profile *p, enum mdl_family f)
{
    /* Without a measurement: assumed. The medians of the five cards mostly lie within 0.2 in log of the
     * typical curves, the worst (L40S prefill of short prompts) 0.6 away. */
    static const double UNMEASURED_SD = 0.30;
    return p->error[f][MDL_CHECK_SITES].n > 0 ? p->error[f][MDL_CHECK_SITES].sd_log : UNMEASURED_SD;
}
