/*
 * push_known_parts.h - what push_known.c and push_known_file.c share; nobody else includes it.
 */
#ifndef CPAM_ARCHIVE_PUSH_KNOWN_PARTS_H
#define CPAM_ARCHIVE_PUSH_KNOWN_PARTS_H

#include <pthread.h>

#include "push_known.h"

#define THIN_FRAME UINT32_C(0x80000000) /* in a frame's length */
#define PLACE_BITS 40                   /* of an index entry: where; the rest is a hash */

struct known_pack
{
    int64_t id;
    uint64_t at; /* its record */
    uint32_t frame_count;
    uint32_t used; /* frames, up to the last one in use */
    uint32_t rank;
    enum
    {
        PACK_UNASKED,
        PACK_THERE,
        PACK_AWAY
    } adopted;
    bool listed;      /* the backup uses it, although it is of an earlier attempt */
    uint32_t *frames; /* plaintext lengths */
    uint32_t *live;   /* bytes in use; only while it is opened */
};

/* Whoever reads a record has to prove it again: much may happen to a disk during a long backup. */
struct known_proof
{
    pthread_mutex_t lock;
    struct aead *aead; /* NULL until the head is read, which has the key */
};

struct push_known
{
    struct io *io;
    struct known_proof *proof;
    char *path;
    int fd;
    uint64_t size, whole;
    uint32_t attempt;
    struct push_head head;
    struct push_commit *commit;
    char (*labels)[BACKUP_LABEL_MAX];
    uint32_t label_count;
    uint64_t *index;
    size_t index_count, index_cap;
    struct known_pack *packs;
    size_t pack_count, pack_cap;
    pthread_mutex_t lock; /* of `used` */
};

enum cpam_status known_no_memory(struct cpam_err *err) CPAM_CHECK;

/* The whole record at `at`, its length and, once the head is read, its MAC checked. */
enum cpam_status known_record_get(const struct push_known *known, uint64_t at, struct cpam_buf *out,
                                  struct push_record *header, struct cpam_err *err) CPAM_CHECK;
/* The part whose record is at `at`; path and *out point into text. */
enum cpam_status known_part_at(const struct push_known *known, uint64_t at, struct cpam_buf *text,
                               struct push_part *fixed, const char **path, struct known_part *out,
                               struct cpam_err *err) CPAM_CHECK;
/* What the index entries of a part begin with. */
uint64_t known_index_hash(uint64_t file, uint32_t number);
/* Bytes of a pack record's copies. */
size_t known_copies_size(const struct push_known *known);
/* NULL: it is not known. */
struct known_pack *known_find_pack(const struct push_known *known, int64_t id);

#endif
