/*
 * quarantine.h - one side of a conflict put aside, whole, and never deleted.
 *
 * quarantine/<first 16 hex of the content id>/<logical name> holds an object that lost its name to
 * another content, sealed under its logical name as format-1.md fault 11 has it, so that it can
 * still be opened.  A clear signed record beside it (".json") says who put it there, when, why, and
 * which content kept the name.
 */
#ifndef CPAM_REPO_QUARANTINE_H
#define CPAM_REPO_QUARANTINE_H

#include "repo/wal_archive.h"

/* The local side: seal the item into quarantine.  The same again is CPAM_OK. */
enum cpam_status quarantine_put(struct repo *repo, struct wal_item *item, const char *reason,
                                struct cpam_err *err) CPAM_CHECK;

/* Is exactly this content of this name in quarantine?  wal_archive_put() asks before it refuses: a
   content that a person has put aside is durable, and its push succeeds with a warning. */
enum cpam_status quarantine_holds(struct repo *repo, struct wal_item *item, bool *holds,
                                  struct cpam_err *err) CPAM_CHECK;

/*
 * The stored side: copied to quarantine, read back and compared whole, and only then taken from
 * under its name, which is free after it.  CPAM_REFUSED where the store has versions or a lock (the
 * old version would come back); the hint says what an administrator does there.
 */
enum cpam_status quarantine_move(struct repo *repo, uint64_t sysid, const char *name,
                                 const char *reason, struct cpam_err *err) CPAM_CHECK;

struct quarantined
{
    char name[ARCHIVE_NAME_MAX];
    char content[17]; /* first 16 hex of its content id */
    uint64_t size;    /* bytes of the object */
    int64_t when;     /* us since 1970 UTC */
};
typedef enum cpam_status (*quarantine_fn)(void *arg, const struct quarantined *one,
                                          struct cpam_err *err);
enum cpam_status quarantine_list(struct repo *repo, uint64_t sysid, quarantine_fn fn, void *arg,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
