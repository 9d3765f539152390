/*
 * test_message.c - what is written is read the same, and nothing else is read at all.
 */
#include "suite.h"

#include "base/bytes.h"
#include "handoff/message.h"

static uint8_t bytes[HANDOFF_MESSAGE_MAX];

static struct handoff_message
question(void)
{
    return (struct handoff_message){
        .type = HANDOFF_MESSAGE_QUESTION,
        .version = "1.2.3",
        .config = "/etc/cpam/cpam.yaml",
        .config_stamp = {1, 2, 3, -4},
        .program_stamp = {UINT64_MAX, 6, 7, INT64_MAX},
        .role = HANDOFF_FETCH,
        .name = "000000010000000000000001",
        .stamp = {9, 10, 11, INT64_MIN},
        .left = 12345678,
    };
}

static struct handoff_message
answer(void)
{
    return (struct handoff_message){
        .type = HANDOFF_MESSAGE_ANSWER,
        .status = CPAM_TRANSIENT,
        .path = "/var/spool/cpam/x",
        .sentence = "it did not work",
        .hint = "",
    };
}

static size_t
write_down(const struct handoff_message *message)
{
    struct cpam_err err;
    size_t size = 0;

    ck_ok(handoff_message_write(message, bytes, &size, &err), &err);
    return size;
}

START_TEST(question_comes_back)
{
    struct handoff_message sent = question(), got;
    struct cpam_err err;

    ck_ok(handoff_message_parse(bytes, write_down(&sent), &got, &err), &err);
    ck_assert_int_eq(got.type, HANDOFF_MESSAGE_QUESTION);
    ck_assert_int_eq(got.protocol, HANDOFF_PROTOCOL);
    ck_assert_str_eq(got.version, sent.version);
    ck_assert_str_eq(got.config, sent.config);
    ck_assert(handoff_stamp_same(&got.config_stamp, &sent.config_stamp));
    ck_assert(handoff_stamp_same(&got.program_stamp, &sent.program_stamp));
    ck_assert_int_eq(got.role, HANDOFF_FETCH);
    ck_assert_str_eq(got.name, sent.name);
    ck_assert(handoff_stamp_same(&got.stamp, &sent.stamp));
    ck_assert_int_eq(got.left, sent.left);
}
END_TEST

START_TEST(answer_comes_back)
{
    struct handoff_message sent = answer(), got;
    struct cpam_err err;

    ck_ok(handoff_message_parse(bytes, write_down(&sent), &got, &err), &err);
    ck_assert_int_eq(got.type, HANDOFF_MESSAGE_ANSWER);
    ck_assert_int_eq(got.status, CPAM_TRANSIENT);
    ck_assert_str_eq(got.path, sent.path);
    ck_assert_str_eq(got.sentence, sent.sentence);
    ck_assert_str_eq(got.hint, "");
}
END_TEST

START_TEST(every_member_of_a_stamp_counts)
{
    const struct handoff_stamp one = {1, 2, 3, 4};
    const struct handoff_stamp others[] = {{0, 2, 3, 4}, {1, 0, 3, 4}, {1, 2, 0, 4}, {1, 2, 3, 0}};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert(!handoff_stamp_same(&one, &others[i]));
    ck_assert(handoff_stamp_same(&one, &one));
}
END_TEST

START_TEST(every_cut_is_refused)
{
    struct handoff_message messages[] = {question(), answer()}, got;
    struct cpam_err err;

    for (size_t i = 0; i < 2; i++)
    {
        size_t size = write_down(&messages[i]);

        for (size_t cut = 0; cut < size; cut++)
        {
            CPAM_AUTO(free) uint8_t *part = malloc(cut + 1);

            /* once as it came, once with a length that goes with it */
            memcpy(part, bytes, cut);
            ck_fails(handoff_message_parse(part, cut, &got, &err), CPAM_CORRUPT, "", &err);
            if (cut < HANDOFF_HEADER_SIZE)
                continue;
            le32_put(part + 8, (uint32_t) cut);
            ck_fails(handoff_message_parse(part, cut, &got, &err), CPAM_CORRUPT, "damaged", &err);
        }
        bytes[size] = 0;
        le32_put(bytes + 8, (uint32_t) size + 1);
        ck_fails(handoff_message_parse(bytes, size + 1, &got, &err), CPAM_CORRUPT, "damaged", &err);
    }
}
END_TEST

START_TEST(damage_is_refused)
{
    static const struct
    {
        size_t at;
        uint8_t value;
        const char *words;
    } rows[] = {
        {0, 'X', "no message of this suite"},
        {6, 77, "type 77"},
        {6, HANDOFF_MESSAGE_TICK, "damaged"},
        {8, 1, "came as"},
        {12, 0, "damaged"},    /* the version's size */
        {12, 5, "damaged"},    /* one less: its NUL is not the last byte */
        {12, 7, "damaged"},    /* one more: there are two NULs, or none */
        {13, 0xff, "damaged"}, /* beyond the end */
        {15, 0, "damaged"},    /* a NUL inside of it */
    };
    struct handoff_message sent = question(), got;
    struct cpam_err err;
    size_t size = write_down(&sent);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    {
        uint8_t kept = bytes[rows[i].at];

        bytes[rows[i].at] = rows[i].value;
        ck_fails(handoff_message_parse(bytes, size, &got, &err), CPAM_CORRUPT, rows[i].words, &err);
        bytes[rows[i].at] = kept;
    }
    ck_ok(handoff_message_parse(bytes, size, &got, &err), &err);
}
END_TEST

START_TEST(number_out_of_range_is_refused)
{
    struct handoff_message sent = question(), got;
    struct cpam_err err;

    sent.role = (enum handoff_role) 2;
    ck_fails(handoff_message_parse(bytes, write_down(&sent), &got, &err), CPAM_CORRUPT, "damaged",
             &err);
    sent = answer();
    sent.status = CPAM_STATUS_COUNT;
    ck_fails(handoff_message_parse(bytes, write_down(&sent), &got, &err), CPAM_CORRUPT, "damaged",
             &err);
}
END_TEST

START_TEST(another_protocol_is_known_by_its_first_bytes)
{
    struct handoff_message sent = question(), got;
    struct cpam_err err;

    write_down(&sent);
    le16_put(bytes + 4, HANDOFF_PROTOCOL + 1);
    ck_ok(handoff_message_parse(bytes, HANDOFF_HEADER_SIZE, &got, &err), &err);
    ck_assert_int_eq(got.protocol, HANDOFF_PROTOCOL + 1);
}
END_TEST

START_TEST(text_that_is_too_long_is_not_written)
{
    char text[HANDOFF_TEXT_MAX + 1];
    struct handoff_message long_name = question(), long_path = answer(), longest = answer(), got;
    struct cpam_err err;
    size_t size;

    memset(text, 'x', sizeof(text) - 1);
    text[HANDOFF_TEXT_MAX] = '\0';
    long_name.name = text;
    long_path.path = text;
    ck_fails(handoff_message_write(&long_name, bytes, &size, &err), CPAM_INVALID, "too long", &err);
    ck_fails(handoff_message_write(&long_path, bytes, &size, &err), CPAM_INVALID, "too long", &err);
    /* and the longest there may be */
    text[HANDOFF_TEXT_MAX - 1] = '\0';
    longest.sentence = longest.hint = text;
    longest.path = text + HANDOFF_TEXT_MAX - HANDOFF_PATH_MAX;
    ck_ok(handoff_message_parse(bytes, write_down(&longest), &got, &err), &err);
    ck_assert_str_eq(got.hint, text);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("handoff/message");
    TCase *tcase = tcase_create("message");

    tcase_add_test(tcase, question_comes_back);
    tcase_add_test(tcase, answer_comes_back);
    tcase_add_test(tcase, every_member_of_a_stamp_counts);
    tcase_add_test(tcase, every_cut_is_refused);
    tcase_add_test(tcase, damage_is_refused);
    tcase_add_test(tcase, number_out_of_range_is_refused);
    tcase_add_test(tcase, another_protocol_is_known_by_its_first_bytes);
    tcase_add_test(tcase, text_that_is_too_long_is_not_written);
    suite_add_tcase(suite, tcase);
    return suite;
}
