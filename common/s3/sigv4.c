/*
 * sigv4.c - the stages of a signature, in the order in which they build on each other.
 */
#include "s3/sigv4.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char upper_hex[] = "0123456789ABCDEF";

void
sigv4_hex(const uint8_t *bytes, size_t size, char *out)
{
    static const char lower_hex[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++)
    {
        out[2 * i] = lower_hex[bytes[i] >> 4];
        out[2 * i + 1] = lower_hex[bytes[i] & 15];
    }
    out[2 * size] = '\0';
}

void
sigv4_date(int64_t now_us, char out[SIGV4_DATE_SIZE])
{
    time_t seconds = (time_t) (now_us / 1000000);
    struct tm tm;

    /* a year of five digits would not fit, and no service would take it */
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 8099 || tm.tm_year < 70 ||
        strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == 0)
        memcpy(out, "19700101T000000Z", SIGV4_DATE_SIZE);
}

static enum cpam_status
add(struct cpam_buf *to, const char *text, struct cpam_err *err)
{
    return cpam_buf_append(to, text, strlen(text), SIGV4_TEXT_MAX, err);
}

static bool
is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

enum cpam_status
sigv4_encode(const char *text, bool keep_slash, struct cpam_buf *out, struct cpam_err *err)
{
    for (const char *at = text; *at != '\0'; at++)
    {
        uint8_t byte = (uint8_t) *at;
        char encoded[3] = {'%', upper_hex[byte >> 4], upper_hex[byte & 15]};

        if (is_unreserved(*at) || (*at == '/' && keep_slash))
            CPAM_TRY(cpam_buf_append(out, at, 1, SIGV4_TEXT_MAX, err));
        else
            CPAM_TRY(cpam_buf_append(out, encoded, 3, SIGV4_TEXT_MAX, err));
    }
    return CPAM_OK;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* A list of texts that are owned. */
struct texts
{
    char *items[SIGV4_PAIRS_MAX];
    size_t count;
};

static void
texts_clear_scoped_(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
}

static enum cpam_status
texts_take(struct texts *texts, struct cpam_buf *buf, struct cpam_err *err)
{
    const char *text = cpam_buf_text(buf);

    if (texts->count == SIGV4_PAIRS_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a request has more than %d headers or parameters",
                         SIGV4_PAIRS_MAX);
    char *copy = text == NULL ? NULL : strdup(text);
    if (copy == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to sign a request");
    texts->items[texts->count++] = copy;
    return CPAM_OK;
}

enum cpam_status
sigv4_query(const struct sigv4_pair *query, size_t count, struct cpam_buf *out,
            struct cpam_err *err)
{
    CPAM_AUTO(texts_clear) struct texts texts = {.count = 0};

    for (size_t i = 0; i < count; i++)
    {
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf one = {0};

        CPAM_TRY(sigv4_encode(query[i].name, false, &one, err));
        /* sorts before every byte a name can hold, so that the order is by name, then value */
        CPAM_TRY(add(&one, "\x01", err));
        CPAM_TRY(sigv4_encode(query[i].value, false, &one, err));
        CPAM_TRY(texts_take(&texts, &one, err));
    }
    qsort(texts.items, texts.count, sizeof(texts.items[0]), by_text);
    for (size_t i = 0; i < texts.count; i++)
    {
        *strchr(texts.items[i], '\x01') = '=';
        if (i > 0)
            CPAM_TRY(add(out, "&", err));
        CPAM_TRY(add(out, texts.items[i], err));
    }
    return CPAM_OK;
}

/* Trimmed, with each run of spaces as one. */
static enum cpam_status
add_folded(struct cpam_buf *to, const char *value, struct cpam_err *err)
{
    bool space = false, any = false;

    for (const char *at = value; *at != '\0'; at++)
    {
        if (*at == ' ' || *at == '\t')
        {
            space = true;
            continue;
        }
        if (space && any)
            CPAM_TRY(add(to, " ", err));
        space = false;
        any = true;
        CPAM_TRY(cpam_buf_append(to, at, 1, SIGV4_TEXT_MAX, err));
    }
    return CPAM_OK;
}

static size_t
name_length(const char *line)
{
    return strcspn(line, ":");
}

/* By name; the values of one name stay in the order in which they were given. */
static void
sort_headers(struct texts *texts)
{
    for (size_t i = 1; i < texts->count; i++)
        for (size_t j = i; j > 0; j--)
        {
            char *a = texts->items[j - 1], *b = texts->items[j];
            size_t a_size = name_length(a), b_size = name_length(b);
            int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

            if (order < 0 || (order == 0 && a_size <= b_size))
                break;
            texts->items[j - 1] = b;
            texts->items[j] = a;
        }
}

static enum cpam_status
add_headers(const struct sigv4_request *request, struct cpam_buf *out,
            struct cpam_buf *signed_headers, struct cpam_err *err)
{
    CPAM_AUTO(texts_clear) struct texts texts = {.count = 0};

    for (size_t i = 0; i < request->header_count; i++)
    {
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf line = {0};

        for (const char *at = request->headers[i].name; *at != '\0'; at++)
        {
            char lower = *at >= 'A' && *at <= 'Z' ? (char) (*at - 'A' + 'a') : *at;

            CPAM_TRY(cpam_buf_append(&line, &lower, 1, SIGV4_TEXT_MAX, err));
        }
        CPAM_TRY(add(&line, ":", err));
        CPAM_TRY(add_folded(&line, request->headers[i].value, err));
        CPAM_TRY(texts_take(&texts, &line, err));
    }
    sort_headers(&texts);
    for (size_t i = 0; i < texts.count; i++)
    {
        const char *line = texts.items[i];
        size_t name = name_length(line);
        bool again = i > 0 && name == name_length(texts.items[i - 1]) &&
                     memcmp(line, texts.items[i - 1], name) == 0;

        if (again)
        {
            CPAM_TRY(add(out, ",", err));
            CPAM_TRY(add(out, line + name + 1, err));
            continue;
        }
        if (i > 0)
        {
            CPAM_TRY(add(out, "\n", err));
            CPAM_TRY(add(signed_headers, ";", err));
        }
        CPAM_TRY(add(out, line, err));
        CPAM_TRY(cpam_buf_append(signed_headers, line, name, SIGV4_TEXT_MAX, err));
    }
    return add(out, "\n", err);
}

enum cpam_status
sigv4_canonical(const struct sigv4_request *request, struct cpam_buf *out,
                struct cpam_buf *signed_headers, struct cpam_err *err)
{
    CPAM_TRY(add(out, request->method, err));
    CPAM_TRY(add(out, "\n", err));
    CPAM_TRY(sigv4_encode(request->path, true, out, err));
    CPAM_TRY(add(out, "\n", err));
    CPAM_TRY(sigv4_query(request->query, request->query_count, out, err));
    CPAM_TRY(add(out, "\n", err));
    CPAM_TRY(add_headers(request, out, signed_headers, err));
    CPAM_TRY(add(out, "\n", err));
    CPAM_TRY(cpam_buf_append(out, signed_headers->data, signed_headers->size, SIGV4_TEXT_MAX, err));
    CPAM_TRY(add(out, "\n", err));
    return add(out, request->payload, err);
}

enum cpam_status
sigv4_string_to_sign(const struct sigv4_scope *scope, struct cpam_buf *canonical,
                     struct cpam_buf *out, struct cpam_err *err)
{
    uint8_t digest[SHA256_SIZE];
    char hex[SIGV4_HEX_SIZE];

    CPAM_TRY(sha256_of(canonical->data, canonical->size, digest, err));
    sigv4_hex(digest, sizeof(digest), hex);
    return cpam_buf_printf(out, SIGV4_TEXT_MAX, err,
                           "AWS4-HMAC-SHA256\n%s\n%.8s/%s/%s/aws4_request\n%s", scope->date,
                           scope->date, scope->region, scope->service, hex);
}

enum cpam_status
sigv4_signing_key(const struct sigv4_scope *scope, struct secret **out, struct cpam_err *err)
{
    const char *steps[] = {NULL, scope->region, scope->service, "aws4_request"};
    char day[9] = "";
    uint8_t key[4 + SECRET_MAX];
    size_t size = 4 + secret_size(scope->secret_key);
    enum cpam_status status = CPAM_OK;

    memcpy(day, scope->date, 8);
    steps[0] = day;
    memcpy(key, "AWS4", 4);
    memcpy(key + 4, secret_data(scope->secret_key), size - 4);
    for (size_t i = 0; i < 4 && status == CPAM_OK; i++)
    {
        uint8_t next[SHA256_SIZE];

        status = hmac_sha256(key, size, steps[i], strlen(steps[i]), next, err);
        memcpy(key, next, sizeof(next));
        OPENSSL_cleanse(next, sizeof(next));
        size = sizeof(next);
    }
    if (status == CPAM_OK)
        status = secret_new(key, size, out, err);
    OPENSSL_cleanse(key, sizeof(key));
    return status;
}

enum cpam_status
sigv4_signature(const struct sigv4_scope *scope, struct cpam_buf *string_to_sign,
                char out[SIGV4_HEX_SIZE], struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    uint8_t signature[SHA256_SIZE];

    CPAM_TRY(sigv4_signing_key(scope, &key, err));
    CPAM_TRY(hmac_sha256(secret_data(key), secret_size(key), string_to_sign->data,
                         string_to_sign->size, signature, err));
    sigv4_hex(signature, sizeof(signature), out);
    return CPAM_OK;
}

enum cpam_status
sigv4_authorize(const struct sigv4_request *request, const struct sigv4_scope *scope,
                struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf canonical = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf signed_headers = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf string_to_sign = {0};
    char signature[SIGV4_HEX_SIZE];

    CPAM_TRY(sigv4_canonical(request, &canonical, &signed_headers, err));
    CPAM_TRY(sigv4_string_to_sign(scope, &canonical, &string_to_sign, err));
    CPAM_TRY(sigv4_signature(scope, &string_to_sign, signature, err));
    CPAM_TRY(
        cpam_buf_printf(out, SIGV4_TEXT_MAX, err,
                        "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request,SignedHeaders=",
                        scope->access_key_id, scope->date, scope->region, scope->service));
    CPAM_TRY(cpam_buf_append(out, signed_headers.data, signed_headers.size, SIGV4_TEXT_MAX, err));
    return cpam_buf_printf(out, SIGV4_TEXT_MAX, err, ",Signature=%s", signature);
}
