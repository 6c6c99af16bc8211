/* The rows of words.c, in files of their own so that none is long. */
#ifndef KVSIM_EXPERIMENTS_REPORT_WORDS_LIST_H
#define KVSIM_EXPERIMENTS_REPORT_WORDS_LIST_H

struct exp_words_row {
    const char *english, *japanese;
};

/* Each ends with a row of NULL. */
extern const struct exp_words_row exp_words_of_page[];      /* what page.js says by itself */
extern const struct exp_words_row exp_words_of_documents[]; /* titles, columns, axes */
extern const struct exp_words_row exp_words_of_texts[];     /* sentences and templates */

#endif
