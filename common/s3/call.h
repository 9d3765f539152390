/*
 * call.h - one signed request to a bucket, and what its answer means.  For the files of s3/.
 */
#ifndef CPAM_S3_CALL_H
#define CPAM_S3_CALL_H

#include "base/text.h"
#include "http/retry.h"
#include "s3/endpoint.h"
#include "s3/s3.h"
#include "s3/sigv4.h"

enum
{
    S3_CALL_PAIRS = 16,
    S3_CODE_MAX = 64,
    S3_MD5_HEX_SIZE = 33
};

struct s3_guard;

struct s3
{
    struct io *io;
    struct http *http;
    struct credentials *credentials;
    struct s3_endpoint endpoint;
    struct s3_settings settings; /* its texts are owned */
    struct s3_guard *guard;
    int64_t skew;           /* us the store's clock is ahead of ours; 0 until it complained */
    unsigned skews;         /* how often it complained */
    char code[S3_CODE_MAX]; /* of the last answer's error document, or "" */
    char signature[SIGV4_HEX_SIZE]; /* of the last request: not to be repeated in a sentence */
};

struct s3_call
{
    const char *method;
    const char *doing; /* "put", "get": for "could not put ..." */
    const char *key;   /* NULL: the bucket itself */
    struct sigv4_pair query[S3_CALL_PAIRS];
    size_t query_count;
    struct sigv4_pair headers[S3_CALL_PAIRS];
    size_t header_count;
    struct http_body body;
    const char *payload; /* SHA-256 of the body in hex; NULL: unsigned, or of nothing */
    struct sink *to;
    bool document; /* a success brings one: what can't be read is tried again */
    enum cpam_status (*accept)(void *arg, const struct http_reply *reply, struct cpam_err *err);
    void *accept_arg;
    int64_t stall_us;
};

void s3_call_query(struct s3_call *call, const char *name, const char *value);
/* A NULL value leaves the header out. */
void s3_call_header(struct s3_call *call, const char *name, const char *value);

/* One attempt: signs for now, sends, judges (s3_judge).  The reply stays, also on failure. */
enum cpam_status s3_call_once(struct s3 *s3, const struct s3_call *call, struct deadline deadline,
                              struct retry *retry, struct http_reply *reply,
                              struct cpam_err *err) CPAM_CHECK;
/* With retries. */
enum cpam_status s3_call(struct s3 *s3, const struct s3_call *call, struct deadline deadline,
                         struct http_reply *reply, struct cpam_err *err) CPAM_CHECK;

/* What an answer means; a 2xx whose body is an S3 error document is an error. */
enum cpam_status s3_judge(struct s3 *s3, const struct s3_call *call, const struct http_reply *reply,
                          struct retry *retry, struct cpam_err *err) CPAM_CHECK;

/* "could not put "s3://bucket/key"", in front of the sentence. */
void s3_call_prefix(const struct s3 *s3, const struct s3_call *call, struct cpam_err *err);

/* Size, date, ETag and version from headers. */
void s3_info_of(const struct http_reply *reply, struct s3_info *info);
/* Copies without the quotes and a weak ETag's mark; what is too long becomes "". */
void s3_etag_copy(char out[S3_ETAG_MAX], const char *text);

/* The digests of a body that is sent: Content-MD5's text, its hex (what an ETag is), its SHA-256 in hex
   and its CRC-32C as S3 writes it; "" where they were not asked for. */
struct s3_digests
{
    char md5_base64[25];
    char md5_hex[S3_MD5_HEX_SIZE];
    uint8_t md5[16];
    char sha256_hex[SIGV4_HEX_SIZE];
    char crc32c_base64[9];
};
enum s3_digest_kinds
{
    S3_DIGEST_MD5 = 1,
    S3_DIGEST_SHA256 = 2, /* over plain HTTP it is made in any case, to be signed */
    S3_DIGEST_CRC32C = 4
};
enum cpam_status s3_digest(struct s3 *s3, const struct http_body *body, unsigned kinds,
                           struct s3_digests *out, struct cpam_err *err) CPAM_CHECK;
/* Do the settings want objects locked?  Until when one is that is locked now, for `more` us longer. */
bool s3_lock_wanted(const struct s3 *s3);
void s3_lock_until(struct s3 *s3, int64_t more, char out[TEXT_TIME_MAX]);
/* The headers of encryption, class and lock; retain has room for the date. */
void s3_put_headers(struct s3 *s3, const struct s3_put *put, struct s3_call *call, char retain[32]);
/* Does this answer's ETag say what was stored: an MD5, not hidden by KMS?  Then it must be it. */
enum cpam_status s3_check_etag(const struct http_reply *reply, const char *md5_hex,
                               struct cpam_err *err) CPAM_CHECK;

#endif
