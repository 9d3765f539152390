/*
 * sink.h - where bytes are pushed: write, finish, free.
 *
 * A source pumps; sinks digest, seal, store.  Each sink owns the next one.  finish() is the only
 * way to publish: whatever a chain would bring into being exists after sink_finish() returned
 * CPAM_OK and not before; sink_free() without it throws everything away (temporary files are
 * unlinked, multipart uploads aborted).
 *
 * A function x_push(&chain, ..., err) puts a new sink in front of *chain.  When it fails, *chain
 * is as it was and still the caller's.  So one CPAM_AUTO(sink_free) covers a whole pipeline.
 *
 * After write or finish failed, only free may be called.  One thread at a time.
 */
#ifndef CPAM_IO_SINK_H
#define CPAM_IO_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/scope.h"

struct sink;

struct sink_ops
{
    /* Takes all of data, or fails. */
    enum cpam_status (*write)(struct sink *sink, const void *data, size_t size,
                              struct cpam_err *err);
    /* The last bytes have come.  Does not finish the next sink: sink_finish() does, afterwards.
       NULL: nothing is left to do. */
    enum cpam_status (*finish)(struct sink *sink, struct cpam_err *err);
    /* Frees this sink alone: sink_free() frees the next one.  NULL: it is somebody else's, on his
       stack or a part of something larger. */
    void (*free)(struct sink *sink);
};

struct sink
{
    const struct sink_ops *ops;
    struct sink *next; /* NULL at the end of a chain */
};

enum cpam_status sink_write(struct sink *sink, const void *data, size_t size,
                            struct cpam_err *err) CPAM_CHECK;

/* Finishes each sink from the front to the end; stops at the first failure. */
enum cpam_status sink_finish(struct sink *sink, struct cpam_err *err) CPAM_CHECK;

void sink_free(struct sink *sink);
CPAM_SCOPED(sink_free, struct sink);

/* Where content goes that has to come, and is not wanted.  Never freed; for any number of threads. */
struct sink *sink_nowhere(void);

/* Collects into *buf (borrowed), at most limit bytes. */
enum cpam_status sink_buf_push(struct sink **chain, struct cpam_buf *buf, size_t limit,
                               struct cpam_err *err) CPAM_CHECK;

#endif
