/*
 * passphrase.c - scrypt, and the cache that spares it.
 */
#include "crypto/passphrase.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/key_text.h"
#include "crypto/openssl_err.h"
#include "io/file.h"

enum
{
    SCRYPT_N = 1 << 17,
    SCRYPT_R = 8,
    SCRYPT_P = 1,
    SCRYPT_MEMORY = 192 << 20, /* OpenSSL's limit in bytes: 128 MiB and a margin */
    CACHE_PATH_MAX = 4096,
    CACHE_TEXT_MAX = 256
};

static enum cpam_status
passphrase_derive(const struct secret *passphrase, const uint8_t uuid[16], struct secret **out,
                  struct cpam_err *err)
{
    uint8_t key[32];
    enum cpam_status status;

    if (EVP_PBE_scrypt((const char *) secret_data(passphrase), secret_size(passphrase), uuid, 16,
                       SCRYPT_N, SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY, key, sizeof(key)) != 1)
        return openssl_fail(err, "derive a key from a passphrase (it takes 128 MiB)");
    status = secret_new(key, sizeof(key), out, err);
    OPENSSL_cleanse(key, sizeof(key));
    return status;
}

struct cache
{
    char path[CACHE_PATH_MAX];
    char identity[128]; /* of the passphrase file */
};

/* Where the key of this passphrase file and repository is kept; false: nowhere. */
static bool
cache_place(struct io *io, const char *path, const uint8_t uuid[16], const char *state_dir,
            struct cache *out)
{
    uint8_t digest[SHA256_SIZE];
    char name[17], repo[TEXT_UUID_MAX];
    struct cpam_err err;
    struct stat stat;
    int size;

    if (state_dir == NULL || io->ops->stat(io, AT_FDCWD, path, 0, &stat) != 0 ||
        sha256_of(path, strlen(path), digest, &err) != CPAM_OK)
        return false;
    text_hex(digest, 8, name);
    text_format_uuid(uuid, repo);
    size = snprintf(out->path, sizeof(out->path), "%s/passphrase-%s-%s", state_dir, name, repo);
    if (size < 0 || (size_t) size >= sizeof(out->path))
        return false;
    snprintf(out->identity, sizeof(out->identity), "%llu %llu %lld %lld.%09ld",
             (unsigned long long) stat.st_dev, (unsigned long long) stat.st_ino,
             (long long) stat.st_size, (long long) stat.st_ctim.tv_sec, stat.st_ctim.tv_nsec);
    return true;
}

/* The kept key, if it is of this very passphrase file. */
static bool
cache_read(struct io *io, const struct cache *cache, struct secret **out)
{
    CPAM_AUTO(secret_free) struct secret *text = NULL;
    uint8_t key[KEY_TEXT_KEY_SIZE];
    size_t identity = strlen(cache->identity), size;
    struct cpam_err err;
    const char *at;
    bool good;

    if (secret_read_file(io, cache->path, &text, &err) != CPAM_OK)
        return false;
    at = (const char *) secret_data(text);
    size = secret_size(text);
    if (size <= identity + 1 || memcmp(at, cache->identity, identity) != 0 || at[identity] != '\n')
        return false;
    good = key_text_parse(KEY_TEXT_KEYFILE, at + identity + 1, size - identity - 1, key, &err) ==
               CPAM_OK &&
           secret_new(key, sizeof(key), out, &err) == CPAM_OK;
    OPENSSL_cleanse(key, sizeof(key));
    return good;
}

static void
cache_write(struct io *io, const struct cache *cache, const struct secret *key)
{
    char text[CACHE_TEXT_MAX], word[KEY_TEXT_MAX];
    struct cpam_err err;
    int size;

    if (key_text_format(KEY_TEXT_KEYFILE, secret_data(key), word, &err) == CPAM_OK)
    {
        size = snprintf(text, sizeof(text), "%s\n%s\n", cache->identity, word);
        /* what can't be kept is derived again next time */
        if (size > 0 && (size_t) size < sizeof(text) &&
            file_write_all(io, cache->path, 0600, text, (size_t) size, &err) != CPAM_OK)
            size = 0;
    }
    OPENSSL_cleanse(text, sizeof(text));
    OPENSSL_cleanse(word, sizeof(word));
}

enum cpam_status
passphrase_key(struct io *io, const char *path, const struct secret *passphrase,
               const uint8_t uuid[16], const char *state_dir, struct secret **out,
               struct cpam_err *err)
{
    struct cache cache;
    bool kept = cache_place(io, path, uuid, state_dir, &cache);

    if (kept && cache_read(io, &cache, out))
        return CPAM_OK;
    CPAM_TRY(passphrase_derive(passphrase, uuid, out, err));
    if (kept)
        cache_write(io, &cache, *out);
    return CPAM_OK;
}
