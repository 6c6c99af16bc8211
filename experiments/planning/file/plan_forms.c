/* Forms of plan keys: plain values by the scenario's own readers, words that a plan keeps otherwise, and lists. */
#include "experiments/planning/file/plan_keys.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/file/plan_list.h"
#include "experiments/value_text.h"
#include "experiments/values.h"
#include "sim/memory.h"

/* ---- plain values ---- */

/* What the readers of scenario values fill. */
union plain {
    uint64_t count;
    double real;
    bool flag;
    int choice;
    struct exp_number number;
    char text[EXP_TEXT_BYTES];
};

static bool read_plain(const struct exp_plan_input *in, union plain *v, struct sim_status *st)
{
    *v = (union plain){.text = ""};
    if (in->node) return exp_value_set(in->key, v, in->path, in->folder, in->node, st);
    exp_value_default(in->key, v);
    return true;
}

static size_t text_bytes(const struct exp_key *key)
{
    return key->type == EXP_NAME ? EXP_NAME_BYTES : EXP_TEXT_BYTES;
}

static bool take_plain(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    union plain v;
    void *field = (char *)owner + in->key->offset;
    if (!read_plain(in, &v, st)) return false;
    if (in->key->optional)
        *(double *)field = v.number.given ? v.number.value : NAN;
    else if (in->key->type == EXP_REAL)
        *(double *)field = v.real;
    else if (in->key->type == EXP_COUNT)
        *(uint32_t *)field = (uint32_t)v.count;
    else if (in->key->type == EXP_FLAG)
        *(bool *)field = v.flag;
    else
        memcpy(field, v.text, text_bytes(in->key));
    return true;
}

static char *plain_text(const struct exp_key *key, const void *owner)
{
    union plain v = {.text = ""};
    const void *field = (const char *)owner + key->offset;
    if (key->optional)
        v.number = (struct exp_number){*(const double *)field, !isnan(*(const double *)field)};
    else if (key->type == EXP_REAL)
        v.real = *(const double *)field;
    else if (key->type == EXP_COUNT)
        v.count = *(const uint32_t *)field;
    else if (key->type == EXP_FLAG)
        v.flag = *(const bool *)field;
    else
        memcpy(v.text, field, text_bytes(key));
    return exp_value_text(key, &v);
}

const struct exp_plan_form exp_form_plain = {take_plain, plain_text, NULL};

/* ---- words ---- */

static bool take_router(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    union plain v;
    struct exp_plan *p = owner;
    if (!read_plain(in, &v, st)) return false;
    memcpy(p->base->router, v.text, sizeof p->base->router);
    return true;
}

static char *router_text(const struct exp_key *key, const void *owner)
{
    const struct exp_plan *p = owner;
    return exp_value_text(key, p->base->router);
}

const struct exp_plan_form exp_form_router = {take_router, router_text, NULL};

static bool take_link(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    union plain v;
    struct exp_plan_have *have = owner;
    if (!read_plain(in, &v, st)) return false;
    snprintf(have->link, sizeof have->link, "%.15s", v.choice ? exp_choice_word(in->key, v.choice).text : "");
    return true;
}

static char *link_text(const struct exp_key *key, const void *owner)
{
    const struct exp_plan_have *have = owner;
    return sim_strdup(have->link[0] ? have->link : key->fallback);
}

const struct exp_plan_form exp_form_link = {take_link, link_text, NULL};

static bool take_bridge(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    union plain v;
    struct exp_plan *p = owner;
    if (!read_plain(in, &v, st)) return false;
    p->bridge_rent = v.choice == 0;
    return true;
}

static char *bridge_text(const struct exp_key *key, const void *owner)
{
    const struct exp_plan *p = owner;
    return sim_strdup(exp_choice_word(key, p->bridge_rent ? 0 : 1).text);
}

const struct exp_plan_form exp_form_bridge = {take_bridge, bridge_text, NULL};

static const char CODE[] = "three capital letters such as USD, EUR, JPY";

static bool take_currency(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    union plain v;
    struct exp_plan *p = owner;
    if (!read_plain(in, &v, st)) return false;
    bool code = strlen(v.text) == 3;
    for (int i = 0; code && i < 3; i++) code = v.text[i] >= 'A' && v.text[i] <= 'Z';
    if (!code) return exp_plan_wrong(&(struct exp_plan_item){in, in->node, v.text}, CODE, st);
    memcpy(p->currency, v.text, 4);
    return true;
}

static char *currency_text(const struct exp_key *key, const void *owner)
{
    (void)key;
    const struct exp_plan *p = owner;
    return sim_strdup(p->currency);
}

const struct exp_plan_form exp_form_currency = {take_currency, currency_text, CODE};

/* ---- the hours of a day ---- */

static const char HOURS[] = "24 numbers of at least 0 in [ ], one of them above 0";

static bool add_hour(const struct exp_plan_item *item, void *owner, uint32_t at, struct sim_status *st)
{
    char *end;
    double value = strtod(item->text, &end);
    struct exp_plan *p = owner;
    bool number = *item->text && strspn(item->text, "+-.0123456789eE") == strlen(item->text) && !*end;
    if (!number || !(value >= item->in->key->lo && value <= item->in->key->hi))
        return exp_plan_wrong(item, HOURS, st);
    p->rate_curve[at] = value;
    return true;
}

static bool take_curve(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    static const struct exp_plan_limit limit = {EXP_DAY_HOURS, add_hour};
    struct exp_plan *p = owner;
    double most = 0;
    if (!exp_plan_list(in, p, &limit, &p->n_rate_curve, st)) return false;
    for (uint32_t h = 0; h < p->n_rate_curve; h++) most = fmax(most, p->rate_curve[h]);
    if (p->n_rate_curve && p->n_rate_curve != EXP_DAY_HOURS)
        return sim_fail(st, "%s: %s has %u figures, expected %d, one for each hour of the day",
                        exp_where(in->node).text, in->path, p->n_rate_curve, EXP_DAY_HOURS);
    return !p->n_rate_curve || most > 0 ||
           sim_fail(st, "%s: %s is 0 at every hour, expected one figure above 0 at least",
                    exp_where(in->node).text, in->path);
}

static char *curve_text(const struct exp_key *key, const void *owner)
{
    (void)key;
    const struct exp_plan *p = owner;
    struct exp_plan_text t = {0};
    for (uint32_t h = 0; h < p->n_rate_curve; h++)
        exp_plan_text_add(&t, exp_digits_of(p->rate_curve[h]).text);
    return exp_plan_text_end(&t, "default");
}

const struct exp_plan_form exp_form_curve = {take_curve, curve_text, HOURS};

/* ---- what is searched ---- */

static const char GPUS[] = "names of `kvsim list gpus` in [ ]";

static bool add_gpu(const struct exp_plan_item *item, void *owner, uint32_t at, struct sim_status *st)
{
    struct exp_plan *p = owner;
    for (uint32_t i = 0; i < at; i++)
        if (strcmp(p->search_gpu[i], item->text) == 0) return exp_plan_twice(item, st);
    bool fits = item->text[0] && strlen(item->text) < EXP_NAME_BYTES;
    if (fits) snprintf(p->search_gpu[at], EXP_NAME_BYTES, "%s", item->text);
    return fits || exp_plan_wrong(item, GPUS, st);
}

static bool take_gpus(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    static const struct exp_plan_limit limit = {EXP_MAX_CHOICES, add_gpu};
    struct exp_plan *p = owner;
    return exp_plan_list(in, p, &limit, &p->n_search_gpu, st);
}

static char *gpus_text(const struct exp_key *key, const void *owner)
{
    (void)key;
    const struct exp_plan *p = owner;
    struct exp_plan_text t = {0};
    for (uint32_t i = 0; i < p->n_search_gpu; i++) {
        char *name = exp_yaml_scalar(p->search_gpu[i]);
        exp_plan_text_add(&t, name);
        free(name);
    }
    return exp_plan_text_end(&t, "[]");
}

const struct exp_plan_form exp_form_gpus = {take_gpus, gpus_text, GPUS};

static const char DEGREES[] = "whole numbers from 1 to 64 in [ ]";

static bool add_degree(const struct exp_plan_item *item, void *owner, uint32_t at, struct sim_status *st)
{
    struct exp_plan *p = owner;
    const struct exp_key *key = item->in->key;
    char *end;
    unsigned long value = strtoul(item->text, &end, 10);
    if (!isdigit((unsigned char)item->text[0]) || *end || value < key->lo || value > key->hi)
        return exp_plan_wrong(item, DEGREES, st);
    for (uint32_t i = 0; i < at; i++)
        if (p->tensor_parallel[i] == value) return exp_plan_twice(item, st);
    p->tensor_parallel[at] = (uint32_t)value;
    return true;
}

static bool take_degrees(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    static const struct exp_plan_limit limit = {EXP_MAX_CHOICES, add_degree};
    struct exp_plan *p = owner;
    return exp_plan_list(in, p, &limit, &p->n_tensor_parallel, st);
}

/* None: exp_plan_check chooses. */
static char *degrees_text(const struct exp_key *key, const void *owner)
{
    (void)key;
    const struct exp_plan *p = owner;
    struct exp_plan_text t = {0};
    for (uint32_t i = 0; i < p->n_tensor_parallel; i++)
        exp_plan_text_add(&t, exp_digits_of(p->tensor_parallel[i]).text);
    return exp_plan_text_end(&t, "default");
}

const struct exp_plan_form exp_form_degrees = {take_degrees, degrees_text, DEGREES};

static const char WAYS[] = "some of buy, rent, mix in [ ]";

const char *exp_acquire_name(enum exp_acquire a)
{
    static const char *const names[EXP_N_ACQUIRE] = {"buy", "rent", "mix"};
    return names[a];
}

static bool add_way(const struct exp_plan_item *item, void *owner, uint32_t at, struct sim_status *st)
{
    (void)at;
    struct exp_plan *p = owner;
    for (int a = 0; a < EXP_N_ACQUIRE; a++)
        if (strcmp(exp_acquire_name((enum exp_acquire)a), item->text) == 0) return p->acquire[a] = true;
    return exp_plan_wrong(item, WAYS, st);
}

static bool take_acquire(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    static const struct exp_plan_limit limit = {EXP_N_ACQUIRE, add_way};
    struct exp_plan *p = owner;
    uint32_t n;
    memset(p->acquire, 0, sizeof p->acquire);
    return exp_plan_list(in, p, &limit, &n, st);
}

static char *acquire_text(const struct exp_key *key, const void *owner)
{
    (void)key;
    const struct exp_plan *p = owner;
    struct exp_plan_text t = {0};
    for (int a = 0; a < EXP_N_ACQUIRE; a++)
        if (p->acquire[a]) exp_plan_text_add(&t, exp_acquire_name((enum exp_acquire)a));
    return exp_plan_text_end(&t, "[]");
}

const struct exp_plan_form exp_form_acquire = {take_acquire, acquire_text, WAYS};
