#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "kernels/kvbench/cli.h"
#include "kernels/kvbench/command.h"
#include "kernels/kvbench/util.h"
#include "kernels/probe.h"

enum { KEY_JSON = 0x100, KEY_DEVICE };

struct arguments {
    const char *device;
    bool json;
};

static const struct argp_option options[] = {
    {"device", KEY_DEVICE, "NAME", 0, KVB_DEVICE_HELP, 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of lines", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_DEVICE:
        a->device = arg;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, KVB_EXIT_USAGE, 0, "too many arguments: `%s`, expected none", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options, parse,
    NULL,    "Lists kernels, probes, devices, families and suites, and what is not available here.",
    NULL,    NULL,
    NULL};

/* {name, family, help, available, why} */
static json_t *entry(const char *name, const char *family, const char *help, const char *why)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s}", "name", name, "family", family, "help", help, "available",
                     !*why, "why", why);
}

static json_t *list_kernels(const struct kb_device *d)
{
    json_t *list = json_array();
    for (int i = 0; i < KB_N_KERNEL; i++) {
        const struct kb_kernel *k = kb_kernels[i];
        if (!k) continue;
        json_array_append_new(list,
                              entry(k->name, k->family, k->help, d->kernel[i] ? "" : "not on this device"));
    }
    return list;
}

/* A probe is available when the first point of its quick grid can begin; any small model will do to ask. */
static json_t *list_probes(struct kb_device *d)
{
    static const struct kb_model model = {.name = "small",
                                          .hidden = 512,
                                          .intermediate = 1536,
                                          .vocab = 32768,
                                          .n_layers = 2,
                                          .n_q_heads = 8,
                                          .n_kv_heads = 2,
                                          .head_dim = 64,
                                          .tensor_parallel = 1,
                                          .gated_mlp = true,
                                          .rope_theta = 10000};
    json_t *list = json_array();
    struct kb_grid none = {
        .suite = KB_SUITE_QUICK, .model = model, .device = d->info, .cpu = strcmp(d->kind, "cpu") == 0};
    for (int i = 0; kb_probes[i]; i++) {
        const struct kb_probe *p = kb_probes[i];
        struct kb_error why = {""};
        struct kb_grid g = none;
        p->grid(&g);
        void *state = g.n ? p->begin(d, g.shape[0], &why) : NULL;
        if (state) p->end(state);
        if (!state && !why.text[0]) kb_fail(&why, "not on this device");
        json_array_append_new(list, entry(p->name, p->family, p->help, state ? "" : why.text));
        kb_grid_free(&g);
    }
    return list;
}

static json_t *device_entry(const char *name, struct kb_device *d, const char *why)
{
    return json_pack("{s:s, s:s, s:b, s:s}", "name", name, "help", d ? d->info.name : "", "available",
                     d != NULL, "why", why);
}

static json_t *list_devices(void)
{
    enum { MOST = 64 };
    json_t *list = json_array();
    struct kb_error why = {""};
    struct kb_device *d = kb_device_open("cpu", &why);
    json_array_append_new(list, device_entry("cpu", d, why.text));
    for (int i = 0; i < MOST; i++) {
        char name[16];
        snprintf(name, sizeof name, "cuda:%d", i);
        kb_device_close(d);
        d = kb_device_open(name, &why);
        if (d || i == 0) json_array_append_new(list, device_entry(name, d, d ? "" : why.text));
        if (!d) break;
    }
    kb_device_close(d);
    return list;
}

static json_t *list_words(const char *const *words)
{
    json_t *list = json_array();
    for (int i = 0; words[i]; i++) json_array_append_new(list, json_string(words[i]));
    return list;
}

static void print_section(const char *title, const json_t *list)
{
    size_t i;
    json_t *e;
    printf("%s\n", title);
    json_array_foreach(list, i, e)
    {
        const char *why = json_string_value(json_object_get(e, "why"));
        const char *family = json_string_value(json_object_get(e, "family"));
        printf("  %-18s %-9s %s%s%s\n", json_string_value(json_object_get(e, "name")), family ? family : "",
               json_string_value(json_object_get(e, "help")), *why ? "  NOT AVAILABLE: " : "", why);
    }
}

static void print_text(const json_t *all)
{
    print_section("kernels", json_object_get(all, "kernels"));
    print_section("probes", json_object_get(all, "probes"));
    print_section("devices", json_object_get(all, "devices"));
    puts("families\n  ceiling gemm prefill decode compress choose move small\n"
         "suites\n  quick              60 s, on the cpu device too\n"
         "  full               450 s on one GPU");
}

bool kvb_cmd_list(int argc, char **argv, struct kb_error *err)
{
    static const char *const families[] = {"ceiling", "gemm", "prefill", "decode", "compress",
                                           "choose",  "move", "small",   NULL};
    static const char *const suites[] = {"quick", "full", NULL};
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct kb_device *d = kvb_device_open(a.device, err);
    if (!d) return false;
    json_t *all = json_object();
    json_object_set_new(all, "kernels", list_kernels(d));
    json_object_set_new(all, "probes", list_probes(d));
    kb_device_close(d);
    json_object_set_new(all, "devices", list_devices());
    json_object_set_new(all, "families", list_words(families));
    json_object_set_new(all, "suites", list_words(suites));
    if (a.json) {
        char *text = json_dumps(all, JSON_INDENT(2));
        puts(text);
        free(text);
    } else {
        print_text(all);
    }
    json_decref(all);
    return true;
}
