/* Warnings that belong above a result: one line each, gathered while a scenario is set up. */
#ifndef KVSIM_EXPERIMENTS_NOTES_H
#define KVSIM_EXPERIMENTS_NOTES_H

#include <stdint.h>

enum { EXP_MAX_NOTES = 24 };

struct exp_notes {
    uint32_t n;
    char text[EXP_MAX_NOTES][400];
};

/* Adds a line; one that is there already, and any beyond the room, is left out. */
void exp_note(struct exp_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
