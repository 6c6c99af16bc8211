/* A case: one kernel on one shape, with inputs, poisoned outputs, the work it does and what is right. A kernel
 * is described once (kernels/cases/<name>.c): the numbers that name its shapes, how a case is made from them,
 * the reference, and which shapes are checked and measured. Checking makes all buffers in host memory, random
 * to the last bit; measuring only says how they are filled, and a device repeats a random block through them,
 * so that 4 GB cost no time to make. */
#ifndef KVSIM_KERNELS_CASE_H
#define KVSIM_KERNELS_CASE_H

#include "kernels/kbench.h"

#include <stdio.h>

enum { KB_MAX_KEYS = 16, KB_MAX_BUFFERS = 12, KB_ARGS_BYTES = 256 };

enum kb_role { KB_IN, KB_OUT, KB_INOUT, KB_SCRATCH };

/* What a buffer holds before the launch. */
enum kb_fill {
    KB_FILL_GIVEN,  /* made by the case itself: tables, lengths, positions */
    KB_FILL_NORMAL, /* bf16, standard normal */
    KB_FILL_FLOAT,  /* fp32, standard normal */
    KB_FILL_BYTES,  /* any bits: codes */
    KB_FILL_FP8,    /* e4m3 of normal x 0.5, never NaN */
    KB_FILL_SCALES, /* fp16 pairs: scale about 1/16 of a standard deviation per code of 4 bits, minimum -1 */
    KB_FILL_POISON  /* outputs and scratch: NaN in every type (0xff) */
};

/* How an output is compared. */
enum kb_type { KB_TYPE_BF16, KB_TYPE_FP16, KB_TYPE_FP32, KB_TYPE_U32, KB_TYPE_BYTES };

struct kb_buffer {
    void *host; /* NULL while measuring, unless GIVEN */
    uint64_t bytes;
    enum kb_role role;
    enum kb_fill fill;
    enum kb_type type;
};

/* Counter-based random numbers: the same seed gives the same case on every machine. */
struct kb_random {
    uint64_t state;
};
uint64_t kb_random_next(struct kb_random *r);
uint32_t kb_random_below(struct kb_random *r, uint32_t n); /* 0 to n - 1; n > 0 */
float kb_random_normal(struct kb_random *r);
void kb_random_shuffle(struct kb_random *r, uint32_t *x, uint32_t n);

struct kb_kernel;

struct kb_case {
    const struct kb_kernel *kernel;
    uint32_t shape[KB_MAX_KEYS];
    union { /* the kernel's argument struct; its first n_buffers members are the buffers' pointers */
        unsigned char bytes[KB_ARGS_BYTES];
        void *pointer[KB_MAX_BUFFERS];
    } args;
    struct kb_buffer buffer[KB_MAX_BUFFERS];
    uint32_t n_buffers;
    double
        bytes; /* least bytes through the device's memory: each input read once, each output written once */
    double flops; /* of the matrix part; 0 = not the limit */
    bool check;   /* buffers are wanted in host memory */
    struct kb_random random;
};

/* ---- for cases/<name>.c ---- */

/* Adds the next buffer, in the order of the struct's pointers. Returns its host memory: always for GIVEN, which
 * the caller then fills, and for the others while checking, where it is filled already. */
void *kb_case_buffer(struct kb_case *c, enum kb_role role, enum kb_fill fill, enum kb_type type,
                     uint64_t bytes);
/* Sets the args from the kernel's own struct and points its buffers at host memory; called last by make. */
void kb_case_args(struct kb_case *c, const void *args, size_t bytes);

/* The model whose shapes are measured: one GPU's share of it at one tensor-parallel size. */
struct kb_model {
    char name[64];
    uint32_t hidden, intermediate, vocab, n_layers;
    uint32_t n_q_heads, n_kv_heads, head_dim; /* whole model */
    uint32_t tensor_parallel;
    bool gated_mlp;
    float rope_theta;
};

/* QUICK also serves the cpu device. A grid may depend on the device (cpu sizes are smaller). */
enum kb_suite { KB_SUITE_CHECK, KB_SUITE_QUICK, KB_SUITE_FULL };

/* Where a grid puts its shapes, most-used first; CHECK shapes are small, ragged and awkward. */
struct kb_grid {
    uint32_t (*shape)[KB_MAX_KEYS];
    size_t n, room;
    enum kb_suite suite;
    struct kb_model model;
    struct kb_device_info device;
    bool cpu;
};
/* kb_grid_add(g, (uint32_t[]){format, seqs, ...}, n_keys): sizes beyond n_keys are 0. Doubles are dropped. */
void kb_grid_add(struct kb_grid *g, const uint32_t *key, uint32_t n_keys);
void kb_grid_free(struct kb_grid *g);

struct kb_verdict {
    double error;   /* norm(out - ref) / norm(ref), or the comparison's own measure */
    double limit;   /* passes when error <= limit */
    char text[160]; /* what is wrong, "" when nothing */
};

struct kb_kernel {
    enum kb_kernel_id id;
    const char *name;        /* attention_decode: also its CSV file */
    const char *family;      /* gemm | prefill | decode | compress | choose | move | small | ceiling */
    const char *help;        /* one line */
    const char *const *keys; /* names of the shape's numbers, NULL-terminated: the CSV's first columns */
    double limit;            /* of the relative error of each output */
    void (*grid)(struct kb_grid *g);
    void (*make)(struct kb_case *c);     /* from c->shape */
    void (*reference)(const void *args); /* naive loops, double sums, on host buffers */
    /* got and want are the same case after device and reference; NULL: each output by kb_compare_outputs. */
    void (*compare)(const struct kb_case *got, const struct kb_case *want, struct kb_verdict *v);
};

/* A value as the CSV shows it: a word for the keys that are choices (format, layout, method, ...), else digits. */
const char *kb_key_text(const char *key, uint32_t value, char room[32]);
/* The reverse; false for nonsense. */
bool kb_key_parse(const char *key, const char *text, uint32_t *value);

/* ---- for those who run cases ---- */

extern const struct kb_kernel *const kb_kernels[KB_N_KERNEL];
uint32_t kb_n_keys(const char *const *keys);

/* A case of a shape; never fails. Free with kb_case_free. */
struct kb_case *kb_case_new(const struct kb_kernel *k, const uint32_t *shape, uint64_t seed, bool check);
void kb_case_free(struct kb_case *c);

/* The same case with its buffers in a device's memory. NULL when memory is short. */
struct kb_loaded {
    struct kb_device *device;
    union {
        unsigned char bytes[KB_ARGS_BYTES];
        void *pointer[KB_MAX_BUFFERS];
    } args;
    uint32_t n_buffers;
};
struct kb_loaded *kb_case_load(const struct kb_case *c, struct kb_device *d, struct kb_error *err);
void kb_loaded_free(struct kb_loaded *l);
uint64_t kb_case_device_bytes(const struct kb_case *c);

/* Runs a check case on a device and by the reference and compares. False when it could not run at all. */
bool kb_case_check(const struct kb_kernel *k, const uint32_t *shape, uint64_t seed, struct kb_device *d,
                   struct kb_verdict *v, struct kb_error *err);

/* Norm of the difference of every output against the kernel's limit; poison left over or NaN fails. Outputs of
 * type U32 and BYTES must be equal. */
void kb_compare_outputs(const struct kb_case *got, const struct kb_case *want, struct kb_verdict *v);
/* The same of one buffer, for comparisons of their own. */
double kb_buffer_error(const struct kb_buffer *got, const struct kb_buffer *want, struct kb_verdict *v);

#endif
