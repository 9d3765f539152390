/*
 * object_key.c - one frame at a time out of an object whose manifest is known.
 *
 * Index, offset and lengths come from the authenticated manifest; a final frame is never data.
 */
#include <stdlib.h>
#include <string.h>

#include "object/object_internal.h"

struct object_key
{
    struct object_opener *opener;
    struct opened opened;
    char *name;
};

enum cpam_status
object_key_open(struct object_opener *opener, const struct object_want *want, const void *data,
                size_t size, struct object_key **out, struct cpam_err *err)
{
    CPAM_AUTO(object_key_free) struct object_key *key = calloc(1, sizeof(*key));
    const uint8_t *bytes = data;
    enum cpam_status status;

    if (key == NULL || (key->name = strdup(want->name)) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an object's key");
    key->opener = opener;
    if (size < OBJECT_HEADER_SIZE)
        status = cpam_fail(err, CPAM_CORRUPT, 0,
                           "it is cut short: %zu bytes, fewer than the %d of"
                           " a header",
                           size, OBJECT_HEADER_SIZE);
    else
        status = opener_check_header(opener, want, bytes, &key->opened.header, err);
    if (status == CPAM_OK && size - OBJECT_HEADER_SIZE < key->opened.header.stanzas_size)
        status = cpam_fail(err, CPAM_CORRUPT, 0, "it is cut short within its stanzas");
    if (status == CPAM_OK)
        status = opener_unlock(opener, bytes, bytes + OBJECT_HEADER_SIZE, &key->opened, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "object \"%s\"", want->name);
        return status;
    }
    *out = CPAM_STEAL(key);
    return CPAM_OK;
}

static enum cpam_status
key_frame(struct object_key *key, uint32_t index, const uint8_t *data, size_t size, void *out,
          size_t cap, size_t *out_size, struct cpam_err *err)
{
    struct frame_header frame;

    if (size < FRAME_OVERHEAD)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it is cut short: %zu bytes", size);
    CPAM_TRY(frame_header_decode(data, key->opened.frame_size, &frame, err));
    if (frame.final)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "it is the object's final frame, which holds no data");
    if (size != frame.clen + FRAME_OVERHEAD)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it says %u bytes, but %zu stand here", frame.clen,
                         size - FRAME_OVERHEAD);
    if (frame.rlen > cap)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it holds %u bytes, more than the %zu expected",
                         frame.rlen, cap);
    CPAM_TRY(opener_scratch(&key->opener->plain, key->opened.frame_size, err));
    CPAM_TRY(opener_frame(
        key->opener, &key->opened, index, &frame, data, data + OBJECT_FRAME_HEADER_SIZE,
        data + OBJECT_FRAME_HEADER_SIZE + frame.clen, key->opener->plain.data, out, err));
    *out_size = frame.rlen;
    return CPAM_OK;
}

enum cpam_status
object_key_frame(struct object_key *key, uint32_t index, const void *data, size_t size, void *out,
                 size_t cap, size_t *out_size, struct cpam_err *err)
{
    enum cpam_status status = key_frame(key, index, data, size, out, cap, out_size, err);

    if (status != CPAM_OK)
        cpam_err_prefix(err, "object \"%s\": frame %u", key->name, index);
    return status;
}

void
object_key_free(struct object_key *key)
{
    if (key == NULL)
        return;
    aead_free(key->opened.seal.aead);
    free(key->name);
    free(key);
}
