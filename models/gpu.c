#include "models/gpu.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "models/yaml.h"
#include "sim/check.h"
#include "sim/csv_in.h"
#include "sim/memory.h"

enum { MAX_NAME = 96, MAX_GPUS = 4096 };

/* ---- types of numbers ---- */

static const struct {
    const char *name;
    double bytes;
} dtypes[MDL_N_DTYPE] = {
    [MDL_BF16] = {"bf16", 2}, [MDL_FP8] = {"fp8", 1}, [MDL_INT8] = {"int8", 1}, [MDL_INT4] = {"int4", 0.5}};

static const struct {
    const char *name;
    enum mdl_dtype type;
} dtype_words[] = {
    {"bf16", MDL_BF16},    {"bfloat16", MDL_BF16}, {"fp16", MDL_BF16},      {"float16", MDL_BF16},
    {"half", MDL_BF16},    {"fp8", MDL_FP8},       {"fp8_e4m3", MDL_FP8},   {"fp8_e5m2", MDL_FP8},
    {"float8", MDL_FP8},   {"fp8_block", MDL_FP8}, {"int8", MDL_INT8},      {"w8a8", MDL_INT8},
    {"int4", MDL_INT4},    {"awq", MDL_INT4},      {"gptq", MDL_INT4},      {"w4a16", MDL_INT4},
    {"int4_wo", MDL_INT4}, {"int8_wo", MDL_INT8},  {"fp8_static", MDL_FP8}, {"fp8_dynamic", MDL_FP8},
};

const char *mdl_dtype_name(enum mdl_dtype t)
{
    SIM_CHECK(t < MDL_N_DTYPE);
    return dtypes[t].name;
}

double mdl_dtype_bytes(enum mdl_dtype t)
{
    SIM_CHECK(t < MDL_N_DTYPE);
    return dtypes[t].bytes;
}

bool mdl_dtype_parse(const char *name, enum mdl_dtype *out)
{
    for (size_t i = 0; i < sizeof dtype_words / sizeof *dtype_words; i++) {
        if (strcasecmp(name, dtype_words[i].name) != 0) continue;
        *out = dtype_words[i].type;
        return true;
    }
    return false;
}

/* ---- the catalogue ---- */

struct alias {
    char word[MAX_NAME]; /* normalised */
    size_t gpu;
};

struct mdl_gpu_catalogue {
    struct mdl_gpu *gpu;
    struct alias *alias;
    size_t n_gpus, n_aliases;
};

/* Columns of numbers, in the order of the `cells` that they are read into. */
enum cell {
    COMPUTE_CAPABILITY,
    SMS,
    MEMORY_MIB,
    BANDWIDTH,
    L2_MIB,
    BF16,
    FP8,
    INT8,
    INT4,
    BOOST_MHZ,
    NVLINK,
    PCIE_GENERATION,
    PCIE_LANES,
    TDP_W,
    IDLE_W,
    N_CELLS
};

static const struct {
    const char *name;
    double low, high;
} columns[N_CELLS] = {
    [COMPUTE_CAPABILITY] = {"compute_capability", 50, 999},
    [SMS] = {"sms", 1, 4096},
    [MEMORY_MIB] = {"memory_mib", 1024, 1 << 24},
    [BANDWIDTH] = {"bandwidth_gb_per_s", 1, 1e6},
    [L2_MIB] = {"l2_mib", 0, 1 << 16},
    [BF16] = {"bf16_tflops", 0, 1e6},
    [FP8] = {"fp8_tflops", 0, 1e6},
    [INT8] = {"int8_tflops", 0, 1e6},
    [INT4] = {"int4_tflops", 0, 1e6},
    [BOOST_MHZ] = {"boost_mhz", 100, 1e5},
    [NVLINK] = {"nvlink_gb_per_s", 0, 1e6},
    [PCIE_GENERATION] = {"pcie_generation", 1, 6},
    [PCIE_LANES] = {"pcie_lanes", 1, 32},
    [TDP_W] = {"tdp_w", 1, 1e5},
    [IDLE_W] = {"idle_w", 0, 1e5},
};

static const char *const text_columns[] = {"name", "title", "profile", "aliases", "source", "host_gb_per_s"};
enum text_column { NAME, TITLE, PROFILE, ALIASES, SOURCE, HOST, N_TEXTS };

struct loading {
    struct mdl_gpu_catalogue *c;
    int cell_column[N_CELLS], text_column[N_TEXTS];
};

/* Byte rate of one PCIe lane after its line code, one direction. source: PCI Express base specifications 1.0
 * to 6.0 (8b/10b, 128b/130b, and 242 of 256 bytes of a flit). */
static double lane_byte_per_s(unsigned generation)
{
    static const double rate[] = {0,
                                  0.25e9,
                                  0.5e9,
                                  8e9 / 8 * 128 / 130,
                                  16e9 / 8 * 128 / 130,
                                  32e9 / 8 * 128 / 130,
                                  64e9 / 8 * 242 / 256};
    return rate[generation];
}

/* Lower case, with `-` for `_` and blanks. */
static void normalise(const char *word, char out[MAX_NAME])
{
    size_t n = 0;
    for (; *word && n < MAX_NAME - 1; word++) {
        bool gap = *word == '_' || isspace((unsigned char)*word);
        out[n++] = gap ? '-' : (char)tolower((unsigned char)*word);
    }
    out[n] = '\0';
}

static const struct alias *find_alias(const struct mdl_gpu_catalogue *c, const char *name)
{
    char word[MAX_NAME];
    normalise(name, word);
    for (size_t i = 0; i < c->n_aliases; i++) {
        if (strcmp(c->alias[i].word, word) == 0) return &c->alias[i];
    }
    return NULL;
}

static bool add_alias(struct mdl_gpu_catalogue *c, const char *name, const struct sim_csv_row *row,
                      struct sim_status *st)
{
    const struct alias *taken = find_alias(c, name);
    if (taken && taken->gpu == c->n_gpus) return true;
    if (taken)
        return sim_fail(st, "%s:%llu: `%.60s` already names %s; choose another name or alias", row->path,
                        (unsigned long long)row->line, name, c->gpu[taken->gpu].name);
    c->alias = sim_realloc(c->alias, c->n_aliases + 1, sizeof *c->alias);
    c->alias[c->n_aliases].gpu = c->n_gpus;
    normalise(name, c->alias[c->n_aliases++].word);
    return true;
}

static bool add_aliases(struct mdl_gpu_catalogue *c, const char *name, const char *list,
                        const struct sim_csv_row *row, struct sim_status *st)
{
    bool ok = add_alias(c, name, row, st);
    char *copy = sim_strdup(list), *rest = copy;
    for (char *word; ok && (word = strtok_r(rest, "|", &rest));) ok = add_alias(c, word, row, st);
    free(copy);
    return ok;
}

static bool read_header(struct loading *l, const struct sim_csv_row *row, struct sim_status *st)
{
    const char *missing = NULL;
    for (int i = 0; i < N_CELLS; i++) {
        l->cell_column[i] = sim_csv_column(row, columns[i].name);
        if (l->cell_column[i] < 0) missing = columns[i].name;
    }
    for (int i = 0; i < N_TEXTS; i++) {
        l->text_column[i] = sim_csv_column(row, text_columns[i]);
        if (l->text_column[i] < 0) missing = text_columns[i];
    }
    if (!missing) return true;
    return sim_fail(st, "%s:%llu: no column `%s`, expected the columns of the shipped models/gpus.csv",
                    row->path, (unsigned long long)row->line, missing);
}

static bool read_cells(const struct loading *l, const struct sim_csv_row *row, double cell[N_CELLS],
                       struct sim_status *st)
{
    for (int i = 0; i < N_CELLS; i++) {
        if (!sim_csv_double(row, l->cell_column[i], columns[i].name, &cell[i], st)) return false;
        if (cell[i] < columns[i].low || cell[i] > columns[i].high)
            return sim_fail(st, "%s:%llu: %s is %g, expected %g to %g", row->path,
                            (unsigned long long)row->line, columns[i].name, cell[i], columns[i].low,
                            columns[i].high);
    }
    return true;
}

static bool copy_text(const struct loading *l, const struct sim_csv_row *row, enum text_column column,
                      char *out, size_t room, struct sim_status *st)
{
    int i = l->text_column[column];
    const char *text = (uint32_t)i < row->n_fields ? row->field[i] : "";
    int n = snprintf(out, room, "%s", text);
    if (n >= 0 && (size_t)n < room) return true;
    return sim_fail(st, "%s:%llu: %s is longer than %zu characters", row->path, (unsigned long long)row->line,
                    text_columns[column], room - 1);
}

static bool read_texts(const struct loading *l, const struct sim_csv_row *row, struct mdl_gpu *g,
                       struct sim_status *st)
{
    if (!copy_text(l, row, NAME, g->name, sizeof g->name, st) ||
        !copy_text(l, row, TITLE, g->title, sizeof g->title, st) ||
        !copy_text(l, row, PROFILE, g->profile, sizeof g->profile, st) ||
        !copy_text(l, row, SOURCE, g->source, sizeof g->source, st))
        return false;
    if (g->name[0] && g->source[0]) return true;
    return sim_fail(st, "%s:%llu: a card needs a name and a source", row->path,
                    (unsigned long long)row->line);
}

static void set_numbers(struct mdl_gpu *g, const double cell[N_CELLS])
{
    g->compute_capability = (uint32_t)cell[COMPUTE_CAPABILITY];
    g->sms = (uint32_t)cell[SMS];
    g->memory_bytes = (uint64_t)cell[MEMORY_MIB] << 20;
    g->l2_bytes = (uint64_t)cell[L2_MIB] << 20;
    g->bandwidth_byte_per_s = cell[BANDWIDTH] * 1e9;
    g->clock_hz = cell[BOOST_MHZ] * 1e6;
    g->nvlink_byte_per_s = cell[NVLINK] * 1e9;
    g->pcie_generation = (uint32_t)cell[PCIE_GENERATION];
    g->pcie_lanes = (uint32_t)cell[PCIE_LANES];
    g->pcie_byte_per_s = lane_byte_per_s(g->pcie_generation) * g->pcie_lanes;
    g->tdp_w = cell[TDP_W];
    g->idle_w = cell[IDLE_W];
    for (int t = 0; t < MDL_N_DTYPE; t++) g->rate_flops[t] = cell[BF16 + t] * 1e12;
}

static bool read_card(struct loading *l, const struct sim_csv_row *row, struct sim_status *st)
{
    struct mdl_gpu g = {0};
    double cell[N_CELLS], host_gb_per_s;
    if (!read_texts(l, row, &g, st) || !read_cells(l, row, cell, st)) return false;
    if (l->c->n_gpus >= MAX_GPUS) return sim_fail(st, "%s: more than %d cards", row->path, MAX_GPUS);
    set_numbers(&g, cell);
    const char *host = row->field[l->text_column[HOST]];
    if (*host) {
        if (!sim_csv_double(row, l->text_column[HOST], text_columns[HOST], &host_gb_per_s, st)) return false;
        if (host_gb_per_s <= 0 || host_gb_per_s > 1e6)
            return sim_fail(st, "%s:%llu: host_gb_per_s is %g, expected 0 to 1e6 or nothing", row->path,
                            (unsigned long long)row->line, host_gb_per_s);
        g.pcie_byte_per_s = host_gb_per_s * 1e9;
    }
    if (!add_aliases(l->c, g.name, row->field[l->text_column[ALIASES]], row, st)) return false;
    l->c->gpu = sim_realloc(l->c->gpu, l->c->n_gpus + 1, sizeof *l->c->gpu);
    l->c->gpu[l->c->n_gpus++] = g;
    return true;
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct loading *l = user;
    if (index == 0) return read_header(l, row, st);
    for (int i = 0; i < N_TEXTS; i++) {
        if ((uint32_t)l->text_column[i] >= row->n_fields)
            return sim_fail(st, "%s:%llu: has %u fields, expected one per column of the header", row->path,
                            (unsigned long long)row->line, row->n_fields);
    }
    return read_card(l, row, st);
}

struct mdl_gpu_catalogue *mdl_gpu_catalogue_load(const char *csv_path, struct sim_status *st)
{
    struct loading l = {.c = sim_alloc(1, sizeof *l.c)};
    bool ok = sim_csv_read(csv_path, on_row, &l, st);
    if (ok && l.c->n_gpus == 0) ok = sim_fail(st, "%s: holds no card, expected one row per GPU", csv_path);
    if (ok) return l.c;
    mdl_gpu_catalogue_free(l.c);
    return NULL;
}

void mdl_gpu_catalogue_free(struct mdl_gpu_catalogue *c)
{
    if (!c) return;
    free(c->gpu);
    free(c->alias);
    free(c);
}

size_t mdl_gpu_count(const struct mdl_gpu_catalogue *c)
{
    return c->n_gpus;
}

const struct mdl_gpu *mdl_gpu_at(const struct mdl_gpu_catalogue *c, size_t i)
{
    return i < c->n_gpus ? &c->gpu[i] : NULL;
}

const struct mdl_gpu *mdl_gpu_find(const struct mdl_gpu_catalogue *c, const char *name, struct sim_status *st)
{
    const struct alias *found = find_alias(c, name);
    if (found) return &c->gpu[found->gpu];
    const char **words = sim_alloc(c->n_aliases + 1, sizeof *words);
    for (size_t i = 0; i < c->n_aliases; i++) words[i] = c->alias[i].word;
    char word[MAX_NAME];
    normalise(name, word);
    const char *near = mdl_nearest(word, words);
    char hint[MAX_NAME + 32] = "";
    if (near) snprintf(hint, sizeof hint, "; did you mean `%s`?", c->gpu[find_alias(c, near)->gpu].name);
    sim_fail(st, "unknown GPU `%.60s`, expected one of `kvsim list gpus` (models/gpus.csv takes a new row)%s",
             name, hint);
    free(words);
    return NULL;
}
