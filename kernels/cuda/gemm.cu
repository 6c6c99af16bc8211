#include "kernels/cuda/blas.h"

#include <cublasLt.h>
#include <dlfcn.h>
#include <stdlib.h>

#include "kernels/cuda/device.h"

/* What we call of cuBLASLt; types are the header's, which have not changed between 12 and 13. */
#define CALLS(X)                                                                                             \
    X(Create)                                                                                                \
    X(Destroy)                                                                                               \
    X(GetStatusString)                                                                                       \
    X(MatmulDescCreate)                                                                                      \
    X(MatmulDescDestroy)                                                                                     \
    X(MatmulDescSetAttribute)                                                                                \
    X(MatrixLayoutCreate)                                                                                    \
    X(MatrixLayoutDestroy)                                                                                   \
    X(MatmulPreferenceCreate)                                                                                \
    X(MatmulPreferenceDestroy)                                                                               \
    X(MatmulPreferenceSetAttribute)                                                                          \
    X(MatmulAlgoGetHeuristic)                                                                                \
    X(Matmul)

struct calls {
#define MEMBER(name) decltype(&cublasLt##name) name;
    CALLS(MEMBER)
#undef MEMBER
};

/* One shape: what cuBLASLt wants to know of it, and its choice. */
struct plan {
    struct plan *next;
    enum kb_format type;
    uint32_t m, n, k;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t w, x, y;
    cublasLtMatmulAlgo_t algorithm;
};

struct kb_cuda_blas {
    void *library;
    struct calls call;
    cublasLtHandle_t handle;
    void *workspace;
    size_t workspace_bytes;
    uint32_t compute_capability;
    struct plan *plans;
};

static bool done(const struct kb_cuda_blas *b, cublasStatus_t status, const char *what, struct kb_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS) return true;
    return kb_fail(err, "gemm: cuBLASLt: %s: %s", what, b->call.GetStatusString(status));
}

/* --- the library --- */

static bool resolve(struct kb_cuda_blas *b)
{
    bool all = true;
#define RESOLVE(name)                                                                                        \
    all = (b->call.name = (decltype(b->call.name))dlsym(b->library, "cublasLt" #name)) && all;
    CALLS(RESOLVE)
#undef RESOLVE
    return all;
}

/* The newest that is whole and works with this driver. */
static bool open_library(struct kb_cuda_blas *b, struct kb_error *err)
{
    static const char *const names[] = {"libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13",
                                        "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.12"};
    kb_fail(err, "cuBLASLt not found: libcublasLt.so.13, .12; the gemm family is skipped");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        b->library = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
        if (!b->library) continue;
        if (!resolve(b))
            kb_fail(err, "%s lacks a function that is needed; the gemm family is skipped", names[i]);
        else if (done(b, b->call.Create(&b->handle), "create", err))
            return true;
        dlclose(b->library);
        b->library = NULL;
    }
    return false;
}

struct kb_cuda_blas *kb_cuda_blas_new(struct kb_device *d, struct kb_error *err)
{
    struct kb_cuda_blas *b = (struct kb_cuda_blas *)calloc(1, sizeof *b);
    if (!b) abort();
    b->compute_capability = d->info.compute_capability;
    b->workspace_bytes = (size_t)(b->compute_capability == 90 ? 64 : 32) << 20;
    if (open_library(b, err) &&
        kb_cuda_ok(cudaMalloc(&b->workspace, b->workspace_bytes), "gemm workspace", err))
        return b;
    kb_cuda_blas_free(b);
    return NULL;
}

/* --- plans --- */

static void plan_free(const struct kb_cuda_blas *b, struct plan *p)
{
    if (p->product) b->call.MatmulDescDestroy(p->product);
    if (p->w) b->call.MatrixLayoutDestroy(p->w);
    if (p->x) b->call.MatrixLayoutDestroy(p->x);
    if (p->y) b->call.MatrixLayoutDestroy(p->y);
    free(p);
}

void kb_cuda_blas_free(struct kb_cuda_blas *b)
{
    if (!b) return;
    while (b->plans) {
        struct plan *p = b->plans;
        b->plans = p->next;
        plan_free(b, p);
    }
    if (b->handle) b->call.Destroy(b->handle);
    if (b->workspace) (void)cudaFree(b->workspace);
    if (b->library) dlclose(b->library);
    free(b);
}

/* cuBLASLt counts in columns: our y[m][n] = x[m][k] w[n][k]^T is its y^T = w x^T, with w as it lies transposed
 * ("TN", the only order for fp8). fp8 sums in the tensor cores' own precision, as serving engines let it. */
static bool describe(const struct kb_cuda_blas *b, struct plan *p, struct kb_error *err)
{
    const struct calls *c = &b->call;
    cublasOperation_t transposed = CUBLAS_OP_T;
    int8_t fast = p->type == KB_FP8;
    cudaDataType_t in = p->type == KB_FP8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF;
    return done(b, c->MatmulDescCreate(&p->product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "product", err) &&
           done(b,
                c->MatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                          sizeof transposed),
                "transposition", err) &&
           done(b, c->MatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_FAST_ACCUM, &fast, sizeof fast),
                "precision of sums", err) &&
           done(b, c->MatrixLayoutCreate(&p->w, in, p->k, p->n, p->k), "layout of w", err) &&
           done(b, c->MatrixLayoutCreate(&p->x, in, p->k, p->m, p->k), "layout of x", err) &&
           done(b, c->MatrixLayoutCreate(&p->y, CUDA_R_16BF, p->n, p->m, p->n), "layout of y", err);
}

static bool choose(const struct kb_cuda_blas *b, struct plan *p, struct kb_error *err)
{
    const struct calls *c = &b->call;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t result;
    int n = 0;
    if (!done(b, c->MatmulPreferenceCreate(&preference), "preference", err)) return false;
    bool ok = done(b,
                   c->MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                   &b->workspace_bytes, sizeof b->workspace_bytes),
                   "workspace", err) &&
              done(b,
                   c->MatmulAlgoGetHeuristic(b->handle, p->product, p->w, p->x, p->y, p->y, preference, 1,
                                             &result, &n),
                   "choice of algorithm", err);
    c->MatmulPreferenceDestroy(preference);
    if (ok && n == 0) ok = done(b, CUBLAS_STATUS_NOT_SUPPORTED, "choice of algorithm", err);
    if (ok) p->algorithm = result.algo;
    return ok;
}

static struct plan *plan_of(struct kb_cuda_blas *b, const struct kb_gemm *a, struct kb_error *err)
{
    for (struct plan *p = b->plans; p; p = p->next)
        if (p->m == a->m && p->n == a->n && p->k == a->k && p->type == a->type) return p;
    struct plan *p = (struct plan *)calloc(1, sizeof *p);
    if (!p) abort();
    p->type = a->type;
    p->m = a->m;
    p->n = a->n;
    p->k = a->k;
    if (!describe(b, p, err) || !choose(b, p, err)) {
        plan_free(b, p);
        return NULL;
    }
    p->next = b->plans;
    b->plans = p;
    return p;
}

KB_ENTRY(gemm)
{
    const struct kb_gemm *a = (const struct kb_gemm *)args;
    struct kb_cuda_blas *b = kb_cuda_device_blas(queue->device, err);
    if (!b) return false;
    if (a->type == KB_FP8 && b->compute_capability < 89)
        return kb_fail(err, "gemm: fp8 needs compute capability 8.9, this is %u.%u",
                       b->compute_capability / 10, b->compute_capability % 10);
    struct plan *p = plan_of(b, a, err);
    if (!p) return false;
    float alpha = a->type == KB_FP8 ? a->x_scale * a->w_scale : 1, beta = 0;
    return done(b,
                b->call.Matmul(b->handle, p->product, &alpha, a->w, p->w, a->x, p->x, &beta, a->y, p->y, a->y,
                               p->y, &p->algorithm, b->workspace, b->workspace_bytes, queue->stream),
                "product", err);
}
