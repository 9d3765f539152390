/*
 * excluded.c - the lists, and the grammar of relation files (common/relpath.c, reinit.c).
 */
#include "pg/excluded.h"

#include <stddef.h>
#include <string.h>

static const char *const emptied[] = {"pg_dynshmem",  "pg_notify",   "pg_replslot", "pg_serial",
                                      "pg_snapshots", "pg_stat_tmp", "pg_subtrans", "pg_wal"};

enum
{
    EMPTIED = sizeof(emptied) / sizeof(emptied[0])
};

static bool
is_emptied(const char *path)
{
    for (size_t i = 0; i < EMPTIED; i++)
        if (strcmp(path, emptied[i]) == 0)
            return true;
    return strcmp(path, "pg_wal/archive_status") == 0 || strcmp(path, "pg_wal/summaries") == 0;
}

static const struct
{
    const char *name;
    bool is_prefix;
    bool only_top; /* in the data directory itself */
} left_out[] = {
    {"postgresql.auto.conf.tmp", false, false},
    {"current_logfiles.tmp", false, false},
    {"pg_internal.init", true, false},
    {"backup_label", false, false},
    {"tablespace_map", false, false},
    {"backup_manifest", false, false},
    {"postmaster.pid", false, false},
    {"postmaster.opts", false, false},
    {"pgsql_tmp", true, false},
    {"standby.signal", false, true},
    {"recovery.signal", false, true},
    {"promote", false, true},
    {"backup_label.old", false, true},
    {"tablespace_map.old", false, true},
};

static const char *
last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* Below one of the directories whose content is left out? */
static bool
in_emptied(const char *path)
{
    for (size_t i = 0; i < EMPTIED; i++)
    {
        size_t size = strlen(emptied[i]);

        if (strncmp(path, emptied[i], size) == 0 && path[size] == '/')
            return true;
    }
    return false;
}

enum excluded
excluded_path(const char *path, bool is_directory)
{
    const char *name = last_part(path);
    struct relation_name relation;

    if (is_directory && is_emptied(path))
        return EXCLUDED_CONTENT;
    if (in_emptied(path))
        return EXCLUDED_WHOLE;
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
    {
        bool same = left_out[i].is_prefix
                        ? strncmp(name, left_out[i].name, strlen(left_out[i].name)) == 0
                        : strcmp(name, left_out[i].name) == 0;

        if (same && (!left_out[i].only_top || name == path))
            return EXCLUDED_WHOLE;
    }
    if (!is_directory && relation_path_parse(path, &relation) && relation.temporary)
        return EXCLUDED_WHOLE;
    return EXCLUDED_NOT;
}

/* A decimal number without leading zeros but "0"; where it ends, or NULL. */
static const char *
number(const char *at, uint32_t *out)
{
    uint64_t value = 0;
    const char *first = at;

    for (; *at >= '0' && *at <= '9'; at++)
    {
        value = value * 10 + (uint64_t) (*at - '0');
        if (value > UINT32_MAX)
            return NULL;
    }
    if (at == first || (*first == '0' && at - first > 1))
        return NULL;
    *out = (uint32_t) value;
    return at;
}

bool
relation_name_parse(const char *name, struct relation_name *out)
{
    static const struct
    {
        const char *text;
        enum relation_fork fork;
    } forks[] = {{"_fsm", RELATION_FSM}, {"_vm", RELATION_VM}, {"_init", RELATION_INIT}};
    uint32_t backend = 0;

    *out = (struct relation_name){0};
    if (*name == 't')
    {
        name = number(name + 1, &backend);
        if (name == NULL || *name != '_')
            return false;
        name++;
        out->temporary = true;
    }
    name = number(name, &out->number);
    if (name == NULL || out->number == 0)
        return false;
    for (size_t i = 0; i < sizeof(forks) / sizeof(forks[0]); i++)
        if (strncmp(name, forks[i].text, strlen(forks[i].text)) == 0)
        {
            name += strlen(forks[i].text);
            out->fork = forks[i].fork;
            break;
        }
    if (*name == '.')
    {
        name = number(name + 1, &out->segment);
        if (name == NULL || out->segment == 0)
            return false;
    }
    return *name == '\0';
}

/* Past "<digits>/", or NULL. */
static const char *
oid_part(const char *at)
{
    uint32_t ignored = 0;

    at = number(at, &ignored);
    return at != NULL && *at == '/' ? at + 1 : NULL;
}

bool
relation_path_parse(const char *path, struct relation_name *out)
{
    if (strncmp(path, "global/", 7) == 0)
        path += 7;
    else if (strncmp(path, "base/", 5) == 0)
        path = oid_part(path + 5);
    else if (strncmp(path, "pg_tblspc/", 10) == 0)
    {
        path = oid_part(path + 10);
        if (path == NULL || strncmp(path, "PG_", 3) != 0)
            return false;
        path = strchr(path, '/');
        if (path != NULL)
            path = oid_part(path + 1);
    }
    else
        return false;
    return path != NULL && relation_name_parse(path, out);
}

bool
relation_unlogged(const struct relation_name *name, bool has_init)
{
    return has_init && name->fork != RELATION_INIT;
}
