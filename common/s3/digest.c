/*
 * digest.c - what a store needs to refuse a damaged body, and what its ETag is held against.
 *
 * MD5 is here because S3's protocol has it (Content-MD5, ETags); nothing of ours trusts it, nor the
 * CRC: the objects' own seals are what is trusted.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "pg/crc32c.h"
#include "s3/call.h"

struct md5
{
    EVP_MD_CTX *ctx;
};

static void
md5_clear_scoped_(struct md5 *md5)
{
    EVP_MD_CTX_free(md5->ctx);
}

typedef enum cpam_status (*bytes_fn)(void *arg, const void *data, size_t size,
                                     struct cpam_err *err);

/* Hands a body on in pieces, from memory or its file. */
static enum cpam_status
each_piece(struct io *io, const struct http_body *body, bytes_fn fn, void *arg,
           struct cpam_err *err)
{
    enum
    {
        PIECE = 64 << 10
    };
    uint8_t piece[PIECE];
    uint64_t done = 0;

    if (body->data != NULL || body->size == 0)
        return fn(arg, body->data != NULL ? body->data : "", (size_t) body->size, err);
    while (done < body->size)
    {
        size_t want = body->size - done < PIECE ? (size_t) (body->size - done) : PIECE;
        ssize_t got = io->ops->pread(io, body->fd, piece, want, (off_t) (body->offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return cpam_fail(err, CPAM_IO, got < 0 ? errno : 0,
                             "could not read the body of a request from its file%s",
                             got == 0 ? ": it became shorter" : "");
        CPAM_TRY(fn(arg, piece, (size_t) got, err));
        done += (uint64_t) got;
    }
    return CPAM_OK;
}

struct digesting
{
    EVP_MD_CTX *md5;    /* NULL: not asked for */
    struct sha256 *sha; /* NULL: not asked for */
    bool has_crc;
    uint32_t crc;
};

static enum cpam_status
add_piece(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    struct digesting *to = arg;

    if (to->md5 != NULL && EVP_DigestUpdate(to->md5, data, size) != 1)
        return cpam_fail(err, CPAM_INTERNAL, 0, "OpenSSL could not compute an MD5");
    if (to->has_crc)
        to->crc = crc32c(to->crc, data, size);
    return to->sha == NULL ? CPAM_OK : sha256_add(to->sha, data, size, err);
}

static enum cpam_status
texts(const struct digesting *from, struct s3_digests *out, struct cpam_err *err)
{
    uint8_t sha[SHA256_SIZE], crc[4];
    unsigned size = 0;

    if (from->md5 != NULL)
    {
        if (EVP_DigestFinal_ex(from->md5, out->md5, &size) != 1 || size != sizeof(out->md5))
            return cpam_fail(err, CPAM_INTERNAL, 0, "OpenSSL could not compute an MD5");
        EVP_EncodeBlock((unsigned char *) out->md5_base64, out->md5, sizeof(out->md5));
        sigv4_hex(out->md5, sizeof(out->md5), out->md5_hex);
    }
    if (from->sha != NULL)
    {
        CPAM_TRY(sha256_end(from->sha, sha, err));
        sigv4_hex(sha, sizeof(sha), out->sha256_hex);
    }
    if (from->has_crc)
    {
        be32_put(crc, from->crc);
        EVP_EncodeBlock((unsigned char *) out->crc32c_base64, crc, sizeof(crc));
    }
    return CPAM_OK;
}

enum cpam_status
s3_digest(struct s3 *s3, const struct http_body *body, unsigned kinds, struct s3_digests *out,
          struct cpam_err *err)
{
    CPAM_AUTO(md5_clear) struct md5 md5 = {.ctx = NULL};
    CPAM_AUTO(sha256_free) struct sha256 *sha = NULL;
    struct digesting digesting = {.has_crc = (kinds & S3_DIGEST_CRC32C) != 0};

    memset(out, 0, sizeof(*out));
    if ((kinds & S3_DIGEST_MD5) != 0)
    {
        md5.ctx = EVP_MD_CTX_new();
        if (md5.ctx == NULL || EVP_DigestInit_ex(md5.ctx, EVP_md5(), NULL) != 1)
            return cpam_fail(
                err, CPAM_REFUSED, 0,
                "OpenSSL has no MD5 (a FIPS configuration?), which S3's Content-MD5 needs");
    }
    if (!s3->endpoint.tls || (kinds & S3_DIGEST_SHA256) != 0)
        CPAM_TRY(sha256_new(&sha, err));
    digesting.md5 = md5.ctx;
    digesting.sha = sha;
    CPAM_TRY(each_piece(s3->io, body, add_piece, &digesting, err));
    return texts(&digesting, out, err);
}

enum cpam_status
s3_check_etag(const struct http_reply *reply, const char *md5_hex, struct cpam_err *err)
{
    const char *sse = http_reply_header(reply, "x-amz-server-side-encryption");
    const char *sse_c = http_reply_header(reply, "x-amz-server-side-encryption-customer-algorithm");
    char etag[S3_ETAG_MAX];

    s3_etag_copy(etag, http_reply_header(reply, "ETag"));
    if (etag[0] == '\0')
        return cpam_fail(err, CPAM_CORRUPT, 0, "the store's answer has no ETag");
    if ((sse != NULL && strcasecmp(sse, "AES256") != 0) || sse_c != NULL)
        return CPAM_OK;
    if (strlen(etag) != S3_MD5_HEX_SIZE - 1 ||
        strspn(etag, "0123456789abcdefABCDEF") != S3_MD5_HEX_SIZE - 1)
        return CPAM_OK;
    if (strcasecmp(etag, md5_hex) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the store says that it holds other bytes than were sent: MD5 %s instead "
                         "of %s",
                         etag, md5_hex);
    return CPAM_OK;
}
