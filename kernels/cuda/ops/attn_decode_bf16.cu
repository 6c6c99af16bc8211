#include "kernels/cuda/ops/attn_decode.cuh"

bool kb_decode_bf16(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                    struct kb_error *err)
{
    return decode::choose<KB_BF16>(queue, a, s, err);
}

bool kb_decode_fp8(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                   struct kb_error *err)
{
    return decode::choose<KB_FP8>(queue, a, s, err);
}
