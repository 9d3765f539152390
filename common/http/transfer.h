/*
 * transfer.h - one request on its way, as libcurl's callbacks see it.  For client.c.
 *
 * A failure inside a callback is kept here, with its sentence, since libcurl only knows that one
 * failed.
 */
#ifndef CPAM_HTTP_TRANSFER_H
#define CPAM_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "http/http.h"
#include "io/pace.h"

struct transfer
{
    struct io *io;
    const struct http_request *request;
    struct http_reply *reply;
    struct pace *send, *receive; /* or NULL */
    uint64_t sent;
    bool accepted;      /* the accept function was asked */
    bool saw_continue;  /* "100 Continue" came */
    bool headers_ended; /* of the final reply */
    enum cpam_status failed;
    struct cpam_err *err; /* of failed */
};

/* CURLOPT_HEADERFUNCTION, WRITEFUNCTION, READFUNCTION, SEEKFUNCTION, XFERINFOFUNCTION. */
size_t transfer_take_header(char *line, size_t one, size_t size, void *arg);
size_t transfer_take_body(char *data, size_t one, size_t size, void *arg);
size_t transfer_give_body(char *into, size_t one, size_t size, void *arg);
int transfer_seek_body(void *arg, curl_off_t offset, int origin);
int transfer_look_at_clock(void *arg, curl_off_t total_in, curl_off_t in, curl_off_t total_out,
                           curl_off_t out);

/* The request's accept function, once; also for a reply without a body. */
enum cpam_status transfer_ask_accept(struct transfer *transfer) CPAM_CHECK;

bool http_is_success(int status);

#endif
