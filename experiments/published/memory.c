/* Study memory: what one sequence holds under every strategy, beside the closed forms of the papers and the sizes that
 * they print. A form is a sum of terms, tokens x bytes a token; in pages, each term takes whole ones. All in bytes
 * of one GPU, the prompt just computed. */
#include "experiments/published/list.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch.h"
#include "models/kvrule.h"
#include "sim/memory.h"

enum { MOST_TERMS = 6, BLOCK_TOKENS = 16, MOST_LENGTH = 32768, SHOWN_LENGTH = 32768 };

/* ---- closed forms ---- */

struct term {
    enum sim_kv_place place;
    double token_bytes, tokens;
    double page;    /* tokens of a page */
    double in_page; /* tokens that hold pages: `tokens`, but where pages wait to be filled */
};

struct form {
    struct term term[MOST_TERMS];
    int n;
};

static void add(struct form *f, enum sim_kv_place place, double token_bytes, double tokens, double page)
{
    f->term[f->n++] = (struct term){place, token_bytes, tokens, page, tokens};
}

static double v(const struct mdl_kv_use *u, enum mdl_kv_key key)
{
    return u->value[key];
}

/* kvtok = 2 nkv d s nl */
static double kvtok(const struct mdl_kv_use *u)
{
    return 2.0 * u->kv_heads * u->head_dim * 2 * u->n_layers;
}

static void full(const struct mdl_kv_use *u, double L, struct form *f)
{
    add(f, SIM_KV_GPU, kvtok(u), L, u->block_size);
}

static void swap(const struct mdl_kv_use *u, double L, struct form *f)
{
    full(u, L, f);
    add(f, SIM_KV_HOST, kvtok(u), L, u->block_size);
}

/* The GPU holds the layer that computes and the one that is fetched ahead. */
static void offload(const struct mdl_kv_use *u, double L, struct form *f)
{
    add(f, SIM_KV_GPU, kvtok(u) / u->n_layers * (1 + v(u, MDL_KV_BY_LAYER)), L, u->block_size);
    add(f, SIM_KV_HOST, kvtok(u), L, v(u, MDL_KV_PAGE));
}

/* nl 2 nkv (d bits / 8 + 4) */
static double per_token_codes(const struct mdl_kv_use *u, double bits)
{
    return u->n_layers * 2.0 * u->kv_heads * (u->head_dim * bits / 8 + 4);
}

static void tiered(const struct mdl_kv_use *u, double L, struct form *f)
{
    double recent = fmin(L, v(u, MDL_KV_RECENT)), hot = v(u, MDL_KV_HOT_FRAC), page = v(u, MDL_KV_PAGE);
    add(f, SIM_KV_GPU, kvtok(u), recent, page);
    add(f, SIM_KV_GPU, hot * kvtok(u) + (1 - hot) * per_token_codes(u, v(u, MDL_KV_COLD_BITS)), L - recent,
        page);
}

static void fp8(const struct mdl_kv_use *u, double L, struct form *f)
{
    add(f, SIM_KV_GPU, kvtok(u) / 2, L, u->block_size);
}

static void int8(const struct mdl_kv_use *u, double L, struct form *f)
{
    add(f, SIM_KV_GPU, per_token_codes(u, 8), L, u->block_size);
}

static void int4(const struct mdl_kv_use *u, double L, struct form *f)
{
    add(f, SIM_KV_GPU, per_token_codes(u, 4), L, u->block_size);
}

/* nl nkv d [(bits / 8 + 4 / G) ((L - r_K) + (L - r_V)) + 2 (r_K + r_V)], r_K = L mod R, r_V = min(L, R); beside each
 * code, GEAR's `extra`. The window's pages stay while few keys wait in them. */
static void grouped(const struct mdl_kv_use *u, double L, double extra, struct form *f)
{
    double side = (double)u->n_layers * u->kv_heads * u->head_dim, R = v(u, MDL_KV_RESIDUAL),
           page = v(u, MDL_KV_PAGE);
    double code = side * (v(u, MDL_KV_BITS) / 8 + 4 / v(u, MDL_KV_GROUP)) + extra;
    double keys = fmod(L, R), values = fmin(L, R);
    add(f, SIM_KV_GPU, code, L - keys, R);
    add(f, SIM_KV_GPU, code, L - values, page);
    add(f, SIM_KV_GPU, 2 * side, keys, page);
    f->term[f->n - 1].in_page = values;
    add(f, SIM_KV_GPU, 2 * side, values, page);
}

static void kivi(const struct mdl_kv_use *u, double L, struct form *f)
{
    grouped(u, L, 0, f);
}

/* Low rank, of each head's error over R tokens: rho (R + d) 2 bytes for R of them; outliers: s elements of 2 + 4. */
static void gear(const struct mdl_kv_use *u, double L, struct form *f)
{
    double d = u->head_dim, R = v(u, MDL_KV_RESIDUAL), rank = ceil(v(u, MDL_KV_RANK_FRAC) * d);
    grouped(u, L, u->n_layers * (double)u->kv_heads * (rank * (R + d) * 2 / R + v(u, MDL_KV_OUTLIER) * d * 6),
            f);
}

/* r numbers of 2 bytes for a token's keys and for its values on each layer, r directions of D, a rebuilt layer. */
static void lowrank(const struct mdl_kv_use *u, double L, struct form *f)
{
    double D = (double)u->kv_heads * u->head_dim, r = ceil(v(u, MDL_KV_RANK_FRAC) * D);
    add(f, SIM_KV_GPU, 2.0 * u->n_layers * r * 2, L, u->block_size);
    add(f, SIM_KV_GPU, 2.0 * u->n_layers * r * D * 2, 1, 1);
    if (!mdl_kv_on(u, MDL_KV_FUSED)) add(f, SIM_KV_GPU, kvtok(u) / u->n_layers, L, u->block_size);
}

static void budgeted(const struct mdl_kv_use *u, double L, struct form *f)
{
    add(f, SIM_KV_GPU, kvtok(u), fmin(L, v(u, MDL_KV_BUDGET)), u->block_size);
}

static void razor(const struct mdl_kv_use *u, double L, struct form *f)
{
    double rho = v(u, MDL_KV_FULL_HEADS);
    add(f, SIM_KV_GPU, rho * kvtok(u), L, u->block_size);
    add(f, SIM_KV_GPU, (1 - rho) * kvtok(u), fmin(L, v(u, MDL_KV_SINK) + v(u, MDL_KV_RECENT)), u->block_size);
}

/* A score of 4 bytes for each token kept, KV head and layer. */
static void h2o(const struct mdl_kv_use *u, double L, struct form *f)
{
    budgeted(u, L, f);
    add(f, SIM_KV_GPU, 4.0 * u->kv_heads * u->n_layers, fmin(L, v(u, MDL_KV_BUDGET)), u->block_size);
}

/* Minimum and maximum of a page's keys take a token's keys and values. */
static void raas(const struct mdl_kv_use *u, double L, struct form *f)
{
    double kept = fmin(L, v(u, MDL_KV_BUDGET)), page = v(u, MDL_KV_PAGE);
    add(f, SIM_KV_GPU, kvtok(u), kept, page);
    add(f, SIM_KV_GPU, kvtok(u) / page, kept, page);
}

static void quest(const struct mdl_kv_use *u, double L, struct form *f)
{
    double page = v(u, MDL_KV_PAGE);
    add(f, SIM_KV_GPU, kvtok(u), L, page);
    add(f, SIM_KV_GPU, kvtok(u) / page, L, page);
}

/* Managed layers: `kept` tokens and digests of all on the GPU, all tokens on the host; the first layers dense. */
static void arkvale(const struct mdl_kv_use *u, double L, struct form *f)
{
    double dense = fmin(v(u, MDL_KV_SKIP_LAYERS), u->n_layers), layer = kvtok(u) / u->n_layers,
           page = v(u, MDL_KV_PAGE);
    double managed = layer * (u->n_layers - dense);
    add(f, SIM_KV_GPU, managed, fmin(L, v(u, MDL_KV_BUDGET)), page);
    if (dense > 0) add(f, SIM_KV_GPU, layer * dense, L, page);
    add(f, SIM_KV_GPU, managed / page, L, page);
    add(f, SIM_KV_HOST, managed, L, page);
}

static void freekv(const struct mdl_kv_use *u, double L, struct form *f)
{
    arkvale(u, L, f); /* of its own budget; all layers managed */
}

/* A share of the keys' columns, and room for what one layer fetches. */
static void infinigen(const struct mdl_kv_use *u, double L, struct form *f)
{
    add(f, SIM_KV_GPU, v(u, MDL_KV_PARTIAL_FRAC) * kvtok(u) / 2, L, u->block_size);
    add(f, SIM_KV_GPU, v(u, MDL_KV_FETCH_FRAC) * kvtok(u) / u->n_layers, L, u->block_size);
    add(f, SIM_KV_HOST, kvtok(u), L, u->block_size);
}

/* Keys: r numbers of 2 bytes a token and layer and r directions of D, a landmark per chunk, outliers as they are. Values:
 * the budget, the rest on the host. */
static void shadowkv(const struct mdl_kv_use *u, double L, struct form *f)
{
    double r = v(u, MDL_KV_RANK), chunk = v(u, MDL_KV_CHUNK), D = (double)u->kv_heads * u->head_dim;
    double outliers = chunk * round(v(u, MDL_KV_OUTLIER) * v(u, MDL_KV_BUDGET) / chunk);
    add(f, SIM_KV_GPU, r * 2 * u->n_layers, L, chunk);
    add(f, SIM_KV_GPU, r * 2 * u->n_layers * D, 1, 1);
    add(f, SIM_KV_GPU, kvtok(u) / 2 / chunk, L, chunk);
    add(f, SIM_KV_GPU, kvtok(u), fmin(L, outliers), chunk);
    add(f, SIM_KV_GPU, kvtok(u) / 2, fmin(L, v(u, MDL_KV_BUDGET)), chunk);
    add(f, SIM_KV_HOST, kvtok(u) / 2, L, chunk);
}

static const struct {
    const char *strategy;
    void (*form)(const struct mdl_kv_use *u, double L, struct form *f);
} forms[] = {{"full", full},
             {"swap", swap},
             {"offload", offload},
             {"tiered", tiered},
             {"fp8", fp8},
             {"int8", int8},
             {"int4", int4},
             {"kivi4", kivi},
             {"kivi2", kivi},
             {"gear4", gear},
             {"gear2", gear},
             {"lowrank", lowrank},
             {"streaming_llm", budgeted},
             {"razor", razor},
             {"h2o", h2o},
             {"snapkv", budgeted},
             {"pyramidkv", budgeted},
             {"raas", raas},
             {"quest", quest},
             {"arkvale", arkvale},
             {"freekv", freekv},
             {"infinigen", infinigen},
             {"shadowkv", shadowkv}};
enum { N_FORMS = sizeof forms / sizeof *forms };

static double unrounded(const struct form *f, enum sim_kv_place place)
{
    double sum = 0;
    for (int i = 0; i < f->n; i++)
        if (f->term[i].place == place) sum += f->term[i].token_bytes * f->term[i].tokens;
    return sum;
}

/* Pages are whole bytes. *pages: how many. */
static double rounded(const struct form *f, enum sim_kv_place place, double *pages)
{
    double sum = 0;
    *pages = 0;
    for (int i = 0; i < f->n; i++) {
        const struct term *t = &f->term[i];
        if (t->place != place) continue;
        double n = ceil(t->in_page / t->page);
        sum += n * ceil(t->token_bytes * t->page);
        *pages += n;
    }
    return sum;
}

/* ---- comparing ---- */

static const char *const models[] = {"llama-2-7b", "llama-3.1-8b", "qwen2.5-7b", "llama-3.1-70b",
                                     "qwen2.5-14b"};
/* KiB a token. source: 2 nkv d s nl of the published configurations. */
static const double token_kib[] = {512, 128, 56, 320, 192};
static const uint32_t lengths[] = {1, 100, 512, 513, 2048, 4096, 10007, 32768};
enum { N_MODELS = sizeof models / sizeof *models, N_LENGTHS = sizeof lengths / sizeof *lengths };

struct study {
    const struct exp_study_run *run;
    struct mdl_arch arch[N_MODELS];
    double most_apart, most_apart_in_pages; /* bytes */
    uint32_t n;
};

static bool use_of(const struct mdl_arch *arch, const char *strategy, struct mdl_kv_use *u,
                   struct sim_status *st)
{
    double given[MDL_N_KV_KEY];
    const struct mdl_strategy *s = mdl_strategy_find(strategy, st);
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    return s && mdl_kv_use_init(u, s, given, arch, 1, arch->n_layers, BLOCK_TOKENS, st);
}

/* Whole sums are compared exactly; shares of bytes (razor, tiered, gear) to the rounding of doubles. */
static double apart(double a, double b)
{
    double difference = fabs(a - b);
    return difference <= 1e-12 * fabs(b) ? 0 : difference;
}

static void compare(struct study *s, const struct mdl_kv_use *u, const struct mdl_kv_plan *plan, int form,
                    uint32_t length)
{
    struct sim_kv_length at = {length, length};
    struct form f = {.n = 0};
    forms[form].form(u, length, &f);
    for (int place = 0; place < SIM_KV_N_PLACE; place++) {
        enum sim_kv_place where = (enum sim_kv_place)place;
        double pages, closed = unrounded(&f, where), in_pages = rounded(&f, where, &pages);
        double bytes = where == SIM_KV_GPU       ? u->strategy->gpu_bytes(u, at)
                       : u->strategy->host_bytes ? u->strategy->host_bytes(u, at)
                                                 : 0;
        double held = mdl_kv_plan_bytes(plan, where, at);
        double coarse = plan->unit_bytes[where] <= MDL_KV_LEAST_UNIT ? pages * MDL_KV_LEAST_UNIT : 0;
        s->most_apart = fmax(s->most_apart, apart(bytes, closed));
        s->most_apart_in_pages = fmax(
            s->most_apart_in_pages, held < in_pages || held > in_pages + coarse ? apart(held, in_pages) : 0);
        s->n++;
    }
}

static bool compare_all(struct study *s, struct sim_status *st)
{
    for (int m = 0; m < N_MODELS; m++)
        for (int i = 0; i < N_FORMS; i++) {
            struct mdl_kv_use u;
            struct mdl_kv_plan plan;
            if (!use_of(&s->arch[m], forms[i].strategy, &u, st) ||
                !mdl_kv_plan_init(&plan, &u, MOST_LENGTH, st))
                return false;
            for (int l = 0; l < N_LENGTHS; l++) compare(s, &u, &plan, i, lengths[l]);
        }
    return true;
}

/* ---- what is printed ---- */

static void add_row(const struct study *s, const char *group, const char *what, const char *unit,
                    double published, double predicted)
{
    struct exp_published_row row = {.published = published, .predicted = predicted};
    snprintf(row.group, sizeof row.group, "%s", group);
    snprintf(row.what, sizeof row.what, "%s", what);
    snprintf(row.unit, sizeof row.unit, "%s", unit);
    exp_published_row(s->run->out, &row);
}

/* Llama-3.1-8B at 32K, GPU bytes, closed form and strategy. */
static bool show_forms(const struct study *s, struct sim_status *st)
{
    for (int i = 0; i < N_FORMS; i++) {
        struct mdl_kv_use u;
        struct form f = {.n = 0};
        if (!use_of(&s->arch[1], forms[i].strategy, &u, st)) return false;
        forms[i].form(&u, SHOWN_LENGTH, &f);
        add_row(s, "closed forms, llama-3.1-8b at 32K", forms[i].strategy, "MiB",
                unrounded(&f, SIM_KV_GPU) / 0x1p20,
                u.strategy->gpu_bytes(&u, (struct sim_kv_length){SHOWN_LENGTH, SHOWN_LENGTH}) / 0x1p20);
    }
    return true;
}

static void show_tokens(const struct study *s)
{
    for (int m = 0; m < N_MODELS; m++)
        add_row(s, "KV of a token", models[m], "KiB", token_kib[m],
                mdl_arch_kv_byte_per_token(&s->arch[m], MDL_BF16) / 1024);
}

static double gpu_mib(const struct mdl_kv_use *u, uint32_t length)
{
    return u->strategy->gpu_bytes(u, (struct sim_kv_length){length, length}) / 0x1p20;
}

/* Shares of full's bytes: the windows do not count in what papers print. */
static bool show_shares(const struct study *s, struct sim_status *st)
{
    static const struct {
        const char *strategy;
        double share;
    } rows[] = {{"int8", 0.516}, {"int4", 0.266}, {"kivi4", 0.3125}, {"kivi2", 0.1875}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mdl_kv_use u, whole;
        if (!use_of(&s->arch[1], rows[i].strategy, &u, st) || !use_of(&s->arch[1], "full", &whole, st))
            return false;
        if (!isnan(u.value[MDL_KV_RESIDUAL])) u.value[MDL_KV_RESIDUAL] = 0;
        add_row(s, "share of full's bytes", rows[i].strategy, "", rows[i].share,
                gpu_mib(&u, SHOWN_LENGTH) / gpu_mib(&whole, SHOWN_LENGTH));
    }
    return true;
}

/* MiB that one kind of page takes, without rounding. */
static double part_mib(const struct mdl_kv_use *u, const char *what, uint32_t length)
{
    struct mdl_kv_memory m;
    u->strategy->memory(u, &m);
    for (uint32_t i = 0; i < m.n_parts; i++) {
        const struct mdl_kv_part *p = &m.part[i];
        double tokens = p->kept && m.budget < length ? m.budget : length;
        if (strcmp(p->what, what) == 0) return p->page_bytes / p->page_tokens * tokens / 0x1p20;
    }
    return NAN;
}

/* FreeKV, arXiv 2505.13109, and InfiniGen on Llama-3.1-8B at 32K. */
static bool show_examples(const struct study *s, struct sim_status *st)
{
    static const char group[] = "llama-3.1-8b at 32768 tokens, printed";
    struct mdl_kv_use freed, infini, whole;
    if (!use_of(&s->arch[1], "freekv", &freed, st) || !use_of(&s->arch[1], "infinigen", &infini, st) ||
        !use_of(&s->arch[1], "full", &whole, st))
        return false;
    double kept = gpu_mib(&freed, SHOWN_LENGTH), all = gpu_mib(&whole, SHOWN_LENGTH);
    add_row(s, group, "freekv, pages", "MiB", 256, part_mib(&freed, "pages", SHOWN_LENGTH));
    add_row(s, group, "freekv, digests", "MiB", 128, part_mib(&freed, "digests", SHOWN_LENGTH));
    add_row(s, group, "full over freekv", "x", 10.7, all / kept);
    add_row(s, group, "infinigen, partial keys", "MiB", 410, part_mib(&infini, "partial keys", SHOWN_LENGTH));
    return true;
}

/* FreeKV recalls 32 pages of 16 KiB for every head and layer when all that is selected is missing. */
static bool show_recalls(const struct study *s, struct sim_status *st)
{
    static const struct {
        int model;
        double copies, mib;
    } rows[] = {{1, 8192, 128}, {2, 3584, 56}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mdl_kv_use u;
        struct mdl_kv_decode d = {0};
        char what[64];
        if (!use_of(&s->arch[rows[i].model], "freekv", &u, st)) return false;
        u.value[MDL_KV_MISS] = 1;
        u.strategy->decode(&u, &d);
        snprintf(what, sizeof what, "%s, copies", models[rows[i].model]);
        add_row(s, "freekv, a step that misses every page", what, "", rows[i].copies, d.up_copies);
        snprintf(what, sizeof what, "%s, bytes", models[rows[i].model]);
        add_row(s, "freekv, a step that misses every page", what, "MiB", rows[i].mib,
                d.up_copies * d.up_fragment_bytes / 0x1p20);
    }
    return true;
}

static void figure(const struct study *s, const char *name, double bytes)
{
    struct exp_published_figure f = {.group = "closed forms",
                                     .unit = "byte",
                                     .value = bytes,
                                     .goal = bytes > 0 ? EXP_GOAL_MISSED : EXP_GOAL_MET,
                                     .wanted = "0"};
    snprintf(f.name, sizeof f.name, "%s", name);
    exp_published_figure(s->run->out, &f);
}

bool exp_published_memory(const struct exp_study_run *r, struct sim_status *st)
{
    struct study s = {.run = r};
    for (int m = 0; m < N_MODELS; m++)
        if (!mdl_arch_load(r->data_dir, models[m], &s.arch[m], st)) return false;
    if (!compare_all(&s, st) || !show_forms(&s, st) || !show_shares(&s, st)) return false;
    if (!show_examples(&s, st) || !show_recalls(&s, st)) return false;
    show_tokens(&s);
    figure(&s, "largest difference, unrounded", s.most_apart);
    figure(&s, "largest difference, in pages", s.most_apart_in_pages);
    exp_published_figure(
        r->out, &(struct exp_published_figure){.group = "closed forms", .name = "comparisons", .value = s.n});
    exp_published_note(r->out,
                       "%d models x %d strategies x %d lengths of 1 to %d tokens, on the GPU and on the "
                       "host; in pages of %d tokens "
                       "or the strategy's own",
                       N_MODELS, N_FORMS, N_LENGTHS, MOST_LENGTH, BLOCK_TOKENS);
    return true;
}
