/* A store with some of its bytes changed, opened in every mode, read, written and merged. The input is a list of changes,
 * five bytes each: where (little endian, modulo the file's size) and what is put there. */
#include "experiments/study/store/store_parts.h"
#include "sim/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(bool ok, const struct sim_status *st)
{
    if (ok != (st->code == SIM_EXIT_OK) || strchr(st->message, '\n')) abort();
    if (!ok && !st->message[0]) abort();
}

static bool look(void *user, const struct exp_stored *row)
{
    size_t *sum = user;
    *sum += strlen(row->study) + strlen(row->key) + strlen(row->setup) + strlen(row->why) +
            strlen(row->load_state) + strlen(row->settings) + strlen(row->model_version) +
            (row->bands ? strlen(row->bands) : 0) + (row->classes ? strlen(row->classes) : 0);
    for (size_t i = 0; i < exp_measure_count(); i++) *sum += row->measure[i] > 0;
    return true;
}

static void put(struct exp_store *s, uint64_t i)
{
    struct sim_status st = {0};
    struct exp_point_result r = {
        .index = i, .state = i % 4 == 3 ? EXP_POINT_FAILED : EXP_POINT_DONE, .why = "why"};
    if (i % 8 != 7) snprintf(r.key, sizeof r.key, "%032llx", (unsigned long long)i * 7919);
    snprintf(r.setup, sizeof r.setup, "%032llx", (unsigned long long)i / 2);
    r.settings = sim_strdup("{\"strategy\":\"full\",\"rate\":1.5}");
    r.bands = sim_strdup("{\"p99_ttft_ms_lo\":1}");
    r.measure = sim_alloc(exp_measure_count(), sizeof *r.measure);
    for (size_t k = 0; k < exp_measure_count(); k++) r.measure[k] = (double)(i + k) / 3;
    judge(exp_store_put(s, &r, &st), &st);
    exp_store_has(s, r.key);
    exp_store_stale(s, r.setup, r.key);
    st = (struct sim_status){0};
    if (r.key[0] && r.state == EXP_POINT_DONE) judge(exp_store_adopt(s, &r, &st), &st);
    exp_point_result_fini(&r);
}

static void write_some(struct exp_store *s, uint64_t from, uint64_t to)
{
    struct sim_status st = {0};
    struct exp_study_row row = {"s", "file", "scenario", "{}", "note", "[]", 3};
    bool ok = exp_store_put_study_row(s, &row, &st);
    judge(ok, &st);
    for (uint64_t i = from; ok && i < to; i++) put(s, i);
}

static void change(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "r+b");
    if (!f || fseek(f, 0, SEEK_END) != 0) abort();
    long n = ftell(f);
    for (size_t i = 0; i + 5 <= size && i < 500; i += 5) {
        uint32_t at =
            data[i] | (uint32_t)data[i + 1] << 8 | (uint32_t)data[i + 2] << 16 | (uint32_t)data[i + 3] << 24;
        fseek(f, (long)at % n, SEEK_SET);
        fputc(data[i + 4], f);
    }
    fclose(f);
}

static void read_all(const char *path)
{
    struct sim_status st = {0};
    size_t sum = 0;
    struct exp_store *s = exp_store_open(path, EXP_STORE_READ, &st);
    judge(s != NULL, &st);
    if (!s) return;
    judge(exp_store_each(s, NULL, look, &sum, &st), &st);
    st = (struct sim_status){0};
    json_t *studies = exp_store_studies(s, &st);
    judge(studies != NULL, &st);
    json_decref(studies);
    FILE *out = fopen("/dev/null", "w");
    st = (struct sim_status){0};
    judge(exp_store_csv(s, NULL, out, &st), &st);
    fclose(out);
    exp_store_close(s);
}

static void use(const char *path, enum exp_store_mode mode)
{
    struct sim_status st = {0};
    struct exp_store *s = exp_store_open(path, mode, &st);
    judge(s != NULL, &st);
    if (s) write_some(s, 0, 12);
    exp_store_close(s);
}

static void merge(const char *path, const char *into)
{
    struct sim_status st = {0};
    struct exp_merged sum = {0};
    struct exp_store *s = exp_store_open(into, EXP_STORE_WRITE, &st);
    if (!s) abort();
    write_some(s, 3, 9);
    judge(exp_store_merge(s, path, &sum, &st), &st);
    exp_store_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    char *folder = sim_printf("%s/kvsim-fuzz-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) abort();
    char *path = sim_printf("%s/a.sqlite", folder), *into = sim_printf("%s/b.sqlite", folder);
    struct sim_status st = {0};
    struct exp_store *s = exp_store_open(path, EXP_STORE_SHARD, &st);
    if (!s) abort();
    write_some(s, 0, 10);
    exp_store_close(s);
    change(path, data, size);
    read_all(path);
    merge(path, into);
    use(path, size % 2 ? EXP_STORE_SHARD : EXP_STORE_WRITE);
    static const char *const left[] = {"", "-wal", "-shm", "-journal"};
    for (int i = 0; i < 8; i++) {
        char *name = sim_printf("%s%s", i < 4 ? path : into, left[i % 4]);
        unlink(name);
        free(name);
    }
    rmdir(folder);
    free(into);
    free(path);
    free(folder);
    return 0;
}
