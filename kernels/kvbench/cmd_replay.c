#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kvbench/arch.h"
#include "kernels/kvbench/cli.h"
#include "kernels/kvbench/command.h"
#include "kernels/kvbench/progress.h"
#include "kernels/kvbench/replay.h"
#include "kernels/kvbench/stats.h"
#include "kernels/kvbench/util.h"
#include "kernels/kvbench/version.h"

enum {
    KEY_DEVICE = 0x100,
    KEY_MODEL,
    KEY_KV,
    KEY_GRAPH,
    KEY_REPEAT,
    KEY_LAYERS,
    KEY_MAX_STEPS,
    KEY_TP,
    KEY_PAGE_TOKENS,
    KEY_BREAKDOWN
};

struct arguments {
    const char *plan, *device, *model, *kv, *out;
    uint32_t repeats, layers, tensor_parallel, page_tokens;
    uint64_t max_steps;
    bool graph, breakdown;
};

static const struct argp_option options[] = {
    {"model", KEY_MODEL, "NAME", 0, "a name of models/catalogue or a config.json (required)", 0},
    {"kv", KEY_KV, "STRATEGY", 0,
     "how keys and values are kept (required): full (or bf16), fp8, int8, int4, kivi4, kivi2, streaming_llm",
     0},
    {"graph", KEY_GRAPH, "on|off", 0,
     "decode-only steps as a captured graph (default: off; on is not possible yet)", 0},
    {"repeat", KEY_REPEAT, "N", 0, "execute the whole plan N times (default: 1)", 0},
    {"layers", KEY_LAYERS, "K", 0,
     "layers with weights and KV of their own, cycled through the model's depth (default: so many that they "
     "are 8 "
     "times the cache)",
     0},
    {"max-steps", KEY_MAX_STEPS, "N", 0, "only the first N steps (default: all)", 0},
    {"tensor-parallel", KEY_TP, "N", 0, "one rank's shapes of N, without all-reduce (default: 1)", 0},
    {"page-tokens", KEY_PAGE_TOKENS, "N", 0, "tokens of a KV page (default: 16; KIVI 32)", 0},
    {"breakdown", KEY_BREAKDOWN, NULL, 0, "wait after every operator and time each family; slower in sum", 0},
    {"out", 'o', "FILE", 0, "write the CSV there, and FILE.yaml beside it (default: standard output)", 0},
    {"device", KEY_DEVICE, "NAME", 0, KVB_DEVICE_HELP, 0},
    {0},
};

static void parse_graph(struct arguments *a, const char *arg, struct argp_state *state)
{
    static const char *const words[] = {"off", "on", NULL};
    a->graph = kvb_cli_choice(state, "--graph", arg, words) == 1;
}

static void check_end(const struct arguments *a, struct argp_state *state)
{
    if (!a->plan)
        argp_failure(state, KVB_EXIT_USAGE, 0, "no PLAN.csv given; kvsim run --export-plan writes one");
    if (!a->model) argp_failure(state, KVB_EXIT_USAGE, 0, "no --model given");
    if (!a->kv) argp_failure(state, KVB_EXIT_USAGE, 0, "no --kv given");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_MODEL:
        a->model = arg;
        return 0;
    case KEY_KV:
        a->kv = arg;
        return 0;
    case KEY_GRAPH:
        parse_graph(a, arg, state);
        return 0;
    case KEY_REPEAT:
        a->repeats = (uint32_t)kvb_cli_count(state, "--repeat", arg, 1, 1000);
        return 0;
    case KEY_LAYERS:
        a->layers = (uint32_t)kvb_cli_count(state, "--layers", arg, 1, 1024);
        return 0;
    case KEY_MAX_STEPS:
        a->max_steps = kvb_cli_count(state, "--max-steps", arg, 1, UINT64_MAX);
        return 0;
    case KEY_TP:
        a->tensor_parallel = (uint32_t)kvb_cli_count(state, "--tensor-parallel", arg, 1, 64);
        return 0;
    case KEY_PAGE_TOKENS:
        a->page_tokens = (uint32_t)kvb_cli_count(state, "--page-tokens", arg, 1, 1024);
        return 0;
    case KEY_BREAKDOWN:
        a->breakdown = true;
        return 0;
    case 'o':
        if (!*arg) argp_failure(state, KVB_EXIT_USAGE, 0, "--out is empty, expected a file");
        a->out = arg;
        return 0;
    case KEY_DEVICE:
        a->device = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->plan)
            argp_failure(state, KVB_EXIT_USAGE, 0, "too many arguments: `%s`, expected one plan", arg);
        a->plan = arg;
        return 0;
    case ARGP_KEY_END:
        check_end(a, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "PLAN.csv",
    "Executes the batches of a plan with this program's kernels and writes how long each step took: step, "
    "replica, "
    "repeat, measured_s (from the first launch to the end of the last, host clock), prepare_s (upload of "
    "lengths and "
    "page tables, before that), seqs, new_tokens, kv_tokens; with --breakdown seconds per family.\v"
    "Lengths, chunks, evictions and recalls are the plan's. Prompts attend to bf16 keys and values whatever "
    "--kv says, as "
    "engines do that quantise behind attention. Embedding, all-reduce and sampling beyond the largest logit "
    "are "
    "left out.",
    NULL,
    NULL,
    NULL};

/* --- strategies --- */

static bool choose_format(const char *kv, struct kvb_engine_options *o, struct kb_error *err)
{
    if (strcmp(kv, "full") == 0) kv = "bf16";
    o->window = strcmp(kv, "streaming_llm") == 0;
    if (kb_format_parse(o->window ? "bf16" : kv, &o->format)) return true;
    return kb_fail(
        err, "--kv %.40s cannot be replayed: expected full, fp8, int8, int4, kivi4, kivi2 or streaming_llm",
        kv);
}

static bool choose_pages(uint32_t asked, struct kvb_engine_options *o, struct kb_error *err)
{
    enum { PAGE = 16, GROUP = 32 };
    bool kivi = o->format == KB_KIVI4 || o->format == KB_KIVI2;
    o->page_tokens = asked ? asked : kivi ? GROUP : PAGE;
    return !kivi || o->page_tokens % GROUP == 0 ||
           kb_fail(err, "--page-tokens is %u, expected a multiple of %d for KIVI", o->page_tokens, GROUP);
}

static bool set_up(const struct arguments *a, struct kvb_replay_options *o, struct kb_error *err)
{
    *o = (struct kvb_replay_options){.repeats = a->repeats, .max_steps = a->max_steps};
    o->engine.n_distinct_layers = a->layers;
    o->engine.breakdown = a->breakdown;
    if (a->graph)
        return kb_fail(
            err, "--graph on is not possible yet: steps are launched one kernel after the other; leave it "
                 "out or say off");
    return choose_format(a->kv, &o->engine, err) && choose_pages(a->page_tokens, &o->engine, err) &&
           kvb_arch_load(a->model, a->tensor_parallel, &o->engine.model, err);
}

/* --- results --- */

struct output {
    FILE *f;
    bool breakdown;
    struct kvb_replay_facts facts;
    struct kvb_progress progress;
    uint32_t repeats;
    uint64_t n_written;
    double *measured; /* [repeats][n_steps] */
    double total_s;
};

static void write_header(const struct output *o)
{
    fputs("step,replica,repeat,measured_s,prepare_s,seqs,new_tokens,kv_tokens", o->f);
    if (o->breakdown) fputs(",gemm_s,attention_s,append_s,recall_s,other_s", o->f);
    fputc('\n', o->f);
}

static bool write_step(void *user, const struct kvb_plan_step *step, const struct kvb_batch *b,
                       uint32_t repeat, const struct kvb_step_time *time)
{
    struct output *o = user;
    if (!o->measured) {
        write_header(o);
        o->measured = kvb_alloc(o->facts.n_steps * o->repeats, sizeof *o->measured);
        o->progress = kvb_progress_begin("replay", "steps", o->facts.n_steps * o->repeats, 0);
    }
    fprintf(o->f, "%llu,%u,%u,%.9g,%.9g,%u,%u,%llu", (unsigned long long)step->step, step->replica, repeat,
            time->measured_s, time->prepare_s, b->n_seqs, b->n_tokens,
            (unsigned long long)b->n_decode_tokens);
    for (int i = 0; o->breakdown && i < KVB_N_PARTS; i++) fprintf(o->f, ",%.9g", time->part_s[i]);
    fputc('\n', o->f);
    o->measured[o->n_written++] = time->measured_s;
    o->total_s += time->measured_s;
    kvb_progress_show(&o->progress, o->n_written, "");
    return !ferror(o->f);
}

static uint64_t n_whole_passes(const struct output *o)
{
    return o->facts.n_steps ? o->n_written / o->facts.n_steps : 0;
}

/* Median over steps of (slowest - fastest repeat) / fastest, of whole passes; there are two at least. */
static double noise(const struct output *o)
{
    uint64_t n_steps = o->facts.n_steps, n_full = n_whole_passes(o);
    double *range = kvb_alloc(n_steps, sizeof *range);
    for (uint64_t i = 0; i < n_steps; i++) {
        double least = o->measured[i], most = o->measured[i];
        for (uint64_t r = 1; r < n_full; r++) {
            double x = o->measured[r * n_steps + i];
            if (x < least) least = x;
            if (x > most) most = x;
        }
        range[i] = most / least - 1;
    }
    double median = kvb_stats_of(range, (uint32_t)n_steps).median;
    free(range);
    return median;
}

static void yaml_line(FILE *f, const char *key, const char *text)
{
    fprintf(f, "%s: ", key);
    kvb_yaml_text(f, text);
    fputc('\n', f);
}

static bool write_facts(const struct arguments *a, const struct kvb_replay_options *r,
                        const struct kb_device *d, const struct output *o, struct kb_error *err)
{
    struct kvb_file file;
    const struct kb_model *m = &r->engine.model;
    char *path = kvb_printf("%s.yaml", a->out);
    bool ok = kvb_file_begin(&file, path, err);
    free(path);
    if (!ok) return false;
    fputs("format: 1\nstage: kvbench-replay\nkvbench: \"" KVB_VERSION "\"\n", file.f);
    yaml_line(file.f, "device", d->kind);
    yaml_line(file.f, "name", d->info.name);
    yaml_line(file.f, "driver", d->info.driver);
    yaml_line(file.f, "date", kvb_date_now().text);
    yaml_line(file.f, "plan", a->plan);
    yaml_line(file.f, "model", m->name);
    yaml_line(file.f, "kv", a->kv);
    fprintf(file.f, "tensor_parallel: %u\nlayers: %u\ndistinct_layers: %u\n", m->tensor_parallel, m->n_layers,
            o->facts.distinct_layers);
    fprintf(file.f, "page_tokens: %u\npool_pages: %u\ndevice_bytes: %llu\ngraph: false\nbreakdown: %s\n",
            r->engine.page_tokens, o->facts.n_pages, (unsigned long long)o->facts.bytes,
            a->breakdown ? "true" : "false");
    fprintf(file.f, "steps: %zu\nrepeats: %u\nrows: %llu\ncomplete: %s\n", o->facts.n_steps, r->repeats,
            (unsigned long long)o->n_written,
            o->n_written == o->facts.n_steps * r->repeats ? "true" : "false");
    fprintf(file.f, "measured_s: %.9g\n", o->total_s);
    if (n_whole_passes(o) > 1) fprintf(file.f, "repeat_noise_frac: %.4g\n", noise(o));
    fputs("left_out: [embedding, all_reduce, sampling beyond the largest logit]\n", file.f);
    return kvb_file_commit(&file, err);
}

static void tell(const struct output *o)
{
    fprintf(stderr, "%llu steps in %.3f s; %u distinct layers, %.3g GB on the device",
            (unsigned long long)o->n_written, o->total_s, o->facts.distinct_layers,
            (double)o->facts.bytes / 1e9);
    if (n_whole_passes(o) > 1)
        fprintf(stderr, "; the slowest repeat of a step takes %.1f %% longer than its fastest (median)",
                100 * noise(o));
    fputc('\n', stderr);
}

static void note_corrections(const struct kvb_plan *p)
{
    for (size_t i = 0; i < p->n_rows; i++)
        if (p->row[i].corrected_heads) {
            fputs("note: corrected_heads is not executed apart: all recalled pages are waited for\n", stderr);
            return;
        }
}

/* --- the command --- */

static bool replay_to(const struct arguments *a, const struct kvb_replay_options *r, struct kb_device *d,
                      const struct kvb_plan *plan, struct kb_error *err)
{
    struct kvb_file file = {0};
    if (a->out && !kvb_file_begin(&file, a->out, err)) return false;
    struct output o = {.f = a->out ? file.f : stdout, .breakdown = a->breakdown, .repeats = r->repeats};
    bool ok = kvb_replay(d, plan, r, &o.facts, write_step, &o, err);
    kvb_progress_end(&o.progress);
    if (!ok && ferror(o.f))
        kb_fail(err, "%s: cannot be written (%s)", a->out ? a->out : "standard output", strerror(errno));
    if (ok) tell(&o);
    if (ok && a->out) ok = kvb_file_commit(&file, err) && write_facts(a, r, d, &o, err);
    if (ok && kvb_interrupted())
        ok = kb_fail(err, "kvbench replay: interrupted after %llu steps, which are kept",
                     (unsigned long long)o.n_written);
    if (file.path) kvb_file_abandon(&file);
    free(o.measured);
    return ok;
}

bool kvb_cmd_replay(int argc, char **argv, struct kb_error *err)
{
    struct arguments a = {.repeats = 1, .tensor_parallel = 1, .max_steps = UINT64_MAX};
    struct kvb_replay_options r;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (!set_up(&a, &r, err)) return false;
    struct kvb_plan *plan = kvb_plan_read(a.plan, err);
    if (!plan) return false;
    note_corrections(plan);
    kvb_interrupt_catch();
    struct kb_device *d = kvb_device_open(a.device, err);
    bool ok = d && replay_to(&a, &r, d, plan, err);
    kb_device_close(d);
    kvb_plan_free(plan);
    return ok;
}
