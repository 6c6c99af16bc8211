/* Any bytes through the config.json reader; what is accepted must have finite, consistent sizes. */
#include "models/arch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_status st = {0}, split = {0};
    struct mdl_arch a;
    if (!mdl_arch_parse("fuzz", (const char *)data, size, &a, &st)) {
        if (!st.message[0]) abort();
        return 0;
    }
    if (!a.n_layers || !a.head_dim || a.n_q_heads % a.n_kv_heads) abort();
    if (mdl_arch_parameters(&a) < a.vocab || mdl_arch_kv_byte_per_token(&a, MDL_BF16) <= 0) abort();
    mdl_arch_check_parallel(&a, 2, 2, &split);
    return 0;
}
