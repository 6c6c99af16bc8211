/* Profiles in Vidur's format: one model per file, times as statistics in ms, of which the median is taken.
 * Its grids are dense (every multiple of 8 tokens, 128 batch sizes); a surface keeps sizes of three binary
 * digits, the rest is interpolated well within the noise. Tensor-parallel workers divide the model's shapes
 * as in the other tables. */
#include "calib/tables.h"

#include <stdlib.h>
#include <string.h>

#include "sim/csv_in.h"
#include "sim/memory.h"

/* 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20 ... */
static bool kept_size(uint64_t v)
{
    unsigned shift = 0;
    while (v >> shift > 7) shift++;
    return v > 0 && (v >> shift) << shift == v;
}

struct reading {
    struct cal_tables *t;
    int column[16];
};

static bool find_columns(struct reading *r, const struct sim_csv_row *row, const char *const *name,
                         struct sim_status *st)
{
    for (int i = 0; name[i]; i++) {
        r->column[i] = sim_csv_column(row, name[i]);
        if (r->column[i] < 0)
            return sim_fail(
                st, "%s:1: no column `%s`, expected a profile in Vidur's format; is it the right file?",
                row->path, name[i]);
    }
    return true;
}

static bool counts(const struct reading *r, const struct sim_csv_row *row, const char *const *name,
                   uint64_t *out, struct sim_status *st)
{
    for (int i = 0; name[i]; i++) {
        double v; /* pandas writes counts as 8192.0 where a column has gaps */
        if (!sim_csv_double(row, r->column[i], name[i], &v, st)) return false;
        if (v < 0 || v > 1 << 30 || v != (double)(uint64_t)v)
            return sim_fail(st, "%s:%llu: %s is %g, expected a whole number to 2^30", row->path,
                            (unsigned long long)row->line, name[i], v);
        out[i] = (uint64_t)v;
    }
    return true;
}

/* A time in ms; an empty cell or 0 (below the clock's step) is no measurement. */
static bool time_of(const struct sim_csv_row *row, int column, const char *name, double *out_s,
                    struct sim_status *st)
{
    *out_s = 0;
    if ((uint32_t)column < row->n_fields && row->length[column] == 0) return true;
    if (!sim_csv_double(row, column, name, out_s, st)) return false;
    *out_s *= 1e-3;
    return true;
}

static bool shapes_divide(const struct sim_csv_row *row, uint64_t tp, struct sim_status *st)
{
    return tp > 0 || sim_fail(st, "%s:%llu: 0 tensor-parallel workers, expected at least 1", row->path,
                              (unsigned long long)row->line);
}

/* ---- attention ---- */

enum { A_EMBD, A_HEADS, A_KV_HEADS, A_TP, A_BATCH, A_CHUNK, A_KV, A_N };
static const char *const attn_counts[] = {
    "n_embd",     "n_q_head",           "n_kv_head",     "num_tensor_parallel_workers",
    "batch_size", "prefill_chunk_size", "kv_cache_size", NULL};
static const char *const attn_times[] = {"time_stats.attn_prefill.median", "time_stats.attn_decode.median",
                                         "is_prefill", NULL};

static bool read_attention(struct reading *r, const struct sim_csv_row *row, struct sim_status *st)
{
    uint64_t v[A_N];
    struct cal_point p = {.time_s = 0};
    if (!counts(r, row, attn_counts, v, st) || !shapes_divide(row, v[A_TP], st)) return false;
    if (v[A_HEADS] == 0 || v[A_HEADS] < v[A_TP] || v[A_BATCH] == 0)
        return sim_fail(st, "%s:%llu: %llu heads over %llu GPUs, expected at least one each", row->path,
                        (unsigned long long)row->line, (unsigned long long)v[A_HEADS],
                        (unsigned long long)v[A_TP]);
    int flag = r->column[A_N + 2];
    bool prefill = (uint32_t)flag < row->n_fields && row->field[flag][0] == 'T';
    if (!time_of(row, r->column[A_N + !prefill], attn_times[!prefill], &p.time_s, st)) return false;
    uint64_t kv_heads = v[A_KV_HEADS] / v[A_TP];
    p.key[0] = MDL_BF16;
    p.key[1] = (uint32_t)(v[A_HEADS] / v[A_TP]);
    p.key[2] = (uint32_t)(kv_heads ? kv_heads : 1);
    p.key[3] = (uint32_t)(v[A_EMBD] / v[A_HEADS]);
    p.key[4] = (uint32_t)v[A_BATCH];
    /* The decode rows state the cache that is read; the new token is part of it. */
    p.size = (uint32_t)(prefill ? v[A_CHUNK] : v[A_KV]);
    p.past = (uint32_t)(prefill ? v[A_KV] : 0);
    if (!(p.time_s > 0) || p.size == 0 || p.key[3] == 0) return true;
    if (p.past > 0)
        cal_table_add(&r->t->past, &p);
    else if (kept_size(p.size) && kept_size(p.key[4]))
        cal_table_add(&r->t->family[prefill ? MDL_ATTN_PREFILL : MDL_ATTN_DECODE], &p);
    return true;
}

/* ---- matrices ---- */

enum { M_HEADS, M_KV_HEADS, M_EMBD, M_EXPANDED, M_TOKENS, M_TP, M_N };
static const char *const mlp_counts[] = {
    "n_head", "n_kv_head", "n_embd", "n_expanded_embd", "num_tokens", "num_tensor_parallel_workers", NULL};
static const char *const mlp_times[] = {"time_stats.attn_pre_proj.median",
                                        "time_stats.attn_post_proj.median",
                                        "time_stats.mlp_up_proj.median",
                                        "time_stats.mlp_down_proj.median",
                                        "use_gated_mlp",
                                        NULL};

static bool read_mlp(struct reading *r, const struct sim_csv_row *row, struct sim_status *st)
{
    uint64_t v[M_N];
    if (!counts(r, row, mlp_counts, v, st) || !shapes_divide(row, v[M_TP], st)) return false;
    if (v[M_HEADS] == 0) return sim_fail(st, "%s:%llu: 0 heads", row->path, (unsigned long long)row->line);
    if (!kept_size(v[M_TOKENS])) return true;
    int flag = r->column[M_N + 4];
    uint64_t head = v[M_EMBD] / v[M_HEADS], tp = v[M_TP], up = v[M_EXPANDED] / tp;
    bool gated = (uint32_t)flag < row->n_fields && row->field[flag][0] == 'T';
    uint64_t shape[4][2] = {{(v[M_HEADS] + 2 * v[M_KV_HEADS]) * head / tp, v[M_EMBD]},
                            {v[M_EMBD], v[M_HEADS] * head / tp},
                            {gated ? 2 * up : up, v[M_EMBD]},
                            {v[M_EMBD], up}};
    for (int i = 0; i < 4; i++) {
        struct cal_point p = {.key = {MDL_BF16, (uint32_t)shape[i][0], (uint32_t)shape[i][1]},
                              .size = (uint32_t)v[M_TOKENS]};
        if (!time_of(row, r->column[M_N + i], mlp_times[i], &p.time_s, st)) return false;
        if (p.time_s > 0 && p.key[1] && p.key[2]) cal_table_add(&r->t->family[MDL_GEMM], &p);
    }
    return true;
}

/* ---- all-reduce ---- */

static const char *const allreduce_counts[] = {"num_workers", "size", "devices_per_node", NULL};
static const char *const allreduce_times[] = {"time_stats.all_reduce.median", NULL};

static bool read_allreduce(struct reading *r, const struct sim_csv_row *row, struct sim_status *st)
{
    uint64_t v[3];
    struct cal_point p = {.time_s = 0};
    if (!counts(r, row, allreduce_counts, v, st) ||
        !time_of(row, r->column[3], allreduce_times[0], &p.time_s, st))
        return false;
    /* Sizes go in steps of 8 KiB from 2 KiB; more nodes than one belong to another network. */
    if (!(p.time_s > 0) || v[0] < 2 || v[0] != v[2] || !kept_size((v[1] + 6144) / 8192)) return true;
    p.key[0] = MDL_NCCL;
    p.key[1] = (uint32_t)v[0];
    p.size = (uint32_t)v[1];
    if (p.size > 0) cal_table_add(&r->t->family[MDL_ALLREDUCE], &p);
    return true;
}

/* ---- files ---- */

static const struct kind {
    const char *end;
    const char *const *counts, *const *times;
    bool (*read)(struct reading *r, const struct sim_csv_row *row, struct sim_status *st);
} kinds[] = {
    {".attention.csv", attn_counts, attn_times, read_attention},
    {".mlp.csv", mlp_counts, mlp_times, read_mlp},
    {".all_reduce.csv", allreduce_counts, allreduce_times, read_allreduce},
};

struct file {
    struct reading r;
    const struct kind *kind;
};

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct file *f = user;
    if (index > 0) return f->kind->read(&f->r, row, st);
    const char *name[sizeof f->r.column / sizeof *f->r.column + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; f->kind->counts[i]; i++) name[n++] = f->kind->counts[i];
    for (size_t i = 0; f->kind->times[i]; i++) name[n++] = f->kind->times[i];
    return find_columns(&f->r, row, name, st);
}

bool cal_vidur_read(struct cal_tables *t, const char *root, const char *relative, struct sim_status *st)
{
    struct file f = {.r = {.t = t}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(relative), m = strlen(kinds[i].end);
        if (n >= m && strcmp(relative + n - m, kinds[i].end) == 0) f.kind = &kinds[i];
    }
    if (!f.kind)
        return sim_fail(st,
                        "%s: not a table of Vidur, expected *.attention.csv, *.mlp.csv or *.all_reduce.csv",
                        relative);
    if (!t->engine) t->engine = sim_strdup("Vidur profile (vLLM-style kernels)");
    if (!t->kernels) t->kernels = sim_strdup("flash attention + cuBLAS");
    char *path = sim_printf("%s/%s", root, relative);
    bool ok = sim_csv_read(path, on_row, &f, st);
    free(path);
    return ok;
}
