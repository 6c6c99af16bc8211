/* The list of kernels, and the names of what they share. A new kernel is a row here. */
#include "kernels/case.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

extern const struct kb_kernel kb_case_gemm, kb_case_attn_prefill, kb_case_attn_score, kb_case_attn_decode,
    kb_case_attn_unfused, kb_case_append, kb_case_gear, kb_case_lowrank, kb_case_rebuild, kb_case_digest,
    kb_case_page_score, kb_case_topk, kb_case_similarity, kb_case_h2o, kb_case_compact, kb_case_relayout,
    kb_case_rmsnorm, kb_case_rope, kb_case_swiglu, kb_case_sample, kb_case_read, kb_case_copy, kb_case_gather;

const struct kb_kernel *const kb_kernels[KB_N_KERNEL] = {
    [KB_GEMM] = &kb_case_gemm,
    [KB_ATTN_PREFILL] = &kb_case_attn_prefill,
    [KB_ATTN_SCORE] = &kb_case_attn_score,
    [KB_ATTN_DECODE] = &kb_case_attn_decode,
    [KB_ATTN_UNFUSED] = &kb_case_attn_unfused,
    [KB_APPEND] = &kb_case_append,
    [KB_GEAR] = &kb_case_gear,
    [KB_LOWRANK] = &kb_case_lowrank,
    [KB_REBUILD] = &kb_case_rebuild,
    [KB_DIGEST] = &kb_case_digest,
    [KB_PAGE_SCORE] = &kb_case_page_score,
    [KB_TOPK] = &kb_case_topk,
    [KB_SIMILARITY] = &kb_case_similarity,
    [KB_H2O] = &kb_case_h2o,
    [KB_COMPACT] = &kb_case_compact,
    [KB_RELAYOUT] = &kb_case_relayout,
    [KB_RMSNORM] = &kb_case_rmsnorm,
    [KB_ROPE] = &kb_case_rope,
    [KB_SWIGLU] = &kb_case_swiglu,
    [KB_SAMPLE] = &kb_case_sample,
    [KB_READ] = &kb_case_read,
    [KB_COPY] = &kb_case_copy,
    [KB_GATHER] = &kb_case_gather,
};

bool kb_fail(struct kb_error *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    return false;
}

/* --- names of numbers --- */

struct words {
    const char *key;
    const char *word[8];
};

static const struct words words[] = {
    {"format", {"bf16", "fp8", "int8", "int4", "kivi4", "kivi2"}},
    {"layout", {"nhd", "hnd"}},
    {"digest", {"minmax", "centre"}},
    {"pool", {"mean_score", "max_score", "mean_softmax"}},
    {"method", {"loop", "batch", "2d", "kernel"}},
    {"direction", {"to_device", "to_host", "both"}},
    {"memory", {"pinned", "pageable"}},
    {"kernel", {"gemm", "attention"}},
    {"operation", {"launch", "graph", "event", "sync", "idle", "download", "condition", "spin"}},
};

const char *kb_format_name(enum kb_format f)
{
    return words[0].word[f];
}

static bool find_word(const struct words *w, const char *text, uint32_t *value)
{
    for (uint32_t i = 0; i < 8 && w->word[i]; i++)
        if (strcmp(w->word[i], text) == 0) {
            *value = i;
            return true;
        }
    return false;
}

bool kb_format_parse(const char *name, enum kb_format *out)
{
    uint32_t value;
    if (!find_word(&words[0], name, &value)) return false;
    *out = (enum kb_format)value;
    return true;
}

static const struct words *words_of(const char *key)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].key, key) == 0) return &words[i];
    return NULL;
}

const char *kb_key_text(const char *key, uint32_t value, char room[32])
{
    const struct words *w = words_of(key);
    if (w && value < 8 && w->word[value]) return w->word[value];
    snprintf(room, 32, "%u", (unsigned)value);
    return room;
}

bool kb_key_parse(const char *key, const char *text, uint32_t *value)
{
    const struct words *w = words_of(key);
    if (w) return find_word(w, text, value);
    char *end;
    unsigned long x = strtoul(text, &end, 10);
    if (end == text || *end || x > UINT32_MAX) return false;
    *value = (uint32_t)x;
    return true;
}

uint32_t kb_n_keys(const char *const *keys)
{
    uint32_t n = 0;
    while (keys[n]) n++;
    return n;
}
