/* SHA-256 of a file, so that a profile can name exactly the tables it was fitted on.
 * source: FIPS 180-4. */
#ifndef KVSIM_CALIB_SHA256_H
#define KVSIM_CALIB_SHA256_H

#include "sim/status.h"

#include <stddef.h>
#include <stdint.h>

struct cal_sha256 {
    uint32_t h[8];
    uint8_t block[64];
    uint64_t n_bytes;
};

void cal_sha256_init(struct cal_sha256 *s);
void cal_sha256_add(struct cal_sha256 *s, const void *data, size_t n);
/* 64 hexadecimal digits and a NUL. */
void cal_sha256_end(struct cal_sha256 *s, char hex[65]);

bool cal_sha256_file(const char *path, char hex[65], struct sim_status *st);

#endif
