/* The CUDA kernels over the shim against the same references and shapes as on the GPU. */
#include "kernels/shim/shim.h"

#include "tests/kernels_help.h"

/* Cards as kernels tell them apart: with what a block may ask of shared memory and what converts fp8. */
static const struct card {
    uint32_t compute_capability;
    uint64_t shared_bytes;
} cards[] = {{89, 99 * 1024}, {80, 163 * 1024}, {90, 227 * 1024}};
enum { N_CARDS = sizeof cards / sizeof *cards };

START_TEST(each_kernel_agrees_with_its_reference)
{
    enum kb_kernel_id id = (enum kb_kernel_id)(_i / N_CARDS);
    const struct card *c = &cards[_i % N_CARDS];
    if (id == KB_GEMM) return; /* cuBLAS: nothing of ours runs */
    struct kb_error err = {{0}};
    struct kb_device *d = kb_shim_open_like(c->compute_capability, c->shared_bytes, &err);
    ck_assert_msg(d != NULL, "%s", err.text);
    assert_kernel_is_right(id, d, 100 * (uint64_t)_i);
    kb_device_close(d);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kernels_shim_ops");
    TCase *t = tcase_create("shim");
    tcase_add_loop_test(t, each_kernel_agrees_with_its_reference, 0, KB_N_KERNEL * N_CARDS);
    suite_add_tcase(s, t);
    return s;
}
