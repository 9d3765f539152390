/*
 * test_digest.c - digests, key derivation and AES-256-GCM against published vectors.
 */
#include "suite.h"

#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/digest.h"

static void
expect_hex(const void *data, size_t size, const char *hex)
{
    char text[512];

    text_hex(data, size, text);
    ck_assert_str_eq(text, hex);
}

START_TEST(sha256_of_abc) /* FIPS 180-4 */
{
    CPAM_AUTO(sha256_free) struct sha256 *sha = NULL;
    uint8_t digest[SHA256_SIZE];
    struct cpam_err err;
    static const char hex[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    ck_ok(sha256_of("abc", 3, digest, &err), &err);
    expect_hex(digest, sizeof(digest), hex);
    ck_ok(sha256_new(&sha, &err), &err);
    for (int round = 0; round < 2; round++) /* it starts anew by itself */
    {
        ck_ok(sha256_add(sha, "a", 1, &err), &err);
        ck_ok(sha256_add(sha, "bc", 2, &err), &err);
        ck_ok(sha256_end(sha, digest, &err), &err);
        expect_hex(digest, sizeof(digest), hex);
    }
}
END_TEST

START_TEST(hmac_of_rfc4231)
{
    uint8_t digest[SHA256_SIZE];
    struct cpam_err err;

    ck_ok(hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest, &err), &err);
    expect_hex(digest, sizeof(digest),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
END_TEST

START_TEST(hkdf_of_rfc5869)
{
    uint8_t ikm[22], salt[13], info[10], out[42];
    struct cpam_err err;

    memset(ikm, 0x0b, sizeof(ikm));
    for (unsigned at = 0; at < sizeof(salt); at++)
        salt[at] = (uint8_t) at;
    for (unsigned at = 0; at < sizeof(info); at++)
        info[at] = (uint8_t) (0xf0 + at);
    ck_ok(hkdf_sha256(ikm, sizeof(ikm), salt, sizeof(salt), info, sizeof(info), out, sizeof(out),
                      &err),
          &err);
    expect_hex(
        out, sizeof(out),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    /* test case 3: neither salt nor info */
    ck_ok(hkdf_sha256(ikm, sizeof(ikm), NULL, 0, "", 0, out, sizeof(out), &err), &err);
    expect_hex(
        out, sizeof(out),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}
END_TEST

START_TEST(gcm_of_nist) /* GCM specification, test cases 14 and 13 */
{
    CPAM_AUTO(aead_free) struct aead *seals = NULL;
    CPAM_AUTO(aead_free) struct aead *opens = NULL;
    uint8_t key[32] = {0}, nonce[12] = {0}, data[16] = {0}, tag[16];
    struct cpam_err err;

    ck_ok(aead_new(key, 1, &seals, &err), &err);
    ck_ok(aead_new(key, 0, &opens, &err), &err);
    for (int round = 0; round < 2; round++)
    {
        memset(data, 0, sizeof(data));
        ck_ok(aead_seal(seals, nonce, NULL, 0, data, 16, data, tag, &err), &err);
        expect_hex(data, 16, "cea7403d4d606b6e074ec5d3baf39d18");
        expect_hex(tag, 16, "d0d1c8a799996bf0265b98b5d48ab919");
        ck_ok(aead_open(opens, nonce, NULL, 0, data, 16, tag, data, &err), &err);
        expect_hex(data, 16, "00000000000000000000000000000000");
        ck_ok(aead_seal(seals, nonce, NULL, 0, NULL, 0, NULL, tag, &err), &err);
        expect_hex(tag, 16, "530f8afbc74536b9a963b4f1c4cb738b");
    }
}
END_TEST

START_TEST(E1_wrong_tag_leaves_no_plaintext)
{
    CPAM_AUTO(aead_free) struct aead *seals = NULL;
    CPAM_AUTO(aead_free) struct aead *opens = NULL;
    uint8_t key[32] = {1}, nonce[12] = {0}, data[100], sealed[100], tag[16];
    static const uint8_t zeros[100];
    struct cpam_err err;

    memset(data, 'x', sizeof(data));
    ck_ok(aead_new(key, 1, &seals, &err), &err);
    ck_ok(aead_new(key, 0, &opens, &err), &err);
    ck_ok(aead_seal(seals, nonce, "place", 5, data, 100, sealed, tag, &err), &err);
    ck_fails(aead_open(opens, nonce, "plaze", 5, sealed, 100, tag, data, &err), CPAM_CORRUPT,
             "tag does not match", &err);
    ck_assert_mem_eq(data, zeros, 100);
    nonce[11] = 1;
    ck_assert_int_eq(aead_open(opens, nonce, "place", 5, sealed, 100, tag, data, &err),
                     CPAM_CORRUPT);
    nonce[11] = 0;
    ck_ok(aead_open(opens, nonce, "place", 5, sealed, 100, tag, data, &err), &err);
    ck_assert_uint_eq(data[99], 'x');
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("crypto/digest");
    TCase *tcase = tcase_create("digest");

    tcase_add_test(tcase, sha256_of_abc);
    tcase_add_test(tcase, hmac_of_rfc4231);
    tcase_add_test(tcase, hkdf_of_rfc5869);
    tcase_add_test(tcase, gcm_of_nist);
    tcase_add_test(tcase, E1_wrong_tag_leaves_no_plaintext);
    suite_add_tcase(suite, tcase);
    return suite;
}
