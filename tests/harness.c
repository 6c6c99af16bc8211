#include "tests/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, N_PATHS = 8 };

static int *skipped; /* shared with Check's forked children */
static int in_test;
static char dir[PATH_BYTES];

const char *test_shared(const char *relative)
{
    static char path[PATH_BYTES];
    static char counted[PATH_BYTES];
    const char *base = getenv("KVSIM_SHARED");
    snprintf(path, sizeof path, "%s/%s", base ? base : "../shared", relative);
    if (access(path, R_OK) == 0) return path;
    if (base) ck_abort_msg("KVSIM_SHARED is set but %s is missing", path);
    if (strcmp(counted, relative) != 0) {
        snprintf(counted, sizeof counted, "%s", relative);
        if (!in_test++) __sync_fetch_and_add(skipped, 1);
        printf("skipped: no shared data (%s)\n", path);
    }
    return NULL;
}

const char *test_dir(void)
{
    return dir;
}

const char *test_file(const char *name, const char *text)
{
    static char paths[N_PATHS][PATH_BYTES + 256];
    static int next;
    char *path = paths[next++ % N_PATHS];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    skipped = mmap(NULL, sizeof *skipped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/kvsim-test-XXXXXX", tmp ? tmp : "/tmp");
    if (skipped == MAP_FAILED || !mkdtemp(dir)) {
        perror("test harness");
        return 1;
    }
    SRunner *runner = srunner_create(test_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    int run = srunner_ntests_run(runner);
    srunner_free(runner);
    char *remove_dir = malloc(sizeof dir + 16);
    sprintf(remove_dir, "rm -rf '%s'", dir);
    int removed = system(remove_dir);
    free(remove_dir);
    printf("%d passed, %d failed, %d skipped\n", run - failed - *skipped, failed, *skipped);
    return failed || removed ? 1 : 0;
}
