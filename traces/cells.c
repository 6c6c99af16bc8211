#include "traces/build.h"

#include "sim/line_in.h"
#include "sim/memory.h"
#include "traces/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool trc_refuse_cell(const struct trc_builder *b, const struct trc_cells *cells, enum trc_field field,
                     const char *expected, struct sim_status *st)
{
    const struct trc_cell *c = &cells->cell[field];
    int column = b->columns.column[field];
    const char *name = column >= 0 ? b->columns.name[column] : trc_field_name(field);
    struct sim_excerpt shown = sim_excerpt(name, strlen(name));
    if (c->length == 0)
        return sim_fail(st, "%s:%llu: column %s: is empty or missing, expected %s; correct or drop the row",
                        b->path, (unsigned long long)cells->line, shown.text, expected);
    return sim_fail(st, "%s:%llu: column %s: \"%s\" found, expected %s; correct or drop the row", b->path,
                    (unsigned long long)cells->line, shown.text, sim_excerpt(c->text, c->length).text,
                    expected);
}

/* A whole number up to UINT32_MAX; 374.0 is one (pandas writes it). */
static bool parse_count(const struct trc_cell *c, uint32_t *out)
{
    uint64_t value = 0;
    const char *s = c->text;
    if (*s < '0' || *s > '9') return false;
    for (; *s >= '0' && *s <= '9'; s++)
        if ((value = 10 * value + (uint64_t)(*s - '0')) > UINT32_MAX) return false;
    if (*s == '.') s += 1 + strspn(s + 1, "0");
    *out = (uint32_t)value;
    return *s == '\0';
}

bool trc_cell_count(const struct trc_builder *b, const struct trc_cells *cells, enum trc_field field,
                    uint32_t *out, struct sim_status *st)
{
    if (parse_count(&cells->cell[field], out)) return true;
    return trc_refuse_cell(b, cells, field, "a whole number of tokens from 0 to 4294967295", st);
}

static bool ask_for_unit(const struct trc_builder *b, const struct trc_cells *cells, struct sim_status *st)
{
    const char *name = b->columns.name[b->columns.column[TRC_F_ARRIVAL]];
    return sim_fail(
        st,
        "%s:%llu: column %s: the unit of \"%s\" is not stated, expected a datetime or a name that ends in "
        "_s, _ms, _us or _ns; say it with --time-unit s|ms|us|ns",
        b->path, (unsigned long long)cells->line, sim_excerpt(name, strlen(name)).text,
        sim_excerpt(cells->cell[TRC_F_ARRIVAL].text, cells->cell[TRC_F_ARRIVAL].length).text);
}

bool trc_cell_arrival(struct trc_builder *b, const struct trc_cells *cells, int64_t *us,
                      struct sim_status *st)
{
    static const int powers[] = {
        [TRC_CLOCK_S] = 6, [TRC_CLOCK_MS] = 3, [TRC_CLOCK_US] = 0, [TRC_CLOCK_NS] = -3};
    const struct trc_cell *c = &cells->cell[TRC_F_ARRIVAL];
    bool is_whole;
    *us = 0;
    if (!trc_builder_has(b, TRC_F_ARRIVAL)) return true;
    if (b->clock == TRC_CLOCK_ASK && c->length > 0 && !b->is_datetime) {
        if (!trc_datetime_us(c->text, c->length, us)) return ask_for_unit(b, cells, st);
        b->clock = TRC_CLOCK_DATETIME;
    }
    if (b->clock == TRC_CLOCK_DATETIME || b->clock == TRC_CLOCK_ASK) {
        b->is_datetime = true;
        return trc_datetime_us(c->text, c->length, us) ||
               trc_refuse_cell(b, cells, TRC_F_ARRIVAL, "a datetime YYYY-MM-DD HH:MM:SS[.fraction][Z|+HH:MM]",
                               st);
    }
    if (!trc_decimal_us(c->text, c->length, powers[b->clock], us, &is_whole))
        return trc_refuse_cell(b, cells, TRC_F_ARRIVAL,
                               "a time >= 0 (a decimal number, before the year 2255)", st);
    if (b->dialect->whole_numbers && !is_whole && b->options.time_unit == TRC_UNIT_BY_DIALECT &&
        trc_columns_clock(&b->columns) == TRC_CLOCK_ASK)
        return ask_for_unit(b, cells, st);
    return true;
}

bool trc_cell_hash_ids(struct trc_builder *b, const struct trc_cells *cells, size_t *n, struct sim_status *st)
{
    static const char EXPECTED[] = "whole numbers from 0 to 2^64-1 between spaces, ; or |";
    const char *s = cells->cell[TRC_F_HASH_IDS].text;
    *n = 0;
    for (;;) {
        s += strspn(s, " ;|,[]");
        if (*s == '\0') return true;
        if (*s < '0' || *s > '9') return trc_refuse_cell(b, cells, TRC_F_HASH_IDS, EXPECTED, st);
        uint64_t id = 0;
        for (; *s >= '0' && *s <= '9'; s++)
            if (__builtin_mul_overflow(id, 10U, &id) || __builtin_add_overflow(id, (uint64_t)(*s - '0'), &id))
                return trc_refuse_cell(b, cells, TRC_F_HASH_IDS, EXPECTED, st);
        if (*n == b->room_parsed_ids) {
            b->room_parsed_ids = b->room_parsed_ids ? 2 * b->room_parsed_ids : 64;
            b->parsed_ids = sim_realloc(b->parsed_ids, b->room_parsed_ids, sizeof *b->parsed_ids);
        }
        b->parsed_ids[(*n)++] = id;
    }
}

/* Narrows the block sizes that fit all rows: n = ceil(input / block) or n = floor(input / block). */
static void narrow_blocks(struct trc_blocks *k, uint64_t input, uint64_t n)
{
    uint64_t low = (input + n - 1) / n, high = n > 1 ? (input - 1) / (n - 1) : UINT64_MAX;
    if (low > k->ceil_low) k->ceil_low = low;
    if (high < k->ceil_high) k->ceil_high = high;
    low = input / (n + 1) + 1;
    high = input / n;
    if (low > k->floor_low) k->floor_low = low;
    if (high < k->floor_high) k->floor_high = high;
}

bool trc_check_blocks(struct trc_builder *b, const struct trc_cells *cells, uint64_t input, size_t n,
                      struct sim_status *st)
{
    struct trc_blocks *k = &b->blocks;
    uint64_t size = b->options.hash_block_size ? b->options.hash_block_size : b->dialect->hash_block_size;
    if (n == 0) return true; /* a request whose prefix nobody recorded */
    narrow_blocks(k, input, n);
    bool is_ceil = k->ceil_low <= k->ceil_high, is_floor = k->floor_low <= k->floor_high;
    if (size > 0) {
        is_ceil = is_ceil && size >= k->ceil_low && size <= k->ceil_high;
        is_floor = is_floor && size >= k->floor_low && size <= k->floor_high;
    }
    if (is_ceil || is_floor) return true;
    if (size == 0)
        return sim_fail(
            st,
            "%s:%llu: column hash_ids: %zu ids for %llu input tokens fit no block size that fits the rows "
            "before, expected ceil(input / block) ids in every row; correct or drop the row",
            b->path, (unsigned long long)cells->line, n, (unsigned long long)input);
    return sim_fail(
        st,
        "%s:%llu: column hash_ids: %zu ids for %llu input tokens, expected %llu with blocks of %llu "
        "tokens; say the block size with --hash-block-size",
        b->path, (unsigned long long)cells->line, n, (unsigned long long)input,
        (unsigned long long)((input + size - 1) / size), (unsigned long long)size);
}

bool trc_cell_priority(const struct trc_builder *b, const struct trc_cells *cells, int32_t *out,
                       struct sim_status *st)
{
    const struct trc_cell *c = &cells->cell[TRC_F_PRIORITY];
    char *end;
    *out = 0;
    if (c->length == 0) return true;
    errno = 0;
    long value = strtol(c->text, &end, 10);
    bool is_plain = strspn(c->text, "-0123456789") == c->length;
    if (!is_plain || *end != '\0' || errno || value < INT32_MIN || value > INT32_MAX)
        return trc_refuse_cell(b, cells, TRC_F_PRIORITY, "a whole number (lower is served first)", st);
    *out = (int32_t)value;
    return true;
}

bool trc_cell_is_failed(const struct trc_cells *cells)
{
    static const char *const failed[] = {"failed",  "failure", "error", "canceled", "cancelled",
                                         "aborted", "timeout", "true",  "1"};
    if (cells->cell[TRC_F_STATUS].length == 0) return false;
    for (size_t i = 0; i < sizeof failed / sizeof *failed; i++)
        if (strcasecmp(cells->cell[TRC_F_STATUS].text, failed[i]) == 0) return true;
    return false;
}
