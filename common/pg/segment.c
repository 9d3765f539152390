/*
 * segment.c - LSNs, segments and the names of files in the archive.
 *
 * Names are read strictly: upper-case hex, nothing before or behind, no timeline 0, and never a
 * low part that no segment size can have.  What is not such a name never reaches a store.
 */
#include "pg/segment.h"

#include <stdio.h>
#include <string.h>

#define LOG_SIZE (UINT64_C(1) << 32) /* bytes that the second part of a name counts in */

enum
{
    PART = 8,         /* hex digits of one part of a name */
    SEGMENT_HEX = 24, /* of a whole segment name */
    LOW_MAX = 0xFFF   /* largest low part, with segments of 1 MiB */
};

bool
segment_size_valid(uint64_t size)
{
    return size >= SEGMENT_SIZE_MIN && size <= SEGMENT_SIZE_MAX && (size & (size - 1)) == 0;
}

static int
hex_digit(char c, bool any_case)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (any_case && c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Exactly eight upper-case hex digits. */
static bool
part_parse(const char *text, uint32_t *out)
{
    uint32_t value = 0;

    for (int i = 0; i < PART; i++)
    {
        int digit = hex_digit(text[i], false);

        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t) digit;
    }
    *out = value;
    return true;
}

/* One to eight hex digits; where they end. */
static const char *
half_parse(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    int digits = 0;

    for (; digits < PART && hex_digit(*text, true) >= 0; digits++, text++)
        value = value << 4 | (uint64_t) hex_digit(*text, true);
    *out = value;
    return digits == 0 ? NULL : text;
}

enum cpam_status
lsn_parse(const char *text, struct lsn *out, struct cpam_err *err)
{
    uint64_t high = 0;
    uint64_t low = 0;
    const char *at = half_parse(text, &high);

    if (at != NULL && *at == '/')
    {
        at = half_parse(at + 1, &low);
        if (at != NULL && *at == '\0')
        {
            out->at = high << 32 | low;
            return CPAM_OK;
        }
    }
    return cpam_fail(err, CPAM_INVALID, 0, "\"%.64s\" is not an LSN such as 16/B374D848", text);
}

void
lsn_format(struct lsn lsn, char out[LSN_TEXT_MAX])
{
    snprintf(out, LSN_TEXT_MAX, "%X/%X", (unsigned) (lsn.at >> 32), (unsigned) lsn.at);
}

static enum cpam_status
segment_make(uint32_t timeline, uint32_t log, uint32_t low, uint32_t segment_size, const char *name,
             struct segment *out, struct cpam_err *err)
{
    uint64_t size = segment_size == 0 ? UINT64_C(16) << 20 : segment_size;
    uint64_t per_log = LOG_SIZE / size;

    if (!segment_size_valid(size))
        return cpam_fail(err, CPAM_INVALID, 0, "%u bytes is not a size of WAL segments",
                         segment_size);
    if (segment_size != 0 && low >= per_log)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the name \"%.64s\" does not fit segments of %u MiB: its last part is "
                         "above %08X",
                         name, segment_size >> 20, (unsigned) per_log - 1);
    out->timeline.id = timeline;
    out->number = (uint64_t) log * per_log + low;
    return CPAM_OK;
}

enum cpam_status
segment_parse(const char *name, uint32_t segment_size, struct segment *out, struct cpam_err *err)
{
    uint32_t part[3];
    bool good = strnlen(name, SEGMENT_HEX + 1) == SEGMENT_HEX;

    for (int i = 0; good && i < 3; i++)
        good = part_parse(name + i * PART, &part[i]);
    if (!good)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.64s\" is not a WAL segment name", name);
    if (part[0] == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "the WAL segment name \"%.64s\" has timeline 0",
                         name);
    return segment_make(part[0], part[1], part[2], segment_size, name, out, err);
}

void
segment_format(struct segment segment, uint32_t segment_size, char out[SEGMENT_NAME_MAX])
{
    uint64_t per_log = LOG_SIZE / (segment_size == 0 ? UINT64_C(16) << 20 : segment_size);

    snprintf(out, SEGMENT_NAME_MAX, "%08X%08X%08X", segment.timeline.id,
             (unsigned) (segment.number / per_log), (unsigned) (segment.number % per_log));
}

struct segment
segment_of(struct timeline timeline, struct lsn lsn, uint32_t segment_size)
{
    return (struct segment){.timeline = timeline, .number = lsn.at / segment_size};
}

struct segment
segment_before(struct timeline timeline, struct lsn lsn, uint32_t segment_size)
{
    uint64_t at = lsn.at == 0 ? 0 : lsn.at - 1;

    return (struct segment){.timeline = timeline, .number = at / segment_size};
}

struct lsn
segment_start(struct segment segment, uint32_t segment_size)
{
    return (struct lsn){.at = segment.number * segment_size};
}

struct segment
segment_next(struct segment segment)
{
    segment.number++;
    return segment;
}

/* What follows the 24 digits of a segment's name. */
static bool
tail_parse(const char *tail, struct archive_name *out)
{
    if (*tail == '\0')
        out->kind = ARCHIVE_SEGMENT;
    else if (strcmp(tail, ".partial") == 0)
        out->kind = ARCHIVE_PARTIAL;
    else if (tail[0] == '.' && strlen(tail) == 1 + PART + strlen(".backup") &&
             part_parse(tail + 1, &out->offset) && strcmp(tail + 1 + PART, ".backup") == 0 &&
             out->offset < SEGMENT_SIZE_MAX)
        out->kind = ARCHIVE_BACKUP_HISTORY;
    else
        return false;
    return true;
}

static bool
name_parse(const char *name, struct archive_name *out)
{
    size_t size = strnlen(name, ARCHIVE_NAME_MAX);

    *out = (struct archive_name){0};
    if (size >= ARCHIVE_NAME_MAX || size < PART || !part_parse(name, &out->timeline.id))
        return false;
    memcpy(out->text, name, size + 1);
    if (strcmp(name + PART, ".history") == 0)
    {
        out->kind = ARCHIVE_HISTORY;
        return true;
    }
    if (size < SEGMENT_HEX || !part_parse(name + PART, &out->log) ||
        !part_parse(name + 2 * (size_t) PART, &out->low) || out->low > LOW_MAX)
        return false;
    return tail_parse(name + SEGMENT_HEX, out);
}

enum cpam_status
archive_name_parse(const char *name, struct archive_name *out, struct cpam_err *err)
{
    if (!name_parse(name, out))
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%.64s\" is not a name of PostgreSQL's WAL archive", name);
    if (out->timeline.id == 0)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%.64s\" is not a name of PostgreSQL's WAL archive: it has timeline 0",
                         name);
    return CPAM_OK;
}

int
archive_name_order(const struct archive_name *a, const struct archive_name *b)
{
    bool a_history = a->kind == ARCHIVE_HISTORY, b_history = b->kind == ARCHIVE_HISTORY;

    return a_history != b_history ? (a_history ? -1 : 1) : strcmp(a->text, b->text);
}

enum cpam_status
archive_name_segment(const struct archive_name *name, uint32_t segment_size, struct segment *out,
                     struct cpam_err *err)
{
    if (name->kind == ARCHIVE_HISTORY)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" speaks of no segment", name->text);
    if (name->offset != 0 && segment_size != 0 && name->offset >= segment_size)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the name \"%s\" does not fit segments of %u MiB: its offset lies behind "
                         "them",
                         name->text, segment_size >> 20);
    return segment_make(name->timeline.id, name->log, name->low, segment_size, name->text, out,
                        err);
}
