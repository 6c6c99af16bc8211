/* The GPU catalogue: what vendor datasheets and drivers say of a card. One row per card in models/gpus.csv,
 * each with its source; to add a card, add a row. Matrix rates are dense (no sparsity). */
#ifndef KVSIM_MODELS_GPU_H
#define KVSIM_MODELS_GPU_H

#include "sim/status.h"

#include <stddef.h>
#include <stdint.h>

enum mdl_dtype { MDL_BF16, MDL_FP8, MDL_INT8, MDL_INT4, MDL_N_DTYPE };

const char *mdl_dtype_name(enum mdl_dtype t);                /* "bf16", "fp8", "int8", "int4" */
bool mdl_dtype_parse(const char *name, enum mdl_dtype *out); /* also bfloat16, fp16, float16, fp8_e4m3 ... */
double mdl_dtype_bytes(enum mdl_dtype t);                    /* bytes per element: 2, 1, 1, 0.5 */

/* kvbench's cpu device in the catalogue: a stand-in for a card, so that a whole measurement can be tried without
 * one. Its rates are those of each measured profile. */
#define MDL_CPU_DEVICE "cpu"

struct mdl_gpu {
    char name[32];         /* h100-sxm: what scenarios say */
    char title[64];        /* NVIDIA H100 SXM5 80GB */
    char profile[48];      /* shipped profile used when a scenario names none; "" = analytic */
    char source[160];      /* vendor document */
    uint64_t memory_bytes; /* as the driver reports it */
    uint64_t l2_bytes;
    double bandwidth_byte_per_s;    /* datasheet HBM or GDDR bandwidth */
    double rate_flops[MDL_N_DTYPE]; /* dense matrix rate by operand type; 0 = not supported natively */
    double clock_hz;                /* boost */
    double nvlink_byte_per_s;       /* per GPU, one direction; 0 = none, all-reduce goes over PCIe */
    double pcie_byte_per_s;         /* encoded rate of the host link, one direction */
    uint32_t sms;
    uint32_t pcie_generation, pcie_lanes;
    double tdp_w, idle_w;
    uint32_t compute_capability; /* 90 for 9.0 */
};

struct mdl_gpu_catalogue;
struct mdl_gpu_catalogue *mdl_gpu_catalogue_load(const char *csv_path, struct sim_status *st);
void mdl_gpu_catalogue_free(struct mdl_gpu_catalogue *c);
size_t mdl_gpu_count(const struct mdl_gpu_catalogue *c);
const struct mdl_gpu *mdl_gpu_at(const struct mdl_gpu_catalogue *c, size_t i);

/* By name or alias (h100_sxm, "NVIDIA H100 80GB HBM3", H100); NULL, nearest name in st, when unknown. */
const struct mdl_gpu *mdl_gpu_find(const struct mdl_gpu_catalogue *c, const char *name,
                                   struct sim_status *st);

#endif
