/*
 * complaint.h - what a store's <Error> document says.  For reply.c.
 */
#ifndef CPAM_S3_COMPLAINT_H
#define CPAM_S3_COMPLAINT_H

#include "s3/call.h"

struct s3_complaint
{
    bool is_error;
    bool is_whole;   /* the document was read to its end */
    bool is_foreign; /* it names an object or a bucket other than the call's */
    unsigned codes;  /* how many it has: the first is told */
    char code[S3_CODE_MAX];
    char message[512], request_id[128], region[64]; /* from headers too */
    char endpoint[256]; /* where the bucket is to be asked for instead */
};

/* Texts without our secrets and signature, should the store repeat them ("***").  A document that breaks off
   still tells what it told before; what is none has no code. */
void s3_complaint_read(const struct s3 *s3, const struct s3_call *call,
                       const struct http_reply *reply, struct s3_complaint *out);

#endif
