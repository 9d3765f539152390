/*
 * json_write.c - JSON appended to a buffer, value by value.
 */
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum cpam_status
json_escape(struct cpam_buf *buf, const char *text, size_t size, size_t limit, struct cpam_err *err)
{
    if (!text_is_utf8(text, size))
        return cpam_fail(err, CPAM_INVALID, 0, "a text that is not UTF-8 can't be written as JSON");
    CPAM_TRY(cpam_buf_append(buf, "\"", 1, limit, err));
    for (size_t i = 0, from = 0; i <= size; i++)
    {
        unsigned char byte = i < size ? (unsigned char) text[i] : '"';
        char escaped[8];

        if (i < size && byte >= 0x20 && byte != 0x7f && byte != '"' && byte != '\\')
            continue;
        CPAM_TRY(cpam_buf_append(buf, text + from, i - from, limit, err));
        from = i + 1;
        if (i == size)
            break;
        if (byte == '"' || byte == '\\')
            snprintf(escaped, sizeof(escaped), "\\%c", byte);
        else if (byte == '\n')
            snprintf(escaped, sizeof(escaped), "\\n");
        else
            snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
        CPAM_TRY(cpam_buf_append(buf, escaped, strlen(escaped), limit, err));
    }
    return cpam_buf_append(buf, "\"", 1, limit, err);
}

static bool
keep(struct json_writer *writer, enum cpam_status status)
{
    if (writer->status == CPAM_OK)
        writer->status = status;
    return writer->status == CPAM_OK;
}

static bool
put(struct json_writer *writer, const char *text)
{
    return writer->status == CPAM_OK &&
           keep(writer,
                cpam_buf_append(writer->buf, text, strlen(text), writer->limit, &writer->err));
}

static void
new_line(struct json_writer *writer)
{
    if (!writer->pretty || !put(writer, "\n"))
        return;
    for (unsigned i = 0; i < writer->depth; i++)
        put(writer, "  ");
}

/* The comma before, and the key of, the next value. */
static bool
lead(struct json_writer *writer, const char *key)
{
    if (writer->status != CPAM_OK)
        return false;
    if (writer->filled[writer->depth])
        put(writer, ",");
    if (writer->depth > 0)
        new_line(writer);
    writer->filled[writer->depth] = true;
    if (key == NULL)
        return writer->status == CPAM_OK;
    if (writer->status == CPAM_OK)
        keep(writer, json_escape(writer->buf, key, strlen(key), writer->limit, &writer->err));
    return put(writer, writer->pretty ? ": " : ":");
}

static void
begin(struct json_writer *writer, const char *key, const char *opener, char closer)
{
    if (!lead(writer, key))
        return;
    if (writer->depth >= JSON_DEPTH_MAX)
    {
        keep(writer, cpam_fail(&writer->err, CPAM_INTERNAL, 0, "JSON nested too deeply"));
        return;
    }
    put(writer, opener);
    writer->closer[writer->depth++] = closer;
    writer->filled[writer->depth] = false;
}

void
json_begin_object(struct json_writer *writer, const char *key)
{
    begin(writer, key, "{", '}');
}

void
json_begin_array(struct json_writer *writer, const char *key)
{
    begin(writer, key, "[", ']');
}

void
json_end(struct json_writer *writer)
{
    if (writer->status != CPAM_OK)
        return;
    if (writer->depth == 0)
    {
        keep(writer, cpam_fail(&writer->err, CPAM_INTERNAL, 0, "JSON closed once too often"));
        return;
    }
    bool filled = writer->filled[writer->depth--];
    char closer[2] = {writer->closer[writer->depth], '\0'};

    if (filled)
        new_line(writer);
    put(writer, closer);
}

void
json_put_text_size(struct json_writer *writer, const char *key, const char *value, size_t size)
{
    if (lead(writer, key))
        keep(writer, json_escape(writer->buf, value, size, writer->limit, &writer->err));
}

void
json_put_text(struct json_writer *writer, const char *key, const char *value)
{
    if (value == NULL)
        json_put_null(writer, key);
    else
        json_put_text_size(writer, key, value, strlen(value));
}

void
json_put_u64(struct json_writer *writer, const char *key, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%" PRIu64, value);
    if (lead(writer, key))
        put(writer, digits);
}

void
json_put_u64_text(struct json_writer *writer, const char *key, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%" PRIu64, value);
    json_put_text(writer, key, digits);
}

void
json_put_i64(struct json_writer *writer, const char *key, int64_t value)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%" PRId64, value);
    if (lead(writer, key))
        put(writer, digits);
}

void
json_put_bool(struct json_writer *writer, const char *key, bool value)
{
    if (lead(writer, key))
        put(writer, value ? "true" : "false");
}

void
json_put_null(struct json_writer *writer, const char *key)
{
    if (lead(writer, key))
        put(writer, "null");
}

enum cpam_status
json_writer_end(struct json_writer *writer, struct cpam_err *err)
{
    if (writer->status == CPAM_OK && writer->depth != 0)
        keep(writer, cpam_fail(&writer->err, CPAM_INTERNAL, 0, "JSON left open"));
    if (writer->status != CPAM_OK)
        *err = writer->err;
    return writer->status;
}
