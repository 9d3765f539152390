/*
 * backup_manifest.c - one line a file, so that millions of files need no memory.
 */
#include "pg/backup_manifest.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/bytes.h"

enum
{
    LINE_LIMIT = 64 * 1024,     /* bytes of one entry */
    SYSTEM_IDENTIFIER_FROM = 17 /* version 2 */
};

struct backup_manifest
{
    struct backup_manifest_out out;
    struct cpam_buf line;
    uint64_t files;
};

static enum cpam_status
line_flush(struct backup_manifest *manifest, struct cpam_err *err)
{
    struct cpam_buf *line = &manifest->line;
    enum cpam_status status = manifest->out.write(manifest->out.arg, line->data, line->size, err);

    line->size = 0;
    return status;
}

enum cpam_status
backup_manifest_new(const struct backup_manifest_out *out, unsigned major, uint64_t sysid,
                    struct backup_manifest **manifest, struct cpam_err *err)
{
    CPAM_AUTO(backup_manifest_free) struct backup_manifest *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for backup_manifest");
    self->out = *out;
    CPAM_TRY(cpam_buf_printf(&self->line, LINE_LIMIT, err,
                             "{ \"PostgreSQL-Backup-Manifest-Version\": %d,\n",
                             major >= SYSTEM_IDENTIFIER_FROM ? 2 : 1));
    if (major >= SYSTEM_IDENTIFIER_FROM)
        CPAM_TRY(cpam_buf_printf(&self->line, LINE_LIMIT, err, "\"System-Identifier\": %llu,\n",
                                 (unsigned long long) sysid));
    CPAM_TRY(cpam_buf_printf(&self->line, LINE_LIMIT, err, "\"Files\": ["));
    CPAM_TRY(line_flush(self, err));
    *manifest = CPAM_STEAL(self);
    return CPAM_OK;
}

void
backup_manifest_free(struct backup_manifest *manifest)
{
    if (manifest == NULL)
        return;
    cpam_buf_clear(&manifest->line);
    free(manifest);
}

/* Bytes of one well-formed UTF-8 character at `at`, 0 if it is none (RFC 3629). */
static size_t
utf8_length(const unsigned char *at)
{
    static const struct
    {
        unsigned char first, last, second_min, second_max;
        size_t length;
    } rows[] = {
        {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    {
        if (*at < rows[i].first || *at > rows[i].last)
            continue;
        if (rows[i].length > 1 && (at[1] < rows[i].second_min || at[1] > rows[i].second_max))
            return 0;
        for (size_t k = 2; k < rows[i].length; k++)
            if (at[k] < 0x80 || at[k] > 0xBF)
                return 0;
        return rows[i].length;
    }
    return 0;
}

static bool
is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *) text;

    while (*at != '\0')
    {
        size_t length = utf8_length(at);

        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

static enum cpam_status
path_add(struct cpam_buf *line, const char *path, struct cpam_err *err)
{
    const unsigned char *at = (const unsigned char *) path;

    if (!is_utf8(path))
    {
        CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "\"Encoded-Path\": \""));
        for (; *at != '\0'; at++)
            CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "%02x", *at));
        return cpam_buf_printf(line, LINE_LIMIT, err, "\"");
    }
    CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "\"Path\": \""));
    for (; *at != '\0'; at++)
    {
        if (*at == '"' || *at == '\\')
            CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "\\%c", *at));
        else if (*at < 0x20)
            CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "\\u%04x", *at));
        else
            CPAM_TRY(cpam_buf_append(line, at, 1, LINE_LIMIT, err));
    }
    return cpam_buf_printf(line, LINE_LIMIT, err, "\"");
}

enum cpam_status
backup_manifest_file(struct backup_manifest *manifest, const char *path, uint64_t size,
                     int64_t mtime, uint32_t crc, struct cpam_err *err)
{
    struct cpam_buf *line = &manifest->line;
    uint8_t bytes[4];
    struct tm tm;
    time_t seconds = (time_t) (mtime / 1000000);
    char when[64];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S GMT", &tm) == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\": its time of change can't be written", path);
    le32_put(bytes, crc);
    CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "%s\n{ ", manifest->files == 0 ? "" : ","));
    CPAM_TRY(path_add(line, path, err));
    CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err,
                             ", \"Size\": %llu, \"Last-Modified\": \"%s\", \"Checksum-Algorithm\": "
                             "\"CRC32C\", \"Checksum\": \"%02x%02x%02x%02x\" }",
                             (unsigned long long) size, when, bytes[0], bytes[1], bytes[2],
                             bytes[3]));
    manifest->files++;
    return line_flush(manifest, err);
}

static enum cpam_status
range_add(struct cpam_buf *line, bool first, struct timeline timeline, struct lsn start,
          struct lsn stop, struct cpam_err *err)
{
    char from[LSN_TEXT_MAX];
    char to[LSN_TEXT_MAX];

    lsn_format(start, from);
    lsn_format(stop, to);
    return cpam_buf_printf(line, LINE_LIMIT, err,
                           "%s\n{ \"Timeline\": %u, \"Start-LSN\": \"%s\", \"End-LSN\": \"%s\" }",
                           first ? "" : ",", timeline.id, from, to);
}

/* Newest timeline first: each range ends where the one above it on the list begins. */
static enum cpam_status
ranges_add(struct cpam_buf *line, struct timeline start_timeline, struct lsn start, struct lsn stop,
           const struct history *history, struct cpam_err *err)
{
    struct lsn end = stop;
    bool first = true;

    if (history == NULL || history->timeline.id == start_timeline.id)
        return range_add(line, true, start_timeline, start, stop, err);
    if (!history_contains(history, start_timeline))
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the backup started on timeline %u, which is no ancestor of timeline %u",
                         start_timeline.id, history->timeline.id);
    for (size_t i = history->count + 1; i-- > 0;)
    {
        struct timeline timeline =
            i == history->count ? history->timeline : history->entries[i].timeline;
        struct lsn begin =
            timeline.id == start_timeline.id ? start : history->entries[i - 1].switch_point;

        CPAM_TRY(range_add(line, first, timeline, begin, end, err));
        if (timeline.id == start_timeline.id)
            return CPAM_OK;
        first = false;
        end = begin;
    }
    return CPAM_OK;
}

enum cpam_status
backup_manifest_finish(struct backup_manifest *manifest, struct timeline start_timeline,
                       struct lsn start, struct lsn stop, const struct history *history,
                       struct cpam_err *err)
{
    struct cpam_buf *line = &manifest->line;
    uint8_t digest[32];

    CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "\n],\n\"WAL-Ranges\": ["));
    CPAM_TRY(ranges_add(line, start_timeline, start, stop, history, err));
    CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "\n],\n"));
    CPAM_TRY(line_flush(manifest, err));
    CPAM_TRY(manifest->out.digest(manifest->out.arg, digest, err));
    CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "\"Manifest-Checksum\": \""));
    for (size_t i = 0; i < sizeof(digest); i++)
        CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "%02x", digest[i]));
    CPAM_TRY(cpam_buf_printf(line, LINE_LIMIT, err, "\"}\n"));
    return line_flush(manifest, err);
}
