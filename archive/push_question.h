/*
 * push_question.h - what cpam-wal-push and the archive module ask cpam-wal-worker, made from the
 * configuration and the path PostgreSQL gave.
 *
 * It needs neither libcurl nor OpenSSL and starts no thread: it also runs inside the archiver.
 */
#ifndef CPAM_ARCHIVE_PUSH_QUESTION_H
#define CPAM_ARCHIVE_PUSH_QUESTION_H

#include "cli/settings.h"
#include "handoff/call.h"

#define PUSH_WORKER_PROGRAM "cpam-wal-worker"

struct push_question;

/*
 * path is %p, relative to the working directory or absolute, and the file must be there; config and
 * program are absolute; settings, config and program are kept.  The deadline is wal.push.timeout
 * from now, or half of it (push_question_foreground).
 *
 * CPAM_REFUSED: there is no worker to ask, because wal.push.mode is direct or path is not
 * <data directory>/pg_wal/<name>.  After that and any other failure the file is pushed in the
 * foreground, by the program with --push, which says itself what may be wrong with it.
 */
enum cpam_status push_question_new(struct io *io, const struct settings *settings,
                                   const char *config, const char *program, const char *path,
                                   struct push_question **out, struct cpam_err *err) CPAM_CHECK;
void push_question_free(struct push_question *question);
CPAM_SCOPED(push_question_free, struct push_question);

const struct handoff_question *push_question_ask(const struct push_question *question);

/*
 * After a failure to get an answer, or an answer that is one: is the foreground the way on?  It is
 * where there is no worker to be had, and where more WAL waits than wal.push.queue_max allows and the
 * worker could not push the file: the foreground alone may give it up.  For that it has what is left of
 * wal.push.timeout: the worker was asked with half of it.
 */
bool push_question_foreground(const struct push_question *question, enum cpam_status status,
                              bool answered);

#endif
