#include "traces/dialect.h"

#include <string.h>

static const struct trc_dialect dialects[] = {
    {"azure", {"timestamp", "contexttokens", "generatedtokens"}, TRC_CLOCK_DATETIME, 0, false},
    {"vidur", {"arrivedat", "numprefilltokens", "numdecodetokens"}, TRC_CLOCK_S, 0, false},
    {"vidur", {"arrivaltime", "numprefilltokens", "numdecodetokens"}, TRC_CLOCK_DATETIME, 0, false},
    {"vidur", {NULL, "numprefilltokens", "numdecodetokens"}, TRC_CLOCK_ASK, 0, false},
    {"burstgpt", {"timestamp", "requesttokens", "responsetokens"}, TRC_CLOCK_S, 0, false},
    {"bailian", {"timestamp", "inputlength", "outputlength", "chatid"}, TRC_CLOCK_S, 16, false},
    {"bailian", {"timestamp", "inputlength", "outputlength", "parentchatid"}, TRC_CLOCK_S, 16, false},
    {"mooncake", {"timestamp", "inputlength", "outputlength"}, TRC_CLOCK_MS, 512, true},
    {"llmservingsim", {"arrivaltimens", "inputtoks", "outputtoks"}, TRC_CLOCK_NS, 0, false},
    {"canonical", {"arrivaltimeus", "inputtokens", "outputtokens"}, TRC_CLOCK_US, 0, false},
    {"canonical", {NULL, "inputtokens", "outputtokens"}, TRC_CLOCK_ASK, 0, false},
    {"splitwise-sim", {"arrivaltimestamp", "promptsize", "tokensize"}, TRC_CLOCK_S, 0, false},
    {"apex", {"starttimeoffset", "contexttokens", "generatedtokens"}, TRC_CLOCK_NS, 0, false},
    {"baseten", {"timestampstartunixms", "inputtokens", "outputtokens"}, TRC_CLOCK_MS, 0, false},
    {"weka", {"t", "in", "out"}, TRC_CLOCK_ASK, 64, false},
};

static const struct trc_dialect generic = {"generic", {NULL}, TRC_CLOCK_ASK, 0, false};

static bool matches(const struct trc_dialect *d, const struct trc_columns *columns)
{
    for (int i = 0; i < TRC_DIALECT_COLUMNS; i++)
        if (d->columns[i] && trc_columns_find(columns, d->columns[i]) < 0) return false;
    bool has_arrivals = columns->column[TRC_F_ARRIVAL] >= 0;
    return d->columns[0] ? has_arrivals : !has_arrivals;
}

const struct trc_dialect *trc_dialect_find(const struct trc_columns *columns)
{
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++)
        if (matches(&dialects[i], columns)) return &dialects[i];
    return &generic;
}

const struct trc_dialect *trc_dialect_at(size_t i)
{
    return i < sizeof dialects / sizeof *dialects ? &dialects[i] : NULL;
}
