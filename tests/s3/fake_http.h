/*
 * fake_http.h - struct http from a script: each request gets the next answer and is written down.
 *
 * And a struct io whose clock stands still except for sleeping.
 */
#ifndef CPAM_TESTS_S3_FAKE_HTTP_H
#define CPAM_TESTS_S3_FAKE_HTTP_H

#include "suite.h"

#include <stdio.h>

#include "credentials/credentials.h"
#include "http/http.h"

struct fake_answer
{
    enum cpam_status failure; /* other than CPAM_OK: no answer at all */
    int status;
    const char *headers; /* "Name: value\n..." */
    const char *body;
    size_t cut; /* the connection breaks after this many bytes of the body (0: it does not) */
};

struct fake_http
{
    struct http base;
    const struct fake_answer *answers;
    size_t count, next;
    struct http_body
        bodies[64];        /* of the first requests: their sizes, and whether a file has them */
    char asked[256 << 10]; /* "METHOD URL\nName: value\n...\n\n" of each request */
    size_t used;
};

static inline void
fake_note(struct fake_http *fake, const char *a, const char *b, const char *c, const char *d)
{
    int size = snprintf(fake->asked + fake->used, sizeof(fake->asked) - fake->used, "%s%s%s%s", a,
                        b, c, d);

    ck_assert(size >= 0 && (size_t) size < sizeof(fake->asked) - fake->used);
    fake->used += (size_t) size;
}

static inline enum cpam_status
fake_body(const struct http_request *request, struct http_reply *reply,
          const struct fake_answer *answer, struct cpam_err *err)
{
    const char *body = answer->body != NULL ? answer->body : "";
    size_t size = strlen(body);
    bool success = answer->status < 300;

    if (strcmp(request->method, "HEAD") == 0)
        size = 0;
    if (answer->cut > 0)
        size = answer->cut;
    reply->received = size;
    if (success && request->accept != NULL)
        CPAM_TRY(request->accept(request->accept_arg, reply, err));
    if (success && request->to != NULL)
        CPAM_TRY(sink_write(request->to, body, size, err));
    else if (size > 0)
        CPAM_TRY(cpam_buf_append(&reply->body, body, size, 1 << 20, err));
    if (answer->cut > 0)
        return cpam_fail(err, CPAM_TRANSIENT, 0, "the connection broke");
    return CPAM_OK;
}

static inline enum cpam_status
fake_send(struct http *http, const struct http_request *request, struct http_reply *reply,
          struct cpam_err *err)
{
    struct fake_http *fake = (struct fake_http *) http;

    fake_note(fake, request->method, " ", request->url, "\n");
    for (size_t i = 0; i < request->header_count; i++)
        fake_note(fake, request->headers[i].name, ": ", request->headers[i].value, "\n");
    fake_note(fake, "\n", "", "", "");
    ck_assert_msg(fake->next < fake->count, "one request too many: %s %s", request->method,
                  request->url);
    if (fake->next < 64)
        fake->bodies[fake->next] = request->body;
    const struct fake_answer *answer = &fake->answers[fake->next++];
    if (answer->failure != CPAM_OK)
        return cpam_fail(err, answer->failure, 0, "no connection");
    reply->status = answer->status;
    for (const char *at = answer->headers; at != NULL && *at != '\0';)
    {
        size_t line = strcspn(at, "\n"), name = strcspn(at, ":");

        CPAM_TRY(http_reply_add_header(reply, at, name, at + name + 2, line - name - 2, err));
        at += line + (at[line] == '\n');
    }
    return fake_body(request, reply, answer, err);
}

/* The test's own memory. */
static inline void
fake_free(struct http *http)
{
    (void) http;
}

static inline void
fake_http_init(struct fake_http *fake, const struct fake_answer *answers, size_t count)
{
    static const struct http_ops ops = {.send = fake_send, .free = fake_free};

    memset(fake, 0, sizeof(*fake));
    fake->base.ops = &ops;
    fake->answers = answers;
    fake->count = count;
}

/* --- a clock that only sleeping moves ------------------------------------------------------- */

struct fake_io
{
    struct io base;
    struct io_ops ops;
    int64_t clock; /* us, both clocks */
    unsigned sleeps;
    int64_t slept[64];
};

static inline int64_t
fake_clock(struct io *io)
{
    return ((struct fake_io *) io)->clock;
}

static inline void
fake_sleep(struct io *io, int64_t us)
{
    struct fake_io *fake = (struct fake_io *) io;

    ck_assert_uint_lt(fake->sleeps, 64);
    fake->slept[fake->sleeps++] = us;
    fake->clock += us;
}

static inline int
fake_random(struct io *io, void *out, size_t size)
{
    (void) io;
    memset(out, 0xff, size); /* the longest wait */
    return 0;
}

static inline void
fake_io_init(struct fake_io *fake, int64_t clock)
{
    memset(fake, 0, sizeof(*fake));
    fake->ops = *io_posix()->ops;
    fake->ops.now = fake_clock;
    fake->ops.monotonic = fake_clock;
    fake->ops.sleep = fake_sleep;
    fake->ops.random = fake_random;
    fake->base.ops = &fake->ops;
    fake->clock = clock;
}

#endif
