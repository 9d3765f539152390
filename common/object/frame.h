/*
 * frame.h - one frame: 12 bytes of header, coded bytes, a tag of 16 bytes.
 *
 * Sealed, the tag is AES-256-GCM's; in an unsealed object it is a digest, which finds accidents.
 * The frame's index and its final mark are in the nonce, the frame header is authenticated with it.
 */
#ifndef CPAM_OBJECT_FRAME_H
#define CPAM_OBJECT_FRAME_H

#include "crypto/aead.h"
#include "object/header.h"

enum
{
    FRAMES_MAX = 1 << 24,
    OBJECT_PACK_FRAMES_MAX = 65535,
    FINAL_SIZE = 16,      /* bytes of a final frame's plaintext, without a pack's list */
    FINAL_ENTRY_SIZE = 8, /* clen and rlen of one frame of a pack */
    FRAME_OVERHEAD = OBJECT_FRAME_HEADER_SIZE + OBJECT_TAG_SIZE
};

struct frame_header
{
    uint32_t clen, rlen;
    uint8_t codec;
    bool final;
};

void frame_header_encode(const struct frame_header *frame, uint8_t out[OBJECT_FRAME_HEADER_SIZE]);
/* Refuses what the format does not allow for this frame size. */
enum cpam_status frame_header_decode(const uint8_t data[OBJECT_FRAME_HEADER_SIZE],
                                     uint32_t frame_size, struct frame_header *out,
                                     struct cpam_err *err) CPAM_CHECK;

/* What the frames of one object are sealed or opened with. */
struct frame_seal
{
    struct aead *aead; /* NULL: unsealed */
    uint8_t h[SHA256_SIZE];
};

/*
 * data (clen bytes) into out (may be the same), and its tag; `header` are the encoded 12 bytes.
 * frame_open: CPAM_CORRUPT when the tag does not match.
 */
enum cpam_status frame_seal(const struct frame_seal *seal, uint32_t index, const uint8_t *header,
                            const void *data, size_t size, void *out, uint8_t tag[OBJECT_TAG_SIZE],
                            struct cpam_err *err) CPAM_CHECK;
enum cpam_status frame_open(const struct frame_seal *seal, uint32_t index, const uint8_t *header,
                            const void *data, size_t size, const uint8_t tag[OBJECT_TAG_SIZE],
                            void *out, struct cpam_err *err) CPAM_CHECK;

/*
 * The key of one object: HKDF(K, salt, "CPAM/1 object\0" || bytes 0..255 of its header).
 * session_key NULL: the object is unsealed.
 */
enum cpam_status frame_seal_init(const struct secret *session_key, const uint8_t *header,
                                 bool seals, struct frame_seal *out,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
