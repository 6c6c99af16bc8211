/* What the program asks of the NVIDIA driver itself, found at run time so that one binary starts on machines that
 * have none, an old one, or one that lacks newer calls: libcuda for versions and batched copies, libnvidia-ml for
 * the link where /sys does not show it. Both libraries stay loaded until the process ends. */
#ifndef KVSIM_KERNELS_CUDA_DRIVER_H
#define KVSIM_KERNELS_CUDA_DRIVER_H

#include <cuda_runtime.h>

#include "kernels/host.h"
#include "kernels/kbench.h"

/* cuMemcpyBatchAsync as CUDA 12.8 has it; 13.0 dropped fail_index, and asking for version 12080 gets this one from
 * both. Addresses are 64-bit; attribute i holds from copy first[i] on. */
struct kb_copy_attributes {
    int source_order; /* KB_IN_STREAM_ORDER */
    struct {
        int type, id; /* hints for managed memory: none */
    } from, to;
    unsigned flags;
};
enum { KB_IN_STREAM_ORDER = 1 };
typedef int kb_copy_batch(unsigned long long *to, unsigned long long *from, size_t *bytes, size_t n,
                          struct kb_copy_attributes *attributes, size_t *first, size_t n_attributes,
                          size_t *fail_index, cudaStream_t stream);

struct kb_cuda_driver {
    int cuda_version;          /* the newest CUDA that it supports, 12080 for 12.8 */
    kb_copy_batch *copy_batch; /* NULL before 12.8 */
};

/* False when there is no driver, or one too old for this build: says which version is needed. */
bool kb_cuda_driver_find(struct kb_cuda_driver *out, struct kb_error *err);

/* The driver's own release ("580.65.06"), "" when nobody tells; and the link of a device through NVML, false when
 * it is not to be had. */
void kb_cuda_driver_release(char *out, size_t room);
bool kb_cuda_nvml_link(const char *bus_id, struct kb_pci *out);

#endif
