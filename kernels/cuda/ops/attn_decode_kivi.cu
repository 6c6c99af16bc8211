#include "kernels/cuda/ops/attn_decode.cuh"

bool kb_decode_kivi4(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                     struct kb_error *err)
{
    return decode::choose<KB_KIVI4>(queue, a, s, err);
}

bool kb_decode_kivi2(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                     struct kb_error *err)
{
    return decode::choose<KB_KIVI2>(queue, a, s, err);
}
