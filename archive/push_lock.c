/*
 * push_lock.c - the lock, and who holds it.
 */
#include "push_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "io/file.h"

enum
{
    PATH_BYTES = 4096,
    HOLDER_BYTES = 32 /* "4711\n" */
};

struct push_lock
{
    struct io *io;
    int fd;
};

void
push_lock_free(struct push_lock *lock)
{
    if (lock == NULL)
        return;
    if (lock->fd >= 0)
        lock->io->ops->close(lock->io, lock->fd);
    free(lock);
}

static enum cpam_status
held(struct push_lock *lock, const char *path, struct cpam_err *err)
{
    char holder[HOLDER_BYTES] = "";
    struct cpam_err ignored;
    size_t got = 0;

    if (file_read_at(lock->io, lock->fd, path, holder, sizeof(holder) - 1, 0, &got, &ignored) !=
        CPAM_OK)
        got = 0;
    holder[got] = '\0';
    holder[strspn(holder, "0123456789")] = '\0';
    cpam_fail(err, CPAM_REFUSED, 0, "another cpam-base-push%s%s is backing this cluster up",
              holder[0] == '\0' ? "" : ", process ", holder);
    cpam_err_hint(err, "cpam-info shows how far it is; a backup at a time is enough for one disk");
    return CPAM_REFUSED;
}

enum cpam_status
push_lock_take(struct io *io, const char *state, uint64_t sysid, struct push_lock **out,
               struct cpam_err *err)
{
    CPAM_AUTO(push_lock_free) struct push_lock *lock = calloc(1, sizeof(*lock));
    char path[PATH_BYTES], holder[HOLDER_BYTES];

    *out = NULL;
    if (lock == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a lock");
    lock->io = io;
    lock->fd = -1;
    if (snprintf(path, sizeof(path), "%s/base-push-%" PRIu64 ".lock", state, sysid) >=
        (int) sizeof(path))
        return cpam_fail(err, CPAM_USAGE, 0, "state: \"%.200s...\" is too long a path", state);
    enum cpam_status status =
        file_open(io, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &lock->fd, err);
    if (status != CPAM_OK)
    {
        cpam_err_hint(err,
                      "\"state\" of the configuration names a folder that is there and that the "
                      "server's user may write to");
        return status;
    }
    if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? held(lock, path, err)
                                    : cpam_fail(err, CPAM_IO, errno, "could not lock \"%s\"", path);
    /* for the one that is refused; a full disk keeps nobody from a backup that needs no room here */
    int size = snprintf(holder, sizeof(holder), "%ld\n", (long) getpid());
    struct cpam_err ignored;
    if (io->ops->ftruncate(io, lock->fd, 0) == 0)
        (void) !file_write_at(io, lock->fd, path, holder, (size_t) size, 0, &ignored);
    *out = CPAM_STEAL(lock);
    return CPAM_OK;
}
