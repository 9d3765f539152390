/*
 * restore_transfer.h - the files of a planned backup, out of one repository or, where that fails, out
 * of the next one that has the very same backup.
 *
 * The next one goes on over what the one before brought: bytes that are right by their tags or CRCs
 * are not fetched again.
 */
#ifndef CPAM_RESTORE_RESTORE_TRANSFER_H
#define CPAM_RESTORE_RESTORE_TRANSFER_H

#include "restore_files.h"
#include "restore_source.h"

struct restore_transfer
{
    struct cli *cli; /* attention is set when a repository failed */
    const struct restore_candidates *candidates;
    size_t chosen;                       /* of them: `source` is that one, opened */
    const struct restore_source *source; /* the plan's */
    const struct backup_summary *backup;
    const struct history *history; /* of its timeline; NULL for 1 */
    struct restore_places *places; /* made */
    const struct restore_survey *survey;
    const struct restore_choice *choice;
    struct restore_tally *tally;
    /* How the one before failed whose work this one has done; NULL: the plan's did it all. */
    const struct repository_settings *instead;
    enum cpam_status reason;
};

/* Of several failures the first. */
enum cpam_status restore_transfer(struct restore_transfer *transfer,
                                  struct cpam_err *err) CPAM_CHECK;

#endif
