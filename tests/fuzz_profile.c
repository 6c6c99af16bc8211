/* Feeds bytes to the profile reader: the first byte says which file they are, the others of the profile are
 * sound. */
#include "models/profile_parts.h"
#include "sim/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_file(const char *dir, const char *name, const void *data, size_t size)
{
    char *path = sim_printf("%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (f && size > 0 && fwrite(data, 1, size, f) != size) abort();
    if (f) fclose(f);
    free(path);
}

static void ask(const struct mdl_profile *p)
{
    struct mdl_attn_shape shape = {8, 8, 128, MDL_BF16};
    struct sim_status st = {0};
    mdl_profile_covers(p, MDL_BF16, shape, 2, &st);
    mdl_gemm_s(p, MDL_BF16, 100, 512, 512);
    mdl_attn_prefill_s(p, shape, 2, 100, 50);
    mdl_attn_decode_s(p, shape, 3, 1000);
    mdl_allreduce_s(p, 2, 1e5, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const file[] = {"profile.yaml", "gemm.csv", "attention_prefill.csv",
                                       "attention_decode.csv", "allreduce.csv"};
    static const char *const sound[] = {"format: 1\nstage: x\ngpu: x\nengine: x\norigin: x\ndevice: "
                                        "x\nsource: x\nlicence: x\ndate: x\npeaks: "
                                        "{bf16_flops: 1e15, fp8_flops: 0, int8_flops: 0, int4_flops: 0, "
                                        "bandwidth_byte_per_s: 1e12, link_byte_per_s: "
                                        "1e11}\nscale: 100\nt0_s: {gemm: 1e-6, attention_prefill: 1e-6, "
                                        "attention_decode: 1e-6, allreduce: 1e-6}\n",
                                        "dtype,n,k,1,9\nbf16,8,8,50,-60\n",
                                        "kv_dtype,q_heads,kv_heads,head_dim,seqs,1,9\nbf16,8,8,128,1,50,60\n",
                                        "kv_dtype,q_heads,kv_heads,head_dim,seqs,1,9\nbf16,8,8,128,1,50,\n",
                                        "variant,gpus,1,9\ngraph,2,50,60\n"};
    enum { FILES = 5 };
    char dir[] = "/tmp/fuzz_profile_XXXXXX";
    if (size == 0 || !mkdtemp(dir)) return 0;
    for (unsigned i = 0; i < FILES; i++) {
        bool fuzzed = data[0] % FILES == i;
        write_file(dir, file[i], fuzzed ? (const char *)data + 1 : sound[i],
                   fuzzed ? size - 1 : strlen(sound[i]));
    }
    struct sim_status st = {0};
    struct mdl_profile *p = mdl_profile_load(dir, NULL, &st);
    if (p) ask(p);
    if (!p && st.code == SIM_EXIT_OK) abort(); /* refused without a word */
    mdl_profile_free(p);
    for (unsigned i = 0; i < FILES; i++) {
        char *path = sim_printf("%s/%s", dir, file[i]);
        unlink(path);
        free(path);
    }
    rmdir(dir);
    return 0;
}
