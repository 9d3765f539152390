/*
 * fixture.h - keyrings out of files in a temporary directory, an io whose clock and random stand
 * still where a vector needs it, and whole objects in memory.
 */
#ifndef CPAM_TESTS_OBJECT_FIXTURE_H
#define CPAM_TESTS_OBJECT_FIXTURE_H

#include "suite.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/key_file.h"
#include "crypto/signature.h"
#include "io/io.h"
#include "object/object_internal.h"

#define FIXTURE_SYSID UINT64_C(7301234567890123456)
#define FIXTURE_NAME  "wal/7301234567890123456/00000001/0000000A/000000010000000A000000FE"

struct fixture_io
{
    struct io base;
    struct io_ops ops;
    int64_t now;        /* 0: the real clock */
    const uint8_t *fed; /* random bytes to hand out first */
    size_t fed_size;
};

static inline int
fixture_random(struct io *io, void *out, size_t size)
{
    struct fixture_io *self = (struct fixture_io *) io;

    if (self->fed_size == 0)
        return io_posix()->ops->random(io_posix(), out, size);
    ck_assert_uint_ge(self->fed_size, size);
    memcpy(out, self->fed, size);
    self->fed += size;
    self->fed_size -= size;
    return 0;
}

static inline int64_t
fixture_now(struct io *io)
{
    struct fixture_io *self = (struct fixture_io *) io;

    return self->now != 0 ? self->now : io_posix()->ops->now(io_posix());
}

static inline void
fixture_io_init(struct fixture_io *io)
{
    memset(io, 0, sizeof(*io));
    io->ops = *io_posix()->ops;
    io->ops.random = fixture_random;
    io->ops.now = fixture_now;
    io->base.ops = &io->ops;
}

static const uint8_t fixture_uuid[16] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
                                         0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};

/* A directory of its own for each test; left in /tmp/cpam-test-* only when a test fails. */
static char fixture_dir[64];

static inline void
fixture_begin(void)
{
    strcpy(fixture_dir, "/tmp/cpam-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fixture_dir));
}

static inline void
fixture_end(void)
{
    static const char *const names[] = {"key",    "key2",    "writer", "writer2",
                                        "x25519", "x25519b", "pass",   "pass2"};
    char path[128];

    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++)
    {
        snprintf(path, sizeof(path), "%s/%s", fixture_dir, names[at]);
        unlink(path);
    }
    rmdir(fixture_dir);
}

/* The path of a name in the directory; good until the 64th next call. */
static inline const char *
fixture_path(const char *name)
{
    static char paths[64][128];
    static unsigned next;
    char *path = paths[next++ % 64];

    snprintf(path, 128, "%s/%s", fixture_dir, name);
    return path;
}

/* A key file whose 32 bytes are all `byte`. */
static inline const char *
fixture_key(const char *name, enum key_text_kind kind, int byte)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    const char *path = fixture_path(name);
    uint8_t key[32];
    struct cpam_err err;

    memset(key, byte, sizeof(key));
    ck_ok(secret_new(key, sizeof(key), &secret, &err), &err);
    ck_ok(key_file_write(io_posix(), path, kind, secret, "# a test's key\n", &err), &err);
    return path;
}

/* The public half of a key whose 32 bytes are all `byte`. */
static inline const char *
fixture_public(enum key_text_kind kind, int byte, char out[KEY_TEXT_MAX])
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    uint8_t key[32];
    struct cpam_err err;

    memset(key, byte, sizeof(key));
    ck_ok(secret_new(key, sizeof(key), &secret, &err), &err);
    ck_ok(key_file_public(kind, secret, out, &err), &err);
    return out;
}

/* Both ends of the vector: x25519 recipient 32 x 02, writer 32 x 01. */
static inline struct keyring *
fixture_x25519_writer(struct io *io)
{
    char recipient[KEY_TEXT_MAX];
    struct key_setting recipients[] = {
        {KEY_X25519, fixture_public(KEY_TEXT_X25519_SECRET, 2, recipient)}};
    struct keyring_settings settings = {.recipients = recipients,
                                        .recipient_count = 1,
                                        .writer_key =
                                            fixture_key("writer", KEY_TEXT_WRITER_SECRET, 1)};
    struct keyring *keyring = NULL;
    struct cpam_err err;

    ck_ok(keyring_new(io, &settings, true, false, &keyring, &err), &err);
    ck_ok(keyring_bind(keyring, fixture_uuid, &err), &err);
    return keyring;
}

/* A reader that trusts the writer made of trusted_byte, for the repository uuid. */
static inline struct keyring *
fixture_x25519_reader(struct io *io, int identity_byte, int trusted_byte, const uint8_t *uuid)
{
    char trusted[KEY_TEXT_MAX];
    const char *writers[] = {fixture_public(KEY_TEXT_WRITER_SECRET, trusted_byte, trusted)};
    const char *name = "x25519";
    struct key_setting identities[] = {{KEY_X25519, NULL}};
    struct keyring_settings settings = {.identities = identities,
                                        .identity_count = 1,
                                        .trusted_writers = writers,
                                        .trusted_writer_count = 1};
    struct keyring *keyring = NULL;
    struct cpam_err err;

    unlink(fixture_path(name));
    identities[0].value = fixture_key(name, KEY_TEXT_X25519_SECRET, identity_byte);
    ck_ok(keyring_new(io, &settings, false, true, &keyring, &err), &err);
    ck_ok(keyring_bind(keyring, uuid, &err), &err);
    return keyring;
}

/* The simple default: one keyfile, which reads, writes and proves. */
static inline struct keyring *
fixture_keyfile(struct io *io, const char *name, int byte)
{
    struct key_setting recipients[] = {{KEY_KEYFILE, NULL}};
    struct keyring_settings settings = {.recipients = recipients, .recipient_count = 1};
    struct keyring *keyring = NULL;
    struct cpam_err err;

    unlink(fixture_path(name));
    recipients[0].value = fixture_key(name, KEY_TEXT_KEYFILE, byte);
    ck_ok(keyring_new(io, &settings, true, true, &keyring, &err), &err);
    ck_ok(keyring_bind(keyring, fixture_uuid, &err), &err);
    return keyring;
}

static inline struct keyring *
fixture_unsealed(struct io *io)
{
    struct keyring_settings settings = {.none = true};
    struct keyring *keyring = NULL;
    struct cpam_err err;

    ck_ok(keyring_new(io, &settings, true, true, &keyring, &err), &err);
    ck_ok(keyring_bind(keyring, fixture_uuid, &err), &err);
    return keyring;
}

static inline struct object_spec
fixture_spec(enum object_kind kind, const char *name)
{
    return (struct object_spec){.kind = kind,
                                .sysid = FIXTURE_SYSID,
                                .name = name,
                                .raw_length = OBJECT_LENGTH_UNKNOWN,
                                .frame_log2 = 16};
}

static inline struct object_want
fixture_want(enum object_kind kind, const char *name)
{
    return (struct object_want){.kind = kind, .sysid = FIXTURE_SYSID, .name = name};
}

/* data as one object, in *out. */
static inline void
fixture_write(struct io *io, const struct keyring *keyring, const struct object_spec *spec,
              const void *data, size_t size, struct cpam_buf *out, struct object_digest *digest)
{
    CPAM_AUTO(seal_session_free) struct seal_session *session = NULL;
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_digest own;
    struct cpam_err err;

    out->size = 0;
    ck_ok(sink_buf_push(&chain, out, 64 << 20, &err), &err);
    ck_ok(seal_session_new(io, keyring, &session, &err), &err);
    ck_ok(object_writer_new(session, spec, chain, &writer, &err), &err);
    ck_ok(object_writer_write(writer, data, size, &err), &err);
    ck_ok(object_writer_finish(writer, digest != NULL ? digest : &own, &err), &err);
    ck_ok(sink_finish(chain, &err), &err);
}

/* Reads in pieces of `piece` bytes; the status of the whole. */
static inline enum cpam_status
fixture_read(struct object_opener *opener, const struct object_want *want, const void *data,
             size_t size, size_t piece, struct cpam_buf *plain, struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    const uint8_t *at = data;

    plain->size = 0;
    ck_ok(sink_buf_push(&chain, plain, 64 << 20, err), err);
    ck_ok(object_open_push(&chain, opener, want, NULL, err), err);
    while (size > 0)
    {
        size_t take = piece < size ? piece : size;

        CPAM_TRY(sink_write(chain, at, take, err));
        at += take;
        size -= take;
    }
    return sink_finish(chain, err);
}

#endif
