#include "models/transfer.h"

#include <math.h>

double mdl_transfer_descriptor_s(const struct mdl_transfer_model *m, double bytes)
{
    return bytes < m->break_bytes ? m->descriptor_small_s + bytes * m->descriptor_byte_s
                                  : m->descriptor_large_s;
}

double mdl_transfer_s(const struct mdl_transfer_model *m, double n, double bytes, uint32_t threads)
{
    if (!(n > 0)) return 0;
    uint32_t t = threads < 1 ? 1 : threads > MDL_MAX_SUBMITTERS ? MDL_MAX_SUBMITTERS : threads;
    double calls = m->fragments_per_call ? ceil(n / m->fragments_per_call) : 1;
    double host_s = n * m->submit_s / m->speedup[t] + calls * m->call_s;
    return m->t0_s +
           fmax(host_s, fmax(n * mdl_transfer_descriptor_s(m, bytes), n * bytes / m->rate_byte_per_s));
}

double mdl_kernel_s(const struct mdl_kernel_model *m, double bytes, double elements,
                    double bandwidth_byte_per_s, double units_clock_hz)
{
    double memory_s = bytes / (m->memory_frac * bandwidth_byte_per_s);
    double compute_s = elements * m->element_clocks / units_clock_hz;
    double longer = fmax(memory_s, compute_s), shorter = fmin(memory_s, compute_s);
    if (!(longer > 0)) return m->t0_s;
    return m->t0_s + longer * pow(1 + pow(shorter / longer, m->p), 1 / m->p); /* no overflow for large p */
}
