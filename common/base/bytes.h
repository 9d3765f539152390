/*
 * bytes.h - fixed-width numbers in byte arrays.
 *
 * le: PostgreSQL's files on the machines this suite runs on (x86-64, arm64 are little-endian);
 * be: the repository format.
 */
#ifndef CPAM_BASE_BYTES_H
#define CPAM_BASE_BYTES_H

#include <stdint.h>

static inline uint16_t
le16_get(const uint8_t at[2])
{
    return (uint16_t) (at[0] | at[1] << 8);
}

static inline uint32_t
le32_get(const uint8_t at[4])
{
    return (uint32_t) at[3] << 24 | (uint32_t) at[2] << 16 | (uint32_t) at[1] << 8 | at[0];
}

static inline uint64_t
le64_get(const uint8_t at[8])
{
    return (uint64_t) le32_get(at + 4) << 32 | le32_get(at);
}

static inline void
le16_put(uint8_t at[2], uint16_t value)
{
    at[0] = (uint8_t) value;
    at[1] = (uint8_t) (value >> 8);
}

static inline void
le32_put(uint8_t at[4], uint32_t value)
{
    le16_put(at, (uint16_t) value);
    le16_put(at + 2, (uint16_t) (value >> 16));
}

static inline void
le64_put(uint8_t at[8], uint64_t value)
{
    le32_put(at, (uint32_t) value);
    le32_put(at + 4, (uint32_t) (value >> 32));
}

static inline uint16_t
be16_get(const uint8_t at[2])
{
    return (uint16_t) (at[0] << 8 | at[1]);
}

static inline uint32_t
be32_get(const uint8_t at[4])
{
    return (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 | (uint32_t) at[2] << 8 | at[3];
}

static inline uint64_t
be64_get(const uint8_t at[8])
{
    return (uint64_t) be32_get(at) << 32 | be32_get(at + 4);
}

static inline void
be16_put(uint8_t at[2], uint16_t value)
{
    at[0] = (uint8_t) (value >> 8);
    at[1] = (uint8_t) value;
}

static inline void
be32_put(uint8_t at[4], uint32_t value)
{
    be16_put(at, (uint16_t) (value >> 16));
    be16_put(at + 2, (uint16_t) value);
}

static inline void
be64_put(uint8_t at[8], uint64_t value)
{
    be32_put(at, (uint32_t) (value >> 32));
    be32_put(at + 4, (uint32_t) value);
}

#endif
