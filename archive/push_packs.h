/*
 * push_packs.h - the packs of earlier backups: are they in the repository that is to use them?
 */
#ifndef CPAM_ARCHIVE_PUSH_PACKS_H
#define CPAM_ARCHIVE_PUSH_PACKS_H

#include "push_known.h"
#include "repo/repo.h"

/* All that are known, or those in use; slot: of the repository among their copies.  CPAM_NOT_FOUND,
   CPAM_CORRUPT: one is not there, or not as it was put. */
enum cpam_status push_packs_there(struct push_known *known, int slot, struct repo *repo, bool used,
                                  struct cpam_err *err) CPAM_CHECK;

/* Are all of them locked for as long as a backup would be that begins now and uses them (format-1.md fault
   6)?  A request for each backup that they are of.  CPAM_INVALID: one is not. */
enum cpam_status push_packs_stay(struct push_known *known, int slot, struct repo *repo,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
