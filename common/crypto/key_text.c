/*
 * key_text.c - base32 with a checksum, and refusals that help without telling the key.
 */
#include "crypto/key_text.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "crypto/digest.h"

enum
{
    CHECKSUM_SIZE = 4,
    PACKED_SIZE = 1 + KEY_TEXT_KEY_SIZE + CHECKSUM_SIZE,
    BASE32_SIZE = (PACKED_SIZE * 8 + 4) / 5,
    PREFIX_MAX = 9
};

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static const struct
{
    const char *prefix;
    uint8_t type;
    const char *name;
} kinds[KEY_TEXT_COUNT] = {
    [KEY_TEXT_X25519_PUBLIC] = {"cpam1pub", 1, "an x25519 public key"},
    [KEY_TEXT_X25519_SECRET] = {"cpam1sec", 1, "an x25519 private key"},
    [KEY_TEXT_WRITER_PUBLIC] = {"cpam1wpub", 1, "a writer's public key"},
    [KEY_TEXT_WRITER_SECRET] = {"cpam1wsec", 1, "a writer's private key"},
    [KEY_TEXT_KEYFILE] = {"cpam1key", 5, "a keyfile's key"},
};

const char *
key_text_kind_name(enum key_text_kind kind)
{
    return kind < KEY_TEXT_COUNT ? kinds[kind].name : "no key of this suite";
}

static enum cpam_status
key_text_checksum(enum key_text_kind kind, const uint8_t *packed, uint8_t out[SHA256_SIZE],
                  struct cpam_err *err)
{
    uint8_t text[PREFIX_MAX + 1 + KEY_TEXT_KEY_SIZE];
    size_t prefix = strlen(kinds[kind].prefix);
    enum cpam_status status;

    memcpy(text, kinds[kind].prefix, prefix);
    memcpy(text + prefix, packed, 1 + KEY_TEXT_KEY_SIZE);
    status = sha256_of(text, prefix + 1 + KEY_TEXT_KEY_SIZE, out, err);
    OPENSSL_cleanse(text, sizeof(text));
    return status;
}

enum cpam_status
key_text_format(enum key_text_kind kind, const uint8_t key[KEY_TEXT_KEY_SIZE],
                char out[KEY_TEXT_MAX], struct cpam_err *err)
{
    uint8_t packed[PACKED_SIZE + 1] = {0}, sum[SHA256_SIZE];
    size_t prefix = strlen(kinds[kind].prefix);

    packed[0] = kinds[kind].type;
    memcpy(packed + 1, key, KEY_TEXT_KEY_SIZE);
    CPAM_TRY(key_text_checksum(kind, packed, sum, err));
    memcpy(packed + 1 + KEY_TEXT_KEY_SIZE, sum, CHECKSUM_SIZE);
    memcpy(out, kinds[kind].prefix, prefix);
    for (size_t digit = 0; digit < BASE32_SIZE; digit++)
    {
        size_t bit = digit * 5;
        unsigned pair = (unsigned) packed[bit / 8] << 8 | packed[bit / 8 + 1];

        out[prefix + digit] = alphabet[pair >> (11 - bit % 8) & 31];
    }
    out[prefix + BASE32_SIZE] = '\0';
    OPENSSL_cleanse(packed, sizeof(packed));
    return CPAM_OK;
}

static int
base32_value(char digit)
{
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a';
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= '2' && digit <= '7')
        return digit - '2' + 26;
    return -1;
}

/* Exactly BASE32_SIZE digits into PACKED_SIZE bytes; false for anything else. */
static bool
base32_decode(const char *text, size_t size, uint8_t packed[PACKED_SIZE + 1])
{
    if (size != BASE32_SIZE)
        return false;
    memset(packed, 0, PACKED_SIZE + 1);
    for (size_t digit = 0; digit < BASE32_SIZE; digit++)
    {
        size_t bit = digit * 5;
        int value = base32_value(text[digit]);
        unsigned pair;

        if (value < 0)
            return false;
        pair = (unsigned) value << (11 - bit % 8);
        packed[bit / 8] = (uint8_t) (packed[bit / 8] | pair >> 8);
        packed[bit / 8 + 1] = (uint8_t) (packed[bit / 8 + 1] | (pair & 255));
    }
    return packed[PACKED_SIZE] == 0; /* the spare bits */
}

static bool
key_text_has_prefix(enum key_text_kind kind, const char *text, size_t size)
{
    size_t prefix = strlen(kinds[kind].prefix);

    return size > prefix && strncasecmp(text, kinds[kind].prefix, prefix) == 0;
}

enum key_text_kind
key_text_kind_of(const char *text, size_t size)
{
    for (unsigned kind = 0; kind < KEY_TEXT_COUNT; kind++)
    {
        if (key_text_has_prefix((enum key_text_kind) kind, text, size))
            return (enum key_text_kind) kind;
    }
    return KEY_TEXT_COUNT;
}

/* The key is of the right prefix; take its digits apart. */
static enum cpam_status
key_text_unpack(enum key_text_kind kind, const char *digits, size_t size,
                uint8_t packed[PACKED_SIZE + 1], struct cpam_err *err)
{
    uint8_t sum[SHA256_SIZE];
    int first = size > 1 ? base32_value(digits[0]) : -1,
        second = size > 1 ? base32_value(digits[1]) : -1;

    if (first >= 0 && second >= 0 && (first << 3 | second >> 2) != kinds[kind].type)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "this %s... key is of type %d, which this version does not know",
                         kinds[kind].prefix, first << 3 | second >> 2);
    if (!base32_decode(digits, size, packed))
        return cpam_fail(err, CPAM_USAGE, 0,
                         "this %s... key is not %d letters and digits of base32",
                         kinds[kind].prefix, BASE32_SIZE);
    CPAM_TRY(key_text_checksum(kind, packed, sum, err));
    if (CRYPTO_memcmp(sum, packed + 1 + KEY_TEXT_KEY_SIZE, CHECKSUM_SIZE) != 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "this %s... key is mistyped: its checksum does not match",
                         kinds[kind].prefix);
    return CPAM_OK;
}

enum cpam_status
key_text_parse(enum key_text_kind kind, const char *text, size_t size,
               uint8_t key[KEY_TEXT_KEY_SIZE], struct cpam_err *err)
{
    uint8_t packed[PACKED_SIZE + 1];
    size_t prefix = strlen(kinds[kind].prefix);
    enum cpam_status status;

    if (!key_text_has_prefix(kind, text, size))
        return cpam_fail(err, CPAM_USAGE, 0, "wanted %s (%s...), found %s", kinds[kind].name,
                         kinds[kind].prefix, key_text_kind_name(key_text_kind_of(text, size)));
    status = key_text_unpack(kind, text + prefix, size - prefix, packed, err);
    if (status == CPAM_OK)
        memcpy(key, packed + 1, KEY_TEXT_KEY_SIZE);
    OPENSSL_cleanse(packed, sizeof(packed));
    return status;
}
