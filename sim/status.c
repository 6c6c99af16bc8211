#include "sim/status.h"

#include <stdarg.h>
#include <stdio.h>

static void record(struct sim_status *st, enum sim_exit code, const char *format, va_list args)
{
    if (st->code != SIM_EXIT_OK) return;
    st->code = code;
    vsnprintf(st->message, sizeof st->message, format, args);
    for (char *c = st->message; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?'; /* a name from a file may hold anything; the line stays one */
}

bool sim_fail(struct sim_status *st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record(st, SIM_EXIT_FAILURE, format, args);
    va_end(args);
    return false;
}

bool sim_fail_as(struct sim_status *st, enum sim_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    record(st, code, format, args);
    va_end(args);
    return false;
}
