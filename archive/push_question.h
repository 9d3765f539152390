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
 * from now.
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

/* The failure was about having a worker, not about the file: is the foreground the way on? */
bool push_question_unanswered(enum cpam_status status);

#endif
