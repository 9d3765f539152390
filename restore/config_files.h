/*
 * config_files.h - the configuration a backup holds of outside its data directory, written out (B13).
 */
#ifndef CPAM_RESTORE_CONFIG_FILES_H
#define CPAM_RESTORE_CONFIG_FILES_H

#include "repo/manifest.h"

struct config_files_request
{
    struct io *io;
    struct repo *repo;
    const struct backup_list *backups;
    const char *label;     /* of the backup; NULL: the newest */
    const char *directory; /* empty or absent, else CPAM_USAGE */
    bool dry_run, json;
};

/*
 * Each file at its absolute path below the directory, fsynced; what was written is printed, and how it
 * is used.  Others get no right to any of them, since a configuration may hold passwords; owner and
 * group keep theirs.  CPAM_UNREACHABLE: no such backup, or its configuration lay in the data directory.
 */
enum cpam_status config_files_fetch(const struct config_files_request *request,
                                    struct cpam_err *err) CPAM_CHECK;

#endif
