/*
 * backlog_parts.h - what the files of a backlog share: one directory of entries and where it is.
 */
#ifndef CPAM_ARCHIVE_BACKLOG_PARTS_H
#define CPAM_ARCHIVE_BACKLOG_PARTS_H

#include "backlog.h"
#include "base/buf.h"
#include "cli/repository.h"

struct backlog_entry
{
    char name[BACKLOG_NAME_MAX];
};

struct backlog
{
    struct io *io;
    const struct settings *settings;
    const struct repository_settings *which;
    uint64_t sysid;
    char *dir;

    /* The next entries in order, as the directory was listed. */
    struct backlog_entry *next;
    size_t at, count;
    char passed[BACKLOG_NAME_MAX]; /* the last one that was passed over, or "" */

    /* Of the whole directory, as of `kept` entries ago. */
    bool counted;
    unsigned kept;
    uint64_t entries, bytes;

    /* Where entries without a copy are read from; NULL: not opened, tried: not to be opened again
       before the next rewind. */
    struct repository *sources[SETTINGS_REPOSITORIES_MAX];
    bool tried[SETTINGS_REPOSITORIES_MAX];
};

/* The entry's file; the caller frees. */
enum cpam_status backlog_path(const struct backlog *backlog, const char *name, char **out,
                              struct cpam_err *err) CPAM_CHECK;
/* What an entry is a copy of: the name in the archive, without what tells contents apart. */
enum cpam_status backlog_entry_parse(const char *entry, struct archive_name *out,
                                     struct cpam_err *err) CPAM_CHECK;
/* The name beside `name` for the content of the file at path. */
enum cpam_status backlog_entry_beside(struct io *io, const char *path, const char *name,
                                      char out[BACKLOG_NAME_MAX], struct cpam_err *err) CPAM_CHECK;
/* Entries there are, by name alone. */
enum cpam_status backlog_count(struct backlog *backlog, uint64_t *entries,
                               struct cpam_err *err) CPAM_CHECK;

#endif
