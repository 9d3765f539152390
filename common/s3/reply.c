/*
 * reply.c - what a store's answer means, and how to say it.
 *
 * The code in the error document decides where there is one; the HTTP status only where there is
 * none, or where a document has several.  "Not there", on which a recovery ends, takes both: a 404 (any
 * web server can say that) and S3's own NoSuchKey (any gateway can put that under its 500), in a
 * document that is whole and about what was asked for.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "s3/complaint.h"

static const struct
{
    const char *code;
    enum cpam_status status;
    const char *hint;
} codes[] = {
    {"NoSuchKey", CPAM_NOT_FOUND, NULL},
    {"NoSuchVersion", CPAM_NOT_FOUND, NULL},
    {"NoSuchBucket", CPAM_REFUSED,
     "make the bucket, or correct the repository's url, region or endpoint"},
    {"NoSuchUpload", CPAM_REFUSED, NULL},
    {"AccessDenied", CPAM_REFUSED,
     "the credentials are known but may not do this: look at the bucket's policy, the user's "
     "permissions and expected_bucket_owner (a missing key also looks like this to a user who may "
     "not list the bucket)"},
    {"InvalidAccessKeyId", CPAM_REFUSED, "the store does not know this access key id"},
    {"SignatureDoesNotMatch", CPAM_REFUSED,
     "the secret access key does not belong to this access key id, or the region or endpoint is "
     "not the one the store expects"},
    {"ExpiredToken", CPAM_REFUSED, "the session token has expired: get a new one"},
    {"InvalidToken", CPAM_REFUSED, "the session token is not one the store knows"},
    {"AuthorizationHeaderMalformed", CPAM_REFUSED, NULL},
    {"PermanentRedirect", CPAM_REFUSED, NULL},
    {"AllAccessDisabled", CPAM_REFUSED, NULL},
    {"AccountProblem", CPAM_REFUSED, NULL},
    {"QuotaExceeded", CPAM_REFUSED, "the store's quota is used up"},
    {"NotImplemented", CPAM_REFUSED, "this store lacks a function that is needed"},
    {"InvalidObjectState", CPAM_REFUSED,
     "the object is in an archive storage class: restore it there first"},
    {"PreconditionFailed", CPAM_EXISTS, NULL},
    {"ConditionalRequestConflict", CPAM_TRANSIENT, NULL},
    {"OperationAborted", CPAM_TRANSIENT, NULL},
    {"RequestTimeout", CPAM_TRANSIENT, NULL},
    {"BadDigest", CPAM_TRANSIENT, NULL}, /* damaged on its way: send it again */
    {"XAmzContentSHA256Mismatch", CPAM_TRANSIENT, NULL},
    {"XAmzContentChecksumMismatch", CPAM_TRANSIENT, NULL},
    {"IncompleteBody", CPAM_TRANSIENT, NULL},
    {"TemporaryRedirect", CPAM_TRANSIENT, NULL},
    {"SlowDown", CPAM_TRANSIENT, NULL},
    {"SlowDownRead", CPAM_TRANSIENT, NULL},
    {"SlowDownWrite", CPAM_TRANSIENT, NULL},
    {"InternalError", CPAM_TRANSIENT, NULL},
    {"ServiceUnavailable", CPAM_TRANSIENT, NULL},
    {"InvalidRange", CPAM_CORRUPT, NULL},
};

static enum cpam_status
status_of_http(int status)
{
    switch (status)
    {
    case 408:
    case 425:
    case 429: return CPAM_TRANSIENT;
    case 404: return CPAM_UNKNOWN;
    case 409:
    case 501:
    case 505: return CPAM_REFUSED;
    case 412: return CPAM_EXISTS;
    case 416: return CPAM_CORRUPT;
    default: return status >= 500 ? CPAM_TRANSIENT : CPAM_REFUSED;
    }
}

/* Retry-After in seconds, or as a date by the store's own clock. */
static void
read_retry_after(const struct http_reply *reply, struct retry *retry)
{
    const char *after = http_reply_header(reply, "Retry-After");
    int64_t date = http_parse_date(http_reply_header(reply, "Date"));
    int64_t until = http_parse_date(after);

    if (after == NULL)
        return;
    if (until > 0 && date > 0 && until > date)
        retry->after_us = until - date;
    else if (after[0] >= '1' && after[0] <= '9' && strlen(after) <= 6 &&
             strspn(after, "0123456789") == strlen(after))
        retry->after_us = strtoll(after, NULL, 10) * 1000000;
}

/* Wrong by more than 15 minutes, and the store says so: sign by its clock from now on. */
static bool
learn_skew(struct s3 *s3, const struct http_reply *reply)
{
    int64_t theirs = http_parse_date(http_reply_header(reply, "Date"));

    if (theirs == 0 || ++s3->skews > 3)
        return false;
    s3->skew = theirs - s3->io->ops->now(s3->io);
    cpam_log(LOG_WARNING,
             "this host's clock is %.0f s %s that of the store \"%s\"; going on by the store's",
             s3->skew < 0 ? (double) -s3->skew / 1e6 : (double) s3->skew / 1e6,
             s3->skew < 0 ? "ahead of" : "behind", s3->endpoint.base);
    return true;
}

static void
say(struct s3 *s3, const struct http_reply *reply, const struct s3_complaint *complaint,
    const char *why, enum cpam_status status, struct cpam_err *err)
{
    bool has_code = complaint->code[0] != '\0';

    cpam_fail(
        err, status, 0, "%s answered %d%s%s%s%s%s%s%s%s%s%s", s3->endpoint.base, reply->status,
        has_code ? " " : "", complaint->code, complaint->message[0] != '\0' ? " (" : "",
        complaint->message, complaint->message[0] != '\0' ? ")" : "",
        complaint->request_id[0] != '\0' ? ", request id " : "", complaint->request_id,
        reply->status < 300 ? ", in the body of a success" : "", why[0] != '\0' ? ", " : "", why);
}

static void
hint_region(const struct s3 *s3, const struct s3_complaint *complaint, struct cpam_err *err)
{
    if (complaint->region[0] != '\0' && strcmp(complaint->region, s3->settings.region) != 0)
        cpam_err_hint(err,
                      "the store says that the bucket is in region \"%s\", not \"%s\": set "
                      "\"region\" of the repository",
                      complaint->region, s3->settings.region);
}

/* A bucket that has just been made is redirected for a while; any other is asked for in the wrong place. */
static void
hint_endpoint(const struct s3_complaint *complaint, struct cpam_err *err)
{
    if (complaint->endpoint[0] != '\0')
        cpam_err_hint(err,
                      "the store says that the bucket is to be asked for at \"%s\": set "
                      "\"endpoint\" or \"region\" of the repository, unless it was made only now",
                      complaint->endpoint);
}

/* Why a code that means "not there" does not prove it here; "": it does. */
static const char *
doubt(const struct s3_call *call, const struct http_reply *reply,
      const struct s3_complaint *complaint)
{
    if (call->key == NULL)
        return "though no object was asked for";
    if (reply->status != 404)
        return "which is no answer about an object, whatever its code";
    if (!complaint->is_whole)
        return "in an error document that breaks off";
    if (complaint->is_foreign)
        return "in an error document about another object";
    return "";
}

/* What was answered other than a success or a marker, in a sentence. */
static enum cpam_status
refuse(struct s3 *s3, const struct s3_call *call, const struct http_reply *reply,
       const struct s3_complaint *complaint, struct retry *retry, struct cpam_err *err)
{
    bool success = reply->status >= 200 && reply->status < 300;
    enum cpam_status status = success ? CPAM_TRANSIENT : status_of_http(reply->status);
    const char *why = complaint->codes > 1 ? "in an error document with several codes" : "";
    const char *hint = NULL;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(codes[i].code, s3->code) == 0)
        {
            why = codes[i].status == CPAM_NOT_FOUND ? doubt(call, reply, complaint) : "";
            status = why[0] == '\0' ? codes[i].status : status;
            hint = codes[i].hint;
        }
    if (strcmp(s3->code, "RequestTimeTooSkewed") == 0)
    {
        status = learn_skew(s3, reply) ? CPAM_TRANSIENT : CPAM_REFUSED;
        hint = "this host's clock and the store's differ by more than 15 minutes: set the clock";
        retry->after_us = -1;
    }
    if (status == CPAM_TRANSIENT && retry->after_us == 0)
        read_retry_after(reply, retry);
    say(s3, reply, complaint, why, status, err);
    if (hint != NULL)
        cpam_err_hint(err, "%s", hint);
    if (reply->status == 301 || reply->status == 307)
        hint_endpoint(complaint, err);
    if (status == CPAM_REFUSED)
        hint_region(s3, complaint, err);
    return status;
}

enum cpam_status
s3_judge(struct s3 *s3, const struct s3_call *call, const struct http_reply *reply,
         struct retry *retry, struct cpam_err *err)
{
    struct s3_complaint complaint;
    const char *marker = http_reply_header(reply, "x-amz-delete-marker");
    bool success = reply->status >= 200 && reply->status < 300;

    s3->code[0] = '\0';
    if (success && (call->to != NULL || (reply->body.size == 0 && !call->document)))
        return CPAM_OK;
    s3_complaint_read(s3, call, reply, &complaint);
    if (success && !complaint.is_error)
        return complaint.is_whole || !call->document
                   ? CPAM_OK
                   : cpam_fail(err, CPAM_TRANSIENT, 0,
                               "%s answered %d with a document that can't be read",
                               s3->endpoint.base, reply->status);
    if (complaint.codes == 1)
        memcpy(s3->code, complaint.code, sizeof(s3->code));
    if (marker != NULL && strcasecmp(marker, "true") == 0 &&
        (reply->status == 404 || reply->status == 405))
    {
        say(s3, reply, &complaint, "", CPAM_UNKNOWN, err);
        cpam_err_prefix(err, "a delete marker hides what is under this name");
        cpam_err_hint(err, "somebody deleted it: look at the versions of the key");
        return CPAM_UNKNOWN;
    }
    return refuse(s3, call, reply, &complaint, retry, err);
}

bool
s3_code_is(const struct s3 *s3, const char *code)
{
    return strcmp(s3->code, code) == 0;
}

void
s3_etag_copy(char out[S3_ETAG_MAX], const char *text)
{
    size_t size;

    out[0] = '\0';
    if (text == NULL)
        return;
    if (strncmp(text, "W/", 2) == 0)
        text += 2;
    size = strlen(text);
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"')
    {
        text++;
        size -= 2;
    }
    if (size < S3_ETAG_MAX)
    {
        memcpy(out, text, size);
        out[size] = '\0';
    }
}

/* S3 writes it in whole seconds or milliseconds, radosgw with nine digits behind the point. */
static int64_t
locked_until(const char *text)
{
    char whole[TEXT_TIME_MAX];
    struct cpam_err ignored;
    int64_t until;

    if (text == NULL)
        return 0;
    snprintf(whole, sizeof(whole), "%.*sZ", (int) strcspn(text, ".Z"), text);
    return text_parse_time(whole, &until, &ignored) == CPAM_OK ? until : 0;
}

void
s3_info_of(const struct http_reply *reply, struct s3_info *info)
{
    const char *length = http_reply_header(reply, "Content-Length");
    const char *version = http_reply_header(reply, "x-amz-version-id");

    *info =
        (struct s3_info){.modified = http_parse_date(http_reply_header(reply, "Last-Modified"))};
    if (length != NULL)
        info->size = strtoull(length, NULL, 10);
    s3_etag_copy(info->etag, http_reply_header(reply, "ETag"));
    if (version != NULL && strlen(version) < S3_VERSION_MAX)
        memcpy(info->version, version, strlen(version) + 1);
    info->is_locked = http_reply_header(reply, "x-amz-object-lock-mode") != NULL;
    info->locked_until =
        locked_until(http_reply_header(reply, "x-amz-object-lock-retain-until-date"));
}
