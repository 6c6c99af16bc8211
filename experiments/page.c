#include "experiments/page.h"

#include <stdlib.h>
#include <string.h>

#include "experiments/page_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

/* ---- letters ---- */

size_t exp_page_letter(const char *text, uint32_t *code)
{
    const unsigned char *b = (const unsigned char *)text;
    size_t n = b[0] >= 0xf0 && b[0] < 0xf8 ? 4 : b[0] >= 0xe0 ? 3 : b[0] >= 0xc0 ? 2 : 1;
    uint32_t value = n == 1 ? b[0] : b[0] & (0x7fu >> n);
    if (b[0] >= 0xf8) n = 1;
    for (size_t i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            *code = b[0];
            return 1;
        }
        value = value << 6 | (b[i] & 0x3f);
    }
    *code = value;
    return n;
}

static bool is_wide(uint32_t code)
{
    static const uint32_t ranges[][2] = {
        {0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},
        {0xfe30, 0xfe4f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f9ff}, {0x20000, 0x3fffd}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    return false;
}

static int columns_of(uint32_t code)
{
    if (code >= 0x0300 && code <= 0x036f) return 0; /* on the letter before */
    return is_wide(code) ? 2 : 1;
}

int exp_page_columns_within(const char *text, size_t n_bytes)
{
    int columns = 0;
    uint32_t code;
    for (size_t at = 0; at < n_bytes && text[at];) {
        at += exp_page_letter(text + at, &code);
        columns += columns_of(code);
    }
    return columns;
}

int exp_text_columns(const char *text)
{
    return exp_page_columns_within(text, strlen(text));
}

int exp_text_bytes(const char *text, int most)
{
    int n = 0, next;
    uint32_t code;
    for (; text[n]; n = next) {
        next = n + (int)exp_page_letter(text + n, &code);
        if (next > most) break;
    }
    return n;
}

static bool is_one_of(uint32_t code, const uint32_t *list)
{
    while (*list && *list != code) list++;
    return *list != 0;
}

/* May a line end between two letters without a space? Where one of them is wide, but not before what closes or behind what
 * opens. */
static bool may_part(uint32_t before, uint32_t after)
{
    static const uint32_t closes[] = {0x3001, 0x3002, 0x300d, 0x300f, 0x3011, 0xff09, 0xff0c, 0xff0e,
                                      0xff1a, 0xff1b, 0x30fc, 0x3063, 0x3083, 0x3085, 0x3087, 0x30a1,
                                      0x30a3, 0x30a5, 0x30a7, 0x30a9, 0x30c3, 0x30e3, 0x30e5, 0x30e7,
                                      ')',    ']',    ',',    '.',    ':',    ';',    '%',    0};
    static const uint32_t opens[] = {0x300c, 0x300e, 0x3010, 0xff08, '(', '[', 0};
    return (is_wide(before) || is_wide(after)) && after != ' ' && !is_one_of(after, closes) &&
           !is_one_of(before, opens);
}

/* ---- lines ---- */

size_t exp_page_line_end(const char *text, int width, size_t *next)
{
    size_t end = 0, at = 0, joint = 0; /* joint: behind a hyphen or a slash, for words that are too long */
    int columns = 0;
    uint32_t code, before = 0;
    *next = 0;
    for (; text[at] && text[at] != '\n'; before = code) {
        size_t n = exp_page_letter(text + at, &code);
        if (at && code == ' ' && before != ' ') {
            end = at;
            *next = at + strspn(text + at, " ");
        } else if (at && before != ' ' && may_part(before, code)) {
            end = *next = at;
        }
        columns += columns_of(code);
        if (columns > width && code != ' ') {
            if (!*next) end = *next = joint ? joint : at ? at : n;
            return end;
        }
        at += n;
        if (columns < width && strchr("-/_:", (int)code) && code < 0x80) joint = at;
    }
    *next = at + (text[at] == '\n');
    while (at && text[at - 1] == ' ') at--;
    return at;
}

bool exp_page_moves_cursor(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

void exp_page_put_bytes(const struct exp_page *p, int indent, const char *text, size_t n_bytes)
{
    fprintf(p->out, "%*s", indent, "");
    for (size_t i = 0, n; i < n_bytes; i += n) {
        uint32_t code;
        n = exp_page_letter(text + i, &code);
        if (exp_page_moves_cursor(code))
            fputc('?', p->out);
        else
            fwrite(text + i, 1, n, p->out);
    }
}

static void put(const struct exp_page *p, int indent, const char *text, size_t n_bytes)
{
    if (n_bytes) exp_page_put_bytes(p, indent, text, n_bytes);
    fputc('\n', p->out);
}

void exp_page_put_wrapped(const struct exp_page *p, int first, int rest, const char *text)
{
    for (int indent = first; *text;) {
        size_t next, n = exp_page_line_end(text, EXP_PAGE_COLUMNS - indent, &next);
        put(p, indent, text, n);
        text += next;
        indent = text[-1] == '\n' ? first : rest;
    }
}

void exp_page_gap_in_text(const struct exp_page *p)
{
    if (!p->parts && !p->markdown) fputc('\n', p->out);
}

void exp_page_gap_in_markdown(const struct exp_page *p)
{
    if (!p->parts && p->markdown) fputc('\n', p->out);
}

void exp_page_heading(const struct exp_page *p, int level, const char *text)
{
    if (p->parts) {
        exp_page_parts_heading(p->parts, text);
        return;
    }
    const char *on = p->bold && !p->markdown ? "\033[1m" : "", *off = *on ? "\033[0m" : "";
    if (level > 1) fputc('\n', p->out);
    if (p->markdown) {
        fputs(level > 1 ? "## " : "# ", p->out);
        put(p, 0, text, strlen(text));
    } else {
        fputs(on, p->out);
        exp_page_put_wrapped(p, 0, 0, text);
        fputs(off, p->out);
    }
}

void exp_page_text(const struct exp_page *p, int first, int rest, const char *text)
{
    if (p->parts) {
        exp_page_parts_text(p->parts, text);
        return;
    }
    if (p->markdown) fputc('\n', p->out);
    exp_page_put_wrapped(p, p->markdown ? 0 : first, p->markdown ? 0 : rest, text);
}

void exp_page_item(const struct exp_page *p, const char *text)
{
    if (p->parts) {
        exp_page_parts_text(p->parts, text);
        return;
    }
    char *line = sim_printf("%s%s", p->markdown ? "- " : "", text);
    exp_page_put_wrapped(p, p->markdown ? 0 : 2, p->markdown ? 2 : 4, line);
    free(line);
}

void exp_page_code(const struct exp_page *p, const char *text)
{
    if (p->parts) {
        exp_page_parts_code(p->parts, text);
        return;
    }
    if (p->markdown) fputs("\n```\n", p->out);
    if (!p->markdown) exp_page_put_wrapped(p, 2, 4, text);
    while (p->markdown && *text) {
        size_t n = strcspn(text, "\n");
        put(p, 0, text, n);
        text += n + (text[n] == '\n');
    }
    if (p->markdown) fputs("```\n", p->out);
}
