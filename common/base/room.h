/*
 * room.h - large buffers whose memory goes back to the system.
 *
 * What malloc() gives back of many threads' megabytes stays with the process for good.  A room is
 * mapped by itself; a few are kept for the next taker, which saves the page faults, and of those no
 * more than ROOM_KEPT bytes stay.  Any thread may take and give.
 */
#ifndef CPAM_BASE_ROOM_H
#define CPAM_BASE_ROOM_H

#include "base/buf.h"
#include "base/scope.h"

enum
{
    ROOM_FRAME = 1 << 20,   /* bytes: a frame of plaintext */
    ROOM_OBJECT = 20 << 20, /* an object of 16 MiB that could not be made smaller, and some */
    ROOM_KEPT = 3 << 20
};

/*
 * An empty buffer with a cap of ROOM_FRAME or ROOM_OBJECT bytes, which costs memory only as far as it
 * is written to.  It must not grow past its cap (state it as the limit), and goes back by room_give().
 */
enum cpam_status room_take(size_t size, struct cpam_buf *out, struct cpam_err *err) CPAM_CHECK;
void room_give(struct cpam_buf *room); /* one that was never taken (all zeros) is fine */

/* For CPAM_AUTO(room_give) struct cpam_buf room = {0}; */
static inline void
room_give_scoped_(struct cpam_buf *room)
{
    room_give(room);
}

#endif
