/* The report of a plan. Oracles: a decision made by hand, whose figures must stand in the document as they stand in plan.json;
 * the sheet's own Markdown, whose tables must be the document's; for the Pareto front, every pair of points compared; and a
 * small plan that is really decided, whose curves are simulated once more. */
#include <stdio.h>

#include "experiments/page.h"
#include "experiments/planning/sheet/words.h"
#include "experiments/report/front.h"
#include "experiments/report/of.h"
#include "sim/random.h"
#include "tests/decision_help.h"
#include "tests/plan_help.h"
#include "tests/report_help.h"

static json_t *report_of(const struct exp_decision *d)
{
    struct sim_status st = {0};
    json_t *doc = exp_report_of_plan(d, &st);
    ck_assert_msg(doc != NULL, "%s", st.message);
    ck_assert_msg(exp_report_check(doc, "report.json", &st), "%s", st.message);
    return doc;
}

static const json_t *series_of(const json_t *doc, const char *chart, const char *name)
{
    size_t i;
    const json_t *s;
    json_array_foreach(json_object_get(part_of(doc, "chart", chart), "series"), i,
                       s) if (strcmp(string_of(s, "name"), name) == 0) return json_object_get(s, "points");
    ck_abort_msg("%s has no series %s", chart, name);
    return NULL;
}

static double at(const json_t *points, size_t i, size_t k)
{
    const json_t *v = json_array_get(json_array_get(points, i), k);
    ck_assert_msg(json_is_number(v), "no number %d of point %d", (int)k, (int)i);
    return json_number_value(v);
}

static double real_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    ck_assert_msg(json_is_number(v), "no number %s", key);
    return json_number_value(v);
}

/* ---- the sheet ---- */

static char *sheet(const struct exp_decision *d, enum exp_language language, bool markdown)
{
    struct exp_sheet_options o = {.language = language, .all = true, .markdown = markdown};
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    exp_sheet_print(d, &o, out);
    exp_sheet_print_details(d, &o, out);
    fclose(out);
    return text;
}

/* The document's sheet: tables of all pieces, in their order. */
static json_t *sheet_tables(const json_t *doc, enum exp_language language)
{
    static const char *const ids[] = {"decision", "assumptions", "details"};
    json_t *all = json_array();
    for (int i = 0; i < 3; i++) {
        size_t s, k, n;
        json_t *section, *part, *own;
        json_array_foreach(json_object_get(doc, "sections"), s, section)
        {
            if (strcmp(string_of(section, "id"), ids[i]) != 0) continue;
            json_array_foreach(json_object_get(section, "parts"), k, part)
            {
                const json_t *parts = json_object_get(part, language == EXP_JAPANESE ? "ja" : "en");
                json_array_foreach(parts, n, own) if (strcmp(string_of(own, "kind"), "table") == 0)
                    json_array_append(all, own);
            }
        }
    }
    return all;
}

/* Cells of a line of a Markdown table, unescaped. */
static json_t *markdown_cells(const char *line)
{
    json_t *cells = json_array();
    char cell[4000];
    size_t n = 0;
    for (const char *c = line + 1; *c && *c != '\n'; c++) {
        if (*c == '\\' && c[1] == '|') {
            cell[n++] = *++c;
        } else if (*c == '|') {
            size_t from = n && cell[0] == ' ' ? 1 : 0;
            while (n > from && cell[n - 1] == ' ') n--;
            json_array_append_new(cells, json_stringn(cell + from, n - from));
            n = 0;
        } else {
            ck_assert_uint_lt(n, sizeof cell - 1);
            cell[n++] = *c;
        }
    }
    return cells;
}

/* Tables as lists of rows, the head first. */
static json_t *markdown_tables(const char *text)
{
    json_t *all = json_array(), *table = NULL;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (*line != '|') {
            table = NULL;
        } else if (strncmp(line, "|---", 4) != 0) {
            if (!table) json_array_append_new(all, table = json_array());
            json_array_append_new(table, markdown_cells(line));
        }
    }
    return all;
}

static bool is_empty_column(const json_t *rows, size_t column)
{
    for (size_t r = 1; r < json_array_size(rows); r++)
        if (*json_string_value(json_array_get(json_array_get(rows, r), column))) return false;
    return true;
}

/* As print has the signs of a terminal; the caller's. */
static char *printed(const char *text)
{
    char *out = sim_alloc(3 * strlen(text) + 1, 1), *to = out;
    while (*text)
        if (strncmp(text, "->", 2) == 0 || strncmp(text, "+-", 2) == 0) {
            to = stpcpy(to, *text == '-' ? "\u2192" : "\u00b1");
            text += 2;
        } else {
            *to++ = *text++;
        }
    return out;
}

/* Columns that say nothing may be missing in the document. */
static void assert_same_table(const json_t *expected, const json_t *table)
{
    const json_t *columns = json_object_get(table, "columns"), *rows = json_object_get(table, "rows");
    size_t own = 0;
    ck_assert_uint_eq(json_array_size(rows), json_array_size(expected) - 1);
    for (size_t c = 0; c < json_array_size(json_array_get(expected, 0)); c++) {
        const char *head = json_string_value(json_array_get(json_array_get(expected, 0), c));
        const char *name =
            own < json_array_size(columns) ? string_of(json_array_get(columns, own), "name") : "";
        if (strcmp(head, name) != 0 && is_empty_column(expected, c)) continue;
        ck_assert_str_eq(name, head);
        for (size_t r = 0; r < json_array_size(rows); r++) {
            char *cell = printed(json_string_value(json_array_get(json_array_get(expected, r + 1), c)));
            ck_assert_str_eq(json_string_value(json_array_get(json_array_get(rows, r), own)), cell);
            free(cell);
        }
        own++;
    }
    ck_assert_uint_eq(own, json_array_size(columns));
}

START_TEST(the_sheets_tables_have_the_same_cells_as_in_markdown_in_both_languages)
{
    struct made *m = made_new();
    strcpy(m->d.notes.text[0], "a | b");
    for (int state = 0; state < 2; state++) {
        if (state == 1) make_hopeless(&m->d);
        json_t *doc = report_of(&m->d);
        for (int language = EXP_ENGLISH; language <= EXP_JAPANESE; language++) {
            char *text = sheet(&m->d, (enum exp_language)language, true);
            json_t *expected = markdown_tables(text),
                   *tables = sheet_tables(doc, (enum exp_language)language);
            ck_assert_uint_ge(json_array_size(expected), state ? 3 : 10);
            ck_assert_uint_eq(json_array_size(tables), json_array_size(expected));
            for (size_t i = 0; i < json_array_size(expected); i++)
                assert_same_table(json_array_get(expected, i), json_array_get(tables, i));
            json_decref(expected);
            json_decref(tables);
            free(text);
        }
        json_decref(doc);
    }
    made_free(m);
}
END_TEST

START_TEST(cells_of_the_finalists_stand_in_the_printed_sheet_too)
{
    struct made *m = made_new();
    json_t *doc = report_of(&m->d), *shown = exp_report_translated(doc, EXP_ENGLISH), *row, *cell;
    char *text = sheet(&m->d, EXP_ENGLISH, false);
    size_t r, c, n = 0;
    json_array_foreach(json_object_get(part_of(shown, "table", "finalists"), "rows"), r, row)
        json_array_foreach(row, c, cell)
    {
        if (strlen(json_string_value(cell)) > 20) continue; /* those may be wrapped */
        ck_assert_msg(strstr(text, json_string_value(cell)) != NULL, "%s", json_string_value(cell));
        n++;
    }
    ck_assert_uint_ge(n, MADE_FINALISTS * 12);
    free(text);
    json_decref(shown);
    json_decref(doc);
    made_free(m);
}
END_TEST

/* Plain paragraphs of the sheet, and its headings, each where the Markdown has them: by their order. */
START_TEST(headings_and_sentences_of_the_sheet_come_in_the_same_order)
{
    struct made *m = made_new();
    json_t *doc = report_of(&m->d);
    for (int language = EXP_ENGLISH; language <= EXP_JAPANESE; language++) {
        char *text = sheet(&m->d, (enum exp_language)language, true);
        json_t *shown = exp_report_translated(doc, (enum exp_language)language), *part;
        const char *after = text;
        size_t i, n = 0;
        const json_t *first = json_array_get(json_object_get(shown, "sections"), 0);
        json_array_foreach(json_object_get(first, "parts"), i, part)
        {
            const char *words = json_string_value(json_object_get(part, "text"));
            if (!words || strcmp(string_of(part, "kind"), "text") != 0) continue;
            char *start = sim_printf("%.20s", words);
            if (language == EXP_JAPANESE) start[exp_text_bytes(start, 20)] = '\0';
            const char *found = strstr(after, start);
            ck_assert_msg(found != NULL, "`%s` is not there, or not in its place", start);
            after = found;
            n++;
            free(start);
        }
        ck_assert_uint_ge(n, 8);
        json_decref(shown);
        free(text);
    }
    json_decref(doc);
    made_free(m);
}
END_TEST

START_TEST(what_moves_a_cursor_or_is_no_text_is_no_part_of_the_document)
{
    struct made *m = made_new();
    strcpy(m->prices->kwh.source, "a\033[2Jb\rc\xff\xfe\xed\xa0\x80 {0}");
    strcpy(m->d.notes.text[0], "x\033]0;y\a\xe2\x80\xae");
    json_t *doc = report_of(&m->d);
    char *text = json_dumps(doc, JSON_ENSURE_ASCII);
    ck_assert_ptr_nonnull(strstr(text, "a?[2Jb?c??? {0}"));
    ck_assert_ptr_null(strstr(text, "u001b"));
    ck_assert_ptr_null(strstr(text, "u202e"));
    free(text);
    json_decref(doc);
    made_free(m);
}
END_TEST

/* ---- figures ---- */

/* Of rows that somebody drew, with a way beside the best. */
static struct made *priced(void)
{
    struct made *m = made_new();
    for (int i = 0; i < MADE_FINALISTS; i++) {
        double total = m->d.finalist[i].cash[EXP_BUY].total;
        m->d.row[i].risk.cost_total = (struct exp_band){1.01 * total, 0.8 * total, 1.3 * total};
        m->d.finalist[i].can_acquire[EXP_BUY] = m->d.finalist[i].can_acquire[EXP_RENT] = true;
        make_cash(&m->d.finalist[i].cash[EXP_RENT], 1.5 * total);
    }
    return m;
}

START_TEST(cost_bars_are_the_totals_and_intervals_of_plan_json)
{
    struct made *m = priced();
    json_t *doc = report_of(&m->d), *plan = exp_decision_json(&m->d), *candidate;
    const json_t *bars = series_of(doc, "cost-total", "total cost");
    size_t i;
    json_array_foreach(json_object_get(plan, "candidates"), i, candidate)
    {
        if (i >= MADE_FINALISTS) break;
        const json_t *band = json_object_get(candidate, "cost_total_band");
        ck_assert_double_eq(at(bars, 2 * i, 1), real_of(band, "lo"));
        ck_assert_double_eq(at(bars, 2 * i, 2), real_of(candidate, "cost_total"));
        ck_assert_double_eq(at(bars, 2 * i, 3), real_of(band, "hi"));
        for (size_t k = 1; k < 4; k++) /* renting was not drawn */
            ck_assert_double_eq(at(bars, 2 * i + 1, k), 1.5 * real_of(candidate, "cost_total"));
    }
    const json_t *names = json_object_get(json_object_get(part_of(doc, "chart", "cost-total"), "x"), "names");
    ck_assert_str_eq(json_string_value(json_array_get(names, 0)), "1 h200-sxm TP 1 freekv:budget=1024, buy");
    ck_assert_str_eq(json_string_value(json_array_get(names, 1)), "1 h200-sxm TP 1 freekv:budget=1024, rent");
    ck_assert_str_eq(json_string_value(json_array_get(names, 6)), "managed API");
    ck_assert_double_eq(at(bars, 6, 2), 3.4e6);
    json_decref(plan);
    json_decref(doc);
    made_free(m);
}
END_TEST

START_TEST(cash_adds_up_to_the_total_and_items_too)
{
    struct made *m = priced();
    json_t *doc = report_of(&m->d), *series;
    const json_t *winner = series_of(doc, "cash", "the recommendation"),
                 *baseline = series_of(doc, "cash", "baseline");
    ck_assert_uint_eq(json_array_size(winner), 37);
    ck_assert_double_eq(at(winner, 0, 1), 710000);
    ck_assert_double_eq_tol(at(winner, 36, 1), 1.92e6, 1e-3);
    ck_assert_double_eq_tol(at(baseline, 36, 1), 2.33e6, 1e-3);
    double sum[MADE_FINALISTS] = {0};
    size_t i;
    json_array_foreach(json_object_get(part_of(doc, "chart", "cost-items"), "series"), i,
                       series) for (size_t k = 0; k < MADE_FINALISTS; k++) sum[k] +=
        at(json_object_get(series, "points"), k, 1);
    for (size_t k = 0; k < MADE_FINALISTS; k++)
        ck_assert_double_eq_tol(sum[k], m->d.finalist[k].cash[EXP_BUY].total, 1e-3);
    json_decref(doc);
    made_free(m);
}
END_TEST

START_TEST(every_bar_of_the_tornado_spans_its_ends_and_what_is_expected)
{
    struct made *m = priced();
    json_t *doc = report_of(&m->d);
    const json_t *bars = series_of(doc, "npv-ranges", "NPV");
    const struct exp_risk *risk = &m->d.row[0].risk;
    ck_assert_uint_eq(json_array_size(bars), risk->n_bars);
    for (uint32_t i = 0; i < risk->n_bars; i++) {
        const struct exp_bar *b = &risk->bar[i];
        ck_assert_double_eq(at(bars, i, 1), fmin(350000, fmin(b->npv_low, b->npv_high)));
        ck_assert_double_eq(at(bars, i, 2), 350000);
        ck_assert_double_eq(at(bars, i, 3), fmax(350000, fmax(b->npv_low, b->npv_high)));
    }
    json_decref(doc);
    made_free(m);
}
END_TEST

static void make_seen(struct exp_response *r)
{
    r->n_seen = 3;
    for (uint32_t i = 0; i < 3; i++) {
        struct exp_seen_load *s = &r->seen[i];
        *s = (struct exp_seen_load){
            .load = 0.5 * (i + 1), .n_classes = 2, .kv_peak = 0.3 * i, .gpu_busy = 0.5};
        s->attainment[0] = i == 2 ? 0.7 : 0.995;
        s->attainment[1] = 1;
        for (int q = 0; q < EXP_SPREAD_QUANTILES; q++) {
            s->spread.ttft_s[q] = 0.1 * (i + 1) * (1 + exp_spread_quantile[q]);
            s->spread.tpot_s[q] = 0.01 * (i + 1) * (1 + exp_spread_quantile[q]);
        }
    }
}

START_TEST(curves_are_the_loads_that_were_seen_with_goal_peak_and_limits)
{
    struct made *m = priced();
    for (int i = 0; i < MADE_FINALISTS; i++) make_seen(&m->d.finalist[i].response);
    json_t *doc = report_of(&m->d);
    const char *name = "1 h200-sxm TP 1 freekv:budget=1024";
    const json_t *own = series_of(doc, "sla-default", name), *goal = series_of(doc, "sla-critical", "goal");
    const json_t *peak = series_of(doc, "sla-default", "planned peak");
    for (size_t i = 0; i < 3; i++) {
        ck_assert_double_eq(at(own, i, 0), 0.5 * (double)(i + 1));
        ck_assert_double_eq_tol(at(own, i, 1), i == 2 ? 70 : 99.5, 1e-9);
        ck_assert_double_eq_tol(at(series_of(doc, "ttft-load", name), i, 1), 100 * 1.99 * (double)(i + 1),
                                1e-9);
        ck_assert_double_eq_tol(at(series_of(doc, "kv-load", name), i, 1), 30 * (double)i, 1e-9);
    }
    ck_assert_double_eq(at(goal, 0, 1), 99.9);
    ck_assert(at(goal, 0, 0) == 0.5 && at(goal, 1, 0) == 1.5);
    ck_assert(at(peak, 0, 0) == 1 && at(peak, 1, 0) == 1 && at(peak, 0, 1) == 70 && at(peak, 1, 1) == 100);
    ck_assert_double_eq(at(series_of(doc, "ttft-load", "limit, default"), 0, 1), 1000);
    ck_assert_double_eq(at(series_of(doc, "ttft-load", "limit, critical"), 0, 1), 500);
    const json_t *cdf = series_of(doc, "tpot-cdf", name); /* at the planned peak, the second load */
    ck_assert_double_eq_tol(at(cdf, 0, 0), 20, 1e-9);
    ck_assert_double_eq_tol(at(cdf, EXP_SPREAD_QUANTILES - 1, 0), 40, 1e-9);
    ck_assert_double_eq(at(cdf, EXP_SPREAD_QUANTILES - 1, 1), 100);
    json_decref(doc);
    made_free(m);
}
END_TEST

START_TEST(evidence_adds_up_and_failing_answers_keep_to_their_interval)
{
    struct made *m = priced();
    struct mdl_quality_rates *q = &m->d.search.entry[0].rates;
    q->newly_failing_lo = 0.004;
    q->newly_failing_hi = 0.02;
    json_t *doc = report_of(&m->d), *series, *row;
    double sum[MADE_FINALISTS] = {0};
    size_t i;
    json_array_foreach(json_object_get(part_of(doc, "chart", "evidence"), "series"), i,
                       series) for (size_t k = 0; k < MADE_FINALISTS; k++) sum[k] +=
        at(json_object_get(series, "points"), k, 1);
    for (int k = 0; k < MADE_FINALISTS; k++) ck_assert_double_eq_tol(sum[k], 100, 1e-3);
    const json_t *failing = series_of(doc, "failing", "newly failing");
    ck_assert_uint_eq(json_array_size(failing), 2); /* the third was never scored */
    ck_assert_double_eq_tol(at(failing, 0, 1), 0.4, 1e-9);
    ck_assert_double_eq_tol(at(failing, 0, 2), 0.9, 1e-9);
    ck_assert_double_eq_tol(at(failing, 0, 3), 2, 1e-9);
    const json_t *table = json_object_get(part_of(doc, "table", "failing-by-class"), "rows");
    static const char *const says[] = {"no limit", "no limit", "no limit", "above", "within", "not scored"};
    json_array_foreach(table, i, row)
    {
        ck_assert_str_eq(json_string_value(json_array_get(row, 0)), i < 3 ? "default" : "critical");
        ck_assert_str_eq(json_string_value(json_array_get(row, 7)), says[i]);
    }
    json_decref(doc);
    made_free(m);
}
END_TEST

START_TEST(without_a_finalist_the_report_says_so_and_draws_nothing_of_one)
{
    struct made *m = made_new();
    make_hopeless(&m->d);
    json_t *doc = report_of(&m->d), *section, *part;
    json_t *shown = exp_report_translated(doc, EXP_ENGLISH);
    ck_assert_ptr_nonnull(strstr(string_of(part_of(shown, "text", NULL), "text"), "Nothing meets"));
    size_t i, k;
    json_array_foreach(json_object_get(doc, "sections"), i, section)
        json_array_foreach(json_object_get(section, "parts"), k, part)
            ck_assert_str_ne(string_of(part, "kind"), "chart");
    json_decref(shown);
    json_decref(doc);
    made_free(m);
}
END_TEST

/* ---- the front ---- */

static bool beats(const struct exp_front_point *a, const struct exp_front_point *b)
{
    return a->x <= b->x && a->y <= b->y && (a->x < b->x || a->y < b->y);
}

START_TEST(the_front_is_what_nothing_beats_by_every_pair)
{
    enum { N = 60 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct exp_front_point all[N], p[N];
        for (uint32_t i = 0; i < N; i++) { /* few values, so that many are equal */
            all[i] = (struct exp_front_point){floor(12 * sim_random_unit(seed, 1, i)),
                                              floor(12 * sim_random_unit(seed, 2, i)), i};
            if (i % 17 == 3) all[i].y = NAN;
            if (i % 19 == 4) all[i].x = INFINITY;
        }
        memcpy(p, all, sizeof p);
        uint32_t n = exp_front(p, N);
        bool on[N] = {false};
        for (uint32_t i = 0; i < n; i++) {
            on[p[i].number] = true;
            ck_assert(i == 0 || (p[i].x > p[i - 1].x && p[i].y < p[i - 1].y));
        }
        for (uint32_t i = 0; i < N; i++) {
            bool best = isfinite(all[i].x) && isfinite(all[i].y);
            for (uint32_t k = 0; k < N && best; k++) {
                bool same = k < i && all[k].x == all[i].x && all[k].y == all[i].y;
                best = !same && !(isfinite(all[k].y) && beats(&all[k], &all[i]));
            }
            ck_assert_msg(on[i] == best, "seed %d, point %d", (int)seed, (int)i);
        }
    }
}
END_TEST

/* ---- a plan that is decided ---- */

static const char small_plan[] =
    "model: llama-3.1-8b\n"
    "load: {trace: traces/samples/demo.csv, multiply: 4, max_requests: 1500}\n"
    "slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}\n"
    "search: {gpu: [h100-sxm, l40s], tensor_parallel: [1], strategy: [full, fp8]}\n";

/* The same fleet under the same load once more: its p99 by the program's own percentiles. */
static void assert_seen(const struct exp_decision *d, struct exp_cache *cache,
                        const struct exp_seen_load *seen, const struct exp_entry *e)
{
    struct sim_status st = {0};
    struct exp_trial_point p;
    struct exp_loads *loads = exp_loads_new(d->plan, cache);
    struct exp_trial *t = exp_trial_new(d->plan, &e->candidate, cache, loads, NULL, &st);
    ck_assert_msg(t && exp_trial_run(t, e->n_replicas, seen->load, d->plan->base->seed, false, &p, &st), "%s",
                  st.message);
    for (int q = 0; q < EXP_SPREAD_QUANTILES; q++) {
        if (exp_spread_quantile[q] != 0.99) continue;
        ck_assert_double_eq_tol(seen->spread.ttft_s[q], p.ttft_p99_s, 1e-12);
        ck_assert_double_eq_tol(seen->spread.tpot_s[q], p.tpot_p99_s, 1e-12);
    }
    ck_assert_double_eq(seen->attainment[0], p.class[0].attainment);
    ck_assert_double_eq(seen->kv_peak, p.kv_peak_utilization);
    exp_trial_free(t);
    exp_loads_free(loads);
}

static void assert_curves(const struct exp_decision *d, struct exp_cache *cache)
{
    for (uint32_t i = 0; i < d->n_finalists; i++) {
        const struct exp_response *r = &d->finalist[i].response;
        ck_assert_uint_ge(r->n_seen, 5);
        for (uint32_t k = 0; k < r->n_seen; k++) {
            ck_assert(k == 0 || r->seen[k].load > r->seen[k - 1].load);
            for (int q = 1; q < EXP_SPREAD_QUANTILES; q++)
                ck_assert_double_ge(r->seen[k].spread.ttft_s[q], r->seen[k].spread.ttft_s[q - 1]);
        }
        const struct exp_anatomy *a = &r->anatomy;
        ck_assert_double_eq_tol(a->gpu_s + a->exposed_s + a->host_s, a->step_s, 1e-9);
        ck_assert_double_gt(a->attention_s, 0);
        assert_seen(d, cache, &r->seen[1], d->finalist[i].entry);
    }
}

/* 90 % of the draws; what is expected is likely. */
static void assert_costs(const struct exp_decision *d, const json_t *doc)
{
    const json_t *bars = series_of(doc, "cost-total", "total cost");
    uint32_t n_drawn = 0;
    for (size_t i = 0; i < json_array_size(bars); i++) {
        double lo = at(bars, i, 1), total = at(bars, i, 2), hi = at(bars, i, 3);
        ck_assert_msg(lo <= total && total <= hi, "%g not in [%g, %g]", total, lo, hi);
        n_drawn += lo < hi;
    }
    ck_assert_uint_eq(n_drawn, d->n_finalists);
}

/* Of the chart's own points, labelled ones being all. */
static void assert_front(const json_t *doc)
{
    const json_t *front = series_of(doc, "pareto", "front"), *series, *p;
    size_t i, k;
    ck_assert_uint_ge(json_array_size(front), 1);
    json_array_foreach(json_object_get(part_of(doc, "chart", "pareto"), "series"), i, series)
        json_array_foreach(json_object_get(series, "points"), k, p)
    {
        struct exp_front_point one = {json_number_value(json_array_get(p, 0)),
                                      json_number_value(json_array_get(p, 1)), 0};
        for (size_t f = 0; f < json_array_size(front); f++) {
            struct exp_front_point best = {at(front, f, 0), at(front, f, 1), 0};
            ck_assert_msg(!beats(&one, &best), "the front's point %d is beaten", (int)f);
        }
    }
}

START_TEST(a_plan_that_is_decided_draws_what_was_simulated)
{
    struct sim_status st = {0};
    struct exp_cache *cache = plan_cache();
    char *path = sim_printf("%s/", exp_cache_data_dir(cache)), *text = sim_strdup(small_plan);
    char *at_trace = strstr(text, "traces/");
    char *whole = sim_printf("%.*s%s%s", (int)(at_trace - text), text, path, at_trace);
    struct exp_plan *plan = plan_of(whole, cache);
    struct mdl_prices *prices = plan_prices(cache);
    struct exp_decision *d = sim_alloc(1, sizeof *d);
    const struct exp_decision_options o = {.n_threads = 2};
    ck_assert_msg(exp_decide(plan, prices, cache, &o, d, &st), "%s", st.message);
    ck_assert_uint_ge(d->n_finalists, 2);
    json_t *doc = report_of(d);
    assert_curves(d, cache);
    assert_costs(d, doc);
    assert_front(doc);
    json_decref(doc);
    exp_decision_fini(d);
    free(d);
    free(prices);
    exp_plan_free(plan);
    free(whole);
    free(text);
    free(path);
    exp_cache_free(cache);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("report of a plan");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, the_sheets_tables_have_the_same_cells_as_in_markdown_in_both_languages);
    tcase_add_test(tc, cells_of_the_finalists_stand_in_the_printed_sheet_too);
    tcase_add_test(tc, headings_and_sentences_of_the_sheet_come_in_the_same_order);
    tcase_add_test(tc, what_moves_a_cursor_or_is_no_text_is_no_part_of_the_document);
    tcase_add_test(tc, cost_bars_are_the_totals_and_intervals_of_plan_json);
    tcase_add_test(tc, cash_adds_up_to_the_total_and_items_too);
    tcase_add_test(tc, every_bar_of_the_tornado_spans_its_ends_and_what_is_expected);
    tcase_add_test(tc, curves_are_the_loads_that_were_seen_with_goal_peak_and_limits);
    tcase_add_test(tc, evidence_adds_up_and_failing_answers_keep_to_their_interval);
    tcase_add_test(tc, without_a_finalist_the_report_says_so_and_draws_nothing_of_one);
    tcase_add_test(tc, the_front_is_what_nothing_beats_by_every_pair);
    tcase_add_test(tc, a_plan_that_is_decided_draws_what_was_simulated);
    suite_add_tcase(s, tc);
    return s;
}
