/* The cuda device's kernels. Compiled a second time with KB_SHIM for the same kernels on the CPU. */
#include "kernels/cuda/table.h"

#ifdef KB_SHIM
#define ENTRY(name) kb_shim_##name
#else
#define ENTRY(name) kb_cuda_##name
#endif

kb_launch ENTRY(gemm), ENTRY(attn_prefill), ENTRY(attn_score), ENTRY(attn_decode), ENTRY(attn_unfused),
    ENTRY(append), ENTRY(gear), ENTRY(lowrank), ENTRY(rebuild), ENTRY(digest), ENTRY(page_score), ENTRY(topk),
    ENTRY(similarity), ENTRY(h2o), ENTRY(compact), ENTRY(relayout), ENTRY(rmsnorm), ENTRY(rope),
    ENTRY(swiglu), ENTRY(sample), ENTRY(read), ENTRY(copy), ENTRY(gather);

kb_launch *const ENTRY(kernels)[KB_N_KERNEL] = {
#ifndef KB_SHIM
    [KB_GEMM] = ENTRY(gemm), /* cuBLAS: nothing of ours to prove without a GPU */
#endif
    [KB_ATTN_PREFILL] = ENTRY(attn_prefill),
    [KB_ATTN_SCORE] = ENTRY(attn_score),
    [KB_ATTN_DECODE] = ENTRY(attn_decode),
    [KB_ATTN_UNFUSED] = ENTRY(attn_unfused),
    [KB_APPEND] = ENTRY(append),
    [KB_GEAR] = ENTRY(gear),
    [KB_LOWRANK] = ENTRY(lowrank),
    [KB_REBUILD] = ENTRY(rebuild),
    [KB_DIGEST] = ENTRY(digest),
    [KB_PAGE_SCORE] = ENTRY(page_score),
    [KB_TOPK] = ENTRY(topk),
    [KB_SIMILARITY] = ENTRY(similarity),
    [KB_H2O] = ENTRY(h2o),
    [KB_COMPACT] = ENTRY(compact),
    [KB_RELAYOUT] = ENTRY(relayout),
    [KB_RMSNORM] = ENTRY(rmsnorm),
    [KB_ROPE] = ENTRY(rope),
    [KB_SWIGLU] = ENTRY(swiglu),
    [KB_SAMPLE] = ENTRY(sample),
    [KB_READ] = ENTRY(read),
    [KB_COPY] = ENTRY(copy),
    [KB_GATHER] = ENTRY(gather),
};
