/*
 * fuzz_key_text.c - key texts: what is read is written the same, in lower case.
 */
#include "fuzz.h"

#include <strings.h>

#include "crypto/key_text.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t key[KEY_TEXT_KEY_SIZE];
    char text[KEY_TEXT_MAX];
    struct cpam_err err;

    for (unsigned kind = 0; kind < KEY_TEXT_COUNT; kind++)
    {
        if (key_text_parse((enum key_text_kind) kind, (const char *) data, size, key, &err) !=
            CPAM_OK)
            continue;
        MUST(key_text_format((enum key_text_kind) kind, key, text, &err) == CPAM_OK);
        MUST(strlen(text) == size && strncasecmp(text, (const char *) data, size) == 0);
    }
    return 0;
}
