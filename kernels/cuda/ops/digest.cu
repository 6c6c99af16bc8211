/* A warp digests one head of one page. Its lanes stand side by side over the channels, 8 each (16 bytes);
 * what lanes are left take every second, fourth ... token. A lane has ROWS tokens under way at once. */
#include "kernels/cuda/simt.cuh"

#include "kernels/format.h"

enum { ROWS = 16, THREADS = 128 };

/* A lane's share of a page: rows at `keys`, `stride` elements apart, of which the first n exist. */
struct share {
    const uint16_t *keys;
    uint64_t stride;
    uint32_t n;
};

KB_DEVICE void load_rows(uint4 row[ROWS], const struct share &s, uint32_t first)
{
#pragma unroll
    for (uint32_t r = 0; r < ROWS; r++)
        if (first + r < s.n) row[r] = kb_load16(s.keys + (first + r) * s.stride);
}

KB_DEVICE void unpack(float x[8], const uint4 &v)
{
    const uint32_t pair[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) {
        x[2 * i] = kb_bits_float(pair[i] << 16);
        x[2 * i + 1] = kb_bits_float(pair[i] & 0xffff0000u);
    }
}

KB_DEVICE uint4 pack(const float x[8])
{
    return make_uint4(kb_pack_bf16(x[0], x[1]), kb_pack_bf16(x[2], x[3]), kb_pack_bf16(x[4], x[5]),
                      kb_pack_bf16(x[6], x[7]));
}

/* Over the lanes that share channels: all lanes CHUNKS apart. */
template <int CHUNKS> KB_DEVICE void add_lanes(float x[8])
{
#pragma unroll
    for (int mask = CHUNKS; mask < 32; mask *= 2)
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] += kb_shfl_xor(x[i], mask);
}

template <int CHUNKS> KB_DEVICE void minmax(const struct share &s, float low[8], float high[8])
{
    uint4 row[ROWS];
    float x[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
        low[i] = INFINITY;
        high[i] = -INFINITY;
    }
    for (uint32_t first = 0; first < s.n; first += ROWS) {
        load_rows(row, s, first);
#pragma unroll
        for (uint32_t r = 0; r < ROWS; r++) {
            if (first + r >= s.n) break;
            unpack(x, row[r]);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                low[i] = fminf(low[i], x[i]);
                high[i] = fmaxf(high[i], x[i]);
            }
        }
    }
#pragma unroll
    for (int mask = CHUNKS; mask < 32; mask *= 2)
#pragma unroll
        for (int i = 0; i < 8; i++) {
            low[i] = fminf(low[i], kb_shfl_xor(low[i], mask));
            high[i] = fmaxf(high[i], kb_shfl_xor(high[i], mask));
        }
}

/* Forward for the mean, backward for the deviation: the rows last read are still in registers. */
template <int CHUNKS>
KB_DEVICE void centre(const struct share &s, uint32_t page_tokens, float mean[8], float deviation[8])
{
    uint4 row[ROWS];
    float x[8], per_token = 1.0f / (float)page_tokens;
#pragma unroll
    for (int i = 0; i < 8; i++) mean[i] = deviation[i] = 0;
    uint32_t n_blocks = (s.n + ROWS - 1) / ROWS;
    for (uint32_t b = 0; b < n_blocks; b++) {
        load_rows(row, s, b * ROWS);
#pragma unroll
        for (uint32_t r = 0; r < ROWS; r++) {
            if (b * ROWS + r >= s.n) break;
            unpack(x, row[r]);
#pragma unroll
            for (int i = 0; i < 8; i++) mean[i] += x[i];
        }
    }
    add_lanes<CHUNKS>(mean);
#pragma unroll
    for (int i = 0; i < 8; i++) mean[i] *= per_token;
    for (uint32_t b = n_blocks; b-- > 0;) {
        if (b + 1 < n_blocks) load_rows(row, s, b * ROWS);
#pragma unroll
        for (uint32_t r = 0; r < ROWS; r++) {
            if (b * ROWS + r >= s.n) break;
            unpack(x, row[r]);
#pragma unroll
            for (int i = 0; i < 8; i++) deviation[i] += fabsf(x[i] - mean[i]);
        }
    }
    add_lanes<CHUNKS>(deviation);
#pragma unroll
    for (int i = 0; i < 8; i++) deviation[i] *= per_token;
}

template <int CHUNKS, bool MINMAX>
KB_KERNEL __launch_bounds__(THREADS, 4) digest_kernel(const struct kb_digest a)
{
    const uint32_t parts = 32 / CHUNKS, heads = a.paged.n_kv_heads;
    uint32_t warp = blockIdx.x * (THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (warp >= a.n_list * heads) return;
    uint32_t page = a.page_list[warp / heads], head = warp % heads, part = lane / CHUNKS,
             channel = lane % CHUNKS * 8;
    uint64_t stride = (uint64_t)(a.paged.layout == KB_NHD ? heads : 1) * CHUNKS * 8;
    const uint16_t *keys = (const uint16_t *)a.kv + kb_row(&a.paged, page, 0, 0, head) * CHUNKS * 8;
    struct share s = {keys + part * stride + channel, parts * stride,
                      (a.paged.page_tokens + parts - 1 - part) / parts};
    float first[8], second[8];
    if (MINMAX)
        minmax<CHUNKS>(s, first, second);
    else
        centre<CHUNKS>(s, a.paged.page_tokens, first, second);
    uint16_t *out = a.digest + ((uint64_t)page * heads + head) * 2 * CHUNKS * 8 + channel;
    if (part == 0) {
        *(uint4 *)out = pack(first);
        *(uint4 *)(out + CHUNKS * 8) = pack(second);
    }
}

template <int CHUNKS>
static bool launch(struct kb_queue *queue, const struct kb_digest *a, struct kb_error *err)
{
    uint32_t warps = THREADS / 32, blocks = (a->n_list * a->paged.n_kv_heads + warps - 1) / warps;
    if (a->kind == KB_DIGEST_MINMAX)
        return KB_LAUNCH((digest_kernel<CHUNKS, true>), dim3(blocks), dim3(THREADS), 0, queue, err, *a);
    return KB_LAUNCH((digest_kernel<CHUNKS, false>), dim3(blocks), dim3(THREADS), 0, queue, err, *a);
}

KB_ENTRY(digest)
{
    const struct kb_digest *a = (const struct kb_digest *)args;
    switch (a->paged.head_dim) {
    case 64:
        return launch<8>(queue, a, err);
    case 128:
        return launch<16>(queue, a, err);
    case 256:
        return launch<32>(queue, a, err);
    default:
        return kb_fail(err, "kv_digest: head_dim %u; 64, 128 or 256 expected", (unsigned)a->paged.head_dim);
    }
}
