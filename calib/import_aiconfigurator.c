/* AIConfigurator's performance tables (as CSV): one row per launch, latency in ms, shapes per GPU. */
#include "calib/tables.h"

#include <stdlib.h>
#include <string.h>

#include "sim/csv_in.h"
#include "sim/memory.h"

/* Which column feeds which field; every kind of table has its own list. */
enum column {
    TYPE,
    LATENCY,
    M,
    N,
    K,
    BATCH,
    ISL,
    STEP,
    HEADS,
    KV_HEADS,
    HEAD_DIM,
    WINDOW,
    GPUS,
    ELEMENTS,
    VARIANT,
    OP,
    FRAMEWORK,
    VERSION,
    DEVICE,
    SOURCE,
    N_COLUMN
};

struct kind {
    const char *file;
    enum mdl_family f;
    const char *column[N_COLUMN]; /* NULL = not in this table */
};

#define EVERY                                                                                                \
    [LATENCY] = "latency", [FRAMEWORK] = "framework", [VERSION] = "version", [DEVICE] = "device",            \
    [SOURCE] = "kernel_source"
#define ATTENTION                                                                                            \
    [TYPE] = "kv_cache_dtype", [BATCH] = "batch_size", [ISL] = "isl", [STEP] = "step",                       \
    [HEADS] = "num_heads", [KV_HEADS] = "num_key_value_heads", [HEAD_DIM] = "head_dim",                      \
    [WINDOW] = "window_size"
static const struct kind kinds[] = {
    {"gemm_perf.csv", MDL_GEMM, {EVERY, [TYPE] = "gemm_dtype", [M] = "m", [N] = "n", [K] = "k"}},
    {"context_attention_perf.csv", MDL_ATTN_PREFILL, {EVERY, ATTENTION}},
    {"generation_attention_perf.csv", MDL_ATTN_DECODE, {EVERY, ATTENTION}},
    {"custom_allreduce_perf.csv",
     MDL_ALLREDUCE,
     {EVERY, [TYPE] = "allreduce_dtype", [GPUS] = "num_gpus", [ELEMENTS] = "message_size",
      [VARIANT] = "backend"}},
    {"nccl_perf.csv",
     MDL_ALLREDUCE,
     {EVERY, [TYPE] = "nccl_dtype", [GPUS] = "num_gpus", [ELEMENTS] = "message_size", [OP] = "op_name"}},
};
#undef EVERY
#undef ATTENTION

struct reading {
    struct cal_tables *t;
    const struct kind *kind;
    int column[N_COLUMN];
};

static bool read_header(struct reading *r, const struct sim_csv_row *row, struct sim_status *st)
{
    for (int c = 0; c < N_COLUMN; c++) {
        const char *name = r->kind->column[c];
        r->column[c] = name ? sim_csv_column(row, name) : -1;
        if (name && r->column[c] < 0 && c != WINDOW)
            return sim_fail(st, "%s:1: no column `%s`, expected AIConfigurator's %s; is it the right file?",
                            row->path, name, r->kind->file);
    }
    return true;
}

static bool count(const struct reading *r, const struct sim_csv_row *row, enum column c, uint32_t *out,
                  struct sim_status *st)
{
    uint64_t v;
    const char *name = r->kind->column[c];
    if (!sim_csv_u64(row, r->column[c], name, &v, st)) return false;
    if (v > 1u << 30)
        return sim_fail(st, "%s:%llu: %s is %llu, expected at most 2^30", row->path,
                        (unsigned long long)row->line, name, (unsigned long long)v);
    *out = (uint32_t)v;
    return true;
}

static const char *text(const struct reading *r, const struct sim_csv_row *row, enum column c)
{
    return r->column[c] >= 0 && (uint32_t)r->column[c] < row->n_fields ? row->field[r->column[c]] : "";
}

static bool read_gemm(const struct reading *r, const struct sim_csv_row *row, struct cal_point *p,
                      struct sim_status *st)
{
    return count(r, row, M, &p->size, st) && count(r, row, N, &p->key[1], st) &&
           count(r, row, K, &p->key[2], st);
}

/* `step` is the past of a decode: the new token reads it and itself. A prefill with a past is kept apart. */
static bool read_attn(const struct reading *r, const struct sim_csv_row *row, struct cal_point *p,
                      struct sim_status *st)
{
    uint32_t isl, step;
    if (!count(r, row, HEADS, &p->key[1], st) || !count(r, row, KV_HEADS, &p->key[2], st) ||
        !count(r, row, HEAD_DIM, &p->key[3], st) || !count(r, row, BATCH, &p->key[4], st) ||
        !count(r, row, ISL, &isl, st) || !count(r, row, STEP, &step, st))
        return false;
    bool decode = r->kind->f == MDL_ATTN_DECODE;
    p->size = decode ? step + 1 : isl;
    p->past = decode ? 0 : step;
    return true;
}

/* message_size counts elements, not bytes: read as bytes, the 8-GPU rows would top out at half of the bus
 * rate that NVSwitch systems reach (A100 108 of 230 GB/s, H100 234 of 480 GB/s); as elements of two bytes
 * they meet it. */
static bool read_allreduce(const struct reading *r, const struct sim_csv_row *row, struct cal_point *p,
                           struct sim_status *st)
{
    const char *variant = text(r, row, VARIANT);
    p->key[0] = !*variant ? MDL_NCCL : strcmp(variant, "vllm_graph") == 0 ? MDL_GRAPH : MDL_EAGER;
    if (!count(r, row, GPUS, &p->key[1], st) || !count(r, row, ELEMENTS, &p->size, st)) return false;
    p->size *= mdl_dtype_bytes(MDL_BF16);
    return true;
}

/* Other collectives, sliding windows, and number types that nothing here asks for. */
static bool wanted(const struct reading *r, const struct sim_csv_row *row, enum mdl_dtype *type)
{
    const char *op = text(r, row, OP), *window = text(r, row, WINDOW);
    if (*op && strcmp(op, "all_reduce") != 0) return false;
    if (*window && strcmp(window, "0") != 0) return false;
    if (!mdl_dtype_parse(text(r, row, TYPE), type)) return false;
    return r->kind->f != MDL_ALLREDUCE || *type == MDL_BF16;
}

/* "A + B" of the distinct kernels seen. */
static void note_kernel(struct cal_tables *t, const char *source)
{
    if (!t->kernels) {
        t->kernels = sim_strdup(source);
    } else if (!strstr(t->kernels, source) && strlen(t->kernels) < 400) {
        char *more = sim_printf("%s + %s", t->kernels, source);
        free(t->kernels);
        t->kernels = more;
    }
}

static void note_origin(struct reading *r, const struct sim_csv_row *row)
{
    struct cal_tables *t = r->t;
    if (!t->device) t->device = sim_strdup(text(r, row, DEVICE));
    if (!t->engine && r->kind->f != MDL_ALLREDUCE)
        t->engine = sim_printf("%s %s", text(r, row, FRAMEWORK), text(r, row, VERSION));
    if (r->kind->f != MDL_ALLREDUCE) note_kernel(t, text(r, row, SOURCE));
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct reading *r = user;
    struct cal_point p = {.time_s = 0};
    enum mdl_dtype type;
    double latency_ms;
    if (index == 0) return read_header(r, row, st);
    if (!wanted(r, row, &type)) return true;
    if (index < 2 || r->kind->f == MDL_GEMM || r->kind->f == MDL_ATTN_PREFILL) note_origin(r, row);
    if (!sim_csv_double(row, r->column[LATENCY], "latency", &latency_ms, st)) return false;
    p.key[0] = type;
    bool ok = r->kind->f == MDL_GEMM        ? read_gemm(r, row, &p, st)
              : r->kind->f == MDL_ALLREDUCE ? read_allreduce(r, row, &p, st)
                                            : read_attn(r, row, &p, st);
    if (!ok) return false;
    p.time_s = latency_ms * 1e-3;
    /* The publisher writes 0 where a launch failed. */
    if (!(p.time_s > 0) || p.size == 0) return true;
    cal_table_add(p.past > 0 ? &r->t->past : &r->t->family[r->kind->f], &p);
    return true;
}

bool cal_aiconfigurator_read(struct cal_tables *t, const char *root, const char *relative,
                             struct sim_status *st)
{
    const char *slash = strrchr(relative, '/'), *name = slash ? slash + 1 : relative;
    struct reading r = {.t = t};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].file) == 0) r.kind = &kinds[i];
    if (!r.kind)
        return sim_fail(st, "%s: not a table of AIConfigurator, expected gemm_perf.csv or another", relative);
    char *path = sim_printf("%s/%s", root, relative);
    bool ok = sim_csv_read(path, on_row, &r, st);
    free(path);
    return ok;
}
