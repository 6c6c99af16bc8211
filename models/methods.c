#include "models/methods.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/transfer.h"
#include "models/yaml.h"
#include "sim/csv_in.h"
#include "sim/memory.h"

/* ---- small tables ---- */

enum { MAX_COLUMNS = 12, WORD_BYTES = 16 };

struct cells {
    double number[MAX_COLUMNS];
    char word[MAX_COLUMNS][WORD_BYTES];
};

struct table {
    struct cells *row;
    size_t n, room;
    const char *const *names; /* ended by NULL; one that begins with '$' is a word */
    int at[MAX_COLUMNS];
};

static bool find_columns(struct table *t, const struct sim_csv_row *row, struct sim_status *st)
{
    for (int i = 0; t->names[i]; i++) {
        const char *name = t->names[i] + (t->names[i][0] == '$');
        t->at[i] = sim_csv_column(row, name);
        if (t->at[i] < 0)
            return sim_fail(st, "%s:%llu: no column `%s`, expected what calib fit writes", row->path,
                            (unsigned long long)row->line, name);
    }
    return true;
}

static bool read_word(const struct table *t, int i, const struct sim_csv_row *row, char *out,
                      struct sim_status *st)
{
    int at = t->at[i];
    if (at >= (int)row->n_fields || !row->length[at] || row->length[at] >= WORD_BYTES)
        return sim_fail(st, "%s:%llu: %s: expected a word of 1 to %d letters", row->path,
                        (unsigned long long)row->line, t->names[i] + 1, WORD_BYTES - 1);
    memcpy(out, row->field[at], row->length[at] + 1);
    return true;
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct table *t = user;
    struct cells cells = {{0}, {{0}}};
    if (index == 0) return find_columns(t, row, st);
    for (int i = 0; t->names[i]; i++)
        if (t->names[i][0] == '$' ? !read_word(t, i, row, cells.word[i], st)
                                  : !sim_csv_double(row, t->at[i], t->names[i], &cells.number[i], st))
            return false;
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->row = sim_realloc(t->row, t->room, sizeof *t->row);
    }
    t->row[t->n++] = cells;
    return true;
}

/* Every number of a row must be above 0 but those of columns before `first`. */
static bool positive(const struct table *t, const char *path, int first, struct sim_status *st)
{
    for (size_t r = 0; r < t->n; r++)
        for (int i = first; t->names[i]; i++)
            if (!(t->row[r].number[i] > 0))
                return sim_fail(st, "%s: %s is %g, expected a number above 0; fit the profile again", path,
                                t->names[i], t->row[r].number[i]);
    return true;
}

/* True with no rows when there is no such file. `first`: of the columns whose numbers are above 0. */
static bool read_table(const char *dir, const char *file, struct table *t, int first, struct sim_status *st)
{
    char *path = sim_printf("%s/%s", dir, file);
    bool ok = access(path, F_OK) != 0 || (sim_csv_read(path, on_row, t, st) && positive(t, path, first, st));
    free(path);
    return ok;
}

/* ---- what is held ---- */

enum { R_FORMAT, R_Q, R_KV, R_DIM, R_SEQS, R_TOKENS, R_RATIO };
static const char *const ratio_names[] = {"$format", "q_heads", "kv_heads", "head_dim",
                                          "seqs",    "tokens",  "ratio",    NULL};
enum { K_FORMAT, K_GROUP, K_T0, K_MEMORY, K_CLOCKS, K_P };
static const char *const kernel_names[] = {"$format",        "group", "t0_s", "memory_frac",
                                           "element_clocks", "p",     NULL};
enum {
    T_METHOD,
    T_DIRECTION,
    T_T0,
    T_SUBMIT,
    T_CALL,
    T_SPEEDUP_2,
    T_SPEEDUP_4,
    T_SMALL,
    T_LARGE,
    T_BREAK,
    T_RATE
};
static const char *const transfer_names[] = {"$method",
                                             "$direction",
                                             "t0_s",
                                             "submit_s",
                                             "call_s",
                                             "speedup_2",
                                             "speedup_4",
                                             "descriptor_small_s",
                                             "descriptor_large_s",
                                             "break_bytes",
                                             "rate_byte_per_s",
                                             NULL};
enum { O_LAYOUT, O_OVERLAP };
static const char *const overlap_names[] = {"$layout", "overlap", NULL};

/* Rows of one format and head layout. */
struct sheet {
    size_t begin, end;
};

struct mdl_methods {
    struct table ratio, kernel, transfer, overlap;
    struct sheet *sheet; /* of ratio, whose rows are in the order of their columns */
    size_t n_sheets;
    char *gpu;
    double launch_s, sync_s; /* 0: not measured */
};

static int by_columns(const void *left, const void *right)
{
    const struct cells *a = left, *b = right;
    int order = strcmp(a->word[R_FORMAT], b->word[R_FORMAT]);
    for (int i = R_Q; !order && i <= R_TOKENS; i++)
        order = (a->number[i] > b->number[i]) - (a->number[i] < b->number[i]);
    return order;
}

static bool same_sheet(const struct cells *a, const struct cells *b)
{
    return strcmp(a->word[R_FORMAT], b->word[R_FORMAT]) == 0 && a->number[R_Q] == b->number[R_Q] &&
           a->number[R_KV] == b->number[R_KV] && a->number[R_DIM] == b->number[R_DIM];
}

static void make_sheets(struct mdl_methods *m)
{
    struct table *t = &m->ratio;
    if (!t->n) return;
    qsort(t->row, t->n, sizeof *t->row, by_columns);
    m->sheet = sim_alloc(t->n, sizeof *m->sheet);
    for (size_t i = 0; i < t->n; i++) {
        if (!i || !same_sheet(&t->row[i - 1], &t->row[i])) m->sheet[m->n_sheets++].begin = i;
        m->sheet[m->n_sheets - 1].end = i + 1;
    }
}

/* ---- yaml ---- */

static bool seconds(const struct mdl_yaml_node *root, const char *key, double *out, struct sim_status *st)
{
    const struct mdl_yaml_node *n = mdl_yaml_get(root, key);
    return !n || mdl_yaml_double(n, key, out, st);
}

static bool is_map(const struct mdl_yaml *y, const char *path, struct sim_status *st)
{
    return (mdl_yaml_root(y) && mdl_yaml_kind(mdl_yaml_root(y)) == MDL_YAML_MAP) ||
           sim_fail(st, "%s:1: expected keys and values", path);
}

static bool read_card(struct mdl_methods *m, const char *dir, struct sim_status *st)
{
    char *path = sim_printf("%s/profile.yaml", dir);
    struct mdl_yaml *y = mdl_yaml_load(path, st);
    bool ok = y && is_map(y, path, st);
    const struct mdl_yaml_node *n = ok ? mdl_yaml_get(mdl_yaml_root(y), "gpu") : NULL;
    const char *gpu = n ? mdl_yaml_string(n, "gpu", st) : NULL;
    if (ok && !n) sim_fail(st, "%s:1: no `gpu`, expected what calib fit writes", path);
    if (gpu) m->gpu = sim_strdup(gpu);
    mdl_yaml_free(y);
    free(path);
    return gpu != NULL;
}

static bool read_host(struct mdl_methods *m, const char *dir, struct sim_status *st)
{
    char *path = sim_printf("%s/host.yaml", dir);
    bool there = access(path, F_OK) == 0, ok = true;
    if (there) {
        struct mdl_yaml *y = mdl_yaml_load(path, st);
        ok = y && is_map(y, path, st) && seconds(mdl_yaml_root(y), "launch_s", &m->launch_s, st) &&
             seconds(mdl_yaml_root(y), "readback_s", &m->sync_s, st);
        mdl_yaml_free(y);
    }
    free(path);
    return ok;
}

struct mdl_methods *mdl_methods_load(const char *profile_dir, struct sim_status *st)
{
    struct mdl_methods *m = sim_alloc(1, sizeof *m);
    m->ratio.names = ratio_names;
    m->kernel.names = kernel_names;
    m->transfer.names = transfer_names;
    m->overlap.names = overlap_names;
    bool ok = read_card(m, profile_dir, st) && read_host(m, profile_dir, st) &&
              read_table(profile_dir, "ratio.csv", &m->ratio, R_Q, st) &&
              read_table(profile_dir, "kernels.csv", &m->kernel, K_GROUP, st) &&
              read_table(profile_dir, "transfer.csv", &m->transfer, T_RATE, st) &&
              read_table(profile_dir, "overlap.csv", &m->overlap, O_OVERLAP + 1, st);
    if (ok) {
        make_sheets(m);
        return m;
    }
    mdl_methods_free(m);
    return NULL;
}

void mdl_methods_free(struct mdl_methods *m)
{
    if (!m) return;
    free(m->ratio.row);
    free(m->kernel.row);
    free(m->transfer.row);
    free(m->overlap.row);
    free(m->sheet);
    free(m->gpu);
    free(m);
}

/* ---- ratios ---- */

/* A place between two rows, or at the end of them. */
struct between {
    size_t low, high;
    double frac;
    enum sim_evidence how;
};

/* Of `x` among rows [begin, end), rising in `column`. */
static struct between place(const struct table *t, struct sheet rows, int column, double x)
{
    size_t high = rows.begin;
    while (high < rows.end && t->row[high].number[column] < x) high++;
    if (high == rows.end) return (struct between){high - 1, high - 1, 0, SIM_EXTRAPOLATED};
    double above = t->row[high].number[column];
    if (above == x) return (struct between){high, high, 0, SIM_MEASURED};
    if (high == rows.begin) return (struct between){high, high, 0, SIM_EXTRAPOLATED};
    double below = t->row[high - 1].number[column];
    return (struct between){high - 1, high, log(x / below) / log(above / below), SIM_INTERPOLATED};
}

static struct sheet of_batch(const struct table *t, struct sheet rows, double seqs)
{
    while (t->row[rows.begin].number[R_SEQS] < seqs) rows.begin++;
    while (t->row[rows.end - 1].number[R_SEQS] > seqs) rows.end--;
    return rows;
}

static enum sim_evidence worse(enum sim_evidence a, enum sim_evidence b)
{
    return a > b ? a : b;
}

/* log ratio of one measured batch at so many tokens a sequence */
static double along_tokens(const struct table *t, struct sheet batch, double tokens, enum sim_evidence *how)
{
    struct between at = place(t, batch, R_TOKENS, tokens);
    *how = worse(*how, at.how);
    double low = log(t->row[at.low].number[R_RATIO]), high = log(t->row[at.high].number[R_RATIO]);
    return low + at.frac * (high - low);
}

static struct mdl_time table_ratio(const struct table *t, struct sheet sheet, double seqs, double tokens)
{
    struct between at = place(t, sheet, R_SEQS, seqs);
    enum sim_evidence how = at.how;
    double low = along_tokens(t, of_batch(t, sheet, t->row[at.low].number[R_SEQS]), tokens, &how);
    if (at.low == at.high) return (struct mdl_time){exp(low), how};
    double high = along_tokens(t, of_batch(t, sheet, t->row[at.high].number[R_SEQS]), tokens, &how);
    return (struct mdl_time){exp(low + at.frac * (high - low)), how};
}

static const struct sheet *find_sheet(const struct mdl_methods *m, const struct mdl_ratio_query *q)
{
    struct cells wanted = {
        .number = {[R_Q] = q->shape.q_heads, [R_KV] = q->shape.kv_heads, [R_DIM] = q->shape.head_dim}};
    if (strlen(q->format) >= WORD_BYTES) return NULL;
    strcpy(wanted.word[R_FORMAT], q->format);
    for (size_t i = 0; i < m->n_sheets; i++)
        if (same_sheet(&m->ratio.row[m->sheet[i].begin], &wanted)) return &m->sheet[i];
    return NULL;
}

static const struct cells *find_kernel(const struct mdl_methods *m, const char *format, double group)
{
    for (size_t i = 0; i < m->kernel.n; i++)
        if (strcmp(m->kernel.row[i].word[K_FORMAT], format) == 0 && m->kernel.row[i].number[K_GROUP] == group)
            return &m->kernel.row[i];
    return NULL;
}

static double kernel_s(const struct cells *row, const struct mdl_ratio_query *q, double bytes_frac)
{
    const double *v = row->number;
    struct mdl_kernel_model k = {v[K_T0], v[K_MEMORY], v[K_CLOCKS], v[K_P]};
    double elements = 2 * q->kv_tokens * q->shape.kv_heads * q->shape.head_dim;
    return mdl_kernel_s(&k, elements * mdl_dtype_bytes(MDL_BF16) * bytes_frac, elements,
                        q->gpu->bandwidth_byte_per_s, q->gpu->sms * q->gpu->clock_hz);
}

/* Cards from compute capability 8.9 on convert fp8 in hardware; on others the conversion is another path, of which a
 * measurement elsewhere says nothing. */
enum { HARDWARE_FP8 = 89 };

static bool ceilings_ratio(const struct mdl_methods *m, const struct mdl_ratio_query *q, struct mdl_time *out)
{
    double group = (double)q->shape.q_heads / q->shape.kv_heads;
    bool own = strcmp(q->gpu->name, m->gpu) == 0;
    const struct cells *format = find_kernel(m, q->format, group), *bf16 = find_kernel(m, "bf16", group);
    if (!format || !bf16 || strcmp(q->gpu->name, MDL_CPU_DEVICE) == 0)
        return false; /* that has no clock of its own */
    if (!own && strcmp(q->format, "fp8") == 0 && q->gpu->compute_capability < HARDWARE_FP8) return false;
    out->s = kernel_s(format, q, q->bytes_frac) / kernel_s(bf16, q, 1);
    out->how = own ? SIM_EXTRAPOLATED : SIM_TRANSFERRED;
    return true;
}

bool mdl_methods_ratio(const struct mdl_methods *m, const struct mdl_ratio_query *q, struct mdl_time *out)
{
    const struct sheet *sheet = strcmp(q->gpu->name, m->gpu) == 0 ? find_sheet(m, q) : NULL;
    if (!sheet) return ceilings_ratio(m, q, out);
    *out = table_ratio(&m->ratio, *sheet, q->n_seqs, q->kv_tokens / q->n_seqs);
    return true;
}

/* ---- copies and the host ---- */

double mdl_methods_overlap(const struct mdl_methods *m, const char *layout)
{
    for (size_t i = 0; i < m->overlap.n; i++)
        if (strcmp(m->overlap.row[i].word[O_LAYOUT], layout) == 0) return m->overlap.row[i].number[O_OVERLAP];
    return NAN;
}

static struct mdl_transfer_model loop_of(const double *v)
{
    struct mdl_transfer_model t = {.t0_s = v[T_T0],
                                   .submit_s = v[T_SUBMIT],
                                   .call_s = v[T_CALL],
                                   .speedup = {1, 1, v[T_SPEEDUP_2], v[T_SPEEDUP_2]},
                                   .descriptor_small_s = v[T_SMALL],
                                   .descriptor_large_s = v[T_LARGE],
                                   .break_bytes = v[T_BREAK],
                                   .rate_byte_per_s = v[T_RATE],
                                   .fragments_per_call = 1};
    for (int i = 4; i <= MDL_MAX_SUBMITTERS; i++) t.speedup[i] = v[T_SPEEDUP_4];
    return t;
}

static const struct cells *find_copy(const struct mdl_methods *m, const char *method)
{
    for (size_t i = 0; i < m->transfer.n; i++) {
        const struct cells *row = &m->transfer.row[i];
        if (strcmp(row->word[T_METHOD], method) == 0 && strcmp(row->word[T_DIRECTION], "to_device") == 0)
            return row;
    }
    return NULL;
}

void mdl_methods_measure_host(const struct mdl_methods *m, struct mdl_host *host)
{
    const struct cells *loop = find_copy(m, "loop"), *kernel = find_copy(m, "kernel");
    if (loop) {
        host->copy = loop_of(loop->number);
        host->link_byte_per_s = host->copy.rate_byte_per_s;
        host->how = SIM_MEASURED;
    }
    if (loop && kernel) host->kernel_frac = fmin(kernel->number[T_RATE] / loop->number[T_RATE], 1);
    if (m->launch_s > 0) host->launch_s = m->launch_s;
    if (m->sync_s > 0) host->sync_s = m->sync_s;
}
