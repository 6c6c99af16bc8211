/* What a simulator run pays for its profile: loading it, a handle for a shape that was measured and one that
 * was not, and a look-up. Prints; checks nothing. Run from the top of the tree: bench_profile [PROFILE_DIR]
 */
#include "models/profile.h"

#include <stdio.h>
#include <time.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bench_gemm(const struct mdl_profile *p, uint64_t n, uint64_t k, const char *what)
{
    enum { HANDLES = 20, ASKS = 1000000 };
    double start = now_s(), sum = 0;
    for (int i = 0; i < HANDLES; i++) mdl_gemm_curve_free(mdl_gemm_curve_new(p, MDL_BF16, n, k));
    double made = now_s();
    struct mdl_gemm_curve *c = mdl_gemm_curve_new(p, MDL_BF16, n, k);
    double asked = now_s();
    for (int i = 0; i < ASKS; i++) sum += mdl_gemm_curve_at(c, 1 + i % 9000).s;
    double end = now_s();
    mdl_gemm_curve_free(c);
    printf("gemm %-24s handle %8.1f us, look-up %6.1f ns (%g)\n", what, 1e6 * (made - start) / HANDLES,
           1e9 * (end - asked) / ASKS, sum);
}

static void bench_decode(const struct mdl_profile *p, struct mdl_attn_shape shape, const char *what)
{
    enum { HANDLES = 20, ASKS = 1000000 };
    double start = now_s(), sum = 0;
    for (int i = 0; i < HANDLES; i++) mdl_attn_table_free(mdl_attn_decode_table_new(p, shape));
    double made = now_s();
    struct mdl_attn_table *t = mdl_attn_decode_table_new(p, shape);
    double asked = now_s();
    for (int i = 0; i < ASKS; i++) sum += mdl_attn_decode_at(t, 1 + i % 256, 1000.0 * (1 + i % 900)).s;
    double end = now_s();
    mdl_attn_table_free(t);
    printf("decode %-22s handle %8.1f us, look-up %6.1f ns (%g)\n", what, 1e6 * (made - start) / HANDLES,
           1e9 * (end - asked) / ASKS, sum);
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "calib/profiles/h100-sxm-vllm";
    struct sim_status st = {0};
    double start = now_s();
    struct mdl_profile *p = mdl_profile_load(dir, NULL, &st);
    if (!p) {
        fprintf(stderr, "%s\n", st.message);
        return 1;
    }
    printf("load %.2f ms\n", 1e3 * (now_s() - start));
    bench_gemm(p, 6144, 4096, "6144 x 4096, measured");
    bench_gemm(p, 28672, 4096, "28672 x 4096, not");
    bench_decode(p, (struct mdl_attn_shape){32, 8, 128, MDL_BF16}, "32/8 heads, measured");
    bench_decode(p, (struct mdl_attn_shape){28, 4, 128, MDL_BF16}, "28/4 heads, not");
    mdl_profile_free(p);
    return 0;
}
