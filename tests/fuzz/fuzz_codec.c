/*
 * fuzz_codec.c - compressed frames: byte 0 is the codec, two more the length they claim.
 */
#include "fuzz.h"

#include "compress/codec.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[1 << 16];
    struct cpam_err err;

    if (size < 4)
        return 0;
    (void) !codec_unpack(NULL, data[0] % 5, data + 3, size - 3, out,
                         (size_t) (data[1] << 8 | data[2]) + 1, &err);
    return 0;
}
