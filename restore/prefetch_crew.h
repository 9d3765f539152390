/*
 * prefetch_crew.h - the threads that fetch, and the window they work on.
 *
 * One thread (the one that talks to the callers) asks, takes and ends; the crew's own do the rest.
 */
#ifndef CPAM_RESTORE_PREFETCH_CREW_H
#define CPAM_RESTORE_PREFETCH_CREW_H

#include "prefetch_source.h"
#include "prefetch_window.h"

enum
{
    PREFETCH_THREADS_MAX = 16,
    PREFETCH_THREADS_EACH = 4 /* for each of wal.fetch.workers: most of them wait for the store */
};

struct prefetch_crew_spec
{
    struct io *io;
    struct prefetch_folder *folder; /* kept */
    struct prefetch_source *source; /* kept */
    struct prefetch_bounds bounds;
    /* From a thread of the crew: prefetch_crew_take() may have something. */
    void (*wake)(void *arg);
    void *arg;
};

struct prefetch_crew;

enum cpam_status prefetch_crew_new(const struct prefetch_crew_spec *spec,
                                   struct prefetch_crew **out, struct cpam_err *err) CPAM_CHECK;

/* prefetch_window_ask(), and whoever of the crew is idle begins. */
void prefetch_crew_ask(struct prefetch_crew *crew, struct segment segment,
                       struct deadline deadline);

/* prefetch_window_forget() */
void prefetch_crew_forget(struct prefetch_crew *crew);

/*
 * Is the segment that was asked for last at hand?  CPAM_OK: its file is at path, the caller's now.
 * CPAM_TRANSIENT: not yet.  Another status: it could not be had, and *err says why.
 */
enum cpam_status prefetch_crew_take(struct prefetch_crew *crew, struct segment segment,
                                    char path[PREFETCH_PATH_MAX], struct cpam_err *err) CPAM_CHECK;

/* No more work.  False: threads are still at work after `patience` us, and nothing that they use
   (the crew, its folder, its source) may be freed: the process has to end by _exit(). */
bool prefetch_crew_stop(struct prefetch_crew *crew, int64_t patience);
/* After it was stopped. */
void prefetch_crew_free(struct prefetch_crew *crew);

#endif
