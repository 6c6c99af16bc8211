/* Any bytes as a quality record: what is taken has counts that fit together and rates between 0 and 1, and is the same
 * when it is written and read again. */
#include "models/quality.h"

#include "sim/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mdl_kv_use use_of(const char *name)
{
    struct sim_status st = {0};
    struct mdl_kv_use u = {.strategy = mdl_strategy_find(name, &st)};
    SIM_CHECK(u.strategy);
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        const struct mdl_kv_default *d = mdl_strategy_default(u.strategy, (enum mdl_kv_key)i);
        u.value[i] = d ? d->value : (double)NAN;
    }
    return u;
}

static bool is_share(double x)
{
    return x >= 0 && x <= 1 + 1e-9;
}

static void check_rates(const struct mdl_quality *q)
{
    struct mdl_task_mix mix = {.n = 2, .at = {{"any", 1}, {"qasper", 0.5}}};
    struct mdl_quality_rates r = mdl_quality_rates(q, NULL), mixed = mdl_quality_rates(q, &mix);
    if (!mdl_quality_known(q)) {
        SIM_CHECK(isnan(r.newly_failing) && isnan(mixed.covered) && q->source[0]);
        return;
    }
    SIM_CHECK(is_share(r.newly_failing) && is_share(r.newly_fixed) && is_share(r.worse) &&
              is_share(r.better));
    SIM_CHECK(r.newly_failing_lo <= r.newly_failing + 1e-9 && r.newly_failing <= r.newly_failing_hi + 1e-9);
    SIM_CHECK(is_share(r.newly_failing_lo) && is_share(r.newly_failing_hi) && is_share(mixed.covered));
    SIM_CHECK(isnan(r.length_ratio) || r.length_ratio >= 0);
    SIM_CHECK(mixed.covered == 0 || is_share(mixed.newly_failing));
}

static bool same(const struct mdl_quality *a, const struct mdl_quality *b)
{
    if (a->n_tasks != b->n_tasks || strcmp(a->source, b->source) != 0) return false;
    for (uint32_t i = 0; i < a->n_tasks; i++) {
        const struct mdl_quality_task *x = &a->tasks[i], *y = &b->tasks[i];
        if (strcmp(x->task, y->task) != 0 || x->samples != y->samples || x->benign != y->benign ||
            x->negatives != y->negatives || x->fixed != y->fixed || x->worse != y->worse ||
            x->better != y->better || x->length_pairs != y->length_pairs || x->longer != y->longer ||
            x->empty != y->empty || x->truncated != y->truncated || x->zeroed != y->zeroed ||
            x->critical != y->critical || x->critical_failures != y->critical_failures)
            return false;
        if (x->length_ratio != y->length_ratio && !(isnan(x->length_ratio) && isnan(y->length_ratio)))
            return false;
    }
    return a->n_tasks == 0 || (a->theta == b->theta && strcmp(a->rule, b->rule) == 0);
}

static void check_round_trip(const struct mdl_quality *q, const struct mdl_kv_use *use, const char *path)
{
    struct sim_status st = {0};
    struct mdl_quality again;
    FILE *f = fopen(path, "w");
    SIM_CHECK(f && mdl_quality_write_header(f) && mdl_quality_write(f, use->strategy->name, "", q));
    SIM_CHECK(fclose(f) == 0);
    SIM_CHECK(mdl_quality_load(path, use, &again, &st) && same(q, &again));
    mdl_quality_fini(&again);
}

static void try_strategy(const char *name, const char *path, const char *copy)
{
    struct sim_status st = {0};
    struct mdl_quality q;
    struct mdl_kv_use use = use_of(name);
    if (!mdl_quality_load(path, &use, &q, &st)) {
        SIM_CHECK(st.code != SIM_EXIT_OK && st.message[0] && !strchr(st.message, '\n'));
        return;
    }
    SIM_CHECK(st.code == SIM_EXIT_OK);
    check_rates(&q);
    check_round_trip(&q, &use, copy);
    mdl_quality_fini(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const strategies[] = {"full", "offload", "kivi4", "h2o"};
    char path[64], copy[64];
    const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof path, "%s/kvsim-fuzz-%ld", dir, (long)getpid());
    snprintf(copy, sizeof copy, "%s/kvsim-fuzz-%ld-copy", dir, (long)getpid());
    FILE *f = fopen(path, "wb");
    SIM_CHECK(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++)
        try_strategy(strategies[i], path, copy);
    unlink(path);
    unlink(copy);
    return 0;
}
