/*
 * source_files.c - walking a data directory while its server writes to it.
 */
#include "source_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "pg/excluded.h"

enum
{
    DEPTH_MAX = 32,
    NAMES_MAX = 1 << 30 /* bytes of the names in one directory */
};

/* The names in a directory, sorted. */
struct names
{
    struct cpam_buf text;
    uint32_t *at; /* offsets into text; of millions of names they are not the smaller part */
    size_t count, cap;
};

static void
names_clear_scoped_(struct names *names)
{
    cpam_buf_clear(&names->text);
    free(names->at);
}

static const char *
name_at(const struct names *names, size_t index)
{
    return (const char *) names->text.data + names->at[index];
}

static int
by_name(const void *a, const void *b, void *text)
{
    return strcmp((const char *) text + *(const uint32_t *) a,
                  (const char *) text + *(const uint32_t *) b);
}

static bool
names_hold(const struct names *names, const char *name)
{
    size_t low = 0, high = names->count;

    while (low < high)
    {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name_at(names, middle), name);

        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static enum cpam_status
names_add(struct names *names, const char *name, struct cpam_err *err)
{
    if (names->count == names->cap)
    {
        size_t cap = names->cap + names->cap / 4 + 64;
        uint32_t *grown = realloc(names->at, cap * sizeof(*grown));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the names in a directory");
        names->at = grown;
        names->cap = cap;
    }
    names->at[names->count++] = (uint32_t) names->text.size;
    return cpam_buf_append(&names->text, name, strlen(name) + 1, NAMES_MAX, err);
}

/* *vanished: the directory is not there any more. */
static enum cpam_status
names_read(struct io *io, const char *path, struct names *names, bool *vanished,
           struct cpam_err *err)
{
    DIR *dir = io->ops->opendir(io, AT_FDCWD, path);
    enum cpam_status status = CPAM_OK;
    struct dirent *entry;

    *vanished = dir == NULL && errno == ENOENT;
    if (*vanished)
        return CPAM_OK;
    if (dir == NULL)
        return cpam_fail(err, CPAM_IO, errno, "could not open directory \"%s\"", path);
    while (status == CPAM_OK)
    {
        errno = 0;
        entry = io->ops->readdir(io, dir);
        if (entry == NULL)
        {
            if (errno != 0)
                status = cpam_fail(err, CPAM_IO, errno, "could not read directory \"%s\"", path);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = names_add(names, entry->d_name, err);
    }
    io->ops->closedir(io, dir);
    if (status == CPAM_OK && names->count > 0)
        qsort_r(names->at, names->count, sizeof(*names->at), by_name, names->text.data);
    return status;
}

static enum cpam_status
join(struct cpam_buf *out, const char *parent, const char *name, struct cpam_err *err)
{
    out->size = 0;
    CPAM_TRY(cpam_buf_printf(out, MANIFEST_PATH_MAX * 2, err, "%s%s%s", parent,
                             parent[0] == '\0' ? "" : "/", name));
    if (cpam_buf_text(out) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    return CPAM_OK;
}

static enum cpam_status walk_directory(const struct source *source, const char *path, int depth,
                                       struct cpam_err *err);

/* A directory, and what is in it unless only the directory is kept. */
static enum cpam_status
take_directory(const struct source *source, const char *path, const struct stat *about,
               const char *target, int depth, struct cpam_err *err)
{
    struct source_entry entry = {.kind = MANIFEST_DIRECTORY,
                                 .path = path,
                                 .target = target,
                                 .mode = (uint32_t) about->st_mode & 0777};
    enum excluded excluded = excluded_path(path, true);

    if (excluded == EXCLUDED_WHOLE)
        return CPAM_OK;
    CPAM_TRY(source->fn(source->arg, &entry, err));
    /* pg_wal has directories of its own that are kept, and nothing else */
    if (excluded == EXCLUDED_CONTENT && strcmp(path, "pg_wal") != 0)
        return CPAM_OK;
    return walk_directory(source, path, depth + 1, err);
}

static bool
is_tablespace(const char *path)
{
    static const char parent[] = "pg_tblspc/";
    size_t length = sizeof(parent) - 1;

    return strncmp(path, parent, length) == 0 && path[length] != '\0' &&
           strspn(path + length, "0123456789") == strlen(path + length);
}

/* In a directory of the server's own, where no file is anybody else's. */
static bool
is_servers(const char *path)
{
    return strchr(path, '/') != NULL &&
           (strncmp(path, "base/", 5) == 0 || strncmp(path, "global/", 7) == 0 ||
            strncmp(path, "pg_", 3) == 0);
}

static enum cpam_status
take_link(const struct source *source, const char *path, const char *full, int depth,
          struct cpam_err *err)
{
    struct io *io = source->io;
    char target[MANIFEST_PATH_MAX + 1];
    struct stat about;
    ssize_t size = io->ops->readlink(io, AT_FDCWD, full, target, sizeof(target));

    if (size < 0 && errno == ENOENT)
        return CPAM_OK;
    if (size < 0 || (size_t) size >= sizeof(target))
        return cpam_fail(err, CPAM_IO, size < 0 ? errno : ENAMETOOLONG,
                         "could not read link \"%s\"", full);
    target[size] = '\0';
    int gone = io->ops->stat(io, AT_FDCWD, full, 0, &about);

    if (is_tablespace(path) || strcmp(path, "pg_wal") == 0)
    {
        if (gone != 0)
            return cpam_fail(err, CPAM_IO, errno, "\"%s\" points to \"%s\", which can't be read",
                             full, target);
        return take_directory(source, path, &about, target, depth, err);
    }
    if (gone == 0 && S_ISDIR(about.st_mode))
    {
        cpam_fail(err, CPAM_INVALID, 0,
                  "\"%s\" is a link to a directory, which PostgreSQL knows only for pg_wal and in "
                  "pg_tblspc: what is behind it would be missing from the backup",
                  full);
        cpam_err_hint(err, "use a tablespace, or move the directory back");
        return CPAM_INVALID;
    }
    if (is_servers(path))
    {
        cpam_fail(err, CPAM_INVALID, 0,
                  "\"%s\" is a link to \"%s\", where PostgreSQL has files of its own: the content "
                  "would be missing from the backup, and a copy would write into the original's",
                  full, target);
        cpam_err_hint(err, "move the file back, or use a tablespace");
        return CPAM_INVALID;
    }
    cpam_log(LOG_WARNING, "\"%s\" is a link to \"%s\": the link is backed up, not what it shows",
             full, target);
    struct source_entry entry = {.kind = MANIFEST_LINK, .path = path, .target = target};
    return source->fn(source->arg, &entry, err);
}

static enum cpam_status
take_file(const struct source *source, const char *path, const struct stat *about,
          struct cpam_err *err)
{
    struct source_entry entry = {.kind = MANIFEST_FILE,
                                 .path = path,
                                 .mode = (uint32_t) about->st_mode & 0777,
                                 .size = (uint64_t) about->st_size,
                                 .mtime = (int64_t) about->st_mtim.tv_sec * 1000000 +
                                          about->st_mtim.tv_nsec / 1000};

    return source->fn(source->arg, &entry, err);
}

/* Temporary and unlogged relations, whose names say so; and what the list of exclusions says. */
static bool
left_out(const char *path, const char *name, const struct names *siblings)
{
    struct relation_name relation;
    char init[32];

    if (excluded_path(path, false) != EXCLUDED_NOT)
        return true;
    if (!relation_path_parse(path, &relation) || !relation_name_parse(name, &relation))
        return false;
    if (relation.temporary)
        return true;
    snprintf(init, sizeof(init), "%u_init", relation.number);
    return relation_unlogged(&relation, names_hold(siblings, init));
}

static enum cpam_status
take_name(const struct source *source, const char *parent, const char *name,
          const struct names *siblings, int depth, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path_buf = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf full_buf = {0};
    struct stat about;

    CPAM_TRY(join(&path_buf, parent, name, err));
    const char *path = cpam_buf_text(&path_buf);
    CPAM_TRY(join(&full_buf, source->data, path, err));
    const char *full = cpam_buf_text(&full_buf);

    if (source->io->ops->stat(source->io, AT_FDCWD, full, AT_SYMLINK_NOFOLLOW, &about) != 0)
    {
        if (errno == ENOENT)
            return CPAM_OK; /* dropped meanwhile */
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", full);
    }
    if (S_ISLNK(about.st_mode) && left_out(path, name, siblings))
        return CPAM_OK;
    if (S_ISLNK(about.st_mode))
        return take_link(source, path, full, depth, err);
    if (S_ISDIR(about.st_mode))
        return take_directory(source, path, &about, NULL, depth, err);
    if (left_out(path, name, siblings))
        return CPAM_OK;
    if (!S_ISREG(about.st_mode))
    {
        cpam_log(LOG_WARNING, "\"%s\" is no file, directory or link, and is left out", full);
        return CPAM_OK;
    }
    return take_file(source, path, &about, err);
}

/* A tablespace's directory may be shared with other clusters and other majors. */
static bool
is_foreign(const struct source *source, const char *parent, const char *name)
{
    if (strcmp(parent, "pg_tblspc") == 0 && strspn(name, "0123456789") != strlen(name))
    {
        cpam_log(LOG_WARNING, "\"%s/%s\" is no tablespace, and is left out", parent, name);
        return true;
    }
    if (is_tablespace(parent))
        return strcmp(name, source->version_dir) != 0;
    /* of the file system, not the server; nobody but root may read it */
    return parent[0] == '\0' && strcmp(name, "lost+found") == 0;
}

static enum cpam_status
walk_directory(const struct source *source, const char *path, int depth, struct cpam_err *err)
{
    __attribute__((cleanup(names_clear_scoped_))) struct names names = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf full = {0};
    bool vanished = false;

    if (depth > DEPTH_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" lies more than %d directories deep", path,
                         DEPTH_MAX);
    CPAM_TRY(join(&full, source->data, path[0] == '\0' ? "." : path, err));
    CPAM_TRY(names_read(source->io, cpam_buf_text(&full), &names, &vanished, err));
    if (vanished && path[0] == '\0')
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "there is no data directory \"%s\"", source->data);
    for (size_t i = 0; i < names.count; i++)
        if (!is_foreign(source, path, name_at(&names, i)))
            CPAM_TRY(take_name(source, path, name_at(&names, i), &names, depth, err));
    return CPAM_OK;
}

enum cpam_status
source_walk(const struct source *source, struct cpam_err *err)
{
    return walk_directory(source, "", 0, err);
}
