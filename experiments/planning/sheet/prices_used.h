/* The prices that a decision stands on, with their dates: what the winner's machines cost, and what every site and API of the
 * plan costs. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SHEET_PRICES_USED_H
#define KVSIM_EXPERIMENTS_PLANNING_SHEET_PRICES_USED_H

#include "experiments/planning/sheet/words.h"

struct exp_price_used {
    const char *item; /* "server, 8 x h100-sxm"; the arena's */
    double value;     /* shares in percent */
    const struct mdl_price *price;
    bool old; /* today */
};
enum { EXP_MAX_PRICES_USED = 16 };

/* How many; those that nobody gave are left out. */
uint32_t exp_prices_used(struct sim_arena *arena, const struct exp_decision *d, enum exp_language language,
                         struct exp_price_used out[EXP_MAX_PRICES_USED]);

#endif
