/* A page for people: headings, wrapped paragraphs and tables, as plain text of 80 columns, as Markdown, or as parts of a
 * report's document (report/doc.h), from the same calls. Widths are columns of the screen: a Chinese, Japanese or Korean
 * letter takes two. In text no line is wider than the page; in Markdown and in a document tables are as wide as they are,
 * and their rows have equal cells. */
#ifndef KVSIM_EXPERIMENTS_PAGE_H
#define KVSIM_EXPERIMENTS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

enum { EXP_PAGE_COLUMNS = 80 };

/* Where a page goes that becomes parts of a document. */
struct exp_page_parts {
    json_t *section; /* or what exp_doc_languages returns; borrowed */
    char *heading;   /* that waits for what follows: a table takes it as its title; NULL = none */
};
/* Adds a heading that waits, and frees. */
void exp_page_parts_end(struct exp_page_parts *p);

struct exp_page {
    FILE *out;
    bool markdown;
    bool bold;                    /* escape codes of a terminal around headings */
    struct exp_page_parts *parts; /* not NULL: these instead of `out` */
};

/* Columns of the screen that UTF-8 text takes; bytes that are none take one each. */
int exp_text_columns(const char *text);
/* Bytes of the whole letters within the first `most`: where text may be cut. */
int exp_text_bytes(const char *text, int most);

/* An empty line: in text before a table or a page that nothing else parts from what is above, in Markdown before a list. */
void exp_page_gap_in_text(const struct exp_page *p);
void exp_page_gap_in_markdown(const struct exp_page *p);

/* level 1 is the page's first line, 2 a section, with an empty line before it. */
void exp_page_heading(const struct exp_page *p, int level, const char *text);
/* Wrapped; in text its first line stands at `first` columns and the others at `rest`. A paragraph of its own in Markdown. */
void exp_page_text(const struct exp_page *p, int first, int rest, const char *text);
/* One of a list. */
void exp_page_item(const struct exp_page *p, const char *text);
/* Lines that are typed as they are: commands; in text a line that is wider than the page is wrapped all the same. */
void exp_page_code(const struct exp_page *p, const char *text);

/* ---- tables ---- */

enum exp_cells {
    EXP_CELLS_LEFT,
    EXP_CELLS_RIGHT, /* numbers */
    EXP_CELLS_WRAP,  /* takes what is left of the line, in several lines where it must; one in a table */
    EXP_CELLS_BELOW  /* text: a line under the row, "head: cell", where there is something to say */
};

enum { EXP_MAX_COLUMNS = 16 };
struct exp_column_of_page {
    const char *head; /* "head-\nroom": in two lines; one word in Markdown */
    enum exp_cells cells;
};

/* Grows row by row; cells are copied. */
struct exp_grid {
    const char *id; /* of the table in a document, and of its CSV there; NULL = "table" */
    bool folded;    /* in a document it opens on a click */
    struct exp_column_of_page column[EXP_MAX_COLUMNS];
    int n_columns;
    char **cell;
    size_t n_cells;
};
void exp_grid_add_column(struct exp_grid *g, const char *head, enum exp_cells cells);
/* The next cell of the row; a row is complete with its last column. NULL = empty. */
void exp_grid_add(struct exp_grid *g, const char *text);
/* Prints and frees. Says nothing when there are no rows. */
void exp_page_grid(const struct exp_page *p, struct exp_grid *g);

#endif
