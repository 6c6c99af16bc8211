#include "experiments/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void exp_note(struct exp_notes *notes, const char *format, ...)
{
    if (notes->n == EXP_MAX_NOTES) return;
    char *line = notes->text[notes->n];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof notes->text[0], format, args);
    va_end(args);
    for (uint32_t i = 0; i < notes->n; i++)
        if (strcmp(notes->text[i], line) == 0) return;
    notes->n++;
}
