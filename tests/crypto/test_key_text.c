/*
 * test_key_text.c - key texts against the format's vector, and what is refused of them.
 */
#include "suite.h"

#include <ctype.h>

#include "crypto/key_text.h"
#include "crypto/signature.h"

#define SECRET_2 "cpam1secaebaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibafnetyw6q"
#define PUBLIC_2 "cpam1pubahhi2owrzs3dh3d3odaxqfffy5xm2auwqucq2nchiw5albyolb6vssvg5lva"

START_TEST(vector_of_the_format)
{
    uint8_t key[32], back[32], public_key[32];
    char text[KEY_TEXT_MAX];
    struct cpam_err err;

    memset(key, 2, sizeof(key));
    ck_ok(key_text_format(KEY_TEXT_X25519_SECRET, key, text, &err), &err);
    ck_assert_str_eq(text, SECRET_2);
    ck_ok(key_text_parse(KEY_TEXT_X25519_SECRET, text, strlen(text), back, &err), &err);
    ck_assert_mem_eq(back, key, 32);
    ck_ok(x25519_public(key, public_key, &err), &err);
    ck_ok(key_text_format(KEY_TEXT_X25519_PUBLIC, public_key, text, &err), &err);
    ck_assert_str_eq(text, PUBLIC_2);
}
END_TEST

START_TEST(every_kind_comes_back)
{
    uint8_t key[32], back[32];
    char text[KEY_TEXT_MAX];
    struct cpam_err err;

    for (size_t at = 0; at < 32; at++)
        key[at] = (uint8_t) (at * 37 + 5);
    ck_ok(key_text_format((enum key_text_kind) _i, key, text, &err), &err);
    ck_assert_int_eq(key_text_kind_of(text, strlen(text)), _i);
    for (char *at = text; *at != '\0'; at++) /* case is folded */
        *at = (char) toupper((unsigned char) *at);
    ck_ok(key_text_parse((enum key_text_kind) _i, text, strlen(text), back, &err), &err);
    ck_assert_mem_eq(back, key, 32);
}
END_TEST

START_TEST(every_mistyped_digit_is_found)
{
    char text[] = PUBLIC_2;
    uint8_t key[32];
    struct cpam_err err;

    for (size_t at = 8; at < sizeof(text) - 1; at++)
    {
        char was = text[at];

        text[at] = was == 'q' ? 'p' : 'q';
        ck_assert_int_eq(key_text_parse(KEY_TEXT_X25519_PUBLIC, text, sizeof(text) - 1, key, &err),
                         CPAM_USAGE);
        text[at] = was;
    }
    ck_ok(key_text_parse(KEY_TEXT_X25519_PUBLIC, text, sizeof(text) - 1, key, &err), &err);
}
END_TEST

static const struct
{
    enum key_text_kind kind;
    const char *text, *words;
} refused[] = {
    {KEY_TEXT_X25519_PUBLIC, SECRET_2, "found an x25519 private key"},
    {KEY_TEXT_X25519_SECRET, PUBLIC_2, "found an x25519 public key"},
    {KEY_TEXT_WRITER_PUBLIC, PUBLIC_2, "wanted a writer's public key (cpam1wpub...)"},
    {KEY_TEXT_KEYFILE, "hunter2", "found no key of this suite"},
    {KEY_TEXT_KEYFILE, "", "found no key of this suite"},
    {KEY_TEXT_KEYFILE, "cpam1key", "found no key of this suite"},
    {KEY_TEXT_X25519_PUBLIC, "cpam1pubae", "is not 60 letters"},
    /* the last digit's four spare bits */
    {KEY_TEXT_X25519_PUBLIC, "cpam1pubahhi2owrzs3dh3d3odaxqfffy5xm2auwqucq2nchiw5albyolb6vssvg5lvb",
     "is not 60 letters"},
    {KEY_TEXT_X25519_PUBLIC, PUBLIC_2 "a", "is not 60 letters"},
    {KEY_TEXT_X25519_PUBLIC, "cpam1pubahhi2owrzs3dh3d3odaxqfffy5xm2auwqucq2nchiw5albyolb6vssvg51va",
     "is not 60 letters"},
    {KEY_TEXT_X25519_PUBLIC, "cpam1pubaihi2owrzs3dh3d3odaxqfffy5xm2auwqucq2nchiw5albyolb6vssvg5lva",
     "is of type 2, which this version does not know"},
};

START_TEST(others_are_refused)
{
    uint8_t key[32];
    struct cpam_err err;

    ck_fails(
        key_text_parse(refused[_i].kind, refused[_i].text, strlen(refused[_i].text), key, &err),
        CPAM_USAGE, refused[_i].words, &err);
}
END_TEST

START_TEST(E8_refusal_shows_no_secret)
{
    char text[] = SECRET_2;
    uint8_t key[32];
    struct cpam_err err;

    text[30] = text[30] == 'q' ? 'p' : 'q';
    ck_fails(key_text_parse(KEY_TEXT_X25519_SECRET, text, sizeof(text) - 1, key, &err), CPAM_USAGE,
             "mistyped", &err);
    ck_assert_ptr_null(strstr(err.text, "aebaea"));
    ck_assert_ptr_null(strstr(err.hint, "aebaea"));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("crypto/key_text");
    TCase *tcase = tcase_create("key_text");

    tcase_add_test(tcase, vector_of_the_format);
    tcase_add_loop_test(tcase, every_kind_comes_back, 0, KEY_TEXT_COUNT);
    tcase_add_test(tcase, every_mistyped_digit_is_found);
    tcase_add_loop_test(tcase, others_are_refused, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, E8_refusal_shows_no_secret);
    suite_add_tcase(suite, tcase);
    return suite;
}
