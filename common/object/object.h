/*
 * object.h - format-1.md section 2.2: header, stanzas, frames, final frame, tail.
 *
 * Writing: a seal_session holds one session key and its stanzas (made once per process and
 * repository, at most 24 h; cheap per object).  object_writer turns plaintext into one sealed
 * object, pushed into a sink; each frame is compressed and sealed by itself.
 *
 * Reading: an object_opener remembers unwrapped session keys by key id, so that a stanza is
 * unwrapped once a session, not once an object.  The order of checks is the format's: magic,
 * version, repository UUID, system identifier, SHA-256 of the name asked for, kind, policy, trusted
 * writer, header signature, SHA-256 of the stanzas, and only then unwrapping and frames.
 *
 * One thread at a time each.  A session outlives its writers, an opener its sinks and keys, and the
 * keyring and the io outlive them all.
 */
#ifndef CPAM_OBJECT_OBJECT_H
#define CPAM_OBJECT_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "compress/codec.h"
#include "compress/trial.h"
#include "crypto/digest.h"
#include "crypto/keyring.h"
#include "io/sink.h"
#include "object/content_id.h"

enum
{
    OBJECT_HEADER_SIZE = 320,
    OBJECT_FRAME_HEADER_SIZE = 12,
    OBJECT_TAG_SIZE = 16,
    OBJECT_TAIL_SIZE = 64,
    OBJECT_FRAME_LOG2 = 20 /* default frame: 1 MiB of plaintext */
};

enum object_kind
{
    OBJECT_WAL = 1,
    OBJECT_HISTORY = 2,
    OBJECT_BACKUP_HISTORY = 3, /* <segment>.<offset>.backup */
    OBJECT_PARTIAL = 4,
    OBJECT_MANIFEST = 5,
    OBJECT_BLOCKS = 6,
    OBJECT_PACK = 7,
    OBJECT_WALINDEX = 8,
    OBJECT_REPORT = 9
};

#define OBJECT_LENGTH_UNKNOWN UINT64_MAX

/* The fields of a header that mean something outside of this layer. */
struct object_header
{
    enum object_kind kind;
    bool sealed, has_signature; /* by a writer key, or by an HMAC of those who share a keyfile */
    uint64_t sysid;
    int64_t created; /* us since 1970 UTC */
    uint8_t uuid[16];
    uint8_t content_id[CONTENT_ID_SIZE]; /* zeros: none */
    int64_t commit_min, commit_max;      /* kind 1; 0: none known */
    uint64_t raw_length;
    uint8_t writer[8];
    uint8_t h[SHA256_SIZE]; /* H: SHA-256 of the 320 bytes */
    uint32_t frame_size;    /* bytes */
    uint16_t stanzas_size;
};

/* What is about to be written. */
struct object_spec
{
    enum object_kind kind;
    uint64_t sysid;            /* 0 for files and reports */
    const char *name;          /* logical name, <= 512 bytes */
    const uint8_t *content_id; /* CONTENT_ID_SIZE bytes, or NULL */
    int64_t commit_min, commit_max;
    uint64_t raw_length; /* or OBJECT_LENGTH_UNKNOWN */
    enum codec_id codec;
    int level;
    unsigned frame_log2; /* 16..24, 0: default */
};

/* What was written: H, d = SHA-256 of all frames, lengths; what manifests and summaries name. */
struct object_digest
{
    uint8_t h[SHA256_SIZE];
    uint8_t d[SHA256_SIZE];
    uint64_t size;        /* bytes of the whole object */
    uint64_t raw_size;    /* bytes of plaintext */
    uint32_t body_offset; /* OBJECT_HEADER_SIZE + stanzas: where frame 0 starts */
};

struct seal_session;
enum cpam_status seal_session_new(struct io *io, const struct keyring *keyring,
                                  struct seal_session **out, struct cpam_err *err) CPAM_CHECK;
void seal_session_free(struct seal_session *session);
CPAM_SCOPED(seal_session_free, struct seal_session);

struct object_writer;
/* Writes header and stanzas into `to` (borrowed; neither finished nor freed here). */
enum cpam_status object_writer_new(struct seal_session *session, const struct object_spec *spec,
                                   struct sink *to, struct object_writer **out,
                                   struct cpam_err *err) CPAM_CHECK;
/* Plaintext, cut into frames of the frame size. */
enum cpam_status object_writer_write(struct object_writer *writer, const void *data, size_t size,
                                     struct cpam_err *err) CPAM_CHECK;
/* One data frame of its own (kinds 6 and 7): size 1..frame size.  *clen may be NULL. */
enum cpam_status object_writer_frame(struct object_writer *writer, const void *data, size_t size,
                                     uint32_t *clen, struct cpam_err *err) CPAM_CHECK;
/* The frames from here on are of a file of which this is known (trial.h), which says whether they are
   tried to be compressed; borrowed.  NULL, as at the beginning: of none, and all are tried. */
void object_writer_of_file(struct object_writer *writer, struct codec_trial *trial);
/* Bytes the object has so far, and would have with its final frame and tail now. */
uint64_t object_writer_size(const struct object_writer *writer);
/* The final frame and the tail. */
enum cpam_status object_writer_finish(struct object_writer *writer, struct object_digest *out,
                                      struct cpam_err *err) CPAM_CHECK;

/*
 * The frames of a finished object once more, as an object of another repository or another name.
 * *held is the whole object as the sink got it, and becomes the other one, with a key, a header and
 * a tail of its own; frames are opened and sealed in their place, one by one, so that any number of
 * repositories costs one buffer and one compression.  The call after this one goes on from here.
 *
 * spec's codec, level, raw_length are those of the object at hand.  held's cap is not grown:
 * CPAM_INVALID when the other header and stanzas need more.  After a failure *held is one of both
 * objects' or nobody's; only where `held` was not touched can there be another call.
 */
enum cpam_status object_writer_reseal(struct object_writer *writer, struct seal_session *session,
                                      const struct object_spec *spec, struct cpam_buf *held,
                                      struct object_digest *out, struct cpam_err *err) CPAM_CHECK;
/* Bytes of header and stanzas an object of this session starts with. */
uint32_t object_body_offset(const struct seal_session *session);
void object_writer_free(struct object_writer *writer);
CPAM_SCOPED(object_writer_free, struct object_writer);

/*
 * The same object from content that is read once: its header, and with it every frame's key, needs
 * the content id, which is known only at the end.  So frames are compressed as they come, held in
 * *held behind room for header and stanzas, and sealed there, in place, when the id is known.
 *
 * held (borrowed) has all the memory there will be: its cap is not grown.  object_packer_frame
 * takes full frames and a shorter last one; CPAM_INVALID when the object does not fit.  spec's
 * content_id is not looked at.  Kinds 6 and 7 are not for this.
 */
struct object_packer;
enum cpam_status object_packer_new(struct seal_session *session, const struct object_spec *spec,
                                   struct cpam_buf *held, struct object_packer **out,
                                   struct cpam_err *err) CPAM_CHECK;
enum cpam_status object_packer_frame(struct object_packer *packer, const void *data, size_t size,
                                     struct cpam_err *err) CPAM_CHECK;
/* Afterwards *held is the whole object. */
enum cpam_status object_packer_seal(struct object_packer *packer,
                                    const uint8_t content_id[CONTENT_ID_SIZE],
                                    struct object_digest *out, struct cpam_err *err) CPAM_CHECK;
void object_packer_free(struct object_packer *packer);
CPAM_SCOPED(object_packer_free, struct object_packer);

/* What a reader asks for.  Anything else found is refused: CPAM_FOREIGN for another repository or
   system identifier, CPAM_CORRUPT for the rest. */
struct object_want
{
    enum object_kind kind;
    uint64_t sysid;
    const char *name;
    const uint8_t *h; /* SHA256_SIZE bytes the manifest names, or NULL */
    const uint8_t *d; /* the same for d, checked by sequential readers, or NULL */
};

struct object_opener;
enum cpam_status object_opener_new(struct io *io, const struct keyring *keyring,
                                   struct object_opener **out, struct cpam_err *err) CPAM_CHECK;
void object_opener_free(struct object_opener *opener);
CPAM_SCOPED(object_opener_free, struct object_opener);

/* Check a header alone (no key but trusted writers needed): `data` holds at least its 320 bytes. */
enum cpam_status object_header_check(struct object_opener *opener, const struct object_want *want,
                                     const void *data, size_t size, struct object_header *out,
                                     struct cpam_err *err) CPAM_CHECK;

/*
 * A sink in front of *chain that takes the object's bytes and writes the plaintext of each frame
 * once its tag has matched.  finish fails unless the final frame, the tail and the end of the
 * object were seen, in that order.  *header (may be NULL) is filled before the first byte leaves.
 */
enum cpam_status object_open_push(struct sink **chain, struct object_opener *opener,
                                  const struct object_want *want, struct object_header *header,
                                  struct cpam_err *err) CPAM_CHECK;

/*
 * The same without any identity, for a host that can write and not read: the header and the tail
 * are proven by their signatures, and the tail's covers every frame, so that what is stored is the
 * whole of what a trusted writer wrote.  Nothing is written to the next sink; an object without a
 * writer's signature is refused (CPAM_UNKNOWN: only an identity could tell).
 */
enum cpam_status object_prove_push(struct sink **chain, struct object_opener *opener,
                                   const struct object_want *want, struct object_header *header,
                                   struct cpam_err *err) CPAM_CHECK;

/*
 * Ranged reading.  object_key_open takes header and stanzas (the first body_offset bytes) and
 * checks them (h of want must be given for signed manifests' packs); object_key_frame opens the
 * frame of the given index out of `data` (frame header, ciphertext, tag: exactly size bytes) into
 * out (cap >= its rlen).  The final flag is refused.
 */
struct object_key;
enum cpam_status object_key_open(struct object_opener *opener, const struct object_want *want,
                                 const void *data, size_t size, struct object_key **out,
                                 struct cpam_err *err) CPAM_CHECK;
enum cpam_status object_key_frame(struct object_key *key, uint32_t index, const void *data,
                                  size_t size, void *out, size_t cap, size_t *out_size,
                                  struct cpam_err *err) CPAM_CHECK;
void object_key_free(struct object_key *key);
CPAM_SCOPED(object_key_free, struct object_key);

#endif
