/*
 * restore_survey.c - counting, and finding out where everything will go.
 */
#include "restore_survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
    MAP_MAX = 3 * RESTORE_PATH_MAX
};

struct survey_run
{
    struct restore_survey *survey;
    struct restore_places *places;
    const struct restore_choice *choice;
    size_t pack_cap;
    char *pg_wal;                /* where its link led, or NULL */
    struct restore_place *place; /* of the file whose extents come */
    bool checked;                /* all settings have passed, and what they ask for was done */
    bool left_out;
};

bool
restore_leaves_out(const char *path)
{
    return strcmp(path, "standby.signal") == 0 || strcmp(path, "recovery.signal") == 0 ||
           strcmp(path, "promote") == 0 || strcmp(path, "postmaster.pid") == 0 ||
           strcmp(path, "backup_manifest") == 0;
}

static enum cpam_status
text_keep(const char *text, char **out, struct cpam_err *err)
{
    *out = strdup(text);
    return *out == NULL ? cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a setting")
                        : CPAM_OK;
}

static enum cpam_status
on_setting(void *arg, const struct manifest_setting *setting, struct cpam_err *err)
{
    struct survey_run *run = arg;

    CPAM_TRY(restore_databases_setting(run->survey->databases, setting, err));
    if (strcmp(setting->name, "full_page_writes") == 0)
        run->survey->torn_pages = strcmp(setting->value, "on") != 0;
    if (strcmp(setting->name, "pg_wal") == 0 && run->pg_wal == NULL)
        return text_keep(setting->value, &run->pg_wal, err);
    if (strcmp(setting->name, "data_directory") == 0)
        return restore_places_origin(run->places, setting->value, err);
    if (strcmp(setting->name, "archive_mode") == 0)
        run->survey->archive_always = strcmp(setting->value, "always") == 0;
    if (strncmp(setting->name, "file:", 5) == 0)
        run->survey->has_config_files = true;
    if (strcmp(setting->name, "config_file") == 0 && run->survey->config_file == NULL)
        return text_keep(setting->value, &run->survey->config_file, err);
    return CPAM_OK;
}

/* "/a/b" and "../c": "/a/c".  By the names alone; `out` has room for both. */
static void
path_join(const char *from, const char *to, char *out)
{
    const char *const parts[] = {from, to};
    size_t size = 0;

    for (size_t i = 0; i < 2; i++)
        for (const char *at = parts[i]; *at != '\0';)
        {
            size_t name = strcspn(at, "/");

            if (name == 2 && memcmp(at, "..", 2) == 0)
                while (size > 0 && out[--size] != '/')
                    ;
            else if (name > 0 && !(name == 1 && *at == '.'))
            {
                out[size++] = '/';
                memcpy(out + size, at, name);
                size += name;
            }
            at += name + (at[name] == '/');
        }
    out[size] = '\0';
}

/* A link that is relative led from the data directory of its time, and is none of this one's. */
static enum cpam_status
wal_place_add(struct survey_run *run, struct cpam_err *err)
{
    const char *origin = run->places->origin;
    const char *path = run->pg_wal;

    if (path == NULL || path[0] == '\0' || (path[0] != '/' && origin == NULL))
        return CPAM_OK;
    CPAM_AUTO(free) char *whole = malloc((origin == NULL ? 0 : strlen(origin)) + strlen(path) + 3);
    if (whole == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    if (path[0] != '/')
    {
        path_join(origin, path, whole);
        path = whole;
    }
    return restore_places_add(run->places, "pg_wal", path, run->choice->maps, err);
}

static enum cpam_status
pack_add(struct survey_run *run, const struct manifest_pack *pack, struct cpam_err *err)
{
    struct restore_survey *survey = run->survey;

    if (survey->pack_count == run->pack_cap)
    {
        size_t cap = run->pack_cap == 0 ? 64 : run->pack_cap * 2;
        uint32_t *grown = realloc(survey->pack_extents, cap * sizeof(*grown));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the list of packs");
        survey->pack_extents = grown;
        run->pack_cap = cap;
    }
    survey->pack_extents[survey->pack_count++] = 0;
    survey->stored += pack->size;
    return CPAM_OK;
}

/* The first map of a path counts, so that --tablespace-map-all comes last. */
static enum cpam_status
tablespace_add(struct survey_run *run, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct option_list maps = *run->choice->maps;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf map = {0};
    char prefix[64];

    if (run->choice->map_all != NULL)
    {
        if (maps.count == sizeof(maps.items) / sizeof(maps.items[0]))
            return cpam_fail(err, CPAM_USAGE, 0, "there are more than %zu of --tablespace-map",
                             maps.count - 1);
        CPAM_TRY(cpam_buf_printf(&map, MAP_MAX, err, "%s=%s/%s", entry->target,
                                 run->choice->map_all, entry->oid));
        maps.items[maps.count] = cpam_buf_text(&map);
        if (maps.items[maps.count++] == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    }
    snprintf(prefix, sizeof(prefix), "pg_tblspc/%s", entry->oid);
    return restore_places_add(run->places, prefix, entry->target, &maps, err);
}

static enum cpam_status
on_entry(void *arg, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct survey_run *run = arg;
    const char *relative;

    if (!run->checked)
    {
        CPAM_TRY(restore_databases_check(run->survey->databases, err));
        CPAM_TRY(wal_place_add(run, err));
    }
    run->checked = true;
    switch (entry->kind)
    {
    case MANIFEST_PACK: return pack_add(run, entry->pack, err);
    case MANIFEST_TABLESPACE: return tablespace_add(run, entry, err);
    case MANIFEST_FILE:
        run->left_out = restore_leaves_out(entry->path);
        run->place = restore_places_of(run->places, entry->path, &relative);
        if (*relative == '\0')
            return cpam_fail(err, CPAM_CORRUPT, 0,
                             "the manifest has \"%s\" as a file and as a directory", entry->path);
        if (strcmp(entry->path, "postgresql.conf") == 0)
            run->survey->has_config = true;
        run->survey->files += run->left_out ? 0 : 1;
        /* nothing of it is fetched */
        run->left_out =
            run->left_out || restore_databases_empties(run->survey->databases, entry->path);
        return CPAM_OK;
    case MANIFEST_DIRECTORY:
    case MANIFEST_LINK: return CPAM_OK;
    }
    return CPAM_OK;
}

static enum cpam_status
on_extents(void *arg, uint64_t at, const struct manifest_extent *extents, size_t count,
           struct cpam_err *err)
{
    struct survey_run *run = arg;

    (void) at;
    for (size_t i = 0; i < count && !run->left_out; i++)
    {
        if (extents[i].pack < 0)
            continue;
        size_t pack = (size_t) extents[i].pack;
        if (pack >= run->survey->pack_count || run->survey->pack_extents[pack] == UINT32_MAX)
            return cpam_fail(err, CPAM_CORRUPT, 0, "the manifest names a pack it does not list");
        run->survey->pack_extents[pack]++;
        run->survey->bytes += extents[i].size;
        run->place->bytes += extents[i].size;
    }
    return CPAM_OK;
}

enum cpam_status
restore_survey_read(struct repo *repo, const struct backup_summary *summary,
                    struct restore_places *places, const struct restore_choice *choice,
                    struct restore_survey **out, struct cpam_err *err)
{
    static const struct manifest_reader_ops ops = {
        .setting = on_setting, .entry = on_entry, .extents = on_extents};
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = calloc(1, sizeof(*survey));

    if (survey == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    CPAM_TRY(restore_databases_new(choice->databases, &survey->databases, err));
    struct survey_run run = {.survey = survey, .places = places, .choice = choice};
    enum cpam_status status = manifest_read(repo, summary, &ops, &run, err);
    free(run.pg_wal);
    CPAM_TRY(status);
    *out = CPAM_STEAL(survey);
    return CPAM_OK;
}

enum cpam_status
restore_survey_again(struct repo *repo, const struct backup_summary *summary,
                     const struct restore_places *places, const struct restore_choice *choice,
                     struct restore_survey **out, struct cpam_err *err)
{
    CPAM_AUTO(restore_places_free) struct restore_places *found = NULL;
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = NULL;

    CPAM_TRY(restore_places_new(places->io, places->items[0].path, &found, err));
    CPAM_TRY(restore_survey_read(repo, summary, found, choice, &survey, err));
    bool same = found->count == places->count;

    for (size_t i = 1; same && i < found->count; i++)
        same = strcmp(found->items[i].prefix, places->items[i].prefix) == 0 &&
               strcmp(found->items[i].path, places->items[i].path) == 0;
    if (!same)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "backup \"%s\" has other tablespaces in repository \"%s\"", summary->label,
                         repo_name(repo));
    *out = CPAM_STEAL(survey);
    return CPAM_OK;
}

void
restore_survey_free(struct restore_survey *survey)
{
    if (survey == NULL)
        return;
    free(survey->pack_extents);
    free(survey->config_file);
    restore_databases_free(survey->databases);
    free(survey);
}
