/* Many tasks on a few threads: tasks are taken in order, each by one thread, which is all that a task may count
 * on. What a task computes must depend on its number alone, so that results are the same for any number of
 * threads. */
#ifndef KVSIM_EXPERIMENTS_PARALLEL_H
#define KVSIM_EXPERIMENTS_PARALLEL_H

#include <stdint.h>

/* Calls work(user, i) once for each i < n_tasks and returns when all have ended. The caller's thread is one of
 * n_threads; threads that the system refuses are done without. */
void exp_parallel(uint32_t n_tasks, uint32_t n_threads, void (*work)(void *user, uint32_t i), void *user);

/* Processors that this program may use, at least 1. */
uint32_t exp_processors(void);

#endif
