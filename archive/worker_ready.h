/*
 * worker_ready.h - which files the server wants archived: <data>/pg_wal/archive_status/NAME.ready.
 *
 * The directory is read when it has changed, and not more often than its size allows: reading ten
 * thousand names must not be what the worker does all day.
 */
#ifndef CPAM_ARCHIVE_WORKER_READY_H
#define CPAM_ARCHIVE_WORKER_READY_H

#include "base/scope.h"
#include "io/io.h"
#include "pg/segment.h"

struct ready;

/* data is kept. */
enum cpam_status ready_new(struct io *io, const char *data, struct ready **out,
                           struct cpam_err *err) CPAM_CHECK;
void ready_free(struct ready *ready);
CPAM_SCOPED(ready_free, struct ready);

/* Reads it if that is due (*fresh).  A directory that can't be read has no names: the server tells
   its administrator about that itself. */
void ready_look(struct ready *ready, bool *fresh);
/* Names in the server's order: histories first, then by name.  Of a very long directory the first
   ones (complete says so). */
size_t ready_count(const struct ready *ready, bool *complete);
const struct archive_name *ready_at(const struct ready *ready, size_t index);

#endif
