/*
 * fetch_tablespaces.h - a server gets no WAL by which it would use another one's tablespace.
 *
 * Replay of CREATE TABLESPACE takes <path>/PG_<major>_<catalog> for the server's own, and the path in the
 * record is the original's (postgresql.md, trap 6).  On the original's host that is a running
 * database's data, into which the copy would write; PostgreSQL up to the minor releases of 2021 emptied it
 * first.  After a disaster it is what was left.  A server that was there before, and replays the record
 * once more, has a link to that path already.
 *
 * The worker that fetches ahead tells of a segment that may hold such a record by making its file
 * read-only; who hands it over walks it, record by record, and looks at the directories.  A record that
 * begins in one segment and ends in the next is found by the end of the former in pg_wal.  What lies in
 * pg_wal already, or comes by streaming, passes nobody who could look.
 */
#ifndef CPAM_RESTORE_FETCH_TABLESPACES_H
#define CPAM_RESTORE_FETCH_TABLESPACES_H

#include "fetch_situation.h"
#include "io/sink.h"

struct tablespace_watch;

enum cpam_status tablespace_watch_new(struct tablespace_watch **out,
                                      struct cpam_err *err) CPAM_CHECK;
void tablespace_watch_free(struct tablespace_watch *watch);
CPAM_SCOPED(tablespace_watch_free, struct tablespace_watch);

/* A sink in front of `to` (borrowed) for a segment from its beginning on; owned by the watch. */
struct sink *tablespace_watch_over(struct tablespace_watch *watch, struct sink *to);
/* Did something pass that may be a CREATE TABLESPACE? */
bool tablespace_watch_any(const struct tablespace_watch *watch);

/* May the segment at path hold the end of such a record, which begins in the one before it? */
bool tablespaces_cross(struct io *io, const struct fetch_situation *situation, const char *path);

/*
 * Walks the segment at path, which the situation's server is to replay.  CPAM_EXISTS: it would use a
 * directory that is not its own.
 */
enum cpam_status tablespaces_judge(struct io *io, const struct fetch_situation *situation,
                                   const char *path, struct cpam_err *err) CPAM_CHECK;

/* The same where there is a reason to: one that is known (`suspected`), or a record that crosses. */
enum cpam_status tablespaces_check(struct io *io, const struct fetch_situation *situation,
                                   const char *path, bool suspected,
                                   struct cpam_err *err) CPAM_CHECK;

#endif
