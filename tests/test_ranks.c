/* Ranks as a build without MPI has them, and what launchers say in the environment. Oracles: the variables that Open MPI's,
 * MPICH's and Slurm's manuals name, set by hand. */
#include <stdlib.h>
#include <string.h>

#include "experiments/study/ranks_alone.c" /* in the place of the library's ranks_mpi.c, where there is one */
#include "tests/harness.h"

static void unset_all(void)
{
    static const char *const names[] = {
        "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK",
        "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
}

START_TEST(a_process_that_nobody_started_with_others_is_rank_0_of_1)
{
    struct exp_ranks r;
    struct sim_status st = {0};
    int mine = 7, all = 0;
    struct exp_mailed m;
    ck_assert_uint_eq(exp_ranks_started(), 1);
    ck_assert(exp_ranks_is_first());
    ck_assert(exp_ranks_begin(&r, &st));
    ck_assert_uint_eq(r.rank, 0);
    ck_assert_uint_eq(r.n, 1);
    exp_ranks_gather(&r, &mine, sizeof mine, &all);
    exp_ranks_share(&r, &mine, sizeof mine);
    ck_assert_int_eq(all, 7);
    ck_assert_int_eq(mine, 7);
    ck_assert(exp_ranks_agree(&r, &st));
    sim_fail(&st, "no");
    ck_assert(!exp_ranks_agree(&r, &st));
    ck_assert(!exp_ranks_poll(&r, &m));
    exp_ranks_end(&r);
}
END_TEST

START_TEST(launchers_are_known_by_their_variables_and_a_batch_script_is_none)
{
    static const struct {
        const char *size, *rank;
    } launchers[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                     {"PMI_SIZE", "PMI_RANK"},
                     {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};
    for (size_t i = 0; i < 3; i++) {
        unset_all();
        setenv(launchers[i].rank, "0", 1); /* a job array's script has SLURM_PROCID=0 and no step */
        ck_assert_uint_eq(exp_ranks_started(), 1);
        setenv(launchers[i].size, "1", 1);
        ck_assert_uint_eq(exp_ranks_started(), 1);
        setenv(launchers[i].size, "12", 1);
        ck_assert_uint_eq(exp_ranks_started(), 12);
        ck_assert(exp_ranks_is_first());
        setenv(launchers[i].rank, "3", 1);
        ck_assert(!exp_ranks_is_first());
        setenv(launchers[i].size, "nonsense", 1);
        ck_assert_uint_eq(exp_ranks_started(), 1);
        ck_assert(exp_ranks_is_first());
    }
    unset_all();
}
END_TEST

START_TEST(one_of_several_processes_without_mpi_says_what_to_install)
{
    struct exp_ranks r;
    struct sim_status st = {0};
    setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
    ck_assert(!exp_ranks_begin(&r, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "one of 4 processes"));
    ck_assert_ptr_nonnull(strstr(st.message, "built without MPI"));
    ck_assert_ptr_nonnull(strstr(st.message, "--shard"));
    unset_all();
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("ranks");
    TCase *c = tcase_create("ranks");
    tcase_add_checked_fixture(c, unset_all, NULL);
    tcase_add_test(c, a_process_that_nobody_started_with_others_is_rank_0_of_1);
    tcase_add_test(c, launchers_are_known_by_their_variables_and_a_batch_script_is_none);
    tcase_add_test(c, one_of_several_processes_without_mpi_says_what_to_install);
    suite_add_tcase(s, c);
    return s;
}
