/*
 * parents.c - labels and numbers in one text.
 */
#include "repo/parents.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
parents_next(const char **at, char label[BACKUP_LABEL_MAX], uint64_t *packs)
{
    const char *space = strchr(*at, ' ');
    char *end;

    if (space == NULL || (size_t) (space - *at) >= BACKUP_LABEL_MAX)
        return false;
    memcpy(label, *at, (size_t) (space - *at));
    label[space - *at] = '\0';
    *packs = strtoull(space, &end, 10);
    *at = *end == '\n' ? end + 1 : end;
    return true;
}

enum cpam_status
parents_add(char parents[BACKUP_PARENTS_MAX], const char *label, uint64_t packs,
            struct cpam_err *err)
{
    size_t used = strlen(parents);

    if (parents_find(parents, label) >= 0)
        return cpam_fail(err, CPAM_INVALID, 0, "backup \"%s\" is a parent twice", label);
    int more =
        snprintf(parents + used, BACKUP_PARENTS_MAX - used, "%s %" PRIu64 "\n", label, packs);
    if (more >= (int) (BACKUP_PARENTS_MAX - used))
    {
        parents[used] = '\0';
        return cpam_fail(err, CPAM_INVALID, 0, "a backup with packs of more than %u others",
                         parents_count(parents, NULL));
    }
    return CPAM_OK;
}

int
parents_find(const char *parents, const char *label)
{
    char found[BACKUP_LABEL_MAX];
    uint64_t packs;

    for (int i = 0; parents_next(&parents, found, &packs); i++)
        if (strcmp(found, label) == 0)
            return i;
    return -1;
}

unsigned
parents_count(const char *parents, uint64_t *packs)
{
    char label[BACKUP_LABEL_MAX];
    unsigned count = 0;
    uint64_t own;

    if (packs != NULL)
        *packs = 0;
    for (; parents_next(&parents, label, &own); count++)
        if (packs != NULL)
            *packs += own;
    return count;
}
