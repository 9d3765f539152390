/*
 * backlog.h - files that one repository does not have yet, kept on disk until it has.
 *
 *     <state>/backlog/<repository>/<system identifier>/<name>
 *
 * Written when PostgreSQL is about to be answered 0 although this repository (an optional one, or a
 * required one that wal.push.acknowledge does not wait for) does not have the file: the server will
 * recycle it.  Each entry is a copy of the file, fsynced with its directory; where the disk or
 * BACKLOG_BYTES_MAX does not allow one, it is an empty file: then the content is read back from
 * pg_wal, or from a repository that has it and that this host can open.  Losing the backlog costs
 * time, never data: the repositories that acknowledged have it all.
 */
#ifndef CPAM_ARCHIVE_BACKLOG_H
#define CPAM_ARCHIVE_BACKLOG_H

#include "cli/settings.h"
#include "pg/segment.h"

struct backlog; /* one repository's, for one system identifier; used by one thread at a time */

enum cpam_status backlog_open(struct io *io, const struct settings *settings,
                              const struct repository_settings *which, uint64_t sysid,
                              struct backlog **out, struct cpam_err *err) CPAM_CHECK;
void backlog_free(struct backlog *backlog);
CPAM_SCOPED(backlog_free, struct backlog);

/* Keep the file at path under name; durable when it returns CPAM_OK.  Kept before: CPAM_OK. */
enum cpam_status backlog_keep(struct backlog *backlog, const char *path, const char *name,
                              struct cpam_err *err) CPAM_CHECK;

/* Histories first, then oldest name first.  *any false: nothing left.  path (the caller frees) is
   NULL for an entry without a copy. */
enum cpam_status backlog_next(struct backlog *backlog, bool *any, struct archive_name *name,
                              char **path, struct cpam_err *err) CPAM_CHECK;
/* It is in the repository now. */
enum cpam_status backlog_done(struct backlog *backlog, const char *name,
                              struct cpam_err *err) CPAM_CHECK;

/* Entries and bytes waiting, for `cpam-repo check`, logs and metrics. */
enum cpam_status backlog_size(struct backlog *backlog, uint64_t *entries, uint64_t *bytes,
                              struct cpam_err *err) CPAM_CHECK;

/*
 * Push entries into repo until it is empty, a push fails, or the deadline has passed.  data: the
 * data directory for entries without a copy (NULL: none).  *left: entries that are still there.
 */
struct repo;
enum cpam_status backlog_drain(struct backlog *backlog, struct repo *repo, const char *data,
                               struct deadline deadline, uint64_t *left,
                               struct cpam_err *err) CPAM_CHECK;

#endif
