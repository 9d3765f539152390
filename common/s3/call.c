/*
 * call.c - build the URL, sign, send, try again.
 */
#include "s3/call.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "s3/guard.h"

void
s3_call_query(struct s3_call *call, const char *name, const char *value)
{
    if (call->query_count < S3_CALL_PAIRS)
        call->query[call->query_count++] = (struct sigv4_pair){name, value};
}

void
s3_call_header(struct s3_call *call, const char *name, const char *value)
{
    if (value != NULL && call->header_count < S3_CALL_PAIRS)
        call->headers[call->header_count++] = (struct sigv4_pair){name, value};
}

void
s3_call_prefix(const struct s3 *s3, const struct s3_call *call, struct cpam_err *err)
{
    if (call->key != NULL)
        cpam_err_prefix(err, "could not %s \"s3://%s/%s\"", call->doing, s3->settings.bucket,
                        call->key);
    else
        cpam_err_prefix(err, "could not %s bucket \"%s\"", call->doing, s3->settings.bucket);
}

static enum cpam_status
text_of(struct cpam_buf *buf, const char **out, struct cpam_err *err)
{
    *out = cpam_buf_text(buf);
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a request");
    return CPAM_OK;
}

/* Path and URL.  The query goes out exactly as it is signed. */
static enum cpam_status
address(struct s3 *s3, const struct s3_call *call, struct cpam_buf *path, struct cpam_buf *url,
        struct cpam_err *err)
{
    const char *text;

    CPAM_TRY(cpam_buf_printf(path, SIGV4_TEXT_MAX, err, "%s/%s", s3->endpoint.prefix,
                             call->key != NULL ? call->key : ""));
    CPAM_TRY(text_of(path, &text, err));
    CPAM_TRY(cpam_buf_printf(url, SIGV4_TEXT_MAX, err, "%s", s3->endpoint.base));
    CPAM_TRY(sigv4_encode(text, true, url, err));
    if (call->query_count == 0)
        return CPAM_OK;
    CPAM_TRY(cpam_buf_append(url, "?", 1, SIGV4_TEXT_MAX, err));
    return sigv4_query(call->query, call->query_count, url, err);
}

static const char *
payload_of(const struct s3 *s3, const struct s3_call *call)
{
    if (call->payload != NULL)
        return call->payload;
    if (call->body.size > 0 && s3->endpoint.tls)
        return "UNSIGNED-PAYLOAD";
    return "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; /* SHA-256 of "" */
}

struct signed_headers
{
    struct sigv4_pair pairs[S3_CALL_PAIRS + 8];
    size_t count;
};

static void
put_header(struct signed_headers *to, const char *name, const char *value)
{
    to->pairs[to->count++] = (struct sigv4_pair){name, value};
}

enum cpam_status
s3_call_once(struct s3 *s3, const struct s3_call *call, struct deadline deadline,
             struct retry *retry, struct http_reply *reply, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear)
    struct cpam_buf path = {0}, url = {0}, authorization = {0}, token = {0};
    const struct credentials *credentials = s3->credentials;
    const char *owner = s3->settings.expected_bucket_owner;
    struct signed_headers headers = {.count = 0};
    struct http_header sent[S3_CALL_PAIRS + 9];
    struct sigv4_scope scope = {.access_key_id = credentials->access_key_id,
                                .secret_key = credentials->secret_key,
                                .region = s3->settings.region,
                                .service = "s3"};
    struct sigv4_request request = {.method = call->method,
                                    .query = call->query,
                                    .query_count = call->query_count,
                                    .headers = headers.pairs,
                                    .payload = payload_of(s3, call)};
    struct http_request http = {.method = call->method,
                                .headers = sent,
                                .body = call->body,
                                .to = call->to,
                                .reply_limit = S3_REPLY_MAX,
                                .accept = call->accept,
                                .accept_arg = call->accept_arg,
                                .deadline = deadline,
                                .stall_us = call->stall_us};

    CPAM_TRY(address(s3, call, &path, &url, err));
    CPAM_TRY(text_of(&path, &request.path, err));
    CPAM_TRY(text_of(&url, &http.url, err));
    sigv4_date(s3->io->ops->now(s3->io) + s3->skew, scope.date);
    put_header(&headers, "Host", s3->endpoint.host);
    put_header(&headers, "X-Amz-Date", scope.date);
    put_header(&headers, "X-Amz-Content-Sha256", request.payload);
    if (credentials->session_token != NULL)
    {
        const char *text;

        CPAM_TRY(cpam_buf_append(&token, secret_data(credentials->session_token),
                                 secret_size(credentials->session_token), SECRET_MAX, err));
        CPAM_TRY(text_of(&token, &text, err));
        put_header(&headers, "X-Amz-Security-Token", text);
    }
    if (owner != NULL && owner[0] != '\0')
        put_header(&headers, "x-amz-expected-bucket-owner", owner);
    for (size_t i = 0; i < call->header_count; i++)
        put_header(&headers, call->headers[i].name, call->headers[i].value);
    request.header_count = headers.count;
    CPAM_TRY(sigv4_authorize(&request, &scope, &authorization, err));

    for (size_t i = 0; i < headers.count; i++)
        sent[http.header_count++] =
            (struct http_header){headers.pairs[i].name, headers.pairs[i].value};
    sent[http.header_count].name = "Authorization";
    CPAM_TRY(text_of(&authorization, &sent[http.header_count++].value, err));

    const char *whole = sent[http.header_count - 1].value; /* ends in the signature */
    snprintf(s3->signature, sizeof(s3->signature), "%s",
             whole + strlen(whole) - (SIGV4_HEX_SIZE - 1));
    enum cpam_status status = http_send(s3->http, &http, reply, err);
    if (status == CPAM_OK)
        status = s3_judge(s3, call, reply, retry, err);
    else
        cpam_err_prefix(err, "no good answer from %s", s3->endpoint.base);
    return status;
}

struct attempts
{
    struct s3 *s3;
    const struct s3_call *call;
    struct deadline deadline;
    struct http_reply *reply;
};

static enum cpam_status
attempt(void *arg, struct retry *retry, struct cpam_err *err)
{
    struct attempts *attempts = arg;

    return s3_call_once(attempts->s3, attempts->call, attempts->deadline, retry, attempts->reply,
                        err);
}

enum cpam_status
s3_call(struct s3 *s3, const struct s3_call *call, struct deadline deadline,
        struct http_reply *reply, struct cpam_err *err)
{
    struct attempts attempts = {.s3 = s3, .call = call, .deadline = deadline, .reply = reply};
    enum cpam_status status = retry_run(s3->io, deadline, attempt, &attempts, err);

    if (status != CPAM_OK)
        s3_call_prefix(s3, call, err);
    return status;
}

static enum cpam_status
copy(const char *from, const char **to, struct cpam_err *err)
{
    *to = from == NULL ? NULL : strdup(from);
    if (from != NULL && *to == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a store");
    return CPAM_OK;
}

static enum cpam_status
copy_settings(const struct s3_settings *from, struct s3_settings *to, struct cpam_err *err)
{
    const char *region =
        from->region != NULL && from->region[0] != '\0' ? from->region : "us-east-1";

    CPAM_TRY(copy(from->bucket, &to->bucket, err));
    CPAM_TRY(copy(region, &to->region, err));
    CPAM_TRY(copy(from->expected_bucket_owner, &to->expected_bucket_owner, err));
    CPAM_TRY(copy(from->server_side_encryption, &to->server_side_encryption, err));
    CPAM_TRY(copy(from->kms_key, &to->kms_key, err));
    CPAM_TRY(copy(from->lock_mode, &to->lock_mode, err));
    CPAM_TRY(copy(from->probe, &to->probe, err));
    if (to->probe != NULL && strlen(to->probe) > S3_PROBE_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "the name of a probe is too long");
    to->lock_us = from->lock_us;
    return CPAM_OK;
}

enum cpam_status
s3_open(struct io *io, const struct s3_settings *settings, struct http *http,
        struct credentials *credentials, struct s3 **out, struct cpam_err *err)
{
    CPAM_AUTO(s3_free) struct s3 *s3 = calloc(1, sizeof(*s3));

    if (s3 == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a store");
    s3->io = io;
    CPAM_TRY(s3_endpoint_of(settings, &s3->endpoint, err));
    CPAM_TRY(copy_settings(settings, &s3->settings, err));
    CPAM_TRY(s3_guard_new(&s3->guard, err));
    s3->http = http;
    s3->credentials = credentials;
    *out = CPAM_STEAL(s3);
    return CPAM_OK;
}

/* The copies are ours; const is only the contract of struct s3_settings. */
static void
free_text(const char *text)
{
    free((char *) (uintptr_t) text);
}

void
s3_free(struct s3 *s3)
{
    if (s3 == NULL)
        return;
    http_free(s3->http);
    credentials_free(s3->credentials);
    s3_guard_free(s3->guard);
    s3_endpoint_clear(&s3->endpoint);
    free_text(s3->settings.bucket);
    free_text(s3->settings.region);
    free_text(s3->settings.expected_bucket_owner);
    free_text(s3->settings.server_side_encryption);
    free_text(s3->settings.kms_key);
    free_text(s3->settings.lock_mode);
    free_text(s3->settings.probe);
    free(s3);
}

void
s3_share(struct s3 *s3, const struct s3 *with)
{
    s3_guard_free(s3->guard);
    s3->guard = s3_guard_share(with->guard);
}

const char *
s3_bucket(const struct s3 *s3)
{
    return s3->settings.bucket;
}
