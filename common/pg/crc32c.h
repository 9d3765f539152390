/*
 * crc32c.h - CRC-32C (Castagnoli), as PostgreSQL computes it for pg_control, WAL records and
 * backup_manifest (src/include/port/pg_crc32c.h: initial value and final XOR 0xFFFFFFFF).
 */
#ifndef CPAM_PG_CRC32C_H
#define CPAM_PG_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Start with 0; feed the result of the last call; the result is the finished CRC each time. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The CRC of A||B from the CRCs of A and B and the length of B. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size_b);

/* The same as feeding `size` zero bytes (a hole of a sparse file), in logarithmic time. */
uint32_t crc32c_zeros(uint32_t crc, uint64_t size);

/* How it can be had; crc32c() takes the last of them that the CPU knows. */
enum crc32c_way
{
    CRC32C_BY_TABLE,
    CRC32C_BY_INSTRUCTION,
    CRC32C_BY_FOLDS,
    CRC32C_WAYS
};

/* As crc32c() on such a CPU, for tests, and not from several threads; false: this one can't. */
bool crc32c_by(enum crc32c_way way, uint32_t crc, const void *data, size_t size, uint32_t *out);

#endif
