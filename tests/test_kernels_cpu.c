/* Every kernel of the cpu device against its reference, on every shape that `check` knows. */
#include "tests/kernels_help.h"

START_TEST(each_kernel_agrees_with_its_reference)
{
    struct kb_error err = {{0}};
    struct kb_device *d = kb_device_open("cpu", &err);
    ck_assert_msg(d != NULL, "%s", err.text);
    for (uint64_t seed = 1; seed <= 2001; seed += 1000)
        assert_kernel_is_right((enum kb_kernel_id)_i, d, seed);
    kb_device_close(d);
}
END_TEST

START_TEST(kernels_stand_at_their_ids_and_have_names_of_their_own)
{
    for (int i = 0; i < KB_N_KERNEL; i++) {
        ck_assert_ptr_nonnull(kb_kernels[i]);
        ck_assert_int_eq(kb_kernels[i]->id, i);
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(kb_kernels[k]->name, kb_kernels[i]->name); /* their files */
        ck_assert_uint_le(kb_n_keys(kb_kernels[i]->keys), KB_MAX_KEYS);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kernels_cpu");
    TCase *t = tcase_create("cpu");
    tcase_add_loop_test(t, each_kernel_agrees_with_its_reference, 0, KB_N_KERNEL);
    tcase_add_test(t, kernels_stand_at_their_ids_and_have_names_of_their_own);
    suite_add_tcase(s, t);
    return s;
}
