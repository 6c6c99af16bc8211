#include "kernels/cuda/ops/attn_decode.cuh"

bool kb_decode_int8(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                    struct kb_error *err)
{
    return decode::choose<KB_INT8>(queue, a, s, err);
}

bool kb_decode_int4(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                    struct kb_error *err)
{
    return decode::choose<KB_INT4>(queue, a, s, err);
}
