#include "experiments/planning/pilot/pilot_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/yaml.h"
#include "sim/csv_in.h"
#include "sim/line_in.h"
#include "sim/memory.h"

/* ---- columns ---- */

enum column {
    ARM,
    ID,
    CLASS,
    ARRIVAL,
    INPUT,
    OUTPUT,
    TTFT_S,
    TTFT_MS,
    TPOT_S,
    TPOT_MS,
    FAILED,
    STATUS,
    N_COLUMNS
};
static const char *const names[N_COLUMNS] = {"arm",          "request_id",    "slo_class", "arrival_s",
                                             "input_tokens", "output_tokens", "ttft_s",    "ttft_ms",
                                             "tpot_s",       "tpot_ms",       "failed",    "status"};

enum { MOST_TOKENS = 1 << 30 };
static const double MOST_S = 1e12;

struct reader {
    struct exp_class_keys *classes; /* [SIM_MAX_CLASSES] */
    uint32_t n_classes, fallback;
    struct exp_pilot_measured *out;
    uint64_t room[EXP_N_ARMS];
    int at[N_COLUMNS];
};

static bool is_missing(const struct reader *r, enum column c)
{
    switch (c) {
    case TTFT_S:
    case TPOT_S:
        return r->at[c] < 0 && r->at[c + 1] < 0;
    case TTFT_MS:
    case TPOT_MS:
    case CLASS:
    case FAILED:
    case STATUS:
        return false;
    default:
        return r->at[c] < 0;
    }
}

static bool read_header(struct reader *r, const struct sim_csv_row *row, struct sim_status *st)
{
    for (int c = 0; c < N_COLUMNS; c++) r->at[c] = sim_csv_column(row, names[c]);
    for (int c = 0; c < N_COLUMNS; c++)
        if (is_missing(r, (enum column)c))
            return sim_fail(
                st,
                "%s:%" PRIu64
                ": no column `%s`, expected arm, request_id, arrival_s, input_tokens, output_tokens, "
                "ttft_s or ttft_ms, tpot_s or tpot_ms; `kvsim pilot --out` writes a template",
                row->path, row->line, names[c]);
    for (int c = TTFT_S; c <= TPOT_S; c += TPOT_S - TTFT_S)
        if (r->at[c] >= 0 && r->at[c + 1] >= 0)
            return sim_fail(st,
                            "%s:%" PRIu64 ": columns `%s` and `%s`, expected one of them; remove the other",
                            row->path, row->line, names[c], names[c + 1]);
    return true;
}

/* ---- cells ---- */

static bool has(const struct reader *r, const struct sim_csv_row *row, enum column c)
{
    return r->at[c] >= 0 && r->at[c] < (int)row->n_fields && row->length[r->at[c]] > 0;
}

static const char *text(const struct reader *r, const struct sim_csv_row *row, enum column c)
{
    return has(r, row, c) ? row->field[r->at[c]] : "";
}

/* Always false. */
static bool refuse(const struct reader *r, const struct sim_csv_row *row, enum column c, const char *expected,
                   struct sim_status *st)
{
    const char *was = text(r, row, c);
    return sim_fail(st, "%s:%" PRIu64 ": %s: `%s`, expected %s", row->path, row->line, names[c],
                    sim_excerpt(was, strlen(was)).text, expected);
}

static bool read_arm(const struct reader *r, const struct sim_csv_row *row, enum exp_arm *out,
                     struct sim_status *st)
{
    for (int a = 0; a < EXP_N_ARMS; a++)
        if (strcmp(text(r, row, ARM), exp_arm_name(a)) == 0) {
            *out = (enum exp_arm)a;
            return true;
        }
    return refuse(r, row, ARM, "baseline or candidate", st);
}

static bool read_class(const struct reader *r, const struct sim_csv_row *row, uint16_t *out,
                       struct sim_status *st)
{
    const char *known[SIM_MAX_CLASSES + 1] = {NULL}, *name = text(r, row, CLASS);
    *out = (uint16_t)r->fallback;
    if (!*name) return true;
    for (uint32_t i = 0; i < r->n_classes; i++) {
        known[i] = r->classes[i].name;
        if (strcmp(known[i], name) != 0) continue;
        *out = (uint16_t)i;
        return true;
    }
    return sim_fail(st, "%s:%" PRIu64 ": slo_class: `%s` is no class of the plan, expected %s%s%s", row->path,
                    row->line, sim_excerpt(name, strlen(name)).text, known[0], r->n_classes > 1 ? " ..." : "",
                    mdl_hint(name, known).text);
}

/* An answer may be empty, a prompt not. */
static bool read_tokens(const struct reader *r, const struct sim_csv_row *row, enum column c, uint32_t *out,
                        struct sim_status *st)
{
    uint64_t value;
    if (!sim_csv_u64(row, r->at[c], names[c], &value, st)) return false;
    if (value < (c == INPUT) || value > MOST_TOKENS)
        return refuse(r, row, c, c == INPUT ? "1 to 2^30 tokens" : "0 to 2^30 tokens", st);
    *out = (uint32_t)value;
    return true;
}

/* Which of a time's two columns the file has. */
static enum column column_of(const struct reader *r, enum column in_s)
{
    return r->at[in_s] >= 0 ? in_s : (enum column)(in_s + 1);
}

/* 0 too, which is for the caller to judge. */
static bool read_time(const struct reader *r, const struct sim_csv_row *row, enum column in_s, double *out,
                      struct sim_status *st)
{
    enum column c = column_of(r, in_s);
    double value;
    if (!sim_csv_double(row, r->at[c], names[c], &value, st)) return false;
    if (c != in_s) value *= 1e-3;
    if (value < 0 || value > MOST_S) return refuse(r, row, c, "a time above 0", st);
    *out = value;
    return true;
}

static bool read_failed(const struct reader *r, const struct sim_csv_row *row, int8_t *out,
                        struct sim_status *st)
{
    const char *cell = text(r, row, FAILED);
    *out = -1;
    if (!*cell) return true;
    if (strcmp(cell, "0") != 0 && strcmp(cell, "1") != 0)
        return refuse(r, row, FAILED, "0 or 1, or nothing where nobody judged", st);
    *out = (int8_t)(cell[0] - '0');
    return true;
}

/* In the words of `kvsim run`. */
static bool read_status(const struct reader *r, const struct sim_csv_row *row, enum sim_outcome_status *out,
                        struct sim_status *st)
{
    const char *cell = text(r, row, STATUS);
    *out = SIM_COMPLETED;
    if (!*cell) return true;
    for (int s = 0; s < SIM_N_OUTCOME; s++)
        if (strcmp(cell, sim_outcome_name((enum sim_outcome_status)s)) == 0) {
            *out = (enum sim_outcome_status)s;
            return true;
        }
    return refuse(r, row, STATUS, "completed, unfinished, rejected_too_long or not_arrived", st);
}

/* A request that was not completed has no times, and one token has no TPOT. */
static bool read_latency(const struct reader *r, const struct sim_csv_row *row, struct exp_served *q,
                         struct sim_status *st)
{
    q->one_token = q->output_tokens < 2;
    q->ttft_s = q->tpot_s = NAN;
    if (!q->completed) return true;
    if (!read_time(r, row, TTFT_S, &q->ttft_s, st)) return false;
    if (!(q->ttft_s > 0)) return refuse(r, row, column_of(r, TTFT_S), "a time above 0", st);
    if (q->one_token && !has(r, row, column_of(r, TPOT_S))) return true;
    if (!read_time(r, row, TPOT_S, &q->tpot_s, st)) return false;
    return q->one_token || q->tpot_s > 0 || refuse(r, row, column_of(r, TPOT_S), "a time above 0", st);
}

/* ---- rows ---- */

static void keep(struct reader *r, enum exp_arm arm, const struct exp_served *q)
{
    struct exp_measured_arm *a = &r->out->arm[arm];
    if (a->n == r->room[arm]) {
        r->room[arm] = r->room[arm] ? r->room[arm] + r->room[arm] / 2 : 1024;
        a->at = sim_realloc(a->at, r->room[arm], sizeof *a->at);
    }
    a->at[a->n++] = *q;
}

static bool read_row(struct reader *r, const struct sim_csv_row *row, struct sim_status *st)
{
    struct exp_served q = {.line = row->line};
    enum exp_arm arm = EXP_ARM_BASELINE;
    enum sim_outcome_status status = SIM_COMPLETED;
    for (int c = 0; c < N_COLUMNS; c++)
        if (r->at[c] >= (int)row->n_fields)
            return sim_fail(st, "%s:%" PRIu64 ": %u fields, expected column %s too", row->path, row->line,
                            (unsigned)row->n_fields, names[c]);
    if (!read_arm(r, row, &arm, st) || !read_status(r, row, &status, st)) return false;
    if (!has(r, row, ID)) return refuse(r, row, ID, "the request's name or number", st);
    if (status == SIM_NOT_ARRIVED) return true;
    q.completed = status == SIM_COMPLETED;
    q.loads = status != SIM_REJECTED_TOO_LONG;
    if (!read_class(r, row, &q.slo_class, st) ||
        !sim_csv_double(row, r->at[ARRIVAL], names[ARRIVAL], &q.arrival_s, st))
        return false;
    if (q.arrival_s < 0 || q.arrival_s > MOST_S) return refuse(r, row, ARRIVAL, "seconds from 0 on", st);
    if (!read_tokens(r, row, INPUT, &q.input_tokens, st) ||
        !read_tokens(r, row, OUTPUT, &q.output_tokens, st) || !read_latency(r, row, &q, st) ||
        !read_failed(r, row, &q.failed, st))
        return false;
    q.id = sim_arena_strdup(r->out->strings, text(r, row, ID));
    keep(r, arm, &q);
    return true;
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    return index == 0 ? read_header(user, row, st) : read_row(user, row, st);
}

/* ---- the arms ---- */

static int by_arrival(const void *a, const void *b)
{
    const struct exp_served *x = a, *y = b;
    if (x->arrival_s != y->arrival_s) return x->arrival_s < y->arrival_s ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static void settle(struct exp_measured_arm *a)
{
    if (a->n == 0) return;
    qsort(a->at, a->n, sizeof *a->at, by_arrival);
    double first_s = a->at[0].arrival_s;
    for (uint64_t i = 0; i < a->n; i++) a->at[i].arrival_s -= first_s;
}

/* A request under its name. */
struct named {
    const struct exp_served *q;
    uint64_t index;
};

static int by_id(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->q->id, y->q->id);
    if (order) return order;
    return x->q->line < y->q->line ? -1 : x->q->line > y->q->line;
}

/* NULL when a name stands twice. Free with free(). */
static struct named *sort_names(const struct exp_measured_arm *a, const char *path, struct sim_status *st)
{
    struct named *name = sim_alloc(a->n ? a->n : 1, sizeof *name);
    for (uint64_t i = 0; i < a->n; i++) name[i] = (struct named){&a->at[i], i};
    if (a->n) qsort(name, a->n, sizeof *name, by_id);
    for (uint64_t i = 1; i < a->n; i++) {
        if (strcmp(name[i].q->id, name[i - 1].q->id) != 0) continue;
        sim_fail(st,
                 "%s:%" PRIu64 ": request_id: `%s` stands on line %" PRIu64
                 " too, expected each once in an arm",
                 path, name[i].q->line, sim_excerpt(name[i].q->id, strlen(name[i].q->id)).text,
                 name[i - 1].q->line);
        free(name);
        return NULL;
    }
    return name;
}

static int by_candidate(const void *a, const void *b)
{
    uint64_t x = ((const struct exp_served_pair *)a)->of[EXP_ARM_CANDIDATE];
    uint64_t y = ((const struct exp_served_pair *)b)->of[EXP_ARM_CANDIDATE];
    return x < y ? -1 : x > y;
}

static bool same_request(const struct exp_served *a, const struct exp_served *b)
{
    return a->completed && b->completed && a->input_tokens == b->input_tokens;
}

/* Both lists are sorted by name. */
static void match(struct exp_pilot_measured *m, const struct named *base, const struct named *cand)
{
    uint64_t n = m->arm[EXP_ARM_BASELINE].n, k = 0;
    m->pair = sim_alloc(n ? n : 1, sizeof *m->pair);
    for (uint64_t i = 0; i < m->arm[EXP_ARM_CANDIDATE].n; i++) {
        while (k < n && strcmp(base[k].q->id, cand[i].q->id) < 0) k++;
        if (k < n && strcmp(base[k].q->id, cand[i].q->id) == 0 && same_request(base[k].q, cand[i].q))
            m->pair[m->n_pairs++] = (struct exp_served_pair){{base[k].index, cand[i].index}};
    }
    if (m->n_pairs) qsort(m->pair, m->n_pairs, sizeof *m->pair, by_candidate);
}

static bool pair_up(struct exp_pilot_measured *m, const char *path, struct sim_status *st)
{
    struct named *base = sort_names(&m->arm[EXP_ARM_BASELINE], path, st);
    struct named *cand = base ? sort_names(&m->arm[EXP_ARM_CANDIDATE], path, st) : NULL;
    if (cand) match(m, base, cand);
    free(cand);
    free(base);
    return cand != NULL;
}

static bool enough(const struct exp_pilot_measured *m, const char *path, bool both, struct sim_status *st)
{
    enum { LEAST = 30 };
    for (int a = both ? 0 : EXP_ARM_CANDIDATE; a < EXP_N_ARMS; a++) {
        uint64_t n = 0;
        for (uint64_t i = 0; i < m->arm[a].n; i++)
            n += m->arm[a].at[i].completed && !m->arm[a].at[i].one_token;
        if (n < LEAST)
            return sim_fail(st,
                            "%s: %" PRIu64 " requests of arm %s with two output tokens or more, expected at "
                            "least %d; measure more",
                            path, n, exp_arm_name(a), LEAST);
    }
    return true;
}

/* Class `default`, else the first. */
static uint32_t fallback_class(const struct exp_class_keys *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(c[i].name, "default") == 0) return i;
    return 0;
}

bool exp_pilot_csv_read(const struct exp_plan *plan, const char *path, bool both,
                        struct exp_pilot_measured *out, struct sim_status *st)
{
    struct exp_pilot_measured m = {.strings = sim_arena_new()};
    struct reader r = {.out = &m, .classes = sim_alloc(SIM_MAX_CLASSES, sizeof *r.classes)};
    r.n_classes = exp_scenario_classes(plan->base, r.classes);
    r.fallback = fallback_class(r.classes, r.n_classes);
    bool ok = sim_csv_read(path, on_row, &r, st);
    for (int a = 0; ok && a < EXP_N_ARMS; a++) settle(&m.arm[a]);
    ok = ok && pair_up(&m, path, st) && enough(&m, path, both, st);
    free(r.classes);
    if (!ok) {
        exp_pilot_csv_fini(&m);
        return false;
    }
    *out = m;
    return true;
}

void exp_pilot_csv_fini(struct exp_pilot_measured *m)
{
    for (int a = 0; a < EXP_N_ARMS; a++) free(m->arm[a].at);
    free(m->pair);
    sim_arena_free(m->strings);
    *m = (struct exp_pilot_measured){0};
}

static bool stop_at_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    (void)row;
    (void)st;
    *(bool *)user = index > 0;
    return index == 0;
}

bool exp_csv_has_rows(const char *path)
{
    struct sim_status why = {0};
    bool any = false;
    if (access(path, F_OK) != 0) return false;
    return !sim_csv_read(path, stop_at_row, &any, &why) || any;
}
