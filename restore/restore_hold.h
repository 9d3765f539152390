/*
 * restore_hold.h - one restore at a time in a place.
 *
 * The lock is flock(2)'s on the directory itself: it goes with the process, however that ends, and leaves
 * nothing behind.  It is taken before anything in the place is judged, since to another run what is being
 * written looks like what an aborted one left.
 */
#ifndef CPAM_RESTORE_RESTORE_HOLD_H
#define CPAM_RESTORE_RESTORE_HOLD_H

#include "base/buf.h"
#include "restore_places.h"

/* Opens place->fd and locks it; done already, it does nothing.  keep: false for a rehearsal, which is to be
   in nobody's way a moment later.  CPAM_REFUSED: another cpam-base-fetch is at it, and is named if its marker
   is there. */
enum cpam_status restore_hold(struct io *io, struct restore_place *place, bool keep,
                              struct cpam_err *err) CPAM_CHECK;

enum
{
    RESTORE_MARKER_DATA = 1,   /* the marker's line, from 0, that names the data directory */
    RESTORE_MARKER_PROCESS = 2 /* and the process that writes */
};

/* The text of the marker. */
enum cpam_status restore_marker_text(const char *label, const char *data, struct cpam_buf *out,
                                     struct cpam_err *err) CPAM_CHECK;
/* A line of a place's marker; false if there is none. */
bool restore_marker_line(struct io *io, const struct restore_place *place, unsigned number,
                         struct cpam_buf *out);

#endif
