/* Measured serving points: one row per closed-loop benchmark run of a real engine, from a CSV whose columns
 * are found by name: model_path, system, isl, osl, concurrency, ttft_ms, tpot_ms are needed; id, backend,
 * backend_version (or engine, engine_version), precision and tp_size may be there. */
#ifndef KVSIM_EXPERIMENTS_MEASURED_H
#define KVSIM_EXPERIMENTS_MEASURED_H

#include "sim/status.h"

#include <stdint.h>

struct exp_point {
    char id[160], model[160], system[64], precision[16];
    char backend[24], version[24]; /* "" = not said */
    uint32_t isl, osl, concurrency, tensor_parallel;
    double ttft_ms, tpot_ms; /* measured means */
    uint64_t line;
};

struct exp_measured {
    struct exp_point *points;
    uint32_t n;
};

/* NULL-free; false with file:line in st. Free with exp_measured_fini. */
bool exp_measured_read(const char *path, struct exp_measured *out, struct sim_status *st);
void exp_measured_fini(struct exp_measured *m);

#endif
