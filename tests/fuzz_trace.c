/* Feeds bytes to trc_read with every option that changes its path; what is read must be a valid trace that
 * survives being written and read again. */
#include "traces/info.h"
#include "traces/trace.h"

#include "sim/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_trace(const struct trc_trace *t)
{
    SIM_CHECK(t->n_requests > 0);
    for (uint64_t i = 0; i < t->n_requests; i++) {
        const struct sim_request *r = &t->requests[i];
        SIM_CHECK(r->input_tokens >= 1 && r->output_tokens >= 1 && r->arrival_s >= 0.0 &&
                  r->arrival_s <= 9.1e9);
        SIM_CHECK(i == 0 || r->arrival_s >= t->requests[i - 1].arrival_s);
        SIM_CHECK(!t->hash_begin || t->hash_begin[i] <= t->hash_begin[i + 1]);
        SIM_CHECK(!t->class_names || r->slo_class < t->n_classes);
    }
}

static void check_round_trip(const struct trc_trace *t, const char *path)
{
    struct sim_status st = {0};
    struct trc_options options = {.lengths_only_ok = true, .hash_block_size = t->hash_block_size};
    struct trc_info info;
    trc_info(t, &info);
    SIM_CHECK(trc_write(t, path, &st));
    struct trc_trace *again = trc_read(path, &options, &st);
    SIM_CHECK(again && again->n_requests == t->n_requests);
    for (uint64_t i = 0; i < t->n_requests; i++)
        SIM_CHECK(again->requests[i].input_tokens == t->requests[i].input_tokens);
    trc_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    uint8_t choice = data[0];
    char path[64], copy[64];
    const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof path, "%s/kvsim-fuzz-%ld", dir, (long)getpid());
    snprintf(copy, sizeof copy, "%s/kvsim-fuzz-%ld-copy", dir, (long)getpid());
    FILE *f = fopen(path, "wb");
    SIM_CHECK(f && fwrite(data + 1, 1, size - 1, f) == size - 1 && fclose(f) == 0);
    struct trc_options options = {.lengths_only_ok = (choice & 1) != 0,
                                  .rebase = (choice & 2) != 0,
                                  .spread_ticks = (choice & 4) != 0,
                                  .zero_output = (choice >> 3) % 3,
                                  .time_unit = choice & 32 ? TRC_UNIT_MS : TRC_UNIT_BY_DIALECT,
                                  .time_scale = choice & 64 ? 0.5 : 0.0};
    struct sim_status st = {0};
    struct trc_trace *t = trc_read(path, &options, &st);
    SIM_CHECK(t ? st.code == SIM_EXIT_OK : st.code != SIM_EXIT_OK && strlen(st.message) > 0);
    if (t) {
        check_trace(t);
        check_round_trip(t, copy);
    }
    trc_free(t);
    unlink(path);
    unlink(copy);
    return 0;
}
