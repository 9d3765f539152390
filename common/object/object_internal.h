/*
 * object_internal.h - what the files of this layer share, and the seam for vectors: a writer whose
 * salt and time are given, which only tests may use (a salt used twice ruins the seal).
 */
#ifndef CPAM_OBJECT_OBJECT_INTERNAL_H
#define CPAM_OBJECT_OBJECT_INTERNAL_H

#include "object/frame.h"
#include "object/object.h"

struct object_opener
{
    struct io *io;
    const struct keyring *keyring;
    struct session_key *keys; /* unwrapped so far */
    struct codec_work *work;
    struct cpam_buf sealed, plain; /* scratch within one call, or of one sink at a time */
    bool sealed_taken;
};

/* What was checked of an object's beginning. */
struct opened
{
    struct header header;
    struct frame_seal seal;
    uint32_t frame_size;
};

/* Everything that can be known without a key: the order is that of docs/format.md. */
enum cpam_status opener_check_header(struct object_opener *opener, const struct object_want *want,
                                     const uint8_t data[OBJECT_HEADER_SIZE], struct header *out,
                                     struct cpam_err *err) CPAM_CHECK;
/* The stanzas behind a checked header, and the object's key.  opened->header is filled. */
enum cpam_status opener_unlock(struct object_opener *opener, const uint8_t data[OBJECT_HEADER_SIZE],
                               const uint8_t *stanzas, struct opened *opened,
                               struct cpam_err *err) CPAM_CHECK;
/* The same without a key, for an object whose writer's signature proves it. */
enum cpam_status opener_no_key(const uint8_t data[OBJECT_HEADER_SIZE], const uint8_t *stanzas,
                               struct opened *opened, struct cpam_err *err) CPAM_CHECK;
/* At least size bytes of scratch. */
enum cpam_status opener_scratch(struct cpam_buf *buf, size_t size, struct cpam_err *err) CPAM_CHECK;
void header_tell(const struct header *header, const uint8_t h[SHA256_SIZE],
                 struct object_header *out);

/* One data frame whose bytes are all there: authenticate into scratch or out, decompress. */
enum cpam_status opener_frame(struct object_opener *opener, const struct opened *opened,
                              uint32_t index, const struct frame_header *frame,
                              const uint8_t *header, const uint8_t *data, const uint8_t *tag,
                              void *scratch, void *out, struct cpam_err *err) CPAM_CHECK;

struct seal_session
{
    struct io *io;
    const struct keyring *keyring;
    struct secret *key; /* NULL: unsealed */
    uint8_t commitment[COMMITMENT_SIZE];
    struct cpam_buf stanzas;
    int64_t born;     /* io's monotonic clock */
    uint64_t objects; /* written in this session */
    struct codec_work *works[4];
    int levels[4];
    struct cpam_buf out; /* scratch of one frame, used within one call */
};

/* A new session key when this one is a day old. */
enum cpam_status seal_session_refresh(struct seal_session *session,
                                      struct cpam_err *err) CPAM_CHECK;
enum cpam_status seal_session_work(struct seal_session *session, enum codec_id codec, int level,
                                   struct codec_work **out, struct cpam_err *err) CPAM_CHECK;

/* The steps every way of writing an object has: object_writer.c, object_packer.c. */
enum cpam_status object_spec_check(const struct object_spec *spec, struct cpam_err *err) CPAM_CHECK;
enum cpam_status object_salt(struct seal_session *session, const struct object_spec *spec,
                             uint8_t salt[OBJECT_SALT_SIZE], struct cpam_err *err) CPAM_CHECK;
enum cpam_status object_header_make(struct seal_session *session, const struct object_spec *spec,
                                    const uint8_t *salt, uint8_t out[OBJECT_HEADER_SIZE],
                                    struct cpam_err *err) CPAM_CHECK;
/* The proof over header and frames; fills h and d of *out. */
enum cpam_status object_tail(const struct seal_session *session, const struct frame_seal *seal,
                             struct sha256 *frames_digest, struct object_digest *out,
                             uint8_t tail[OBJECT_TAIL_SIZE], struct cpam_err *err) CPAM_CHECK;

enum cpam_status object_packer_seal_salted(struct object_packer *packer,
                                           const uint8_t salt[OBJECT_SALT_SIZE],
                                           const uint8_t content_id[CONTENT_ID_SIZE],
                                           struct object_digest *out,
                                           struct cpam_err *err) CPAM_CHECK;

enum cpam_status object_writer_new_salted(struct seal_session *session,
                                          const struct object_spec *spec,
                                          const uint8_t salt[OBJECT_SALT_SIZE], struct sink *to,
                                          struct object_writer **out,
                                          struct cpam_err *err) CPAM_CHECK;

#endif
