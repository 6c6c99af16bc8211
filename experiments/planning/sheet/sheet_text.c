#include <math.h>

#include "experiments/cli.h"
#include "experiments/planning/sheet/sheet_parts.h"

void exp_sheet_init(struct exp_sheet *s, const struct exp_decision *d, const struct exp_sheet_options *o,
                    FILE *out)
{
    *s = (struct exp_sheet){.d = d,
                            .best = d->best == UINT32_MAX ? NULL : &d->row[d->best],
                            .language = o->language,
                            .all = o->all,
                            .page = {.out = out, .markdown = o->markdown, .bold = o->bold},
                            .arena = sim_arena_new()};
}

void exp_sheet_fini(struct exp_sheet *s)
{
    sim_arena_free(s->arena);
}

const char *exp_say(const struct exp_sheet *s, enum exp_phrase phrase)
{
    return exp_phrase(s->language, phrase);
}

const char *exp_say_args(const struct exp_sheet *s, enum exp_phrase phrase, const char *const *args)
{
    return exp_phrase_fill(s->arena, s->language, phrase, args);
}

const char *exp_say_money_like(const struct exp_sheet *s, double value, double like)
{
    double size = fabs(like);
    if (!isfinite(value)) return "?";
    if (size >= 999.5e9) return exp_text(s->arena, "%.3g", value);
    if (size >= 999.5e6) return exp_text(s->arena, "%.2fB", value / 1e9);
    if (size >= 99.5e6) return exp_text(s->arena, "%.0fM", value / 1e6);
    if (size >= 999.5e3) return exp_text(s->arena, "%.2fM", value / 1e6);
    if (size >= 99.5) return exp_text(s->arena, "%s", exp_count_words(value).text);
    if (size >= 0.0995) return exp_text(s->arena, "%.2f", value);
    return value == 0 ? "0" : exp_text(s->arena, "%.2g", value);
}

const char *exp_say_money(const struct exp_sheet *s, double value)
{
    return exp_say_money_like(s, value, value);
}

const char *exp_say_chance(const struct exp_sheet *s, double p)
{
    if (!isfinite(p)) return "?";
    return p > 0.99 ? ">0.99" : p < 0.01 ? "<0.01" : exp_text(s->arena, "%.2f", p);
}

const char *exp_say_row(const struct exp_sheet *s, const struct exp_decision_row *row)
{
    return exp_text(s->arena, "%s TP %u %s", exp_row_gpu(s->arena, row, exp_say(s, EXP_SAY_HAVE)),
                    row->entry->candidate.tensor_parallel, exp_row_strategy(s->arena, row));
}

const char *exp_say_percent(const struct exp_sheet *s, double frac)
{
    if (!isfinite(frac)) return "?";
    if (frac == 0) return "0";
    if (frac > 0 && frac < 0.0005) return "<0.1%";
    return exp_text(s->arena, frac < 0.0995 ? "%.1f%%" : "%.0f%%", 100 * frac);
}

const char *exp_say_error(const struct exp_sheet *s, double log_sd)
{
    double percent = 100 * expm1(fabs(log_sd));
    return exp_text(s->arena, percent < 99.5 ? "+-%.2g %%" : "+-%.0f %%", percent);
}

const char *exp_say_attained(const struct exp_sheet *s, double frac)
{
    if (!isfinite(frac)) return "?";
    return exp_text(s->arena, "%.4g", floor(frac * 1e4 + 1e-6) / 100);
}

const char *exp_say_number(const struct exp_sheet *s, double value)
{
    if (!isfinite(value)) return "?";
    if (fabs(value) >= 999.5) return exp_text(s->arena, "%s", exp_count_words(value).text);
    return exp_text(s->arena, "%.3g", value);
}

const char *exp_say_count(const struct exp_sheet *s, double value)
{
    return isfinite(value) ? exp_text(s->arena, "%s", exp_count_words(value).text) : "?";
}

const char *exp_say_share(const struct exp_sheet *s, double frac)
{
    return isfinite(frac) ? exp_text(s->arena, "%.4g", 100 * frac) : "?";
}
