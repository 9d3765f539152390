/*
 * backup_parents.c - are the backups still there whose packs another one uses?
 */
#include "repo/backup_fence.h"
#include "repo/parents.h"

enum cpam_status
backup_parents_stay(struct repo *repo, const char *parents, struct cpam_err *err)
{
    char label[BACKUP_LABEL_MAX];
    uint64_t packs;

    while (parents_next(&parents, label, &packs))
        CPAM_TRY(backup_not_buried(repo, label, err));
    return CPAM_OK;
}

enum cpam_status
backup_parents_check(struct repo *repo, const char *parents, struct cpam_err *err)
{
    const char *at = parents;
    struct backup_summary summary;
    char label[BACKUP_LABEL_MAX];
    uint64_t packs;

    while (parents_next(&at, label, &packs))
        CPAM_TRY(backup_summary_read(repo, label, &summary, err));
    return backup_parents_stay(repo, parents, err);
}
