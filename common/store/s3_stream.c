/*
 * s3_stream.c - an object of unknown length: one part in memory, then a multipart upload.
 *
 * The size of an object is not known before its end, and S3 takes 10,000 parts: they grow on the way.
 * Only a small part is in memory; a large one waits in a file without a name.  Up to one part nothing is sent before finish, and then as a conditional PUT.  What was begun and
 * not finished is aborted when the sink is freed; if even that fails (the store is gone) the parts
 * stay in the bucket until its lifecycle rule or `cpam-expire` sweeps them.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "store/s3_parts.h"

enum
{
    TENTHS = 10,
    DOUBLED_MAX = 8,      /* times: 16 MiB to 4 GiB */
    ABORT_TIME = 10000000 /* us: an abort must not keep a program from ending */
};

struct s3_stream
{
    struct sink base;
    struct s3_store *store;
    char *key;  /* relative */
    char *full; /* in the bucket */
    enum store_class class;
    struct cpam_buf part; /* the end of it: S3_STORE_PART bytes at most */
    int fd;               /* the beginning of it, if memory does not hold it all; -1: no file yet */
    uint64_t in_file;
    unsigned sent;            /* parts */
    struct s3_upload *upload; /* NULL: everything so far fits into the part */
};

static enum cpam_status
begin(struct s3_stream *self, struct deadline deadline, struct cpam_err *err)
{
    struct s3_store *store = self->store;
    struct s3_put put = {.key = self->full};
    struct s3_info info;

    s3_store_class(store, self->class, &put);
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

uint64_t
s3_store_part_size(unsigned number, unsigned max_parts)
{
    uint64_t doubled = (uint64_t) number * TENTHS / max_parts;

    return (uint64_t) S3_STORE_PART << (doubled < DOUBLED_MAX ? doubled : DOUBLED_MAX);
}

/* Behind what the file has of this part. */
static enum cpam_status
to_file(struct s3_stream *self, struct cpam_err *err)
{
    struct io *io = self->store->base.io;
    const char *dir = self->store->parts_dir;

    if (self->fd < 0)
        CPAM_TRY(file_open_unnamed(io, dir, &self->fd, err));
    CPAM_TRY(
        file_write_at(io, self->fd, dir, self->part.data, self->part.size, self->in_file, err));
    self->in_file += self->part.size;
    self->part.size = 0;
    return CPAM_OK;
}

static enum cpam_status
send_part(struct s3_stream *self, struct cpam_err *err)
{
    struct deadline deadline = store_operation_deadline(&self->store->base);

    if (self->sent == self->store->max_parts)
    {
        (void) cpam_fail(err, CPAM_REFUSED, 0,
                         "\"s3://%s/%s\" needs more than the %u parts that its store takes",
                         s3_bucket(self->store->s3), self->full, self->sent);
        cpam_err_hint(err, "if the store takes more, raise max_parts in its section of the "
                           "configuration (S3 has 10000)");
        return CPAM_REFUSED;
    }
    if (self->upload == NULL)
        CPAM_TRY(begin(self, deadline, err));
    if (self->in_file > 0)
        CPAM_TRY(to_file(self, err));
    struct http_body body = {.fd = self->fd, .size = self->in_file};
    if (self->in_file == 0)
        body = (struct http_body){.data = self->part.data, .fd = -1, .size = self->part.size};
    CPAM_TRY(s3_upload_part(self->upload, &body, deadline, err));
    self->sent++;
    self->part.size = 0;
    self->in_file = 0;
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
        {
            uint64_t whole = s3_store_part_size(self->sent, self->store->max_parts);
            bool is_full = self->in_file + self->part.size >= whole;

            CPAM_TRY(is_full ? send_part(self, err) : to_file(self, err));
        }
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
    if (self->fd >= 0)
        (void) self->store->base.io->ops->close(self->store->base.io, self->fd);
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
    self->fd = -1;
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
