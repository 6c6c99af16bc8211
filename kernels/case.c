#include "kernels/case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/format.h"

enum { BLOCK_BYTES = 4 << 20, DEVICE_ALIGN = 256 };

static void *grab(uint64_t bytes)
{
    void *p = aligned_alloc(DEVICE_ALIGN, (size_t)((bytes + DEVICE_ALIGN) / DEVICE_ALIGN * DEVICE_ALIGN));
    if (!p) {
        fprintf(stderr, "out of memory: %llu bytes\n", (unsigned long long)bytes);
        abort();
    }
    return p;
}

/* --- random numbers: splitmix64 (Steele, Lea, Flood 2014) --- */

uint64_t kb_random_next(struct kb_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t kb_random_below(struct kb_random *r, uint32_t n)
{
    return (uint32_t)(((kb_random_next(r) >> 32) * n) >> 32);
}

/* Sum of twelve uniforms less six: normal enough for inputs, and one line. */
float kb_random_normal(struct kb_random *r)
{
    int64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t x = kb_random_next(r);
        sum += (int64_t)((x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48));
    }
    return ((float)sum - 6 * 65535.0f) / 65536.0f;
}

void kb_random_shuffle(struct kb_random *r, uint32_t *x, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = kb_random_below(r, i), t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}

/* --- filling --- */

static void fill_scales(uint16_t *pair, uint64_t n, struct kb_random *r)
{
    for (uint64_t i = 0; i + 1 < n; i += 2) {
        pair[i] = kb_fp16_from_float(0.05f + 0.001f * (float)kb_random_below(r, 32));
        pair[i + 1] = kb_fp16_from_float(-1.0f + 0.01f * (float)kb_random_below(r, 32));
    }
}

static void fill(enum kb_fill how, void *p, uint64_t bytes, struct kb_random *r)
{
    uint16_t *half = p;
    float *single = p;
    uint8_t *byte = p;
    switch (how) {
    case KB_FILL_NORMAL:
        for (uint64_t i = 0; i < bytes / 2; i++) half[i] = kb_bf16_from_float(kb_random_normal(r));
        break;
    case KB_FILL_FLOAT:
        for (uint64_t i = 0; i < bytes / 4; i++) single[i] = kb_random_normal(r);
        break;
    case KB_FILL_BYTES:
        for (uint64_t i = 0; i < bytes; i++) byte[i] = (uint8_t)(kb_random_next(r) >> 56);
        break;
    case KB_FILL_FP8:
        for (uint64_t i = 0; i < bytes; i++) byte[i] = kb_fp8_from_float(0.5f * kb_random_normal(r));
        break;
    case KB_FILL_SCALES:
        fill_scales(half, bytes / 2, r);
        break;
    case KB_FILL_GIVEN:
    case KB_FILL_POISON:
        memset(p, 0xff, (size_t)bytes);
        break;
    }
}

/* --- making --- */

void *kb_case_buffer(struct kb_case *c, enum kb_role role, enum kb_fill how, enum kb_type type,
                     uint64_t bytes)
{
    struct kb_buffer *b = &c->buffer[c->n_buffers++];
    *b = (struct kb_buffer){.bytes = bytes, .role = role, .fill = how, .type = type};
    if (c->check || how == KB_FILL_GIVEN) {
        b->host = grab(bytes);
        fill(how, b->host, bytes, &c->random);
    }
    return b->host;
}

void kb_case_args(struct kb_case *c, const void *args, size_t bytes)
{
    memset(c->args.bytes, 0, sizeof c->args.bytes);
    memcpy(c->args.bytes, args, bytes);
    for (uint32_t i = 0; i < c->n_buffers; i++) c->args.pointer[i] = c->buffer[i].host;
}

struct kb_case *kb_case_new(const struct kb_kernel *k, const uint32_t *shape, uint64_t seed, bool check)
{
    struct kb_case *c = calloc(1, sizeof *c);
    if (!c) abort();
    c->kernel = k;
    c->check = check;
    c->random.state = seed;
    memcpy(c->shape, shape, sizeof c->shape);
    k->make(c);
    return c;
}

void kb_case_free(struct kb_case *c)
{
    if (!c) return;
    for (uint32_t i = 0; i < c->n_buffers; i++) free(c->buffer[i].host);
    free(c);
}

uint64_t kb_case_device_bytes(const struct kb_case *c)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < c->n_buffers; i++) sum += c->buffer[i].bytes + DEVICE_ALIGN;
    return sum;
}

/* --- on a device --- */

/* Copies on the device go by 16 bytes, so buffers that are filled there have room for whole ones. */
static uint64_t whole(uint64_t bytes)
{
    return (bytes + 15) / 16 * 16;
}

/* Copies what lies in the first `done` bytes behind them again and again, on the device: each copy doubles it. */
static bool spread(struct kb_device *d, char *to, uint64_t done, uint64_t bytes, struct kb_error *err)
{
    struct kb_queue *q = d->ops->queue_new(d, err);
    bool ok = q != NULL;
    for (uint64_t n; ok && done < bytes; done += n) {
        n = bytes - done < done ? bytes - done : done;
        struct kb_stream a = {.from = to, .to = to + done, .bytes = whole(n)};
        ok = d->kernel[KB_COPY](q, &a, err);
    }
    ok = ok && d->ops->wait(q, err);
    if (q) d->ops->queue_free(q);
    return ok;
}

/* A random block again and again: big buffers differ from page to page only in where the block starts. */
static bool repeat(struct kb_device *d, void *to, const struct kb_buffer *b, struct kb_error *err)
{
    uint64_t size = b->bytes < BLOCK_BYTES ? b->bytes : BLOCK_BYTES;
    struct kb_random r = {b->bytes};
    void *block = grab(size);
    fill(b->fill, block, size, &r);
    bool ok = d->ops->upload(d, to, block, (size_t)size, err) && spread(d, to, size, b->bytes, err);
    free(block);
    return ok;
}

static bool load_buffer(struct kb_device *d, void *to, const struct kb_buffer *b, struct kb_error *err)
{
    if (b->host) return d->ops->upload(d, to, b->host, (size_t)b->bytes, err);
    return repeat(d, to, b, err);
}

struct kb_loaded *kb_case_load(const struct kb_case *c, struct kb_device *d, struct kb_error *err)
{
    struct kb_loaded *l = calloc(1, sizeof *l);
    bool ok = true;
    if (!l) abort();
    l->device = d;
    memcpy(l->args.bytes, c->args.bytes, sizeof l->args.bytes);
    for (uint32_t i = 0; i < c->n_buffers; i++) l->args.pointer[i] = NULL;
    for (; ok && l->n_buffers < c->n_buffers; l->n_buffers++) {
        const struct kb_buffer *b = &c->buffer[l->n_buffers];
        if (b->bytes == 0) continue;
        void *p = d->ops->alloc(d, (size_t)(b->host ? b->bytes : whole(b->bytes)), err);
        l->args.pointer[l->n_buffers] = p;
        ok = p && load_buffer(d, p, b, err);
    }
    if (ok) return l;
    kb_loaded_free(l);
    return NULL;
}

void kb_loaded_free(struct kb_loaded *l)
{
    if (!l) return;
    for (uint32_t i = 0; i < l->n_buffers; i++) l->device->ops->free(l->device, l->args.pointer[i]);
    free(l);
}

/* --- judging --- */

static double element(const struct kb_buffer *b, uint64_t i)
{
    switch (b->type) {
    case KB_TYPE_BF16:
        return kb_bf16_to_float(((const uint16_t *)b->host)[i]);
    case KB_TYPE_FP16:
        return kb_fp16_to_float(((const uint16_t *)b->host)[i]);
    case KB_TYPE_FP32:
        return ((const float *)b->host)[i];
    default:
        return 0;
    }
}

static uint64_t n_elements(const struct kb_buffer *b)
{
    return b->bytes / (b->type == KB_TYPE_FP32 || b->type == KB_TYPE_U32 ? 4
                       : b->type == KB_TYPE_BYTES                        ? 1
                                                                         : 2);
}

static double norm_error(const struct kb_buffer *got, const struct kb_buffer *want, struct kb_verdict *v)
{
    double difference = 0, size = 0;
    for (uint64_t i = 0, n = n_elements(got); i < n; i++) {
        double a = element(got, i), b = element(want, i);
        if (isnan(b)) { /* the reference wrote nothing here: then nobody may */
            if (!isnan(a)) {
                snprintf(v->text, sizeof v->text, "element %llu is written and should not be",
                         (unsigned long long)i);
                return INFINITY;
            }
            continue;
        }
        if (isnan(a) || isinf(a)) {
            snprintf(v->text, sizeof v->text, "element %llu is %s, expected %g", (unsigned long long)i,
                     isnan(a) ? "NaN or was never written" : "infinite", b);
            return INFINITY;
        }
        difference += (a - b) * (a - b);
        size += b * b;
    }
    return size > 0 ? sqrt(difference / size) : sqrt(difference);
}

double kb_buffer_error(const struct kb_buffer *got, const struct kb_buffer *want, struct kb_verdict *v)
{
    if (got->type != KB_TYPE_U32 && got->type != KB_TYPE_BYTES) return norm_error(got, want, v);
    const unsigned char *a = got->host, *b = want->host;
    for (uint64_t i = 0; i < got->bytes; i++)
        if (a[i] != b[i]) {
            snprintf(v->text, sizeof v->text, "byte %llu is 0x%02x, expected 0x%02x", (unsigned long long)i,
                     a[i], b[i]);
            return INFINITY;
        }
    return 0;
}

void kb_compare_outputs(const struct kb_case *got, const struct kb_case *want, struct kb_verdict *v)
{
    v->error = 0;
    v->limit = got->kernel->limit;
    for (uint32_t i = 0; i < got->n_buffers; i++) {
        if (got->buffer[i].role != KB_OUT && got->buffer[i].role != KB_INOUT) continue;
        double e = kb_buffer_error(&got->buffer[i], &want->buffer[i], v);
        if (e > v->error) v->error = e;
    }
    if (v->error > v->limit && !v->text[0])
        snprintf(v->text, sizeof v->text, "relative error %.3g, at most %.3g expected", v->error, v->limit);
}

static bool run_on(struct kb_case *c, struct kb_device *d, struct kb_error *err)
{
    struct kb_queue *q = d->ops->queue_new(d, err);
    struct kb_loaded *l = q ? kb_case_load(c, d, err) : NULL;
    bool ok = l && d->kernel[c->kernel->id](q, l->args.bytes, err) && d->ops->wait(q, err);
    for (uint32_t i = 0; ok && i < c->n_buffers; i++) {
        struct kb_buffer *b = &c->buffer[i];
        if ((b->role == KB_OUT || b->role == KB_INOUT) && b->bytes)
            ok = d->ops->download(d, b->host, l->args.pointer[i], (size_t)b->bytes, err);
    }
    kb_loaded_free(l);
    if (q) d->ops->queue_free(q);
    return ok;
}

bool kb_case_check(const struct kb_kernel *k, const uint32_t *shape, uint64_t seed, struct kb_device *d,
                   struct kb_verdict *v, struct kb_error *err)
{
    struct kb_case *got = kb_case_new(k, shape, seed, true), *want = kb_case_new(k, shape, seed, true);
    bool ok = run_on(got, d, err);
    *v = (struct kb_verdict){0};
    if (ok) {
        k->reference(want->args.bytes);
        if (k->compare)
            k->compare(got, want, v);
        else
            kb_compare_outputs(got, want, v);
    }
    kb_case_free(got);
    kb_case_free(want);
    return ok;
}

/* --- grids --- */

void kb_grid_add(struct kb_grid *g, const uint32_t *key, uint32_t n_keys)
{
    uint32_t shape[KB_MAX_KEYS] = {0};
    memcpy(shape, key, n_keys * sizeof *key);
    for (size_t i = 0; i < g->n; i++)
        if (memcmp(g->shape[i], shape, sizeof shape) == 0) return;
    if (g->n == g->room) {
        g->room = g->room ? 2 * g->room : 64;
        g->shape = realloc(g->shape, g->room * sizeof *g->shape);
        if (!g->shape) abort();
    }
    memcpy(g->shape[g->n++], shape, sizeof shape);
}

void kb_grid_free(struct kb_grid *g)
{
    free(g->shape);
    g->shape = NULL;
    g->n = g->room = 0;
}
