/* The list of probes, most-used first. A new probe is a row here. */
#include "kernels/probe.h"

extern const struct kb_probe kb_probe_transfer, kb_probe_fragments, kb_probe_recall, kb_probe_launch_rate,
    kb_probe_contention, kb_probe_host, kb_probe_pin;

const struct kb_probe *const kb_probes[] = {
    &kb_probe_host,        &kb_probe_transfer,   &kb_probe_fragments, &kb_probe_recall,
    &kb_probe_launch_rate, &kb_probe_contention, &kb_probe_pin,       NULL};
