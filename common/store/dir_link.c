/*
 * dir_link.c - a link that leads nowhere is something, and not an absence.
 *
 * Who spreads a repository over disks does it with symbolic links.  Without its disk such a link opens
 * as ENOENT, as a name does that nobody has.
 */
#include "store/dir_link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static enum cpam_status
check_link(struct io *io, int root_fd, const char *path, const char *url, struct cpam_err *err)
{
    struct stat about;

    if (io->ops->stat(io, root_fd, path, AT_SYMLINK_NOFOLLOW, &about) == 0)
    {
        if (!S_ISLNK(about.st_mode) || io->ops->stat(io, root_fd, path, 0, &about) == 0)
            return CPAM_OK;
        if (errno == ENOENT)
        {
            cpam_fail(err, CPAM_UNKNOWN, 0,
                      "\"%s\" in %s is a symbolic link, and what it leads to is not there", path,
                      url);
            cpam_err_hint(err, "is the disk mounted that it leads to?");
            return CPAM_UNKNOWN;
        }
    }
    if (errno == ENOENT)
        return CPAM_OK;
    return cpam_fail(err, CPAM_UNKNOWN, errno, "could not look at \"%s\" in %s", path, url);
}

enum cpam_status
dir_check_links(struct io *io, int root_fd, const char *path, const char *url, struct cpam_err *err)
{
    for (size_t end = strcspn(path, "/");; end += 1 + strcspn(path + end + 1, "/"))
    {
        CPAM_AUTO(free) char *part = strndup(path, end);

        if (part == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to look at a path");
        CPAM_TRY(check_link(io, root_fd, part, url, err));
        if (path[end] == '\0' || path[end + 1] == '\0')
            return CPAM_OK;
    }
}
