/*
 * fuzz_stanzas.c - stanzas of an object, for a holder of a keyfile.
 */
#include "fuzz.h"

#include "crypto/keyring_internal.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyring keyring = {.bound = true};
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    static const uint8_t commitment[COMMITMENT_SIZE];
    uint8_t bytes[32] = {7};
    struct cpam_err err;

    if (keyring.entry_count == 0)
    {
        keyring.entries[0].kind = KEY_KEYFILE;
        keyring.entries[0].identity = true;
        MUST(secret_new(bytes, sizeof(bytes), &keyring.entries[0].key, &err) == CPAM_OK);
        MUST(stanza_keyfile_id(bytes, keyring.entries[0].id, &err) == CPAM_OK);
        keyring.entry_count = 1;
    }
    MUST(stanzas_open(&keyring, data, size, commitment, &key, &err) != CPAM_OK);
    return 0;
}
