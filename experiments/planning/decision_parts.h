/* What the parts of a decision share: decision.c puts it together, checks.c looks at the winner with a buyer's eyes. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_DECISION_PARTS_H
#define KVSIM_EXPERIMENTS_PLANNING_DECISION_PARTS_H

#include "experiments/cli.h"
#include "experiments/planning/decision.h"
#include "experiments/planning/pilot/pilot.h"

/* The four checks, today's throughput and the pilot's cost. */
void exp_decision_checks(struct exp_decision *d);
/* "do nothing" and "managed API". */
void exp_decision_references(struct exp_decision *d);
/* What a reader must know beside the figures: old prices, quality that nobody measured, numbers that were not verified. */
void exp_decision_notes(struct exp_decision *d);

#endif
