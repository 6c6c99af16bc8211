#include "experiments/report/doc_parts.h"
#include "experiments/report/words_list.h"
#include "tests/report_help.h"

static json_t *lines_with(size_t n, double (*y)(size_t i))
{
    json_t *doc = exp_doc_new("run", "x", NULL), *section = exp_doc_section(doc, "s", "S");
    json_t *series = exp_doc_series(exp_doc_chart(section, "c", "C", EXP_LINES), "a");
    for (size_t i = 0; i < n; i++) exp_doc_xy(series, (double)i, y(i));
    return doc;
}

static const json_t *points_of(const json_t *doc)
{
    const json_t *chart = part_of(doc, "chart", NULL);
    return json_object_get(json_array_get(json_object_get(chart, "series"), 0), "points");
}

static double number_at(const json_t *points, size_t i, size_t k)
{
    const json_t *v = json_array_get(json_array_get(points, i), k);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* ---- thinning ---- */

static double wave_with_a_spike(size_t i)
{
    return i == 77777 ? 1e6 : i == 31415 ? -1e6 : sin((double)i / 300);
}

static double wave_with_gaps(size_t i)
{
    return i % 10000 < 50 ? NAN : wave_with_a_spike(i);
}

START_TEST(long_series_keep_first_last_and_extremes_in_their_order)
{
    double (*const shapes[])(size_t i) = {wave_with_a_spike, wave_with_gaps};
    const size_t n = 100000;
    for (int k = 0; k < 2; k++) {
        json_t *doc = lines_with(n, shapes[k]);
        exp_doc_finish(doc);
        const json_t *points = points_of(doc);
        size_t m = json_array_size(points), n_gaps = 0;
        double least = INFINITY, most = -INFINITY;
        ck_assert_uint_le(m, EXP_DOC_POINTS);
        ck_assert_uint_gt(m, EXP_DOC_POINTS / 3);
        ck_assert_double_eq(number_at(points, 0, 0), 0);
        ck_assert_double_eq(number_at(points, m - 1, 0), (double)(n - 1));
        for (size_t i = 0; i < m; i++) {
            double x = number_at(points, i, 0), y = number_at(points, i, 1), was = shapes[k]((size_t)x);
            ck_assert(i == 0 || x > number_at(points, i - 1, 0));
            ck_assert(isnan(was) ? isnan(y) : fabs(y - was) <= 1e-6 * fabs(was)); /* none is made up */
            n_gaps += isnan(y);
            least = fmin(least, y);
            most = fmax(most, y);
        }
        ck_assert_double_eq(most, 1e6);
        ck_assert_double_eq(least, -1e6);
        ck_assert(k == 0 ? n_gaps == 0 : n_gaps >= 10);
        json_decref(doc);
    }
}
END_TEST

START_TEST(a_thinned_wave_is_nowhere_far_from_the_whole_one)
{
    json_t *doc = lines_with(20000, wave_with_a_spike);
    exp_doc_finish(doc);
    const json_t *points = points_of(doc);
    for (size_t i = 1; i < json_array_size(points); i++) /* two points a stretch of 20000 / 249 */
        ck_assert_double_le(number_at(points, i, 0) - number_at(points, i - 1, 0), 2 * 20000 / 249.0 + 1);
    json_decref(doc);
}
END_TEST

START_TEST(bands_and_clouds_keep_the_extremes_that_are_theirs)
{
    json_t *doc = exp_doc_new("run", "x", NULL), *section = exp_doc_section(doc, "s", "S");
    json_t *band = exp_doc_series(exp_doc_chart(section, "band", "C", EXP_LINES), "a");
    json_t *cloud = exp_doc_series(exp_doc_chart(section, "cloud", "C", EXP_SCATTER), "a");
    for (size_t i = 0; i < 5000; i++) {
        double x = sin((double)i * 12.9898) * 43758.5453;
        exp_doc_xy_band(band, (double)i, 1, i == 2222 ? -5 : 0, i == 3333 ? 9 : 2);
        exp_doc_xy_label(cloud, i == 4321 ? -1 : x - floor(x), i == 1234 ? 7 : 1, "p");
    }
    exp_doc_finish(doc);
    double least[3] = {INFINITY, INFINITY, INFINITY}, most[3] = {-INFINITY, -INFINITY, -INFINITY};
    const json_t *parts[] = {part_of(doc, "chart", "band"), part_of(doc, "chart", "cloud")};
    for (int k = 0; k < 2; k++) {
        const json_t *points =
            json_object_get(json_array_get(json_object_get(parts[k], "series"), 0), "points");
        ck_assert_uint_le(json_array_size(points), EXP_DOC_POINTS);
        for (size_t i = 0; i < json_array_size(points); i++) {
            if (k == 0) {
                least[0] = fmin(least[0], number_at(points, i, 2));
                most[0] = fmax(most[0], number_at(points, i, 3));
            } else {
                least[1] = fmin(least[1], number_at(points, i, 0));
                most[2] = fmax(most[2], number_at(points, i, 1));
            }
        }
    }
    ck_assert_double_eq(least[0], -5);
    ck_assert_double_eq(most[0], 9);
    ck_assert_double_eq(least[1], -1);
    ck_assert_double_eq(most[2], 7);
    json_decref(doc);
}
END_TEST

START_TEST(series_within_the_limit_stay_as_they_are)
{
    for (size_t n = EXP_DOC_POINTS - 1; n <= EXP_DOC_POINTS + 1; n++) {
        json_t *doc = lines_with(n, wave_with_a_spike);
        exp_doc_finish(doc);
        if (n <= EXP_DOC_POINTS)
            ck_assert_uint_eq(json_array_size(points_of(doc)), n);
        else
            ck_assert_uint_le(json_array_size(points_of(doc)), EXP_DOC_POINTS);
        json_decref(doc);
    }
}
END_TEST

/* ---- too much is cut ---- */

static size_t n_of(const json_t *o, const char *key)
{
    return json_array_size(json_object_get(o, key));
}

START_TEST(what_is_more_than_a_report_may_have_is_cut_and_said)
{
    struct sim_status st = {0};
    json_t *doc = exp_doc_new("study", "x", NULL), *section = exp_doc_section(doc, "s", "S");
    json_t *lines = exp_doc_chart(section, "lines", "L", EXP_LINES),
           *bars = exp_doc_chart(section, "bars", "B", EXP_BARS),
           *table = exp_doc_table(section, "rows", "R"), *series = exp_doc_series(bars, "all");
    for (int i = 0; i < EXP_DOC_SERIES + 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        exp_doc_xy(exp_doc_series(lines, name), 1, i < 5 ? NAN : i); /* five have nothing to show */
    }
    for (int i = 0; i < 2 * EXP_DOC_POINTS; i++) {
        exp_doc_name(bars, "n");
        exp_doc_xy(series, i, i);
    }
    exp_doc_column(table, "a", "");
    for (int i = 0; i < EXP_DOC_ROWS + 1; i++) exp_doc_cell(exp_doc_row(table), i);
    exp_doc_finish(doc);
    ck_assert_msg(exp_report_check(doc, "report.json", &st), "%s", st.message);
    ck_assert_uint_eq(n_of(part_of(doc, "chart", "lines"), "series"), EXP_DOC_SERIES);
    ck_assert_uint_eq(n_of(part_of(doc, "table", "rows"), "rows"), EXP_DOC_ROWS);
    const json_t *kept = json_array_get(json_object_get(part_of(doc, "chart", "bars"), "series"), 0);
    ck_assert_uint_eq(n_of(kept, "points"),
                      EXP_DOC_POINTS); /* of the names that stay, none is thinned away */
    ck_assert_double_eq(number_at(json_object_get(kept, "points"), EXP_DOC_POINTS - 1, 1),
                        EXP_DOC_POINTS - 1);
    char *text = json_dumps(doc, JSON_COMPACT);
    static const char *const notes[] = {"[\"The first {0} of {1} series.\",\"100\",\"115\"]",
                                        "[\"The first {0} of {1} names.\",\"500\",\"1000\"]",
                                        "[\"The first {0} of {1} rows.\",\"20000\",\"20001\"]"};
    for (int i = 0; i < 3; i++) ck_assert_msg(strstr(text, notes[i]) != NULL, "%s", notes[i]);
    free(text);
    json_decref(doc);
}
END_TEST

/* ---- what is made is sound ---- */

START_TEST(a_document_of_every_part_is_sound_whatever_its_texts_are)
{
    for (int i = 0; i < N_HOSTILE; i++) {
        struct sim_status st = {0};
        json_t *doc = sample_doc(hostile_texts[i]);
        ck_assert_msg(exp_report_check(doc, "sample", &st), "%s", st.message);
        char *text = written(exp_report_json, doc);
        const char *path = test_file("sample.json", text);
        json_t *again = exp_report_read(path, &st);
        ck_assert_msg(again != NULL, "%s", st.message);
        ck_assert(json_equal(doc, again));
        json_decref(again);
        json_decref(doc);
        free(text);
    }
}
END_TEST

START_TEST(what_is_empty_is_dropped_and_ids_are_told_apart)
{
    json_t *doc = exp_doc_new("study", "x", NULL), *en, *ja;
    exp_doc_table(exp_doc_section(doc, "empty", "Empty"), "t", "No rows");
    json_t *section = exp_doc_section(doc, "t", "Full");
    exp_doc_xy(exp_doc_series(exp_doc_chart(section, "c", "Gaps alone", EXP_LINES), "a"), 1, NAN);
    exp_doc_facts(section);
    exp_doc_languages(section, &en, &ja);
    exp_doc_chart(en, "c", "No series", EXP_BARS);
    for (int i = 0; i < 3; i++) {
        json_t *table = exp_doc_table(section, "Cost/GPU", "T");
        exp_doc_column(table, "a", "");
        exp_doc_cell(exp_doc_row(table), i);
    }
    exp_doc_finish(doc);
    const json_t *sections = json_object_get(doc, "sections");
    ck_assert_uint_eq(json_array_size(sections), 1);
    const json_t *parts = json_object_get(json_array_get(sections, 0), "parts");
    ck_assert_uint_eq(json_array_size(parts), 3);
    ck_assert_str_eq(string_of(json_array_get(parts, 0), "id"), "cost-gpu");
    ck_assert_str_eq(string_of(json_array_get(parts, 1), "id"), "cost-gpu-2");
    ck_assert_str_eq(string_of(json_array_get(parts, 2), "id"), "cost-gpu-3");
    json_decref(doc);
}
END_TEST

START_TEST(numbers_that_are_none_are_null_and_whole_ones_have_no_point)
{
    json_t *doc = exp_doc_new("run", "x", NULL), *section = exp_doc_section(doc, "s", "S");
    json_t *table = exp_doc_table(section, "t", "T"), *row = exp_doc_row(table);
    const double values[] = {NAN, INFINITY, -INFINITY, 1e300, 3, -7, 0.1, 1e20};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        exp_doc_column(table, "a", "");
        exp_doc_cell(row, values[i]);
    }
    for (size_t i = 0; i < 4; i++) ck_assert(json_is_null(json_array_get(row, i)));
    ck_assert(json_is_integer(json_array_get(row, 4)) && json_is_integer(json_array_get(row, 5)));
    ck_assert_double_eq(json_real_value(json_array_get(row, 6)), 0.1);
    ck_assert_double_eq(json_real_value(json_array_get(row, 7)), 1e20);
    json_decref(doc);
}
END_TEST

/* ---- what is not sound ---- */

/* The sample with one thing changed: `place` is keys and indexes between dots, `value` JSON. */
static json_t *changed(const char *place, const char *value)
{
    json_t *doc = sample_doc("x"), *at = doc, *v = json_loads(value, JSON_DECODE_ANY, NULL);
    char *path = sim_strdup(place), *step = path;
    ck_assert_msg(v != NULL, "%s", value);
    for (char *dot; (dot = strchr(step, '.')); step = dot + 1) {
        *dot = '\0';
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(step)) : json_object_get(at, step);
        ck_assert_msg(at != NULL, "%s", place);
    }
    if (json_is_array(at))
        ck_assert_int_eq(json_array_set_new(at, (size_t)atoi(step), v), 0);
    else
        json_object_set_new(at, step, v);
    free(path);
    return doc;
}

START_TEST(what_is_not_as_it_should_be_is_named_with_its_place)
{
    static const struct {
        const char *place, *value, *message;
    } cases[] = {
        {"kind", "\"letter\"", "f: kind: is `letter`, expected one of: run, compare, plan, study, validate"},
        {"title", "\"x\"",
         "f: title: is `x`, expected a list of a text with up to 16 places, and up to 10 more that fill "
         "them"},
        {"title", "[\"{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}\", \"x\"]",
         "f: title: is a list, expected a list of a text with up to 16 places"},
        {"extra", "1", "f: holds `extra`, which no report has"},
        {"sections", "{}", "f: sections: is an object, expected a list"},
        {"sections.0", "7", "f: sections[0]: is a number, expected an object"},
        {"sections.0.id", "\"../etc\"",
         "f: sections[0].id: is `../etc`, expected up to 64 of a-z, 0-9 and -"},
        {"sections.0.id", "\"table\"", "its id `table` is that of another part"},
        {"sections.0.parts.0.tone", "\"loud\"", "f: sections[0].parts[0].tone: is `loud`"},
        {"sections.0.parts.0.kind", "\"script\"",
         "f: sections[0].parts[0].kind: is `script`, expected one of: text"},
        {"sections.0.parts.3.items.0.value", "\"12\"",
         "f: sections[0].parts[3].items[0].value: is `12`, expected a number"},
        {"sections.0.parts.3.items.0.value", "1e200", "expected a number up to 1e100"},
        {"sections.0.parts.4.rows.2", "[1]",
         "f: sections[0].parts[4].rows[2]: holds 1 cells, expected 3, one for each column"},
        {"sections.0.parts.4.rows.1.0", "{}", "f: sections[0].parts[4].rows[1]: cell 0 is an object"},
        {"sections.0.parts.4.columns.1.digits", "40", "columns[1].digits: is a number, expected 1 to 9"},
        {"sections.1.parts.0.en.0", "{\"kind\":\"languages\",\"en\":[],\"ja\":[]}",
         "f: sections[1].parts[0].en[0]: holds languages within a language"},
        {"sections.1.parts.1.series.0.points.3", "[1,2,3]",
         "f: sections[1].parts[1].series[0].points[3]: is no point, expected numbers [x, y] or [x, y, lo, "
         "hi]"},
        {"sections.1.parts.1.series.0.points.3", "[null,2]", "is no point"},
        {"sections.1.parts.3.series.0.points.0", "[2,1]",
         "points[0]: is of no name, expected an index below 2"},
        {"sections.1.parts.3.series.0.points.0", "[-1,1]", "is of no name"},
        {"sections.1.parts.3.series.0.points.0", "[0.5,1]", "is of no name"},
        {"sections.1.parts.1.x.scale", "\"names\"", "is of no name, expected an index below 0"},
        {"sections.1.parts.5.x.names", "[1,2]", "x.names: is a list, expected a list of up to 500 texts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim_status st = {0};
        json_t *doc = changed(cases[i].place, cases[i].value);
        ck_assert_msg(!exp_report_check(doc, "f", &st), "%s = %s", cases[i].place, cases[i].value);
        ck_assert_msg(strstr(st.message, cases[i].message) != NULL, "%s, not %s", st.message,
                      cases[i].message);
        json_decref(doc);
    }
}
END_TEST

START_TEST(limits_hold)
{
    struct sim_status st = {0};
    json_t *doc = lines_with(EXP_DOC_POINTS + 1, wave_with_a_spike);
    ck_assert(!exp_report_check(doc, "f", &st)); /* not finished */
    ck_assert_ptr_nonnull(strstr(st.message, "series[0].points: holds 501, expected at most 500"));
    json_decref(doc);
    doc = exp_doc_new("run", "x", NULL);
    for (int i = 0; i < 3; i++) {
        json_t *section = exp_doc_section(doc, "s", "S");
        for (int k = 0; k < 100; k++) {
            json_t *table = exp_doc_table(section, "t", "T");
            exp_doc_column(table, "a", "");
            exp_doc_cell(exp_doc_row(table), i);
        }
    }
    exp_doc_finish(doc);
    st = (struct sim_status){0};
    ck_assert(!exp_report_check(doc, "f", &st));
    ck_assert_ptr_nonnull(strstr(st.message, "too many, expected at most 250"));
    json_decref(doc);
}
END_TEST

/* Every value of the document, one after another, in the order of a walk. */
static json_t **value_at(json_t *o, size_t *left, json_t **holder)
{
    const char *key;
    json_t *v;
    size_t i;
    if (json_is_object(o)) json_object_foreach(o, key, v)
        {
            if ((*left)-- == 0) {
                json_object_set_new(o, key, *holder);
                return holder;
            }
            if (value_at(v, left, holder)) return holder;
        }
    json_array_foreach(json_is_array(o) ? o : NULL, i, v)
    {
        if ((*left)-- == 0) {
            json_array_set_new(o, i, *holder);
            return holder;
        }
        if (value_at(v, left, holder)) return holder;
    }
    return NULL;
}

START_TEST(any_value_in_any_place_is_refused_in_one_line_or_printed)
{
    static const char *const values[] = {"null", "-1", "1e99", "\"x\\ny\"", "[]", "[[]]", "{}", "true"};
    size_t n_refused = 0, n_taken = 0;
    for (size_t place = 0;; place++) {
        json_t *doc = sample_doc("x"), *v;
        size_t left = place;
        struct sim_status st = {0};
        v = json_loads(values[place * 7 % 8], JSON_DECODE_ANY, NULL);
        if (!value_at(doc, &left, &v)) {
            json_decref(v);
            json_decref(doc);
            break;
        }
        if (exp_report_check(doc, "f", &st)) {
            char *text = NULL;
            size_t size = 0;
            FILE *f = open_memstream(&text, &size);
            exp_report_markdown(doc, EXP_JAPANESE, f);
            fclose(f);
            ck_assert_uint_gt(strlen(text), 100);
            free(text);
            n_taken++;
        } else {
            ck_assert_msg(strncmp(st.message, "f: ", 3) == 0 && !strchr(st.message, '\n'), "%s", st.message);
            n_refused++;
        }
        json_decref(doc);
    }
    ck_assert_uint_gt(n_refused, 100);
    ck_assert_uint_gt(n_taken, 30);
}
END_TEST

START_TEST(files_that_are_no_document_end_in_one_line)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "not valid JSON"},
        {"{\"kind\":\"run\",", "not valid JSON"},
        {"[]", "is a list, expected an object"},
        {"{\"kind\":\"run\",\"kind\":\"run\"}", "duplicate"},
        {"{\"kind\":\"run\"}", "title: is missing, expected a list of a text"},
        {"{\"kind\":1e999}", "not valid JSON"},
        {"\xff\xfe", "not valid JSON"},
    };
    struct sim_status st = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        st = (struct sim_status){0};
        ck_assert_ptr_null(exp_report_read(test_file("bad.json", cases[i].text), &st));
        ck_assert_msg(strstr(st.message, cases[i].message) && strstr(st.message, "bad.json"), "%s",
                      st.message);
        ck_assert_ptr_null(strchr(st.message, '\n'));
    }
    char *deep = sim_alloc(100001, 1);
    memset(deep, '[', 100000);
    st = (struct sim_status){0};
    ck_assert_ptr_null(exp_report_read(test_file("deep.json", deep), &st));
    ck_assert_ptr_nonnull(strstr(st.message, "not valid JSON"));
    free(deep);
    st = (struct sim_status){0};
    ck_assert_ptr_null(exp_report_read("/dev/zero", &st)); /* never more than the limit is read */
    ck_assert_ptr_nonnull(strstr(st.message, "longer than 16777216 bytes"));
}
END_TEST

/* ---- languages ---- */

static const struct exp_words_row *const lists[] = {exp_words_of_page, exp_words_of_documents,
                                                    exp_words_of_texts};

START_TEST(every_word_stands_once_and_its_translation_has_the_same_places)
{
    json_t *seen = json_object();
    for (size_t k = 0; k < 3; k++)
        for (const struct exp_words_row *row = lists[k]; row->english; row++) {
            ck_assert_msg(*row->english && *row->japanese, "an empty row");
            ck_assert_msg(!json_object_get(seen, row->english), "twice: %s", row->english);
            json_object_set_new(seen, row->english, json_true());
            for (char i = '0'; i <= '9'; i++) {
                const char place[] = {'{', i, '}', '\0'};
                ck_assert_msg(!strstr(row->english, place) == !strstr(row->japanese, place), "%s: %s",
                              row->english, place);
            }
            ck_assert_str_eq(exp_report_word(EXP_JAPANESE, row->english), row->japanese);
            ck_assert_str_eq(exp_report_word(EXP_ENGLISH, row->english), row->english);
        }
    json_decref(seen);
    ck_assert_str_eq(exp_report_word(EXP_JAPANESE, "nobody's word"), "nobody's word");
}
END_TEST

START_TEST(templates_are_filled_in_the_order_of_each_language)
{
    char *en = exp_report_say(EXP_ENGLISH, "{0} of {1} rows", "3", "20", NULL);
    char *ja = exp_report_say(EXP_JAPANESE, "{0} of {1} rows", "3", "20", NULL);
    char *odd = exp_report_say(EXP_ENGLISH, "{1}{0}{7} {x} {", "{1}", "b", NULL);
    ck_assert_str_eq(en, "3 of 20 rows");
    ck_assert_str_eq(ja, "20行中3行");
    ck_assert_str_eq(odd, "b{1}{7} {x} {"); /* an argument is not looked into */
    free(en);
    free(ja);
    free(odd);
}
END_TEST

START_TEST(a_translated_document_has_plain_texts_and_one_language)
{
    json_t *doc = sample_doc("low"), *before = json_deep_copy(doc);
    json_t *en = exp_report_translated(doc, EXP_ENGLISH), *ja = exp_report_translated(doc, EXP_JAPANESE);
    ck_assert(json_equal(doc, before));
    ck_assert_str_eq(string_of(en, "title"), "A run of low");
    ck_assert_str_eq(string_of(en, "subtitle"), "400 requests, seed 1");
    ck_assert_str_eq(string_of(part_of(en, "text", NULL), "text"), "low of 20 were late");
    ck_assert_str_eq(string_of(part_of(ja, "table", "table"), "title"), "下限");
    ck_assert_str_eq(string_of(part_of(ja, "code", NULL), "text"), "low"); /* typed as it is */
    const json_t *second = json_object_get(json_array_get(json_object_get(ja, "sections"), 1), "parts");
    ck_assert_str_eq(string_of(json_array_get(second, 0), "text"), "日本語だけ");
    second = json_object_get(json_array_get(json_object_get(en, "sections"), 1), "parts");
    ck_assert_str_eq(string_of(json_array_get(second, 0), "text"), "English alone");
    const json_t *ja_names = json_object_get(json_object_get(part_of(ja, "chart", "named"), "x"), "names");
    ck_assert_str_eq(json_string_value(json_array_get(ja_names, 0)), "下限");
    ck_assert(json_equal(
        json_object_get(json_array_get(json_object_get(part_of(ja, "chart", "lines"), "series"), 0),
                        "points"),
        json_object_get(json_array_get(json_object_get(part_of(doc, "chart", "lines"), "series"), 0),
                        "points")));
    json_decref(ja);
    json_decref(en);
    json_decref(before);
    json_decref(doc);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("report_doc");
    TCase *t = tcase_create("report_doc");
    tcase_add_test(t, long_series_keep_first_last_and_extremes_in_their_order);
    tcase_add_test(t, a_thinned_wave_is_nowhere_far_from_the_whole_one);
    tcase_add_test(t, bands_and_clouds_keep_the_extremes_that_are_theirs);
    tcase_add_test(t, what_is_more_than_a_report_may_have_is_cut_and_said);
    tcase_add_test(t, series_within_the_limit_stay_as_they_are);
    tcase_add_test(t, a_document_of_every_part_is_sound_whatever_its_texts_are);
    tcase_add_test(t, what_is_empty_is_dropped_and_ids_are_told_apart);
    tcase_add_test(t, numbers_that_are_none_are_null_and_whole_ones_have_no_point);
    tcase_add_test(t, what_is_not_as_it_should_be_is_named_with_its_place);
    tcase_add_test(t, limits_hold);
    tcase_add_test(t, any_value_in_any_place_is_refused_in_one_line_or_printed);
    tcase_add_test(t, files_that_are_no_document_end_in_one_line);
    tcase_add_test(t, every_word_stands_once_and_its_translation_has_the_same_places);
    tcase_add_test(t, templates_are_filled_in_the_order_of_each_language);
    tcase_add_test(t, a_translated_document_has_plain_texts_and_one_language);
    suite_add_tcase(s, t);
    return s;
}
