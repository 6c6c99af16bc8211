/* The SIMT shim itself: small kernels whose result is known, and kernels with the mistakes it is there to find. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/simt.cuh"
#include "kernels/shim/shim.h"

extern "C" {
#include "tests/harness.h"
}

/* --- a device per test --- */

struct bench {
    struct kb_device *device;
    struct kb_queue *queue;
    struct kb_error err;
};

static struct bench bench_open(void)
{
    struct bench b = {};
    b.device = kb_shim_open(&b.err);
    ck_assert_msg(b.device != nullptr, "%s", b.err.text);
    b.queue = b.device->ops->queue_new(b.device, &b.err);
    return b;
}

static void bench_close(struct bench *b)
{
    b->device->ops->queue_free(b->queue);
    kb_device_close(b->device);
}

/* The launch failed and says so with these words. */
static void assert_refused(struct bench *b, bool launched, const char *words)
{
    ck_assert_msg(!launched, "no error, expected \"%s\"", words);
    ck_assert_msg(strstr(b->err.text, words) != nullptr, "\"%s\" does not say \"%s\"", b->err.text, words);
    bench_close(b);
}

/* --- threads and blocks --- */

KB_KERNEL block_sums(const uint32_t *x, uint32_t *sum)
{
    KB_SHARED(uint32_t, part[8]);
    uint32_t v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int mask = 16; mask; mask >>= 1) v += kb_shfl_xor(v, mask);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
    kb_sync_block();
    if (threadIdx.x != 0) return;
    for (uint32_t i = 1; i < blockDim.x / 32; i++) v += part[i];
    sum[blockIdx.x] = v;
}

START_TEST(a_block_reduction_adds_each_block)
{
    struct bench b = bench_open();
    uint32_t x[5 * 256], sum[5];
    for (uint32_t i = 0; i < 5 * 256; i++) x[i] = i * i;
    ck_assert_msg(KB_LAUNCH(block_sums, 5, 256, 0, b.queue, &b.err, x, sum), "%s", b.err.text);
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t want = 0;
        for (uint32_t j = 0; j < 256; j++) want += x[i * 256 + j];
        ck_assert_uint_eq(sum[i], want);
    }
    bench_close(&b);
}
END_TEST

KB_KERNEL block_sums_unsynchronised(const uint32_t *x, uint32_t *sum)
{
    KB_SHARED(uint32_t, part[8]);
    part[threadIdx.x / 32] = x[threadIdx.x];
    uint32_t v = 0;
    for (uint32_t i = 0; i < blockDim.x / 32; i++) v += part[i];
    if (threadIdx.x == 0) sum[blockIdx.x] = v;
}

START_TEST(a_missing_sync_gives_a_wrong_result)
{
    if (kb_fibre_sees_races()) return; /* and calls it one at once */
    struct bench b = bench_open();
    uint32_t x[256], sum[2];
    for (uint32_t i = 0; i < 256; i++) x[i] = 1;
    ck_assert_msg(KB_LAUNCH(block_sums_unsynchronised, 2, 256, 0, b.queue, &b.err, x, sum), "%s", b.err.text);
    ck_assert(sum[0] != 8 || sum[1] != 8);
    bench_close(&b);
}
END_TEST

KB_KERNEL words_of_warps(uint32_t *out)
{
    uint32_t i = threadIdx.x, lane = i % 32;
    out[i] = kb_shfl(i, 5);
    out[64 + i] = kb_shfl_up(i, 3);
    out[128 + i] = kb_ballot(lane % 3 == 0);
    out[192 + i] = kb_shfl_xor(i, 9);
    kb_sync_warp();
    if (i < 32) kb_sync_some(1, 32);
    kb_sync_some(2, 64);
    kb_atomic_add(&out[256], i);
    kb_atomic_max(&out[257], i);
}

START_TEST(shuffles_and_votes_stay_within_their_warp)
{
    struct bench b = bench_open();
    uint32_t out[258] = {0};
    ck_assert_msg(KB_LAUNCH(words_of_warps, dim3(1, 1, 1), 64, 0, b.queue, &b.err, out), "%s", b.err.text);
    for (uint32_t i = 0; i < 64; i++) {
        ck_assert_uint_eq(out[i], i / 32 * 32 + 5);
        ck_assert_uint_eq(out[64 + i], i % 32 < 3 ? i : i - 3);
        ck_assert_uint_eq(out[128 + i], 0x49249249u);
        ck_assert_uint_eq(out[192 + i], i ^ 9u);
    }
    ck_assert_uint_eq(out[256], 63 * 32);
    ck_assert_uint_eq(out[257], 63);
    bench_close(&b);
}
END_TEST

KB_KERNEL where_am_i(uint32_t *out)
{
    uint32_t block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    uint32_t thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * 64 + thread]++;
}

START_TEST(every_thread_of_every_block_runs_once)
{
    struct bench b = bench_open();
    uint32_t out[24 * 64] = {0};
    ck_assert(KB_LAUNCH(where_am_i, dim3(2, 3, 4), dim3(4, 8, 2), 0, b.queue, &b.err, out));
    for (uint32_t i = 0; i < 24 * 64; i++) ck_assert_uint_eq(out[i], 1);
    bench_close(&b);
}
END_TEST

/* Warp 1 hands each of n values over to warp 0, through one place: 1 says that it is full, 2 that it is free. */
KB_KERNEL hand_over(uint32_t *out, uint32_t n)
{
    KB_SHARED(uint32_t, place[32]);
    uint32_t lane = threadIdx.x % 32;
    for (uint32_t i = 0; i < n; i++) {
        if (threadIdx.x >= 32) {
            if (i > 0) kb_sync_some(2, 64);
            place[lane] = i * 100 + lane;
            kb_arrive_some(1, 64);
        } else {
            kb_sync_some(1, 64);
            out[i * 32 + lane] = place[31 - lane];
            if (i + 1 < n) kb_arrive_some(2, 64);
        }
    }
}

START_TEST(named_barriers_order_a_producer_and_a_consumer)
{
    struct bench b = bench_open();
    uint32_t out[5 * 32];
    for (int run = 0; run < 2; run++) { /* threads in both orders */
        ck_assert_msg(KB_LAUNCH(hand_over, 1, 64, 0, b.queue, &b.err, out, 5u), "%s", b.err.text);
        for (uint32_t i = 0; i < 5 * 32; i++) ck_assert_uint_eq(out[i], i / 32 * 100 + 31 - i % 32);
    }
    bench_close(&b);
}
END_TEST

/* --- deadlocks --- */

KB_KERNEL early_end(uint32_t n)
{
    if (threadIdx.x >= n) return;
    kb_sync_block();
}

START_TEST(threads_that_end_while_others_wait_are_reported)
{
    struct bench b = bench_open();
    ck_assert(KB_LAUNCH(early_end, 1, 64, 0, b.queue, &b.err, 64u));
    ck_assert(!KB_LAUNCH(early_end, dim3(3, 2), 64, 0, b.queue, &b.err, 63u));
    ck_assert_msg(strstr(b.err.text, "early_end, block (0, 0, 0)") &&
                      strstr(b.err.text, "63 at kb_sync_block") && strstr(b.err.text, "1 have ended"),
                  "%s", b.err.text);
    ck_assert(KB_LAUNCH(early_end, 1, 128, 0, b.queue, &b.err, 128u)); /* and the device is as good as new */
    bench_close(&b);
}
END_TEST

KB_KERNEL divergent(uint32_t *out)
{
    out[0] = threadIdx.x < 16 ? kb_shfl_xor(1u, 1) : kb_ballot(true);
}

START_TEST(lanes_at_different_words_are_reported)
{
    struct bench b = bench_open();
    uint32_t out[1];
    assert_refused(&b, KB_LAUNCH(divergent, 1, 32, 0, b.queue, &b.err, out), "different places");
}
END_TEST

KB_KERNEL crossed_barriers()
{
    kb_sync_some(threadIdx.x < 32 ? 1 : 2, 64);
}

START_TEST(warps_at_different_barriers_are_reported)
{
    struct bench b = bench_open();
    assert_refused(&b, KB_LAUNCH(crossed_barriers, 1, 64, 0, b.queue, &b.err), "deadlock");
}
END_TEST

/* --- shared memory --- */

KB_KERNEL touch(uint32_t *out, uint32_t at, bool write)
{
    KB_SHARED_BYTES(bytes);
    KB_SHARED(uint16_t, fixed[3]);
    if (threadIdx.x == 0) {
        out[0] = bytes[0];
        out[1] = fixed[2];
        if (write) {
            bytes[at] = 1;
            fixed[2] = 1;
        }
    }
}

START_TEST(shared_memory_is_poisoned_for_every_block)
{
    struct bench b = bench_open();
    uint32_t out[2];
    ck_assert(KB_LAUNCH(touch, 1, 32, 100, b.queue, &b.err, out, 0u, true));
    ck_assert(KB_LAUNCH(touch, 2, 32, 100, b.queue, &b.err, out, 0u, true));
    ck_assert_uint_eq(out[0], 0xff);
    ck_assert_uint_eq(out[1], 0xffff);
    bench_close(&b);
}
END_TEST

START_TEST(more_shared_memory_than_there_is_is_refused)
{
    struct bench b = bench_open();
    uint32_t out[2];
    ck_assert(KB_LAUNCH(touch, 1, 32, 99 * 1024 - 8, b.queue, &b.err, out, 0u, true));
    ck_assert(
        !KB_LAUNCH(touch, 1, 32, 99 * 1024, b.queue, &b.err, out, 0u, true)); /* its variable is too much */
    assert_refused(&b, KB_LAUNCH(touch, 1, 32, 99 * 1024 + 1, b.queue, &b.err, out, 0u, true),
                   "shared memory");
}
END_TEST

START_TEST(a_write_beyond_shared_memory_is_found)
{
    struct bench b = bench_open();
    uint32_t out[2];
    uint8_t probe[8];
    if (kb_fibre_forbid(probe, 8)) { /* a sanitizer ends the program at the write itself */
        kb_fibre_permit(probe, 8);
        bench_close(&b);
        return;
    }
    assert_refused(&b, KB_LAUNCH(touch, 1, 32, 100, b.queue, &b.err, out, 100u, true),
                   "beyond the end of shared");
}
END_TEST

START_TEST(impossible_grids_and_blocks_are_refused)
{
    struct bench b = bench_open();
    ck_assert(!KB_LAUNCH(early_end, 0, 32, 0, b.queue, &b.err, 32u));
    ck_assert(!KB_LAUNCH(early_end, dim3(1, 65536), 32, 0, b.queue, &b.err, 32u));
    ck_assert(!KB_LAUNCH(early_end, 1, 33, 0, b.queue, &b.err, 33u));
    ck_assert(!KB_LAUNCH(early_end, 1, 1056, 0, b.queue, &b.err, 1056u));
    bench_close(&b);
}
END_TEST

/* --- copies --- */

KB_KERNEL staged(const uint32_t *from, uint32_t *to, bool wait, bool sync, bool valid)
{
    KB_SHARED_BYTES(bytes);
    uint32_t *stage = (uint32_t *)bytes, i = threadIdx.x;
    kb_copy16(&stage[4 * i], &from[4 * i], valid);
    kb_copy_commit();
    kb_copy16(&stage[128 + 4 * i], &from[128 + 4 * i], true);
    kb_copy_commit();
    if (wait) kb_copy_wait<1>();
    if (sync) kb_sync_block();
    for (uint32_t j = 0; j < 4; j++) to[4 * i + j] = stage[(4 * i + j + 16) % 128];
    to[128 + i] = stage[128 + 4 * i];
}

static bool run_staged(struct bench *b, uint32_t *to, bool wait, bool sync, bool valid)
{
    uint32_t *from = (uint32_t *)aligned_alloc(16, 1024);
    for (uint32_t i = 0; i < 256; i++) from[i] = i;
    bool ok = KB_LAUNCH(staged, 2, 32, 1024, b->queue, &b->err, from, to, wait, sync, valid);
    free(from);
    return ok;
}

START_TEST(copies_land_when_they_are_waited_for)
{
    if (kb_fibre_sees_races()) return; /* and calls it one at once */
    struct bench b = bench_open();
    uint32_t to[160], n_wrong = 0;
    ck_assert(run_staged(&b, to, true, true, true));
    for (uint32_t i = 0; i < 128; i++) ck_assert_uint_eq(to[i], (i + 16) % 128);
    for (uint32_t i = 128; i < 160; i++) ck_assert_uint_eq(to[i], UINT32_MAX); /* the group not waited for */
    ck_assert(run_staged(&b, to, true, true, false));
    for (uint32_t i = 0; i < 128; i++) ck_assert_uint_eq(to[i], 0);
    ck_assert(run_staged(&b, to, false, true, true));
    for (uint32_t i = 0; i < 128; i++) ck_assert_uint_eq(to[i], UINT32_MAX);
    ck_assert(run_staged(&b, to, true, false, true)); /* the neighbour's copy without a sync */
    for (uint32_t i = 0; i < 128; i++) n_wrong += to[i] != (i + 16) % 128;
    ck_assert_uint_gt(n_wrong, 0);
    bench_close(&b);
}
END_TEST

KB_KERNEL copy_to(unsigned char *elsewhere, const unsigned char *from, uint32_t skew, bool global)
{
    KB_SHARED_BYTES(bytes);
    if (threadIdx.x == 0) kb_copy16(global ? elsewhere : bytes + skew, from, true);
}

START_TEST(copies_off_their_alignment_or_out_of_shared_memory_are_reported)
{
    struct bench b = bench_open();
    alignas(16) unsigned char from[32], to[32];
    ck_assert(KB_LAUNCH(copy_to, 1, 32, 64, b.queue, &b.err, to, from, 48u, false));
    ck_assert(!KB_LAUNCH(copy_to, 1, 32, 64, b.queue, &b.err, to, from, 8u, false));
    ck_assert(!KB_LAUNCH(copy_to, 1, 32, 64, b.queue, &b.err, to, from + 4, 0u, false));
    ck_assert(!KB_LAUNCH(copy_to, 1, 32, 64, b.queue, &b.err, to, from, 64u, false));
    assert_refused(&b, KB_LAUNCH(copy_to, 1, 32, 64, b.queue, &b.err, to, from, 0u, true),
                   "not in shared memory");
}
END_TEST

/* --- matrices --- */

/* c[16][8] = a[16][16] b[16][8]; b by the transposed load, both lying in shared memory row by row. */
template <bool HALF> KB_KERNEL product(const uint16_t *a, const uint16_t *b, float *c)
{
    KB_SHARED_BYTES(bytes);
    uint16_t *sa = (uint16_t *)bytes, *sb = sa + 256;
    uint32_t lane = threadIdx.x, ra[4], rb[4];
    for (uint32_t i = lane; i < 256; i += 32) sa[i] = a[i];
    for (uint32_t i = lane; i < 256; i += 32) sb[i] = b[i];
    kb_sync_warp();
    kb_ldmatrix(ra, &sa[(lane % 16) * 16 + lane / 16 * 8]);
    kb_ldmatrix_transposed(rb, &sb[(lane % 16) * 16 + lane / 16 * 8]); /* two tiles of 8 columns */
    for (uint32_t tile = 0; tile < 2; tile++) {
        float r[4] = {1, 1, 1, 1};
        if (HALF)
            kb_mma_fp16(r, ra, rb + 2 * tile);
        else
            kb_mma_bf16(r, ra, rb + 2 * tile);
        for (uint32_t i = 0; i < 4; i++)
            c[(lane / 4 + i / 2 * 8) * 16 + tile * 8 + lane % 4 * 2 + i % 2] = r[i];
    }
}

START_TEST(fragments_multiply_as_matrices_do)
{
    struct bench b = bench_open();
    uint16_t x[2][256], y[2][256];
    float c[2][256];
    for (uint32_t i = 0; i < 256; i++) {
        float u = (float)(i * 37 % 101) - 50, v = (float)(i * 53 % 89) - 44;
        x[0][i] = kb_bf16_from_float(u), x[1][i] = kb_fp16_from_float(u);
        y[0][i] = kb_bf16_from_float(v), y[1][i] = kb_fp16_from_float(v);
    }
    ck_assert_msg(KB_LAUNCH((product<false>), 1, 32, 1024, b.queue, &b.err, x[0], y[0], c[0]), "%s",
                  b.err.text);
    ck_assert_msg(KB_LAUNCH((product<true>), 1, 32, 1024, b.queue, &b.err, x[1], y[1], c[1]), "%s",
                  b.err.text);
    for (uint32_t i = 0; i < 16; i++)
        for (uint32_t j = 0; j < 16; j++) {
            float want = 1;
            for (uint32_t k = 0; k < 16; k++)
                want += kb_bf16_to_float(x[0][i * 16 + k]) * kb_bf16_to_float(y[0][k * 16 + j]);
            ck_assert_float_eq(c[0][i * 16 + j], want); /* whole numbers: exact */
            ck_assert_float_eq(c[1][i * 16 + j], want);
        }
    bench_close(&b);
}
END_TEST

KB_KERNEL transpose(const uint16_t *in, uint16_t *out)
{
    uint32_t pair;
    memcpy(&pair, in + 2 * threadIdx.x, 4); /* row lane / 4, columns 2 (lane % 4) and the next */
    pair = kb_transpose8(pair);
    memcpy(out + 2 * threadIdx.x, &pair, 4);
}

START_TEST(a_matrix_in_registers_is_transposed)
{
    struct bench b = bench_open();
    uint16_t in[64], out[64];
    for (uint32_t i = 0; i < 64; i++) in[i] = (uint16_t)(1000 + i);
    ck_assert_msg(KB_LAUNCH(transpose, 1, 32, 0, b.queue, &b.err, in, out), "%s", b.err.text);
    for (uint32_t i = 0; i < 64; i++) ck_assert_uint_eq(out[i], 1000 + i % 8 * 8 + i / 8);
    bench_close(&b);
}
END_TEST

/* --- arithmetic --- */

/* Nearest-even rounding by looking at both neighbours, in long double. */
static uint16_t nearest(long double x, float (*value)(uint16_t), uint16_t guess)
{
    uint16_t best = guess;
    for (int step = -2; step <= 2; step++) {
        uint16_t code = (uint16_t)(guess + step);
        long double d = fabsl(value(code) - x), least = fabsl(value(best) - x);
        if (d < least || (d == least && code % 2 == 0)) best = code;
    }
    return best;
}

START_TEST(short_fused_multiply_adds_round_once)
{
    uint64_t state = 1;
    for (uint32_t i = 0; i < 200000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint16_t a = (uint16_t)(0x3c00 + (state >> 40 & 0x3ff)),
                 b = (uint16_t)(0x3400 + (state >> 20 & 0xbff));
        uint16_t c = (uint16_t)(0x2c00 + (state >> 50 & 0x13ff));
        long double exact = (long double)kb_fp16_to_float(a) * kb_fp16_to_float(b) + kb_fp16_to_float(c);
        uint16_t got = (uint16_t)kb_fma_fp16x2(a, b, c);
        ck_assert_uint_eq(got, nearest(exact, kb_fp16_to_float, kb_fp16_from_float((float)exact)));
        exact = (long double)kb_bf16_to_float(a) * kb_bf16_to_float(b) + kb_bf16_to_float(c);
        got = (uint16_t)(kb_fma_bf16x2((uint32_t)a << 16, (uint32_t)b << 16, (uint32_t)c << 16) >> 16);
        ck_assert_uint_eq(got, nearest(exact, kb_bf16_to_float, kb_bf16_from_float((float)exact)));
    }
}
END_TEST

START_TEST(bytes_are_permuted_as_the_instruction_does)
{
    ck_assert_uint_eq(kb_permute_bytes(0x33221100u, 0x77665544u, 0x7250u), 0x77225500u);
    ck_assert_uint_eq(kb_permute_bytes(0x33221100u, 0x77665544u, 0x3210u), 0x33221100u);
    ck_assert_uint_eq(kb_and_or(0xf0f0u, 0xff00u, 0x000fu), 0xf00fu);
    ck_assert_uint_eq(kb_fp8x2_to_fp16x2(0xb838u), 0xbc003c00u); /* -1, 1 */
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kernels_shim");
    TCase *t = tcase_create("shim");
    tcase_add_test(t, a_block_reduction_adds_each_block);
    tcase_add_test(t, a_missing_sync_gives_a_wrong_result);
    tcase_add_test(t, shuffles_and_votes_stay_within_their_warp);
    tcase_add_test(t, every_thread_of_every_block_runs_once);
    tcase_add_test(t, named_barriers_order_a_producer_and_a_consumer);
    tcase_add_test(t, threads_that_end_while_others_wait_are_reported);
    tcase_add_test(t, lanes_at_different_words_are_reported);
    tcase_add_test(t, warps_at_different_barriers_are_reported);
    tcase_add_test(t, shared_memory_is_poisoned_for_every_block);
    tcase_add_test(t, more_shared_memory_than_there_is_is_refused);
    tcase_add_test(t, a_write_beyond_shared_memory_is_found);
    tcase_add_test(t, impossible_grids_and_blocks_are_refused);
    tcase_add_test(t, copies_land_when_they_are_waited_for);
    tcase_add_test(t, copies_off_their_alignment_or_out_of_shared_memory_are_reported);
    tcase_add_test(t, fragments_multiply_as_matrices_do);
    tcase_add_test(t, a_matrix_in_registers_is_transposed);
    tcase_add_test(t, short_fused_multiply_adds_round_once);
    tcase_add_test(t, bytes_are_permuted_as_the_instruction_does);
    suite_add_tcase(s, t);
    return s;
}
