/*
 * backlog.c - the directory of entries: kept, in order, done.
 *
 * An entry appears by rename, whole and fsynced, so that what a power cut leaves is an entry or none.
 * Temporaries of processes that died are swept when the directory is walked.
 */
#include "backlog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlog_parts.h"
#include "base/log.h"
#include "io/file.h"

#define TEMPORARY_PREFIX ".cpam-"
#define TEMPORARY_AGE    ((int64_t) 3600 * 1000000) /* us: no writer takes that long */

enum
{
    PATH_LIMIT = 1 << 16,
    LISTED_MAX = 4096, /* entries of one listing that are kept in order */
    COUNT_AGAIN = 128, /* entries kept before the directory is walked again: others keep too */
    COMPARE_PIECE = 64 << 10
};

void
backlog_free(struct backlog *backlog)
{
    if (backlog == NULL)
        return;
    for (size_t i = 0; i < SETTINGS_REPOSITORIES_MAX; i++)
        repository_free(backlog->sources[i]);
    free(backlog->next);
    free(backlog->dir);
    free(backlog);
}

/* The buffer's text becomes the caller's. */
static enum cpam_status
take_text(struct cpam_buf *buf, char **out, struct cpam_err *err)
{
    const char *text = cpam_buf_text(buf);

    *out = text == NULL ? NULL : strdup(text);
    return *out != NULL ? CPAM_OK : cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
}

enum cpam_status
backlog_open(struct io *io, const struct settings *settings,
             const struct repository_settings *which, uint64_t sysid, struct backlog **out,
             struct cpam_err *err)
{
    CPAM_AUTO(backlog_free) struct backlog *backlog = calloc(1, sizeof(*backlog));
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf dir = {0};

    if (backlog == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the backlog of \"%s\"",
                         which->name);
    backlog->io = io;
    backlog->settings = settings;
    backlog->which = which;
    backlog->sysid = sysid;
    CPAM_TRY(cpam_buf_printf(&dir, PATH_LIMIT, err, "%s/backlog/%s/%s/%" PRIu64, settings->state,
                             settings->cluster, which->name, sysid));
    CPAM_TRY(take_text(&dir, &backlog->dir, err));
    *out = CPAM_STEAL(backlog);
    return CPAM_OK;
}

enum cpam_status
backlog_path(const struct backlog *backlog, const char *name, char **out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};

    CPAM_TRY(cpam_buf_printf(&path, PATH_LIMIT, err, "%s/%s", backlog->dir, name));
    return take_text(&path, out, err);
}

/* --- walking the directory -------------------------------------------------------------------- */

typedef enum cpam_status (*entry_fn)(void *arg, const char *entry, const struct archive_name *name,
                                     struct cpam_err *err);

static void
sweep(const struct backlog *backlog, const char *temporary)
{
    CPAM_AUTO(free) char *path = NULL;
    struct stat about;
    struct cpam_err ignored;

    if (backlog_path(backlog, temporary, &path, &ignored) != CPAM_OK ||
        backlog->io->ops->stat(backlog->io, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &about) != 0)
        return;
    if (backlog->io->ops->now(backlog->io) - (int64_t) about.st_mtime * 1000000 > TEMPORARY_AGE)
        (void) backlog->io->ops->unlink(backlog->io, AT_FDCWD, path, 0);
}

/* No directory is no entries. */
static enum cpam_status
walk(const struct backlog *backlog, entry_fn fn, void *arg, struct cpam_err *err)
{
    struct io *io = backlog->io;
    DIR *dir = io->ops->opendir(io, AT_FDCWD, backlog->dir);
    enum cpam_status status = CPAM_OK;

    if (dir == NULL && errno == ENOENT)
        return CPAM_OK;
    if (dir == NULL)
        return cpam_fail(err, CPAM_IO, errno, "could not list the backlog \"%s\"", backlog->dir);
    while (status == CPAM_OK)
    {
        struct archive_name name;
        struct cpam_err ignored;

        errno = 0;
        struct dirent *entry = io->ops->readdir(io, dir);
        if (entry == NULL && errno != 0)
            status =
                cpam_fail(err, CPAM_IO, errno, "could not list the backlog \"%s\"", backlog->dir);
        if (entry == NULL)
            break;
        if (strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0)
            sweep(backlog, entry->d_name);
        else if (backlog_entry_parse(entry->d_name, &name, &ignored) == CPAM_OK)
            status = fn(arg, entry->d_name, &name, err);
    }
    io->ops->closedir(io, dir); /* only read */
    return status;
}

static enum cpam_status
count_one(void *arg, const char *entry, const struct archive_name *name, struct cpam_err *err)
{
    (void) entry;
    (void) name;
    (void) err;
    ++*(uint64_t *) arg;
    return CPAM_OK;
}

enum cpam_status
backlog_count(struct backlog *backlog, uint64_t *entries, struct cpam_err *err)
{
    *entries = 0;
    return walk(backlog, count_one, entries, err);
}

/* Histories first: what is in a repository can then always be recovered along. */
static int
order(const void *left, const void *right)
{
    const struct backlog_entry *a = left, *b = right;
    bool a_history = strchr(a->name, '.') == a->name + 8;
    bool b_history = strchr(b->name, '.') == b->name + 8;

    return a_history != b_history ? (int) b_history - (int) a_history : strcmp(a->name, b->name);
}

struct sizing
{
    struct backlog *backlog;
    struct backlog_size *size;
    struct backlog_entry first;
};

static enum cpam_status
size_one(void *arg, const char *found, const struct archive_name *name, struct cpam_err *err)
{
    struct sizing *sizing = arg;
    struct backlog_size *size = sizing->size;
    CPAM_AUTO(free) char *path = NULL;
    struct backlog_entry entry;
    struct stat about;

    (void) name;
    CPAM_TRY(backlog_path(sizing->backlog, found, &path, err));
    enum cpam_status status = file_stat(sizing->backlog->io, path, &about, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK; /* done meanwhile */
    CPAM_TRY(status);

    int64_t since = (int64_t) about.st_mtim.tv_sec * 1000000 + about.st_mtim.tv_nsec / 1000;
    snprintf(entry.name, sizeof(entry.name), "%s", found);
    if (size->entries == 0 || order(&entry, &sizing->first) < 0)
        sizing->first = entry;
    if (size->entries == 0 || since < size->oldest)
        size->oldest = since;
    size->entries++;
    size->bytes += (uint64_t) about.st_size;
    size->without_copy += about.st_size == 0;
    return CPAM_OK;
}

enum cpam_status
backlog_size(struct backlog *backlog, struct backlog_size *out, struct cpam_err *err)
{
    struct sizing sizing = {.backlog = backlog, .size = out};

    *out = (struct backlog_size){0};
    CPAM_TRY(walk(backlog, size_one, &sizing, err));
    memcpy(out->first, sizing.first.name, sizeof(out->first));
    return CPAM_OK;
}

/* --- keeping ---------------------------------------------------------------------------------- */

static enum cpam_status
compare_files(struct io *io, const char *one, const char *other, bool *same, struct cpam_err *err)
{
    CPAM_AUTO(free) uint8_t *pieces = malloc((size_t) 2 * COMPARE_PIECE);
    size_t got[2] = {COMPARE_PIECE, COMPARE_PIECE};
    int fds[2] = {-1, -1};
    enum cpam_status status;

    *same = true;
    if (pieces == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to read \"%s\"", one);
    status = file_open(io, one, O_RDONLY, 0, &fds[0], err);
    if (status == CPAM_OK)
        status = file_open(io, other, O_RDONLY, 0, &fds[1], err);
    while (status == CPAM_OK && *same && got[0] == COMPARE_PIECE)
    {
        status = file_read(io, fds[0], one, pieces, COMPARE_PIECE, &got[0], err);
        if (status == CPAM_OK)
            status =
                file_read(io, fds[1], other, pieces + COMPARE_PIECE, COMPARE_PIECE, &got[1], err);
        if (status == CPAM_OK)
            *same = got[0] == got[1] && memcmp(pieces, pieces + COMPARE_PIECE, got[0]) == 0;
    }
    for (size_t i = 0; i < 2; i++)
        if (fds[i] >= 0)
            io->ops->close(io, fds[i]); /* only read */
    return status;
}

/* An entry of this name is there.  Whoever made it may have died before its directory was flushed. */
static enum cpam_status
kept_before(const struct backlog *backlog, const char *path, const char *entry,
            const struct stat *about, struct cpam_err *err)
{
    bool same = true;

    if (about->st_size > 0)
        CPAM_TRY(compare_files(backlog->io, path, entry, &same, err));
    if (same)
        return file_sync_dir(backlog->io, backlog->dir, err);
    cpam_fail(err, CPAM_EXISTS, 0,
              "\"%s\" waits for repository \"%s\" with another content than \"%s\"", entry,
              backlog->which->name, path);
    cpam_err_hint(err,
                  "two servers are using the folder \"%s\" for one cluster: find out which of "
                  "them is the real one, and move the other's entry out of the way",
                  backlog->settings->state);
    return CPAM_EXISTS;
}

static enum cpam_status
copy_file(struct io *io, const char *path, const char *entry, struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    int fd;

    CPAM_TRY(file_open(io, path, O_RDONLY, 0, &fd, err));
    enum cpam_status status = sink_file_push(&chain, io, entry, 0600, err);
    if (status == CPAM_OK)
        status = pump_fd(io, fd, path, chain, err);
    io->ops->close(io, fd); /* only read */
    return status == CPAM_OK ? sink_finish(chain, err) : status;
}

static enum cpam_status
count_all(struct backlog *backlog, struct cpam_err *err)
{
    struct backlog_size size;

    if (backlog->counted && backlog->kept < COUNT_AGAIN)
        return CPAM_OK;
    CPAM_TRY(backlog_size(backlog, &size, err));
    backlog->entries = size.entries;
    backlog->bytes = size.bytes;
    backlog->counted = true;
    backlog->kept = 0;
    return CPAM_OK;
}

/* A new entry: a copy if there is room for one, or else the name alone. */
static enum cpam_status
keep_new(struct backlog *backlog, const char *path, const char *entry, struct cpam_err *err)
{
    uint64_t max = backlog->settings->wal.backlog_max;
    struct stat about;

    CPAM_TRY(count_all(backlog, err));
    if (backlog->entries >= BACKLOG_ENTRIES_MAX)
        return cpam_fail(err, CPAM_REFUSED, 0,
                         "%d files wait for repository \"%s\" in \"%s\" already",
                         BACKLOG_ENTRIES_MAX, backlog->which->name, backlog->dir);
    CPAM_TRY(file_stat(backlog->io, path, &about, err));
    uint64_t size = (uint64_t) about.st_size;
    enum cpam_status status = CPAM_REFUSED;
    if (size <= max && backlog->bytes <= max - size)
    {
        status = copy_file(backlog->io, path, entry, err);
        if (status != CPAM_OK)
            cpam_log(LOG_WARNING, "%s: only the name of \"%s\" is kept for repository \"%s\"",
                     err->text, path, backlog->which->name);
    }
    if (status == CPAM_OK)
        backlog->bytes += size;
    else
        CPAM_TRY(file_write_all(backlog->io, entry, 0600, "", 0, err));
    backlog->entries++;
    backlog->kept++;
    return CPAM_OK;
}

static enum cpam_status
keep_at(struct backlog *backlog, const char *path, const char *entry, struct cpam_err *err)
{
    struct stat about;
    enum cpam_status status = file_stat(backlog->io, entry, &about, err);

    if (status == CPAM_OK)
        return kept_before(backlog, path, entry, &about, err);
    return status == CPAM_NOT_FOUND ? keep_new(backlog, path, entry, err) : status;
}

/* Beside the content that waits: a name alone would not say which content is meant. */
static enum cpam_status
keep_beside(struct backlog *backlog, const char *path, const char *name, struct cpam_err *err)
{
    CPAM_AUTO(free) char *entry = NULL;
    char beside[BACKLOG_NAME_MAX];
    struct stat about;

    CPAM_TRY(backlog_entry_beside(backlog->io, path, name, beside, err));
    CPAM_TRY(backlog_path(backlog, beside, &entry, err));
    enum cpam_status status = file_stat(backlog->io, entry, &about, err);
    if (status == CPAM_OK)
        return kept_before(backlog, path, entry, &about, err);
    if (status != CPAM_NOT_FOUND)
        return status;
    CPAM_TRY(copy_file(backlog->io, path, entry, err));
    backlog->counted = false;
    cpam_log(LOG_WARNING,
             "\"%s\" waits for repository \"%s\" with another content already: this one is kept "
             "beside it as \"%s\"",
             name, backlog->which->name, beside);
    return CPAM_OK;
}

static bool
may_lie_beside(const char *name)
{
    struct archive_name parsed;
    struct cpam_err ignored;

    return archive_name_parse(name, &parsed, &ignored) == CPAM_OK &&
           (parsed.kind == ARCHIVE_PARTIAL || parsed.kind == ARCHIVE_BACKUP_HISTORY);
}

enum cpam_status
backlog_keep(struct backlog *backlog, const char *path, const char *name, struct cpam_err *err)
{
    CPAM_AUTO(free) char *entry = NULL;
    enum cpam_status status;

    CPAM_TRY(backlog_path(backlog, name, &entry, err));
    status = file_make_dirs(backlog->io, backlog->dir, 0700, err);
    if (status == CPAM_OK)
        status = keep_at(backlog, path, entry, err);
    if (status == CPAM_EXISTS && may_lie_beside(name))
        status = keep_beside(backlog, path, name, err);
    if (status == CPAM_OK || status == CPAM_EXISTS)
        return status;
    cpam_err_prefix(err, "\"%s\" can't be kept for repository \"%s\"", name, backlog->which->name);
    cpam_err_hint(err, "make room in \"%s\", or let this user write there",
                  backlog->settings->state);
    return err->status = status == CPAM_NOT_FOUND ? CPAM_IO : status;
}

/* --- in order --------------------------------------------------------------------------------- */

/* Keeps the first LISTED_MAX: twice as many are collected, sorted, and the second half forgotten. */
static enum cpam_status
list_one(void *arg, const char *found, const struct archive_name *name, struct cpam_err *err)
{
    struct backlog *backlog = arg;
    struct backlog_entry entry, passed;

    (void) name;
    (void) err;
    snprintf(entry.name, sizeof(entry.name), "%s", found);
    memcpy(passed.name, backlog->passed, sizeof(passed.name));
    if (passed.name[0] != '\0' && order(&entry, &passed) <= 0)
        return CPAM_OK;
    if (backlog->count == (size_t) 2 * LISTED_MAX)
    {
        qsort(backlog->next, backlog->count, sizeof(*backlog->next), order);
        backlog->count = LISTED_MAX;
    }
    backlog->next[backlog->count++] = entry;
    return CPAM_OK;
}

static enum cpam_status
list_next(struct backlog *backlog, struct cpam_err *err)
{
    if (backlog->next == NULL)
        backlog->next = calloc((size_t) 2 * LISTED_MAX, sizeof(*backlog->next));
    if (backlog->next == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to list \"%s\"", backlog->dir);
    backlog->at = backlog->count = 0;
    CPAM_TRY(walk(backlog, list_one, backlog, err));
    qsort(backlog->next, backlog->count, sizeof(*backlog->next), order);
    if (backlog->count > LISTED_MAX)
        backlog->count = LISTED_MAX;
    return CPAM_OK;
}

enum cpam_status
backlog_next(struct backlog *backlog, bool *any, struct archive_name *name, char **path,
             struct cpam_err *err)
{
    *any = false;
    *path = NULL;
    for (;;)
    {
        CPAM_AUTO(free) char *entry = NULL;
        struct stat about;

        if (backlog->at == backlog->count)
            CPAM_TRY(list_next(backlog, err));
        if (backlog->count == 0)
            return CPAM_OK;
        const char *found = backlog->next[backlog->at].name;
        CPAM_TRY(backlog_entry_parse(found, name, err));
        CPAM_TRY(backlog_path(backlog, found, &entry, err));
        enum cpam_status status = file_stat(backlog->io, entry, &about, err);
        if (status == CPAM_NOT_FOUND)
        {
            backlog->at++; /* another process has done it */
            continue;
        }
        CPAM_TRY(status);
        *any = true;
        if (about.st_size > 0)
            *path = CPAM_STEAL(entry);
        return CPAM_OK;
    }
}

void
backlog_pass(struct backlog *backlog)
{
    if (backlog->at < backlog->count)
        memcpy(backlog->passed, backlog->next[backlog->at++].name, sizeof(backlog->passed));
}

void
backlog_rewind(struct backlog *backlog)
{
    backlog->passed[0] = '\0';
    backlog->at = backlog->count = 0;
    memset(backlog->tried, 0, sizeof(backlog->tried));
}

struct needing
{
    struct timeline timeline;
    bool any;
};

static enum cpam_status
needs_history(void *arg, const char *entry, const struct archive_name *name, struct cpam_err *err)
{
    struct needing *needing = arg;

    (void) entry;
    (void) err;
    if (name->kind != ARCHIVE_HISTORY && name->timeline.id == needing->timeline.id)
        needing->any = true;
    return CPAM_OK;
}

/* The entry that comes next, if it is of this name; or NULL. */
static const char *
next_of(const struct backlog *backlog, const char *name)
{
    struct archive_name parsed;
    struct cpam_err ignored;

    if (backlog->at == backlog->count)
        return NULL;
    const char *next = backlog->next[backlog->at].name;
    return backlog_entry_parse(next, &parsed, &ignored) == CPAM_OK && strcmp(parsed.text, name) == 0
               ? next
               : NULL;
}

enum cpam_status
backlog_done(struct backlog *backlog, const char *name, struct cpam_err *err)
{
    CPAM_AUTO(free) char *entry = NULL;
    struct archive_name parsed;
    struct needing needing = {.any = false};

    CPAM_TRY(archive_name_parse(name, &parsed, err));
    if (parsed.kind == ARCHIVE_HISTORY)
    {
        needing.timeline = parsed.timeline;
        CPAM_TRY(walk(backlog, needs_history, &needing, err));
    }
    const char *next = next_of(backlog, name);
    if (needing.any)
    {
        if (next != NULL)
            backlog_pass(backlog);
        return CPAM_OK;
    }
    CPAM_TRY(backlog_path(backlog, next != NULL ? next : name, &entry, err));
    enum cpam_status status = file_unlink(backlog->io, entry, err);
    if (status != CPAM_OK && status != CPAM_NOT_FOUND)
        return status;
    if (next != NULL)
        backlog->at++;
    backlog->counted = false;
    return CPAM_OK;
}
