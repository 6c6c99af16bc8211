#include "calib/methods.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "calib/columns.h"
#include "calib/fit_methods.h"
#include "models/yaml.h"
#include "sim/memory.h"
#include "sim/outfile.h"

/* ---- a file at a time ---- */

struct job {
    const char *raw_dir, *out_dir;
    double bandwidth, units_clock; /* of profile.yaml */
};

/* One output: its input's file and columns, and what is written of them. */
struct part {
    const char *in, *const *names;
    const char *out, *head;
    void (*write)(const struct job *j, const struct cal_columns *c, FILE *out);
};

static bool run_part(const struct job *j, const struct part *p, struct sim_status *st)
{
    struct cal_columns c;
    char *in = sim_printf("%s/%s", j->raw_dir, p->in), *path = sim_printf("%s/%s", j->out_dir, p->out);
    bool ok = cal_columns_read(in, p->names, &c, st);
    struct sim_outfile *file = ok && c.n ? sim_outfile_open(path, st) : NULL;
    if (ok && c.n && !file) ok = false;
    if (file) {
        fprintf(sim_outfile_stream(file), "%s\n", p->head);
        p->write(j, &c, sim_outfile_stream(file));
        ok = sim_outfile_commit(file, st);
    }
    cal_columns_fini(&c);
    free(path);
    free(in);
    return ok;
}

/* Rows with the words of row `at` in columns [0, n_words), from `at` on; false when an earlier row had them. */
static bool first_of(const struct cal_columns *c, size_t at, const int *column, int n)
{
    for (size_t i = 0; i < at; i++) {
        bool same = true;
        for (int k = 0; k < n && same; k++)
            same = strcmp(c->row[i].word[column[k]], c->row[at].word[column[k]]) == 0 &&
                   c->row[i].number[column[k]] == c->row[at].number[column[k]];
        if (same) return false;
    }
    return true;
}

static bool alike(const struct cal_cells *a, const struct cal_cells *b, const int *column, int n)
{
    for (int k = 0; k < n; k++)
        if (strcmp(a->word[column[k]], b->word[column[k]]) != 0 ||
            a->number[column[k]] != b->number[column[k]])
            return false;
    return true;
}

/* ---- transfers ---- */

enum { F_METHOD, F_DIRECTION, F_BYTES, F_N, F_THREADS, F_STREAMS, F_BLOCKS, F_SUBMIT, F_TIME };
static const char *const fragment_names[] = {"$method", "$direction", "fragment_bytes", "n",      "threads",
                                             "streams", "blocks",     "submit_s",       "time_s", NULL};

static void write_transfers(const struct job *j, const struct cal_columns *c, FILE *out)
{
    static const int key[] = {F_METHOD, F_DIRECTION, F_BLOCKS};
    struct cal_transfer_point *point = sim_alloc(c->n, sizeof *point);
    (void)j;
    for (size_t i = 0; i < c->n; i++) {
        struct mdl_transfer_model m;
        size_t n = 0;
        if (!first_of(c, i, key, 3)) continue;
        for (size_t k = i; k < c->n; k++) {
            const double *v = c->row[k].number;
            if (!alike(&c->row[i], &c->row[k], key, 3) || !(v[F_TIME] > 0) || v[F_STREAMS] > v[F_THREADS])
                continue;
            point[n++] = (struct cal_transfer_point){v[F_N], v[F_BYTES], (uint32_t)v[F_THREADS], v[F_SUBMIT],
                                                     v[F_TIME]};
        }
        if (n < CAL_TRANSFER_POINTS) continue;
        bool one_call = strcmp(c->row[i].word[F_METHOD], "loop") != 0;
        struct cal_fit_quality q = cal_fit_transfer(point, n, one_call, &m);
        fprintf(out, "%s,%s,%g,%.6g,%.6g,%.6g,%.4g,%.4g,%.6g,%.6g,%.0f,%.6g,%zu,%.5f,%.5f\n",
                c->row[i].word[F_METHOD], c->row[i].word[F_DIRECTION], c->row[i].number[F_BLOCKS], m.t0_s,
                m.submit_s, m.call_s, m.speedup[2], m.speedup[4], m.descriptor_small_s, m.descriptor_large_s,
                m.break_bytes, m.rate_byte_per_s, q.n, q.median, q.p90);
    }
    free(point);
}

/* ---- decode attention per format ---- */

enum {
    D_FORMAT,
    D_Q,
    D_KV,
    D_DIM,
    D_SEQS,
    D_TOKENS,
    D_RAGGED,
    D_WINDOW,
    D_SPARSE,
    D_ALIASED,
    D_HEAT,
    D_TIME,
    D_BYTES
};
static const char *const decode_names[] = {"$format", "q_heads", "kv_heads", "head_dim", "seqs",
                                           "tokens",  "ragged",  "window",   "sparse",   "aliased",
                                           "$heat",   "time_s",  "bytes",    NULL};

static bool plain(const struct cal_cells *r)
{
    return !r->number[D_RAGGED] && !r->number[D_WINDOW] && !r->number[D_SPARSE] &&
           strcmp(r->word[D_HEAT], "cold") == 0;
}

static double group(const struct cal_cells *r)
{
    return r->number[D_Q] / r->number[D_KV];
}

static size_t kernel_points(const struct cal_columns *c, const struct cal_cells *of,
                            struct cal_kernel_point *point)
{
    size_t n = 0;
    for (size_t k = 0; k < c->n; k++) {
        const struct cal_cells *r = &c->row[k];
        if (strcmp(r->word[D_FORMAT], of->word[D_FORMAT]) != 0 || group(r) != group(of) || !plain(r))
            continue;
        const double *v = r->number;
        double elements = 2 * v[D_SEQS] * v[D_TOKENS] * v[D_KV] * v[D_DIM];
        point[n++] = (struct cal_kernel_point){v[D_ALIASED] ? 0 : v[D_BYTES], elements, v[D_TIME]};
    }
    return n;
}

static bool first_format(const struct cal_columns *c, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(c->row[i].word[D_FORMAT], c->row[at].word[D_FORMAT]) == 0 &&
            group(&c->row[i]) == group(&c->row[at]))
            return false;
    return true;
}

/* The share of the bandwidth that bf16 reaches holds for every format: bytes are bytes; 0 without bf16. */
static double memory_frac(const struct job *j, const struct cal_columns *c, struct cal_kernel_point *point)
{
    for (size_t i = 0; i < c->n; i++) {
        struct mdl_kernel_model m;
        if (strcmp(c->row[i].word[D_FORMAT], "bf16") != 0) continue;
        size_t n = kernel_points(c, &c->row[i], point);
        if (n < CAL_KERNEL_POINTS) return 0;
        cal_fit_kernel(point, n, j->bandwidth, j->units_clock, 0, &m);
        return m.memory_frac;
    }
    return 0;
}

static void write_kernels(const struct job *j, const struct cal_columns *c, FILE *out)
{
    struct cal_kernel_point *point = sim_alloc(c->n, sizeof *point);
    double u = memory_frac(j, c, point);
    for (size_t i = 0; i < c->n; i++) {
        struct mdl_kernel_model m;
        if (!first_format(c, i)) continue;
        size_t n = kernel_points(c, &c->row[i], point);
        if (n < CAL_KERNEL_POINTS) continue;
        struct cal_fit_quality q = cal_fit_kernel(point, n, j->bandwidth, j->units_clock, u, &m);
        fprintf(out, "%s,%g,%.6g,%.5g,%.6g,%.4g,%zu,%.5f,%.5f\n", c->row[i].word[D_FORMAT], group(&c->row[i]),
                m.t0_s, m.memory_frac, m.element_clocks, m.p, q.n, q.median, q.p90);
    }
    free(point);
}

static void write_ratios(const struct job *j, const struct cal_columns *c, FILE *out)
{
    static const int shape[] = {D_Q, D_KV, D_DIM, D_SEQS, D_TOKENS};
    (void)j;
    for (size_t i = 0; i < c->n; i++) {
        const struct cal_cells *r = &c->row[i];
        if (!plain(r) || r->number[D_ALIASED] || strcmp(r->word[D_FORMAT], "bf16") == 0) continue;
        for (size_t k = 0; k < c->n; k++) {
            const struct cal_cells *base = &c->row[k];
            if (!plain(base) || base->number[D_ALIASED] || strcmp(base->word[D_FORMAT], "bf16") != 0)
                continue;
            if (!alike(r, base, shape, 5)) continue;
            fprintf(out, "%s,%g,%g,%g,%g,%g,%.5g\n", r->word[D_FORMAT], r->number[D_Q], r->number[D_KV],
                    r->number[D_DIM], r->number[D_SEQS], r->number[D_TOKENS],
                    r->number[D_TIME] / base->number[D_TIME]);
            break;
        }
    }
}

/* ---- what gets in whose way ---- */

enum { C_KERNEL, C_METHOD, C_BLOCKS, C_ALONE, C_TOGETHER, C_COPY_ALONE, C_COPY };
static const char *const contention_names[] = {"$kernel",    "$method",      "blocks", "alone_s",
                                               "together_s", "copy_alone_s", "copy_s", NULL};

static void write_contention(const struct job *j, const struct cal_columns *c, FILE *out)
{
    (void)j;
    for (size_t i = 0; i < c->n; i++) {
        const double *v = c->row[i].number;
        if (!(v[C_ALONE] > 0) || !(v[C_COPY_ALONE] > 0)) continue;
        fprintf(out, "%s,%s,%g,%.5g,%.5g\n", c->row[i].word[C_KERNEL], c->row[i].word[C_METHOD], v[C_BLOCKS],
                v[C_TOGETHER] / v[C_ALONE], v[C_COPY] / v[C_COPY_ALONE]);
    }
}

enum { R_LAYOUT, R_BUFFERS, R_HEADS, R_SEQS, R_TIME, R_COPY, R_CONVERT };
static const char *const recall_names[] = {"$layout", "buffers", "kv_heads",  "seqs",
                                           "time_s",  "copy_s",  "convert_s", NULL};

/* How far a copy and the conversion of the piece before it run at once, by the layout of the host's pool. */
static void write_overlap(const struct job *j, const struct cal_columns *c, FILE *out)
{
    static const int key[] = {R_LAYOUT};
    struct cal_overlap_point *point = sim_alloc(c->n, sizeof *point);
    (void)j;
    for (size_t i = 0; i < c->n; i++) {
        size_t n = 0;
        if (!first_of(c, i, key, 1)) continue;
        for (size_t k = i; k < c->n; k++) {
            const double *v = c->row[k].number, pieces = v[R_HEADS] * v[R_SEQS];
            if (!alike(&c->row[i], &c->row[k], key, 1) || v[R_BUFFERS] < 2 || pieces < 2) continue;
            point[n++] =
                (struct cal_overlap_point){pieces, v[R_COPY] / pieces, v[R_CONVERT] / pieces, v[R_TIME]};
        }
        if (n) fprintf(out, "%s,%.4f,%zu\n", c->row[i].word[R_LAYOUT], cal_fit_overlap(point, n), n);
    }
    free(point);
}

/* ---- profile.yaml ---- */

static bool number(const struct mdl_yaml_node *map, const char *key, double *out, struct sim_status *st)
{
    const struct mdl_yaml_node *n = map && mdl_yaml_kind(map) == MDL_YAML_MAP ? mdl_yaml_get(map, key) : NULL;
    if (!n) return sim_fail(st, "profile.yaml: no `%s`, expected what kvbench run writes", key);
    return mdl_yaml_double(n, key, out, st);
}

static bool read_card(struct job *j, struct sim_status *st)
{
    double units, clock;
    char *path = sim_printf("%s/profile.yaml", j->raw_dir);
    struct mdl_yaml *y = mdl_yaml_load(path, st);
    const struct mdl_yaml_node *root = y ? mdl_yaml_root(y) : NULL;
    bool ok = y && number(root, "units", &units, st) && number(root, "clock_hz", &clock, st) &&
              number(mdl_yaml_get(root, "ceilings"), "read_byte_per_s", &j->bandwidth, st);
    if (ok) j->units_clock = fmax(units, 1) * (clock > 0 ? clock : 1e9);
    mdl_yaml_free(y);
    free(path);
    return ok;
}

bool cal_write_methods(const char *raw_dir, const char *out_dir, struct sim_status *st)
{
    static const struct part parts[] = {
        {"fragments.csv", fragment_names, "transfer.csv",
         "method,direction,blocks,t0_s,submit_s,call_s,speedup_2,speedup_4,descriptor_small_s,descriptor_"
         "large_s,"
         "break_bytes,"
         "rate_byte_per_s,n,median_error,p90_error",
         write_transfers},
        {"attention_decode.csv", decode_names, "kernels.csv",
         "format,group,t0_s,memory_frac,element_clocks,p,n,median_error,p90_error", write_kernels},
        {"attention_decode.csv", decode_names, "ratio.csv",
         "format,q_heads,kv_heads,head_dim,seqs,tokens,ratio", write_ratios},
        {"contention.csv", contention_names, "contention.csv",
         "kernel,method,blocks,kernel_slowdown,copy_slowdown", write_contention},
        {"recall.csv", recall_names, "overlap.csv", "layout,overlap,n", write_overlap},
    };
    struct job j = {.raw_dir = raw_dir, .out_dir = out_dir};
    gsl_set_error_handler_off();
    bool ok = read_card(&j, st);
    for (size_t i = 0; ok && i < sizeof parts / sizeof *parts; i++) ok = run_part(&j, &parts[i], st);
    return ok;
}
