#include "kernels/cpu/cpu.h"

kb_launch KB_CPU(gemm), KB_CPU(attn_prefill), KB_CPU(attn_score), KB_CPU(attn_decode), KB_CPU(attn_unfused),
    KB_CPU(append), KB_CPU(gear), KB_CPU(lowrank), KB_CPU(rebuild), KB_CPU(digest), KB_CPU(page_score),
    KB_CPU(topk), KB_CPU(similarity), KB_CPU(h2o), KB_CPU(compact), KB_CPU(relayout), KB_CPU(rmsnorm),
    KB_CPU(rope), KB_CPU(swiglu), KB_CPU(sample), KB_CPU(read), KB_CPU(copy), KB_CPU(gather);

kb_launch *const KB_CPU(kernels)[KB_N_KERNEL] = {
    [KB_GEMM] = KB_CPU(gemm),
    [KB_ATTN_PREFILL] = KB_CPU(attn_prefill),
    [KB_ATTN_SCORE] = KB_CPU(attn_score),
    [KB_ATTN_DECODE] = KB_CPU(attn_decode),
    [KB_ATTN_UNFUSED] = KB_CPU(attn_unfused),
    [KB_APPEND] = KB_CPU(append),
    [KB_GEAR] = KB_CPU(gear),
    [KB_LOWRANK] = KB_CPU(lowrank),
    [KB_REBUILD] = KB_CPU(rebuild),
    [KB_DIGEST] = KB_CPU(digest),
    [KB_PAGE_SCORE] = KB_CPU(page_score),
    [KB_TOPK] = KB_CPU(topk),
    [KB_SIMILARITY] = KB_CPU(similarity),
    [KB_H2O] = KB_CPU(h2o),
    [KB_COMPACT] = KB_CPU(compact),
    [KB_RELAYOUT] = KB_CPU(relayout),
    [KB_RMSNORM] = KB_CPU(rmsnorm),
    [KB_ROPE] = KB_CPU(rope),
    [KB_SWIGLU] = KB_CPU(swiglu),
    [KB_SAMPLE] = KB_CPU(sample),
    [KB_READ] = KB_CPU(read),
    [KB_COPY] = KB_CPU(copy),
    [KB_GATHER] = KB_CPU(gather),
};
