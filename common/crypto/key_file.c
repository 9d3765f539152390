/*
 * key_file.c - one key in a file of its own.
 */
#include "crypto/key_file.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "crypto/signature.h"
#include "crypto/stanza.h"
#include "io/file.h"

struct span
{
    const char *at;
    size_t size;
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void
span_trim(struct span *span)
{
    while (span->size > 0 && is_blank(span->at[0]))
    {
        span->at++;
        span->size--;
    }
    while (span->size > 0 && is_blank(span->at[span->size - 1]))
        span->size--;
}

/* The next line that is neither empty nor a comment; false at the end. */
static bool
next_item(struct span *rest, struct span *item)
{
    while (rest->size > 0)
    {
        const char *end = memchr(rest->at, '\n', rest->size);
        size_t size = end != NULL ? (size_t) (end - rest->at) : rest->size;

        *item = (struct span){rest->at, size};
        rest->at += size + (end != NULL);
        rest->size -= size + (end != NULL);
        span_trim(item);
        if (item->size > 0 && item->at[0] != '#')
            return true;
    }
    return false;
}

/* The one key of the file's text. */
static enum cpam_status
key_file_item(const struct secret *text, struct span *item, struct cpam_err *err)
{
    struct span rest = {(const char *) secret_data(text), secret_size(text)}, more;

    if (!next_item(&rest, item))
        return cpam_fail(err, CPAM_USAGE, 0, "there is no key in it");
    if (next_item(&rest, &more))
        return cpam_fail(err, CPAM_USAGE, 0, "there is more than one key in it");
    if (item->size > 7 && memcmp(item->at, "secret ", 7) == 0)
    {
        item->at += 7;
        item->size -= 7;
        span_trim(item);
    }
    else if (item->size > 7 && memcmp(item->at, "locked ", 7) == 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "it is locked by a passphrase, which this version can't open");
    return CPAM_OK;
}

/* wanted KEY_TEXT_COUNT: any secret kind */
static enum cpam_status
key_file_parse(const struct secret *text, enum key_text_kind wanted, enum key_text_kind *kind,
               struct secret **out, struct cpam_err *err)
{
    uint8_t key[KEY_TEXT_KEY_SIZE];
    struct span item;
    enum cpam_status status;

    CPAM_TRY(key_file_item(text, &item, err));
    *kind = wanted;
    if (wanted == KEY_TEXT_COUNT)
        *kind = key_text_kind_of(item.at, item.size);
    if (*kind == KEY_TEXT_COUNT || *kind == KEY_TEXT_X25519_PUBLIC ||
        *kind == KEY_TEXT_WRITER_PUBLIC)
        return cpam_fail(err, CPAM_USAGE, 0, "it should hold a secret key but holds %s",
                         key_text_kind_name(*kind));
    CPAM_TRY(key_text_parse(*kind, item.at, item.size, key, err));
    status = secret_new(key, sizeof(key), out, err);
    OPENSSL_cleanse(key, sizeof(key));
    return status;
}

static enum cpam_status
key_file_load(struct io *io, const char *path, enum key_text_kind wanted, enum key_text_kind *kind,
              struct secret **out, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *text = NULL;
    enum cpam_status status;

    CPAM_TRY(secret_read_file(io, path, &text, err));
    status = key_file_parse(text, wanted, kind, out, err);
    if (status != CPAM_OK)
        cpam_err_prefix(err, "key file \"%s\"", path);
    return status;
}

enum cpam_status
key_file_read(struct io *io, const char *path, enum key_text_kind kind, struct secret **out,
              struct cpam_err *err)
{
    return key_file_load(io, path, kind, &kind, out, err);
}

enum cpam_status
key_file_read_any(struct io *io, const char *path, enum key_text_kind *kind, struct secret **out,
                  struct cpam_err *err)
{
    return key_file_load(io, path, KEY_TEXT_COUNT, kind, out, err);
}

enum cpam_status
key_file_write(struct io *io, const char *path, enum key_text_kind kind, const struct secret *key,
               const char *comment, struct cpam_err *err)
{
    char text[1024], word[KEY_TEXT_MAX];
    size_t size = strlen(comment), length;
    enum cpam_status status;

    if (size + sizeof(word) + 16 > sizeof(text))
        return cpam_fail(err, CPAM_INTERNAL, 0, "the comment of a key file is too long");
    CPAM_TRY(key_text_format(kind, secret_data(key), word, err));
    length = strlen(word);
    memcpy(text, comment, size);
    if (kind == KEY_TEXT_X25519_SECRET)
    {
        memcpy(text + size, "secret ", 7);
        size += 7;
    }
    memcpy(text + size, word, length);
    text[size + length] = '\n';
    status = file_write_new(io, path, 0600, text, size + length + 1, err);
    OPENSSL_cleanse(text, sizeof(text));
    OPENSSL_cleanse(word, sizeof(word));
    return status;
}

enum cpam_status
key_file_public(enum key_text_kind kind, const struct secret *key, char out[KEY_TEXT_MAX],
                struct cpam_err *err)
{
    uint8_t public_key[KEY_TEXT_KEY_SIZE], id[STANZA_ID_SIZE];

    switch (kind)
    {
    case KEY_TEXT_X25519_SECRET:
        CPAM_TRY(x25519_public(secret_data(key), public_key, err));
        return key_text_format(KEY_TEXT_X25519_PUBLIC, public_key, out, err);
    case KEY_TEXT_WRITER_SECRET:
        CPAM_TRY(signature_public(key, public_key, err));
        return key_text_format(KEY_TEXT_WRITER_PUBLIC, public_key, out, err);
    case KEY_TEXT_KEYFILE:
        CPAM_TRY(stanza_keyfile_id(secret_data(key), id, err));
        text_hex(id, sizeof(id), out);
        return CPAM_OK;
    default: return cpam_fail(err, CPAM_INTERNAL, 0, "a public key has no public half");
    }
}
