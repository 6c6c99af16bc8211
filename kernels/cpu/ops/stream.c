#include "kernels/cpu/vector.h"

#include <omp.h>

#include "kernels/cpu/cpu.h"

/* One stretch of whole 16 bytes per thread: long runs keep the prefetchers going, and let memcpy write past the
 * cache. */
struct stretch {
    uint64_t begin, bytes;
};

static struct stretch own_stretch(uint64_t bytes)
{
    uint64_t n = bytes / 16, threads = (uint64_t)omp_get_num_threads(), i = (uint64_t)omp_get_thread_num();
    uint64_t begin = n * i / threads, end = n * (i + 1) / threads;
    return (struct stretch){16 * begin, 16 * (end - begin)};
}

KB_CPU_ENTRY(read)
{
    const struct kb_stream *a = args;
    uint32_t sum = 0;
    (void)queue;
    (void)err;
#pragma omp parallel reduction(+ : sum)
    {
        struct stretch s = own_stretch(a->bytes);
        const uint32_t *word = (const uint32_t *)((const char *)a->from + s.begin);
        for (uint64_t i = 0; i < s.bytes / 4; i++) sum += word[i];
    }
    *(uint32_t *)a->to += sum;
    return true;
}

KB_CPU_ENTRY(copy)
{
    const struct kb_stream *a = args;
    (void)queue;
    (void)err;
#pragma omp parallel
    {
        struct stretch s = own_stretch(a->bytes);
        memcpy((char *)a->to + s.begin, (const char *)a->from + s.begin, s.bytes);
    }
    return true;
}
