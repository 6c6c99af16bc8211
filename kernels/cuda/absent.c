/* In place of the cuda device where nvcc was not found. */
#include "kernels/kbench.h"

struct kb_device *kb_cuda_open(int ordinal, struct kb_error *err)
{
    (void)ordinal;
    kb_fail(
        err,
        "cuda: this kvbench was built without CUDA; install the CUDA toolkit (nvcc) and run `make kernels`");
    return NULL;
}
