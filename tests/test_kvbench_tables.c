/* What kvbench writes becomes a profile: operators come back as they were measured, rows that count are told
 * from those that do not, and the cpu device is never taken for a card. */
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calib/calib.h"
#include "calib/columns.h"
#include "models/datadir.h"
#include "sim/memory.h"

static const struct cal_talk SILENT = {NULL, NULL};
static const double BANDWIDTH = 2e10, FLOPS = 1e11;

static const char head_text[] =
    "format: 1\nstage: 'kvbench'\nkvbench: '1.0'\ndevice: '%s'\nname: 'a machine'\n"
    "units: 2\nclock_hz: 0\n"
    "ceilings: {read_byte_per_s: 2e10, copy_byte_per_s: 1e10, bf16_flops: 1e11, "
    "to_device_byte_per_s: 5e9}\n";

static FILE *create(const char *folder, const char *name)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    return out;
}

/* Times of a machine that reaches 80 % of both ceilings and needs 2 us to begin. */
static double gemm_s(double m, double n, double k)
{
    return 2e-6 + fmax(2 * m * n * k / (0.8 * FLOPS), 2 * (n * k + m * k + m * n) / (0.8 * BANDWIDTH));
}

static double decode_s(double seqs, double tokens)
{
    return 2e-6 + 2 * 2 * 3 * 64 * seqs * tokens / (0.8 * BANDWIDTH);
}

static double elementwise_s(double bytes)
{
    return 3e-6 + bytes / (0.5 * BANDWIDTH);
}

static void write_gemm(const char *folder)
{
    static const int shape[][2] = {{960, 576}, {576, 576}, {3072, 576}, {576, 1536}, {49152, 576}};
    FILE *out = create(folder, "gemm.csv");
    fputs("format,n,k,m,heat,time_s,min_s,spread_frac,n_samples,bytes,flops,status\n", out);
    for (int i = 0; i < 5; i++)
        for (int m = 1; m <= 512; m *= 2) {
            double s = gemm_s(m, shape[i][0], shape[i][1]);
            fprintf(out, "bf16,%d,%d,%d,cold,%.9g,%.9g,0.01,20,0,0,ok\n", shape[i][0], shape[i][1], m, s, s);
            fprintf(out, "bf16,%d,%d,%d,hot,%.9g,%.9g,0.01,20,0,0,ok\n", shape[i][0], shape[i][1], m, s / 3,
                    s);
        }
    fputs("bf16,960,576,24,cold,9.0,9.0,0.9,20,0,0,noisy\n", out); /* would spoil everything */
    fclose(out);
}

static void write_decode(const char *folder)
{
    FILE *out = create(folder, "attention_decode.csv");
    fputs("format,q_heads,kv_heads,head_dim,page_tokens,layout,seqs,tokens,ragged,sink,window,sparse,aliased,"
          "heat,time_s,"
          "min_s,spread_frac,n,bytes,flops,status\n",
          out);
    for (int seqs = 1; seqs <= 32; seqs *= 2)
        for (int tokens = 64; tokens <= 4096; tokens *= 4) {
            double s = decode_s(seqs, tokens), bytes = 2.0 * 2 * 3 * 64 * seqs * tokens;
            fprintf(out, "bf16,9,3,64,16,nhd,%d,%d,0,0,0,0,0,cold,%.9g,0,0,20,%.0f,0,ok\n", seqs, tokens, s,
                    bytes);
            fprintf(out, "int4,9,3,64,32,nhd,%d,%d,0,0,0,0,0,cold,%.9g,0,0,20,%.0f,0,ok\n", seqs, tokens,
                    0.4 * s, bytes * 0.28);
            fprintf(out, "int4,9,3,64,32,nhd,%d,%d,0,0,0,0,1,cold,%.9g,0,0,20,%.0f,0,ok\n", seqs, tokens,
                    0.3 * s, bytes * 0.28);
            fprintf(out, "bf16,9,3,64,16,nhd,%d,%d,1,0,0,0,0,cold,%.9g,0,0,20,1,0,ok\n", seqs, tokens,
                    50 * s);
        }
    fputs("kivi4,9,3,64,32,nhd,1,80,0,0,0,0,0,cold,1e-5,0,0,20,1000,0,ok\n",
          out); /* bf16 has no such shape */
    fclose(out);
}

static void write_rest(const char *folder, const char *device)
{
    FILE *out = create(folder, "attention_prefill.csv");
    fputs("q_heads,kv_heads,head_dim,page_tokens,layout,seqs,new_tokens,past_tokens,ragged,heat,time_s,"
          "status\n",
          out);
    for (int tokens = 16; tokens <= 512; tokens *= 2)
        for (int past = 0; past <= 1024; past += 512)
            fprintf(out, "9,3,64,16,nhd,1,%d,%d,0,cold,%.9g,ok\n", tokens, past,
                    3e-6 + 4.0 * 9 * 64 * tokens * (past + 0.5 * tokens) / (0.3 * FLOPS));
    fclose(out);
    out = create(folder, "rmsnorm.csv");
    fputs("tokens,width,heat,time_s,bytes,status\n", out);
    for (int tokens = 1; tokens <= 512; tokens *= 2)
        fprintf(out, "%d,576,hot,%.9g,%d,ok\n", tokens,
                elementwise_s(8.0 * 576 * tokens) * (tokens == 16 ? 9 : 1), 8 * 576 * tokens);
    fclose(out);
    out = create(folder, "profile.yaml");
    fprintf(out, head_text, device);
    fclose(out);
}

/* A folder of raw tables of that device below test_dir(). */
static const char *raw_tables(const char *device)
{
    static char folder[600];
    snprintf(folder, sizeof folder, "%s/raw-%s", test_dir(), device);
    mkdir(folder, 0700);
    write_gemm(folder);
    write_decode(folder);
    write_rest(folder, device);
    return strrchr(folder, '/') + 1;
}

static const struct mdl_gpu *card(const char *name)
{
    static struct mdl_gpu cards[4];
    static int turn;
    struct sim_status st = {0};
    char *data = mdl_data_dir(&st), *path = sim_printf("%s/models/gpus.csv", data);
    struct mdl_gpu_catalogue *c = mdl_gpu_catalogue_load(path, &st);
    const struct mdl_gpu *gpu = c ? mdl_gpu_find(c, name, &st) : NULL;
    ck_assert_msg(gpu != NULL, "%s", st.message);
    cards[turn = (turn + 1) % 4] = *gpu;
    mdl_gpu_catalogue_free(c);
    free(path);
    free(data);
    return &cards[turn];
}

static bool fit(const char *device, const char *gpu, char *out, struct sim_status *st)
{
    struct cal_source source = {.from = "kvbench", .root = test_dir(), .folder = raw_tables(device)};
    sprintf(out, "%s/fitted-%s", test_dir(), gpu);
    return cal_fit(&source, card(gpu), out, SILENT, st);
}

START_TEST(operators_come_back_as_they_were_measured)
{
    char dir[700];
    struct sim_status st = {0};
    ck_assert_msg(fit("cpu", "cpu", dir, &st), "%s", st.message);
    struct mdl_profile *p = mdl_profile_load(dir, card("cpu"), &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    struct mdl_attn_shape heads = {9, 3, 64, MDL_BF16};
    for (int m = 1; m <= 512; m *= 2) {
        struct mdl_time t = mdl_gemm_s(p, MDL_BF16, (uint64_t)m, 3072, 576);
        ck_assert_double_eq_tol(t.s / gemm_s(m, 3072, 576), 1, 0.02);
        ck_assert_int_eq(t.how, SIM_MEASURED);
    }
    ck_assert_double_eq_tol(mdl_gemm_s(p, MDL_BF16, 24, 960, 576).s / gemm_s(24, 960, 576), 1, 0.1);
    ck_assert_double_eq_tol(mdl_attn_decode_s(p, heads, 8, 8 * 1024).s / decode_s(8, 1024), 1, 0.02);
    ck_assert_double_eq_tol(mdl_attn_prefill_s(p, heads, 1, 128, 512).s /
                                (3e-6 + 4.0 * 9 * 64 * 128 * (512 + 64) / (0.3 * FLOPS)),
                            1, 0.1);
    /* one launch nine times too slow does not move the line */
    struct mdl_time e = mdl_elementwise_s(p, 1e6, 2);
    ck_assert_double_eq_tol(e.s / (2 * 3e-6 + 1e6 / (0.5 * BANDWIDTH)), 1, 0.02);
    ck_assert_int_eq(e.how, SIM_INTERPOLATED);
    mdl_profile_free(p);
}
END_TEST

START_TEST(formats_become_ratios_and_kernels_between_two_ceilings)
{
    static const char *const ratio_names[] = {"$format", "seqs", "tokens", "ratio", "status", NULL};
    char dir[700], path[800], line[256];
    struct sim_status st = {0};
    ck_assert_msg(fit("cpu", "cpu", dir, &st), "%s", st.message);
    snprintf(path, sizeof path, "%s/ratio.csv", dir);
    FILE *in = fopen(path, "r");
    ck_assert_ptr_nonnull(in);
    int rows = 0;
    ck_assert_ptr_nonnull(fgets(line, sizeof line, in));
    for (; fgets(line, sizeof line, in); rows++) {
        ck_assert_ptr_eq(strstr(line, "int4,9,3,64,"), line);
        ck_assert_double_eq_tol(atof(strrchr(line, ',') + 1), 0.4, 1e-4);
    }
    fclose(in);
    ck_assert_int_eq(rows, 24);
    snprintf(path, sizeof path, "%s/kernels.csv", dir);
    ck_assert_int_eq(access(path, R_OK), 0);
    snprintf(path, sizeof path, "%s/transfer.csv", dir);
    ck_assert_int_ne(access(path, R_OK), 0); /* no fragments were measured */
    struct cal_columns c;
    snprintf(path, sizeof path, "%s/ratio.csv", dir);
    ck_assert(!cal_columns_read(path, ratio_names, &c, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "no column `status`"));
}
END_TEST

START_TEST(the_cpu_device_is_no_card)
{
    char dir[700];
    struct sim_status st = {0};
    ck_assert(!fit("cpu", "h200-sxm", dir, &st));
    ck_assert_msg(strstr(st.message, "not of h200-sxm") != NULL, "%s", st.message);
    st = (struct sim_status){0};
    ck_assert(!fit("cuda", "cpu", dir, &st));
    st = (struct sim_status){0};
    ck_assert_msg(fit("cpu", "cpu", dir, &st), "%s", st.message);
    ck_assert_ptr_null(mdl_profile_load(dir, card("h200-sxm"), &st));
    ck_assert_msg(strstr(st.message, "cpu device only") != NULL, "%s", st.message);
    st = (struct sim_status){0};
    ck_assert_msg(fit("cuda", "h200-sxm", dir, &st), "%s", st.message);
    ck_assert_ptr_null(mdl_profile_load(dir, card("cpu"), &st));
}
END_TEST

START_TEST(wrong_tables_are_named)
{
    static const struct {
        const char *file, *text, *complaint;
    } wrong[] = {
        {"gemm.csv", "format,n,k,m,heat,status\n", "no column `time_s`"},
        {"gemm.csv", "format,n,k,m,heat,time_s,status\nbf16,1,1,1,cold,-1,ok\n", "time_s is -1"},
        {"gemm.csv", "format,n,k,m,heat,time_s,status\nbf16,9999999999,1,1,cold,1,ok\n",
         "expected less than 2^32"},
        {"profile.yaml", "device: cpu\n", "no `name`"},
        {"profile.yaml", "device: cpu\nname: x\nkvbench: 1\n", "ceiling `bf16_flops` is missing"},
        {"profile.yaml", "device: cpu\nname: x\nkvbench: 1\nceilings: {bf16_flops: -1, read_byte_per_s: 1}\n",
         "`bf16_flops` is -1"},
    };
    struct cal_source source = {.from = "kvbench", .root = test_dir(), .folder = raw_tables("cpu")};
    struct sim_status st = {0};
    char folder[700], out_dir[700];
    snprintf(folder, sizeof folder, "%s/%s", test_dir(), source.folder);
    snprintf(out_dir, sizeof out_dir, "%s/none", test_dir());
    FILE *out = create(folder, wrong[_i].file);
    fputs(wrong[_i].text, out);
    fclose(out);
    ck_assert(!cal_fit(&source, card("cpu"), out_dir, SILENT, &st));
    ck_assert_msg(strstr(st.message, wrong[_i].complaint) != NULL, "%s", st.message);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kvbench tables");
    TCase *c = tcase_create("kvbench tables");
    tcase_add_test(c, operators_come_back_as_they_were_measured);
    tcase_add_test(c, formats_become_ratios_and_kernels_between_two_ceilings);
    tcase_add_test(c, the_cpu_device_is_no_card);
    tcase_add_loop_test(c, wrong_tables_are_named, 0, 6);
    suite_add_tcase(s, c);
    return s;
}
