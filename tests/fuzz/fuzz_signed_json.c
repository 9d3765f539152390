/*
 * fuzz_signed_json.c - clear JSON, its end, and the strict reader behind it.
 */
#include "fuzz.h"

#include "base/json.h"
#include "crypto/keyring.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyring *keyring;
    static const uint8_t uuid[16] = "0123456789abcdef";
    struct keyring_settings settings = {.none = true};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf body = {0};
    CPAM_AUTO(json_doc_free) json_t *doc = NULL;
    struct cpam_err err;

    if (keyring == NULL)
    {
        MUST(keyring_new(io_posix(), &settings, true, true, &keyring, &err) == CPAM_OK);
        MUST(keyring_bind(keyring, uuid, &err) == CPAM_OK);
    }
    if (keyring_verify_json(keyring, "n", data, size, &body, &err) == CPAM_OK)
        MUST(body.size < size);
    (void) !json_read("input", data, size, 1 << 20, &doc, &err);
    /* whatever bytes are signed verify, and only under their name */
    MUST(cpam_buf_append(&text, data, size, 1 << 20, &err) == CPAM_OK);
    if (keyring_sign_json(keyring, "n", &text, &err) != CPAM_OK)
        return 0;
    MUST(keyring_verify_json(keyring, "n", text.data, text.size, &body, &err) == CPAM_OK);
    MUST(body.size == size && memcmp(body.data, data, size) == 0);
    MUST(keyring_verify_json(keyring, "m", text.data, text.size, &body, &err) == CPAM_CORRUPT);
    return 0;
}
