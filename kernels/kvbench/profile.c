#include "kernels/kvbench/profile.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/host.h"
#include "kernels/kvbench/cli.h"
#include "kernels/kvbench/util.h"
#include "kernels/kvbench/version.h"

/* --- reasons --- */

void kvb_result_reason(struct kvb_result *r, struct kvb_point p, const char *text)
{
    r->reason = kvb_grow(r->reason, &r->reasons_room, r->n_reasons + 1, sizeof *r->reason);
    r->reason[r->n_reasons++] = (struct kvb_reason){p.source, p.at, kvb_printf("%s", text)};
}

static const char *why_not(const struct kvb_result *r, const struct kvb_source *s, size_t at)
{
    for (size_t i = 0; i < r->n_reasons; i++)
        if (r->reason[i].source == s && r->reason[i].at == at) return r->reason[i].text;
    return NULL;
}

/* --- ceilings --- */

struct search {
    const char *source, *key;
    uint32_t value; /* of the key */
    int work;       /* KVB_BYTES or KVB_FLOPS for kernels */
    const char *what;
};

static const struct {
    const char *name;
    struct search search;
} ceilings[KVB_N_CEILINGS] = {
    {"read_byte_per_s", {"read", NULL, 0, KVB_BYTES, "bytes read"}},
    {"copy_byte_per_s", {"copy", NULL, 0, KVB_BYTES, "bytes read and written"}},
    {"bf16_flops", {"gemm", "format", KB_BF16, KVB_FLOPS, "2 m n k"}},
    {"fp8_flops", {"gemm", "format", KB_FP8, KVB_FLOPS, "2 m n k"}},
    {"to_device_byte_per_s", {"transfer", "direction", 0, 0, "bytes moved"}},
    {"to_host_byte_per_s", {"transfer", "direction", 1, 0, "bytes moved"}},
};

static const struct kvb_source *find_source(const struct kvb_work *w, const char *name)
{
    for (uint32_t i = 0; i < w->n_sources; i++)
        if (strcmp(w->source[i].name, name) == 0) return &w->source[i];
    return NULL;
}

static int key_index(const struct kvb_sheet *s, const char *key)
{
    for (uint32_t i = 0; key && i < s->n_keys; i++)
        if (strcmp(s->keys[i], key) == 0) return (int)i;
    return -1;
}

static double rate_of(const struct kvb_sheet *s, const struct kvb_row *r, const struct search *search)
{
    int key = key_index(s, search->key), time = kvb_sheet_number(s, "time_s");
    int work = s->has_heat ? search->work : kvb_sheet_number(s, "bytes");
    if (search->key && (key < 0 || r->shape[key] != search->value)) return 0;
    if (time < 0 || (r->status != KVB_OK && r->status != KVB_NOISY) || !(r->number[time] > 0)) return 0;
    bool memory = s->has_heat && search->work == KVB_BYTES;
    return memory && r->heat == KVB_HOT ? 0 : r->number[work] / r->number[time];
}

static void find_ceiling(const struct kvb_work *w, const struct search *search, struct kvb_ceiling *out)
{
    const struct kvb_source *s = find_source(w, search->source);
    const struct kvb_row *best = NULL;
    for (size_t i = 0; s && i < s->sheet->n_rows; i++) {
        double rate = rate_of(s->sheet, &s->sheet->row[i], search);
        if (rate <= out->value) continue;
        out->value = rate;
        best = &s->sheet->row[i];
    }
    if (!best) return;
    char *shape = kvb_shape_text(s->sheet->keys, best->shape);
    snprintf(out->how, sizeof out->how, "%s of %s, %s over the median time of %.0f samples%s", search->source,
             shape, search->what, best->number[kvb_sheet_number(s->sheet, "samples")],
             best->status == KVB_NOISY ? ", noisy" : "");
    free(shape);
}

void kvb_ceilings(const struct kvb_work *w, struct kvb_ceiling out[KVB_N_CEILINGS])
{
    for (int i = 0; i < KVB_N_CEILINGS; i++) {
        out[i] = (struct kvb_ceiling){.name = ceilings[i].name};
        find_ceiling(w, &ceilings[i].search, &out[i]);
    }
}

/* Which operation of the probe `host` each is. */
static const struct {
    const char *name, *operation;
} constants[] = {
    {"launch_s", "launch"},        {"graph_launch_s", "graph"}, {"event_wait_s", "event"},
    {"stream_sync_s", "sync"},     {"sync_idle_s", "idle"},     {"readback_s", "download"},
    {"handoff_cv_s", "condition"}, {"handoff_spin_s", "spin"},
};
enum { N_CONSTANTS = sizeof constants / sizeof *constants };

/* Seconds of an operation, 0 = not measured. */
static double host_constant(const struct kvb_work *w, const char *operation)
{
    const struct kvb_source *s = find_source(w, "host");
    uint32_t shape[KB_MAX_KEYS] = {0};
    if (!s || !kb_key_parse("operation", operation, &shape[0])) return 0;
    const struct kvb_row *row = kvb_sheet_find(s->sheet, shape, KVB_COLD);
    int time = kvb_sheet_number(s->sheet, "time_s");
    return row && time >= 0 && row->status <= KVB_NOISY ? row->number[time] : 0;
}

/* --- profile.yaml --- */

static void text(FILE *f, const char *key, const char *value)
{
    fprintf(f, "%s: ", key);
    kvb_yaml_text(f, value);
    fputc('\n', f);
}

static void write_device(const struct kvb_result *r, FILE *f)
{
    const struct kb_device_info *i = &r->device->info;
    text(f, "device", r->device->kind);
    text(f, "name", i->name);
    text(f, "driver", i->driver);
    text(f, "date", kvb_date_now().text);
    text(f, "suite", r->suite);
    fprintf(f, "compute_capability: %u\nunits: %u\nclock_hz: %.9g\n", i->compute_capability, i->units,
            i->clock_hz);
    fprintf(f, "memory_bytes: %llu\ncache_bytes: %llu\nshared_bytes: %llu\n",
            (unsigned long long)i->memory_bytes, (unsigned long long)i->cache_bytes,
            (unsigned long long)i->shared_bytes);
    fprintf(f, "pcie: {generation: %u, lanes: %u, encoded_byte_per_s: %.9g}\n", i->pcie_generation,
            i->pcie_lanes, i->pcie_byte_per_s);
}

static void write_model(const struct kb_model *m, FILE *f)
{
    fputs("model:\n  name: ", f);
    kvb_yaml_text(f, m->name);
    fprintf(f, "\n  hidden: %u\n  intermediate: %u\n  vocab: %u\n  layers: %u\n", m->hidden, m->intermediate,
            m->vocab, m->n_layers);
    fprintf(f, "  q_heads: %u\n  kv_heads: %u\n  head_dim: %u\n  tensor_parallel: %u\n", m->n_q_heads,
            m->n_kv_heads, m->head_dim, m->tensor_parallel);
}

static void write_ceilings(const struct kvb_work *w, FILE *f)
{
    struct kvb_ceiling c[KVB_N_CEILINGS];
    kvb_ceilings(w, c);
    fputs("ceilings: # 0 = not measured\n", f);
    for (int i = 0; i < KVB_N_CEILINGS; i++) fprintf(f, "  %s: %.9g\n", c[i].name, c[i].value);
    fputs("ceilings_how:\n", f);
    for (int i = 0; i < KVB_N_CEILINGS; i++) {
        fprintf(f, "  %s: ", c[i].name);
        kvb_yaml_text(f, c[i].how);
        fputc('\n', f);
    }
}

static void write_counts(const struct kvb_work *w, FILE *f)
{
    size_t n[KVB_N_STATUS] = {0};
    for (uint32_t i = 0; i < w->n_sources; i++)
        for (size_t j = 0; j < w->source[i].sheet->n_rows; j++) n[w->source[i].sheet->row[j].status]++;
    fputs("points: {", f);
    for (int i = 0; i < KVB_N_STATUS; i++)
        fprintf(f, "%s%s: %zu", i ? ", " : "", kvb_status_name((enum kvb_status)i), n[i]);
    fputs("}\n", f);
}

static void write_point(const struct kvb_source *s, size_t at, const char *reason, FILE *f)
{
    char *shape = kvb_shape_text(s->sheet->keys, s->grid.shape[at]);
    fprintf(f, "  - {what: %s, shape: ", s->name);
    kvb_yaml_text(f, shape);
    fputs(", reason: ", f);
    kvb_yaml_text(f, reason);
    fputs("}\n", f);
    free(shape);
}

/* Every point of the suite that has no number, and why. */
static void write_unmeasured(const struct kvb_result *r, FILE *f)
{
    fputs("unmeasured:", f);
    bool none = true;
    for (uint32_t i = 0; i < r->work->n_sources; i++) {
        const struct kvb_source *s = &r->work->source[i];
        for (size_t j = 0; j < s->grid.n; j++) {
            const struct kvb_row *row = kvb_sheet_find(s->sheet, s->grid.shape[j], KVB_COLD);
            if (row && row->status <= KVB_NOISY) continue;
            const char *why = why_not(r, s, j);
            if (!why)
                why = row          ? kvb_status_name(row->status)
                      : s->closed  ? s->closed
                      : s->done[j] ? "--only"
                                   : r->left;
            if (none) fputc('\n', f);
            none = false;
            write_point(s, j, why, f);
        }
    }
    if (none) fputs(" []\n", f);
}

static void write_noisy(const struct kvb_work *w, FILE *f)
{
    bool none = true;
    fputs("noisy:", f);
    for (uint32_t i = 0; i < w->n_sources; i++) {
        const struct kvb_sheet *s = w->source[i].sheet;
        int spread = kvb_sheet_number(s, "spread_frac");
        for (size_t j = 0; j < s->n_rows; j++) {
            if (s->row[j].status != KVB_NOISY) continue;
            char *shape = kvb_shape_text(s->keys, s->row[j].shape);
            fprintf(f, "%s  - {what: %s, shape: ", none ? "\n" : "", w->source[i].name);
            kvb_yaml_text(f, shape);
            fprintf(f, "%s, spread_frac: %.3g}\n",
                    !s->has_heat                ? ""
                    : s->row[j].heat == KVB_HOT ? ", heat: hot"
                                                : ", heat: cold",
                    s->row[j].number[spread]);
            free(shape);
            none = false;
        }
    }
    if (none) fputs(" []\n", f);
}

static bool write_profile(const struct kvb_result *r, const char *folder, struct kb_error *err)
{
    struct kvb_file file;
    char *path = kvb_printf("%s/profile.yaml", folder);
    bool ok = kvb_file_begin(&file, path, err);
    free(path);
    if (!ok) return false;
    fputs("format: 1\nstage: kvbench\nkvbench: \"" KVB_VERSION "\"\n", file.f);
    write_device(r, file.f);
    write_model(r->model, file.f);
    write_ceilings(r->work, file.f);
    fprintf(file.f, "complete: %s\n", r->complete ? "true" : "false");
    write_counts(r->work, file.f);
    write_noisy(r->work, file.f);
    write_unmeasured(r, file.f);
    return kvb_file_commit(&file, err);
}

/* --- host.yaml --- */

static void write_constants(const struct kvb_work *w, FILE *f)
{
    for (int i = 0; i < N_CONSTANTS; i++) {
        double seconds = host_constant(w, constants[i].operation);
        if (seconds > 0)
            fprintf(f, "%s: %.9g\n", constants[i].name, seconds);
        else
            fprintf(f, "# %s: not measured\n", constants[i].name);
    }
}

static bool write_host(const struct kvb_result *r, const char *folder, struct kb_error *err)
{
    struct kvb_file file;
    struct kb_host h;
    char *path = kvb_printf("%s/host.yaml", folder);
    bool ok = kvb_file_begin(&file, path, err);
    free(path);
    if (!ok) return false;
    kb_host_read("", &h);
    fputs("format: 1\nstage: kvbench-host\n", file.f);
    text(file.f, "processor", h.processor);
    text(file.f, "machine", h.machine);
    text(file.f, "os", h.os);
    text(file.f, "kernel", h.kernel);
    text(file.f, "driver", r->device->info.driver);
    fprintf(file.f, "cores: %u\nmemory_bytes: %llu\n", h.cores, (unsigned long long)h.memory_bytes);
    fprintf(file.f, "numa_nodes: %u\ndevice_numa_node: %d # -1 = unknown\n", h.numa_nodes,
            r->device->info.numa_node);
    fprintf(file.f, "virtual_machine: %s\niommu: %s\n", h.virtual_machine ? "true" : "false",
            h.iommu ? "true" : "false");
    write_constants(r->work, file.f);
    return kvb_file_commit(&file, err);
}

bool kvb_profile_write(const struct kvb_result *r, const char *folder, struct kb_error *err)
{
    return write_profile(r, folder, err) && write_host(r, folder, err);
}
