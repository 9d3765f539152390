/*
 * transfer.c - what libcurl calls while a request is on its way.
 */
#include "http/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

bool
http_is_success(int status)
{
    return status >= 200 && status < 300;
}

/* A header line, or a status line, which starts a reply anew (100 Continue, then the real one). */
size_t
transfer_take_header(char *line, size_t one, size_t size, void *arg)
{
    struct transfer *transfer = arg;
    size_t length = one * size;

    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n'))
        length--;
    if (length >= 9 && strncmp(line, "HTTP/", 5) == 0 && memchr(line, ' ', length) != NULL)
    {
        cpam_buf_clear(&transfer->reply->headers);
        long status = strtol((const char *) memchr(line, ' ', length) + 1, NULL, 10);
        transfer->reply->status = status > 0 && status < 1000 ? (int) status : 0;
        transfer->saw_continue |= status == 100;
        return one * size;
    }

    const char *colon = memchr(line, ':', length);
    if (colon == NULL)
    {
        transfer->headers_ended |= length == 0 && transfer->reply->status >= 200;
        return one * size;
    }
    const char *value = colon + 1;
    while (value < line + length && (*value == ' ' || *value == '\t'))
        value++;
    transfer->failed = http_reply_add_header(transfer->reply, line, (size_t) (colon - line), value,
                                             (size_t) (line + length - value), transfer->err);
    if (transfer->failed == CPAM_INVALID)
        transfer->failed =
            cpam_fail(transfer->err, CPAM_CORRUPT, 0, "the reply has more than %d bytes of headers",
                      HTTP_HEADERS_MAX);
    return transfer->failed == CPAM_OK ? one * size : 0;
}

enum cpam_status
transfer_ask_accept(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;

    if (transfer->accepted || request->accept == NULL || !http_is_success(transfer->reply->status))
        return CPAM_OK;
    transfer->accepted = true;
    return request->accept(request->accept_arg, transfer->reply, transfer->err);
}

static enum cpam_status
take_bytes(struct transfer *transfer, const char *data, size_t size)
{
    const struct http_request *request = transfer->request;
    struct http_reply *reply = transfer->reply;

    reply->received += size;
    if (!http_is_success(reply->status))
    {
        size_t room = HTTP_ERROR_BODY_MAX - reply->body.size;

        return cpam_buf_append(&reply->body, data, size < room ? size : room, HTTP_ERROR_BODY_MAX,
                               transfer->err);
    }
    CPAM_TRY(transfer_ask_accept(transfer));
    if (request->to != NULL)
        return sink_write(request->to, data, size, transfer->err);
    if (size > request->reply_limit - reply->body.size)
        return cpam_fail(transfer->err, CPAM_CORRUPT, 0,
                         "the reply is longer than the %zu bytes that are allowed here",
                         request->reply_limit);
    return cpam_buf_append(&reply->body, data, size, request->reply_limit, transfer->err);
}

size_t
transfer_take_body(char *data, size_t one, size_t size, void *arg)
{
    struct transfer *transfer = arg;

    /* waiting here leaves the bytes behind these where they are: in the connection */
    pace_take(transfer->receive, one * size);
    transfer->failed = take_bytes(transfer, data, one * size);
    return transfer->failed == CPAM_OK ? one * size : CURL_WRITEFUNC_ERROR;
}

size_t
transfer_give_body(char *into, size_t one, size_t size, void *arg)
{
    struct transfer *transfer = arg;
    const struct http_body *body = &transfer->request->body;
    uint64_t left = body->size - transfer->sent;
    size_t want = left < one * size ? (size_t) left : one * size;
    size_t got = 0;

    if (transfer->send != NULL && want > PACE_TAKE_MAX)
        want = PACE_TAKE_MAX;
    pace_take(transfer->send, want);
    if (body->data != NULL)
    {
        memcpy(into, (const uint8_t *) body->data + transfer->sent, want);
        got = want;
    }
    while (got < want)
    {
        struct io *io = transfer->io;
        ssize_t more = io->ops->pread(io, body->fd, into + got, want - got,
                                      (off_t) (body->offset + transfer->sent + got));

        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
        {
            transfer->failed = cpam_fail(transfer->err, CPAM_IO, more < 0 ? errno : 0,
                                         "could not read the body of a request from its file%s",
                                         more == 0 ? ": it became shorter" : "");
            return CURL_READFUNC_ABORT;
        }
        got += (size_t) more;
    }
    transfer->sent += got;
    return got;
}

int
transfer_seek_body(void *arg, curl_off_t offset, int origin)
{
    struct transfer *transfer = arg;

    if (origin != SEEK_SET || offset < 0 || (uint64_t) offset > transfer->request->body.size)
        return CURL_SEEKFUNC_FAIL;
    transfer->sent = (uint64_t) offset;
    return CURL_SEEKFUNC_OK;
}

int
transfer_look_at_clock(void *arg, curl_off_t total_in, curl_off_t in, curl_off_t total_out,
                       curl_off_t out)
{
    struct transfer *transfer = arg;

    (void) total_in, (void) in, (void) total_out, (void) out;
    return deadline_left(transfer->io, transfer->request->deadline) == 0;
}
