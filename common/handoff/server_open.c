/*
 * server_open.c - a server comes to be: the lock first, then the socket; and its end.
 *
 * Who holds the lock (flock) may remove and bind the socket, nobody else does.  A lock of fcntl on
 * the same file serves to name the holder: a caller that can't even connect asks the kernel for its
 * pid.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include "handoff/server_state.h"
#include "handoff/socket.h"
#include "handoff/start.h"

enum
{
    BACKLOG = 128,
    LOCK_TRIES = 3
};

/* For the handler: there is one worker in a process. */
static volatile sig_atomic_t told_to_end;
static volatile sig_atomic_t signal_wake = -1;

static void
on_signal(int number)
{
    uint64_t one = 1;
    int kept = errno;

    (void) number;
    told_to_end = 1;
    if (signal_wake >= 0 && write(signal_wake, &one, sizeof(one)) < 0)
        errno = 0; /* the counter is full: the step wakes anyway */
    errno = kept;
}

bool
handoff_server_told_to_end(void)
{
    return told_to_end != 0;
}

static enum cpam_status
failed(const struct handoff_server *server, const char *what, const char *ending, int sys,
       struct cpam_err *err)
{
    enum cpam_status status = sys == EACCES || sys == EPERM ? CPAM_REFUSED : CPAM_IO;

    return cpam_fail(err, status, sys, "could not %s \"%s/%s.%s\"", what,
                     handoff_place_path(server->place), handoff_role_name(server->role), ending);
}

/* The file may be replaced between open and flock: a lock on a file without a name locks nothing. */
static enum cpam_status
take_lock(struct handoff_server *server, struct cpam_err *err)
{
    struct flock name_us = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct io *io = server->io;
    char name[HANDOFF_FILE_MAX];

    handoff_file_name(server->role, "lock", name);
    for (int tries = 0; tries < LOCK_TRIES; tries++)
    {
        server->lock = io->ops->open(io, handoff_place_fd(server->place), name,
                                     O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (server->lock < 0)
            return failed(server, "open", "lock", errno, err);
        if (flock(server->lock, LOCK_EX | LOCK_NB) != 0)
        {
            if (errno != EWOULDBLOCK)
                return failed(server, "lock", "lock", errno, err);
            cpam_fail(err, CPAM_EXISTS, 0, "another worker holds \"%s/%s\"",
                      handoff_place_path(server->place), name);
            handoff_server_started(err); /* the starter asks that one */
            return CPAM_EXISTS;
        }
        if (io->ops->fstat(io, server->lock, &server->lock_is) != 0)
            return failed(server, "look at", "lock", errno, err);
        if (handoff_server_still_there(server, "lock", &server->lock_is))
        {
            /* without it (NFS) a stopped worker is found a little later */
            if (fcntl(server->lock, F_SETLK, &name_us) != 0)
                errno = 0;
            return CPAM_OK;
        }
        io->ops->close(io, server->lock);
        server->lock = -1;
    }
    return failed(server, "keep", "lock", ENOENT, err);
}

static enum cpam_status
bind_socket(struct handoff_server *server, struct cpam_err *err)
{
    struct io *io = server->io;
    struct sockaddr_un address;
    char name[HANDOFF_FILE_MAX];

    handoff_file_name(server->role, "sock", name);
    if (io->ops->unlink(io, handoff_place_fd(server->place), name, 0) != 0 && errno != ENOENT)
        return failed(server, "remove the old", "sock", errno, err);
    server->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener < 0)
        return failed(server, "make", "sock", errno, err);
    handoff_address(server->place, server->role, &address);
    if (bind(server->listener, (const struct sockaddr *) &address, sizeof(address)) != 0)
        return failed(server, "make", "sock", errno, err);
    if (io->ops->stat(io, handoff_place_fd(server->place), name, AT_SYMLINK_NOFOLLOW,
                      &server->socket_is) != 0)
        return failed(server, "look at", "sock", errno, err);
    if (listen(server->listener, BACKLOG) != 0)
        return failed(server, "listen on", "sock", errno, err);
    return CPAM_OK;
}

void
handoff_config_of(struct io *io, const char *path, struct handoff_config *out)
{
    struct stat about;

    *out = (struct handoff_config){.path = path};
    if (!handoff_started_with(&out->stamp) && io->ops->stat(io, AT_FDCWD, path, 0, &about) == 0)
        handoff_stamp_of(&about, &out->stamp);
}

/* What this process is made of besides its configuration: its program, and its place. */
static enum cpam_status
take_stamps(struct handoff_server *server, struct cpam_err *err)
{
    struct io *io = server->io;
    struct stat about;
    if (io->ops->stat(io, AT_FDCWD, "/proc/self/exe", 0, &about) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"/proc/self/exe\"");
    handoff_stamp_of(&about, &server->program_stamp);
    if (io->ops->fstat(io, handoff_place_fd(server->place), &server->place_is) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"",
                         handoff_place_path(server->place));
    return CPAM_OK;
}

static enum cpam_status
hear_signals(struct handoff_server *server, struct cpam_err *err)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not make a descriptor to be woken by");
    told_to_end = 0;
    signal_wake = server->wake;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, &server->old_term);
    sigaction(SIGINT, &action, &server->old_int);
    return CPAM_OK;
}

enum cpam_status
handoff_server_new(struct io *io, const struct handoff_place *place, enum handoff_role role,
                   const struct handoff_config *config, const struct handoff_server_events *events,
                   struct handoff_server **out, struct cpam_err *err)
{
    CPAM_AUTO(handoff_server_free) struct handoff_server *server = calloc(1, sizeof(*server));

    *out = NULL;
    if (server == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to serve callers");
    server->io = io;
    server->place = place;
    server->role = role;
    server->events = *events;
    server->lock = server->listener = server->wake = -1;
    server->config = *config;
    CPAM_TRY(take_stamps(server, err));
    CPAM_TRY(take_lock(server, err));
    CPAM_TRY(hear_signals(server, err));
    CPAM_TRY(bind_socket(server, err));
    server->busy = server->ticked = io->ops->monotonic(io);
    *out = CPAM_STEAL(server);
    return CPAM_OK;
}

void
handoff_server_free(struct handoff_server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < HANDOFF_WAITERS_MAX; i++)
        if (server->waiters[i] != NULL)
            handoff_server_drop(server, server->waiters[i]);
    handoff_server_bury(server);
    handoff_server_retire(server);
    if (server->wake >= 0)
    {
        sigaction(SIGTERM, &server->old_term, NULL);
        sigaction(SIGINT, &server->old_int, NULL);
        signal_wake = -1;
        server->io->ops->close(server->io, server->wake);
    }

    free(server);
}
