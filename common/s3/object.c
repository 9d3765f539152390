/*
 * object.c - put, get, head, delete of one object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "s3/guard.h"

void
s3_put_headers(struct s3 *s3, const struct s3_put *put, struct s3_call *call, char retain[32])
{
    const struct s3_settings *settings = &s3->settings;
    const char *sse = settings->server_side_encryption;

    s3_call_header(call, "x-amz-storage-class", put->storage_class);
    if (sse != NULL && strcmp(sse, "none") != 0)
    {
        s3_call_header(call, "x-amz-server-side-encryption", sse);
        if (strcmp(sse, "aws:kms") == 0)
            s3_call_header(call, "x-amz-server-side-encryption-aws-kms-key-id", settings->kms_key);
    }
    if (put->lock && s3_lock_wanted(s3))
    {
        s3_lock_until(s3, put->lock_more, retain);
        s3_call_header(call, "x-amz-object-lock-mode", settings->lock_mode);
        s3_call_header(call, "x-amz-object-lock-retain-until-date", retain);
    }
}

/* Does this answer say that what is stored is what was sent, as far as it says anything? */
static enum cpam_status
check_answer(const struct http_reply *reply, enum s3_guard_kind guard,
             const struct s3_digests *digests, struct cpam_err *err)
{
    const char *crc = http_reply_header(reply, "x-amz-checksum-crc32c");

    if (guard == GUARD_MD5)
        return s3_check_etag(reply, digests->md5_hex, err);
    if (http_reply_header(reply, "ETag") == NULL)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the store's answer has no ETag");
    if (guard == GUARD_CRC32C && crc != NULL && strcmp(crc, digests->crc32c_base64) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the store says that it holds other bytes than were sent: CRC-32C %s "
                         "instead of %s",
                         crc, digests->crc32c_base64);
    return CPAM_OK;
}

enum cpam_status
s3_put_new(struct s3 *s3, const struct s3_put *put, struct deadline deadline, struct s3_info *info,
           struct cpam_err *err)
{
    static const unsigned digest_of[] = {[GUARD_MD5] = S3_DIGEST_MD5,
                                         [GUARD_SHA256] = S3_DIGEST_SHA256,
                                         [GUARD_CRC32C] = S3_DIGEST_CRC32C};
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = {.method = "PUT", .doing = "put", .key = put->key, .body = put->body};
    enum s3_guard_kind guard = s3_guard_for(s3, put, deadline);
    struct s3_digests digests;
    char retain[32];

    CPAM_TRY(s3_digest(s3, &put->body, digest_of[guard], &digests, err));
    call.payload = digests.sha256_hex[0] != '\0' ? digests.sha256_hex : NULL;
    s3_call_header(&call, "If-None-Match", "*");
    if (guard == GUARD_MD5)
        s3_call_header(&call, "Content-MD5", digests.md5_base64);
    if (guard == GUARD_CRC32C)
    {
        s3_call_header(&call, "x-amz-checksum-crc32c", digests.crc32c_base64);
        s3_call_header(&call, "x-amz-sdk-checksum-algorithm", "CRC32C");
    }
    s3_call_header(&call, "Content-Type", "application/octet-stream");
    s3_put_headers(s3, put, &call, retain);
    CPAM_TRY(s3_call(s3, &call, deadline, &reply, err));

    s3_info_of(&reply, info);
    info->size = put->body.size;
    enum cpam_status status = check_answer(&reply, guard, &digests, err);
    if (status != CPAM_OK)
        s3_call_prefix(s3, &call, err);
    return status;
}

/* --- get ------------------------------------------------------------------------------------ */

/* A read with what has arrived of it so far, over several attempts. */
struct reading
{
    struct sink base; /* in front of get->to: counts, and tells its failures from the network's */
    struct s3 *s3;
    const struct s3_get *get;
    struct deadline deadline;
    struct s3_info *info;
    uint64_t done;     /* bytes given to get->to */
    uint64_t expected; /* of them, in all; known once an answer was accepted */
    bool known;        /* info is filled */
    bool sink_failed;
};

static enum cpam_status
reading_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct reading *reading = (struct reading *) sink;

    if (size > reading->expected - reading->done)
        return cpam_fail(err, CPAM_CORRUPT, 0, "more bytes came than were asked for");
    enum cpam_status status = sink_write(reading->get->to, data, size, err);
    reading->sink_failed = status != CPAM_OK;
    if (status == CPAM_OK)
        reading->done += size;
    return status;
}

static const struct sink_ops reading_ops = {.write = reading_write};

static bool
whole_asked(const struct reading *reading)
{
    return reading->get->offset + reading->done == 0 && reading->get->size == 0;
}

/* Where the bytes of this answer stand in the object. */
static enum cpam_status
placed(const struct reading *reading, const struct http_reply *reply, uint64_t *first,
       uint64_t *last, uint64_t *total, struct cpam_err *err)
{
    const char *range = http_reply_header(reply, "Content-Range");
    const char *length = http_reply_header(reply, "Content-Length");
    int used = 0;

    if (whole_asked(reading))
    {
        if (reply->status != 200 || length == NULL)
            return cpam_fail(err, CPAM_CORRUPT, 0,
                             "the store answered %d %s length to a request for a whole object",
                             reply->status, length == NULL ? "without a" : "with a");
        *first = 0;
        *total = strtoull(length, NULL, 10);
        *last = *total > 0 ? *total - 1 : 0;
        return CPAM_OK;
    }
    if (reply->status != 206 || range == NULL)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the store answered %d %s Content-Range to a request for a range",
                         reply->status, range == NULL ? "without" : "with");
    if (sscanf(range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64 "%n", first, last, total, &used) !=
            3 ||
        range[used] != '\0' || *first > *last || *last >= *total)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the answer's Content-Range is \"%s\"", range);
    return CPAM_OK;
}

/* Before the first byte is handed on: is it this object, and are these the bytes? */
static enum cpam_status
reading_accept(void *arg, const struct http_reply *reply, struct cpam_err *err)
{
    struct reading *reading = arg;
    const struct s3_get *get = reading->get;
    uint64_t at = get->offset + reading->done;
    uint64_t first = 0, last = 0, total = 0;
    char etag[S3_ETAG_MAX];

    s3_etag_copy(etag, http_reply_header(reply, "ETag"));
    if (etag[0] == '\0')
        return cpam_fail(
            err, CPAM_CORRUPT, 0,
            "the answer has no ETag, so it is not the object but something in between");
    CPAM_TRY(placed(reading, reply, &first, &last, &total, err));
    if (reading->known && (strcmp(etag, reading->info->etag) != 0 || total != reading->info->size))
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the object changed while it was being read (ETag %s, then %s)",
                         reading->info->etag, etag);

    uint64_t end = get->size == 0 ? total : get->offset + get->size;
    if (end > total)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the object has %" PRIu64 " bytes, but bytes up to %" PRIu64 " are wanted",
                         total, end);
    if (total > 0 && (first != at || last != end - 1))
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the store sent bytes %" PRIu64 " to %" PRIu64 " where %" PRIu64
                         " to %" PRIu64 " were asked for",
                         first, last, at, end - 1);
    if (!reading->known)
    {
        s3_info_of(reply, reading->info);
        reading->info->size = total;
        reading->expected = end - get->offset;
        reading->known = true;
    }
    return CPAM_OK;
}

static enum cpam_status
reading_attempt(void *arg, struct retry *retry, struct cpam_err *err)
{
    struct reading *reading = arg;
    const struct s3_get *get = reading->get;
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    uint64_t from = get->offset + reading->done;
    char range[64] = "";
    struct s3_call call = {.method = "GET",
                           .doing = "get",
                           .key = get->key,
                           .to = &reading->base,
                           .accept = reading_accept,
                           .accept_arg = reading};

    if (get->size > 0)
        snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, from,
                 get->offset + get->size - 1);
    else if (from > 0)
        snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", from);
    if (range[0] != '\0')
        s3_call_header(&call, "Range", range);
    if (get->version != NULL && get->version[0] != '\0')
        s3_call_query(&call, "versionId", get->version);
    enum cpam_status status =
        s3_call_once(reading->s3, &call, reading->deadline, retry, &reply, err);
    if (status == CPAM_TRANSIENT && reading->sink_failed)
        return CPAM_IO; /* a sink that failed can't be written to again */
    /* cut just behind the last byte: nothing is left to ask for */
    if (status == CPAM_TRANSIENT && reading->known && reading->done == reading->expected)
        return CPAM_OK;
    return status;
}

enum cpam_status
s3_get(struct s3 *s3, const struct s3_get *get, struct deadline deadline, struct s3_info *info,
       struct cpam_err *err)
{
    struct reading reading = {
        .base = {.ops = &reading_ops}, .s3 = s3, .get = get, .deadline = deadline, .info = info};
    const struct s3_call call = {.doing = "get", .key = get->key};
    enum cpam_status status;

    if (get->size > UINT64_MAX - get->offset)
        return cpam_fail(err, CPAM_USAGE, 0, "the range to read from \"%s\" is too long", get->key);
    status = retry_run(s3->io, deadline, reading_attempt, &reading, err);
    if (status == CPAM_OK && reading.done != reading.expected)
        status = cpam_fail(err, CPAM_CORRUPT, 0, "only %" PRIu64 " of %" PRIu64 " bytes came",
                           reading.done, reading.expected);
    if (status != CPAM_OK && !reading.sink_failed)
        s3_call_prefix(s3, &call, err);
    return status;
}

/* --- head, delete --------------------------------------------------------------------------- */

/* What a HEAD's refusal means: ask for a byte, to which the answer has a document. */
static enum cpam_status
ask_for_a_byte(struct s3 *s3, const struct s3_call *head, struct deadline deadline,
               struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = *head;

    call.method = "GET";
    s3_call_header(&call, "Range", "bytes=0-0");
    enum cpam_status status = s3_call(s3, &call, deadline, &reply, err);
    if (status != CPAM_OK && status != CPAM_CORRUPT)
        return status;
    cpam_fail(err, CPAM_UNKNOWN, 0, "a HEAD is refused, but a GET finds it");
    s3_call_prefix(s3, &call, err);
    return CPAM_UNKNOWN;
}

enum cpam_status
s3_head(struct s3 *s3, const char *key, const char *version, struct deadline deadline,
        struct s3_info *info, struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = {.method = "HEAD", .doing = "look at", .key = key};
    enum cpam_status status;
    bool again;

    if (version != NULL && version[0] != '\0')
        s3_call_query(&call, "versionId", version);
    do
    {
        unsigned skews = s3->skews;

        status = s3_call(s3, &call, deadline, &reply, err);
        if ((status == CPAM_UNKNOWN || status == CPAM_REFUSED) && reply.status >= 300 &&
            http_reply_header(&reply, "x-amz-delete-marker") == NULL)
            status = ask_for_a_byte(s3, &call, deadline, err);
        /* it was only our clock, which the GET has set right */
        again = status == CPAM_UNKNOWN && s3->skews != skews;
    } while (again);
    if (status != CPAM_OK)
        return status;
    if (http_reply_header(&reply, "Content-Length") == NULL ||
        http_reply_header(&reply, "ETag") == NULL)
    {
        cpam_fail(err, CPAM_CORRUPT, 0, "the store's answer has no length or no ETag");
        s3_call_prefix(s3, &call, err);
        return CPAM_CORRUPT;
    }
    s3_info_of(&reply, info);
    return CPAM_OK;
}

enum cpam_status
s3_delete(struct s3 *s3, const char *key, const char *version, struct deadline deadline,
          struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = {.method = "DELETE", .doing = "remove", .key = key};

    if (version != NULL && version[0] != '\0')
        s3_call_query(&call, "versionId", version);
    enum cpam_status status = s3_call(s3, &call, deadline, &reply, err);
    return status == CPAM_NOT_FOUND ? CPAM_OK : status;
}
