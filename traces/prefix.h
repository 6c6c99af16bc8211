/* How many prompt tokens of a trace a prefix cache that never evicts would serve: an upper bound for any real
 * one. */
#ifndef KVSIM_TRACES_PREFIX_H
#define KVSIM_TRACES_PREFIX_H

#include "traces/info.h"

/* In order of arrival: look up, then insert. With hash_ids a hit is the longest run of ids from the first on
 * that were all seen before, worth min(blocks x hash_block_size, input_tokens) tokens. */
void trc_prefix_measure(const struct trc_trace *t, struct trc_prefix_info *out);

/* Different session_id; requests without one count as a session each. 0 without the column. */
uint64_t trc_count_sessions(const struct trc_trace *t);

#endif
