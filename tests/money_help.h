/* Economies to test with: one that can be worked out by hand, and ones drawn at random. */
#ifndef KVSIM_TESTS_MONEY_HELP_H
#define KVSIM_TESTS_MONEY_HELP_H

#include "experiments/planning/money/economy.h"

/* 10 requests a second all day, no growth. A replica carries a quarter of that; 2 fit a server of 8 GPUs (100 W idle,
 * 700 W at most, half busy) that costs 100,000 and draws 1000 W beside them; PUE 1.5 at 0.10 a kWh: 459.90 of power a month
 * and server. An instance has 3 replicas and costs 20 an hour. Nothing else costs anything, and nothing resells; 12 months. */
struct exp_economy plain_economy(void);

/* Anything that a plan may come to, a function of the seed: growth, lead times, days, machines that there are, one to
 * four loads in its table, mixes. Every price is above 0. */
struct exp_economy random_economy(uint64_t seed);

/* Everything that is an amount of money. */
enum { N_PRICES = 12 };
double *price_of(struct exp_economy *e, uint32_t i);

/* A replica's capacity at a load, straight from the table. */
double capacity_at(const struct exp_economy *e, double load);

#endif
