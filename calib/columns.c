#include "calib/columns.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/csv_in.h"
#include "sim/memory.h"

struct reader {
    struct cal_columns *out;
    size_t room;
    const char *const *names;
    int at[CAL_MAX_COLUMNS], status;
};

static bool find(struct reader *r, const struct sim_csv_row *row, struct sim_status *st)
{
    r->status = sim_csv_column(row, "status");
    for (int i = 0; r->names[i]; i++) {
        const char *name = r->names[i] + (r->names[i][0] == '$');
        r->at[i] = sim_csv_column(row, name);
        if (r->at[i] < 0)
            return sim_fail(st, "%s:1: no column `%s`, expected what kvbench run writes", row->path, name);
    }
    return r->status >= 0 ||
           sim_fail(st, "%s:1: no column `status`, expected what kvbench run writes", row->path);
}

static bool on_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct reader *r = user;
    struct cal_cells cells = {{0}, {{0}}};
    if (index == 0) return find(r, row, st);
    if (r->status >= (int)row->n_fields || strcmp(row->field[r->status], "ok") != 0) return true;
    for (int i = 0; r->names[i]; i++) {
        if (r->names[i][0] != '$') {
            if (!sim_csv_double(row, r->at[i], r->names[i], &cells.number[i], st)) return false;
        } else if (r->at[i] < (int)row->n_fields && row->length[r->at[i]] < CAL_WORD_BYTES) {
            memcpy(cells.word[i], row->field[r->at[i]], row->length[r->at[i]] + 1);
        }
    }
    if (r->out->n == r->room) {
        r->room = r->room ? 2 * r->room : 64;
        r->out->row = sim_realloc(r->out->row, r->room, sizeof *r->out->row);
    }
    r->out->row[r->out->n++] = cells;
    return true;
}

bool cal_columns_read(const char *path, const char *const *names, struct cal_columns *out,
                      struct sim_status *st)
{
    struct cal_columns c = {0};
    struct reader r = {.out = &c, .names = names};
    *out = c;
    if (access(path, F_OK) != 0) return true;
    if (!sim_csv_read(path, on_row, &r, st)) {
        cal_columns_fini(&c);
        return false;
    }
    *out = c;
    return true;
}

void cal_columns_fini(struct cal_columns *c)
{
    free(c->row);
    *c = (struct cal_columns){0};
}
