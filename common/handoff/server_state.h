/*
 * server_state.h - what the loop (server.c) and the making of a server (server_open.c) share.
 */
#ifndef CPAM_HANDOFF_SERVER_STATE_H
#define CPAM_HANDOFF_SERVER_STATE_H

#include <signal.h>

#include "handoff/server.h"

struct handoff_waiter
{
    int fd;
    bool asked;
    int64_t since; /* connected */
    struct handoff_waiter *next_dead;
};

struct handoff_server
{
    struct io *io;
    const struct handoff_place *place;
    enum handoff_role role;
    struct handoff_server_events events;
    struct handoff_config config;
    struct handoff_stamp program_stamp;
    struct stat place_is, socket_is, lock_is;
    int lock, listener, wake;
    bool retired;
    int64_t busy, ticked, no_accept_before;
    struct handoff_waiter *waiters[HANDOFF_WAITERS_MAX];
    size_t count; /* of waiters; their slots have no gaps outside of a step */
    struct handoff_waiter *dead;
    struct sigaction old_term, old_int;
};

/* Gives up the socket, then the lock: a new worker that has the lock finds no old socket. */
void handoff_server_retire(struct handoff_server *server);
/* Takes a waiter out of its slot and closes it; it is freed by bury. */
void handoff_server_drop(struct handoff_server *server, struct handoff_waiter *waiter);
void handoff_server_bury(struct handoff_server *server);
/* Is the file of this ending ("sock", "lock") in the place still the one that is known? */
bool handoff_server_still_there(const struct handoff_server *server, const char *ending,
                                const struct stat *known);
/* SIGTERM or SIGINT came. */
bool handoff_server_told_to_end(void);

#endif
