/*
 * push_targets.h - the repositories one backup goes into, and what has become of it in each.
 *
 * One that fails is out of it from there on, with its reason; the others go on.  The main thread's
 * own: what workers find out is in the pack_set (pack.h) until push_targets_look() is called.
 */
#ifndef CPAM_ARCHIVE_PUSH_TARGETS_H
#define CPAM_ARCHIVE_PUSH_TARGETS_H

#include "repo/pack.h"

struct push_target
{
    struct repo *repo;             /* opened for writing; NULL where status tells why it is not */
    enum cpam_status status;       /* CPAM_OK: so far, and at the end: it has its backup */
    struct cpam_err err;           /* unless CPAM_OK */
    bool stored;                   /* the backup exists */
    struct backup_summary summary; /* its label once there is one; all of it when stored */
};

struct push_targets
{
    struct push_target *items;
    size_t count; /* 1..PACK_REPOS_MAX */
};

/* This one is out.  Logged as a warning when others go on. */
void push_target_fail(const struct push_targets *targets, size_t number,
                      const struct cpam_err *err);
/* Every one that is not out yet is out, for a reason they have in common. */
void push_targets_fail(const struct push_targets *targets, const struct cpam_err *err);
/* How many are not out. */
size_t push_targets_left(const struct push_targets *targets);
/* Such a failure is of the way to a repository, and passes; it says nothing about what is in it. */
bool push_target_is_away(enum cpam_status status);
/* Is any not out?  Else the reason of one of them, of one that is away if there is. */
enum cpam_status push_targets_any(const struct push_targets *targets,
                                  struct cpam_err *err) CPAM_CHECK;
/* The repositories by number, as the pack_set and its writers take them: NULL for one that is out. */
void push_targets_repos(const struct push_targets *targets, struct repo *repos[PACK_REPOS_MAX]);

/* The cluster is registered in each, with segments of this size.  Those where it is not are out. */
void push_targets_meet(const struct push_targets *targets, uint64_t sysid, uint32_t segment_size);

/*
 * One label, the same in all of them: the time now; where it is taken in one, a second later in all.
 * Fills the summaries' labels.
 */
struct push_reservation
{
    const char *prefix;
    uint64_t sysid;
    const char *parents; /* whose packs it may use (parents.h) */
};
enum cpam_status push_targets_reserve(struct io *io, const struct push_targets *targets,
                                      const struct push_reservation *what,
                                      char label[BACKUP_LABEL_MAX],
                                      struct cpam_err *err) CPAM_CHECK;

/* The label of a backup that is gone on with. */
void push_targets_name(const struct push_targets *targets, const char *label);

/* Those which have been dropped from the packs are out. */
void push_targets_look(const struct push_targets *targets, struct pack_set *packs);

#endif
