#include "experiments/listing.h"

#include <string.h>

enum { MAX_COLUMNS = 24, CELL_BYTES = 400 };

struct cell {
    char text[CELL_BYTES];
};

static struct cell cell_text(const json_t *value)
{
    struct cell c = {""};
    if (json_is_string(value))
        snprintf(c.text, sizeof c.text, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(c.text, sizeof c.text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(c.text, sizeof c.text, "%.5g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(c.text, sizeof c.text, "%s", json_is_true(value) ? "yes" : "no");
    else
        snprintf(c.text, sizeof c.text, "-");
    return c;
}

struct column {
    const char *key;
    int width;
    bool number;
};

static int columns_of(const json_t *rows, struct column column[MAX_COLUMNS])
{
    int n = 0;
    const char *key;
    json_t *value;
    size_t i;
    json_t *row;
    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        if (n < MAX_COLUMNS) column[n++] = (struct column){key, (int)strlen(key), json_is_number(value)};
    }
    json_array_foreach(rows, i, row)
    {
        for (int c = 0; c < n; c++) {
            int width = (int)strlen(cell_text(json_object_get(row, column[c].key)).text);
            if (width > column[c].width) column[c].width = width;
        }
    }
    return n;
}

static void print_cell(const char *text, const struct column *c, bool last, FILE *out)
{
    if (c->number)
        fprintf(out, "%*s", c->width, text);
    else
        fprintf(out, "%-*s", last ? 0 : c->width, text);
    fputs(last ? "\n" : "  ", out);
}

void exp_print_rows(const json_t *rows, FILE *out)
{
    struct column column[MAX_COLUMNS];
    int n = columns_of(rows, column);
    size_t i;
    json_t *row;
    for (int c = 0; c < n; c++) print_cell(column[c].key, &column[c], c == n - 1, out);
    json_array_foreach(rows, i, row)
    {
        for (int c = 0; c < n; c++)
            print_cell(cell_text(json_object_get(row, column[c].key)).text, &column[c], c == n - 1, out);
    }
}
