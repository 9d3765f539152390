/*
 * endpoint.c - from bucket, region, endpoint and addressing to URL and Host.
 */
#include "s3/endpoint.h"

#include <string.h>
#include <strings.h>

/* 3..63 of a-z 0-9 - . as Amazon has it; '_' and capitals are allowed to older and other stores,
   which then need the path. */
static enum cpam_status
check_bucket(const char *bucket, bool *in_host, struct cpam_err *err)
{
    size_t size = bucket == NULL ? 0 : strlen(bucket);

    *in_host = size <= 63;
    if (size < 3 || size > 255)
        return cpam_fail(err, CPAM_USAGE, 0, "\"%s\" is not a bucket name: it needs 3 to 63 bytes",
                         bucket == NULL ? "" : bucket);
    for (const char *at = bucket; *at != '\0'; at++)
    {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9');

        if (!letter && *at != '-')
            *in_host = false;
        if (!letter && strchr("-._ABCDEFGHIJKLMNOPQRSTUVWXYZ", *at) == NULL)
            return cpam_fail(err, CPAM_USAGE, 0,
                             "\"%s\" is not a bucket name: it has a \"%c\" in it", bucket, *at);
    }
    if (strcmp(bucket, ".") == 0 || strstr(bucket, "..") != NULL || bucket[0] == '-')
        return cpam_fail(err, CPAM_USAGE, 0, "\"%s\" is not a bucket name", bucket);
    return CPAM_OK;
}

/* Splits "https://host:port/" into its parts; without a scheme it is https. */
static enum cpam_status
split(const char *url, bool *tls, struct cpam_buf *host, struct cpam_err *err)
{
    const char *at = url;

    *tls = true;
    if (strncasecmp(at, "https://", 8) == 0)
        at += 8;
    else if (strncasecmp(at, "http://", 7) == 0)
    {
        at += 7;
        *tls = false;
    }
    else if (strstr(at, "://") != NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "the endpoint \"%s\" is neither https:// nor http://",
                         url);

    /* a user and password in an address must not get into a message */
    if (strchr(at, '@') != NULL)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "the endpoint has an \"@\" in it: it names a server, and no user");
    size_t size = strcspn(at, "/?#");
    if (at[size] == '/' && at[size + 1] == '\0')
        size += 0; /* one slash at the end says nothing */
    else if (at[size] != '\0')
        return cpam_fail(
            err, CPAM_USAGE, 0,
            "the endpoint \"%s\" has a path: it is a server's address only, bucket and "
            "folder are in the repository's url",
            url);
    if (size == 0)
        return cpam_fail(err, CPAM_USAGE, 0, "the endpoint \"%s\" names no server", url);
    for (size_t i = 0; i < size; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]", at[i]) ==
            NULL)
            return cpam_fail(err, CPAM_USAGE, 0, "the endpoint \"%s\" names no server", url);

    /* libcurl leaves a scheme's own port out of Host, and Host is signed */
    const char *port = *tls ? ":443" : ":80";
    size_t port_size = strlen(port);
    if (size > port_size && memcmp(at + size - port_size, port, port_size) == 0)
        size -= port_size;
    return cpam_buf_append(host, at, size, 512, err);
}

static bool
ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

enum cpam_status
s3_endpoint_of(const struct s3_settings *settings, struct s3_endpoint *out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf host = {0}, full = {0}, base = {0}, prefix = {0};
    const char *region = settings->region != NULL ? settings->region : "us-east-1";
    const char *addressing = settings->addressing != NULL ? settings->addressing : "auto";
    bool can = false, virtual = false;

    CPAM_TRY(check_bucket(settings->bucket, &can, err));
    if (settings->endpoint != NULL && settings->endpoint[0] != '\0')
        CPAM_TRY(split(settings->endpoint, &out->tls, &host, err));
    else
    {
        CPAM_TRY(cpam_buf_printf(&host, 512, err, "s3.%s.amazonaws.com%s", region,
                                 strncmp(region, "cn-", 3) == 0 ? ".cn" : ""));
        out->tls = true;
    }
    const char *name = cpam_buf_text(&host);
    if (name == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an endpoint");

    if (strcmp(addressing, "virtual") == 0)
        virtual = true;
    else if (strcmp(addressing, "auto") == 0)
        virtual = can &&
                  (ends_with(name, ".amazonaws.com") || ends_with(name, ".amazonaws.com.cn"));
    else if (strcmp(addressing, "path") != 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "addressing is \"%s\": it must be auto, virtual or path", addressing);

    CPAM_TRY(cpam_buf_printf(&full, 1024, err, "%s%s%s", virtual ? settings->bucket : "",
                             virtual ? "." : "", name));
    CPAM_TRY(cpam_buf_printf(&base, 1024, err, "%s://%s%s%s", out->tls ? "https" : "http",
                             virtual ? settings->bucket : "", virtual ? "." : "", name));
    CPAM_TRY(cpam_buf_printf(&prefix, 1024, err, "%s%s", virtual ? "" : "/",
                             virtual ? "" : settings->bucket));
    out->host = strdup(full.size > 0 ? cpam_buf_text(&full) : "");
    out->base = strdup(base.size > 0 ? cpam_buf_text(&base) : "");
    out->prefix = strdup(prefix.size > 0 ? cpam_buf_text(&prefix) : "");
    if (out->host == NULL || out->base == NULL || out->prefix == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an endpoint");
    return CPAM_OK;
}

void
s3_endpoint_clear(struct s3_endpoint *endpoint)
{
    free(endpoint->host);
    free(endpoint->base);
    free(endpoint->prefix);
    *endpoint = (struct s3_endpoint){0};
}
