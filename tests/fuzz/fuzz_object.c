/*
 * fuzz_object.c - objects: header, frames, final frame and tail of an unsealed repository.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "object/object_internal.h"

/* Makes the digests fit, which no mutation could: so that what is behind them is reached. */
static void
mend_tags(uint8_t *bytes, size_t size)
{
    struct frame_seal seal = {0};
    uint32_t index = 0;
    struct cpam_err err;
    size_t at = OBJECT_HEADER_SIZE;

    MUST(sha256_of(bytes, OBJECT_HEADER_SIZE, seal.h, &err) == CPAM_OK);
    while (size - at >= FRAME_OVERHEAD)
    {
        uint32_t clen = be32_get(bytes + at);
        uint8_t *content = bytes + at + OBJECT_FRAME_HEADER_SIZE;

        if (clen > size - at - FRAME_OVERHEAD)
            return;
        MUST(frame_seal(&seal, index++, bytes + at, content, clen, content, content + clen, &err) ==
             CPAM_OK);
        at += clen + FRAME_OVERHEAD;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyring *keyring;
    static const uint8_t uuid[16] = "0123456789abcdef";
    struct keyring_settings settings = {.none = true};
    struct object_want want = {.kind = OBJECT_WAL, .sysid = 1, .name = "n"};
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf plain = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    CPAM_AUTO(free) uint8_t *bytes = (uint8_t *) fuzz_text(data, size);
    struct object_header header;
    struct cpam_err err;

    if (keyring == NULL)
    {
        MUST(keyring_new(io_posix(), &settings, true, true, &keyring, &err) == CPAM_OK);
        MUST(keyring_bind(keyring, uuid, &err) == CPAM_OK);
    }
    MUST(object_opener_new(io_posix(), keyring, &opener, &err) == CPAM_OK);
    if (size >= OBJECT_HEADER_SIZE)
    {
        want.kind = (enum object_kind) bytes[9];
        mend_tags(bytes, size);
    }
    (void) !object_header_check(opener, &want, bytes, size, &header, &err);
    MUST(sink_buf_push(&chain, &plain, 32 << 20, &err) == CPAM_OK);
    MUST(object_open_push(&chain, opener, &want, NULL, &err) == CPAM_OK);
    for (size_t at = 0; at < size; at += 97)
    {
        if (sink_write(chain, bytes + at, size - at < 97 ? size - at : 97, &err) != CPAM_OK)
            return 0;
    }
    if (sink_finish(chain, &err) == CPAM_OK)
        MUST(plain.size <= size * 300 + 1);
    return 0;
}
