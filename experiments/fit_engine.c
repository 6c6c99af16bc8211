#include "experiments/fit_engine.h"

#include "experiments/cli.h"
#include "experiments/parallel.h"
#include "models/textfile.h"
#include "sim/check.h"
#include "sim/memory.h"
#include "sim/outfile.h"

#include <ctype.h>
#include <gsl/gsl_multimin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double TTFT_WEIGHT = 0.25;
static const double NEGLIGIBLE_S = 1e-9;
enum { MAX_ITERATIONS = 400, RESTARTS = 3, MAX_FILE_BYTES = 1 << 20 };

/* --- many trials at once --- */

struct batch {
    struct exp_reruns *t;
    const bool *chosen;
    const struct mdl_engine *engine; /* NULL = as each trial is */
};

static void run_trial(void *user, uint32_t i)
{
    struct batch *b = user;
    if (b->chosen && !b->chosen[i]) return;
    if (b->engine) exp_rerun_set_engine(&b->t->trial[i], b->engine);
    exp_rerun_run(&b->t->trial[i]);
}

void exp_reruns_run(struct exp_reruns *t, const bool *chosen, const struct mdl_engine *engine)
{
    struct batch b = {t, chosen, engine};
    exp_parallel(t->n, t->n_threads, run_trial, &b);
}

/* --- the fit --- */

struct problem {
    struct exp_reruns *t;
    const bool *chosen;
    struct mdl_engine engine;
};

static double *number(struct mdl_engine *e, size_t i)
{
    return (double *)(void *)((char *)e + mdl_engine_number_at(i)->offset);
}

static void from_logits(const gsl_vector *z, struct mdl_engine *e)
{
    for (size_t i = 0; i < MDL_N_ENGINE_NUMBERS; i++) {
        const struct mdl_engine_number *n = mdl_engine_number_at(i);
        *number(e, i) = n->low + (n->high - n->low) / (1 + exp(-gsl_vector_get(z, i)));
    }
}

static void to_logits(struct mdl_engine *e, gsl_vector *z)
{
    for (size_t i = 0; i < MDL_N_ENGINE_NUMBERS; i++) {
        const struct mdl_engine_number *n = mdl_engine_number_at(i);
        double share = (*number(e, i) - n->low) / (n->high - n->low);
        share = share < 1e-3 ? 1e-3 : share > 1 - 1e-3 ? 1 - 1e-3 : share;
        gsl_vector_set(z, i, log(share / (1 - share)));
    }
}

static double objective(const gsl_vector *z, void *user)
{
    struct problem *p = user;
    from_logits(z, &p->engine);
    exp_reruns_run(p->t, p->chosen, &p->engine);
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->t->n; i++) {
        if (p->chosen && !p->chosen[i]) continue;
        const struct exp_rerun *t = &p->t->trial[i];
        sum += fabs(log(t->tpot_ms / t->point->tpot_ms)) +
               TTFT_WEIGHT * fabs(log(t->ttft_ms / t->point->ttft_ms));
        n++;
    }
    return sum / n;
}

/* One descent from z; z becomes the best point found. */
static void descend(gsl_multimin_fminimizer *m, gsl_multimin_function *f, gsl_vector *z,
                    struct exp_progress *progress)
{
    gsl_vector *step = gsl_vector_alloc(z->size);
    SIM_CHECK(step); /* out of memory */
    gsl_vector_set_all(step, 0.7);
    gsl_multimin_fminimizer_set(m, f, z, step);
    for (int i = 0; i < MAX_ITERATIONS; i++) {
        exp_progress_show(progress, (double)i / MAX_ITERATIONS);
        if (gsl_multimin_fminimizer_iterate(m) != GSL_SUCCESS) break;
        if (gsl_multimin_test_size(gsl_multimin_fminimizer_size(m), 2e-3) == GSL_SUCCESS) break;
    }
    gsl_vector_memcpy(z, gsl_multimin_fminimizer_x(m));
    gsl_vector_free(step);
}

bool exp_fit_engine(struct exp_reruns *t, const bool *chosen, struct mdl_engine *engine,
                    struct sim_status *st)
{
    struct problem p = {t, chosen, *engine};
    gsl_multimin_function f = {objective, MDL_N_ENGINE_NUMBERS, &p};
    gsl_multimin_fminimizer *m = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, f.n);
    gsl_vector *z = gsl_vector_alloc(f.n);
    SIM_CHECK(m && z); /* out of memory */
    for (size_t i = 0; i < MDL_N_ENGINE_NUMBERS; i++) *number(&p.engine, i) = mdl_engine_number_at(i)->start;
    to_logits(&p.engine, z);
    for (int i = 0; i < RESTARTS; i++) {
        struct exp_progress progress = exp_progress_begin("fitting, a descent of three");
        descend(m, &f, z, &progress);
        exp_progress_end(&progress);
    }
    objective(z, &p); /* leaves the trials at the optimum */
    *engine = p.engine;
    engine->fitted = true;
    engine->residual_frac = exp_reruns_errors(t, EXP_TPOT, chosen).log_sigma;
    engine->residual_ttft_frac = exp_reruns_errors(t, EXP_TTFT, chosen).log_sigma;
    gsl_vector_free(z);
    gsl_multimin_fminimizer_free(m);
    if (isfinite(engine->residual_frac) && isfinite(engine->residual_ttft_frac)) return true;
    return sim_fail(st,
                    "a point of %s was simulated without one complete request, which no fit can use; look "
                    "at measure.horizon_s and warmup_requests",
                    engine->name);
}

/* --- the fitted file --- */

/* The value that belongs on this line of an engine file; NULL when the line stays. */
static const char *fitted_name(const struct mdl_engine *e, const char *line, size_t length, double *value)
{
    static const char *const residuals[] = {"residual_frac", "residual_ttft_frac"};
    const double residual[] = {e->residual_frac, e->residual_ttft_frac};
    size_t indent = strspn(line, " ");
    const char *name = line + indent;
    for (size_t i = 0; i < MDL_N_ENGINE_NUMBERS + 2; i++) {
        bool overhead = i < MDL_N_ENGINE_NUMBERS;
        const char *is = overhead ? mdl_engine_number_at(i)->name : residuals[i - MDL_N_ENGINE_NUMBERS];
        size_t n = strlen(is);
        if (indent + n >= length || memcmp(name, is, n) != 0 || name[n] != ':') continue;
        *value = overhead ? *number((struct mdl_engine *)e, i) : residual[i - MDL_N_ENGINE_NUMBERS];
        return is;
    }
    return NULL;
}

/* One line of an engine file; what a quoted text may not hold becomes a blank. */
static void put_number(FILE *f, size_t indent, const char *name, double value, const char *source)
{
    fprintf(f, "%*s%s: {value: %.4g, source: \"", (int)indent, "", name, value < NEGLIGIBLE_S ? 0 : value);
    for (const char *text = source; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', f);
        fputc(iscntrl((unsigned char)*text) ? ' ' : *text, f);
    }
    fputs("\"}\n", f);
}

bool exp_write_engine(const struct mdl_engine *e, const char *path, const char *source, struct sim_status *st)
{
    size_t length;
    char *text = mdl_textfile_read(e->path, MAX_FILE_BYTES, &length, st);
    struct sim_outfile *out = text ? sim_outfile_open(path, st) : NULL;
    if (!out) {
        free(text);
        return false;
    }
    FILE *f = sim_outfile_stream(out);
    for (const char *line = text, *end = text + length; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next + 1 : end;
        double value;
        const char *name = fitted_name(e, line, (size_t)(next - line), &value);
        if (name)
            put_number(f, strspn(line, " "), name, value, source);
        else if (strncmp(line, "fitted:", 7) == 0)
            fputs("fitted: true\n", f);
        else
            fwrite(line, 1, (size_t)(next - line), f);
        line = next;
    }
    free(text);
    return sim_outfile_commit(out, st);
}
