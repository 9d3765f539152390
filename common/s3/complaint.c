/*
 * complaint.c - reading an <Error> document.
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

    (void) err;
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
    const char *id = http_reply_header(reply, "x-amz-request-id");
    struct cpam_err ignored;

    *out = (struct s3_complaint){.codes = 0};
    if (reply->body.size > 0)
        out->is_whole =
            s3_xml_read(reply->body.data, reply->body.size, &handler, &ignored) == CPAM_OK;
    if (out->request_id[0] == '\0' && id != NULL)
        snprintf(out->request_id, sizeof(out->request_id), "%s", id);
}
