/*
 * tar.c - headers of 512 bytes, and a reader that knows at each byte what it must be.
 */
#include "pg/tar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Where a header has what (POSIX ustar). */
enum
{
    AT_MODE = 100,
    AT_SIZE = 124,
    AT_MTIME = 136,
    AT_CHECKSUM = 148,
    AT_TYPE = 156,
    AT_TARGET = 157,
    AT_MAGIC = 257,
    AT_PREFIX = 345,
    NUMBER = 8,
    LONG_NUMBER = 12,
    PREFIX_SIZE = 155
};

struct tar_reader
{
    struct tar_events events;
    void *arg;
    uint8_t block[TAR_BLOCK]; /* of a header that is not whole yet */
    size_t held;
    uint64_t content, padding; /* bytes that are still to come of the entry */
    unsigned zeros;            /* blocks of them behind the last entry */
    struct tar_entry entry;    /* the last one */
};

static bool
is_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != 0)
            return false;
    return true;
}

/* As print_tar_number() writes it. */
static enum cpam_status
parse_number(const uint8_t *at, size_t size, const char *what, uint64_t *out, struct cpam_err *err)
{
    *out = 0;
    if (at[0] == 0x80)
    {
        for (size_t i = 1; i < size; i++)
        {
            if (*out >> (TAR_SIZE_BITS - 8) != 0)
                return cpam_fail(err, CPAM_CORRUPT, 0, "the %s of an entry is out of bounds", what);
            *out = *out << 8 | at[i];
        }
        return CPAM_OK;
    }
    for (size_t i = 0; i + 1 < size; i++)
    {
        if (at[i] < '0' || at[i] > '7')
            return cpam_fail(err, CPAM_CORRUPT, 0, "the %s of an entry is no number", what);
        *out = *out * 8 + (uint64_t) (at[i] - '0');
    }
    if (at[size - 1] != ' ' && at[size - 1] != '\0')
        return cpam_fail(err, CPAM_CORRUPT, 0, "the %s of an entry is no number", what);
    return CPAM_OK;
}

static enum cpam_status
check_sum(const uint8_t block[TAR_BLOCK], struct cpam_err *err)
{
    uint64_t wanted, sum = (uint64_t) 8 * ' ';

    CPAM_TRY(parse_number(block + AT_CHECKSUM, NUMBER, "checksum", &wanted, err));
    for (size_t i = 0; i < TAR_BLOCK; i++)
        if (i < AT_CHECKSUM || i >= AT_CHECKSUM + NUMBER)
            sum += block[i];
    if (sum != wanted)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the checksum of a header is %" PRIu64 ", not %" PRIu64, wanted, sum);
    return CPAM_OK;
}

static enum cpam_status
copy_text(const uint8_t *at, const char *what, char out[TAR_NAME_MAX], struct cpam_err *err)
{
    const uint8_t *end = memchr(at, '\0', TAR_NAME_MAX);

    if (end == NULL)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the %s of an entry has no end", what);
    memcpy(out, at, (size_t) (end - at) + 1);
    return CPAM_OK;
}

/* "./" in front and a directory's slash behind are taken away; then no part may lead anywhere else. */
static enum cpam_status
take_path(const uint8_t *name, bool is_directory, char out[TAR_NAME_MAX], struct cpam_err *err)
{
    char text[TAR_NAME_MAX];
    const char *path = text;

    CPAM_TRY(copy_text(name, "name", text, err));
    size_t size = strlen(text);
    if (is_directory && size > 0 && text[size - 1] == '/')
        text[--size] = '\0';
    if (strncmp(path, "./", 2) == 0)
        path += 2;
    for (const char *part = path;; part++)
    {
        size_t length = strcspn(part, "/");

        if (length == 0 || (length == 1 && part[0] == '.') ||
            (length == 2 && part[0] == '.' && part[1] == '.'))
            return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" is no path inside of a data directory",
                             text);
        part += length;
        if (*part == '\0')
            break;
    }
    memcpy(out, path, strlen(path) + 1);
    return CPAM_OK;
}

static enum cpam_status
take_kind(uint8_t type, enum tar_kind *out, struct cpam_err *err)
{
    static const struct
    {
        char type;
        enum tar_kind kind;
    } known[] = {{'0', TAR_FILE}, {'5', TAR_DIRECTORY}, {'2', TAR_LINK}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].type == (char) type)
        {
            *out = known[i].kind;
            return CPAM_OK;
        }
    return cpam_fail(err, CPAM_CORRUPT, 0,
                     "an entry has type 0x%02x, which PostgreSQL does not write", type);
}

enum cpam_status
tar_header_parse(const uint8_t block[TAR_BLOCK], bool *zeros, struct tar_entry *out,
                 struct cpam_err *err)
{
    uint64_t mode, mtime;

    memset(out, 0, sizeof(*out));
    *zeros = is_zero(block, TAR_BLOCK);
    if (*zeros)
        return CPAM_OK;
    CPAM_TRY(check_sum(block, err));
    if (memcmp(block + AT_MAGIC, "ustar\00000", 8) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "a header is not ustar's");
    if (!is_zero(block + AT_PREFIX, PREFIX_SIZE))
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "a name is continued in a prefix, which PostgreSQL does not write");
    CPAM_TRY(take_kind(block[AT_TYPE], &out->kind, err));
    CPAM_TRY(take_path(block, out->kind != TAR_FILE, out->path, err));
    CPAM_TRY(copy_text(block + AT_TARGET, "target", out->target, err));
    CPAM_TRY(parse_number(block + AT_MODE, NUMBER, "mode", &mode, err));
    CPAM_TRY(parse_number(block + AT_SIZE, LONG_NUMBER, "size", &out->size, err));
    CPAM_TRY(parse_number(block + AT_MTIME, LONG_NUMBER, "time", &mtime, err));
    out->mode = (uint32_t) mode & 0777;
    out->mtime = (int64_t) mtime;
    if ((out->kind == TAR_LINK) != (out->target[0] != '\0'))
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" is a link without a target, or the reverse",
                         out->path);
    if (out->kind != TAR_FILE && out->size != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" is no file and has content", out->path);
    return CPAM_OK;
}

enum cpam_status
tar_reader_new(const struct tar_events *events, void *arg, struct tar_reader **out,
               struct cpam_err *err)
{
    struct tar_reader *reader = calloc(1, sizeof(*reader));

    *out = reader;
    if (reader == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to read an archive");
    reader->events = *events;
    reader->arg = arg;
    return CPAM_OK;
}

void
tar_reader_free(struct tar_reader *reader)
{
    free(reader);
}

/* Where in the archive something was wrong: people know it by the entry before. */
static enum cpam_status
behind(const struct tar_reader *reader, enum cpam_status status, struct cpam_err *err)
{
    if (status == CPAM_CORRUPT && reader->entry.path[0] != '\0')
        cpam_err_prefix(err, "behind \"%s\"", reader->entry.path);
    return status;
}

/* A header is whole. */
static enum cpam_status
take_header(struct tar_reader *reader, struct cpam_err *err)
{
    struct tar_entry entry;
    bool zeros;

    reader->held = 0;
    CPAM_TRY(behind(reader, tar_header_parse(reader->block, &zeros, &entry, err), err));
    if (zeros)
    {
        reader->zeros++;
        return CPAM_OK;
    }
    if (reader->zeros > 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" stands behind the end of the archive",
                         entry.path);
    reader->entry = entry;
    reader->content = entry.size;
    reader->padding = (TAR_BLOCK - entry.size % TAR_BLOCK) % TAR_BLOCK;
    CPAM_TRY(reader->events.entry(reader->arg, &entry, err));
    if (entry.kind != TAR_FILE || entry.size > 0)
        return CPAM_OK;
    return reader->events.file_end(reader->arg, err);
}

/* Some bytes are taken: *used of them. */
static enum cpam_status
take_some(struct tar_reader *reader, const uint8_t *data, size_t size, size_t *used,
          struct cpam_err *err)
{
    if (reader->content > 0)
    {
        *used = reader->content < size ? (size_t) reader->content : size;
        reader->content -= *used;
        CPAM_TRY(reader->events.content(reader->arg, data, *used, err));
        return reader->content > 0 ? CPAM_OK : reader->events.file_end(reader->arg, err);
    }
    if (reader->padding > 0)
    {
        *used = reader->padding < size ? (size_t) reader->padding : size;
        reader->padding -= *used;
        if (!is_zero(data, *used))
            return behind(
                reader, cpam_fail(err, CPAM_CORRUPT, 0, "the padding of a file is not zero"), err);
        return CPAM_OK;
    }
    *used = TAR_BLOCK - reader->held < size ? TAR_BLOCK - reader->held : size;
    memcpy(reader->block + reader->held, data, *used);
    reader->held += *used;
    return reader->held == TAR_BLOCK ? take_header(reader, err) : CPAM_OK;
}

enum cpam_status
tar_reader_write(struct tar_reader *reader, const uint8_t *data, size_t size, struct cpam_err *err)
{
    while (size > 0)
    {
        size_t used;

        if (reader->zeros == 2)
            return cpam_fail(err, CPAM_CORRUPT, 0, "there are bytes behind the end of the archive");
        CPAM_TRY(take_some(reader, data, size, &used, err));
        data += used;
        size -= used;
    }
    return CPAM_OK;
}

enum cpam_status
tar_reader_end(struct tar_reader *reader, bool terminated, struct cpam_err *err)
{
    bool whole = reader->content == 0 && reader->padding == 0 && reader->held == 0;

    if (whole && (reader->zeros == 2 || (!terminated && reader->zeros == 0)))
        return CPAM_OK;
    return behind(reader, cpam_fail(err, CPAM_CORRUPT, 0, "the archive is cut short"), err);
}
