#include "kernels/kbench.h"

#include <stdlib.h>
#include <string.h>

struct kb_device *kb_device_open(const char *name, struct kb_error *err)
{
    if (strcmp(name, "cpu") == 0) return kb_cpu_open(err);
    if (strcmp(name, "cuda") == 0) return kb_cuda_open(0, err);
    if (strncmp(name, "cuda:", 5) == 0 && name[5] >= '0' && name[5] <= '9') {
        char *end;
        long ordinal = strtol(name + 5, &end, 10);
        if (!*end && ordinal < 1024) return kb_cuda_open((int)ordinal, err);
    }
    kb_fail(err, "device `%s`: expected cpu, cuda or cuda:N", name);
    return NULL;
}

void kb_device_close(struct kb_device *d)
{
    if (d) d->ops->close(d);
}
