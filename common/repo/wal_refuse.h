/*
 * wal_refuse.h - what a conflict's refusal says (requirements.md, ask 7); wal_archive.c alone uses it.
 */
#ifndef CPAM_REPO_WAL_REFUSE_H
#define CPAM_REPO_WAL_REFUSE_H

#include "repo/wal_item.h"

#define WAL_NOT_COMPARED UINT64_MAX

struct wal_refusal
{
    struct repo *repo;
    const struct wal_item *item;
    const uint8_t *content_id; /* the item's */
    const struct object_header *stored;
    const struct wal_page *page; /* its first page, or NULL */
    uint64_t differs_at;         /* offset of the first differing byte, or WAL_NOT_COMPARED */
};

/* Fills *err: CPAM_EXISTS.  Where a fork may explain the difference, histories are looked for. */
void wal_refuse(const struct wal_refusal *refusal, struct cpam_err *err);

#endif
