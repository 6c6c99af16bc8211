#include "traces/synth.h"

#include "sim/line_in.h"
#include "sim/memory.h"
#include "traces/dist.h"

#include <string.h>

/* Quantiles of the public traces at trc_quantile_frac, computed from the files (numpy's linear rule, rounded
 * to tokens). Azure LLM inference traces 2023 (CC-BY-4.0, Patel et al., "Splitwise", ISCA 2024); Mooncake
 * conversation trace (Apache-2.0, Qin et al., FAST 2025); arXiv summarization lengths (MIT, Agrawal et al.,
 * "Vidur", MLSys 2024). */
static const uint32_t azure_conv_input[TRC_N_QUANTILES] = {
    2,    29,   181,  207,  372,  387,  396,  403,  414,  703,  984,  1020, 1045, 1071, 1097, 1130,
    1189, 1315, 1876, 2734, 4075, 4083, 4090, 4098, 4110, 4142, 4831, 5404, 6179, 6570, 14050};
static const uint32_t azure_conv_output[TRC_N_QUANTILES] = {
    7,   16,  41,  54,  67,  77,  85,  91,  96,  103, 113, 129, 151, 177,  217, 384,
    395, 400, 411, 424, 430, 451, 509, 540, 571, 601, 643, 719, 954, 1000, 1000};
static const uint32_t azure_code_input[TRC_N_QUANTILES] = {
    3,    17,   75,   147,  232,  386,  578,  770,  939,  1075, 1261, 1469, 1690, 1909, 2164, 2433,
    2744, 3192, 3920, 5188, 6097, 7303, 7435, 7436, 7436, 7436, 7436, 7436, 7437, 7437, 7437};
static const uint32_t azure_code_output[TRC_N_QUANTILES] = {
    6,  6,  6,  7,  7,  8,  9,   9,   10,  11,  12,  13,  14,  16,  18,  20,
    24, 29, 39, 55, 69, 90, 128, 171, 201, 251, 359, 599, 825, 885, 1899};
static const uint32_t mooncake_input[TRC_N_QUANTILES] = {
    891,   894,   901,   964,   1261,   1662,   2306,   3263,   4251,  4993,  5870,
    6909,  8187,  9570,  11238, 13196,  15367,  17869,  21464,  27367, 31519, 39550,
    52215, 66449, 73850, 85400, 100810, 117789, 121301, 122891, 126195};
static const uint32_t mooncake_output[TRC_N_QUANTILES] = {
    1,   3,   10,  24,  46,  100, 156, 213, 256, 291,  322,  350,  375,  399,  423, 447,
    472, 504, 543, 597, 639, 698, 800, 892, 967, 1119, 1568, 1998, 2000, 2000, 2000};
static const uint32_t arxiv_input[TRC_N_QUANTILES] = {
    1,    73,   749,  1242, 1564, 1802, 1986, 2150, 2308, 2453, 2596, 2730, 2861, 2996, 3127, 3249,
    3370, 3490, 3597, 3702, 3759, 3813, 3863, 3892, 3909, 3933, 3963, 3987, 4012, 4024, 4054};
static const uint32_t arxiv_output[TRC_N_QUANTILES] = {
    5,   36,  60,  78,  92,  104, 115,  125,  135,  145,  156,  167,  179,  192,  206, 222,
    242, 268, 304, 372, 438, 736, 2200, 2775, 2986, 3271, 3582, 3739, 3844, 3934, 4056};

static const struct trc_preset_row {
    const char *name;
    const uint32_t *input, *output;
    uint64_t n_requests;
    struct trc_synth arrivals; /* the arrival fields only */
} presets[] = {
    /* 19,366 requests in 3501.722 s; the rate swells and ebbs once in the hour, which is all of its
     * burstiness: a Poisson process under a sine of relative variance 0.059, the excess of the 60 s counts
     * over Poisson */
    {"azure-conv",
     azure_conv_input,
     azure_conv_output,
     19366,
     {.arrivals = TRC_ARRIVE_DIURNAL, .request_rate = 5.530, .peak_to_mean = 1.333, .day_s = 3501.722}},
    /* 8,819 requests in 3435.948 s; 140 gaps above 1 s cut it into 141 bursts of 62.5 requests (CV 1.38),
     * 0.0922 s apart on average (CV 1.3 within a burst), pauses of CV 1.92; the spread of paces and the
     * pauses' CV are set so that the 1, 10 and 60 s counts vary as measured */
    {"azure-code",
     azure_code_input,
     azure_code_output,
     8819,
     {.arrivals = TRC_ARRIVE_BURSTS, .request_rate = 2.567, .bursts = {62.5, 1.38, 0.0922, 0.65, 1.3, 2.05}}},
    /* 12,031 requests in 3536.999 s, recorded on 3 s ticks; below the ticks it is Poisson, and its rate
     * climbs by a third over the hour: half a sine */
    {"mooncake-conversation",
     mooncake_input,
     mooncake_output,
     12031,
     {.arrivals = TRC_ARRIVE_DIURNAL, .request_rate = 3.401, .peak_to_mean = 1.12, .day_s = 7073.998}},
    /* lengths only in the file; Poisson at 1 request per second is our choice */
    {"arxiv-summarization",
     arxiv_input,
     arxiv_output,
     28257,
     {.arrivals = TRC_ARRIVE_GAMMA, .request_rate = 1.0}},
};

enum { N_PRESETS = sizeof presets / sizeof *presets };

static struct trc_dist from_quantiles(const uint32_t *values)
{
    struct trc_dist d = {.kind = TRC_QUANTILES, .n_values = TRC_N_QUANTILES};
    d.values = sim_alloc(TRC_N_QUANTILES, sizeof *d.values);
    memcpy(d.values, values, TRC_N_QUANTILES * sizeof *d.values);
    return d;
}

bool trc_preset(const char *name, struct trc_synth *out, struct sim_status *st)
{
    for (size_t i = 0; i < N_PRESETS; i++) {
        if (strcmp(presets[i].name, name) != 0) continue;
        *out = presets[i].arrivals;
        out->n_requests = presets[i].n_requests;
        out->burstiness = 1.0;
        out->length_lo = out->length_hi = 1.0;
        out->seed = 1;
        out->input = from_quantiles(presets[i].input);
        out->output = from_quantiles(presets[i].output);
        return true;
    }
    return sim_fail_as(st, SIM_EXIT_USAGE,
                       "preset \"%s\": not known, expected azure-conv, azure-code, "
                       "mooncake-conversation or arxiv-summarization; choose one",
                       sim_excerpt(name, strlen(name)).text);
}

const char *trc_preset_name(size_t i)
{
    return i < N_PRESETS ? presets[i].name : NULL;
}
