/*
 * fetch_tablespaces.h - a server gets no WAL by which it would remove another one's tablespace.
 *
 * Replay of CREATE TABLESPACE removes <path>/PG_<major>_<catalog> and makes it anew, and the path in
 * the record is the original's (postgresql.md, trap 6).  On the original's host that is a running
 * database's data; after a disaster it is what was left of it.  A server that was there before, and
 * replays the record once more, has the link pg_tblspc/<oid> to that path already.
 *
 * The worker that fetches ahead leaves a segment with such a record to the foreground, which looks at
 * the directories.  A record that begins in one segment and ends in the next is found by the end of
 * the former in pg_wal, without which the server could not read it either.
 */
#ifndef CPAM_RESTORE_FETCH_TABLESPACES_H
#define CPAM_RESTORE_FETCH_TABLESPACES_H

#include "fetch_situation.h"
#include "io/sink.h"

struct tablespace_watch;

/* situation (kept, outlives it): whose directories are looked at; NULL: nobody's, and only any() tells. */
enum cpam_status tablespace_watch_new(struct io *io, const struct fetch_situation *situation,
                                      struct tablespace_watch **out,
                                      struct cpam_err *err) CPAM_CHECK;
void tablespace_watch_free(struct tablespace_watch *watch);
CPAM_SCOPED(tablespace_watch_free, struct tablespace_watch);

/* A sink in front of `to` (borrowed) for a segment from its beginning on; owned by the watch. */
struct sink *tablespace_watch_over(struct tablespace_watch *watch, struct sink *to);
/* Did a CREATE TABLESPACE pass? */
bool tablespace_watch_any(const struct tablespace_watch *watch);
/* CPAM_EXISTS when replay would remove what is not this server's. */
enum cpam_status tablespace_watch_verdict(const struct tablespace_watch *watch,
                                          struct cpam_err *err) CPAM_CHECK;

/* Does such a record end in the segment at path that begins in the one before it in pg_wal? */
bool tablespace_crosses(struct io *io, const struct fetch_situation *situation, const char *path);

#endif
