/* The report of a study, from the points that a store holds of it. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_STUDY_H
#define KVSIM_EXPERIMENTS_REPORT_OF_STUDY_H

#include "experiments/study/store/store.h"

/* A study of a store by its name, or its only one when name is NULL; exp_doc_finish has been called. NULL with one line in st
 * when there are none or several. */
json_t *exp_report_of_study(struct exp_store *store, const char *name, struct sim_status *st);

#endif
