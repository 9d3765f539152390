/*
 * test_record.c - the members of a signed record: each is there, of its kind and within its bounds, and
 * nothing else is; and a record of another format or repository is not this one's.
 */
#include "repo/repo_fixture.h"

#include "base/json.h"
#include "repo/record.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

static struct cpam_err err;

enum kind
{
    STRING,
    TEXT,
    NUMBER,
    NUMBER_TEXT,
    BOOL,
    LSN,
    TIME,
    HEX,
    NOTHING
};

static void
read_one(struct record_reader *reader, enum kind kind)
{
    char text[5] = "?";
    uint8_t bytes[4];

    switch (kind)
    {
    case STRING: ck_assert_ptr_nonnull(record_string(reader, "m")); break;
    case TEXT: record_text(reader, "m", text, sizeof(text)); break;
    case NUMBER: ck_assert_uint_le(record_number(reader, "m", 100), 100); break;
    case NUMBER_TEXT: ck_assert_uint_le(record_number_text(reader, "m", 100), 100); break;
    case BOOL: (void) record_bool(reader, "m"); break;
    case LSN: (void) record_lsn(reader, "m"); break;
    case TIME: (void) record_time(reader, "m"); break;
    case HEX: record_hex(reader, "m", bytes, sizeof(bytes)); break;
    case NOTHING: record_null(reader, "m"); break;
    }
}

static const struct
{
    enum kind kind;
    const char *json, *words; /* words NULL: it is taken */
} members[] = {
    {STRING, "{\"m\": \"x\"}", NULL},
    {STRING, "{\"m\": \"\"}", NULL},
    {STRING, "{\"m\": 1}", "a text"},
    {STRING, "{\"m\": null}", "a text"},
    {STRING, "{}", "\"the record\" has no member \"m\""},
    {STRING, "{\"n\": \"x\"}", "\"the record\" has no member \"m\""},
    {STRING, "{\"m\": \"x\", \"n\": 1}", "members this version does not know (2, not 1)"},
    {TEXT, "{\"m\": \"four\"}", NULL},
    {TEXT, "{\"m\": \"fives\"}", "as short as it has to be"},
    {TEXT, "{\"m\": [\"a\"]}", "a text"},
    {NUMBER, "{\"m\": 0}", NULL},
    {NUMBER, "{\"m\": 100}", NULL},
    {NUMBER, "{\"m\": 101}", "a number within its bounds"},
    {NUMBER, "{\"m\": -1}", "a number within its bounds"},
    {NUMBER, "{\"m\": \"1\"}", "a number within its bounds"},
    {NUMBER, "{\"m\": 1.5}", "a number within its bounds"},
    {NUMBER, "{}", "no member"},
    {NUMBER_TEXT, "{\"m\": \"100\"}", NULL},
    {NUMBER_TEXT, "{\"m\": \"101\"}", "a number in a text"},
    {NUMBER_TEXT, "{\"m\": \" 1\"}", "a number in a text"},
    {NUMBER_TEXT, "{\"m\": \"-1\"}", "a number in a text"},
    {NUMBER_TEXT, "{\"m\": \"\"}", "a number in a text"},
    {NUMBER_TEXT, "{\"m\": 1}", "a text"},
    {BOOL, "{\"m\": true}", NULL},
    {BOOL, "{\"m\": false}", NULL},
    {BOOL, "{\"m\": 1}", "true or false"},
    {BOOL, "{\"m\": \"true\"}", "true or false"},
    {LSN, "{\"m\": \"1/2000028\"}", NULL},
    {LSN, "{\"m\": \"1-2000028\"}", "an LSN"},
    {LSN, "{\"m\": \"1/200002800\"}", "an LSN"},
    {LSN, "{\"m\": 12}", "a text"},
    {TIME, "{\"m\": \"2026-11-23T17:00:00Z\"}", NULL},
    {TIME, "{\"m\": \"yesterday\"}", "a time"},
    {TIME, "{\"m\": \"2026-13-23T17:00:00Z\"}", "a time"},
    {HEX, "{\"m\": \"00c0ffee\"}", NULL},
    {HEX, "{\"m\": \"00c0ff\"}", "hex of the right length"},
    {HEX, "{\"m\": \"00c0ffee00\"}", "hex of the right length"},
    {HEX, "{\"m\": \"00c0ffeg\"}", "hex of the right length"},
    {HEX, "{\"m\": \"00C0FFEE\"}", "hex of the right length"},
    {NOTHING, "{\"m\": null}", NULL},
    {NOTHING, "{\"m\": 0}", "null, the one value this version knows"},
};

START_TEST(a_member_is_of_its_kind)
{
    CPAM_AUTO(json_doc_free) json_t *json = json_loads(members[_i].json, 0, NULL);

    ck_assert_ptr_nonnull(json);
    struct record_reader reader = record_read(json, "the record", &err);
    read_one(&reader, members[_i].kind);
    if (members[_i].words == NULL)
        ck_ok(record_end(&reader), &err);
    else
        ck_fails(record_end(&reader), CPAM_CORRUPT, members[_i].words, &err);
}
END_TEST

START_TEST(the_first_refusal_is_the_one_that_is_told)
{
    CPAM_AUTO(json_doc_free) json_t *json = json_loads("{\"a\": 1, \"b\": \"x\"}", 0, NULL);
    struct record_reader reader = record_read(json, "the record", &err);
    uint8_t bytes[2] = {7, 7};

    ck_assert_str_eq(record_string(&reader, "a"), "");
    ck_assert_uint_eq(record_number(&reader, "b", 9), 0);
    record_hex(&reader, "c", bytes, 2);
    ck_assert_uint_eq(bytes[0] + bytes[1], 0);
    ck_assert(!record_bool(&reader, "d"));
    ck_assert_uint_eq(record_lsn(&reader, "e").at, 0);
    ck_assert_int_eq(record_time(&reader, "f"), 0);
    ck_assert_uint_eq(record_number_text(&reader, "g", 9), 0);
    ck_fails(record_end(&reader), CPAM_CORRUPT, "\"a\"", &err);
    ck_assert_ptr_null(strstr(err.text, "\"b\""));
}
END_TEST

START_TEST(a_member_that_cannot_be_written_is_remembered)
{
    CPAM_AUTO(json_doc_free) json_t *json = json_object();
    uint8_t bytes[65] = {0};
    bool failed = false;

    record_set_number_text(json, &failed, "n", UINT64_MAX);
    record_set_hex(json, &failed, "h", bytes, 64);
    ck_ok(record_made("the record", failed, &err), &err);
    ck_assert_str_eq(json_string_value(json_object_get(json, "n")), "18446744073709551615");
    record_set_hex(json, &failed, "long", bytes, 65);
    ck_assert_ptr_null(json_object_get(json, "long"));
    record_set(json, &failed, "after", json_true()); /* a success does not make it good again */
    ck_fails(record_made("the record", failed, &err), CPAM_NO_MEMORY, "the record", &err);
    failed = false;
    record_set(json, &failed, "text", json_string("\xff")); /* no UTF-8: jansson makes none of it */
    ck_fails(record_made("the record", failed, &err), CPAM_NO_MEMORY, "is not UTF-8", &err);
}
END_TEST

/* --- records in a repository ----------------------------------------------------------------- */

static struct repo_fixture self;

static void
begin(void)
{
    repo_fixture_begin(&self, false);
}

static void
end(void)
{
    repo_fixture_end_with_files(&self);
}

static const struct
{
    const char *member, *json; /* what is put in place of an honest one */
    enum cpam_status status;
    const char *words;
} heads[] = {
    {"format", "[2]", CPAM_INVALID, "is of another format than"},
    {"format", "[\"1\"]", CPAM_INVALID, "is of another format than"},
    {"repo", "[\"00000000-0000-4000-8000-000000000000\"]", CPAM_FOREIGN,
     "belongs to repository 00000000-0000-4000-8000-000000000000, not to "},
    {"repo", "[7]", CPAM_FOREIGN, "belongs to repository (none)"},
    {NULL, NULL, CPAM_OK, ""},
};

START_TEST(a_signed_record_of_another_repository_or_format_is_refused)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    CPAM_AUTO(json_doc_free) json_t *back = NULL;
    uint8_t digest[SHA256_SIZE];

    ck_ok(record_new(self.repo, &body, &err), &err);
    if (heads[_i].member != NULL)
    {
        CPAM_AUTO(json_doc_free) json_t *value = json_loads(heads[_i].json, 0, NULL);

        json_object_set(body, heads[_i].member, json_array_get(value, 0));
    }
    ck_ok(record_put(self.repo, "intent/x", body, &err), &err);
    enum cpam_status status = record_get(self.repo, "intent/x", &back, digest, &err);
    if (heads[_i].status == CPAM_OK)
    {
        ck_ok(status, &err);
        ck_assert_uint_eq(json_object_size(back), 0);
    }
    else
        ck_fails(status, heads[_i].status, heads[_i].words, &err);
}
END_TEST

START_TEST(a_record_is_put_once_and_read_from_its_own_name)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    CPAM_AUTO(json_doc_free) json_t *back = NULL;

    ck_ok(record_new(self.repo, &body, &err), &err);
    ck_ok(record_put(self.repo, "intent/x", body, &err), &err);
    ck_fails(record_put(self.repo, "intent/x", body, &err), CPAM_EXISTS, "intent/x", &err);
    ck_fails(record_get(self.repo, "intent/y", &back, NULL, &err), CPAM_NOT_FOUND, "intent/y",
             &err);
    /* copied to another name by somebody with the bucket's credentials */
    struct memory_version *stored = memory_current(&self.bucket, "intent/x");
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf copy = {0};
    ck_ok(cpam_buf_append(&copy, stored->data, stored->size, 1 << 20, &err), &err);
    memory_overwrite(&self.bucket, "intent/y", copy.data, copy.size);
    ck_assert_int_ne(record_get(self.repo, "intent/y", &back, NULL, &err), CPAM_OK);
    ck_assert_ptr_nonnull(strstr(err.text, "intent/y"));
    ck_assert_ptr_null(back);
    copy.data[copy.size / 2] ^= 1;
    memory_overwrite(&self.bucket, "intent/x", copy.data, copy.size);
    ck_assert_int_ne(record_get(self.repo, "intent/x", &back, NULL, &err), CPAM_OK);
    ck_assert_ptr_nonnull(strstr(err.text, "intent/x"));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/record");
    TCase *tcase = tcase_create("members");

    tcase_add_loop_test(tcase, a_member_is_of_its_kind, 0, COUNT_OF(members));
    tcase_add_test(tcase, the_first_refusal_is_the_one_that_is_told);
    tcase_add_test(tcase, a_member_that_cannot_be_written_is_remembered);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("records");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, a_signed_record_of_another_repository_or_format_is_refused, 0,
                        COUNT_OF(heads));
    tcase_add_test(tcase, a_record_is_put_once_and_read_from_its_own_name);
    suite_add_tcase(suite, tcase);
    return suite;
}
