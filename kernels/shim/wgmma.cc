/* wgmma after the PTX ISA: "Asynchronous Warpgroup Level Matrix Shared Memory Layout", "Strides", "Matrix
 * Descriptor", "Register Fragments". A warp's rows of the result need its own rows of A and all of B: each
 * warp computes alone. */
#include "kernels/shim/wgmma.h"

enum { ROWS = 16, DEPTH = 16, MAX_COLUMNS = 256, PATTERN_BYTES = 1024 };

/* What a descriptor says, in bytes. */
struct layout {
    uint32_t start, lead, stride, base_offset, swizzle;
};

static struct layout decode(uint64_t descriptor)
{
    struct layout l;
    l.start = (uint32_t)(descriptor & 0x3fff) << 4;        /* bits 0-13 */
    l.lead = (uint32_t)(descriptor >> 16 & 0x3fff) << 4;   /* bits 16-29 */
    l.stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4; /* bits 32-45 */
    l.base_offset = (uint32_t)(descriptor >> 49 & 7);      /* bits 49-51 */
    l.swizzle = (uint32_t)(descriptor >> 62);              /* bits 62-63; 1: 128 bytes */
    return l;
}

/* Shared memory starts somewhere at a multiple of 128: kernels that want more alignment must see to it. */
static uint32_t window_start()
{
    return (uint32_t)((uintptr_t)kb_shim_shared() % PATTERN_BYTES);
}

uint32_t kb_shim_shared_address(const void *p)
{
    return (uint32_t)((const unsigned char *)p - kb_shim_shared()) + window_start();
}

/* Element (mn, k). The swizzle exchanges the 16-byte units of a row (address bits 4-6) by exclusive-or with
 * the row's number in the pattern of 8 (bits 7-9). */
static float element(struct layout l, bool mn_major, uint32_t mn, uint32_t k, struct kb_shim_place place)
{
    uint32_t offset = mn_major ? mn / 64 * l.lead + k / 8 * l.stride + k % 8 * 128 + mn % 64 * 2
                               : mn / 8 * l.stride + mn % 8 * 128 + k * 2;
    uint32_t address = l.start + offset;
    address ^= (address >> 7 & 7) << 4;
    const unsigned char *p = kb_shim_shared() + (address - window_start());
    kb_shim_check_shared(p - (uintptr_t)p % 16, place.word, place.line);
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return kb_bf16_to_float(x);
}

static struct layout checked(uint64_t descriptor, const char *which)
{
    struct layout l = decode(descriptor);
    if (l.swizzle != 1 || l.base_offset)
        kb_shim_fail("wgmma, %s: swizzle mode %u, base offset %u: only 1 and 0 here", which, l.swizzle,
                     l.base_offset);
    if (l.stride % PATTERN_BYTES || l.start % PATTERN_BYTES >= 128)
        kb_shim_fail("wgmma, %s: starts at %u, stride %u: not in the first row of a pattern of %d bytes",
                     which, l.start, l.stride, PATTERN_BYTES);
    return l;
}

/* The products of a warp's lanes, as they put them. */
static struct kb_shim_product product_of(const struct kb_shim_warp *w, uint32_t lane)
{
    struct kb_shim_product *p;
    memcpy(&p, w->slot[w->turn & 1][lane], sizeof p);
    return *p;
}

/* Rows 16 w to 16 w + 15 of A for warp w of the group. Registers a[i] of lane l: row l / 4 + 8 (i % 2),
 * columns 2 (l % 4) + 8 (i / 2) and the next. */
static void read_a(const struct kb_shim_warp *w, float a[ROWS][DEPTH], struct kb_shim_place place)
{
    struct kb_shim_product p = product_of(w, 0);
    uint32_t first = kb_shim_now->rank / KB_SHIM_WARP % 4 * ROWS;
    if (p.a) {
        for (uint32_t lane = 0; lane < KB_SHIM_WARP; lane++)
            for (uint32_t i = 0; i < 8; i++)
                a[lane / 4 + 8 * (i / 2 % 2)][2 * (lane % 4) + i % 2 + 8 * (i / 4)] =
                    kb_bf16_to_float((uint16_t)(product_of(w, lane).a[i / 2] >> (16 * (i % 2))));
        return;
    }
    struct layout l = checked(p.a_descriptor, "a");
    for (uint32_t i = 0; i < ROWS; i++)
        for (uint32_t k = 0; k < DEPTH; k++) a[i][k] = element(l, false, first + i, k, place);
}

static void multiply(struct kb_shim_warp *w)
{
    static thread_local float a[ROWS][DEPTH], b[DEPTH][MAX_COLUMNS];
    struct kb_shim_product p = product_of(w, 0);
    read_a(w, a, w->place);
    struct layout l = checked(p.b_descriptor, "b");
    for (uint32_t k = 0; k < DEPTH; k++)
        for (uint32_t j = 0; j < p.n; j++) b[k][j] = element(l, p.b_transposed, j, k, w->place);
    for (uint32_t lane = 0; lane < KB_SHIM_WARP; lane++) {
        struct kb_shim_product own = product_of(w, lane);
        if (own.a_descriptor != p.a_descriptor || own.b_descriptor != p.b_descriptor || own.n != p.n)
            kb_shim_fail("wgmma: lanes 0 and %u have different operands", lane);
        for (uint32_t i = 0; i < p.n / 2; i++) { /* register i: row by bit 1, column by bit 0 and bits 2 up */
            uint32_t row = lane / 4 + 8 * (i / 2 % 2), column = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
            float sum = p.accumulates ? own.d[i] : 0;
            for (uint32_t k = 0; k < DEPTH; k++) sum += a[row][k] * b[k][column];
            own.d[i] = sum;
        }
    }
}

void kb_shim_product_start(struct kb_shim_product product, struct kb_shim_place place)
{
    struct kb_shim_thread *t = kb_shim_now;
    if (!t->products_fenced) kb_shim_fail("%s of line %d: no kb_wgmma_fence before", place.word, place.line);
    product.group = t->n_product_groups;
    t->products.push_back(product);
}

void kb_shim_product_wait(uint32_t n_open, struct kb_shim_place place)
{
    struct kb_shim_thread *t = kb_shim_now;
    size_t n = 0;
    for (; n < t->products.size() && t->products[n].group + n_open < t->n_product_groups; n++) {
        struct kb_shim_product *p = &t->products[n];
        memcpy(t->warp->slot[t->warp->turn & 1][t->lane], &p, sizeof p);
        kb_shim_meet_warp(place, multiply);
    }
    t->products.erase(t->products.begin(), t->products.begin() + (ptrdiff_t)n);
    t->products_fenced = false;
}
