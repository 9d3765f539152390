/*
 * buf.h - a buffer that grows up to a cap its user states.
 *
 * A zeroed struct is an empty buffer.  `data` is NULL while cap is 0.  Whatever grows has a limit
 * (bytes, in every call): passing it is CPAM_INVALID, like any other wrong input.
 */
#ifndef CPAM_BASE_BUF_H
#define CPAM_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct cpam_buf
{
    uint8_t *data;
    size_t size; /* bytes in use */
    size_t cap;  /* bytes allocated */
};

enum
{
    CPAM_BUF_PAGE = 4096,        /* bytes */
    CPAM_BUF_ALIGNED = 256 << 10 /* bytes; a buffer that begins as large begins on a page */
};

/* Make room for `more` bytes behind size; size + more must not pass limit. */
enum cpam_status cpam_buf_reserve(struct cpam_buf *buf, size_t more, size_t limit,
                                  struct cpam_err *err) CPAM_CHECK;

enum cpam_status cpam_buf_append(struct cpam_buf *buf, const void *data, size_t size, size_t limit,
                                 struct cpam_err *err) CPAM_CHECK;

/* Appends text without its NUL; cpam_buf_text() adds one behind the last byte without counting it. */
enum cpam_status cpam_buf_printf(struct cpam_buf *buf, size_t limit, struct cpam_err *err,
                                 const char *fmt, ...)
    __attribute__((format(printf, 4, 5))) CPAM_CHECK;

/* The content as a NUL-terminated text, "" for an empty buffer; valid until the next change.
   NULL if there is no memory for the NUL. */
const char *cpam_buf_text(struct cpam_buf *buf);

/* Free the content; the struct is an empty buffer again. */
void cpam_buf_clear(struct cpam_buf *buf);

/* For CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0}; */
static inline void
cpam_buf_clear_scoped_(struct cpam_buf *buf)
{
    cpam_buf_clear(buf);
}

#endif
