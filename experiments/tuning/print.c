#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/listing.h"
#include "experiments/tuning/parts.h"
#include "sim/memory.h"

enum { MOST_ROWS = 20 };

/* ---- cells ---- */

static struct exp_words interval(struct exp_band b)
{
    struct exp_words w = {"-"};
    if (isnan(b.mean)) return w;
    snprintf(w.text, sizeof w.text, "%.12s [%.12s .. %.12s]", exp_short_words(b.mean).text,
             exp_short_words(b.lo).text, exp_short_words(b.hi).text);
    return w;
}

static struct exp_words percent_interval(struct exp_band b)
{
    struct exp_words w;
    snprintf(w.text, sizeof w.text, "%+.3g %% [%+.3g .. %+.3g]", 100 * b.mean, 100 * b.lo, 100 * b.hi);
    return w;
}

/* "99.2 %, met in 7 of 8": cut, so that what is not all does not print as 100. */
static struct exp_words levels(const struct exp_tune *t, const struct exp_tune_trial *x)
{
    struct exp_words w = {"-"};
    if (!x->n) return w;
    if (t->objective == EXP_TUNE_LOAD)
        snprintf(w.text, sizeof w.text, "held in %u of %u", exp_tune_met_in(x), x->n);
    else
        snprintf(w.text, sizeof w.text, "%.4g %%, met in %u of %u", floor(1e4 * exp_tune_attained(x)) / 100,
                 exp_tune_met_in(x), x->n);
    return w;
}

static struct exp_words answers(const struct exp_tune_trial *x)
{
    struct exp_words w = {"not scored"};
    if (!isnan(x->newly_failing))
        snprintf(w.text, sizeof w.text, "%.2f %% newly fail", 100 * x->newly_failing);
    return w;
}

static json_t *text(const char *s)
{
    return json_string(s);
}

/* ---- the best beside the usual ---- */

static void add_row(json_t *rows, const char *what, const char *best, const char *usual)
{
    json_t *o = json_object();
    json_object_set_new(o, " ", text(what));
    json_object_set_new(o, "best", text(best));
    json_object_set_new(o, "default", text(usual));
    json_array_append_new(rows, o);
}

static void print_head(const struct exp_tune *t, FILE *out)
{
    static const char *const asks[] = {"the most good requests per second at the scenario's load",
                                       "the lowest rent of 1,000 good answers at the scenario's load",
                                       "the highest load at which every service level holds"};
    fprintf(out, "tune: %s\n", t->title);
    fprintf(out, "objective: %s\n", asks[t->objective]);
    fprintf(
        out,
        "%u setting%s in up to %u replications each, all with the same requests, seeds and operator errors\n",
        exp_tune_book_count(t->book), exp_tune_s(exp_tune_book_count(t->book)), t->n_replications);
    for (uint32_t i = 0; i < t->notes.n; i++) fprintf(out, "note: %s\n", t->notes.text[i]);
}

static struct exp_words percent_more(const struct exp_tune_trial *a, const struct exp_tune_trial *b)
{
    struct exp_words w;
    double by = exp_tune_mean(a) - exp_tune_mean(b), share = by == 0 ? 0 : by / fabs(exp_tune_mean(b));
    snprintf(w.text, sizeof w.text, "%.2g %%", 100 * share);
    return w;
}

/* Which of those that are as good is shown. */
static void print_choice(const struct exp_tune *t, FILE *out)
{
    if (t->best == t->found && t->best == t->usual)
        fprintf(out, "The default is the best of all that were tried.\n");
    else if (t->best != t->found)
        fprintf(
            out,
            "The %s: the highest objective that was tried is better by %s, too little to tell them apart.\n",
            t->best == t->usual ? "default is kept" : "best is that nearest to the default",
            percent_more(t->found, t->best).text);
}

/* In replications that chose nothing: their figures stand in the table. */
static void print_gain(const struct exp_tune *t, FILE *out)
{
    struct exp_words gain = percent_interval(t->gain);
    const char *of = t->objective == EXP_TUNE_COST ? " good answers for the same rent" : "";
    print_choice(t, out);
    if (t->best == t->usual || !t->usual->n) return;
    if (t->no_better && !(t->gain.lo > 0))
        fprintf(out, "No better than the default, which is kept: %s%s; 0 is inside.\n", gain.text, of);
    else if (t->no_better)
        fprintf(out, "The default is kept, since the gain over it is below %g %%: %s%s.\n",
                100 * EXP_TUNE_CLOSE, gain.text, of);
    else if (isfinite(t->gain.mean))
        fprintf(out, "%s: %s%s.\n", t->gain.mean > 0 ? "Gain over the default" : "Against the default",
                gain.text, of);
    else
        fprintf(out, "The default gives none of it.\n");
    fprintf(out,
            "That is pair by pair in the %u other replications: the figures above them chose the best and "
            "flatter it.\n",
            t->best_again->n);
}

static void print_best(const struct exp_tune *t, FILE *out)
{
    json_t *rows = json_array();
    char again[64];
    for (uint32_t i = 0; i < t->n_parameters; i++) {
        enum mdl_kv_key key = t->parameter[i].key;
        add_row(rows, mdl_kv_key_info(key)->name, exp_tune_value_text(key, t->best->setting.value[i]).text,
                exp_tune_value_text(key, t->usual->setting.value[i]).text);
    }
    add_row(rows, exp_tune_unit(t).text, interval(exp_tune_band(t, t->best)).text,
            interval(exp_tune_band(t, t->usual)).text);
    snprintf(again, sizeof again, "in %u other replications", t->n_replications);
    if (t->best != t->usual)
        add_row(rows, again, interval(exp_tune_band(t, t->best_again)).text,
                interval(exp_tune_band(t, t->usual_again)).text);
    add_row(rows, "service levels", levels(t, t->best).text, levels(t, t->usual).text);
    add_row(rows, "answers", answers(t->best).text, answers(t->usual).text);
    fputc('\n', out);
    exp_print_rows(rows, out);
    json_decref(rows);
    if (t->usual->why[0])
        fprintf(out, "the default setting %s: %s\n",
                t->usual->fate == EXP_TUNE_REFUSED ? "is refused" : "cannot run", t->usual->why);
    print_gain(t, out);
}

/* ---- how flat ---- */

/* "0 to 4, 64": three and more that follow each other by their ends. */
static void close_values(const struct exp_tune_profile *f, enum mdl_kv_key key, char *out, size_t room)
{
    out[0] = '\0';
    for (uint32_t i = 0, end; i < f->n; i = end + 1) {
        size_t n = strlen(out);
        for (end = i; f->close[i] && end + 1 < f->n && f->close[end + 1]; end++)
            ;
        if (!f->close[i]) continue;
        if (end == i + 1 || exp_tune_is_choice(key)) end = i;
        n += (size_t)snprintf(out + n, room - n, "%s%s", n ? ", " : "",
                              exp_tune_value_text(key, f->value[i]).text);
        if (end > i) snprintf(out + n, room - n, " to %s", exp_tune_value_text(key, f->value[end]).text);
    }
}

static void print_flatness(const struct exp_tune *t, FILE *out)
{
    json_t *rows = json_array();
    char values[EXP_TUNE_KEYS][(EXP_TUNE_GRID + 1) * 40];
    for (uint32_t i = 0; i < t->n_parameters; i++) {
        const struct exp_tune_profile *f = &t->profile[i];
        enum mdl_kv_key key = t->parameter[i].key;
        double best = exp_tune_shown(t->objective, exp_tune_mean(t->best));
        char range[(EXP_TUNE_GRID + 1) * 36];
        values[i][0] = '\0';
        for (uint32_t k = 0; k < f->n; k++) {
            size_t n = strlen(values[i]);
            double share = 100 * exp_tune_shown(t->objective, f->objective[k]) / best;
            snprintf(values[i] + n, sizeof values[i] - n, "%s%s:%s", k ? " " : "",
                     exp_tune_value_text(key, f->value[k]).text,
                     !isfinite(share) ? "-" : exp_short_words(round(share * 10) / 10).text);
        }
        close_values(f, key, range, sizeof range);
        json_t *o = json_object();
        json_object_set_new(o, "parameter", text(mdl_kv_key_info(key)->name));
        json_object_set_new(o, "best", text(exp_tune_value_text(key, t->best->setting.value[i]).text));
        json_object_set_new(o, "within 1 %", text(range));
        json_object_set_new(o, "value:objective, % of the best, all else at the best", text(values[i]));
        json_array_append_new(rows, o);
    }
    fputs("\nHow flat the optimum is\n", out);
    exp_print_rows(rows, out);
    json_decref(rows);
}

static void print_limits(const struct exp_tune *t, FILE *out)
{
    if (t->n_limits) fputs("\nWhat limits it\n", out);
    for (uint32_t i = 0; i < t->n_limits; i++) fprintf(out, "- %s\n", t->limit[i]);
}

/* ---- candidates ---- */

static int by_worth(const void *a, const void *b)
{
    const struct exp_tune_trial *x = *(const struct exp_tune_trial *const *)a,
                                *y = *(const struct exp_tune_trial *const *)b;
    return exp_tune_better(x, y) ? -1 : exp_tune_better(y, x) ? 1 : 0;
}

static struct exp_words outcome(const struct exp_tune *t, const struct exp_tune_trial *x)
{
    static const char *const fates[] = {"kept", "dropped", "cannot run", "refused"};
    struct exp_words w = {""};
    const char *name = x == t->best                              ? "best"
                       : x == t->usual && x->fate == EXP_TUNE_IN ? "default"
                                                                 : fates[x->fate];
    snprintf(w.text, sizeof w.text, x->fate == EXP_TUNE_DROPPED ? "%s after %u" : "%s", name,
             x->dropped_after);
    if (!x->raced && x != t->best && x->fate == EXP_TUNE_IN) snprintf(w.text, sizeof w.text, "on the way");
    return w;
}

static json_t *candidate(const struct exp_tune *t, const struct exp_tune_trial *x)
{
    json_t *o = json_object();
    for (uint32_t i = 0; i < t->n_parameters; i++)
        json_object_set_new(o, mdl_kv_key_info(t->parameter[i].key)->name,
                            text(exp_tune_value_text(t->parameter[i].key, x->setting.value[i]).text));
    json_object_set_new(o, exp_tune_unit(t).text, text(interval(exp_tune_band(t, x)).text));
    json_object_set_new(o, "service levels", text(levels(t, x).text));
    json_object_set_new(o, "answers", text(answers(x).text));
    json_object_set_new(o, "outcome", text(x->n ? outcome(t, x).text : x->why));
    return o;
}

static void print_candidates(const struct exp_tune *t, FILE *out)
{
    uint32_t n = exp_tune_book_count(t->book);
    const struct exp_tune_trial **trial = sim_alloc(n, sizeof(struct exp_tune_trial *));
    json_t *rows = json_array();
    for (uint32_t i = 0; i < n; i++) trial[i] = exp_tune_book_trial(t->book, i);
    qsort(trial, n, sizeof(struct exp_tune_trial *), by_worth);
    for (uint32_t i = 0; i < n && i < MOST_ROWS; i++) json_array_append_new(rows, candidate(t, trial[i]));
    fprintf(out, "\nSettings%s\n", n > MOST_ROWS ? ", the best 20 (all of them: --json or --out)" : "");
    exp_print_rows(rows, out);
    json_decref(rows);
    free(trial);
}

/* ---- rates that change ---- */

static struct exp_words rates_words(struct exp_tune_rates r)
{
    struct exp_words w;
    if (isnan(r.correction))
        snprintf(w.text, sizeof w.text, "%g", r.miss);
    else
        snprintf(w.text, sizeof w.text, "%g (corrections %g)", r.miss, r.correction);
    return w;
}

static json_t *static_row(const struct exp_tune_shift *s, const char *name, const struct exp_tune_static *x)
{
    bool cost = s->objective == EXP_TUNE_COST;
    struct exp_band b = exp_tune_shown_band(s->objective, x->objective);
    struct exp_band ms = {x->tpot_s.mean * 1e3, x->tpot_s.lo * 1e3, x->tpot_s.hi * 1e3};
    json_t *o = json_object();
    char alone[64];
    snprintf(alone, sizeof alone, "%.4g, %.4g", x->tpot_before_s * 1e3, x->tpot_after_s * 1e3);
    json_object_set_new(o, "policy", text(name));
    json_object_set_new(o, cost ? "cost of 1,000 good answers" : "good requests/s",
                        text(x->why[0] ? x->why : interval(b).text));
    json_object_set_new(o, "mean TPOT ms", text(interval(ms).text));
    json_object_set_new(o, "TPOT ms with the first, the later rates throughout", text(alone));
    return o;
}

static struct exp_words static_name(const struct exp_tune_shift *s, uint32_t i)
{
    struct exp_words w;
    snprintf(w.text, sizeof w.text, "%g page%s ahead%s%s%s", s->fixed[i].prefetch_pages,
             s->fixed[i].prefetch_pages == 1 ? "" : "s", i == s->best ? ", best" : "",
             i == s->best_before ? ", best before" : "", i == s->best_after ? ", best after" : "");
    return w;
}

static void print_shift(const struct exp_tune *t, FILE *out)
{
    const struct exp_tune_shift *s = &t->shift;
    json_t *rows = json_array();
    fprintf(out,
            "\nAdaptive against the best static setting when the miss rate changes half-way from %s to %s\n",
            rates_words(s->before).text, rates_words(s->after).text);
    if (s->why[0]) {
        fprintf(out, "not compared: %s\n", s->why);
    } else {
        fprintf(out,
                "the change comes %s after the first arrival; the policy learns of it %s later "
                "(kv.later.learn_s)\n",
                exp_duration_words(s->from_s).text, exp_duration_words(s->learn_s).text);
        json_array_append_new(rows, static_row(s, "adaptive", &s->adaptive));
        for (uint32_t i = 0; i < s->n_fixed; i++)
            json_array_append_new(rows, static_row(s, static_name(s, i).text, &s->fixed[i]));
        exp_print_rows(rows, out);
        bool same = s->gain.lo <= 0 && s->gain.hi >= 0,
             same_tpot = s->tpot_gain.lo <= 0 && s->tpot_gain.hi >= 0;
        fprintf(out, "adaptive over the best static setting: objective %s%s; time per token saved %s%s\n",
                percent_interval(s->gain).text, same ? " (no difference)" : "",
                percent_interval(s->tpot_gain).text, same_tpot ? " (no difference)" : "");
    }
    json_decref(rows);
}

void exp_tune_print(const struct exp_tune *t, FILE *out)
{
    print_head(t, out);
    print_best(t, out);
    print_flatness(t, out);
    print_limits(t, out);
    print_candidates(t, out);
    if (t->shifts) print_shift(t, out);
    fprintf(out, "\n%s\n", exp_duration_words(round(t->wall_s * 10) / 10).text);
}
