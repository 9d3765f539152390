/*
 * file_unnamed.c - a file without a name: gone with its descriptor, whatever happens to the process.
 */
#include <errno.h>
#include <fcntl.h>

#include "io/file.h"

enum cpam_status
file_open_unnamed(struct io *io, const char *dir, int *fd, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    uint8_t random[8];

    *fd = io->ops->open(io, AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd < 0 && errno == ENOENT)
    {
        CPAM_TRY(file_make_dirs(io, dir, 0700, err));
        *fd = io->ops->open(io, AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    }
    if (*fd >= 0)
        return CPAM_OK;
    if (errno != EOPNOTSUPP && errno != EISDIR)
        return cpam_fail(err, CPAM_IO, errno, "could not make a file in \"%s\"", dir);
    /* a file system without O_TMPFILE */
    if (io->ops->random(io, random, sizeof(random)) != 0)
        return cpam_fail(err, CPAM_IO, errno, "no random bytes for a name");
    CPAM_TRY(cpam_buf_printf(&path, 1 << 16, err, "%s/.cpam-", dir));
    for (size_t i = 0; i < sizeof(random); i++)
        CPAM_TRY(cpam_buf_printf(&path, 1 << 16, err, "%02x", random[i]));
    const char *name = cpam_buf_text(&path);
    if (name == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    CPAM_TRY(file_open(io, name, O_RDWR | O_CREAT | O_EXCL, 0600, fd, err));
    return file_unlink(io, name, err);
}
