#include "models/host.h"

#include <math.h>
#include <string.h>

#include "sim/check.h"

/* ---- the copy engine ---- */

/* A fragment below BREAK_BYTES takes part of its time whatever its size, the rest in proportion: the H2D rates of
 * cuMemcpyBatchAsync on an H100, 50,000 and 100,000 fragments (vllm PR 42212: 4, 8, 16, 24 KiB at 3.8-4.0, 5.2-5.3,
 * 6.3, 6.7-6.9 GB/s) are met within 3 % by 0.5 us + bytes / 7.7 GB/s, which is 2.6 us at 16 KiB. From BREAK_BYTES on
 * the wire is in sight: 28 KiB at 39.9-44.1 GB/s is 0.65 us. */
static const double BREAK_BYTES = 28 * 1024, CONSTANT_SHARE = 0.19, LARGE_SHARE = 0.25;

static void set_descriptor(struct mdl_host *h, double us)
{
    double s = us * 1e-6;
    h->copy.break_bytes = BREAK_BYTES;
    h->copy.descriptor_small_s = CONSTANT_SHARE * s;
    h->copy.descriptor_byte_s = (1 - CONSTANT_SHARE) * s / MDL_HOST_FRAGMENT_BYTES;
    h->copy.descriptor_large_s = LARGE_SHARE * s;
}

/* ---- the keys ---- */

static void set_link(struct mdl_host *h, double gb_per_s)
{
    h->link_byte_per_s = h->copy.rate_byte_per_s = gb_per_s * 1e9;
}

static void set_duplex(struct mdl_host *h, double v)
{
    h->duplex = v;
}

static void set_sharers(struct mdl_host *h, double v)
{
    h->gpus_per_link = (uint32_t)v;
}

static void set_memory(struct mdl_host *h, double gib)
{
    h->memory_bytes = gib * 1073741824;
}

static void set_launch(struct mdl_host *h, double us)
{
    h->launch_s = us * 1e-6;
}

static void set_sync(struct mdl_host *h, double us)
{
    h->sync_s = us * 1e-6;
}

static void set_submit(struct mdl_host *h, double us)
{
    h->copy.submit_s = us * 1e-6;
}

static void set_submitters(struct mdl_host *h, double v)
{
    h->submitters = (uint32_t)v;
}

static void set_kernel_frac(struct mdl_host *h, double share)
{
    h->kernel_frac = share;
}

static void set_gather(struct mdl_host *h, double gb_per_s)
{
    h->gather_byte_per_s = gb_per_s * 1e9;
}

enum { LINK, DUPLEX, SHARERS, MEMORY, LAUNCH, SYNC, SUBMIT, SUBMITTERS, DESCRIPTOR, KERNEL, GATHER, N_KEYS };

/* Tags in sources as in the collection that they come from: [P] paper, [C] code, [2nd] second-hand, [mem] general
 * knowledge without a document. */
static const struct mdl_host_default defaults[N_KEYS] = {
    [LINK] = {"link_gb_per_s", 0.80, 0.76, 0.95, "of the encoded rate",
              "PCIe 4 x16 24.8 of 31.5 GB/s (NVIDIA forum 352186), 24 (FreeKV's A100) [2nd]; PCIe 5 x16 of "
              "63: 50 (vLLM "
              "blog 2026-01-08), 55.6 (nvbandwidth), 52-60 (arXiv 2512.16056)"},
    [DUPLEX] = {"duplex", 1.67, 1.4, 2, "times one direction",
                "H100: 83.4 GB/s both ways at 50 one way (vLLM blog 2026-01-08); 8 x A100 host: 24 down + 11 "
                "up at 24.8 "
                "alone (NVIDIA forum 352186)"},
    [SHARERS] =
        {"gpus_per_link", 1, 1, 4, "GPUs",
         "[mem] a root port for each GPU; servers with PCIe switches put 2 to 4 on one; set it for yours"},
    [MEMORY] = {"memory_gib", 128, 64, 256, "GiB per GPU",
                "[mem] 1 TiB for 8 GPUs (DGX A100), 2 TiB (DGX H100); FreeKV pins 20 GiB for one [C]"},
    [LAUNCH] =
        {"launch_us", 4.5, 2, 10, "us",
         "[mem] a kernel launch through a Python framework; kvbench measures the driver's part (host.yaml)"},
    [SYNC] = {"sync_us", 10, 5, 30, "us",
              "[mem] a 4-byte copy to the host, a stream sync and the way back; kvbench measures it "
              "(host.yaml, readback)"},
    [SUBMIT] =
        {"submit_us", 2, 1, 7, "us",
         "cudaMemcpyAsync 2 us of CPU time (vllm issue 38460), 5 to 7 us (DualPath, arXiv 2602.21548)"},
    [SUBMITTERS] = {"submitters", 2, 1, 4, "threads", "FreeKV's thread pool [C], commit 2c8a7d2"},
    [DESCRIPTOR] =
        {"descriptor_us", 2.6, 2.3, 3.4, "us per 16 KiB",
         "H100, cuMemcpyBatchAsync, 16 KiB: 7.1 GB/s of 10,000 and 6.3 of 100,000 fragments (vllm PR 42212); "
         "A30, PCIe 4: 3.7 times a gather kernel's time (vllm PR 57555), about 3.4 us"},
    [KERNEL] = {"kernel_frac", 0.82, 0.75, 1, "of the link's rate",
                "H100, both ways: kernel 68.5 GB/s, DMA 83.4 (vLLM blog 2026-01-08); 75 % of PCIe's peak "
                "(Strata, arXiv 2508.18572)"},
    [GATHER] = {"gather_gb_per_s", 10, 3, 30, "GB/s",
                "[mem] rows of some 100 bytes, read and written once by the CPU; nobody published it"},
};

static const struct {
    void (*set)(struct mdl_host *h, double value);
    double least, most; /* what can be at all */
    bool whole;
} key[N_KEYS] = {
    [LINK] = {set_link, 1e-3, 1e5, false},
    [DUPLEX] = {set_duplex, 1, 2, false},
    [SHARERS] = {set_sharers, 1, 64, true},
    [MEMORY] = {set_memory, 0, 1e6, false},
    [LAUNCH] = {set_launch, 0, 1e4, false},
    [SYNC] = {set_sync, 0, 1e5, false},
    [SUBMIT] = {set_submit, 0, 1e4, false},
    [SUBMITTERS] = {set_submitters, 1, MDL_MAX_SUBMITTERS, true},
    [DESCRIPTOR] = {set_descriptor, 0, 1e4, false},
    [KERNEL] = {set_kernel_frac, 0.01, 1, false},
    [GATHER] = {set_gather, 1e-3, 1e5, false},
};

size_t mdl_host_default_count(void)
{
    return N_KEYS;
}

const struct mdl_host_default *mdl_host_default_at(size_t i)
{
    SIM_CHECK(i < N_KEYS);
    return &defaults[i];
}

struct mdl_host mdl_host_of(const struct mdl_gpu *gpu)
{
    struct mdl_host h = {.copy = {.fragments_per_call = 1}, .how = SIM_ANALYTIC};
    for (int i = 0; i < N_KEYS; i++) key[i].set(&h, defaults[i].value);
    set_link(&h, defaults[LINK].value * gpu->pcie_byte_per_s * 1e-9);
    for (uint32_t t = 0; t <= MDL_MAX_SUBMITTERS; t++)
        h.copy.speedup[t] = t ? t : 1; /* threads of their own */
    return h;
}

bool mdl_host_set(struct mdl_host *h, const char *name, double value, struct sim_status *st)
{
    int i = 0;
    while (i < N_KEYS && strcmp(defaults[i].name, name) != 0) i++;
    if (i == N_KEYS) return sim_fail(st, "host.%s: no such key, expected link_gb_per_s, submit_us ...", name);
    if (!(value >= key[i].least && value <= key[i].most) || (key[i].whole && value != floor(value)))
        return sim_fail(st, "host.%s is %g: expected %s from %g to %g", name, value,
                        key[i].whole ? "a whole number" : "a number", key[i].least, key[i].most);
    key[i].set(h, value);
    return true;
}
