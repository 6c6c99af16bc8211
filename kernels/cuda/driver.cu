#include "kernels/cuda/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* --- libcuda --- */

typedef int driver_version(int *version);
typedef int proc_address(const char *symbol, void **function, int cuda_version, unsigned long long flags,
                         int *status);

static kb_copy_batch *find_copy_batch(void *library)
{
    proc_address *find = (proc_address *)dlsym(library, "cuGetProcAddress_v2");
    void *function = NULL;
    int status = 0;
    if (!find || find("cuMemcpyBatchAsync", &function, 12080, 0, &status) != 0 || status != 0) return NULL;
    return (kb_copy_batch *)function;
}

/* Any driver of the toolkit's major version or later runs this build. */
static bool is_new_enough(int version, struct kb_error *err)
{
    int major = CUDART_VERSION / 1000;
    if (version / 1000 >= major) return true;
    return kb_fail(
        err,
        "the NVIDIA driver is too old: it supports CUDA %d.%d, this kvbench is built with CUDA %d.%d; "
        "install driver R%d or later",
        version / 1000, version % 1000 / 10, major, CUDART_VERSION % 1000 / 10, major >= 13 ? 580 : 525);
}

bool kb_cuda_driver_find(struct kb_cuda_driver *out, struct kb_error *err)
{
    struct kb_cuda_driver d = {0, NULL};
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) return kb_fail(err, "no NVIDIA driver on this machine (%s)", dlerror());
    driver_version *version = (driver_version *)dlsym(library, "cuDriverGetVersion");
    if (!version || version(&d.cuda_version) != 0)
        return kb_fail(err, "the NVIDIA driver's libcuda.so.1 does not tell its version");
    if (!is_new_enough(d.cuda_version, err)) return false;
    d.copy_batch = find_copy_batch(library);
    *out = d;
    return true;
}

/* --- libnvidia-ml --- */

typedef int nvml_plain(void);
typedef int nvml_text(char *text, unsigned room);
typedef int nvml_by_bus(const char *bus_id, void **device);
typedef int nvml_number(void *device, unsigned *value);

/* Initialised at first use, and only counted after that. */
static void *nvml_library(void)
{
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    nvml_plain *init = library ? (nvml_plain *)dlsym(library, "nvmlInit_v2") : NULL;
    return init && init() == 0 ? library : NULL;
}

void kb_cuda_driver_release(char *out, size_t room)
{
    FILE *f = fopen("/sys/module/nvidia/version", "r");
    *out = 0;
    if (f) {
        if (fgets(out, (int)room, f)) out[strcspn(out, "\n")] = 0;
        fclose(f);
    }
    void *library = *out ? NULL : nvml_library();
    if (!library) return;
    nvml_text *text = (nvml_text *)dlsym(library, "nvmlSystemGetDriverVersion");
    if (text && text(out, (unsigned)room) != 0) *out = 0;
}

bool kb_cuda_nvml_link(const char *bus_id, struct kb_pci *out)
{
    void *library = nvml_library(), *device;
    unsigned generation = 0, lanes = 0;
    if (!library) return false;
    nvml_by_bus *find = (nvml_by_bus *)dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2");
    nvml_number *read_generation = (nvml_number *)dlsym(library, "nvmlDeviceGetCurrPcieLinkGeneration");
    nvml_number *read_lanes = (nvml_number *)dlsym(library, "nvmlDeviceGetCurrPcieLinkWidth");
    bool found = find && read_generation && read_lanes && find(bus_id, &device) == 0 &&
                 read_generation(device, &generation) == 0 && read_lanes(device, &lanes) == 0;
    double rate = found ? kb_pcie_byte_per_s(generation, lanes) : 0;
    if (rate <= 0) return false;
    out->generation = generation;
    out->lanes = lanes;
    out->byte_per_s = rate;
    return true;
}
