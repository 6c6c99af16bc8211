#include "traces/trace.h"

#include "sim/memory.h"
#include "sim/outfile.h"

#include <csv.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A text as a CSV field: quoted only where RFC 4180 asks for it, or where a reader would drop blanks around
 * it. */
static void write_text(FILE *out, const char *text)
{
    size_t n = strlen(text);
    bool is_plain = strcspn(text, ",\"\r\n\t;#") == n && (n == 0 || (text[0] != ' ' && text[n - 1] != ' '));
    if (is_plain)
        fputs(text, out);
    else
        csv_fwrite(out, text, n);
}

static bool any_priority(const struct trc_trace *t)
{
    for (uint64_t i = 0; i < t->n_requests; i++)
        if (t->requests[i].priority != 0) return true;
    return false;
}

static void write_header(FILE *out, const struct trc_trace *t, bool has_priority)
{
    if (t->request_id || t->file_row) fputs("request_id,", out);
    if (t->has_arrivals) fputs("arrival_time_us,", out);
    fputs("input_tokens,output_tokens", out);
    if (t->session_id) fputs(",session_id", out);
    if (t->turn) fputs(",turn", out);
    if (t->model) fputs(",model", out);
    if (has_priority) fputs(",priority", out);
    if (t->prefix_group) fputs(",prefix_group", out);
    if (t->prefix_length) fputs(",prefix_length", out);
    if (t->hash_begin) fputs(",hash_ids", out);
    if (t->class_names) fputs(",slo_class", out);
    if (t->task) fputs(",task", out);
    fputc('\n', out);
}

static void write_column(FILE *out, char *const *column, uint64_t i)
{
    if (!column) return;
    fputc(',', out);
    write_text(out, column[i]);
}

static void write_hash_ids(FILE *out, const struct trc_trace *t, uint64_t i)
{
    if (!t->hash_begin) return;
    char separator = ',';
    if (t->hash_begin[i] == t->hash_begin[i + 1]) fputc(',', out);
    for (uint32_t k = t->hash_begin[i]; k < t->hash_begin[i + 1]; k++, separator = ' ')
        fprintf(out, "%c%" PRIu64, separator, t->hash_ids[k]);
}

static void write_row(FILE *out, const struct trc_trace *t, uint64_t i, bool has_priority)
{
    const struct sim_request *r = &t->requests[i];
    if (t->request_id) {
        write_text(out, t->request_id[i]);
        fputc(',', out);
    } else if (t->file_row) {
        fprintf(out, "%" PRIu64 ",", t->file_row[i]);
    }
    if (t->has_arrivals) fprintf(out, "%.0f,", floor(r->arrival_s * 1e6 + 0.5));
    fprintf(out, "%" PRIu32 ",%" PRIu32, r->input_tokens, r->output_tokens);
    write_column(out, t->session_id, i);
    if (t->turn) fprintf(out, ",%" PRIu32, t->turn[i]);
    write_column(out, t->model, i);
    if (has_priority) fprintf(out, ",%" PRId32, r->priority);
    write_column(out, t->prefix_group, i);
    if (t->prefix_length) fprintf(out, ",%" PRIu32, t->prefix_length[i]);
    write_hash_ids(out, t, i);
    write_column(out, t->class_names ? &t->class_names[r->slo_class] : NULL, 0);
    write_column(out, t->task, i);
    fputc('\n', out);
}

static void write_all(FILE *out, const struct trc_trace *t)
{
    bool has_priority = any_priority(t);
    write_header(out, t, has_priority);
    for (uint64_t i = 0; i < t->n_requests; i++) write_row(out, t, i, has_priority);
}

bool trc_write(const struct trc_trace *t, const char *path, struct sim_status *st)
{
    if (strcmp(path, "-") == 0) {
        write_all(stdout, t);
        return (fflush(stdout) == 0 && !ferror(stdout)) ||
               sim_fail(st, "stdout: writing failed, expected room for the whole trace; write to a file");
    }
    struct sim_outfile *f = sim_outfile_open(path, st);
    if (!f) return false;
    write_all(sim_outfile_stream(f), t);
    return sim_outfile_commit(f, st);
}
