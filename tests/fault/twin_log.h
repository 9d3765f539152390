/*
 * twin_log.h - the twin's log of everything that changes a file system, for crash_states.py.
 *
 * A line an operation, fields separated by tabs.  Files and directories have ids of the log's own,
 * since inode numbers are used again.
 *
 *   seen ID PATH                      it was there before the log began
 *   create DIR NAME ID | mkdir DIR NAME ID | link DIR NAME ID
 *   unlink DIR NAME | rename DIR NAME DIR NAME ID | symlink DIR NAME TARGET
 *   write ID OFFSET SIZE              then SIZE bytes and a line feed
 *   truncate ID SIZE | fsync ID
 */
#ifndef CPAM_TESTS_TWIN_LOG_H
#define CPAM_TESTS_TWIN_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct twin_log;

struct twin_log *twin_log_open(const char *path);
void twin_log_close(struct twin_log *log);

/* Each is called right after the operation succeeded.  Paths are absolute. */
void twin_log_created(struct twin_log *log, int fd, const char *path);
void twin_log_mkdir(struct twin_log *log, const char *path);
void twin_log_link(struct twin_log *log, const char *from, const char *to);
void twin_log_unlink(struct twin_log *log, const char *path);
void twin_log_rename(struct twin_log *log, const char *from, const char *to);
void twin_log_symlink(struct twin_log *log, const char *target, const char *path);
void twin_log_write(struct twin_log *log, int fd, uint64_t at, const void *data, size_t size);
void twin_log_truncate(struct twin_log *log, int fd, uint64_t size);
void twin_log_fsync(struct twin_log *log, int fd);

#endif
