/* How fast trc_read takes CSV: two files of about 100 MB in TMPDIR, one canonical, one as Azure writes it.
 * Prints bytes per second, best and median of 5; target 100 MB/s. */
#include "traces/synth.h"
#include "traces/trace.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { N_RUNS = 5, N_CANONICAL = 4700000, N_AZURE = 2750000 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool write_azure(const struct trc_trace *t, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f) return false;
    fputs("TIMESTAMP,ContextTokens,GeneratedTokens\r\n", f);
    for (uint64_t i = 0; i < t->n_requests; i++) {
        double at = t->requests[i].arrival_s, whole = floor(at);
        time_t seconds = (time_t)whole + 1700158546;
        struct tm tm;
        char text[32];
        gmtime_r(&seconds, &tm);
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
        fprintf(f, "%s.%06.0f0,%" PRIu32 ",%" PRIu32 "\r\n", text, floor((at - whole) * 1e6),
                t->requests[i].input_tokens, t->requests[i].output_tokens);
    }
    return fclose(f) == 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool measure(const char *what, const char *path, uint64_t n_requests)
{
    struct stat is;
    double taken_s[N_RUNS];
    if (stat(path, &is) != 0) return false;
    for (int i = 0; i < N_RUNS; i++) {
        struct sim_status st = {0};
        double start_s = now_s();
        struct trc_trace *t = trc_read(path, NULL, &st);
        taken_s[i] = now_s() - start_s;
        if (!t || t->n_requests != n_requests) {
            fprintf(stderr, "%s\n", t ? "rows were lost" : st.message);
            trc_free(t);
            return false;
        }
        trc_free(t);
    }
    qsort(taken_s, N_RUNS, sizeof *taken_s, by_size);
    printf("%-9s %6.1f MB, %" PRIu64 " requests: best %.0f MB/s, median %.0f MB/s\n", what,
           (double)is.st_size / 1e6, n_requests, (double)is.st_size / 1e6 / taken_s[0],
           (double)is.st_size / 1e6 / taken_s[N_RUNS / 2]);
    return true;
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[4096];
    struct sim_status st = {0};
    struct trc_synth spec;
    snprintf(path, sizeof path, "%s/kvsim-bench-%ld.csv", tmp ? tmp : "/tmp", (long)getpid());
    bool ok = trc_preset("azure-conv", &spec, &st);
    spec.n_requests = N_CANONICAL;
    struct trc_trace *t = ok ? trc_synth(&spec, &st) : NULL;
    ok = t && trc_write(t, path, &st) && measure("canonical", path, t->n_requests);
    if (ok) {
        t->n_requests = N_AZURE;
        ok = write_azure(t, path) && measure("azure", path, t->n_requests);
    }
    if (!ok) fprintf(stderr, "bench_csv failed: %s\n", st.message);
    unlink(path);
    trc_free(t);
    trc_synth_fini(&spec);
    return ok ? 0 : 1;
}
