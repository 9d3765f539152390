/*
 * buf.c - growing buffers.  They double, so that appending byte by byte stays linear; they never
 * grow past the limit of the call.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
    FIRST_CAP = 256
};

#define PAGE_REST ((size_t) CPAM_BUF_PAGE - 1)

enum cpam_status
cpam_buf_reserve(struct cpam_buf *buf, size_t more, size_t limit, struct cpam_err *err)
{
    if (buf->size > limit || more > limit - buf->size)
        return cpam_fail(err, CPAM_INVALID, 0, "more than the allowed %zu bytes", limit);
    if (more <= buf->cap - buf->size)
        return CPAM_OK;

    size_t need = buf->size + more;
    size_t cap = buf->cap < FIRST_CAP ? FIRST_CAP : buf->cap;
    while (cap < need)
        cap = cap > limit / 2 ? limit : cap * 2;
    if (cap < need)
        cap = need;

    /* on a page, so that it can be written past the page cache (io/direct.h) */
    uint8_t *data = buf->data == NULL && cap >= CPAM_BUF_ALIGNED
                        ? aligned_alloc(CPAM_BUF_PAGE, (cap + CPAM_BUF_PAGE - 1) & ~PAGE_REST)
                        : realloc(buf->data, cap);
    if (data == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory: %zu bytes", cap);
    buf->data = data;
    buf->cap = cap;
    return CPAM_OK;
}

enum cpam_status
cpam_buf_append(struct cpam_buf *buf, const void *data, size_t size, size_t limit,
                struct cpam_err *err)
{
    CPAM_TRY(cpam_buf_reserve(buf, size, limit, err));
    if (size > 0)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    return CPAM_OK;
}

enum cpam_status
cpam_buf_printf(struct cpam_buf *buf, size_t limit, struct cpam_err *err, const char *fmt, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, fmt);
    int size = vasprintf(&text, fmt, args);
    va_end(args);
    if (size < 0)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a text");
    enum cpam_status status = cpam_buf_append(buf, text, (size_t) size, limit, err);
    free(text);
    return status;
}

const char *
cpam_buf_text(struct cpam_buf *buf)
{
    struct cpam_err err;

    if (cpam_buf_append(buf, "", 1, SIZE_MAX, &err) != CPAM_OK)
        return NULL;
    buf->size--;
    return (const char *) buf->data;
}

void
cpam_buf_clear(struct cpam_buf *buf)
{
    free(buf->data);
    *buf = (struct cpam_buf){0};
}
