#include "tests/harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, N_PATHS = 8 };

static int *n_skipped; /* shared with Check's forked children */
static bool test_runs, skips;
static char dir[PATH_BYTES];

static char *next_path(void)
{
    static char paths[N_PATHS][PATH_BYTES + 256];
    static int next;
    return paths[next++ % N_PATHS];
}

static void begin(void)
{
    test_runs = true;
    skips = false;
}

static void end(void)
{
    test_runs = false;
}

TCase *test_case(const char *name)
{
    TCase *c = (tcase_create)(name);
    tcase_add_checked_fixture(c, begin, end);
    return c;
}

bool test_is_skipped(void)
{
    return skips;
}

void test_skip(const char *why)
{
    if (!skips) {
        __sync_fetch_and_add(n_skipped, 1);
        printf("skipped: %s\n", why);
    }
    skips = true;
}

const char *test_shared(const char *relative)
{
    const char *base = getenv("KVSIM_SHARED");
    char *path = next_path();
    bool given = base && *base;
    snprintf(path, PATH_BYTES, "%s/%s", given ? base : "../shared", relative);
    if (access(path, R_OK) == 0) return path;
    if (!test_runs) return NULL; /* asked while the suite is put together */
    if (given) ck_abort_msg("KVSIM_SHARED is set but %s is missing", path);
    char why[PATH_BYTES + 300];
    snprintf(why, sizeof why, "no shared data (%s)", path);
    test_skip(why);
    return NULL;
}

const char *test_dir(void)
{
    return dir;
}

const char *test_file(const char *name, const char *text)
{
    char *path = next_path();
    snprintf(path, PATH_BYTES + 256, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

/* One zeroed counter that forked children share: a mapped file that has lost its name. */
static int *shared_counter(void)
{
    char *path = next_path();
    snprintf(path, PATH_BYTES + 256, "%s/skipped", dir);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0 || unlink(path) != 0 || ftruncate(file, sizeof(int)) != 0) return NULL;
    void *p = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return p == MAP_FAILED ? NULL : p;
}

static bool make_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/kvsim-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(dir) != NULL;
}

static bool remove_dir(void)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    n_skipped = make_dir() ? shared_counter() : NULL;
    if (!n_skipped) {
        perror("test harness");
        return 1;
    }
    SRunner *runner = srunner_create(test_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    int run = srunner_ntests_run(runner);
    srunner_free(runner);
    if (!remove_dir()) {
        printf("%s could not be removed\n", dir);
        failed++;
        run++;
    }
    int passed = run - failed - *n_skipped;
    printf("%d passed, %d failed, %d skipped\n", passed > 0 ? passed : 0, failed, *n_skipped);
    return failed || run == 0 ? 1 : 0;
}
