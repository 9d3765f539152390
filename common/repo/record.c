/*
 * record.c - clear JSON records: fetched, verified, parsed strictly; made, signed, put.
 */
#include "repo/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "repo/authentic.h"

struct verify
{
    struct repo *repo;
    const char *key;
    struct cpam_buf *body;
};

static enum cpam_status
verify_record(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    const struct verify *verify = arg;

    verify->body->size = 0;
    return keyring_verify_json(repo_keyring(verify->repo), verify->key, data, size, verify->body,
                               err);
}

static enum cpam_status
head_check(struct repo *repo, const char *key, json_t *body, struct cpam_err *err)
{
    char uuid[TEXT_UUID_MAX];
    const char *claimed = json_string_value(json_object_get(body, "repo"));
    const json_t *format = json_object_get(body, "format");

    if (!json_is_integer(format) || json_integer_value(format) != RECORD_FORMAT)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\" is of another format than %d, the one this program knows", key,
                         RECORD_FORMAT);
    text_format_uuid(keyring_uuid(repo_keyring(repo)), uuid);
    if (claimed == NULL || strcmp(claimed, uuid) != 0)
        return cpam_fail(err, CPAM_FOREIGN, 0, "\"%s\" belongs to repository %s, not to %s", key,
                         claimed == NULL ? "(none)" : claimed, uuid);
    /* what is left are the record's own members, for record_end() to count */
    json_object_del(body, "format");
    json_object_del(body, "repo");
    return CPAM_OK;
}

enum cpam_status
record_get(struct repo *repo, const char *key, json_t **body, uint8_t digest[SHA256_SIZE],
           struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf plain = {0};
    CPAM_AUTO(json_doc_free) json_t *parsed = NULL;
    struct verify verify = {repo, key, &plain};
    struct store_info info;

    *body = NULL;
    CPAM_TRY(authentic_get(repo_store(repo), key, NULL, RECORD_MAX, verify_record, &verify, &text,
                           &info, err));
    CPAM_TRY(json_read(key, plain.data, plain.size, RECORD_MAX, &parsed, err));
    CPAM_TRY(head_check(repo, key, parsed, err));
    if (digest != NULL)
        CPAM_TRY(sha256_of(text.data, text.size, digest, err));
    *body = CPAM_STEAL(parsed);
    return CPAM_OK;
}

enum cpam_status
record_new(struct repo *repo, json_t **out, struct cpam_err *err)
{
    char uuid[TEXT_UUID_MAX];
    bool failed = false;

    *out = json_object();
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a record");
    text_format_uuid(keyring_uuid(repo_keyring(repo)), uuid);
    record_set(*out, &failed, "format", json_integer(RECORD_FORMAT));
    record_set(*out, &failed, "repo", json_string(uuid));
    return record_made("a record", failed, err);
}

enum cpam_status
record_sign(struct repo *repo, const char *key, const json_t *body, struct cpam_buf *text,
            struct cpam_err *err)
{
    CPAM_AUTO(free) char *plain = json_dumps(body, JSON_COMPACT);

    text->size = 0;
    if (plain == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to write \"%s\"", key);
    CPAM_TRY(cpam_buf_append(text, plain, strlen(plain), RECORD_MAX, err));
    return keyring_sign_json(repo_keyring(repo), key, text, err);
}

enum cpam_status
record_put(struct repo *repo, const char *key, const json_t *body, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    CPAM_TRY(record_sign(repo, key, body, &text, err));
    return store_put_new(repo_store(repo), key, text.data, text.size, STORE_CLASS_META, err);
}

struct record_reader
record_read(const json_t *object, const char *what, struct cpam_err *err)
{
    return (struct record_reader){.object = object, .what = what, .err = err};
}

void
record_refuse(struct record_reader *reader, const char *name, const char *wanted)
{
    if (!reader->failed)
        cpam_fail(reader->err, CPAM_CORRUPT, 0, "\"%s\": member \"%s\" is not %s", reader->what,
                  name, wanted);
    reader->failed = true;
}

const json_t *
record_member(struct record_reader *reader, const char *name)
{
    const json_t *member = json_object_get(reader->object, name);

    if (member == NULL && !reader->failed)
    {
        cpam_fail(reader->err, CPAM_CORRUPT, 0, "\"%s\" has no member \"%s\"", reader->what, name);
        reader->failed = true;
    }
    reader->seen++;
    return reader->failed ? NULL : member;
}

const char *
record_string(struct record_reader *reader, const char *name)
{
    const json_t *member = record_member(reader, name);

    if (member != NULL && !json_is_string(member))
        record_refuse(reader, name, "a text");
    return reader->failed ? "" : json_string_value(member);
}

void
record_text(struct record_reader *reader, const char *name, char *out, size_t cap)
{
    const char *text = record_string(reader, name);
    size_t size = strlen(text);

    out[0] = '\0';
    if (size >= cap)
        record_refuse(reader, name, "as short as it has to be");
    else
        memcpy(out, text, size + 1);
}

uint64_t
record_number(struct record_reader *reader, const char *name, uint64_t max)
{
    const json_t *member = record_member(reader, name);

    if (member == NULL)
        return 0;
    if (!json_is_integer(member) || json_integer_value(member) < 0 ||
        (uint64_t) json_integer_value(member) > max)
    {
        record_refuse(reader, name, "a number within its bounds");
        return 0;
    }
    return (uint64_t) json_integer_value(member);
}

uint64_t
record_number_text(struct record_reader *reader, const char *name, uint64_t max)
{
    const char *text = record_string(reader, name);
    struct cpam_err ignored;
    uint64_t value = 0;

    if (!reader->failed && text_parse_u64(text, max, &value, &ignored) != CPAM_OK)
        record_refuse(reader, name, "a number in a text");
    return value;
}

bool
record_bool(struct record_reader *reader, const char *name)
{
    const json_t *member = record_member(reader, name);

    if (member != NULL && !json_is_boolean(member))
        record_refuse(reader, name, "true or false");
    return !reader->failed && json_is_true(member);
}

struct lsn
record_lsn(struct record_reader *reader, const char *name)
{
    const char *text = record_string(reader, name);
    struct cpam_err ignored;
    struct lsn value = {0};

    if (!reader->failed && lsn_parse(text, &value, &ignored) != CPAM_OK)
        record_refuse(reader, name, "an LSN");
    return value;
}

int64_t
record_time(struct record_reader *reader, const char *name)
{
    const char *text = record_string(reader, name);
    struct cpam_err ignored;
    int64_t value = 0;

    if (!reader->failed && text_parse_time(text, &value, &ignored) != CPAM_OK)
        record_refuse(reader, name, "a time");
    return value;
}

void
record_hex(struct record_reader *reader, const char *name, uint8_t *out, size_t size)
{
    const char *text = record_string(reader, name);
    struct cpam_err ignored;

    memset(out, 0, size);
    if (!reader->failed && text_unhex(text, out, size, false, &ignored) != CPAM_OK)
        record_refuse(reader, name, "hex of the right length");
}

void
record_null(struct record_reader *reader, const char *name)
{
    const json_t *member = record_member(reader, name);

    if (member != NULL && !json_is_null(member))
        record_refuse(reader, name, "null, the one value this version knows");
}

enum cpam_status
record_end(struct record_reader *reader)
{
    if (!reader->failed && json_object_size(reader->object) != reader->seen)
    {
        cpam_fail(reader->err, CPAM_CORRUPT, 0,
                  "\"%s\" has members this version does not know (%zu, not %zu)", reader->what,
                  json_object_size(reader->object), reader->seen);
        cpam_err_hint(reader->err, "it may have been written by a newer version of CPAM");
        reader->failed = true;
    }
    return reader->failed ? reader->err->status : CPAM_OK;
}

void
record_set(json_t *object, bool *failed, const char *name, json_t *value)
{
    /* json_object_set_new takes the value over, and frees it when it fails */
    if (json_object_set_new(object, name, value) != 0)
        *failed = true;
}

void
record_set_number_text(json_t *object, bool *failed, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    record_set(object, failed, name, json_string(text));
}

void
record_set_lsn(json_t *object, bool *failed, const char *name, struct lsn value)
{
    char text[LSN_TEXT_MAX];

    lsn_format(value, text);
    record_set(object, failed, name, json_string(text));
}

void
record_set_time(json_t *object, bool *failed, const char *name, int64_t us)
{
    char text[TEXT_TIME_MAX];

    text_format_time(us, text);
    record_set(object, failed, name, json_string(text));
}

void
record_set_hex(json_t *object, bool *failed, const char *name, const uint8_t *data, size_t size)
{
    char text[2 * 64 + 1];

    if (size > 64)
    {
        *failed = true;
        return;
    }
    text_hex(data, size, text);
    record_set(object, failed, name, json_string(text));
}

enum cpam_status
record_made(const char *what, bool failed, struct cpam_err *err)
{
    if (failed)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for %s, or a text in it is not UTF-8",
                         what);
    return CPAM_OK;
}
