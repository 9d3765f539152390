/*
 * restore_tree.c - directories, always by descriptor, so that no link leads out of the target.
 */
#include "restore_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io/file.h"

enum
{
    DEPTH_MAX = 64
};

/* A place itself may be reached through a link; below it none is followed. */
static int
open_flags(int depth)
{
    return O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth == 0 ? 0 : O_NOFOLLOW);
}

static bool
is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

enum cpam_status
tree_look(struct io *io, const char *path, enum tree_state *out, struct cpam_err *err)
{
    struct stat stat;

    if (io->ops->stat(io, AT_FDCWD, path, 0, &stat) < 0)
    {
        *out = TREE_ABSENT;
        if (errno == ENOENT)
            return CPAM_OK;
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", path);
    }
    *out = TREE_OTHER;
    if (!S_ISDIR(stat.st_mode))
        return CPAM_OK;
    DIR *dir = io->ops->opendir(io, AT_FDCWD, path);
    if (dir == NULL)
        return cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", path);
    *out = TREE_EMPTY;
    for (;;)
    {
        errno = 0;
        const struct dirent *entry = io->ops->readdir(io, dir);
        if (entry == NULL)
            break;
        if (!is_dots(entry->d_name) && strcmp(entry->d_name, "lost+found") != 0 &&
            !file_is_temporary(entry->d_name))
        {
            *out = TREE_FULL;
            break;
        }
    }
    int reason = *out == TREE_EMPTY ? errno : 0;
    io->ops->closedir(io, dir);
    if (reason != 0)
        return cpam_fail(err, CPAM_IO, reason, "could not read the directory \"%s\"", path);
    return CPAM_OK;
}

static int
open_own(struct io *io, int dir_fd, const char *name, int depth)
{
    struct stat stat;
    int fd = io->ops->open(io, dir_fd, name, open_flags(depth), 0);

    if (fd < 0)
        return -1;
    if (io->ops->fstat(io, fd, &stat) == 0 &&
        ((stat.st_mode & S_IRWXU) == S_IRWXU ||
         io->ops->fchmod(io, fd, (stat.st_mode & 07777) | S_IRWXU) == 0))
        return fd;
    int reason = errno;
    io->ops->close(io, fd);
    errno = reason;
    return -1;
}

int
tree_open_own(struct io *io, int dir_fd, const char *name)
{
    return open_own(io, dir_fd, name, 1);
}

/* Empties the directory; names in it may change under readdir, so it is read until it is empty. */
static enum cpam_status
empty_dir(struct io *io, int dir_fd, const char *name, const char *own, const char *keep, int depth,
          struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;
    int fd = open_own(io, dir_fd, name, depth);

    if (fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open the directory \"%s\"", name);
    DIR *dir = depth > DEPTH_MAX ? NULL : io->ops->opendir(io, fd, ".");
    if (dir == NULL)
    {
        status = cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", name);
        io->ops->close(io, fd);
        return status;
    }
    while (status == CPAM_OK)
    {
        struct stat stat;

        errno = 0;
        const struct dirent *entry = io->ops->readdir(io, dir);
        if (entry == NULL)
        {
            if (errno != 0)
                status =
                    cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", name);
            break;
        }
        const char *inner = entry->d_name;
        if (is_dots(inner) || (keep != NULL && strcmp(inner, keep) == 0) ||
            strncmp(inner, own, strlen(own)) != 0 ||
            (depth == 0 && strcmp(inner, "lost+found") == 0))
            continue;
        bool is_dir =
            io->ops->stat(io, fd, inner, AT_SYMLINK_NOFOLLOW, &stat) == 0 && S_ISDIR(stat.st_mode);
        if (is_dir)
            status = empty_dir(io, fd, inner, "", NULL, depth + 1, err);
        if (status == CPAM_OK && io->ops->unlink(io, fd, inner, is_dir ? AT_REMOVEDIR : 0) < 0)
            status = cpam_fail(err, CPAM_IO, errno, "could not remove \"%s\"", inner);
    }
    io->ops->closedir(io, dir);
    io->ops->close(io, fd);
    return status;
}

enum cpam_status
tree_empty(struct io *io, const char *path, const char *own, const char *keep, struct cpam_err *err)
{
    enum cpam_status status = empty_dir(io, AT_FDCWD, path, own, keep, 0, err);

    if (status != CPAM_OK)
        cpam_err_prefix(err, "emptying what an aborted restore left in \"%s\"", path);
    return status;
}

enum cpam_status
tree_remove(struct io *io, int dir_fd, const char *name, struct cpam_err *err)
{
    struct stat stat;
    bool is_dir =
        io->ops->stat(io, dir_fd, name, AT_SYMLINK_NOFOLLOW, &stat) == 0 && S_ISDIR(stat.st_mode);

    if (is_dir)
        CPAM_TRY(empty_dir(io, dir_fd, name, "", NULL, 1, err));
    if (io->ops->unlink(io, dir_fd, name, is_dir ? AT_REMOVEDIR : 0) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not remove \"%s\"", name);
    return CPAM_OK;
}

enum cpam_status
tree_clear_temporaries(struct io *io, int dir_fd, const char *path, struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;
    DIR *dir = io->ops->opendir(io, dir_fd, ".");
    const struct dirent *entry = NULL;

    if (dir == NULL)
        return cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", path);
    for (errno = 0; status == CPAM_OK && (entry = io->ops->readdir(io, dir)) != NULL; errno = 0)
        if (file_is_temporary(entry->d_name) && io->ops->unlink(io, dir_fd, entry->d_name, 0) < 0)
            status =
                cpam_fail(err, CPAM_IO, errno, "could not remove \"%s/%s\"", path, entry->d_name);
    if (status == CPAM_OK && errno != 0)
        status = cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", path);
    io->ops->closedir(io, dir);
    return status;
}

static enum cpam_status
add_bytes(struct io *io, int dir_fd, const char *name, int depth, uint64_t *sum,
          struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;
    int fd = io->ops->open(io, dir_fd, name, open_flags(depth), 0);
    DIR *dir = fd < 0 || depth > DEPTH_MAX ? NULL : io->ops->opendir(io, fd, ".");
    const struct dirent *entry;

    if (dir == NULL)
    {
        status = cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", name);
        if (fd >= 0)
            io->ops->close(io, fd);
        return status;
    }
    for (errno = 0; status == CPAM_OK && (entry = io->ops->readdir(io, dir)) != NULL; errno = 0)
    {
        struct stat stat;

        if (is_dots(entry->d_name) || (depth == 0 && strcmp(entry->d_name, "lost+found") == 0) ||
            io->ops->stat(io, fd, entry->d_name, AT_SYMLINK_NOFOLLOW, &stat) < 0)
            continue;
        if (S_ISDIR(stat.st_mode))
            status = add_bytes(io, fd, entry->d_name, depth + 1, sum, err);
        else if (stat.st_nlink == 1)
            *sum += (uint64_t) stat.st_blocks * 512;
    }
    if (status == CPAM_OK && errno != 0)
        status = cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", name);
    io->ops->closedir(io, dir);
    io->ops->close(io, fd);
    return status;
}

enum cpam_status
tree_bytes(struct io *io, const char *path, uint64_t *out, struct cpam_err *err)
{
    *out = 0;
    return add_bytes(io, AT_FDCWD, path, 0, out, err);
}

enum cpam_status
tree_parent(struct io *io, int dir_fd, const char *path, int *parent, const char **name,
            struct cpam_err *err)
{
    char front[4096];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 1 : (size_t) (slash - path);

    if (size >= sizeof(front))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.64s...\": the path is too long", path);
    memcpy(front, slash == NULL ? "." : path, size);
    front[size] = '\0';
    *name = slash == NULL ? path : slash + 1;
    *parent = io->ops->open_beneath(io, dir_fd, front, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (*parent < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open the directory \"%s\"", front);
    return CPAM_OK;
}
