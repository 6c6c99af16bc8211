/* Traces in another order: requests and their side columns move together. */
#ifndef KVSIM_TRACES_PERMUTE_H
#define KVSIM_TRACES_PERMUTE_H

#include "traces/trace.h"

/* Puts requests in order of arrival, equal times as they stood. */
void trc_sort(struct trc_trace *t);

/* A new trace whose request i is requests[from[i]] of t (a row may be left out, or come several times), with
 * all side columns; texts are copied. Counts of failed and reordered rows go along. Free with trc_free. */
struct trc_trace *trc_select(const struct trc_trace *t, const uint64_t *from, uint64_t n);

#endif
