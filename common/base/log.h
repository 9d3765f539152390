/*
 * log.h - one line a message on stderr; the suite's only global state.
 *
 * "<4>" priority prefixes are written when stderr is journald's stream ($JOURNAL_STREAM), a plain
 * "cpam-wal-push: warning: " otherwise.  Safe from several threads.  Control bytes are escaped, so
 * a name from outside can't forge a line.
 */
#ifndef CPAM_BASE_LOG_H
#define CPAM_BASE_LOG_H

#include "base/err.h"

enum log_level
{
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_DEBUG
};

enum
{
    LOG_KEPT_MAX = 1024
};

void log_start(const char *program, enum log_level level);
/* From now on under this name: a program that does another's work is not the one that was called. */
void log_as(const char *program);
/* From now on to syslog, facility daemon: for a worker, which has nobody's stderr.  program of
   log_start() is kept. */
void log_to_syslog(void);
/* From now on to fn, line by line without the line feed: inside a server that has a log of its own.
   Not thread-safe: before any other thread. */
typedef void (*log_fn)(enum log_level level, const char *line);
void log_hand_to(log_fn fn);
/*
 * Warnings of the calling thread are kept as well, until NULL: for who asked for the work, and has a log
 * of his own.  "first; second", as far as there is room.
 */
struct log_kept
{
    char text[LOG_KEPT_MAX];
};
void log_keep(struct log_kept *kept);
void cpam_log(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line that redraws itself at the bottom of a terminal; messages go above it.  NULL: away. */
void log_bar(const char *line);
/* The sentence, then the hint as a line of its own. */
void log_failure(const struct cpam_err *err);

#endif
