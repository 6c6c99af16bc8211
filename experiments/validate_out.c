#include "experiments/validate_out.h"

#include <csv.h>
#include <math.h>
#include <string.h>

#include "experiments/folder.h"
#include "experiments/report/of.h"

/* ---- JSON ---- */

/* null when the bytes are not UTF-8, which JSON cannot hold. */
static json_t *text_json(const char *text)
{
    json_t *t = json_string(text);
    return t ? t : json_null();
}

/* null where a measured time is so small that the error has no number. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *row_json(const struct exp_rerun *x, bool intervals)
{
    const struct exp_point *p = x->point;
    json_t *o =
        json_pack("{s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "id", text_json(p->id),
                  "model_path", text_json(p->model), "system", text_json(p->system), "tp_size",
                  (int)p->tensor_parallel, "isl", (int)p->isl, "osl", (int)p->osl, "concurrency",
                  (int)p->concurrency, "ttft_ms", real(p->ttft_ms), "predicted_ttft_ms", real(x->ttft_ms),
                  "tpot_ms", real(p->tpot_ms), "predicted_tpot_ms", real(x->tpot_ms), "ttft_error",
                  real(x->ttft_ms / p->ttft_ms - 1), "tpot_error", real(x->tpot_ms / p->tpot_ms - 1));
    if (!intervals) return o;
    json_object_set_new(o, "ttft_interval_ms", json_pack("[o, o]", real(x->ttft_lo), real(x->ttft_hi)));
    json_object_set_new(o, "tpot_interval_ms", json_pack("[o, o]", real(x->tpot_lo), real(x->tpot_hi)));
    return o;
}

json_t *exp_validated_json(const struct exp_validated *v)
{
    const struct exp_reruns *t = v->reruns;
    json_t *o = json_object(), *rows = json_array();
    json_object_set_new(o, "n", json_integer(t->n));
    json_object_set_new(o, "skipped", json_integer(t->n_skipped));
    exp_errors_json(o, "tpot", exp_reruns_errors(t, EXP_TPOT, NULL));
    exp_errors_json(o, "ttft", exp_reruns_errors(t, EXP_TTFT, NULL));
    if (v->coverage) {
        json_object_set_new(o, "tpot_coverage", json_real(v->coverage->tpot));
        json_object_set_new(o, "ttft_coverage", json_real(v->coverage->ttft));
    }
    for (uint32_t i = 0; i < t->n; i++)
        json_array_append_new(rows, row_json(&t->trial[i], v->coverage != NULL));
    json_object_set_new(o, "rows", rows);
    return o;
}

/* ---- CSV ---- */

static void put_text(const char *text, FILE *out)
{
    if (strpbrk(text, ",\"\r\n"))
        csv_fwrite(out, text, strlen(text));
    else
        fputs(text, out);
    fputc(',', out);
}

static void put_row(const struct exp_rerun *x, bool intervals, FILE *out)
{
    const struct exp_point *p = x->point;
    put_text(p->id, out);
    put_text(p->model, out);
    put_text(p->system, out);
    put_text(p->precision, out);
    put_text(x->setup->fleets[0].engine.name, out);
    fprintf(out, "%u,%u,%u,%u", p->tensor_parallel, p->isl, p->osl, p->concurrency);
    const double values[] = {p->ttft_ms, x->ttft_ms, x->ttft_ms / p->ttft_ms - 1,
                             p->tpot_ms, x->tpot_ms, x->tpot_ms / p->tpot_ms - 1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) fprintf(out, ",%.17g", values[i]);
    if (intervals) fprintf(out, ",%.17g,%.17g,%.17g,%.17g", x->ttft_lo, x->ttft_hi, x->tpot_lo, x->tpot_hi);
    fputc('\n', out);
}

void exp_validated_csv(const struct exp_validated *v, FILE *out)
{
    fputs("id,model_path,system,precision,engine,tp_size,isl,osl,concurrency,ttft_ms,predicted_ttft_ms,"
          "ttft_error,tpot_ms,predicted_tpot_ms,tpot_error",
          out);
    if (v->coverage) fputs(",ttft_lo_ms,ttft_hi_ms,tpot_lo_ms,tpot_hi_ms", out);
    fputc('\n', out);
    for (uint32_t i = 0; i < v->reruns->n; i++) put_row(&v->reruns->trial[i], v->coverage != NULL, out);
}

/* ---- the folder ---- */

bool exp_validated_write(const struct exp_validated *v, const char *dir, struct sim_status *st)
{
    struct exp_folder f = {.dir = dir};
    FILE *csv = NULL;
    bool ok = exp_folder_json(&f, "validate.json", exp_validated_json(v),
                              JSON_INDENT(2) | JSON_REAL_PRECISION(17), st) &&
              (csv = exp_folder_open(&f, "validate.csv", st));
    if (csv) exp_validated_csv(v, csv);
    ok = ok && exp_folder_written(&f, st) &&
         exp_folder_report(&f, exp_report_of_validation(v, st), v->data_dir, st);
    return exp_folder_commit(&f, ok, NULL, st);
}
