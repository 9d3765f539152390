/*
 * sink.c - chains of sinks: handing on, finishing in order, freeing; and the sink that collects.
 */
#include "io/sink.h"

#include <assert.h>
#include <stdlib.h>

enum cpam_status
sink_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    if (size == 0)
        return CPAM_OK;
    return sink->ops->write(sink, data, size, err);
}

enum cpam_status
sink_finish(struct sink *sink, struct cpam_err *err)
{
    for (; sink != NULL; sink = sink->next)
        if (sink->ops->finish != NULL)
            CPAM_TRY(sink->ops->finish(sink, err));
    return CPAM_OK;
}

void
sink_free(struct sink *sink)
{
    while (sink != NULL)
    {
        struct sink *next = sink->next;

        if (sink->ops->free != NULL)
            sink->ops->free(sink);
        sink = next;
    }
}

static enum cpam_status
nowhere_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    (void) sink;
    (void) data;
    (void) size;
    (void) err;
    return CPAM_OK;
}

struct sink *
sink_nowhere(void)
{
    static const struct sink_ops ops = {.write = nowhere_write};
    static struct sink nowhere = {.ops = &ops};

    return &nowhere;
}

struct sink_buf
{
    struct sink base;
    struct cpam_buf *buf;
    size_t limit;
};

static enum cpam_status
buf_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct sink_buf *self = (struct sink_buf *) sink;

    return cpam_buf_append(self->buf, data, size, self->limit, err);
}

static void
buf_free(struct sink *sink)
{
    free(sink);
}

enum cpam_status
sink_buf_push(struct sink **chain, struct cpam_buf *buf, size_t limit, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = buf_write, .free = buf_free};

    assert(*chain == NULL); /* it hands nothing on: it can only be the end of a chain */
    struct sink_buf *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a buffer");
    self->base.ops = &ops;
    self->buf = buf;
    self->limit = limit;
    *chain = &self->base;
    return CPAM_OK;
}
