/*
 * sequence.h - seq/<n>, tomb/<label>: how backups are numbered, and which ones left lawfully.
 *
 * For backup_*.c; nobody else includes it.
 */
#ifndef CPAM_REPO_SEQUENCE_H
#define CPAM_REPO_SEQUENCE_H

#include "repo/backup.h"

/* What a seq or a tomb object says: which summary it speaks of. */
struct backup_mark
{
    char label[BACKUP_LABEL_MAX];
    uint64_t seq;
    uint8_t digest[SHA256_SIZE]; /* of the summary's stored text */
};

/* key is seq/<n> or tomb/<label>. */
enum cpam_status backup_mark_get(struct repo *repo, const char *key, struct backup_mark *out,
                                 struct cpam_err *err) CPAM_CHECK;
/* The signed text of a mark, as put under key. */
enum cpam_status backup_mark_sign(struct repo *repo, const char *key,
                                  const struct backup_mark *mark, struct cpam_buf *text,
                                  struct cpam_err *err) CPAM_CHECK;

/* The number a key "seq/<20 digits>" gives; false for anything else. */
bool sequence_number(const char *key, uint64_t *out);

#endif
