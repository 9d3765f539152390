/*
 * backlog_drain.c - entries read back and pushed.
 *
 * An entry is checked against its name like any file that PostgreSQL hands over.  One without a copy
 * is read from pg_wal, where the server may still have it, or made a copy of again out of another
 * repository.
 */
#include <fcntl.h>
#include <string.h>

#include "backlog_parts.h"
#include "base/log.h"
#include "io/file.h"
#include "repo/wal_archive.h"

enum
{
    PATH_LIMIT = 1 << 16,
    HISTORIES_MAX = 32, /* put in one go; the entries of more stay until the next */
    PASSED_LOGGED = 3   /* sentences about single files in one go */
};

/* --- entries without a copy ------------------------------------------------------------------- */

/*
 * A file that is finished is known to the archiver until it is recycled.  One that is not may be
 * coming in just now, on a standby that was made of this host: it begins as it should.
 */
static bool
is_finished(const struct backlog *backlog, const char *name, const char *data)
{
    static const char *const endings[] = {"done", "ready"};
    bool known = false;

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && !known; i++)
    {
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
        struct cpam_err ignored;
        struct stat about;

        if (cpam_buf_printf(&path, PATH_LIMIT, &ignored, "%s/pg_wal/archive_status/%s.%s", data,
                            name, endings[i]) != CPAM_OK)
            return false;
        const char *text = cpam_buf_text(&path);
        known = text != NULL && backlog->io->ops->stat(backlog->io, AT_FDCWD, text, 0, &about) == 0;
    }
    return known;
}

/* PostgreSQL may have renamed the file to another segment's name: its first page tells. */
static enum cpam_status
read_pg_wal(const struct backlog *backlog, const char *name, const char *data,
            struct wal_item **out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};

    if (data == NULL || !is_finished(backlog, name, data))
        return CPAM_NOT_FOUND;
    CPAM_TRY(cpam_buf_printf(&path, PATH_LIMIT, err, "%s/pg_wal/%s", data, name));
    const char *text = cpam_buf_text(&path);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    return wal_item_read(backlog->io, text, name, backlog->sysid, out, err);
}

static struct deadline
half_of(struct io *io, struct deadline deadline)
{
    return deadline.at == 0 ? deadline : deadline_after(io, deadline_left(io, deadline) / 2);
}

/* NULL: it can't be opened, or this host has no key for it. */
static struct repo *
source(struct backlog *backlog, size_t i, struct deadline deadline)
{
    const struct repository_settings *which = &backlog->settings->repositories[i];
    const struct repository_purpose purpose = {.for_read = true};
    struct cpam_err why;

    if (backlog->sources[i] == NULL && !backlog->tried[i])
    {
        backlog->tried[i] = true;
        if (repository_open(backlog->io, backlog->settings, which, purpose, deadline,
                            &backlog->sources[i], &why) != CPAM_OK)
            cpam_log(LOG_INFO, "%s", why.text);
    }
    if (backlog->sources[i] == NULL)
        return NULL;
    const struct keyring *keyring = repository_keyring(backlog->sources[i]);
    if (keyring_sealed(keyring) && !keyring_can_open(keyring))
        return NULL;
    struct repo *repo = repository_repo(backlog->sources[i]);
    repo_store(repo)->deadline = deadline;
    return repo;
}

/* The entry becomes a copy, out of the first other repository that has the file. */
static enum cpam_status
fill(struct backlog *backlog, const char *name, const char *entry, struct deadline deadline,
     struct cpam_err *err)
{
    for (size_t i = 0; i < backlog->settings->repository_count; i++)
    {
        CPAM_AUTO(sink_free) struct sink *chain = NULL;
        struct object_header header;
        struct cpam_err why;

        if (&backlog->settings->repositories[i] == backlog->which)
            continue;
        struct deadline share = half_of(backlog->io, deadline);
        struct repo *repo = source(backlog, i, share);
        if (repo == NULL)
            continue;
        CPAM_TRY(sink_file_push(&chain, backlog->io, entry, 0600, err));
        if (wal_archive_get(repo, backlog->sysid, name, chain, &header, &why) == CPAM_OK)
            return sink_finish(chain, err);
        cpam_log(LOG_INFO, "%s", why.text);
    }
    cpam_fail(
        err, CPAM_NOT_FOUND, 0,
        "\"%s\" waits for repository \"%s\" without a copy, and is neither in pg_wal nor in a "
        "repository that this host can open",
        name, backlog->which->name);
    cpam_err_hint(err,
                  "push it from a host that has the file or the key, or remove \"%s\" if it "
                  "is not to be there",
                  entry);
    return CPAM_NOT_FOUND;
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum cpam_status
check_sysid(const struct backlog *backlog, struct wal_item **item, struct cpam_err *err)
{
    if (wal_item_sysid(*item) == backlog->sysid)
        return CPAM_OK;
    wal_item_free(CPAM_STEAL(*item));
    return cpam_fail(err, CPAM_INVALID, 0, "an entry of \"%s\" is of another database cluster",
                     backlog->dir);
}

/* The entry, checked; where it has no copy, that is filled in first.  CPAM_NOT_FOUND: it can't be had
   here now; CPAM_INVALID: damaged. */
static enum cpam_status
read_entry(struct backlog *backlog, const struct archive_name *name, const char *path,
           const char *data, struct deadline deadline, struct wal_item **out, struct cpam_err *err)
{
    CPAM_AUTO(free) char *entry = NULL;

    if (path == NULL)
    {
        if (read_pg_wal(backlog, name->text, data, out, err) == CPAM_OK &&
            check_sysid(backlog, out, err) == CPAM_OK)
            return CPAM_OK;
        CPAM_TRY(backlog_path(backlog, name->text, &entry, err));
        CPAM_TRY(fill(backlog, name->text, entry, deadline, err));
        path = entry;
    }
    CPAM_TRY(wal_item_read(backlog->io, path, name->text, backlog->sysid, out, err));
    return check_sysid(backlog, out, err);
}

/* --- draining --------------------------------------------------------------------------------- */

struct draining
{
    struct backlog *backlog;
    struct repo *repo;
    const char *data;
    const struct backlog_limits *limits;
    unsigned pushed, passed;
    /* Histories that were put: their entries go when the last segment of their timeline has gone. */
    char histories[HISTORIES_MAX][ARCHIVE_NAME_MAX];
    size_t history_count;
};

/* Something about this one file: the others may do better, and go before it. */
static void
pass_over(struct draining *draining, const struct cpam_err *why)
{
    if (draining->passed++ < PASSED_LOGGED)
        log_failure(why);
    backlog_pass(draining->backlog);
}

static enum cpam_status
drain_one(struct draining *draining, const struct archive_name *name, const char *path,
          struct cpam_err *err)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    struct backlog *backlog = draining->backlog;
    bool was_there;
    enum cpam_status status =
        read_entry(backlog, name, path, draining->data, draining->limits->end, &item, err);

    if (status != CPAM_OK && status != CPAM_NO_MEMORY)
    {
        pass_over(draining, err);
        return CPAM_OK;
    }
    CPAM_TRY(status);
    status = wal_archive_put(draining->repo, item, &was_there, err);
    if (status == CPAM_EXISTS || status == CPAM_CORRUPT)
    {
        pass_over(draining, err);
        return CPAM_OK;
    }
    CPAM_TRY(status);
    CPAM_TRY(backlog_done(backlog, name->text, err));
    draining->pushed++;
    if (name->kind == ARCHIVE_HISTORY && draining->history_count < HISTORIES_MAX)
        memcpy(draining->histories[draining->history_count++], name->text, ARCHIVE_NAME_MAX);
    return CPAM_OK;
}

static enum cpam_status
drain_some(struct draining *draining, struct cpam_err *err)
{
    const struct backlog_limits *limits = draining->limits;

    while (limits->most == 0 || draining->pushed < limits->most)
    {
        CPAM_AUTO(free) char *path = NULL;
        struct archive_name name;
        bool any;

        if (deadline_left(draining->backlog->io, limits->begin) == 0)
            return CPAM_OK;
        CPAM_TRY(backlog_next(draining->backlog, &any, &name, &path, err));
        if (!any)
            return CPAM_OK;
        CPAM_TRY(drain_one(draining, &name, path, err));
    }
    return CPAM_OK;
}

static void
tell(const struct draining *draining)
{
    const char *name = draining->backlog->which->name;

    if (draining->pushed > 0)
        cpam_log(LOG_INFO, "%u of what waited for repository \"%s\" is there now", draining->pushed,
                 name);
    if (draining->passed > PASSED_LOGGED)
        cpam_log(LOG_WARNING, "%u of what waits for repository \"%s\" could not be pushed",
                 draining->passed, name);
}

enum cpam_status
backlog_drain(struct backlog *backlog, struct repo *repo, const char *data,
              const struct backlog_limits *limits, uint64_t *left, struct cpam_err *err)
{
    struct draining draining = {.backlog = backlog, .repo = repo, .data = data, .limits = limits};
    struct deadline before = repo_store(repo)->deadline;
    struct cpam_err ignored;

    backlog_rewind(backlog);
    repo_store(repo)->deadline = limits->end;
    enum cpam_status status = drain_some(&draining, err);
    repo_store(repo)->deadline = before;
    for (size_t i = 0; i < draining.history_count && status == CPAM_OK; i++)
        status = backlog_done(backlog, draining.histories[i], err);
    tell(&draining);
    if (backlog_count(backlog, left, &ignored) != CPAM_OK)
        *left = 0;
    return status;
}
