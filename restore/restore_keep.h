/*
 * restore_keep.h - files and directories made durable by several threads at once.
 *
 * Each fsync waits for the disk to empty its cache, even when nothing of that file is left to write:
 * one after the other, a thousand of them took three seconds here; eight at a time share that wait,
 * and took a tenth of a second.
 *
 * What its owner may not write gets that mode here, after the last byte: a file next to its fsync, a
 * directory when everything is in it.
 *
 * Small files are also read back: a write that failed in the background before anybody fsynced the
 * file can be forgotten by the kernel together with the file's pages, but not by its content.
 */
#ifndef CPAM_RESTORE_RESTORE_KEEP_H
#define CPAM_RESTORE_RESTORE_KEEP_H

#include "restore_files.h"

struct restore_keep;
enum cpam_status restore_keep_new(const struct restore_files *files, struct restore_keep **out,
                                  struct cpam_err *err) CPAM_CHECK;

/* The file of this entry, whose size and CRC are of what was written, is on disk and, if it is small, as
   it was sent there.  Done some time later: *err may tell of an earlier one. */
enum cpam_status restore_keep_file(struct restore_keep *keep, const struct manifest_entry *file,
                                   struct cpam_err *err) CPAM_CHECK;
/* A directory with its own mode. */
enum cpam_status restore_keep_directory(struct restore_keep *keep,
                                        const struct manifest_entry *directory,
                                        struct cpam_err *err) CPAM_CHECK;

/* Once all of them are: the first failure, if there was one. */
enum cpam_status restore_keep_finish(struct restore_keep *keep, struct cpam_err *err) CPAM_CHECK;
void restore_keep_free(struct restore_keep *keep);
CPAM_SCOPED(restore_keep_free, struct restore_keep);

#endif
