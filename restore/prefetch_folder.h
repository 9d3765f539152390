/*
 * prefetch_folder.h - <place>/prefetch: files that were fetched ahead, and are worth nothing later.
 *
 * A file is written under a name that ends in ".part" and gets its own when it is whole and verified:
 * <segment>.<16 hex of this worker>.<serial>, so that workers that follow each other never touch
 * each other's.  Nothing is fsynced: after a crash the folder is emptied.
 */
#ifndef CPAM_RESTORE_PREFETCH_FOLDER_H
#define CPAM_RESTORE_PREFETCH_FOLDER_H

#include <stdbool.h>

#include "base/scope.h"
#include "io/io.h"
#include "io/sink.h"

enum
{
    PREFETCH_PATH_MAX = 4096,
    PREFETCH_LOOK_AT = 0400 /* mode of a file that whoever hands it over has to look at */
};

struct prefetch_folder;

/* Makes the folder in `place` (a path), or empties it; whoever has the place's lock may. */
enum cpam_status prefetch_folder_open(struct io *io, const char *place,
                                      struct prefetch_folder **out,
                                      struct cpam_err *err) CPAM_CHECK;
/* Removes this worker's files. */
void prefetch_folder_empty(struct prefetch_folder *folder);
void prefetch_folder_free(struct prefetch_folder *folder);
CPAM_SCOPED(prefetch_folder_free, struct prefetch_folder);

/* Where the whole file of this segment and serial is; false if the path is too long. */
bool prefetch_folder_path(const struct prefetch_folder *folder, const char *name, uint64_t serial,
                          char out[PREFETCH_PATH_MAX]);

/* Is there room for `bytes` more, with 10 % of the file system or 1 GiB left, whichever is less? */
bool prefetch_folder_room(const struct prefetch_folder *folder, uint64_t bytes);

/* From any thread: every write fails from now on. */
void prefetch_folder_stop(struct prefetch_folder *folder);

struct prefetch_file;

/* Made with its first byte.  One thread. */
enum cpam_status prefetch_file_new(struct prefetch_folder *folder, const char *name,
                                   uint64_t serial, struct prefetch_file **out,
                                   struct cpam_err *err) CPAM_CHECK;
/* Failures are CPAM_IO, never CPAM_NOT_FOUND. */
struct sink *prefetch_file_sink(struct prefetch_file *file);
uint64_t prefetch_file_size(const struct prefetch_file *file);
/* Did a write fail?  Then no other source of the content is of any help. */
bool prefetch_file_failed(const struct prefetch_file *file);
/* Published, it has the mode PREFETCH_LOOK_AT. */
void prefetch_file_look_at(struct prefetch_file *file);
/* Throw away what came, for another source. */
void prefetch_file_restart(struct prefetch_file *file);
/* Whole and verified: it gets its name. */
enum cpam_status prefetch_file_publish(struct prefetch_file *file, struct cpam_err *err) CPAM_CHECK;
void prefetch_file_free(struct prefetch_file *file);
CPAM_SCOPED(prefetch_file_free, struct prefetch_file);

#endif
