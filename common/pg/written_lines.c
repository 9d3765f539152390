/*
 * written_lines.c - notes of lines, and finding those lines again.
 */
#include "pg/written_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "pg/crc32c.h"
#include "pg/guc_file.h"

#define NOTE "cpam_restore.wrote"

enum
{
    RECORD_MAX = 4096, /* bytes of a note */
    NOTES_MAX = 32,    /* lines it names */
    NONE = -1
};

struct note
{
    char name[GUC_NAME_MAX];
    uint32_t crc;
    long line; /* the last that fits, or NONE */
};

struct notes
{
    struct note items[NOTES_MAX];
    size_t count;
    long line; /* of the note itself, or NONE */
    /* the line that is looked at */
    long at;
    /* without a note: the last archive_command if it refuses, and what was written behind it, or NONE */
    long refusing_line, library_line;
};

enum cpam_status
written_lines_set(struct written_lines *lines, const char *name, const char *value,
                  struct cpam_err *err)
{
    CPAM_TRY(guc_file_set(lines->out, name, value, err));
    return cpam_buf_printf(&lines->record, RECORD_MAX, err, "%s%s:%08x",
                           lines->record.size == 0 ? "" : " ", name,
                           crc32c(0, value, strlen(value)));
}

enum cpam_status
written_lines_finish(struct written_lines *lines, struct cpam_err *err)
{
    const char *record = cpam_buf_text(&lines->record);
    enum cpam_status status =
        record == NULL ? cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a configuration file")
                       : guc_file_set(lines->out, NOTE, record, err);

    cpam_buf_clear(&lines->record);
    return status;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* What recovery_settings.c wrote before there were notes; the program may be in quotes. */
static bool
is_refusing(const char *command)
{
    return ends_with(command, "cpam-wal-push --unclaimed %p") ||
           ends_with(command, "cpam-wal-push' --unclaimed %p");
}

static void
notes_parse(struct notes *notes, const char *text)
{
    int used = 0;

    for (notes->count = 0; notes->count < NOTES_MAX; text += used)
    {
        struct note *note = &notes->items[notes->count];

        if (sscanf(text, " %127[^: ]:%8x%n", note->name, &note->crc, &used) != 2)
            return;
        note->line = NONE;
        notes->count++;
    }
}

/* The note comes last, so its lines are looked for in a second pass. */
static enum cpam_status
find_note(void *arg, const char *name, const char *value, struct cpam_err *err)
{
    struct notes *notes = arg;

    (void) err;
    if (strcmp(name, NOTE) == 0)
    {
        notes_parse(notes, value);
        notes->line = notes->at;
    }
    if (strcmp(name, "archive_command") == 0)
    {
        notes->refusing_line = is_refusing(value) ? notes->at : NONE;
        notes->library_line = NONE;
    }
    if (strcmp(name, "archive_library") == 0 && value[0] == '\0' && notes->refusing_line != NONE &&
        notes->refusing_line == notes->at - 1)
        notes->library_line = notes->at;
    return CPAM_OK;
}

static enum cpam_status
find_lines(void *arg, const char *name, const char *value, struct cpam_err *err)
{
    struct notes *notes = arg;

    (void) err;
    for (size_t i = 0; i < notes->count; i++)
        if (strcmp(notes->items[i].name, name) == 0 &&
            notes->items[i].crc == crc32c(0, value, strlen(value)))
            notes->items[i].line = notes->at;
    return CPAM_OK;
}

/* Each line by itself, so that it is known which one sets what. */
static enum cpam_status
each_line(struct notes *notes, const char *text, size_t size,
          enum cpam_status (*fn)(void *arg, const char *name, const char *value,
                                 struct cpam_err *err),
          struct cpam_err *err)
{
    const char *end = text + size;

    notes->at = 0;
    for (const char *at = text; at < end; notes->at++)
    {
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        const char *next = stop == NULL ? end : stop + 1;

        CPAM_TRY(guc_file_each(at, (size_t) (next - at), fn, notes, err));
        at = next;
    }
    return CPAM_OK;
}

static bool
is_archiving(const char *name)
{
    return strncmp(name, "archive_", strlen("archive_")) == 0 &&
           strcmp(name, "archive_cleanup_command") != 0;
}

/* What the note says once the lines of archiving are gone. */
static enum cpam_status
note_rest(const struct notes *notes, struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf rest = {0};

    for (size_t i = 0; i < notes->count; i++)
        if (!is_archiving(notes->items[i].name))
            CPAM_TRY(cpam_buf_printf(&rest, RECORD_MAX, err, "%s%s:%08x", rest.size == 0 ? "" : " ",
                                     notes->items[i].name, notes->items[i].crc));
    const char *text = cpam_buf_text(&rest);
    return text == NULL
               ? cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a configuration file")
               : guc_file_set(out, NOTE, text, err);
}

static bool
goes(const struct notes *notes, enum written_scope scope, struct written_removed *removed)
{
    if (notes->line == NONE)
    {
        bool refusing = notes->at == notes->refusing_line;

        removed->archiving += refusing;
        return refusing || notes->at == notes->library_line;
    }
    if (notes->at == notes->line)
        return true;
    for (size_t i = 0; i < notes->count; i++)
    {
        bool archiving = is_archiving(notes->items[i].name);

        if (notes->items[i].line != notes->at || (scope == WRITTEN_ARCHIVING && !archiving))
            continue;
        removed->archiving += archiving;
        removed->recovery += !archiving;
        return true;
    }
    return false;
}

enum cpam_status
written_lines_remove(const char *text, size_t size, enum written_scope scope, struct cpam_buf *out,
                     struct written_removed *removed, struct cpam_err *err)
{
    CPAM_AUTO(free) struct notes *notes = calloc(1, sizeof(*notes));
    const char *end = text + size;

    *removed = (struct written_removed){0};
    if (notes == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a configuration file");
    notes->line = notes->refusing_line = notes->library_line = NONE;
    CPAM_TRY(each_line(notes, text, size, find_note, err));
    CPAM_TRY(each_line(notes, text, size, find_lines, err));
    notes->at = 0;
    for (const char *at = text; at < end; notes->at++)
    {
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        const char *next = stop == NULL ? end : stop + 1;

        if (notes->at == notes->line && scope == WRITTEN_ARCHIVING)
            CPAM_TRY(note_rest(notes, out, err));
        else if (!goes(notes, scope, removed))
            CPAM_TRY(cpam_buf_append(out, at, (size_t) (next - at), GUC_FILE_MAX, err));
        at = next;
    }
    return CPAM_OK;
}
