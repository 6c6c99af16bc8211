#include "experiments/quality/scores.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/quality/scores_build.h"
#include "sim/csv_in.h"
#include "sim/memory.h"

/* ---- CSV ---- */

enum csv_column { ALG, PARAMS, TASK, ID, SCORE, OUTPUT_TOKENS, N_COLUMNS };
static const char *const column_names[N_COLUMNS] = {"alg", "params", "task", "id", "score", "output_tokens"};

struct csv_reader {
    struct exp_scores_builder *b;
    int column[N_COLUMNS];
};

static bool find_columns(struct csv_reader *r, const struct sim_csv_row *header, struct sim_status *st)
{
    const struct exp_scores_options *o = exp_scores_builder_options(r->b);
    for (int c = 0; c < N_COLUMNS; c++) {
        r->column[c] = sim_csv_column(header, column_names[c]);
        bool needed = c == ID || c == SCORE || (c == ALG && !o->alg) || (c == TASK && !o->task);
        if (r->column[c] >= 0 || !needed) continue;
        return sim_fail(st,
                        "%s:%llu: has no column `%s`, expected alg,params,task,id,score and perhaps "
                        "output_tokens; rename or add it",
                        header->path, (unsigned long long)header->line, column_names[c]);
    }
    return true;
}

static const char *cell(const struct csv_reader *r, const struct sim_csv_row *row, enum csv_column c,
                        const char *otherwise)
{
    int at = r->column[c];
    if (at < 0) return otherwise ? otherwise : "";
    return (uint32_t)at < row->n_fields ? row->field[at] : "";
}

static bool take_tokens(const struct csv_reader *r, const struct sim_csv_row *row, uint32_t *out,
                        struct sim_status *st)
{
    uint64_t tokens = EXP_NO_TOKENS;
    if (cell(r, row, OUTPUT_TOKENS, NULL)[0] &&
        !sim_csv_u64(row, r->column[OUTPUT_TOKENS], "output_tokens", &tokens, st))
        return false;
    if (tokens > EXP_NO_TOKENS)
        return sim_fail(st,
                        "%s:%llu: column output_tokens: %llu is more than any answer has, expected tokens",
                        row->path, (unsigned long long)row->line, (unsigned long long)tokens);
    *out = (uint32_t)tokens;
    return true;
}

/* "7.0" is what some tools make of 7. */
static void take_id(const char *text, char out[EXP_ID_BYTES + 1])
{
    size_t digits = strspn(text, "0123456789"), n = strnlen(text, EXP_ID_BYTES);
    if (digits > 0 && digits < n && strcmp(text + digits, ".0") == 0) n = digits;
    memcpy(out, text, n);
    out[n] = '\0';
}

static bool on_csv_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct csv_reader *r = user;
    const struct exp_scores_options *o = exp_scores_builder_options(r->b);
    if (index == 0) return find_columns(r, row, st);
    char id[EXP_ID_BYTES + 1];
    take_id(cell(r, row, ID, NULL), id);
    struct exp_score_row score = {.path = row->path,
                                  .line = row->line,
                                  .alg = cell(r, row, ALG, o->alg),
                                  .params = cell(r, row, PARAMS, o->params),
                                  .task = cell(r, row, TASK, o->task),
                                  .id = id};
    return sim_csv_double(row, r->column[SCORE], "score", &score.score, st) &&
           take_tokens(r, row, &score.output_tokens, st) && exp_scores_add(r->b, &score, st);
}

/* ---- files ---- */

static bool read_file(struct exp_scores_builder *b, const char *path, struct sim_status *st)
{
    struct sim_lines *in = sim_lines_open(path, st);
    if (!in) return false;
    struct sim_line line;
    struct csv_reader r = {.b = b};
    bool ok = sim_lines_peek(in, &line, st);
    if (!ok) sim_fail(st, "%s:1: holds no scores, expected CSV or JSON; is it the right file?", path);
    size_t at = 0;
    while (ok && at < line.length && (line.text[at] == ' ' || line.text[at] == '\t')) at++;
    bool json = ok && at < line.length && (line.text[at] == '[' || line.text[at] == '{');
    ok = ok && (json ? exp_scores_read_json(b, in, st) : sim_csv_read_lines(in, on_csv_row, &r, st));
    sim_lines_close(in);
    return ok;
}

static bool is_score_file(const char *name)
{
    static const char *const ends[] = {".csv", ".json", ".jsonl", ".csv.gz", ".json.gz", ".jsonl.gz"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t end = strlen(ends[i]);
        if (n > end && strcmp(name + n - end, ends[i]) == 0) return name[0] != '.';
    }
    return false;
}

struct files {
    char **path;
    size_t n;
};

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_files(DIR *dir, const char *folder, struct files *out)
{
    for (struct dirent *e; (e = readdir(dir));) {
        if (!is_score_file(e->d_name)) continue;
        out->path = sim_realloc(out->path, out->n + 1, sizeof *out->path);
        out->path[out->n++] = sim_printf("%s/%s", folder, e->d_name);
    }
    if (out->n) qsort(out->path, out->n, sizeof *out->path, compare_paths);
}

static bool read_folder(struct exp_scores_builder *b, const char *folder, struct sim_status *st)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return sim_fail(st, "%s: cannot be opened (%s), expected a folder of scores; correct its permissions",
                        folder, strerror(errno));
    struct files files = {0};
    list_files(dir, folder, &files);
    closedir(dir);
    bool ok = files.n > 0 || sim_fail(st,
                                      "%s: holds no *.csv, *.json or *.jsonl, expected files of scores; name "
                                      "the files or another folder",
                                      folder);
    for (size_t i = 0; ok && i < files.n; i++) ok = read_file(b, files.path[i], st);
    while (files.n > 0) free(files.path[--files.n]);
    free(files.path);
    return ok;
}

struct exp_scores *exp_scores_read(const char *const *paths, uint32_t n_paths,
                                   const struct exp_scores_options *options, struct sim_status *st)
{
    static const struct exp_scores_options none = {.scale = 1};
    struct exp_scores_builder *b = exp_scores_builder_new(options ? options : &none);
    bool ok = true;
    for (uint32_t i = 0; ok && i < n_paths; i++) {
        struct stat is;
        bool folder = stat(paths[i], &is) == 0 && S_ISDIR(is.st_mode);
        ok = folder ? read_folder(b, paths[i], st) : read_file(b, paths[i], st);
    }
    struct exp_scores *s = ok ? exp_scores_builder_finish(b, st) : NULL;
    exp_scores_builder_free(b);
    return s;
}
