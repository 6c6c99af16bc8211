/* What a validation leaves: its JSON object, a CSV row for each measured point, and the folder of --out. */
#ifndef KVSIM_EXPERIMENTS_VALIDATE_OUT_H
#define KVSIM_EXPERIMENTS_VALIDATE_OUT_H

#include "experiments/crossval.h"

struct exp_validated {
    const struct exp_reruns *reruns;     /* they ran */
    const struct exp_coverage *coverage; /* NULL without intervals */
    uint32_t n_replications;             /* 0 without */
    const char *measured, *scenario;     /* files of the points and of what they do not say */
    bool own_scenario;                   /* not the one that ships */
    const char *data_dir;
};

/* The caller's. */
json_t *exp_validated_json(const struct exp_validated *v);
void exp_validated_csv(const struct exp_validated *v, FILE *out);
/* validate.json, validate.csv, report.json and report.html: all of them or none. */
bool exp_validated_write(const struct exp_validated *v, const char *dir, struct sim_status *st);

#endif
