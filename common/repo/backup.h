/*
 * backup.h - backups as a repository lists them: intent, sequence, summary.
 *
 * intent/<label> reserves the label; seq/<20 digits> numbers the backup; backup/<label>/summary.json
 * is the commit point.  No summary, no backup.  Summaries are believed only when their signature
 * holds; numbers and `prev` digests chain them, so that a backup that was taken away shows
 * (format-1.md fault 8).
 */
#ifndef CPAM_REPO_BACKUP_H
#define CPAM_REPO_BACKUP_H

#include "pg/segment.h"
#include "repo/repo.h"

enum
{
    BACKUP_LABEL_MAX = 65,
    BACKUP_PARENTS_MAX = 6144, /* bytes: about 170 labels of the usual length */
    BACKUPS_MAX = 20000        /* listed at most */
};

#define BACKUP_FULL        "full"
#define BACKUP_INCREMENTAL "incremental"

struct backup_summary
{
    char label[BACKUP_LABEL_MAX];
    uint64_t sysid;
    uint64_t seq;
    uint8_t prev[SHA256_SIZE]; /* zeros for the first */
    bool has_prev;
    char kind[16];                /* BACKUP_FULL, BACKUP_INCREMENTAL */
    char epoch[BACKUP_LABEL_MAX]; /* the full backup it goes back to; its own label if it is one */
    char parents
        [BACKUP_PARENTS_MAX]; /* other backups of the epoch whose packs it uses (parents.h) */
    unsigned major;
    char pg_version[64]; /* as the server told it */
    struct timeline timeline;
    struct lsn start, stop;
    int64_t start_time, stop_time; /* us since 1970 UTC, by the database's clock */
    uint32_t segment_size;
    uint64_t files, bytes;
    uint64_t packs;        /* that it uses: its own, and those of its parents */
    uint64_t stored_bytes; /* of its own packs */
    bool has_checksums;
    uint64_t damaged_pages;   /* found when it was read (postgresql.md trap 24) */
    char damaged_first[1024]; /* some of them: "base/5/1259 block 12, ..."; "" for none */
    char snapshot[1024];      /* pg_current_snapshot() right after the stop, or "" (trap 19) */
    uint8_t manifest_h[SHA256_SIZE], manifest_d[SHA256_SIZE];
    uint64_t manifest_size;
    bool has_blocks; /* the tags of its pages are stored (blocks.h) */
    uint8_t blocks_h[SHA256_SIZE], blocks_d[SHA256_SIZE];
    uint64_t blocks_size;
    char wal_first[SEGMENT_NAME_MAX], wal_last[SEGMENT_NAME_MAX];
    char tool_version[32];
    uint8_t digest[SHA256_SIZE]; /* of the stored text: what the next backup's prev must be */
};

/* All summaries that verify, by seq; plus what does not fit, for a person. */
struct backup_list
{
    struct backup_summary *items;
    size_t count;
    char *
        *findings; /* sentences: a missing number, a broken chain, a summary that does not verify */
    size_t finding_count;
    bool proven_loss; /* a missing number or chain break: refused without --accept-end */
};
enum cpam_status backup_list_read(struct repo *repo, struct backup_list **out,
                                  struct cpam_err *err) CPAM_CHECK;
void backup_list_free(struct backup_list *list);
CPAM_SCOPED(backup_list_free, struct backup_list);

enum cpam_status backup_summary_read(struct repo *repo, const char *label,
                                     struct backup_summary *out, struct cpam_err *err) CPAM_CHECK;

/* The label of a backup that begins at `now` (us since 1970): "<prefix><YYYYMMDD>_<HHMMSS>", UTC. */
enum cpam_status backup_label_at(const char *prefix, int64_t now, char label[BACKUP_LABEL_MAX],
                                 struct cpam_err *err) CPAM_CHECK;
/*
 * Reserve it here: intent/<label>, with the backups whose packs it may use (parents.h), so that expiry
 * leaves them alone (format-1.md fault 18).  CPAM_EXISTS: it is taken.
 */
enum cpam_status backup_reserve(struct repo *repo, const char *label, uint64_t sysid,
                                const char *parents, int64_t now, struct cpam_err *err) CPAM_CHECK;

/* Are these backups (parents.h) there, with summaries that verify, and is none of them being removed?
   CPAM_REFUSED: one is, its tombstone says so. */
enum cpam_status backup_parents_check(struct repo *repo, const char *parents,
                                      struct cpam_err *err) CPAM_CHECK;
/* Only the latter. */
enum cpam_status backup_parents_stay(struct repo *repo, const char *parents,
                                     struct cpam_err *err) CPAM_CHECK;

/*
 * Number the backup and put its summary: the moment the backup exists.  Fills seq, prev, digest of
 * *summary.  A seq object without a summary (a push that died between the two) is finished or
 * passed over as format-1.md's section 0 says.  CPAM_REFUSED: it may not come to exist any more
 * (backup_fence.h), and no list shows it.
 */
enum cpam_status backup_commit(struct repo *repo, struct backup_summary *summary,
                               struct cpam_err *err) CPAM_CHECK;

#endif
