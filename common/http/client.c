/*
 * client.c - struct http over one libcurl easy handle, which keeps its connections alive.
 *
 * libcurl measures time by itself; the deadline is held against io's clock once more in its
 * progress callback, which it calls at least every second (transfer.c).
 */
#include "http/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "http/transfer.h"

enum
{
    SHARES_MAX = 256, /* of a limited rate; a connection may get as little as one of them */
    BUFFER = 64 << 10 /* bytes a connection reads or writes at once: four records of TLS */
};

struct client
{
    struct http base;
    struct io *io;
    CURL *curl;
    struct curl_slist *resolve;
    char *ca_file;
    struct http_options options; /* its texts are not used after http_client_new() */
    bool no_continue; /* this server answers without "100 Continue": asking for it costs a second */
    bool taken;       /* the last body was: the next one goes out without asking for it first */
    char why[CURL_ERROR_SIZE];
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_status;

static void
global_start(void)
{
    global_status = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* What libcurl's codes mean to a caller, and to a person where its own words mislead; any other is a fault
   of this program. */
static const struct
{
    CURLcode code;
    enum cpam_status status;
    const char *why;
} curl_codes[] = {
    {CURLE_COULDNT_RESOLVE_PROXY, CPAM_TRANSIENT},
    {CURLE_COULDNT_RESOLVE_HOST, CPAM_TRANSIENT},
    {CURLE_COULDNT_CONNECT, CPAM_TRANSIENT},
    {CURLE_PARTIAL_FILE, CPAM_TRANSIENT},
    {CURLE_OPERATION_TIMEDOUT, CPAM_TRANSIENT},
    {CURLE_SSL_CONNECT_ERROR, CPAM_TRANSIENT},
    {CURLE_GOT_NOTHING, CPAM_TRANSIENT},
    {CURLE_SEND_ERROR, CPAM_TRANSIENT},
    {CURLE_RECV_ERROR, CPAM_TRANSIENT},
    {CURLE_SEND_FAIL_REWIND, CPAM_TRANSIENT},
    {CURLE_AGAIN, CPAM_TRANSIENT},
    {CURLE_HTTP2, CPAM_TRANSIENT},
    {CURLE_HTTP2_STREAM, CPAM_TRANSIENT},
    {CURLE_PROXY, CPAM_TRANSIENT},
    {CURLE_UNSUPPORTED_PROTOCOL, CPAM_CORRUPT},
    {CURLE_WEIRD_SERVER_REPLY, CPAM_CORRUPT},
    {CURLE_BAD_CONTENT_ENCODING, CPAM_CORRUPT},
    {CURLE_URL_MALFORMAT, CPAM_USAGE},
    {CURLE_PEER_FAILED_VERIFICATION, CPAM_REFUSED},
    {CURLE_SSL_CERTPROBLEM, CPAM_REFUSED},
    {CURLE_SSL_CIPHER, CPAM_REFUSED},
    {CURLE_SSL_CACERT_BADFILE, CPAM_REFUSED},
    {CURLE_SSL_ISSUER_ERROR, CPAM_REFUSED},
    {CURLE_SSL_INVALIDCERTSTATUS, CPAM_REFUSED},
    {CURLE_OUT_OF_MEMORY, CPAM_NO_MEMORY, "out of memory, or a header of the answer is too long"},
};

static enum cpam_status
curl_refused(struct client *client, struct transfer *transfer, CURLcode code)
{
    enum cpam_status status = CPAM_INTERNAL;
    const char *why = client->why[0] != '\0' ? client->why : curl_easy_strerror(code);

    if (transfer->failed != CPAM_OK)
        return transfer->failed; /* its sentence is there already */
    for (size_t i = 0; i < sizeof(curl_codes) / sizeof(curl_codes[0]); i++)
        if (curl_codes[i].code == code)
        {
            status = curl_codes[i].status;
            why = curl_codes[i].why != NULL ? curl_codes[i].why : why;
        }
    if (deadline_left(client->io, transfer->request->deadline) == 0)
        return cpam_fail(transfer->err, CPAM_DEADLINE, 0,
                         "the time for this request is used up (%s)", why);
    cpam_fail(transfer->err, status, 0, "%s", why);
    if (status == CPAM_REFUSED)
        cpam_err_hint(transfer->err,
                      "the server's certificate must be for the name in the endpoint and signed by "
                      "an authority known here; set \"ca_file\" for a store with a CA of its own");
    return status;
}

/* What is held up by a limit does not stall: with many connections each has a small share. */
static uint64_t
not_slower_than(uint64_t slowest, const struct pace *pace)
{
    uint64_t share = pace_rate(pace) / SHARES_MAX;

    return pace != NULL && share < slowest ? share : slowest;
}

/* No libcurl option used here can fail other than for want of memory. */
#define SET(option, value)                                                                         \
    do                                                                                             \
    {                                                                                              \
        if (curl_easy_setopt(curl, option, value) != CURLE_OK)                                     \
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "could not set up the HTTP client");          \
    } while (0)

static enum cpam_status
set_limits(struct client *client, const struct http_request *request, struct cpam_err *err)
{
    CURL *curl = client->curl;
    const struct http_options *options = &client->options;
    int64_t left = deadline_left(client->io, request->deadline);
    int64_t stall = request->stall_us > 0 ? request->stall_us : options->stall_us;
    uint64_t slowest = options->stall_bytes;

    slowest = not_slower_than(slowest, options->send);
    slowest = not_slower_than(slowest, options->receive);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long) (options->connect_us / 1000));
    SET(CURLOPT_LOW_SPEED_LIMIT, (long) (slowest > 0 ? slowest : 1));
    SET(CURLOPT_LOW_SPEED_TIME, (long) ((stall + 999999) / 1000000));
    if (left != INT64_MAX && left / 1000 < INT32_MAX)
        SET(CURLOPT_TIMEOUT_MS, (long) (left / 1000 + 1));
    SET(CURLOPT_NOPROGRESS, 0L);
    return CPAM_OK;
}

static enum cpam_status
set_connection(struct client *client, struct cpam_err *err)
{
    CURL *curl = client->curl;

    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_USERAGENT, "cpam/" CPAM_VERSION);
    SET(CURLOPT_ERRORBUFFER, client->why);
    SET(CURLOPT_BUFFERSIZE, (long) BUFFER);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long) BUFFER);
    if (client->ca_file != NULL)
    {
        SET(CURLOPT_CAINFO, client->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (client->resolve != NULL)
        SET(CURLOPT_RESOLVE, client->resolve);
    return CPAM_OK;
}

static enum cpam_status
set_request(struct client *client, struct transfer *transfer, struct curl_slist *headers,
            struct cpam_err *err)
{
    const struct http_request *request = transfer->request;
    CURL *curl = client->curl;
    bool has_body = request->body.size > 0;
    bool is_get = strcmp(request->method, "GET") == 0;

    SET(CURLOPT_URL, request->url);
    if (strcmp(request->method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    else if (has_body || strcmp(request->method, "PUT") == 0 ||
             strcmp(request->method, "POST") == 0)
    {
        SET(CURLOPT_UPLOAD, 1L); /* also without a body: sends "Content-Length: 0" */
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t) request->body.size);
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    }
    else if (!is_get)
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_READFUNCTION, transfer_give_body);
    SET(CURLOPT_READDATA, transfer);
    SET(CURLOPT_SEEKFUNCTION, transfer_seek_body);
    SET(CURLOPT_SEEKDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, transfer_take_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, transfer_take_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_XFERINFOFUNCTION, transfer_look_at_clock);
    SET(CURLOPT_XFERINFODATA, transfer);
    return CPAM_OK;
}

#undef SET

static void
slist_free(struct curl_slist *list)
{
    curl_slist_free_all(list);
}
CPAM_SCOPED(slist_free, struct curl_slist);

static enum cpam_status
slist_add(struct curl_slist **list, const char *line, struct cpam_err *err)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the headers of a request");
    *list = longer;
    return CPAM_OK;
}

static enum cpam_status
headers_of(const struct client *client, const struct http_request *request, struct curl_slist **out,
           struct cpam_err *err)
{
    CPAM_TRY(slist_add(out, "Accept:", err));
    /* else libcurl asks before each body beyond 1 MiB: worth it where a refusal may come, which then
       comes before the body; in a row of bodies that are taken it is a round trip for each, and where
       the server does not answer a second */
    if (client->no_continue || client->taken || request->body.size == 0)
        CPAM_TRY(slist_add(out, "Expect:", err));
    for (size_t i = 0; i < request->header_count; i++)
    {
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf line = {0};
        const struct http_header *header = &request->headers[i];

        if (strpbrk(header->name, "\r\n:") != NULL || strpbrk(header->value, "\r\n") != NULL)
            return cpam_fail(err, CPAM_USAGE, 0,
                             "the value for the header \"%s\" has a line break in it",
                             header->name);
        /* "name;" is libcurl's way to send a header without a value */
        CPAM_TRY(cpam_buf_printf(&line, HTTP_HEADERS_MAX, err,
                                 header->value[0] != '\0' ? "%s: %s" : "%s;%s", header->name,
                                 header->value));
        const char *text = cpam_buf_text(&line);
        if (text == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the headers of a request");
        CPAM_TRY(slist_add(out, text, err));
    }
    return CPAM_OK;
}

/* libcurl holds the body against Content-Length by itself; this holds it once more. */
static enum cpam_status
check_length(const struct http_request *request, const struct http_reply *reply,
             struct cpam_err *err)
{
    const char *text = http_reply_header(reply, "Content-Length");
    char *end = NULL;

    if (text == NULL || strcmp(request->method, "HEAD") == 0 || reply->status == 204 ||
        reply->status == 304)
        return CPAM_OK;
    errno = 0;
    unsigned long long announced = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return cpam_fail(err, CPAM_CORRUPT, 0, "the reply's Content-Length is \"%s\"", text);
    if (announced != reply->received)
        return cpam_fail(err, CPAM_TRANSIENT, 0,
                         "the reply was cut short: %" PRIu64 " of %llu bytes came", reply->received,
                         announced);
    return CPAM_OK;
}

static enum cpam_status
client_send(struct http *http, const struct http_request *request, struct http_reply *reply,
            struct cpam_err *err)
{
    struct client *client = (struct client *) http;
    struct transfer transfer = {.io = client->io,
                                .request = request,
                                .reply = reply,
                                .send = client->options.send,
                                .receive = client->options.receive,
                                .failed = CPAM_OK,
                                .err = err};
    CPAM_AUTO(slist_free) struct curl_slist *headers = NULL;

    if (deadline_left(client->io, request->deadline) == 0)
        return cpam_fail(err, CPAM_DEADLINE, 0, "the time for this request is used up");
    CPAM_TRY(headers_of(client, request, &headers, err));
    curl_easy_reset(client->curl); /* connections, sessions and names stay cached */
    client->why[0] = '\0';
    CPAM_TRY(set_connection(client, err));
    CPAM_TRY(set_limits(client, request, err));
    CPAM_TRY(set_request(client, &transfer, headers, err));

    CURLcode code = curl_easy_perform(client->curl);
    curl_easy_reset(client->curl); /* nothing in it points to this frame any more */
    if (request->body.size > 1 << 20 && !client->taken && transfer.headers_ended &&
        !transfer.saw_continue && http_is_success(reply->status))
        client->no_continue = true;
    if (request->body.size > 0)
        client->taken = code == CURLE_OK && http_is_success(reply->status);
    if (code != CURLE_OK)
        return curl_refused(client, &transfer, code);
    if (transfer.failed != CPAM_OK)
        return transfer.failed;
    if (reply->status < 200)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the server's reply has no status");
    CPAM_TRY(check_length(request, reply, err));
    return transfer_ask_accept(&transfer);
}

static void
client_free(struct http *http)
{
    struct client *client = (struct client *) http;

    curl_easy_cleanup(client->curl);
    curl_slist_free_all(client->resolve);
    free(client->ca_file);
    free(client);
}

static const struct http_ops client_ops = {.send = client_send, .free = client_free};

enum cpam_status
http_client_new(struct io *io, const struct http_options *options, struct http **out,
                struct cpam_err *err)
{
    if (pthread_once(&global_once, global_start) != 0 || global_status != CURLE_OK)
        return cpam_fail(err, CPAM_INTERNAL, 0, "libcurl could not be started");

    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an HTTP client");
    client->base.ops = &client_ops;
    CPAM_AUTO(http_free) struct http *owner = &client->base;
    client->io = io;
    client->options = *options;
    client->options.connect_us = options->connect_us > 0 ? options->connect_us : 10000000;
    client->options.stall_us = options->stall_us > 0 ? options->stall_us : 30000000;
    client->options.stall_bytes = options->stall_bytes > 0 ? options->stall_bytes : 1024;
    if (options->ca_file != NULL && (client->ca_file = strdup(options->ca_file)) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an HTTP client");
    for (size_t i = 0; i < sizeof(options->resolve) / sizeof(options->resolve[0]); i++)
        if (options->resolve[i] != NULL)
            CPAM_TRY(slist_add(&client->resolve, options->resolve[i], err));
    client->curl = curl_easy_init();
    if (client->curl == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an HTTP client");
    *out = CPAM_STEAL(owner);
    return CPAM_OK;
}
