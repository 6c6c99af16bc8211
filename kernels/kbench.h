/* The kernels behind one C header: what each computes, on which buffers, and the devices that run them.
 * A kernel is an argument struct and one entry per device. The struct opens with its buffers (pointers into
 * the device's memory) and goes on with sizes; the same struct, with pointers into host memory, is what the
 * reference takes. Entries queue work and return; they never allocate. bf16 and fp16 are uint16_t in memory;
 * bytes, pages and codes are laid out as kernels/format.h says. */
#ifndef KVSIM_KERNELS_KBENCH_H
#define KVSIM_KERNELS_KBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How keys and values are stored. */
enum kb_format {
    KB_BF16,
    KB_FP8,   /* e4m3, one scale per tensor */
    KB_INT8,  /* per token and head: fp16 scale and minimum */
    KB_INT4,  /* the same, two codes a byte */
    KB_KIVI4, /* K per channel over 32 tokens, V per token over 32 channels, recent tokens in bf16 */
    KB_KIVI2,
    KB_N_FORMAT
};
const char *kb_format_name(enum kb_format f); /* "bf16", "fp8", "int8", "int4", "kivi4", "kivi2" */
bool kb_format_parse(const char *name, enum kb_format *out);

enum kb_layout { KB_NHD, KB_HND };

/* What went wrong, one line for people. */
struct kb_error {
    char text[512];
};
/* Writes the line and returns false. */
bool kb_fail(struct kb_error *e, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* ---- paged KV ---- */

/* One layer's pool and who owns which page of it. A head reads the pages of its table in order; the token at
 * position t of a head lies in its page number t / page_tokens. Tables are [n_seqs][table_heads][max_pages],
 * lengths [n_seqs][table_heads]; table_heads is 1 (all heads alike) or n_kv_heads (retrieval, eviction). */
struct kb_paged {
    enum kb_format format;
    enum kb_layout layout;
    uint32_t page_tokens, n_pages; /* n_pages: in the pool */
    uint32_t n_kv_heads, head_dim;
    uint32_t table_heads, max_pages;
    uint32_t
        residual_tokens;    /* KIVI: R, the window kept in bf16; its ring holds kb_residual_ring(R) tokens */
    float k_scale, v_scale; /* fp8: value = scale x code */
};

/* ---- matrix products ---- */

/* y[m][n] = sum over k of x[m][k] w[n][k]; KB_BF16: all bf16; KB_FP8: x and w e4m3 times x_scale w_scale, y
 * bf16. Sums in fp32. A GPU wants n and k in whole 16. */
struct kb_gemm {
    const void *x, *w;
    void *y;
    enum kb_format type;
    uint32_t m, n, k;
    float x_scale, w_scale;
};

/* ---- attention ---- */

/* Causal attention of prompt chunks over a paged bf16 KV cache that already holds their keys and values.
 * Sequence s has queries q_begin[s] to q_begin[s + 1] - 1, at positions past[s] and up; scale 1/sqrt(head_dim).
 *   q, out  bf16 [q_begin[n_seqs]][n_q_heads][head_dim];  lse  fp32 [same][n_q_heads], natural log */
struct kb_attn_prefill {
    const uint16_t *q;
    const void *kv;
    const uint32_t *pages, *q_begin, *past;
    uint16_t *out;
    float *lse;
    struct kb_paged paged;
    uint32_t n_seqs, n_q_heads, n_tokens, max_new;
};

/* What H2O and SnapKV need and flash attention does not keep: for every key, the attention it got from the
 * last `window` queries of its sequence (window >= length: all, causal), summed over queries and over the
 * query heads of its KV head. The lse of those queries comes from the prefill kernel. Query i of the window stands
 * at position length - window + i; where that is negative there is no query.
 *   q  bf16 [n_seqs][window][n_q_heads][head_dim];  lse  fp32 [n_seqs][window][n_q_heads]
 *   score  fp32 [n_seqs][n_kv_heads][max_tokens], 0 beyond the sequence's length */
struct kb_attn_score {
    const uint16_t *q;
    const float *lse;
    const void *kv;
    const uint32_t *pages, *lengths;
    float *score;
    struct kb_paged paged;
    uint32_t n_seqs, n_q_heads, window, max_tokens;
};

/* One new token per sequence attends to `lengths` tokens of its cache, its own included.
 *   q, out    bf16 [n_seqs][n_q_heads][head_dim]
 *   k_scales, v_scales, residual   see format.h; unused by bf16 and fp8
 *   partial   fp32 scratch [n_splits][n_seqs][n_q_heads][head_dim + 2]: unscaled sum, largest score (base 2), sum
 *             of weights. n_splits is the room there is; a device uses as many as fill it (kernels/split.h), and
 *             KIVI wants room for 2 at least
 * sink + window > 0: only the first `sink` and the last `window` tokens are read. */
struct kb_attn_decode {
    const uint16_t *q;
    const void *kv;
    const uint16_t *k_scales, *v_scales, *residual;
    const uint32_t *pages, *lengths;
    uint16_t *out;
    float *partial;
    struct kb_paged paged;
    uint32_t n_seqs, n_q_heads, n_splits;
    uint32_t max_tokens,
        mean_tokens; /* of `lengths`: longest; average, by which work is shared out (0: longest) */
    uint32_t sink, window;
    uint32_t split_tokens; /* length of a split, as far as there is room; 0: the device chooses */
};

/* The same result as KIVI's published code computes it: the cache is copied (torch.cat), dequantised into a
 * bf16 buffer, then matrix-vector product, softmax over whole rows in fp32, matrix-vector product.
 *   copy  bytes of the pool, scales and residual;  dense  bf16 [n_seqs][2][n_kv_heads][max_tokens][head_dim]
 *   row  fp32 [n_seqs][n_q_heads][max_tokens] */
struct kb_attn_unfused {
    const uint16_t *q;
    const void *kv;
    const uint16_t *k_scales, *v_scales, *residual;
    const uint32_t *pages, *lengths;
    uint16_t *out;
    void *copy;
    uint16_t *dense;
    float *row;
    struct kb_paged paged;
    uint32_t n_seqs, n_q_heads, max_tokens;
};

/* ---- append and compress ---- */

/* Quantises new keys and values and writes them into their pages: one token per sequence (decode) or whole
 * prompts. Tokens begin[s] to begin[s + 1] - 1 are sequence s's, at positions past and up. KIVI: the tokens
 * that the new length packs and the old one did not (kb_kivi_k_packed, kb_kivi_v_packed) are quantised, be
 * they new or in the ring; the new tokens beyond go into the ring.
 *   k, v  bf16 [n_tokens][n_kv_heads][head_dim];  seq [n_tokens]: whose each token is, ascending
 *   past  [n_seqs][table_heads]: lengths before the append;  max_new: most new tokens of a sequence */
struct kb_append {
    const uint16_t *k, *v;
    const uint32_t *seq, *begin, *past, *pages;
    void *kv;
    uint16_t *k_scales, *v_scales, *residual;
    struct kb_paged paged;
    uint32_t n_seqs, n_tokens, max_new;
};

/* GEAR: x ~ outliers + codes undone + a b. The `outliers` largest |x| of each row are taken out (0 stays in
 * their place) and the rest is quantised; what both lose, e = x - outliers - codes undone, is approximated per
 * head by `loops` power iterations with orthonormal a, from a start that the kernel makes up.
 *   x  bf16 [n_heads][tokens][head_dim];  codes  [n_heads][tokens][head_dim bits / 8] as in pages
 *   scales  fp16 pairs (scale, minimum) [n_heads][tokens][head_dim / group]
 *   out_value  fp16, out_index  [n_heads][tokens][outliers];  a  fp16 [n_heads][tokens][rank]
 *   b  fp16 [n_heads][rank][head_dim];  rank <= 8
 *   scratch  fp32 [n_heads][tokens + 8 loops][head_dim + 8] */
struct kb_gear {
    const uint16_t *x;
    uint8_t *codes;
    uint16_t *scales;
    uint16_t *out_value, *out_index;
    uint16_t *a, *b;
    float *scratch;
    uint32_t n_heads, tokens, head_dim, bits, group, outliers, rank, loops;
};

/* ShadowKV's low-rank keys: x [tokens][width] ~ a [tokens][rank] b [rank][width], by randomised subspace
 * iteration on the small side: z = omega; `loops` times z = orth(x^T x z); a = x z, b = z^T.
 *   x, a, b  bf16;  omega  the random start, fp32 [width][rank];  rank and width multiples of 8, rank <= 160
 *   scratch  fp32 [2 width + 2 rank][rank] */
struct kb_lowrank {
    const uint16_t *x;
    const float *omega;
    uint16_t *a, *b;
    float *scratch;
    uint32_t tokens, width, rank, loops;
};

/* Keys of chosen rows again from their factors, with RoPE (neox halves) at their positions, the row numbers.
 *   a bf16 [tokens][rank], b bf16 [rank][n_kv_heads * head_dim], rows [n_kv_heads][n_rows]
 *   out bf16 [n_kv_heads][n_rows][head_dim] */
struct kb_rebuild {
    const uint16_t *a, *b;
    const uint32_t *rows;
    uint16_t *out;
    uint32_t tokens, rank, n_kv_heads, head_dim, n_rows;
    float theta;
};

/* Page digests from the bf16 keys of full pages: minimum and maximum of each channel (Quest), or its mean and
 * mean absolute deviation from the mean (ArkVale's ball as FreeKV's kernels build it).
 *   digest bf16 [n_pages of the pool][n_kv_heads][2][head_dim]; page_list [n_list] pages to do */
enum kb_digest_kind { KB_DIGEST_MINMAX, KB_DIGEST_CENTRE };
struct kb_digest {
    const void *kv;
    const uint32_t *page_list;
    uint16_t *digest;
    struct kb_paged paged;
    uint32_t n_list;
    enum kb_digest_kind kind;
};

/* ---- choose ---- */

/* What attention to a page may be at most, judged by its digest, pooled over the query group of a KV head.
 * Score of one query head, sums over channels:
 *   minmax  sum of max(q low, q high)      centre  sum of q centre + |q| deviation
 * Pooled: mean or maximum over the group, or the mean of softmax over the pages of score / sqrt(head_dim).
 *   q bf16 [n_seqs][n_q_heads][head_dim];  digest as kv_digest makes it
 *   page_counts [n_seqs][table_heads]: pages to score;  score fp32 [n_seqs][n_kv_heads][max_pages] */
enum kb_pool { KB_POOL_MEAN_SCORE, KB_POOL_MAX_SCORE, KB_POOL_MEAN_SOFTMAX };
struct kb_page_score {
    const uint16_t *q, *digest;
    const uint32_t *pages, *page_counts;
    float *score;
    float *scratch; /* fp32 [n_seqs][n_q_heads][max_pages], for softmax pooling */
    struct kb_paged paged;
    uint32_t n_seqs, n_q_heads;
    enum kb_digest_kind kind;
    enum kb_pool pool;
};

/* The k largest of each row, in any order; fewer when the row is shorter, the rest UINT32_MAX.
 *   score fp32 [n_rows][width], counts [n_rows]; index [n_rows][k] */
struct kb_topk {
    const float *score;
    const uint32_t *counts;
    uint32_t *index;
    uint32_t n_rows, width, k;
};

/* FreeKV's check: cosine similarity of this step's queries with the last step's, mean over a KV head's query
 * group; flag (1, else 0) when below tau. q, q_last bf16 [n_seqs][n_q_heads][head_dim]; cosine fp32, flag
 * uint32 [n_seqs][n_kv_heads]; any uint32 [1]: the number of flags is added, the caller sets it to 0 before. */
struct kb_similarity {
    const uint16_t *q, *q_last;
    float *cosine;
    uint32_t *flag, *any;
    uint32_t n_seqs, n_q_heads, n_kv_heads, head_dim;
    float tau;
};

/* H2O in decode: adds this step's attention weights to the running score of each key, and finds the key to
 * evict: least score outside the `recent` last, the first of equals, UINT32_MAX when there is none.
 *   weight fp32 [n_seqs][n_q_heads][max_tokens] normalised;  max_tokens a multiple of 4
 *   score fp32 [n_seqs][n_kv_heads][max_tokens];  victim [n_seqs][n_kv_heads] */
struct kb_h2o {
    const float *weight;
    const uint32_t *lengths; /* [n_seqs] */
    float *score;
    uint32_t *victim;
    uint32_t n_seqs, n_q_heads, n_kv_heads, max_tokens, recent;
};

/* Eviction's other half: the kept tokens of each head move to the front of its own pages, in another pool of
 * the same shape. Formats without scales (bf16, fp8); table_heads = n_kv_heads.
 *   keep [n_seqs][n_kv_heads][n_keep] positions, ascending;  pages_from, pages_to: old and new page tables */
struct kb_compact {
    const void *from;
    const uint32_t *keep, *pages_from, *pages_to;
    void *to;
    struct kb_paged paged;
    uint32_t n_seqs, n_keep;
};

/* NHD <-> HND of whole pages, formats without scales. list_from, list_to [n_list]: page numbers in the two
 * pools; `to` has the other layout of paged.layout. It may have more KV heads, of which some are filled: from's
 * heads become to_first and up of to_heads (one head recalled through a buffer); to_heads 0 = as many. */
struct kb_relayout {
    const void *from;
    const uint32_t *list_from, *list_to;
    void *to;
    struct kb_paged paged; /* of `from` */
    uint32_t n_list, to_heads, to_first;
};

/* ---- small things ---- */

/* residual += x, rounded to bf16; y = residual / sqrt(mean of its squares + eps) * weight. weight [width], the
 * rest [n_tokens][width], all bf16. A GPU wants width in whole 8. */
struct kb_rmsnorm {
    const uint16_t *x, *weight;
    uint16_t *residual, *y;
    uint32_t n_tokens, width;
    float eps;
};

/* Rotates q and k in place: channels i and i + head_dim/2 by pos x theta^(-2i/head_dim) ("neox" halves).
 * qkv bf16 [n_tokens][n_q_heads + 2 n_kv_heads][head_dim], head_dim in whole 16 up to 256. */
struct kb_rope {
    uint16_t *qkv;
    const uint32_t *pos;
    uint32_t n_tokens, n_q_heads, n_kv_heads, head_dim;
    float theta;
};

/* y = silu(gate) * up; x bf16 [n_tokens][2][width], gate first; y bf16 [n_tokens][width]; width in whole 8. */
struct kb_swiglu {
    const uint16_t *x;
    uint16_t *y;
    uint32_t n_tokens, width;
};

/* Greedy sampling: index of the largest logit of each row, the lowest of equals; logits bf16 [n_rows][vocab]. */
struct kb_sample {
    const uint16_t *logits;
    uint32_t *token;
    uint32_t n_rows, vocab;
};

/* Ceilings, `bytes` a multiple of 16. Read: adds the 32-bit words of `from` to the word `to`, modulo 2^32 (so
 * exactly, in any order). Copy: from `from` to `to`. */
struct kb_stream {
    const void *from;
    void *to;
    uint64_t bytes;
};

/* Copies fragments that lie anywhere in mapped host memory into place: the gather kernel of the move family.
 * offset_from, offset_to [n] bytes, multiples of 16; fragment_bytes a multiple of 16; `blocks` = thread blocks. */
struct kb_gather {
    const void *from;
    const uint64_t *offset_from, *offset_to;
    void *to;
    uint32_t n, fragment_bytes, blocks;
};

/* ---- kernels and devices ---- */

enum kb_kernel_id {
    KB_GEMM,
    KB_ATTN_PREFILL,
    KB_ATTN_SCORE,
    KB_ATTN_DECODE,
    KB_ATTN_UNFUSED,
    KB_APPEND,
    KB_GEAR,
    KB_LOWRANK,
    KB_REBUILD,
    KB_DIGEST,
    KB_PAGE_SCORE,
    KB_TOPK,
    KB_SIMILARITY,
    KB_H2O,
    KB_COMPACT,
    KB_RELAYOUT,
    KB_RMSNORM,
    KB_ROPE,
    KB_SWIGLU,
    KB_SAMPLE,
    KB_READ,
    KB_COPY,
    KB_GATHER,
    KB_N_KERNEL
};

/* A stream of work on a device: things queued on one run in order. */
struct kb_queue;

/* Queues one kernel; args is the kernel's struct. False only when it cannot be launched at all (a shape this
 * device has no code for): err says why. */
typedef bool kb_launch(struct kb_queue *queue, const void *args, struct kb_error *err);

/* What a device is, as it says of itself. Text is "" and numbers are 0 where it cannot tell. */
struct kb_device_info {
    char name[128];   /* "NVIDIA H200", or the processor's name */
    char driver[128]; /* driver and runtime versions; for the cpu device compiler, BLAS and instruction set */
    uint64_t memory_bytes, cache_bytes; /* of the device; its last-level cache */
    uint32_t units;                     /* multiprocessors or threads */
    uint32_t compute_capability;        /* 90 for 9.0; 0 for cpu */
    uint64_t shared_bytes;              /* shared memory a block may ask for */
    double clock_hz;
    double pcie_byte_per_s; /* encoded rate of the link now */
    uint32_t pcie_generation, pcie_lanes;
    int numa_node; /* -1 = unknown */
};

/* n timed launches of one kernel. */
struct kb_timing {
    kb_launch *launch;
    const void *const
        *args; /* sample i uses args[i % n_args]: rotate through more data than the cache holds */
    uint32_t n_args, n_samples;
    bool cold; /* empty the cache before each launch */
};

struct kb_device;
struct kb_device_ops {
    void (*close)(struct kb_device *d);
    void *(*alloc)(struct kb_device *d, size_t bytes, struct kb_error *err); /* 256-byte aligned */
    void (*free)(struct kb_device *d, void *p);
    bool (*upload)(struct kb_device *d, void *to, const void *from, size_t bytes, struct kb_error *err);
    bool (*download)(struct kb_device *d, void *to, const void *from, size_t bytes, struct kb_error *err);
    struct kb_queue *(*queue_new)(struct kb_device *d, struct kb_error *err);
    void (*queue_free)(struct kb_queue *q);
    bool (*wait)(struct kb_queue *q, struct kb_error *err); /* until it is empty; reports errors of kernels */
    /* Seconds of each sample, on the device's own clock. */
    bool (*time)(struct kb_device *d, const struct kb_timing *t, double *seconds, struct kb_error *err);
    /* Pages bytes free to take now. */
    uint64_t (*memory_free)(struct kb_device *d);
};

struct kb_link_ops; /* kernels/link.h */

struct kb_device {
    const char *kind; /* "cpu" or "cuda" */
    struct kb_device_info info;
    const struct kb_device_ops *ops;
    const struct kb_link_ops *link;
    kb_launch *const *kernel; /* [KB_N_KERNEL]; NULL = this device has no such kernel */
};

/* "cpu", "cuda" or "cuda:1". NULL and one line when it is not there. */
struct kb_device *kb_device_open(const char *name, struct kb_error *err);
void kb_device_close(struct kb_device *d);
struct kb_device *kb_cpu_open(struct kb_error *err);
struct kb_device *kb_cuda_open(int ordinal, struct kb_error *err); /* built without CUDA: says so */

#ifdef __cplusplus
}
#endif

#endif
