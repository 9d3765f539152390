/*
 * restore_hold.c - the lock, and what the marker says of who holds it.
 */
#include "restore_hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "io/file.h"

enum
{
    MARKER_MAX = 8192
};

enum cpam_status
restore_marker_text(const char *label, const char *data, struct cpam_buf *out, struct cpam_err *err)
{
    return cpam_buf_printf(
        out, MARKER_MAX, err,
        "cpam-base-fetch of %s: not finished, not to be started\n%s\nprocess %ld\n", label, data,
        (long) getpid());
}

bool
restore_marker_line(struct io *io, const struct restore_place *place, unsigned number,
                    struct cpam_buf *out)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char path[RESTORE_PATH_MAX + 16];
    struct cpam_err ignored;

    snprintf(path, sizeof(path), "%s/%s", place->path, RESTORE_MARKER);
    if (file_read_all(io, path, MARKER_MAX, &text, &ignored) != CPAM_OK)
        return false;
    const char *line = cpam_buf_text(&text);
    for (; line != NULL && number > 0; number--)
    {
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    const char *end = line == NULL ? NULL : strchr(line, '\n');
    out->size = 0;
    return end != NULL &&
           cpam_buf_append(out, line, (size_t) (end - line), MARKER_MAX, &ignored) == CPAM_OK &&
           cpam_buf_text(out) != NULL;
}

static enum cpam_status
held(struct io *io, const struct restore_place *place, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf line = {0};
    const char *process =
        restore_marker_line(io, place, RESTORE_MARKER_PROCESS, &line) ? cpam_buf_text(&line) : NULL;

    cpam_fail(err, CPAM_REFUSED, 0, "another cpam-base-fetch%s%s%s is restoring into \"%s\"",
              process == NULL ? "" : ", ", process == NULL ? "" : process,
              process == NULL ? "" : ",", place->path);
    cpam_err_hint(err, "cpam-info shows how far it is; wait for its end, or end it, and run this "
                       "again; or give another directory");
    return CPAM_REFUSED;
}

enum cpam_status
restore_hold(struct io *io, struct restore_place *place, bool keep, struct cpam_err *err)
{
    if (place->fd >= 0)
        return CPAM_OK;
    CPAM_TRY(file_open(io, place->path, O_RDONLY | O_DIRECTORY, 0, &place->fd, err));
    if (flock(place->fd, LOCK_EX | LOCK_NB) == 0 && (keep || flock(place->fd, LOCK_UN) == 0))
        return CPAM_OK;
    return errno == EWOULDBLOCK
               ? held(io, place, err)
               : cpam_fail(err, CPAM_IO, errno, "could not lock \"%s\"", place->path);
}
