/*
 * backup_packs.h - are the packs there that another backup is going to use?
 *
 * A backup that names a pack which was taken away would be listed, and could not be restored; so
 * would every later one that goes back to it.
 */
#ifndef CPAM_REPO_BACKUP_PACKS_H
#define CPAM_REPO_BACKUP_PACKS_H

#include "repo/repo.h"

struct backup_pack
{
    uint32_t name; /* the eight hex digits of its key */
    uint64_t size; /* bytes of the object */
};

/* By a listing, so that it takes a request for a thousand of them.  packs: ascending by name, all of
   this label.  CPAM_NOT_FOUND: one is not there; CPAM_CORRUPT: one has another size. */
enum cpam_status backup_packs_there(struct repo *repo, const char *label,
                                    const struct backup_pack *packs, size_t count,
                                    struct cpam_err *err) CPAM_CHECK;

/* Is it locked until then, where the store tells?  All packs of a backup are locked alike, those that were
   put first the least.  CPAM_INVALID: it is free before. */
enum cpam_status backup_pack_stays(struct repo *repo, const char *label,
                                   const struct backup_pack *pack, int64_t until,
                                   struct cpam_err *err) CPAM_CHECK;

#endif
