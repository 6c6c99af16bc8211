/* What the lanes of a warp do together: they put words into slots, meet, and take words of others or what the
 * last to come made of all. */
#include "kernels/shim/block.h"

#include "kernels/format.h"

static uint32_t *my_slot()
{
    struct kb_shim_warp *w = kb_shim_now->warp;
    return w->slot[w->turn & 1][kb_shim_now->lane];
}

static const uint32_t *my_result(uint32_t turn)
{
    return kb_shim_now->warp->result[turn][kb_shim_now->lane];
}

void kb_shim_exchange(uint32_t *word, uint32_t n, uint32_t from, struct kb_shim_place place)
{
    uint32_t *slot = my_slot();
    for (uint32_t i = 0; i < n; i++) slot[i] = word[i];
    uint32_t turn = kb_shim_meet_warp(place, nullptr);
    for (uint32_t i = 0; i < n; i++) word[i] = kb_shim_now->warp->slot[turn][from][i];
}

static void count_votes(struct kb_shim_warp *w)
{
    uint32_t turn = w->turn & 1, votes = 0;
    for (uint32_t i = 0; i < KB_SHIM_WARP; i++) votes |= w->slot[turn][i][0] << i;
    for (uint32_t i = 0; i < KB_SHIM_WARP; i++) w->result[turn][i][0] = votes;
}

uint32_t kb_shim_vote(bool x, struct kb_shim_place place)
{
    *my_slot() = x;
    return *my_result(kb_shim_meet_warp(place, count_votes));
}

/* --- matrices of 8 x 8 --- */

union row_pointer {
    const uint16_t *row;
    uint32_t word[2];
};

static void read_matrices(struct kb_shim_warp *w, bool transposed)
{
    uint32_t turn = w->turn & 1;
    const uint16_t *row[KB_SHIM_WARP];
    for (uint32_t i = 0; i < KB_SHIM_WARP; i++) {
        union row_pointer p;
        p.word[0] = w->slot[turn][i][0];
        p.word[1] = w->slot[turn][i][1];
        row[i] = p.row;
    }
    for (uint32_t lane = 0; lane < KB_SHIM_WARP; lane++)
        for (uint32_t j = 0; j < 4; j++) {
            uint32_t g = lane / 4, t = 2 * (lane % 4);
            uint32_t low = transposed ? row[8 * j + t][g] : row[8 * j + g][t];
            uint32_t high = transposed ? row[8 * j + t + 1][g] : row[8 * j + g][t + 1];
            w->result[turn][lane][j] = low | high << 16;
        }
}

static void read_plain(struct kb_shim_warp *w)
{
    read_matrices(w, false);
}

static void read_transposed(struct kb_shim_warp *w)
{
    read_matrices(w, true);
}

void kb_shim_load_matrices(uint32_t r[4], const void *row, bool transposed, struct kb_shim_place place)
{
    union row_pointer p = {};
    kb_shim_check_shared(row, place.word, place.line);
    kb_fibre_reads(row, 16);
    p.row = (const uint16_t *)row;
    my_slot()[0] = p.word[0];
    my_slot()[1] = p.word[1];
    const uint32_t *result = my_result(kb_shim_meet_warp(place, transposed ? read_transposed : read_plain));
    for (uint32_t i = 0; i < 4; i++) r[i] = result[i];
}

uint32_t kb_shim_transpose(uint32_t x, struct kb_shim_place place)
{
    *my_slot() = x;
    uint32_t turn = kb_shim_meet_warp(place, nullptr), column = kb_shim_now->lane / 4, pair = 0;
    for (uint32_t i = 0; i < 2; i++) { /* the lane that holds this column of row 2t + i */
        uint32_t row = 2 * (kb_shim_now->lane % 4) + i;
        uint32_t held = kb_shim_now->warp->slot[turn][4 * row + column / 2][0];
        pair |= (held >> (16 * (column % 2)) & 0xffffu) << (16 * i);
    }
    return pair;
}

/* --- products --- */

/* The lanes' fragments as matrices, their product, and back into fragments. */
static void multiply(struct kb_shim_warp *w, float (*value)(uint16_t))
{
    uint32_t turn = w->turn & 1;
    float a[16][16], b[16][8], c[16][8] = {};
    for (uint32_t lane = 0; lane < KB_SHIM_WARP; lane++) {
        const uint32_t *r = w->slot[turn][lane];
        uint32_t g = lane / 4, t = 2 * (lane % 4);
        for (uint32_t half = 0; half < 2; half++) {
            for (uint32_t i = 0; i < 4; i++)
                a[g + 8 * (i % 2)][t + 8 * (i / 2) + half] = value((uint16_t)(r[i] >> (16 * half)));
            for (uint32_t i = 0; i < 2; i++)
                b[t + 8 * i + half][g] = value((uint16_t)(r[4 + i] >> (16 * half)));
        }
    }
    for (uint32_t i = 0; i < 16; i++)
        for (uint32_t k = 0; k < 16; k++)
            for (uint32_t j = 0; j < 8; j++) c[i][j] += a[i][k] * b[k][j];
    for (uint32_t lane = 0; lane < KB_SHIM_WARP; lane++)
        for (uint32_t i = 0; i < 4; i++) {
            union kb_bits sum;
            sum.f = c[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
            w->result[turn][lane][i] = sum.u;
        }
}

static void multiply_bf16(struct kb_shim_warp *w)
{
    multiply(w, kb_bf16_to_float);
}

static void multiply_fp16(struct kb_shim_warp *w)
{
    multiply(w, kb_fp16_to_float);
}

void kb_shim_mma(float c[4], const uint32_t a[4], const uint32_t b[2], bool fp16, struct kb_shim_place place)
{
    uint32_t *slot = my_slot();
    for (uint32_t i = 0; i < 4; i++) slot[i] = a[i];
    for (uint32_t i = 0; i < 2; i++) slot[4 + i] = b[i];
    const uint32_t *result = my_result(kb_shim_meet_warp(place, fp16 ? multiply_fp16 : multiply_bf16));
    for (uint32_t i = 0; i < 4; i++) {
        union kb_bits sum;
        sum.u = result[i];
        c[i] += sum.f;
    }
}
