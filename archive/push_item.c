/*
 * push_item.c - one file on its way into the archive, with the history of its timeline.
 *
 * The history is put with every file of a timeline beyond the first, not only when PostgreSQL asks
 * for it: a .history that is late (the archiver of 15 and later caches names) or lost would leave
 * segments nobody can recover along.  Once it is there, that costs one ranged request.
 */
#include "push_item.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlog.h"
#include "base/log.h"
#include "io/control_load.h"

enum
{
    PATH_LIMIT = 1 << 16
};

struct push_item
{
    struct archive_name name;
    uint64_t sysid;
    struct wal_item *file;
    char *path;
    char history_name[ARCHIVE_NAME_MAX]; /* "" when none is needed */
    struct wal_item *history;            /* NULL when there is none here */
    char *history_path;
};

void
push_item_free(struct push_item *item)
{
    if (item == NULL)
        return;
    wal_item_free(item->file);
    wal_item_free(item->history);
    free(item->path);
    free(item->history_path);
    free(item);
}

const char *
push_item_name(const struct push_item *item)
{
    return item->name.text;
}

const char *
push_item_path(const struct push_item *item)
{
    return item->path;
}

uint64_t
push_item_sysid(const struct push_item *item)
{
    return item->sysid;
}

/* *sysid is 0 when there is no pg_control in this directory. */
static enum cpam_status
sysid_of(struct io *io, const char *dir, uint64_t *sysid, struct cpam_err *err)
{
    struct control control = {0};
    enum cpam_status status = control_load(io, dir, NULL, &control, err);

    *sysid = control.sysid;
    if (status == CPAM_NOT_FOUND)
    {
        *sysid = 0;
        return CPAM_OK;
    }
    return status;
}

/* dirname(dirname(path)), or NULL without memory. */
static char *
grandparent(const char *path)
{
    char *dir = strdup(path);

    for (int up = 0; dir != NULL && up < 2; up++)
    {
        char *slash = strrchr(dir, '/');

        if (slash == NULL)
        {
            free(dir);
            return strdup(up == 0 ? ".." : ".");
        }
        while (slash > dir && slash[-1] == '/')
            slash--;
        slash[slash == dir ? 1 : 0] = '\0';
        if (slash == dir && up == 0)
            return dir;
    }
    return dir;
}

static enum cpam_status
expected_sysid(struct io *io, const char *path, const char *data, enum archive_name_kind kind,
               uint64_t *sysid, struct cpam_err *err)
{
    CPAM_AUTO(free) char *above = grandparent(path);

    if (above == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    CPAM_TRY(sysid_of(io, above, sysid, err));
    /* A segment says itself what it is of; one that lies apart is not held against a server that
       may have nothing to do with it. */
    if (*sysid != 0 || kind == ARCHIVE_SEGMENT || kind == ARCHIVE_PARTIAL)
        return CPAM_OK;
    CPAM_TRY(sysid_of(io, ".", sysid, err));
    if (*sysid == 0 && data != NULL)
        CPAM_TRY(sysid_of(io, data, sysid, err));
    return CPAM_OK;
}

/* <TLI>.history in the directory of path. */
static enum cpam_status
read_history(struct io *io, const char *path, struct push_item *item, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf whole = {0};
    const char *slash = strrchr(path, '/');
    int dir = slash == NULL ? 0 : (int) (slash + 1 - path);

    snprintf(item->history_name, sizeof(item->history_name), "%08" PRIX32 ".history",
             item->name.timeline.id);
    CPAM_TRY(cpam_buf_printf(&whole, PATH_LIMIT, err, "%.*s%s", dir, path, item->history_name));
    const char *name = cpam_buf_text(&whole);
    if (name == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    enum cpam_status status =
        wal_item_read(io, name, item->history_name, item->sysid, &item->history, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK; /* each repository is asked whether it has it */
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "the history of its timeline");
        return status;
    }
    item->history_path = strdup(name);
    return item->history_path != NULL
               ? CPAM_OK
               : cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
}

enum cpam_status
push_item_read(struct io *io, const char *path, const char *data, struct push_item **out,
               struct cpam_err *err)
{
    CPAM_AUTO(push_item_free) struct push_item *item = calloc(1, sizeof(*item));
    const char *slash = strrchr(path, '/');

    if (item == NULL || (item->path = strdup(path)) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to push \"%s\"", path);
    CPAM_TRY(archive_name_parse(slash == NULL ? path : slash + 1, &item->name, err));
    CPAM_TRY(expected_sysid(io, path, data, item->name.kind, &item->sysid, err));
    CPAM_TRY(wal_item_read(io, path, item->name.text, item->sysid, &item->file, err));
    item->sysid = wal_item_sysid(item->file);
    if (item->name.timeline.id > 1 && item->name.kind != ARCHIVE_HISTORY)
        CPAM_TRY(read_history(io, path, item, err));
    *out = CPAM_STEAL(item);
    return CPAM_OK;
}

static enum cpam_status
put_history(struct repo *repo, const struct push_item *item, struct cpam_err *err)
{
    struct object_header header;
    bool was_there;

    if (item->history_name[0] == '\0')
        return CPAM_OK;
    if (item->history != NULL)
    {
        enum cpam_status status = wal_archive_put(repo, item->history, &was_there, err);
        if (status != CPAM_OK)
            cpam_err_prefix(err, "the history of its timeline");
        else if (!was_there)
            cpam_log(LOG_INFO, "archived \"%s\" in \"%s\" before \"%s\"", item->history_name,
                     repo_name(repo), item->name.text);
        return status;
    }
    enum cpam_status status =
        wal_archive_header(repo, item->sysid, item->history_name, &header, err);
    if (status == CPAM_NOT_FOUND)
    {
        /* Refusing would keep WAL off the archive for ever: the file is not coming back. */
        cpam_log(LOG_WARNING,
                 "\"%s\" is neither beside \"%s\" nor in repository \"%s\": without it nobody can "
                 "recover along timeline %" PRIu32,
                 item->history_name, item->name.text, repo_name(repo), item->name.timeline.id);
        return CPAM_OK;
    }
    return status;
}

enum cpam_status
push_item_put_how(struct repo *repo, const struct push_item *item, const struct push_item_how *how,
                  struct push_item_result *result, struct cpam_err *err)
{
    *result = (struct push_item_result){0};
    if (!how->history_there || item->history == NULL)
        CPAM_TRY(put_history(repo, item, err));
    result->history_put = item->history != NULL;
    return wal_archive_put_how(repo, item->file, &how->wal, &result->was_there, err);
}

enum cpam_status
push_item_put(struct repo *repo, const struct push_item *item, bool *was_there,
              struct cpam_err *err)
{
    static const struct push_item_how how = {.history_there = false};
    struct push_item_result result;
    enum cpam_status status = push_item_put_how(repo, item, &how, &result, err);

    *was_there = result.was_there;
    return status;
}

enum cpam_status
push_item_keep(const struct push_item *item, struct backlog *backlog, struct cpam_err *err)
{
    if (item->history != NULL)
        CPAM_TRY(backlog_keep(backlog, item->history_path, item->history_name, err));
    return backlog_keep(backlog, item->path, item->name.text, err);
}
