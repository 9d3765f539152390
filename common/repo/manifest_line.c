/*
 * manifest_line.c - one line of a manifest into a struct, member by member.
 */
#include "repo/manifest_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/text.h"
#include "repo/manifest_path.h"

enum
{
    PACK_FRAMES_MAX = 65535
};

void
manifest_line_clear(struct manifest_line *line)
{
    json_decref(line->json);
    free(line->path);
    free(line->target);
    free(line->pack.clen);
    free(line->pack.rlen);
    free(line->extents);
    memset(line, 0, sizeof(*line));
}

/* Strict base64 (RFC 4648 with padding) without NUL bytes: a path that is not UTF-8. */
static char *
decode_path(const char *text)
{
    size_t size = strlen(text);
    unsigned char *out;
    int got;

    if (size == 0 || size % 4 != 0 || size > MANIFEST_PATH_MAX * 2 ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != size)
        return NULL;
    out = malloc(size);
    got = out == NULL ? -1 : EVP_DecodeBlock(out, (const unsigned char *) text, (int) size);
    if (got >= 0)
        got -= (text[size - 1] == '=') + (text[size - 2] == '=');
    if (got <= 0 || memchr(out, '\0', (size_t) got) != NULL)
    {
        free(out);
        return NULL;
    }
    out[got] = '\0';
    return (char *) out;
}

/* "n" or "nb"; the caller owns the result. */
static char *
read_path(struct record_reader *reader, const char *name, const char *name_base64)
{
    const char *text;
    char *path;

    if (json_object_get(reader->object, name_base64) == NULL)
    {
        text = record_string(reader, name);
        path = strdup(text);
    }
    else
    {
        text = record_string(reader, name_base64);
        path = decode_path(text);
        /* one way to write each path, so that none can stand twice */
        if (path != NULL && text_is_utf8(path, strlen(path)))
            record_refuse(reader, name_base64, "a path that needs it");
    }
    if (path == NULL)
        record_refuse(reader, name, "a path");
    return path;
}

static uint32_t
read_mode(struct record_reader *reader)
{
    const char *text = record_string(reader, "m");
    uint32_t mode = 0;

    if (strlen(text) != 4 || text[0] != '0' || strspn(text, "01234567") != 4)
    {
        record_refuse(reader, "m", "a mode of four octal digits");
        return 0;
    }
    for (; *text != '\0'; text++)
        mode = mode << 3 | (uint32_t) (*text - '0');
    return mode;
}

static bool
number_at(const json_t *array, size_t index, uint64_t max, uint64_t *out)
{
    const json_t *item = json_array_get(array, index);

    if (!json_is_integer(item) || json_integer_value(item) < 0 ||
        (uint64_t) json_integer_value(item) > max)
        return false;
    *out = (uint64_t) json_integer_value(item);
    return true;
}

static uint32_t *
read_numbers(struct record_reader *reader, const char *name, uint32_t max, uint32_t *count)
{
    const json_t *array = record_member(reader, name);
    size_t size = json_array_size(array);
    uint32_t *out;

    *count = 0;
    if (array == NULL || !json_is_array(array) || size == 0 || size > PACK_FRAMES_MAX)
    {
        record_refuse(reader, name, "a list of frame lengths");
        return NULL;
    }
    out = calloc(size, sizeof(*out));
    for (size_t i = 0; out != NULL && i < size; i++)
    {
        uint64_t value;

        if (!number_at(array, i, max, &value) || value == 0)
        {
            record_refuse(reader, name, "a list of frame lengths");
            break;
        }
        out[i] = (uint32_t) value;
    }
    *count = (uint32_t) size;
    return out;
}

static void
parse_pack(struct record_reader *reader, struct manifest_line *line)
{
    struct manifest_pack *pack = &line->pack;
    uint32_t count = 0;

    line->entry.kind = MANIFEST_PACK;
    line->entry.pack = pack;
    pack->index = (uint32_t) record_number(reader, "i", MANIFEST_PACKS_MAX - 1);
    record_text(reader, "k", pack->key, sizeof(pack->key));
    record_hex(reader, "h", pack->h, SHA256_SIZE);
    record_hex(reader, "d", pack->d, SHA256_SIZE);
    pack->body_offset = (uint32_t) record_number(reader, "b", OBJECT_HEADER_SIZE + STANZAS_MAX);
    pack->size = record_number(reader, "z", INT64_MAX);
    pack->clen = read_numbers(reader, "c", 1u << 25, &pack->frame_count);
    pack->rlen = read_numbers(reader, "r", 1u << 24, &count);
    if (!reader->failed && count != pack->frame_count)
        record_refuse(reader, "r", "as long as \"c\"");
    if (!reader->failed && pack->body_offset < OBJECT_HEADER_SIZE)
        record_refuse(reader, "b", "behind the header");
}

static bool
read_extent(const json_t *item, struct manifest_extent *out)
{
    uint64_t frame, offset, pack;
    const json_t *at = json_array_get(item, 1);

    if (!json_is_array(item) || json_array_size(item) != 4 ||
        !number_at(item, 0, INT64_MAX, &out->size) || out->size == 0 ||
        !number_at(item, 2, PACK_FRAMES_MAX, &frame) || !number_at(item, 3, 1u << 24, &offset))
        return false;
    out->frame = (uint32_t) frame;
    out->offset = (uint32_t) offset;
    if (json_is_integer(at) && json_integer_value(at) == -1)
    {
        out->pack = -1;
        return frame == 0 && offset == 0;
    }
    if (!number_at(item, 1, MANIFEST_PACKS_MAX - 1, &pack))
        return false;
    out->pack = (int64_t) pack;
    return true;
}

static void
parse_extents(struct record_reader *reader, struct manifest_line *line)
{
    const json_t *array = record_member(reader, "e");
    size_t count = json_array_size(array);

    if (array == NULL || !json_is_array(array) || count > MANIFEST_EXTENTS_LINE)
    {
        record_refuse(reader, "e", "a list of extents");
        return;
    }
    line->extents = calloc(count + 1, sizeof(*line->extents));
    if (line->extents == NULL)
    {
        record_refuse(reader, "e", "small enough for this machine's memory");
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!read_extent(json_array_get(array, i), &line->extents[i]))
        {
            record_refuse(reader, "e", "a list of [length, pack, frame, offset]");
            return;
        }
    line->extent_count = count;
}

static void
parse_file(struct record_reader *reader, struct manifest_line *line)
{
    struct manifest_entry *entry = &line->entry;
    const json_t *mtime;
    uint8_t crc[4];

    entry->kind = MANIFEST_FILE;
    line->path = read_path(reader, "n", "nb");
    entry->mode = read_mode(reader);
    entry->size = record_number(reader, "s", INT64_MAX);
    mtime = record_member(reader, "mt");
    if (mtime != NULL && !json_is_integer(mtime))
        record_refuse(reader, "mt", "a number");
    entry->mtime = json_integer_value(mtime);
    record_hex(reader, "crc", crc, sizeof(crc));
    entry->crc =
        (uint32_t) crc[0] << 24 | (uint32_t) crc[1] << 16 | (uint32_t) crc[2] << 8 | crc[3];
    entry->extent_count = (size_t) record_number(reader, "ne", INT64_MAX);
    parse_extents(reader, line);
    if (!reader->failed &&
        line->extent_count != (entry->extent_count < MANIFEST_EXTENTS_LINE ? entry->extent_count
                                                                           : MANIFEST_EXTENTS_LINE))
        record_refuse(reader, "ne", "the number of extents");
}

static void
parse_other(struct record_reader *reader, struct manifest_line *line)
{
    struct manifest_entry *entry = &line->entry;

    if (strcmp(line->type, "ts") == 0)
    {
        entry->kind = MANIFEST_TABLESPACE;
        entry->oid = record_string(reader, "oid");
        line->target = read_path(reader, "path", "pathb");
        return;
    }
    line->path = read_path(reader, "n", "nb");
    entry->kind = strcmp(line->type, "d") == 0 ? MANIFEST_DIRECTORY : MANIFEST_LINK;
    if (entry->kind == MANIFEST_DIRECTORY)
        entry->mode = read_mode(reader);
    else
        line->target = read_path(reader, "to", "tob");
}

static bool
is_one_of(const char *type, const char *const *types)
{
    for (; *types != NULL; types++)
        if (strcmp(type, *types) == 0)
            return true;
    return false;
}

enum cpam_status
manifest_line_parse(uint64_t number, const void *text, size_t size, struct manifest_line *out,
                    struct cpam_err *err)
{
    static const char *const others[] = {"ts", "d", "l", NULL};
    static const char *const later[] = {"head", "end", NULL};
    char what[48];

    memset(out, 0, sizeof(*out));
    snprintf(what, sizeof(what), "manifest, line %" PRIu64, number);
    CPAM_TRY(json_read(what, text, size, MANIFEST_LINE_MAX, &out->json, err));
    struct record_reader reader = record_read(out->json, what, err);

    out->type = record_string(&reader, "t");
    if (reader.failed)
        return err->status;
    /* manifest_read.c reads these two itself */
    if (is_one_of(out->type, later))
        return CPAM_OK;
    if (strcmp(out->type, "p") == 0)
        parse_pack(&reader, out);
    else if (strcmp(out->type, "f") == 0)
        parse_file(&reader, out);
    else if (strcmp(out->type, "x") == 0)
        parse_extents(&reader, out);
    else if (is_one_of(out->type, others))
        parse_other(&reader, out);
    else
        record_refuse(&reader, "t", "a kind of line this version knows");
    CPAM_TRY(record_end(&reader));
    out->entry.path = out->path;
    out->entry.target = out->target;
    if (out->path != NULL)
    {
        enum cpam_status status = manifest_path_check(out->path, err);

        if (status != CPAM_OK)
            cpam_err_prefix(err, "%s", what);
        return status;
    }
    return CPAM_OK;
}
