/*
 * http.h - one HTTP request and its reply, behind a table.
 *
 * A send either brings back a whole reply, whatever its status, or fails.  "Whole" means: the
 * header block ended, and as many bytes of body came as Content-Length announced.  Nothing is
 * tried again here (http/retry), no redirect is followed (what one means is the protocol's
 * business), no content encoding is asked for, and no cookie is kept.
 *
 * Limits of time are one struct deadline over name resolution, connect, TLS, body and reply, on
 * io's clock.  Inside it, a connection that takes longer than connect_us and a transfer that moves
 * less than stall_bytes a second for stall_us fail as CPAM_TRANSIENT, so that a retry may find a
 * better one.
 *
 * What comes back:
 *   CPAM_OK         a whole reply, of any status
 *   CPAM_TRANSIENT  no connection, connection lost or stalled, reply cut short
 *   CPAM_DEADLINE   the request's deadline passed
 *   CPAM_REFUSED    the server's certificate was not accepted, or the CA file is of no use
 *   CPAM_CORRUPT    more header or body than the caller allows, or no HTTP
 *   others          from the sink, the accept function, or reading the body's file
 *
 * Proxies: none, unless the environment names one the way libcurl reads it (https_proxy,
 * http_proxy in lower case, no_proxy).
 */
#ifndef CPAM_HTTP_HTTP_H
#define CPAM_HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"
#include "io/sink.h"

enum
{
    HTTP_HEADERS_MAX = 64 << 10,   /* bytes of all reply headers */
    HTTP_ERROR_BODY_MAX = 64 << 10 /* of a reply that is no success; what is beyond is dropped */
};

struct http_header
{
    const char *name, *value;
};

/* In memory, or (data NULL) size bytes of fd from offset on.  size 0: no body. */
struct http_body
{
    const void *data;
    int fd;
    uint64_t offset;
    uint64_t size;
};

struct http_reply
{
    int status;
    struct cpam_buf headers; /* name NUL value NUL ...; see http_reply_header() */
    struct cpam_buf body;    /* unless it went to the sink */
    uint64_t received;       /* bytes of body, wherever they went */
};

struct http_request
{
    const char *method;
    const char *url;
    const struct http_header *headers; /* sent as they are, with Host, User-Agent, Content-Length */
    size_t header_count;
    struct http_body body;

    struct sink *to;    /* takes the body of a 2xx (written, not finished); NULL: reply->body */
    size_t reply_limit; /* of reply->body of a 2xx, bytes */
    /* Asked once for a 2xx with a sink, when all headers are there and no byte of the body has been
       given to it; other than CPAM_OK ends the request with that status.  May be NULL. */
    enum cpam_status (*accept)(void *arg, const struct http_reply *reply, struct cpam_err *err);
    void *accept_arg;

    struct deadline deadline;
    int64_t stall_us; /* 0: the client's */
};

struct http;

struct http_ops
{
    enum cpam_status (*send)(struct http *http, const struct http_request *request,
                             struct http_reply *reply, struct cpam_err *err);
    void (*free)(struct http *http);
};

struct http
{
    const struct http_ops *ops;
};

/* *reply must be zeroed or a former reply; it is emptied first.  One thread at a time. */
enum cpam_status http_send(struct http *http, const struct http_request *request,
                           struct http_reply *reply, struct cpam_err *err) CPAM_CHECK;
void http_free(struct http *http);
CPAM_SCOPED(http_free, struct http);

/* The (first) value of a header, in any case of letters, or NULL. */
const char *http_reply_header(const struct http_reply *reply, const char *name);
/* For implementations: one more header, within HTTP_HEADERS_MAX. */
enum cpam_status http_reply_add_header(struct http_reply *reply, const char *name, size_t name_size,
                                       const char *value, size_t value_size,
                                       struct cpam_err *err) CPAM_CHECK;
void http_reply_clear(struct http_reply *reply);

static inline void
http_reply_clear_scoped_(struct http_reply *reply)
{
    http_reply_clear(reply);
}

/* A Date or Last-Modified value ("Mon, 23 Nov 2026 15:40:08 GMT") as us since 1970; 0 if it is
   none. */
int64_t http_parse_date(const char *text);

#endif
