/*
 * push_base.h - what a backup builds on: an earlier one, or nothing; and what it leaves for the next.
 *
 * An incremental backup needs a parent in each repository it goes into: the state of that backup is
 * here and whole, its summary in the repository is the very one that was written with it and
 * verifies, so do those of the backups whose packs it uses, no tombstone speaks of any of them, and
 * the full backup of the epoch is younger than base.full_every.  The state names digests of the
 * authenticated summary, so that it can be no other backup's (format-1.md fault 3).
 */
#ifndef CPAM_ARCHIVE_PUSH_BASE_H
#define CPAM_ARCHIVE_PUSH_BASE_H

#include "push_journal.h"
#include "push_known.h"
#include "push_targets.h"

struct push_base_spec
{
    const char *state;
    const struct push_targets *targets;
    const char *mode;   /* base.mode */
    int64_t full_every; /* us */
    uint64_t sysid;
    uint32_t part_size; /* of the plan */
};

struct push_base
{
    struct io *io;
    struct push_base_spec spec;
    struct push_head head;     /* of the new backup; label and times come with push_base_begin() */
    struct push_known *known;  /* the parent's; NULL: a full backup */
    struct push_known *before; /* of an earlier attempt at this backup (push_resume.h); or NULL */
    struct push_journal *journal;     /* NULL: none is kept */
    char parents[BACKUP_PARENTS_MAX]; /* whose packs it may use (parents.h) */
    int slots[PACK_REPOS_MAX];        /* of the targets among the copies of the parent's packs */
};

/* Chooses, and says in the log why.  CPAM_REFUSED: base.mode is incremental, and there is no parent. */
enum cpam_status push_base_choose(struct io *io, const struct push_base_spec *spec,
                                  struct push_base **out, struct cpam_err *err) CPAM_CHECK;
void push_base_free(struct push_base *base);
CPAM_SCOPED(push_base_free, struct push_base);

/* Reserves a label, or has that of the backup that is gone on with; then looks for tombstones. */
enum cpam_status push_base_reserve(struct push_base *base, const char *prefix,
                                   char label[BACKUP_LABEL_MAX], struct cpam_err *err) CPAM_CHECK;
/* The label is reserved: keeps a journal from here on, if that can be. */
void push_base_begin(struct push_base *base, const char *label, int64_t now);
/* Is this the name of a file in the state directory that ends so?  For push_resume.c. */
bool push_base_ends_in(const char *name, const char *end);

/* All packs are put: kind, epoch and parents of the summary, and what the journal needs of the parent's
   packs. */
enum cpam_status push_base_conclude(struct push_base *base, struct backup_summary *summary,
                                    struct cpam_err *err) CPAM_CHECK;
/* Right before its summary is put: are the packs that were there before still there, and is none of the
   backups being removed that they are of?  number: of the target. */
enum cpam_status push_base_stands(const struct push_base *base, size_t number,
                                  struct cpam_err *err) CPAM_CHECK;
/* The backup exists in the targets that are `stored`. */
void push_base_keep(struct push_base *base, struct lsn start);

#endif
