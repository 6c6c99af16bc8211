#include "kernels/kvbench/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kvbench/util.h"
#include "kernels/probe.h"

uint64_t kvb_cli_count(const struct argp_state *state, const char *option, const char *text, uint64_t lo,
                       uint64_t hi)
{
    errno = 0;
    uint64_t value = strtoull(text, NULL, 10);
    bool whole = *text && strspn(text, "0123456789") == strlen(text) && errno == 0;
    if (!whole || value < lo || value > hi)
        argp_failure(state, KVB_EXIT_USAGE, 0, "%s is `%.40s`, expected a whole number from %llu to %llu",
                     option, text, (unsigned long long)lo, (unsigned long long)hi);
    return value;
}

double kvb_cli_real(const struct argp_state *state, const char *option, const char *text, double lo,
                    double hi)
{
    char *end;
    double value = strtod(text, &end);
    bool number = *text && strspn(text, "+-.0123456789eE") == strlen(text) && !*end;
    if (!number || !(value >= lo && value <= hi))
        argp_failure(state, KVB_EXIT_USAGE, 0, "%s is `%.40s`, expected a number from %g to %g", option, text,
                     lo, hi);
    return value;
}

int kvb_cli_choice(const struct argp_state *state, const char *option, const char *text,
                   const char *const *choices)
{
    char expected[200] = "";
    size_t n = 0;
    for (int i = 0; choices[i]; i++) {
        if (strcmp(choices[i], text) == 0) return i;
        if (n < sizeof expected)
            n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%s", i ? ", " : "", choices[i]);
    }
    argp_failure(state, KVB_EXIT_USAGE, 0, "%s is `%.40s`, expected one of: %s", option, text, expected);
    return 0;
}

static bool is_word(const char *word, size_t n, const char *name)
{
    return strlen(name) == n && memcmp(word, name, n) == 0;
}

bool kvb_is_wanted(const char *only, const char *name, const char *family)
{
    if (!only) return true;
    for (const char *word = only; *word;) {
        size_t n = strcspn(word, ",");
        if (is_word(word, n, name) || is_word(word, n, family)) return true;
        word += n + (word[n] == ',');
    }
    return false;
}

static bool is_known(const char *word)
{
    for (int i = 0; i < KB_N_KERNEL; i++)
        if (kb_kernels[i] && kvb_is_wanted(word, kb_kernels[i]->name, kb_kernels[i]->family)) return true;
    for (int i = 0; kb_probes[i]; i++)
        if (kvb_is_wanted(word, kb_probes[i]->name, kb_probes[i]->family)) return true;
    return false;
}

void kvb_cli_only(const struct argp_state *state, const char *text)
{
    const char *word = text;
    do {
        size_t n = strcspn(word, ",");
        char *one = kvb_printf("%.*s", (int)n, word);
        if (!is_known(one))
            argp_failure(
                state, KVB_EXIT_USAGE, 0,
                "--only is `%.40s`, expected kernels, probes or families (kvbench list), with commas between",
                text);
        free(one);
        word += n + (word[n] == ',');
    } while (*word);
}

struct kb_device *kvb_device_open(const char *name, struct kb_error *err)
{
    struct kb_device *d = kb_device_open(name ? name : "cuda:0", err);
    if (!d && !name) {
        fprintf(stderr, "no GPU (%s), taking the processor\n", err->text);
        d = kb_device_open("cpu", err);
    }
    if (d) fprintf(stderr, "device %s: %s, %s\n", d->kind, d->info.name, d->info.driver);
    return d;
}

char *kvb_shape_text(const char *const *keys, const uint32_t *shape)
{
    char room[32], *text = kvb_printf("%s", "");
    for (uint32_t i = 0; keys[i]; i++) {
        char *longer =
            kvb_printf("%s%s%s=%s", text, i ? " " : "", keys[i], kb_key_text(keys[i], shape[i], room));
        free(text);
        text = longer;
    }
    return text;
}
