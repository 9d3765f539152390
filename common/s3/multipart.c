/*
 * multipart.c - an object in parts: begun, sent part by part, completed, looked at.
 *
 * The ETag of a multipart object is the MD5 over the parts' MD5s, which is known here, so that what
 * the store put together can be held against what was sent (not where KMS hides it).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "s3/call.h"
#include "s3/xml.h"

struct part
{
    char etag[S3_ETAG_MAX];
    uint8_t md5[16];
};

struct s3_upload
{
    struct s3 *s3;
    char *key;
    char id[S3_UPLOAD_ID_MAX];
    bool lock;
    int64_t lock_more;
    struct part *parts;
    size_t count, cap;
    uint64_t size;
};

static enum cpam_status
upload_id_end(void *arg, const char *path, const char *text, struct cpam_err *err)
{
    struct s3_upload *upload = arg;

    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0)
        return CPAM_OK;
    if (strlen(text) >= sizeof(upload->id))
        return cpam_fail(err, CPAM_CORRUPT, 0, "the store's upload id is too long");
    memcpy(upload->id, text, strlen(text) + 1);
    return CPAM_OK;
}

enum cpam_status
s3_upload_new(struct s3 *s3, const struct s3_put *put, struct deadline deadline,
              struct s3_upload **out, struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    CPAM_AUTO(s3_upload_free) struct s3_upload *upload = calloc(1, sizeof(*upload));
    struct s3_call call = {.method = "POST", .doing = "begin an upload to", .key = put->key};
    const struct s3_xml_handler handler = {.end = upload_id_end, .arg = upload};
    char retain[32];

    if (upload == NULL || (upload->key = strdup(put->key)) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an upload");
    upload->s3 = s3;
    upload->lock = put->lock && s3_lock_wanted(s3);
    upload->lock_more = put->lock_more;
    s3_call_query(&call, "uploads", "");
    s3_call_header(&call, "Content-Type", "application/octet-stream");
    s3_put_headers(s3, put, &call, retain);
    CPAM_TRY(s3_call(s3, &call, deadline, &reply, err));
    enum cpam_status status = s3_xml_read(reply.body.data, reply.body.size, &handler, err);
    if (status == CPAM_OK && upload->id[0] == '\0')
        status = cpam_fail(err, CPAM_CORRUPT, 0, "the store's answer has no upload id");
    if (status != CPAM_OK)
    {
        s3_call_prefix(s3, &call, err);
        return status;
    }
    *out = CPAM_STEAL(upload);
    return CPAM_OK;
}

/* What a store answers that takes fewer or smaller parts than S3 does. */
static void
hint_parts(const struct s3_upload *upload, uint64_t size, struct cpam_err *err)
{
    static const char *const codes[] = {"EntityTooLarge",    "EntityTooSmall", "InvalidArgument",
                                        "InvalidPartNumber", "TooManyParts",   "InvalidPart"};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (s3_code_is(upload->s3, codes[i]))
        {
            cpam_err_hint(err,
                          "that was part %zu, of %" PRIu64 " bytes, behind %" PRIu64
                          " bytes: where the store takes fewer parts of an object than others, say "
                          "how many with max_parts in its section of the configuration",
                          upload->count + 1, size, upload->size);
            return;
        }
}

enum cpam_status
s3_upload_part(struct s3_upload *upload, const struct http_body *body, struct deadline deadline,
               struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3 *s3 = upload->s3;
    struct s3_call call = {
        .method = "PUT", .doing = "upload a part of", .key = upload->key, .body = *body};
    struct s3_digests digests;
    char number[16];

    if (upload->count == S3_PARTS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" has more than %d parts", upload->key,
                         S3_PARTS_MAX);
    if (upload->count == upload->cap)
    {
        size_t cap = upload->cap == 0 ? 16 : upload->cap * 2;
        struct part *parts = realloc(upload->parts, cap * sizeof(*parts));

        if (parts == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an upload");
        upload->parts = parts;
        upload->cap = cap;
    }
    CPAM_TRY(s3_digest(s3, &call.body, S3_DIGEST_MD5, &digests, err));
    call.payload = digests.sha256_hex[0] != '\0' ? digests.sha256_hex : NULL;
    snprintf(number, sizeof(number), "%zu", upload->count + 1);
    s3_call_query(&call, "partNumber", number);
    s3_call_query(&call, "uploadId", upload->id);
    s3_call_header(&call, "Content-MD5", digests.md5_base64);
    enum cpam_status status = s3_call(s3, &call, deadline, &reply, err);
    if (status == CPAM_REFUSED)
        hint_parts(upload, body->size, err);
    if (status != CPAM_OK)
        return status;
    status = s3_check_etag(&reply, digests.md5_hex, err);
    if (status != CPAM_OK)
    {
        s3_call_prefix(s3, &call, err);
        return status;
    }
    struct part *part = &upload->parts[upload->count++];
    s3_etag_copy(part->etag, http_reply_header(&reply, "ETag"));
    memcpy(part->md5, digests.md5, sizeof(part->md5));
    upload->size += body->size;
    return CPAM_OK;
}

/* "<md5 over the md5s>-<parts>" */
static enum cpam_status
expected_etag(const struct s3_upload *upload, char out[S3_ETAG_MAX], struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf all = {0};
    struct s3_digests digests;

    for (size_t i = 0; i < upload->count; i++)
        CPAM_TRY(cpam_buf_append(&all, upload->parts[i].md5, 16, 16 * S3_PARTS_MAX, err));
    const struct http_body body = {.data = all.data, .fd = -1, .size = all.size};
    CPAM_TRY(s3_digest(upload->s3, &body, S3_DIGEST_MD5, &digests, err));
    snprintf(out, S3_ETAG_MAX, "%s-%zu", digests.md5_hex, upload->count);
    return CPAM_OK;
}

static enum cpam_status
part_list(const struct s3_upload *upload, struct cpam_buf *out, struct cpam_err *err)
{
    enum
    {
        LIST_MAX = S3_PARTS_MAX * 256
    };

    CPAM_TRY(cpam_buf_printf(out, LIST_MAX, err,
                             "<CompleteMultipartUpload "
                             "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"));
    for (size_t i = 0; i < upload->count; i++)
    {
        const char *etag = upload->parts[i].etag;

        /* it came from outside, and goes into a document */
        if (strpbrk(etag, "<>&\"'") != NULL)
            return cpam_fail(err, CPAM_CORRUPT, 0, "the store's ETag \"%s\" is none", etag);
        CPAM_TRY(cpam_buf_printf(out, LIST_MAX, err,
                                 "<Part><PartNumber>%zu</PartNumber><ETag>&quot;%s&quot;</ETag>"
                                 "</Part>",
                                 i + 1, etag));
    }
    return cpam_buf_printf(out, LIST_MAX, err, "</CompleteMultipartUpload>");
}

/* The look that decides: is what is there now what was sent? */
static enum cpam_status
confirm(struct s3_upload *upload, struct deadline deadline, struct s3_info *info,
        struct cpam_err *err)
{
    char expected[S3_ETAG_MAX];

    CPAM_TRY(s3_head(upload->s3, upload->key, NULL, deadline, info, err));
    CPAM_TRY(expected_etag(upload, expected, err));
    const char *dash = strchr(info->etag, '-');
    bool is_md5 = dash == info->etag + 32 && strspn(info->etag, "0123456789abcdefABCDEF") == 32;
    const char *sse = upload->s3->settings.server_side_encryption;
    bool hidden = sse != NULL && strcmp(sse, "aws:kms") == 0;

    if (info->size != upload->size)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "\"s3://%s/%s\" has %" PRIu64 " bytes where %" PRIu64 " were sent",
                         upload->s3->settings.bucket, upload->key, info->size, upload->size);
    if (is_md5 && !hidden && strcasecmp(info->etag, expected) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "\"s3://%s/%s\" holds other bytes than were sent: ETag %s instead of %s",
                         upload->s3->settings.bucket, upload->key, info->etag, expected);
    return CPAM_OK;
}

enum cpam_status
s3_upload_complete(struct s3_upload *upload, struct deadline deadline, struct s3_info *info,
                   struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf list = {0};
    struct s3_call call = {.method = "POST",
                           .doing = "complete the upload to",
                           .key = upload->key,
                           .document = true,
                           .stall_us = 300000000}; /* a store may take minutes to join the parts */
    struct s3_digests digests;
    struct cpam_err refused;

    CPAM_TRY(part_list(upload, &list, err));
    call.body = (struct http_body){.data = list.data, .fd = -1, .size = list.size};
    CPAM_TRY(s3_digest(upload->s3, &call.body, 0, &digests, err));
    call.payload = digests.sha256_hex[0] != '\0' ? digests.sha256_hex : NULL;
    s3_call_query(&call, "uploadId", upload->id);
    s3_call_header(&call, "Content-Type", "application/xml");
    s3_call_header(&call, "If-None-Match", "*");
    enum cpam_status status = s3_call(upload->s3, &call, deadline, &reply, &refused);
    /* an attempt whose answer got lost may have completed it: then the upload is gone, or its own
       object is in the way */
    bool settled = status == CPAM_OK || status == CPAM_EXISTS ||
                   (status == CPAM_REFUSED && s3_code_is(upload->s3, "NoSuchUpload")) ||
                   status == CPAM_UNKNOWN;
    if (!settled)
    {
        *err = refused;
        return status;
    }
    enum cpam_status looked = confirm(upload, deadline, info, err);
    if (looked != CPAM_OK && status != CPAM_OK)
    {
        *err = refused; /* it was not ours: say what the completion was told */
        return status;
    }
    if (looked == CPAM_NOT_FOUND)
    {
        err->status = CPAM_UNKNOWN;
        cpam_err_prefix(err,
                        "the store acknowledged an upload in parts, but does not find the object");
        return CPAM_UNKNOWN;
    }
    if (looked == CPAM_OK && upload->lock && !info->is_locked)
        looked = s3_lock(upload->s3, upload->key, info->version, upload->lock_more, deadline, err);
    return looked;
}

enum cpam_status
s3_upload_abort(struct s3_upload *upload, struct deadline deadline, struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = {.method = "DELETE", .doing = "abort the upload to", .key = upload->key};

    s3_call_query(&call, "uploadId", upload->id);
    enum cpam_status status = s3_call(upload->s3, &call, deadline, &reply, err);
    bool gone = status == CPAM_NOT_FOUND ||
                (status == CPAM_REFUSED && s3_code_is(upload->s3, "NoSuchUpload"));
    return gone ? CPAM_OK : status;
}

void
s3_upload_free(struct s3_upload *upload)
{
    if (upload == NULL)
        return;
    free(upload->key);
    free(upload->parts);
    free(upload);
}
