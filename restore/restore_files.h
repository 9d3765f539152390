/*
 * restore_files.h - bytes into place: from an empty target to a directory that is whole but for
 * pg_control's name.
 *
 * Three passages of the manifest: the survey (restore_survey.h) looked; the second makes
 * directories and files at their full length, and spills which bytes of which pack go where; then
 * workers fetch packs; the third holds every file's CRC against the manifest, fsyncs directories,
 * and writes PostgreSQL's own backup_manifest.  Memory does not depend on the number of files.
 */
#ifndef CPAM_RESTORE_RESTORE_FILES_H
#define CPAM_RESTORE_RESTORE_FILES_H

#include "pg/history.h"
#include "restore_pack.h"
#include "restore_survey.h"

enum
{
    RESTORE_FILE_MODE = 0600 /* what a file has besides its own mode until the last passage */
};

struct restore_files
{
    struct io *io;
    struct repo *repo;
    const struct backup_summary *summary;
    const struct history *history; /* of the backup's timeline; NULL for 1 */
    struct restore_places *places;
    const struct restore_survey *survey;
    struct restore_tally *tally; /* counts on */
    unsigned workers;
    void (*wrote)(void *arg, uint64_t bytes); /* called by workers; NULL: nobody looks */
    void *arg;
};

/* After restore_places_make(). */
enum cpam_status restore_files(const struct restore_files *files, struct cpam_err *err) CPAM_CHECK;

/* pg_control takes its name: from here on PostgreSQL can start.  Everything else must be durable. */
enum cpam_status restore_control(struct io *io, const struct restore_places *places,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
