/*
 * backup_label.c - backup_label and tablespace_map, as xlogbackup.c and xlogrecovery.c have them.
 */
#include "pg/backup_label.h"

#include <string.h>

#include "base/scope.h"

enum
{
    LABEL_FILE_MAX = 64 * 1024, /* bytes; PostgreSQL's own is below 2 KiB */
    LINE_MAX_ = 1200,           /* a LABEL line: up to 1024 bytes of label */
    MAP_LIMIT = 1 << 24         /* bytes of a tablespace_map */
};

enum seen
{
    SEEN_START = 1,
    SEEN_CHECKPOINT = 2,
    SEEN_TIMELINE = 4,
    SEEN_FROM = 8
};

static enum cpam_status
refuse(const char *what, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_INVALID, 0, "backup_label: %s", what);
}

/* "0/2000028 (file 000000010000000000000002)" */
static enum cpam_status
start_parse(const char *value, struct backup_label *out, struct cpam_err *err)
{
    static const char middle[] = " (file ";
    const char *open = strstr(value, middle);
    char lsn[LSN_TEXT_MAX];
    struct segment segment;

    if (open == NULL || (size_t) (open - value) >= sizeof(lsn))
        return refuse("START WAL LOCATION is not \"LSN (file segment)\"", err);
    memcpy(lsn, value, (size_t) (open - value));
    lsn[open - value] = '\0';
    CPAM_TRY(lsn_parse(lsn, &out->start, err));

    const char *name = open + strlen(middle);
    if (strlen(name) != SEGMENT_NAME_MAX || name[SEGMENT_NAME_MAX - 1] != ')')
        return refuse("START WAL LOCATION is not \"LSN (file segment)\"", err);
    memcpy(out->segment, name, SEGMENT_NAME_MAX - 1);
    out->segment[SEGMENT_NAME_MAX - 1] = '\0';
    return segment_parse(out->segment, 0, &segment, err);
}

static enum cpam_status
timeline_parse(const char *value, struct timeline *out, struct cpam_err *err)
{
    uint64_t id = 0;
    size_t digits = strspn(value, "0123456789");

    if (digits == 0 || digits > 10 || value[digits] != '\0')
        return refuse("START TIMELINE is not a number", err);
    for (size_t i = 0; i < digits; i++)
        id = id * 10 + (uint64_t) (value[i] - '0');
    if (id == 0 || id > UINT32_MAX)
        return refuse("START TIMELINE is not a timeline", err);
    out->id = (uint32_t) id;
    return CPAM_OK;
}

static enum cpam_status
field_parse(enum seen field, const char *value, struct backup_label *out, struct cpam_err *err)
{
    switch (field)
    {
    case SEEN_START: return start_parse(value, out, err);
    case SEEN_CHECKPOINT: return lsn_parse(value, &out->checkpoint, err);
    case SEEN_TIMELINE: return timeline_parse(value, &out->timeline, err);
    case SEEN_FROM: out->from_standby = strcmp(value, "standby") == 0; return CPAM_OK;
    }
    return CPAM_OK;
}

static enum cpam_status
line_parse(const char *line, unsigned *seen, struct backup_label *out, struct cpam_err *err)
{
    static const struct
    {
        const char *front;
        enum seen field;
    } fields[] = {
        {"START WAL LOCATION: ", SEEN_START},
        {"CHECKPOINT LOCATION: ", SEEN_CHECKPOINT},
        {"START TIMELINE: ", SEEN_TIMELINE},
        {"BACKUP FROM: ", SEEN_FROM},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
    {
        size_t size = strlen(fields[i].front);

        if (strncmp(line, fields[i].front, size) != 0)
            continue;
        /* A label with a line feed in it could bring a second one. */
        if ((*seen & fields[i].field) != 0)
            return cpam_fail(err, CPAM_INVALID, 0, "backup_label: two lines \"%s\"",
                             fields[i].front);
        *seen |= fields[i].field;
        return field_parse(fields[i].field, line + size, out, err);
    }
    return CPAM_OK;
}

enum cpam_status
backup_label_parse(const char *text, size_t size, struct backup_label *out, struct cpam_err *err)
{
    unsigned seen = 0;

    *out = (struct backup_label){0};
    if (size > LABEL_FILE_MAX)
        return refuse("is too long", err);
    for (size_t at = 0; at < size;)
    {
        const char *stop = memchr(text + at, '\n', size - at);
        size_t length = stop == NULL ? size - at : (size_t) (stop - text) - at;
        char line[LINE_MAX_];

        if (length >= sizeof(line))
            return refuse("a line is too long", err);
        memcpy(line, text + at, length);
        line[length] = '\0';
        CPAM_TRY(line_parse(line, &seen, out, err));
        at += length + 1;
    }
    if ((seen & SEEN_START) == 0)
        return refuse("no line START WAL LOCATION", err);
    if ((seen & SEEN_CHECKPOINT) == 0)
        return refuse("no line CHECKPOINT LOCATION", err);
    if ((seen & SEEN_TIMELINE) == 0)
        return refuse("no line START TIMELINE", err);
    return CPAM_OK;
}

static enum cpam_status
map_line(const char *line, size_t size, struct cpam_buf *path, tablespace_map_fn fn, void *arg,
         struct cpam_err *err)
{
    char oid[11];
    size_t digits = 0;

    while (digits < size && line[digits] >= '0' && line[digits] <= '9')
        digits++;
    if (digits == 0 || digits >= sizeof(oid) || digits + 1 >= size || line[digits] != ' ')
        return cpam_fail(err, CPAM_INVALID, 0, "tablespace_map: a line is not \"oid path\"");
    memcpy(oid, line, digits);
    oid[digits] = '\0';

    path->size = 0;
    for (size_t i = digits + 1; i < size; i++)
    {
        if (line[i] == '\\' && ++i == size)
            return cpam_fail(err, CPAM_INVALID, 0, "tablespace_map: a line ends in a backslash");
        CPAM_TRY(cpam_buf_append(path, line + i, 1, MAP_LIMIT, err));
    }
    const char *text = cpam_buf_text(path);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a tablespace's path");
    if (strlen(text) != path->size)
        return cpam_fail(err, CPAM_INVALID, 0, "tablespace_map: a path holds a zero byte");
    return fn(arg, oid, text, err);
}

enum cpam_status
tablespace_map_parse(const char *text, size_t size, tablespace_map_fn fn, void *arg,
                     struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    size_t from = 0;
    bool escaped = false;

    if (size > MAP_LIMIT)
        return cpam_fail(err, CPAM_INVALID, 0, "tablespace_map: is too long");
    for (size_t i = 0; i < size; i++)
    {
        if (escaped)
            escaped = false;
        else if (text[i] == '\\')
            escaped = true;
        else if (text[i] == '\n' || text[i] == '\r')
        {
            if (i > from)
                CPAM_TRY(map_line(text + from, i - from, &path, fn, arg, err));
            from = i + 1;
        }
    }
    if (from < size)
        return cpam_fail(err, CPAM_INVALID, 0, "tablespace_map: the last line has no end");
    return CPAM_OK;
}

enum cpam_status
tablespace_map_line(struct cpam_buf *out, const char *oid, const char *path, struct cpam_err *err)
{
    CPAM_TRY(cpam_buf_printf(out, MAP_LIMIT, err, "%s ", oid));
    for (; *path != '\0'; path++)
    {
        if (*path == '\n' || *path == '\r' || *path == '\\')
            CPAM_TRY(cpam_buf_append(out, "\\", 1, MAP_LIMIT, err));
        CPAM_TRY(cpam_buf_append(out, path, 1, MAP_LIMIT, err));
    }
    return cpam_buf_append(out, "\n", 1, MAP_LIMIT, err);
}
