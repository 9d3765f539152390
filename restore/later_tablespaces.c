/*
 * later_tablespaces.c - what a later backup tells about tablespaces this one does not have.
 */
#include "later_tablespaces.h"

#include <string.h>

#include "base/log.h"
#include "restore_survey.h"
#include "restore_tree.h"

static bool
has_place(const struct restore_places *places, const char *prefix)
{
    for (size_t i = 0; i < places->count; i++)
        if (strcmp(places->items[i].prefix, prefix) == 0)
            return true;
    return false;
}

enum cpam_status
later_tablespaces_warn(struct repo *repo, const struct backup_list *backups,
                       const struct backup_summary *chosen, struct restore_places *places,
                       bool *found, struct cpam_err *err)
{
    static const struct option_list none = {0};
    static const struct restore_choice everything = {&none, &none, NULL};
    CPAM_AUTO(restore_places_free) struct restore_places *later = NULL;
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = NULL;
    const struct backup_summary *newest = NULL;
    struct cpam_err why;

    *found = false;
    for (size_t i = 0; i < backups->count; i++)
        if (backups->items[i].sysid == chosen->sysid)
            newest = &backups->items[i];
    if (newest == NULL || newest->seq <= chosen->seq)
        return CPAM_OK;
    CPAM_TRY(restore_places_new(places->io, places->items[0].path, &later, err));
    if (restore_survey_read(repo, newest, later, &everything, &survey, &why) != CPAM_OK)
    {
        cpam_log(LOG_WARNING, "backup \"%s\" was not asked for later tablespaces: %s",
                 newest->label, why.text);
        return CPAM_OK;
    }
    for (size_t i = 1; i < later->count; i++)
    {
        const struct restore_place *place = &later->items[i];
        enum tree_state state = TREE_ABSENT;

        if (strcmp(place->prefix, "pg_wal") == 0 || has_place(places, place->prefix) ||
            tree_look(places->io, place->path, &state, &why) != CPAM_OK || state != TREE_FULL)
            continue;
        *found = true;
        cpam_log(LOG_WARNING,
                 "%s was created after this backup, and its path \"%s\" is not empty here: if "
                 "recovery gets as far as that, it writes into these files. While they are "
                 "another server's, take a later backup (--backup %s) and --tablespace-map",
                 place->prefix, place->path, newest->label);
    }
    return CPAM_OK;
}
