#include "experiments/batches.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include "experiments/number_out.h"
#include "sim/memory.h"
#include "sim/outfile.h"

enum { ROW_BYTES = 256 };

struct exp_batches_out {
    char *path;
    struct sim_outfile *file;
    const struct trc_trace *trace;
    /* Preemptions come before the step that caused them, whose end is not known yet. */
    struct sim_plan_row *pending;
    uint32_t n_pending, room;
};

const char *exp_request_id(const struct trc_trace *t, uint64_t i, struct exp_request_id *id)
{
    if (t->request_id && t->request_id[i]) return t->request_id[i];
    snprintf(id->room, sizeof id->room, "%" PRIu64, t->file_row ? (uint64_t)t->file_row[i] : i);
    return id->room;
}

struct exp_batches_out *exp_batches_out_new(const char *path, struct sim_status *st)
{
    struct sim_outfile *file = sim_outfile_open(path, st);
    if (!file) return NULL;
    struct exp_batches_out *p = sim_alloc(1, sizeof *p);
    p->path = sim_printf("%s", path);
    p->file = file;
    fputs("step,replica,start_s,duration_s,request_id,new_tokens,past_tokens,read_tokens,recalled_pages,"
          "corrected_heads,evicted_pages\n",
          sim_outfile_stream(file));
    return p;
}

void exp_batches_out_trace(struct exp_batches_out *p, const struct trc_trace *trace)
{
    p->trace = trace;
}

static char *put_count(char *at, uint64_t value)
{
    at = exp_put_u64(at, value);
    *at++ = ',';
    return at;
}

static void write_row(const struct exp_batches_out *p, const struct sim_plan_row *row, double end_s)
{
    FILE *out = sim_outfile_stream(p->file);
    char text[ROW_BYTES], *at = text;
    struct exp_request_id room;
    at = put_count(at, row->step);
    at = put_count(at, row->replica);
    at = exp_put_double(at, row->start_s);
    *at++ = ',';
    at = exp_put_double(at, end_s - row->start_s);
    *at++ = ',';
    fwrite(text, 1, (size_t)(at - text), out);
    const char *id = exp_request_id(p->trace, row->request, &room);
    if (strpbrk(id, ",\"\r\n"))
        csv_fwrite(out, id, strlen(id));
    else
        fputs(id, out);
    at = text;
    *at++ = ',';
    at = put_count(at, row->new_tokens);
    at = put_count(at, row->past_tokens);
    at = put_count(at, row->read_tokens);
    at = put_count(at, row->recalled_pages);
    at = put_count(at, row->corrected_heads);
    at = exp_put_u64(at, row->evicted_pages);
    *at++ = '\n';
    fwrite(text, 1, (size_t)(at - text), out);
}

static void settle(struct exp_batches_out *p, const struct sim_plan_row *next)
{
    for (uint32_t i = 0; i < p->n_pending; i++) {
        const struct sim_plan_row *row = &p->pending[i];
        bool same = next && next->replica == row->replica && next->step == row->step;
        write_row(p, row, same ? next->end_s : row->start_s);
    }
    p->n_pending = 0;
}

void exp_batches_out_row(void *plan, const struct sim_plan_row *row)
{
    struct exp_batches_out *p = plan;
    if (row->new_tokens) {
        settle(p, row);
        write_row(p, row, row->end_s);
        return;
    }
    if (p->n_pending == p->room) {
        p->room = p->room ? 2 * p->room : 16;
        p->pending = sim_realloc(p->pending, p->room, sizeof *p->pending);
    }
    p->pending[p->n_pending++] = *row;
}

static void forget(struct exp_batches_out *p)
{
    free(p->pending);
    free(p->path);
    free(p);
}

bool exp_batches_out_commit(struct exp_batches_out *p, struct sim_status *st)
{
    FILE *out = sim_outfile_stream(p->file);
    settle(p, NULL);
    bool ok = fflush(out) == 0 && !ferror(out);
    if (ok) {
        ok = sim_outfile_commit(p->file, st);
    } else {
        sim_fail(st,
                 "%s: writing failed (%s), nothing was left behind; free some space or name another place",
                 p->path, strerror(errno));
        sim_outfile_abandon(p->file);
    }
    forget(p);
    return ok;
}

void exp_batches_out_abandon(struct exp_batches_out *p)
{
    if (!p) return;
    sim_outfile_abandon(p->file);
    forget(p);
}
