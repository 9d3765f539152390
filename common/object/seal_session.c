/*
 * seal_session.c - one session key, wrapped for its recipients once, used for many objects.
 */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "object/object_internal.h"

#define SESSION_AGE_MAX_US (INT64_C(24) * 3600 * 1000000)

/* A fresh key and its stanzas. */
static enum cpam_status
seal_session_key(struct seal_session *session, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *key = NULL;

    CPAM_TRY(secret_random(session->io, SESSION_KEY_SIZE, &key, err));
    CPAM_TRY(stanza_commitment(key, keyring_uuid(session->keyring), session->commitment, err));
    cpam_buf_clear(&session->stanzas);
    CPAM_TRY(stanzas_make(session->keyring, session->io, key, session->commitment,
                          &session->stanzas, err));
    secret_free(session->key);
    session->key = CPAM_STEAL(key);
    session->born = session->io->ops->monotonic(session->io);
    session->objects = 0;
    return CPAM_OK;
}

enum cpam_status
seal_session_new(struct io *io, const struct keyring *keyring, struct seal_session **out,
                 struct cpam_err *err)
{
    CPAM_AUTO(seal_session_free) struct seal_session *session = calloc(1, sizeof(*session));

    if (session == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a session key");
    session->io = io;
    session->keyring = keyring;
    if (keyring_sealed(keyring))
        CPAM_TRY(seal_session_key(session, err));
    *out = CPAM_STEAL(session);
    return CPAM_OK;
}

enum cpam_status
seal_session_refresh(struct seal_session *session, struct cpam_err *err)
{
    int64_t age = session->io->ops->monotonic(session->io) - session->born;

    if (session->key == NULL || age < SESSION_AGE_MAX_US)
        return CPAM_OK;
    return seal_session_key(session, err);
}

enum cpam_status
seal_session_work(struct seal_session *session, enum codec_id codec, int level,
                  struct codec_work **out, struct cpam_err *err)
{
    unsigned at = (unsigned) codec;

    if (at >= sizeof(session->works) / sizeof(session->works[0]))
        return cpam_fail(err, CPAM_INTERNAL, 0, "compression method %u is not known", at);
    if (session->works[at] != NULL && session->levels[at] != level)
    {
        codec_work_free(session->works[at]);
        session->works[at] = NULL;
    }
    if (session->works[at] == NULL)
        CPAM_TRY(codec_work_new(codec, level, &session->works[at], err));
    session->levels[at] = level;
    *out = session->works[at];
    return CPAM_OK;
}

void
seal_session_free(struct seal_session *session)
{
    if (session == NULL)
        return;
    secret_free(session->key);
    cpam_buf_clear(&session->stanzas);
    for (size_t at = 0; at < sizeof(session->works) / sizeof(session->works[0]); at++)
        codec_work_free(session->works[at]);
    if (session->out.data != NULL)
        OPENSSL_cleanse(session->out.data, session->out.cap);
    cpam_buf_clear(&session->out);
    free(session);
}
