/*
 * sigv4.h - AWS Signature Version 4 for a request whose headers are all known.
 *
 * The stages are functions of their own, so that each can be held against published examples
 * (tests/golden/sigv4): canonical request, string to sign, signature.  Source: "Authenticating
 * Requests: Using the Authorization Header (AWS Signature Version 4)" of the Amazon S3 API
 * reference.  Paths are signed as S3 wants them: encoded once, "//" and ".." left alone.
 *
 * Every header that is given is signed; Host and X-Amz-Date must be among them.
 */
#ifndef CPAM_S3_SIGV4_H
#define CPAM_S3_SIGV4_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

enum
{
    SIGV4_TEXT_MAX = 128 << 10, /* bytes of a canonical request, a query or an encoded path */
    SIGV4_PAIRS_MAX = 64,       /* headers, or parameters, of one request */
    SIGV4_DATE_SIZE = 17,       /* "20130524T000000Z" and its NUL */
    SIGV4_HEX_SIZE = 65         /* 64 hex digits and their NUL */
};

/* A header, or a parameter of the query, neither of them encoded. */
struct sigv4_pair
{
    const char *name, *value;
};

struct sigv4_request
{
    const char *method;
    const char *path; /* not encoded; starts with '/' */
    const struct sigv4_pair *query;
    size_t query_count;
    const struct sigv4_pair *headers;
    size_t header_count;
    const char *payload; /* 64 hex digits, or UNSIGNED-PAYLOAD */
};

struct sigv4_scope
{
    const char *access_key_id;
    const struct secret *secret_key;
    const char *region, *service;
    char date[SIGV4_DATE_SIZE];
};

/* The moment (us since 1970) as X-Amz-Date writes it. */
void sigv4_date(int64_t now_us, char out[SIGV4_DATE_SIZE]);

/* Appends text with everything but A-Z a-z 0-9 - . _ ~ as %XX; '/' stays if keep_slash. */
enum cpam_status sigv4_encode(const char *text, bool keep_slash, struct cpam_buf *out,
                              struct cpam_err *err) CPAM_CHECK;

/* Appends the query as it is signed, which is also how it has to be sent: encoded, sorted. */
enum cpam_status sigv4_query(const struct sigv4_pair *query, size_t count, struct cpam_buf *out,
                             struct cpam_err *err) CPAM_CHECK;

/* The stages; each appends to its buffer. signed_headers: "host;range;x-amz-date". */
enum cpam_status sigv4_canonical(const struct sigv4_request *request, struct cpam_buf *out,
                                 struct cpam_buf *signed_headers, struct cpam_err *err) CPAM_CHECK;
enum cpam_status sigv4_string_to_sign(const struct sigv4_scope *scope, struct cpam_buf *canonical,
                                      struct cpam_buf *out, struct cpam_err *err) CPAM_CHECK;
/* The key of one day, region and service; it signs for as long, so it is a secret too. */
enum cpam_status sigv4_signing_key(const struct sigv4_scope *scope, struct secret **out,
                                   struct cpam_err *err) CPAM_CHECK;
enum cpam_status sigv4_signature(const struct sigv4_scope *scope, struct cpam_buf *string_to_sign,
                                 char out[SIGV4_HEX_SIZE], struct cpam_err *err) CPAM_CHECK;

/* All of it: appends the value of the Authorization header. */
enum cpam_status sigv4_authorize(const struct sigv4_request *request,
                                 const struct sigv4_scope *scope, struct cpam_buf *out,
                                 struct cpam_err *err) CPAM_CHECK;

void sigv4_hex(const uint8_t *bytes, size_t size, char *out);

#endif
