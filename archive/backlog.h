/*
 * backlog.h - files that one repository does not have yet, kept on disk until it has.
 *
 *     <state>/backlog/<cluster>/<repository>/<system identifier>/<name>
 *
 * Written when PostgreSQL is about to be answered 0 although this repository (an optional one, or a
 * required one that wal.push.acknowledge does not wait for) does not have the file: the server will
 * recycle it.  Each entry is a copy of the file, fsynced with its directory; where the disk or
 * wal.push.backlog_max does not allow one, it is an empty file: then the content is read back from
 * pg_wal, or from a repository that has it and that this host can open.  Losing the backlog costs
 * time, never data: the repositories that acknowledged have it all.
 *
 * A .partial or .backup that comes with another content than the one that waits is kept beside it,
 * as <name>.<16 hex>, always with a copy: both reach the repository (postgresql.md, trap 9).
 *
 * The directory belongs to nobody in particular: several processes may keep, drain and look at the
 * same time.  Directories have mode 0700, files 0600.
 */
#ifndef CPAM_ARCHIVE_BACKLOG_H
#define CPAM_ARCHIVE_BACKLOG_H

#include "cli/settings.h"
#include "pg/segment.h"

enum
{
    BACKLOG_ENTRIES_MAX = 1000000, /* names, with or without a copy, before a file is refused */
    BACKLOG_NAME_MAX = ARCHIVE_NAME_MAX + 17 /* of an entry, with its NUL */
};

struct backlog; /* one repository's, for one system identifier; used by one thread at a time */

/* Makes nothing on disk.  settings and which are kept. */
enum cpam_status backlog_open(struct io *io, const struct settings *settings,
                              const struct repository_settings *which, uint64_t sysid,
                              struct backlog **out, struct cpam_err *err) CPAM_CHECK;
void backlog_free(struct backlog *backlog);
CPAM_SCOPED(backlog_free, struct backlog);

/*
 * Keep the file at path under name; durable when it returns CPAM_OK, with or without a copy.  Kept
 * before with the same content (or without any): CPAM_OK.  CPAM_EXISTS: a segment or history with
 * another content, and nothing was changed.  CPAM_IO: not even the name could be written.
 */
enum cpam_status backlog_keep(struct backlog *backlog, const char *path, const char *name,
                              struct cpam_err *err) CPAM_CHECK;

/*
 * The next one: histories first, then oldest name first.  *any false: nothing is left but what was
 * passed over.  path (the caller frees) is NULL for an entry without a copy.  The same entry comes
 * again until it is done or passed over.
 */
enum cpam_status backlog_next(struct backlog *backlog, bool *any, struct archive_name *name,
                              char **path, struct cpam_err *err) CPAM_CHECK;
/* It is in the repository now: the entry backlog_next() gave if it is of this name.  Its name is forgotten, durably or not: again does no harm. */
enum cpam_status backlog_done(struct backlog *backlog, const char *name,
                              struct cpam_err *err) CPAM_CHECK;
/* Leave the entry backlog_next() gave where it is and go on behind it, until backlog_rewind(). */
void backlog_pass(struct backlog *backlog);
void backlog_rewind(struct backlog *backlog);

/* What waits, for `cpam-repo check`, logs and metrics.  One walk over the directory. */
struct backlog_size
{
    uint64_t entries, bytes;
    uint64_t without_copy;        /* of the entries */
    char first[BACKLOG_NAME_MAX]; /* what comes next, or "" */
    int64_t oldest;               /* us since 1970 UTC: since when the oldest waits; 0: none */
};
enum cpam_status backlog_size(struct backlog *backlog, struct backlog_size *out,
                              struct cpam_err *err) CPAM_CHECK;

/*
 * Push up to `most` entries (0: any number) into repo, until none is left, a push fails, or it is too
 * late to begin another.  data: the data directory for entries without a copy (NULL: none).
 *
 * CPAM_OK also when time or `most` ended it, and when entries were passed over that can't be pushed
 * (damaged; other content there; no copy and nobody to read it from): these are logged.  Another
 * status is the repository's failure.  *left: entries that are still there, in any case.
 */
struct repo;
struct backlog_limits
{
    struct deadline begin; /* no entry is begun behind it */
    struct deadline end;   /* of the one that was begun: as far behind as a large file takes */
    unsigned most;
};
enum cpam_status backlog_drain(struct backlog *backlog, struct repo *repo, const char *data,
                               const struct backlog_limits *limits, uint64_t *left,
                               struct cpam_err *err) CPAM_CHECK;

#endif
