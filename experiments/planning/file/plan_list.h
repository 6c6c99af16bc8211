/* Lists in a plan: `[a, b]`, one value alone, or `a,b` as command lines have it; and back to text. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_FILE_PLAN_LIST_H
#define KVSIM_EXPERIMENTS_PLANNING_FILE_PLAN_LIST_H

#include "experiments/planning/file/plan_keys.h"

struct exp_plan_item {
    const struct exp_plan_input *in;
    const struct mdl_yaml_node *node; /* for its line */
    const char *text;
};
/* Keeps entry number `at`. */
typedef bool (*exp_plan_add)(const struct exp_plan_item *item, void *owner, uint32_t at,
                             struct sim_status *st);

/* Every entry to `add`, *n of them; the default is that of the key's table row, "" = none. */
struct exp_plan_limit {
    uint32_t most;
    exp_plan_add add;
};
bool exp_plan_list(const struct exp_plan_input *in, void *owner, const struct exp_plan_limit *limit,
                   uint32_t *n, struct sim_status *st);

/* "plan.yaml:3: search.acquire is `steal`, expected ..."; always false. */
bool exp_plan_wrong(const struct exp_plan_item *item, const char *expected, struct sim_status *st);
/* The same of one entry that stands there before; always false. */
bool exp_plan_twice(const struct exp_plan_item *item, struct sim_status *st);

/* A scalar's text; NULL with exp_plan_wrong for anything else. */
const char *exp_plan_scalar(const struct exp_plan_item *item, const char *expected, struct sim_status *st);

/* The words `default` and `none`. */
bool exp_plan_is_default(const struct mdl_yaml_node *node);

/* "[a, b]", grown entry by entry. */
struct exp_plan_text {
    char *text;
};
void exp_plan_text_add(struct exp_plan_text *t, const char *entry);
/* The whole, the caller's; `empty` when nothing was added. */
char *exp_plan_text_end(struct exp_plan_text *t, const char *empty);

#endif
