/* The report's words in other languages than English: lists of a line each (words_*.c), then those of the decision sheet. A
 * text that is in none stays English. Names of the field (TTFT, TPOT, SLA, goodput) stay as they are. */
#ifndef KVSIM_EXPERIMENTS_REPORT_WORDS_H
#define KVSIM_EXPERIMENTS_REPORT_WORDS_H

#include <jansson.h>

enum exp_language { EXP_ENGLISH, EXP_JAPANESE };

/* The text itself when there is no other. */
const char *exp_report_word(enum exp_language language, const char *english);
/* A template in the language, filled with its arguments, which end with NULL. The caller's. */
char *exp_report_say(enum exp_language language, const char *template, ...) __attribute__((sentinel));
/* A copy of a document with every word in the language, templates filled in: texts are plain strings there, and parts of one
 * language stand in the place of `languages`. The document must be a sound one. The caller's. */
json_t *exp_report_translated(const json_t *doc, enum exp_language language);
/* {"english":"word"...} of what the page says by itself; empty for English. The caller's. */
json_t *exp_report_page_words(enum exp_language language);

#endif
