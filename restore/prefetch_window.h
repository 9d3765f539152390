/*
 * prefetch_window.h - which segments are fetched now, which are ready, and which come next; pure.
 *
 * The window is what lies behind the last segment that was asked for, on its timeline.  There are no
 * batches: each segment that is done, or consumed, lets the next one begin.  How far it reaches
 * follows the replay: it doubles when a caller had to wait for a segment that was expected, and is
 * halved when files grew old before they were asked for.
 *
 * Nothing is remembered of what is absent.  Where a segment was not to be had, the window ends until
 * the next question, which tries that one segment again; the segment asked for is always asked of
 * the archive (requirements row F7).
 *
 * Not safe for several threads: the caller locks.
 */
#ifndef CPAM_RESTORE_PREFETCH_WINDOW_H
#define CPAM_RESTORE_PREFETCH_WINDOW_H

#include "base/scope.h"
#include "io/io.h"
#include "pg/segment.h"

enum
{
    PREFETCH_DEPTH_MAX = 1024, /* segments */
    /* us that a file fetched ahead may be offered: meanwhile a person may have put it aside */
    PREFETCH_FRESH = 60 * 1000 * 1000
};

enum prefetch_state
{
    PREFETCH_FREE,
    PREFETCH_FETCHING,
    PREFETCH_READY, /* its file can be offered */
    PREFETCH_GIVEN, /* it was: whoever asked has renamed it away, or died; gone with the next question */
    PREFETCH_FAILED /* it was asked for and could not be had: kept until it is told */
};

struct prefetch_entry
{
    enum prefetch_state state;
    struct segment segment;
    uint64_t serial;          /* of this fetch of it: part of the file's name */
    bool asked, unwanted;     /* unwanted: dropped while it was fetched */
    struct deadline deadline; /* of whoever asked; {0}: nobody did */
    int64_t ready;            /* us, monotonic */
    struct cpam_err *why;     /* FAILED; may be NULL for want of memory */
};

struct prefetch_bounds
{
    unsigned workers;      /* wal.fetch.workers */
    unsigned ahead;        /* wal.fetch.prefetch */
    uint32_t segment_size; /* bytes */
};

struct prefetch_window;

/* dropped: called for each READY or GIVEN entry that is given up: its file can go. */
enum cpam_status prefetch_window_new(const struct prefetch_bounds *bounds,
                                     void (*dropped)(void *arg, const struct prefetch_entry *entry),
                                     void *arg, struct prefetch_window **out,
                                     struct cpam_err *err) CPAM_CHECK;
void prefetch_window_free(struct prefetch_window *window);
CPAM_SCOPED(prefetch_window_free, struct prefetch_window);

/*
 * A question.  Entries that are passed by, of another timeline, or older than PREFETCH_FRESH are
 * dropped; so is what was given before.  The segment is now READY, or being fetched, or the next to
 * be.
 */
void prefetch_window_ask(struct prefetch_window *window, struct segment segment,
                         struct deadline deadline, int64_t now);

/* Another run of the server asks, or a repository is perhaps another one: nothing of what was fetched
   ahead, or is being fetched, is offered. */
void prefetch_window_forget(struct prefetch_window *window);

/* The entry of a segment that is fetched, READY or FAILED, or NULL. */
struct prefetch_entry *prefetch_window_find(struct prefetch_window *window, struct segment segment);

/* What to fetch now, marked FETCHING; NULL: nothing.  room: there is space for more than what was
   asked for.  The entry stays where it is until prefetch_window_done(). */
struct prefetch_entry *prefetch_window_next(struct prefetch_window *window, bool room);

/*
 * The end of a fetch: CPAM_OK makes it READY.  Otherwise the window ends here until the next
 * question, and *why is kept for whoever asked.  False: nobody wants it any more, its file can go.
 */
bool prefetch_window_done(struct prefetch_window *window, struct prefetch_entry *entry,
                          enum cpam_status status, const struct cpam_err *why, int64_t now);

/* The file of this READY entry was offered to whoever asked. */
void prefetch_window_given(struct prefetch_window *window, struct prefetch_entry *entry);

/* How many segments ahead it goes now. */
unsigned prefetch_window_depth(const struct prefetch_window *window);

/* The most segments ahead: the setting, PREFETCH_DEPTH_MAX, and 1 GiB or 4 segments of disk,
   whichever is more; 2 of the largest segments. */
unsigned prefetch_depth_limit(const struct prefetch_bounds *bounds);

#endif
