/*
 * quarantine.h - one side of a conflict put aside, whole, and never deleted.
 *
 * quarantine/<first 16 hex of the content id>/<logical name> holds an object that lost its name to
 * another content, sealed under its logical name as format-1.md fault 11 has it, so that it can
 * still be opened.  A clear signed record beside it (".json") says who put it there, when, why, and
 * which content kept the name.  The object is there before its record, and what was under the name
 * goes only when both are durable: whenever it is cut short, the content lies under at least one of
 * its names, and the same call again goes on.
 */
#ifndef CPAM_REPO_QUARANTINE_H
#define CPAM_REPO_QUARANTINE_H

#include "repo/wal_archive.h"

enum
{
    QUARANTINE_REASON_MAX = 1024, /* bytes of a reason, with its NUL */
    QUARANTINE_BY_MAX = 192
};

/* What a person says; goes into the record. */
struct quarantine_note
{
    const char *reason, *by; /* UTF-8 */
    const uint8_t *kept;     /* CONTENT_ID_SIZE bytes: what keeps the name; NULL: it is not known */
};

/* The local side: seal the item into quarantine.  The same again is CPAM_OK.  CPAM_FOREIGN: the
   repository does not know the item's system identifier. */
enum cpam_status quarantine_put(struct repo *repo, struct wal_item *item,
                                const struct quarantine_note *note,
                                struct cpam_err *err) CPAM_CHECK;

/*
 * Is exactly this content of this name in quarantine, whole, durable and with its record?
 * wal_archive_put() asks before it refuses: a content that a person has put aside is safe, and its
 * push succeeds with a warning.  An object without a record was put there by nobody who may.
 */
enum cpam_status quarantine_holds(struct repo *repo, struct wal_item *item, bool *holds,
                                  struct cpam_err *err) CPAM_CHECK;

/*
 * The stored side: copied to quarantine as it is, read back and compared whole, and only then taken
 * from under its name, which is free after it.  An object whose content is damaged is moved too;
 * one that was not written here (its header is no genuine one) is not.
 * CPAM_NOT_FOUND: nothing has the name.  CPAM_REFUSED: where the store keeps versions, the copy is
 * made, but taking the name away is an administrator's (the hint says how): a removal would only
 * hide it.
 */
enum cpam_status quarantine_move(struct repo *repo, uint64_t sysid, const char *name,
                                 const struct quarantine_note *note,
                                 struct cpam_err *err) CPAM_CHECK;

/* One object in quarantine, as a listing shows it. */
struct quarantined
{
    uint64_t sysid;
    char name[ARCHIVE_NAME_MAX];
    char content[17]; /* first 16 hex of its content id */
    uint64_t size;    /* bytes of the object */
    int64_t when;     /* us since 1970 UTC, by the store */
};
typedef enum cpam_status (*quarantine_fn)(void *arg, const struct quarantined *one,
                                          struct cpam_err *err);
/* In the order of the keys.  Names prove nothing: quarantine_record_get() does. */
enum cpam_status quarantine_list(struct repo *repo, quarantine_fn fn, void *arg,
                                 struct cpam_err *err) CPAM_CHECK;

/* Its authenticated record. */
struct quarantine_record
{
    uint8_t content[CONTENT_ID_SIZE];
    bool has_kept;
    uint8_t kept[CONTENT_ID_SIZE];
    bool was_archived; /* it had the name before; false: it came from a server's pg_wal */
    uint64_t bytes;    /* of its content */
    int64_t when;      /* us since 1970 UTC */
    char reason[QUARANTINE_REASON_MAX], by[QUARANTINE_BY_MAX];
};
enum cpam_status quarantine_record_get(struct repo *repo, const struct quarantined *one,
                                       struct quarantine_record *out,
                                       struct cpam_err *err) CPAM_CHECK;

#endif
