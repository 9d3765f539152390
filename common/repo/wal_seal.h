/*
 * wal_seal.h - the steps wal_archive.c, wal_read.c and wal_item.c share; nobody else includes this.
 */
#ifndef CPAM_REPO_WAL_SEAL_H
#define CPAM_REPO_WAL_SEAL_H

#include "base/room.h"
#include "repo/wal_item.h"

enum
{
    /* bytes of a sealed object that are held in memory until they are known to be genuine */
    WAL_HELD_MAX = ROOM_OBJECT
};

enum object_kind wal_object_kind(enum archive_name_kind kind);

/* The id of the item's content under this key in this repository. */
enum cpam_status wal_content_id(struct repo *repo, struct wal_item *item, const char *key,
                                uint8_t out[CONTENT_ID_SIZE], struct cpam_err *err) CPAM_CHECK;

/* One item on its way under one name of one repository. */
struct wal_sealing
{
    struct repo *repo;
    struct wal_item *item;
    const char *key;
    const struct wal_gate *gate; /* or NULL */
    const uint8_t *expected;     /* the content id it must have, or NULL: whatever it has */
};

/*
 * Seal the item and put it under key, if the name is free: CPAM_EXISTS otherwise.  The id in the
 * header is of the very bytes that were sealed (requirements row P8); content_id (CONTENT_ID_SIZE
 * bytes, may be NULL) is filled with it, and *digest tells the sealed object, also when the name was
 * taken.  CPAM_TRANSIENT: the file changed meanwhile, or has not the id that was expected.  The gate
 * is held while it is read and sealed, never while the store is waited for.
 */
enum cpam_status wal_seal_put(const struct wal_sealing *sealing, uint8_t *content_id,
                              struct object_digest *digest, struct cpam_err *err) CPAM_CHECK;

/* The content of the oldest genuine version into `to`, which is neither finished nor freed. */
enum cpam_status wal_object_read(struct repo *repo, uint64_t sysid, const char *key,
                                 enum object_kind kind, struct sink *to,
                                 struct object_header *header, struct cpam_err *err) CPAM_CHECK;

#endif
