/*
 * history.h - timeline history files: which timeline was forked from which, and where.
 *
 * PostgreSQL documentation 26.3.6 and timeline.c: lines "<parent TLI> <switch LSN> <reason>",
 * oldest first.  '#' lines and blank lines are allowed.
 */
#ifndef CPAM_PG_HISTORY_H
#define CPAM_PG_HISTORY_H

#include "base/scope.h"
#include "pg/segment.h"

enum
{
    HISTORY_FILE_MAX = 1 << 20, /* bytes of a history file that are read */
    HISTORY_ENTRIES_MAX = 4096
};

struct history_entry
{
    struct timeline timeline; /* an ancestor */
    struct lsn switch_point;  /* where its successor begins */
    /* us since 1970 UTC: recovery stopped right before, or right behind, a commit of this moment, as the
       reason says when it had one for its target; INT64_MIN: it says something else */
    int64_t stopped;
};

struct history
{
    struct timeline timeline; /* whose history it is; it has no entry of its own */
    size_t count;
    struct history_entry *entries; /* oldest first; LSNs never decrease, timelines increase */
};

/* timeline 1 has an empty history: text may be NULL with size 0. */
enum cpam_status history_parse(struct timeline timeline, const char *text, size_t size,
                               struct history **out, struct cpam_err *err) CPAM_CHECK;
void history_free(struct history *history);
CPAM_SCOPED(history_free, struct history);

/* True if `timeline` is an ancestor or the timeline itself. */
bool history_contains(const struct history *history, struct timeline timeline);
/* Where `timeline` ends on this path: *out.at is UINT64_MAX for the timeline itself. */
bool history_switch_point(const struct history *history, struct timeline timeline, struct lsn *out);
/* The timeline that owns the byte at lsn on this path. */
struct timeline history_timeline_at(const struct history *history, struct lsn lsn);

#endif
