/*
 * restore_databases.c - oids by name, and paths by oid.
 */
#include "restore_databases.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum
{
    NAMES_MAX = 1 << 20, /* bytes of the names of those that come back empty */
    CHOSEN_MAX = sizeof((struct option_list){0}.items) / sizeof(const char *)
};

struct restore_databases
{
    const struct option_list *names;
    bool listed;    /* the backup tells of its databases */
    uint64_t *kept; /* oids, of those that come back whole */
    size_t kept_count;
    bool found[CHOSEN_MAX]; /* by name */
    struct cpam_buf emptied;
};

enum cpam_status
restore_databases_new(const struct option_list *names, struct restore_databases **out,
                      struct cpam_err *err)
{
    struct restore_databases *self = calloc(1, sizeof(*self));

    *out = self;
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    self->names = names;
    return CPAM_OK;
}

void
restore_databases_free(struct restore_databases *self)
{
    if (self == NULL)
        return;
    free(self->kept);
    cpam_buf_clear(&self->emptied);
    free(self);
}

/* The server needs these to open, and others are made from them. */
static bool
is_system(const char *name)
{
    return strcmp(name, "template0") == 0 || strcmp(name, "template1") == 0 ||
           strcmp(name, "postgres") == 0;
}

static bool
is_wanted(struct restore_databases *self, const char *name)
{
    bool wanted = is_system(name);

    for (size_t i = 0; i < self->names->count; i++)
        if (strcmp(self->names->items[i], name) == 0)
            wanted = self->found[i] = true;
    return wanted;
}

static enum cpam_status
database_add(struct restore_databases *self, uint64_t oid, const char *name, struct cpam_err *err)
{
    if (!is_wanted(self, name))
        return cpam_buf_printf(&self->emptied, NAMES_MAX, err, "%s%s",
                               self->emptied.size == 0 ? "" : ", ", name);
    void *grown = realloc(self->kept, (self->kept_count + 1) * sizeof(*self->kept));

    if (grown == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    self->kept = grown;
    self->kept[self->kept_count++] = oid;
    return CPAM_OK;
}

enum cpam_status
restore_databases_setting(struct restore_databases *self, const struct manifest_setting *setting,
                          struct cpam_err *err)
{
    if (self->names->count == 0 || strcmp(setting->name, "databases") != 0)
        return CPAM_OK;
    CPAM_AUTO(free) char *text = strdup(setting->value);
    char *rest = text;

    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    self->listed = true;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
    {
        char *space = strchr(line, ' ');
        uint64_t oid;

        if (space == NULL)
            return cpam_fail(err, CPAM_CORRUPT, 0, "the backup's list of databases is none");
        *space = '\0';
        CPAM_TRY(text_parse_u64(line, UINT32_MAX, &oid, err));
        CPAM_TRY(database_add(self, oid, space + 1, err));
    }
    return CPAM_OK;
}

enum cpam_status
restore_databases_check(const struct restore_databases *self, struct cpam_err *err)
{
    if (self->names->count == 0)
        return CPAM_OK;
    if (!self->listed)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "--database: the backup does not tell the names of its databases");
    for (size_t i = 0; i < self->names->count; i++)
        if (!self->found[i])
            return cpam_fail(err, CPAM_USAGE, 0, "--database: the backup has no database \"%s\"",
                             self->names->items[i]);
    return CPAM_OK;
}

/* The oid of "base/<oid>/..." or "pg_tblspc/<oid>/PG_<version>/<oid>/..."; *file is what follows. */
static bool
oid_of(const char *path, uint64_t *oid, const char **file)
{
    struct cpam_err ignored;
    char text[16];
    int skip = strncmp(path, "base/", 5) == 0 ? 1 : strncmp(path, "pg_tblspc/", 10) == 0 ? 3 : 0;

    if (skip == 0)
        return false;
    for (; skip > 0; skip--)
    {
        path = strchr(path, '/');
        if (path == NULL)
            return false;
        path++;
    }
    size_t size = strspn(path, "0123456789");
    if (size == 0 || size >= sizeof(text) || path[size] != '/')
        return false;
    memcpy(text, path, size);
    text[size] = '\0';
    *file = path + size + 1;
    return text_parse_u64(text, UINT32_MAX, oid, &ignored) == CPAM_OK;
}

bool
restore_databases_empties(const struct restore_databases *self, const char *path)
{
    const char *file;
    uint64_t oid;

    if (self->names->count == 0 || !oid_of(path, &oid, &file))
        return false;
    /*
     * The folder stays one of a database, which DROP DATABASE can remove.  With a good pg_filenode.map a
     * connection, be it autovacuum's, would find no index of the catalogue, which is a PANIC; without
     * one it is refused at once.
     */
    if (strcmp(file, "PG_VERSION") == 0)
        return false;
    for (size_t i = 0; i < self->kept_count; i++)
        if (self->kept[i] == oid)
            return false;
    return true;
}

const char *
restore_databases_emptied(struct restore_databases *self)
{
    const char *text = self == NULL ? NULL : cpam_buf_text(&self->emptied);

    return text == NULL ? "" : text;
}
