/*
 * complaint.c - reading an <Error> document.
 *
 * Stores name the object in ways of their own (Ceph's radosgw the bucket without its tenant and no key,
 * SeaweedFS the key with a '/' in front, others percent-encoded, a gateway with a folder before it), so
 * that only a name that fits in none of these ways is another one's.
 */
#include "s3/complaint.h"

#include <stdio.h>
#include <string.h>

#include "s3/page.h"
#include "s3/xml.h"

struct reading
{
    const struct s3 *s3;
    const struct s3_call *call;
    struct s3_complaint *complaint;
};

/* Is the shorter one the end of the longer one, from one of these characters on? */
static bool
is_tail(const char *one, const char *other, const char *between)
{
    size_t one_size = strlen(one), other_size = strlen(other);
    const char *longer = one_size > other_size ? one : other;
    const char *shorter = one_size > other_size ? other : one;
    const char *at = longer + strlen(longer) - strlen(shorter);

    return strcmp(at, shorter) == 0 && (at == longer || strchr(between, at[-1]) != NULL);
}

/* An element without text says nothing. */
static enum cpam_status
check_name(struct s3_complaint *complaint, const char *ours, const char *theirs,
           const char *between, struct cpam_err *err)
{
    CPAM_AUTO(free) char *decoded = strdup(theirs);
    struct cpam_err ignored;

    if (decoded == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an answer");
    bool fits = theirs[0] == '\0' || is_tail(ours, theirs, between) ||
                (s3_url_decode(decoded, &ignored) == CPAM_OK && is_tail(ours, decoded, between));
    complaint->is_foreign |= !fits;
    return CPAM_OK;
}

static enum cpam_status
on_end(void *arg, const char *path, const char *text, struct cpam_err *err)
{
    const struct reading *reading = arg;
    struct s3_complaint *complaint = reading->complaint;
    const struct
    {
        const char *path;
        char *to;
        size_t size;
    } wanted[] = {
        {"Error/Code", complaint->code, sizeof(complaint->code)},
        {"Error/Message", complaint->message, sizeof(complaint->message)},
        {"Error/RequestId", complaint->request_id, sizeof(complaint->request_id)},
        {"Error/Region", complaint->region, sizeof(complaint->region)},
    };

    if (strcmp(path, "Error") == 0)
        complaint->is_error = true;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (strcmp(path, wanted[i].path) == 0)
        {
            complaint->is_error = true;
            if (wanted[i].to[0] == '\0')
                snprintf(wanted[i].to, wanted[i].size, "%s", text);
        }
    complaint->codes += strcmp(path, "Error/Code") == 0;
    if (strcmp(path, "Error/Key") == 0 && reading->call->key != NULL)
        return check_name(complaint, reading->call->key, text, "/", err);
    if (strcmp(path, "Error/BucketName") == 0)
        return check_name(complaint, reading->s3->settings.bucket, text, ":/", err);
    return CPAM_OK;
}

void
s3_complaint_read(const struct s3 *s3, const struct s3_call *call, const struct http_reply *reply,
                  struct s3_complaint *out)
{
    struct reading reading = {s3, call, out};
    const struct s3_xml_handler handler = {.end = on_end, .arg = &reading};
    const char *id = http_reply_header(reply, "x-amz-request-id");
    struct cpam_err ignored;

    *out = (struct s3_complaint){.codes = 0};
    if (reply->body.size > 0)
        out->is_whole =
            s3_xml_read(reply->body.data, reply->body.size, &handler, &ignored) == CPAM_OK;
    if (out->request_id[0] == '\0' && id != NULL)
        snprintf(out->request_id, sizeof(out->request_id), "%s", id);
}
