/*
 * json_read.c - strict reading over jansson: duplicate keys, NUL bytes and anything behind the
 * object are refused, and each missing or wrong member is named.
 */
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

enum cpam_status
json_read(const char *what, const void *text, size_t size, size_t limit, json_t **out,
          struct cpam_err *err)
{
    json_error_t reason;

    *out = NULL;
    if (size > limit)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the %s has %zu bytes, more than the allowed %zu",
                         what, size, limit);
    json_t *doc = json_loadb(text, size, JSON_REJECT_DUPLICATES, &reason);
    if (doc == NULL)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the %s is not valid JSON: line %d: %s", what,
                         reason.line, reason.text);
    if (!json_is_object(doc))
    {
        json_decref(doc);
        return cpam_fail(err, CPAM_CORRUPT, 0, "the %s is not a JSON object", what);
    }
    *out = doc;
    return CPAM_OK;
}

static const char *
kind_of(const json_t *value)
{
    switch (json_typeof(value))
    {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a text";
    case JSON_INTEGER: return "a number";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "a truth value";
    case JSON_NULL: return "null";
    }
    return "something else";
}

static enum cpam_status
wrong_kind(const char *key, const json_t *value, const char *wanted, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" is %s instead of %s", key, kind_of(value),
                     wanted);
}

static enum cpam_status
member(const json_t *object, const char *key, json_t **out, struct cpam_err *err)
{
    *out = json_object_get(object, key);
    if (*out == NULL)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" is missing", key);
    return CPAM_OK;
}

static bool
is_absent(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value == NULL || json_is_null(value);
}

enum cpam_status
json_get_text(const json_t *object, const char *key, const char **out, struct cpam_err *err)
{
    json_t *value;

    CPAM_TRY(member(object, key, &value, err));
    if (!json_is_string(value))
        return wrong_kind(key, value, "a text", err);
    *out = json_string_value(value); /* no NUL inside: jansson refuses \u0000 by default */
    return CPAM_OK;
}

enum cpam_status
json_get_text_optional(const json_t *object, const char *key, const char **out,
                       struct cpam_err *err)
{
    *out = NULL;
    return is_absent(object, key) ? CPAM_OK : json_get_text(object, key, out, err);
}

enum cpam_status
json_get_u64(const json_t *object, const char *key, uint64_t max, uint64_t *out,
             struct cpam_err *err)
{
    json_t *value;

    CPAM_TRY(member(object, key, &value, err));
    if (json_is_string(value))
    {
        if (text_parse_u64(json_string_value(value), max, out, err) == CPAM_OK)
            return CPAM_OK;
        cpam_err_prefix(err, "\"%s\"", key);
        return err->status = CPAM_CORRUPT;
    }
    if (!json_is_integer(value))
        return wrong_kind(key, value, "a number", err);
    json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t) number > max)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "\"%s\" is %" JSON_INTEGER_FORMAT ", not between 0 and %" PRIu64, key,
                         number, max);
    *out = (uint64_t) number;
    return CPAM_OK;
}

enum cpam_status
json_get_u64_optional(const json_t *object, const char *key, uint64_t max, uint64_t otherwise,
                      uint64_t *out, struct cpam_err *err)
{
    *out = otherwise;
    return is_absent(object, key) ? CPAM_OK : json_get_u64(object, key, max, out, err);
}

enum cpam_status
json_get_i64(const json_t *object, const char *key, int64_t *out, struct cpam_err *err)
{
    json_t *value;

    CPAM_TRY(member(object, key, &value, err));
    if (!json_is_integer(value))
        return wrong_kind(key, value, "a number", err);
    *out = json_integer_value(value);
    return CPAM_OK;
}

enum cpam_status
json_get_bool(const json_t *object, const char *key, bool *out, struct cpam_err *err)
{
    json_t *value;

    CPAM_TRY(member(object, key, &value, err));
    if (!json_is_boolean(value))
        return wrong_kind(key, value, "true or false", err);
    *out = json_is_true(value);
    return CPAM_OK;
}

enum cpam_status
json_get_array(const json_t *object, const char *key, size_t max, json_t **out,
               struct cpam_err *err)
{
    json_t *value;

    CPAM_TRY(member(object, key, &value, err));
    if (!json_is_array(value))
        return wrong_kind(key, value, "an array", err);
    if (json_array_size(value) > max)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" has %zu elements, more than the allowed %zu",
                         key, json_array_size(value), max);
    *out = value;
    return CPAM_OK;
}

enum cpam_status
json_get_object(const json_t *object, const char *key, json_t **out, struct cpam_err *err)
{
    json_t *value;

    CPAM_TRY(member(object, key, &value, err));
    if (!json_is_object(value))
        return wrong_kind(key, value, "an object", err);
    *out = value;
    return CPAM_OK;
}

enum cpam_status
json_object_at(const json_t *array, size_t index, json_t **out, struct cpam_err *err)
{
    json_t *value = json_array_get(array, index);

    if (!json_is_object(value))
        return cpam_fail(err, CPAM_CORRUPT, 0, "element %zu is %s instead of an object", index,
                         value == NULL ? "missing" : kind_of(value));
    *out = value;
    return CPAM_OK;
}

enum cpam_status
json_text_at(const json_t *array, size_t index, const char **out, struct cpam_err *err)
{
    const json_t *value = json_array_get(array, index);

    if (!json_is_string(value))
        return cpam_fail(err, CPAM_CORRUPT, 0, "element %zu is %s instead of a text", index,
                         value == NULL ? "missing" : kind_of(value));
    *out = json_string_value(value);
    return CPAM_OK;
}

enum cpam_status
json_only(const json_t *object, const char *const *known, struct cpam_err *err)
{
    const char *key;
    json_t *value;

    /* jansson's iterators take a json_t without const, but change nothing */
    json_object_foreach((json_t *) (uintptr_t) object, key, value)
    {
        size_t at = 0;

        while (known[at] != NULL && strcmp(known[at], key) != 0)
            at++;
        if (known[at] == NULL)
            return cpam_fail(err, CPAM_CORRUPT, 0, "unknown member \"%s\"", key);
    }
    return CPAM_OK;
}
