/*
 * layout.h - every key of a repository, in one place (format-1.md 2.1).
 *
 * A key is also the logical name that is bound into the object stored under it; in front of that of
 * an object in quarantine stands "quarantine/<16 hex>/", which is not part of it.  System identifiers
 * are decimal, timelines and logs eight upper-case hex digits, as in PostgreSQL's own names.
 */
#ifndef CPAM_REPO_LAYOUT_H
#define CPAM_REPO_LAYOUT_H

#include <stdbool.h>

#include "base/err.h"
#include "pg/segment.h"

#define LAYOUT_IDENTITY        "repo.json"
#define LAYOUT_CLUSTERS        "cluster/"
#define LAYOUT_INTENTS         "intent/"
#define LAYOUT_SEQUENCE        "seq/"
#define LAYOUT_TOMBS           "tomb/"
#define LAYOUT_BACKUPS         "backup/"
#define LAYOUT_GAPS            "gap/"
#define LAYOUT_QUARANTINE      "quarantine/"
#define LAYOUT_SUMMARY_FILE    "summary.json"
#define LAYOUT_LABEL_CHARACTER "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

enum
{
    LAYOUT_KEY_MAX = 192, /* bytes of the longest key made here, with its NUL */
    LABEL_LENGTH_MAX = 64,
    SEQUENCE_DIGITS = 20
};

void layout_cluster(uint64_t sysid, char out[LAYOUT_KEY_MAX]);

/* "wal/<sysid>/": the folder of all timelines of one cluster. */
void layout_wal_root(uint64_t sysid, char out[LAYOUT_KEY_MAX]);
/* "wal/<sysid>/<TLI>/" */
void layout_wal_timeline(uint64_t sysid, struct timeline timeline, char out[LAYOUT_KEY_MAX]);
/* Where a file of PostgreSQL's archive lies, whatever its kind. */
void layout_wal(uint64_t sysid, const struct archive_name *name, char out[LAYOUT_KEY_MAX]);
/* The name a second content of a .partial or .backup gets: "<key>.<16 hex of its content id>". */
void layout_wal_beside(uint64_t sysid, const struct archive_name *name, const uint8_t *content_id,
                       char out[LAYOUT_KEY_MAX]);

/* "quarantine/<16 hex of its content id>/<name>": where an object called `name` is put aside. */
void layout_quarantine(const char *name, const uint8_t *content_id, char out[LAYOUT_KEY_MAX]);
/* The logical name of what is stored under key: key itself, but for an object in quarantine. */
const char *layout_logical_name(const char *key);

/* "gap/<sysid>/<TLI>/": what was given up of a timeline; the records are called after their first
   segments. */
void layout_gaps(uint64_t sysid, struct timeline timeline, char out[LAYOUT_KEY_MAX]);

/* [A-Za-z0-9_]{1,64}; CPAM_INVALID otherwise. */
enum cpam_status label_check(const char *label, struct cpam_err *err) CPAM_CHECK;

void layout_intent(const char *label, char out[LAYOUT_KEY_MAX]);
void layout_tomb(const char *label, char out[LAYOUT_KEY_MAX]);
void layout_sequence(uint64_t number, char out[LAYOUT_KEY_MAX]);
void layout_summary(const char *label, char out[LAYOUT_KEY_MAX]);
void layout_manifest(const char *label, char out[LAYOUT_KEY_MAX]);
void layout_blocks(const char *label, char out[LAYOUT_KEY_MAX]);
/* "backup/<label>/pack/<8 hex>": attempt (2 hex) and counter (6 hex), format-1.md fault 31. */
void layout_pack(const char *label, unsigned attempt, uint32_t counter, char out[LAYOUT_KEY_MAX]);

/* The other way round: the label of a pack's key; false for anything that is none. */
bool layout_pack_label(const char *key, char label[LABEL_LENGTH_MAX + 1]);

/* The part of key behind its last '/', which is key itself when there is none. */
const char *layout_base_name(const char *key);

#endif
