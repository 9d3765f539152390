/*
 * file.h - files through the door, with sentences; and publishing a file whole or not at all.
 *
 * All paths are taken as they are.  A short write is continued, EINTR is tried again, and an error
 * of fsync or close is final (the kernel may have dropped the pages: trying again proves nothing).
 * ENOENT becomes CPAM_NOT_FOUND, EEXIST CPAM_EXISTS, everything else CPAM_IO; err->sys has errno.
 */
#ifndef CPAM_IO_FILE_H
#define CPAM_IO_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "io/io.h"
#include "io/sink.h"

/* O_CLOEXEC is always added.  *out_fd is -1 on failure. */
enum cpam_status file_open(struct io *io, const char *path, int flags, mode_t mode, int *out_fd,
                           struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_close(struct io *io, int fd, const char *path,
                            struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_write(struct io *io, int fd, const char *path, const void *data, size_t size,
                            struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_write_at(struct io *io, int fd, const char *path, const void *data,
                               size_t size, uint64_t at, struct cpam_err *err) CPAM_CHECK;
/* Reads up to size bytes; *got < size only at the end of the file. */
enum cpam_status file_read(struct io *io, int fd, const char *path, void *data, size_t size,
                           size_t *got, struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_read_at(struct io *io, int fd, const char *path, void *data, size_t size,
                              uint64_t at, size_t *got, struct cpam_err *err) CPAM_CHECK;
/* Zeros over what is there, within the file's length: a hole where the file system has them. */
enum cpam_status file_zero_at(struct io *io, int fd, const char *path, uint64_t size, uint64_t at,
                              struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_sync(struct io *io, int fd, const char *path,
                           struct cpam_err *err) CPAM_CHECK;
/* Opens the directory that holds path, fsyncs and closes it. */
enum cpam_status file_sync_parent(struct io *io, const char *path, struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_sync_dir(struct io *io, const char *dir, struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_unlink(struct io *io, const char *path, struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_rename(struct io *io, const char *from, const char *to,
                             struct cpam_err *err) CPAM_CHECK;
enum cpam_status file_stat(struct io *io, const char *path, struct stat *out,
                           struct cpam_err *err) CPAM_CHECK;
bool file_exists(struct io *io, const char *path);

/* The whole file, refused beyond limit bytes. */
enum cpam_status file_read_all(struct io *io, const char *path, size_t limit, struct cpam_buf *out,
                               struct cpam_err *err) CPAM_CHECK;

/* Makes dir and every missing parent with mode, and fsyncs each parent that gained an entry. */
enum cpam_status file_make_dirs(struct io *io, const char *dir, mode_t mode,
                                struct cpam_err *err) CPAM_CHECK;

/*
 * A file that appears at path on finish: ".cpam-<random>" in the same directory, written, fsynced,
 * closed, then renamed over path (replacing what is there), and the directory fsynced.
 */
enum cpam_status sink_file_push(struct sink **chain, struct io *io, const char *path, mode_t mode,
                                struct cpam_err *err) CPAM_CHECK;

/* Is this such a temporary name?  A killed process leaves it. */
bool file_is_temporary(const char *name);

/* The same in one call, for small content. */
enum cpam_status file_write_all(struct io *io, const char *path, mode_t mode, const void *data,
                                size_t size, struct cpam_err *err) CPAM_CHECK;

/*
 * The same, but path must be new: published by link(2) (or RENAME_NOREPLACE where the file system
 * has no hard links), so that two writers can't both succeed.  CPAM_EXISTS if it is there.
 * format-1.md 2.9 has the order of calls and the lost-reply case of NFS.
 */
enum cpam_status file_write_new(struct io *io, const char *path, mode_t mode, const void *data,
                                size_t size, struct cpam_err *err) CPAM_CHECK;

/* As file_write_new, pushed.  The name is taken at finish: CPAM_EXISTS comes from there. */
enum cpam_status sink_file_new_push(struct sink **chain, struct io *io, const char *path,
                                    mode_t mode, struct cpam_err *err) CPAM_CHECK;

/* What comes passes the page cache by, as far as it can (direct.h); chain is one of the two above, and
   nothing was written yet. */
void sink_file_direct(struct sink *chain);

/* A file without a name in dir, open for reading and writing; the caller closes it.  A dir that is not
   there (a spool or state folder of one's own choice) is made, 0700. */
enum cpam_status file_open_unnamed(struct io *io, const char *dir, int *fd,
                                   struct cpam_err *err) CPAM_CHECK;

/* Pumps from fd to the end of the file. */
enum cpam_status pump_fd(struct io *io, int fd, const char *path, struct sink *chain,
                         struct cpam_err *err) CPAM_CHECK;

#endif
