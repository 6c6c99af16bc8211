/* What kvbench measured: one CSV per kernel, columns found by name, one row per shape; and profile.yaml, which
 * says on what and with which ceilings. Rows that kvbench itself calls noisy or could not run are left out, and
 * so are variants of a kernel that the engine's own operators do not use (other KV formats, windows, pages
 * chosen per head): those become ratios, not operators. */
#include "calib/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/yaml.h"
#include "sim/csv_in.h"
#include "sim/memory.h"

enum { MAX_NUMBERS = 8 };

struct reading {
    struct cal_tables *t;
    const struct kind *kind;
    int number[MAX_NUMBERS], word, heat, status, time;
};

/* A kernel's file: the columns that name a launch, those that must be 0, and what becomes of them. */
struct kind {
    const char *file;
    const char *word; /* a column of text: format; or NULL */
    const char *number[MAX_NUMBERS + 1];
    const char *heat; /* rows of this heat count */
    void (*add)(struct reading *r, enum mdl_dtype type, const uint64_t *v, double time_s);
};

static void add_gemm(struct reading *r, enum mdl_dtype type, const uint64_t *v, double time_s)
{
    struct cal_point p = {
        .key = {type, (uint32_t)v[0], (uint32_t)v[1]}, .size = (uint32_t)v[2], .time_s = time_s};
    cal_table_add(&r->t->family[MDL_GEMM], &p);
}

static struct cal_point attention_point(const uint64_t *v, double time_s)
{
    return (struct cal_point){
        .key = {MDL_BF16, (uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2], (uint32_t)v[3]},
        .size = (uint32_t)v[4],
        .time_s = time_s};
}

static void add_prefill(struct reading *r, enum mdl_dtype type, const uint64_t *v, double time_s)
{
    struct cal_point p = attention_point(v, time_s);
    (void)type;
    if (v[6]) return; /* ragged */
    p.past = (uint32_t)v[5];
    cal_table_add(p.past ? &r->t->past : &r->t->family[MDL_ATTN_PREFILL], &p);
}

static void add_decode(struct reading *r, enum mdl_dtype type, const uint64_t *v, double time_s)
{
    struct cal_point p = attention_point(v, time_s);
    if ((type != MDL_BF16 && type != MDL_FP8) || v[5] || v[6] || v[7]) return;
    p.key[0] = type;
    cal_table_add(&r->t->family[MDL_ATTN_DECODE], &p);
}

/* Norms, RoPE, activation: all that counts is the bytes. */
static void add_elementwise(struct reading *r, enum mdl_dtype type, const uint64_t *v, double time_s)
{
    struct cal_point p = {.size = (uint32_t)v[0], .time_s = time_s};
    (void)type;
    cal_table_add(&r->t->family[MDL_ELEMENTWISE], &p);
}

static const struct kind kinds[] = {
    {"gemm.csv", "format", {"n", "k", "m"}, "cold", add_gemm},
    {"attention_prefill.csv",
     NULL,
     {"q_heads", "kv_heads", "head_dim", "seqs", "new_tokens", "past_tokens", "ragged"},
     "cold",
     add_prefill},
    {"attention_decode.csv",
     "format",
     {"q_heads", "kv_heads", "head_dim", "seqs", "tokens", "ragged", "window", "sparse"},
     "cold",
     add_decode},
    {"rmsnorm.csv", NULL, {"bytes"}, "hot", add_elementwise},
    {"rope.csv", NULL, {"bytes"}, "hot", add_elementwise},
    {"swiglu.csv", NULL, {"bytes"}, "hot", add_elementwise},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static bool column(const struct sim_csv_row *row, const char *name, int *out, struct sim_status *st)
{
    *out = sim_csv_column(row, name);
    return *out >= 0 ||
           sim_fail(st, "%s:1: no column `%s`, expected what kvbench run writes", row->path, name);
}

static bool find_columns(struct reading *r, const struct sim_csv_row *row, struct sim_status *st)
{
    const struct kind *k = r->kind;
    for (int i = 0; k->number[i]; i++)
        if (!column(row, k->number[i], &r->number[i], st)) return false;
    return (!k->word || column(row, k->word, &r->word, st)) && column(row, "heat", &r->heat, st) &&
           column(row, "status", &r->status, st) && column(row, "time_s", &r->time, st);
}

static bool cell_is(const struct sim_csv_row *row, int at, const char *text)
{
    return at < (int)row->n_fields && strcmp(row->field[at], text) == 0;
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct reading *r = user;
    const struct kind *k = r->kind;
    enum mdl_dtype type = MDL_BF16;
    uint64_t v[MAX_NUMBERS] = {0};
    double time_s;
    if (index == 0) return find_columns(r, row, st);
    if (!cell_is(row, r->status, "ok") || !cell_is(row, r->heat, k->heat)) return true;
    for (int i = 0; k->number[i]; i++) {
        if (!sim_csv_u64(row, r->number[i], k->number[i], &v[i], st)) return false;
        if (v[i] > UINT32_MAX)
            return sim_fail(st, "%s:%llu: %s is %llu, expected less than 2^32", row->path,
                            (unsigned long long)row->line, k->number[i], (unsigned long long)v[i]);
    }
    if (!sim_csv_double(row, r->time, "time_s", &time_s, st)) return false;
    if (!(time_s > 0))
        return sim_fail(st, "%s:%llu: time_s is %g, expected a time above 0", row->path,
                        (unsigned long long)row->line, time_s);
    if (k->word && !mdl_dtype_parse(row->field[r->word], &type)) return true; /* KIVI: no number type */
    k->add(r, type, v, time_s);
    return true;
}

/* ---- profile.yaml ---- */

static bool read_ceiling(const struct mdl_yaml_node *map, const char *key, bool needed, double *out,
                         struct sim_status *st)
{
    const struct mdl_yaml_node *n = map && mdl_yaml_kind(map) == MDL_YAML_MAP ? mdl_yaml_get(map, key) : NULL;
    *out = 0;
    if (!n && !needed) return true;
    if (!n)
        return sim_fail(st, "profile.yaml: ceiling `%s` is missing, expected a finished kvbench run", key);
    return mdl_yaml_double(n, key, out, st) &&
           (*out >= 0 || sim_fail(st, "%s:%d: `%s` is %g, expected 0 or more", mdl_yaml_file(n),
                                  mdl_yaml_line(n), key, *out));
}

static bool read_peaks(struct cal_tables *t, const struct mdl_yaml_node *ceilings, struct sim_status *st)
{
    struct mdl_peaks *p = &t->ceilings;
    return read_ceiling(ceilings, "bf16_flops", true, &p->rate_flops[MDL_BF16], st) &&
           read_ceiling(ceilings, "fp8_flops", false, &p->rate_flops[MDL_FP8], st) &&
           read_ceiling(ceilings, "read_byte_per_s", true, &p->bandwidth_byte_per_s, st) &&
           read_ceiling(ceilings, "to_device_byte_per_s", false, &p->link_byte_per_s, st);
}

static char *text_of(const struct mdl_yaml_node *root, const char *key, struct sim_status *st)
{
    const struct mdl_yaml_node *n = mdl_yaml_kind(root) == MDL_YAML_MAP ? mdl_yaml_get(root, key) : NULL;
    const char *text = n ? mdl_yaml_string(n, key, st) : NULL;
    if (!text) sim_fail(st, "%s: no `%s`, expected what kvbench run writes", mdl_yaml_file(root), key);
    return text ? sim_strdup(text) : NULL;
}

static bool read_head(struct cal_tables *t, const char *path, struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_load(path, st);
    if (!y) return false;
    const struct mdl_yaml_node *root = mdl_yaml_root(y);
    char *version = NULL;
    bool ok = (t->kind = text_of(root, "device", st)) && (t->device = text_of(root, "name", st)) &&
              (version = text_of(root, "kvbench", st)) && read_peaks(t, mdl_yaml_get(root, "ceilings"), st);
    if (ok) {
        t->engine = sim_printf("kvbench %s", version);
        t->kernels = sim_strdup("kernels of this project");
    }
    free(version);
    mdl_yaml_free(y);
    return ok;
}

bool cal_kvbench_read(struct cal_tables *t, const char *root, const char *relative, struct sim_status *st)
{
    struct reading r = {.t = t};
    const char *slash = strrchr(relative, '/'), *file = slash ? slash + 1 : relative;
    char *path = sim_printf("%s/%s", root, relative);
    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(file, kinds[i].file) == 0) r.kind = &kinds[i];
    bool ok = strcmp(file, "profile.yaml") == 0 ? read_head(t, path, st)
              : r.kind                          ? sim_csv_read(path, on_row, &r, st)
                                                : sim_fail(st, "%s: not a table of kvbench", relative);
    free(path);
    return ok;
}
