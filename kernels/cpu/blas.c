#include "kernels/cpu/cpu.h"

kb_sgemm *kb_blas_sgemm(void)
{
    return NULL;
}

const char *kb_blas_name(void)
{
    return "no BLAS";
}
