/* The study behind `kvsim compare`: one scenario under several KV strategies, a row each, every run on its own
 * and therefore the same on any number of threads. A row is plain data: what was simulated, how that differs
 * from `full` (per replication, so that what both have in common cancels), and what one decode step and one
 * prompt cost where full's load stands. Tables, CSV, JSON and the paragraph underneath read rows and nothing
 * else. To add a column: a value of the enum and a row in compare_columns.c. */
#ifndef KVSIM_EXPERIMENTS_COMPARE_H
#define KVSIM_EXPERIMENTS_COMPARE_H

#include "experiments/report/curves.h"
#include "models/strategy.h"

#include <jansson.h>
#include <stdio.h>

enum { EXP_MAX_CONTENDERS = 64, EXP_LABEL_BYTES = 160, EXP_MAX_KV_SETTINGS = 12 };

/* ---- who takes part ---- */

/* `freekv:budget=1024:correction_tau=0.9` */
struct exp_contender {
    const struct mdl_strategy *strategy;
    char label[EXP_LABEL_BYTES];
    uint32_t n_settings;
    struct {
        const char *key; /* below `kv.` */
        char value[EXP_LABEL_BYTES];
    } setting[EXP_MAX_KV_SETTINGS];
};

struct exp_contenders {
    struct exp_contender at[EXP_MAX_CONTENDERS];
    uint32_t n;
};

/* From `a,b:key=value,c`, with `all` for every strategy; NULL for a dozen: what engines ship, and what the two papers
 * measure against each other. `full` is always there and comes first. Keys are the strategy's parameters and, full
 * aside, its measured lengths and its fallback. Wrong usage in st: unknown names with the nearest one, keys that the
 * strategy does not have, the same twice, nothing at all. Values are checked by the scenario's keys. */
bool exp_contenders_parse(const char *list, struct exp_contenders *out, struct sim_status *st);

/* Sets a contender's parameters on a fleet that has its strategy (exp_scenario_take_strategy). */
bool exp_contender_set(struct exp_scenario *s, uint32_t fleet, const struct exp_contender *c,
                       struct sim_status *st);

/* ---- a row ---- */

enum exp_column {
    EXP_GPU_KV,
    EXP_HOST_KV,
    EXP_MAX_RUNNING,
    EXP_QUEUE,
    EXP_KV_PEAK,
    EXP_PREEMPTIONS,
    EXP_COMPLETED,
    EXP_TTFT_MEAN,
    EXP_TTFT_P99,
    EXP_TPOT_MEAN,
    EXP_TPOT_P99,
    EXP_E2EL_MEAN,
    EXP_E2EL_P99,
    EXP_REQUESTS,
    EXP_OUTPUT,
    EXP_EQUIVALENT,
    EXP_GOODPUT,
    EXP_ATTAINMENT,
    EXP_LINK_BUSY,
    EXP_EXPOSED,
    EXP_LENGTH_MEAN,
    EXP_LENGTH_LONGER,
    EXP_E2EL_SAME_LENGTH,  /* mean E2EL, were outputs as long as with full */
    EXP_QUEUE_SAME_LENGTH, /* and mean queueing */
    EXP_E2EL_SPEED,        /* difference of E2EL to full that the strategy's speed makes, a share of full's */
    EXP_E2EL_LONGER,       /* and what longer outputs add to it */
    EXP_NEGATIVES,
    EXP_UNMEASURED,
    EXP_N_COLUMNS
};

enum exp_better { EXP_NEITHER, EXP_LOWER, EXP_HIGHER };
enum exp_form { EXP_PLAIN, EXP_WHOLE, EXP_PERCENT, EXP_FLOORED_PERCENT, EXP_SIGNED_PERCENT };
enum exp_against { EXP_NO_DELTA, EXP_RATIO, EXP_POINTS }; /* share of full's value, or difference of shares */
enum exp_table {
    EXP_MEMORY_TABLE,
    EXP_LATENCY_TABLE,
    EXP_SERVICE_TABLE,
    EXP_COST_TABLE,
    EXP_EVIDENCE_TABLE,
    EXP_NO_TABLE
};

struct exp_column_info {
    const char *key;     /* in JSON and CSV */
    const char *head[2]; /* above the column, the second with the unit */
    enum exp_table table;
    enum exp_better better;
    enum exp_form form;
    enum exp_against against;
    double scale;     /* from the value to the screen, percent aside */
    bool of_figures;  /* key is a figure of a run (figures.h) */
    bool main_figure; /* its interval stands in the table when there are replications */
};
const struct exp_column_info *exp_column_info(enum exp_column c);

/* One run in numbers; NaN where there is none. */
struct exp_sample {
    double value[EXP_N_COLUMNS];
};

/* Takes what figures hold; the other columns become NaN. */
void exp_sample_take(struct exp_sample *s, const struct exp_figures *f);

/* Where full's load stands, and what a strategy's decode step and prompt cost there. NaN where not known. */
enum { EXP_LOAD_SAMPLES = 64 };
struct exp_point_load {
    double n_seqs;         /* running on a replica on average */
    double context_tokens; /* of a sequence while it decodes */
    double prompt_tokens, output_tokens;
    struct sim_kv_length
        sample[EXP_LOAD_SAMPLES]; /* of sequences that decode, every output token as likely */
};
/* What a recall keeps the GPU waiting with; see sim/recall.h. */
enum exp_station {
    EXP_SUBMISSION,
    EXP_DESCRIPTORS,
    EXP_WIRE,
    EXP_CONVERSION,
    EXP_SELECTION, /* again, for corrections */
    EXP_SYNCS,
    EXP_N_STATIONS
};
const char *exp_station_name(enum exp_station s); /* "submission" */

struct exp_anatomy {
    double step_s, gpu_s, attention_s, select_s, exposed_s; /* step_s: all together */
    double host_s;                                          /* of the engine: the GPU has nothing to do */
    double prefill_s;                                       /* a prompt alone */
    double station_s
        [EXP_N_STATIONS]; /* what each adds to the step: by how much it grows with the station's time */
};

/* From a run of full that still has its requests. */
struct exp_point_load exp_point_load_of(const struct exp_setup *u, const struct exp_figures *f);
/* The same with so many sequences on a replica. */
struct exp_point_load exp_point_load_at(const struct exp_setup *u, double n_seqs);
/* Prices of one fleet there. A step of several pipeline stages stays unknown. */
struct exp_anatomy exp_anatomy_of(const struct exp_setup *u, uint32_t fleet,
                                  const struct exp_point_load *load);

struct exp_compare_row {
    char label[EXP_LABEL_BYTES], strategy[EXP_NAME_BYTES];
    char why_not[1024]; /* what is in the way; "" = it ran */
    struct exp_band value[EXP_N_COLUMNS];
    struct exp_band delta[EXP_N_COLUMNS]; /* to full; NaN for full itself and where nothing can be said */
    enum sim_load_state load_state;
    double evidence[SIM_N_EVIDENCE]; /* shares of GPU time */
    double newly_failing;            /* of all answers; EXP_NEGATIVES is of good ones. NaN = not known */
    char negative_source[256], length_source[192];
    char length_model[48]; /* that its lengths were measured on; "" for full's and the user's own */
    const char *graphs;    /* CUDA graphs that the strategy allows: "yes", "piecewise", "no" */
    struct exp_anatomy anatomy;
    struct exp_figures *figures;  /* all figures, as `run` has them; may be NULL */
    json_t *summary;              /* as `run --json` prints it; may be NULL */
    struct exp_run_curves curves; /* nothing in them unless they were asked for */
};

/* Value, delta and parts of a row from n samples and full's n, pairwise the same seed and errors; base NULL: the row is
 * full, or full did not run. n = 1 without replications. A delta's mean is that of the two means, its interval that of
 * paired differences over full's mean. */
void exp_compare_row_set(struct exp_compare_row *row, const struct exp_sample *own,
                         const struct exp_sample *base, uint32_t n);

/* ---- the study ---- */

struct exp_compare {
    struct exp_compare_row *row; /* row[0] is full */
    uint32_t n_rows, n_replications;
    bool length_shift;
    struct exp_point_load load;
    char title[400]; /* model, fleet and load in one line */
    char how[900];   /* engine, router, rate, seed, and which fleets differ between rows */
    struct exp_notes notes;
};

struct exp_compare_options {
    const struct exp_contenders *contenders;
    uint32_t n_threads, n_replications; /* 0 replications: no intervals */
    bool curves;                        /* keep them for a report: of each strategy without drawn errors */
};

/* Every contender on every fleet of the scenario. A strategy that cannot run there is a row that says why. False only
 * when the scenario itself is wrong. Free with exp_compare_fini. */
bool exp_compare_run(const struct exp_scenario *s, struct exp_cache *cache,
                     const struct exp_compare_options *options, struct exp_compare *out,
                     struct sim_status *st);
void exp_compare_fini(struct exp_compare *c);

/* ---- what comes out ---- */

/* Is row i's difference to full more than noise: over `least`, and its interval without 0? */
bool exp_compare_clear(const struct exp_compare_row *row, enum exp_column c, double least);

/* Has a column something to tell: a row has it, it was asked for, and somebody does it? */
bool exp_compare_tells(const struct exp_compare *c, enum exp_column column);

/* Is it the best of its column? In columns of the load of rows that complete about as many requests, and about as many
 * per second, as the one that completes most, and that meet service levels where any does. None is where more than half
 * print the same. */
bool exp_compare_best(const struct exp_compare *c, uint32_t row, enum exp_column column);

/* A value as the tables print it, without its unit. */
struct exp_cell {
    char text[80];
};
struct exp_cell exp_column_text(const struct exp_compare *c, enum exp_column column, double value);
struct exp_cell exp_delta_text(const struct exp_compare_row *row, enum exp_column column);

/* Stacked tables in so many columns of the screen; bold: escape codes around what is best. */
void exp_compare_print(const struct exp_compare *c, uint32_t width, bool bold, FILE *out);

/* One paragraph, one line: which strategies win for this load and why the others do not, each statement with the
 * figures that it comes from. Free with free(). */
char *exp_compare_reading(const struct exp_compare *c);
/* The same without the sentence on worse answers: for who says that elsewhere. */
char *exp_compare_reading_of_speed(const struct exp_compare *c);
/* The strategy that does best at what this load asks for; NULL when none is better than full. */
const struct exp_compare_row *exp_compare_winner(const struct exp_compare *c);

/* {"strategies": [...], "reading": ..., "baseline": "full"}. The caller's. */
json_t *exp_compare_json(const struct exp_compare *c);
/* One row per strategy. */
void exp_compare_csv(const struct exp_compare *c, FILE *out);
/* What a comparison was made from. */
struct exp_compare_made {
    const struct exp_scenario *scenario;
    const char *data_dir;
};
/* compare.json, compare.csv, scenario.yaml, the report and a summary for each strategy that ran: all of them or none. */
bool exp_compare_write(const struct exp_compare *c, const struct exp_compare_made *made, const char *dir,
                       struct sim_status *st);

#endif
