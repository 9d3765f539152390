/*
 * fake_s3.c - the bucket: a list of objects, and a little of S3's language.
 */
#include "fake_s3.h"

#include <ctype.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum
{
    OBJECTS_MAX = 4096,
    LATENCY = 20000, /* us */
    ROW_MAX = 16
};

struct object
{
    char *key;
    uint8_t *data;
    size_t size;
    char etag[36]; /* with its quotes */
    unsigned bodies;
};

struct fake_s3
{
    struct io_twin *twin;
    struct io *io;
    unsigned percent;
    uint64_t chance;
    unsigned requests, faults[FAKE_COUNT];
    unsigned row; /* faults in a row, up to now */
    int64_t last;
    int64_t pauses[ROW_MAX];
    size_t count;
    struct object objects[OBJECTS_MAX];
};

struct connection
{
    struct http base;
    struct fake_s3 *s3;
};

static uint64_t
draw(struct fake_s3 *s3)
{
    s3->chance ^= s3->chance << 13;
    s3->chance ^= s3->chance >> 7;
    s3->chance ^= s3->chance << 17;
    return s3->chance;
}

static struct object *
find(struct fake_s3 *s3, const char *key)
{
    for (size_t i = 0; i < s3->count; i++)
        if (strcmp(s3->objects[i].key, key) == 0)
            return &s3->objects[i];
    return NULL;
}

static enum cpam_status
header(struct http_reply *reply, const char *name, const char *value, struct cpam_err *err)
{
    return http_reply_add_header(reply, name, strlen(name), value, strlen(value), err);
}

static enum cpam_status
error_reply(struct http_reply *reply, bool head, int status, const char *code, struct cpam_err *err)
{
    reply->status = status;
    if (head)
        return CPAM_OK;
    CPAM_TRY(header(reply, "Content-Type", "application/xml", err));
    return cpam_buf_printf(&reply->body, 4096, err,
                           "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
                           "<Message>as it was told to</Message></Error>",
                           code);
}

static void
md5_etag(const void *data, size_t size, char out[36])
{
    uint8_t md5[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (EVP_Digest(data, size, md5, &len, EVP_md5(), NULL) != 1 || len != 16)
        abort();
    out[0] = '"';
    for (unsigned i = 0; i < 16; i++)
        snprintf(out + 1 + 2 * i, 3, "%02x", md5[i]);
    out[33] = '"';
    out[34] = '\0';
}

static const char *
request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static enum cpam_status
put(struct fake_s3 *s3, const char *key, const struct http_request *request,
    struct http_reply *reply, struct cpam_err *err)
{
    const char *condition = request_header(request, "If-None-Match");
    struct object *object = find(s3, key);

    if (object != NULL)
        object->bodies++;
    if (object != NULL && condition != NULL && strcmp(condition, "*") == 0)
        return error_reply(reply, false, 412, "PreconditionFailed", err);
    if (object != NULL || s3->count == OBJECTS_MAX)
        abort(); /* an overwrite: nothing here may ask for one */
    object = &s3->objects[s3->count++];
    *object = (struct object){.key = strdup(key), .size = (size_t) request->body.size, .bodies = 1};
    object->data = malloc(object->size + 1);
    if (request->body.data != NULL)
        memcpy(object->data, request->body.data, object->size);
    else if (pread(request->body.fd, object->data, object->size, (off_t) request->body.offset) !=
             (ssize_t) object->size)
        abort();
    md5_etag(object->data, object->size, object->etag);
    reply->status = 200;
    return header(reply, "ETag", object->etag, err);
}

static enum cpam_status
describe(const struct object *object, uint64_t length, struct http_reply *reply,
         struct cpam_err *err)
{
    char number[32];

    snprintf(number, sizeof(number), "%" PRIu64, length);
    CPAM_TRY(header(reply, "ETag", object->etag, err));
    CPAM_TRY(header(reply, "Content-Length", number, err));
    return header(reply, "Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT", err);
}

/* cut: the connection breaks after half of the body. */
static enum cpam_status
deliver(const struct http_request *request, const uint8_t *data, size_t size, bool cut,
        struct http_reply *reply, struct cpam_err *err)
{
    size_t part = cut ? size / 2 : size;

    if (request->to != NULL && request->accept != NULL)
        CPAM_TRY(request->accept(request->accept_arg, reply, err));
    if (request->to != NULL)
        CPAM_TRY(sink_write(request->to, data, part, err));
    else
        CPAM_TRY(cpam_buf_append(&reply->body, data, part, request->reply_limit, err));
    reply->received = part;
    if (cut)
        return cpam_fail(err, CPAM_TRANSIENT, 0, "the reply was cut short");
    return CPAM_OK;
}

static enum cpam_status
get(struct fake_s3 *s3, const char *key, const struct http_request *request, bool cut,
    struct http_reply *reply, struct cpam_err *err)
{
    const struct object *object = find(s3, key);
    const char *range = request_header(request, "Range");
    uint64_t first = 0, last = 0;

    if (object == NULL)
        return error_reply(reply, false, 404, "NoSuchKey", err);
    last = object->size - 1;
    reply->status = 200;
    if (range != NULL)
    {
        char text[80];
        char *end;

        first = strtoull(range + strlen("bytes="), &end, 10);
        if (end[1] != '\0' && strtoull(end + 1, NULL, 10) < last)
            last = strtoull(end + 1, NULL, 10);
        if (first >= object->size)
            return error_reply(reply, false, 416, "InvalidRange", err);
        reply->status = 206;
        snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%zu", first, last,
                 object->size);
        CPAM_TRY(header(reply, "Content-Range", text, err));
    }
    CPAM_TRY(describe(object, last - first + 1, reply, err));
    return deliver(request, object->data + first, (size_t) (last - first + 1), cut, reply, err);
}

/* The value of a query parameter, decoded; "" if it is not there. */
static void
parameter(const char *query, const char *name, char out[1024])
{
    size_t len = strlen(name);
    size_t at = 0;

    out[0] = '\0';
    for (const char *from = query; from != NULL && *from != '\0';)
    {
        from++; /* '?' or '&' */
        if (strncmp(from, name, len) == 0 && from[len] == '=')
        {
            for (from += len + 1; *from != '\0' && *from != '&' && at < 1023; from++)
            {
                char pair[3] = {from[0] == '%' ? from[1] : '0', from[0] == '%' ? from[2] : '0', 0};

                out[at++] = *from == '%' ? (char) strtoul(pair, NULL, 16) : *from;
                from += *from == '%' ? 2 : 0;
            }
            out[at] = '\0';
            return;
        }
        from = strchr(from, '&');
    }
}

static int
by_key(const void *a, const void *b)
{
    return strcmp(((const struct object *) a)->key, ((const struct object *) b)->key);
}

/* ListObjectsV2 on one page, without a delimiter. */
static enum cpam_status
list(struct fake_s3 *s3, const struct http_request *request, const char *query, bool cut,
     struct http_reply *reply, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf page = {0};
    char prefix[1024], after[1024];
    size_t count = 0;

    parameter(query, "prefix", prefix);
    parameter(query, "start-after", after);
    qsort(s3->objects, s3->count, sizeof(*s3->objects), by_key);
    CPAM_TRY(cpam_buf_printf(&page, 1 << 24, err,
                             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
                             "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket"
                             "</Name><Prefix>%s</Prefix><EncodingType>url</EncodingType>"
                             "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>",
                             prefix));
    for (size_t i = 0; i < s3->count; i++)
    {
        const struct object *object = &s3->objects[i];

        if (strncmp(object->key, prefix, strlen(prefix)) != 0 || strcmp(object->key, after) <= 0)
            continue;
        count++;
        CPAM_TRY(cpam_buf_printf(&page, 1 << 24, err,
                                 "<Contents><Key>%s</Key><LastModified>2026-01-01T00:00:00.000Z"
                                 "</LastModified><ETag>&quot;%.32s&quot;</ETag><Size>%zu</Size>"
                                 "<StorageClass>STANDARD</StorageClass></Contents>",
                                 object->key, object->etag + 1, object->size));
    }
    CPAM_TRY(
        cpam_buf_printf(&page, 1 << 24, err, "<KeyCount>%zu</KeyCount></ListBucketResult>", count));
    reply->status = 200;
    return deliver(request, page.data, page.size, cut, reply, err);
}

static void
forget(struct fake_s3 *s3, const char *key)
{
    struct object *object = find(s3, key);

    if (object == NULL)
        return;
    free(object->key);
    free(object->data);
    *object = s3->objects[--s3->count];
}

static enum cpam_status
answer(struct fake_s3 *s3, const struct http_request *request, bool cut, struct http_reply *reply,
       struct cpam_err *err)
{
    static const char never[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                                "<VersioningConfiguration "
                                "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
    static const char front[] = "http://s3.test/bucket/";
    const char *path =
        strncmp(request->url, front, strlen(front)) == 0 ? request->url + strlen(front) : "";
    const char *query = strchr(request->url, '?');

    if (query != NULL && strncmp(query, "?versioning", 11) == 0)
    {
        reply->status = 200;
        return deliver(request, (const uint8_t *) never, strlen(never), cut, reply, err);
    }
    if (query != NULL && strstr(query, "list-type=2") != NULL && strstr(query, "delim") == NULL)
        return list(s3, request, query, cut, reply, err);
    if (strcmp(request->method, "DELETE") == 0 && query == NULL)
    {
        forget(s3, path);
        reply->status = 204;
        return CPAM_OK;
    }
    if (query != NULL || path[0] == '\0')
    {
        fprintf(stderr, "fake_s3 does not know: %s %s\n", request->method, request->url);
        abort();
    }
    if (strcmp(request->method, "PUT") == 0)
        return put(s3, path, request, reply, err);
    if (strcmp(request->method, "GET") == 0)
        return get(s3, path, request, cut, reply, err);
    if (strcmp(request->method, "HEAD") != 0)
        abort();
    const struct object *object = find(s3, path);
    if (object == NULL)
        return error_reply(reply, true, 404, "NoSuchKey", err);
    reply->status = 200;
    return describe(object, object->size, reply, err);
}

static enum fake_fault
choose(struct fake_s3 *s3)
{
    if (draw(s3) % 100 >= s3->percent)
        return FAKE_NONE;
    return (enum fake_fault)(1 + draw(s3) % (FAKE_COUNT - 1));
}

/* How long the other side waited before it came back. */
static void
note_pause(struct fake_s3 *s3)
{
    int64_t now = s3->io->ops->monotonic(s3->io);
    unsigned row = s3->row < ROW_MAX ? s3->row : ROW_MAX - 1;

    if (s3->row > 0 && now - s3->last > s3->pauses[row])
        s3->pauses[row] = now - s3->last;
    io_twin_advance(s3->twin, LATENCY);
    s3->last = s3->io->ops->monotonic(s3->io);
}

static enum cpam_status
connection_send(struct http *http, const struct http_request *request, struct http_reply *reply,
                struct cpam_err *err)
{
    struct fake_s3 *s3 = ((struct connection *) http)->s3;
    bool head = strcmp(request->method, "HEAD") == 0;
    enum fake_fault fault = choose(s3);
    enum cpam_status status;

    note_pause(s3);
    s3->requests++;
    s3->row = fault == FAKE_NONE ? 0 : s3->row + 1;
    s3->faults[fault]++;
    if (deadline_left(s3->io, request->deadline) == 0)
        return cpam_fail(err, CPAM_DEADLINE, 0, "the time for the request is used up");
    switch (fault)
    {
    case FAKE_503: return error_reply(reply, head, 503, "SlowDown", err);
    case FAKE_500: return error_reply(reply, head, 500, "InternalError", err);
    case FAKE_429:
        CPAM_TRY(header(reply, "Retry-After", "1", err));
        return error_reply(reply, head, 429, "TooManyRequests", err);
    case FAKE_RESET: return cpam_fail(err, CPAM_TRANSIENT, 0, "the connection was reset");
    case FAKE_LOST:
        status = answer(s3, request, false, reply, err);
        if (status != CPAM_OK || request->to != NULL)
            return status; /* what was handed on can't get lost any more */
        return cpam_fail(err, CPAM_TRANSIENT, 0, "the connection was reset");
    case FAKE_TRUNCATED: return answer(s3, request, true, reply, err);
    default: return answer(s3, request, false, reply, err);
    }
}

static void
connection_free(struct http *http)
{
    free(http);
}

struct http *
fake_s3_connect(struct fake_s3 *s3)
{
    static const struct http_ops ops = {.send = connection_send, .free = connection_free};
    struct connection *connection = calloc(1, sizeof(*connection));

    connection->base.ops = &ops;
    connection->s3 = s3;
    return &connection->base;
}

struct fake_s3 *
fake_s3_new(struct io_twin *twin, unsigned percent, uint64_t seed)
{
    struct fake_s3 *s3 = calloc(1, sizeof(*s3));

    s3->twin = twin;
    s3->io = io_twin_io(twin);
    s3->percent = percent;
    s3->chance = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    return s3;
}

void
fake_s3_free(struct fake_s3 *s3)
{
    for (size_t i = 0; s3 != NULL && i < s3->count; i++)
    {
        free(s3->objects[i].key);
        free(s3->objects[i].data);
    }
    free(s3);
}

void
fake_s3_set_percent(struct fake_s3 *s3, unsigned percent)
{
    s3->percent = percent;
}

unsigned
fake_s3_requests(const struct fake_s3 *s3)
{
    return s3->requests;
}

unsigned
fake_s3_faults(const struct fake_s3 *s3, enum fake_fault fault)
{
    return s3->faults[fault];
}

size_t
fake_s3_objects(const struct fake_s3 *s3, const char *part)
{
    size_t count = 0;

    for (size_t i = 0; i < s3->count; i++)
        count += strstr(s3->objects[i].key, part) != NULL;
    return count;
}

unsigned
fake_s3_bodies(const struct fake_s3 *s3, const char *part)
{
    unsigned count = 0;

    for (size_t i = 0; i < s3->count; i++)
        if (strstr(s3->objects[i].key, part) != NULL)
            count += s3->objects[i].bodies;
    return count;
}

int64_t
fake_s3_longest_pause(const struct fake_s3 *s3, unsigned nth)
{
    return s3->pauses[nth < ROW_MAX ? nth : ROW_MAX - 1];
}
