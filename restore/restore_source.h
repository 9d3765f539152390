/*
 * restore_source.h - the repository a restore is made from, and which ones may stand in for it.
 *
 * --repo names one, and then there is no other; so does --as-of, which looks into one bucket's past.
 * Else the required ones come in the order of the configuration.  Those that are not required may lag
 * behind what PostgreSQL was told is archived: a plan is theirs to make only by --repo, but the very same
 * backup may come from them as well, and so may any WAL.
 */
#ifndef CPAM_RESTORE_RESTORE_SOURCE_H
#define CPAM_RESTORE_RESTORE_SOURCE_H

#include "cli/program.h"
#include "cli/repository.h"
#include "repo/backup.h"

struct restore_candidates
{
    const struct repository_settings *items[SETTINGS_REPOSITORIES_MAX];
    size_t count;
    size_t plan; /* the first so many may make the plan */
};

/* CPAM_USAGE: --repo names none that is configured, or none is required. */
enum cpam_status restore_candidates(const struct cli *cli, const char *as_of,
                                    struct restore_candidates *out,
                                    struct cpam_err *err) CPAM_CHECK;

/* One of them, opened, with the backups it lists. */
struct restore_source
{
    const struct repository_settings *which;
    struct repository *repository;
    struct repo *repo;
    struct backup_list *backups;
};

/* accept_loss: also where backups were taken away, or the repository was rolled back.  Findings are
   logged, and set cli->attention.  After a failure *out is empty. */
enum cpam_status restore_source_open(struct cli *cli, const struct repository_settings *which,
                                     bool accept_loss, struct restore_source *out,
                                     struct cpam_err *err) CPAM_CHECK;
void restore_source_close(struct restore_source *source);

/*
 * The repositories that recovery will read WAL from: the source, and every other candidate that answers
 * now.  Of one that does not it can't be said what it has besides: a warning, and where PostgreSQL is
 * told of success before every required one has a file (wal.push.acknowledge), cli->attention.
 */
struct restore_feeds
{
    struct repo *repos[SETTINGS_REPOSITORIES_MAX];        /* the source's first */
    struct repository *opened[SETTINGS_REPOSITORIES_MAX]; /* theirs; NULL for the source's */
    size_t count;
};
void restore_feeds_open(struct cli *cli, const struct restore_candidates *candidates,
                        const struct restore_source *source, struct restore_feeds *out);
void restore_feeds_close(struct restore_feeds *feeds);

/* The very backup that was planned, in another repository.  CPAM_NOT_FOUND: it is not there. */
enum cpam_status restore_source_find(const struct restore_source *source,
                                     const struct backup_summary *planned,
                                     const struct backup_summary **out,
                                     struct cpam_err *err) CPAM_CHECK;

/* May another repository help after this failure? */
bool restore_source_failed(enum cpam_status status);
/* Was it that this one did not answer, so that recovery too must not wait for it? */
bool restore_source_silent(enum cpam_status status);

#endif
