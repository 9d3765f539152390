/*
 * wal_seal.h - the steps wal_archive.c, wal_read.c and wal_item.c share; nobody else includes this.
 */
#ifndef CPAM_REPO_WAL_SEAL_H
#define CPAM_REPO_WAL_SEAL_H

#include "repo/wal_item.h"

enum
{
    WAL_HELD_MAX = 80 << 20 /* bytes of a sealed object that are held in memory */
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
    const uint8_t *content_id;   /* CONTENT_ID_SIZE bytes */
};

/*
 * Seal the item and put it under key, if the name is free: CPAM_EXISTS otherwise.  content_id is
 * what the item had when it was first read; the sealed bytes are proven to have the same one
 * (requirements row P8).  The gate is held while it is sealed, never while the store is waited for.
 * *digest tells the sealed object also when the name was taken.
 */
enum cpam_status wal_seal_put(const struct wal_sealing *sealing, struct object_digest *digest,
                              struct cpam_err *err) CPAM_CHECK;

/* The content of the oldest genuine version into `to`, which is neither finished nor freed. */
enum cpam_status wal_object_read(struct repo *repo, uint64_t sysid, const char *key,
                                 enum object_kind kind, struct sink *to,
                                 struct object_header *header, struct cpam_err *err) CPAM_CHECK;

#endif
