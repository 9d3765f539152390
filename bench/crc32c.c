/*
 * crc32c.c - libcpam's CRC-32C for the S3 server of the benchmark, which is written in Python and would
 * take longer for it than all of what is measured.
 */
#include "pg/crc32c.h"

__attribute__((visibility("default"))) uint32_t bench_crc32c(const void *data, size_t size);

uint32_t
bench_crc32c(const void *data, size_t size)
{
    return crc32c(0, data, size);
}
