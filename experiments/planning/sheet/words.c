#include "experiments/planning/sheet/words.h"

#include <string.h>

#include "sim/check.h"

enum { N_LANGUAGES = EXP_JAPANESE + 1 };

static const char *const phrases[EXP_N_PHRASES][N_LANGUAGES] = {
#define ROW(name, english, japanese) [EXP_SAY_##name] = {english, japanese},
    EXP_PHRASES(ROW)
#undef ROW
};

const char *exp_phrase(enum exp_language language, enum exp_phrase phrase)
{
    return phrases[phrase][language];
}

/* Number of the argument that stands here, or -1. */
static int argument_at(const char *text)
{
    return text[0] == '{' && text[1] >= '0' && text[1] <= '9' && text[2] == '}' ? text[1] - '0' : -1;
}

const char *exp_phrase_fill(struct sim_arena *arena, enum exp_language language, enum exp_phrase phrase,
                            const char *const *args)
{
    const char *text = exp_phrase(language, phrase);
    int n_args = 0;
    size_t room = strlen(text) + 1, n = 0;
    while (args[n_args]) n_args++;
    for (const char *at = text; *at; at++) {
        int i = argument_at(at);
        SIM_CHECK(i < n_args);
        if (i >= 0) room += strlen(args[i]);
    }
    char *out = sim_arena_alloc(arena, room, 1);
    for (const char *at = text; *at;) {
        int i = argument_at(at);
        size_t length = i < 0 ? 1 : strlen(args[i]);
        memcpy(out + n, i < 0 ? at : args[i], length);
        n += length;
        at += i < 0 ? 1 : 3;
    }
    return out;
}

/* ---- names ---- */

static const char *const terms[][N_LANGUAGES] = {
    /* how to get it */
    {"buy", "購入"},
    {"rent", "賃借"},
    {"mix", "併用"},
    {"keep", "継続"},
    /* costs */
    {"servers", "サーバー"},
    {"host memory", "ホストメモリ"},
    {"integration", "組み込み"},
    {"power", "電力"},
    {"space", "設置"},
    {"maintenance", "保守"},
    {"operations", "運用"},
    {"missed SLOs", "SLA未達"},
    {"failing answers", "誤答"},
    {"managed API", "マネージドAPI"},
    {"do nothing", "現状のまま"},
    /* what is not known exactly */
    {"matrix products", "行列積"},
    {"prefill attention kernels", "プリフィル注意カーネル"},
    {"decode attention kernels", "デコード注意カーネル"},
    {"all-reduce between GPUs", "GPU間all-reduce"},
    {"elementwise kernels", "要素演算カーネル"},
    {"speed of the serving engine", "推論エンジンの速度"},
    {"rates and efficiencies of the KV strategy", "KV方式の比率と効率"},
    {"host link and submission", "ホストリンクと投入"},
    {"length of outputs", "出力の長さ"},
    {"growth of the load", "負荷の成長"},
    {"price of servers", "サーバー価格"},
    {"price of renting", "賃借価格"},
    {"price of power", "電力価格"},
    {"cost of failures and misses", "誤答と未達の費用"},
    {"speed of the baseline", "基準構成の速度"},
    /* stress */
    {"misses at p99", "ミス率がp99"},
    {"misses at 1", "ミス率が1"},
    {"lengths at p90", "出力長がp90"},
    {"one server lost", "サーバー1台喪失"},
    {"host link halved", "ホストリンク半減"},
    {"all together", "すべて同時"},
};

const char *exp_term(enum exp_language language, const char *english)
{
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        if (strcmp(terms[i][EXP_ENGLISH], english) == 0) return terms[i][language];
    return english;
}
