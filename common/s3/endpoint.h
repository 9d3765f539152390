/*
 * endpoint.h - where a bucket is: scheme, host, and whether the bucket stands in the host's name.
 *
 * auto addressing: in the host's name ("virtual") at Amazon where the bucket's name can be part of
 * a TLS name (no dots), else in the path, which every other server understands.
 */
#ifndef CPAM_S3_ENDPOINT_H
#define CPAM_S3_ENDPOINT_H

#include <stdbool.h>

#include "s3/s3.h"

struct s3_endpoint
{
    bool tls;
    char *host;   /* as the Host header wants it: "name[:port]", without a scheme's own port */
    char *base;   /* "https://host" */
    char *prefix; /* of every path: "" or "/bucket" */
};

/* CPAM_USAGE for what is no URL, no bucket name, no addressing. */
enum cpam_status s3_endpoint_of(const struct s3_settings *settings, struct s3_endpoint *out,
                                struct cpam_err *err) CPAM_CHECK;
void s3_endpoint_clear(struct s3_endpoint *endpoint);

#endif
