#include "kernels/kvbench/sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/host.h"
#include "kernels/kvbench/csv.h"
#include "kernels/kvbench/util.h"

enum { LINE_BYTES = 2048 };

static const double SYNC_EVERY_S = 5;
static const char *const heats[] = {"cold", "hot"};
static const char *const statuses[KVB_N_STATUS] = {"ok", "noisy", "unsupported", "too_big", "failed"};

const char *kvb_status_name(enum kvb_status s)
{
    return statuses[s];
}

/* --- text --- */

static int header_text(const struct kvb_sheet *s, char *line)
{
    int n = 0;
    for (uint32_t i = 0; i < s->n_keys; i++)
        n += snprintf(line + n, (size_t)(LINE_BYTES - n), "%s,", s->keys[i]);
    if (s->has_heat) n += snprintf(line + n, (size_t)(LINE_BYTES - n), "heat,");
    for (uint32_t i = 0; i < s->n_numbers; i++)
        n += snprintf(line + n, (size_t)(LINE_BYTES - n), "%s,", s->number[i]);
    return n + snprintf(line + n, (size_t)(LINE_BYTES - n), "status\n");
}

/* Counts and bytes in full, measurements to nine digits. */
static int number_text(double x, char *out, size_t room)
{
    bool whole = floor(x) == x && fabs(x) < 1e15;
    return snprintf(out, room, whole ? "%.0f," : "%.9g,", x);
}

static int row_text(const struct kvb_sheet *s, const struct kvb_row *r, char *line)
{
    char room[32];
    int n = 0;
    for (uint32_t i = 0; i < s->n_keys; i++)
        n += snprintf(line + n, (size_t)(LINE_BYTES - n), "%s,", kb_key_text(s->keys[i], r->shape[i], room));
    if (s->has_heat) n += snprintf(line + n, (size_t)(LINE_BYTES - n), "%s,", heats[r->heat]);
    for (uint32_t i = 0; i < s->n_numbers; i++)
        n += number_text(r->number[i], line + n, (size_t)(LINE_BYTES - n));
    return n + snprintf(line + n, (size_t)(LINE_BYTES - n), "%s\n", statuses[r->status]);
}

/* --- reading --- */

static void keep(struct kvb_sheet *s, const struct kvb_row *r)
{
    s->row = kvb_grow(s->row, &s->room, s->n_rows + 1, sizeof *s->row);
    s->row[s->n_rows++] = *r;
}

static int find_word(const char *const *words, int n, const char *text)
{
    for (int i = 0; i < n; i++)
        if (strcmp(words[i], text) == 0) return i;
    return -1;
}

static bool check_header(const struct kvb_sheet *s, const struct kvb_csv_row *in, struct kb_error *err)
{
    char expected[LINE_BYTES], *at = expected;
    expected[header_text(s, expected) - 1] = '\0';
    bool same = in->n_fields == s->n_keys + s->has_heat + s->n_numbers + 1;
    for (uint32_t i = 0; same && i < in->n_fields; i++) {
        size_t n = strcspn(at, ",");
        same = strlen(in->field[i]) == n && memcmp(in->field[i], at, n) == 0;
        at += n + (at[n] == ',');
    }
    return same || kb_fail(err, "%s:1: other columns than this kvbench writes (%.200s); name another folder",
                           in->path, expected);
}

static bool refuse(const struct kvb_csv_row *in, const char *column, const char *text, struct kb_error *err)
{
    return kb_fail(err, "%s:%llu: column %s: `%.40s` makes no sense; drop the row or name another folder",
                   in->path, (unsigned long long)in->line, column, text);
}

static bool read_row(void *user, uint64_t index, const struct kvb_csv_row *in, struct kb_error *err)
{
    struct kvb_sheet *s = user;
    struct kvb_row r = {0};
    uint32_t at = 0, last = s->n_keys + s->has_heat + s->n_numbers;
    if (index == 0) return check_header(s, in, err);
    if (in->n_fields != last + 1)
        return kb_fail(err, "%s:%llu: has %u fields, expected %u; drop the row", in->path,
                       (unsigned long long)in->line, in->n_fields, last + 1);
    for (; at < s->n_keys; at++)
        if (!kb_key_parse(s->keys[at], in->field[at], &r.shape[at]))
            return refuse(in, s->keys[at], in->field[at], err);
    int heat = s->has_heat ? find_word(heats, 2, in->field[at]) : 0;
    if (heat < 0) return refuse(in, "heat", in->field[at], err);
    r.heat = (enum kvb_heat)heat;
    at += s->has_heat;
    for (uint32_t i = 0; i < s->n_numbers; i++, at++)
        if (!kvb_csv_double(in, (int)at, s->number[i], &r.number[i], err)) return false;
    int status = find_word(statuses, KVB_N_STATUS, in->field[last]);
    if (status < 0) return refuse(in, "status", in->field[last], err);
    r.status = (enum kvb_status)status;
    keep(s, &r);
    return true;
}

/* Cuts what a killed run left behind the last newline. False with err when the file cannot be opened. */
static bool cut_torn_line(struct kvb_sheet *s, struct kb_error *err)
{
    char block[LINE_BYTES];
    s->file = open(s->path, O_RDWR | O_APPEND | O_CLOEXEC);
    if (s->file < 0)
        return errno == ENOENT || kb_fail(err, "%s: cannot be opened (%s)", s->path, strerror(errno));
    s->bytes = lseek(s->file, 0, SEEK_END);
    while (s->bytes > 0) {
        int64_t from = s->bytes > LINE_BYTES ? s->bytes - LINE_BYTES : 0;
        ssize_t n = pread(s->file, block, (size_t)(s->bytes - from), from);
        if (n < 0) return kb_fail(err, "%s: cannot be read (%s)", s->path, strerror(errno));
        while (n > 0 && block[n - 1] != '\n') n--;
        s->bytes = from + n;
        if (n != 0) break;
    }
    return true;
}

static bool load(struct kvb_sheet *s, struct kb_error *err)
{
    if (!cut_torn_line(s, err)) return false;
    if (s->file < 0) return true;
    struct stat now;
    if (fstat(s->file, &now) != 0 || (now.st_size != s->bytes && ftruncate(s->file, s->bytes) != 0))
        return kb_fail(err, "%s: its torn last line cannot be cut (%s)", s->path, strerror(errno));
    return s->bytes == 0 || kvb_csv_read(s->path, read_row, s, err);
}

/* --- opening and closing --- */

static void add_numbers(struct kvb_sheet *s, const char *const *names)
{
    for (uint32_t i = 0; names[i]; i++) s->number[s->n_numbers++] = names[i];
}

struct kvb_sheet *kvb_sheet_open(const char *folder, const struct kb_kernel *kernel,
                                 const struct kb_probe *probe, struct kb_error *err)
{
    static const char *const of_kernel[] = {"time_s", "min_s", "spread_frac", "samples",
                                            "bytes",  "flops", NULL};
    static const char *const of_probe[] = {"spread_frac", "samples", "bytes", NULL};
    struct kvb_sheet *s = kvb_alloc(1, sizeof *s);
    s->path = kvb_printf("%s/%s.csv", folder, kernel ? kernel->name : probe->name);
    s->keys = kernel ? kernel->keys : probe->keys;
    s->n_keys = kb_n_keys(s->keys);
    s->has_heat = kernel != NULL;
    s->file = -1;
    if (probe) add_numbers(s, probe->values);
    add_numbers(s, kernel ? of_kernel : of_probe);
    if (load(s, err)) return s;
    kvb_sheet_close(s);
    return NULL;
}

void kvb_sheet_close(struct kvb_sheet *s)
{
    if (!s) return;
    if (s->file >= 0) {
        fsync(s->file);
        close(s->file);
    }
    free(s->row);
    free(s->path);
    free(s);
}

/* --- appending --- */

/* All of it or nothing: what a full disk took of it is cut off again. */
static bool append_text(struct kvb_sheet *s, const char *text, size_t n, struct kb_error *err)
{
    ssize_t written = write(s->file, text, n);
    if (written == (ssize_t)n) {
        s->bytes += written;
        return true;
    }
    int why = written < 0 ? errno : ENOSPC;
    if (written > 0 && ftruncate(s->file, s->bytes) != 0) why = errno;
    return kb_fail(err, "%s: cannot be written (%s); make room, then the same command resumes", s->path,
                   strerror(why));
}

static bool start_file(struct kvb_sheet *s, struct kb_error *err)
{
    char line[LINE_BYTES];
    if (s->file < 0) s->file = open(s->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (s->file < 0)
        return kb_fail(err, "%s: cannot be written (%s); name another folder", s->path, strerror(errno));
    return s->bytes > 0 || append_text(s, line, (size_t)header_text(s, line), err);
}

bool kvb_sheet_append(struct kvb_sheet *s, const struct kvb_row *rows, uint32_t n, struct kb_error *err)
{
    char text[4 * LINE_BYTES];
    int length = 0;
    for (uint32_t i = 0; i < n && i < 3; i++) length += row_text(s, &rows[i], text + length);
    if (!start_file(s, err) || !append_text(s, text, (size_t)length, err)) return false;
    for (uint32_t i = 0; i < n; i++) keep(s, &rows[i]);
    if (kb_now_s() - s->synced_s > SYNC_EVERY_S) {
        fsync(s->file);
        s->synced_s = kb_now_s();
    }
    return true;
}

/* --- finding --- */

const struct kvb_row *kvb_sheet_find(const struct kvb_sheet *s, const uint32_t *shape, enum kvb_heat heat)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if ((!s->has_heat || s->row[i].heat == heat) &&
            memcmp(s->row[i].shape, shape, s->n_keys * sizeof *shape) == 0)
            return &s->row[i];
    return NULL;
}

int kvb_sheet_number(const struct kvb_sheet *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_numbers; i++)
        if (strcmp(s->number[i], name) == 0) return (int)i;
    return -1;
}
