#include "experiments/commented.h"

#include <string.h>

#include "experiments/values.h"

/* Whether a section holds a key that is used: the others stand there as comments. */
static bool is_used(const struct exp_commented *line, size_t n, const char *section, size_t length)
{
    for (size_t i = 0; i < n; i++)
        if (line[i].used && strncmp(line[i].path, section, length) == 0) return true;
    return false;
}

/* Length of what two paths have in common, in whole names. */
static size_t shared(const char *a, const char *b)
{
    size_t whole = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '.') whole = i + 1;
    return whole;
}

static int depth_at(const char *path, size_t length)
{
    int n = 0;
    for (size_t i = 0; i < length; i++) n += path[i] == '.';
    return n;
}

/* Heads of the sections that open between the last key and line i. True when a list entry begins. */
static bool open_sections(const struct exp_commented *line, size_t n, size_t i, FILE *out)
{
    bool entry = false;
    const char *path = line[i].path;
    size_t at = shared(path, i ? line[i - 1].path : "");
    for (const char *dot; (dot = strchr(path + at, '.'));) {
        size_t end = (size_t)(dot - path);
        entry = path[at] == '-';
        if (!entry)
            fprintf(out, "%s%*s%s%.*s:\n", at == 0 ? "\n" : "", 2 * depth_at(path, at), "",
                    is_used(line, n, path, end + 1) ? "" : "# ", (int)(end - at), path + at);
        at = end + 1;
    }
    return entry;
}

static const char *value_of(const struct exp_commented *line)
{
    const struct exp_key *k = line->key;
    if (line->value) return line->value;
    if (k->example) return k->example;
    if (k->type == EXP_NAMES) return "[]";
    return k->fallback[0] && !k->optional ? k->fallback : "default";
}

static void write_help(const struct exp_commented *line, FILE *out)
{
    char expected[300];
    const struct exp_key *k = line->key;
    exp_value_expected(k, expected, sizeof expected);
    fprintf(out, "# %s", k->help);
    if (line->expected)
        fprintf(out, "; %s", line->expected);
    else if (k->type == EXP_CHOICE)
        fprintf(out, "; %s", expected);
    if (k->optional) fprintf(out, "; default: %s", k->fallback);
    fputc('\n', out);
}

static void write_line(const struct exp_commented *line, size_t n, size_t i, FILE *out)
{
    char text[EXP_TEXT_BYTES];
    const char *path = line[i].path, *last = i ? line[i - 1].path : "";
    bool entry = open_sections(line, n, i, out);
    const char *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path;
    int indent = 2 * depth_at(path, strlen(path));
    if (!dot && strchr(last, '.')) fputc('\n', out);
    snprintf(text, sizeof text, "%*s%s%s%s: %s", entry ? indent - 2 : indent, "", line[i].used ? "" : "# ",
             entry ? "- " : "", name, value_of(&line[i]));
    fprintf(out, "%-40s ", text);
    write_help(&line[i], out);
}

void exp_commented_write(const struct exp_commented *line, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) write_line(line, n, i, out);
}
