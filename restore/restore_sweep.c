/*
 * restore_sweep.c - a stack of directories, the names of each sorted, and how far the manifest is in
 * each of them.
 */
#include "restore_sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "io/file.h"
#include "restore_keep_wal.h"
#include "restore_tree.h"

enum
{
    LEVELS_MAX = 64,
    NAMES_MAX = 1 << 30 /* bytes of names of one directory */
};

struct level
{
    int fd;
    size_t path_size; /* of sweep->path, that is this directory's */
    struct cpam_buf text;
    char **names; /* into text, sorted */
    size_t count, next;
};

struct restore_sweep
{
    struct io *io;
    const struct restore_place *place;
    struct level levels[LEVELS_MAX];
    size_t depth;
    char path[MANIFEST_PATH_MAX]; /* of the deepest level */
};

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Ours, or the file system's. */
static bool
is_spared(const struct restore_sweep *self, const char *name)
{
    bool is_root = self->depth == 1;
    const char *prefix = self->place->prefix;
    bool is_wal = is_root ? strcmp(prefix, "pg_wal") == 0
                          : prefix[0] == '\0' && strcmp(self->path, "pg_wal") == 0;

    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           (is_root && (strcmp(name, RESTORE_MARKER) == 0 || strcmp(name, "lost+found") == 0)) ||
           (is_wal && strcmp(name, RESTORE_KEPT_WAL) == 0);
}

static enum cpam_status
names_read(struct restore_sweep *self, struct level *level, DIR *dir, struct cpam_err *err)
{
    for (;;)
    {
        errno = 0;
        const struct dirent *entry = self->io->ops->readdir(self->io, dir);

        if (entry == NULL)
            break;
        if (is_spared(self, entry->d_name))
            continue;
        CPAM_TRY(cpam_buf_append(&level->text, entry->d_name, strlen(entry->d_name) + 1, NAMES_MAX,
                                 err));
        level->count++;
    }
    if (errno != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", self->path);
    return CPAM_OK;
}

static enum cpam_status
names_sort(struct level *level, struct cpam_err *err)
{
    char *at = (char *) level->text.data;

    level->names = calloc(level->count + 1, sizeof(*level->names));
    if (level->names == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the names of a directory");
    for (size_t i = 0; at != NULL && i < level->count; i++)
    {
        level->names[i] = at;
        at += strlen(at) + 1;
    }
    qsort(level->names, level->count, sizeof(*level->names), by_name);
    return CPAM_OK;
}

/* The directory self->path becomes the deepest level; fd is its own. */
static enum cpam_status
push(struct restore_sweep *self, int fd, struct cpam_err *err)
{
    struct level *level = &self->levels[self->depth++];

    *level = (struct level){.fd = fd, .path_size = strlen(self->path)};
    DIR *dir = self->io->ops->opendir(self->io, fd, ".");
    if (dir == NULL)
        return cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", self->path);
    enum cpam_status status = names_read(self, level, dir, err);
    self->io->ops->closedir(self->io, dir);
    return status == CPAM_OK ? names_sort(level, err) : status;
}

static void
level_clear(struct restore_sweep *self, struct level *level)
{
    if (level->fd >= 0)
        self->io->ops->close(self->io, level->fd);
    cpam_buf_clear(&level->text);
    free(level->names);
    *level = (struct level){.fd = -1};
}

static enum cpam_status
remove_name(struct restore_sweep *self, const struct level *level, const char *name,
            struct cpam_err *err)
{
    enum cpam_status status = tree_remove(self->io, level->fd, name, err);

    if (status != CPAM_OK)
        cpam_err_prefix(err, "clearing \"%s/%s\"", self->place->path, self->path);
    return status;
}

/* What the manifest does not name.  A tablespace's own directory may be shared: each major version has
   a folder of its own in it, and only that of the backup's is ours. */
static enum cpam_status
remove_unnamed(struct restore_sweep *self, const struct level *level, const char *name,
               struct cpam_err *err)
{
    if (self->depth == 1 && restore_place_is_tablespace(self->place))
        return CPAM_OK;
    return remove_name(self, level, name, err);
}

static enum cpam_status
pop(struct restore_sweep *self, struct cpam_err *err)
{
    struct level *level = &self->levels[self->depth - 1];

    while (level->next < level->count)
        CPAM_TRY(remove_unnamed(self, level, level->names[level->next++], err));
    level_clear(self, level);
    self->depth--;
    self->path[self->depth == 0 ? 0 : self->levels[self->depth - 1].path_size] = '\0';
    return CPAM_OK;
}

enum cpam_status
restore_sweep_new(struct io *io, const struct restore_place *place, struct restore_sweep **out,
                  struct cpam_err *err)
{
    CPAM_AUTO(restore_sweep_free) struct restore_sweep *self = calloc(1, sizeof(*self));

    *out = NULL;
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    self->io = io;
    self->place = place;
    int fd = io->ops->open(io, place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open the directory \"%s\"", place->path);
    CPAM_TRY(push(self, fd, err));
    *out = CPAM_STEAL(self);
    return CPAM_OK;
}

void
restore_sweep_free(struct restore_sweep *self)
{
    if (self == NULL)
        return;
    while (self->depth > 0)
        level_clear(self, &self->levels[--self->depth]);
    free(self);
}

/* Is what has this name what the manifest has there?  It goes if not. */
static enum cpam_status
fits(struct restore_sweep *self, const struct level *level, const char *name,
     enum manifest_kind kind, bool *there, struct cpam_err *err)
{
    struct stat stat;

    if (self->io->ops->stat(self->io, level->fd, name, AT_SYMLINK_NOFOLLOW, &stat) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s/%s\"", self->path, name);
    *there = kind == MANIFEST_DIRECTORY
                 ? S_ISDIR(stat.st_mode)
                 : kind == MANIFEST_FILE && S_ISREG(stat.st_mode) && stat.st_nlink == 1;
    return *there ? CPAM_OK : remove_name(self, level, name, err);
}

static enum cpam_status
descend(struct restore_sweep *self, const struct level *level, const char *path, const char *name,
        struct cpam_err *err)
{
    if (self->depth == LEVELS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" lies too deep", path);
    int fd = tree_open_own(self->io, level->fd, name);
    if (fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open the directory \"%s\"", path);
    memcpy(self->path, path, strlen(path) + 1);
    return push(self, fd, err);
}

enum cpam_status
restore_sweep_entry(struct restore_sweep *self, const char *path, enum manifest_kind kind,
                    bool *there, struct cpam_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t parent = slash == NULL ? 0 : (size_t) (slash - path);

    *there = true;
    if (*path == '\0')
        return CPAM_OK;
    *there = false;
    if (strlen(path) >= sizeof(self->path))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.64s...\": the path is too long", path);
    while (self->depth > 1 &&
           !(strlen(self->path) == parent && strncmp(self->path, path, parent) == 0))
        CPAM_TRY(pop(self, err));
    if (strlen(self->path) != parent || strncmp(self->path, path, parent) != 0)
        return CPAM_OK; /* its directory was not there either */
    struct level *level = &self->levels[self->depth - 1];

    for (; level->next < level->count; level->next++)
    {
        int order = strcmp(level->names[level->next], name);

        if (order > 0)
            break;
        if (order == 0)
        {
            level->next++;
            CPAM_TRY(fits(self, level, name, kind, there, err));
            break;
        }
        CPAM_TRY(remove_unnamed(self, level, level->names[level->next], err));
    }
    return *there && kind == MANIFEST_DIRECTORY ? descend(self, level, path, name, err) : CPAM_OK;
}

enum cpam_status
restore_sweep_finish(struct restore_sweep *self, struct cpam_err *err)
{
    while (self->depth > 0)
        CPAM_TRY(pop(self, err));
    return CPAM_OK;
}
