/*
 * history.c - timeline history: which timeline was forked from which, and where.
 *
 * Entries are kept oldest first.  Timelines must increase and fork LSNs never decrease: a file in
 * which one does is refused, since recovery along it would skip WAL.
 */
#include "pg/history.h"

#include <string.h>

#include "base/text.h"

enum
{
    REASON_TIME_MAX = 64
};

static enum cpam_status
refuse(const struct history *history, unsigned line, const char *why, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_INVALID, 0, "history of timeline %u, line %u: %s",
                     history->timeline.id, line, why);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Decimal digits up to 2^32-1; where they end, or NULL. */
static const char *
number_parse(const char *at, const char *end, uint32_t *out)
{
    uint64_t value = 0;
    const char *first = at;

    for (; at < end && *at >= '0' && *at <= '9'; at++)
    {
        value = value * 10 + (uint64_t) (*at - '0');
        if (value > UINT32_MAX)
            return NULL;
    }
    *out = (uint32_t) value;
    return at == first ? NULL : at;
}

static const char *
word_end(const char *at, const char *end)
{
    while (at < end && !is_blank(*at))
        at++;
    return at;
}

/* "before 2026-11-30 18:18:37.123+00", as getRecoveryStopReason() in xlogrecovery.c has it. */
static int64_t
stopped_parse(const char *at, const char *end)
{
    static const char *const words[] = {"before ", "after "};
    char text[REASON_TIME_MAX];
    struct cpam_err ignored;
    int64_t moment;

    while (at < end && is_blank(*at))
        at++;
    while (end > at && is_blank(end[-1]))
        end--;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
    {
        size_t skip = strlen(words[i]), size = (size_t) (end - at);

        if (size <= skip || size - skip >= sizeof(text) || memcmp(at, words[i], skip) != 0)
            continue;
        memcpy(text, at + skip, size - skip);
        text[size - skip] = '\0';
        if (text_parse_time(text, &moment, &ignored) == CPAM_OK)
            return moment;
    }
    return INT64_MIN;
}

/* "<timeline> <LSN> [<reason>]", blanks in front already skipped. */
static bool
entry_parse(const char *at, const char *end, struct history_entry *out)
{
    char lsn[LSN_TEXT_MAX];
    struct cpam_err ignored;

    at = number_parse(at, end, &out->timeline.id);
    if (at == NULL || at == end || !is_blank(*at))
        return false;
    while (at < end && is_blank(*at))
        at++;
    const char *stop = word_end(at, end);
    size_t size = (size_t) (stop - at);
    if (size >= sizeof(lsn))
        return false;
    memcpy(lsn, at, size);
    lsn[size] = '\0';
    out->stopped = stopped_parse(stop, end);
    return lsn_parse(lsn, &out->switch_point, &ignored) == CPAM_OK;
}

static enum cpam_status
entry_add(struct history *history, unsigned line, struct history_entry entry, struct cpam_err *err)
{
    const struct history_entry *last =
        history->count == 0 ? NULL : &history->entries[history->count - 1];

    if (entry.timeline.id == 0)
        return refuse(history, line, "timeline 0 does not exist", err);
    if (entry.timeline.id >= history->timeline.id)
        return refuse(history, line, "an ancestor must have a smaller number than its descendant",
                      err);
    if (last != NULL && entry.timeline.id <= last->timeline.id)
        return refuse(history, line, "timelines must increase", err);
    if (entry.switch_point.at == 0)
        return refuse(history, line, "a switch point can't be 0/0", err);
    if (last != NULL && entry.switch_point.at < last->switch_point.at)
        return refuse(history, line, "switch points must not decrease", err);
    if (history->count == HISTORY_ENTRIES_MAX)
        return refuse(history, line, "more ancestors than allowed", err);

    if ((history->count & (history->count - 1)) == 0)
    {
        size_t cap = history->count == 0 ? 1 : history->count * 2;
        struct history_entry *entries = realloc(history->entries, cap * sizeof(*entries));

        if (entries == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a timeline history");
        history->entries = entries;
    }
    history->entries[history->count++] = entry;
    return CPAM_OK;
}

static enum cpam_status
lines_parse(struct history *history, const char *text, size_t size, struct cpam_err *err)
{
    const char *end = text + size;
    unsigned line = 0;

    for (const char *at = text; at < end;)
    {
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        const char *next = stop == NULL ? end : stop + 1;
        struct history_entry entry;

        if (stop == NULL)
            stop = end;
        line++;
        while (at < stop && is_blank(*at))
            at++;
        if (at < stop && *at != '#')
        {
            if (!entry_parse(at, stop, &entry))
                return refuse(history, line, "is not \"timeline LSN reason\"", err);
            CPAM_TRY(entry_add(history, line, entry, err));
        }
        at = next;
    }
    return CPAM_OK;
}

enum cpam_status
history_parse(struct timeline timeline, const char *text, size_t size, struct history **out,
              struct cpam_err *err)
{
    if (timeline.id == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "timeline 0 does not exist");
    if (size > HISTORY_FILE_MAX)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "history of timeline %u: %zu bytes, more than the allowed %d", timeline.id,
                         size, HISTORY_FILE_MAX);
    if (size > 0 && memchr(text, '\0', size) != NULL)
        return cpam_fail(err, CPAM_INVALID, 0, "history of timeline %u: holds a zero byte",
                         timeline.id);

    CPAM_AUTO(history_free) struct history *history = calloc(1, sizeof(*history));
    if (history == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a timeline history");
    history->timeline = timeline;
    if (size > 0)
        CPAM_TRY(lines_parse(history, text, size, err));
    /* A file without an entry was cut short: PostgreSQL writes the parent into every one. */
    if (text != NULL && history->count == 0 && timeline.id > 1)
        return cpam_fail(err, CPAM_INVALID, 0, "history of timeline %u: names no ancestor",
                         timeline.id);
    *out = CPAM_STEAL(history);
    return CPAM_OK;
}

void
history_free(struct history *history)
{
    if (history == NULL)
        return;
    free(history->entries);
    free(history);
}

bool
history_contains(const struct history *history, struct timeline timeline)
{
    struct lsn ignored;

    return history_switch_point(history, timeline, &ignored);
}

bool
history_switch_point(const struct history *history, struct timeline timeline, struct lsn *out)
{
    if (history->timeline.id == timeline.id)
    {
        out->at = UINT64_MAX;
        return true;
    }
    for (size_t i = 0; i < history->count; i++)
        if (history->entries[i].timeline.id == timeline.id)
        {
            *out = history->entries[i].switch_point;
            return true;
        }
    return false;
}

struct timeline
history_timeline_at(const struct history *history, struct lsn lsn)
{
    for (size_t i = 0; i < history->count; i++)
        if (lsn.at < history->entries[i].switch_point.at)
            return history->entries[i].timeline;
    return history->timeline;
}
