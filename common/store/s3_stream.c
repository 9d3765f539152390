/*
 * s3_stream.c - an object of unknown length: one part in memory, then a multipart upload.
 *
 * Up to one part nothing is sent before finish, and then as a conditional PUT.  What was begun and
 * not finished is aborted when the sink is freed; if even that fails (the store is gone) the parts
 * stay in the bucket until its lifecycle rule or `cpam-expire` sweeps them.
 */
#include <string.h>

#include "base/log.h"
#include "store/s3_parts.h"

enum
{
    ABORT_TIME = 10000000 /* us: an abort must not keep a program from ending */
};

struct s3_stream
{
    struct sink base;
    struct s3_store *store;
    char *key;  /* relative */
    char *full; /* in the bucket */
    enum store_class class;
    struct cpam_buf part;
    struct s3_upload *upload; /* NULL: everything so far fits into the part */
};

static enum cpam_status
begin(struct s3_stream *self, struct deadline deadline, struct cpam_err *err)
{
    struct s3_store *store = self->store;
    const struct s3_put put = {
        .key = self->full, .storage_class = s3_store_class(store, self->class), .lock = true};
    struct s3_info info;

    /* not every store looks at If-None-Match when an upload is completed */
    enum cpam_status status = s3_head(store->s3, self->full, NULL, deadline, &info, err);
    if (status == CPAM_OK)
        return cpam_fail(err, CPAM_EXISTS, 0, "\"s3://%s/%s\" is there already",
                         s3_bucket(store->s3), self->full);
    if (status == CPAM_NOT_FOUND)
        status = s3_store_absent(store, self->full, deadline, err);
    if (status != CPAM_NOT_FOUND)
        return status;
    return s3_upload_new(store->s3, &put, deadline, &self->upload, err);
}

static enum cpam_status
send_part(struct s3_stream *self, struct cpam_err *err)
{
    struct deadline deadline = store_operation_deadline(&self->store->base);

    if (self->upload == NULL)
        CPAM_TRY(begin(self, deadline, err));
    CPAM_TRY(s3_upload_part(self->upload, self->part.data, self->part.size, deadline, err));
    self->part.size = 0;
    return CPAM_OK;
}

static enum cpam_status
stream_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct s3_stream *self = (struct s3_stream *) sink;
    const uint8_t *at = data;

    while (size > 0)
    {
        /* only when more comes is a full part sent: the last one is finish's */
        if (self->part.size == S3_STORE_PART)
            CPAM_TRY(send_part(self, err));
        size_t room = S3_STORE_PART - self->part.size;
        size_t take = size < room ? size : room;

        CPAM_TRY(cpam_buf_append(&self->part, at, take, S3_STORE_PART, err));
        at += take;
        size -= take;
    }
    return CPAM_OK;
}

static enum cpam_status
stream_finish(struct sink *sink, struct cpam_err *err)
{
    struct s3_stream *self = (struct s3_stream *) sink;
    struct deadline deadline = store_operation_deadline(&self->store->base);
    struct s3_info info;

    if (self->upload == NULL)
        return store_put_new(&self->store->base, self->key,
                             self->part.data != NULL ? self->part.data : (const uint8_t *) "",
                             self->part.size, self->class, err);
    CPAM_TRY(send_part(self, err));
    CPAM_TRY(s3_upload_complete(self->upload, deadline, &info, err));
    s3_upload_free(CPAM_STEAL(self->upload)); /* there is nothing left to abort */
    return s3_store_confirm(self->store, self->full, &info, deadline, err);
}

static void
stream_free(struct sink *sink)
{
    struct s3_stream *self = (struct s3_stream *) sink;
    struct cpam_err err;

    if (self->upload != NULL &&
        s3_upload_abort(self->upload, deadline_after(self->store->base.io, ABORT_TIME), &err) !=
            CPAM_OK)
        cpam_log(LOG_WARNING, "the parts of an unfinished upload stay in the bucket: %s", err.text);
    s3_upload_free(self->upload);
    cpam_buf_clear(&self->part);
    free(self->key);
    free(self->full);
    free(self);
}

static const struct sink_ops stream_ops = {
    .write = stream_write, .finish = stream_finish, .free = stream_free};

enum cpam_status
s3_store_put_stream(struct store *store, const char *key, enum store_class class, struct sink **out,
                    struct cpam_err *err)
{
    struct s3_stream *self = calloc(1, sizeof(*self));
    const char *full;

    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an upload");
    self->base.ops = &stream_ops;
    CPAM_AUTO(sink_free) struct sink *owner = &self->base;
    self->store = (struct s3_store *) store;
    self->class = class;
    CPAM_TRY(s3_store_key(self->store, key, &full, err));
    self->key = strdup(key);
    self->full = strdup(full);
    if (self->key == NULL || self->full == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an upload");
    *out = CPAM_STEAL(owner);
    return CPAM_OK;
}
