/*
 * test_keyring.c - which configurations may read and write, passphrases, stanzas, and clear JSON
 * that proves its writer.
 */
#include "object/fixture.h"

#include <dirent.h>
#include <openssl/evp.h>

#include "io/file.h"

static struct cpam_err err;
static struct keyring *made;

static void
end(void)
{
    keyring_free(made);
    made = NULL;
    fixture_end();
}

static enum cpam_status
make(const struct keyring_settings *settings, bool writes, bool reads)
{
    keyring_free(made);
    made = NULL;
    CPAM_TRY(keyring_new(io_posix(), settings, writes, reads, &made, &err));
    return keyring_bind(made, fixture_uuid, &err);
}

START_TEST(absent_key_file_is_explained)
{
    struct key_setting setting[] = {{KEY_KEYFILE, "/nonexistent/key"}};
    struct keyring_settings settings = {.recipients = setting, .recipient_count = 1};

    ck_fails(make(&settings, true, true), CPAM_USAGE,
             "encryption.recipients: could not open \"/nonexistent/key\"", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam-repo create"));
    settings = (struct keyring_settings){.identities = setting, .identity_count = 1};
    ck_fails(make(&settings, false, true), CPAM_USAGE, "encryption.identities", &err);
    settings.writer_key = "/nonexistent/writer";
    settings.recipients =
        (struct key_setting[]){{KEY_KEYFILE, fixture_key("key", KEY_TEXT_KEYFILE, 1)}};
    settings.recipient_count = 1;
    settings.identity_count = 0;
    ck_fails(make(&settings, true, false), CPAM_USAGE, "encryption.writer_key", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam-keys generate writer \"/nonexistent/writer\""));
    ck_ok(make(&settings, false, true), &err); /* who only reads needs none */
}
END_TEST

START_TEST(reader_with_other_identities_needs_no_recipients_file)
{
    struct key_setting recipients[] = {{KEY_KEYFILE, "/nonexistent/key"}};
    struct key_setting identities[] = {{KEY_KEYFILE, fixture_key("key", KEY_TEXT_KEYFILE, 1)}};
    struct keyring_settings settings = {.recipients = recipients,
                                        .recipient_count = 1,
                                        .identities = identities,
                                        .identity_count = 1};

    ck_ok(make(&settings, false, true), &err);
    ck_assert(keyring_can_open(made));
    ck_assert_int_eq(make(&settings, true, true), CPAM_USAGE);
}
END_TEST

START_TEST(E3_writer_believes_what_an_older_keyfile_signed)
{
    CPAM_AUTO(keyring_free) struct keyring *before = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    struct key_setting recipients[] = {{KEY_KEYFILE, NULL}};
    struct key_setting identities[] = {{KEY_KEYFILE, NULL}, {KEY_KEYFILE, "/nonexistent/older"}};
    struct keyring_settings settings = {.recipients = recipients,
                                        .recipient_count = 1,
                                        .identities = identities,
                                        .identity_count = 2};

    before = fixture_keyfile(io_posix(), "key", 5);
    ck_ok(cpam_buf_append(&text, "{\"a\":1}", 7, 1 << 20, &err), &err);
    ck_ok(keyring_sign_json(before, "repo.json", &text, &err), &err);
    recipients[0].value = fixture_key("key2", KEY_TEXT_KEYFILE, 6);
    identities[0].value = fixture_path("key");
    ck_ok(make(&settings, true, false), &err);
    ck_ok(keyring_verify_json(made, "repo.json", text.data, text.size, &out, &err), &err);
    settings.identity_count = 0;
    ck_ok(make(&settings, true, false), &err);
    ck_fails(keyring_verify_json(made, "repo.json", text.data, text.size, &out, &err), CPAM_FOREIGN,
             "does not hold", &err);
}
END_TEST

START_TEST(fault_1_public_key_needs_writer_and_trust)
{
    char recipient[KEY_TEXT_MAX];
    struct key_setting setting[] = {
        {KEY_X25519, fixture_public(KEY_TEXT_X25519_SECRET, 2, recipient)}};
    struct keyring_settings settings = {.recipients = setting, .recipient_count = 1};

    ck_fails(make(&settings, true, false), CPAM_USAGE, "encryption.writer_key is not set", &err);
    ck_fails(make(&settings, false, true), CPAM_USAGE, "encryption.trusted_writers is empty", &err);
    settings.writer_key = fixture_key("writer", KEY_TEXT_WRITER_SECRET, 1);
    ck_ok(make(&settings, true, false), &err);
    ck_assert(keyring_signs(made) && keyring_sealed(made) && !keyring_can_open(made));
}
END_TEST

static const struct
{
    enum key_kind kind;
    const char *value, *words;
} wrong[] = {
    {KEY_X25519, "cpam1pubaeaa", "is not 60 letters"},
    {KEY_X25519, "cpam1secaebaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibafnetyw6q",
     "found an x25519 private key"},
    {KEY_KMS, "arn:aws:kms:x", "kms recipients are not built yet"},
};

START_TEST(wrong_recipients_are_refused)
{
    struct key_setting setting[] = {{wrong[_i].kind, wrong[_i].value}};
    struct keyring_settings settings = {.recipients = setting, .recipient_count = 1};

    ck_fails(make(&settings, true, false), CPAM_USAGE, wrong[_i].words, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "encryption.recipients"));
    ck_assert_ptr_null(strstr(err.text, "aebaea"));
}
END_TEST

START_TEST(wrong_trusted_writers_are_refused)
{
    char recipient[KEY_TEXT_MAX];
    const char *writers[] = {fixture_public(KEY_TEXT_X25519_SECRET, 2, recipient)};
    struct keyring_settings settings = {.trusted_writers = writers, .trusted_writer_count = 1};

    ck_fails(make(&settings, false, true), CPAM_USAGE,
             "encryption.trusted_writers[0]: wanted a writer's public key", &err);
}
END_TEST

static const char *
put_passphrase(const char *text)
{
    unlink(fixture_path("pass"));
    ck_ok(file_write_all(io_posix(), fixture_path("pass"), 0600, text, strlen(text), &err), &err);
    return fixture_path("pass");
}

/* The kept key, out of the state directory; NULL if there is none. */
static char *
kept_key(const char *dir)
{
    static char text[512];
    DIR *list = opendir(dir);
    struct dirent *entry;
    char path[400];

    text[0] = '\0';
    while (list != NULL && (entry = readdir(list)) != NULL)
    {
        FILE *file;
        struct stat stat;

        if (strncmp(entry->d_name, "passphrase-", 11) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%.255s", dir, entry->d_name);
        file = fopen(path, "re");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(fstat(fileno(file), &stat), 0);
        ck_assert_uint_eq(stat.st_mode & 07777, 0600);
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        unlink(path);
    }
    if (list != NULL)
        closedir(list);
    return text[0] != '\0' ? text : NULL;
}

START_TEST(E3_passphrase_is_a_keyfile_of_scrypt)
{
    struct key_setting setting[] = {{KEY_PASSPHRASE, put_passphrase("correct horse\n")}};
    struct keyring_settings settings = {
        .recipients = setting, .recipient_count = 1, .state_dir = fixture_dir};
    uint8_t key[32], id[STANZA_ID_SIZE];
    char expected[KEY_TEXT_MAX], *kept;
    struct authority authority;

    ck_assert_int_eq(EVP_PBE_scrypt("correct horse", 13, fixture_uuid, 16, 1 << 17, 8, 1, 1 << 28,
                                    key, sizeof(key)),
                     1);
    ck_ok(key_text_format(KEY_TEXT_KEYFILE, key, expected, &err), &err);
    ck_ok(stanza_keyfile_id(key, id, &err), &err);
    ck_ok(make(&settings, true, true), &err);
    keyring_authority(made, &authority);
    ck_assert_uint_eq(authority.algorithm, AUTHORITY_HMAC);
    ck_assert_mem_eq(authority.writer, id, sizeof(id));
    kept = kept_key(fixture_dir);
    ck_assert_ptr_nonnull(kept);
    ck_assert_ptr_nonnull(strstr(kept, expected));
}
END_TEST

START_TEST(E3_kept_key_is_used_until_the_passphrase_changes)
{
    struct key_setting setting[] = {{KEY_PASSPHRASE, put_passphrase("one")}};
    struct keyring_settings settings = {
        .recipients = setting, .recipient_count = 1, .state_dir = fixture_dir};
    struct authority first, again, changed;

    ck_ok(make(&settings, true, true), &err);
    keyring_authority(made, &first);
    ck_ok(make(&settings, true, true), &err);
    keyring_authority(made, &again);
    ck_assert_mem_eq(&first, &again, sizeof(first));
    setting[0].value = put_passphrase("two"); /* as long as before */
    ck_ok(make(&settings, true, true), &err);
    keyring_authority(made, &changed);
    ck_assert_mem_ne(&first, &changed, sizeof(first));
    ck_assert_ptr_nonnull(kept_key(fixture_dir));
    settings.state_dir = "/nonexistent/state"; /* costs time only */
    ck_ok(make(&settings, true, true), &err);
    keyring_authority(made, &again);
    ck_assert_mem_eq(&changed, &again, sizeof(first));
}
END_TEST

static const struct
{
    const char *bytes;
    size_t size;
    enum cpam_status status;
    const char *words;
} stanzas[] = {
    {"", 0, CPAM_CORRUPT, "sealed for nobody"},
    {"\x01", 1, CPAM_CORRUPT, "malformed at byte 0"},
    {"\x01\x01\x00\x00"
     "12345678",
     12, CPAM_CORRUPT, "malformed at byte 0"},
    {"\x01\x00\x00\x01"
     "12345678",
     12, CPAM_CORRUPT, "cut short at byte 0"},
    {"\x01\x00\x00\x01"
     "12345678"
     "x\x02",
     14, CPAM_CORRUPT, "malformed at byte 13"},
    {"\x09\x00\x00\x01"
     "12345678"
     "x",
     13, CPAM_USAGE, "no key held here opens it: it is sealed for 3132333435363738"},
};

START_TEST(E1_malformed_stanzas_are_refused)
{
    CPAM_AUTO(keyring_free) struct keyring *keyring = NULL;
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    uint8_t commitment[32] = {0};

    keyring = fixture_keyfile(io_posix(), "key", 1);
    ck_fails(stanzas_open(keyring, (const uint8_t *) stanzas[_i].bytes, stanzas[_i].size,
                          commitment, &key, &err),
             stanzas[_i].status, stanzas[_i].words, &err);
}
END_TEST

START_TEST(E1_more_than_sixteen_stanzas_are_refused)
{
    CPAM_AUTO(keyring_free) struct keyring *keyring = NULL;
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    uint8_t commitment[32] = {0}, bytes[17 * 12] = {0};

    keyring = fixture_keyfile(io_posix(), "key", 1);
    ck_assert_int_eq(stanzas_open(keyring, bytes, 16 * 12, commitment, &key, &err), CPAM_USAGE);
    ck_fails(stanzas_open(keyring, bytes, sizeof(bytes), commitment, &key, &err), CPAM_CORRUPT,
             "malformed at byte 192", &err);
}
END_TEST

START_TEST(E1_every_flipped_bit_of_a_stanza_is_refused)
{
    CPAM_AUTO(keyring_free) struct keyring *writer = fixture_x25519_writer(io_posix());
    CPAM_AUTO(keyring_free) struct keyring *x25519 = NULL;
    CPAM_AUTO(keyring_free) struct keyring *keyfile = NULL;
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    struct keyring *opens;
    uint8_t commitment[32];

    x25519 = fixture_x25519_reader(io_posix(), 2, 1, fixture_uuid);
    keyfile = fixture_keyfile(io_posix(), "key", 1);
    opens = _i == 0 ? x25519 : keyfile;
    ck_ok(secret_random(io_posix(), 32, &key, &err), &err);
    ck_ok(stanza_commitment(key, fixture_uuid, commitment, &err), &err);
    ck_ok(stanzas_make(_i == 0 ? writer : keyfile, io_posix(), key, commitment, &buf, &err), &err);
    ck_assert_uint_eq(buf.size, 92);
    for (size_t bit = 0; bit <= buf.size * 8; bit++)
    {
        CPAM_AUTO(secret_free) struct secret *found = NULL;
        enum cpam_status status;

        if (bit < buf.size * 8)
            buf.data[bit / 8] ^= (uint8_t) (1u << bit % 8);
        status = stanzas_open(opens, buf.data, buf.size, commitment, &found, &err);
        if (bit == buf.size * 8)
            ck_assert(status == CPAM_OK && secret_equal(found, key));
        /* the top bit of an X25519 point is ignored by RFC 7748, but it is in the KEK's salt */
        else
            ck_assert_msg(status == CPAM_CORRUPT || status == CPAM_USAGE, "bit %zu: %s", bit,
                          cpam_status_name(status));
        if (bit < buf.size * 8)
            buf.data[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
}
END_TEST

START_TEST(E1_small_order_points_are_refused)
{
    uint8_t own[32] = {8}, zero[32] = {0}, one[32] = {1}, shared[32];

    ck_fails(x25519_shared(own, zero, shared, &err), CPAM_CORRUPT, "small order", &err);
    ck_fails(x25519_shared(own, one, shared, &err), CPAM_CORRUPT, "small order", &err);
}
END_TEST

static const char json[] = "{\"format\":1,\"label\":\"b1\"}";

static void
sign(const struct keyring *keyring, struct cpam_buf *text)
{
    text->size = 0;
    ck_ok(cpam_buf_append(text, json, sizeof(json) - 1, 1 << 20, &err), &err);
    ck_ok(keyring_sign_json(keyring, "backup/b1/summary.json", text, &err), &err);
}

static enum cpam_status
verify(const struct keyring *keyring, const struct cpam_buf *text, struct cpam_buf *out)
{
    return keyring_verify_json(keyring, "backup/b1/summary.json", text->data, text->size, out,
                               &err);
}

START_TEST(E2_signed_json_is_bytes_and_place)
{
    CPAM_AUTO(keyring_free) struct keyring *writer = NULL;
    CPAM_AUTO(keyring_free) struct keyring *reader = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    static const char *const ends[] = {
        ",\"alg\":\"ed25519\",\"writer\":\"d2dd6e81a001b70a\",\"sig\":\"",
        ",\"alg\":\"hmac\",\"writer\":\"",
        ",\"alg\":\"none\",\"writer\":\"0000000000000000\",\"sig\":\""};
    uint8_t uuid[16] = {1};

    writer = _i == 0   ? fixture_x25519_writer(io_posix())
             : _i == 1 ? fixture_keyfile(io_posix(), "key", 5)
                       : fixture_unsealed(io_posix());
    reader = _i == 0   ? fixture_x25519_reader(io_posix(), 2, 1, fixture_uuid)
             : _i == 1 ? fixture_keyfile(io_posix(), "key2", 5)
                       : fixture_unsealed(io_posix());
    sign(writer, &text);
    ck_assert_mem_eq(text.data, json, sizeof(json) - 2);
    ck_assert_mem_eq(text.data + sizeof(json) - 2, ends[_i], strlen(ends[_i]));
    ck_assert_mem_eq(text.data + text.size - 3, "\"}\n", 3);
    ck_ok(verify(reader, &text, &out), &err);
    ck_assert_str_eq(cpam_buf_text(&out), json);
    for (size_t bit = 0; bit < text.size * 8; bit++)
    {
        enum cpam_status status;

        text.data[bit / 8] ^= (uint8_t) (1u << bit % 8);
        status = verify(reader, &text, &out);
        ck_assert_msg(status == CPAM_CORRUPT || status == CPAM_FOREIGN, "bit %zu: %s", bit,
                      cpam_status_name(status));
        ck_assert_ptr_nonnull(strstr(err.text, "backup/b1/summary.json"));
        text.data[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    for (size_t size = 0; size < text.size; size++)
    {
        struct cpam_buf cut = {.data = text.data, .size = size};

        ck_fails(verify(reader, &cut, &out), CPAM_CORRUPT, "does not end in a signature", &err);
    }
    ck_fails(
        keyring_verify_json(reader, "backup/b2/summary.json", text.data, text.size, &out, &err),
        CPAM_CORRUPT, "does not match: it was changed", &err);
    ck_ok(keyring_bind(reader, uuid, &err), &err);
    ck_fails(verify(reader, &text, &out), CPAM_CORRUPT, "does not match: it was changed", &err);
}
END_TEST

START_TEST(fault_9_json_of_a_stranger_is_refused)
{
    CPAM_AUTO(keyring_free) struct keyring *writer = NULL;
    CPAM_AUTO(keyring_free) struct keyring *reader = NULL;
    CPAM_AUTO(keyring_free) struct keyring *keyfile = NULL;
    CPAM_AUTO(keyring_free) struct keyring *none = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};

    writer = fixture_x25519_writer(io_posix());
    reader = fixture_x25519_reader(io_posix(), 2, 9, fixture_uuid);
    keyfile = fixture_keyfile(io_posix(), "key", 5);
    none = fixture_unsealed(io_posix());
    sign(writer, &text);
    ck_fails(verify(reader, &text, &out), CPAM_FOREIGN, "writer d2dd6e81a001b70a, which the", &err);
    ck_fails(verify(keyfile, &text, &out), CPAM_FOREIGN, "does not trust", &err);
    sign(keyfile, &text);
    ck_fails(verify(reader, &text, &out), CPAM_CORRUPT, "only their signatures count", &err);
    ck_fails(verify(none, &text, &out), CPAM_FOREIGN, "does not hold", &err);
    sign(none, &text);
    ck_fails(verify(reader, &text, &out), CPAM_CORRUPT, "unsigned data is refused", &err);
    ck_fails(verify(keyfile, &text, &out), CPAM_CORRUPT, "unsigned data is refused", &err);
    ck_assert_uint_eq(out.size, 0);
}
END_TEST

START_TEST(fault_30_only_one_way_to_write_the_end)
{
    CPAM_AUTO(keyring_free) struct keyring *keyring = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    static const char *const more[] = {"\n", " ", "}", "{}\n", "\0"};

    keyring = fixture_keyfile(io_posix(), "key", 5);
    for (size_t at = 0; at < 5; at++)
    {
        sign(keyring, &text);
        ck_ok(cpam_buf_append(&text, more[at], at == 4 ? 1 : strlen(more[at]), 1 << 20, &err),
              &err);
        ck_fails(verify(keyring, &text, &out), CPAM_CORRUPT, "does not end in a signature", &err);
    }
    sign(keyring, &text);
    text.data[text.size - 5] = 'A'; /* upper-case hex */
    ck_assert_int_eq(verify(keyring, &text, &out), CPAM_CORRUPT);
    out.size = 0;
    ck_ok(cpam_buf_reserve(&out, (1 << 20) + 1, 2 << 20, &err), &err);
    memset(out.data, ' ', (1 << 20) + 1);
    out.size = (1 << 20) + 1;
    text.size = 0;
    ck_fails(verify(keyring, &out, &text), CPAM_CORRUPT, "more than the 1048576 allowed", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("crypto/keyring");
    TCase *tcase = tcase_create("keyring");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, fixture_begin, end);
    tcase_add_test(tcase, absent_key_file_is_explained);
    tcase_add_test(tcase, reader_with_other_identities_needs_no_recipients_file);
    tcase_add_test(tcase, E3_writer_believes_what_an_older_keyfile_signed);
    tcase_add_test(tcase, fault_1_public_key_needs_writer_and_trust);
    tcase_add_loop_test(tcase, wrong_recipients_are_refused, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(tcase, wrong_trusted_writers_are_refused);
    tcase_add_test(tcase, E3_passphrase_is_a_keyfile_of_scrypt);
    tcase_add_test(tcase, E3_kept_key_is_used_until_the_passphrase_changes);
    tcase_add_loop_test(tcase, E1_malformed_stanzas_are_refused, 0,
                        sizeof(stanzas) / sizeof(stanzas[0]));
    tcase_add_test(tcase, E1_more_than_sixteen_stanzas_are_refused);
    tcase_add_loop_test(tcase, E1_every_flipped_bit_of_a_stanza_is_refused, 0, 2);
    tcase_add_test(tcase, E1_small_order_points_are_refused);
    tcase_add_loop_test(tcase, E2_signed_json_is_bytes_and_place, 0, 3);
    tcase_add_test(tcase, fault_9_json_of_a_stranger_is_refused);
    tcase_add_test(tcase, fault_30_only_one_way_to_write_the_end);
    suite_add_tcase(suite, tcase);
    return suite;
}
