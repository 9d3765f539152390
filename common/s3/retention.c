/*
 * retention.c - the lock of an object that is there already.
 *
 * Not every store takes the lock from the headers that begin a multipart upload: Ceph's radosgw drops
 * them without a word.  So what was put together is looked at, and locked if it is not.
 */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "s3/call.h"

bool
s3_lock_wanted(const struct s3 *s3)
{
    return s3->settings.lock_mode != NULL && s3->settings.lock_us > 0;
}

void
s3_lock_until(struct s3 *s3, int64_t more, char out[TEXT_TIME_MAX])
{
    /* whole seconds: not every store takes a fraction */
    int64_t until = (s3->io->ops->now(s3->io) + s3->skew + s3->settings.lock_us + more) / 1000000;

    text_format_time(until * 1000000, out);
}

enum cpam_status
s3_lock(struct s3 *s3, const char *key, const char *version, int64_t more, struct deadline deadline,
        struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct s3_call call = {.method = "PUT", .doing = "lock", .key = key};
    struct s3_digests digests;
    char until[TEXT_TIME_MAX];

    s3_lock_until(s3, more, until);
    CPAM_TRY(cpam_buf_printf(&text, 4096, err,
                             "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s"
                             "</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>",
                             s3->settings.lock_mode, until));
    call.body = (struct http_body){.data = text.data, .fd = -1, .size = text.size};
    CPAM_TRY(s3_digest(s3, &call.body, S3_DIGEST_MD5, &digests, err));
    call.payload = digests.sha256_hex[0] != '\0' ? digests.sha256_hex : NULL;
    s3_call_query(&call, "retention", "");
    if (version[0] != '\0')
        s3_call_query(&call, "versionId", version);
    s3_call_header(&call, "Content-Type", "application/xml");
    s3_call_header(&call, "Content-MD5", digests.md5_base64);
    return s3_call(s3, &call, deadline, &reply, err);
}
