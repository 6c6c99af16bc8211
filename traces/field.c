#include "traces/field.h"

#include "sim/line_in.h"
#include "sim/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 4096, MAX_LISTED = 24 };

struct field_word {
    const char *normal;
    enum trc_field field;
    enum trc_clock clock; /* arrivals: the unit in the name */
};

static const struct field_word words[] = {
    {"arrivaltimeus", TRC_F_ARRIVAL, TRC_CLOCK_US},
    {"arrivaltimems", TRC_F_ARRIVAL, TRC_CLOCK_MS},
    {"arrivaltimens", TRC_F_ARRIVAL, TRC_CLOCK_NS},
    {"arrivaltimes", TRC_F_ARRIVAL, TRC_CLOCK_S},
    {"arrivaltime", TRC_F_ARRIVAL, TRC_CLOCK_ASK},
    {"arrivedat", TRC_F_ARRIVAL, TRC_CLOCK_ASK},
    {"arrivaltimestamp", TRC_F_ARRIVAL, TRC_CLOCK_ASK},
    {"timestamp", TRC_F_ARRIVAL, TRC_CLOCK_ASK},
    {"timestampms", TRC_F_ARRIVAL, TRC_CLOCK_MS},
    {"timestampus", TRC_F_ARRIVAL, TRC_CLOCK_US},
    {"timestampstartunixms", TRC_F_ARRIVAL, TRC_CLOCK_MS},
    {"starttimeoffset", TRC_F_ARRIVAL, TRC_CLOCK_ASK},
    {"inputtokens", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"inputlength", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"inputlen", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"inputtoks", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"contexttokens", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"numprefilltokens", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"prompttokens", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"prompttokenscount", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"inputtokenscount", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"requesttokens", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"promptsize", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"promptlength", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"promptlen", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"outputtokens", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"outputlength", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"outputlen", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"outputtoks", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"generatedtokens", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"numdecodetokens", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"completiontokens", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"outputtokenscount", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"completiontokenscount", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"responsetokens", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"tokensize", TRC_F_OUTPUT, TRC_CLOCK_ASK},
    {"requestid", TRC_F_REQUEST_ID, TRC_CLOCK_ASK},
    {"sessionid", TRC_F_SESSION, TRC_CLOCK_ASK},
    {"conversationid", TRC_F_SESSION, TRC_CLOCK_ASK},
    {"providedsessionid", TRC_F_SESSION, TRC_CLOCK_ASK},
    {"chatid", TRC_F_CHAT, TRC_CLOCK_ASK},
    {"parentchatid", TRC_F_PARENT, TRC_CLOCK_ASK},
    {"turn", TRC_F_TURN, TRC_CLOCK_ASK},
    {"roundindex", TRC_F_TURN, TRC_CLOCK_ASK},
    {"model", TRC_F_MODEL, TRC_CLOCK_ASK},
    {"task", TRC_F_TASK, TRC_CLOCK_ASK},
    {"priority", TRC_F_PRIORITY, TRC_CLOCK_ASK},
    {"vllmpriority", TRC_F_PRIORITY, TRC_CLOCK_ASK},
    {"prefixgroup", TRC_F_PREFIX_GROUP, TRC_CLOCK_ASK},
    {"prefixlength", TRC_F_PREFIX_LENGTH, TRC_CLOCK_ASK},
    {"hashids", TRC_F_HASH_IDS, TRC_CLOCK_ASK},
    {"blockhashids", TRC_F_HASH_IDS, TRC_CLOCK_ASK},
    {"totalhashes", TRC_F_HASH_IDS, TRC_CLOCK_ASK},
    {"sloclass", TRC_F_SLO_CLASS, TRC_CLOCK_ASK},
    {"status", TRC_F_STATUS, TRC_CLOCK_ASK},
    {"requestcanceled", TRC_F_STATUS, TRC_CLOCK_ASK},
};

/* Too short to mean anything alone; they count when all three are there (Weka). */
static const struct field_word short_words[] = {
    {"t", TRC_F_ARRIVAL, TRC_CLOCK_ASK},
    {"in", TRC_F_INPUT, TRC_CLOCK_ASK},
    {"out", TRC_F_OUTPUT, TRC_CLOCK_ASK},
};

static const struct {
    const char *name, *flag;
} field_names[TRC_N_FIELDS] = {
    [TRC_F_ARRIVAL] = {"arrival_time_us", "arrival"},
    [TRC_F_INPUT] = {"input_tokens", "input"},
    [TRC_F_OUTPUT] = {"output_tokens", "output"},
    [TRC_F_REQUEST_ID] = {"request_id", "request_id"},
    [TRC_F_SESSION] = {"session_id", "session_id"},
    [TRC_F_CHAT] = {"chat_id", "chat_id"},
    [TRC_F_PARENT] = {"parent_chat_id", "parent_chat_id"},
    [TRC_F_TURN] = {"turn", "turn"},
    [TRC_F_MODEL] = {"model", "model"},
    [TRC_F_TASK] = {"task", "task"},
    [TRC_F_PRIORITY] = {"priority", "priority"},
    [TRC_F_PREFIX_GROUP] = {"prefix_group", "prefix_group"},
    [TRC_F_PREFIX_LENGTH] = {"prefix_length", "prefix_length"},
    [TRC_F_HASH_IDS] = {"hash_ids", "hash_ids"},
    [TRC_F_SLO_CLASS] = {"slo_class", "slo_class"},
    [TRC_F_STATUS] = {"status", "status"},
};

const char *trc_field_name(enum trc_field field)
{
    return field_names[field].name;
}

const char *trc_field_flag(enum trc_field field)
{
    return field_names[field].flag;
}

static char *normalise(const char *name, size_t length)
{
    char *out = sim_alloc(length + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out[n++] = c;
    }
    return out;
}

static bool refuse_override(const char *item, size_t length, struct sim_status *st)
{
    return sim_fail_as(
        st, SIM_EXIT_USAGE,
        "--columns: \"%s\" found, expected FIELD=NAME with FIELD one of arrival, input, output, "
        "request_id, session_id, turn, model, task, priority, prefix_group, prefix_length, hash_ids, "
        "slo_class; separate several by commas",
        sim_excerpt(item, length).text);
}

static bool add_override(struct trc_columns *c, const char *item, size_t length, struct sim_status *st)
{
    const char *equals = memchr(item, '=', length);
    if (!equals) return refuse_override(item, length, st);
    size_t flag_length = (size_t)(equals - item);
    for (int f = 0; f < TRC_N_FIELDS; f++) {
        const char *flag = field_names[f].flag;
        if (strlen(flag) != flag_length || memcmp(flag, item, flag_length) != 0) continue;
        char *wanted = normalise(equals + 1, length - flag_length - 1);
        bool good = *wanted != '\0' && !c->wanted[f];
        if (good)
            c->wanted[f] = wanted;
        else
            free(wanted);
        return good || refuse_override(item, length, st);
    }
    return refuse_override(item, length, st);
}

bool trc_columns_init(struct trc_columns *c, const char *overrides, struct sim_status *st)
{
    memset(c, 0, sizeof *c);
    for (int f = 0; f < TRC_N_FIELDS; f++) c->column[f] = -1;
    for (const char *item = overrides; item && *item;) {
        size_t length = strcspn(item, ",");
        if (!add_override(c, item, length, st)) {
            trc_columns_fini(c);
            return false;
        }
        item += length + (item[length] == ',');
    }
    return true;
}

void trc_columns_fini(struct trc_columns *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->name[i]);
        free(c->normal[i]);
    }
    for (int f = 0; f < TRC_N_FIELDS; f++) free(c->wanted[f]);
    free(c->name);
    free(c->normal);
    free(c->field);
    memset(c, 0, sizeof *c);
}

/* The field of a normalised name: --columns first, and a field named there takes no synonym. */
static int find_field(const struct trc_columns *c, const char *normal)
{
    for (int f = 0; f < TRC_N_FIELDS; f++)
        if (c->wanted[f] && strcmp(c->wanted[f], normal) == 0) return f;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].normal, normal) == 0) return c->wanted[words[i].field] ? -1 : (int)words[i].field;
    return -1;
}

static bool claim(struct trc_columns *c, size_t column, int field, const char *path, uint64_t line,
                  struct sim_status *st)
{
    int holder = c->column[field];
    if (holder >= 0)
        return sim_fail(
            st,
            "%s:%llu: columns \"%s\" and \"%s\" both mean %s, expected one; choose with --columns %s=NAME",
            path, (unsigned long long)line, sim_excerpt(c->name[holder], strlen(c->name[holder])).text,
            sim_excerpt(c->name[column], strlen(c->name[column])).text, field_names[field].name,
            field_names[field].flag);
    c->field[column] = field;
    c->column[field] = (int)column;
    return true;
}

bool trc_columns_add(struct trc_columns *c, const char *name, const char *path, uint64_t line,
                     struct sim_status *st)
{
    if (c->n == MAX_COLUMNS)
        return sim_fail(
            st, "%s:%llu: has more than %d different columns, expected a trace; is it the right file?", path,
            (unsigned long long)line, MAX_COLUMNS);
    if (c->n == c->room) {
        c->room = c->room ? 2 * c->room : 16;
        c->name = sim_realloc(c->name, c->room, sizeof *c->name);
        c->normal = sim_realloc(c->normal, c->room, sizeof *c->normal);
        c->field = sim_realloc(c->field, c->room, sizeof *c->field);
    }
    size_t i = c->n++;
    c->name[i] = sim_strdup(name);
    c->normal[i] = normalise(name, strlen(name));
    c->field[i] = -1;
    int field = find_field(c, c->normal[i]);
    return field < 0 || claim(c, i, field, path, line, st);
}

bool trc_columns_close(struct trc_columns *c, const char *path, uint64_t line, struct sim_status *st)
{
    for (int f = 0; f < TRC_N_FIELDS; f++)
        if (c->wanted[f] && c->column[f] < 0)
            return sim_fail(
                st, "%s:%llu: has no column \"%s\", expected the one named by --columns %s=; correct it",
                path, (unsigned long long)line, sim_excerpt(c->wanted[f], strlen(c->wanted[f])).text,
                field_names[f].flag);
    int column[3];
    for (int i = 0; i < 3; i++) {
        column[i] = trc_columns_find(c, short_words[i].normal);
        if (column[i] < 0) return true;
    }
    for (int i = 0; i < 3; i++)
        if (!c->wanted[short_words[i].field] &&
            !claim(c, (size_t)column[i], short_words[i].field, path, line, st))
            return false;
    return true;
}

int trc_columns_find(const struct trc_columns *c, const char *normal)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->normal[i], normal) == 0) return (int)i;
    return -1;
}

enum trc_clock trc_columns_clock(const struct trc_columns *c)
{
    static const struct {
        const char *suffix;
        enum trc_clock clock;
    } suffixes[] = {{"_ns", TRC_CLOCK_NS}, {"_us", TRC_CLOCK_US}, {"_ms", TRC_CLOCK_MS}, {"_s", TRC_CLOCK_S}};
    if (c->column[TRC_F_ARRIVAL] < 0) return TRC_CLOCK_ASK;
    const char *name = c->name[c->column[TRC_F_ARRIVAL]];
    const char *normal = c->normal[c->column[TRC_F_ARRIVAL]];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].clock != TRC_CLOCK_ASK && strcmp(words[i].normal, normal) == 0) return words[i].clock;
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = strlen(suffixes[i].suffix);
        if (length > n && strcmp(name + length - n, suffixes[i].suffix) == 0) return suffixes[i].clock;
    }
    return TRC_CLOCK_ASK;
}

char *trc_columns_ignored(const struct trc_columns *c)
{
    char *list = sim_strdup("");
    size_t n_ignored = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->field[i] >= 0 || n_ignored++ >= MAX_LISTED) continue;
        struct sim_excerpt name = sim_excerpt(c->name[i], strlen(c->name[i]));
        char *longer = sim_printf("%s%s%s", list, *list ? ", " : "", name.text);
        free(list);
        list = longer;
    }
    if (n_ignored <= MAX_LISTED) return list;
    char *cut = sim_printf("%s and %zu more", list, n_ignored - MAX_LISTED);
    free(list);
    return cut;
}
