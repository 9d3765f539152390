/*
 * server.c - the worker's loop over its socket: accept, read one question each, tick, answer.
 *
 * A waiter that is answered or gone leaves its slot at once and is freed at the end of the step, so
 * that callbacks may answer any waiter, the one they are called for too.  No lock is needed: other
 * threads only write into the wake descriptor.
 */
#include "handoff/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "handoff/message.h"
#include "handoff/server_state.h"
#include "handoff/socket.h"

#define SECOND ((int64_t) 1000000)

enum
{
    ACCEPT_PAUSE = 100 * 1000, /* us without accepting, when there are no descriptors */
    ASK_TIME = 5               /* s in which a caller has to say what it wants */
};

void
handoff_server_wake(struct handoff_server *server)
{
    uint64_t one = 1;

    if (write(server->wake, &one, sizeof(one)) < 0)
        errno = 0;
}

static int64_t
now_of(const struct handoff_server *server)
{
    return server->io->ops->monotonic(server->io);
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool
handoff_server_still_there(const struct handoff_server *server, const char *ending,
                           const struct stat *known)
{
    char name[HANDOFF_FILE_MAX];
    struct stat now;

    handoff_file_name(server->role, ending, name);
    return server->io->ops->stat(server->io, handoff_place_fd(server->place), name,
                                 AT_SYMLINK_NOFOLLOW, &now) == 0 &&
           same_file(&now, known);
}

void
handoff_server_retire(struct handoff_server *server)
{
    struct io *io = server->io;
    char name[HANDOFF_FILE_MAX];

    server->retired = true;
    if (server->listener >= 0)
    {
        handoff_file_name(server->role, "sock", name);
        if (handoff_server_still_there(server, "sock", &server->socket_is))
            io->ops->unlink(io, handoff_place_fd(server->place), name, 0);
        io->ops->close(io, server->listener);
        server->listener = -1;
    }
    if (server->lock >= 0)
        io->ops->close(io, server->lock);
    server->lock = -1;
}

static bool
send_to(struct handoff_waiter *waiter, const struct handoff_message *message)
{
    uint8_t data[HANDOFF_MESSAGE_MAX];
    struct cpam_err ignored;
    size_t size;

    if (handoff_message_write(message, data, &size, &ignored) != CPAM_OK)
        return false;
    /* a caller that does not read has stopped; it must not stop the worker */
    return send(waiter->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t) size ||
           errno == EAGAIN || errno == EINTR;
}

void
handoff_server_drop(struct handoff_server *server, struct handoff_waiter *waiter)
{
    for (size_t i = 0; i < HANDOFF_WAITERS_MAX; i++)
        if (server->waiters[i] == waiter)
            server->waiters[i] = NULL;
    server->io->ops->close(server->io, waiter->fd);
    waiter->fd = -1;
    waiter->next_dead = server->dead;
    server->dead = waiter;
    server->count--;
}

static void
hung_up(struct handoff_server *server, struct handoff_waiter *waiter)
{
    bool asked = waiter->asked;

    handoff_server_drop(server, waiter);
    if (asked && server->events.gone != NULL)
        server->events.gone(server->events.arg, waiter);
}

static void
send_and_drop(struct handoff_server *server, struct handoff_waiter *waiter,
              enum handoff_message_type type)
{
    /* whether it arrives or not: the caller asks again */
    if (!send_to(waiter, &(struct handoff_message){.type = type}))
        errno = 0;
    handoff_server_drop(server, waiter);
}

void
handoff_server_bury(struct handoff_server *server)
{
    while (server->dead != NULL)
    {
        struct handoff_waiter *next = server->dead->next_dead;

        free(server->dead);
        server->dead = next;
    }
}

void
handoff_answer(struct handoff_server *server, struct handoff_waiter *waiter,
               const struct handoff_reply *reply)
{
    bool failed = reply->status != CPAM_OK;
    struct handoff_message message = {.type = HANDOFF_MESSAGE_ANSWER,
                                      .status = reply->status,
                                      .path = reply->path,
                                      .sentence = reply->why.text,
                                      .hint = failed ? reply->why.hint : ""};

    if (!send_to(waiter, &message))
        errno = 0; /* it went away just now */
    server->busy = now_of(server);
    handoff_server_drop(server, waiter);
}

/* The peer's word that it runs as this user (or root) is the kernel's. */
static bool
may_ask(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void
take_waiter(struct handoff_server *server, int fd)
{
    struct handoff_waiter *waiter = NULL;
    struct handoff_waiter refused = {.fd = fd};
    size_t slot = 0;

    while (slot < HANDOFF_WAITERS_MAX && server->waiters[slot] != NULL)
        slot++;
    if (slot < HANDOFF_WAITERS_MAX && may_ask(fd))
        waiter = calloc(1, sizeof(*waiter));
    if (waiter == NULL)
    {
        if (!may_ask(fd) ||
            !send_to(&refused, &(struct handoff_message){.type = HANDOFF_MESSAGE_BUSY}))
            errno = 0;
        server->io->ops->close(server->io, fd);
        return;
    }
    waiter->fd = fd;
    waiter->since = now_of(server);
    server->waiters[slot] = waiter;
    server->count++;
}

static void
accept_all(struct handoff_server *server)
{
    for (;;)
    {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0)
            take_waiter(server, fd);
        else if (errno != EINTR && errno != ECONNABORTED)
            break;
    }
    /* no descriptors or no memory: the caller stays in the queue, and this must not spin */
    if (errno != EAGAIN)
        server->no_accept_before = now_of(server) + ACCEPT_PAUSE;
}

static bool
is_for_us(const struct handoff_server *server, const struct handoff_message *message)
{
    return message->protocol == HANDOFF_PROTOCOL && strcmp(message->version, CPAM_VERSION) == 0 &&
           strcmp(message->config, server->config.path) == 0 &&
           handoff_stamp_same(&message->config_stamp, &server->config.stamp) &&
           handoff_stamp_same(&message->program_stamp, &server->program_stamp);
}

static void
read_waiter(struct handoff_server *server, struct handoff_waiter *waiter)
{
    uint8_t data[HANDOFF_MESSAGE_MAX];
    struct handoff_message message;
    struct cpam_err ignored;

    ssize_t size = recv(waiter->fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* the end, what is no message, and a second one: it is not one of ours */
    if (size <= 0 || (size_t) size > sizeof(data) || waiter->asked ||
        handoff_message_parse(data, (size_t) size, &message, &ignored) != CPAM_OK ||
        (message.protocol == HANDOFF_PROTOCOL &&
         (message.type != HANDOFF_MESSAGE_QUESTION || message.role != server->role)))
    {
        hung_up(server, waiter);
        return;
    }
    if (!server->retired && !is_for_us(server, &message))
        handoff_server_retire(server);
    if (server->retired)
    {
        send_and_drop(server, waiter, HANDOFF_MESSAGE_RETIRED);
        return;
    }
    waiter->asked = true;
    server->busy = now_of(server);
    struct deadline deadline = {0};
    if (message.left >= 0)
        deadline = deadline_after(server->io, message.left);
    server->events.asked(server->events.arg, waiter, message.name, &message.stamp, deadline);
}

/* Once a second: tells who waits that the worker lives, and looks whether its place still is. */
static void
tick(struct handoff_server *server)
{
    const struct handoff_message beat = {.type = HANDOFF_MESSAGE_TICK};
    int64_t now = now_of(server);
    struct stat place;

    if (handoff_server_told_to_end() && !server->retired)
        handoff_server_retire(server);
    if (now - server->ticked < HANDOFF_TICK * SECOND)
        return;
    server->ticked = now;
    if (!server->retired &&
        (server->io->ops->stat(server->io, AT_FDCWD, handoff_place_path(server->place),
                               AT_SYMLINK_NOFOLLOW, &place) != 0 ||
         !same_file(&place, &server->place_is) ||
         !handoff_server_still_there(server, "sock", &server->socket_is) ||
         !handoff_server_still_there(server, "lock", &server->lock_is)))
        handoff_server_retire(server);
    for (size_t i = 0; i < HANDOFF_WAITERS_MAX; i++)
    {
        struct handoff_waiter *waiter = server->waiters[i];

        if (waiter == NULL)
            continue;
        if (!waiter->asked && server->retired)
            send_and_drop(server, waiter, HANDOFF_MESSAGE_RETIRED);
        else if (waiter->asked ? !send_to(waiter, &beat) : now - waiter->since > ASK_TIME * SECOND)
            hung_up(server, waiter);
    }
}

/* ms to sleep: as long as asked, but not over a tick. */
static int
nap(const struct handoff_server *server, int64_t patience)
{
    int64_t until = HANDOFF_TICK * SECOND - (now_of(server) - server->ticked);

    if (server->no_accept_before > now_of(server) && until > ACCEPT_PAUSE)
        until = ACCEPT_PAUSE;
    if (patience < until)
        until = patience;
    return until <= 0 ? 0 : (int) ((until + 999) / 1000);
}

enum cpam_status
handoff_server_step(struct handoff_server *server, int64_t patience, struct cpam_err *err)
{
    struct pollfd polled[2 + HANDOFF_WAITERS_MAX];
    struct handoff_waiter *whose[HANDOFF_WAITERS_MAX];
    nfds_t count = 2;
    uint64_t woken;

    polled[0] = (struct pollfd){.fd = server->wake, .events = POLLIN};
    /* a negative descriptor is left out */
    bool listens = server->no_accept_before <= now_of(server);
    polled[1] = (struct pollfd){.fd = listens ? server->listener : -1, .events = POLLIN};
    for (size_t i = 0; i < HANDOFF_WAITERS_MAX; i++)
        if (server->waiters[i] != NULL)
        {
            whose[count - 2] = server->waiters[i];
            polled[count++] = (struct pollfd){.fd = server->waiters[i]->fd, .events = POLLIN};
        }
    int ready = poll(polled, count, nap(server, patience));
    if (ready < 0 && errno != EINTR && errno != EAGAIN)
        return cpam_fail(err, CPAM_IO, errno, "could not wait for callers");
    if (ready > 0)
    {
        if (polled[0].revents != 0 && read(server->wake, &woken, sizeof(woken)) < 0)
            errno = 0;
        for (nfds_t i = 2; i < count; i++)
            if (polled[i].revents != 0 && whose[i - 2]->fd == polled[i].fd)
                read_waiter(server, whose[i - 2]);
        if (polled[1].revents != 0 && server->listener >= 0)
            accept_all(server);
    }
    tick(server);
    handoff_server_bury(server);
    return CPAM_OK;
}

size_t
handoff_server_waiters(const struct handoff_server *server)
{
    return server->count;
}

int64_t
handoff_server_idle(const struct handoff_server *server)
{
    return now_of(server) - server->busy;
}

bool
handoff_server_retired(const struct handoff_server *server)
{
    return server->retired;
}
