/*
 * wal_archive.h - WAL segments, history, .backup and .partial files in one repository.
 *
 * Keys are wal/<sysid>/<TLI>/<LOG>/<name>, history files wal/<sysid>/<TLI>.history.
 */
#ifndef CPAM_REPO_WAL_ARCHIVE_H
#define CPAM_REPO_WAL_ARCHIVE_H

#include "pg/history.h"
#include "pg/wal_page.h"
#include "repo/repo.h"

/* A file on its way into the archive: read, checked against its name, with its content id known. */
struct wal_item;

/*
 * Open path and check it: name grammar, size, first page against the name (`history` for trap 2 is
 * looked up in dirname(path)/<TLI>.history).  sysid comes from the header for segments and
 * .partial; for .history and .backup from the caller (pg_control).
 *
 * The content of a segment is read when it is put, by each repository for itself, through the
 * descriptor that was opened here: once as a rule, twice where the object is too large to be held
 * (more than some 20 MiB).  CPAM_TRANSIENT or CPAM_INVALID from a put: the file changed since.
 */
enum cpam_status wal_item_read(struct io *io, const char *path, const char *name, uint64_t sysid,
                               struct wal_item **out, struct cpam_err *err) CPAM_CHECK;
void wal_item_free(struct wal_item *item);
CPAM_SCOPED(wal_item_free, struct wal_item);
uint64_t wal_item_sysid(const struct wal_item *item);
uint64_t wal_item_size(const struct wal_item *item);               /* bytes */
const struct wal_page *wal_item_page(const struct wal_item *item); /* NULL: it is no WAL */
/* The id its content has in this repository. */
enum cpam_status wal_item_content_id(struct repo *repo, struct wal_item *item,
                                     uint8_t out[CONTENT_ID_SIZE], struct cpam_err *err) CPAM_CHECK;

/*
 * Make the item durable in this repository.
 *   CPAM_OK      it is there now (*was_there true: the same content was there before, no body sent)
 *   CPAM_EXISTS  other content has the name: the sentence has both content ids, system identifiers
 *                and timelines; nothing was changed.  Content that a person has put into quarantine
 *                is CPAM_OK, *was_there, with a warning (repo/quarantine.h).  .backup and .partial
 *                go beside it under <name>.<16 hex of content id> (trap 9), with a warning.
 *   CPAM_FOREIGN the system identifier is not one of this repository's cluster records
 */
enum cpam_status wal_archive_put(struct repo *repo, struct wal_item *item, bool *was_there,
                                 struct cpam_err *err) CPAM_CHECK;

/*
 * How a put is made, for a caller that makes many.  Of the steps only the one that compresses and
 * seals is bound by the CPU: the gate lets as many into it as there are CPUs to use, while others
 * wait for the store.
 */
struct wal_gate
{
    void (*enter)(void *arg); /* blocks until there is room */
    void (*leave)(void *arg);
    void *arg;
};
struct wal_put_how
{
    /* A listing did not show the name: put it at once, where the store is known to refuse a name
       that is taken; elsewhere it is looked for first in any case. */
    bool probably_absent;
    const struct wal_gate *gate; /* NULL: no gate */
};
/* wal_archive_put() with how (NULL: as wal_archive_put). */
enum cpam_status wal_archive_put_how(struct repo *repo, struct wal_item *item,
                                     const struct wal_put_how *how, bool *was_there,
                                     struct cpam_err *err) CPAM_CHECK;

/*
 * Write the archived file into `to` (not finished here).  CPAM_NOT_FOUND only when the store
 * proved the name absent.  In a versioned bucket the oldest version that authenticates is the
 * object (fault 5).  Segments are checked against their name while they pass, as in push.
 */
enum cpam_status wal_archive_get(struct repo *repo, uint64_t sysid, const char *name,
                                 struct sink *to, struct object_header *header,
                                 struct cpam_err *err) CPAM_CHECK;

/* Is a whole segment with a number greater than this one's on its timeline?  (a hole behind it) */
enum cpam_status wal_archive_later_exists(struct repo *repo, uint64_t sysid,
                                          const struct archive_name *name, bool *exists,
                                          struct cpam_err *err) CPAM_CHECK;

/* A later timeline that branched off this one in a segment behind this (0: none): what lies between is
   of its path too, so that without this segment nothing of it can be reached. */
enum cpam_status wal_archive_branch_later(struct repo *repo, uint64_t sysid, struct segment segment,
                                          uint32_t segment_size, struct timeline *branch,
                                          struct cpam_err *err) CPAM_CHECK;

/* Does the archive know this timeline although its .history is absent: a segment of it, or a
   history of a later timeline that names it?  (trap 25) */
enum cpam_status wal_archive_timeline_known(struct repo *repo, uint64_t sysid,
                                            struct timeline timeline, bool *known,
                                            struct cpam_err *err) CPAM_CHECK;

/*
 * Is there more than one content of this segment or history?  CPAM_OK: no.  CPAM_EXISTS: genuine
 * conflict objects lie beside it; the sentence lists them all (F13).  Costs one listing.
 * *listed (NULL: not asked for) with CPAM_OK: it has the name itself, so that a read that did not find
 * it proves nothing; never set for what has no conflicts, a backup history or a partial segment.
 */
enum cpam_status wal_archive_conflict(struct repo *repo, uint64_t sysid,
                                      const struct archive_name *name, bool *listed,
                                      struct cpam_err *err) CPAM_CHECK;

/* Was a content of this name put into quarantine by somebody who may?  Then a name that is absent
   is waiting for what a person decided, and is not the end of the archive. */
enum cpam_status wal_archive_put_aside(struct repo *repo, uint64_t sysid,
                                       const struct archive_name *name, bool *aside,
                                       struct cpam_err *err) CPAM_CHECK;

/* Fetch and parse a history; timeline 1 gives an empty one without asking. */
enum cpam_status wal_archive_history(struct repo *repo, uint64_t sysid, struct timeline timeline,
                                     struct history **out, struct cpam_err *err) CPAM_CHECK;

/* Timelines the archive knows (histories and folders), ascending; at most cap. */
enum cpam_status wal_archive_timelines(struct repo *repo, uint64_t sysid, struct timeline *out,
                                       size_t cap, size_t *count, struct cpam_err *err) CPAM_CHECK;

/* Whole segments of one timeline from `from` on (number 0: all), in order. */
typedef enum cpam_status (*wal_segment_fn)(void *arg, struct segment segment, uint64_t object_size,
                                           int64_t modified, struct cpam_err *err);
enum cpam_status wal_archive_segments(struct repo *repo, uint64_t sysid, struct segment from,
                                      uint32_t segment_size, wal_segment_fn fn, void *arg,
                                      struct cpam_err *err) CPAM_CHECK;

/* Is it there, and what does its (authenticated) header say?  One ranged request. */
enum cpam_status wal_archive_header(struct repo *repo, uint64_t sysid, const char *name,
                                    struct object_header *out, struct cpam_err *err) CPAM_CHECK;

#endif
