/* Files that are not what they should be, folders that cannot be written, disks without room, processes that are killed.
 * Oracles: files made by hand and by sqlite itself, points that a child said were stored, and sqlite's own check. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/memory.h"
#include "tests/store_help.h"

static char *bytes_of(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = sim_alloc(*n + 1, 1);
    ck_assert_uint_eq(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void write_bytes(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* Refused for every mode, and its bytes stay. */
static void left_alone(const char *path, const char *part)
{
    size_t n, m;
    char *before = bytes_of(path, &n);
    for (int mode = EXP_STORE_READ; mode <= EXP_STORE_SHARD; mode++)
        store_refused(path, (enum exp_store_mode)mode, part);
    char *after = bytes_of(path, &m);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(before, after, n);
    free(before);
    free(after);
}

static const char *filled(const char *name, uint64_t n)
{
    const char *path = store_path(name);
    struct exp_store *s = store_of(path, "s", "text");
    for (uint64_t i = 0; i < n; i++) store_put(s, store_point(i, 0));
    exp_store_close(s);
    return path;
}

/* ---- what is no store ---- */

START_TEST(files_of_others_are_refused_and_left_as_they_are)
{
    char noise[3000];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)(i * i % 251);
    const char *path = store_path("noise.sqlite");
    write_bytes(path, noise, sizeof noise);
    left_alone(path, "is no SQLite file");
    left_alone(test_file("text.sqlite", "name: my study\n# a YAML file that was given as --db by mistake\n"),
               "is no SQLite file");
    path = store_path("photos.sqlite");
    store_sql(path, "CREATE TABLE photo(x); INSERT INTO photo VALUES(1)");
    left_alone(path, "of another program");
    path = store_path("newer.sqlite");
    store_sql(path, "PRAGMA application_id = 1802924905; PRAGMA user_version = 99; CREATE TABLE point(x)");
    left_alone(path, "by a newer kvsim");
    path = store_path("fake.sqlite");
    store_sql(path, "PRAGMA application_id = 1802924905; PRAGMA user_version = 1; CREATE TABLE point(x)");
    left_alone(path, "lacks the columns");
}
END_TEST

START_TEST(a_view_or_trigger_in_the_place_of_a_table_is_not_run)
{
    const char *path = filled("view.sqlite", 2);
    store_sql(path, "CREATE TRIGGER t AFTER INSERT ON point BEGIN DELETE FROM point; END");
    struct exp_store *s = store_of(path, "s", "text");
    store_put(s, store_point(5, 0));
    exp_store_close(s);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point"), 3);
    store_sql(path,
              "ALTER TABLE point RENAME TO q; CREATE VIEW point AS WITH RECURSIVE c(x) AS (SELECT 1 UNION "
              "ALL SELECT"
              " x + 1 FROM c) SELECT x AS study, x AS idx, x AS key, x AS setup, x AS state, x AS why,"
              " x AS load_state, x AS settings, x AS bands, x AS classes, x AS wall_s, x AS finished_at,"
              " x AS used_at, x AS model_version FROM c");
    store_refused(path, EXP_STORE_READ, "damaged");
    store_refused(path, EXP_STORE_WRITE, "damaged");
}
END_TEST

START_TEST(paths_that_hold_no_file_are_refused_with_what_to_do)
{
    char *inside = sim_printf("%s/a.sqlite", store_path("absent")),
         *in_file = sim_printf("%s/a", test_file("f", "x"));
    for (int mode = EXP_STORE_READ; mode <= EXP_STORE_SHARD; mode++) {
        store_refused(test_dir(), (enum exp_store_mode)mode, "is a directory");
        store_refused(inside, (enum exp_store_mode)mode, "make it or name another place");
        store_refused(in_file, (enum exp_store_mode)mode, "ot a directory");
        store_refused("/dev/null", (enum exp_store_mode)mode, "no regular file");
        struct sim_status st = {0};
        ck_assert_ptr_null(exp_store_open("", (enum exp_store_mode)mode, &st));
        ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    }
    store_refused(store_path("none.sqlite"), EXP_STORE_READ, "`kvsim sweep --db`");
    ck_assert_int_ne(access(store_path("none.sqlite"), F_OK), 0);
    free(inside);
    free(in_file);
}
END_TEST

START_TEST(an_empty_file_is_a_new_store_and_nothing_to_read)
{
    const char *path = test_file("empty.sqlite", "");
    store_refused(path, EXP_STORE_READ, "is empty");
    struct exp_store *s = store_of(path, "s", "text");
    store_put(s, store_point(0, 0));
    exp_store_close(s);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point"), 1);
    ck_assert_int_eq(store_sql(path, "PRAGMA application_id"), 0x6b767369);
}
END_TEST

START_TEST(names_that_mean_something_to_sqlite_are_names_of_files)
{
    static const char *const names[] = {":memory:", "file:x?mode=memory", "a b%20c#d?e.sqlite",
                                        "-dash'\".sqlite"};
    ck_assert_int_eq(chdir(test_dir()), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct exp_store *s = store_of(names[i], "s", "text");
        store_put(s, store_point(0, 0));
        exp_store_close(s);
        ck_assert_msg(access(names[i], F_OK) == 0, "%s", names[i]);
        s = store_opened(names[i], EXP_STORE_READ);
        char *rows = store_rows(s, "s");
        ck_assert_uint_gt(strlen(rows), 5);
        free(rows);
        exp_store_close(s);
    }
}
END_TEST

/* ---- damage ---- */

START_TEST(a_file_cut_short_is_refused_and_not_written)
{
    const char *path = filled("whole.sqlite", 60), *cut = store_path("cut.sqlite");
    size_t n;
    char *bytes = bytes_of(path, &n);
    const size_t lengths[] = {1, 50, 99, 100, 4095, 4096, n / 2, n - 4096, n - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        write_bytes(cut, bytes, lengths[i]);
        left_alone(cut, lengths[i] < 512 ? "no SQLite file" : "damaged");
    }
    free(bytes);
}
END_TEST

static bool count(void *user, const struct exp_stored *row)
{
    (void)row;
    ++*(int *)user;
    return true;
}

/* Where the page begins that holds a text. */
static size_t page_with(const char *bytes, size_t n, const char *text)
{
    size_t at = 0;
    while (at + strlen(text) < n && memcmp(bytes + at, text, strlen(text)) != 0) at++;
    ck_assert_uint_lt(at + strlen(text), n);
    return at / 4096 * 4096;
}

START_TEST(a_broken_page_is_found_by_a_writer_at_once_and_by_a_reader_when_it_comes_to_it)
{
    const char *path = filled("page.sqlite", 60);
    size_t n;
    char *bytes = bytes_of(path, &n);
    memset(bytes + page_with(bytes, n, "\"rate\":30}"), 0x5a, 4096);
    write_bytes(path, bytes, n);
    store_refused(path, EXP_STORE_WRITE, "sqlite3 ");
    store_refused(path, EXP_STORE_WRITE, ".recover`, and give --db a new file");
    struct sim_status st = {0};
    struct exp_store *s = store_opened(path, EXP_STORE_READ);
    int rows = 0;
    ck_assert(!exp_store_each(s, "s", count, &rows, &st));
    store_one_line(&st, path, "is damaged");
    exp_store_close(s);
    free(bytes);
}
END_TEST

/* ---- no room, no right ---- */

/* Points until one is refused, in a process whose files may not grow beyond `limit`; the number that were stored comes
 * through a pipe. */
static void fill_up(const char *path, enum exp_store_mode mode, rlim_t limit, int out)
{
    struct sim_status st = {0};
    struct exp_store *s = store_opened(path, mode);
    store_study(s, "s", "text");
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit});
    uint64_t n = 0;
    while (n < 100000) {
        struct exp_point_result r = store_point(n, 0);
        if (!exp_store_put(s, &r, &st)) break;
        exp_point_result_fini(&r);
        n++;
    }
    store_one_line(&st, path, "free some space");
    exp_store_close(s);
    if (write(out, &n, sizeof n) != sizeof n) _exit(1);
    _exit(0);
}

START_TEST(a_full_disk_is_said_in_one_line_and_every_point_before_it_is_there)
{
    const enum exp_store_mode modes[] = {EXP_STORE_WRITE, EXP_STORE_SHARD};
    for (int i = 0; i < 2; i++) {
        const char *path = store_path(i ? "full-shard.sqlite" : "full.sqlite");
        int out[2], status;
        uint64_t n = 0;
        ck_assert_int_eq(pipe(out), 0);
        pid_t pid = fork();
        if (pid == 0) fill_up(path, modes[i], 600000, out[1]);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        ck_assert_int_eq(read(out[0], &n, sizeof n), sizeof n);
        ck_assert_uint_gt(n, 5);
        struct exp_store *s = store_opened(path, modes[i]); /* there is room again: it goes on */
        store_study(s, "s", "text");
        store_put(s, store_point(n, 0));
        exp_store_close(s);
        ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point"), (int64_t)n + 1);
        char *ok = store_texts(path, "PRAGMA integrity_check");
        ck_assert_str_eq(ok, "ok\n");
        free(ok);
    }
}
END_TEST

/* A file or folder that root may write all the same: the rest is done as nobody. */
static void as_nobody(void)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(1);
}

static int result_of(pid_t pid)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *own_folder(const char *name)
{
    char *folder = sim_printf("%s/%s", test_dir(), name);
    ck_assert_int_eq(chmod(test_dir(), 0755), 0);
    ck_assert_int_eq(mkdir(folder, 0755), 0);
    return folder;
}

START_TEST(a_folder_that_cannot_be_written_can_be_read_and_says_so_to_a_writer)
{
    char *folder = own_folder("fixed"), *path = sim_printf("%s/a?b%%20.sqlite", folder),
         *new = sim_printf("%s/new.sqlite", folder);
    struct exp_store *s = store_of(path, "s", "text");
    for (uint64_t i = 0; i < 9; i++) store_put(s, store_point(i, 0));
    exp_store_close(s);
    ck_assert_int_eq(chmod(path, 0444), 0);
    ck_assert_int_eq(chmod(folder, 0555), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sim_status st = {0};
        int rows = 0;
        as_nobody();
        store_refused(path, EXP_STORE_WRITE, "cannot be written");
        store_refused(new, EXP_STORE_WRITE, "cannot be written");
        s = store_opened(path, EXP_STORE_READ);
        bool ok = exp_store_each(s, "s", count, &rows, &st);
        exp_store_close(s);
        _exit(ok && rows == 9 ? 0 : 1);
    }
    ck_assert_int_eq(result_of(pid), 0);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    free(folder);
    free(path);
    free(new);
}
END_TEST

START_TEST(a_log_that_cannot_be_read_where_it_lies_is_not_left_out)
{
    char *folder = own_folder("with-log"), *path = sim_printf("%s/a.sqlite", folder);
    pid_t pid = fork();
    if (pid == 0) {
        struct exp_store *s = store_opened(path, EXP_STORE_SHARD);
        store_study(s, "s", "text");
        store_put(s, store_point(0, 0));
        _exit(0); /* without closing: the point is in the log */
    }
    ck_assert_int_eq(result_of(pid), 0);
    ck_assert_int_eq(chmod(path, 0444), 0);
    ck_assert_int_eq(chmod(folder, 0555), 0);
    pid = fork();
    if (pid == 0) {
        as_nobody();
        store_refused(path, EXP_STORE_READ, "copy both to a folder that can be written");
        _exit(0);
    }
    ck_assert_int_eq(result_of(pid), 0);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    ck_assert_int_eq(chmod(path, 0644), 0);
    struct exp_store *s = store_opened(path, EXP_STORE_READ);
    char *rows = store_rows(s, "s");
    ck_assert_ptr_nonnull(strstr(rows, "done"));
    free(rows);
    exp_store_close(s);
    free(folder);
    free(path);
}
END_TEST

/* ---- kill -9 ---- */

static void put_and_say(const char *path, enum exp_store_mode mode, int out)
{
    struct exp_store *s = store_opened(path, mode);
    store_study(s, "s", "text");
    for (uint64_t i = 0;; i++) {
        struct exp_point_result r = store_point(i, 0);
        if (!exp_store_has(s, r.key)) store_put(s, store_point(i, 0));
        exp_point_result_fini(&r);
        if (write(out, &i, sizeof i) != sizeof i) _exit(1);
    }
}

START_TEST(what_was_said_to_be_stored_is_there_after_any_kill)
{
    const char *path = store_path("kills.sqlite");
    uint64_t said = 0, last = 0;
    for (int round = 0; round < 20; round++) {
        int out[2];
        ck_assert_int_eq(pipe(out), 0);
        pid_t pid = fork();
        if (pid == 0) put_and_say(path, round < 10 ? EXP_STORE_WRITE : EXP_STORE_SHARD, out[1]);
        close(out[1]);
        /* between two points, or inside one: the pipe holds some, so that the child is ahead by any number of them */
        while (read(out[0], &last, sizeof last) == sizeof last && last < said + 7 * (uint64_t)round + 1)
            continue;
        kill(pid, SIGKILL);
        while (read(out[0], &last, sizeof last) == sizeof last) continue;
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        close(out[0]);
        said = last;
        char *ok = store_texts(path, "PRAGMA integrity_check"), *sql;
        ck_assert_str_eq(ok, "ok\n");
        sql = sim_printf("SELECT count(*) FROM point WHERE idx <= %llu", (unsigned long long)said);
        ck_assert_int_eq(store_sql(path, sql), (int64_t)said + 1);
        free(ok);
        free(sql);
    }
}
END_TEST

/* ---- file systems ---- */

START_TEST(network_file_systems_are_known_by_their_numbers)
{
    static const struct {
        long type;
        const char *name;
    } known[] = {
        {0x6969, "NFS"},           {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"}, {(long)0xff534d42, "CIFS"},
        {(int)0xff534d42, "CIFS"}, {0x19830326, "BeeGFS"}, {0x00c36400, "Ceph"}};
    static const long local[] = {0xef53 /* ext4 */,
                                 0x58465342 /* XFS */,
                                 0x9123683e /* btrfs */,
                                 0x01021994 /* tmpfs */,
                                 0x794c7630 /* overlay */,
                                 0x2fc12fc1 /* ZFS */,
                                 0};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        ck_assert_str_eq(exp_network_filesystem(known[i].type), known[i].name);
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        ck_assert_ptr_null(exp_network_filesystem(local[i]));
}
END_TEST

START_TEST(fuse_is_a_network_where_the_mount_table_says_which)
{
    char table[] = "36 25 0:61 / /home/me/lab rw,nosuid - fuse.sshfs me@lab:/ rw\n"
                   "37 25 0:62 / /var/overlay rw - fuse.fuse-overlayfs overlay rw\n"
                   "38 25 8:1 / / rw - ext4 /dev/sda1 rw\n"
                   "39 25 0:63 / /mnt/a\\040b rw shared:1 - fuse.glusterfs host:/v rw\n";
    static const struct {
        unsigned minor;
        const char *name;
    } expected[] = {{61, "sshfs"}, {62, NULL}, {63, "glusterfs"}, {64, NULL}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        FILE *f = fmemopen(table, sizeof table - 1, "r");
        const char *got = exp_fuse_network(f, 0, expected[i].minor);
        fclose(f);
        if (expected[i].name)
            ck_assert_str_eq(got, expected[i].name);
        else
            ck_assert_ptr_null(got);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("store_files");
    TCase *c = tcase_create("files");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, files_of_others_are_refused_and_left_as_they_are);
    tcase_add_test(c, a_view_or_trigger_in_the_place_of_a_table_is_not_run);
    tcase_add_test(c, paths_that_hold_no_file_are_refused_with_what_to_do);
    tcase_add_test(c, an_empty_file_is_a_new_store_and_nothing_to_read);
    tcase_add_test(c, names_that_mean_something_to_sqlite_are_names_of_files);
    tcase_add_test(c, a_file_cut_short_is_refused_and_not_written);
    tcase_add_test(c, a_broken_page_is_found_by_a_writer_at_once_and_by_a_reader_when_it_comes_to_it);
    tcase_add_test(c, a_full_disk_is_said_in_one_line_and_every_point_before_it_is_there);
    tcase_add_test(c, a_folder_that_cannot_be_written_can_be_read_and_says_so_to_a_writer);
    tcase_add_test(c, a_log_that_cannot_be_read_where_it_lies_is_not_left_out);
    tcase_add_test(c, what_was_said_to_be_stored_is_there_after_any_kill);
    tcase_add_test(c, network_file_systems_are_known_by_their_numbers);
    tcase_add_test(c, fuse_is_a_network_where_the_mount_table_says_which);
    suite_add_tcase(suite, c);
    return suite;
}
