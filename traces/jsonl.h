/* JSON lines, one object a request, one line at a time. Numbers become text again (the shortest that reads
 * back the same) and go through the same cells as CSV, so that both have one set of rules and messages. */
#ifndef KVSIM_TRACES_JSONL_H
#define KVSIM_TRACES_JSONL_H

#include "traces/build.h"

struct sim_lines;

bool trc_jsonl_read(struct trc_builder *b, struct sim_lines *in, struct sim_status *st);

#endif
