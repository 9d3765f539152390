/*
 * io_twin.h - a second door to the outside, for tests: it wraps the real one, and can fail, count,
 * record, cut short, stop the clock, kill, and keep a log from which the states that a power cut
 * could leave are made (crash_states.py).
 *
 * In a test program: io_twin_new(), io_twin_plan(), and pass io_twin_io().  In a whole program: the
 * twin's object is linked in with -Wl,--wrap=io_posix, and these variables steer it (without any
 * of them the program has the real door):
 *
 *   CPAM_TWIN_FAIL=N[:ERRNO[:KIND]]  call N (of this kind) fails, with EIO if no errno is given;
 *                                    "N+" fails every call from N on
 *   CPAM_TWIN_KILL=N[:KIND]          SIGKILL instead of call N
 *   CPAM_TWIN_SHORT=BYTES            no read or write moves more at once
 *   CPAM_TWIN_LOG=FILE               the log of everything that changes a file system
 *   CPAM_TWIN_COUNT=FILE             at exit: "calls N open M"
 *   CPAM_TWIN_TRACE=FILE             with it: the trace
 *   CPAM_TWIN_FLIP=FILE:AT:KIND:N    flip a bit of FILE at this offset right before call N of this
 *                                    kind on FILE
 *   CPAM_TWIN_STALL=SECONDS:KIND:PART  calls of this kind on paths with PART in them hang so long
 *   CPAM_TWIN_MOVE=FROM:TO:KIND:PART rename a file right before the first call of this kind on a path
 *                                    with PART in it
 *
 * Kinds are the names of struct io_ops' members.  now, monotonic and sleep are not counted.
 */
#ifndef CPAM_TESTS_IO_TWIN_H
#define CPAM_TESTS_IO_TWIN_H

#include <stdbool.h>

#include "io/io.h"

struct io_twin;

struct io_twin_plan
{
    unsigned fail_call;    /* 1..; 0: none */
    bool fail_on;          /* and every one behind it */
    const char *fail_kind; /* count only calls of this kind; NULL: all */
    int fail_errno;
    bool fail_after; /* do it, then say it failed: a reply that got lost */
    unsigned kill_call;
    const char *kill_kind;
    size_t short_bytes; /* 0: no limit */
    const char *log;    /* path, or NULL */
    bool real_clock;
    /* called before each call, under the twin's lock: must not use the twin itself */
    void (*hook)(void *arg, unsigned call, const char *kind, const char *path);
    void *hook_arg;
};

struct io_twin *io_twin_new(void);
void io_twin_free(struct io_twin *twin);
struct io *io_twin_io(struct io_twin *twin);

/* Start anew with this plan: counters, trace and log are emptied. */
void io_twin_plan(struct io_twin *twin, const struct io_twin_plan *plan);

unsigned io_twin_calls(const struct io_twin *twin);
int io_twin_open_fds(const struct io_twin *twin);  /* descriptors and directory streams */
int64_t io_twin_slept(const struct io_twin *twin); /* us */
void io_twin_advance(struct io_twin *twin, int64_t us);

/* For a hook: the call hangs so long, and the twin's lock is free meanwhile. */
void io_twin_hang(struct io_twin *twin, unsigned seconds);

/* One call a line: "link /tmp/x/.cpam-1 /tmp/x/a", descriptors by the path they were opened with. */
const char *io_twin_trace(const struct io_twin *twin);

/* Position of the nth (1..) line of the trace that holds all of `words` (blank-separated), or -1. */
int io_twin_find(const struct io_twin *twin, const char *words, int nth);

#endif
