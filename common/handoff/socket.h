/*
 * socket.h - the socket and the lock of a place, as both sides find them.
 */
#ifndef CPAM_HANDOFF_SOCKET_H
#define CPAM_HANDOFF_SOCKET_H

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "handoff/place.h"

enum
{
    HANDOFF_FILE_MAX = 16 /* "fetch.sock" and its NUL */
};

/* "push.sock", "fetch.lock": below the place's descriptor. */
static inline void
handoff_file_name(enum handoff_role role, const char *ending, char out[HANDOFF_FILE_MAX])
{
    snprintf(out, HANDOFF_FILE_MAX, "%s.%s", handoff_role_name(role), ending);
}

/* An address has room for 107 bytes and a spool's path may be longer: it goes over the descriptor. */
static inline void
handoff_address(const struct handoff_place *place, enum handoff_role role, struct sockaddr_un *out)
{
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/%s.sock",
             handoff_place_fd(place), handoff_role_name(role));
}

#endif
