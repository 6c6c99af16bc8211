#include "models/quality.h"

#include <csv.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "models/published_rows.h"
#include "sim/memory.h"

/* ---- the columns ---- */

enum {
    STRATEGY,
    PARAMETERS,
    TASK,
    SAMPLES,
    BENIGN,
    NEGATIVES,
    FIXED,
    WORSE,
    BETTER,
    LENGTH_PAIRS,
    LENGTH_RATIO,
    LONGER,
    EMPTY,
    TRUNCATED,
    ZEROED,
    CRITICAL,
    CRITICAL_FAILURES,
    THETA,
    RULE,
    SOURCE,
    N_COLUMNS
};

/* A count; which one it is a part of; and, where its cell may be empty, which one is 0 when it is not known. */
struct count {
    size_t at, of, known_by;
};

#define MOST_SAMPLES 1000000000000000u /* exact as a double */
#define NONE         SIZE_MAX

/* clang-format off */
#define T(field) offsetof(struct mdl_quality_task, field)
#define COUNT(field, of, known_by) {#field, {T(field), of, known_by}}
#define OTHER(name)                {name, {NONE, NONE, NONE}}
static const struct {
    const char *name;
    struct count count;
} columns[N_COLUMNS] = {
    [STRATEGY]          = OTHER("strategy"),
    [PARAMETERS]        = OTHER("parameters"),
    [TASK]              = OTHER("task"),
    [SAMPLES]           = COUNT(samples, NONE, NONE),
    [BENIGN]            = COUNT(benign, T(samples), NONE),
    [NEGATIVES]         = COUNT(negatives, T(benign), NONE),
    [FIXED]             = COUNT(fixed, T(samples), NONE),
    [WORSE]             = COUNT(worse, T(samples), NONE),
    [BETTER]            = COUNT(better, T(samples), NONE),
    [LENGTH_PAIRS]      = COUNT(length_pairs, T(samples), T(length_pairs)),
    [LENGTH_RATIO]      = OTHER("length_ratio"),
    [LONGER]            = COUNT(longer, T(length_pairs), T(length_pairs)),
    [EMPTY]             = COUNT(empty, T(samples), T(length_pairs)),
    [TRUNCATED]         = COUNT(truncated, T(samples), T(length_pairs)),
    [ZEROED]            = COUNT(zeroed, T(negatives), T(samples)),
    [CRITICAL]          = COUNT(critical, NONE, T(critical)),
    [CRITICAL_FAILURES] = COUNT(critical_failures, T(critical), T(critical)),
    [THETA]             = OTHER("theta"),
    [RULE]              = OTHER("rule"),
    [SOURCE]            = OTHER("source")};
/* clang-format on */
static const char *const rules[] = {"paper", "code"};

static const char *name_of(size_t offset)
{
    int i = SAMPLES;
    while (columns[i].count.at != offset) i++;
    return columns[i].name;
}

static uint64_t count_of(const struct mdl_quality_task *t, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)t + offset, sizeof value);
    return value;
}

/* ---- what needs no row ---- */

static bool is_full(const struct mdl_strategy *s)
{
    return strcmp(s->name, "full") == 0;
}

static bool is_lossless(const struct mdl_strategy *s)
{
    return is_full(s) || strcmp(s->name, "swap") == 0 || strcmp(s->name, "offload") == 0;
}

static struct mdl_quality lossless(void)
{
    struct mdl_quality q = {.n_tasks = 1, .tasks = sim_alloc(1, sizeof *q.tasks), .theta = 0.1};
    snprintf(q.tasks->task, sizeof q.tasks->task, "%s", MDL_ANY_TASK);
    q.tasks->length_ratio = 1;
    snprintf(q.rule, sizeof q.rule, "%s", rules[0]);
    snprintf(q.source, sizeof q.source, "by definition: lossless");
    return q;
}

/* ---- one row ---- */

struct loading {
    struct mdl_row_column column[N_COLUMNS];
    const struct mdl_kv_use *use;
    struct mdl_rows_aside aside;
    struct mdl_quality out;
    uint32_t room;
    bool found;
};

static bool is_empty(const struct loading *l, const struct sim_csv_row *row, int column)
{
    return !*mdl_row_text(row, l->column[column]);
}

/* A row that says why nothing is known: no task and no figures. */
static bool says_nothing(const struct loading *l, const struct sim_csv_row *row)
{
    for (int i = TASK; i < SOURCE; i++)
        if (!is_empty(l, row, i)) return false;
    return true;
}

/* Text that ends up in a terminal. */
static bool read_text(const struct loading *l, const struct sim_csv_row *row, int column, char *out,
                      size_t room, struct sim_status *st)
{
    if (!mdl_row_copy(row, l->column[column], out, room, st)) return false;
    for (const char *at = out; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return sim_fail(st, "%s:%llu: %s has an unprintable character, expected text; correct the cell",
                            row->path, (unsigned long long)row->line, columns[column].name);
    return true;
}

static bool read_count(const struct loading *l, const struct sim_csv_row *row, int column,
                       struct mdl_quality_task *t, struct sim_status *st)
{
    struct count c = columns[column].count;
    uint64_t value = 0, most = c.of == NONE ? MOST_SAMPLES : count_of(t, c.of);
    bool unknown = c.known_by != NONE && is_empty(l, row, column);
    if (!unknown && !sim_csv_u64(row, l->column[column].at, columns[column].name, &value, st)) return false;
    if (value > most || (column == SAMPLES && !value))
        return sim_fail(st, "%s:%llu: %s is %llu, expected %d to %llu%s%s", row->path,
                        (unsigned long long)row->line, columns[column].name, (unsigned long long)value,
                        column == SAMPLES, (unsigned long long)most, c.of == NONE ? "" : ", as ",
                        c.of == NONE ? "" : name_of(c.of));
    memcpy((char *)t + c.at, &value, sizeof value);
    return true;
}

static bool read_ratio(const struct loading *l, const struct sim_csv_row *row, struct mdl_quality_task *t,
                       struct sim_status *st)
{
    t->length_ratio = NAN;
    if (is_empty(l, row, LENGTH_RATIO)) return true;
    if (!t->length_pairs)
        return sim_fail(st, "%s:%llu: length_ratio without length_pairs, expected both or neither; add them",
                        row->path, (unsigned long long)row->line);
    return mdl_row_number(row, l->column[LENGTH_RATIO], (double[]){0, 1e15}, &t->length_ratio, st);
}

static bool read_task(const struct loading *l, const struct sim_csv_row *row, struct mdl_quality_task *t,
                      struct sim_status *st)
{
    *t = (struct mdl_quality_task){.samples = 0};
    if (!read_text(l, row, TASK, t->task, sizeof t->task, st)) return false;
    for (int i = SAMPLES; i <= CRITICAL_FAILURES; i++)
        if (!(i == LENGTH_RATIO ? read_ratio(l, row, t, st) : read_count(l, row, i, t, st))) return false;
    return t->worse + t->better <= t->samples ||
           sim_fail(st, "%s:%llu: worse and better are %llu together, expected at most %llu, as samples",
                    row->path, (unsigned long long)row->line, (unsigned long long)(t->worse + t->better),
                    (unsigned long long)t->samples);
}

/* Theta, rule and source, of which all rows of a strategy share the former two. */
static bool read_how(const struct loading *l, const struct sim_csv_row *row, struct mdl_quality *q,
                     struct sim_status *st)
{
    const struct mdl_row_column *theta = &l->column[THETA];
    int rule = mdl_row_choice(row, l->column[RULE], rules, 2, st);
    if (rule < 0 || !sim_csv_double(row, theta->at, theta->name, &q->theta, st)) return false;
    if (!(q->theta > 0 && q->theta < 1))
        return sim_fail(st, "%s:%llu: theta is %g, expected a share between 0 and 1", row->path,
                        (unsigned long long)row->line, q->theta);
    snprintf(q->rule, sizeof q->rule, "%s", rules[rule]);
    return read_text(l, row, SOURCE, q->source, sizeof q->source, st);
}

/* ---- the rows of a strategy ---- */

static bool has_task(const struct mdl_quality *q, const char *name)
{
    for (uint32_t i = 0; i < q->n_tasks; i++)
        if (strcmp(q->tasks[i].task, name) == 0) return true;
    return false;
}

static bool second_row(const struct loading *l, const struct sim_csv_row *row, const char *task,
                       struct sim_status *st)
{
    return sim_fail(st, "%s:%llu: a second row of %s for the same parameters%s%s; remove one", row->path,
                    (unsigned long long)row->line, l->use->strategy->name, *task ? " and task " : "", task);
}

static bool keep_task(struct loading *l, const struct sim_csv_row *row, const struct mdl_quality_task *t,
                      struct sim_status *st)
{
    struct mdl_quality *q = &l->out;
    if (q->n_tasks == MDL_MAX_TASKS)
        return sim_fail(st, "%s:%llu: %s has more than %d tasks; merge some", row->path,
                        (unsigned long long)row->line, l->use->strategy->name, MDL_MAX_TASKS);
    if (q->n_tasks == l->room) {
        l->room = l->room ? 2 * l->room : 16;
        q->tasks = sim_realloc(q->tasks, l->room, sizeof *q->tasks);
    }
    q->tasks[q->n_tasks++] = *t;
    return true;
}

static bool keep(struct loading *l, const struct sim_csv_row *row, const struct mdl_quality_task *t,
                 const struct mdl_quality *how, struct sim_status *st)
{
    struct mdl_quality *q = &l->out;
    bool contradicts = l->found && (!t || !q->n_tasks);
    if (contradicts || (t && has_task(q, t->task))) return second_row(l, row, t ? t->task : "", st);
    if (l->found && (how->theta != q->theta || strcmp(how->rule, q->rule) != 0))
        return sim_fail(st,
                        "%s:%llu: theta %g and rule %s, expected those of %s's rows before, %g and %s; count "
                        "all tasks alike",
                        row->path, (unsigned long long)row->line, how->theta, how->rule,
                        l->use->strategy->name, q->theta, q->rule);
    if (!l->found) *q = *how;
    l->found = true;
    return !t || keep_task(l, row, t, st);
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct loading *l = user;
    struct mdl_row_parameters at;
    struct mdl_quality_task t;
    struct mdl_quality how = {.theta = NAN};
    if (index == 0) return mdl_row_columns(row, l->column, N_COLUMNS, st);
    bool none = says_nothing(l, row);
    if (!mdl_row_parameters(row, l->column[PARAMETERS].at, &at, st)) return false;
    if (none ? !read_text(l, row, SOURCE, how.source, sizeof how.source, st)
             : !read_task(l, row, &t, st) || !read_how(l, row, &how, st))
        return false;
    /* what full KV does twice is how far answers vary by themselves: it is still what others are compared with */
    if (is_full(l->use->strategy) || !mdl_row_is_of(row, l->column[STRATEGY].at, l->use->strategy->name))
        return true;
    if (mdl_row_matches(&at, l->use)) return keep(l, row, none ? NULL : &t, &how, st);
    if (!none) mdl_rows_set_aside(&l->aside, &at);
    return true;
}

bool mdl_quality_load(const char *csv_path, const struct mdl_kv_use *use, struct mdl_quality *out,
                      struct sim_status *st)
{
    struct loading l = {.use = use, .out = {.theta = NAN, .source = MDL_NO_FIGURE}};
    for (int i = 0; i < N_COLUMNS; i++) l.column[i].name = columns[i].name;
    if (!sim_csv_read(csv_path, on_row, &l, st)) {
        mdl_quality_fini(&l.out);
        return false;
    }
    if (!l.found && is_lossless(use->strategy))
        l.out = lossless();
    else if (!l.found)
        mdl_rows_aside_text(&l.aside, use, l.out.source, sizeof l.out.source);
    l.out.elsewhere = l.aside;
    *out = l.out;
    return true;
}

void mdl_quality_fini(struct mdl_quality *q)
{
    free(q->tasks);
    *q = (struct mdl_quality){.theta = NAN};
}

/* ---- out ---- */

/* Text with what rows are made of goes in quotes, and so does what a reader would trim. */
static void put_text(const char *text, FILE *out)
{
    size_t n = strlen(text);
    bool trimmed = n && (strchr(" \t", text[0]) || strchr(" \t", text[n - 1]));
    if (trimmed || strpbrk(text, ",;\"\t\r\n#"))
        csv_fwrite(out, text, n);
    else
        fputs(text, out);
}

/* In the fewest digits that read back to the same. */
static void put_number(double value, FILE *out)
{
    char text[32] = "";
    for (int digits = 1; digits <= 17 && !isnan(value); digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    fputs(text, out);
}

bool mdl_quality_write_header(FILE *out)
{
    for (int i = 0; i < N_COLUMNS; i++) fprintf(out, "%s%s", i ? "," : "", columns[i].name);
    fputc('\n', out);
    return !ferror(out);
}

static void put_figures(const struct mdl_quality_task *t, FILE *out)
{
    for (int i = SAMPLES; i <= CRITICAL_FAILURES; i++) {
        struct count c = columns[i].count;
        fputc(',', out);
        if (i == LENGTH_RATIO)
            put_number(t->length_ratio, out);
        else if (c.known_by == NONE || count_of(t, c.known_by) || count_of(t, c.at))
            fprintf(out, "%llu", (unsigned long long)count_of(t, c.at));
    }
}

static void put_row(FILE *out, const char *strategy, const char *parameters, const struct mdl_quality *q,
                    const struct mdl_quality_task *t)
{
    put_text(strategy, out);
    fputc(',', out);
    put_text(parameters, out);
    fputc(',', out);
    if (t) {
        put_text(t->task, out);
        put_figures(t, out);
        fputc(',', out);
        put_number(q->theta, out);
        fprintf(out, ",%s,", q->rule);
    } else {
        for (int i = TASK; i < SOURCE; i++) fputc(',', out);
    }
    put_text(q->source, out);
    fputc('\n', out);
}

bool mdl_quality_write(FILE *out, const char *strategy, const char *parameters, const struct mdl_quality *q)
{
    if (!mdl_quality_known(q)) put_row(out, strategy, parameters, q, NULL);
    for (uint32_t i = 0; i < q->n_tasks; i++)
        if (q->tasks[i].samples) put_row(out, strategy, parameters, q, &q->tasks[i]);
    return !ferror(out);
}
