/*
 * restore_survey.h - the first passage of a manifest: sums, places, and the server's settings.
 *
 * Nothing is written.  Only when the whole manifest has passed its checks is anything of it
 * believed.
 */
#ifndef CPAM_RESTORE_RESTORE_SURVEY_H
#define CPAM_RESTORE_RESTORE_SURVEY_H

#include "repo/manifest.h"
#include "restore_databases.h"
#include "restore_places.h"

struct restore_survey
{
    uint64_t files, bytes; /* bytes: without holes, what will be written */
    uint64_t stored;       /* bytes of packs that will be fetched */
    size_t pack_count;
    uint32_t *pack_extents; /* pack_count */
    char *config_file;      /* where the server had it, or NULL */
    bool has_config;        /* postgresql.conf is in the data directory */
    bool archive_always;    /* its archive_mode */
    bool torn_pages;        /* the server did not write full pages after checkpoints */
    struct restore_databases *databases;
    bool has_config_files; /* configuration of elsewhere is in the manifest (config_files.h) */
};

/* What is asked for besides the backup. */
struct restore_choice
{
    const struct option_list *maps;      /* of --tablespace-map */
    const struct option_list *databases; /* of --database */
    const char
        *map_all; /* of --tablespace-map-all, or NULL: where those go that `maps` says nothing of */
};

/* Adds a place for each tablespace and for a linked pg_wal. */
enum cpam_status restore_survey_read(struct repo *repo, const struct backup_summary *summary,
                                     struct restore_places *places,
                                     const struct restore_choice *choice,
                                     struct restore_survey **out, struct cpam_err *err) CPAM_CHECK;
/* The same backup in another repository: its places have to be the ones there are. */
enum cpam_status restore_survey_again(struct repo *repo, const struct backup_summary *summary,
                                      const struct restore_places *places,
                                      const struct restore_choice *choice,
                                      struct restore_survey **out, struct cpam_err *err) CPAM_CHECK;
void restore_survey_free(struct restore_survey *survey);
CPAM_SCOPED(restore_survey_free, struct restore_survey);

/* Files that are not restored, should a backup hold them: a standby.signal would turn a recovery to
   a point in time into an endless one (trap 10 d). */
bool restore_leaves_out(const char *path);

#endif
