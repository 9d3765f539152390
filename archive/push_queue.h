/*
 * push_queue.h - does more WAL wait to be archived than wal.push.queue_max allows?
 *
 * What waits are the segments that are .ready in archive_status beside the file, each as large as it
 * is.  Needs neither libcurl nor OpenSSL.
 */
#ifndef CPAM_ARCHIVE_PUSH_QUEUE_H
#define CPAM_ARCHIVE_PUSH_QUEUE_H

#include "cli/settings.h"

/* *due: it does, and the file at path (%p) is a segment, so that it may be given up (push_gap.h).
   Never with queue_max 0.  *waiting: bytes, where they were counted. */
enum cpam_status push_queue_due(struct io *io, const struct settings *settings, const char *path,
                                bool *due, uint64_t *waiting, struct cpam_err *err) CPAM_CHECK;

#endif
