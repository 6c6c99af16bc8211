/* Any bytes as a report's document: what is not one is refused in one line, what is one becomes a page whose data parse, and
 * Markdown, in either language. */
#include "experiments/report/report.h"
#include "models/datadir.h"
#include "sim/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char BEGIN[] = "<script type=\"application/json\" id=\"data\">", END[] = "</script>";

static size_t count(const char *text, const char *piece)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, piece)); at++) n++;
    return n;
}

static char *page_of(const json_t *doc, enum exp_language language, const char *data_dir)
{
    struct sim_status st = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f || !exp_report_html(doc, language, data_dir, f, &st)) abort();
    fclose(f);
    return text;
}

/* No text of the document may end an element or begin one: it has as many as the page of an empty one. */
static void check_page(const char *page, const char *empty)
{
    const char *begin = strstr(page, BEGIN), *end = begin ? strstr(begin, END) : NULL;
    if (!end || count(page, END) != count(empty, END) || count(page, "<") != count(empty, "<") ||
        strstr(page, "http"))
        abort();
    begin += sizeof BEGIN - 1;
    json_t *again = json_loadb(begin, (size_t)(end - begin), 0, NULL);
    if (!again) abort();
    json_decref(again);
}

static void print_page(const json_t *doc, enum exp_language language, const char *data_dir)
{
    json_t *nothing = json_pack("{s:s, s:[s], s:[s], s:s, s:[]}", "kind", "run", "title", "", "subtitle", "",
                                "version", "", "sections");
    char *page = page_of(doc, language, data_dir), *empty = page_of(nothing, language, data_dir);
    check_page(page, empty);
    free(empty);
    free(page);
    json_decref(nothing);
}

static void print(const json_t *doc, enum exp_language language)
{
    struct sim_status st = {0};
    char *text = NULL, *data_dir = mdl_data_dir(&st);
    size_t size = 0;
    if (data_dir) print_page(doc, language, data_dir);
    free(data_dir);
    FILE *f = open_memstream(&text, &size);
    if (!f) abort();
    exp_report_markdown(doc, language, f);
    fclose(f);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_status st = {0};
    setenv("KVSIM_CHART_JS", "/nowhere", 1); /* the same bytes each time; reading them is most of the time */
    json_t *doc = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (doc && exp_report_check(doc, "fuzz", &st)) {
        print(doc, EXP_ENGLISH);
        print(doc, EXP_JAPANESE);
    } else if (doc && (!st.message[0] || strchr(st.message, '\n'))) {
        abort();
    }
    json_decref(doc);
    return 0;
}
