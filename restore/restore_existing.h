/*
 * restore_existing.h - a file that is there already, looked at whole.
 */
#ifndef CPAM_RESTORE_RESTORE_EXISTING_H
#define CPAM_RESTORE_RESTORE_EXISTING_H

#include <stdbool.h>

#include "base/err.h"
#include "io/io.h"

/* CRC-32C of the first `size` bytes; *whole is false when not all could be read. */
enum cpam_status existing_crc(struct io *io, int fd, const char *path, uint64_t size, uint32_t *crc,
                              bool *whole, struct cpam_err *err) CPAM_CHECK;

/* Zeros from `at` on, and room only where it has to be: what is not zero becomes a hole. */
enum cpam_status existing_zero(struct io *io, int fd, const char *path, uint64_t at, uint64_t size,
                               struct cpam_err *err) CPAM_CHECK;

#endif
