/*
 * push_record.h - the records of a file that tells where a backup's blocks are; for push_journal.c,
 * which writes them, and push_known_file.c, which reads them; nobody else.
 *
 * The file never leaves this host, so numbers are in the machine's own order.  Each record has a
 * MAC under the file's own key: what a crash left half written, or what a disk has changed, is not
 * taken for knowledge.  What is known wrongly would be missing in a backup; what is not known is
 * only sent once more.
 *
 * Packs are known by an id: (ordinal of the label + 1) << 32 | the eight hex digits of their name.
 * The ordinal of the backup that is being written is 0.
 */
#ifndef CPAM_ARCHIVE_PUSH_RECORD_H
#define CPAM_ARCHIVE_PUSH_RECORD_H

#include "crypto/aead.h"
#include "repo/blocks.h"
#include "repo/pack.h"

enum push_record_type
{
    RECORD_HEAD = 1, /* once, the first */
    RECORD_LABEL,
    RECORD_PACK,
    RECORD_PART,
    RECORD_ATTEMPT, /* the backup is gone on with */
    RECORD_ADOPTED, /* a pack of an earlier attempt that the backup uses */
    RECORD_COMMIT   /* once, the last: the file is the state of a backup that exists */
};

#define PUSH_RECORD_MAGIC   UINT64_C(0x314542504d415043) /* "CPAMPBE1" */
#define PUSH_RECORD_MAC_KEY "CPAM/1 block state"

enum
{
    PUSH_RECORD_MAX = 64 << 20 /* bytes */
};

struct push_record
{
    uint8_t mac[AEAD_TAG_SIZE]; /* of all that follows */
    uint64_t at;                /* where in the file it stands */
    uint32_t type, size;        /* size: of what follows this struct */
};

/* For whom a repository's packs are sealed: ids of stanzas (crypto/stanza.h). */
struct push_recipients
{
    uint32_t count;
    uint8_t ids[KEYRING_RECIPIENTS_MAX][8];
};

struct push_head
{
    uint64_t magic, sysid;
    uint32_t block_size, part_size;
    uint8_t key[BLOCK_KEY_SIZE]; /* of the epoch */
    char label[BACKUP_LABEL_MAX], epoch[BACKUP_LABEL_MAX];
    char parent[BACKUP_LABEL_MAX];     /* "": a full backup */
    int64_t begun, epoch_time;         /* when it and the full backup began, us since 1970 UTC */
    uint32_t attempt, repos;           /* attempt: 1 in the file */
    uint8_t uuids[PACK_REPOS_MAX][16]; /* repositories, in the order of a pack's copies */
    struct push_recipients recipients[PACK_REPOS_MAX];
};

struct push_label
{
    uint32_t ordinal;
    char label[BACKUP_LABEL_MAX];
};

struct push_attempt
{
    uint32_t number;
};

struct push_adopted
{
    int64_t id;
};

/* Then a pack_copy for each repository, clen, rlen. */
struct push_pack
{
    int64_t id;
    uint32_t frame_count;
};

/* Then the path with its NUL, extents, tags. */
struct push_part
{
    uint64_t size;
    uint32_t number; /* of the part in its file */
    uint32_t path_size, extent_count, tag_count;
};

struct push_commit
{
    struct lsn start;
    char parents[BACKUP_PARENTS_MAX]; /* parents.h */
    uint8_t stored[PACK_REPOS_MAX]; /* 1: it exists in this repository, and these are its digests */
    uint8_t summary[PACK_REPOS_MAX][SHA256_SIZE];
    uint8_t manifest_h[PACK_REPOS_MAX][SHA256_SIZE], manifest_d[PACK_REPOS_MAX][SHA256_SIZE];
};

#define PUSH_PACK_ID(ordinal, name) (((int64_t) (ordinal) + 1) << 32 | (int64_t) (name))
#define PUSH_PACK_ORDINAL(id)       ((uint32_t) (((id) >> 32) - 1))
#define PUSH_PACK_NAME(id)          ((uint32_t) (id))
/* From a pack's id in the parent's file to the one in this backup's: one label more is before it. */
#define PUSH_PARENT_SHIFT ((int64_t) 1 << 32)
/* An id is above all indexes of a pack_set. */
#define PUSH_PACK_IS_ID(pack) ((pack) >= PUSH_PARENT_SHIFT)

/* The number a file has in its pages' tags: 64 bits of its path's SHA-256. */
enum cpam_status push_file_number(const char *path, uint64_t *out, struct cpam_err *err) CPAM_CHECK;

/* The key of the file's MACs from that of its tags. */
enum cpam_status push_record_mac(const uint8_t key[BLOCK_KEY_SIZE], struct aead **out,
                                 struct cpam_err *err) CPAM_CHECK;
/* The MAC of a whole record that begins with its struct. */
enum cpam_status push_record_prove(struct aead *aead, const void *record, size_t size,
                                   uint8_t mac[AEAD_TAG_SIZE], struct cpam_err *err) CPAM_CHECK;

#endif
