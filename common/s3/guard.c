/*
 * guard.c - asking a store, once, which digest of a body it looks at.
 *
 * A store that looks refuses the probe, so that nothing is stored.  One that does not keeps a probe of
 * some bytes, which the next process finds (412), and knows as much.
 */
#include "s3/guard.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum
{
    UNTOLD_MAX = 4 /* times a store is asked that gives no answer to it */
};

enum asked
{
    NOT_ASKED,
    BEING_ASKED,
    ASKED
};

struct s3_guard
{
    pthread_mutex_t lock;
    unsigned users;
    enum asked asked;
    unsigned untold;
    enum s3_guard_kind kind; /* once asked */
};

enum cpam_status
s3_guard_new(struct s3_guard **out, struct cpam_err *err)
{
    struct s3_guard *guard = calloc(1, sizeof(*guard));

    *out = guard;
    if (guard == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a store");
    pthread_mutex_init(&guard->lock, NULL);
    guard->users = 1;
    return CPAM_OK;
}

struct s3_guard *
s3_guard_share(struct s3_guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    guard->users++;
    pthread_mutex_unlock(&guard->lock);
    return guard;
}

void
s3_guard_free(struct s3_guard *guard)
{
    if (guard == NULL)
        return;
    pthread_mutex_lock(&guard->lock);
    bool last = --guard->users == 0;
    pthread_mutex_unlock(&guard->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&guard->lock);
    free(guard);
}

static const char probe_body[] = "CPAM probe: the digest that came with this is wrong\n";

/* Neither belongs to probe_body. */
#define WRONG_CRC32C "AAAAAA=="
#define WRONG_SHA256 "0000000000000000000000000000000000000000000000000000000000000000"

static bool
is_complaint_about_digest(const struct s3 *s3)
{
    static const char *const codes[] = {"BadDigest", "XAmzContentSHA256Mismatch",
                                        "XAmzContentChecksumMismatch"};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (s3_code_is(s3, codes[i]))
            return true;
    return false;
}

enum answer
{
    LOOKS,
    LOOKS_NOT,
    UNTOLD /* the store is busy, or out of reach: another put asks again */
};

/* One attempt at key with a digest of that kind that is wrong. */
static enum answer
try_wrong_digest(struct s3 *s3, enum s3_guard_kind kind, const char *key, struct deadline deadline)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = {
        .method = "PUT",
        .doing = "probe",
        .key = key,
        .body = {.data = probe_body, .fd = -1, .size = sizeof(probe_body) - 1},
        .payload = kind == GUARD_SHA256 ? WRONG_SHA256 : NULL,
    };
    struct retry retry = {.attempt = 1};
    struct cpam_err why;

    s3_call_header(&call, "If-None-Match", "*");
    s3_call_header(&call, "Content-Type", "application/octet-stream");
    if (kind == GUARD_CRC32C)
    {
        s3_call_header(&call, "x-amz-checksum-crc32c", WRONG_CRC32C);
        s3_call_header(&call, "x-amz-sdk-checksum-algorithm", "CRC32C");
    }
    enum cpam_status status = s3_call_once(s3, &call, deadline, &retry, &reply, &why);
    if (status != CPAM_OK && reply.status == 400 && is_complaint_about_digest(s3))
        return LOOKS;
    return status == CPAM_TRANSIENT || status == CPAM_DEADLINE ? UNTOLD : LOOKS_NOT;
}

/* Cheapest first.  Over plain HTTP a body is signed with its SHA-256 anyway. */
static bool
ask(struct s3 *s3, struct deadline deadline, enum s3_guard_kind *out)
{
    static const struct
    {
        enum s3_guard_kind kind;
        const char *name;
        bool plain;
    } kinds[] = {{GUARD_CRC32C, "crc32c", false}, {GUARD_SHA256, "sha256", true}};
    char key[S3_PROBE_MAX + 16];

    *out = GUARD_MD5;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
    {
        if (!s3->endpoint.tls && !kinds[i].plain)
            continue;
        snprintf(key, sizeof(key), "%s%s", s3->settings.probe, kinds[i].name);
        enum answer answer = try_wrong_digest(s3, kinds[i].kind, key, deadline);
        if (answer == UNTOLD)
            return false;
        if (answer == LOOKS)
        {
            cpam_log(LOG_DEBUG, "%s looks at the %s of what is put", s3->endpoint.base,
                     kinds[i].name);
            *out = kinds[i].kind;
            return true;
        }
    }
    return true;
}

enum s3_guard_kind
s3_guard_for(struct s3 *s3, const struct s3_put *put, struct deadline deadline)
{
    struct s3_guard *guard = s3->guard;

    if (put->body.size <= GUARD_SMALL || s3->settings.probe == NULL)
        return GUARD_MD5;
    pthread_mutex_lock(&guard->lock);
    enum asked before = guard->asked;
    enum s3_guard_kind kind = before == ASKED ? guard->kind : GUARD_MD5;
    if (before == NOT_ASKED)
        guard->asked = BEING_ASKED;
    pthread_mutex_unlock(&guard->lock);
    if (before == NOT_ASKED)
    {
        bool told = ask(s3, deadline, &kind);

        pthread_mutex_lock(&guard->lock);
        guard->kind = kind;
        guard->asked = told || ++guard->untold == UNTOLD_MAX ? ASKED : NOT_ASKED;
        pthread_mutex_unlock(&guard->lock);
    }
    /* S3 takes a lock only with Content-MD5 or a checksum of its own */
    bool locked = put->lock && s3->settings.lock_mode != NULL && s3->settings.lock_us > 0;
    return locked && kind == GUARD_SHA256 ? GUARD_MD5 : kind;
}
