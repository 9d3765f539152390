/*
 * prefetch_question.h - what cpam-wal-fetch asks the worker for: a segment, and where to look first.
 *
 * The name on the wire is the segment's, with "@REPOSITORY" behind it where restore_command has
 * --repo (postgresql.md, trap 4).  The stamp is the server's run: what was fetched for the one before
 * is not offered to the next (trap 14).
 */
#ifndef CPAM_RESTORE_PREFETCH_QUESTION_H
#define CPAM_RESTORE_PREFETCH_QUESTION_H

#include "fetch_situation.h"
#include "handoff/call.h"
#include "pg/segment.h"

struct prefetch_question
{
    char name[SEGMENT_NAME_MAX];
    char repo[HANDOFF_NAME_MAX]; /* "": none is named */
};

/* False when it does not fit: then the worker can't be asked. */
bool prefetch_question_write(const char *name, const char *repo, char out[HANDOFF_NAME_MAX]);

/* No two runs of servers in one place have the same. */
void prefetch_question_run(const struct fetch_server *server, struct handoff_stamp *out);

/* CPAM_INVALID unless it is a whole segment's name, for segments of that size. */
enum cpam_status prefetch_question_parse(const char *text, uint32_t segment_size,
                                         struct prefetch_question *out, struct segment *segment,
                                         struct cpam_err *err) CPAM_CHECK;

#endif
