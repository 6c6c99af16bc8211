#include "kernels/cpu/cpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* CBLAS of a library with 32-bit integers; enum arguments are ints. */
typedef void cblas_sgemm_fn(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                            const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
typedef void set_threads_fn(int n);
typedef char *get_config_fn(void);

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

/* Set once, before the first product, and constant from then on: a C function pointer has no room for them. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static cblas_sgemm_fn *cblas_sgemm_found;
static char name[64] = "no OpenBLAS (own loops)";

static void *symbol(void *library, const char *s)
{
    return library ? dlsym(library, s) : NULL;
}

/* One thread: the entries call it from threads of their own. RTLD_LOCAL keeps its other symbols out of the way. */
static void find(void)
{
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    set_threads_fn *set_threads = NULL;
    get_config_fn *get_config = NULL;
    *(void **)&cblas_sgemm_found = symbol(library, "cblas_sgemm");
    *(void **)&set_threads = symbol(library, "openblas_set_num_threads");
    *(void **)&get_config = symbol(library, "openblas_get_config");
    if (!cblas_sgemm_found) return;
    if (set_threads) set_threads(1);
    char product[24] = "OpenBLAS", version[24] = "";
    if (get_config)
        sscanf(get_config(), "%23s %23s", product, version); /* "OpenBLAS 0.3.21 NO_LAPACKE ..." */
    snprintf(name, sizeof name, "%s %s", product, version);
}

static void multiply(uint32_t m, uint32_t n, uint32_t k, const float *a, uint32_t lda, const float *b,
                     uint32_t ldb, float *c, uint32_t ldc)
{
    cblas_sgemm_found(ROW_MAJOR, NO_TRANS, TRANS, (int)m, (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, 0, c,
                      (int)ldc);
}

kb_sgemm *kb_blas_sgemm(void)
{
    pthread_once(&once, find);
    return cblas_sgemm_found ? multiply : NULL;
}

const char *kb_blas_name(void)
{
    pthread_once(&once, find);
    return name;
}
