/*
 * complaint.c - reading an <Error> document, which a person is going to read.
 *
 * Some stores and gateways repeat what was sent to them: what signs for us does not get into a sentence.
 */
#include "s3/complaint.h"

#include <stdio.h>
#include <string.h>

#include "s3/name.h"
#include "s3/xml.h"

struct reading
{
    const struct s3 *s3;
    const struct s3_call *call;
    struct s3_complaint *complaint;
};

static void
hide(char *text, const void *secret, size_t size)
{
    static const char instead[] = "***";
    char *at;

    while (size > 0 && (at = memmem(text, strlen(text), secret, size)) != NULL)
    {
        size_t stars = size < strlen(instead) ? size : strlen(instead);

        memcpy(at, instead, stars);
        memmove(at + stars, at + size, strlen(at + size) + 1);
        text = at + stars;
    }
}

/* What the store says, less what it repeats; without memory it says nothing. */
static void
take(const struct s3 *s3, const char *text, char *to, size_t size)
{
    const struct credentials *credentials = s3->credentials;
    CPAM_AUTO(free) char *copy = text != NULL ? strdup(text) : NULL;

    if (copy == NULL)
        return;
    hide(copy, secret_data(credentials->secret_key), secret_size(credentials->secret_key));
    if (credentials->session_token != NULL)
        hide(copy, secret_data(credentials->session_token),
             secret_size(credentials->session_token));
    hide(copy, s3->signature, strlen(s3->signature));
    snprintf(to, size, "%s", copy);
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
        {"Error/Endpoint", complaint->endpoint, sizeof(complaint->endpoint)},
    };

    (void) err;
    if (strcmp(path, "Error") == 0)
        complaint->is_error = true;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (strcmp(path, wanted[i].path) == 0)
        {
            complaint->is_error = true;
            if (wanted[i].to[0] == '\0')
                take(reading->s3, text, wanted[i].to, wanted[i].size);
        }
    complaint->codes += strcmp(path, "Error/Code") == 0;
    if (strcmp(path, "Error/Key") == 0 && reading->call->key != NULL)
        complaint->is_foreign |= !s3_is_named(text, reading->call->key, "/");
    if (strcmp(path, "Error/BucketName") == 0)
        complaint->is_foreign |= !s3_is_named(text, reading->s3->settings.bucket, ":/");
    return CPAM_OK;
}

void
s3_complaint_read(const struct s3 *s3, const struct s3_call *call, const struct http_reply *reply,
                  struct s3_complaint *out)
{
    struct reading reading = {s3, call, out};
    const struct s3_xml_handler handler = {.end = on_end, .arg = &reading};
    struct cpam_err ignored;

    *out = (struct s3_complaint){.codes = 0};
    take(s3, http_reply_header(reply, "x-amz-bucket-region"), out->region, sizeof(out->region));
    if (reply->body.size > 0)
        out->is_whole =
            s3_xml_read(reply->body.data, reply->body.size, &handler, &ignored) == CPAM_OK;
    if (out->request_id[0] == '\0')
        take(s3, http_reply_header(reply, "x-amz-request-id"), out->request_id,
             sizeof(out->request_id));
}
